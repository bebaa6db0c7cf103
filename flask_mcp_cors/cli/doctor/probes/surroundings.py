"""Facts about the URL and the origins, before any request."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from contextlib import suppress
from ipaddress import ip_address
from ipaddress import IPv6Address

from ....core.hosts import is_loopback
from ....testing.quirks import Quirk
from ....testing.quirks import QUIRKS
from ....testing.urls import BAD_PORTS
from ....testing.urls import DEFAULT_PORTS
from ....testing.urls import parse_url
from ..evidence import Evidence
from ..evidence import Fact
from ..page import Engine

#: Seconds for a name to resolve.
RESOLVING = 3.0


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


def is_local(host: str) -> bool:
    """Is this host on this machine or in a private network?

    >>> [is_local(host) for host in ("localhost", "127.0.0.1", "192.168.0.9", "[fe80::1]", "8.8.8.8")]
    [True, True, True, True, False]
    """
    if is_loopback(host):
        return True
    with suppress(ValueError):
        return _is_private(host.strip("[]"))
    return any(map(_is_private, _addresses(host)))


def _addresses(host: str) -> list[str]:
    """The addresses of a name; none, if that takes too long. A look-up has no other time limit."""
    found: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(str(address[0]).partition("%")[0] for *_, address in answers)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(RESOLVING)
    return list(found)


def _is_private(text: str) -> bool:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not address.is_global


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
