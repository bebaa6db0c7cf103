"""Failures at the preflight: the server, or something in front of it, does not let the page send its message."""

from __future__ import annotations

import re
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ....core.headers import ALLOW_CREDENTIALS
from ....core.headers import ALLOW_HEADERS
from ....core.headers import ALLOW_METHODS
from ....core.headers import ALLOW_ORIGIN
from ....core.headers import EXPOSE_HEADERS
from ....core.headers import MAX_AGE
from ....core.headers import REQUEST_HEADERS
from ....core.headers import REQUEST_METHOD
from ....testing import CORSErrorReason as R
from ....testing import HeaderList
from ....testing.urls import DEFAULT_PORTS
from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import LoginStep
from ..stacks import A_PROXY
from ..stacks import own_page_of
from .rule import ANSWER_FIRST
from .rule import at_preflight
from .rule import Case
from .rule import Failure
from .rule import Fits
from .rule import of_preflights
from .rule import PREFLIGHT_CODES
from .rule import SEND_ORIGIN

_SEVERAL = (R.MULTIPLE_ALLOW_ORIGIN_VALUES, R.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES)
_WRONG = (
    R.ALLOW_ORIGIN_MISMATCH,
    R.PREFLIGHT_ALLOW_ORIGIN_MISMATCH,
    R.INVALID_ALLOW_ORIGIN_VALUE,
    R.PREFLIGHT_INVALID_ALLOW_ORIGIN_VALUE,
)
_MALFORMED = {
    R.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE: ALLOW_HEADERS,
    R.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE: ALLOW_METHODS,
}
_SPELLED = {
    "no port": "without its port",
    "the other scheme": "with the other scheme",
    "another name": "under the other name of this machine",
}
_EXACTLY = "; the server's list needs exactly this spelling: no slash at the end, lower case, no default port"
_ORIGIN_WORDS = re.compile(r"\borigin\b|not allowed by cors|invalid cors request", re.IGNORECASE)
#: The response headers of CORS.
_HEADERS = (ALLOW_ORIGIN, ALLOW_HEADERS, ALLOW_METHODS, ALLOW_CREDENTIALS, EXPOSE_HEADERS, MAX_AGE)
_KNOWN = {
    *(name.lower() for name in (*_HEADERS, REQUEST_HEADERS, REQUEST_METHOD)),
    "access-control-allow-private-network",
    "access-control-request-private-network",
    "access-control-allow-local-network",
    "access-control-request-local-network",
}


def _misspelled(c: Case) -> Fits:
    """A header whose name is nearly that of a CORS header."""
    for name in c.headers if c.reason else ():
        if name.lower() not in _KNOWN and (near := get_close_matches(name.title(), _HEADERS, 1, 0.85)):
            return {"wrong": name, "right": near[0]}
    return False


def _browsers_refused(c: Case) -> Fits:
    if c.is_preflight:
        return c.passes_as("no fetch metadata")
    return c.status == 403 and bool(c.f.sent) and c.f.step != "behind" and c.is_answered_behind


def _names(c: Case) -> Fits:
    is_listed = c.reason is R.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE
    if not is_listed and not c.passes_as("no headers") and "Disallowed CORS headers" not in c.text:
        return False
    how = f"it is refused for that ({c.quoted})" if c.status >= 400 else "its answer does not list that"
    if not is_listed and c.status < 300:
        how = f"its answer ({c.status}) then lacks {ALLOW_ORIGIN}"
    if c.behind is not None and ALLOW_HEADERS in c.behind.headers and ALLOW_HEADERS not in c.headers:
        how += "; the answer to POST has the list, where it has no effect"
    names, lost = c.refused_names(), ""
    if _is_alike(c, "no method"):
        if _varies(c.headers, "access-control-request-method"):
            return False  # the server knows preflights, and this did not arrive as one: origin_lost
        how += ", nor any method: the server may not take it for a preflight"
        lost = f"; if it has them there: let {c.proxy} pass Access-Control-Request-Method and -Headers on"
    return {"names": ", ".join(names), "how": how, "lost": lost} if names else False


def _is_alike(c: Case, kind: str) -> bool:
    """Is the answer the same for a preflight with this change?"""

    def shape(headers: HeaderList) -> set[str]:
        return {name.lower() for name in headers if name.lower().startswith("access-control-")}

    changed = next((f for _, _, f in c.variations(kind)), None)
    return changed is not None and (changed.status, shape(changed.headers)) == (c.status, shape(c.headers))


def _varies(headers: HeaderList, name: str) -> bool:
    return name in headers.get("Vary", "").lower()


def _method(c: Case) -> Fits:
    if c.reason is R.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE:
        listed = c.headers.get(ALLOW_METHODS, "")
        is_lower = c.f.method.lower() in listed
        how = f"has it in lower case ({listed}); methods are case-sensitive" if is_lower else "does not list it"
        return {"how": f"its answer {how}"}
    if c.f.method == "POST":
        is_alone = c.passes_as("GET")
    else:
        is_post_fine = c.evidence.verdicts.get((c.f.origin, c.f.revision)) == CONNECTS
        is_alone = is_post_fine and (c.lacks_allow_origin or (c.reason is not None and not 200 <= c.status < 300))
    if is_alone or "Disallowed CORS method" in c.text:
        how = f"is refused for that ({c.quoted})" if c.status >= 300 else "is answered without CORS headers"
        return {"how": f"it {how}: {c.f.method} is not on the server's list"}
    return False


def _spelled(c: Case) -> Fits:
    """Does the server know the origin in another spelling?"""
    origin, never = c.f.origin, "in a spelling that browsers never send"
    if c.headers.get(ALLOW_ORIGIN) in ("*", origin):
        return False
    for kind, value, f in c.variations():
        if value and f.headers.get(ALLOW_ORIGIN) == value:
            return {"spelled": value, "how": _SPELLED.get(kind, never)}
    if c.reason not in _WRONG:
        return False
    bare = c.detail.strip("[]()\"' ").rstrip("/").lower()
    scheme, _, host = origin.partition("://")
    known = {
        origin: "in brackets or quotes" if c.detail[:1] in "[(\"'" else never,
        host: "without its scheme",
        f"{origin}:{DEFAULT_PORTS.get(scheme)}": "with the default port, which browsers leave out",
    }
    how = known.get(bare) or ("as a pattern, which browsers do not support" if fnmatchcase(origin, bare) else None)
    return how is not None and {"spelled": c.detail, "how": how}


def _origin_lost(c: Case) -> Fits:
    """Does the server answer as if Origin, or Access-Control-Request-Method, had not arrived?"""
    if not c.is_endpoint:
        return False
    if c.status == 403 and "Cross-site requests are not allowed" in c.text:
        why = "like a cross-site request without Origin, though Origin was sent"
        return {"why": why, "refuses": "", "else": "add CORS"}
    if _is_alike(c, "no method"):
        why = "like OPTIONS without Access-Control-Request-Method, though Vary names that header"
        return {"why": why, "refuses": "", "else": f"add the headers that clients send to {ALLOW_HEADERS}"}
    foreign = c.evidence.first("foreign origin")
    heads = [response.headers for response, _ in c.evidence.responses()]
    if not c.is_answered_behind or foreign is None or foreign.result is None or any(ALLOW_ORIGIN in h for h in heads):
        return False
    why = "but POST is served whatever its Origin, and no answer has a CORS header"
    if c.status < 300 and any(_varies(head, "origin") for head in heads):
        # A server that varies by Origin knows CORS, so no Origin arrives.
        return {"why": f"with Vary: Origin, {why}", "refuses": "", "else": "add CORS"}
    return c.status == 403 and {"why": why, "refuses": ", or the server refuses OPTIONS", "else": "add CORS"}


def _says_origin(c: Case) -> bool:
    """Does the refusal name the origin as its cause?"""
    return not c.has_cors_behind and bool(_ORIGIN_WORDS.search(c.text))


def _crashes(c: Case) -> Fits:
    if c.status < 500 or c.status == 501 or _says_origin(c):
        return False
    if c.status in (502, 503, 504):
        return {"fix": f"find what gives OPTIONS this answer: a limit, a rule or a route for it in {c.proxy}"}
    return {"fix": "see the server's log for the exception"}


def _intercepted(c: Case) -> Fits:
    """Have answers to POST the right headers, and answers to OPTIONS none?"""
    if not c.lacks_allow_origin or not c.has_cors_behind:
        return False
    if c.status in (200, 204) and "Allow" in c.headers and "IIS" not in c.stacks:
        who = f"the framework's router answers OPTIONS itself (Allow: {c.headers['Allow']})"
        order = f"let the CORS code answer OPTIONS {c.f.url} too: apply it to the whole app, before the routes"
        return {"who": who, "order": order, "topic": "routes"}
    first = "a check or a route in the app, " if c.proxy == A_PROXY else f"{c.proxy}, "
    who = f"another layer answers OPTIONS before it does: {first}or the web server, a proxy or firewall in front"
    order = f"let {c.proxy} and everything in front pass OPTIONS on to the app, or send the CORS headers there with 2xx"
    return {"who": who, "order": order}


def _refused(c: Case) -> Fits:
    """Is it refused for its origin, or because it is OPTIONS? The likelier cause is named first."""
    if c.status < 400:
        return False
    listed = f"add {c.f.origin} to the server's list of origins in this spelling: scheme, host and port, no final slash"
    proxy = own_page_of(c.body)
    if _says_origin(c):
        served = f" It says that the origin is the cause: {c.f.origin} is not on the server's list."
        # CORS code answers the preflights of listed origins; a mere validation of Origin does not.
        order = listed if "cors" in c.text.lower() else f"{listed}; and {ANSWER_FIRST}"
        return {"served": served, "order": order, "topic": "origins"}
    if proxy and c.is_posted and c.behind is not None and own_page_of(c.behind.body) == proxy:
        served = f" That is {proxy}'s own page. Every request with an Origin gets it; others are served."
        order = f"find the rule of {proxy} (deny, if, map) that refuses Origin; if it is a list: {listed}"
        return {"served": served, "order": order, "topic": ""}
    if not c.is_answered_behind:
        return {"served": "", "order": f"{listed}; if it is there: {ANSWER_FIRST}"}
    order = f"let OPTIONS pass: look for a list of methods in {c.proxy}, a firewall or the router; {ANSWER_FIRST}; "
    served = f" POST with the same Origin is served, but without {ALLOW_ORIGIN}."
    return {"served": served, "order": f"{order}if a list of origins refuses it: {listed}"}


def _no_cors(c: Case) -> Fits:
    if not c.lacks_allow_origin:
        return False
    if c.is_login:
        why = "the CORS code covers other paths of the server, and not this document or endpoint of the login"
        fix = f"let the CORS code cover {c.f.url} too, with {ALLOW_ORIGIN}: * (PUBLIC_METADATA); see its setting of "
        fix += "paths (django-cors-headers: CORS_URLS_REGEX; flask-cors: resources; Express, Hono: the path of app.use)"
        return {"why": why, "fix": fix}
    fix = f"{SEND_ORIGIN.format(origin=c.f.origin)}, {ALLOW_METHODS} and {ALLOW_HEADERS}{_EXACTLY}"
    return {"why": "the server has no CORS for this URL, or not for this origin", "fix": fix}


def _malformed(c: Case) -> Fits:
    header = None if c.reason is None else _MALFORMED.get(c.reason)
    return {"header": header, "value": ", ".join(c.headers.getall(header))} if header else False


def _not_listed(c: Case) -> Fits:
    """Does the server know CORS, but not this origin?"""
    if not c.lacks_allow_origin:
        return False
    if any(name.lower().startswith("access-control-") for name in c.headers):
        return {"how": f"with CORS headers, but without {ALLOW_ORIGIN}"}
    others = (f.origin for f in c.evidence.fetches if f.origin and f.url == c.f.url and f.status == 0)
    if (other := next(others, None)) is not None:
        return {"how": f"without CORS headers, though {other} is answered with them"}
    return _varies(c.headers, "origin") and {"how": "without CORS headers, though Vary: Origin suggests a list"}


def _login_protected(c: Case) -> Fits:
    """Does a document or endpoint of the login require the login?"""
    if c.status != 401 or not c.is_login:
        return False
    protected = (f.url for f in c.evidence.of(*LoginStep) if f.last_status == 401)
    return {"url": ", ".join(dict.fromkeys(protected))}


PREFLIGHTS: dict[str, Failure] = {
    "cors_header_misspelled": of_preflights(
        _misspelled,
        "The answer to {method} {url} has the header {wrong}, which browsers do not know.",
        "write {right} instead of {wrong}",
    ),
    "document_preflight": Failure(
        lambda c: c.is_preflight and c.f.weight is Severity.NOTE,
        "The preflight of {url} fails ({status}), though a page can read the document: clients send "
        "MCP-Protocol-Version, and try again without it.",
        f"answer OPTIONS {{url}} with 2xx and the CORS headers too, with MCP-Protocol-Version in {ALLOW_HEADERS}",
        severity=Severity.NOTE,
    ),
    "login_protected": Failure(
        _login_protected,
        "The login itself requires a login (401): {url}. A client that wants to log in has no token yet.",
        f"exempt {{url}} from that login, and send {ALLOW_ORIGIN}: * there (PUBLIC_METADATA)",
    ),
    "preflight_authenticated": at_preflight(
        lambda c: c.status == 401,
        "The server requires authentication for the preflight (OPTIONS {url}): {quoted}. Browsers never send "
        "credentials with a preflight.",
        "answer preflights before the login: " + ANSWER_FIRST,
        "preflight",
    ),
    "preflight_crashes": at_preflight(
        _crashes,
        "The preflight (OPTIONS {url}) ends in a server error ({quoted}).",
        "{fix}; " + ANSWER_FIRST,
    ),
    "browsers_refused": of_preflights(
        _browsers_refused,
        "{whose} ({url}) is refused ({quoted}) with the headers that browsers add (Sec-Fetch-Mode, Sec-Fetch-Site, "
        "Sec-Fetch-Dest, User-Agent), and answered without them. A rule in front refuses requests of pages.",
        "exempt {url} from the rule of the firewall or bot protection that checks Sec-Fetch-* or User-Agent",
    ),
    "header_not_allowed": at_preflight(
        _names,
        f"The preflight for {{name}} asks for {{names}}, and {{how}} ({ALLOW_HEADERS}).",
        f"add to {ALLOW_HEADERS}: {{names}}{{lost}}",
        "headers",
    ),
    "method_not_allowed": at_preflight(
        _method,
        f"The preflight for {{name}} asks for the method {{method}}, and {{how}} ({ALLOW_METHODS}).",
        f"write {{method}}, in upper case, into {ALLOW_METHODS} for {{url}}",
        "methods",
    ),
    "headers_doubled": of_preflights(
        lambda c: len(c.headers.getall(ALLOW_ORIGIN)) > 1 and c.reason in _SEVERAL,
        f"{{whose}} is answered with {ALLOW_ORIGIN} twice ({{detail}}): often two layers add it, and browsers refuse "
        "both.",
        "let only one layer send it: remove it from {proxy} or from the app. One program may also add it twice (PHP: "
        "header(…, false))",
    ),
    "allow_origin_several": Failure(
        lambda c: c.reason in _SEVERAL,
        f"{{whose}} is answered with several values in one {ALLOW_ORIGIN} ({{detail}}); only a single origin is "
        "allowed.",
        "compare the request's Origin with your list and echo exactly that one, with Vary: Origin",
        "origins",
    ),
    "origin_spelled": of_preflights(
        _spelled,
        f"The server knows {{origin}}, but {{how}}: its list, or {ALLOW_ORIGIN}, has {{spelled}}.",
        "write exactly {origin} on the server's list: no slash at the end, lower case, no quotes and no wildcard, this "
        "scheme, and the port unless it is the default one",
        "origins",
    ),
    "allow_origin_wrong": of_preflights(
        lambda c: c.reason in _WRONG,
        f"{{whose}} is answered with {ALLOW_ORIGIN}: {{detail}}, which is not the page's origin {{origin}}.",
        f"send {ALLOW_ORIGIN}: {{origin}} to this origin, and Vary: Origin: add it to the server's list",
        "origins",
    ),
    "allow_list_malformed": Failure(
        _malformed,
        "{header} in the answer to the preflight cannot be parsed: {value}",
        "separate the names in {header} by commas; a name contains no spaces or semicolons",
    ),
    "preflight_status": of_preflights(
        lambda c: c.reason is R.PREFLIGHT_INVALID_STATUS,
        f"The preflight (OPTIONS {{url}}) is refused ({{quoted}}), although its answer has {ALLOW_ORIGIN}: browsers "
        "require a status of 200 to 299.",
        "answer OPTIONS with the same headers and the status 200 or 204, before anything else answers it",
        "preflight",
    ),
    "preflight_intercepted": at_preflight(
        _intercepted,
        f"The answer to the preflight (OPTIONS {{url}}) is {{quoted}} without {ALLOW_ORIGIN}, but the answer to POST "
        f"has it: the app knows CORS, and {{who}}.",
        "{order}",
        "preflight",
    ),
    "origin_lost": at_preflight(
        _origin_lost,
        "The preflight (OPTIONS {url}) is answered {quoted}, {why}: probably {proxy} or a CDN in front does not pass "
        "on Origin and Access-Control-Request-*{refuses}.",
        "let {proxy} or the CDN in front forward Origin and Access-Control-Request-Method/-Headers (nginx: no "
        'proxy_set_header Origin ""; HAProxy: no del-header Origin; Caddy: no header_up -Origin; CloudFront: an origin '
        "request policy such as CORS-CustomOrigin or AllViewer), and OPTIONS; if nothing is in front, {else}",
        explains=(*PREFLIGHT_CODES, "foreign_origin_served", "origin_not_validated"),
    ),
    "preflight_not_routed": at_preflight(
        lambda c: c.status in (404, 405, 501),
        f"OPTIONS {{url}}, the preflight, is not handled ({{quoted}}), and no answer to another method has CORS "
        f"headers ({ALLOW_ORIGIN}) either: there is no CORS for this URL.",
        "add CORS for {url}, or let the paths of the CORS code cover it; " + ANSWER_FIRST,
        "coverage",
    ),
    "preflight_refused": at_preflight(
        _refused,
        "The preflight (OPTIONS {url}) is refused ({quoted}).{served}",
        "{order}",
        "preflight",
    ),
    "origin_not_allowed": at_preflight(
        _not_listed,
        "The preflight (OPTIONS {url}) is answered ({status}) {how}: the origin {origin} is not on the server's list, "
        "or is spelled differently there (slash, case, space, port).",
        SEND_ORIGIN + _EXACTLY,
        "origins",
    ),
    "cors_missing": at_preflight(
        _no_cors,
        f"OPTIONS {{url}}, the preflight, is answered ({{status}}), but always without any CORS header "
        f"({ALLOW_ORIGIN}): {{why}}.",
        "{fix}",
        "coverage",
    ),
}
