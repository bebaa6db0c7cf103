"""A browser client's conversation in each protocol revision, from the first message to the last."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from ..findings import Finding
from ..findings import Severity
from ..terminal import printable
from .diagnosis import redirected
from .examination import Examination
from .examination import PATIENCE
from .login import log_in
from .messages import events
from .messages import initialize
from .messages import INITIALIZED
from .messages import param_headers
from .messages import post_headers
from .messages import request
from .messages import Revision
from .messages import stream_headers
from .messages import words_of
from .page import Fetched
from .page import Page

#: How often a session is asked for again: a load balancer sends some of these to another worker.
REPEATS = 4

_OWN_LIST = (
    "put the page's origin on the server's own list, too (MCP SDKs: allowed_origins / allowedOrigins of their "
    "transport security)"
)

CONNECTS = "connects"
BLOCKED = "cannot connect"
REFUSED = "refused"
LOGIN = "log in first"
NOT_SPOKEN = "not spoken"


def converse(exam: Examination, page: Page, revision: Revision) -> str:
    """Talk as a client of this revision does; the verdict in a word or two."""
    speaks = exam.speaks.get(revision.name)
    if revision.is_two_endpoints:
        is_moved = exam.redirected is not None and exam.redirected.method == "GET"
        return _two_endpoints(exam, page, revision) if speaks or is_moved else NOT_SPOKEN
    if speaks is False and any(exam.speaks.values()):
        if revision.is_stateless:
            _first_question(exam, page, revision)
        return NOT_SPOKEN
    if not _may_post(exam, page, revision):
        return BLOCKED
    if revision.is_stateless:
        return _stateless(exam, page, revision)
    return _with_session(exam, page, revision)


def _may_post(exam: Examination, page: Page, revision: Revision) -> bool:
    """Ask for every header at once that the client is going to send with a message."""
    session = "SESSION" if exam.has_sessions.get(revision.name) else None
    headers = post_headers(revision, request(revision, "tools/list"), exam.asked_token, session)
    if revision.is_stateless:
        headers["Mcp-Name"] = "tool"
    asked = exam.note(page.ask(exam.href, "POST", headers))
    if asked.is_rejected:
        finding = exam.blame(asked, page, revision)
        if exam.redirected is not None and finding.code != "preflight_redirected":
            exam.add(redirected(exam.redirected), page.origin, revision.name)
        if finding.code != "preflight_refused":
            _look_behind(exam, page, revision)
    return not asked.is_rejected


def _look_behind(exam: Examination, page: Page, revision: Revision) -> None:
    """Where the preflight fails, is there another check of Origin behind it? Without a browser that shows."""
    if revision is not _newest(exam):
        return
    message = initialize(revision.name)
    headers = post_headers(revision, message, exam.token) | {"Origin": page.origin}
    answered = exam.plain("POST", headers, message)
    exam.drop_session(answered, revision)
    if answered.status in (403, 421):
        words = f"Behind the preflight the request itself is refused, too, for its Origin: {_quoted(answered)}."
        exam.add(Finding("request_refused", Severity.ERROR, "", words, _OWN_LIST), page.origin, revision.name)


def _first_question(exam: Examination, page: Page, revision: Revision) -> None:
    """A client of the stateless revision asks with its headers before it falls back to an older one."""
    headers = post_headers(revision, request(revision, "server/discover"), exam.asked_token)
    asked = exam.note(page.ask(exam.href, "POST", headers))
    if asked.blocked is not None and exam.speaks[revision.name] is False:
        words = (
            f"The server does not speak {revision.name}. A client that asks for it first gets a CORS error in place of "
            "the server's no. The official TypeScript client takes that for a no; others may give up."
        )
        fix = "allow MCP-Protocol-Version, Mcp-Method and Mcp-Name as request headers"
        exam.add(Finding("question_blocked", Severity.NOTE, "", words, fix), page.origin, revision.name)


def _rejected_or_refused(exam: Examination, page: Page, revision: Revision, fetched: Fetched, what: str) -> str | None:
    """The verdict where a first message was not answered with what it asks for."""
    if fetched.is_rejected:
        exam.blame(fetched, page, revision)
        return BLOCKED
    if fetched.status == 401:
        log_in(exam, page, revision, fetched)
        return LOGIN if exam.token is None else REFUSED
    if fetched.result is not None:
        return None
    if not exam.speaks.get(revision.name):
        return NOT_SPOKEN
    if fetched.status not in (403, 421):
        _no_answer(exam, page, revision, fetched, what)
        return REFUSED
    words = f"CORS lets the page through, but {what} is refused for its Origin: {_quoted(fetched)}."
    exam.add(Finding("request_refused", Severity.ERROR, "", words, _OWN_LIST), page.origin, revision.name)
    return REFUSED


def _quoted(fetched: Fetched) -> str:
    words = printable(words_of(fetched.body), 120)
    return f'{fetched.status}, "{words}"' if words else f"{fetched.status}"


def _stateless(exam: Examination, page: Page, revision: Revision) -> str:
    message = request(revision, "server/discover")
    discovered = exam.note(page.fetch(exam.href, "POST", post_headers(revision, message, exam.token), message=message))
    if verdict := _rejected_or_refused(exam, page, revision, discovered, "server/discover"):
        return verdict
    if not revision.is_agreed_in(discovered.result):
        return NOT_SPOKEN
    message = request(revision, "tools/list")
    listed = exam.note(page.fetch(exam.href, "POST", post_headers(revision, message, exam.token), message=message))
    if verdict := _rejected_or_refused(exam, page, revision, listed, "tools/list"):
        return verdict
    exam.works.append((page.origin, revision.name, "server/discover, tools/list"))
    _param_headers(exam, page, revision, (listed.result or {}).get("tools"))
    return CONNECTS


def _param_headers(exam: Examination, page: Page, revision: Revision, tools: object) -> None:
    """``Mcp-Param-*``: names that the tools' schemas make up, so that no fixed list holds them all."""
    names = param_headers(tools)
    headers = post_headers(revision, request(revision, "tools/list"), exam.asked_token) | {"Mcp-Name": "tool"}
    asked = exam.note(page.ask(exam.href, "POST", headers | dict.fromkeys(names or ["Mcp-Param-Doctor"], "x")))
    if not asked.is_rejected:
        exam.works.append((page.origin, revision.name, "Mcp-Param-* headers are allowed"))
    elif names:
        exam.blame(asked, page, revision)
    else:
        words = "No tool here has an x-mcp-header yet. A call of one that does carries Mcp-Param-*, which is refused."
        fix = "allow the names of your tools' parameters; MCPCors allows all Mcp-Param-*"
        exam.add(Finding("params_not_allowed", Severity.NOTE, "", words, fix), page.origin, revision.name)


def _with_session(exam: Examination, page: Page, revision: Revision) -> str:
    message = initialize(revision.name)
    first = exam.note(page.fetch(exam.href, "POST", post_headers(revision, message, exam.token), message=message))
    if verdict := _rejected_or_refused(exam, page, revision, first, "initialize"):
        return verdict
    if not revision.is_agreed_in(first.result):
        exam.drop_session(first, revision)
        return NOT_SPOKEN
    session = None if first.network is None else first.network.headers.get("Mcp-Session-Id")
    verdict = CONNECTS
    if session is not None and "mcp-session-id" not in first.headers:
        exam.add(
            Finding(
                "session_id_hidden",
                Severity.ERROR,
                "",
                "The answer to initialize carries Mcp-Session-Id, but JavaScript cannot read it: the client goes on "
                "without its session, and the server does not know it.",
                "send Access-Control-Expose-Headers: Mcp-Session-Id with every response",
            ),
            page.origin,
            revision.name,
        )
        verdict = BLOCKED
    try:
        done = ["initialize"]
        for step in (INITIALIZED, request(revision, "tools/list")):
            fetched = exam.note(
                page.fetch(exam.href, "POST", post_headers(revision, step, exam.token, session), message=step)
            )
            if fetched.is_rejected:
                exam.blame(fetched, page, revision)
                return BLOCKED
            if step is not INITIALIZED and fetched.result is None:
                if session is not None and _is_lost(exam, page, revision, session, fetched):
                    return REFUSED
                _no_answer(exam, page, revision, fetched, "tools/list")
                return REFUSED
            done.append(step["method"])
        if session is not None:
            done.append("the session id is readable") if verdict == CONNECTS else None
            if _is_lost(exam, page, revision, session):
                verdict = REFUSED
        if revision is _newest(exam):
            done += _stream(exam, page, revision, session)
        done += _end(exam, page, revision, session)
        session = None
        exam.works.append((page.origin, revision.name, ", ".join(done)))
    finally:
        if session is not None:
            exam.drop_session(first, revision)
    return verdict


def _newest(exam: Examination) -> Revision | None:
    """The newest revision with sessions that the server speaks: only there the stream is waited for."""
    spoken = [r for r in exam.revisions if not r.is_stateless and not r.is_two_endpoints and exam.speaks.get(r.name)]
    return spoken[-1] if spoken else None


def _no_answer(exam: Examination, page: Page, revision: Revision, fetched: Fetched, what: str) -> None:
    words = f"{what} is not answered: {_quoted(fetched)}."
    exam.add(
        Finding("no_result", Severity.ERROR, "", words, "see the server's log: this is not CORS"),
        page.origin,
        revision.name,
    )


def _is_lost(
    exam: Examination, page: Page, revision: Revision, session: str, unanswered: Fetched | None = None
) -> bool:
    """Is the session known to one worker only? Then some requests are answered and some are not."""
    message = request(revision, "tools/list")
    headers = post_headers(revision, message, exam.token, session)
    answers = [page.fetch(exam.href, "POST", headers, message=message) for _ in range(REPEATS)]
    if unanswered is not None:
        answers.append(unanswered)
    lost = [answer.status for answer in answers if answer.status is not None and answer.result is None]
    if not lost or len(lost) == len(answers):
        return False
    words = (
        f"The session is not known everywhere: {len(lost)} of {len(answers)} requests, each on a new connection, got "
        f"{lost[0]}. A worker or instance that did not open the session answered them."
    )
    fix = (
        "run one worker with threads, keep sessions in a shared store, make the server stateless, or have the load "
        "balancer route by Mcp-Session-Id"
    )
    exam.add(Finding("session_lost", Severity.ERROR, "", words, fix), page.origin, revision.name)
    return True


def _stream(exam: Examination, page: Page, revision: Revision, session: str | None) -> list[str]:
    """The ``GET`` that opens a stream for messages of the server's own."""
    headers = stream_headers(revision, exam.token, session)
    opened = exam.note(page.fetch(exam.href, "GET", headers, enough=lambda body: any(events(body)), patience=PATIENCE))
    if opened.fault is not None and opened.fault.code == "timeout":
        words = (
            "The GET stream sends nothing, not even its status, until the first event: fetch() stays pending, and "
            "clients take the server for dead."
        )
        fix = "send the headers at once, with a comment line; switch buffering off (X-Accel-Buffering: no)"
        exam.add(Finding("stream_delayed", Severity.WARNING, "", words, fix), page.origin, revision.name)
        return []
    if opened.is_rejected:
        exam.blame(opened, page, revision, Severity.WARNING)
        return []
    if opened.status == 405:
        return ["no GET stream (405, which is allowed)"]
    if opened.status != 200 or "event-stream" not in opened.headers.get("content-type", ""):
        return [f"no GET stream ({opened.status})"]
    first = any(events(opened.body))
    done = [f"GET stream: {'its first event comes at once' if first else 'open, and quiet'}"]
    if any(line.startswith(b"id:") for line in opened.body.splitlines()):
        asked = exam.note(page.ask(exam.href, "GET", headers | {"Last-Event-ID": "1"}))
        if asked.is_rejected:
            exam.blame(asked, page, revision, Severity.WARNING)
        else:
            done.append("it can be resumed")
    return done


def _end(exam: Examination, page: Page, revision: Revision, session: str | None) -> list[str]:
    """``DELETE``, which ends the session. A client that may not is still a client."""
    if session is None:
        return ["no session to end"]
    ended = exam.note(page.fetch(exam.href, "DELETE", stream_headers(revision, exam.token, session)))
    if ended.is_rejected:
        exam.blame(ended, page, revision, Severity.WARNING)
        exam.plain("DELETE", stream_headers(revision, exam.token, session))
        return []
    return ["DELETE" if ended.status != 405 else "no DELETE (405, which is allowed)"]


def _two_endpoints(exam: Examination, page: Page, revision: Revision) -> str:
    """HTTP with SSE: an event of the GET stream says where messages go."""
    headers = stream_headers(revision, exam.token, None)

    def has_endpoint(body: bytes) -> bool:
        return any(kind == "endpoint" for kind, _ in events(body))

    opened = exam.note(page.fetch(exam.href, "GET", headers, enough=has_endpoint, patience=PATIENCE))
    if opened.is_rejected:
        exam.blame(opened, page, revision)
        return BLOCKED
    endpoint = next((data for kind, data in events(opened.body) if kind == "endpoint"), None)
    message: dict[str, Any] = initialize(revision.name)
    try:
        url = urljoin(exam.href, endpoint or "")
    except ValueError:
        return NOT_SPOKEN
    asked = exam.note(page.ask(url, "POST", post_headers(revision, message, exam.asked_token)))
    if asked.is_rejected:
        exam.blame(asked, page, revision)
        return BLOCKED
    exam.works.append((page.origin, revision.name, "GET stream names its endpoint, which may be POSTed to"))
    return CONNECTS
