"""The probes, and their order. A probe adds to the evidence and does not judge it.

Probes send only messages that read: ``initialize``, ``server/discover``, ``tools/list``, notifications, ``GET``, the
``DELETE`` of their own sessions and broken messages, never ``tools/call``. The token goes only to the endpoint; a
made-up one tests the answer to invalid tokens.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import urljoin

from ....core.headers import ALLOW_ORIGIN
from ....core.hosts import is_loopback
from ....core.origins import is_serialized_origin
from ....testing.quirks import Quirk
from ....testing.quirks import QUIRKS
from ....testing.urls import BAD_PORTS
from ....testing.urls import DEFAULT_PORTS
from ....testing.urls import parse_url
from ...findings import Severity
from ..evidence import CONNECTS
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..messages import client_headers
from ..messages import first_message
from ..messages import initialize
from ..messages import negotiated
from ..messages import NEWEST_WITH_SESSIONS
from ..messages import Revision
from ..messages import REVISIONS
from ..page import Engine
from ..page import Page
from ..page import send_plain
from ..report import Report
from ..stacks import front_of
from ..wire import is_local
from ..wire import Wire
from .asking import Asker
from .conversations import BLOCKED
from .conversations import Conversations
from .conversations import has_event
from .conversations import PATIENCE
from .foreign import ForeignPages
from .login import Login

#: Upper limit, in case a server never stops redirecting or challenging.
REQUESTS_PER_ORIGIN = 120


def examine(
    url: str,
    origins: Sequence[str],
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    total: float = 13.0,
    browser: Engine = "chromium",
    login: bool = False,
    context: ssl.SSLContext | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Examine the MCP endpoint at *url* as browser clients on pages of *origins*.

    :param token: a bearer token, for servers that require one.
    :param headers: more headers for the endpoint: an API key, a tenant.
    :param timeout: seconds for each request.
    :param total: seconds for all of them.
    :param browser: whose rules apply.
    :param login: follow the login as far as a client can without a person, including registration.
    :param context: how certificates are verified.
    :param say: takes a line whenever there is progress.
    :raises ValueError: *url* is not valid in a browser, or an origin is not.
    """
    for origin in origins:
        if not is_serialized_origin(origin):
            raise ValueError(f"{origin!r} is not an origin as browsers write it: scheme://host, no slash at the end")
    parsed = parse_url(url if "://" in url else f"http://{url}")
    if parsed.userinfo:
        raise ValueError("a browser's fetch refuses a URL with user and password; use --token")
    evidence = Evidence(parsed, token, tuple(origins))
    wire = Wire(timeout, REQUESTS_PER_ORIGIN * (1 + len(origins)), total, context)
    gather(Asker(evidence, wire, dict(headers or {}), browser, say), login=login)
    evidence.requests = wire.sent
    return Report.of(evidence)


def gather(asker: Asker, *, login: bool) -> None:
    """Run all probes, the most important first."""
    ev, foreign = asker.ev, ForeignPages(asker)
    may_be_asked = look_around(ev)
    for fact in ev.found("localhost_once"):
        if ev.url.scheme == "http":
            asker.wire.instead = (ev.url.origin, f"http://{fact.what}")  # browsers try both addresses
    if any(ev.found("localhost_twice")) and ev.url.scheme == "http":
        _ask_both_localhosts(asker)
    is_reachable = may_be_asked and _is_there(asker)
    pages = []
    for origin in ev.origins:
        if not is_reachable or not may_ask(ev, origin, asker.browser):
            ev.verdicts.update({(origin, revision.name): BLOCKED for revision in REVISIONS})
            continue
        talk = Conversations(asker, asker.page(origin))
        pages.append(talk)
        # The newest first: if the time runs out, the oldest are left out.
        for revision in reversed(ev.revisions):
            may_ask_it = asker.may_go_on(f"{revision.name} from {origin}")
            ev.verdicts[origin, revision.name] = talk.converse(revision) if may_ask_it else "not asked"
            if ev.verdicts[origin, revision.name] == CONNECTS:
                foreign.ask_first()
    if not is_reachable:
        return
    foreign.ask_first()
    for talk in pages:
        if ev.token is not None and asker.may_go_on("the answer without a token"):
            _without_token(asker, talk.page)
        if ev.wants_login and asker.may_go_on("a wrong token"):
            made_up = {"Authorization": "Bearer doctor-made-up", "Origin": talk.page.origin}
            asker.first("wrong token", NEWEST_WITH_SESSIONS, made_up, talk.page.origin)
        if ev.wants_login and asker.may_go_on("the login"):
            Login(asker, talk.page).follow(registers=login)
    for talk in pages:
        foreign.ask_as_look_alikes(talk.page.origin)
    for talk in pages:
        if CONNECTS in {verdict for (origin, _), verdict in ev.verdicts.items() if origin == talk.page.origin}:
            talk.ask_for_errors()
    for talk in pages:
        talk.end_watch()
    asker.end_sessions()


def _ask_both_localhosts(asker: Asker) -> None:
    """Two programs may share the port: browsers reach the one at ``::1``."""
    ev = asker.ev
    port = ev.url.port or DEFAULT_PORTS[ev.url.scheme]
    answers = []
    for place in (f"[::1]:{port}", f"127.0.0.1:{port}"):
        asker.wire.instead = (ev.url.origin, f"http://{place}")
        answers.append(asker.first(f"at {place}", NEWEST_WITH_SESSIONS, {}))
    asker.wire.instead = ("", "")
    is_mcp = [f.result is not None or f.status == 401 for f in answers]
    if answers[0].fault_code != "refused" and is_mcp == [False, True]:
        ev.facts.append(Fact("localhost_other", "", str(port), str(answers[0].status or "nothing")))


def _is_there(asker: Asker) -> bool:
    """Ask without a browser, as ``curl`` would: is it an MCP server, and which revisions does it speak?"""
    ev = asker.ev
    for revision in reversed(REVISIONS):
        asker.say(f"{revision.name} without a browser")
        last = _speak(asker, revision)
        if last.fault_code not in ("", "timeout", "gave_up", "broke_off"):
            last.weight = Severity.ERROR
            if last.fault_code in ("closed", "network"):
                asker.plain("GET beside it", "GET", {}, patience=PATIENCE)
            return False
        front = front_of(last.network)
        if front is not None and last.message is None:
            last.weight = Severity.ERROR
            if front.code == "airtunes":
                return False
            break
        if last.status == 429 or (revision is NEWEST_WITH_SESSIONS and last.fault is not None):
            break
    _as_negotiated(ev)
    posted = ev.posted
    if posted is not None and posted.result is None and (posted.location or posted.status in (404, 405)):
        _look_elsewhere(asker, posted.location)
    if posted is not None and (posted.reading.fault or (ev.speaks_nothing and not ev.is_stream_moved)):
        posted.weight = Severity.ERROR
    return posted is None or posted.fault is None


def _look_elsewhere(asker: Asker, location: str | None) -> None:
    """Does MCP answer where a redirect leads, or at the usual URLs?"""
    ev, message = asker.ev, initialize(NEWEST_WITH_SESSIONS.name)
    path = ev.url.target.partition("?")[0].rstrip("/")
    places = [f"{path}/mcp", "/mcp", "/mcp/"]
    if location and path and location.partition("?")[0].rstrip("/").endswith(path):
        places.insert(0, location)  # a redirect to another path may lead to a login
    for place in places:
        try:
            parsed = parse_url(urljoin(ev.href, place))
        except ValueError:
            continue
        url = parsed.href
        if parsed.host != ev.url.host or url == ev.href or any(f.url == url for f in ev.of("elsewhere")):
            continue
        if not asker.may_go_on(f"whether MCP is at {url}"):
            return
        # Without the token, which goes only to the URL that the user names.
        headers = client_headers(NEWEST_WITH_SESSIONS, message)
        asker.note(send_plain(asker.wire, url, "POST", parsed.authority, headers, message), "elsewhere")


def _speak(asker: Asker, revision: Revision) -> Fetched:
    """Send the first message of a revision, without a browser."""
    if revision.is_two_endpoints:
        headers, step = asker.headers(revision), "GET stream of 2024"
        return asker.plain(step, "GET", headers, revision=revision, patience=PATIENCE, enough=has_event)
    fetched = asker.first(str(first_message(revision)["method"]), revision, {})
    fetched.revision = revision.name
    return fetched


def _as_negotiated(ev: Evidence) -> None:
    """Note a version that is older than Streamable HTTP, if negotiated over it: the official clients accept that."""
    versions = {negotiated(f.result) for f in ev.plain if f.step == "initialize"}
    ev.revisions = tuple(
        NEWEST_WITH_SESSIONS._replace(name=r.name) if r.is_two_endpoints and r.name in versions else r
        for r in REVISIONS
    )


def _without_token(asker: Asker, page: Page) -> None:
    """Send a message without the token: a login begins with the answer to it."""
    message = initialize(NEWEST_WITH_SESSIONS.name)
    headers = client_headers(NEWEST_WITH_SESSIONS, message) | asker.more
    plain = asker.plain("without a token", "POST", headers, message)
    asker.end_session(plain, NEWEST_WITH_SESSIONS)
    if plain.status in (401, 403):
        fetched = asker.page(page.origin).fetch(asker.ev.href, "POST", headers, message=message)
        weight = Severity.ERROR if fetched.is_rejected else None
        asker.note(fetched, "initialize without a token", page.origin, NEWEST_WITH_SESSIONS, weight)
        if fetched.failed_at_preflight:
            step = "behind, without a token"
            behind = asker.plain(step, "POST", headers | {"Origin": page.origin}, message, origin=page.origin)
            if behind.status == 401 and ALLOW_ORIGIN not in behind.headers:
                behind.weight = Severity.ERROR  # the next fault, once the preflight is repaired


def look_around(evidence: Evidence) -> bool:
    """Note what the URL itself shows. Can pages call it at all?"""
    url = evidence.url
    evidence.is_local = is_local(url.host)
    if url.port in BAD_PORTS:
        evidence.facts.append(Fact("port_blocked", "", str(url.port)))
        return False
    if url.host in ("0.0.0.0", "[::]"):
        evidence.facts.append(Fact("unspecified_address", "", url.host))
    if url.host == "localhost":
        _both_localhosts(evidence)
    elif other := {"127.0.0.1": "::1", "[::1]": "127.0.0.1"}.get(url.host):
        _other_loopback(evidence, other)
    if evidence.is_local:
        for origin in evidence.origins:
            _local_network_access(evidence, origin)
    return True


def may_ask(evidence: Evidence, origin: str, engine: Engine) -> bool:
    """May a page of *origin* send anything to the URL in this engine?"""
    url, strict = evidence.url, Quirk.LOOPBACK_IS_MIXED_CONTENT in QUIRKS[engine]
    if origin.startswith("https:") and (url.scheme == "http" if strict else not url.is_potentially_trustworthy()):
        evidence.facts.append(Fact("mixed_content", origin))
        return False
    return True


def _local_network_access(evidence: Evidence, origin: str) -> None:
    try:
        page = parse_url(origin)
    except ValueError:
        return  # the scheme of an application
    if not is_loopback(page.host):
        step = "local_network_access" if page.is_potentially_trustworthy() else "local_network_insecure"
        evidence.facts.append(Fact(step, origin))


def _both_localhosts(evidence: Evidence) -> None:
    """Note which addresses of ``localhost`` are in use: browsers try ``::1`` and then ``127.0.0.1``."""
    port = evidence.url.port or DEFAULT_PORTS[evidence.url.scheme]
    listening = [shown for address, shown in (("::1", "[::1]"), ("127.0.0.1",) * 2) if _listens(address, port)]
    if len(listening) == 2:
        evidence.facts.append(Fact("localhost_twice", "", str(port)))
    elif listening:
        evidence.facts.append(Fact("localhost_once", "", f"{listening[0]}:{port}"))


def _other_loopback(evidence: Evidence, other: str) -> None:
    port = evidence.url.port or DEFAULT_PORTS[evidence.url.scheme]
    if not _listens(evidence.url.host.strip("[]"), port) and _listens(other, port):
        evidence.facts.append(Fact("other loopback", "", f"{'[::1]' if other == '::1' else other}:{port}"))


def _listens(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
