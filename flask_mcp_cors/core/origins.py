"""Origins: the grammar of a serialized origin and of its host, as browsers write them.

An ``Origin`` value is never lower-cased, decoded or trimmed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from ipaddress import AddressValueError
from ipaddress import IPv4Address
from ipaddress import IPv6Address
from typing import NamedTuple

#: https://url.spec.whatwg.org/#default-port: a serialized origin never has it.
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}

#: Schemes whose hosts are Internet names. Every other scheme belongs to an application.
WEB_SCHEMES = frozenset(DEFAULT_PORTS)

#: Loopback is exactly these hosts.
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK = tuple(f"{scheme}://{host}:*" for host in LOOPBACK_HOSTS for scheme in ("http", "https"))

ANY_PORT = "*"

#: The serialized origins of sandboxed frames, of data: URLs and of pages from files.
OPAQUE = frozenset({"null", "file://"})

# The longest origin that this grammar admits: a scheme of 64, "://", a host of 253, ":", a port.
_MAX_LENGTH = 64 + 3 + 253 + 6

SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]{0,63})://(\[[0-9a-f:]+\]|[A-Za-z0-9_.-]+)(?::([1-9][0-9]{0,4}))?")

# Letters, digits and inner hyphens (RFC 1123), and inner underscores, which Compose and Windows names have.
_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?")
# Hosts in application schemes: extension ids, UUIDs (in Safari in upper case), "-", and "." in Electron.
_APPLICATION_HOST = re.compile(r"\.|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
# https://url.spec.whatwg.org/#ends-in-a-number-checker
ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")

# Characters that IDNA removes: the soft hyphen, zero-width characters, variation selectors.
_IGNORED = re.compile("[\u00ad\u200b\u2060\ufeff\ufe00-\ufe0f]")

# A host name of 253 characters is the longest that DNS can hold.
LONGEST_NAME = 253


class Origin(NamedTuple):
    """A tuple origin: https://html.spec.whatwg.org/#concept-origin-tuple"""

    scheme: str
    host: str
    #: ``None`` if it is the default port of the scheme.
    port: int | None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def _serialized_ipv6(host: str) -> str | None:
    """An IPv6 address in brackets as browsers write it in an origin (RFC 5952, no embedded dotted quad)."""
    # A zone (fe80::1%eth0) has a meaning on one machine only, so URLs and origins have none.
    if "%" in host or not host.endswith("]"):
        return None
    try:
        address = IPv6Address(host[1:-1])
    except AddressValueError:
        return None
    if address.ipv4_mapped is not None:
        low = int(address)
        return f"[::ffff:{low >> 16 & 0xFFFF:x}:{low & 0xFFFF:x}]"
    return f"[{address.compressed}]"


def is_host(host: str, scheme: str = "https") -> bool:
    """Is this host spelled as a browser serializes it in an origin of that scheme?"""
    if host.startswith("["):
        return _serialized_ipv6(host) == host
    if len(host.removesuffix(".")) > LONGEST_NAME:
        return False
    if scheme not in WEB_SCHEMES:
        return _APPLICATION_HOST.fullmatch(host) is not None
    if ENDS_IN_NUMBER.fullmatch(host):
        return is_ipv4(host)
    # xn-- labels are not decoded: browsers send only valid ones, and other clients can send any.
    return _NAME.fullmatch(host) is not None


def is_ipv4(host: str) -> bool:
    """Is this a dotted quad, the only spelling of an IPv4 address in a serialized origin?"""
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def parse_origin(value: str) -> Origin | None:
    """Parse a serialized origin; ``None`` if *value* is not one. Never raises.

    >>> parse_origin("http://localhost:3000")
    Origin(scheme='http', host='localhost', port=3000)
    >>> parse_origin("https://example.com:443") is None
    True
    """
    if len(value) > _MAX_LENGTH:
        return None
    match = _ORIGIN.fullmatch(value)
    if match is None:
        return None
    scheme, host, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and (port > 65535 or DEFAULT_PORTS.get(scheme) == port):
        return None
    return Origin(scheme, host, port) if is_host(host, scheme) else None


def parents(name: str) -> Iterator[str]:
    """The names above a host name, the nearest first: ``b.c`` and ``c`` for ``a.b.c``."""
    while name := name.partition(".")[2]:
        yield name


def is_serialized_origin(value: str) -> bool:
    """Is this a valid ``Origin`` value: an origin, ``null``, or the origin of a page from a file?"""
    return value in OPAQUE or parse_origin(value) is not None


def to_ascii(host: str) -> str:
    """A host name with its Unicode labels in their ``xn--`` form, as browsers make it."""
    mapped = unicodedata.normalize("NFKC", _IGNORED.sub("", host)).lower().replace("\u3002", ".")
    labels = (label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in mapped.split("."))
    return ".".join(labels)


def serialized_ip(host: str) -> str | None:
    """An IP address, in any spelling that URLs allow, as a browser serializes it; ``None`` if it is not one.

    https://url.spec.whatwg.org/#concept-ipv4-parser
    """
    if host.startswith("["):
        return _serialized_ipv6(host)
    if not ENDS_IN_NUMBER.fullmatch(host):
        return None
    numbers = []
    for part in host.removesuffix(".").split("."):
        if not part.isalnum():
            return None
        base = 16 if part.startswith("0x") else 8 if part.startswith("0") else 10
        try:
            numbers.append(int(part.removeprefix("0x") or "0", base))
        except ValueError:
            return None
    *first, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(IPv4Address(last + sum(number << 24 - 8 * place for place, number in enumerate(first))))
