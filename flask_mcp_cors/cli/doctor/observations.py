"""The second half of the table: findings that no single failed request shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from urllib.parse import urlsplit

from ...core.headers import ALLOW_CREDENTIALS
from ...core.headers import ALLOW_ORIGIN
from ...core.headers import EXPOSE_HEADERS
from ...core.headers import MAX_AGE
from ...core.headers import split_list
from ...testing import NetworkResponse
from ...testing.preflight import Answer
from ...testing.preflight import Question
from ...testing.quirks import QUIRKS
from ...testing.urls import parse_url
from ..findings import Severity
from .evidence import Evidence
from .evidence import Fetched
from .messages import events
from .messages import NEWEST_WITH_SESSIONS
from .rules import Rule
from .rules import Values
from .stacks import proxy_in
from .stacks import stacks_of

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

#: A page that nobody has, and a name that an attacker would own: RFC 2606 keeps the domain free.
FOREIGN_ORIGIN = "https://foreign.invalid"
FOREIGN_HOST = "rebound.invalid"

_SINGLE = (MAX_AGE, ALLOW_CREDENTIALS, "X-Content-Type-Options", "X-Frame-Options", "Strict-Transport-Security")


def _fact(step: str) -> Callable[[Evidence], Iterator[Values]]:
    def seen(ev: Evidence) -> Iterator[Values]:
        for origin, what in ev.found(step):
            yield {"origin": origin, "what": what, "own": ev.url.origin}

    return seen


def _endpoint_responses(ev: Evidence) -> Iterator[NetworkResponse]:
    for fetched in ev.fetches:
        for exchange in fetched.exchanges:
            if exchange.response is not None and exchange.request.url == ev.href:
                yield exchange.response


def _at(fetched: Fetched, **more: object) -> Values:
    return {
        "origin": fetched.origin,
        "revision": fetched.revision,
        "name": fetched.name,
        "status": fetched.status,
        **more,
    }


# --- conversations --------------------------------------------------------------------------------------------------


def _session_hidden(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("initialize"):
        is_sent = f.origin and f.network and f.result and "Mcp-Session-Id" in f.network.headers
        if is_sent and "mcp-session-id" not in f.headers:
            yield _at(f)


def _session_lost(ev: Evidence) -> Iterator[Values]:
    by_place: dict[tuple[str, str], list[Fetched]] = {}
    for f in ev.of("session again"):
        by_place.setdefault((f.origin, f.revision), []).append(f)
    for answers in by_place.values():
        lost = [f for f in answers if f.status is not None and f.result is None and f.status != 429]
        if lost and len(lost) < len(answers):
            yield _at(lost[0], lost=len(lost), all=len(answers))


def _streams(ev: Evidence) -> Iterator[Fetched]:
    yield from ev.of("GET stream")


def _is_stream(f: Fetched) -> bool:
    return f.status == 200 and "event-stream" in f.headers.get("content-type", "")


def _stream_delayed(ev: Evidence) -> Iterator[Values]:
    for f in _streams(ev):
        if f.fault is not None and f.fault.code == "timeout" and not f.failed_at_preflight:
            yield _at(f)


def _stream_compressed(ev: Evidence) -> Iterator[Values]:
    for f in _streams(ev):
        plain = ev.first("GET stream uncompressed", origin=f.origin)
        if _is_stream(f) and not any(events(f.body)) and plain is not None and any(events(plain.body)):
            coding = "" if f.network is None else f.network.headers.get("Content-Encoding", "")
            yield _at(f, coding=coding)


def _event_unended(ev: Evidence) -> Iterator[Values]:
    for f in _streams(ev):
        rest = f.body.replace(b"\r\n", b"\n").rpartition(b"\n\n")[2]
        if _is_stream(f) and b"data:" in rest and rest.endswith(b"\n"):
            yield _at(f)


def _get_not_405(ev: Evidence) -> Iterator[Values]:
    for f in _streams(ev):
        if f.status is not None and 400 <= f.status < 500 and f.status not in (400, 401, 403, 405, 429):
            yield _at(f)


def _get_other(ev: Evidence) -> Iterator[Values]:
    for f in _streams(ev):
        if f.status == 200 and not _is_stream(f):
            yield _at(f, type=f.headers.get("content-type", "") or "no Content-Type")


def _question_blocked(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("first question"):
        others = (g for g in ev.fetches if g.origin == f.origin and g.url == ev.href and g.weight and g.preflight)
        if f.blocked is not None and any(not g.failed_at_preflight for g in others):
            yield _at(f)


def _params(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("params"):
        if f.is_rejected and f.weight is None and f.blocked is not None:
            yield _at(f)


def _negotiated(ev: Evidence) -> Iterator[Values]:
    for f in ev.plain:
        version = (f.result or {}).get("protocolVersion")
        if any(r.name == version and r.name != f.revision and "DELETE" in r.methods for r in ev.revisions[:1]):
            yield {"asked": f.revision, "version": version}
            return


def _old_only(ev: Evidence) -> Iterator[Values]:
    oldest = ev.revisions[0]
    if oldest.is_two_endpoints and ev.speaks(oldest) and not any(ev.speaks(r) for r in ev.revisions[1:]):
        yield {}


def _old_dead(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("message of 2024"):
        if f.status is not None and f.status >= 400:
            yield _at(f, url=f.url, endpoint=urlsplit(f.url).path)


def _old_silent(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("GET stream of 2024"):
        sent = ev.first("message of 2024", origin=f.origin)
        if (
            f.origin
            and sent is not None
            and sent.status is not None
            and 0 < sent.status < 400
            and b"result" not in f.body
        ):
            yield _at(f, url=sent.url)


def _unreadable_error(*steps: str) -> Callable[[Evidence], Iterator[Values]]:
    def seen(ev: Evidence) -> Iterator[Values]:
        for f in ev.of(*steps):
            status = 0 if f.last is None else f.last.status
            if (
                f.blocked is not None
                and not f.failed_at_preflight
                and "connects" in ev.verdicts.values()
                and status != 429
            ):
                yield _at(f, status=status, what=f.step, url=f.url)

    return seen


def _no_conversation(ev: Evidence) -> Iterator[Values]:
    for origin in {origin for origin, _ in ev.verdicts}:
        verdicts = {verdict for (about, _), verdict in ev.verdicts.items() if about == origin}
        if not verdicts & {"connects", "log in first"}:
            yield {"origin": origin}


# --- who may call -----------------------------------------------------------------------------------------------


def _is_open(ev: Evidence) -> bool:
    """May anybody call it without a login?"""
    return not ev.wants_login and ev.token is None


def _is_foreign_reflected(ev: Evidence) -> bool:
    foreign = ev.first("foreign origin")
    return foreign is not None and foreign.headers.get(ALLOW_ORIGIN) in ("*", FOREIGN_ORIGIN)


def _any_credentials(ev: Evidence) -> Iterator[Values]:
    f = ev.first("foreign origin")
    if f is not None and f.headers.get(ALLOW_ORIGIN) == FOREIGN_ORIGIN and f.headers.get(ALLOW_CREDENTIALS) == "true":
        yield {"foreign": FOREIGN_ORIGIN}


def _is_stopped_by_browsers(ev: Evidence) -> bool:
    """Can no page send what was served to the foreign origin, because its preflight fails?"""
    preflight, simple = ev.first("foreign preflight"), ev.first("foreign simple")
    return preflight is not None and preflight.is_rejected and (simple is None or simple.result is None)


def _not_validated(ev: Evidence) -> Iterator[Values]:
    f = ev.first("foreign origin")
    if f is not None and f.result is not None and not any(_any_credentials(ev)) and _is_stopped_by_browsers(ev):
        proxy = proxy_in(stacks_of([(r, b"") for r in _endpoint_responses(ev)]))
        hint = f"; if the server does validate it, {proxy} in front drops Origin: let it pass Origin on"
        yield {"foreign": FOREIGN_ORIGIN, "hint": hint}


def _foreign_served(ev: Evidence) -> Iterator[Values]:
    f = ev.first("foreign origin")
    if f is None or f.result is None or any(_any_credentials(ev)):
        return
    may_read = f.headers.get(ALLOW_ORIGIN) in ("*", FOREIGN_ORIGIN)
    if _is_stopped_by_browsers(ev):
        return
    at_home = ev.is_local and ev.token is None
    who = "Any web site that somebody on this machine or network visits" if at_home else "Any web site"
    stacks = stacks_of([(r, b"") for r in _endpoint_responses(ev)])
    proxy = proxy_in(stacks)
    hint = ""
    if not may_read:
        hint = f"; if the server does validate it, {proxy} in front drops Origin: let it pass Origin on"
    yield {
        "severity": ERROR if at_home else WARNING,
        "who": who,
        "read": " and read its answers" if may_read else "",
        "foreign": FOREIGN_ORIGIN,
        "hint": hint,
    }


def _foreign_unknown(ev: Evidence) -> Iterator[Values]:
    f = ev.first("foreign origin")
    if f is not None and f.status == 401 and not any(_any_credentials(ev)):
        yield {}


def _holes(*kinds: str) -> Callable[[Evidence], Iterator[Values]]:
    def seen(ev: Evidence) -> Iterator[Values]:
        credentials = any(r.headers.get(ALLOW_CREDENTIALS) == "true" for r in _endpoint_responses(ev))
        let_in: dict[str, list[str]] = {}
        parents = [values["let_in"].partition("://evil.")[2] for values in _subdomains(ev)]
        for f in ev.fetches:
            place, _, kind = f.step.partition(": ")
            if place != "look-alike" or kind not in kinds or f.exchanges[0].response is None:
                continue
            asked = f.exchanges[0].request.headers.get("Origin", "")
            if f.headers.get(ALLOW_ORIGIN) == asked and f.status not in (403, 421):
                let_in.setdefault(kind, []).append(asked)
        for kind, origins in let_in.items():
            # Where every subdomain is allowed, a name that ends like an allowed one may be one of these.
            origins = [o for o in origins if not any(o.endswith(f".{parent}") for parent in parents)]
            if not origins:
                continue
            how, cure = _HOLES[kind]
            is_grave = kind not in ("another scheme", "another port") and (credentials or _is_open(ev))
            yield {
                "severity": ERROR if is_grave else WARNING,
                "let_in": ", ".join(origins),
                "how": how,
                "hole_cure": cure,
            }

    return seen


#: Kind of look-alike → how such a list comes to be, and how it is closed.
_HOLES = {
    "host as prefix": (
        "the start of the origin is compared (startswith, or a regular expression without an end)",
        "compare the whole origin with an exact list; anchor a regular expression at its end ($, fullmatch)",
    ),
    "host as suffix": (
        "the end of the origin is compared (endswith, a wildcard without its dot, or a regular expression with .*)",
        "compare the whole origin with an exact list; in a wildcard keep the dot before the domain",
    ),
    "another character for a dot": (
        "a dot in a regular expression stands for any character",
        r"compare the whole origin with an exact list, or escape each dot (\., re.escape)",
    ),
    "host in the middle": (
        "the origin is searched for the host anywhere (in, contains, an unanchored regular expression)",
        "compare the whole origin with an exact list; anchor a regular expression at both ends",
    ),
    "null": (
        "null is on the list: every sandboxed frame and local file has that origin",
        "take null off the list: compare with an exact list of whole origins",
    ),
    "another scheme": (
        "only the host is compared, not the scheme: who controls the network can put a page there",
        "compare the whole origin, scheme included, with an exact list",
    ),
    "another port": (
        "the port is not compared: another program on that host may serve a page there",
        "compare the whole origin, port included, with an exact list",
    ),
}


def _subdomains(ev: Evidence) -> Iterator[dict[str, str]]:
    for f in ev.of("look-alike: subdomain"):
        asked = f.exchanges[0].request.headers.get("Origin", "")
        if f.headers.get(ALLOW_ORIGIN) == asked and f.status not in (403, 421):
            yield {"let_in": asked}


def _rebinding(ev: Evidence) -> Iterator[Values]:
    f = ev.first("foreign host")
    if f is not None and f.result is not None:
        yield {"host": FOREIGN_HOST, "severity": WARNING if ev.token else ERROR}


def _host_not_checked(ev: Evidence) -> Iterator[Values]:
    bare, full = ev.first("foreign host, no origin"), ev.first("foreign host")
    if bare is not None and bare.result is not None and full is not None:
        yield {"host": FOREIGN_HOST, "status": full.status, "severity": NOTE if ev.token else WARNING}


def _host_unknown(ev: Evidence) -> Iterator[Values]:
    bare = ev.first("foreign host, no origin")
    if bare is not None and bare.status == 401:
        yield {}


def _vary(ev: Evidence) -> Iterator[Values]:
    """An answer that depends on Origin has to say so, or a cache hands it to another page."""
    foreign = ev.first("foreign origin")
    if foreign is None or foreign.network is None:
        return
    for f in ev.fetches:
        response = f.network
        if (
            response is None
            or not f.origin
            or f.url != ev.href
            or f.method == "OPTIONS"
            or response.status == 401 != foreign.network.status
        ):
            continue
        allowed = response.headers.get(ALLOW_ORIGIN)
        varies = {name.lower() for name in split_list(response.headers.get("Vary", ""))}
        if allowed in (None, "*") or allowed == foreign.network.headers.get(ALLOW_ORIGIN) or varies & {"origin", "*"}:
            continue
        yield {}
        return


def _repeated(ev: Evidence) -> Iterator[Values]:
    repeated: Counter[str] = Counter()
    for response in _endpoint_responses(ev):
        repeated.update(name for name in _SINGLE if len(response.headers.getall(name)) > 1)
    yield from ({"header": name} for name in repeated)


def _star_credentials(ev: Evidence) -> Iterator[Values]:
    for r in _endpoint_responses(ev):
        if r.headers.get(ALLOW_ORIGIN) == "*" and r.headers.get(ALLOW_CREDENTIALS) == "true":
            yield {}
            return


def _no_nosniff(ev: Evidence) -> Iterator[Values]:
    answers = [f.network for f in ev.fetches if f.network is not None and f.url == ev.href]
    if answers and not any("X-Content-Type-Options" in response.headers for response in answers):
        yield {}


def _passed(ev: Evidence) -> list[Fetched]:
    return [f for f in ev.fetches if f.preflight is not None and not f.is_rejected and f.url == ev.href]


def _star_authorization(ev: Evidence) -> Iterator[Values]:
    for f in _passed(ev):
        if f.preflight is None or "authorization" not in f.sent_names:
            continue
        answer = Answer.from_headers(f.preflight.headers, QUIRKS["chromium"])
        if answer.refused_header(Question("", "", "POST", ("authorization",), True, False)) is not None:
            yield {}
            return


def _not_cached(ev: Evidence) -> Iterator[Values]:
    ages = [f.preflight.headers.get(MAX_AGE) for f in _passed(ev) if f.preflight is not None]
    if ages and all(age is None for age in ages):
        yield {}


def _max_age(ev: Evidence) -> Iterator[Values]:
    ages = [f.preflight.headers.get(MAX_AGE, "") for f in _passed(ev) if f.preflight is not None]
    bad = [age for age in ages if age and (not age.isdecimal() or int(age) == 0)]
    if bad:
        yield {"age": bad[0]}


# --- the login --------------------------------------------------------------------------------------------------


def _refusals(ev: Evidence) -> Iterator[Fetched]:
    """The first readable 401 to each origin without a token."""
    seen = set()
    for f in ev.fetches:
        is_refusal = f.status == 401 and f.origin and f.url == ev.href and f.method == "POST" and f.step != "behind"
        if is_refusal and f.origin not in seen and "Authorization" not in f.exchanges[-1].request.headers:
            seen.add(f.origin)
            yield f


def _no_challenge(ev: Evidence) -> Iterator[Values]:
    for f in _refusals(ev):
        if f.network is not None and "WWW-Authenticate" not in f.network.headers:
            yield _at(f)


def _hidden_challenge(ev: Evidence) -> Iterator[Values]:
    for f in _refusals(ev):
        if f.network is not None and "WWW-Authenticate" in f.network.headers and "www-authenticate" not in f.headers:
            yield _at(f)


def _other_challenge(ev: Evidence) -> Iterator[Values]:
    for f in _refusals(ev):
        sent = "" if f.network is None else f.network.headers.get("WWW-Authenticate", "")
        if sent and not {"bearer", "dpop"} & set(sent.lower().replace(",", " ").split()):
            yield _at(f, scheme=sent.split()[0])


def _token_forbidden(ev: Evidence) -> Iterator[Values]:
    for f in ev.of("without a token"):
        if f.status == 403:
            yield {"name": "POST initialize"}


def _outcome(step: str, kind: str) -> Callable[[Evidence], Iterator[Values]]:
    def seen(ev: Evidence) -> Iterator[Values]:
        for origin, what in ev.found(step):
            name, _, rest = what.partition(" ")
            if name == kind:
                url, _, more = rest.partition(" ")
                yield {"origin": origin, "url": url, "more": more, "own": ev.href}

    return seen


def _covers(resource: str, href: str) -> bool:
    """Is *href* the resource or below it, as clients check?"""
    try:
        named, asked = parse_url(resource), parse_url(href)
    except ValueError:
        return False
    return named.origin == asked.origin and f"{asked.target}/".startswith(f"{named.target.rstrip('/')}/")


def _mismatch(ev: Evidence) -> Iterator[Values]:
    for origin, resource in ev.found("resource"):
        if not _covers(resource, ev.href):
            yield {"origin": origin, "resource": resource or "nothing", "own": ev.href}


def _unchecked(step: str) -> Callable[[Evidence], Iterator[Values]]:
    """What this machine does not reach a browser may; only the server itself is known to be within reach."""

    def seen(ev: Evidence) -> Iterator[Values]:
        for f in ev.of(*_UNCHECKED[step]):
            if f.fault is not None and f.fault.code != "gave_up":
                try:
                    is_own = parse_url(f.url).origin == ev.url.origin
                except ValueError:
                    is_own = False
                severity = ERROR if is_own else WARNING
                values = {"what": f.step, "fault": f.fault.sentence, "fault_fix": f.fault.fix, "url": f.url}
                yield {"origin": f.origin, "severity": severity, **values}

    return seen


_UNCHECKED = {
    "resource": ("protected resource metadata",),
    "server": ("authorization server metadata", "token endpoint", "registration endpoint"),
}


def _gave_up(ev: Evidence) -> Iterator[Values]:
    if ev.not_asked:
        yield {"what": ", ".join(dict.fromkeys(ev.not_asked))}


_NAME_ORIGINS = (
    "name the origins that may call (origins=[…]) in an exact list and refuse others with 403 (MCPCors does)"
)

OBSERVATIONS: tuple[Rule, ...] = (
    Rule(
        "port_blocked",
        ERROR,
        "browsers block this port",
        _fact("port_blocked"),
        "Browsers block port {what}: it belongs to another protocol.",
        "listen on another port, such as 8000",
    ),
    Rule(
        "unspecified_address",
        WARNING,
        "0.0.0.0 or [::] in the URL",
        _fact("unspecified_address"),
        "{what} is an address to listen on, not one to call; browsers refuse it from other sites.",
        "write http://127.0.0.1",
    ),
    Rule(
        "mixed_content",
        ERROR,
        "an https: page and an http: server",
        _fact("mixed_content"),
        "The page is HTTPS and {own} is not: mixed content. The browser sends nothing at all.",
        "serve MCP over HTTPS; plain HTTP is for loopback addresses only",
        "",
        ("*",),
    ),
    Rule(
        "localhost_twice",
        NOTE,
        "something listens at ::1 and at 127.0.0.1",
        _fact("localhost_twice"),
        "Something listens at ::1 port {what} and at 127.0.0.1 port {what}. Browsers try ::1 first, so that is the "
        "server they reach; if these are two servers, that may be the wrong one.",
        "write 127.0.0.1:{what} to be sure",
    ),
    Rule(
        "localhost_once",
        NOTE,
        "the server listens at one of the two addresses of localhost",
        _fact("localhost_once"),
        "localhost is ::1 (IPv6) and 127.0.0.1; this server listens at {what} only. Not every client tries both.",
        "write {what}, or listen at both",
    ),
    Rule(
        "local_network_insecure",
        WARNING,
        "an http: page and a local server",
        _fact("local_network_insecure"),
        "A public page may call this machine or a private network only from HTTPS: from http: Chromium does not even "
        "ask the person (Local Network Access).",
        "serve the page over HTTPS",
    ),
    Rule(
        "local_network_access",
        NOTE,
        "Chromium asks the person before a public page calls a local address",
        _fact("local_network_access"),
        "This address is loopback or private. If the page is public, Chromium asks the person for permission first "
        "(Local Network Access). No header grants it: a fetch that hangs or fails, though all is well here, waits for "
        "that answer.",
        "tell people to allow it, or serve MCP at a public HTTPS address",
    ),
    Rule(
        "session_id_hidden",
        ERROR,
        "JavaScript cannot read Mcp-Session-Id",
        _session_hidden,
        "The answer to initialize carries Mcp-Session-Id, but JavaScript cannot read it "
        f"({EXPOSE_HEADERS}): the client goes on without its session, and the server does not know it.",
        f"send {EXPOSE_HEADERS}: Mcp-Session-Id with every response",
        "expose",
        ("no_result", "response_without_cors"),
    ),
    Rule(
        "session_lost",
        ERROR,
        "a session is known to some workers only",
        _session_lost,
        "The session is not known everywhere: {lost} of {all} requests, each on a new connection, got {status}. A "
        "worker or instance that did not open the session answered them.",
        "run one worker with threads, keep sessions in a shared store, make the server stateless, or have the load "
        "balancer route by Mcp-Session-Id",
        "",
        ("no_result",),
    ),
    Rule(
        "stream_delayed",
        WARNING,
        "the GET stream sends nothing until its first event",
        _stream_delayed,
        "The GET stream sends nothing, not even its status, until the first event: something buffers it. fetch() stays "
        "pending, and clients take the server for dead.",
        "send the headers at once, with a comment line; switch buffering off (X-Accel-Buffering: no)",
        "stream",
    ),
    Rule(
        "stream_compressed",
        WARNING,
        "compression holds back the events of the GET stream",
        _stream_compressed,
        "The events of the GET stream are held back by compression ({coding}), which a server applies only to clients "
        "that accept it, such as browsers: without it the first event comes at once.",
        "do not compress text/event-stream, or flush the compressor after each event",
        "stream",
    ),
    Rule(
        "event_unended",
        WARNING,
        "an event of the GET stream has no empty line at its end",
        _event_unended,
        "An event of the GET stream has no empty line at its end: browsers hand it over only when the next one comes.",
        "end each event with an empty line (two line ends), and flush",
        "stream",
    ),
    Rule(
        "get_not_405",
        WARNING,
        "GET is answered 404 or the like where 405 is due",
        _get_not_405,
        "GET of the endpoint is answered {status}. A server without a stream has to answer 405: clients take anything "
        "else for an error.",
        "answer GET with 405 Method Not Allowed",
    ),
    Rule(
        "get_not_stream",
        WARNING,
        "GET is answered with something that is no event stream",
        _get_other,
        "GET of the endpoint is answered 200 with content-type {type}: a page or JSON, and no event stream.",
        "answer GET with a stream (Content-Type: text/event-stream), or with 405",
    ),
    Rule(
        "question_blocked",
        NOTE,
        "a client that asks for 2026-07-28 first gets a CORS error",
        _question_blocked,
        "The server does not speak {revision}. A client that asks for it first gets a CORS error in place of the "
        "server's no. The official TypeScript client takes that for a no; others may give up.",
        "allow MCP-Protocol-Version, Mcp-Method and Mcp-Name as request headers",
    ),
    Rule(
        "params_not_allowed",
        NOTE,
        "Mcp-Param-* is not allowed, and no tool needs it yet",
        _params,
        "No tool here has an x-mcp-header yet. A call of one that does carries Mcp-Param-*, which is refused.",
        "allow the names of your tools' parameters; MCPCors allows all Mcp-Param-*",
    ),
    Rule(
        "version_negotiated",
        NOTE,
        "a version from before Streamable HTTP is negotiated over it",
        _negotiated,
        "The server speaks Streamable HTTP, but asked for {asked} it answers with {version}, a revision from before "
        "that transport. The official clients go on with it.",
        f"update the server: {NEWEST_WITH_SESSIONS.name} has been published since",
    ),
    Rule(
        "old_transport_dead",
        ERROR,
        "the 2024 transport names an endpoint that does not work",
        _old_dead,
        "The stream of 2024-11-05 (HTTP+SSE) names the endpoint {url} for messages, and POST there is answered "
        "{status}.",
        "let the endpoint event name the path that takes messages; behind a prefix: with the prefix; or "
        "serve Streamable HTTP",
        "",
        ("*",),
    ),
    Rule(
        "old_transport_silent",
        ERROR,
        "a message sent over the 2024 transport is never answered",
        _old_silent,
        "The stream of 2024-11-05 (HTTP+SSE) opens and {url} takes messages, but no answer comes over the stream.",
        "send each answer as a message event on the stream: with several workers, the one that holds it",
        "",
        ("*",),
    ),
    Rule(
        "old_transport",
        WARNING,
        "only the transport of 2024 is spoken at this URL",
        _old_only,
        "Only the transport of 2024-11-05 (HTTP+SSE) is spoken at this URL: newer clients fall back to it, or fail.",
        "update the server to Streamable HTTP; keep this URL (often /sse) for old clients",
    ),
    Rule(
        "error_without_cors",
        WARNING,
        "an error of the endpoint lacks CORS headers",
        _unreadable_error("broken body", "unknown session"),
        f"The {{status}} for a {{what}} lacks {ALLOW_ORIGIN}: JavaScript sees a CORS error in its place.",
        f"send {ALLOW_ORIGIN}: {{origin}} on every response, errors such as this {{status}} too: add the "
        f"headers before "
        "anything that may fail",
        "every",
    ),
    Rule(
        "path_without_cors",
        NOTE,
        "an unknown path is answered without CORS headers",
        _unreadable_error("unknown path"),
        f"The {{status}} for an unknown path ({{url}}) lacks {ALLOW_ORIGIN}: a client with a wrong URL sees a "
        f"CORS error.",
        f"send {ALLOW_ORIGIN} with every response, the {{status}} of unknown paths too",
        "every",
    ),
    Rule(
        "any_origin_with_credentials",
        ERROR,
        "any origin is allowed, with credentials",
        _any_credentials,
        "Any web site may call this server with the visitor's cookies and read the answers: it echoes the Origin "
        "{foreign} and allows credentials.",
        "name the origins in a list; MCP with bearer tokens does not need Access-Control-Allow-Credentials",
        "origins",
    ),
    Rule(
        "foreign_origin_served",
        WARNING,
        "requests from any origin are served",
        _foreign_served,
        "{who} can call this server{read}: the Origin {foreign} is served. MCP says: servers MUST validate Origin and "
        "answer 403.",
        _NAME_ORIGINS + "{hint}",
    ),
    Rule(
        "origin_not_validated",
        WARNING,
        "requests from any origin are served; browsers stop them at the preflight only",
        _not_validated,
        "The Origin {foreign} is not refused. Browsers stop such a page at the preflight. MCP says: servers "
        "MUST validate "
        "Origin and answer 403.",
        _NAME_ORIGINS + "{hint}",
    ),
    Rule(
        "foreign_origin_unknown",
        NOTE,
        "the 401 comes before Origin validation",
        _foreign_unknown,
        "Whether foreign origins are refused does not show without a token: the 401 comes first.",
        "pass --token",
    ),
    Rule(
        "lookalike_allowed",
        ERROR,
        "an origin that only looks like an allowed one is let in",
        _holes("host as prefix", "host as suffix", "another character for a dot", "host in the middle"),
        "An origin that only looks like an allowed one is let in: {let_in}. Probably {how}.",
        "{hole_cure}",
        "origins",
    ),
    Rule(
        "null_allowed",
        ERROR,
        "the origin null is let in",
        _holes("null"),
        "The origin null is let in: {how}.",
        "{hole_cure}",
        "origins",
    ),
    Rule(
        "other_scheme_allowed",
        WARNING,
        "the origin with the other scheme is let in",
        _holes("another scheme"),
        "{let_in} is let in as well: {how}.",
        "{hole_cure}",
        "origins",
    ),
    Rule(
        "other_port_allowed",
        WARNING,
        "the origin with any port is let in",
        _holes("another port"),
        "{let_in} is let in as well: {how}.",
        "{hole_cure}",
        "origins",
    ),
    Rule(
        "subdomains_allowed",
        NOTE,
        "subdomains of an allowed origin are let in",
        _subdomains,
        "Subdomains are let in, too: {let_in}.",
        "if only one host is meant, write its origin without a wildcard",
    ),
    Rule(
        "dns_rebinding",
        ERROR,
        "a local server answers for any Host",
        _rebinding,
        "This local server answers requests for any Host ({host}). A web site whose name is made to lead to this "
        "address (DNS rebinding) can use it like its own, whatever CORS says.",
        "serve your own host names only, 421 or 403 for others (hosts=[…]; allowed_hosts in MCP SDKs)",
    ),
    Rule(
        "host_not_checked",
        WARNING,
        "a local server answers for any Host where no Origin is sent",
        _host_not_checked,
        "Without an Origin, this local server answers requests for any Host ({host}). A web site whose name is made to "
        "lead to this address (DNS rebinding) sends its GET requests so. Its POST carries an Origin, and is refused "
        "({status}).",
        "serve your own host names only, 421 or 403 for others (hosts=[…]; allowed_hosts in MCP SDKs)",
    ),
    Rule(
        "foreign_host_unknown",
        NOTE,
        "the 401 comes before the check of Host",
        _host_unknown,
        "Whether a foreign Host is refused does not show without a token: the 401 comes first.",
        "pass --token",
    ),
    Rule(
        "vary_missing",
        WARNING,
        "Vary: Origin is missing",
        _vary,
        f"{ALLOW_ORIGIN} differs by Origin, but Vary: Origin is missing: a cache may hand it to another page.",
        "send Vary: Origin with every response",
    ),
    Rule(
        "header_repeated",
        WARNING,
        "a header is sent twice",
        _repeated,
        "{header} is sent more than once: two layers set it, often app and proxy.",
        "let one layer send it (nginx: take add_header out, or proxy_hide_header)",
    ),
    Rule(
        "wildcard_with_credentials",
        WARNING,
        "* together with credentials",
        _star_credentials,
        f"{ALLOW_ORIGIN}: * and {ALLOW_CREDENTIALS}: true contradict each other: browsers refuse * where a page "
        'fetches with credentials: "include", and look at the other header nowhere else.',
        f"leave {ALLOW_CREDENTIALS} out: bearer tokens do not need it; where cookies are meant, name the origins",
    ),
    Rule(
        "wildcard_authorization",
        WARNING,
        "* is to cover Authorization",
        _star_authorization,
        "Access-Control-Allow-Headers is *, which does not cover Authorization (Fetch standard). Chromium, Firefox and "
        "WebKit still let it pass; Chromium warns and repeats the preflight before every request.",
        "name Authorization: Access-Control-Allow-Headers: *, Authorization",
    ),
    Rule(
        "max_age_unused",
        WARNING,
        "Access-Control-Max-Age is 0, negative or not a number",
        _max_age,
        f"{MAX_AGE} is {{age}}: a browser keeps no answer to a preflight, and asks before every request.",
        f"send {MAX_AGE}: 7200 or more (Chromium keeps it for two hours at most)",
    ),
    Rule(
        "preflight_not_cached",
        NOTE,
        "no Access-Control-Max-Age",
        _not_cached,
        f"Preflights have no {MAX_AGE}: Chromium keeps the answer for 5 seconds, Firefox not at all, and then asks "
        "again.",
        f"send {MAX_AGE}: 7200 or more (Chromium keeps it for two hours at most)",
    ),
    Rule(
        "nosniff_missing",
        NOTE,
        "X-Content-Type-Options is missing",
        _no_nosniff,
        "Responses lack X-Content-Type-Options: nosniff.",
        "send it with every response",
    ),
    Rule(
        "challenge_missing",
        WARNING,
        "a 401 without WWW-Authenticate",
        _no_challenge,
        "The 401 has no WWW-Authenticate, which HTTP and MCP ask for.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    Rule(
        "challenge_hidden",
        WARNING,
        "JavaScript cannot read WWW-Authenticate",
        _hidden_challenge,
        "JavaScript cannot read WWW-Authenticate of the 401: the client has to guess where to log in.",
        f"send {EXPOSE_HEADERS}: WWW-Authenticate with the 401",
        "expose",
    ),
    Rule(
        "challenge_unusable",
        WARNING,
        "a 401 whose challenge is not Bearer or DPoP",
        _other_challenge,
        "The 401 asks for {scheme}, not for a bearer token: MCP clients cannot answer that, and no login starts.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    Rule(
        "issuer_mismatch",
        WARNING,
        "the authorization server's metadata names another issuer",
        _fact("issuer mismatch"),
        "The authorization server's metadata is of the issuer {what}: clients that follow RFC 8414 refuse it.",
        "set issuer to the URL that authorization_servers names, letter by letter",
    ),
    Rule(
        "endpoints_missing",
        WARNING,
        "the authorization server's metadata names no authorization or token endpoint",
        _fact("endpoints missing"),
        "The authorization server's metadata does not name {what}.",
        "name authorization_endpoint and token_endpoint in the metadata",
    ),
    Rule(
        "pkce_missing",
        NOTE,
        "the authorization server's metadata does not name S256",
        _fact("pkce missing"),
        "The authorization server's metadata does not name S256 in code_challenge_methods_supported: MCP says that "
        "clients refuse to go on.",
        'support PKCE, and send code_challenge_methods_supported: ["S256"]',
    ),
    Rule(
        "forbidden_for_unauthorized",
        ERROR,
        "403 without a token where 401 is due",
        _token_forbidden,
        "{name} without a token is answered 403 where 401 is due: a client starts its login at 401 only.",
        "answer 401 with WWW-Authenticate: Bearer to requests without a token",
    ),
    Rule(
        "discovery_missing",
        NOTE,
        "no resource metadata: named nowhere, and not at the usual places",
        _outcome("metadata", "nowhere"),
        "No protected resource metadata was found: the 401 names none in WWW-Authenticate (resource_metadata), and the "
        "usual places answer 404. So a client does not learn where to log in.",
        "serve /.well-known/oauth-protected-resource (RFC 9728; cors.serve_resource_metadata), or hand out tokens",
    ),
    Rule(
        "metadata_missing",
        ERROR,
        "the resource metadata that the 401 names is not there",
        _outcome("metadata", "missing"),
        "The protected resource metadata that the 401 names is not there: {url} is answered 404.{more}",
        "serve the resource metadata document at that URL (RFC 9728), at the root of the host and not below the app's "
        "mount point, or name the right URL in resource_metadata",
    ),
    Rule(
        "metadata_protected",
        ERROR,
        "the resource metadata is behind a login",
        _outcome("metadata", "protected"),
        "The protected resource metadata {url} wants a login itself ({more}).",
        "serve the document without authentication: exempt /.well-known/ from the login",
    ),
    Rule(
        "metadata_error",
        ERROR,
        "the resource metadata is answered with an error",
        _outcome("metadata", "error"),
        "The protected resource metadata {url} is answered {more}.",
        "serve the document there: see the server's log",
    ),
    Rule(
        "metadata_not_json",
        ERROR,
        "the resource metadata is not JSON",
        _outcome("metadata", "not_json"),
        "The protected resource metadata {url} is not JSON, but {more}.",
        "serve the document of RFC 9728 there as application/json, not a page that answers every path",
    ),
    Rule(
        "resource_metadata_unchecked",
        WARNING,
        "the resource metadata could not be fetched",
        _unchecked("resource"),
        "The protected resource metadata could not be checked from here: {fault}",
        "if browsers do not reach it either: {fault_fix}",
    ),
    Rule(
        "resource_mismatch",
        ERROR,
        "the resource metadata is of another URL",
        _mismatch,
        "The protected resource metadata is of '{resource}', not of this URL: clients refuse it.",
        "set resource to {own}",
    ),
    Rule(
        "authorization_servers_missing",
        WARNING,
        "the resource metadata names no authorization server",
        _fact("no authorization servers"),
        "The protected resource metadata names no authorization server (authorization_servers): a client has to guess.",
        "name the issuer in authorization_servers",
    ),
    Rule(
        "issuer_malformed",
        ERROR,
        "the authorization server is not a URL",
        _fact("issuer malformed"),
        "The authorization server {what} is no URL.",
        "name an https: issuer",
    ),
    Rule(
        "authorization_server_missing",
        ERROR,
        "the authorization server has no metadata",
        _outcome("authorization server", "missing"),
        "The authorization server {url} has no metadata: every well-known place is answered 404.",
        "serve its metadata at /.well-known/oauth-authorization-server (RFC 8414), or name the right issuer",
    ),
    Rule(
        "authorization_server_hidden",
        ERROR,
        "a page cannot read the authorization server's metadata",
        _outcome("authorization server", "hidden"),
        "A page cannot read any metadata of the authorization server {url}: no CORS headers, or no JSON.",
        f"serve it with {ALLOW_ORIGIN}: * there (PUBLIC_METADATA), or use a server that does",
    ),
    Rule(
        "authorization_server_unchecked",
        WARNING,
        "the authorization server could not be asked",
        _unchecked("server"),
        "The authorization server's {url} could not be checked from here: {fault}",
        "if browsers do not reach it either: {fault_fix}",
    ),
    Rule(
        "private_place_named",
        WARNING,
        "a public server names a loopback or private address",
        _fact("private place"),
        "This public server names {what}, a loopback or private address, which the doctor does not ask. A browser "
        "would ask the person first, and reach another machine.",
        "name public URLs in the login's documents",
    ),
    Rule(
        "registration_failed",
        ERROR,
        "the registration of a client fails (--login)",
        _fact("registration failed"),
        "The registration of a client fails: {what}.",
        "see the log of the authorization server; allow the redirect URI of the page, or give clients an id",
    ),
    Rule(
        "authorize_failed",
        ERROR,
        "the authorization endpoint fails (--login)",
        _fact("authorize failed"),
        "The authorization endpoint does not lead to a login: {what}.",
        "see the log of the authorization server",
    ),
    Rule(
        "no_conversation",
        ERROR,
        "no conversation comes to anything",
        _no_conversation,
        "No revision's conversation comes to anything, though CORS forbids none of it.",
        "see the server's log",
    ),
    Rule(
        "not_asked",
        NOTE,
        "the time was over before everything was asked",
        _gave_up,
        "The time was over. Not asked: {what}.",
        "run it again with a higher --total",
    ),
)
