"""What the consoles of Chromium, Firefox and WebKit (Safari) print where a fetch is rejected.

Collected from Chromium 156, Firefox 153 and WebKitGTK 2.50. Firefox and WebKit often print a second line that says
less; these are the lines that name the cause.
"""

from __future__ import annotations


def _with_preflight(checks: dict[str, str], before: str = "", before_preflight: str = "") -> dict[str, str]:
    """The words of the CORS check, for a response and for the answer to a preflight."""
    return {reason: before + words for reason, words in checks.items()} | {
        f"Preflight{reason}": before + before_preflight + words for reason, words in checks.items()
    }


#: How Chromium begins where CORS policy is to blame.
CORS_POLICY = "Access to fetch at '{url}' {redirected}from origin '{origin}' has been blocked by CORS policy: "
#: How Chromium begins where ``fetch()`` throws. There is no line in the console then, but a message of the error.
THROWN = "Failed to execute 'fetch' on 'Window': "
_PREFLIGHT = "Response to preflight request doesn't pass access control check: "
_VALID_VALUE = " Have the server send the header with a valid value."
_NOT_LOADED = "Failed to load resource: net::"

_CHROMIUM_CHECKS = {
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
_CHROMIUM = _with_preflight(_CHROMIUM_CHECKS, CORS_POLICY, _PREFLIGHT) | {
    "CorsDisabledScheme": CORS_POLICY + "Cross origin requests are only supported for protocol schemes: {detail}.",
    "RedirectContainsCredentials": (
        CORS_POLICY + "Redirect location '{detail}' contains a username and password, which is disallowed for "
        "cross-origin requests."
    ),
    "PreflightInvalidStatus": CORS_POLICY + _PREFLIGHT + "It does not have HTTP ok status.",
    "PreflightDisallowedRedirect": CORS_POLICY + _PREFLIGHT + "Redirect is not allowed for a preflight request.",
    "InvalidAllowMethodsPreflightResponse": (
        CORS_POLICY + "Cannot parse Access-Control-Allow-Methods response header field in preflight response."
    ),
    "InvalidAllowHeadersPreflightResponse": (
        CORS_POLICY + "Cannot parse Access-Control-Allow-Headers response header field in preflight response."
    ),
    "MethodDisallowedByPreflightResponse": (
        CORS_POLICY + "Method {detail} is not allowed by Access-Control-Allow-Methods in preflight response."
    ),
    "HeaderDisallowedByPreflightResponse": (
        CORS_POLICY + "Request header field {detail} is not allowed by Access-Control-Allow-Headers in preflight "
        "response."
    ),
    "InvalidUrl": THROWN + "Failed to parse URL from {url}",
    "UrlContainsCredentials": THROWN + "Request cannot be constructed from a URL that includes credentials: {url}",
    "NotAByteString": (
        THROWN + "Failed to read the '{detail}' property from 'RequestInit': String contains non ISO-8859-1 code point."
    ),
    "InvalidMethod": THROWN + "'{detail}' is not a valid HTTP method.",
    "ForbiddenMethod": THROWN + "'{detail}' HTTP method is unsupported.",
    "MethodUnsupportedInNoCors": THROWN + "'{detail}' is unsupported in no-cors mode.",
    "BodyDisallowedByMethod": THROWN + "Request with GET/HEAD method cannot have body.",
    "InvalidHeaderName": THROWN + "Invalid name",
    "InvalidHeaderValue": THROWN + "Invalid value",
    "DisallowedByMode": (
        'Fetch API cannot load {url}. Request mode is "same-origin" but the URL\'s origin is not same as the request '
        "origin {origin}."
    ),
    "NoCorsRedirectModeNotFollow": (
        'Fetch API cannot load {url}. Request mode is "no-cors" but the redirect mode is not "follow".'
    ),
    "UnsupportedScheme": 'Fetch API cannot load {url}. URL scheme "{detail}" is not supported.',
    "LocalResource": "Not allowed to load local resource: {url}",
    "MixedContent": (
        "Mixed Content: The page at '{origin}/' was loaded over HTTPS, but requested an insecure resource '{url}'. "
        "This request has been blocked; the content must be served over HTTPS."
    ),
    "UnsafePort": _NOT_LOADED + "ERR_UNSAFE_PORT",
    "RedirectDisallowed": _NOT_LOADED + "ERR_FAILED",
    "TooManyRedirects": _NOT_LOADED + "ERR_TOO_MANY_REDIRECTS",
    "InvalidRedirect": _NOT_LOADED + "ERR_INVALID_REDIRECT",
    "UnsafeRedirect": _NOT_LOADED + "ERR_UNSAFE_REDIRECT",
    "RedirectToUnknownScheme": _NOT_LOADED + "ERR_UNKNOWN_URL_SCHEME",
    "NetworkError": _NOT_LOADED + "{detail}",
    "UnexpectedProxyAuth": _NOT_LOADED + "ERR_UNEXPECTED_PROXY_AUTH",
    "CorpNotSameOrigin": _NOT_LOADED + "ERR_BLOCKED_BY_RESPONSE.NotSameOrigin",
    "CorpNotSameSite": _NOT_LOADED + "ERR_BLOCKED_BY_RESPONSE.NotSameSite",
}

_BLOCKED = (
    "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at {url}. (Reason: "
)
#: Firefox, where a request of mode *cors* ends without an answer that it could read.
NO_SUCCESS = _BLOCKED + "CORS request did not succeed). Status code: (null)."
#: Firefox, also where one line holds several values, which it takes for one origin.
NO_MATCH = _BLOCKED + "CORS header ‘Access-Control-Allow-Origin’ does not match ‘{detail}’)."
_FIREFOX_METHOD = "Window.fetch: Invalid request method {detail}."
_FIREFOX_CORP = (
    "The resource at “{url}” was blocked due to its Cross-Origin-Resource-Policy header (or lack thereof). "
    "See https://developer.mozilla.org/docs/Web/HTTP/Cross-Origin_Resource_Policy_(CORP)#"
)
_FIREFOX_CHECKS = {
    "MissingAllowOriginHeader": (
        _BLOCKED + "CORS header ‘Access-Control-Allow-Origin’ missing). Status code: {status}."
    ),
    "MultipleAllowOriginValues": _BLOCKED + "Multiple CORS header ‘Access-Control-Allow-Origin’ not allowed).",
    "InvalidAllowOriginValue": NO_MATCH,
    "AllowOriginMismatch": NO_MATCH,
    "WildcardOriginNotAllowed": (
        "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at ‘{url}’. "
        "(Reason: Credential is not supported if the CORS header ‘Access-Control-Allow-Origin’ is ‘*’)."
    ),
    "InvalidAllowCredentials": _BLOCKED + "expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’).",
}
_FIREFOX = _with_preflight(_FIREFOX_CHECKS) | {
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
    "CorpNotSameOrigin": _FIREFOX_CORP,
    "CorpNotSameSite": _FIREFOX_CORP,
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

_NOT_ALLOWED = "Origin {sent_origin} is not allowed by Access-Control-Allow-Origin. Status code: {status}"
_NOT_SUCCESSFUL = "Preflight response is not successful. Status code: {status}"
_NO_REDIRECTION = "Not allowed to follow a redirection while loading {url}"
_NOT_HTTP = "Cross origin requests are only supported for HTTP."
_WEBKIT_CORP = (
    "Cancelled load to {url} because it violates the resource's Cross-Origin-Resource-Policy response header."
)
#: WebKit, before the words of a check that failed on a redirect.
REDIRECTION_DENIED = "Cross-origin redirection to {target} denied by Cross-Origin Resource Sharing policy: "
NO_CORS_SCHEME = "not allowed to follow a cross-origin CORS redirection with non CORS scheme"
#: WebKit of a page over HTTPS. Where the server is on this machine, the sentence has no end.
MIXED_LOOPBACK = (
    "[blocked] The page at {origin}/ requested insecure content from {url}. This content was blocked and must"
)
_WEBKIT_CHECKS = {
    "MissingAllowOriginHeader": _NOT_ALLOWED,
    "MultipleAllowOriginValues": "Access-Control-Allow-Origin cannot contain more than one origin.",
    "InvalidAllowOriginValue": _NOT_ALLOWED,
    "AllowOriginMismatch": _NOT_ALLOWED,
    "WildcardOriginNotAllowed": ("Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true."),
    "InvalidAllowCredentials": 'Credentials flag is true, but Access-Control-Allow-Credentials is not "true".',
}
_WEBKIT = _with_preflight(_WEBKIT_CHECKS) | {
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
    "CorsDisabledScheme": REDIRECTION_DENIED.format(target="{url}") + NO_CORS_SCHEME,
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


#: By the value of the reason, the line that is printed. Where there is none, JavaScript's error has the only message.
WORDS = {"chromium": _CHROMIUM, "firefox": _FIREFOX, "webkit": _WEBKIT}

#: The message of JavaScript's error, whatever the reason.
FAILED = {
    "chromium": "Failed to fetch",
    "firefox": "NetworkError when attempting to fetch resource.",
    "webkit": "Load failed",
}

#: Where a redirect leads a request of mode *same-origin* to another origin. Firefox has no words of its own for it.
UNSAFE_ATTEMPT = {
    "chromium": (
        "Unsafe attempt to load URL {url} from frame with URL {origin}/. Domains, protocols and ports must match."
    ),
    "webkit": "Unsafe attempt to load URL {url} from origin {origin}. Domains, protocols and ports must match.",
}

#: The reasons for which Firefox prints :data:`NO_SUCCESS`, if the request goes to another origin.
SILENT_IN_FIREFOX = frozenset(
    {"NetworkError", "UnexpectedProxyAuth", "TooManyRedirects", "InvalidRedirect", "RedirectContainsCredentials"}
)

#: The reasons of the CORS check.
CHECKS = frozenset(_CHROMIUM_CHECKS)
