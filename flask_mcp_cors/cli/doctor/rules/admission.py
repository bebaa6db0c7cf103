"""Observations on who may call: origins, hosts, and the headers that say so."""

from __future__ import annotations

from collections.abc import Iterator

from ....core.headers import ALLOW_CREDENTIALS
from ....core.headers import ALLOW_HEADERS
from ....core.headers import ALLOW_ORIGIN
from ....core.headers import MAX_AGE
from ....core.headers import split_list
from ....testing import HeaderList
from ....testing.preflight import Answer
from ....testing.preflight import Question
from ....testing.quirks import QUIRKS
from ...findings import Severity
from ..evidence import Evidence
from ..evidence import Fetched
from ..evidence import FOREIGN_HOST
from ..evidence import FOREIGN_ORIGIN
from ..evidence import MAX_DOTS
from ..stacks import A_PROXY
from ..stacks import proxy_in
from ..stacks import stacks_of
from .rule import each
from .rule import error
from .rule import Fits
from .rule import note
from .rule import Observation
from .rule import once
from .rule import Seen
from .rule import Values
from .rule import warning

_DOT = "another character for a dot"
_SINGLE = (MAX_AGE, ALLOW_CREDENTIALS, "X-Content-Type-Options", "X-Frame-Options", "Strict-Transport-Security")

_NAME_ORIGINS = "list the origins that may call, in full, and refuse others with 403"
_NAME_HOSTS = (
    "serve only your own host names, and answer 421 or 403 for others (MCPCors: hosts; MCP SDKs: allowed_hosts; "
    "FastMCP: with host_origin_protection=True too)"
)
_COMPARE = "compare the whole origin with an exact list"
_SEND_MAX_AGE = f"send {MAX_AGE}: 7200 or more (Chromium keeps the answer for two hours at most)"


def _allowed(headers: HeaderList) -> tuple[str | None, str | None]:
    """The origin that the headers allow, and whether they allow credentials."""
    return headers.get(ALLOW_ORIGIN), headers.get(ALLOW_CREDENTIALS)


def _has_credentials(f: Fetched) -> bool:
    return _allowed(f.headers) == (FOREIGN_ORIGIN, "true")


def _served(*, to_pages: bool) -> Seen:
    """A foreign origin is served: *to_pages*, or not in browsers, because its preflight fails."""

    def seen(ev: Evidence) -> Iterator[Values]:
        f = ev.first("foreign origin")
        if f is None or f.result is None or _has_credentials(f):
            return
        preflight, simple = ev.first("foreign preflight"), ev.first("foreign simple")
        is_stopped = preflight is not None and preflight.is_rejected and (simple is None or simple.result is None)
        if to_pages == is_stopped:
            return
        allowed = f.headers.get(ALLOW_ORIGIN)
        may_read = allowed in ("*", FOREIGN_ORIGIN)
        at_home = ev.is_local and ev.token is None
        # * on purpose: cookies have no effect, and the server requires a token, or checks the Host at least.
        checks_host = not any(f.result is not None for f in ev.of("foreign host", "foreign host, no origin"))
        is_public = allowed == "*" and (ev.wants_login or (checks_host and ev.first("foreign host") is not None))
        heads = [response.headers for response, _ in ev.responses()]
        proxy = proxy_in(stacks_of(ev.responses()))
        # If another origin gets other headers, Origin arrives, unless a proxy sends them.
        is_told_apart = any(head.get(ALLOW_ORIGIN) not in (None, allowed) for head in heads)
        is_seen = is_told_apart and proxy == A_PROXY and not any("Via" in head for head in heads)
        hint = "" if may_read or is_seen else f"see whether {proxy} in front drops Origin, and let it pass Origin on"
        # Code that sends its single origin without looking answers in the same way.
        is_same = bool(hint) and allowed is not None and allowed in ev.origins
        hint = f"; if the server does validate it: {hint}" if hint and not is_same else hint
        grave = Severity.ERROR if at_home and to_pages else Severity.WARNING
        yield {
            "severity": Severity.NOTE if is_public and to_pages else grave,
            "who": "Any web site that somebody on this machine or network visits" if at_home else "Any web site",
            "with": ", with a token of its own" if ev.wants_login else "",
            "read": " and read its answers" if may_read else "",
            "foreign": FOREIGN_ORIGIN,
            "order": f"{hint}; otherwise {_NAME_ORIGINS}" if is_same else _NAME_ORIGINS + hint,
        }

    return seen


def _let_in(ev: Evidence, kind: str) -> list[str]:
    """The look-alikes of this kind that get CORS headers."""
    let_in = []
    for f in ev.of(f"look-alike: {kind}"):
        asked = f.exchanges[0].request.headers.get("Origin", "")
        if f.headers.get(ALLOW_ORIGIN) == asked and f.status not in (403, 421):
            let_in.append(asked)
    return let_in


def _holes(*kinds: str, is_grave: bool = False) -> Seen:
    def seen(ev: Evidence) -> Iterator[Values]:
        has_credentials = any(r.headers.get(ALLOW_CREDENTIALS) == "true" for r, _ in ev.responses())
        is_open = has_credentials or (not ev.wants_login and ev.token is None)
        # If all subdomains are allowed, a name that ends like an allowed one may be a subdomain.
        parents = tuple(origin.partition("://evil")[2] for origin in _let_in(ev, "subdomain"))
        # If only the end is compared, the origins with another character for a dot are let in for that reason.
        endings = tuple(filter(None, (origin.partition("://evil")[2] for origin in _let_in(ev, "host as suffix"))))
        found = {kind: _let_in(ev, kind) for kind in kinds}
        # If anything may follow the host, so may a port; if anything may precede it, so may another scheme.
        if _let_in(ev, "host as prefix") or _let_in(ev, "host in the middle"):
            found.pop("another port", None)
        if _let_in(ev, "host in the middle") or any(not o.endswith(parents) for o in _let_in(ev, "host as suffix")):
            found.pop("another scheme", None)
        if found.get("host as prefix") and len(found[_DOT]) < sum(min(MAX_DOTS, o.count(".")) for o in ev.origins):
            del found[_DOT]  # the comparison ends before that dot
        if found.get("host in the middle"):
            # If the host may be anywhere, that explains all the others.
            found = {"host in the middle": [origin for let_in in found.values() for origin in let_in]}
        for kind, let_in in found.items():
            others = {"host as suffix": parents, _DOT: parents + endings}.get(kind, ())
            shown = ", ".join(origin for origin in let_in if not origin.endswith(others))
            if shown:
                severity = Severity.ERROR if is_grave and is_open else Severity.WARNING
                yield {"severity": severity, "let_in": shown, "how": _HOLES[kind][0], "hole_cure": _HOLES[kind][1]}

    return seen


#: Kind of look-alike → what such a server does, and the cure.
_HOLES = {
    "host as prefix": (
        "the server compares the start of the origin (startswith, or a regular expression without an end)",
        f"{_COMPARE}; anchor a regular expression at its end ($, fullmatch)",
    ),
    "host as suffix": (
        "the server compares the end of the origin (endswith, a wildcard without its dot, or a regular expression with "
        ".*)",
        f"{_COMPARE}; in a wildcard keep the dot before the domain",
    ),
    _DOT: (
        "a dot in a regular expression stands for any character",
        rf"{_COMPARE}, or escape each dot (\., re.escape)",
    ),
    "host in the middle": (
        "the server searches the origin for the host (in, contains, an unanchored regular expression)",
        f"{_COMPARE}; anchor a regular expression at both ends",
    ),
    "a part of it": (
        "the server searches a text for the origin (in or indexOf on a string that should be a list)",
        "make it a list, and compare the whole origin with each entry",
    ),
    "null": (
        "null is on the list; sandboxed frames and local files send it",
        f"take null off the list: {_COMPARE}",
    ),
    "another scheme": (
        "the server compares the host or the end of the origin, not the scheme: anybody who controls the network can "
        "serve a page there",
        f"{_COMPARE}, scheme included",
    ),
    "another port": (
        "the server does not compare the port: another program on that host may serve a page there",
        f"{_COMPARE}, port included",
    ),
}


def _subdomains(ev: Evidence) -> Iterator[Values]:
    if (let_in := _let_in(ev, "subdomain")) and not _let_in(ev, "host in the middle"):
        yield {"let_in": let_in[-1]}


def _rebinding(ev: Evidence) -> Fits:
    f = ev.first("foreign host")
    is_served = f is not None and f.result is not None
    return is_served and {"host": FOREIGN_HOST, "severity": Severity.WARNING if ev.token else Severity.ERROR}


def _host_not_checked(ev: Evidence) -> Fits:
    bare, full = ev.first("foreign host, no origin"), ev.first("foreign host")
    if bare is None or bare.result is None or full is None:
        return False
    severity = Severity.NOTE if ev.token else Severity.WARNING
    return {"host": FOREIGN_HOST, "status": full.status, "severity": severity}


def _vary(ev: Evidence) -> Fits:
    """Does an answer depend on Origin, and not say so? A cache may send it to another page."""
    foreign = ev.first("foreign origin")
    if foreign is None or foreign.network is None:
        return False
    for f in ev.fetches:
        if f.network is None or not f.origin or f.url != ev.href or f.method == "OPTIONS":
            continue
        if f.network.status == 401 and foreign.network.status != 401:
            continue
        allowed = f.network_headers.get(ALLOW_ORIGIN)
        varies = {name.lower() for name in split_list(f.network_headers.get("Vary", ""))}
        if allowed not in (None, "*", foreign.network_headers.get(ALLOW_ORIGIN)) and not varies & {"origin", "*"}:
            return True
    return False


def _no_nosniff(ev: Evidence) -> Fits:
    answers = [f.network_headers for f in ev.fetches if f.network is not None and f.url == ev.href]
    return bool(answers) and not any("X-Content-Type-Options" in headers for headers in answers)


def _passed(ev: Evidence) -> Iterator[tuple[Fetched, HeaderList]]:
    """The preflights of the endpoint that pass, and the headers of their answers."""
    for f in ev.fetches:
        if f.preflight is not None and not f.is_rejected and f.url == ev.href:
            yield f, f.preflight.headers


def _max_ages(ev: Evidence) -> list[str | None]:
    return [head.get(MAX_AGE) for _, head in _passed(ev)]


def _is_positive(age: str) -> bool:
    return age.isdecimal() and int(age) > 0


def _star_authorization(ev: Evidence) -> Fits:
    asked = Question("", "", "POST", ("authorization",), with_credentials=False)
    heads = (head for f, head in _passed(ev) if "authorization" in f.sent_names)
    return any(Answer.from_headers(head, QUIRKS["chromium"]).refused_headers(asked) for head in heads)


ADMISSION: dict[str, Observation] = {
    "any_origin_with_credentials": error(
        each("foreign origin", where=_has_credentials),
        "Any web site may call this server with the visitor's cookies and read the answers: it echoes the Origin "
        f"{FOREIGN_ORIGIN} and allows credentials.",
        f"name the origins in a list; MCP with bearer tokens does not need {ALLOW_CREDENTIALS}",
        "origins",
    ),
    "foreign_origin_served": warning(
        _served(to_pages=True),
        "{who} can call this server{with}{read}: requests with the Origin {foreign} are answered. MCP says: servers "
        "MUST validate Origin and answer 403.",
        "{order}",
    ),
    "origin_not_validated": warning(
        _served(to_pages=False),
        "The server does not refuse the Origin {foreign}. Only the preflight stops such a page. MCP says: servers MUST "
        "validate Origin and answer 403.",
        "{order}",
    ),
    "foreign_origin_unknown": note(
        each("foreign origin", where=lambda f: f.status == 401 and not _has_credentials(f)),
        "Without a token the doctor cannot test whether foreign origins are refused: the server answers 401 first.",
        "pass --token",
    ),
    "lookalike_allowed": error(
        _holes("host as prefix", "host as suffix", _DOT, "host in the middle", "a part of it", is_grave=True),
        "An origin that only looks like an allowed one is let in: {let_in}. Probably {how}.",
        "{hole_cure}",
        "origins",
    ),
    "null_allowed": error(
        _holes("null", is_grave=True),
        "The origin null is let in: {how}.",
        "{hole_cure}",
        "origins",
    ),
    "other_scheme_allowed": warning(
        _holes("another scheme", is_grave=True),
        "{let_in} is let in too: {how}.",
        "{hole_cure}",
        "origins",
    ),
    "other_port_allowed": warning(
        _holes("another port", is_grave=True),
        "{let_in} is let in too: {how}.",
        "{hole_cure}",
        "origins",
    ),
    "subdomains_allowed": note(
        _subdomains,
        "Subdomains are let in too: {let_in}.",
        "to allow a single host, write its origin without a wildcard",
    ),
    "dns_rebinding": error(
        once(_rebinding),
        "This local server answers requests for any Host ({host}). With DNS rebinding, any web site can use it as its "
        "own origin, and CORS does not prevent that.",
        _NAME_HOSTS,
    ),
    "host_not_checked": warning(
        once(_host_not_checked),
        "Without an Origin, this local server answers requests for any Host ({host}). With DNS rebinding, any web site "
        "can send GET requests without Origin. Its POST has an Origin, and is refused ({status}).",
        _NAME_HOSTS,
    ),
    "foreign_host_unknown": note(
        each("foreign host, no origin", where=lambda f: f.status == 401),
        "Without a token the doctor cannot test whether a foreign Host is refused: the server answers 401 first.",
        "pass --token",
    ),
    "vary_missing": warning(
        once(_vary),
        f"{ALLOW_ORIGIN} depends on Origin, but Vary: Origin is missing: a cache may send it to another page.",
        "send Vary: Origin with every response",
    ),
    "header_repeated": warning(
        lambda ev: ({"header": h} for h in _SINGLE if any(len(r.headers.getall(h)) > 1 for r, _ in ev.responses())),
        "{header} is sent more than once: two layers set it, often app and proxy.",
        "let only one layer send it (nginx: remove add_header, or use proxy_hide_header)",
    ),
    "wildcard_with_credentials": warning(
        once(lambda ev: any(_allowed(r.headers) == ("*", "true") for r, _ in ev.responses())),
        f"{ALLOW_ORIGIN}: * and {ALLOW_CREDENTIALS}: true contradict each other: browsers refuse * if a page "
        'fetches with credentials: "include", and otherwise they ignore the second header.',
        f"leave {ALLOW_CREDENTIALS} out: bearer tokens do not need it; if you use cookies, name the origins",
    ),
    "wildcard_authorization": warning(
        once(_star_authorization),
        f"{ALLOW_HEADERS} is *, which does not cover Authorization (Fetch standard). Chromium, Firefox and WebKit "
        "still accept it; Chromium warns and repeats the preflight before every request.",
        f"name Authorization: {ALLOW_HEADERS}: *, Authorization",
    ),
    "max_age_unused": warning(
        once(lambda ev: next(({"age": age} for age in _max_ages(ev) if age and not _is_positive(age)), None)),
        f"{MAX_AGE} is {{age}}: browsers do not cache the answer to a preflight and send one before every request.",
        _SEND_MAX_AGE,
    ),
    "preflight_not_cached": note(
        once(lambda ev: set(_max_ages(ev)) == {None}),
        f"Answers to preflights have no {MAX_AGE}: browsers cache them for a few seconds only.",
        _SEND_MAX_AGE,
    ),
    "nosniff_missing": note(
        once(_no_nosniff),
        "Responses lack X-Content-Type-Options: nosniff.",
        "send it with every response",
    ),
}
