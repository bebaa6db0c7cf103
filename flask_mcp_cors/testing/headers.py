"""Header lists, and the Fetch standard's rules for the values of request headers.

The rules for names and methods are in :mod:`flask_mcp_cors.core.headers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set

from ..core.headers import is_token
from ..core.headers import split_list
from .quirks import Quirk

Pairs = tuple[tuple[str, str], ...]

#: https://fetch.spec.whatwg.org/#cors-unsafe-request-header-byte
_UNSAFE_BYTE = re.compile(r'[\x00-\x08\x0a-\x1f"():<>?@\[\\\]{}\x7f]')
_LANGUAGE = re.compile(r"[0-9A-Za-z *,\-.;=]*")
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_LENIENT_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)", re.IGNORECASE)
_INT64 = 2**63
HTTP_WHITESPACE = "\t\n\r "

#: https://fetch.spec.whatwg.org/#no-cors-safelisted-request-header-name
NO_CORS_SAFELISTED = frozenset({"accept", "accept-language", "content-language", "content-type"})

#: An HTTP cache does not handle requests with one of these.
CONDITIONAL_HEADERS = frozenset({"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"})

#: https://fetch.spec.whatwg.org/#request-body-header-name: removed when a redirect turns the request into a GET
REQUEST_BODY_HEADERS = frozenset({"content-encoding", "content-language", "content-location", "content-type"})

_SAFELISTED_ESSENCES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})

#: Other names that Chromium safelists: see :attr:`Quirk.CLIENT_HINTS_SAFELISTED`.
_CLIENT_HINTS = dict.fromkeys(("device-memory", "downlink", "dpr"), re.compile(r"[0-9]+(\.[0-9]+)?"))
_CLIENT_HINTS |= dict.fromkeys(("rtt", "viewport-width", "width"), re.compile("[0-9]+"))
_CLIENT_HINTS |= {"ect": re.compile("slow-2g|2g|3g|4g"), "save-data": re.compile("on", re.IGNORECASE)}
_CLIENT_HINTS["intervention"] = re.compile(".*", re.DOTALL)

MAX_SAFELISTED_VALUE = 128
MAX_SAFELISTED_TOTAL = 1024


class HeaderList(Mapping[str, str]):
    """An immutable header list; names are case-insensitive. Repeated headers are combined with a comma.

    >>> headers = HeaderList([("Vary", "Origin"), ("vary", "Cookie")])
    >>> headers["VARY"], headers.getall("Vary"), list(headers)
    ('Origin, Cookie', ['Origin', 'Cookie'], ['Vary'])
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Pairs = tuple(pairs)

    def getall(self, name: str) -> list[str]:
        """Each value separately."""
        lower = name.lower()
        return [value for other, value in self.pairs if other.lower() == lower]

    def without(self, names: Set[str]) -> HeaderList:
        """A copy without these names, given in lower case."""
        return HeaderList(pair for pair in self.pairs if pair[0].lower() not in names)

    def __getitem__(self, name: str) -> str:
        if values := self.getall(name):
            return ", ".join(values)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        first: dict[str, str] = {}
        for name, _ in self.pairs:
            first.setdefault(name.lower(), name)
        return iter(first.values())

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.pairs)!r})"


class MalformedList(ValueError):
    """A header that must be a list of tokens has a member that is not a token."""


def extract_list(headers: HeaderList, name: str) -> tuple[str, ...]:
    """https://fetch.spec.whatwg.org/#extract-header-list-values, of a list of tokens; empty where it is absent.

    :raises MalformedList: a member is not a token.
    """
    members = tuple(split_list(headers.get(name, "")))
    for member in members:
        if not is_token(member):
            raise MalformedList(member)
    return members


def rewrite_range(value: str) -> str:
    """The ``Range`` that :attr:`Quirk.RANGE_IS_REWRITTEN` sends.

    >>> rewrite_range("Bytes= 05-10"), rewrite_range("bytes=10-5")
    ('bytes=5-10', 'bytes=10-5')
    """
    found = _LENIENT_RANGE.fullmatch(value)
    if found is None:
        return value
    first, last = (int(digits) if digits else None for digits in found.groups())
    if first is None:
        is_valid = last is not None and 0 < last < _INT64
    else:
        is_valid = first < _INT64 if last is None else first <= last < _INT64
    if not is_valid:
        return value
    return f"bytes={'' if first is None else first}-{'' if last is None else last}"


def mime_type_essence(value: str) -> str:
    """The essence of a MIME type; a malformed one has no meaning.

    >>> mime_type_essence("Text/Plain ; charset=utf-8")
    'text/plain'
    """
    return value.partition(";")[0].strip(HTTP_WHITESPACE).lower()


def _is_safelisted_range(value: str, quirks: frozenset[Quirk]) -> bool:
    found = _RANGE.fullmatch(value.lower() if Quirk.RANGE_IN_ANY_CASE in quirks else value)
    if found is None:
        return False
    start, end = int(found[1]), int(found[2] or found[1])
    limits = {Quirk.RANGE_IN_63_BITS: 2**63 - 1, Quirk.RANGE_IN_64_BITS: 2**64}
    return start <= end and all(end < limit for quirk, limit in limits.items() if quirk in quirks)


def is_safelisted_request_header(name: str, value: str, quirks: frozenset[Quirk] = frozenset()) -> bool:
    """https://fetch.spec.whatwg.org/#cors-safelisted-request-header

    >>> is_safelisted_request_header("Content-Type", "text/plain")
    True
    >>> is_safelisted_request_header("Content-Type", "application/json")
    False
    """
    if len(value) > MAX_SAFELISTED_VALUE:
        return False
    lower = name.lower()
    match lower:
        case "accept":
            return _UNSAFE_BYTE.search(value) is None
        case "accept-language" | "content-language":
            return _LANGUAGE.fullmatch(value) is not None
        case "content-type":
            return _UNSAFE_BYTE.search(value) is None and mime_type_essence(value) in _SAFELISTED_ESSENCES
        case "range":
            return _is_safelisted_range(value, quirks)
    hint = _CLIENT_HINTS.get(lower) if Quirk.CLIENT_HINTS_SAFELISTED in quirks else None
    return hint is not None and hint.fullmatch(value) is not None


def cors_unsafe_request_header_names(headers: HeaderList, quirks: frozenset[Quirk] = frozenset()) -> list[str]:
    """https://fetch.spec.whatwg.org/#cors-unsafe-request-header-names: in lower case, in the order of *headers*.

    Safelisted names come last; they are unsafe only if their values are too long together.

    >>> cors_unsafe_request_header_names(HeaderList([("X-B", "1"), ("Accept", "text/html"), ("X-A", "2")]))
    ['x-b', 'x-a']
    """
    unsafe: dict[str, None] = {}
    potentially_unsafe: dict[str, None] = {}
    total = 0
    for name, value in headers.pairs:
        if is_safelisted_request_header(name, value, quirks):
            potentially_unsafe[name.lower()] = None
            total += len(value)
        else:
            unsafe[name.lower()] = None
    return list(unsafe | potentially_unsafe if total > MAX_SAFELISTED_TOTAL else unsafe)
