"""The checks on responses: CORS check, CORP check, and which headers JavaScript may read."""

from __future__ import annotations

import re

from ..core.headers import ALLOW_CREDENTIALS
from ..core.headers import ALLOW_ORIGIN
from ..core.headers import EXPOSE_HEADERS
from ..core.headers import FORBIDDEN_RESPONSE_HEADERS
from ..core.headers import SAFELISTED_RESPONSE_HEADERS
from .errors import CORSErrorReason
from .errors import CORSFailure
from .headers import extract_list
from .headers import HeaderList
from .headers import MalformedList
from .urls import is_same_site
from .urls import OtherSchemeError
from .urls import parse_url

#: https://fetch.spec.whatwg.org/#redirect-status
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


def cors_check(headers: HeaderList, origin: str, *, with_credentials: bool) -> None:
    """https://fetch.spec.whatwg.org/#concept-cors-check

    :param origin: the serialized request origin, which is ``null`` once it is tainted.
    :raises CORSFailure: the response is not for this origin.

    >>> cors_check(HeaderList([("Access-Control-Allow-Origin", "*")]), "https://a.example", with_credentials=False)
    """
    allowed = headers.get(ALLOW_ORIGIN)
    if allowed is None:
        raise CORSFailure(CORSErrorReason.MISSING_ALLOW_ORIGIN_HEADER)
    if allowed == "*":
        if with_credentials:
            raise CORSFailure(CORSErrorReason.WILDCARD_ORIGIN_NOT_ALLOWED)
        return
    if allowed != origin:
        raise CORSFailure(_origin_fault(allowed), allowed)
    if with_credentials:
        credentials = headers.get(ALLOW_CREDENTIALS, "")
        if credentials != "true":
            raise CORSFailure(CORSErrorReason.INVALID_ALLOW_CREDENTIALS, credentials)


def _origin_fault(allowed: str) -> CORSErrorReason:
    """The kind of mismatch. Only Chromium's console tells the kinds apart."""
    if " " in allowed or "," in allowed:
        return CORSErrorReason.MULTIPLE_ALLOW_ORIGIN_VALUES
    if allowed == "null" or is_valid_url(allowed):
        return CORSErrorReason.ALLOW_ORIGIN_MISMATCH
    return CORSErrorReason.INVALID_ALLOW_ORIGIN_VALUE


def is_valid_url(value: str) -> bool:
    """Is this an absolute URL? Only the console message depends on it.

    >>> is_valid_url("https://a.example/"), is_valid_url("a.example"), is_valid_url("https://")
    (True, False, False)
    """
    try:
        # Headers are decoded as Latin-1 here, URLs as UTF-8.
        parse_url(value.encode("latin-1").decode())
    except OtherSchemeError as error:
        return error.scheme != ""
    except ValueError:
        return False
    return True


def corp_check(headers: HeaderList, origin: str, url_origin: str) -> None:
    """https://fetch.spec.whatwg.org/#cross-origin-resource-policy-check, of a no-cors request.

    :raises CORSFailure: the response is not for this origin.
    """
    policy = headers.get("Cross-Origin-Resource-Policy")
    if policy == "same-origin" and origin != url_origin:
        raise CORSFailure(CORSErrorReason.CORP_NOT_SAME_ORIGIN)
    # An HTTPS page may read an HTTP response of the same site.
    if origin.startswith("https:"):
        url_origin = re.sub("^http:", "https:", url_origin)
    if policy == "same-site" and not is_same_site(origin, url_origin):
        raise CORSFailure(CORSErrorReason.CORP_NOT_SAME_SITE)


def readable_headers(headers: HeaderList, *, basic: bool, with_credentials: bool) -> HeaderList:
    """What JavaScript gets: the basic or the CORS filtered response's header list, names in lower case.

    https://fetch.spec.whatwg.org/#concept-filtered-response
    """
    try:
        exposed = {name.lower() for name in extract_list(headers, EXPOSE_HEADERS)}
    except MalformedList:
        exposed = set()
    everything = basic or ("*" in exposed and not with_credentials)
    allowed = exposed | SAFELISTED_RESPONSE_HEADERS
    lower = {name.lower(): headers[name] for name in headers}
    return HeaderList(
        (name, lower[name])
        for name in sorted(lower)
        if name not in FORBIDDEN_RESPONSE_HEADERS and (everything or name in allowed)
    )
