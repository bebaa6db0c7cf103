"""What an examination has fetched. It is only appended to; findings are read from it and nowhere else.

Probes add to it and name each fetch by its step. Rules look steps up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import Any
from typing import NamedTuple
from urllib.parse import urljoin

from ...core.headers import ALLOW_ORIGIN
from ...testing import CORSError
from ...testing import Exchange
from ...testing import HeaderList
from ...testing import NetworkResponse
from ...testing.checks import REDIRECT_STATUSES
from ...testing.urls import parse_url
from ...testing.urls import URL
from ..findings import Severity
from .messages import Message
from .messages import read_message
from .messages import Reading
from .messages import Revision
from .messages import REVISIONS
from .wire import Fault

#: A page that nobody has, and a name that an attacker would own: RFC 2606 keeps the domain free.
FOREIGN_ORIGIN = "https://foreign.invalid"
FOREIGN_HOST = "rebound.invalid"

#: The verdict of a conversation that came to what a client needs.
CONNECTS = "connects"

#: How many dots of a host are replaced by another character, one at a time.
MAX_DOTS = 3


_LOGIN_ERROR = re.compile(r"unauthori[sz]ed|unauthenticated|not authenticated|(missing|invalid|no).{0,12}token", re.I)


class LoginStep(StrEnum):
    """The steps of a login that are no messages to the endpoint."""

    RESOURCE = "protected resource metadata"
    SERVER = "authorization server metadata"
    TOKEN = "token endpoint"
    REGISTRATION = "registration endpoint"


@dataclass
class Fetched:
    """What came of one request, or of one ``fetch()`` of a page."""

    method: str
    url: str
    #: What JavaScript gets: ``None`` where the fetch was rejected, 0 where only a preflight was asked for, and passed.
    status: int | None = None
    headers: HeaderList = field(default_factory=HeaderList)
    body: bytes = b""
    #: Why it was rejected, if it was: by CORS, by the network, or by the browser before it asked anybody.
    blocked: CORSError | None = None
    fault: Fault | None = None
    barred: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    #: The body ended before its ``Content-Length``.
    is_short: bool = False
    #: The server has ended it.
    is_ended: bool = False
    #: How many bytes of it came, before they were decoded.
    received: int = 0
    #: Seconds until the response began.
    waited: float = 0.0
    #: The message in the request.
    sent: Message | None = None
    #: What the request is for.
    step: str = ""
    origin: str = ""
    revision: str = ""
    #: How bad it is if this is rejected; ``None``: it was only asked to learn something.
    weight: Severity | None = None

    @property
    def name(self) -> str:
        """Method and message, as findings name it."""
        if self.step in tuple(LoginStep):
            return f"{self.method} {'to' if self.method == 'POST' else 'of'} the {self.step}"
        return self.step if self.step.startswith(self.method) else f"{self.method} {self.step}".strip()

    @property
    def is_rejected(self) -> bool:
        """Is there nothing that a client can go on with?"""
        return self.status is None

    @property
    def location(self) -> str | None:
        """Where the last response sends the client, which does not follow; ``None``: it is not a redirect."""
        return location_of(self.network, self.url)

    @property
    def reading(self) -> Reading:
        """The JSON-RPC response, and what is wrong with it."""
        if self.is_short:
            return Reading(None, "body_short")
        read = read_message(self.body, self.headers.get("content-type", ""), self.sent)
        # Many errors carry a label that their text does not keep; the status says enough.
        is_error = self.status is not None and self.status >= 400 and read.fault == "json_invalid"
        return Reading(None) if is_error else read

    @property
    def message(self) -> Message | None:
        """The JSON-RPC response, read leniently."""
        return self.reading.message

    @property
    def result(self) -> dict[str, Any] | None:
        """What a JSON-RPC request was answered with, unless it was an error. Read leniently."""
        result = (self.message or {}).get("result")
        return result if isinstance(result, dict) else None

    @property
    def preflight(self) -> NetworkResponse | None:
        """The answer to the last preflight, if one was sent."""
        return next((e.response for e in reversed(self.exchanges) if e.is_preflight), None)

    @property
    def network(self) -> NetworkResponse | None:
        """The last response as the server sent it, readable or not."""
        return next((e.response for e in reversed(self.exchanges) if not e.is_preflight), None)

    @property
    def last(self) -> NetworkResponse | None:
        """The last response at all."""
        return self.exchanges[-1].response if self.exchanges else None

    @property
    def failed_at_preflight(self) -> bool:
        """Was the preflight the last thing that was sent?"""
        return bool(self.exchanges) and self.exchanges[-1].is_preflight

    @property
    def allows_page(self) -> bool:
        """Does ``Access-Control-Allow-Origin`` allow the page that it is about?"""
        return self.headers.get(ALLOW_ORIGIN) in ("*", self.origin)

    @property
    def is_let_pass(self) -> bool:
        """Has a preflight that was sent without a browser passed?"""
        return self.status is not None and 200 <= self.status < 300 and self.allows_page

    @property
    def sent_names(self) -> tuple[str, ...]:
        """The names that the last preflight asked for."""
        for exchange in reversed(self.exchanges):
            if exchange.is_preflight:
                asked = exchange.request.headers.get("Access-Control-Request-Headers", "")
                return tuple(name for name in asked.split(",") if name)
        return ()


def location_of(response: NetworkResponse | None, url: str) -> str | None:
    """Where a redirect leads, as a whole URL if it is one; ``None``: it is no redirect."""
    if response is None or response.status not in REDIRECT_STATUSES:
        return None
    location = response.headers.get("Location", "")
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return location


def lost_in(answers: Iterable[Fetched]) -> list[Fetched]:
    """Those of one session's requests that were refused while others were served: some workers do not know it."""
    known = [f for f in answers if f.status is not None and f.status != 429]
    lost = [f for f in known if f.result is None]
    return lost if len(lost) < len(known) else []


def is_login_error(fetched: Fetched) -> bool:
    """Does an error of JSON-RPC, with a status that is none, ask for a token?"""
    error = (fetched.message or {}).get("error")
    words = str(error.get("message")) if isinstance(error, dict) else ""
    is_error = fetched.status is not None and 200 <= fetched.status < 300
    return is_error and _LOGIN_ERROR.search(words) is not None


class Fact(NamedTuple):
    """Something known that is no fetch."""

    step: str
    origin: str = ""
    #: What was found.
    what: str = ""
    #: Where, unless it is the endpoint.
    url: str = ""


@dataclass
class Evidence:
    """All that is known of one server."""

    url: URL
    token: str | None = None
    #: The pages that were to connect.
    origins: tuple[str, ...] = ()
    fetches: list[Fetched] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    #: (origin, revision) → how its conversation ended.
    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Origin, place, what works there.
    works: list[tuple[str, str, str]] = field(default_factory=list)
    #: What was not asked, because the time was over.
    not_asked: list[str] = field(default_factory=list)
    #: The revisions as this server speaks them, the oldest first.
    revisions: tuple[Revision, ...] = REVISIONS
    #: Is the server on this machine or in a private network?
    is_local: bool = False
    #: How many requests it took.
    requests: int = 0

    @property
    def href(self) -> str:
        """The URL of the MCP endpoint."""
        return self.url.href

    def add(self, fetched: Fetched) -> Fetched:
        """Remember a fetch."""
        self.fetches.append(fetched)
        return fetched

    def of(self, *steps: str, origin: str | None = None) -> Iterator[Fetched]:
        """The fetches of these steps."""
        for fetched in self.fetches:
            if fetched.step in steps and (origin is None or fetched.origin == origin):
                yield fetched

    def of_kind(self, kind: str) -> Iterator[Fetched]:
        """The fetches whose step is one of a kind: ``kind: which``."""
        return (fetched for fetched in self.fetches if fetched.step.startswith(f"{kind}: "))

    def first(self, *steps: str, origin: str | None = None) -> Fetched | None:
        """The first of them."""
        return next(self.of(*steps, origin=origin), None)

    def found(self, step: str) -> Iterator[Fact]:
        """The facts of a step."""
        return (fact for fact in self.facts if fact.step == step)

    def responses(self, url: str = "") -> list[tuple[NetworkResponse, bytes]]:
        """Every response of the endpoint, or of another URL, preflights included, with what was read of its body."""
        near = [f for f in self.fetches if f.url == (url or self.href)]
        return [(e.response, f.body) for f in near for e in f.exchanges if e.response is not None]

    def refusals(self) -> Iterator[Fetched]:
        """To each page the first 401 that it can read and that was sent no credentials."""
        seen = set()
        for f in self.fetches:
            is_read = f.status == 401 and f.origin and f.url == self.href and f.method == "POST"
            if not is_read or f.step.startswith("behind") or "Authorization" in f.exchanges[-1].request.headers:
                continue
            if f.origin not in seen:
                seen.add(f.origin)
                yield f

    def is_own(self, url: str) -> bool:
        """Is it a URL of this server?"""
        try:
            return parse_url(url).origin == self.url.origin
        except ValueError:
            return False

    @property
    def plain(self) -> list[Fetched]:
        """The first messages without a browser."""
        return [f for f in self.fetches if f.step in FIRST_MESSAGES and not f.origin]

    def speaks(self, revision: Revision) -> bool | None:
        """Does the server speak it, without a browser? ``None``: it wants a login first."""
        for fetched in self.plain:
            if fetched.revision != revision.name:
                continue
            if revision.is_two_endpoints:
                return b"event: endpoint" in fetched.body or b"event:endpoint" in fetched.body
            if fetched.status in (401, 429):
                return None  # not known yet
            return revision.is_agreed_in(fetched.result)
        return revision in self.revisions and revision not in REVISIONS

    @property
    def posted(self) -> Fetched | None:
        """The newest ``initialize`` without a browser: what ``curl`` would get."""
        return next((f for f in self.plain if f.method == "POST" and f.step == "initialize"), None)

    @property
    def elsewhere(self) -> str | None:
        """Another URL at which ``initialize`` is answered, where it is not at this one."""
        return next((f.url for f in self.of("elsewhere") if f.result is not None or f.status == 401), None)

    @property
    def is_single(self) -> bool:
        """Is ``initialize`` answered once, and refused from then on?"""
        asked = [f for f in self.of("initialize") if f.status is not None and f.url == self.href]
        return bool(asked) and asked[0].result is not None and any(f.status in (400, 404, 409) for f in asked)

    @property
    def wants_login(self) -> bool:
        """Has it answered 401 to somebody without a token?"""
        return any(f.status == 401 for f in [*self.plain, *self.of("without a token")])

    @property
    def is_stream_moved(self) -> bool:
        """Is GET alone redirected, so that the transport of 2024 may be somewhere else?"""
        moved, posted = self.first("GET stream of 2024"), self.posted
        is_moved = moved is not None and bool(moved.location)
        return is_moved and (posted is None or posted.location is None) and self.speaks_nothing

    @property
    def speaks_nothing(self) -> bool:
        """Is no revision spoken, not even after a login?"""
        return all(self.speaks(revision) is False for revision in self.revisions)


#: Where an issuer without a path has its metadata.
SERVER_PLACE = "/.well-known/oauth-authorization-server"

FIRST_MESSAGES = ("initialize", "server/discover", "GET stream of 2024")


def sessions_asked(evidence: Evidence) -> list[list[Fetched]]:
    """The requests that asked for one session again and again, session by session."""
    by_place: dict[tuple[str, str], list[Fetched]] = {}
    for f in evidence.of("session again"):
        by_place.setdefault((f.origin, f.revision), []).append(f)
    return list(by_place.values())


def server_urls(issuer: str) -> list[str]:
    """Where clients look for the metadata of an authorization server.

    >>> server_urls("https://id.example.com/tenant")[0]
    'https://id.example.com/.well-known/oauth-authorization-server/tenant'
    """
    path = parse_url(issuer).target.partition("?")[0].rstrip("/")
    openid = "/.well-known/openid-configuration"
    places = [f"{SERVER_PLACE}{path}", f"{openid}{path}", f"{path}{openid}"]
    return list(dict.fromkeys(urljoin(issuer, place) for place in places))
