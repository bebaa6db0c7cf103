"""The browser: ``fetch()`` of one page, as the Fetch standard defines it.

The methods of :class:`Browser` have the names of the standard's algorithms and call each other as those do.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any
from typing import TYPE_CHECKING

from ..core.headers import REQUEST_HEADERS
from ..core.headers import REQUEST_METHOD
from ..core.headers import SAFELISTED_METHODS
from .checks import corp_check
from .checks import cors_check
from .checks import readable_headers
from .checks import REDIRECT_STATUSES
from .console import console_facts
from .cookies import CookieJar
from .errors import CORSError
from .errors import CORSErrorReason
from .errors import CORSFailure
from .headers import CONDITIONAL_HEADERS
from .headers import cors_unsafe_request_header_names
from .headers import HeaderList
from .headers import rewrite_range
from .messages import Credentials
from .messages import Exchange
from .messages import Mode
from .messages import NetworkRequest
from .messages import NetworkResponse
from .messages import Redirect
from .messages import Response
from .preflight import Answer
from .preflight import Question
from .preflight import StandardPreflightCache
from .preflight import URLPreflightCache
from .quirks import Engine
from .quirks import Quirk
from .quirks import QUIRKS
from .request import Headers
from .request import make_request
from .request import Request
from .transport import net_error
from .transport import Transport
from .transport import WSGITransport
from .urls import BAD_PORTS
from .urls import is_same_site
from .urls import OPAQUE
from .urls import OtherSchemeError
from .urls import parse_url
from .urls import URL

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

USER_AGENT = "Mozilla/5.0 (flask_mcp_cors.testing)"
MAX_REDIRECTS = 20

#: https://fetch.spec.whatwg.org/#null-body-status
NULL_BODY_STATUSES = frozenset({204, 205, 304})


class Browser:
    """A page of *origin* in a browser, whose JavaScript calls a server.

    It sends preflights and caches their answers, checks responses, hides headers, follows redirects and keeps cookies.
    It has no HTTP cache and runs no JavaScript.

    :param app: a WSGI application, or a transport: ``HTTPTransport()`` makes it call a real server.
    :param origin: the page's origin; ``"null"`` is a sandboxed frame.
    :param base_url: where the server is. Relative URLs are relative to it.
    :param quirks: ``None`` for the Fetch standard; ``"chromium"``, ``"firefox"`` or ``"webkit"`` for that engine's
        differences, which :data:`QUIRKS` lists. Errors have that engine's console messages, too (``None``: Chromium's).

    .. code-block:: python

        browser = Browser(app, origin="https://app.example.com")
        response = browser.fetch("/mcp", "POST", {"Authorization": "Bearer x"}, json={"method": "ping"})
        assert response.status == 401
        assert [exchange.is_preflight for exchange in browser.network] == [True, False]
    """

    #: What went over the network, oldest first. You may clear it.
    network: list[Exchange]

    #: The time in seconds. It stands still: move it to let cached answers and cookies expire.
    clock: float

    #: Set it to send requests that browsers block, such as mixed content. :attr:`blocked` is then the first error.
    sends_blocked = False
    blocked: CORSError | None = None

    def __init__(
        self,
        app: WSGIApplication | Transport,
        origin: str = "https://app.example.com",
        base_url: str = "https://mcp.example.com",
        quirks: Engine | None = None,
    ) -> None:
        if quirks is not None and quirks not in QUIRKS:
            raise ValueError(f"quirks is None or one of {', '.join(QUIRKS)}, not {quirks!r}")
        self.transport: Transport = app if hasattr(app, "send") else WSGITransport(app)
        self.origin = origin
        self.base_url = parse_url(base_url)
        self.quirks: frozenset[Quirk] = QUIRKS[quirks] if quirks else frozenset()
        self.network = []
        self.clock = time.time()
        self.cookies = CookieJar(self.quirks)
        is_by_url = Quirk.ONE_CACHE_ENTRY_PER_URL in self.quirks
        self._preflight_cache = (URLPreflightCache if is_by_url else StandardPreflightCache)(self.quirks)
        self._engine: Engine = quirks or "chromium"

    def __repr__(self) -> str:
        quirks = "" if self.quirks == frozenset() else f", quirks={self._engine!r}"
        return f"<Browser: a page of {self.origin!r} calling {self.base_url.without_fragment!r}{quirks}>"

    def fetch(
        self,
        path_or_url: str,
        method: str = "GET",
        headers: Headers | None = None,
        json: Any = None,
        body: str | bytes | None = None,
        credentials: Credentials = "same-origin",
        mode: Mode = "cors",
        redirect: Redirect = "follow",
    ) -> Response:
        """Call ``fetch()`` in the page's JavaScript.

        :param path_or_url: a path, or a URL of HTTP or HTTPS.
        :param headers: what JavaScript sets. Forbidden names are dropped silently, as in a browser.
        :param json: sent as JSON, with that content type unless *headers* has another.
        :param body: text is sent as ``text/plain;charset=UTF-8`` unless *headers* has a content type; bytes have none.
        :param mode: JavaScript's modes, and ``"navigate"``: the page is left, as by a link or a form.
        :raises CORSError: the browser rejects it.
        :raises TypeError: ``fetch()`` does not take such arguments.
        """
        # pytest then shows the line of the test that called.
        __tracebackhide__ = True
        before = len(self.network)
        request = None
        try:
            request = make_request(
                path_or_url,
                self.base_url,
                self.origin,
                method,
                headers,
                json,
                body,
                credentials,
                mode,
                redirect,
                self.quirks,
            )
            return self._main_fetch(request)
        except CORSFailure as failure:
            # A variable for the error would make a cycle with its traceback. This browser, and the connections of
            # its responses, would then stay open until the garbage collector runs.
            raise self._error(failure, request, self.network[before:], path_or_url) from failure.__cause__

    def _error(
        self, failure: CORSFailure, request: Request | None, exchanges: list[Exchange], url: str = ""
    ) -> CORSError:
        """What ``fetch`` raises.

        :param request: ``None`` if the arguments of ``fetch``, such as *url*, do not make a request.
        """
        initial_url, facts = url, failure.facts
        if request is not None:
            for exchange in exchanges:
                if exchange.response is not None:
                    exchange.response.body.close()
            url, initial_url = failure.url or request.url.href, request.url_list[0].href
            facts = console_facts(self._engine, request, failure, exchanges)
        return CORSError(
            failure.reason, failure.detail, url, initial_url, self.origin, failure.offending, self._engine, **facts
        )

    def _main_fetch(self, request: Request) -> Response:
        """https://fetch.spec.whatwg.org/#main-fetch, once for each URL in the redirect chain."""
        while True:
            try:
                self._refuse_blocked(request)
            except CORSFailure as failure:
                if not self.sends_blocked:
                    raise
                self.blocked = self.blocked or self._error(failure, request, [])
            response = self._http_fetch(request)
            if response.status not in REDIRECT_STATUSES:
                return self._filtered(request, response)
            location = response.headers.get("Location")
            if Quirk.LOCATIONS_ARE_ONE not in self.quirks:
                location = next(iter(response.headers.getall("Location")), None)
            if location == "" and request.redirect == "follow" and Quirk.EMPTY_LOCATION_FAILS in self.quirks:
                raise CORSFailure(CORSErrorReason.INVALID_REDIRECT)
            if Quirk.REDIRECT_NEEDS_LOCATION in self.quirks:
                location = location or None
            if request.redirect == "manual":
                response.body.close()
                if location and Quirk.BAD_LOCATION_FAILS_AT_ONCE in self.quirks:
                    with suppress(OtherSchemeError):
                        request.parse_location(location)
                return Response("opaqueredirect", 0, request.url.without_fragment, False, HeaderList())
            if location is None:
                if request.redirect == "error" and self._is_redirect(response):
                    raise CORSFailure(CORSErrorReason.REDIRECT_DISALLOWED)
                return self._filtered(request, response)
            response.body.close()
            self._http_redirect_fetch(request, request.location_url(location), response.status)

    def _is_redirect(self, response: NetworkResponse) -> bool:
        """Would this fail a fetch that must not be redirected?"""
        if response.status not in REDIRECT_STATUSES:
            return False
        return Quirk.REDIRECT_NEEDS_LOCATION not in self.quirks or bool(response.headers.get("Location"))

    def _refuse_blocked(self, request: Request) -> None:
        """Fail for a request that browsers do not send. The order is Chromium's: it decides what the console says."""
        navigates = request.mode == "navigate"
        if request.mode == "same-origin" and not request.is_same_origin:
            raise CORSFailure(CORSErrorReason.DISALLOWED_BY_MODE)
        if request.mode == "no-cors" and request.redirect != "follow" and not request.is_same_origin:
            raise CORSFailure(CORSErrorReason.NO_CORS_REDIRECT_MODE_NOT_FOLLOW)
        if request.url.userinfo and not navigates and Quirk.NO_REDIRECT_TO_CREDENTIALS in self.quirks:
            raise CORSFailure(CORSErrorReason.REDIRECT_TO_EMBEDDED_CREDENTIALS)
        strict = Quirk.LOOPBACK_IS_MIXED_CONTENT in self.quirks
        is_secure = request.url.scheme == "https" if strict else request.url.is_potentially_trustworthy()
        if not navigates and self.origin.startswith("https:") and not is_secure:
            # Firefox's console always names the URL with its fragment, the others only after a redirect.
            is_short = self._engine != "firefox" and len(request.url_list) == 1
            url = request.url.without_fragment if is_short else None
            raise CORSFailure(CORSErrorReason.MIXED_CONTENT, url=url)
        if request.url.port in BAD_PORTS:
            raise CORSFailure(CORSErrorReason.UNSAFE_PORT)

    def _http_fetch(self, request: Request) -> NetworkResponse:
        """https://fetch.spec.whatwg.org/#concept-http-fetch, and main fetch's choice of response tainting."""
        if request.mode == "navigate" or (request.is_same_origin and request.response_tainting == "basic"):
            return self._network_fetch(request)
        if request.mode == "no-cors":
            request.response_tainting = "opaque"
            response = self._network_fetch(request)
            corp_check(response.headers, request.origin, request.url.origin)
            return response
        request.response_tainting = "cors"
        unsafe_names = self._unsafe_names(request.asked_headers)
        again = Quirk.REDIRECT_REPEATS_PREFLIGHT in self.quirks and (
            request.had_preflight or self._unsafe_names(request.first_headers)
        )
        if request.method in SAFELISTED_METHODS and not unsafe_names and not again:
            return self._cors_fetch(request)
        request.had_preflight = True
        forgets = Quirk.PREFLIGHT_FORGETS_REDIRECTS in self.quirks
        origin = request.origin if forgets else request.serialized_origin
        question = Question(origin, request.url.href, request.method, unsafe_names, request.with_credentials)
        try:
            if not self._preflight_cache.covers(question, self.clock):
                self._preflight_fetch(request, question)
            return self._cors_fetch(request)
        except CORSFailure:
            if Quirk.FAILURE_KEEPS_CACHE not in self.quirks:
                self._preflight_cache.clear(question)
            raise

    def _cors_fetch(self, request: Request) -> NetworkResponse:
        if request.refusal is not None:
            raise CORSFailure(*request.refusal)
        response = self._network_fetch(request)
        cors_check(response.headers, request.serialized_origin, with_credentials=request.with_credentials)
        began_at_home = request.credentials == "same-origin" and request.url_list[0].origin == request.origin
        if Quirk.REDIRECTED_CREDENTIALS_STAY in self.quirks and began_at_home and self._is_redirect(response):
            try:
                cors_check(response.headers, request.serialized_origin, with_credentials=True)
            except CORSFailure as failure:
                request.refusal = failure.reason, failure.detail
        return response

    def _preflight_fetch(self, request: Request, question: Question) -> None:
        """https://fetch.spec.whatwg.org/#cors-preflight-fetch"""
        forgets = Quirk.PREFLIGHT_FORGETS_REDIRECTS in self.quirks
        origin = question.origin
        headers = [("Accept", "*/*"), (REQUEST_METHOD, request.method)]
        if names := question.unsafe_names:
            if Quirk.REPEATED_HEADERS_ARE_LISTED_TWICE in self.quirks:
                names = tuple(name.lower() for name, _ in request.asked_headers.pairs if name.lower() in names)
            headers.append((REQUEST_HEADERS, ",".join(sorted(names))))
        headers.append(("Origin", origin))
        site = request.fetch_site([request.url]) if forgets else None
        if Quirk.TAINTED_PREFLIGHT_IS_CROSS_SITE in self.quirks:
            site = "cross-site" if request.tainted_origin else request.fetch_site([request.url])
        headers += self._fetch_metadata(request, site)
        preflight = NetworkRequest("OPTIONS", request.url.without_fragment, HeaderList(headers))
        response = self._send(preflight, is_preflight=True)
        response.body.close()
        if response.status == 421:
            response = self._send(preflight, is_preflight=True)
            response.body.close()
        if self._is_redirect(response):
            raise CORSFailure(CORSErrorReason.PREFLIGHT_DISALLOWED_REDIRECT)
        try:
            cors_check(response.headers, origin, with_credentials=request.with_credentials)
        except CORSFailure as failure:
            raise failure.of_preflight() from None
        if not 200 <= response.status <= 299:
            raise CORSFailure(CORSErrorReason.PREFLIGHT_INVALID_STATUS)
        answer = Answer.from_headers(response.headers, self.quirks)
        is_kept = Quirk.REDIRECTED_ORIGIN_IS_NOT_CACHED not in self.quirks or origin == request.origin
        if is_kept and Quirk.REFUSAL_IS_CACHED in self.quirks:
            self._preflight_cache.store(question, answer, self.clock)
        if not answer.allows_method(request.method, with_credentials=request.with_credentials):
            reason, method = CORSErrorReason.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE, request.method
            raise CORSFailure(reason, method, offending=(method,))
        strict = Quirk.AUTHORIZATION_UNDER_WILDCARD not in self.quirks
        if names := answer.refused_headers(question, authorization_needs_naming=strict):
            raise CORSFailure(CORSErrorReason.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE, names[0], offending=names)
        if is_kept:
            self._preflight_cache.store(question, answer, self.clock)

    def _unsafe_names(self, headers: HeaderList) -> tuple[str, ...]:
        """The CORS-unsafe request-header names, in the order in which the page set them."""
        if Quirk.REPEATED_HEADERS_ARE_ONE in self.quirks:
            headers = HeaderList(headers.items())
        return tuple(cors_unsafe_request_header_names(headers, self.quirks))

    def _http_redirect_fetch(self, request: Request, url: URL, status: int) -> None:
        """https://fetch.spec.whatwg.org/#concept-http-redirect-fetch"""
        if len(request.url_list) > MAX_REDIRECTS:
            raise CORSFailure(CORSErrorReason.TOO_MANY_REDIRECTS)
        if url.userinfo and request.mode == "cors":
            is_foreign = request.tainted_origin or request.origin != url.origin
            if is_foreign or request.response_tainting == "cors":
                if Quirk.REDIRECT_IS_REFUSED_LATE not in self.quirks or request.response_tainting == "cors":
                    raise CORSFailure(CORSErrorReason.REDIRECT_CONTAINS_CREDENTIALS)
                request.refusal = CORSErrorReason.REDIRECT_CONTAINS_CREDENTIALS, ""
        if request.redirect == "error":
            # The standard checks this first. Only the console shows the difference.
            raise CORSFailure(CORSErrorReason.REDIRECT_DISALLOWED)
        if request.mode in ("no-cors", "same-origin") and Quirk.NO_CORS_REDIRECT_TAINTS in self.quirks:
            request.tainted_origin = request.tainted_origin or request.url.origin != url.origin
        method = request.method
        if method == "DELETE" and url.origin != request.url.origin and Quirk.REDIRECTED_DELETE_IS_GET in self.quirks:
            request.method = "GET"
        request.redirect_to(url, status)
        is_cors = request.mode == "cors" and (request.response_tainting == "cors" or not request.is_same_origin)
        if Quirk.REDIRECT_STARTS_ANEW in self.quirks and is_cors:
            changed = request.response_tainting == "basic" or request.method != method
            if changed or request.method not in SAFELISTED_METHODS or self._unsafe_names(request.headers):
                request.chain_start = len(request.url_list) - 1

    def _network_fetch(self, request: Request, *, is_retry: bool = False) -> NetworkResponse:
        """https://fetch.spec.whatwg.org/#concept-http-network-or-cache-fetch"""
        url = request.url
        headers = list(request.headers.pairs)
        if "Accept" not in request.headers:
            headers.append(("Accept", "text/html,*/*;q=0.8" if request.mode == "navigate" else "*/*"))
        keeps_origin = request.origin_was_sent and Quirk.REDIRECTED_POST_KEEPS_ORIGIN in self.quirks
        request.origin_was_sent = (
            request.response_tainting == "cors" or request.method not in ("GET", "HEAD") or keeps_origin
        )
        if request.origin_was_sent:
            is_form = request.mode == "navigate"
            keeps = Quirk.DOWNGRADED_FORM_KEEPS_ORIGIN if is_form else Quirk.DOWNGRADED_FETCH_KEEPS_ORIGIN
            hides = request.mode != "cors" and self._downgrades(url) and keeps not in self.quirks
            headers.append(("Origin", OPAQUE if hides else request.serialized_origin))
        headers += self._fetch_metadata(request)
        if request.body is not None or request.method in ("POST", "PUT"):
            headers.append(("Content-Length", str(len(request.body or b""))))
        same_site = is_same_site(self.origin, url.origin)
        navigates = request.mode == "navigate"
        at_home = request.credentials == "same-origin" and request.response_tainting == "basic"
        includes_credentials = request.with_credentials or at_home or navigates
        if includes_credentials:
            lax = navigates and request.method in ("GET", "HEAD")
            if cookie := self.cookies.header(url, self.clock, same_site=same_site, lax=lax):
                headers.append(("Cookie", cookie))
        combined = HeaderList(headers)
        sent = HeaderList((name, self._sent_value(request, name, combined[name])) for name in combined)
        response = self._send(NetworkRequest(request.method, url.without_fragment, sent, request.body))
        # "Misdirected Request": it is sent again, once, over a connection of its own.
        is_misdirected = response.status == 421 and not is_retry
        if includes_credentials and not (is_misdirected and Quirk.MISDIRECTED_COOKIES_ARE_LOST in self.quirks):
            for value in response.headers.getall("Set-Cookie"):
                self.cookies.set(url, value, self.clock, same_site=same_site, navigation=navigates)
        if not is_misdirected:
            return response
        response.body.close()
        again = self._network_fetch(request, is_retry=True)
        types = response.headers.getall("Content-Type") + again.headers.getall("Content-Type")
        if again.status != 421 or not types or Quirk.MISDIRECTED_DOUBLES_CONTENT_TYPE not in self.quirks:
            return again
        pairs = [*again.headers.without({"content-type"}).pairs, ("Content-Type", ",".join(types))]
        return replace(again, headers=HeaderList(pairs))

    def _sent_value(self, request: Request, name: str, value: str) -> str:
        if Quirk.HEADERS_ARE_UTF_8 in self.quirks:
            return value.encode().decode("latin-1")
        if Quirk.RANGE_IS_REWRITTEN not in self.quirks or name.lower() != "range" or request.method != "GET":
            return value
        # Chromium's HTTP cache rewrites it, and does not handle conditional requests.
        return value if any(other.lower() in CONDITIONAL_HEADERS for other in request.headers) else rewrite_range(value)

    def _fetch_metadata(self, request: Request, site: str | None = None) -> list[tuple[str, str]]:
        """What a browser adds to each request about itself and the page."""
        headers = []
        is_preflight = site is not None
        if site is None:
            site = request.fetch_site(request.url_list[request.chain_start :])
            is_redirected = len(request.url_list) > 1
            if Quirk.REDIRECT_IS_CROSS_SITE in self.quirks and is_redirected and site == "same-site":
                site = "cross-site"
        hides = (
            Quirk.REDIRECT_HAS_NO_METADATA in self.quirks
            and not is_preflight
            and request.mode == "cors"
            and len(request.url_list) > 1
            and request.url_list[-2].origin != request.url.origin
        )
        if request.url.is_potentially_trustworthy() and not hides:
            navigates = request.mode == "navigate"
            headers += [
                ("Sec-Fetch-Site", site),
                ("Sec-Fetch-Mode", request.mode),
                ("Sec-Fetch-Dest", "document" if navigates else "empty"),
            ]
        # The referrer policy "strict-origin-when-cross-origin", of a page at the root of its origin. After a downgrade
        # to HTTP the header stays away.
        if self.origin != OPAQUE and not any(map(self._downgrades, request.url_list)):
            headers.append(("Referer", f"{self.origin}/"))
        if "User-Agent" not in request.headers:
            headers.append(("User-Agent", USER_AGENT))
        return headers

    def _downgrades(self, url: URL) -> bool:
        """Is this a page over HTTPS and a URL without?"""
        return self.origin.startswith("https:") and url.scheme == "http"

    def _send(self, request: NetworkRequest, *, is_preflight: bool = False) -> NetworkResponse:
        pairs = [("Host", parse_url(request.url).authority), *request.headers.pairs]
        exchange = Exchange(NetworkRequest(request.method, request.url, HeaderList(pairs), request.body), is_preflight)
        self.network.append(exchange)
        try:
            exchange.response = self.transport.send(exchange.request)
        except OSError as error:
            if isinstance(self.transport, WSGITransport):
                raise  # the application's own error: there is no network here
            raise CORSFailure(CORSErrorReason.NETWORK_ERROR, net_error(error)) from error
        if exchange.response.status == 407 and Quirk.PROXY_STATUS_IS_A_STATUS not in self.quirks:
            exchange.response.body.close()
            raise CORSFailure(CORSErrorReason.UNEXPECTED_PROXY_AUTH)
        several = len(set(exchange.response.headers.getall("Location"))) > 1
        if several and Quirk.LOCATIONS_ARE_ONE not in self.quirks:
            # They suggest response splitting. Browsers fail whatever the status is.
            raise CORSFailure(CORSErrorReason.NETWORK_ERROR, "ERR_RESPONSE_HEADERS_MULTIPLE_LOCATION")
        return exchange.response

    def _filtered(self, request: Request, response: NetworkResponse) -> Response:
        """https://fetch.spec.whatwg.org/#concept-filtered-response"""
        if request.response_tainting == "opaque" or response.status in NULL_BODY_STATUSES:
            response.body.close()
        if request.response_tainting == "opaque":
            return Response("opaque", 0, "", False, HeaderList())
        tainting, is_redirected = request.response_tainting, len(request.url_list) > 1
        headers = readable_headers(
            response.headers, basic=tainting == "basic", with_credentials=request.with_credentials
        )
        return Response(tainting, response.status, request.url.without_fragment, is_redirected, headers, response.body)
