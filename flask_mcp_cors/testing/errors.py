"""Why a fetch was blocked, as a code and in the words of Chromium's console."""

from __future__ import annotations

import re
from enum import StrEnum


class CORSErrorReason(StrEnum):
    """Why a browser blocked a fetch by CORS policy.

    The values are the names that the Chrome DevTools Protocol has for the same (``Network.CorsError``), and stable.
    """

    # the request itself
    CORS_DISABLED_SCHEME = "CorsDisabledScheme"
    REDIRECT_CONTAINS_CREDENTIALS = "RedirectContainsCredentials"
    # the CORS check on a response
    MISSING_ALLOW_ORIGIN_HEADER = "MissingAllowOriginHeader"
    MULTIPLE_ALLOW_ORIGIN_VALUES = "MultipleAllowOriginValues"
    INVALID_ALLOW_ORIGIN_VALUE = "InvalidAllowOriginValue"
    ALLOW_ORIGIN_MISMATCH = "AllowOriginMismatch"
    WILDCARD_ORIGIN_NOT_ALLOWED = "WildcardOriginNotAllowed"
    INVALID_ALLOW_CREDENTIALS = "InvalidAllowCredentials"
    # the same on the answer to a preflight
    PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER = "PreflightMissingAllowOriginHeader"
    PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES = "PreflightMultipleAllowOriginValues"
    PREFLIGHT_INVALID_ALLOW_ORIGIN_VALUE = "PreflightInvalidAllowOriginValue"
    PREFLIGHT_ALLOW_ORIGIN_MISMATCH = "PreflightAllowOriginMismatch"
    PREFLIGHT_WILDCARD_ORIGIN_NOT_ALLOWED = "PreflightWildcardOriginNotAllowed"
    PREFLIGHT_INVALID_ALLOW_CREDENTIALS = "PreflightInvalidAllowCredentials"
    # the rest of that answer
    PREFLIGHT_INVALID_STATUS = "PreflightInvalidStatus"
    PREFLIGHT_DISALLOWED_REDIRECT = "PreflightDisallowedRedirect"
    INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE = "InvalidAllowMethodsPreflightResponse"
    INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE = "InvalidAllowHeadersPreflightResponse"
    METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE = "MethodDisallowedByPreflightResponse"
    HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE = "HeaderDisallowedByPreflightResponse"


_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

_PREFLIGHT = "Response to preflight request doesn't pass access control check: "
_VALID_VALUE = " Have the server send the header with a valid value."

_CHECK_WORDS = {
    "MissingAllowOriginHeader": "No 'Access-Control-Allow-Origin' header is present on the requested resource.",
    "MultipleAllowOriginValues": (
        "The 'Access-Control-Allow-Origin' header contains multiple values '{detail}', but only one is allowed."
        + _VALID_VALUE
    ),
    "InvalidAllowOriginValue": (
        "The 'Access-Control-Allow-Origin' header contains the invalid value '{detail}'." + _VALID_VALUE
    ),
    "AllowOriginMismatch": (
        "The 'Access-Control-Allow-Origin' header has a value '{detail}' that is not equal to the supplied origin."
        + _VALID_VALUE
    ),
    "WildcardOriginNotAllowed": (
        "The value of the 'Access-Control-Allow-Origin' header in the response must not be the wildcard '*' when the "
        "request's credentials mode is 'include'."
    ),
    "InvalidAllowCredentials": (
        "The value of the 'Access-Control-Allow-Credentials' header in the response is '{detail}' which must be 'true' "
        "when the request's credentials mode is 'include'."
    ),
}

#: What Chromium's console says after "has been blocked by CORS policy: ".
CONSOLE_WORDS = {
    **{CORSErrorReason(code): words for code, words in _CHECK_WORDS.items()},
    **{CORSErrorReason(f"Preflight{code}"): _PREFLIGHT + words for code, words in _CHECK_WORDS.items()},
    CORSErrorReason.CORS_DISABLED_SCHEME: ("Cross origin requests are only supported for protocol schemes: {detail}."),
    CORSErrorReason.REDIRECT_CONTAINS_CREDENTIALS: (
        "Redirect location '{detail}' contains a username and password, which is disallowed for cross-origin requests."
    ),
    CORSErrorReason.PREFLIGHT_INVALID_STATUS: _PREFLIGHT + "It does not have HTTP ok status.",
    CORSErrorReason.PREFLIGHT_DISALLOWED_REDIRECT: _PREFLIGHT + "Redirect is not allowed for a preflight request.",
    CORSErrorReason.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE: (
        "Cannot parse Access-Control-Allow-Methods response header field in preflight response."
    ),
    CORSErrorReason.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE: (
        "Cannot parse Access-Control-Allow-Headers response header field in preflight response."
    ),
    CORSErrorReason.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE: (
        "Method {detail} is not allowed by Access-Control-Allow-Methods in preflight response."
    ),
    CORSErrorReason.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE: (
        "Request header field {detail} is not allowed by Access-Control-Allow-Headers in preflight response."
    ),
}


class CORSFailure(Exception):
    """A check failed. Inside this package only: the browser adds whose request it was and raises :class:`CORSError`."""

    def __init__(self, reason: CORSErrorReason, detail: str = "", url: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        #: the URL to blame, if it is not the one that was being fetched
        self.url = url

    def of_preflight(self) -> CORSFailure:
        """The same failure of the CORS check, found on the answer to a preflight."""
        return CORSFailure(CORSErrorReason(f"Preflight{self.reason.value}"), self.detail)


class CORSError(TypeError):
    """A browser's ``fetch`` would have rejected here, and its console would have blamed CORS.

    It is a :exc:`TypeError`, because that is all that JavaScript gets to see.

    :param reason: a stable code.
    :param detail: the value, method or header name that is to blame, or nothing.
    :param url: the URL that was being fetched when it happened.
    :param initial_url: the URL that ``fetch`` was called with: another one after a redirect.
    :param origin: the page's origin, serialized.
    """

    def __init__(self, reason: CORSErrorReason, detail: str, url: str, initial_url: str, origin: str) -> None:
        self.reason = reason
        self.detail = detail
        self.url = url
        self.initial_url = initial_url
        self.origin = origin
        super().__init__(reason, detail, url, initial_url, origin)

    def __str__(self) -> str:
        return self.console_message

    @property
    def console_message(self) -> str:
        """The line in the console, as Chromium words it.

        >>> print(CORSError(CORSErrorReason.PREFLIGHT_INVALID_STATUS, "", "https://b/", "https://b/", "https://a"))
        Access to fetch at 'https://b/' from origin 'https://a' has been blocked by CORS policy: \
Response to preflight request doesn't pass access control check: It does not have HTTP ok status.
        """
        redirected = "" if self.url == self.initial_url else f"(redirected from '{self.initial_url}') "
        detail = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", self.detail)
        words = CONSOLE_WORDS[self.reason].format(detail=detail)
        return (
            f"Access to fetch at '{self.url}' {redirected}from origin '{self.origin}' "
            f"has been blocked by CORS policy: {words}"
        )
