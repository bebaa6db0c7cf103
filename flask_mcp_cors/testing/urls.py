"""URLs, their origins and their sites.

The parser is not a full one: it reads what people write in tests and what servers write into ``Location``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.parse import urlsplit

from ..core.hosts import is_loopback
from ..core.origins import ENDS_IN_NUMBER
from ..core.origins import serialized_ip
from ..core.origins import to_ascii

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

DEFAULT_PORTS = {"http": 80, "https": 443}

#: An opaque origin, serialized: that of a sandboxed frame, and of a request whose origin is tainted.
OPAQUE = "null"

#: Characters that are not percent-encoded in a path, a query and a fragment.
_PATH = "!$%&'()*+,/:;=@[]~"
_QUERY = "!$%&()*+,/:;=?@[]~|^`{}\\"
_FRAGMENT = _QUERY.replace("`", "") + "'#"

_PERCENT_DOT = re.compile("%2e", re.IGNORECASE)

#: https://url.spec.whatwg.org/#forbidden-domain-code-point, without percent-encoded bytes, which Chromium accepts
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20\x7f<>\\^|]|%(?![0-9A-Fa-f]{2})")

#: https://fetch.spec.whatwg.org/#port-blocking: servers of other protocols listen here.
# fmt: off
BAD_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
    530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
    4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))
# fmt: on


class URL(NamedTuple):
    """An absolute URL, normalised as in browsers."""

    scheme: str
    userinfo: str
    host: str
    port: int | None
    target: str
    fragment: str | None

    @property
    def authority(self) -> str:
        """Host and port, as in the ``Host`` header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The serialized origin.

        >>> parse_url("HTTPS://Mcp.Example.com:443/mcp?a#b").origin
        'https://mcp.example.com'
        """
        return f"{self.scheme}://{self.authority}"

    @property
    def href(self) -> str:
        """The whole URL, serialized."""
        userinfo = f"{self.userinfo}@" if self.userinfo else ""
        fragment = "" if self.fragment is None else f"#{self.fragment}"
        return f"{self.scheme}://{userinfo}{self.authority}{self.target}{fragment}"

    @property
    def without_fragment(self) -> str:
        """The URL as it is sent."""
        return self._replace(fragment=None).href

    def is_potentially_trustworthy(self) -> bool:
        """May ``Sec-Fetch-*`` and the requests of an HTTPS page go there?

        https://w3c.github.io/webappsec-secure-contexts/#potentially-trustworthy-url
        """
        return self.scheme == "https" or is_loopback(self.host)


class OtherSchemeError(ValueError):
    """A URL that is neither ``http:`` nor ``https:``."""

    def __init__(self, message: str, scheme: str) -> None:
        super().__init__(message)
        self.scheme = scheme


def is_ip_address(host: str) -> bool:
    """Is this host of a URL an IP address?"""
    return re.fullmatch(r"\[.*\]|[\d.]+", host) is not None


def parse_url(text: str, base: URL | None = None) -> URL:
    """Parse a URL; a relative one is relative to *base*.

    :raises OtherSchemeError: it is not an ``http:`` or ``https:`` URL.
    :raises ValueError: it is not a URL.

    >>> parse_url("../b c//?d", parse_url("http://h:80/x/y")).href
    'http://h/b%20c//?d'
    """
    text = re.sub(r"[\t\r\n]", "", text.strip())
    before, hash_sign, fragment = text.partition("#")
    before, question_mark, query = before.partition("?")
    before = before.replace("\\", "/")
    if found := re.match(r"(https?):(/*)", before, re.IGNORECASE):
        scheme = found[1].lower()
        rest = before[found.end() :]
        if base is not None and base.scheme == scheme and len(found[2]) < 2:
            before = found[2] + rest
        else:
            # Browsers accept any number of slashes here.
            before = f"{scheme}://{rest}"
    reference = before + question_mark + query
    parts = urlsplit(reference)
    if base is not None and not parts.scheme:
        parts = urlsplit(_absolute(reference, base))
    if parts.scheme not in DEFAULT_PORTS:
        raise OtherSchemeError(f"{text!r} is not an http: or https: URL", parts.scheme)
    host = to_ascii(parts.hostname or "")
    if ":" in host or ENDS_IN_NUMBER.fullmatch(host):
        host = serialized_ip(f"[{host}]" if ":" in host else host) or ""
    if not host or _FORBIDDEN_IN_HOST.search(host):
        raise ValueError(f"{text!r} has no host")
    port = None if parts.port == DEFAULT_PORTS[parts.scheme] else parts.port
    target = quote(_without_dot_segments(parts.path), safe=_PATH)
    if parts.query or question_mark:
        target += "?" + quote(parts.query, safe=_QUERY)
    return URL(
        parts.scheme,
        # An empty password does not count.
        parts.netloc.rpartition("@")[0].removesuffix(":"),
        host,
        port,
        target,
        quote(fragment, safe=_FRAGMENT) if hash_sign else None,
    )


def _absolute(reference: str, base: URL) -> str:
    """Resolve a relative URL. Unlike ``urljoin``, it keeps empty segments of a path."""
    if reference.startswith("//"):
        return f"{base.scheme}://{reference.lstrip('/')}"
    path = base.target.partition("?")[0]
    match reference[:1]:
        case "":
            target = base.target
        case "/":
            target = reference
        case "?":
            target = path + reference
        case _:
            target = f"{path.rpartition('/')[0]}/{reference}"
    return base._replace(target=target).without_fragment


def _without_dot_segments(path: str) -> str:
    segments: list[str] = []
    for segment in path.removeprefix("/").split("/"):
        plain = _PERCENT_DOT.sub(".", segment)
        if plain == "..":
            del segments[-1:]
        elif plain != ".":
            segments.append(segment)
    return "/" + "/".join([*segments, ""] if plain in (".", "..") else segments)


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    # To a browser, an unknown top-level domain is a public suffix. The check of patterns differs.
    return PublicSuffixList()


@cache
def site_of(origin: str) -> str | None:
    """The site of an origin: its scheme and registrable domain. An opaque origin has none.

    >>> site_of("https://app.example.co.uk:8443"), site_of("http://127.0.0.1:5000"), site_of("null")
    ('https://example.co.uk', 'http://127.0.0.1', None)
    """
    try:
        url = parse_url(origin)
    except ValueError:
        # Applications' own schemes do not have domains.
        return None if origin == OPAQUE else origin
    registrable = None if is_ip_address(url.host) else _public_suffixes().privatesuffix(url.host)
    return f"{url.scheme}://{registrable or url.host}"


def is_same_site(origin: str, other: str) -> bool:
    """https://html.spec.whatwg.org/#same-site, schemes included."""
    site = site_of(origin)
    return site is not None and site == site_of(other)
