"""The conversations of a client in a page, revision by revision; and whether a page can read errors."""

from __future__ import annotations

from urllib.parse import urljoin

from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import Fetched
from ..evidence import lost_in
from ..messages import client_headers
from ..messages import events
from ..messages import Headers
from ..messages import initialize
from ..messages import INITIALIZED
from ..messages import LENIENT_FAULTS
from ..messages import Message
from ..messages import NEWEST_WITH_SESSIONS
from ..messages import param_headers
from ..messages import request
from ..messages import Revision
from ..page import Enough
from ..page import Page
from ..page import send_plain
from ..page import Watched
from .asking import Asker
from .asking import Probe
from .preflights import Preflights

#: Seconds to wait for the first event of a stream. A quiet stream is not broken.
PATIENCE = 1.5

#: Seconds to watch a stream in the background.
WATCH = 3.5

#: Seconds for that stream to open, and for an answer while it is open.
OPENING, MEANWHILE = 2.0, 4.0

#: How often a message is repeated in a session: a load balancer sends some of them to another worker.
REPEATS = 4

BLOCKED = "cannot connect"
REFUSED = "refused"
LOGIN = "log in first"
NOT_SPOKEN = "not spoken"


class Conversations(Probe):
    """The conversations of one page."""

    def __init__(self, asker: Asker, page: Page) -> None:
        super().__init__(asker, page)
        self._preflights = Preflights(asker, page)
        self._watched: Watched | None = None
        #: The session of the watched stream, which is ended last.
        self._session: tuple[Revision, str | None] | None = None

    def converse(self, revision: Revision) -> str:
        """Talk as a client of this revision does, and return the verdict."""
        speaks = self.ev.speaks(revision)
        if revision.is_two_endpoints:
            return self._two_endpoints(revision) if speaks or self.ev.is_stream_moved else NOT_SPOKEN
        if speaks is False and any(self.ev.speaks(other) for other in self.ev.revisions):
            if revision.is_stateless:
                headers = self._announced(revision, "server/discover")
                self._ask(revision, "first question", "POST", headers, None)
            return NOT_SPOKEN
        if not self._may_post(revision):
            return BLOCKED
        return self._stateless(revision) if revision.is_stateless else self._with_session(revision)

    def ask_for_errors(self) -> None:
        """Can the page read errors: of a broken body, an unknown session, an unknown path?"""
        page, revision = self.page, self._newest
        if not self.asker.may_go_on(f"errors from {page.origin}"):
            return
        broken = page.fetch(self.ev.href, "POST", self.asker.headers(revision, INITIALIZED), body='{"jsonrpc": ')
        self.note(broken, "broken body")
        if self.asker.has_sessions:
            message = request(revision, "tools/list")
            headers = self.asker.headers(revision, message, "unknown-to-the-server")
            unknown = page.fetch(self.ev.href, "POST", headers, message=message)
            self.note(unknown, "unknown session")
        url = urljoin(self.ev.href, "/no-such-path-of-the-doctor")
        self.note(page.fetch(url, "GET"), "unknown path")

    # --- sending ------------------------------------------------------------------------------------------------

    def _fetch(
        self,
        revision: Revision,
        step: str,
        method: str,
        headers: Headers,
        *,
        message: Message | None = None,
        weight: Severity | None = Severity.ERROR,
        enough: Enough | None = None,
        patience: float | None = None,
    ) -> Fetched:
        """Fetch as the page does; if that is stopped, look closer."""
        fetched = self.page.fetch(self.ev.href, method, headers, message=message, enough=enough, patience=patience)
        return self._looked_at(fetched, step, revision, weight)

    def _ask(self, revision: Revision, step: str, method: str, headers: Headers, weight: Severity | None) -> Fetched:
        """Send the preflight of such a fetch only."""
        return self._looked_at(self.page.ask(self.ev.href, method, headers), step, revision, weight)

    def _looked_at(self, fetched: Fetched, step: str, revision: Revision, weight: Severity | None) -> Fetched:
        self.note(fetched, step, weight, revision)
        self._preflights.look_closer(fetched)
        return fetched

    def _announced(self, revision: Revision, method: str, session: str | None = None) -> Headers:
        """The headers of a message, for its preflight only."""
        token, message = self.asker.announced_token, request(revision, method)
        return client_headers(revision, message, token=token, session=session) | self.asker.more

    def _may_post(self, revision: Revision) -> bool:
        """Send a preflight for all the headers that the client is going to send with its messages."""
        headers = self._announced(revision, "tools/list", "SESSION" if self.asker.opens_session(revision) else None)
        if revision.is_stateless:
            headers["Mcp-Name"] = "tool"
        return not self._ask(revision, "tools/list", "POST", headers, Severity.ERROR).is_rejected

    def _ended(self, fetched: Fetched, revision: Revision) -> str | None:
        """The verdict if a first message did not get what it asks for."""
        if fetched.status == 401 and self.ev.token is None:
            fetched.weight = None
            return LOGIN
        if fetched.is_rejected:
            return BLOCKED
        if fetched.status == 401:
            return REFUSED
        if fetched.is_failed:
            if self.ev.speaks(revision) is False:
                fetched.weight = None
                return NOT_SPOKEN
            return None if fetched.reading.fault in LENIENT_FAULTS else REFUSED
        return None

    # --- revision by revision -----------------------------------------------------------------------------------

    def _stateless(self, revision: Revision) -> str:
        listed = None
        for method in ("server/discover", "tools/list"):
            message = request(revision, method)
            listed = self._fetch(revision, method, "POST", self.asker.headers(revision, message), message=message)
            if verdict := self._ended(listed, revision):
                return verdict
            if method == "server/discover" and not revision.is_agreed_in(listed.result):
                return NOT_SPOKEN
        self.works(revision.name, "server/discover, tools/list")
        names = param_headers((listed.result or {}).get("tools") if listed else None)
        headers = self._announced(revision, "tools/list") | {"Mcp-Name": "tool"}
        headers |= dict.fromkeys(names or ["Mcp-Param-Doctor"], "x")
        asked = self._ask(revision, "params", "POST", headers, Severity.ERROR if names else None)
        if not asked.is_rejected:
            self.works(revision.name, "Mcp-Param-* headers are allowed")
        return CONNECTS

    def _with_session(self, revision: Revision) -> str:
        message = initialize(revision.name)
        first = self._fetch(revision, "initialize", "POST", self.asker.headers(revision, message), message=message)
        if verdict := self._ended(first, revision):
            return verdict
        session = first.network_headers.get("Mcp-Session-Id")
        is_over = False
        try:
            if not revision.is_agreed_in(first.result):
                return NOT_SPOKEN
            is_readable = session is None or "mcp-session-id" in first.headers
            verdict, done = CONNECTS if is_readable else BLOCKED, ["initialize"]
            for step in (INITIALIZED, request(revision, "tools/list")):
                name, headers = str(step["method"]), self.asker.headers(revision, step, session)
                fetched = self._fetch(revision, name, "POST", headers, message=step)
                if fetched.is_rejected:
                    return BLOCKED
                if fetched.is_failed:
                    if session is not None:
                        self._is_lost(revision, session, fetched)
                    elif cookies := first.network_headers.getall("Set-Cookie"):
                        # Pages do not send the cookie of the session.
                        cookie = "; ".join(value.partition(";")[0] for value in cookies)
                        self._resend("with its cookie", revision, step, headers | {"Cookie": cookie})
                    if fetched.status == 400 and headers.pop("MCP-Protocol-Version", None) is not None:
                        self._resend("without its version", revision, step, headers)
                    if fetched.reading.fault not in LENIENT_FAULTS:
                        return REFUSED
                done.append(name)
            if session is not None and is_readable:
                done.append("the session id is readable")
            if revision == self._newest:
                if session is not None and self._is_lost(revision, session):
                    verdict = REFUSED
                # What follows does not change the verdict: clients work without it.
                self.ev.verdicts[self.page.origin, revision.name] = verdict
                done += self._stream(revision, session)
                done += [] if self._watched else self._end(revision, session)
                is_over = True
            self.works(revision.name, ", ".join(done))
            return verdict
        finally:
            if not is_over:
                self.asker.end_session(first, revision)

    def _resend(self, step: str, revision: Revision, message: Message, headers: Headers) -> None:
        """Send a refused message again, without a browser and with other headers."""
        headers = headers | {"Origin": self.page.origin}
        self.asker.plain(step, "POST", headers, message, origin=self.page.origin, revision=revision)

    @property
    def _newest(self) -> Revision:
        """The newest revision with sessions that the server speaks; only its stream is tested."""
        usable = [r for r in self.ev.revisions if not r.is_stateless and not r.is_two_endpoints]
        return next((r for r in reversed(usable) if self.ev.speaks(r)), NEWEST_WITH_SESSIONS)

    def _is_lost(self, revision: Revision, session: str, unanswered: Fetched | None = None) -> bool:
        """Does only one worker know the session? Then some requests are answered and some are not."""
        message = request(revision, "tools/list")
        headers = self.asker.headers(revision, message, session)
        answers = []
        for _ in range(REPEATS):
            again = self.page.fetch(self.ev.href, "POST", headers, message=message)
            answers.append(self.note(again, "session again", None, revision))
        if unanswered is not None and "id" in (unanswered.sent or {}):
            answers.append(unanswered)
        is_lost = bool(lost_in(answers))
        if is_lost and unanswered is not None:
            unanswered.step, unanswered.weight = "session again", None
        return is_lost

    def _stream(self, revision: Revision, session: str | None) -> list[str]:
        """Open the ``GET`` stream, for messages that the server sends on its own."""
        headers = self.asker.headers(revision, session=session)
        # Its preflight separately: the page's cache may hold one of POST that covers it.
        asked = self.page.ask(self.ev.href, "GET", headers)
        if asked.is_rejected:
            named = headers | {"Origin": self.page.origin}
            behind = self.asker.plain("GET stream, behind", "GET", named, patience=PATIENCE, enough=has_event)
            # Without a stream, its preflight does not matter.
            weight = None if behind.status == 405 else Severity.WARNING
            opened = self._looked_at(asked, "GET stream", revision, weight)
        else:
            opened = self._fetch(
                revision, "GET stream", "GET", headers, weight=Severity.WARNING, enough=has_event, patience=PATIENCE
            )
        if opened.is_unanswered:
            opened.weight = None  # stream_delayed reports it
        coding = opened.network_headers.get("Content-Encoding", "")
        if opened.is_unanswered or (coding not in ("", "identity") and not has_event(opened.body)):
            plain = headers | {"Accept-Encoding": "identity", "Origin": self.page.origin}
            step = "GET stream uncompressed"
            self.asker.plain(step, "GET", plain, origin=self.page.origin, patience=PATIENCE, enough=bool)
        if opened.is_rejected:
            return []
        if opened.status == 405:
            return ["no GET stream (405, which is allowed)"]
        if opened.status != 200 or "event-stream" not in opened.headers.get("content-type", ""):
            return [f"no GET stream ({opened.status})"]
        if not opened.is_ended and self.page.origin == self.ev.origins[0]:
            self._ask_meanwhile(revision, session, headers, is_quiet=not opened.body)
        how = "open, and quiet" if not opened.is_ended else "it ends at once, without an event"
        done = [f"GET stream: {'its first event comes at once' if has_event(opened.body) else how}"]
        if any(line.startswith(b"id:") for line in opened.body.splitlines()):
            resumed = headers | {"Last-Event-ID": "1"}
            asked = self._ask(revision, "GET stream, resumed", "GET", resumed, Severity.WARNING)
            if not asked.is_rejected:
                done.append("it can be resumed")
        return done

    def _ask_meanwhile(self, revision: Revision, session: str | None, headers: Headers, *, is_quiet: bool) -> None:
        """Send a message while a stream is open, as clients do. If the stream is quiet, go on watching it."""
        with self.asker.wire.hurried(OPENING):
            # This may fail: a single worker may not have noticed yet that the stream before has ended.
            watched = self.page.watch(self.ev.href, headers | {"Accept-Encoding": "identity"})
        with self.asker.wire.hurried(MEANWHILE):
            message = request(revision, "tools/list")
            named = self.asker.headers(revision, message, session)
            asked = self.page.fetch(self.ev.href, "POST", named, message=message)
        self.note(asked, "during the stream", None, revision)
        if watched is not None and is_quiet and asked.fault is None:
            self._watched, self._session = watched, (revision, session)
        elif watched is not None:
            watched.end(0)

    def end_watch(self) -> None:
        """Note what the watched stream has sent, and end its session."""
        if self._watched is not None and self._session is not None:
            seen = self._watched.end(min(WATCH, self.asker.wire.seconds_left))
            seen.url = self.ev.href
            self.note(seen, "GET stream, watched")
            for what in self._end(*self._session):
                self.works(self._session[0].name, what)

    def _end(self, revision: Revision, session: str | None) -> list[str]:
        """End the session with ``DELETE``. A client that is not allowed to still works."""
        if session is None:
            return ["no session to end"]
        headers = self.asker.headers(revision, session=session)
        ended = self._fetch(revision, "DELETE of the session", "DELETE", headers, weight=Severity.WARNING)
        if ended.is_rejected:
            self.asker.plain("DELETE of a probe", "DELETE", headers)
            return []
        return ["DELETE" if ended.status != 405 else "no DELETE (405, which is allowed)"]

    def _two_endpoints(self, revision: Revision) -> str:
        """HTTP+SSE: an event of the GET stream names the URL for messages, and answers come over the stream."""
        headers, message = self.asker.headers(revision), initialize(revision.name)
        sent: list[Fetched] = []

        def is_answered(body: bytes) -> bool:
            found = list(events(body))
            endpoint = next((data for kind, data in found if kind == "endpoint"), None)
            if endpoint is None:
                return False
            if not sent:
                sent.append(self._post_to(revision, endpoint, message))
            is_message = any(kind == "message" for kind, _ in found)
            return is_message or not sent[0].status or sent[0].status >= 400

        opened = self.page.fetch(self.ev.href, "GET", headers, enough=is_answered, patience=2 * PATIENCE)
        self._looked_at(opened, "GET stream of 2024", revision, Severity.ERROR)
        if opened.is_rejected:
            return BLOCKED
        if not sent:
            return NOT_SPOKEN
        if sent[0].is_rejected:
            return BLOCKED
        if sent[0].status == 0:
            self.works(revision.name, "GET stream names its endpoint, which may be POSTed to")
            return CONNECTS
        if (sent[0].status or 0) >= 400 or b'"result"' not in opened.body:
            return REFUSED
        self.works(revision.name, "GET stream names its endpoint, and initialize is answered over the stream")
        return CONNECTS

    def _post_to(self, revision: Revision, endpoint: str, message: Message) -> Fetched:
        try:
            url = urljoin(self.ev.href, endpoint)
        except ValueError:
            url = endpoint
        headers = self.asker.headers(revision, message)
        if self.ev.is_own(url):
            posted = self.page.fetch(url, "POST", headers, message=message)
            posted.sent = None  # the answer comes over the stream
        else:
            # The token and the user's headers go only to the server that the user names.
            posted = self.page.ask(url, "POST", client_headers(revision, message, token=self.asker.announced_token))
        weight = Severity.ERROR if posted.is_rejected else None
        if posted.failed_at_preflight and posted.blocked is not None and self.ev.is_own(url):
            # Is it CORS, or is there no such URL?
            headers |= {"Origin": self.page.origin}
            host = self.ev.url.authority
            behind = send_plain(self.asker.wire, url, "POST", host, headers, message, patience=PATIENCE)
            self.note(behind, "message of 2024, behind", None, revision)
            weight = None if behind.status in (404, 405, 410) else weight
        return self.note(posted, "message of 2024", weight, revision)


def has_event(body: bytes) -> bool:
    """Has a complete event come?"""
    return any(events(body))
