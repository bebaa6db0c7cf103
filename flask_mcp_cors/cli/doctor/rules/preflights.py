"""Failures at the preflight: the server, or what stands in front of it, does not let the page send its message."""

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
_EXACTLY = "; on the server's list it has to be written exactly so: no slash at the end, lower case, no default port"
_ORIGIN_WORDS = re.compile(r"\borigin\b|not allowed by cors|invalid cors request", re.IGNORECASE)
#: Written out: the core names only those that it sends.
_HEADERS = (ALLOW_ORIGIN, ALLOW_HEADERS, ALLOW_METHODS, ALLOW_CREDENTIALS, EXPOSE_HEADERS, MAX_AGE)
_KNOWN = {
    *(name.lower() for name in (*_HEADERS, REQUEST_HEADERS, REQUEST_METHOD)),
    "access-control-allow-private-network",
    "access-control-request-private-network",
    "access-control-allow-local-network",
    "access-control-request-local-network",
}


def _misspelled(c: Case) -> Fits:
    """A header that is nearly one of CORS."""
    for name in c.headers if c.reason else ():
        if name.lower() not in _KNOWN and (near := get_close_matches(name.title(), _HEADERS, 1, 0.85)):
            return {"wrong": name, "right": near[0]}
    return False


def _unreadable_preflight(c: Case) -> Fits:
    """Only the preflight of a document fails: without a header of MCP's it can be read."""
    return c.is_preflight and c.f.weight is Severity.NOTE


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
        how = f"it is then answered ({c.status}) without {ALLOW_ORIGIN}"
    if c.behind is not None and ALLOW_HEADERS in c.behind.headers and ALLOW_HEADERS not in c.headers:
        how += "; the answer to POST has the list, where it does not count"
    names, lost = c.refused_names(), ""
    if _is_alike(c, "no method"):
        if _varies(c.headers, "access-control-request-method"):
            return False  # it knows preflights, and has seen none
        how += ", nor any method: the server may not take it for a preflight"
        lost = f"; if it has them there: let {c.proxy} pass Access-Control-Request-Method and -Headers on"
    return {"names": ", ".join(names), "how": how, "lost": lost} if names else False


def _is_alike(c: Case, kind: str) -> bool:
    """Is the preflight answered just so if it is changed in this?"""

    def shape(headers: HeaderList) -> set[str]:
        return {name.lower() for name in headers if name.lower().startswith("access-control-")}

    changed = next((f for other, _, f in c.variations() if other == kind), None)
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
    """Is the origin known, but not as it was sent?"""
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
    how = known.get(bare) or ("as a pattern, which no browser knows" if fnmatchcase(origin, bare) else None)
    return how is not None and {"spelled": c.detail, "how": how}


def _repeated(c: Case) -> Fits:
    return len(c.headers.getall(ALLOW_ORIGIN)) > 1 and c.reason in _SEVERAL


def _origin_lost(c: Case) -> Fits:
    """Origin, or what makes a preflight of OPTIONS, does not reach the server, as far as its answers show it."""
    if not c.is_endpoint:
        return False
    why, refuses, otherwise = "but POST is served whatever its Origin, and no answer has a CORS header", "", "add CORS"
    if c.status == 403 and "Cross-site requests are not allowed" in c.text:
        why = "as a cross-site request without Origin is, though Origin was sent"
    elif _is_alike(c, "no method"):
        why = "as OPTIONS without Access-Control-Request-Method is, though it names that in Vary"
        otherwise = f"add the headers that clients send to {ALLOW_HEADERS}"
    else:
        foreign = c.evidence.first("foreign origin")
        heads = [response.headers for response, _ in c.evidence.responses()]
        if (
            not c.is_answered_behind
            or foreign is None
            or foreign.result is None
            or any(ALLOW_ORIGIN in h for h in heads)
        ):
            return False
        if c.status < 300 and any(_varies(head, "origin") for head in heads):
            # What varies by Origin knows CORS, and never sees one.
            why = f"with Vary: Origin, {why}"
        elif c.status == 403:
            refuses = ", or it refuses OPTIONS"
        else:
            return False
    return {"why": why, "refuses": refuses, "else": otherwise}


def _says_origin(c: Case) -> bool:
    """Does a refusal say itself that it is for the origin?"""
    return not c.has_cors_behind and bool(_ORIGIN_WORDS.search(c.text))


def _crashes(c: Case) -> Fits:
    if c.status < 500 or c.status == 501 or _says_origin(c):
        return False
    if c.status in (502, 503, 504):
        return {"fix": f"see what answers OPTIONS so: a limit, a rule or a route of its own in {c.proxy}"}
    return {"fix": "see the server's log for the exception"}


def _intercepted(c: Case) -> Fits:
    """POST has the right headers, OPTIONS has none. Frameworks answer OPTIONS with a list of the route's methods."""
    if not c.lacks_allow_origin or not c.has_cors_behind:
        return False
    if c.status in (200, 204) and "Allow" in c.headers and "IIS" not in c.stacks:
        who = f"the framework's router answers OPTIONS itself (Allow: {c.headers['Allow']})"
        order = f"let the CORS code answer OPTIONS {c.f.url}, too: apply it to the whole app before the routes, or to "
        return {"who": who, "order": f"{order}OPTIONS of this route", "topic": "routes"}
    first = "a check or route of the app's own, " if c.proxy == A_PROXY else f"{c.proxy}, "
    who = f"another layer answers OPTIONS before it does: {first}or the web server, a proxy or firewall in front"
    order = (
        f"let {c.proxy} and everything in front pass OPTIONS on to the app, or have that layer send the CORS headers "
    )
    return {"who": who, "order": f"{order}with OPTIONS, too (preflights: 2xx)"}


def _refused(c: Case) -> Fits:
    """The likelier cause first: where POST with the same Origin is served, OPTIONS may be what is refused."""
    if c.status < 400:
        return False
    listed = f"put {c.f.origin} on the server's list of origins, exactly so: scheme, host and port, no slash at the end"
    proxy = own_page_of(c.body)
    if _says_origin(c):
        served = f" It says that the origin is the cause: {c.f.origin} is not on the server's list."
        # A list of CORS answers preflights of those on it; a validation of Origin does not.
        order = listed if "cors" in c.text.lower() else f"{listed}; and {ANSWER_FIRST}"
        return {"served": served, "order": order, "topic": "origins"}
    if proxy and c.is_posted and c.behind is not None and own_page_of(c.behind.body) == proxy:
        served = f" That is {proxy}'s own page. Any request with an Origin gets it, others are served."
        order = f"see which rule of {proxy} (deny, if, map) refuses Origin; if it is a list: {listed}"
        return {"served": served, "order": order, "topic": ""}
    if not c.is_answered_behind:
        return {"served": "", "order": f"{listed}; if it is there: {ANSWER_FIRST}"}
    order = f"let OPTIONS pass: look for a list of methods in {c.proxy}, a firewall or the router; {ANSWER_FIRST}; "
    served = f" POST with the same Origin is served, but without {ALLOW_ORIGIN}."
    return {"served": served, "order": f"{order}if it is a CORS list that refuses it: {listed}"}


def _no_cors(c: Case) -> Fits:
    if not c.lacks_allow_origin:
        return False
    if c.f.step in tuple(LoginStep):
        why = "the CORS code covers other paths of the server, and not this document or endpoint of the login"
        fix = f"let the CORS code cover {c.f.url}, too, with {ALLOW_ORIGIN}: * (PUBLIC_METADATA)"
        fix += "; look at its paths (django-cors-headers: CORS_URLS_REGEX; flask-cors: resources; Express, Hono: "
        fix += "the path of app.use)"
        return {"why": why, "fix": fix}
    fix = f"{SEND_ORIGIN.format(origin=c.f.origin)}, {ALLOW_METHODS} and {ALLOW_HEADERS}{_EXACTLY}"
    return {"why": "the server has no CORS for this URL, or not for this origin", "fix": fix}


def _malformed(c: Case) -> Fits:
    header = _MALFORMED.get(c.reason) if c.reason else None
    return {"header": header, "value": ", ".join(c.headers.getall(header))} if header else False


def _not_listed(c: Case) -> Fits:
    """Are there CORS headers, but not for this origin?"""
    if not c.lacks_allow_origin:
        return False
    if any(name.lower().startswith("access-control-") for name in c.headers):
        return {"how": f"with CORS headers, but {ALLOW_ORIGIN} is not among them"}
    others = (f.origin for f in c.evidence.fetches if f.origin and f.url == c.f.url and f.status == 0)
    if (other := next(others, None)) is not None:
        return {"how": f"without CORS headers, though {other} is answered with them"}
    return _varies(c.headers, "origin") and {"how": "without CORS headers, though Vary: Origin says that it has a list"}


def _login_protected(c: Case) -> Fits:
    """Is a document or endpoint of the login behind the login?"""
    if c.status != 401 or c.f.step not in tuple(LoginStep):
        return False
    protected = (f.url for f in c.evidence.of(*LoginStep) if f.last is not None and f.last.status == 401)
    return {"url": ", ".join(dict.fromkeys(protected))}


PREFLIGHTS: dict[str, Failure] = {
    "cors_header_misspelled": of_preflights(
        "a CORS header is misspelled",
        _misspelled,
        "The answer to {method} {url} has a header {wrong}, which no browser knows.",
        "write {right} in place of {wrong}",
    ),
    "document_preflight": Failure(
        "a document of the login can be read, but its preflight fails",
        _unreadable_preflight,
        "The preflight of {url} fails ({status}), though a page can read the document: clients send "
        "MCP-Protocol-Version, and ask again without it.",
        f"answer OPTIONS {{url}} with 2xx and the CORS headers, too, MCP-Protocol-Version in {ALLOW_HEADERS}",
        severity=Severity.NOTE,
    ),
    "login_protected": Failure(
        "documents or endpoints of the login are behind a login",
        _login_protected,
        "The login itself is behind a login (401): {url}. Nobody who is to log in has a token yet.",
        f"exempt {{url}} from that login, and send {ALLOW_ORIGIN}: * there (PUBLIC_METADATA)",
    ),
    "preflight_authenticated": at_preflight(
        "a preflight is answered 401, as if it could log in",
        lambda c: c.status == 401,
        "The preflight (OPTIONS {url}) is answered as if it had to log in ({quoted}). Browsers never send credentials "
        "with a preflight.",
        "answer preflights before the login: " + ANSWER_FIRST,
        "preflight",
    ),
    "preflight_crashes": at_preflight(
        "a preflight ends in a server error",
        _crashes,
        "The preflight (OPTIONS {url}) ends in a server error ({quoted}).",
        "{fix}; " + ANSWER_FIRST,
    ),
    "browsers_refused": of_preflights(
        "a request is refused only with the headers that browsers add",
        _browsers_refused,
        "{whose} ({url}) is refused ({quoted}) as a browser sends it, and answered without the headers that browsers "
        "add: Sec-Fetch-Mode, Sec-Fetch-Site, Sec-Fetch-Dest, User-Agent. A rule in front refuses what comes from a "
        "page.",
        "exempt {url} from the rule of the firewall or bot protection that looks at Sec-Fetch-* or User-Agent",
    ),
    "header_not_allowed": at_preflight(
        "a preflight does not allow a header that MCP clients send",
        _names,
        f"The preflight for {{name}} asks for {{names}}, and {{how}} ({ALLOW_HEADERS}).",
        f"add to {ALLOW_HEADERS}: {{names}}{{lost}}",
        "headers",
    ),
    "method_not_allowed": at_preflight(
        "a preflight does not allow a method",
        _method,
        f"The preflight for {{name}} asks for the method {{method}}, and {{how}} ({ALLOW_METHODS}).",
        f"write {{method}}, in upper case, into {ALLOW_METHODS} for {{url}}",
        "methods",
    ),
    "headers_doubled": of_preflights(
        f"{ALLOW_ORIGIN} is sent twice",
        _repeated,
        f"{{whose}} is answered with {ALLOW_ORIGIN} twice ({{detail}}): often two layers each add it, and browsers "
        "refuse both.",
        "let one layer send it, once: take it out of {proxy} or out of the app. One program may add it twice, too "
        "(PHP: header(…, false))",
    ),
    "allow_origin_several": Failure(
        f"{ALLOW_ORIGIN} holds several values",
        lambda c: c.reason in _SEVERAL,
        f"{{whose}} is answered with one {ALLOW_ORIGIN} that holds several values ({{detail}}); only a single origin "
        "is allowed.",
        "compare the request's Origin with your list and echo that exact one, with Vary: Origin",
        "origins",
    ),
    "origin_spelled": of_preflights(
        "the server has the origin on its list in another spelling",
        _spelled,
        f"The server knows {{origin}}, but {{how}}: it has {{spelled}} on its list, or in {ALLOW_ORIGIN}.",
        "write exactly {origin} on the server's list: no slash at the end, lower case, no quotes and no wildcard, this "
        "scheme, and the port unless it is the default one",
        "origins",
    ),
    "allow_origin_wrong": of_preflights(
        f"{ALLOW_ORIGIN} names another origin",
        lambda c: c.reason in _WRONG,
        f"{{whose}} is answered with {ALLOW_ORIGIN}: {{detail}}, which is not the page's origin {{origin}}.",
        f"send {ALLOW_ORIGIN}: {{origin}} to this origin, and Vary: Origin: add it to the server's list",
        "origins",
    ),
    "allow_list_malformed": Failure(
        "a list in the answer to a preflight cannot be parsed",
        _malformed,
        "{header} in the answer to the preflight cannot be parsed: {value}",
        "write names in {header} with commas between them, no blanks inside of a name and no semicolons",
    ),
    "preflight_status": of_preflights(
        "a preflight has CORS headers, but not a status of 200 to 299",
        lambda c: c.reason is R.PREFLIGHT_INVALID_STATUS,
        f"The preflight (OPTIONS {{url}}) is refused ({{quoted}}), although its answer has {ALLOW_ORIGIN}: a browser "
        "wants a status of 200 to 299.",
        "answer OPTIONS with the same headers and the status 200 or 204, before anything else answers it",
        "preflight",
    ),
    "preflight_intercepted": at_preflight(
        "POST has the right CORS headers, OPTIONS has none: another layer answers it",
        _intercepted,
        f"The preflight (OPTIONS {{url}}) is answered {{quoted}} without {ALLOW_ORIGIN}, but the answer to POST has "
        f"it: the app knows CORS, and {{who}}.",
        "{order}",
        "preflight",
    ),
    "origin_lost": at_preflight(
        "something in front seems to drop Origin or Access-Control-Request-Method",
        _origin_lost,
        "The preflight (OPTIONS {url}) is answered {quoted}, {why}: probably {proxy} or a CDN in front does not pass "
        "Origin and Access-Control-Request-* on{refuses}.",
        "let {proxy} or the CDN in front forward Origin and Access-Control-Request-Method/-Headers (nginx: no "
        'proxy_set_header Origin ""; HAProxy: no del-header Origin; Caddy: no header_up -Origin; CloudFront: an origin '
        "request policy such as CORS-CustomOrigin or AllViewer), and OPTIONS; if nothing is in front, {else}",
        explains=(*PREFLIGHT_CODES, "foreign_origin_served", "origin_not_validated"),
    ),
    "preflight_not_routed": at_preflight(
        "nothing answers OPTIONS at this URL, and no other answer has CORS headers",
        lambda c: c.status in (404, 405, 501),
        f"Nothing answers OPTIONS {{url}}, the preflight ({{quoted}}), and no answer to another method has CORS "
        f"headers ({ALLOW_ORIGIN}) either: there is no CORS for this URL.",
        "add CORS for {url}, or let the paths of the CORS code cover it; " + ANSWER_FIRST,
        "coverage",
    ),
    "preflight_refused": at_preflight(
        "a preflight is refused",
        _refused,
        "The preflight (OPTIONS {url}) is refused ({quoted}).{served}",
        "{order}",
        "preflight",
    ),
    "origin_not_allowed": at_preflight(
        "a preflight is answered as one of an origin that is not on the server's list",
        _not_listed,
        "The preflight (OPTIONS {url}) is answered ({status}) {how}: the origin {origin} is not on the server's list, "
        "or is written there in another way (slash, case, blank, port).",
        SEND_ORIGIN + _EXACTLY,
        "origins",
    ),
    "cors_missing": at_preflight(
        "OPTIONS is answered without any CORS header",
        _no_cors,
        f"OPTIONS {{url}}, the preflight, is answered ({{status}}), but without any CORS header ({ALLOW_ORIGIN}), "
        f"however it is asked: {{why}}.",
        "{fix}",
        "coverage",
    ),
}
