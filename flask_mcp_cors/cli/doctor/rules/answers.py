"""Failures at the message: its preflight passed or was not needed, and its answer is not what a client needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ....core.headers import ALLOW_ORIGIN
from ...findings import Severity
from ...terminal import printable
from ..evidence import CONNECTS
from ..evidence import is_login_error
from ..evidence import lost_in
from ..evidence import sessions_asked
from ..messages import beside_json
from ..messages import events
from ..messages import LENIENT_FAULTS
from ..messages import malformed
from ..messages import REVISIONS
from ..stacks import own_page_of
from .rule import ANSWER_401
from .rule import Case
from .rule import Failure
from .rule import fatal
from .rule import Fits
from .rule import of_messages
from .rule import PASS_ERRORS
from .rule import SEND_ORIGIN
from .rule import SHARE_SESSIONS

_CSRF_WORDS = re.compile(r"csrf|forgery|authenticity.?token|cross-origin request detected", re.IGNORECASE)
#: A router's 404 that names the path it was asked for.
_ASKED_PATH = re.compile(r"Cannot (?:POST|GET) (/[^\s<]*)")
_TLS_WORDS = re.compile(r"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server|requires TLS", re.I)
_VERSION_WORDS = re.compile("protocol.?version", re.IGNORECASE)
_SESSION_WORDS = re.compile("session|not initialized", re.IGNORECASE)
_LOGIN_WORDS = r"log ?in|sign ?in|password|anmeld"
_OWN_LIST = (
    "add the page's origin to the server's own list of origins too (MCP SDKs: allowed_origins / allowedOrigins of "
    "their transport security)"
)


def _csrf(c: Case) -> Fits:
    if c.status not in (400, 403, 419, 422) or not (found := _CSRF_WORDS.search(c.text)):
        return False
    if "cross-origin" in found[0].lower():
        trust = f"; or trust {c.f.origin} in it (Go: CrossOriginProtection.AddTrustedOrigin)"
        return {"why": "which looks at Origin and Sec-Fetch-Site", "trust": trust}
    return {"why": "which requires a token from a form, and an MCP client has none", "trust": ""}


def _changed_header(c: Case) -> Fits:
    names = {406: "Accept", 415: "Content-Type"}
    return {"header": names[c.status]} if c.f.sent and c.status in names else False


def _has_no_cors(c: Case) -> bool:
    return not c.is_preflight and c.lacks_allow_origin


def _server_error(c: Case) -> Fits:
    if c.is_preflight or c.status < 500:
        return False
    if not c.f.blocked:
        return {"unreadable": "", "readable": "", "topic": ""}
    unreadable = f", without {ALLOW_ORIGIN}, so the console blames CORS"
    return {"unreadable": unreadable, "readable": "; to make errors readable, send the CORS headers on every response"}


def _unreadable(c: Case) -> Fits:
    if not _has_no_cors(c):
        return False
    if c.is_login:
        order = f"send {ALLOW_ORIGIN}: * for {c.f.url}: it is public, and uses no cookies (PUBLIC_METADATA)"
        return {"only": "", "order": order, "topic": ""}
    if c.is_html and c.others_have_cors and c.f.method != "POST":
        # The page of another layer: CORS headers on it would not help.
        if c.status in (403, 405):
            only = f": {c.proxy} or another layer in front refuses {c.f.method} with a page of its own"
            order = f"let {c.proxy} pass {c.f.method} {c.f.url} on to the server: look for a list of methods"
            return {"only": only, "order": order, "topic": ""}
        if c.status == 200 and c.f.method == "GET":
            return {"only": ": an HTML page instead of a stream or a 405", "order": PASS_ERRORS, "topic": ""}
    such = f"errors such as this {c.status} and streams too" if c.status >= 400 else f"this {c.status} and errors too"
    order = f"{SEND_ORIGIN.format(origin=c.f.origin)} on every response, {such}"
    if c.status < 400 and "nginx" in c.stacks:
        # For this status add_header needs no "always".
        order += "; a location or if with an add_header of its own drops those of the outer block: repeat them in it"
        return {"only": "", "order": order, "topic": ""}
    if c.others_have_cors:
        return {"only": "; other answers of the server have it", "order": order}
    if any(f.preflight for f in c.evidence.fetches if f.origin == c.f.origin):
        only = "; only the answer to the preflight has it: the CORS code handles OPTIONS only, or runs after the route"
        order += ": apply CORS before the routes, and to what bypasses the framework, such as streams"
        return {"only": only, "order": order}
    return {"only": "", "order": order}


def _needs_cookie(c: Case) -> Fits:
    """Is the message served only with the cookie that ``initialize`` sets?"""
    if c.status < 400 or (served := c.served("with its cookie")) is None:
        return False
    return {"cookie": served.exchanges[-1].request.headers.get("Cookie", "").partition("=")[0]}


def _forbidden(c: Case) -> Fits:
    if c.status != 403 or c.f.origin or c.evidence.token is not None or c.is_preflight:
        return False
    layer = "find the layer (firewall, deny rule, allow list) that refuses them"
    if c.is_html:
        guess = f"The answer is an HTML page: {c.proxy} or another layer refuses it before the MCP server sees it."
        return {"guess": guess, "order": f"{layer} in {c.proxy}; if a login is required: {ANSWER_401}"}
    guess = "If the server requires a login, it must answer 401: a client starts its login only then."
    return {"guess": guess, "order": f"{ANSWER_401}; if no login is required, {layer}"}


def _page_in_place(c: Case) -> Fits:
    if not c.f.sent or c.f.is_rejected or not c.is_html or c.status >= 400:
        return False
    title = re.search(r"<(title|h1)[^>]*>([^<]*)", c.text, re.IGNORECASE)
    words = title[2] if title else re.sub(r"<[^>]*>", " ", c.text)
    return {"words": " ".join(words.split())[:80]}


def _no_result(c: Case) -> Fits:
    """Everything that no other row explains."""
    if c.f.is_rejected:
        return False
    what, fix = f"does not get a result: {c.quoted}", "see the server's log: this is not CORS"
    method = (c.f.sent or {}).get("method")
    if "event-stream" in c.headers.get("Content-Type", "") and not c.f.is_ended:
        what = "gets an event stream, and no response to it comes in that stream"
        fix = "send the response to a POST in the stream that answers it, not in the GET stream, and end that stream"
    elif method not in (None, "initialize") and isinstance((c.f.message or {}).get("error"), dict):
        fix = f"implement {method}, or leave it out of the capabilities; send JSON-RPC errors with status 200"
    return {"what": what, "fix": fix}


def _second_list(c: Case) -> Fits:
    # If it is served with its Origin and without a browser's other headers, Origin is not the cause.
    if c.is_preflight or not c.f.origin or c.f.step == "behind" or c.is_answered_behind:
        return False
    if c.f.is_rejected:
        # Without Origin the same message is served, so Origin is the cause.
        return _has_no_cors(c) and c.status == 403 and c.is_posted and bool(c.f.sent)
    return c.status in (403, 421) and c.f.step != "notifications/initialized"


def _session_refused(c: Case) -> Fits:
    if c.status not in (400, 404) or not c.f.sent or c.f.step == "initialize" or not _SESSION_WORDS.search(c.text):
        return False
    named = c.f.exchanges[-1].request.headers.get("Mcp-Session-Id", "")
    if named.lower() in ("null", "undefined", "none"):
        what = f"the answer to initialize has Mcp-Session-Id: {named}, which is not a valid id"
        fix = "make an id for each session when it is opened, and send that in Mcp-Session-Id"
    elif not named:
        what = "the answer to initialize has no Mcp-Session-Id: something in front removes it, or the server sends none"
        fix = f"let {c.proxy} pass on Mcp-Session-Id of the responses (nginx: no proxy_hide_header), or send it"
    elif CONNECTS in c.evidence.verdicts.values() or any(map(lost_in, sessions_asked(c.evidence))):
        what, fix = "other sessions are served: only the worker that opened a session knows it", SHARE_SESSIONS
    elif "not initialized" in c.text.lower():
        what = "it carries the Mcp-Session-Id of initialize: the server has not kept that session"
        fix = (
            "keep the transport of each session and find it by Mcp-Session-Id, instead of making a new one for each "
            "request (TypeScript SDK: a map of transports; or stateless: sessionIdGenerator: undefined); with several "
            f"workers: {SHARE_SESSIONS}"
        )
    else:
        cause = "no worker keeps that session" if c.status == 404 else "something in front removes that header"
        what = f"it carries the Mcp-Session-Id of initialize: {cause}"
        fix = f"let {c.proxy} pass on the request header Mcp-Session-Id; keep sessions where every worker finds them, "
        fix += "or route by Mcp-Session-Id"
    return {"what": what, "fix": fix}


def _is_page(c: Case, words: str = "") -> bool:
    return c.is_first_plain and c.is_html and c.status < 400 and bool(re.search(words, c.text, re.IGNORECASE))


def _is_unsaid(c: Case) -> bool:
    challenge = c.headers.get("WWW-Authenticate", "")
    return "bearer" in challenge.lower() and "error=" not in challenge


def _no_mcp(c: Case) -> Fits:
    if not c.is_first_plain:
        return False
    message, url = c.f.message or {}, c.f.url
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict) and error.get("code") == -32700:
        what = f"{url} answers valid JSON with a parse error (-32700): the body of initialize gets lost"
        fix = "pass on the body that was read before (Express with express.json(): handleRequest(req, res, req.body)), "
        return {"what": what, "fix": f"{fix}and see whether a proxy drops it"}
    if isinstance(error, dict):
        words = printable(str(error.get("message")), 80)
        what = f'{url} speaks JSON-RPC, but answers initialize with the error "{words}"'
        fix = "this is another service with JSON-RPC, or an MCP server without initialize: give the URL of the MCP "
        return {"what": what, "fix": f"{fix}endpoint (port and path)"}
    if "result" in message:
        what = f"{url} speaks JSON-RPC, but the result of initialize has no protocolVersion"
        is_named = isinstance(result, dict) and isinstance(result.get("protocolVersion"), str)
        fix = "answer initialize with protocolVersion, capabilities and serverInfo"
        return not is_named and {"what": what, "fix": fix}
    what = f"{url} does not answer MCP messages, even without a browser: POST initialize gives {c.quoted}"
    path, elsewhere = c.evidence.url.target.partition("?")[0], c.evidence.elsewhere
    if (asked := _ASKED_PATH.search(c.text)) and asked[1] != path:
        what += f". The server behind got the path {asked[1]} instead of {path}: {c.proxy} cuts the path"
        fix = f"let {c.proxy} pass on the whole path (nginx: proxy_pass without a path; Caddy: handle and not "
        return {"what": what, "fix": fix + "handle_path)" + (f", or give clients {elsewhere}" if elsewhere else "")}
    if elsewhere is not None:
        return {"what": what, "fix": f"check the path: MCP answers at {elsewhere}, so give clients that URL"}
    if proxy := own_page_of(c.body):
        what += f". That is {proxy}'s own answer: the request does not reach a server behind it"
        return {"what": what, "fix": f"pass {path} on to the MCP server in {proxy} (nginx: a location with proxy_pass)"}
    often = "" if path.rstrip("/").endswith("/mcp") else ", often …/mcp"
    return {"what": what, "fix": f"check the path: the URL must be that of the MCP endpoint{often}"}


def _unknown_version(c: Case) -> Fits:
    version = (c.f.result or {}).get("protocolVersion")
    return {"version": version} if c.is_first_plain and isinstance(version, str) else False


REFUSALS: dict[str, Failure] = {
    "csrf": of_messages(
        _csrf,
        "{name} is refused by a CSRF check ({quoted}), {why}.",
        "exempt the MCP endpoint from the CSRF check, if it validates Origin and does not accept cookies{trust}",
        "csrf",
    ),
    "status_wrong": fatal(
        lambda c: bool(c.f.sent) and c.f.status is not None and c.f.status >= 400 and c.f.result is not None,
        "The answer to {name} contains a result, but its status is {status}: clients treat that as an error.",
        "send results with the status 200",
    ),
    "server_error": fatal(
        _server_error,
        "{name} ends in a server error ({quoted}){unreadable}. This is not CORS: the application fails.",
        "see the server's log for the exception{readable}",
        "every",
    ),
    "request_refused": of_messages(
        _second_list,
        "CORS lets the page through, but {name} is refused for its Origin: {quoted}.",
        _OWN_LIST,
    ),
    "response_without_cors": Failure(
        _unreadable,
        f"The response to {{name}} ({{url}}, {{status}}) lacks {ALLOW_ORIGIN}, so JavaScript gets neither status nor "
        f"body{{only}}.",
        "{order}",
        "every",
    ),
    "challenge_unreadable_too": Failure(
        lambda c: c.f.step.startswith("behind") and c.status == 401,
        f"Besides the preflight, the 401 to POST initialize lacks {ALLOW_ORIGIN} too: JavaScript cannot read it, and "
        "no login starts.",
        f"{SEND_ORIGIN} on every response, the 401 too: put CORS before the login",
        "every",
    ),
    "token_not_received": of_messages(
        lambda c: c.status == 401 and c.evidence.token is not None and _is_unsaid(c),
        "{name} with the token is answered 401 as without one: the challenge has no error, so the token may not have "
        "arrived. The usual cause is a proxy or server in front that drops Authorization.",
        "let {proxy} forward Authorization (mod_wsgi: WSGIPassAuthorization On; CGI: CGIPassAuth On); if it does, "
        "check whether the token is for this server",
        "proxy_headers",
    ),
    "token_refused": of_messages(
        lambda c: c.status == 401 and c.evidence.token is not None,
        "{url} does not accept the token: {name} is answered {quoted}.",
        "pass a valid one in --token",
    ),
    "forbidden_without_token": of_messages(
        _forbidden,
        "{name} without a browser, with neither token nor Origin, is answered {quoted}. {guess}",
        "{order}",
    ),
    "request_refused_too": Failure(
        lambda c: c.f.step == "behind",
        "Besides the preflight, the message itself is refused for its Origin too: {quoted}.",
        _OWN_LIST,
    ),
}

ANSWERS: dict[str, Failure] = {
    "tls_expected": fatal(
        lambda c: c.status == 400 and bool(_TLS_WORDS.search(c.text)),
        "{name} is answered 400: the port expects TLS (HTTPS), but the URL says http:.",
        "write https: in the URL",
    ),
    "answer_empty": fatal(
        lambda c: bool(c.f.sent) and not c.f.is_rejected and 200 <= c.status < 300 and not c.f.body.strip(),
        "{name} is answered {status} with an empty body: the client waits for its result.",
        "answer a request (a message with an id) with 200 and a JSON-RPC response; 202 is for notifications. If every "
        "path gets this answer, give the path of {url} a route, in {proxy} too. If the response goes elsewhere, such "
        "as to a stream or a log, return it",
    ),
    "request_header_changed": fatal(
        _changed_header,
        "{name} is answered {quoted}, though the client sent {header} as MCP requires: something on the way changes "
        "it, or the server requires another.",
        "let {proxy} pass {header} on as it came; accept application/json with text/event-stream (Accept) and "
        "application/json (Content-Type)",
    ),
    "session_single": fatal(
        lambda c: c.f.step == "initialize" and c.status >= 400 and not c.is_preflight and c.evidence.is_single,
        "{name} was answered a moment ago, and is refused now ({quoted}): the server has a single session or "
        "transport for everybody.",
        "make a transport for each session when initialize comes without Mcp-Session-Id (MCP SDKs: a map of transports "
        "by session id; or a stateless one for each request)",
    ),
    "session_in_cookie": Failure(
        _needs_cookie,
        "{name} is refused ({quoted}), but served with the cookie that initialize sets ({cookie}): the server keeps "
        "the session in a cookie. Pages do not send it to another origin, and MCP clients do not keep it.",
        "send the id of the session in Mcp-Session-Id with the answer to initialize, and find it by that header",
        explains=("no_result",),
    ),
    "session_not_received": Failure(
        _session_refused,
        "{name} is refused for its session ({quoted}), and {what}.",
        "{fix}",
        explains=("no_result", "delete_not_405"),
    ),
    "version_refused": Failure(
        lambda c: (
            c.status == 400 and (bool(_VERSION_WORDS.search(c.text)) or c.served("without its version") is not None)
        ),
        "{name} is refused for its protocol version, on which initialize has agreed ({quoted}).",
        "accept every version that initialize agrees on in MCP-Protocol-Version, and messages without that header",
    ),
    "notification_refused": Failure(
        lambda c: c.f.step == "notifications/initialized" and c.status >= 400,
        "{name} is refused ({quoted}): clients stop there.",
        "answer notifications with 202 and no body",
    ),
    "login_page": fatal(
        lambda c: _is_page(c, _LOGIN_WORDS),
        "{name} without a token is answered {status} with an HTML page that asks to log in, instead of 401.",
        "answer 401 with WWW-Authenticate: Bearer, not a page",
    ),
    "not_mcp_page": fatal(
        _is_page,
        "{url} does not answer MCP messages: {name} gives {status} and an HTML page, as a single-page app or a web "
        "server does for every path.",
        "check the URL and its path: it must be that of the MCP endpoint, often …/mcp; let the proxy or development "
        "server route that path to the MCP server",
    ),
    "error_in_place_of_401": fatal(
        lambda c: c.evidence.token is None and not c.is_preflight and is_login_error(c.f),
        "{name} without a token is answered {quoted}: a JSON-RPC error, where the status must be 401. A client starts "
        "its login only at 401.",
        ANSWER_401,
    ),
    "not_mcp": fatal(
        _no_mcp,
        "{what}.",
        "{fix}",
    ),
    "version_unknown": fatal(
        _unknown_version,
        "initialize is answered with the protocol version {version}, which clients do not know.",
        f"answer with the version that the client asks for, or another of {', '.join(r.name for r in REVISIONS)}",
    ),
    "page_in_place": Failure(
        _page_in_place,
        '{name} is answered {status} with an HTML page instead of JSON ("{words}"): a bot protection, an error page '
        "or a login answers instead of the server.",
        "exempt {url} from what sends that page, in {proxy} or in the app; send errors as JSON, with a status of 400 "
        "or more",
        explains=("no_conversation",),
    ),
    "no_result": Failure(
        _no_result,
        "{name} {what}.",
        "{fix}",
    ),
    "cors_error": Failure(lambda c: True, "{console}", "see the browser's console"),
}


def _fault(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        if c.f.is_rejected or not c.f.sent or c.f.reading.fault != code:
            return False
        kind = c.headers.get("Content-Type", "")
        length = c.headers.get("Content-Length")
        counts_letters = length == str(len(c.f.body)) and not c.f.body.isascii()
        is_stream = c.text.startswith(("data:", "event:", "id:"))
        return {
            "type": c.f.headers.get("content-type", "") or "missing",
            "id": c.f.sent.get("id"),
            "given": json.dumps((c.f.message or {}).get("id")),
            "beside": beside_json(c.text),
            "kind": "an event stream" if is_stream else "JSON",
            "framed": "" if is_stream or "event-stream" not in kind else "; or begin each line with data:",
            "due": "text/event-stream" if is_stream else "application/json",
            "event": ", ".join(kind for kind, _ in events(c.f.body) if kind != "message"),
            "letters": " It ends at its Content-Length, which seems to count characters." if counts_letters else "",
            "what": malformed(str(c.f.sent.get("method")), c.f.result),
        }

    return seen


#: Code → sentence and cure.
_ROWS = {
    "body_short": (
        "The answer to {name} is shorter than its Content-Length: it is incomplete.",
        "send the length of the encoded body as Content-Length, or leave it out; see the log for what interrupts it",
    ),
    "json_twice": (
        "The answer to {name} is a JSON string with the JSON of the answer in it: it is encoded twice.",
        "return the object and not its text (FastAPI, Flask: no json.dumps before JSONResponse or jsonify)",
    ),
    "json_surrounded": (
        "The answer to {name} has other text beside the JSON ({beside}), so clients cannot parse it.",
        "keep everything else out of the body: warnings (PHP: display_errors off), print(), a log to stdout",
    ),
    "json_cut": (
        "The answer to {name} is JSON that is cut off: it cannot be parsed.{letters}",
        "send the whole body: Content-Length counts bytes, not characters (Node: Buffer.byteLength, Python: "
        "len(text.encode())); see the log, and the limits of buffers on the way",
    ),
    "answer_unended": (
        "The event that answers {name} has no empty line at its end, so browsers never deliver it.",
        "end each event with an empty line (two line ends), and flush",
    ),
    "content_type_wrong": (
        "The answer to {name} is {kind}, but its Content-Type is {type}: clients refuse that.",
        "send Content-Type: {due}{framed}",
    ),
    "envelope_missing": (
        "The answer to {name} is a bare result without the JSON-RPC envelope.",
        'wrap it: {{"jsonrpc": "2.0", "id": …, "result": …}}',
    ),
    "jsonrpc_missing": (
        'The answer to {name} lacks "jsonrpc": "2.0", so clients do not accept it as a message.',
        'add "jsonrpc": "2.0" to every answer',
    ),
    "answer_in_array": (
        "The answer to {name} is in an array, a batch, which MCP has not allowed since 2025-06-18.",
        "answer with a single object",
    ),
    "id_is_text": (
        "The answer to {name} has the id {id} of the request as a string, and not as the number that was sent.",
        "answer with the id exactly as it came",
    ),
    "id_differs": (
        "The answer to {name} has the id {given} and not the request's ({id}), so the client waits forever.",
        "answer with the id of the request",
    ),
    "json_nan": (
        "The answer to {name} contains NaN or Infinity, which is not JSON: JSON.parse throws in every client.",
        "write null instead of NaN and Infinity (Python: json.dumps(…, allow_nan=False) finds them)",
    ),
    "json_invalid": (
        "The answer to {name} has the Content-Type {type}, but it is not JSON ({start}).",
        "write JSON (Python: json.dumps and not str), and nothing else to the body",
    ),
    "event_named": (
        "The event that answers {name} has another type than message (event: {event}). Clients read only message "
        "events, so they wait forever.",
        "leave the event: line out, or write event: message",
    ),
    "event_not_json": (
        "The event that answers {name} has no valid JSON ({start}).",
        "write the JSON on one line, or begin each of its lines with data:",
    ),
    "result_and_error": (
        'The answer to {name} has both "result" and "error". JSON-RPC allows one of them; the official TypeScript '
        "client drops the answer and waits.",
        'leave "error" out of an answer that has a result, even if it is null',
    ),
    "result_malformed": (
        "The result of {name} does not conform to the MCP schema, so clients refuse it: {what}.",
        "write it as the MCP schema requires (in PHP an empty array becomes []: write new stdClass for an object)",
    ),
}

MESSAGES = {
    code: Failure(_fault(code), sentence, cure, severity=Severity.WARNING)
    if code in LENIENT_FAULTS
    else fatal(_fault(code), sentence, cure)
    for code, (sentence, cure) in _ROWS.items()
}
