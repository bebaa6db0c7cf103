"""Failures before the server has a say: no answer, no whole answer, or an answer of what stands in front of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from ....core.headers import ALLOW_ORIGIN
from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import LoginStep
from ..stacks import A_PROXY
from ..stacks import front_of
from ..stacks import FRONTS
from .rule import ANSWER_FIRST
from .rule import Case
from .rule import Failure
from .rule import fatal
from .rule import Fits
from .rule import of_preflights
from .rule import PREFLIGHT_CODES

_HOST_WORDS = re.compile(
    r"invalid host|blocked hosts?|disallowedhost|misdirected|<h1>Bad Request \(400\)</h1>|host (name )?not "
    r"(allowed|served)",
    re.IGNORECASE,
)
_HOST_SEEN = re.compile(r"invalid host header: ['\"]?([\w.-]+)", re.IGNORECASE)
_PASS_HOST = "or let the proxy in front pass the Host on as it came"
_LOGIN_PATH = re.compile(r"log ?in|sign ?in|password|anmeld|oauth2?/|/sso|authori[sz]e", re.IGNORECASE)
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
_FAULTS = {
    "url_malformed": "a URL that the server names cannot be asked",
    "closed": "the connection is closed without an answer",
    "not_http": "what answers does not speak HTTP",
    "broke_off": "a response ends in the middle",
    "undecodable": "a body is not encoded as its Content-Encoding says",
    "refused": "nothing listens",
    "dns": "the name does not resolve",
    "certificate": "the certificate is not valid",
    "tls": "there is no TLS at this port",
    "timeout": "no answer in time",
    "network": "another error of the network",
}


def _fault(code: str) -> Callable[[Case], Fits]:
    """A fault, with the words that it brings."""
    return lambda c: c.f.fault is not None and c.f.fault.code == code and c.f.fault._asdict()


def _preflight_fault(*codes: str) -> Callable[[Case], Fits]:
    return lambda c: c.f.fault is not None and c.f.fault.code in codes and c.is_preflight and c.is_endpoint


def _front(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        front = front_of(c.response)
        if front is None or front.code != code or (not c.f.origin and c.f.result is not None):
            return False
        return front._asdict()

    return seen


def _rate_limited(c: Case) -> Fits:
    # POST was served, and is not any more: nginx answers 503 to what is over its limit.
    is_over = c.status == 503 and c.is_posted and c.behind is not None and c.behind.status == 503
    if c.status != 429 and not is_over:
        return False
    limit = "What looks like a rate limit" if is_over else "The rate limit"
    if is_over:
        what = "OPTIONS and POST, which were served a moment before"
        fix = "do not count OPTIONS in the limit, raise it, and answer 429 (nginx: limit_req counts preflights, too: "
        fix += "burst, limit_req_status 429; limit_conn); if there is no limit, see what fails now and then behind it"
    elif c.is_preflight or any(f.status == 429 for kind, _, f in c.variations() if kind == "at the limit"):
        what = "OPTIONS, the preflight: preflights count, and a refused one looks like a CORS error"
        fix = "do not count OPTIONS in the rate limit (put CORS before the limit)"
    elif c.f.blocked:
        what = f"{c.f.name}, without {ALLOW_ORIGIN}, so JavaScript cannot read it and the console blames CORS"
        fix = "put CORS before the rate limit, so that its 429 has the headers"
    else:
        what, fix = f"{c.f.name}; a client can read that and wait", "raise the limit if clients meet it, too"
    # Where something got through, it is the doctor that asked too much.
    severity = Severity.WARNING if CONNECTS in c.evidence.verdicts.values() else Severity.ERROR
    return {"limit": limit, "what": what, "fix": fix, "severity": severity}


def _gateway(c: Case) -> Fits:
    why, proxy = _GATEWAY.get(c.status), c.proxy
    if why is None or (c.is_preflight and c.is_endpoint and c.is_posted):
        return False
    if c.f.step.startswith("GET stream") and c.is_posted:
        return {
            "why": "POST is answered, so the server is up: something ends the stream, such as a time limit",
            "fix": "exempt the GET stream from time limits and from layers that wait for the whole response (Go: "
            "http.TimeoutHandler; proxies: their read timeout)",
            "topic": "stream",
        }
    if c.status == 511:
        return {"why": why, "fix": "log in to the network first", "topic": ""}
    if c.status in (504, 524):
        fix = f"let the server behind {proxy} answer sooner, or {proxy} wait longer (nginx: proxy_read_timeout; "
        return {"why": why, "fix": f"{fix}HAProxy: timeout server)", "topic": ""}
    fix = f"start the server behind {proxy}, and look at its log and at the address that {proxy} passes requests to"
    return {"why": why, "fix": fix}


def _refused(c: Case) -> Fits:
    """Nothing listens; at the other loopback address something may."""
    fits = _fault("refused")(c)
    other = next(c.evidence.found("other loopback"), None)
    if not fits or other is None:
        return fits
    host = c.evidence.url.host
    return {
        "sentence": f"Nothing listens at {host}, but something does at {other.what}: the other loopback address.",
        "fix": f"write {other.what} in the URL, or let the server listen at {host}, too",
    }


def _barred(c: Case) -> Fits:
    if c.f.barred is None or c.f.location is not None:
        return False
    try:
        host = urlsplit(c.f.url).hostname or "."
    except ValueError:
        host = "."
    inner = f"{host} looks like a name of a container or internal network, where browsers are not; " * ("." not in host)
    place = {LoginStep.RESOURCE: "resource_metadata of WWW-Authenticate", "message of 2024": "the endpoint event"}
    if c.f.step == LoginStep.SERVER:
        named = "name the public https: URL of the authorization server in authorization_servers, and as its issuer"
        return {"fix": f"{inner}{named} (Keycloak: KC_HOSTNAME)"}
    where = place.get(c.f.step, "what names this one")
    return {"fix": f"{inner}serve it at a public https: URL, and name that in {where}"}


def _message_unanswered(c: Case) -> Fits:
    """Other messages are answered."""
    beside = next((f for f in c.evidence.of("GET beside it") if f.status is not None), None)
    if c.f.fault is None or c.is_preflight or not c.is_endpoint or c.f.step == "GET beside it":
        return False
    if beside is None and (not c.is_posted or c.f.step == "initialize"):
        return False
    other = "POST initialize is answered" if beside is None else f"GET is answered ({beside.status})"
    if c.f.fault.code in ("closed", "network", "not_http"):
        return {"how": "the connection is closed", "why": "crashes, or something in front cuts it off", "other": other}
    return c.f.fault.code == "timeout" and {"how": "not in time", "why": "hangs", "other": other}


def _login_redirect(c: Case) -> Fits:
    if not c.is_endpoint or not c.location:
        return False
    try:
        own, other = urlsplit(c.f.url), urlsplit(c.location)
    except ValueError:
        return False
    is_elsewhere = own.hostname != other.hostname
    if own.path.rstrip("/") == other.path.rstrip("/") or not (is_elsewhere or _LOGIN_PATH.search(other.path)):
        return False  # the same place under another name
    fix = "exempt the MCP path, or at least OPTIONS, from the login in front (skip preflights there), and answer 401 "
    fix += "with WWW-Authenticate in place of the redirect"
    if c.is_preflight and c.behind is not None and c.behind.location is None:
        fix = f"exempt OPTIONS from the login in front: POST is answered {c.behind.status} there, and not redirected"
    return {"where": "another host" if is_elsewhere else "a login page", "fix": fix}


def _moved(c: Case) -> Fits:
    if c.location is None:
        return False
    url, location = c.f.url, c.location
    there = next((f for f in c.evidence.of("elsewhere") if f.url == location), None)
    try:
        one, other = urlsplit(url), urlsplit(location)
    except ValueError:
        one = other = urlsplit("")
    is_same_path = bool(one.path) and one.path.rstrip("/") == other.path.rstrip("/")
    if not c.is_endpoint:
        fix = f"answer at {url}, without a redirect: clients take this URL as it is; let it be public, without a login"
    elif c.evidence.elsewhere not in (None, location):
        fix = f"give clients {c.evidence.elsewhere}: MCP answers there"
    elif not is_same_path:
        fix = f"answer at {url} itself, without a redirect; in place of a login page answer 401"
    elif one.scheme == "https" and other.scheme == "http":
        fix = f"give clients {url.rstrip('/')}/, or let the app know that it is behind TLS (ProxyFix), so that its "
        fix += "redirects keep https:"
    elif one.scheme != other.scheme == "https":
        fix = f"give clients the https: URL: {location}"
        if there is not None and there.fault is not None:
            fix = (
                "let the app see that clients use https: (X-Forwarded-Proto; Flask: ProxyFix), or switch its redirect "
            )
            fix += f"off where there is no TLS: {location} has none, as asked from here"
    elif there is not None and there.status in (404, 405):
        fix = f"check the path: at {location}, too, initialize is answered {there.status}. An app that is mounted at a "
        fix += "path adds its own to that"
    else:
        fix = f"give clients that URL: {location}"
        fix += " (with the slash as the server has it), or route both" if one.path != other.path else ""
    return {"location": location or "no place at all", "fix": fix}


def _host_refused(c: Case) -> Fits:
    is_refused = c.status == 421 or (c.status in (400, 403) and _HOST_WORDS.search(c.text))
    if not c.is_endpoint or not is_refused:
        return False
    served, seen = f"the server does not serve the host name of {c.f.url}", _HOST_SEEN.search(c.text)
    if seen is not None and seen[1] != c.evidence.url.host:
        served = f"the server was asked as {seen[1]}, and not by the name in {c.f.url}: something in front changes Host"
    return {"served": served, **_host_cure(c)}


def _host_cure(c: Case) -> dict[str, object]:
    url = c.evidence.url
    if url.host in ("0.0.0.0", "[::]"):
        called = f"{url.scheme}://{url.authority.replace(url.host, '127.0.0.1')}{url.target}"
        return {"fix": f"write {called}: {url.host} is an address to listen on", "topic": ""}
    if c.status == 400:
        fix = f"add {url.host} to the hosts that the server behind serves (Django: ALLOWED_HOSTS; Starlette, FastAPI: "
        fix += "TrustedHostMiddleware(allowed_hosts=[…]); without a port)"
        return {"fix": f"{fix}, {_PASS_HOST}", "topic": ""}
    fix = f"add {url.authority} to the hosts that the server behind serves (hosts in MCPCors, allowed_hosts in MCP SDKs"
    if c.proxy == A_PROXY:
        return {"fix": f"{fix}, which compare the port, too), {_PASS_HOST}"}
    return {"fix": f"let {c.proxy} pass the Host on as it came, with its port; if it does: {fix})"}


NETWORK: dict[str, Failure] = {
    "preflight_closed": of_preflights(
        "the connection is closed on OPTIONS only",
        _preflight_fault("closed", "broke_off", "network", "not_http"),
        "OPTIONS {url}, the preflight, has no answer: the connection is closed or reset. The message itself is "
        "answered, so the server is there and drops OPTIONS.",
        "see what treats OPTIONS in another way: a firewall, a proxy's list of methods, a crash in the handler; "
        + ANSWER_FIRST,
        "preflight",
    ),
    "preflight_timeout": Failure(
        "OPTIONS is never answered",
        _preflight_fault("timeout"),
        "OPTIONS {url}, the preflight, is never answered: it hangs until the time is over. The message itself is "
        "answered.",
        "let the handler of OPTIONS end the response, and see whether a firewall or proxy drops OPTIONS; "
        + ANSWER_FIRST,
        "hang",
        (*PREFLIGHT_CODES, "not_asked"),
    ),
    "message_unanswered": Failure(
        "one message has no answer, though others have",
        _message_unanswered,
        "{name} to {url} has no answer: {how}. {other}, so the server is there, and what handles this message {why}.",
        "see the server's log for what the handler of {name} does",
        explains=("no_conversation",),
    ),
    **{
        code: fatal(meaning, _refused if code == "refused" else _fault(code), "{sentence}", "{fix}")
        for code, meaning in _FAULTS.items()
    },
    "barred": Failure(
        "the browser rejects the request, and not for CORS",
        _barred,
        "The browser rejects {name} ({url}), and not for CORS: {barred}",
        "{fix}",
    ),
    **{
        front.code: Failure(f"{front.name} answers in the server's place", _front(front.code), "{sentence}", "{fix}")
        for front in FRONTS
    },
    "rate_limited": Failure(
        "requests, or preflights among them, are answered 429, or 503 after others were served",
        _rate_limited,
        "{limit} of {url} answers {status} to {what}.",
        "{fix}; wait before the next run",
        "",
        ("no_conversation", "response_without_cors"),
    ),
    "body_too_large": fatal(
        "a gateway answers 413",
        lambda c: c.status == 413,
        "{name} is answered 413: a gateway in front takes the body for too large. This is not CORS.",
        "raise the limit of the gateway (nginx: client_max_body_size)",
    ),
    "gateway_error": fatal(
        "a gateway or tunnel answers 502, 503, 504, 511, 520 to 526 or 530",
        _gateway,
        "{whose} is answered {status}: {why}. This is not CORS, whatever the console says.",
        "{fix}",
        "upstream",
    ),
    "login_redirect": fatal(
        "a request is redirected to a login page, or to another host",
        _login_redirect,
        "{asked} is redirected ({status}) to {where}, {location}: a login page or single sign-on answers in the "
        "server's place. Neither a preflight nor an MCP client can log in there.",
        "{fix}",
    ),
    "preflight_redirected": fatal(
        "a preflight is redirected",
        lambda c: c.is_preflight and _moved(c),
        "The preflight (OPTIONS {url}) is redirected ({status}) to {location}; browsers do not follow.",
        "{fix}; or answer preflights before the layer that redirects (HTTPS, slash, login)",
    ),
    "redirected": fatal(
        "a request is redirected; MCP clients do not follow",
        _moved,
        "{method} {url} is redirected ({status}) to {location}. Both official TypeScript clients fetch with redirect: "
        '"manual" and stop there.',
        "{fix}",
    ),
    "host_not_served": fatal(
        "the server does not serve the Host of the URL",
        _host_refused,
        "{name} is refused for its Host ({quoted}): {served}.",
        "{fix}",
        "host",
    ),
}
