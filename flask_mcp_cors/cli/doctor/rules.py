"""The table of findings: what was seen, under which code, in which words, and what to change.

``FAILURES`` are read in order for every request that failed; the first row that fits says why. ``OBSERVATIONS`` look
at the whole evidence. Both only read. The documentation's table of codes is made from these rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from ...core.headers import ALLOW_HEADERS
from ...core.headers import ALLOW_METHODS
from ...core.headers import ALLOW_ORIGIN
from ...testing import CORSErrorReason as R
from ...testing import HeaderList
from ...testing.errors import CORSFailure
from ...testing.preflight import Answer
from ...testing.preflight import Question
from ...testing.quirks import QUIRKS
from ..findings import Severity
from ..terminal import printable
from .evidence import Evidence
from .evidence import Fetched
from .evidence import location_of
from .fronts import front_of
from .fronts import FRONTS
from .messages import REVISIONS
from .messages import words_of
from .stacks import proxy_in
from .stacks import stacks_of

Values = Mapping[str, object]
#: A row fits (``True``, or values for its sentence) or does not.
Fits = bool | Values | None

#: Browsers send names in lower case; this is how MCP writes them.
_WRITTEN = {name.lower(): name for revision in REVISIONS for name in revision.header_names}

_NO_ALLOW_ORIGIN = {R.MISSING_ALLOW_ORIGIN_HEADER, R.PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER}
_SEVERAL = {R.MULTIPLE_ALLOW_ORIGIN_VALUES, R.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES}
_WRONG = {
    R.ALLOW_ORIGIN_MISMATCH,
    R.PREFLIGHT_ALLOW_ORIGIN_MISMATCH,
    R.INVALID_ALLOW_ORIGIN_VALUE,
    R.PREFLIGHT_INVALID_ALLOW_ORIGIN_VALUE,
}
_HOST_WORDS = re.compile(
    r"invalid host|blocked hosts?|disallowedhost|misdirected|<h1>Bad Request \(400\)</h1>|host (name )?not "
    r"(allowed|served)",
    re.IGNORECASE,
)
_CSRF_WORDS = re.compile(r"csrf|forgery|authenticity.?token", re.IGNORECASE)
_TLS_WORDS = re.compile(r"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server|requires TLS", re.I)
_LOGIN_WORDS = re.compile(r"log ?in|sign ?in|password|anmeld", re.IGNORECASE)
_GATEWAY = {
    502: "the gateway in front gets no valid answer from the server behind it: it is not running, or listens elsewhere",
    503: "the gateway, or the server itself, is not available: nothing is up behind it, it is overloaded, starting or "
    "in maintenance",
    504: "the server behind the gateway does not answer in time: it hangs, or the wait is longer than the gateway's",
    511: "a network (hotel, company) wants a login before it lets anything through",
    520: "the server behind Cloudflare answers with something that is not HTTP, or crashes",
    521: "the server behind Cloudflare refuses the connection: it is not running, or a firewall stops Cloudflare",
    522: "Cloudflare gets no connection to the server behind it in time",
    523: "Cloudflare does not reach the server behind it: the DNS record is wrong",
    524: "the server behind Cloudflare does not answer in time: a worker hangs, or the work takes over 100 seconds",
    525: "TLS between Cloudflare and the server behind it fails",
    526: "Cloudflare does not accept the certificate of the server behind it",
    530: "Cloudflare does not reach the server behind it: the tunnel is down, or the DNS record is wrong",
}


@dataclass(frozen=True)
class Rule:
    """A row of the table. Templates are filled with the values of the case."""

    code: str
    #: ``None``: as bad as the request that failed is important.
    severity: Severity | None
    #: For the documentation.
    meaning: str
    seen: Callable[[Case], Fits] | Callable[[Evidence], Iterable[Values]]
    sentence: str
    cure: str
    #: Which words of the stack are added to the cure.
    topic: str = ""
    #: Codes that are consequences of this one; ``*``: everything that fails.
    explains: tuple[str, ...] = ()


class Case:
    """A request that failed, and what is known beside it."""

    def __init__(self, evidence: Evidence, fetched: Fetched) -> None:
        self.evidence = evidence
        self.f = fetched
        self.reason = None if fetched.blocked is None else fetched.blocked.reason
        self.detail = "" if fetched.blocked is None else fetched.blocked.detail
        self.response = fetched.last
        self.status = 0 if self.response is None else self.response.status
        self.is_preflight = fetched.failed_at_preflight
        self.is_endpoint = fetched.url == evidence.href

    @cached_property
    def behind(self) -> Fetched | None:
        """The message as a page of this origin would send it, without a preflight."""
        return self.evidence.first("behind", origin=self.f.origin) if self.is_endpoint else None

    @cached_property
    def body(self) -> bytes:
        """What the refusal says: browsers drop it, and it is often the best hint there is."""
        steps = ("preflight again",) if self.is_preflight else ("behind", "initialize")
        if self.f.body or not self.f.exchanges:
            return self.f.body
        same = (f for f in self.evidence.of(*steps) if f.url == self.f.url and f.status == self.status and f.body)
        return next((f.body for f in same), b"")

    @cached_property
    def text(self) -> str:
        return self.body[:8000].decode("utf-8", "replace")

    @property
    def quoted(self) -> str:
        words = printable(words_of(self.body), 100)
        return f'{self.status}, "{words}"' if words else f"{self.status}"

    @cached_property
    def stacks(self) -> set[str]:
        """What answers here."""
        near = [f for f in self.evidence.fetches if f.url == self.f.url]
        found = [(e.response, f.body) for f in near for e in f.exchanges if e.response is not None]
        return stacks_of(found)

    @property
    def sent_headers(self) -> HeaderList:
        """What the last request carried."""
        return self.f.exchanges[-1].request.headers if self.f.exchanges else HeaderList()

    @property
    def has_cors_behind(self) -> bool:
        """Does the answer to the message itself allow this origin, or does a bare preflight of another kind?"""
        found = self.behind is not None and self.behind.headers.get(ALLOW_ORIGIN) in ("*", self.f.origin)
        return found

    @property
    def is_answered_behind(self) -> bool:
        return self.behind is not None and self.behind.result is not None

    def refused_names(self) -> list[str]:
        """Every header name that the preflight asked for in vain: by its list, or because it fails with each alone."""
        tried = {f.headers_asked: f for f in _variations(self.evidence, self.f) if f.kind == "header"}
        bare = _variation(self.evidence, self.f, "no headers")
        if bare is not None and bare.passes and tried:
            return [_WRITTEN.get(n, n) for n in self.f.sent_names if n in tried and not tried[n].passes]
        return refused_names(self.f)

    def values(self) -> dict[str, object]:
        """What every template may use."""
        return {
            "name": self.f.name,
            "method": self.f.method,
            "status": self.status,
            "quoted": self.quoted,
            "origin": self.f.origin,
            "url": self.f.url,
            "detail": self.detail,
            "proxy": proxy_in(self.stacks),
            "location": self.location,
            "barred": self.f.barred,
            "console": "The browser refuses the response."
            if self.f.blocked is None
            else self.f.blocked.console_message,
            "start": self.text.lstrip()[:60],
            "counted": " at the preflight: preflights count" if self.is_preflight else "",
            "unreadable": f", without {ALLOW_ORIGIN}, so the console blames CORS" if self.f.blocked else "",
            "only": "; other answers of the server have it" if self._others_have_cors else "",
            "served": " POST with the same Origin is served: the origin is not the cause."
            if self.is_answered_behind
            else "",
            "order": f"let OPTIONS pass: look for a list of methods in {proxy_in(self.stacks)}, a firewall or "
            "the router. " + _ANSWER_FIRST
            if self.is_answered_behind
            else f"put {self.f.origin} on the server's list of origins, exactly so; if it is there: {_ANSWER_FIRST}",
        }

    def _order(self) -> str:
        """The likelier cause of a refused preflight first."""
        if self.is_answered_behind:
            where = f"look for a list of methods in {proxy_in(self.stacks)}, a firewall or the router"
            return f"let OPTIONS pass: {where}. {_ANSWER_FIRST}"
        return f"put {self.f.origin} on the server's list of origins; if it is there: {_ANSWER_FIRST}"

    @property
    def _others_have_cors(self) -> bool:
        answers = (f.network for f in self.evidence.fetches if f.origin == self.f.origin and not f.is_rejected)
        return any(response is not None and ALLOW_ORIGIN in response.headers for response in answers)

    @property
    def location(self) -> str:
        return "" if self.response is None else location_of(self.response, self.f.url)


@dataclass(frozen=True)
class Variation:
    """A preflight that differs in one thing."""

    kind: str
    headers_asked: str
    passes: bool
    allow_origin: str | None


def _variations(evidence: Evidence, fetched: Fetched) -> Iterator[Variation]:
    for f in evidence.fetches:
        kind, _, rest = f.step.partition(": ")
        if kind == "varied" and f.origin == fetched.origin and f.url == fetched.url:
            what, _, value = rest.partition("=")
            allowed = f.headers.get(ALLOW_ORIGIN)
            is_fine = f.status is not None and 200 <= f.status < 300 and allowed in ("*", fetched.origin)
            yield Variation(what, value, is_fine, allowed)


def _variation(evidence: Evidence, fetched: Fetched, kind: str) -> Variation | None:
    return next((v for v in _variations(evidence, fetched) if v.kind == kind), None)


def refused_names(fetched: Fetched) -> list[str]:
    """Every header name that a preflight asked for and its answer does not list: the console names only one."""
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


# --- what the rows look at ----------------------------------------------------------------------------------------


def _fault(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        if c.f.fault is None or c.f.fault.code != code:
            return False
        return {"sentence": c.f.fault.sentence, "fix": c.f.fault.fix}

    return seen


def _preflight_fault(*codes: str) -> Callable[[Case], Fits]:
    return lambda c: c.f.fault is not None and c.f.fault.code in codes and c.is_preflight and c.is_endpoint


def _front(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        front = front_of(c.response)
        if front is None or front.code != code or (not c.f.origin and c.f.result is not None):
            return False
        return {"sentence": front.sentence, "fix": front.fix}

    return seen


def _gateway(c: Case) -> Fits:
    return {"why": _GATEWAY[c.status]} if c.status in _GATEWAY else False


def _is_html(c: Case) -> bool:
    kind = "" if c.response is None else c.response.headers.get("Content-Type", "")
    return "html" in kind or c.text.lstrip()[:1] == "<"


def _redirect(c: Case) -> tuple[str, str, bool | None] | None:
    """The own URL, where it leads, and whether that is this host (``None``: it is not a URL)."""
    if c.response is None or c.response.status not in (301, 302, 303, 307, 308):
        return None
    try:
        own, other = urlsplit(c.f.url), urlsplit(c.location)
        same_host = own.hostname == other.hostname
    except ValueError:
        return c.f.url, c.location, None
    return c.f.url, c.location, same_host


def _login_redirect(c: Case) -> Fits:
    found = _redirect(c)
    if found is None or not found[1] or found[2] is None:
        return False
    other = urlsplit(found[1])
    is_login = _LOGIN_WORDS.search(other.path) or re.search(r"oauth2?/|/sso|authori[sz]e", other.path)
    if c.is_endpoint and (not found[2] or is_login):
        return {"where": "another host" if not found[2] else "a login page"}
    return False


def _moved(c: Case) -> Fits:
    found = _redirect(c)
    if found is None:
        return False
    url, location, same_host = found
    fix = "answer here, without a redirect; in place of a login page answer 401"
    if same_host is None:
        return {"location": location, "fix": fix}
    one, other = urlsplit(url), urlsplit(location)
    if not c.is_endpoint:
        fix = f"answer at {url}, without a redirect: clients take this URL as it is; let it be public, without a login"
    elif same_host and one.path.rstrip("/") == other.path.rstrip("/"):
        fix = f"give clients that URL: {location}"
        if one.path != other.path:
            fix += " (with the slash as the server has it), or route both"
        if one.scheme != other.scheme == "https":
            fix = f"give clients the https: URL: {location}"
        if one.scheme == "https" and other.scheme == "http":
            fix = f"give clients {url.rstrip('/')}/, or let the app know that it is behind TLS (ProxyFix), so that its "
            fix += "redirects keep https:"
    return {"location": location or "no place at all", "fix": fix}


def _host_refused(c: Case) -> Fits:
    return c.is_endpoint and (c.status == 421 or (c.status in (400, 403) and bool(_HOST_WORDS.search(c.text))))


def _names(c: Case) -> Fits:
    if not c.is_preflight:
        return False
    bare = _variation(c.evidence, c.f, "no headers")
    listed = c.reason is R.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE
    if not listed and not (bare is not None and bare.passes) and "Disallowed CORS headers" not in c.text:
        return False
    names = c.refused_names()
    how = f"refuses them ({c.quoted})" if c.status >= 400 else "does not allow them"
    if not listed and c.status < 300:
        how = f"is answered ({c.status}) without {ALLOW_ORIGIN} as soon as one of them is asked for"
    return {"names": ", ".join(names), "how": how} if names else False


def _method(c: Case) -> Fits:
    if not c.is_preflight:
        return False
    if c.reason is R.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE:
        return {"how": f"does not list it ({c.status})"}
    other = _variation(c.evidence, c.f, "GET")
    post = c.evidence.verdicts.get((c.f.origin, c.f.revision)) if c.f.method != "POST" else None
    refused = "Disallowed CORS method" in c.text or (c.f.method == "POST" and other is not None and other.passes)
    alone = c.f.method != "POST" and post == "connects" and c.reason is not None and not (200 <= c.status < 300)
    silent = c.f.method != "POST" and post == "connects" and c.reason in _NO_ALLOW_ORIGIN
    if refused or alone or silent:
        return {"how": f"is refused for it ({c.quoted})" if c.status >= 300 else f"has no {ALLOW_ORIGIN} ({c.status})"}
    return False


def _spelled(c: Case) -> Fits:
    for kind in ("slash", "upper case", "capitals", "the default port", "the other scheme"):
        found = next((v for v in _variations(c.evidence, c.f) if v.kind == kind), None)
        if found is not None and found.allow_origin == found.headers_asked:
            return {"kind": kind, "spelled": found.headers_asked}
    if c.reason in _WRONG and c.detail.rstrip("/").lower() == c.f.origin:
        return {"spelled": c.detail}
    return False


def _repeated(c: Case) -> Fits:
    return c.response is not None and len(c.response.headers.getall(ALLOW_ORIGIN)) > 1 and c.reason in _SEVERAL


def _intercepted(c: Case) -> Fits:
    return c.is_preflight and c.reason is not None and c.has_cors_behind


def _origin_lost(c: Case) -> Fits:
    """The preflight is refused, yet a message is served, whatever its Origin, and nothing ever has CORS headers."""
    if not (c.is_preflight and c.is_endpoint and c.status == 403 and c.is_answered_behind):
        return False
    foreign = c.evidence.first("foreign origin")
    if foreign is None or foreign.result is None:
        return False
    responses = (e.response for f in c.evidence.fetches for e in f.exchanges if e.response is not None)
    return not any(ALLOW_ORIGIN in response.headers for response in responses)


def _refused_code(*statuses: int) -> Callable[[Case], Fits]:
    return lambda c: c.is_preflight and c.status in statuses


def _message_fault(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        if c.f.is_rejected or not c.f.sent or c.f.reading.fault != code:
            return False
        is_stream = c.text.startswith(("data:", "event:", "id:"))
        return {
            "type": c.f.headers.get("content-type", "") or "missing",
            "id": (c.f.sent or {}).get("id"),
            "kind": "an event stream" if is_stream else "JSON",
            "due": "text/event-stream" if is_stream else "application/json",
        }

    return seen


def _changed_header(c: Case) -> Fits:
    names = {406: "Accept", 415: "Content-Type"}
    return {"header": names[c.status]} if c.f.sent and c.status in names else False


def _has_no_cors(c: Case) -> Fits:
    return not c.is_preflight and c.reason in _NO_ALLOW_ORIGIN


def _second_list(c: Case) -> Fits:
    if c.is_preflight or not c.f.origin or c.f.step == "behind":
        return False
    if c.f.is_rejected:
        # Without Origin the same message is served, so that is what is refused.
        posted = c.evidence.posted
        is_served = posted is not None and posted.result is not None
        return _has_no_cors(c) and c.status == 403 and is_served and bool(c.f.sent)
    return c.status in (403, 421) and c.f.step != "notifications/initialized"


def _plain(c: Case) -> bool:
    return not c.f.origin and c.f.step == "initialize"


_ANSWER_FIRST = (
    "let nothing come before CORS: answer OPTIONS with Origin and Access-Control-Request-Method at once, with 2xx and "
    "the Access-Control-Allow-* headers (MCPCors and CORSMiddleware do)"
)
_EXACTLY = "; on the server's list it has to be written exactly so: no slash at the end, lower case, no default port"
_ALLOW = f"send {ALLOW_ORIGIN}: {{origin}} (origins in MCPCors)"
_OWN_LIST = (
    "put the page's origin on the server's own list of origins, too (MCP SDKs: allowed_origins / allowedOrigins "
    "of their "
    "transport security)"
)
_PREFLIGHT_CODES = (
    "question_blocked",
    "params_not_allowed",
    "no_conversation",
    "preflight_not_cached",
)
_FAULTS = {
    "url_malformed": "a URL that the server names cannot be asked",
    "closed": "the connection is closed without an answer",
    "not_http": "what answers does not speak HTTP",
    "broke_off": "a response ends in the middle",
    "refused": "nothing listens",
    "dns": "the name does not resolve",
    "certificate": "the certificate is not valid",
    "tls": "there is no TLS at this port",
    "timeout": "no answer in time",
    "network": "another error of the network",
}

FAILURES: tuple[Rule, ...] = (
    Rule(
        "preflight_closed",
        None,
        "the connection is closed on OPTIONS only",
        _preflight_fault("closed", "broke_off", "network", "not_http"),
        "OPTIONS {url}, the preflight, has no answer: the connection is closed or reset. The message itself is "
        "answered, so the server is there and drops OPTIONS.",
        "see what treats OPTIONS in another way: a firewall, a proxy's list of methods, a crash in the handler. "
        + _ANSWER_FIRST,
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "preflight_timeout",
        None,
        "OPTIONS is never answered",
        _preflight_fault("timeout"),
        "OPTIONS {url}, the preflight, is never answered: it hangs until the time is over. The message itself is "
        "answered.",
        "let the handler of OPTIONS end the response (in Express: a middleware that forgets next()). " + _ANSWER_FIRST,
        "preflight",
        (*_PREFLIGHT_CODES, "gave_up"),
    ),
    *(Rule(code, None, meaning, _fault(code), "{sentence}", "{fix}", "", ("*",)) for code, meaning in _FAULTS.items()),
    Rule(
        "barred",
        None,
        "the browser rejects the request, and not for CORS",
        lambda c: c.f.barred is not None and c.f.location is None,
        "The browser rejects this, and not for CORS: {barred}",
        "use another URL",
    ),
    *(
        Rule(front.code, None, f"{front.name} answers in the server's place", _front(front.code), "{sentence}", "{fix}")
        for _, front in FRONTS
    ),
    Rule(
        "rate_limited",
        Severity.WARNING,
        "requests, or preflights among them, are answered 429",
        lambda c: c.status == 429,
        "{name} to {url} is answered 429 (rate limit){counted}. A preflight that counts halves what a page may send, "
        "and a 429 without CORS headers looks like a CORS error.",
        "do not count OPTIONS in the rate limit (put CORS before the limit), raise it, and wait before the next run",
        "",
        ("no_conversation", "response_without_cors"),
    ),
    Rule(
        "body_too_large",
        None,
        "a gateway answers 413",
        lambda c: c.status == 413,
        "{name} is answered 413: a gateway in front takes the body for too large. This is not CORS.",
        "raise the limit of the gateway (nginx: client_max_body_size)",
        "",
        ("*",),
    ),
    Rule(
        "gateway_error",
        None,
        "a gateway or tunnel answers 502, 503, 504, 511, 520 to 526 or 530",
        _gateway,
        "{name} is answered {status}: {why}. This is not CORS, whatever the console says.",
        "start the server behind {proxy}, and look at its log and at the address that {proxy} passes requests to",
        "upstream",
        ("*",),
    ),
    Rule(
        "login_redirect",
        None,
        "a request is redirected to a login page, or to another host",
        _login_redirect,
        "{method} is redirected ({status}) to {where}, {location}: a login page or single sign-on answers in the "
        "server's place. Neither a preflight nor an MCP client can log in there.",
        "exempt the MCP path, or at least OPTIONS, from the login in front (skip preflights there), and answer "
        "401 with "
        "WWW-Authenticate in place of the redirect",
        "",
        ("*",),
    ),
    Rule(
        "preflight_redirected",
        None,
        "a preflight is redirected",
        lambda c: c.is_preflight and _moved(c),
        "The preflight (OPTIONS) is redirected ({status}) to {location}; browsers do not follow.",
        "{fix}; or answer preflights before the layer that redirects (HTTPS, slash, login)",
        "",
        ("*",),
    ),
    Rule(
        "redirected",
        None,
        "a request is redirected; MCP clients do not follow",
        _moved,
        "{method} is redirected ({status}) to {location}. Both official TypeScript clients fetch with redirect: "
        '"manual" '
        "and stop there.",
        "{fix}",
        "",
        ("*",),
    ),
    Rule(
        "host_not_served",
        None,
        "the server does not serve the Host of the URL",
        _host_refused,
        "{name} is refused for its Host ({quoted}): the server does not serve the host name of {url}.",
        "add the host name to those that the server behind serves (hosts in MCPCors, allowed_hosts in MCP SDKs, "
        "ALLOWED_HOSTS in Django), or let the proxy in front pass the Host on as it came",
        "host",
        ("*",),
    ),
    Rule(
        "preflight_authenticated",
        None,
        "a preflight is asked to authenticate",
        lambda c: c.is_preflight and c.status == 401,
        "The preflight (OPTIONS) is asked to authenticate ({quoted}); browsers never send credentials with one.",
        "exempt OPTIONS from the login: " + _ANSWER_FIRST,
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "preflight_crashes",
        None,
        "a preflight ends in a server error",
        lambda c: c.is_preflight and c.status >= 500 and c.status != 501,
        "The preflight (OPTIONS) ends in a server error ({quoted}).",
        "see the server's log for the exception. " + _ANSWER_FIRST,
        "",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "header_not_allowed",
        None,
        "a preflight does not allow a header that MCP clients send",
        _names,
        f"The preflight of {{name}} asks for {{names}}, and its answer {{how}} ({ALLOW_HEADERS}).",
        f"add to {ALLOW_HEADERS}: {{names}} (MCPCors allows every MCP header by default)",
        "headers",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "method_not_allowed",
        None,
        "a preflight does not allow a method",
        _method,
        f"The preflight of {{name}} asks for the method {{method}}, and its answer {{how}} ({ALLOW_METHODS}).",
        f"add {{method}} to {ALLOW_METHODS}, in upper case",
        "methods",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "headers_doubled",
        None,
        f"{ALLOW_ORIGIN} is sent twice",
        _repeated,
        f"{{name}} is answered with {ALLOW_ORIGIN} twice ({{detail}}): two layers each add it, and browsers "
        f"refuse both.",
        "let one layer send it, once: take it out of the proxy ({proxy}: remove it there, or hide the app's) or out of "
        "the app",
    ),
    Rule(
        "allow_origin_several",
        None,
        f"{ALLOW_ORIGIN} holds several values",
        lambda c: c.reason in _SEVERAL,
        f"{{name}} is answered with one {ALLOW_ORIGIN} that holds several values ({{detail}}); only a single origin is "
        "allowed.",
        "compare the request's Origin with your list and echo that exact one, with Vary: Origin",
        "origins",
    ),
    Rule(
        "origin_spelled",
        None,
        "the server has the origin on its list in another spelling",
        _spelled,
        f"The server answers the origin {{spelled}} with {ALLOW_ORIGIN}, but not {{origin}}: its list has the "
        f"origin in a "
        "spelling that browsers never send.",
        "write exactly {origin} on the server's list: no slash at the end, lower case, no default port, this scheme",
        "origins",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "allow_origin_wrong",
        None,
        f"{ALLOW_ORIGIN} names another origin",
        lambda c: c.reason in _WRONG,
        f"{{name}} is answered with {ALLOW_ORIGIN}: {{detail}}, which is not the page's origin {{origin}}.",
        f"send {ALLOW_ORIGIN}: {{origin}} to this origin, and Vary: Origin: add it to the server's list",
        "origins",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "allow_list_malformed",
        None,
        "a list in the answer to a preflight cannot be parsed",
        lambda c: c.reason in (R.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE, R.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE),
        f"A list in the preflight's answer ({ALLOW_HEADERS} or {ALLOW_METHODS}) cannot be parsed.",
        f"write names, separated by commas, and nothing else in {ALLOW_HEADERS} and {ALLOW_METHODS}",
    ),
    Rule(
        "preflight_status",
        None,
        "a preflight has CORS headers, but not a status of 200 to 299",
        lambda c: c.reason is R.PREFLIGHT_INVALID_STATUS,
        "The preflight (OPTIONS) is refused ({quoted}); a browser wants 200 to 299.",
        _ANSWER_FIRST,
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "preflight_intercepted",
        None,
        "POST has the right CORS headers, OPTIONS has none: another layer answers it",
        _intercepted,
        f"The preflight (OPTIONS) is answered {{quoted}} without {ALLOW_ORIGIN}, but the answer to POST has it: "
        f"the app "
        "knows CORS, and another layer answers OPTIONS before it does, such as the web server, a proxy or firewall in "
        "front, or a route of its own.",
        "let {proxy} and everything in front pass OPTIONS on to the app, or have that layer send the CORS headers with "
        "OPTIONS too (preflights: 2xx)",
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "origin_lost",
        None,
        "something in front seems to drop Origin",
        _origin_lost,
        "The preflight is refused ({quoted}), but POST is served whatever its Origin, and no answer has a CORS header: "
        "probably a proxy or CDN in front does not pass Origin and Access-Control-Request-* on, or it refuses OPTIONS.",
        "let the proxy or CDN in front forward Origin and Access-Control-Request-Method/-Headers (CloudFront: "
        "an origin "
        "request policy such as CORS-CustomOrigin or AllViewer), and OPTIONS; if nothing is in front, add CORS",
        "",
        (*_PREFLIGHT_CODES, "foreign_origin_served", "origin_not_validated"),
    ),
    Rule(
        "preflight_not_routed",
        None,
        "nothing answers OPTIONS at this URL",
        _refused_code(404, 405, 501),
        "Nothing answers OPTIONS {url}, the preflight ({quoted}), and no answer to another method has CORS headers "
        f"({ALLOW_ORIGIN}) either.",
        _ANSWER_FIRST,
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "preflight_refused",
        None,
        "a preflight is refused with 4xx",
        lambda c: c.is_preflight and c.status >= 400,
        "The preflight (OPTIONS) is refused ({quoted}).{served}",
        "{order}",
        "preflight",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "origin_not_allowed",
        None,
        f"a preflight has CORS headers, but not {ALLOW_ORIGIN}",
        lambda c: (
            c.is_preflight
            and c.reason in _NO_ALLOW_ORIGIN
            and c.response is not None
            and any(name.lower().startswith("access-control-") for name in c.response.headers)
        ),
        f"The preflight (OPTIONS) is answered ({{status}}) with CORS headers, but {ALLOW_ORIGIN} is not among "
        f"them: the "
        "origin is not on the server's list.",
        _ALLOW + _EXACTLY,
        "origins",
        _PREFLIGHT_CODES,
    ),
    Rule(
        "cors_missing",
        None,
        "OPTIONS is answered without any CORS header",
        lambda c: c.is_preflight and c.reason in _NO_ALLOW_ORIGIN,
        f"OPTIONS {{url}}, the preflight, is answered ({{status}}), but without any CORS header ({ALLOW_ORIGIN}), "
        "however it is asked: the server has no CORS there, or not for this origin.",
        f"{_ALLOW}, {ALLOW_METHODS} and {ALLOW_HEADERS}{_EXACTLY}",
        "origins",
        _PREFLIGHT_CODES,
    ),
    # the request itself
    Rule(
        "csrf",
        None,
        "a CSRF check refuses POST",
        lambda c: c.status in (400, 403, 419, 422) and bool(_CSRF_WORDS.search(c.text)),
        "{name} is refused by a CSRF check ({quoted}), which wants a token from a form. An MCP client has none.",
        "exempt the MCP endpoint from the CSRF check: it is called with JSON, Origin is validated, and no "
        "cookie counts",
        "csrf",
        ("*",),
    ),
    Rule(
        "server_error",
        None,
        "a message ends in a server error",
        lambda c: not c.is_preflight and c.status >= 500,
        "{name} ends in a server error ({quoted}){unreadable}. This is not CORS: the application fails.",
        "see the server's log for the exception; to make errors readable send the CORS headers on every response",
        "every",
        ("*",),
    ),
    Rule(
        "request_refused",
        None,
        "CORS lets the page through, and a second check refuses its Origin",
        _second_list,
        "CORS lets the page through, but {name} is refused for its Origin: {quoted}.",
        _OWN_LIST,
        "",
        ("*",),
    ),
    Rule(
        "response_without_cors",
        None,
        f"a response lacks {ALLOW_ORIGIN}, though the preflight passed",
        _has_no_cors,
        f"The response to {{name}} ({{status}}) lacks {ALLOW_ORIGIN}, so JavaScript gets neither status nor body"
        "{only}.",
        f"{_ALLOW} on every response, errors such as {{status}} and streams too",
        "every",
    ),
    Rule(
        "token_not_received",
        None,
        "the answer to a token does not say that it is wrong: it may not arrive",
        lambda c: c.status == 401 and c.evidence.token is not None and _is_unsaid(c),
        "The token is sent, and {name} is answered 401 as without one: the challenge has no error, so no credential "
        "may have arrived. A proxy or server in front that drops Authorization is the usual cause.",
        "let {proxy} forward Authorization (mod_wsgi: WSGIPassAuthorization On; CGI: CGIPassAuth On); if it "
        "does, check "
        "whether the token is of this server",
        "proxy_headers",
        ("*",),
    ),
    Rule(
        "token_refused",
        None,
        "the token is not accepted",
        lambda c: c.status == 401 and c.evidence.token is not None,
        "The token is not accepted: the answer to it is 401.",
        "pass a valid one in --token",
        "",
        ("*",),
    ),
    Rule(
        "forbidden_without_token",
        None,
        "403 to a request without token and Origin: 401 is due where a login is meant",
        lambda c: c.status == 403 and not c.f.origin and c.evidence.token is None and not c.is_preflight,
        "{name} without a browser, with neither token nor Origin, is answered 403 ({quoted}). If the server wants a "
        "login, 401 is due: a client starts its login at 401 only.",
        "answer 401 with WWW-Authenticate: Bearer to requests without a token; if no login is meant, see which layer "
        "(firewall, allow list) refuses them",
        "",
        ("*",),
    ),
    Rule(
        "request_refused_too",
        None,
        "behind a preflight that fails the message is refused for its Origin, too",
        lambda c: c.f.step == "behind",
        "Behind the preflight, too, the message itself is refused for its Origin: {quoted}.",
        _OWN_LIST,
    ),
    Rule(
        "notification_refused",
        None,
        "a notification is not accepted",
        lambda c: c.f.step == "notifications/initialized" and c.status >= 400,
        "{name} is refused ({quoted}): clients stop there.",
        "answer notifications with 202 and no body",
    ),
    *(
        Rule(code, severity, meaning, _message_fault(code), sentence, cure, "", explains)
        for code, severity, meaning, sentence, cure, explains in (
            (
                "body_short",
                None,
                "a body is shorter than its Content-Length",
                "The answer to {name} is shorter than its Content-Length says: it ends in the middle.",
                "send the length of the encoded body as Content-Length, or leave it out; see the log for what "
                "broke off",
                ("*",),
            ),
            (
                "json_surrounded",
                None,
                "something stands before the JSON",
                "The answer to {name} has something in front of the JSON ({start}), so no client can parse it.",
                "let nothing else write to the body: warnings (PHP: display_errors off), print(), a log to stdout",
                ("*",),
            ),
            (
                "json_cut",
                None,
                "the JSON is cut",
                "The answer to {name} is JSON that is cut: it cannot be parsed, though the Content-Length fits.",
                "send the whole body: see the log, and limits of buffers on the way; a length counts bytes, not "
                "letters",
                ("*",),
            ),
            (
                "answer_unended",
                None,
                "the event that answers has no empty line at its end",
                "The event that answers {name} has no empty line at its end, so browsers never hand it over.",
                "end each event with an empty line (two line ends), and flush",
                ("*",),
            ),
            (
                "content_type_wrong",
                None,
                "an answer has another content type than application/json or text/event-stream",
                "The answer to {name} is {kind}, but its Content-Type is {type}: clients refuse that.",
                "send Content-Type: {due}",
                ("*",),
            ),
            (
                "envelope_missing",
                None,
                "bare results without the JSON-RPC envelope",
                "The answer to {name} is a bare result without the JSON-RPC envelope.",
                'wrap it: {{"jsonrpc": "2.0", "id": …, "result": …}}',
                ("*",),
            ),
            (
                "jsonrpc_missing",
                None,
                'answers lack "jsonrpc": "2.0"',
                'The answer to {name} lacks "jsonrpc": "2.0", so clients do not take it for a message.',
                'add "jsonrpc": "2.0" to every answer',
                ("*",),
            ),
            (
                "answer_in_array",
                Severity.WARNING,
                "an answer stands in an array",
                "The answer to {name} stands in an array, a batch, which MCP took out with 2025-06-18.",
                "answer with a single object",
                (),
            ),
            (
                "id_is_text",
                Severity.WARNING,
                "an answer has the request's id as text",
                "The answer to {name} has the request's id {id} as a string, another type than it was sent.",
                "answer with the id exactly as it came",
                (),
            ),
            (
                "id_differs",
                None,
                "an answer has another id than the request",
                "The answer to {name} does not have the request's id ({id}), so the client waits for ever.",
                "answer with the id of the request",
                ("*",),
            ),
        )
    ),
    Rule(
        "tls_expected",
        None,
        "the port speaks TLS, and was asked in plain HTTP",
        lambda c: c.status == 400 and bool(_TLS_WORDS.search(c.text)),
        "{name} is answered 400: the port speaks TLS (HTTPS), and the URL says http:.",
        "write https: in the URL",
        "",
        ("*",),
    ),
    Rule(
        "answer_empty",
        None,
        "a request is answered without a body",
        lambda c: bool(c.f.sent) and not c.f.is_rejected and 200 <= c.status < 300 and not c.f.body.strip(),
        "{name} is answered {status} without a body: the client waits for its result.",
        "answer a request (a message with an id) with 200 and a JSON-RPC response; 202 is for notifications. If the "
        "response is sent elsewhere, such as to a stream or a log, return it",
        "",
        ("*",),
    ),
    Rule(
        "request_header_changed",
        None,
        "406 or 415: the server does not see Accept or Content-Type as it was sent",
        lambda c: (
            {"header": "Accept" if c.status == 406 else "Content-Type"}
            if c.status in (406, 415) and c.f.sent
            else False
        ),
        "{name} is answered {quoted}, though the client sent {header} as MCP asks for: something on the way "
        "changes it, or "
        "the server wants another.",
        "let {proxy} pass {header} on as it came; accept application/json with text/event-stream (Accept) and "
        "application/json (Content-Type)",
        "",
        ("*",),
    ),
    Rule(
        "session_not_received",
        None,
        "a message of a session is refused as one without, or of an unknown session",
        lambda c: (
            c.status in (400, 404) and "Mcp-Session-Id" in c.sent_headers and bool(re.search("session", c.text, re.I))
        ),
        "{name} carries the Mcp-Session-Id of initialize, and is refused for its session ({quoted}): the header "
        "does not "
        "arrive, or no worker keeps the session.",
        "let {proxy} pass Mcp-Session-Id on; keep sessions where every worker finds them, or route by Mcp-Session-Id",
        "",
        ("no_result",),
    ),
    Rule(
        "version_refused",
        None,
        "a message is refused for its MCP-Protocol-Version",
        lambda c: (
            c.status == 400
            and "MCP-Protocol-Version" in c.sent_headers
            and bool(re.search("protocol.?version", c.text, re.I))
        ),
        "{name} is refused for MCP-Protocol-Version, which names the version that initialize agreed on ({quoted}).",
        "accept in MCP-Protocol-Version every version that initialize answers with",
    ),
    Rule(
        "login_page",
        None,
        "a login page, or another page, in place of a 401",
        lambda c: _plain(c) and _is_html(c) and c.status < 400 and bool(_LOGIN_WORDS.search(c.text)),
        "{name} is answered {status} with an HTML page that asks to log in, in place of 401 to a request "
        "without token.",
        "answer 401 with WWW-Authenticate: Bearer, not a page",
        "",
        ("*",),
    ),
    Rule(
        "not_mcp_page",
        None,
        "an HTML page is served for every path",
        lambda c: _plain(c) and _is_html(c) and c.status < 400,
        "No MCP message is answered here: {name} gives {status} and an HTML page, as a single-page app or a web server "
        "does for every path.",
        "check the URL and its path: it is that of the MCP endpoint, often …/mcp; let the proxy or development server "
        "route that path to the MCP server",
        "",
        ("*",),
    ),
    Rule(
        "not_mcp",
        None,
        "not an MCP endpoint",
        lambda c: _plain(c) and _no_mcp(c),
        "Without a browser, too, {what}.",
        "{fix}",
        "",
        ("*",),
    ),
    Rule(
        "version_unknown",
        None,
        "initialize is answered with a version that clients do not know",
        lambda c: _plain(c) and _unknown_version(c),
        "initialize is answered with the protocol version {version}, which clients do not know.",
        f"answer with the version that the client asks for, or another of {', '.join(r.name for r in REVISIONS)}",
        "",
        ("*",),
    ),
    Rule(
        "no_result",
        None,
        "a message has no result",
        lambda c: not c.f.is_rejected,
        "{name} is not answered with a result: {quoted}.",
        "see the server's log: this is not CORS",
    ),
    Rule("cors_error", None, "another reason of the browser", lambda c: True, "{console}", "see what the console says"),
)


def _is_unsaid(c: Case) -> bool:
    challenge = "" if c.response is None else c.response.headers.get("WWW-Authenticate", "")
    return "bearer" in challenge.lower() and "error=" not in challenge


def _no_mcp(c: Case) -> Fits:
    message = c.f.message or {}
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict):
        what = f'JSON-RPC is answered, but initialize with the error "{printable(str(error.get("message")), 80)}"'
        return {"what": what, "fix": "see the server's documentation for the methods that it has"}
    if isinstance(result, dict):
        if isinstance(result.get("protocolVersion"), str):
            return False
        what = "JSON-RPC is answered, but the result of initialize names no protocolVersion"
        return {"what": what, "fix": "let an MCP server answer: a stub has nothing to connect to"}
    what = f"no MCP message is answered here: POST initialize gives {c.status}"
    return {"what": what, "fix": "check the path: the URL is that of the MCP endpoint, often …/mcp"}


def _unknown_version(c: Case) -> Fits:
    version = (c.f.result or {}).get("protocolVersion")
    return {"version": version} if isinstance(version, str) else False
