"""What a row of the table of findings is, and what it is asked about: a request that failed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from functools import partial
from typing import Any
from typing import Generic
from typing import TypeVar

from ....core.headers import ALLOW_ORIGIN
from ....core.headers import REQUEST_METHOD
from ....testing import CORSErrorReason as R
from ....testing import HeaderList
from ....testing.errors import CORSFailure
from ....testing.preflight import Answer
from ....testing.preflight import Question
from ....testing.quirks import QUIRKS
from ...findings import Severity
from ...terminal import printable
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..evidence import location_of
from ..messages import LENIENT_FAULTS
from ..messages import REVISIONS
from ..messages import words_of
from ..stacks import proxy_in
from ..stacks import SIGNING
from ..stacks import stacks_of

#: Browsers send names in lower case; this is how MCP writes them.
_WRITTEN = {name.lower(): name for revision in REVISIONS for name in revision.header_names}
_MISSING = (R.MISSING_ALLOW_ORIGIN_HEADER, R.PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER)


class Case:
    """A request that failed, and what is known beside it."""

    def __init__(self, evidence: Evidence, fetched: Fetched) -> None:
        self.evidence = evidence
        self.f = fetched
        self.reason = None if fetched.blocked is None else fetched.blocked.reason
        self.detail = "" if fetched.blocked is None else fetched.blocked.detail
        self.response = fetched.last
        self.status = 0 if self.response is None else self.response.status
        #: Of the last response, whoever may read them.
        self.headers = HeaderList() if self.response is None else self.response.headers
        self.is_preflight = fetched.failed_at_preflight
        self.is_endpoint = fetched.url == evidence.href
        #: Is it the ``initialize`` that was sent without a browser?
        self.is_first_plain = not fetched.origin and fetched.step == "initialize"
        #: Is there no ``Access-Control-Allow-Origin`` where one is due?
        self.lacks_allow_origin = self.reason in _MISSING
        #: Is ``initialize`` answered without a browser?
        self.is_posted = evidence.posted is not None and evidence.posted.result is not None
        #: The message as a page of this origin would send it, without a preflight.
        self.behind = evidence.first("behind", origin=fetched.origin) if self.is_endpoint else None
        self.has_cors_behind = self.behind is not None and self.behind.allows_page
        self.is_answered_behind = self.behind is not None and self.behind.result is not None

    def served(self, step: str) -> Fetched | None:
        """The same message, sent once more with one thing changed, if it was served then."""
        again = self.evidence.first(step, origin=self.f.origin)
        if again is None or again.status is None or again.status >= 400 or again.sent != self.f.sent:
            return None
        return None if self.is_preflight or not self.is_endpoint else again

    @cached_property
    def body(self) -> bytes:
        """What the refusal says: browsers drop it, and it is often the best hint there is."""
        steps = ("preflight again",) if self.is_preflight else ("behind", "initialize", "DELETE of a probe")
        if self.f.body or not self.f.exchanges:
            return self.f.body
        method = "OPTIONS" if self.is_preflight else self.f.method
        for f in self.evidence.of(*steps):
            is_same = (f.url, f.method, f.status) == (self.f.url, method, self.status)
            asked = f.exchanges[-1].request.headers.get(REQUEST_METHOD, self.f.method)
            if is_same and f.body and asked == self.f.method:
                return f.body
        return b""

    @cached_property
    def text(self) -> str:
        """The beginning of the body, as text."""
        return self.body[:8000].decode("utf-8", "replace")

    @property
    def is_html(self) -> bool:
        """Is the answer a page?"""
        kind = "" if self.response is None else self.response.headers.get("Content-Type", "")
        return "html" in kind or self.text.lstrip()[:1] == "<"

    @property
    def quoted(self) -> str:
        """The status, and what the body says where it says something."""
        words = printable(words_of(self.body), 100)
        return f'{self.status}, "{words}"' if words else f"{self.status}"

    @property
    def location(self) -> str | None:
        """Where a redirect leads, the empty string if nowhere; ``None``: it is no redirect."""
        return location_of(self.response, self.f.url)

    @cached_property
    def stacks(self) -> set[str]:
        """What answers at this URL."""
        return stacks_of(self.evidence.responses(self.f.url))

    @property
    def proxy(self) -> str:
        """What a proxy in front is called here."""
        return proxy_in(self.stacks)

    @property
    def answering(self) -> set[str]:
        """The same without those that sign all of their answers, and not this one: a proxy has answered."""
        if self.response is None:
            return self.stacks
        return self.stacks - (SIGNING - stacks_of([(self.response, self.body)]))

    def variations(self) -> Iterator[tuple[str, str, Fetched]]:
        """The preflights that differ from this one in one thing: which, the name or origin that it was sent with."""
        for f in self.evidence.of_kind("varied"):
            if f.origin == self.f.origin and f.url == self.f.url:
                kind, _, value = f.step.removeprefix("varied: ").partition("=")
                yield kind, value, f

    def passes_as(self, kind: str) -> bool:
        """Does the preflight pass if it is changed so?"""
        return any(f.is_let_pass for other, _, f in self.variations() if other == kind)

    def refused_names(self) -> list[str]:
        """Every header name that the preflight asked for in vain: by its list, or because it fails with each alone."""
        tried = {value: f.is_let_pass for kind, value, f in self.variations() if kind == "header"}
        if tried and self.passes_as("no headers"):
            refused = [name for name in self.f.sent_names if not tried.get(name, True)]
        else:
            refused = [name for name in self.f.sent_names if self._is_unlisted(name)]
        return [_WRITTEN.get(name, name) for name in refused]

    def _is_unlisted(self, name: str) -> bool:
        """Is a name missing on the list of a preflight's answer? The console names only the first."""
        if self.f.preflight is None:
            return False
        try:
            answer = Answer.from_headers(self.f.preflight.headers, QUIRKS["chromium"])
        except CORSFailure:
            return False  # a list that cannot be read; the status came first
        question = Question("", "", "POST", (name,), with_credentials=False)
        return bool(answer.refused_headers(question, authorization_needs_naming=False))

    @property
    def others_have_cors(self) -> bool:
        """Does any answer to this page that is no preflight's have ``Access-Control-Allow-Origin``?"""
        answers = (f.network for f in self.evidence.fetches if f.origin == self.f.origin and not f.is_rejected)
        return any(response is not None and ALLOW_ORIGIN in response.headers for response in answers)

    def values(self) -> dict[str, object]:
        """What every template may use."""
        return {
            "name": self.f.name,
            "step": self.f.step,
            "method": self.f.method,
            "status": self.status,
            "quoted": self.quoted,
            "origin": self.f.origin,
            "url": self.f.url,
            "detail": self.detail,
            "asked": f"The preflight (OPTIONS {self.f.url})" if self.is_preflight else f"{self.f.method} {self.f.url}",
            "proxy": self.proxy,
            "location": self.location or "",
            "barred": self.f.barred,
            "console": "" if self.f.blocked is None else self.f.blocked.console_message,
            "start": self.text.lstrip()[:60],
            "whose": f"The preflight for {self.f.name}" if self.is_preflight else self.f.name,
        }


Values = Mapping[str, object]
#: A row fits (``True``, or values for its sentence) or does not.
Fits = bool | Values | None
Looks = TypeVar("Looks")


@dataclass(frozen=True)
class Rule(Generic[Looks]):
    """A row of the table. Sentence and cure are templates: the values of the case fill them."""

    #: For the documentation.
    meaning: str
    seen: Looks
    sentence: str
    cure: str
    #: Which words of the stack are added to the cure.
    topic: str = ""
    #: Codes that are consequences of this one. ``*``: everything that fails; ``messages``: but preflights.
    explains: tuple[str, ...] = ()
    #: ``None``: as bad as the request that failed is important.
    severity: Severity | None = None


#: Read in order for every request that failed: the first that fits says why.
Failure = Rule[Callable[[Case], Fits]]
#: Looks at all of the evidence, and fits as often as it yields.
Seen = Callable[[Evidence], Iterator[Values]]
Observation = Rule[Seen]


@dataclass(frozen=True)
class Table:
    """All rows by code, in the order in which causes explain consequences."""

    failures: Mapping[str, Failure]
    observations: Mapping[str, Observation]

    @cached_property
    def rules(self) -> Mapping[str, Rule[Any]]:
        """Code → row."""
        return {**self.failures, **self.observations}

    def is_one_cause(self, code: str) -> bool:
        """Is it one cause, however many messages meet it? Not where each of them asks for something else."""
        also = ("response_without_cors", "login_protected", *LENIENT_FAULTS)
        is_one = bool(self.rules[code].explains) or code in also
        return is_one and code not in ("header_not_allowed", "method_not_allowed")

    def explained_by(self, code: str) -> set[str]:
        """The codes that are consequences of this one."""
        explains = {*self.rules[code].explains}
        if explains & {*EVERYTHING, *MESSAGES_ONLY}:
            failures = {*self.failures}
            if MESSAGES_ONLY[0] in explains:
                # A preflight is refused before any message is sent.
                failures -= {other for other in failures if self._is_of_preflight(other)}
            explains |= failures - {code} | {"no_conversation", "question_blocked", "params_not_allowed"}
        return explains if self.is_one_cause(code) else {*explains, code}

    def _is_of_preflight(self, code: str) -> bool:
        return code.startswith("preflight_") or self.rules[code].explains == PREFLIGHT_CODES

    def without(self, code: str) -> Table:
        """The table without one row: a test asks whether anybody misses it."""
        failures, observations = dict(self.failures), dict(self.observations)
        failures.pop(code, None)
        observations.pop(code, None)
        return Table(failures, observations)


EVERYTHING = ("*",)
MESSAGES_ONLY = ("messages",)

#: What follows from a preflight that fails.
PREFLIGHT_CODES = ("question_blocked", "params_not_allowed", "no_conversation", "preflight_not_cached")

#: Rows by what they explain.
fatal = partial(Failure, explains=EVERYTHING)
of_messages = partial(Failure, explains=MESSAGES_ONLY)
of_preflights = partial(Failure, explains=PREFLIGHT_CODES)


def at_preflight(
    meaning: str,
    seen: Callable[[Case], Fits],
    sentence: str,
    cure: str,
    topic: str = "",
    explains: tuple[str, ...] = PREFLIGHT_CODES,
) -> Failure:
    """A row that only preflights fit."""
    return Failure(meaning, lambda c: c.is_preflight and seen(c), sentence, cure, topic, explains)


#: Rows by how bad it is.
error = partial(Observation, severity=Severity.ERROR)
warning = partial(Observation, severity=Severity.WARNING)
note = partial(Observation, severity=Severity.NOTE)

ANSWER_FIRST = (
    "answer OPTIONS with Origin and Access-Control-Request-Method before anything else does, with 2xx and the "
    "Access-Control-Allow-* headers"
)
PASS_ERRORS = (
    "let the proxy pass errors on with their status and headers (nginx: proxy_intercept_errors off, no error_page … "
    "=200; an unknown session is a 404, GET without a stream a 405)"
)
SEND_ORIGIN = f"send {ALLOW_ORIGIN}: {{origin}}"
SHARE_SESSIONS = (
    "run one worker with threads, keep sessions in a shared store, make the server stateless, or have the load "
    "balancer route by Mcp-Session-Id"
)


def at(fetched: Fetched, **more: object) -> Values:
    """What a template may use that is about one fetch."""
    response = fetched.last
    return {
        "origin": fetched.origin,
        "revision": fetched.revision,
        "name": fetched.name,
        "status": fetched.status if response is None else response.status,
        "url": fetched.url,
        "type": fetched.headers.get("content-type", "") or "no Content-Type",
        **more,
    }


def each(*steps: str, where: Callable[[Fetched], Fits]) -> Seen:
    """Every fetch of these steps that is so."""
    return lambda ev: (at(f, **as_values(fits)) for f in ev.of(*steps) if (fits := where(f)))


def once(seen: Callable[[Evidence], Fits]) -> Seen:
    """The whole evidence, if it is so."""
    return lambda ev: iter([as_values(fits)] if (fits := seen(ev)) else [])


def fact(step: str, more: Callable[[Evidence, Fact], Values] = lambda ev, f: {}) -> Seen:
    """Every fact of this step."""
    return lambda ev: (
        {"origin": f.origin, "what": f.what, "url": f.url or ev.href, "own": ev.url.origin, **more(ev, f)}
        for f in ev.found(step)
    )


def as_values(fits: Fits) -> Values:
    """Values for the templates, where a row needs some."""
    return fits if isinstance(fits, Mapping) else {}
