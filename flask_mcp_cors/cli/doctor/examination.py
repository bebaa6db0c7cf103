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
from .messages import first_message
from .messages import Headers
from .messages import Message
from .messages import negotiated
from .messages import NEWEST_WITH_SESSIONS
from .messages import post_headers
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
    #: What ``curl`` gets, per revision: does the server speak it (``None``: it wants a login first)?
    speaks: dict[str, bool | None] = field(default_factory=dict)
    #: Every protocol version that ``initialize`` was answered with: with a session, and which one was asked for?
    has_sessions: dict[str, bool] = field(default_factory=dict)
    asked_for: dict[str, str] = field(default_factory=dict)
    #: Where the endpoint is not MCP to ``curl``: the answer that sends it elsewhere.
    redirected: Fetched | None = None
    #: The revisions as this server speaks them, the oldest first.
    revisions: tuple[Revision, ...] = REVISIONS
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
                headers["MCP-Protocol-Version"] = negotiated(fetched.result) or revision.name
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
            for revision in exam.revisions:
                say(f"{revision.name} from {origin}")
                verdict = conversations.converse(exam, page, revision)
                exam.verdicts[origin, revision.name] = verdict
        else:
            exam.verdicts.update({(origin, revision.name): "cannot connect" for revision in REVISIONS})
    if reachable:
        _must_be_mcp(exam)
    for origin in origins:
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
    answers: list[Fetched] = []
    for revision in reversed(REVISIONS):
        exam.say(f"{revision.name} without a browser")
        last = _speak(exam, revision)
        answers.append(last)
        if last.fault is not None and last.fault.code != "timeout":
            exam.add(diagnose(last, ""))
            return False
        if (front := front_of(last.network)) is not None and last.message is None:
            exam.add(Finding(front.code, Severity.ERROR, "", front.sentence, front.fix))
            if front.code == "airtunes":
                return False
            break
    _negotiated(exam)
    if _speaks_nothing(exam):
        if (posted := exam.fetches[-1]).fault is not None:
            exam.add(diagnose(posted, ""))
            return False
        exam.redirected = next((answer for answer in answers if answer.location), None)
    return True


def _speaks_nothing(exam: Examination) -> bool:
    return all(exam.speaks.get(revision.name) is False for revision in REVISIONS)


def _negotiated(exam: Examination) -> None:
    """A version older than Streamable HTTP, negotiated over it: the official clients go on with that."""
    for revision in REVISIONS:
        if revision.is_two_endpoints and revision.name in exam.has_sessions:
            exam.speaks[revision.name] = True
            as_spoken = NEWEST_WITH_SESSIONS._replace(name=revision.name)
            exam.revisions = tuple(as_spoken if r is revision else r for r in REVISIONS)
            words = (
                f"The server speaks Streamable HTTP, but asked for {exam.asked_for[revision.name]} it answers with "
                f"{revision.name}, a revision from before that transport. The official clients go on with it."
            )
            fix = f"update the server: {NEWEST_WITH_SESSIONS.name} has been published since"
            exam.add(Finding("version_negotiated", Severity.NOTE, "", words, fix))


def _must_be_mcp(exam: Examination) -> None:
    """Where nobody connects, not even ``curl``, and nothing sends it elsewhere, this is no MCP endpoint."""
    if not _speaks_nothing(exam) or exam.redirected is not None or "connects" in exam.verdicts.values():
        return
    posted = exam.fetches[0]
    message = posted.message or {}
    error, result = message.get("error"), message.get("result")
    code = "not_mcp"
    if isinstance(error, dict):
        what = f'JSON-RPC is answered, but initialize with the error "{printable(str(error.get("message")), 80)}"'
        fix = "no MCP client can talk to this server: see its documentation for the methods that it has"
    elif exam.has_sessions:
        code, versions = "version_unknown", ", ".join(printable(version, 40) for version in exam.has_sessions)
        what = f"initialize is answered with the protocol version {versions}, which is none that clients know"
        fix = f"answer with the version that the client asks for, or another of {', '.join(r.name for r in REVISIONS)}"
    elif isinstance(result, dict):
        what = "JSON-RPC is answered, but the result of initialize names no protocolVersion"
        fix = "let an MCP server answer: a stub has nothing to connect to"
    else:
        what = f"no MCP message is answered here: POST initialize gives {posted.status}"
        fix = "check the path: the URL is that of the MCP endpoint, often …/mcp"
    exam.findings.insert(0, (Finding(code, Severity.ERROR, "", f"Without a browser, too, {what}.", fix), "", ""))


def _speak(exam: Examination, revision: Revision) -> Fetched:
    """The first message of a revision, without a browser."""
    if revision.is_two_endpoints:
        headers = {"Accept": "text/event-stream"} | authorization(exam.token)
        fetched = exam.plain("GET", headers, patience=PATIENCE)
        first = next(events(fetched.body), ("", ""))[0]
        exam.speaks[revision.name] = first == "endpoint"
        return fetched
    message = first_message(revision)
    fetched = exam.plain("POST", post_headers(revision, message, exam.token), message)
    if not revision.is_stateless:
        exam.fetches.append(fetched)
    if fetched.status == 401:
        exam.wants_login = True
        exam.speaks[revision.name] = None
        return fetched
    exam.speaks[revision.name] = revision.is_agreed_in(fetched.result)
    if not revision.is_stateless:
        if version := negotiated(fetched.result):
            exam.has_sessions[version] = "mcp-session-id" in fetched.headers
            exam.asked_for.setdefault(version, revision.name)
        exam.drop_session(fetched, revision)
    return fetched
