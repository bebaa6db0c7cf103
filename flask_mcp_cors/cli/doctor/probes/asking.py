"""Sending: all probes send through the :class:`Asker`, which adds each fetch to the evidence under its step."""

from __future__ import annotations

from collections.abc import Callable

from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import Evidence
from ..evidence import Fetched
from ..messages import client_headers
from ..messages import first_message
from ..messages import Headers
from ..messages import Message
from ..messages import negotiated
from ..messages import Revision
from ..messages import REVISIONS
from ..page import Engine
from ..page import Enough
from ..page import Page
from ..page import send_plain
from ..wire import Wire


class Asker:
    """What all probes of one examination share.

    :param more: the user's headers, for the endpoint only.
    :param say: takes a line whenever there is progress.
    """

    def __init__(
        self, evidence: Evidence, wire: Wire, more: Headers, browser: Engine, say: Callable[[str], None]
    ) -> None:
        self.ev = evidence
        self.wire = wire
        self.more = more
        self.browser = browser
        self.say = say
        #: For each session that a probe has opened, the headers that end it.
        self._opened: list[Headers] = []

    def may_go_on(self, what: str) -> bool:
        """Is there time for this? If not, the evidence says so."""
        self.say(what)
        if self.wire.is_exhausted:
            self.ev.not_asked.append(what)
        return not self.wire.is_exhausted

    def page(self, origin: str) -> Page:
        """A page of this origin, with an empty preflight cache."""
        return Page(self.wire, origin, self.ev.href, self.browser)

    def note(
        self,
        fetched: Fetched,
        step: str,
        origin: str = "",
        revision: Revision | None = None,
        weight: Severity | None = None,
    ) -> Fetched:
        """Add a fetch to the evidence.

        :param weight: how bad it is if it fails.
        """
        fetched.step, fetched.origin, fetched.weight = step, origin, weight
        fetched.revision = "" if revision is None else revision.name
        return self.ev.add(fetched)

    def plain(
        self,
        step: str,
        method: str,
        headers: Headers,
        message: Message | None = None,
        *,
        origin: str = "",
        revision: Revision | None = None,
        patience: float | None = None,
        enough: Enough | None = None,
    ) -> Fetched:
        """Send a request to the endpoint as ``curl`` would.

        :param origin: the page that the step is about. It does not set the header ``Origin``.
        """
        headers = headers | self.more
        host = headers.pop("Host", self.ev.url.authority)
        fetched = send_plain(self.wire, self.ev.href, method, host, headers, message, patience=patience, enough=enough)
        return self.note(fetched, step, origin, revision)

    def again(self, fetched: Fetched, origin: str) -> None:
        """Send the same preflight without a browser, to read its body."""
        sent = fetched.exchanges[-1].request
        headers = dict(sent.headers.items())
        again = send_plain(self.wire, sent.url, "OPTIONS", headers.pop("Host"), headers)
        self.note(again, "preflight again", origin)

    def first(self, step: str, revision: Revision, headers: Headers, origin: str = "") -> Fetched:
        """Send a first message without a browser, with these headers too. The session that it opens is ended later."""
        message = first_message(revision)
        fetched = self.plain(step, "POST", self.headers(revision, message) | headers, message, origin=origin)
        self.end_session(fetched, revision)
        return fetched

    def headers(self, revision: Revision, message: Message | None = None, session: str | None = None) -> Headers:
        """The headers that a client's JavaScript sets at the endpoint, and the user's."""
        return client_headers(revision, message, token=self.ev.token, session=session) | self.more

    @property
    def announced_token(self) -> str | None:
        """A token for preflights, which send the name of its header and not its value."""
        return "TOKEN" if self.ev.token is None and self.ev.wants_login else self.ev.token

    def end_session(self, fetched: Fetched, revision: Revision) -> None:
        """End the session that a probe has opened, if any. That waits: it may be the server's only one."""
        session = fetched.network_headers.get("Mcp-Session-Id")
        if session is not None:
            agreed = revision._replace(name=negotiated(fetched.result) or revision.name)
            self._opened.append(self.headers(agreed, session=session))

    def end_sessions(self) -> None:
        """End them all. A server with a single session keeps it, because it would serve nobody after that."""
        for headers in () if self.ev.is_single else self._opened:
            if not self.wire.is_exhausted:
                self.plain("DELETE of a probe", "DELETE", headers)

    @property
    def spoken(self) -> Revision | None:
        """The newest revision that the server speaks, to a page at least, or may speak after a login."""
        connected = {name for (_, name), verdict in self.ev.verdicts.items() if verdict == CONNECTS}
        usable = [r for r in self.ev.revisions if not r.is_two_endpoints]
        spoken = [r for r in usable if self.ev.speaks(r) is not False or r.name in connected]
        return spoken[-1] if spoken else None

    @property
    def has_sessions(self) -> bool:
        """Does the server open sessions?"""
        return any(self.opens_session(revision) for revision in REVISIONS)

    def opens_session(self, revision: Revision) -> bool:
        """Does the server open a session when this revision is agreed on?"""
        answers = (f for f in self.ev.plain if negotiated(f.result) == revision.name)
        return any("Mcp-Session-Id" in f.headers for f in answers)


class Probe:
    """Asks on behalf of one page."""

    def __init__(self, asker: Asker, page: Page) -> None:
        self.asker = asker
        self.ev = asker.ev
        self.page = page

    def works(self, place: str, what: str) -> None:
        """Note what works for this page."""
        self.ev.works.append((self.page.origin, place, what))

    def note(
        self, fetched: Fetched, step: str, weight: Severity | None = None, revision: Revision | None = None
    ) -> Fetched:
        """Add a fetch to the evidence for this page."""
        return self.asker.note(fetched, step, self.page.origin, revision, weight)
