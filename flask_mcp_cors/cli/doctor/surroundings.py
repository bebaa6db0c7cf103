"""What can be told from URL and origin alone, before anybody is asked."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from ipaddress import ip_address

from ...testing.urls import BAD_PORTS
from ...testing.urls import DEFAULT_PORTS
from ...testing.urls import is_loopback
from ...testing.urls import parse_url
from ..findings import Finding
from ..findings import Severity
from .examination import Examination


def look_around(exam: Examination, origins: Sequence[str]) -> bool:
    """Can any page ask this URL?"""
    url = exam.url
    if url.port in BAD_PORTS:
        words = f"Browsers block port {url.port}: it belongs to another protocol."
        exam.add(Finding("port_blocked", Severity.ERROR, "", words, "listen on another port, such as 8000"))
        return False
    if url.host in ("0.0.0.0", "[::]"):
        words = f"{url.host} is an address to listen on, not one to call; browsers refuse it from other sites."
        exam.add(Finding("unspecified_address", Severity.WARNING, "", words, "write http://127.0.0.1"))
    if url.host == "localhost":
        _both_localhosts(exam)
    if is_local(url.host):
        for origin in origins:
            _local_network_access(exam, origin)
    return True


def may_ask(exam: Examination, origin: str) -> bool:
    """May a page of *origin* send anything there?"""
    if origin.startswith("https:") and not exam.url.is_potentially_trustworthy():
        exam.add(
            Finding(
                "mixed_content",
                Severity.ERROR,
                "",
                f"The page is HTTPS and {exam.url.origin} is not: mixed content. The browser sends nothing at all.",
                "serve MCP over HTTPS; plain HTTP is for loopback addresses only",
            ),
            origin,
        )
        return False
    return True


def is_local(host: str) -> bool:
    """Is this host on this machine or in a private network?

    >>> [is_local(host) for host in ("localhost", "127.0.0.1", "192.168.0.9", "[fe80::1]", "8.8.8.8")]
    [True, True, True, True, False]
    """
    if is_loopback(host):
        return True
    try:
        return ip_address(host.strip("[]")).is_private
    except ValueError:
        pass  # a name, which has to be looked up
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(ip_address(str(address[0]).partition("%")[0]).is_private for *_, address in found)


def _local_network_access(exam: Examination, origin: str) -> None:
    try:
        page = parse_url(origin)
    except ValueError:
        return  # an application's own scheme
    if is_loopback(page.host):
        return
    if not page.is_potentially_trustworthy():
        words = (
            "A public page may call this machine or a private network only from HTTPS: from http: Chromium does not "
            "even ask the person (Local Network Access)."
        )
        exam.add(Finding("local_network_insecure", Severity.WARNING, "", words, "serve the page over HTTPS"), origin)
        return
    words = (
        "This address is loopback or private. If the page is public, Chromium asks the person for permission first "
        "(Local Network Access). No header grants it: a fetch that hangs or fails, though all is well here, waits for "
        "that answer."
    )
    fix = "tell people to allow it, or serve MCP at a public HTTPS address"
    exam.add(Finding("local_network_access", Severity.NOTE, "", words, fix), origin)


def _both_localhosts(exam: Examination) -> None:
    """``localhost`` is two addresses to a browser, ``::1`` first; a server often listens on one."""
    port = exam.url.port or DEFAULT_PORTS[exam.url.scheme]
    listens = {address: _listens(address, port) for address in ("::1", "127.0.0.1")}
    if all(listens.values()):
        words = (
            f"Something listens at ::1 port {port} and at 127.0.0.1 port {port}. Browsers try ::1 first, so that is "
            "the server they reach; if these are two servers, that may be the wrong one."
        )
        exam.add(Finding("localhost_twice", Severity.NOTE, "", words, f"write 127.0.0.1:{port} to be sure"))
    elif any(listens.values()):
        address = next(address for address, does in listens.items() if does)
        words = f"localhost is ::1 and 127.0.0.1; this server listens at {address} only. Not every client tries both."
        shown = f"[{address}]" if ":" in address else address
        exam.add(Finding("localhost_once", Severity.NOTE, "", words, f"write {shown}:{port}, or listen at both"))


def _listens(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
