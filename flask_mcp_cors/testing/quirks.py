"""Where browsers depart from the Fetch standard: one table, one line of behaviour each.

``Browser()`` follows the standard; ``Browser(quirks="chromium")`` does all of this as well.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType


class Quirk(Enum):
    """One departure from the Fetch standard. The value says what happens instead, and what the standard wants."""

    AUTHORIZATION_UNDER_WILDCARD = (
        "Access-Control-Allow-Headers: * admits Authorization, and the console only warns. The standard: never."
    )
    AUTHORIZATION_REPEATS_PREFLIGHT = (
        "An answer that admitted Authorization by * alone is not used from the cache for another request with "
        "Authorization: each one is preceded by a preflight."
    )
    ONE_CACHE_ENTRY_PER_URL = (
        "The preflight cache holds the last answer for a URL as a whole. One that does not cover the next request is "
        "thrown away, although it covered others. The standard keeps every method and header name by itself."
    )
    ORIGIN_NULL_IS_NOT_CACHED = (
        "The answer to a preflight that said Origin: null is used once and not kept. To the standard null is an origin "
        "like any other."
    )
    FAILURE_KEEPS_CACHE = (
        "A failed request leaves the cached preflight answer in place. The standard clears the cache for that URL."
    )
    MAX_AGE_AS_NUMBER = (
        "Access-Control-Max-Age is read as a signed 64-bit number: +5 is 5, a negative one is 0, one too large is "
        "ignored. The standard: digits only, and too large is the limit."
    )
    USER_AGENT_IS_ITS_OWN = (
        "A User-Agent header that the page sets is dropped like a forbidden one. The standard lets the page set it, "
        "after a preflight."
    )
    CLIENT_HINTS_SAFELISTED = (
        "Client hints with a plausible value (DPR, Width, Viewport-Width, Device-Memory, Downlink, ECT, RTT, "
        "Save-Data) and Intervention need no preflight. The standard safelists none of them any more."
    )
    REPEATED_HEADERS_ARE_ONE = (
        "Request headers of one name are combined before they are judged, so that together they may be longer than 128 "
        "bytes. The standard judges each by itself."
    )
    RANGE_IN_64_BITS = (
        "A Range whose numbers do not fit into 63 bits is not safelisted. The standard knows no such limit."
    )
    RANGE_IS_REWRITTEN = (
        "The Range of a GET is sent as Chromium's HTTP cache understands it: in lower case, without white space and "
        "leading zeros. The standard sends it as the page set it."
    )
    REDIRECT_STARTS_ANEW = (
        "A redirect that leads to another origin for the first time, needs a preflight or changes the method of a CORS "
        "request is a new request to Sec-Fetch-Site: the URLs before it no longer count. To the standard they all do."
    )
    REDIRECT_NEEDS_LOCATION = (
        "A response with a redirect's status, but no Location or an empty one, is followed nowhere, and redirect "
        "'error' lets it through. A Location that is no URL fails with redirect 'manual', too. To the standard the "
        "status decides both, and an empty Location leads to the same URL again."
    )
    NO_REDIRECT_TO_CREDENTIALS = (
        "A redirect to a URL with a user name or password is never followed, and outside CORS the console keeps silent "
        "about it. The standard forbids it to CORS requests that involve another origin."
    )
    NO_CORS_REDIRECT_TAINTS = (
        "A no-cors POST says Origin: null once it is redirected to another origin. The standard: once it is redirected "
        "from one foreign origin to another."
    )


#: Browser name to what it does otherwise.
QUIRKS = MappingProxyType({"chromium": frozenset(Quirk)})
