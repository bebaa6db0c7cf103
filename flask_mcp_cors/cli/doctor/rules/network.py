"""Failures before the MCP server: no answer, an incomplete one, or one of something in front of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult
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
    503: "the gateway or the server is not available: no server runs behind it, or it is overloaded, starting or in "
    "maintenance",
    504: "the server behind the gateway does not answer in time: it hangs, or needs longer than the gateway waits",
    511: "a network (hotel, company) requires a login before it lets anything through",
    520: "the server behind Cloudflare answers with something that is not HTTP, or crashes",
    521: "the server behind Cloudflare refuses the connection: it is not running, or a firewall stops Cloudflare",
    522: "Cloudflare gets no connection to the server behind it in time",
    523: "Cloudflare does not reach the server behind it: the DNS record is wrong",
    524: "the server behind Cloudflare does not answer in time: a worker hangs, or the work takes over 100 seconds",
    525: "TLS between Cloudflare and the server behind it fails",
    526: "Cloudflare does not accept the certificate of the server behind it",
    530: "Cloudflare does not reach the server behind it: the tunnel is down, or the DNS record is wrong",
}
#: Faults of the network: sentence and cure.
FAULTS = {
    "url_malformed": (
        "{url} is not a valid URL for requests.",
        "write a whole URL, with a valid host",
    ),
    "closed": (
        "{url} closes the connection without an answer.",
        "check the port; if it speaks TLS there, write https:",
    ),
    "not_http": (
        "The server at {url} does not speak HTTP.",
        "check the port in the URL; if the server speaks TLS there, write https:",
    ),
    "broke_off": (
        "A response of {url} ends in the middle.",
        "see the log of server and proxies",
    ),
    "undecodable": (
        "The body of an answer of {url} does not match its Content-Encoding: {detail}.",
        "send Content-Encoding only with bodies in that coding, from one layer only",
    ),
    "refused": (
        "Nothing listens at {url}: the connection is refused.",
        "start the server; check the port",
    ),
    "dns": (
        "The name in {url} does not resolve.",
        "check the spelling and the DNS record",
    ),
    "certificate": (
        "The certificate of {url} is not valid: {detail}.",
        "install a valid certificate: browsers refuse this one (for your own CA: --cacert)",
    ),
    "tls": (
        "There is no TLS at {url} ({detail}).",
        "if the server speaks plain HTTP on this port, write http:",
    ),
    "timeout": (
        "No answer from {url} in time.",
        "see in the server's log whether it hangs; --timeout and --total wait longer",
    ),
    "network": (
        "No connection to {url}: {detail}.",
        "check address and network",
    ),
}


def _fault(code: str) -> Callable[[Case], Fits]:
    return lambda c: c.f.fault is not None and c.f.fault.code == code and {"detail": c.f.fault.detail}


def _preflight_fault(*codes: str) -> Callable[[Case], Fits]:
    return lambda c: c.f.fault_code in codes and c.is_preflight and c.is_endpoint


def _front(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        front = front_of(c.response)
        if front is None or front.code != code or (not c.f.origin and c.f.result is not None):
            return False
        return front._asdict()

    return seen


def _rate_limited(c: Case) -> Fits:
    # POST was served before, and is not now: nginx answers 503 to requests over its limit.
    is_over = c.status == 503 and c.is_posted and c.behind is not None and c.behind.status == 503
    if c.status != 429 and not is_over:
        return False
    limit = "What looks like a rate limit" if is_over else "The rate limit"
    if is_over:
        what = "OPTIONS and POST, which were served a moment before"
        fix = "do not count OPTIONS in the limit, raise it, and answer 429 (nginx: limit_req counts preflights too: "
        fix += "burst, limit_req_status 429; limit_conn); if there is no limit, find out what fails now and then"
    elif c.is_preflight or any(f.status == 429 for _, _, f in c.variations("at the limit")):
        what = "OPTIONS, the preflight: preflights count, and a refused one looks like a CORS error"
        fix = "do not count OPTIONS in the rate limit (put CORS before the limit)"
    elif c.f.blocked:
        what = f"{c.f.name}, without {ALLOW_ORIGIN}, so JavaScript cannot read it and the console blames CORS"
        fix = "put CORS before the rate limit, so that its 429 has the headers"
    else:
        what, fix = f"{c.f.name}; a client can read that and wait", "raise the limit if clients reach it too"
    # If a conversation got through, the doctor itself reached the limit.
    severity = Severity.WARNING if CONNECTS in c.evidence.verdicts.values() else Severity.ERROR
    return {"limit": limit, "what": what, "fix": fix, "severity": severity}


def _gateway(c: Case) -> Fits:
    why, proxy = _GATEWAY.get(c.status), c.proxy
    if why is None or (c.is_preflight and c.is_endpoint and c.is_posted):
        return False
    if c.f.step.startswith("GET stream") and c.is_posted:
        why = "POST is answered, so the server is up: something ends the stream, such as a time limit"
        fix = "exempt the GET stream from time limits and from layers that wait for the whole response (Go: "
        return {"why": why, "fix": f"{fix}http.TimeoutHandler; proxies: their read timeout)", "topic": "stream"}
    if c.status == 511:
        return {"why": why, "fix": "log in to the network first", "topic": ""}
    if c.status in (504, 524):
        fix = f"let the server behind {proxy} answer sooner, or {proxy} wait longer (nginx: proxy_read_timeout; "
        return {"why": why, "fix": f"{fix}HAProxy: timeout server)", "topic": ""}
    return {"why": why, "fix": f"start the server behind {proxy}; check its log, and the address in {proxy}"}


def _refused(c: Case) -> Fits:
    if c.f.fault_code != "refused":
        return False
    other = next(c.evidence.found("other loopback"), None)
    if other is None:
        return {"else": "", "fix": FAULTS["refused"][1]}
    fix = f"write {other.what} in the URL, or let the server listen at {c.evidence.url.host} too"
    return {"else": f" Something listens at {other.what}, the other loopback address.", "fix": fix}


def _barred(c: Case) -> Fits:
    if c.f.barred is None or c.f.location is not None:
        return False
    host = _split(c.f.url).hostname or "."
    inner = f"{host} looks like the name of a container or of an internal network, which browsers cannot reach; "
    fix = {
        LoginStep.SERVER: "name the public https: URL of the authorization server in authorization_servers, and as its "
        "issuer (Keycloak: KC_HOSTNAME)",
        LoginStep.RESOURCE: "serve it at a public https: URL, and name that in resource_metadata of WWW-Authenticate",
        "message of 2024": "serve it at a public https: URL, and name that in the endpoint event",
    }.get(c.f.step, "serve it at a public https: URL, and name that URL instead")
    return {"fix": fix if "." in host else inner + fix}


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _message_unanswered(c: Case) -> Fits:
    """Only some messages are answered."""
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
    own, other = _split(c.f.url), _split(c.location)
    is_elsewhere = own.hostname != other.hostname
    is_same_path = own.path.rstrip("/") == other.path.rstrip("/")
    if not other.netloc or is_same_path or not (is_elsewhere or _LOGIN_PATH.search(other.path)):
        return False  # the same path under another name
    fix = "exempt the MCP path, or at least OPTIONS, from the login in front (skip preflights there), and answer 401 "
    fix += "with WWW-Authenticate instead of redirecting"
    if c.is_preflight and c.behind is not None and c.behind.location is None:
        fix = f"exempt OPTIONS from the login in front: POST is answered {c.behind.status} there, and not redirected"
    return {"where": "another host" if is_elsewhere else "a login page", "fix": fix}


def _moved(c: Case) -> Fits:
    if c.location is None:
        return False
    url, location = c.f.url, c.location
    there = next((f for f in c.evidence.of("elsewhere") if f.url == location), None)
    one, other = _split(url), _split(location)
    is_same_path = bool(one.path and other.netloc) and one.path.rstrip("/") == other.path.rstrip("/")
    if not c.is_endpoint:
        fix = f"answer at {url} without a redirect and without a login: clients use this URL as it is"
    elif c.evidence.elsewhere not in (None, location):
        fix = f"give clients {c.evidence.elsewhere}: MCP answers there"
    elif not is_same_path:
        fix = f"answer at {url} itself, without a redirect; instead of sending a login page answer 401"
    elif one.scheme == "https" and other.scheme == "http":
        fix = f"give clients {url.rstrip('/')}/, or let the app know that it is behind TLS (ProxyFix), so that its "
        fix += "redirects keep https:"
    elif one.scheme != other.scheme == "https" and there is not None and there.fault is not None:
        fix = "let the app see that clients use https: (X-Forwarded-Proto; Flask: ProxyFix), or switch its redirect "
        fix += f"off where there is no TLS: the doctor finds none at {location}"
    elif one.scheme != other.scheme == "https":
        fix = f"give clients the https: URL: {location}"
    elif there is not None and there.status in (404, 405):
        fix = f"check the path: at {location} too, initialize is answered {there.status}. An app that is mounted at a "
        fix += "path adds its own path to that"
    else:
        fix = f"give clients that URL: {location}"
        fix += " (with the slash as the server has it), or route both" if one.path != other.path else ""
    return {"location": location or "no URL", "fix": fix}


def _host_refused(c: Case) -> Fits:
    is_refused = c.status == 421 or (c.status in (400, 403) and _HOST_WORDS.search(c.text))
    if not c.is_endpoint or not is_refused:
        return False
    served, seen = f"the server does not serve the host name of {c.f.url}", _HOST_SEEN.search(c.text)
    if seen is not None and seen[1] != c.evidence.url.host:
        served = (
            f"the Host that arrives is {seen[1]}, which is not the name in {c.f.url}: something in front changes it"
        )
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
        return {"fix": f"{fix}, which compare the port too), {_PASS_HOST}"}
    return {"fix": f"let {c.proxy} pass the Host on as it came, with its port; if it does: {fix})"}


NETWORK: dict[str, Failure] = {
    "preflight_closed": of_preflights(
        _preflight_fault("closed", "broke_off", "network", "not_http"),
        "OPTIONS {url}, the preflight, has no answer: the connection is closed or reset. The message itself is "
        "answered, so the server runs and drops OPTIONS.",
        "find what treats OPTIONS differently: a firewall, a proxy's list of methods, a crash in the handler; "
        + ANSWER_FIRST,
        "preflight",
    ),
    "preflight_timeout": Failure(
        _preflight_fault("timeout"),
        "OPTIONS {url}, the preflight, is not answered in time: it hangs. The message itself is answered.",
        "let the handler of OPTIONS end the response, and see whether a firewall or proxy drops OPTIONS; "
        + ANSWER_FIRST,
        "hang",
        (*PREFLIGHT_CODES, "not_asked"),
    ),
    "message_unanswered": Failure(
        _message_unanswered,
        "{name} to {url} has no answer: {how}. {other}, so the server runs, and the handler of this message {why}.",
        "see the server's log for the handler of {name}",
        explains=("no_conversation",),
    ),
    **{code: fatal(_fault(code), sentence, cure) for code, (sentence, cure) in FAULTS.items()},
    "refused": fatal(_refused, FAULTS["refused"][0] + "{else}", "{fix}"),
    "barred": Failure(
        _barred,
        "The browser rejects {name} ({url}) for another reason than CORS: see its console message.",
        "{fix}",
    ),
    **{front.code: Failure(_front(front.code), "{sentence}", "{fix}") for front in FRONTS},
    "rate_limited": Failure(
        _rate_limited,
        "{limit} of {url} answers {status} to {what}.",
        "{fix}; wait before the next run",
        "",
        ("no_conversation", "response_without_cors"),
    ),
    "body_too_large": fatal(
        lambda c: c.status == 413,
        "{name} is answered 413: the body is too large for a gateway in front. This is not CORS.",
        "raise the limit of the gateway (nginx: client_max_body_size)",
    ),
    "gateway_error": fatal(
        _gateway,
        "{whose} is answered {status}: {why}. This is not CORS, although the console blames CORS.",
        "{fix}",
        "upstream",
    ),
    "login_redirect": fatal(
        _login_redirect,
        "{asked} is redirected ({status}) to {where}, {location}: a login page or single sign-on answers instead of "
        "the server. Neither a preflight nor an MCP client can log in there.",
        "{fix}",
    ),
    "preflight_redirected": fatal(
        lambda c: c.is_preflight and _moved(c),
        "The preflight (OPTIONS {url}) is redirected ({status}) to {location}; browsers do not follow.",
        "{fix}; or answer preflights before the layer that redirects (HTTPS, slash, login)",
    ),
    "redirected": fatal(
        _moved,
        "{method} {url} is redirected ({status}) to {location}. Both official TypeScript clients fetch with redirect: "
        '"manual" and stop there.',
        "{fix}",
    ),
    "host_not_served": fatal(
        _host_refused,
        "{name} is refused for its Host ({quoted}): {served}.",
        "{fix}",
        "host",
    ),
}
