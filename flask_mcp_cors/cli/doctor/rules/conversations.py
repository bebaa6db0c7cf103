"""Observations on the address of the server, and on conversations that work, but not as they should."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ....core.headers import ALLOW_ORIGIN
from ....core.headers import EXPOSE_HEADERS
from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..evidence import lost_in
from ..evidence import sessions_asked
from ..messages import events
from ..messages import NEWEST_WITH_SESSIONS
from .rule import at
from .rule import each
from .rule import error
from .rule import EVERYTHING
from .rule import fact
from .rule import Fits
from .rule import note
from .rule import Observation
from .rule import once
from .rule import PASS_ERRORS
from .rule import Seen
from .rule import SHARE_SESSIONS
from .rule import Values
from .rule import warning

#: A stream that begins after so many seconds is late.
LATE = 4.0

#: A preflight of so many seconds is slow, if messages are not.
SLOW = 1.5


def _session_hidden(f: Fetched) -> Fits:
    if not (f.origin and f.result and "Mcp-Session-Id" in f.network_headers):
        return False
    exposed = f.network_headers.get(EXPOSE_HEADERS, "missing")
    if f.preflight is not None and "mcp-session-id" in f.preflight.headers.get(EXPOSE_HEADERS, "").lower():
        exposed += "; the preflight has it, where it has no effect"
    return "mcp-session-id" not in f.headers and {"exposed": exposed}


def _is_not_utf8(f: Fetched) -> bool:
    try:
        f.body.decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"  # a body that is cut off
    return False


def _preflight_slow(ev: Evidence) -> Fits:
    # Fetches of which only the preflight was sent, so that the time is the preflight's.
    asked = [f.waited for f in ev.fetches if f.status == 0 and f.url == ev.href and f.preflight is not None]
    posted = min((f.waited for f in ev.plain if f.method == "POST" and f.status is not None), default=0.0)
    is_slow = bool(asked) and min(asked) > max(SLOW, 4 * posted)
    return is_slow and {"url": ev.href, "seconds": f"{min(asked):.1f}", "posted": f"{posted:.1f}"}


def _session_lost(ev: Evidence) -> Iterator[Values]:
    for answers in sessions_asked(ev):
        if lost := lost_in(answers):
            yield at(lost[0], lost=len(lost), all=len(answers))


def _is_stream(f: Fetched) -> bool:
    return f.status == 200 and "event-stream" in f.headers.get("content-type", "")


def _is_delayed(f: Fetched) -> bool:
    """Does it begin late, or never?"""
    return f.is_unanswered or (_is_stream(f) and f.waited > LATE)


def _stream_delayed(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("GET stream"):
        if _is_delayed(f):
            ends = " Then it ends at once: something collects the whole response first." if f.is_ended else ""
            until = "for as long as the doctor waited" if f.fault else f"for {f.waited:.0f} seconds"
            yield at(f, what=f"sends nothing, not even its status, {until}", ends=ends)
    for f in ev.of("GET stream, watched"):
        held = len(f.body.replace(b"\r\n", b"\n").strip().split(b"\n\n"))  # comments, too
        if f.is_ended and f.waited > 1 and held > 1:
            what = f"sends its {held} events in one piece, when it ends after {f.waited:.0f} seconds"
            yield at(f, what=what, ends="")


def _stream_compressed(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("GET stream"):
        plain = ev.first("GET stream uncompressed", origin=f.origin)
        is_more = plain is not None and len(plain.body) > len(f.body)
        coding = f.network_headers.get("Content-Encoding", "")
        # Compressed bytes arrive, and nothing can be decoded from them yet.
        is_head_only = bool(coding) and f.received > 0 and not f.body and not f.is_ended
        if (_is_stream(f) and not any(events(f.body)) and (is_more or is_head_only)) or (is_more and _is_delayed(f)):
            yield at(f, coding=coding or "Content-Encoding")


def _stream_blocks(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("during the stream"):
        if f.fault_code == "timeout":
            yield at(f, what="POST tools/list, sent meanwhile, had no answer")
            return
    at_once = min((f.waited for f in ev.plain), default=0.0)
    takes_preflights = any(f.preflight is not None and f.url == ev.href for f in ev.fetches)
    for stream, f in pairwise(ev.fetches):
        is_open = stream.step == "GET stream of 2024" and stream.status == 200 and not stream.is_ended
        is_silent = f.fault_code == "timeout" and takes_preflights
        if is_open and f.waited > LATE > 4 * at_once and (is_silent or f.fault is None):
            # The server notices that the stream is closed only when it writes to it again.
            yield at(f, revision="", what=f"the next request waited {f.waited:.0f} seconds, others none")
            return


def _is_unended(f: Fetched) -> bool:
    rest = f.body.replace(b"\r\n", b"\n").rpartition(b"\n\n")[2]
    return _is_stream(f) and b"data:" in rest and rest.endswith(b"\n")


def _is_not_404(f: Fetched) -> bool:
    return f.status is not None and f.status >= 400 and f.status != 404 and b"session" in f.body.lower()


#: Statuses that are right for GET and DELETE, or that other rows report.
_FAIR = (400, 401, 403, 405, 429, 502, 503, 504)


def _is_not_405(f: Fetched) -> bool:
    return f.status is not None and 400 <= f.status < 600 and f.status not in _FAIR


def _question_blocked(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("first question"):
        others = (g for g in ev.fetches if g.origin == f.origin and g.url == ev.href and g.weight and g.preflight)
        if f.blocked is not None and any(not g.failed_at_preflight for g in others):
            yield at(f)


def _negotiated(ev: Evidence) -> Fits:
    for f in ev.plain:
        version = (f.result or {}).get("protocolVersion")
        if any(r.name == version and r.name != f.revision and "DELETE" in r.methods for r in ev.revisions[:1]):
            return {"asked": f.revision, "version": version}
    return False


def _old_only(ev: Evidence) -> Fits:
    oldest = ev.revisions[0]
    is_spoken = oldest.is_two_endpoints and ev.speaks(oldest)
    return is_spoken and not any(ev.speaks(r) for r in ev.revisions[1:]) and {"url": ev.href}


def _old_dead(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("message of 2024", "message of 2024, behind"):
        is_dead = f.status is not None and f.status >= 400
        if is_dead and (f.step == "message of 2024" or f.status in (404, 405, 410)):
            url = f.url.partition("?")[0]
            prefix = ev.url.target.partition("?")[0].rpartition("/")[0] or "/prefix"
            yield at(f, url=url, own=ev.href, prefixed=f"such as {prefix}{url.removeprefix(ev.url.origin)}")


def _old_silent(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("GET stream of 2024"):
        sent = ev.first("message of 2024", origin=f.origin)
        is_taken = sent is not None and sent.status is not None and 0 < sent.status < 400
        if f.origin and sent is not None and is_taken and b"result" not in f.body:
            yield at(f, url=sent.url)


_REPLACED = (
    "{url} answers 200 with an HTML page instead of an error (for a broken body, an unknown session or GET without a "
    f"stream), and without {ALLOW_ORIGIN}. Something in front replaces the server's errors by its page."
)


def _unreadable_error(sentence: str, fix: str, *steps: str) -> Seen:
    def seen(ev: Evidence) -> Iterator[Values]:
        for f in ev.of(*steps):
            is_unread = f.blocked is not None and not f.failed_at_preflight
            if not is_unread or CONNECTS not in ev.verdicts.values() or f.last_status in (None, 429):
                continue
            what = ("an " if f.step[0] in "aeiou" else "a ") + f.step
            is_page = f.last_status == 200 and "html" in f.network_headers.get("Content-Type", "")
            if f.step != "unknown path" and is_page:
                yield at(f, sentence=_REPLACED.format(url=ev.href), fix=PASS_ERRORS, topic="")
            else:
                yield at(f, sentence=sentence.format_map(at(f, what=what)), fix=fix.format_map(at(f)))

    return seen


def _no_conversation(ev: Evidence) -> Iterator[Values]:
    for origin in {origin for origin, _ in ev.verdicts}:
        verdicts = {verdict for (about, _), verdict in ev.verdicts.items() if about == origin}
        if not verdicts & {CONNECTS, "log in first"}:
            yield {"origin": origin}


def _not_asked(ev: Evidence) -> Iterator[Values]:
    of: dict[str, list[str]] = {}
    for what in dict.fromkeys(ev.not_asked):
        name, _, origin = what.partition(" from ")
        of.setdefault(origin, []).append(name)
    if of:
        groups = (", ".join(names) + (f" from {origin}" if origin else "") for origin, names in of.items())
        yield {"what": "; ".join(groups)}


def _localhost_twice(ev: Evidence) -> Iterator[Values]:
    for f in ev.found("localhost_twice"):
        other = next(ev.found("localhost_other"), None)
        if other is None:
            yield {"what": f.what, "who": "; if there are two servers, that may be the wrong one"}
        else:
            who = f", and it is another program: it answers POST initialize with {other.url}. MCP is at 127.0.0.1"
            yield {"what": f.what, "who": who, "severity": Severity.ERROR}


def _in_safari(ev: Evidence, page: Fact) -> Values:
    is_refused = page.origin.startswith("https:") and ev.url.scheme == "http"
    return {"safari": " Safari never lets an HTTPS page call http: URLs." if is_refused else ""}


WAYS: dict[str, Observation] = {
    "port_blocked": error(
        fact("port_blocked"),
        "Browsers block port {what}, because it belongs to another protocol.",
        "listen on another port, such as 8000",
    ),
    "unspecified_address": warning(
        fact("unspecified_address"),
        "{what} is an address to listen on, not one to call; browsers refuse it from other sites.",
        "write http://127.0.0.1",
    ),
    "mixed_content": error(
        fact("mixed_content"),
        "The page is HTTPS and {own} is not: mixed content. The browser sends nothing.",
        "serve MCP over HTTPS; only Chromium and Firefox let an HTTPS page call http: at loopback addresses",
        explains=EVERYTHING,
    ),
    "localhost_twice": note(
        _localhost_twice,
        "Something listens at ::1 port {what} and at 127.0.0.1 port {what}. Browsers try ::1 first and reach that "
        "server{who}.",
        "write 127.0.0.1:{what} to be sure",
    ),
    "localhost_once": note(
        fact("localhost_once"),
        "localhost is ::1 (IPv6) and 127.0.0.1; this server listens only at {what}. Some clients try only one of them.",
        "write {what}, or listen at both",
    ),
    "local_network_insecure": warning(
        fact("local_network_insecure"),
        "A public page may call this machine or a private network only if it is HTTPS: for an http: page, Chromium "
        "refuses without asking the person (Local Network Access).",
        "serve the page over HTTPS",
    ),
    "local_network_access": note(
        fact("local_network_access", _in_safari),
        "{url} is loopback or private: before a public page may call it, Chromium asks the person (Local Network "
        "Access).{safari}",
        "tell people to allow it: until then a fetch hangs or fails; or serve MCP at a public HTTPS address",
    ),
    "session_id_hidden": error(
        each("initialize", where=_session_hidden),
        f"The answer to initialize has Mcp-Session-Id, but JavaScript cannot read it ({EXPOSE_HEADERS}: "
        f"{{exposed}}): the client goes on without its session, and the server does not recognise it.",
        f"send {EXPOSE_HEADERS}: Mcp-Session-Id with every response",
        "expose",
        ("no_result", "response_without_cors"),
    ),
    "preflight_slow": warning(
        once(_preflight_slow),
        "Each preflight (OPTIONS {url}) takes {seconds} seconds or more, POST {posted}: something delays OPTIONS.",
        "find what treats OPTIONS differently: a look-up, a time limit, a delay for requests that fail",
        "preflight",
    ),
    "body_not_utf8": warning(
        each("initialize", "tools/list", where=_is_not_utf8),
        "The answer to {name} is not in UTF-8 ({type}): JavaScript decodes JSON always as UTF-8, so characters are "
        "lost.",
        "send JSON in UTF-8",
    ),
    "session_lost": error(
        _session_lost,
        "Only some workers know the session: {lost} of {all} requests, each on a new connection, got {status}. A "
        "worker or instance that did not open the session answered them.",
        SHARE_SESSIONS,
        explains=("no_result", "session_not_received", "delete_not_405"),
    ),
    "stream_delayed": warning(
        _stream_delayed,
        "The GET stream of {url} {what}: something buffers it. Clients get nothing until then, and may give up.{ends}",
        "send the headers at once, with a comment line, and flush each event; switch buffering off",
        "stream",
    ),
    "stream_compressed": warning(
        _stream_compressed,
        "Compression holds back the events of the GET stream ({coding}). Many servers compress only for clients that "
        "accept it, such as browsers, so curl gets each event at once.",
        "do not compress text/event-stream, or flush the compressor after each event",
        "stream",
    ),
    "stream_blocks": error(
        _stream_blocks,
        "While the GET stream is open, {url} answers nothing else: {what}. A worker serves one request at a time, and "
        "clients keep the stream open.",
        "serve with threads or an asynchronous server (gunicorn: --threads 8; PHP: more workers), or answer GET with "
        "405",
        explains=("message_unanswered",),
    ),
    "event_unended": warning(
        each("GET stream", where=_is_unended),
        "An event of the GET stream has no empty line at its end: browsers deliver it only when the next one comes.",
        "end each event with an empty line (two line ends), and flush",
        "stream",
    ),
    "get_not_405": warning(
        each("GET stream", where=_is_not_405),
        "GET {url} is answered {status}. A server without a stream must answer 405: clients treat anything else as an "
        "error.",
        "answer GET with 405 Method Not Allowed",
    ),
    "delete_not_405": warning(
        each("DELETE of the session", where=_is_not_405),
        "DELETE {url}, which ends the session, is answered {status}. A server that does not let clients end sessions "
        "must answer 405: the official TypeScript client throws an error at anything else.",
        "answer DELETE with 200 or 204, or with 405 Method Not Allowed",
    ),
    "unknown_session_not_404": note(
        each("unknown session", where=_is_not_404),
        "A message of an unknown session is answered {status}, but MCP requires 404: a client whose session has ended "
        "begins a new one only at 404.",
        "answer messages of unknown sessions with 404",
    ),
    "get_not_stream": warning(
        each("GET stream", where=lambda f: f.status == 200 and not _is_stream(f)),
        "GET {url} is answered 200 with content-type {type}: a page or JSON, and not an event stream.",
        "answer GET with a stream (Content-Type: text/event-stream), or with 405",
    ),
    "question_blocked": note(
        _question_blocked,
        "The server does not speak {revision}. A client that asks for it first gets a CORS error instead of the "
        "server's answer. The official TypeScript client then tries an older revision; others may give up.",
        "allow MCP-Protocol-Version, Mcp-Method and Mcp-Name as request headers",
    ),
    "params_not_allowed": note(
        each("params", where=lambda f: f.weight is None and f.blocked is not None),
        "No tool of {url} has an x-mcp-header yet. A call of a tool with one sends Mcp-Param-*, which is refused.",
        "allow the names of your tools' parameters; MCPCors allows all Mcp-Param-*",
    ),
    "version_negotiated": note(
        once(_negotiated),
        "The server speaks Streamable HTTP, but answers a request for {asked} with {version}, a revision that is older "
        "than that transport. The official clients accept it.",
        f"update the server: {NEWEST_WITH_SESSIONS.name} has been published since",
    ),
    "old_transport_dead": error(
        _old_dead,
        "The stream of 2024-11-05 (HTTP+SSE) at {own} names the endpoint {url} for messages, and POST there is "
        "answered {status}.",
        "let the endpoint event name the path that accepts messages; behind a prefix: with the prefix, {prefixed} "
        "(Python SDK: root_path or the mount path; TypeScript SDK: the path given to SSEServerTransport); or serve "
        "Streamable HTTP",
        explains=EVERYTHING,
    ),
    "old_transport_silent": error(
        _old_silent,
        "The stream of 2024-11-05 (HTTP+SSE) opens and {url} accepts messages, but no answer comes over the stream.",
        "send each answer as a message event on the stream; with several workers, from the one that holds it",
        explains=EVERYTHING,
    ),
    "old_transport": warning(
        once(_old_only),
        "{url} speaks only the transport of 2024-11-05 (HTTP+SSE): newer clients fall back to it, or fail.",
        "update the server to Streamable HTTP; keep this URL (often /sse) for old clients",
    ),
    "error_without_cors": warning(
        _unreadable_error(
            f"The {{status}} for {{what}} lacks {ALLOW_ORIGIN}: JavaScript gets a CORS error instead.",
            f"send {ALLOW_ORIGIN}: {{origin}} on every response, errors such as this {{status}} too: add the headers "
            "before anything that may fail",
            "broken body",
            "unknown session",
        ),
        "{sentence}",
        "{fix}",
        "every",
    ),
    "path_without_cors": note(
        _unreadable_error(
            f"The {{status}} for an unknown path ({{url}}) lacks {ALLOW_ORIGIN}: a client with a wrong URL sees a "
            "CORS error.",
            f"send {ALLOW_ORIGIN} with every response, the {{status}} of unknown paths too",
            "unknown path",
        ),
        "{sentence}",
        "{fix}",
    ),
}

#: The last findings of a report.
ENDS: dict[str, Observation] = {
    "no_conversation": error(
        _no_conversation,
        "No conversation succeeds, in any revision, though CORS allows them.",
        "see the server's log",
    ),
    "not_asked": note(
        _not_asked,
        "There was no time for: {what}.",
        "run it again with a higher --total",
    ),
}
