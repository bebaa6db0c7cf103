"""Why a fetch was rejected, and what to change: from the console's words to a finding."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...core.headers import ALLOW_HEADERS
from ...core.headers import ALLOW_METHODS
from ...core.headers import ALLOW_ORIGIN
from ...testing import CORSError
from ...testing import CORSErrorReason as R
from ...testing import NetworkResponse
from ...testing.errors import CORSFailure
from ...testing.preflight import Answer
from ...testing.preflight import Question
from ...testing.quirks import QUIRKS
from ..findings import Finding
from ..findings import Severity
from ..terminal import printable
from .fronts import front_of
from .messages import REVISIONS
from .page import Fetched

_ANSWER_FIRST = (
    "let nothing come before CORS: answer OPTIONS with Origin and Access-Control-Request-Method at once, with 2xx and "
    "the Access-Control-Allow-* headers (MCPCors and CORSMiddleware do)"
)

#: Browsers send names in lower case; this is how MCP writes them.
_WRITTEN = {name.lower(): name for revision in REVISIONS for name in revision.header_names}

_NO_ALLOW_ORIGIN = {R.MISSING_ALLOW_ORIGIN_HEADER, R.PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER}
_MULTIPLE = {R.MULTIPLE_ALLOW_ORIGIN_VALUES, R.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES}
_WRONG = {
    R.ALLOW_ORIGIN_MISMATCH,
    R.PREFLIGHT_ALLOW_ORIGIN_MISMATCH,
    R.INVALID_ALLOW_ORIGIN_VALUE,
    R.PREFLIGHT_INVALID_ALLOW_ORIGIN_VALUE,
}


def diagnose(fetched: Fetched, origin: str, severity: Severity = Severity.ERROR, says: str = "") -> Finding:
    """The finding for a fetch that was rejected.

    :param says: what stands in the body of a refused preflight. No browser shows it.
    """
    if fetched.fault is not None:
        return Finding(fetched.fault.code, severity, "", fetched.fault.sentence, fetched.fault.fix)
    if fetched.barred is not None and fetched.location is None:
        words = f"The browser rejects this, and not for CORS: {printable(fetched.barred, 1000)}"
        return Finding("barred", severity, "", words, "use another URL")
    console = None if fetched.blocked is None else printable(fetched.blocked.console_message, 1000)
    response = fetched.exchanges[-1].response
    if (front := front_of(response)) is not None:
        return Finding(front.code, severity, "", front.sentence, front.fix, console)
    if fetched.blocked is None or fetched.location is not None:
        return redirected(fetched, severity, console)
    code, sentence, fix = _explained(fetched.blocked, fetched, response, origin, says)
    return Finding(code, severity, "", sentence, fix, console)


def redirected(fetched: Fetched, severity: Severity = Severity.ERROR, console: str | None = None) -> Finding:
    """The finding for a request that is sent elsewhere. Pages that follow may get there; MCP clients do not."""
    location = printable(fetched.location or "")
    status = "" if fetched.network is None else f" ({fetched.network.status})"
    words = (
        f"{fetched.method} is redirected{status} to {location or 'no place at all'}. Both official TypeScript clients "
        'fetch with redirect: "manual" and stop there.'
    )
    fix = "answer here, without a redirect; in place of a login page answer 401"
    if _is_same_place(fetched.url, location):
        fix = f"give clients that URL: {location}"
    return Finding("redirected", severity, "", words, fix, console)


def _is_same_place(url: str, location: str) -> bool:
    """Do these differ in nothing but scheme, port and last slash?"""
    try:
        one, other = urlsplit(url), urlsplit(location)
    except ValueError:
        return False
    return one.hostname == other.hostname and one.path.rstrip("/") == other.path.rstrip("/")


def _explained(
    error: CORSError, fetched: Fetched, response: NetworkResponse | None, origin: str, says: str
) -> tuple[str, str, str]:
    reason, detail = error.reason, printable(error.detail)
    status = 0 if response is None else response.status
    quoted = f'{status}, "{says}"' if says else f"{status}"
    if reason is R.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE:
        names = refused_names(fetched)
        fix = f"add to {ALLOW_HEADERS}: {', '.join(names)} (MCPCors allows every MCP header by default)"
        return "header_not_allowed", f"The preflight's answer does not list {', '.join(names)}.", fix
    if reason is R.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE:
        return (
            "method_not_allowed",
            f"The preflight's answer does not list the method {detail}.",
            f"add {detail} to {ALLOW_METHODS}",
        )
    if reason is R.PREFLIGHT_DISALLOWED_REDIRECT:
        location = "" if response is None else printable(response.headers.get("Location", ""))
        words = f"The preflight is redirected ({status}) to {location}; browsers do not follow."
        return "preflight_redirected", words, _redirect_fix(fetched.url, location)
    if reason is R.PREFLIGHT_INVALID_STATUS:
        words = f"The preflight is refused ({quoted}); a browser wants 200 to 299."
        names = refused_names(fetched)
        if status == 400 and names:
            # Starlette refuses the whole preflight where others only leave a name out of the list.
            words += f" {ALLOW_HEADERS} lacks {', '.join(names)}."
            return "header_not_allowed", words, f"add to {ALLOW_HEADERS} (allow_headers): {', '.join(names)}"
        return "preflight_authenticated" if status == 401 else "preflight_status", words, _ANSWER_FIRST
    if reason in _MULTIPLE:
        fix = "let one layer send it: take it out of the proxy (nginx: add_header) or out of the app"
        return "headers_doubled", f"Two layers each add {ALLOW_ORIGIN}; browsers refuse both.", fix
    if reason in _WRONG:
        words = f"The server allows {detail!r} only, whoever asks."
        return "allow_origin_wrong", words, f"send {ALLOW_ORIGIN}: {origin} to this origin, and Vary: Origin"
    if reason in _NO_ALLOW_ORIGIN:
        return _without_allow_origin(fetched, response, status, quoted, origin)
    if reason in (R.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE, R.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE):
        fix = "write names, separated by commas, and nothing else"
        return "allow_list_malformed", "A list in the preflight's answer cannot be parsed.", fix
    return "cors_error", "The browser refuses the response.", "see what the console says"


def _without_allow_origin(
    fetched: Fetched, response: NetworkResponse | None, status: int, quoted: str, origin: str
) -> tuple[str, str, str]:
    allow = f"send {ALLOW_ORIGIN}: {origin} (origins in MCPCors)"
    if not fetched.exchanges[-1].is_preflight:
        words = f"The response ({status}) lacks {ALLOW_ORIGIN}, so JavaScript gets neither status nor body."
        return "response_without_cors", words, f"{allow} on every response, errors too"
    if status == 401:
        words = f"The preflight is asked to authenticate ({quoted}); browsers never send credentials with one."
        return "preflight_authenticated", words, _ANSWER_FIRST
    if status == 421:
        words = f"The server does not serve this Host ({quoted})."
        return "host_not_served", words, "add the host name to those that it serves (hosts in MCPCors)"
    if status in (404, 405, 501):
        words = f"Nothing answers OPTIONS here ({quoted}): the server knows no CORS on this path."
        return "preflight_not_routed", words, _ANSWER_FIRST
    if status >= 500:
        return "preflight_crashes", f"The preflight ends in a server error ({status}).", "see the server's log"
    if status >= 400:
        words = f"The server refuses this origin's preflight ({quoted})."
        fix = f"put {origin} on the server's list of origins; if it is there: {_ANSWER_FIRST}"
        return "preflight_refused", words, fix
    if response is not None and any(name.lower().startswith("access-control-") for name in response.headers):
        words = f"The preflight is answered ({status}) with CORS headers, but {ALLOW_ORIGIN} is not among them."
        return "origin_not_allowed", words, allow
    words = f"OPTIONS is answered ({status}), but without any CORS header: the server knows no CORS on this path."
    return "cors_missing", words, f"{allow}, {ALLOW_METHODS} and {ALLOW_HEADERS}"


def _redirect_fix(url: str, location: str) -> str:
    if location.rstrip("/") == url.rstrip("/") or location.rstrip("/") == "/" + url.split("/", 3)[-1].rstrip("/"):
        return "give the client the URL with the slash as the server has it, or route both"
    if location.startswith("https:") and url.startswith("http:"):
        return "give the client the https: URL"
    return "answer preflights before the layer that redirects (login page, HTTPS, slash)"


def refused_names(fetched: Fetched) -> list[str]:
    """Every header name that a preflight asked for in vain: the console names only one."""
    response = fetched.preflight
    if response is None:
        return []
    try:
        answer = Answer.from_headers(response.headers, QUIRKS["chromium"])
    except CORSFailure:
        return []  # a list that cannot be read; the status came first

    def is_refused(name: str) -> bool:
        question = Question("", "", "POST", (name,), name == "authorization", False)
        return answer.refused_header(question, authorization_needs_naming=False) is not None

    return [_WRITTEN.get(name, name) for name in fetched.sent_names if is_refused(name)]
