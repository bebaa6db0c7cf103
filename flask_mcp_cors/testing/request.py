"""The request of a fetch: made from the arguments of ``fetch()``, changed by redirects.

https://fetch.spec.whatwg.org/#dom-request and https://fetch.spec.whatwg.org/#concept-http-redirect-fetch
"""

from __future__ import annotations

import json as json_module
import re
import string
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import get_args
from urllib.parse import quote

from ..core.headers import FORBIDDEN_METHODS
from ..core.headers import is_forbidden_request_header
from ..core.headers import is_token
from ..core.headers import METHOD_OVERRIDE_HEADERS
from ..core.headers import NON_WILDCARD
from ..core.headers import normalize_method
from ..core.headers import SAFELISTED_METHODS
from ..core.headers import split_list
from .errors import CORSErrorReason
from .errors import CORSFailure
from .headers import HeaderList
from .headers import HTTP_WHITESPACE
from .headers import is_safelisted_request_header
from .headers import NO_CORS_SAFELISTED
from .headers import REQUEST_BODY_HEADERS
from .messages import Credentials
from .messages import Mode
from .messages import Redirect
from .messages import ResponseType
from .quirks import Quirk
from .urls import is_same_site
from .urls import OPAQUE
from .urls import OtherSchemeError
from .urls import parse_url
from .urls import URL

#: Chromium's console lists these schemes where a redirect leads to another one.
CORS_ENABLED_SCHEMES = (
    "chrome, chrome-experimental-site-token-provider, chrome-extension, chrome-untrusted, data, http, https, "
    "isolated-app"
)
#: A https://webidl.spec.whatwg.org/#es-ByteString does not have it.
_BEYOND_A_BYTE = re.compile(r"[^\x00-\xff]")

_UNSAFE_SCHEMES = frozenset({"data", "blob", "about", "file", "filesystem"})

#: Values other than strings are converted as in JavaScript.
Headers = Mapping[str, Any] | Iterable[tuple[str, Any]]


@dataclass
class Request:
    """https://fetch.spec.whatwg.org/#concept-request, as far as CORS needs it."""

    url: URL
    method: str
    headers: HeaderList
    body: bytes | None
    #: the page's origin, serialized
    origin: str
    mode: Mode
    credentials: Credentials
    redirect: Redirect
    quirks: frozenset[Quirk]
    #: ``cors`` or ``opaque`` from the moment that another origin is involved
    response_tainting: ResponseType = "basic"
    tainted_origin: bool = False
    url_list: list[URL] = field(default_factory=list)
    #: ``Sec-Fetch-Site`` is about ``url_list`` from this index on
    chain_start: int = 0
    #: did this fetch need a preflight, or one of its redirects?
    had_preflight: bool = False
    #: did the last request to this origin say ``Origin``?
    origin_was_sent: bool = False
    #: why it is not sent; raised after the preflight
    refusal: tuple[CORSErrorReason, str] | None = None
    #: what the page set, including headers that redirects have dropped
    first_headers: HeaderList = field(init=False)
    first_method: str = field(init=False)
    #: the headers that a preflight asks for: :attr:`headers`, except for some engines' quirks
    asked_headers: HeaderList = field(init=False)

    def __post_init__(self) -> None:
        self.url_list.append(self.url)
        self.first_headers = self.asked_headers = self.headers
        self.first_method = self.method

    @property
    def serialized_origin(self) -> str:
        """https://fetch.spec.whatwg.org/#serializing-a-request-origin"""
        return OPAQUE if self.tainted_origin else self.origin

    @property
    def is_same_origin(self) -> bool:
        """Does the current URL have the page's own origin?"""
        return self.origin == self.url.origin

    @property
    def with_credentials(self) -> bool:
        """Is the credentials mode *include*, for which the CORS check is stricter?"""
        return self.credentials == "include"

    def fetch_site(self, chain: Iterable[URL]) -> str:
        """https://w3c.github.io/webappsec-fetch-metadata/#sec-fetch-site-header, of these URLs."""
        origins = {url.origin for url in chain}
        if origins == {self.origin}:
            return "same-origin"
        return "same-site" if all(is_same_site(self.origin, origin) for origin in origins) else "cross-site"

    def parse_location(self, location: str) -> URL:
        """https://fetch.spec.whatwg.org/#concept-response-location-url

        :raises CORSFailure: it is not a URL.
        :raises OtherSchemeError: it is not an ``http:`` or ``https:`` URL.
        """
        # The bytes of the header are percent-encoded unchanged.
        raw = location.encode("latin-1")
        if Quirk.LOCATION_IS_LATIN_1 in self.quirks:
            raw = raw.decode(errors="replace").encode().decode("latin-1").encode()
        try:
            return parse_url(quote(raw, safe=string.printable), self.url)
        except OtherSchemeError:
            raise
        except ValueError:
            raise CORSFailure(CORSErrorReason.INVALID_REDIRECT) from None

    def location_url(self, location: str) -> URL:
        """The URL of a redirect that is followed.

        :raises CORSFailure: it is not an ``http:`` or ``https:`` URL. The reason depends on the request.
        """
        try:
            return self.parse_location(location)
        except OtherSchemeError as error:
            fragment = "" if self.url.fragment is None or "#" in location else f"#{self.url.fragment}"
            if error.scheme in _UNSAFE_SCHEMES:
                raise CORSFailure(CORSErrorReason.UNSAFE_REDIRECT, location + fragment) from None
            reason, detail = CORSErrorReason.REDIRECT_TO_UNKNOWN_SCHEME, ""
            if self.redirect == "error":
                reason = CORSErrorReason.REDIRECT_DISALLOWED
            elif self.mode == "cors":
                reason, detail = CORSErrorReason.CORS_DISABLED_SCHEME, CORS_ENABLED_SCHEMES
            elif self.mode == "same-origin":
                reason = CORSErrorReason.DISALLOWED_BY_MODE
            raise CORSFailure(reason, detail, location + fragment) from None

    def redirect_to(self, url: URL, status: int) -> None:
        """Follow a redirect: the second half of HTTP-redirect fetch."""
        crosses = url.origin != self.url.origin
        leaves_home = crosses and self.is_same_origin
        if crosses and not leaves_home:
            self.tainted_origin = True
        if crosses:
            self.origin_was_sent = False
        becomes_get = _becomes_get(self.method, status)
        if becomes_get:
            self.method = "GET"
            self.body = None
        # The fragment is kept if the redirect has none.
        self.url = url if url.fragment is not None else url._replace(fragment=self.url.fragment)
        self.url_list.append(self.url)
        dropped = (REQUEST_BODY_HEADERS if becomes_get else frozenset()) | ({NON_WILDCARD} if crosses else frozenset())
        self.headers = self.asked_headers = self.headers.without(dropped)
        if Quirk.DROPPED_HEADERS_RETURN in self.quirks:
            self.headers = self.asked_headers = self.first_headers.without(dropped)
            if _becomes_get(self.first_method, status):
                self.headers = self.headers.without(REQUEST_BODY_HEADERS)
        is_cors = self.mode == "cors" and not (self.response_tainting == "basic" and self.is_same_origin)
        if Quirk.DROPPED_CONTENT_TYPE_RETURNS in self.quirks:
            if not becomes_get and (is_cors or status in (307, 308)):
                returning = REQUEST_BODY_HEADERS if is_cors else frozenset({"content-type"})
                gone = {name.lower() for name in self.first_headers.keys() - self.headers.keys()}
                self.headers = self.first_headers.without(gone - returning)
            if leaves_home and not is_cors:
                # WebKit starts again without credentials, and with the headers that are left.
                self.first_headers = self.headers
        if Quirk.PREFLIGHT_ASKS_FOR_DROPPED_HEADERS in self.quirks:
            self.asked_headers = self.first_headers


def _becomes_get(method: str, status: int) -> bool:
    """Does a redirect with this status change this method to GET?"""
    return (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD"))


def make_request(
    url: str,
    base: URL,
    origin: str,
    method: str,
    headers: Headers | None,
    json: Any,
    body: str | bytes | None,
    credentials: Credentials,
    mode: Mode,
    redirect: Redirect,
    quirks: frozenset[Quirk],
) -> Request:
    """The request that ``new Request(...)`` makes of its arguments.

    :raises CORSFailure: a browser would throw.
    :raises TypeError: ``fetch()`` does not take such arguments.
    """
    for value, choices in ((credentials, Credentials), (mode, Mode), (redirect, Redirect)):
        if value not in get_args(choices):
            raise TypeError(f"{value!r} is none of {', '.join(get_args(choices))}")
    if json is not None and body is not None:
        raise TypeError("give json or body, not both")
    given = _byte_strings(headers)
    if _BEYOND_A_BYTE.search(method):
        raise CORSFailure(CORSErrorReason.NOT_A_BYTE_STRING, "method")
    unreachable: CORSFailure | None = None
    try:
        parsed = parse_url(url, base)
    except OtherSchemeError as error:
        parsed, unreachable = base, _other_scheme(error.scheme, mode)
    except ValueError:
        raise CORSFailure(CORSErrorReason.INVALID_URL) from None
    if parsed.userinfo:
        raise CORSFailure(CORSErrorReason.URL_CONTAINS_CREDENTIALS)
    method = _method(method, mode)
    if json is not None:
        body = json_module.dumps(json)
        if not any(name.lower() == "content-type" for name, _ in given):
            given.append(("Content-Type", "application/json"))
    if body is not None and method in ("GET", "HEAD"):
        raise CORSFailure(CORSErrorReason.BODY_DISALLOWED_BY_METHOD, method=method)
    sent = _fill(given, mode)
    if Quirk.USER_AGENT_IS_ITS_OWN in quirks:
        sent = sent.without({"user-agent"})
    if isinstance(body, str):
        body = body.encode()
        if "Content-Type" not in sent:
            sent = HeaderList([*sent.pairs, ("Content-Type", "text/plain;charset=UTF-8")])
    if unreachable is not None:
        raise unreachable
    return Request(parsed, method, sent, body, origin, mode, credentials, redirect, quirks)


def _other_scheme(scheme: str, mode: Mode) -> CORSFailure:
    """The error for a URL that is neither ``http:`` nor ``https:``."""
    if scheme == "data":
        raise TypeError("a data: URL is fetched without a server, so without CORS: not by this browser")
    if mode == "same-origin":
        return CORSFailure(CORSErrorReason.DISALLOWED_BY_MODE)
    if scheme == "file":
        return CORSFailure(CORSErrorReason.LOCAL_RESOURCE)
    return CORSFailure(CORSErrorReason.UNSUPPORTED_SCHEME, scheme)


def _method(method: str, mode: Mode) -> str:
    if not is_token(method):
        raise CORSFailure(CORSErrorReason.INVALID_METHOD, method)
    if method.upper() in FORBIDDEN_METHODS:
        raise CORSFailure(CORSErrorReason.FORBIDDEN_METHOD, method)
    method = normalize_method(method)
    if mode == "no-cors" and method not in SAFELISTED_METHODS:
        raise CORSFailure(CORSErrorReason.METHOD_UNSUPPORTED_IN_NO_CORS, method)
    return method


def _byte_strings(headers: Headers | None) -> list[tuple[str, str]]:
    """The header lines as JavaScript converts them."""
    pairs = [
        (name, _to_string(value))
        for name, value in (headers.items() if isinstance(headers, Mapping) else headers or ())
    ]
    for pair in pairs:
        for part, text in zip(("key of", "value in"), pair, strict=True):
            if found := _BEYOND_A_BYTE.search(text):
                facts: dict[str, Any] = {"part": part, "index": found.start(), "code": ord(found[0])}
                raise CORSFailure(CORSErrorReason.NOT_A_BYTE_STRING, "headers", **facts)
    return pairs


def _to_string(value: object) -> str:
    """A header value, converted as in JavaScript."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fill(given: list[tuple[str, str]], mode: Mode) -> HeaderList:
    """The headers that JavaScript may set. Browsers drop the others silently."""
    pairs: list[tuple[str, str]] = []
    for name, value in given:
        value = value.strip(HTTP_WHITESPACE)
        if not is_token(name):
            raise CORSFailure(CORSErrorReason.INVALID_HEADER_NAME, name)
        if any(character in value for character in "\0\r\n"):
            raise CORSFailure(CORSErrorReason.INVALID_HEADER_VALUE, value, name=name)
        if is_forbidden_request_header(name) or _overrides_with_forbidden_method(name, value):
            continue
        if mode == "no-cors":
            # The combined value decides.
            combined = HeaderList([*pairs, (name, value)])[name]
            if name.lower() not in NO_CORS_SAFELISTED or not is_safelisted_request_header(name, combined):
                continue
        pairs.append((name, value))
    return HeaderList(pairs)


def _overrides_with_forbidden_method(name: str, value: str) -> bool:
    return name.lower() in METHOD_OVERRIDE_HEADERS and any(
        method.upper() in FORBIDDEN_METHODS for method in split_list(value)
    )
