"""One examination: what is asked in which order, and what is remembered on the way."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from ...core.origins import is_serialized_origin
from ...testing.urls import parse_url
from ...testing.urls import URL
from ..findings import Finding
from ..findings import Severity
from ..terminal import printable
from .diagnosis import diagnose
from .fronts import front_of
from .messages import authorization
from .messages import events
from .messages import Headers
from .messages import initialize
from .messages import Message
from .messages import post_headers
from .messages import request
from .messages import Revision
from .messages import REVISIONS
from .messages import words_of
from .page import Fetched
from .page import Page
from .page import send_plain
from .report import Report
from .wire import Wire

#: Enough for every probe, and an end for a server that answers everything with a riddle.
REQUESTS_PER_ORIGIN = 80

#: Seconds that a stream may stay quiet before it is left alone. A quiet stream is not broken.
PATIENCE = 2.0


@dataclass
class Examination:
    """What is known of one server so far."""

    url: URL
    token: str | None
    wire: Wire
    say: Callable[[str], None]
    #: Each with the origin and the revision that it is about.
    findings: list[tuple[Finding, str, str]] = field(default_factory=list)
    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    works: list[tuple[str, str, str]] = field(default_factory=list)
    #: Everything that was fetched, to look at its headers.
    fetches: list[Fetched] = field(default_factory=list)
    #: What ``curl`` gets, per revision: does the server speak it (``None``: it wants a login first), with sessions?
    speaks: dict[str, bool | None] = field(default_factory=dict)
    has_sessions: dict[str, bool] = field(default_factory=dict)
    wants_login: bool = False
    #: (URL, status) → what the body of a refused preflight says.
    bodies: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def href(self) -> str:
        """The URL of the MCP endpoint."""
        return self.url.href

    @property
    def asked_token(self) -> str | None:
        """The token that preflights announce: the names count, no value is ever sent with one."""
        return "TOKEN" if self.token is None and self.wants_login else self.token

    def add(self, finding: Finding, origin: str = "", revision: str = "") -> None:
        """Note a finding."""
        self.findings.append((finding, origin, revision))

    def blame(
        self, fetched: Fetched, page: Page, revision: Revision | None, severity: Severity = Severity.ERROR
    ) -> Finding:
        """Note why a page's fetch was rejected."""
        finding = diagnose(fetched, page.origin, severity, self._body_of_preflight(fetched))
        self.add(finding, page.origin, revision.name if revision else "")
        return finding

    def plain(self, method: str, headers: Headers, message: Message | None = None, **options: float) -> Fetched:
        """A request to the endpoint as ``curl`` would send it."""
        host = headers.pop("Host", self.url.authority)
        return send_plain(self.wire, self.href, method, host, headers, message, **options)

    def _body_of_preflight(self, fetched: Fetched) -> str:
        """What a refused preflight's body says: browsers drop it, and it is often the best hint there is."""
        last = fetched.exchanges[-1] if fetched.exchanges else None
        if last is None or not last.is_preflight or last.response is None or last.response.status < 400:
            return ""
        key = last.request.url, last.response.status
        if key not in self.bodies:
            headers = dict(last.request.headers.items())
            again = send_plain(self.wire, last.request.url, "OPTIONS", headers.pop("Host"), headers)
            self.bodies[key] = printable(words_of(again.body), 80) if again.status == last.response.status else ""
        return self.bodies[key]

    def note(self, fetched: Fetched) -> Fetched:
        """Remember a fetch."""
        self.fetches.append(fetched)
        return fetched

    def drop_session(self, fetched: Fetched, revision: Revision) -> None:
        """End a session that a probe has opened."""
        session = None if fetched.network is None else fetched.network.headers.get("Mcp-Session-Id")
        if session is not None:
            headers = {"Mcp-Session-Id": session} | authorization(self.token)
            if revision.names_itself:
                headers["MCP-Protocol-Version"] = revision.name
            self.plain("DELETE", headers)


def examine(
    url: str,
    origins: Sequence[str],
    *,
    token: str | None = None,
    timeout: float = 10.0,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Examine the MCP endpoint at *url* as browser clients on pages of *origins*.

    :param token: a bearer token, for servers that want one.
    :param timeout: seconds for each request.
    :param say: takes a line whenever there is progress.
    :raises ValueError: *url* or an origin is none that a browser has.
    """
    from . import conversations
    from . import exposure
    from . import surroundings

    for origin in origins:
        if not is_serialized_origin(origin):
            raise ValueError(f"{origin!r} is no origin as browsers write it: scheme://host, with no slash at the end")
    parsed = parse_url(url if "://" in url else f"http://{url}")
    if parsed.userinfo:
        raise ValueError("a browser's fetch refuses a URL with user and password; use --token")
    wire = Wire(timeout, REQUESTS_PER_ORIGIN * (1 + len(origins)))
    exam = Examination(parsed, token, wire, say)
    reachable = surroundings.look_around(exam, origins) and _is_there(exam)
    for origin in origins:
        if reachable and surroundings.may_ask(exam, origin):
            page = Page(wire, origin, exam.href)
            for revision in REVISIONS:
                say(f"{revision.name} from {origin}")
                verdict = conversations.converse(exam, page, revision)
                exam.verdicts[origin, revision.name] = verdict
        else:
            exam.verdicts.update({(origin, revision.name): "cannot connect" for revision in REVISIONS})
        _must_connect_or_say_why(exam, origin)
    if reachable:
        say("who else may call it, and its headers")
        exposure.look(exam, origins)
    return Report.of(exam, origins)


def _must_connect_or_say_why(exam: Examination, origin: str) -> None:
    """No report is healthy where nobody connects."""
    verdicts = {exam.verdicts[origin, revision.name] for revision in REVISIONS}
    blamed = {about for finding, about, _ in exam.findings if finding.severity is Severity.ERROR}
    if not verdicts & {"connects", "log in first"} and not blamed & {"", origin}:
        words = "No revision's conversation comes to anything, though CORS forbids none of it."
        exam.add(Finding("no_conversation", Severity.ERROR, "", words, "see the server's log"), origin)


def _is_there(exam: Examination) -> bool:
    """Ask without a browser, as ``curl`` would: what the server speaks, and whether it is one."""
    last: Fetched | None = None
    for revision in reversed(REVISIONS):
        exam.say(f"{revision.name} without a browser")
        last = _speak(exam, revision)
        if last.fault is not None and last.fault.code != "timeout":
            exam.add(diagnose(last, ""))
            return False
        if (front := front_of(last.network)) is not None and last.message is None:
            exam.add(Finding(front.code, Severity.ERROR, "", front.sentence, front.fix))
            if front.code == "airtunes":
                return False
            break
    if all(exam.speaks.get(revision.name) is False for revision in REVISIONS):
        posted = exam.fetches[-1]
        if posted.fault is not None:
            exam.add(diagnose(posted, ""))
            return False
        error = (posted.message or {}).get("error")
        if isinstance(error, dict):
            what = f'JSON-RPC is answered, but initialize with the error "{printable(str(error.get("message")), 80)}"'
            fix = "no MCP client can talk to this server: see its documentation for the methods that it has"
        else:
            what = f"no MCP message is answered here: POST initialize gives {posted.status}"
            fix = "check the path: the URL is that of the MCP endpoint, often …/mcp"
        exam.add(Finding("not_mcp", Severity.ERROR, "", f"Without a browser, too, {what}.", fix))
    return True


def _speak(exam: Examination, revision: Revision) -> Fetched:
    """The first message of a revision, without a browser."""
    if revision.is_two_endpoints:
        headers = {"Accept": "text/event-stream"} | authorization(exam.token)
        fetched = exam.plain("GET", headers, patience=PATIENCE)
        first = next(events(fetched.body), ("", ""))[0]
        exam.speaks[revision.name] = first == "endpoint"
        return fetched
    message = request(revision, "server/discover") if revision.is_stateless else initialize(revision.name)
    fetched = exam.plain("POST", post_headers(revision, message, exam.token), message)
    if not revision.is_stateless:
        exam.fetches.append(fetched)
    if fetched.status == 401:
        exam.wants_login = True
        exam.speaks[revision.name] = None
        return fetched
    result = fetched.result or {}
    if revision.is_stateless:
        versions = result.get("supportedVersions")
        exam.speaks[revision.name] = isinstance(versions, list) and revision.name in versions
    else:
        exam.speaks[revision.name] = result.get("protocolVersion") == revision.name
        exam.has_sessions[revision.name] = "mcp-session-id" in fetched.headers
        exam.drop_session(fetched, revision)
    return fetched
