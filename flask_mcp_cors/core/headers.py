"""Methods and header names: what the Fetch standard and RFC 9110 say about them.

This module has only predicates and parsers of single values. It does not depend on a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
ALLOW_CREDENTIALS = "Access-Control-Allow-Credentials"
ALLOW_METHODS = "Access-Control-Allow-Methods"
ALLOW_HEADERS = "Access-Control-Allow-Headers"
EXPOSE_HEADERS = "Access-Control-Expose-Headers"
MAX_AGE = "Access-Control-Max-Age"
REQUEST_METHOD = "Access-Control-Request-Method"
REQUEST_HEADERS = "Access-Control-Request-Headers"

#: https://fetch.spec.whatwg.org/#cors-safelisted-method
SAFELISTED_METHODS = frozenset({"GET", "HEAD", "POST"})

#: https://fetch.spec.whatwg.org/#forbidden-method
FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})

#: https://fetch.spec.whatwg.org/#concept-method-normalize (``PATCH`` is not among them)
NORMALIZED_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})

#: https://fetch.spec.whatwg.org/#forbidden-request-header, without the rule about values
FORBIDDEN_REQUEST_HEADERS = frozenset(
    {
        "accept-charset",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "connection",
        "content-length",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)

FORBIDDEN_REQUEST_HEADER_PREFIXES = ("proxy-", "sec-")

#: These three are forbidden if their value names a forbidden method.
METHOD_OVERRIDE_HEADERS = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})

#: https://fetch.spec.whatwg.org/#forbidden-response-header-name
FORBIDDEN_RESPONSE_HEADERS = frozenset({"set-cookie", "set-cookie2"})

#: https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name
SAFELISTED_RESPONSE_HEADERS = frozenset(
    {
        "cache-control",
        "content-language",
        "content-length",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    }
)

#: Headers that only the answer to a preflight has.
PREFLIGHT_RESPONSE_ONLY = frozenset(name.lower() for name in (ALLOW_METHODS, ALLOW_HEADERS, MAX_AGE)) | {
    "access-control-allow-private-network",
    "access-control-allow-local-network",
}

#: Names that only a server sends: a mistake in ``allow_headers``, as are all names in ``Access-Control-Allow-*``.
RESPONSE_ONLY = frozenset(
    {
        "accept-ranges",
        "age",
        "allow",
        "authentication-info",
        "etag",
        "location",
        "retry-after",
        "server",
        "set-cookie2",
        "vary",
        "www-authenticate",
        EXPOSE_HEADERS.lower(),
        MAX_AGE.lower(),
    }
)

#: Names that only a client sends: a mistake in ``expose_headers``.
REQUEST_ONLY = frozenset(
    {
        "access-control-request-private-network",
        "cookie",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "origin",
        "range",
        "referer",
        "te",
        "user-agent",
        REQUEST_HEADERS.lower(),
        REQUEST_METHOD.lower(),
    }
)

#: The CORS non-wildcard request-header name: ``*`` never covers it.
NON_WILDCARD = "authorization"

# RFC 9110, section 5.6.2: token = 1*tchar
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: The part of ``Access-Control-Request-Headers`` that is read. Browsers send far less.
MAX_REQUEST_HEADER_NAMES = 64
MAX_REQUEST_HEADERS_LENGTH = 4096


def is_token(value: str) -> bool:
    """Is this a ``token`` of RFC 9110, the grammar of method and header names?"""
    return _TOKEN.fullmatch(value) is not None


def normalize_method(method: str) -> str:
    """Normalize a method as ``fetch()`` does: six names are upper-cased, all others stay.

    >>> normalize_method("delete"), normalize_method("patch")
    ('DELETE', 'patch')
    """
    upper = method.upper()
    return upper if upper in NORMALIZED_METHODS and method.isascii() else method


def is_forbidden_request_header(name: str) -> bool:
    """Is this a request header that JavaScript can never set, whatever the server allows?

    >>> is_forbidden_request_header("Sec-Fetch-Site"), is_forbidden_request_header("Authorization")
    (True, False)
    """
    lower = name.lower()
    return lower in FORBIDDEN_REQUEST_HEADERS or lower.startswith(FORBIDDEN_REQUEST_HEADER_PREFIXES)


def split_list(value: str) -> list[str]:
    """The members of a comma-separated header value, trimmed of optional white space, none empty."""
    return [text for member in value.split(",") if (text := member.strip(" \t"))]


def parse_request_header_names(value: str) -> tuple[list[str], bool]:
    """The names in ``Access-Control-Request-Headers``, in lower case, and whether all of it was read.

    The value is read leniently, as RFC 9110 requires for lists, but only up to 64 names and 4 KiB; a name that
    this limit cuts is dropped. A member that is not a token is kept; the caller refuses it.

    >>> parse_request_header_names("authorization,, Content-Type ")
    (['authorization', 'content-type'], True)
    """
    whole = len(value) <= MAX_REQUEST_HEADERS_LENGTH
    if not whole:
        value = value[:MAX_REQUEST_HEADERS_LENGTH].rpartition(",")[0]
    names = split_list(value.lower())
    if len(names) > MAX_REQUEST_HEADER_NAMES:
        return names[:MAX_REQUEST_HEADER_NAMES], False
    return names, whole


def merge_vary(present: Iterable[str], added: str) -> str:
    """Merge the ``Vary`` values of a response with ours, without duplicates.

    >>> merge_vary(["Cookie, origin"], "Origin, Accept")
    'Cookie, origin, Accept'
    """
    names: dict[str, str] = {}
    for value in (*present, added):
        for name in split_list(value):
            names.setdefault(name.lower(), name)
    return "*" if "*" in names else ", ".join(names.values())
