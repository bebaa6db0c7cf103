"""What a row of the table of findings is, and the case that it judges."""

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
from ..evidence import LoginStep
from ..messages import LENIENT_FAULTS
from ..messages import REVISIONS
from ..messages import words_of
from ..stacks import proxy_in
from ..stacks import SIGNING
from ..stacks import stacks_of

#: Browsers send header names in lower case; MCP writes them so.
_WRITTEN = {name.lower(): name for revision in REVISIONS for name in revision.header_names}
_MISSING = (R.MISSING_ALLOW_ORIGIN_HEADER, R.PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER)


def quoted(status: int | None, body: bytes) -> str:
    """A status, and the words of the body if it has some."""
    words = printable(words_of(body), 100)
    return f'{status}, "{words}"' if words else f"{status}"


class Case:
    """A request that failed, and what the evidence says about it."""

    def __init__(self, evidence: Evidence, fetched: Fetched) -> None:
        self.evidence = evidence
        self.f = fetched
        self.reason = None if fetched.blocked is None else fetched.blocked.reason
        self.detail = "" if fetched.blocked is None else fetched.blocked.detail
        #: The browser's message.
        self.console = (fetched.barred or "") if fetched.blocked is None else fetched.blocked.console_message
        #: The last response, whether or not the page may read it.
        self.response = fetched.last
        self.status = fetched.last_status or 0
        self.headers = HeaderList() if self.response is None else self.response.headers
        self.is_preflight = fetched.failed_at_preflight
        self.is_endpoint = fetched.url == evidence.href
        self.is_login = fetched.step in tuple(LoginStep)
        #: Is it the ``initialize`` that was sent without a browser?
        self.is_first_plain = not fetched.origin and fetched.step == "initialize"
        #: Is ``Access-Control-Allow-Origin`` missing?
        self.lacks_allow_origin = self.reason in _MISSING
        #: Is ``initialize`` answered without a browser?
        self.is_posted = evidence.posted is not None and evidence.posted.result is not None
        #: The message that such a page would send, sent without a preflight.
        self.behind = evidence.first("behind", origin=fetched.origin) if self.is_endpoint else None
        self.has_cors_behind = self.behind is not None and self.behind.allows_page
        self.is_answered_behind = self.behind is not None and self.behind.result is not None

    def served(self, step: str) -> Fetched | None:
        """The same message sent again with one change, if it was served then."""
        again = self.evidence.first(step, origin=self.f.origin)
        if again is None or again.status is None or again.status >= 400 or again.sent != self.f.sent:
            return None
        return None if self.is_preflight or not self.is_endpoint else again

    @cached_property
    def body(self) -> bytes:
        """The body of the refusal. Browsers drop it, and it is often the best hint."""
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
        """Is the answer an HTML page?"""
        return "html" in self.headers.get("Content-Type", "") or self.text.lstrip()[:1] == "<"

    @property
    def quoted(self) -> str:
        """The status, and the words of the body if it has some."""
        return quoted(self.status, self.body)

    @property
    def location(self) -> str | None:
        """Where a redirect leads, the empty string if nowhere; ``None``: the response is not a redirect."""
        return location_of(self.response, self.f.url)

    @cached_property
    def stacks(self) -> set[str]:
        """The software that answers at this URL."""
        return stacks_of(self.evidence.responses(self.f.url))

    @property
    def proxy(self) -> str:
        """The name of the proxy in front, or a general word."""
        return proxy_in(self.stacks)

    @property
    def answering(self) -> set[str]:
        """The software that gave this answer: without stacks that sign all of their answers, and not this one."""
        if self.response is None:
            return self.stacks
        return self.stacks - (SIGNING - stacks_of([(self.response, self.body)]))

    def variations(self, only: str = "") -> Iterator[tuple[str, str, Fetched]]:
        """The preflights with one change: its kind, the name or origin that was sent, and the answer."""
        for f in self.evidence.of_kind("varied"):
            kind, _, value = f.step.removeprefix("varied: ").partition("=")
            if f.origin == self.f.origin and f.url == self.f.url and only in (kind, ""):
                yield kind, value, f

    def passes_as(self, kind: str) -> bool:
        """Does the preflight pass with a change of this kind?"""
        return any(f.passes for _, _, f in self.variations(kind))

    def refused_names(self) -> list[str]:
        """The header names that the preflight does not allow: its list lacks them, or it fails with each alone."""
        tried = {name: f.passes for _, name, f in self.variations("header")}
        if tried and self.passes_as("no headers"):
            refused = [name for name in self.f.sent_names if not tried.get(name, True)]
        else:
            refused = [name for name in self.f.sent_names if self._is_unlisted(name)]
        return [_WRITTEN.get(name, name) for name in refused]

    def _is_unlisted(self, name: str) -> bool:
        """Is a name missing in the list of a preflight's answer? The console names only the first."""
        if self.f.preflight is None:
            return False
        try:
            answer = Answer.from_headers(self.f.preflight.headers, QUIRKS["chromium"])
        except CORSFailure:
            return False  # the list cannot be read, and the browser refused the status before that
        question = Question("", "", "POST", (name,), with_credentials=False)
        return bool(answer.refused_headers(question, authorization_needs_naming=False))

    @property
    def others_have_cors(self) -> bool:
        """Has another response to this page, not to a preflight, ``Access-Control-Allow-Origin``?"""
        others = (f for f in self.evidence.fetches if f.origin == self.f.origin and not f.is_rejected)
        return any(ALLOW_ORIGIN in f.network_headers for f in others)

    def values(self) -> dict[str, object]:
        """The values that every template may use."""
        return {
            "name": self.f.name,
            "method": self.f.method,
            "status": self.status,
            "quoted": self.quoted,
            "origin": self.f.origin,
            "url": self.f.url,
            "detail": self.detail,
            "asked": f"The preflight (OPTIONS {self.f.url})" if self.is_preflight else f"{self.f.method} {self.f.url}",
            "proxy": self.proxy,
            "location": self.location or "",
            "console": self.console,
            "start": self.text.lstrip()[:60],
            "whose": f"The preflight for {self.f.name}" if self.is_preflight else self.f.name,
        }


Values = Mapping[str, object]
#: A row fits (``True``, or values for its templates) or does not.
Fits = bool | Values | None
Looks = TypeVar("Looks")


@dataclass(frozen=True)
class Rule(Generic[Looks]):
    """A row of the table. Sentence and cure are templates, filled with the values of the case."""

    seen: Looks
    sentence: str
    cure: str
    #: Which advice for the server software is added to the cure.
    topic: str = ""
    #: The codes of its consequences. ``*``: every failure; ``messages``: every failure but those of preflights.
    explains: tuple[str, ...] = ()
    #: ``None``: that of the request that failed.
    severity: Severity | None = None
    #: Does the row judge preflights only?
    is_for_preflights: bool = False


#: Judges one request that failed. The first row that fits says why.
Failure = Rule[Callable[[Case], Fits]]
#: Judges all of the evidence, and yields the values of each finding.
Seen = Callable[[Evidence], Iterator[Values]]
Observation = Rule[Seen]


@dataclass(frozen=True)
class Table:
    """All rows by code. Causes stand above their consequences."""

    failures: Mapping[str, Failure]
    observations: Mapping[str, Observation]

    @cached_property
    def rules(self) -> Mapping[str, Rule[Any]]:
        """Code → row."""
        return {**self.failures, **self.observations}

    def is_one_cause(self, code: str) -> bool:
        """Is it one cause for all messages, so that one finding is enough?"""
        if code in ("header_not_allowed", "method_not_allowed"):
            return False  # each message asks for other names
        also = ("response_without_cors", "login_protected", *LENIENT_FAULTS)
        return bool(self.rules[code].explains) or code in also

    def explained_by(self, code: str) -> set[str]:
        """The codes of the consequences of this one."""
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
        """The table without one row, for the test that every row is needed."""
        failures, observations = dict(self.failures), dict(self.observations)
        failures.pop(code, None)
        observations.pop(code, None)
        return Table(failures, observations)


EVERYTHING = ("*",)
MESSAGES_ONLY = ("messages",)

#: The consequences of a preflight that fails.
PREFLIGHT_CODES = ("question_blocked", "params_not_allowed", "no_conversation", "preflight_not_cached")

#: Rows by their consequences.
fatal = partial(Failure, explains=EVERYTHING)
of_messages = partial(Failure, explains=MESSAGES_ONLY)
of_preflights = partial(Failure, explains=PREFLIGHT_CODES)
at_preflight = partial(of_preflights, is_for_preflights=True)

#: Rows by severity.
error = partial(Observation, severity=Severity.ERROR)
warning = partial(Observation, severity=Severity.WARNING)
note = partial(Observation, severity=Severity.NOTE)

ANSWER_FIRST = (
    "answer OPTIONS with Origin and Access-Control-Request-Method before anything else does, with 2xx and the "
    "Access-Control-Allow-* headers"
)
ANSWER_401 = "answer 401 with WWW-Authenticate: Bearer to requests without a token"
PASS_ERRORS = (
    "let the proxy pass errors on with their status and headers (nginx: proxy_intercept_errors off, no error_page … "
    "=200; an unknown session is a 404, GET without a stream a 405)"
)
SEND_ORIGIN = f"send {ALLOW_ORIGIN}: {{origin}}"
SHARE_SESSIONS = (
    "run one worker with threads, keep sessions in a shared store, make the server stateless, or have the load "
    "balancer route by Mcp-Session-Id"
)


def at(fetched: Fetched, fits: Fits = True, **more: object) -> Values:
    """The values of a finding about one fetch: those that *fits* brings, and *more*."""
    return {
        "origin": fetched.origin,
        "revision": fetched.revision,
        "name": fetched.name,
        "status": fetched.status if fetched.last is None else fetched.last.status,
        "url": fetched.url,
        "type": fetched.headers.get("content-type", "") or "no Content-Type",
        **(fits if isinstance(fits, Mapping) else {}),
        **more,
    }


def each(*steps: str, where: Callable[[Fetched], Fits]) -> Seen:
    """Every fetch of these steps for which *where* holds."""
    return lambda ev: (at(f, fits) for f in ev.of(*steps) if (fits := where(f)))


def once(seen: Callable[[Evidence], Fits]) -> Seen:
    """The whole evidence, if *seen* holds."""
    return lambda ev: iter([fits if isinstance(fits, Mapping) else {}] if (fits := seen(ev)) else [])


def fact(name: str, more: Callable[[Evidence, Fact], Values] = lambda ev, f: {}) -> Seen:
    """Every fact of this name."""
    return lambda ev: (
        {"origin": f.origin, "what": f.what, "url": f.url or ev.href, "own": ev.url.origin, **more(ev, f)}
        for f in ev.found(name)
    )
