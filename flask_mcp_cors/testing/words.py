"""What Firefox and WebKit (Safari) print where a fetch is rejected, collected from their consoles.

Chromium's words are in :mod:`flask_mcp_cors.testing.errors`, with the reasons. Measured with Firefox 153 and
WebKitGTK 2.50. Both often print a second line that says less; these are the lines that name the cause.
"""

from __future__ import annotations

from types import MappingProxyType

_BLOCKED = (
    "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at {url}. (Reason: "
)
_NO_SUCCESS = _BLOCKED + "CORS request did not succeed). Status code: (null)."
_NO_MATCH = _BLOCKED + "CORS header ‘Access-Control-Allow-Origin’ does not match ‘{detail}’)."
_FIREFOX_FAILED = "NetworkError when attempting to fetch resource."
_FIREFOX_METHOD = "Window.fetch: Invalid request method {detail}."
_CORP = (
    "The resource at “{url}” was blocked due to its Cross-Origin-Resource-Policy header (or lack thereof). "
    "See https://developer.mozilla.org/docs/Web/HTTP/Cross-Origin_Resource_Policy_(CORP)#"
)

_NOT_ALLOWED = "Origin {sent_origin} is not allowed by Access-Control-Allow-Origin. Status code: {status}"
_NOT_SUCCESSFUL = "Preflight response is not successful. Status code: {status}"
_NO_REDIRECTION = "Not allowed to follow a redirection while loading {url}"
_NOT_HTTP = "Cross origin requests are only supported for HTTP."
#: WebKit of a page over HTTPS. Where the server is on this machine, the sentence has no end.
MIXED_LOOPBACK = (
    "[blocked] The page at {origin}/ requested insecure content from {url}. This content was blocked and must"
)
NO_CORS_SCHEME = "not allowed to follow a cross-origin CORS redirection with non CORS scheme"
_WEBKIT_FAILED = "Load failed"
_WEBKIT_CORP = (
    "Cancelled load to {url} because it violates the resource's Cross-Origin-Resource-Policy response header."
)

#: The checks that are made on a preflight's answer, too, and said in the same words.
_FIREFOX_CHECKS = {
    "MissingAllowOriginHeader": (
        _BLOCKED + "CORS header ‘Access-Control-Allow-Origin’ missing). Status code: {status}."
    ),
    "MultipleAllowOriginValues": _BLOCKED + "Multiple CORS header ‘Access-Control-Allow-Origin’ not allowed).",
    "InvalidAllowOriginValue": _NO_MATCH,
    "AllowOriginMismatch": _NO_MATCH,
    "WildcardOriginNotAllowed": (
        "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at ‘{url}’. "
        "(Reason: Credential is not supported if the CORS header ‘Access-Control-Allow-Origin’ is ‘*’)."
    ),
    "InvalidAllowCredentials": _BLOCKED + "expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’).",
}
_WEBKIT_CHECKS = {
    "MissingAllowOriginHeader": _NOT_ALLOWED,
    "MultipleAllowOriginValues": "Access-Control-Allow-Origin cannot contain more than one origin.",
    "InvalidAllowOriginValue": _NOT_ALLOWED,
    "AllowOriginMismatch": _NOT_ALLOWED,
    "WildcardOriginNotAllowed": ("Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true."),
    "InvalidAllowCredentials": 'Credentials flag is true, but Access-Control-Allow-Credentials is not "true".',
}

_FIREFOX = {
    **_FIREFOX_CHECKS,
    **{f"Preflight{reason}": words for reason, words in _FIREFOX_CHECKS.items()},
    "InvalidUrl": "Window.fetch: {url} is not a valid URL.",
    "UrlContainsCredentials": "Window.fetch: {url} is an url with embedded credentials.",
    "NotAByteString": (
        "Window.fetch: Cannot convert {part} record<ByteString, ByteString> branch of "
        "(sequence<sequence<ByteString>> or record<ByteString, ByteString>) to ByteString because the character at "
        "index {index} has value {code} which is greater than 255."
    ),
    "InvalidMethod": _FIREFOX_METHOD,
    "ForbiddenMethod": _FIREFOX_METHOD,
    "MethodUnsupportedInNoCors": _FIREFOX_METHOD,
    "BodyDisallowedByMethod": "Window.fetch: HEAD or GET Request cannot have a body.",
    "InvalidHeaderName": "Window.fetch: {detail} is an invalid header name.",
    "InvalidHeaderValue": "Window.fetch: {detail} is an invalid header value.",
    "DisallowedByMode": "Security Error: Content at {origin}/ may not load data from {url}.",
    "UnsupportedScheme": _BLOCKED + "CORS request not http).",
    "MixedContent": "Blocked loading mixed active content “{url}”",
    "LocalResource": "Security Error: Content at {origin}/ may not load or link to {url}.",
    "CorsDisabledScheme": _BLOCKED + "CORS request not http).",
    "CorpNotSameOrigin": _CORP,
    "CorpNotSameSite": _CORP,
    "PreflightInvalidStatus": _BLOCKED + "CORS preflight response did not succeed). Status code: {status}.",
    "PreflightDisallowedRedirect": _BLOCKED + "CORS request external redirect not allowed).",
    "InvalidAllowMethodsPreflightResponse": (
        _BLOCKED + "invalid token ‘{detail}’ in CORS header ‘Access-Control-Allow-Methods’)."
    ),
    "InvalidAllowHeadersPreflightResponse": (
        _BLOCKED + "invalid token ‘{detail}’ in CORS header ‘Access-Control-Allow-Headers’)."
    ),
    "MethodDisallowedByPreflightResponse": (
        _BLOCKED + "Did not find method in CORS header ‘Access-Control-Allow-Methods’)."
    ),
    "HeaderDisallowedByPreflightResponse": (
        _BLOCKED + "header ‘{detail}’ is not allowed according to header ‘Access-Control-Allow-Headers’ from CORS "
        "preflight response)."
    ),
}
_WEBKIT = {
    **_WEBKIT_CHECKS,
    **{f"Preflight{reason}": words for reason, words in _WEBKIT_CHECKS.items()},
    "InvalidUrl": "URL is not valid or contains user credentials.",
    "UrlContainsCredentials": "URL is not valid or contains user credentials.",
    "NotAByteString": "Type error",
    "InvalidMethod": "Method is not a valid HTTP token.",
    "ForbiddenMethod": "Method is forbidden.",
    "MethodUnsupportedInNoCors": "Method must be GET, POST or HEAD in no-cors mode.",
    "BodyDisallowedByMethod": "Request has method '{method}' and cannot have a body",
    "InvalidHeaderName": "Invalid header name: '{detail}'",
    "InvalidHeaderValue": "Header '{name}' has invalid value: '{detail}'",
    "DisallowedByMode": "Fetch API cannot load {url}.",
    "NoCorsRedirectModeNotFollow": "No-Cors mode requires follow redirect mode",
    "UnsupportedScheme": _NOT_HTTP,
    "LocalResource": _NOT_HTTP,
    "MixedContent": MIXED_LOOPBACK + " be served over HTTPS.",
    "UnsafePort": "Not allowed to use restricted network port {port}: {url}",
    "RedirectDisallowed": _NO_REDIRECTION,
    "TooManyRedirects": "Load cannot follow more than 20 redirections",
    "UnsafeRedirect": _NO_REDIRECTION,
    "RedirectToUnknownScheme": "Redirection to URL with a scheme that is not HTTP(S).",
    "RedirectContainsCredentials": _NO_REDIRECTION,
    "CorsDisabledScheme": (
        "Cross-origin redirection to {url} denied by Cross-Origin Resource Sharing policy: " + NO_CORS_SCHEME
    ),
    "CorpNotSameOrigin": _WEBKIT_CORP,
    "CorpNotSameSite": _WEBKIT_CORP,
    "PreflightInvalidStatus": _NOT_SUCCESSFUL,
    "PreflightDisallowedRedirect": _NOT_SUCCESSFUL,
    "InvalidAllowMethodsPreflightResponse": "Header Access-Control-Allow-Methods has an invalid value: {value}",
    "InvalidAllowHeadersPreflightResponse": "Header Access-Control-Allow-Headers has an invalid value: {value}",
    "MethodDisallowedByPreflightResponse": "Method {detail} is not allowed by Access-Control-Allow-Methods.",
    "HeaderDisallowedByPreflightResponse": (
        "Request header field {name} is not allowed by Access-Control-Allow-Headers."
    ),
}

#: By the value of the reason, what is printed. Where there is nothing, JavaScript's error has the only message.
WORDS = MappingProxyType({"firefox": MappingProxyType(_FIREFOX), "webkit": MappingProxyType(_WEBKIT)})

#: The message of JavaScript's error, whatever the reason.
FAILED = MappingProxyType({"chromium": "Failed to fetch", "firefox": _FIREFOX_FAILED, "webkit": _WEBKIT_FAILED})

#: What Firefox prints where a request of mode *cors* ends without an answer that it could read.
NO_SUCCESS = _NO_SUCCESS

#: The reasons of which Firefox says no more than that, and that only of requests to another origin.
SILENT_IN_FIREFOX = frozenset(
    {"NetworkError", "UnexpectedProxyAuth", "TooManyRedirects", "InvalidRedirect", "RedirectContainsCredentials"}
)

#: What Firefox prints for several values in one line, which it takes for one origin.
NO_MATCH = _NO_MATCH

#: The reasons of the CORS check. WebKit says so before its words where the response is a redirect.
CHECKS = frozenset(_WEBKIT_CHECKS)
REDIRECTION_DENIED = "Cross-origin redirection to {target} denied by Cross-Origin Resource Sharing policy: "

#: WebKit of mode *same-origin*, where a redirect led to another origin.
UNSAFE_ATTEMPT = "Unsafe attempt to load URL {url} from origin {origin}. Domains, protocols and ports must match."
