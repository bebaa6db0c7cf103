"""Where browsers depart from the Fetch standard.

``Browser()`` follows the standard; ``Browser(quirks="firefox")`` adds Firefox's rows of this table. Measured with
Chromium 156, Firefox 153 and WebKitGTK 2.50.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Literal

Engine = Literal["chromium", "firefox", "webkit"]


class Quirk(Enum):
    """One departure from the Fetch standard."""

    #: what happens instead, and what the standard requires
    description: str
    #: the engines that do it
    engines: frozenset[str]

    def __init__(self, engines: str, description: str) -> None:
        self.engines = frozenset(engines.split())
        self.description = description

    AUTHORIZATION_UNDER_WILDCARD = (
        "chromium firefox webkit",
        "Access-Control-Allow-Headers: * admits Authorization. The standard: never.",
    )
    REFUSAL_IS_CACHED = (
        "webkit",
        "An answer to a preflight that refuses this request is kept for the next one. The standard keeps good ones.",
    )
    AUTHORIZATION_REPEATS_PREFLIGHT = (
        "chromium",
        "An answer that admitted Authorization by * alone is not used from the cache for another request with "
        "Authorization: each one has a preflight.",
    )
    ONE_CACHE_ENTRY_PER_URL = (
        "chromium webkit",
        "The preflight cache holds the last answer for a URL as a whole. One that does not cover the next request "
        "is removed, although it covers others. The standard keeps each method and header name separately.",
    )
    WILDCARD_IS_NOT_CACHED = (
        "firefox",
        "A * in an answer allows this request, but is not a wildcard in the cache, so that the next request has a "
        "preflight again. The standard caches it as a wildcard.",
    )
    ANSWER_EXTENDS_CACHE = (
        "firefox",
        "A method or header name that an answer allows again is kept for Access-Control-Max-Age from then on. The "
        "standard: from the first answer on.",
    )
    CREDENTIALS_DIVIDE_CACHE = (
        "firefox",
        "An answer that was given to a request with credentials serves such requests only. The standard uses it for "
        "the others, too.",
    )
    ORIGIN_NULL_IS_NOT_CACHED = (
        "chromium",
        "The answer to a preflight with Origin: null is used once and not kept. The standard treats null as any other "
        "origin.",
    )
    REDIRECTED_ORIGIN_IS_NOT_CACHED = (
        "webkit",
        "The answer to a preflight that has Origin: null because of a redirect is not kept. The standard keeps it.",
    )
    FAILURE_KEEPS_CACHE = (
        "chromium webkit",
        "A failed request leaves the cached preflight answer in place. The standard clears the cache for that URL.",
    )
    KEPT_FOR_A_DAY = (
        "firefox",
        "An answer is kept for at most 86,400 seconds. Chromium: for 7,200. The standard leaves it to the browser.",
    )
    KEPT_FOR_TEN_MINUTES = (
        "webkit",
        "An answer is kept for at most 600 seconds. Chromium: for 7,200. The standard leaves it to the browser.",
    )
    MAX_AGE_AS_NUMBER = (
        "chromium webkit",
        "Access-Control-Max-Age is read as a signed 64-bit number: +5 is 5, a negative one is 0, one too large is "
        "ignored. The standard: digits only, and too large is the limit.",
    )
    BAD_MAX_AGE_IS_ZERO = (
        "firefox",
        "An answer whose Access-Control-Max-Age is not a number, or is negative, is not kept. The standard keeps it "
        "for 5 seconds, as if the header were absent.",
    )
    USER_AGENT_IS_ITS_OWN = (
        "chromium",
        "A User-Agent header that the page sets is dropped, as if it were forbidden. The standard lets the page set "
        "it, after a preflight.",
    )
    CLIENT_HINTS_SAFELISTED = (
        "chromium",
        "Client hints with a plausible value (DPR, Width, Viewport-Width, Device-Memory, Downlink, ECT, RTT, "
        "Save-Data) and Intervention need no preflight. The standard safelists none of them any more.",
    )
    HEADERS_ARE_UTF_8 = (
        "webkit",
        "A request header's é is sent as UTF-8, in two bytes. The standard: as the page's byte string has it, in one.",
    )
    REPEATED_HEADERS_ARE_ONE = (
        "chromium webkit",
        "Request headers of one name are combined before they are checked, so that together they may be longer than "
        "128 bytes. The standard checks each separately.",
    )
    REPEATED_HEADERS_ARE_LISTED_TWICE = (
        "firefox",
        "Access-Control-Request-Headers names a header twice that the page set twice. The standard: once.",
    )
    RANGE_IN_63_BITS = (
        "chromium",
        "A Range with a number from 2**63 - 1 is not safelisted. The standard does not have this limit.",
    )
    RANGE_IN_64_BITS = (
        "firefox webkit",
        "A Range with a number from 2**64 is not safelisted. The standard does not have this limit.",
    )
    RANGE_IN_ANY_CASE = (
        "webkit",
        "The unit of a safelisted Range may be written in upper case. The standard: bytes, in lower case.",
    )
    RANGE_IS_REWRITTEN = (
        "chromium",
        "The Range of a GET is sent as Chromium's HTTP cache understands it: in lower case, without white space "
        "and leading zeros. The standard sends it as the page set it.",
    )
    REDIRECT_STARTS_ANEW = (
        "chromium",
        "A redirect that leads to another origin for the first time, needs a preflight or changes the method of a "
        "CORS request is a new request to Sec-Fetch-Site: the URLs before it no longer count. To the standard they "
        "all do.",
    )
    REDIRECT_IS_CROSS_SITE = (
        "firefox",
        "A request that a redirect between origins led to says Sec-Fetch-Site: cross-site where these are IP "
        "addresses. The standard: as far as the sites differ.",
    )
    PREFLIGHT_FORGETS_REDIRECTS = (
        "firefox",
        "The preflight after a redirect says the page's own origin and a Sec-Fetch-Site of this URL alone, "
        "although the request after it says Origin: null. The standard: the same in both.",
    )
    REDIRECTED_DELETE_IS_GET = (
        "webkit",
        "A redirect to another origin turns DELETE into GET, whatever its status. The standard: 303 only.",
    )
    DROPPED_HEADERS_RETURN = (
        "firefox",
        "A header that a redirect dropped (Authorization, Content-Type) is sent again after the next redirect, unless "
        "that one drops it, too. The standard: never again.",
    )
    DROPPED_CONTENT_TYPE_RETURNS = (
        "webkit",
        "A Content-Type that a redirect dropped is sent again after the next redirect if that is a matter of CORS or "
        "has status 307 or 308. The standard: never again.",
    )
    PREFLIGHT_ASKS_FOR_DROPPED_HEADERS = (
        "webkit",
        "The preflight after a redirect asks for all header names of the first request, although Authorization or "
        "Content-Type is not sent any more. The standard asks for those that are.",
    )
    REDIRECTED_POST_KEEPS_ORIGIN = (
        "webkit",
        "A GET that a redirect within one origin made of another method keeps the Origin header. The standard: a GET "
        "has one only with CORS.",
    )
    REDIRECTED_CREDENTIALS_STAY = (
        "webkit",
        "A redirect of another origin must allow credentials if the fetch began at the page's own origin and may use "
        "them there; else it fails after the next preflight. The standard: with credentials 'include' only.",
    )
    REDIRECT_IS_REFUSED_LATE = (
        "webkit",
        "A redirect from the page's own origin to a URL with a user name or password of another fails after the "
        "preflight. The standard: before it.",
    )
    TAINTED_PREFLIGHT_IS_CROSS_SITE = (
        "webkit",
        "The preflight after a redirect says Sec-Fetch-Site: cross-site where it says Origin: null, and elsewhere is "
        "about this URL alone. The standard: about all URLs, and about the page's own origin.",
    )
    REDIRECT_HAS_NO_METADATA = (
        "webkit",
        "A request that a redirect to another origin led to has no Sec-Fetch-* headers. The standard always sends "
        "them.",
    )
    REDIRECT_REPEATS_PREFLIGHT = (
        "firefox webkit",
        "After a redirect a request has a preflight if it had one before, or would have had one at another origin, "
        "even if it no longer needs one. The standard decides anew.",
    )
    REDIRECT_NEEDS_LOCATION = (
        "chromium webkit",
        "A response with a redirect's status, but no Location or an empty one, is not followed, and redirect 'error' "
        "accepts it. To the standard the status decides, and an empty Location leads to the same URL again.",
    )
    BAD_LOCATION_FAILS_AT_ONCE = (
        "chromium",
        "A Location that is not a URL fails with redirect 'manual', too. The standard does not read it then.",
    )
    EMPTY_LOCATION_FAILS = (
        "webkit",
        "A redirect with an empty Location fails. To the standard it leads to the same URL again.",
    )
    LOCATIONS_ARE_ONE = (
        "webkit",
        "Several Location headers are one URL, with a comma between them. The other engines fail where they differ.",
    )
    LOCATION_IS_LATIN_1 = (
        "webkit",
        "The bytes of a Location that are not ASCII are taken for Latin-1, so that é in UTF-8 becomes %C3%83%C2%A9. "
        "The standard leaves them as they are: %C3%A9.",
    )
    NO_REDIRECT_TO_CREDENTIALS = (
        "chromium",
        "A redirect to a URL with a user name or password is never followed, and outside CORS the console does not "
        "report it. The standard forbids it to CORS requests that involve another origin.",
    )
    NO_CORS_REDIRECT_TAINTS = (
        "chromium",
        "A no-cors POST says Origin: null once it is redirected to another origin. The standard: once it is "
        "redirected from one foreign origin to another.",
    )
    LOOPBACK_IS_MIXED_CONTENT = (
        "webkit",
        "A page over HTTPS may not call a server on this machine over HTTP. The standard trusts loopback.",
    )
    DOWNGRADED_FETCH_KEEPS_ORIGIN = (
        "chromium",
        "A POST with mode 'no-cors' from a page over HTTPS to a server over HTTP says the page's origin. The standard: "
        "Origin: null.",
    )
    DOWNGRADED_FORM_KEEPS_ORIGIN = (
        "webkit",
        "A form's POST from a page over HTTPS to a server over HTTP says the page's origin. The standard: Origin: "
        "null.",
    )
    MISDIRECTED_COOKIES_ARE_LOST = (
        "chromium firefox",
        "The cookies of an answer 421 are neither kept nor sent when the request is sent again. The standard: both.",
    )
    MISDIRECTED_DOUBLES_CONTENT_TYPE = (
        "firefox",
        "After a second 421 JavaScript reads the Content-Type of both answers. The standard: of the last.",
    )
    COOKIES_HAVE_NAMES = (
        "firefox",
        "A Set-Cookie without = is the name of an empty cookie, and one without a name is ignored. The standard: a "
        "cookie without a name.",
    )
    COOKIE_PREFIXES_ARE_UNKNOWN = (
        "webkit",
        "The prefixes __Host-, __Secure- and __Http- of a cookie's name have no effect. The standard enforces them.",
    )
    SECURE_COOKIES_NEED_HTTPS = (
        "webkit",
        "A Secure cookie is neither set nor sent over HTTP on this machine. The other engines trust loopback.",
    )
    SAME_SITE_NONE_WITHOUT_SECURE = (
        "webkit",
        "A cookie with SameSite=None is kept without Secure, too. The standard refuses it.",
    )
    PROXY_STATUS_IS_A_STATUS = (
        "firefox webkit",
        "A response with status 407 is an ordinary one. The standard: a network error, because there is no proxy.",
    )


#: Engine to its quirks.
QUIRKS = MappingProxyType(
    {
        engine: frozenset(quirk for quirk in Quirk if engine in quirk.engines)
        for engine in ("chromium", "firefox", "webkit")
    }
)
