"""The checks on responses: CORS check, CORP check, and what JavaScript may read of one."""

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
from .urls import parse_url

#: https://url.spec.whatwg.org/#forbidden-domain-code-point; what is percent-encoded passes in Chromium
_FORBIDDEN_IN_HOST = re.compile(r"[^\x21-\x7e]|[#/:<>?@\[\\\]^|]|%(?![0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")

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
    """To the standard a mismatch is a mismatch. Chromium's console says what kind."""
    if " " in allowed or "," in allowed:
        return CORSErrorReason.MULTIPLE_ALLOW_ORIGIN_VALUES
    if allowed == "null" or is_valid_url(allowed):
        return CORSErrorReason.ALLOW_ORIGIN_MISMATCH
    return CORSErrorReason.INVALID_ALLOW_ORIGIN_VALUE


def is_valid_url(value: str) -> bool:
    """Is this an absolute URL? Only the console's wording depends on it.

    >>> is_valid_url("https://a.example/"), is_valid_url("a.example"), is_valid_url("https://")
    (True, False, False)
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.\-]*):", value)
    if found is None:
        return False
    if found[1].lower() not in ("http", "https", "ws", "wss", "ftp"):
        return True
    rest = value[found.end() :].lstrip("/\\")
    try:
        # The header is bytes, and a host is UTF-8.
        re.split(r"[/\\?#]", rest, maxsplit=1)[0].encode("latin-1").decode()
        url = parse_url(f"http://{rest}")
    except ValueError:
        return False
    return _is_valid_host(url.host)


def _is_valid_host(host: str) -> bool:
    if host.startswith("["):
        return True
    if _FORBIDDEN_IN_HOST.search(host):
        return False
    labels = host.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return True
    # A host that ends in a number is an IPv4 address or nothing.
    try:
        numbers = [int(label, 0) if label.lower().startswith("0x") else int(label, 10) for label in labels]
    except ValueError:
        return False
    return (
        len(numbers) <= 4 and all(number <= 255 for number in numbers[:-1]) and numbers[-1] < 256 ** (5 - len(numbers))
    )


def corp_check(headers: HeaderList, origin: str, url_origin: str) -> None:
    """https://fetch.spec.whatwg.org/#cross-origin-resource-policy-check, of a no-cors request.

    :raises CORSFailure: the response is not for this origin.
    """
    policy = headers.get("Cross-Origin-Resource-Policy")
    if policy == "same-origin" and origin != url_origin:
        raise CORSFailure(CORSErrorReason.CORP_NOT_SAME_ORIGIN)
    # An HTTPS page may be given what came over HTTP, if it is of this site otherwise.
    if origin.startswith("https:"):
        url_origin = re.sub("^http:", "https:", url_origin)
    if policy == "same-site" and not is_same_site(origin, url_origin):
        raise CORSFailure(CORSErrorReason.CORP_NOT_SAME_SITE)


def readable_headers(headers: HeaderList, *, basic: bool, with_credentials: bool) -> HeaderList:
    """What JavaScript gets: the basic or the CORS filtered response's header list, names in lower case.

    https://fetch.spec.whatwg.org/#concept-filtered-response
    """
    try:
        exposed = {name.lower() for name in extract_list(headers, EXPOSE_HEADERS) or ()}
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
