"""Why a fetch was rejected: a code, and the engine's console message."""

from __future__ import annotations

import re
from collections import defaultdict
from enum import StrEnum
from typing import Any

from .quirks import Engine
from .words import CORS_POLICY
from .words import FAILED
from .words import THROWN
from .words import WORDS


class CORSErrorReason(StrEnum):
    """Why a browser rejected a fetch.

    The values are stable. They are the names that the Chrome DevTools Protocol has for the same
    (``Network.CorsError``), where it has one.
    """

    # fetch() throws and sends nothing
    INVALID_URL = "InvalidUrl"
    URL_CONTAINS_CREDENTIALS = "UrlContainsCredentials"
    NOT_A_BYTE_STRING = "NotAByteString"
    INVALID_METHOD = "InvalidMethod"
    FORBIDDEN_METHOD = "ForbiddenMethod"
    METHOD_UNSUPPORTED_IN_NO_CORS = "MethodUnsupportedInNoCors"
    BODY_DISALLOWED_BY_METHOD = "BodyDisallowedByMethod"
    INVALID_HEADER_NAME = "InvalidHeaderName"
    INVALID_HEADER_VALUE = "InvalidHeaderValue"
    # a URL that the page may not fetch, given or reached by a redirect
    DISALLOWED_BY_MODE = "DisallowedByMode"
    NO_CORS_REDIRECT_MODE_NOT_FOLLOW = "NoCorsRedirectModeNotFollow"
    UNSUPPORTED_SCHEME = "UnsupportedScheme"
    LOCAL_RESOURCE = "LocalResource"
    MIXED_CONTENT = "MixedContent"
    UNSAFE_PORT = "UnsafePort"
    # redirects
    REDIRECT_DISALLOWED = "RedirectDisallowed"
    TOO_MANY_REDIRECTS = "TooManyRedirects"
    INVALID_REDIRECT = "InvalidRedirect"
    UNSAFE_REDIRECT = "UnsafeRedirect"
    REDIRECT_TO_UNKNOWN_SCHEME = "RedirectToUnknownScheme"
    REDIRECT_TO_EMBEDDED_CREDENTIALS = "RedirectToEmbeddedCredentials"
    # there is no response, or this page may not have it
    NETWORK_ERROR = "NetworkError"
    UNEXPECTED_PROXY_AUTH = "UnexpectedProxyAuth"
    CORP_NOT_SAME_ORIGIN = "CorpNotSameOrigin"
    CORP_NOT_SAME_SITE = "CorpNotSameSite"
    # CORS policy: the request itself
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


#: The methods in use that browsers do not convert to upper case. Method names are case-sensitive.
_USUAL_METHODS = frozenset({"PATCH", "QUERY"})

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def _as_shown(text: str, engine: Engine) -> str:
    """A header's value in the console. Chromium escapes bytes, Firefox decodes UTF-8, WebKit takes that for Latin-1."""
    if engine == "chromium":
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", text)
    text = text.encode("latin-1", "replace").decode(errors="replace")
    return text.encode().decode("latin-1") if engine == "webkit" else text


class CORSFailure(Exception):
    """A check failed. Private: the browser adds the facts of the request and raises :class:`CORSError`."""

    def __init__(
        self,
        reason: CORSErrorReason,
        detail: str = "",
        url: str | None = None,
        offending: tuple[str, ...] = (),
        **facts: Any,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.offending = offending
        #: other values that console messages name
        self.facts = facts
        #: the URL to blame, if it is not the one that was being fetched
        self.url = url

    def of_preflight(self) -> CORSFailure:
        """The same failure of the CORS check, found on the answer to a preflight."""
        return CORSFailure(CORSErrorReason(f"Preflight{self.reason.value}"), self.detail)


class CORSError(TypeError):
    """A browser's ``fetch`` would have rejected here.

    It is a :exc:`TypeError`, as in JavaScript. If there was no answer, its ``__cause__`` is the :exc:`OSError`.

    :param reason: a stable code.
    :param detail: the value, method, header name or network error that caused it, or nothing.
    :param url: the URL that was being fetched when it happened.
    :param initial_url: the URL that ``fetch`` was called with. It differs from *url* after a redirect.
    :param origin: the page's origin, serialized.
    :param offending: the refused method, or every header name that was refused.
    :param engine: the engine that :attr:`console_message` quotes.
    :param facts: other values that the message names: the response's ``status``, the ``sent_origin`` and so on.
    """

    def __init__(
        self,
        reason: CORSErrorReason,
        detail: str,
        url: str,
        initial_url: str,
        origin: str,
        offending: tuple[str, ...] = (),
        engine: Engine = "chromium",
        **facts: Any,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.url = url
        self.initial_url = initial_url
        self.origin = origin
        self.offending = offending
        self.engine: Engine = engine
        self._facts = facts
        super().__init__(reason, detail, url, initial_url, origin)

    def __str__(self) -> str:
        message = self.console_message
        if self.url not in message and not message.startswith(THROWN):
            message = f"Failed to fetch: {self.reason}, {self.url} ({message})"
        return f"{message} {self.advice}" if self.advice else message

    @property
    def advice(self) -> str:
        """What to change in the page, if the page causes the error; otherwise empty.

        >>> CORSError(CORSErrorReason.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE, "patch", "", "", "").advice
        'Write "PATCH" in the page: browsers send "patch" as it is written.'
        """
        method = self.detail.upper()
        is_refused_method = self.reason is CORSErrorReason.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE
        if is_refused_method and method != self.detail and method in _USUAL_METHODS:
            return f'Write "{method}" in the page: browsers send "{self.detail}" as it is written.'
        return ""

    @property
    def is_cors_policy(self) -> bool:
        """Does Chromium's console say "blocked by CORS policy"? If not, the cause is something other than CORS."""
        return WORDS["chromium"].get(self.reason, "").startswith(CORS_POLICY)

    @property
    def console_message(self) -> str:
        """The engine's line in the console; if it prints none, the message of JavaScript's error.

        Firefox and WebKit print a second line that says less; this line names the cause.

        >>> print(CORSError(CORSErrorReason.PREFLIGHT_INVALID_STATUS, "", "https://b/", "https://b/", "https://a"))
        Access to fetch at 'https://b/' from origin 'https://a' has been blocked by CORS policy: \
Response to preflight request doesn't pass access control check: It does not have HTTP ok status.
        """
        words = str(self._facts.get("words") or WORDS[self.engine].get(self.reason, FAILED[self.engine]))
        given = {"url": self.url, "origin": self.origin, "name": self.detail, "detail": self.detail, **self._facts}
        given["redirected"] = "" if self.url == self.initial_url else f"(redirected from '{self.initial_url}') "
        if self.engine != "chromium" or self.is_cors_policy:
            given |= {name: _as_shown(given[name], self.engine) for name in ("detail", "value") if name in given}
        return words.format_map(defaultdict(lambda: "(null)", given))
