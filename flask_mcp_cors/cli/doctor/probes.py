"""What is asked, and in which order. A probe adds to the evidence; it says nothing about it.

Only messages that read are sent: ``initialize``, ``server/discover``, ``tools/list``, notifications, ``GET``, the
``DELETE`` of an own session and messages that are broken. Never ``tools/call``. The token goes to the endpoint alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from urllib.parse import urljoin

from ...core.headers import ALLOW_ORIGIN
from ...core.headers import REQUEST_HEADERS
from ...core.headers import REQUEST_METHOD
from ...core.origins import is_serialized_origin
from ...testing import CORSErrorReason as R
from ...testing.urls import DEFAULT_PORTS
from ...testing.urls import is_loopback
from ...testing.urls import parse_url
from ..findings import Severity
from .evidence import Evidence
from .evidence import Fetched
from .findings import is_failed
from .fronts import front_of
from .login import Login
from .messages import authorization
from .messages import events
from .messages import first_message
from .messages import Headers
from .messages import initialize
from .messages import INITIALIZED
from .messages import Message
from .messages import negotiated
from .messages import NEWEST_WITH_SESSIONS
from .messages import param_headers
from .messages import post_headers
from .messages import request
from .messages import Revision
from .messages import REVISIONS
from .messages import stream_headers
from .observations import FOREIGN_HOST
from .observations import FOREIGN_ORIGIN
from .page import Engine
from .page import Page
from .page import send_plain
from .report import Report
from .surroundings import look_around
from .surroundings import may_ask
from .wire import Wire

#: Enough for every probe, and an end for a server that answers everything with a riddle.
REQUESTS_PER_ORIGIN = 120

#: Seconds that a stream may stay quiet before it is left alone. A quiet stream is not broken.
PATIENCE = 1.5

#: How often a session is asked for again: a load balancer sends some of these to another worker.
REPEATS = 4

CONNECTS = "connects"
BLOCKED = "cannot connect"
REFUSED = "refused"
LOGIN = "log in first"
NOT_SPOKEN = "not spoken"


def examine(
    url: str,
    origins: Sequence[str],
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    total: float = 14.0,
    browser: Engine = "chromium",
    login: bool = False,
    context: ssl.SSLContext | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Examine the MCP endpoint at *url* as browser clients on pages of *origins*.

    :param token: a bearer token, for servers that want one.
    :param headers: more headers for the endpoint: an API key, a tenant.
    :param timeout: seconds for each request.
    :param total: seconds for all of them.
    :param browser: whose rules hold.
    :param login: follow the login as far as a client can without a person, registration included.
    :param context: how certificates are verified.
    :param say: takes a line whenever there is progress.
    :raises ValueError: *url* or an origin is none that a browser has.
    """
    for origin in origins:
        if not is_serialized_origin(origin):
            raise ValueError(f"{origin!r} is no origin as browsers write it: scheme://host, with no slash at the end")
    parsed = parse_url(url if "://" in url else f"http://{url}")
    if parsed.userinfo:
        raise ValueError("a browser's fetch refuses a URL with user and password; use --token")
    evidence = Evidence(parsed, token)
    wire = Wire(timeout, REQUESTS_PER_ORIGIN * (1 + len(origins)), total, context)
    probes = _Probes(evidence, wire, dict(headers or {}), browser, say)
    probes.run(origins, login=login)
    return Report.of(evidence, origins, wire.sent)


class _Probes:
    """The probes of one examination."""

    def __init__(
        self, evidence: Evidence, wire: Wire, more: Headers, browser: Engine, say: Callable[[str], None]
    ) -> None:
        self.ev = evidence
        self.wire = wire
        self.more = more
        self.browser = browser
        self.say = say
        self._varied: set[str] = set()

    def run(self, origins: Sequence[str], *, login: bool) -> None:
        """Everything, the most important first."""
        ev = self.ev
        reachable = look_around(ev, origins) and self._is_there()
        pages = []
        for origin in origins:
            if not reachable or not may_ask(ev, origin):
                ev.verdicts.update({(origin, revision.name): BLOCKED for revision in REVISIONS})
                continue
            page = Page(self.wire, origin, ev.href, self.browser)
            pages.append(page)
            # The newest first: where the time runs out, the oldest are left out.
            for revision in reversed(ev.revisions):
                if self._may_go_on(f"{revision.name} from {origin}"):
                    ev.verdicts[origin, revision.name] = self._converse(page, revision)
                else:
                    ev.verdicts[origin, revision.name] = "not asked"
        if not reachable:
            return
        self._foreign_origin()
        for page in pages:
            if ev.token is not None and self._may_go_on("the answer without a token"):
                self._without_token(page)
            if ev.wants_login and self._may_go_on("the login"):
                Login(ev, self.wire, page, self.say).follow(registers=login)
        for page in pages:
            self._look_alikes(page.origin)
        if ev.is_local:
            self._foreign_host()
        for page in pages:
            if CONNECTS in {verdict for (origin, _), verdict in ev.verdicts.items() if origin == page.origin}:
                self._errors(page)

    def _may_go_on(self, what: str) -> bool:
        self.say(what)
        if self.wire.is_exhausted:
            self.ev.not_asked.append(what)
        return not self.wire.is_exhausted

    # --- sending ------------------------------------------------------------------------------------------------

    def _note(
        self,
        fetched: Fetched,
        step: str,
        origin: str = "",
        revision: Revision | None = None,
        weight: Severity | None = None,
    ) -> Fetched:
        fetched.step, fetched.origin, fetched.weight = step, origin, weight
        fetched.revision = "" if revision is None else revision.name
        return self.ev.add(fetched)

    def _plain(
        self, step: str, method: str, headers: Headers, message: Message | None = None, **options: object
    ) -> Fetched:
        """A request to the endpoint as ``curl`` would send it."""
        headers = headers | self.more
        host = headers.pop("Host", self.ev.url.authority)
        origin = str(options.pop("origin", ""))
        revision = options.pop("revision", None)
        fetched = send_plain(self.wire, self.ev.href, method, host, headers, message, **options)  # type: ignore[arg-type]
        return self._note(fetched, step, origin, revision)  # type: ignore[arg-type]

    def _page_fetch(
        self, page: Page, revision: Revision, step: str, method: str, headers: Headers, **options: object
    ) -> Fetched:
        weight = options.pop("weight", Severity.ERROR)
        fetched = page.fetch(self.ev.href, method, headers | self.more, **options)  # type: ignore[arg-type]
        self._note(fetched, step, page.origin, revision, weight)  # type: ignore[arg-type]
        self._look_closer(page, fetched)
        return fetched

    def _page_ask(
        self, page: Page, revision: Revision, step: str, method: str, headers: Headers, weight: Severity | None
    ) -> Fetched:
        fetched = page.ask(self.ev.href, method, headers | self.more)
        self._note(fetched, step, page.origin, revision, weight)
        self._look_closer(page, fetched)
        return fetched

    def _headers(self, revision: Revision, message: Message, session: str | None = None) -> Headers:
        return post_headers(revision, message, self.ev.token, session)

    @property
    def _asked_token(self) -> str | None:
        """The token that preflights announce: the names count, no value is ever sent with one."""
        return "TOKEN" if self.ev.token is None and self.ev.wants_login else self.ev.token

    def _drop_session(self, fetched: Fetched, revision: Revision) -> None:
        """End a session that a probe has opened."""
        session = None if fetched.network is None else fetched.network.headers.get("Mcp-Session-Id")
        if session is not None:
            headers = {"Mcp-Session-Id": session} | authorization(self.ev.token)
            if revision.names_itself:
                headers["MCP-Protocol-Version"] = negotiated(fetched.result) or revision.name
            self._plain("DELETE of a probe", "DELETE", headers)

    # --- without a browser --------------------------------------------------------------------------------------

    def _is_there(self) -> bool:
        """Ask without a browser, as ``curl`` would: what the server speaks, and whether it is one."""
        ev = self.ev
        for revision in reversed(REVISIONS):
            self.say(f"{revision.name} without a browser")
            last = self._speak(revision)
            if last.fault is not None and last.fault.code not in ("timeout", "gave_up", "broke_off"):
                last.weight = Severity.ERROR
                return False
            front = front_of(last.network)
            if front is not None and last.message is None:
                last.weight = Severity.ERROR
                if front.code == "airtunes":
                    return False
                break
            if last.status == 429 or (revision is NEWEST_WITH_SESSIONS and last.fault is not None):
                break
        self._as_negotiated()
        posted = ev.posted
        if posted is not None and (posted.reading.fault or (ev.speaks_nothing and not self._is_stream_moved)):
            posted.weight = Severity.ERROR
        return posted is None or posted.fault is None

    @property
    def _is_stream_moved(self) -> bool:
        """Is GET alone redirected, so that the transport of 2024 may be somewhere else?"""
        moved, posted = self.ev.first("GET stream of 2024"), self.ev.posted
        is_moved = moved is not None and bool(moved.location)
        return is_moved and (posted is None or posted.location is None) and self.ev.speaks_nothing

    def _speak(self, revision: Revision) -> Fetched:
        """The first message of a revision, without a browser."""
        if revision.is_two_endpoints:
            headers = {"Accept": "text/event-stream"} | authorization(self.ev.token)

            def is_known(body: bytes) -> bool:
                return any(events(body))

            return self._plain(
                "GET stream of 2024", "GET", headers, revision=revision, patience=PATIENCE, enough=is_known
            )
        message = first_message(revision)
        step = str(message["method"])
        fetched = self._plain(step, "POST", self._headers(revision, message), message, revision=revision)
        if not revision.is_stateless:
            self._drop_session(fetched, revision)
        return fetched

    def _as_negotiated(self) -> None:
        """A version older than Streamable HTTP, negotiated over it: the official clients go on with that."""
        for revision in REVISIONS:
            versions = {negotiated(f.result) for f in self.ev.plain if f.step == "initialize"}
            if revision.is_two_endpoints and revision.name in versions:
                as_spoken = NEWEST_WITH_SESSIONS._replace(name=revision.name)
                self.ev.revisions = tuple(as_spoken if r is revision else r for r in REVISIONS)

    def _has_sessions(self, revision: Revision) -> bool:
        answers = (f for f in self.ev.plain if negotiated(f.result) == revision.name)
        return any("Mcp-Session-Id" in f.headers for f in answers)

    # --- as a page ----------------------------------------------------------------------------------------------

    def _converse(self, page: Page, revision: Revision) -> str:
        """Talk as a client of this revision does; how it ended."""
        speaks = self.ev.speaks(revision)
        if revision.is_two_endpoints:
            return self._two_endpoints(page, revision) if speaks or self._is_stream_moved else NOT_SPOKEN
        if speaks is False and any(self.ev.speaks(other) for other in self.ev.revisions):
            if revision.is_stateless:
                headers = post_headers(revision, request(revision, "server/discover"), self._asked_token)
                self._page_ask(page, revision, "first question", "POST", headers, None)
            return NOT_SPOKEN
        if not self._may_post(page, revision):
            return BLOCKED
        return self._stateless(page, revision) if revision.is_stateless else self._with_session(page, revision)

    def _may_post(self, page: Page, revision: Revision) -> bool:
        """Ask for every header at once that the client is going to send with a message."""
        session = "SESSION" if self._has_sessions(revision) else None
        headers = post_headers(revision, request(revision, "tools/list"), self._asked_token, session)
        if revision.is_stateless:
            headers["Mcp-Name"] = "tool"
        asked = self._page_ask(page, revision, "tools/list", "POST", headers, Severity.ERROR)
        return not asked.is_rejected

    def _look_closer(self, page: Page, fetched: Fetched) -> None:
        """Where a page is stopped: what the refusal says, what is behind it, and what changes it."""
        if not fetched.is_rejected or fetched.url != self.ev.href or fetched.barred is not None:
            return
        if page.origin not in self._varied:
            self._varied.add(page.origin)
            message = initialize(NEWEST_WITH_SESSIONS.name)
            headers = self._headers(NEWEST_WITH_SESSIONS, message) | {"Origin": page.origin}
            behind = self._plain("behind", "POST", headers, message, origin=page.origin)
            self._drop_session(behind, NEWEST_WITH_SESSIONS)
            refused = fetched.last.status if fetched.last is not None and fetched.failed_at_preflight else 403
            if b"origin" in behind.body.lower() and behind.status == 403 != refused:
                behind.weight = Severity.ERROR  # whoever mends the preflight meets this next
            if fetched.failed_at_preflight and fetched.fault is None and fetched.last is not None:
                self._vary_preflight(page, fetched)
        elif fetched.failed_at_preflight and fetched.fault is None:
            if fetched.method != "POST":
                self._again(page, fetched)
            tried = {f.step.partition("=")[2] for f in self.ev.fetches if f.step.startswith("varied: header=")}
            for name in fetched.sent_names if tried else ():
                if name not in tried:
                    self._varied_preflight(page, "header", name, "POST", page.origin, name)

    def _again(self, page: Page, fetched: Fetched) -> None:
        sent = fetched.exchanges[-1].request
        headers = dict(sent.headers.items())
        again = send_plain(self.wire, sent.url, "OPTIONS", headers.pop("Host"), headers)
        self._note(again, "preflight again", page.origin)

    def _vary_preflight(self, page: Page, fetched: Fetched) -> None:
        """Change one thing of a refused preflight at a time, until it is answered with CORS headers."""
        self._again(page, fetched)
        response = fetched.last
        if response is None or response.status in (401, 421, 429) or response.status >= 500:
            return
        blocked = fetched.blocked
        if blocked is None or blocked.reason in (
            R.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE,
            R.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE,
            R.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES,
            R.PREFLIGHT_DISALLOWED_REDIRECT,
        ):
            return
        origin = page.origin
        bare = self._varied_preflight(page, "no headers", "", "POST", origin, "")
        if bare:
            for name in fetched.sent_names:
                self._varied_preflight(page, "header", name, "POST", origin, name)
            return
        if self._varied_preflight(page, "GET", "", "GET", origin, ""):
            return
        for kind, spelled in _spellings(origin):
            self._varied_preflight(page, kind, spelled, "POST", spelled, ",".join(fetched.sent_names))

    def _varied_preflight(self, page: Page, kind: str, value: str, method: str, origin: str, names: str) -> bool:
        headers = {"Origin": origin, REQUEST_METHOD: method} | ({REQUEST_HEADERS: names} if names else {})
        varied = self._plain(f"varied: {kind}={value}", "OPTIONS", headers, origin=page.origin)
        is_answered = varied.status is not None and 200 <= varied.status < 300
        return is_answered and varied.headers.get(ALLOW_ORIGIN) in ("*", page.origin)

    def _ended(self, fetched: Fetched, revision: Revision) -> str | None:
        """The verdict where a first message was not answered with what it asks for."""
        if fetched.is_rejected:
            return BLOCKED
        if fetched.status == 401:
            return LOGIN if self.ev.token is None else REFUSED
        if is_failed(fetched) and (fetched.result is None or fetched.reading.fault):
            if not self.ev.speaks(revision) and self.ev.speaks(revision) is not None:
                fetched.weight = None
                return NOT_SPOKEN
            return None if fetched.reading.fault in ("answer_in_array", "id_is_text") else REFUSED
        return None

    def _works(self, page: Page, revision: Revision, what: str) -> None:
        self.ev.works.append((page.origin, revision.name, what))

    def _stateless(self, page: Page, revision: Revision) -> str:
        listed = None
        for method in ("server/discover", "tools/list"):
            message = request(revision, method)
            headers = self._headers(revision, message)
            listed = self._page_fetch(page, revision, method, "POST", headers, message=message)
            if listed.status == 401 and self.ev.token is None:
                listed.weight = None
            if verdict := self._ended(listed, revision):
                return verdict
            if method == "server/discover" and not revision.is_agreed_in(listed.result):
                return NOT_SPOKEN
        self._works(page, revision, "server/discover, tools/list")
        names = param_headers((listed.result or {}).get("tools") if listed else None)
        headers = post_headers(revision, request(revision, "tools/list"), self._asked_token) | {"Mcp-Name": "tool"}
        headers |= dict.fromkeys(names or ["Mcp-Param-Doctor"], "x")
        asked = self._page_ask(page, revision, "params", "POST", headers, Severity.ERROR if names else None)
        if not asked.is_rejected:
            self._works(page, revision, "Mcp-Param-* headers are allowed")
        return CONNECTS

    def _with_session(self, page: Page, revision: Revision) -> str:
        message = initialize(revision.name)
        headers = self._headers(revision, message)
        first = self._page_fetch(page, revision, "initialize", "POST", headers, message=message)
        if first.status == 401 and self.ev.token is None:
            first.weight = None
        if verdict := self._ended(first, revision):
            return verdict
        if not revision.is_agreed_in(first.result):
            self._drop_session(first, revision)
            return NOT_SPOKEN
        session = None if first.network is None else first.network.headers.get("Mcp-Session-Id")
        verdict, done = CONNECTS, ["initialize"]
        if session is not None and "mcp-session-id" not in first.headers:
            verdict = BLOCKED
        try:
            for step in (INITIALIZED, request(revision, "tools/list")):
                name = str(step["method"])
                fetched = self._page_fetch(
                    page, revision, name, "POST", self._headers(revision, step, session), message=step
                )
                if fetched.is_rejected:
                    return BLOCKED
                if is_failed(fetched):
                    if session is not None:
                        self._is_lost(page, revision, session, fetched)
                    if fetched.reading.fault not in ("answer_in_array", "id_is_text"):
                        return REFUSED
                done.append(name)
            if session is not None and verdict == CONNECTS:
                done.append("the session id is readable")
            if revision.name == self._newest:
                if session is not None and self._is_lost(page, revision, session):
                    verdict = REFUSED
                # The verdict stands: what follows is less than a client needs.
                self.ev.verdicts[page.origin, revision.name] = verdict
                done += self._stream(page, revision, session)
                done += self._end(page, revision, session)
                session = None
            self._works(page, revision, ", ".join(done))
        finally:
            if session is not None:
                self._drop_session(first, revision)
        return verdict

    @property
    def _newest(self) -> str | None:
        """The newest revision with sessions that the server speaks: only there the stream is waited for."""
        usable = [r for r in self.ev.revisions if not r.is_stateless and not r.is_two_endpoints]
        spoken = [r.name for r in usable if self.ev.speaks(r)]
        return spoken[-1] if spoken else None

    def _is_lost(self, page: Page, revision: Revision, session: str, unanswered: Fetched | None = None) -> bool:
        """Is the session known to one worker only? Then some requests are answered and some are not."""
        message = request(revision, "tools/list")
        headers = self._headers(revision, message, session)
        answers = []
        for _ in range(REPEATS):
            again = page.fetch(self.ev.href, "POST", headers | self.more, message=message)
            answers.append(self._note(again, "session again", page.origin, revision))
        if unanswered is not None and "id" in (unanswered.sent or {}):
            answers.append(unanswered)
        lost = [a for a in answers if a.status is not None and a.result is None and a.status != 429]
        is_lost = bool(lost) and len(lost) < len(answers)
        if is_lost and unanswered is not None:
            unanswered.step, unanswered.weight = "session again", None
        return is_lost

    def _stream(self, page: Page, revision: Revision, session: str | None) -> list[str]:
        """The ``GET`` that opens a stream for messages of the server's own."""
        headers = stream_headers(revision, self.ev.token, session)

        def has_event(body: bytes) -> bool:
            return any(events(body))

        options = {"enough": has_event, "patience": PATIENCE, "weight": Severity.WARNING}
        opened = self._page_fetch(page, revision, "GET stream", "GET", headers, **options)
        if opened.fault is not None and opened.fault.code == "timeout" and not opened.failed_at_preflight:
            opened.weight = None  # a row of its own
        if opened.is_rejected:
            return []
        coding = "" if opened.network is None else opened.network.headers.get("Content-Encoding", "")
        if coding not in ("", "identity") and not has_event(opened.body):
            plain = headers | {"Accept-Encoding": "identity", "Origin": page.origin}
            self._plain(
                "GET stream uncompressed", "GET", plain, origin=page.origin, patience=PATIENCE, enough=has_event
            )
        if opened.status == 405:
            return ["no GET stream (405, which is allowed)"]
        if opened.status != 200 or "event-stream" not in opened.headers.get("content-type", ""):
            return [f"no GET stream ({opened.status})"]
        done = [f"GET stream: {'its first event comes at once' if has_event(opened.body) else 'open, and quiet'}"]
        if any(line.startswith(b"id:") for line in opened.body.splitlines()):
            resumed = headers | {"Last-Event-ID": "1"}
            asked = self._page_ask(page, revision, "GET stream, resumed", "GET", resumed, Severity.WARNING)
            if not asked.is_rejected:
                done.append("it can be resumed")
        return done

    def _end(self, page: Page, revision: Revision, session: str | None) -> list[str]:
        """``DELETE``, which ends the session. A client that may not is still a client."""
        if session is None:
            return ["no session to end"]
        headers = stream_headers(revision, self.ev.token, session)
        ended = self._page_fetch(page, revision, "DELETE of the session", "DELETE", headers, weight=Severity.WARNING)
        if ended.is_rejected:
            self._plain("DELETE of a probe", "DELETE", headers)
            return []
        return ["DELETE" if ended.status != 405 else "no DELETE (405, which is allowed)"]

    def _two_endpoints(self, page: Page, revision: Revision) -> str:
        """HTTP with SSE: an event of the GET stream says where messages go, and the answers come over the stream."""
        headers = stream_headers(revision, self.ev.token, None)
        message = initialize(revision.name)
        sent: list[Fetched] = []

        def is_answered(body: bytes) -> bool:
            found = list(events(body))
            endpoint = next((data for kind, data in found if kind == "endpoint"), None)
            if endpoint is None:
                return False
            if not sent:
                sent.append(self._post_to(page, revision, endpoint, message))
            is_message = any(kind == "message" for kind, _ in found)
            return is_message or sent[0].status is None or sent[0].status == 0 or sent[0].status >= 400

        step = "GET stream of 2024"
        opened = page.fetch(self.ev.href, "GET", headers | self.more, enough=is_answered, patience=2 * PATIENCE)
        self._note(opened, step, page.origin, revision, Severity.ERROR)
        self._look_closer(page, opened)
        if opened.is_rejected:
            return BLOCKED
        if not sent:
            return NOT_SPOKEN
        if sent[0].is_rejected:
            return BLOCKED
        if sent[0].status == 0:
            self._works(page, revision, "GET stream names its endpoint, which may be POSTed to")
            return CONNECTS
        if (sent[0].status or 0) >= 400 or b'"result"' not in opened.body:
            return REFUSED
        self._works(page, revision, "GET stream names its endpoint, and initialize is answered over the stream")
        return CONNECTS

    def _post_to(self, page: Page, revision: Revision, endpoint: str, message: Message) -> Fetched:
        headers = post_headers(revision, message, self._asked_token)
        try:
            url = urljoin(self.ev.href, endpoint)
            is_own = parse_url(url).origin == self.ev.url.origin
        except ValueError:
            url, is_own = endpoint, False
        if is_own:
            headers = post_headers(revision, message, self.ev.token) | self.more
            posted = page.fetch(url, "POST", headers, message=message)
            posted.sent = None  # the answer comes over the stream
        else:
            # The token goes to nobody whom the user has not named.
            posted = page.ask(url, "POST", headers)
        weight = Severity.ERROR if posted.is_rejected else None
        return self._note(posted, "message of 2024", page.origin, revision, weight)

    def _without_token(self, page: Page) -> None:
        """What somebody without the token is told: that is where a login begins."""
        message = initialize(NEWEST_WITH_SESSIONS.name)
        headers = post_headers(NEWEST_WITH_SESSIONS, message, None)
        plain = self._plain("without a token", "POST", headers, message)
        self._drop_session(plain, NEWEST_WITH_SESSIONS)
        if plain.status in (401, 403):
            fresh = Page(self.wire, page.origin, self.ev.href, self.browser)
            fetched = fresh.fetch(self.ev.href, "POST", headers | self.more, message=message)
            weight = Severity.ERROR if fetched.is_rejected else None
            self._note(fetched, "initialize without a token", page.origin, NEWEST_WITH_SESSIONS, weight)

    def _errors(self, page: Page) -> None:
        """Errors have to be readable as well: a broken body, an unknown session, an unknown path."""
        ev, revision = self.ev, NEWEST_WITH_SESSIONS
        if not self._may_go_on(f"errors from {page.origin}"):
            return
        headers = post_headers(revision, INITIALIZED, ev.token) | self.more
        self._note(page.fetch(ev.href, "POST", headers, body='{"jsonrpc": '), "broken body", page.origin)
        if any(self._has_sessions(r) for r in REVISIONS):
            message = request(revision, "tools/list")
            headers = post_headers(revision, message, ev.token, "unknown-to-the-server") | self.more
            fetched = page.fetch(ev.href, "POST", headers, message=message)
            self._note(fetched, "unknown session", page.origin)
        url = urljoin(ev.href, "/no-such-path-of-the-doctor")
        self._note(page.fetch(url, "GET"), "unknown path", page.origin)

    # --- who else may call --------------------------------------------------------------------------------------

    @property
    def _spoken(self) -> Revision | None:
        """A revision to ask in: one that is spoken, or that might be after a login."""
        usable = [r for r in self.ev.revisions if not r.is_two_endpoints and self.ev.speaks(r) is not False]
        return usable[-1] if usable else None

    def _ask(self, step: str, revision: Revision, headers: Headers) -> Fetched:
        """A first message, without a browser, with these headers."""
        message = first_message(revision)
        fetched = self._plain(step, "POST", self._headers(revision, message) | headers, message)
        self._drop_session(fetched, revision)
        return fetched

    def _foreign_origin(self) -> None:
        """MCP: servers MUST validate Origin, and answer 403 where it is not valid."""
        revision = self._spoken
        if revision is None or not self._may_go_on("a foreign page"):
            return
        sent = {"Origin": FOREIGN_ORIGIN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        foreign = self._ask("foreign origin", revision, sent)
        if foreign.status == 403:
            self.ev.works.append(("", "", f"a foreign origin ({FOREIGN_ORIGIN}) is refused with 403"))
        elif foreign.result is None and foreign.status not in (None, 401):
            self.ev.works.append(("", "", f"a foreign origin ({FOREIGN_ORIGIN}) is not served ({foreign.status})"))
        if foreign.result is None:
            return
        page = Page(self.wire, FOREIGN_ORIGIN, self.ev.href)
        message = first_message(revision)
        headers = self._headers(revision, message)
        asked = page.ask(self.ev.href, "POST", headers)
        self._note(asked, "foreign preflight")
        if asked.is_rejected and not revision.is_stateless and not self.ev.token:
            # Without a preflight only this much may be sent.
            simple = {"Accept": headers["Accept"], "Content-Type": "text/plain;charset=UTF-8", "Origin": FOREIGN_ORIGIN}
            self._drop_session(self._plain("foreign simple", "POST", simple, message), revision)

    def _look_alikes(self, origin: str) -> None:
        """Origins that a list with holes takes for an allowed one."""
        foreign = self.ev.first("foreign origin")
        is_open = foreign is None or foreign.headers.get(ALLOW_ORIGIN) in ("*", FOREIGN_ORIGIN)
        if is_open or not self._may_go_on(f"look-alikes of {origin}"):
            return
        mine = (f for f in self.ev.fetches if f.origin == origin and f.url == self.ev.href)
        if not any(r.headers.get(ALLOW_ORIGIN) == origin for f in mine for r in (f.network, f.preflight) if r):
            return
        names = "authorization,content-type" if self.ev.wants_login or self.ev.token else "content-type"
        for kind, spelled in look_alikes(origin):
            headers = {"Origin": spelled, REQUEST_METHOD: "POST", REQUEST_HEADERS: names}
            asked = self._plain("look-alike preflight", "OPTIONS", headers)
            if asked.headers.get(ALLOW_ORIGIN) == spelled and (revision := self._spoken) is not None:
                self._ask(f"look-alike: {kind}", revision, {"Origin": spelled})
            if self.wire.is_exhausted:
                self.ev.not_asked.append(f"look-alikes of {origin}")
                return

    def _foreign_host(self) -> None:
        """DNS rebinding: a page under an attacker's name, which now leads here, is same-origin with this server."""
        revision = self._spoken
        if revision is None or not self._may_go_on("a foreign Host"):
            return
        port = "" if self.ev.url.port is None else f":{self.ev.url.port}"
        host = f"{FOREIGN_HOST}{port}"
        headers = {"Host": host, "Origin": f"{self.ev.url.scheme}://{host}"}
        if self._ask("foreign host", revision, headers).result is not None:
            return
        # That may have been for the Origin, which such a page's GET does not carry.
        bare = self._ask("foreign host, no origin", revision, {"Host": host})
        if bare.result is None and bare.status not in (None, 401):
            self.ev.works.append(("", "", f"a foreign Host is not served ({bare.status})"))


def _spellings(origin: str) -> list[tuple[str, str]]:
    """How people write an origin on a list, and browsers never do."""
    scheme, _, host = origin.partition("://")
    capitals = ".".join(label.capitalize() for label in host.split("."))
    found = [("slash", f"{origin}/"), ("upper case", origin.upper()), ("capitals", f"{scheme}://{capitals}")]
    if scheme in DEFAULT_PORTS and not host.rpartition(":")[2].isdecimal():
        found.append(("the default port", f"{origin}:{DEFAULT_PORTS[scheme]}"))
    other = {"http": "https", "https": "http"}.get(scheme)
    return [*found, ("the other scheme", f"{other}://{host}")] if other else found


def look_alikes(origin: str) -> list[tuple[str, str]]:
    """Kind and origin.

    >>> dict(look_alikes("https://app.example.com"))["host as prefix"]
    'https://app.example.com.foreign.invalid'
    """
    try:
        url = parse_url(origin)
    except ValueError:
        return []  # an application's own scheme
    host, port = url.host, "" if url.port is None else f":{url.port}"
    if host.startswith("[") or is_loopback(host):
        return [("null", "null"), ("host as prefix", f"{url.scheme}://{host}.foreign.invalid{port}")]
    domain = host.partition(".")[2] if host.count(".") > 1 else host
    other = "http" if url.scheme == "https" else "https"
    dotted = f"{url.scheme}://{{}}{port}"
    found = [
        ("host as prefix", f"{origin}.foreign.invalid"),
        ("host as prefix", dotted.format(f"{host}.foreign.invalid")),
        ("host as suffix", dotted.format(f"evil{host}")),
        ("host as suffix", dotted.format(f"evil{domain}")),
        ("host in the middle", dotted.format(f"evil-{host}.foreign.invalid")),
        ("host in the middle", f"https://foreign.invalid/{host}"),
        ("another scheme", f"{other}://{host}{port}"),
        ("another port", f"{url.scheme}://{host}:8443"),
        ("subdomain", dotted.format(f"evil.{host}")),
        ("subdomain", dotted.format(f"evil.{domain}")),
        ("null", "null"),
    ]
    dots = [at for at, character in enumerate(host) if character == "."][:3]
    found += [("another character for a dot", dotted.format(f"{host[:at]}x{host[at + 1 :]}")) for at in dots]
    return list({spelled: (kind, spelled) for kind, spelled in reversed(found)}.values())[::-1]
