"""The evidence of an examination: every fetch, under the name of its step. Probes append to it; rules read it."""

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
from .messages import negotiated
from .messages import read_message
from .messages import Reading
from .messages import Revision
from .messages import REVISIONS
from .wire import Fault

#: An origin and a host that nobody can own: RFC 2606 reserves the domain.
FOREIGN_ORIGIN = "https://foreign.invalid"
FOREIGN_HOST = "rebound.invalid"

#: The verdict of a conversation in which a client got what it needs.
CONNECTS = "connects"

#: How many dots of a host are replaced by another character, one at a time.
MAX_DOTS = 3

#: Where an issuer without a path has its metadata.
SERVER_PLACE = "/.well-known/oauth-authorization-server"

FIRST_MESSAGES = ("initialize", "server/discover", "GET stream of 2024")

_LOGIN_ERROR = re.compile(r"unauthori[sz]ed|unauthenticated|not authenticated|(missing|invalid|no).{0,12}token", re.I)


class LoginStep(StrEnum):
    """The steps of a login that do not go to the MCP endpoint."""

    RESOURCE = "protected resource metadata"
    SERVER = "authorization server metadata"
    TOKEN = "token endpoint"
    REGISTRATION = "registration endpoint"


@dataclass
class Fetched:
    """The outcome of one request, or of one ``fetch()`` of a page."""

    method: str
    url: str
    #: What JavaScript gets: ``None`` if the fetch was rejected, 0 if only a preflight was sent, and passed.
    status: int | None = None
    headers: HeaderList = field(default_factory=HeaderList)
    body: bytes = b""
    #: Why it was rejected: by CORS,
    blocked: CORSError | None = None
    #: by the network,
    fault: Fault | None = None
    #: or by the browser for another reason.
    barred: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    #: The body ended before its ``Content-Length``.
    is_short: bool = False
    #: The server has ended the body.
    is_ended: bool = False
    #: How many bytes of it came, still compressed.
    received: int = 0
    #: Seconds until the response began.
    waited: float = 0.0
    #: The message in the request.
    sent: Message | None = None
    #: What the request is for.
    step: str = ""
    origin: str = ""
    revision: str = ""
    #: How bad it is if this fails; ``None``: it was sent only to learn something.
    weight: Severity | None = None

    @property
    def name(self) -> str:
        """Method and message, as findings name it."""
        if self.step in tuple(LoginStep):
            return f"{self.method} {'to' if self.method == 'POST' else 'of'} the {self.step}"
        return self.step if self.step.startswith(self.method) else f"{self.method} {self.step}".strip()

    @property
    def is_rejected(self) -> bool:
        """Does JavaScript get no response?"""
        return self.status is None

    @property
    def is_failed(self) -> bool:
        """Does it matter, and did it not get what it asked for?"""
        if self.weight is None:
            return False
        if self.is_rejected:
            return True
        if self.sent is None:
            return self.status in (502, 503, 504)  # the gateway's, whatever the server answers to GET or DELETE
        if self.step == "initialize" and not self.origin and not self.reading.fault:
            # Without a browser, an answer that is not MCP is a failure too.
            return negotiated(self.result) not in {revision.name for revision in REVISIONS}
        if "id" not in self.sent:
            return bool(self.status and self.status >= 400)
        return self.status != 0 and (self.result is None or bool(self.reading.fault) or (self.status or 0) >= 400)

    @property
    def fault_code(self) -> str:
        """Which fault of the network there was, if any."""
        return "" if self.fault is None else self.fault.code

    @property
    def is_unanswered(self) -> bool:
        """Was the request itself sent, and not answered in time?"""
        return self.fault_code == "timeout" and not self.failed_at_preflight

    @property
    def location(self) -> str | None:
        """Where a redirect leads; ``None``: the response is not a redirect."""
        return location_of(self.network, self.url)

    @property
    def reading(self) -> Reading:
        """The JSON-RPC response, and what is wrong with it."""
        if self.is_short:
            return Reading(None, "body_short")
        read = read_message(self.body, self.headers.get("content-type", ""), self.sent)
        # Many errors are labelled JSON and are plain text; the status says enough.
        is_error = self.status is not None and self.status >= 400 and read.fault == "json_invalid"
        return Reading(None) if is_error else read

    @property
    def message(self) -> Message | None:
        """The JSON-RPC response, read leniently."""
        return self.reading.message

    @property
    def result(self) -> dict[str, Any] | None:
        """The result in the JSON-RPC response, read leniently; ``None``: there is none, or it is an error."""
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
        """The last response, to a preflight or to the request."""
        return self.exchanges[-1].response if self.exchanges else None

    @property
    def network_headers(self) -> HeaderList:
        """The headers of the last response as the server sent them, readable or not."""
        return HeaderList() if self.network is None else self.network.headers

    @property
    def last_status(self) -> int | None:
        """The status of the last response, to a preflight or to the request."""
        return None if self.last is None else self.last.status

    @property
    def failed_at_preflight(self) -> bool:
        """Was the preflight the last thing that was sent?"""
        return bool(self.exchanges) and self.exchanges[-1].is_preflight

    @property
    def allows_page(self) -> bool:
        """Does ``Access-Control-Allow-Origin`` name the page's origin, or ``*``?"""
        return self.headers.get(ALLOW_ORIGIN) in ("*", self.origin)

    @property
    def passes(self) -> bool:
        """Would this preflight, which was sent without a browser, pass in one?"""
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
    """Where a redirect leads, as a whole URL if possible; ``None``: the response is not a redirect."""
    if response is None or response.status not in REDIRECT_STATUSES:
        return None
    location = response.headers.get("Location", "")
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return location


def lost_in(answers: Iterable[Fetched]) -> list[Fetched]:
    """The refused ones of a session's requests, if others were served: some workers do not know the session."""
    known = [f for f in answers if f.status is not None and f.status != 429]
    lost = [f for f in known if f.result is None]
    return lost if len(lost) < len(known) else []


def is_login_error(fetched: Fetched) -> bool:
    """Does a JSON-RPC error with a status of 200 to 299 ask for a token?"""
    error = (fetched.message or {}).get("error")
    words = str(error.get("message")) if isinstance(error, dict) else ""
    is_error = fetched.status is not None and 200 <= fetched.status < 300
    return is_error and _LOGIN_ERROR.search(words) is not None


class Fact(NamedTuple):
    """Something that a probe found out. Most are named after the finding that reports them."""

    name: str
    origin: str = ""
    #: What was found.
    what: str = ""
    #: Where, if not at the endpoint.
    url: str = ""


@dataclass
class Evidence:
    """All that is known of one server."""

    url: URL
    token: str | None = None
    #: The origins of the pages that want to connect.
    origins: tuple[str, ...] = ()
    fetches: list[Fetched] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    #: (origin, revision) → how its conversation ended.
    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Origin, place, what works there.
    works: list[tuple[str, str, str]] = field(default_factory=list)
    #: What was left out because the time was over.
    not_asked: list[str] = field(default_factory=list)
    #: The revisions, the oldest first, as this server speaks them.
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
        """Append a fetch."""
        self.fetches.append(fetched)
        return fetched

    def of(self, *steps: str, origin: str | None = None) -> Iterator[Fetched]:
        """The fetches of these steps."""
        for fetched in self.fetches:
            if fetched.step in steps and (origin is None or fetched.origin == origin):
                yield fetched

    def of_kind(self, kind: str) -> Iterator[Fetched]:
        """The fetches whose step is ``KIND: …``."""
        return (fetched for fetched in self.fetches if fetched.step.startswith(f"{kind}: "))

    def first(self, *steps: str, origin: str | None = None) -> Fetched | None:
        """The first of them."""
        return next(self.of(*steps, origin=origin), None)

    def found(self, name: str) -> Iterator[Fact]:
        """The facts of this name."""
        return (fact for fact in self.facts if fact.name == name)

    def responses(self, url: str = "") -> list[tuple[NetworkResponse, bytes]]:
        """Every response of the endpoint, or of another URL, preflights included, with what was read of its body."""
        near = [f for f in self.fetches if f.url == (url or self.href)]
        return [(e.response, f.body) for f in near for e in f.exchanges if e.response is not None]

    def refusals(self) -> Iterator[Fetched]:
        """For each page, the first 401 that it can read, to a message without credentials."""
        first: dict[str, Fetched] = {}
        for f in self.fetches:
            is_read = f.status == 401 and f.origin and f.url == self.href and f.method == "POST"
            if is_read and not f.step.startswith("behind") and "Authorization" not in f.exchanges[-1].request.headers:
                first.setdefault(f.origin, f)
        return iter(first.values())

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
        """Does the server speak it, without a browser? ``None``: not known, it requires a login first."""
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
        """The answer to ``initialize`` without a browser, in the newest revision that has it."""
        return next((f for f in self.plain if f.method == "POST" and f.step == "initialize"), None)

    @property
    def elsewhere(self) -> str | None:
        """Another URL at which ``initialize`` is answered, if it is not at this one."""
        return next((f.url for f in self.of("elsewhere") if f.result is not None or f.status == 401), None)

    @property
    def is_single(self) -> bool:
        """Is ``initialize`` answered once, and refused after that?"""
        asked = [f for f in self.of("initialize") if f.status is not None and f.url == self.href]
        return bool(asked) and asked[0].result is not None and any(f.status in (400, 404, 409) for f in asked)

    @property
    def wants_login(self) -> bool:
        """Has the server answered 401 to a request without a browser?"""
        return any(f.status == 401 for f in [*self.plain, *self.of("without a token")])

    @property
    def is_stream_moved(self) -> bool:
        """Is only GET redirected, so that the transport of 2024 may be at another URL?"""
        moved, posted = self.first("GET stream of 2024"), self.posted
        if moved is None or not moved.location or (posted is not None and posted.location is not None):
            return False
        return self.speaks_nothing

    @property
    def speaks_nothing(self) -> bool:
        """Does the server speak no revision, even after a login?"""
        return all(self.speaks(revision) is False for revision in self.revisions)


def sessions_asked(evidence: Evidence) -> list[list[Fetched]]:
    """The repeated requests in one session, session by session."""
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
