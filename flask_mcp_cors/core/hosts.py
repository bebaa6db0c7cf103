"""Hosts: the grammar of the ``Host`` header, and which values of it are served.

In a DNS rebinding attack the browser sends the attacker's name as ``Host``, and no page can change that header. DNS
rebinding cannot produce an IP address as ``Host``, so addresses are always served.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from .decision import Reason
from .origins import ANY_PORT
from .origins import DEFAULT_PORTS
from .origins import is_host
from .origins import is_ipv4
from .origins import LOOPBACK_HOSTS
from .origins import Origin
from .origins import parents
from .origins import serialized_ip
from .origins import to_ascii
from .problems import as_list
from .problems import Invalid
from .problems import number_members
from .problems import PolicyProblem
from .problems import string_list
from .suffixes import covers_public_suffix

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")


class Host(NamedTuple):
    """A parsed ``Host`` value: the name in lower case, and the port, if there is one."""

    name: str
    port: int | None

    @property
    def is_ip(self) -> bool:
        """Is it an IP literal, so that no DNS answer is involved?"""
        return self.name.startswith("[") or is_ipv4(self.name)

    @property
    def is_address(self) -> bool:
        """Is it an IP literal, and a usual address of a server?

        The unspecified address is not: on some systems any page reaches this machine by it. An IPv4-mapped address
        is not: it is another spelling of an address. Browsers send no ``Sec-Fetch-*`` headers to either.
        """
        if not self.is_ip:
            return False
        address = ip_address(self.name.strip("[]"))
        return not (address.is_unspecified or getattr(address, "ipv4_mapped", None))

    def to_origin(self, scheme: str) -> str:
        """The serialized origin of the pages on this host."""
        port = None if self.port == DEFAULT_PORTS.get(scheme) else self.port
        return str(Origin(scheme, self.name, port))


def parse_host(value: str) -> Host | None:
    """The host that a ``Host`` header names, or ``None``. Never raises.

    >>> parse_host("MCP.example.com:8443")
    Host(name='mcp.example.com', port=8443)
    >>> parse_host("evil.example/") is None
    True
    """
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    name = _spelled(match[1].lower())
    port = int(match[2]) if match[2] else None
    return Host(name, port) if is_host(name) and (port is None or port <= 65535) else None


def is_loopback(name: str) -> bool:
    """Is this host name potentially trustworthy as loopback, so that browsers send it ``Sec-Fetch-*``?

    https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy

    >>> is_loopback("app.localhost"), is_loopback("127.0.0.2"), is_loopback("localhost.evil.example")
    (True, True, False)
    """
    if name in ("localhost", "[::1]") or name.endswith(".localhost"):
        return True
    return name.startswith("127.") and is_ipv4(name)


class HostIndex:
    """Host patterns, compiled: ``name``, ``name:port``, ``name:*``, ``*.name``, ``*``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        #: The patterns as written.
        self.patterns = tuple(patterns)
        self.any_host = "*" in self.patterns
        self._names: set[tuple[str, int | None]] = set()
        self._parents: set[tuple[str, int | None]] = set()
        for pattern in self.patterns:
            name, port = _split_pattern(pattern.lower())
            if pattern != "*":
                bases = self._parents if name.startswith("*.") else self._names
                bases.add((name.removeprefix("*."), port))

    def lists(self, host: Host, scheme: str) -> bool:
        """Does a pattern other than ``*`` match this host?"""
        port = DEFAULT_PORTS.get(scheme) if host.port is None else host.port
        if (host.name, None) in self._names or (host.name, port) in self._names:
            return True
        for parent in parents(host.name) if self._parents else ():
            if (parent, None) in self._parents or (parent, port) in self._parents:
                return True
        return False

    def fault(self, value: str | None, scheme: str) -> Reason | None:
        """The reason why a ``Host`` value is not served, or ``None`` if it is."""
        if not value:
            return Reason.HOST_MISSING
        host = parse_host(value)
        if host is None:
            return Reason.HOST_MALFORMED
        if self.any_host or host.is_address or self.lists(host, scheme):
            return None
        return Reason.HOST_NOT_SERVED


def _spelled(name: str) -> str:
    # A person may spell an IPv6 address in another way than browsers.
    return (serialized_ip(name) or name) if name.startswith("[") else name


def _split_pattern(pattern: str) -> tuple[str, int | None]:
    head, colon, port = pattern.rpartition(":")
    if not colon or port.endswith("]"):
        return _spelled(pattern), None
    return _spelled(head), None if port == ANY_PORT else int(port)


def hosts_from_trusted_hosts(trusted: str | Iterable[str]) -> tuple[str, ...]:
    """Flask's ``TRUSTED_HOSTS`` as host patterns: ``.example.com`` means the name and its subdomains.

    In that setting, one string is one host, and ports are ignored.

    >>> hosts_from_trusted_hosts([".example.com", "localhost:5000"])
    ('example.com', '*.example.com', 'localhost')
    """
    hosts: list[str] = []
    for host in (trusted,) if isinstance(trusted, str) else trusted:
        name = to_ascii(host).partition(":")[0]
        hosts += [name[1:], f"*{name}"] if name.startswith(".") else [name]
    return tuple(hosts)


def read_hosts(value: object, problems: list[PolicyProblem]) -> tuple[str, ...]:
    """Read the setting ``hosts``, with a problem for each invalid pattern."""
    count = len(problems)
    patterns = string_list("hosts", value, problems)
    if not patterns and len(problems) == count:
        message = 'empty: every request would get 421; list a host, or write "*"'
        problems.append(PolicyProblem("hosts_empty", "hosts", value, message))
    faults = {pattern: _pattern_fault(pattern) for pattern in patterns}
    problems += [PolicyProblem(fault.code, "hosts", text, fault.message) for text, fault in faults.items() if fault]
    number_members("hosts", value, problems, count)
    return tuple(pattern for pattern in patterns if faults[pattern] is None)


def _pattern_fault(pattern: str) -> Invalid | None:
    if pattern == "*":
        return None
    if _is_pattern(pattern):
        name, _ = _split_pattern(pattern.lower())
        base = name.removeprefix("*.")
        if base == name or not covers_public_suffix(base):
            return None
        # Anybody can register a name there and make it point to this server (DNS rebinding).
        message = f"anyone can have a name below {base}; write your own names in full, as your-name.{base}"
        return Invalid("host_public_suffix", message)
    members = [_meant(member) or member for member in re.split(r"[,;\s]+", pattern) if member]
    if len(members) > 1:
        return Invalid("host_invalid", f"one string holds one host; write {as_list(members)}")
    if (address := parse_host(re.sub(r"/\d+$", "", pattern))) and address.is_ip:
        return Invalid("host_invalid", "not a valid host; IP addresses are always served: leave it out")
    example = _meant(pattern) or "mcp.example.com, mcp.example.com:8443 or *.example.com"
    return Invalid("host_invalid", f"not a valid host; write {example}")


def _meant(text: str) -> str | None:
    """The valid pattern that was probably meant, or ``None``."""
    authority = re.split(r"[/?#]", text.strip().rpartition("://")[2])[0]
    meant = to_ascii(authority.rpartition("@")[2]).lower()
    if meant.startswith("."):
        meant = f"*{meant}"
    elif meant.count(":") > 1 and not meant.startswith("["):
        meant = f"[{meant}]"
    elif not meant.startswith("[") and not _is_pattern(meant):
        meant = meant.partition(":")[0]
    return meant if _is_pattern(meant) else None


def _is_pattern(pattern: str) -> bool:
    host = parse_host(pattern.removeprefix("*.").removesuffix(":*"))
    return host is not None and not (pattern.startswith("*.") and host.is_ip)


#: The default for the served hosts if nothing is configured, and for the hosts of own pages if none are named.
LOOPBACK_INDEX = HostIndex(LOOPBACK_HOSTS)
