"""What a row of the table of findings is."""

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
from ...findings import Severity
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..messages import LENIENT_FAULTS
from .case import Case

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
