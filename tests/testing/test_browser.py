"""Requests and responses: what is sent, what JavaScript gets, what is blocked, where redirects lead."""

from __future__ import annotations

import ast
import gc
import pickle
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quirks_table
from flask import Flask
from written_server import Answer
from written_server import APP
from written_server import MCP
from written_server import Server

import flask_mcp_cors.testing
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import CORSErrorReason
from flask_mcp_cors.testing import HeaderList
from flask_mcp_cors.testing import Quirk

OPEN = [("Access-Control-Allow-Origin", APP), ("Access-Control-Allow-Credentials", "true")]


def sent(browser: Browser) -> HeaderList:
    """The headers of the last request."""
    return browser.network[-1].request.headers


class TestResponse:
    def test_javascript_reads_safelisted_and_exposed_headers_only(self, browser: Browser, server: Server) -> None:
        server.actual.headers += [
            ("Access-Control-Expose-Headers", "mcp-session-id, Set-Cookie"),
            ("Set-Cookie", "a=b"),
        ]
        server.actual.headers += [("Mcp-Session-Id", "1"), ("Mcp-Session-Id", "2"), ("Cache-Control", "no-store")]
        response = browser.fetch("/mcp")
        assert dict(response.headers) == {
            "cache-control": "no-store",
            "content-type": "text/plain",
            "mcp-session-id": "1, 2",
        }
        assert response.headers["MCP-Session-Id"] == "1, 2"
        assert "x-secret" not in response.headers
        assert browser.network[-1].response is not None
        assert browser.network[-1].response.headers["X-Secret"] == "s"

    @pytest.mark.parametrize(
        ("exposed", "credentials", "readable"),
        [
            ("*", "omit", ["access-control-allow-credentials", "access-control-allow-origin", "x-a", "x-b"]),
            ("*", "include", []),
            ("*, X-A", "include", ["x-a"]),
            ("X-A,, X-B,", "omit", ["x-a", "x-b"]),
            ("X-A, B AD", "omit", []),
            ("", "omit", []),
            ("access-control-allow-origin", "omit", ["access-control-allow-origin"]),
        ],
    )
    def test_expose_headers(
        self, browser: Browser, server: Server, exposed: str, credentials: Any, readable: list[str]
    ) -> None:
        server.actual.headers = [*OPEN, ("X-A", "1"), ("X-B", "2"), ("Access-Control-Expose-Headers", exposed)]
        names = list(browser.fetch("/mcp", credentials=credentials).headers)
        assert [name for name in names if name != "access-control-expose-headers"] == readable

    def test_everything_of_ones_own_origin_can_be_read(self, server: Server) -> None:
        server.actual.headers.append(("Set-Cookie", "a=b"))
        response = Browser(server, origin=MCP).fetch("/mcp")
        assert response.type == "basic"
        assert list(response.headers) == ["access-control-allow-origin", "content-type", "x-secret"]

    def test_text_json_and_status(self, browser: Browser, server: Server) -> None:
        server.actual.status = 418
        server.actual.body = b'\xef\xbb\xbf{"a": "\xc3\xa9"}'
        response = browser.fetch("/mcp")
        assert (response.status, response.ok, response.type) == (418, False, "cors")
        assert (response.text, response.json()) == ('{"a": "é"}', {"a": "é"})
        assert (response.url, response.redirected) == ("https://mcp.example.com/mcp", False)

    def test_an_opaque_response_shows_nothing(self, browser: Browser, server: Server) -> None:
        server.actual.headers = []
        response = browser.fetch("/mcp", mode="no-cors")
        assert (response.type, response.status, response.url) == ("opaque", 0, "")
        assert (dict(response.headers), response.text) == ({}, "")
        assert "Origin" not in sent(browser)

    def test_a_body_can_be_read_as_it_comes(self) -> None:
        came: list[int] = []

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            start_response("200 OK", [("Access-Control-Allow-Origin", "*")])
            for number in range(3):
                came.append(number)
                yield b"data: %d\n\n" % number

        response = Browser(app).fetch("/sse")
        chunks = response.chunks()
        assert next(chunks) == b"data: 0\n\n"
        assert came == [0]
        response.close()
        assert list(chunks) == []
        assert came == [0]

    def test_a_head_response_has_no_body(self, browser: Browser) -> None:
        assert browser.fetch("/mcp", "HEAD").text == ""

    def test_responses_are_values(self, browser: Browser) -> None:
        assert browser.fetch("/mcp") == browser.fetch("/mcp")


class TestRequest:
    def test_origin_goes_with_cors_requests_and_with_unsafe_methods(self, browser: Browser, server: Server) -> None:
        browser.fetch("/mcp")
        assert sent(browser)["Origin"] == APP
        own = Browser(server, origin=MCP)
        own.fetch("/mcp")
        assert "Origin" not in sent(own)
        own.fetch("/mcp", "POST")
        assert sent(own)["Origin"] == MCP

    @pytest.mark.parametrize(
        ("mode", "origins"),
        [
            ("cors", {None: APP, "chromium": APP, "firefox": APP}),
            ("no-cors", {None: "null", "chromium": APP, "firefox": "null"}),
            ("navigate", {None: "null", "chromium": "null", "firefox": "null", "webkit": APP}),
        ],
    )
    def test_a_post_from_https_to_http_without_cors_hides_its_origin(
        self, server: Server, mode: Any, origins: dict[Any, str]
    ) -> None:
        for quirks, expected in origins.items():
            browser = Browser(server, origin=APP, quirks=quirks)
            server.actual.headers = [("Access-Control-Allow-Origin", APP)]
            browser.fetch("http://127.0.0.1:5000/mcp", "POST", mode=mode)
            assert sent(browser)["Origin"] == expected
            assert "Referer" not in sent(browser)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:5000/", "http://localhost:5000/", "http://mcp.localhost/"])
    def test_webkit_does_not_trust_this_machine(self, server: Server, url: str) -> None:
        for quirks in (None, "chromium", "firefox"):
            assert Browser(server, quirks=quirks).fetch(url, mode="no-cors").type == "opaque"  # type: ignore[arg-type]
        webkit = Browser(server, quirks="webkit")
        with pytest.raises(CORSError) as caught:
            webkit.fetch(url, mode="no-cors")
        assert caught.value.reason == "MixedContent"
        assert webkit.network == []
        assert webkit.fetch(url, mode="navigate").status == 200

    @pytest.mark.parametrize(
        ("origin", "url", "site"),
        [
            (APP, "https://mcp.example.com/", "same-site"),
            (APP, "https://app.example.com/", "same-origin"),
            (APP, "https://mcp.other.example/", "cross-site"),
            ("http://127.0.0.1:8000", "https://mcp.example.com/", "cross-site"),
            ("http://localhost:8000", "http://localhost:5000/", "same-site"),
            ("http://localhost:8000", "http://127.0.0.1:5000/", "cross-site"),
            ("http://localhost:8000", "http://mcp.example.com/", None),
            ("null", "https://mcp.example.com/", "cross-site"),
            ("vscode-webview://abc", "https://mcp.example.com/", "cross-site"),
            ("https://a.github.io", "https://b.github.io/", "cross-site"),
        ],
    )
    def test_sec_fetch_site_goes_to_trustworthy_urls_only(
        self, server: Server, origin: str, url: str, site: str | None
    ) -> None:
        browser = Browser(server, origin=origin)
        browser.fetch(url, mode="no-cors")
        assert sent(browser).get("Sec-Fetch-Site") == site
        assert sent(browser).get("Sec-Fetch-Mode") == ("no-cors" if site else None)

    def test_forbidden_headers_are_dropped_silently(self, browser: Browser, server: Server) -> None:
        forbidden = {"Cookie": "a=b", "Host": "evil", "Sec-Fetch-Site": "same-origin", "X-HTTP-Method": "GET, trace"}
        browser.fetch("/mcp", headers=forbidden | {"Origin": "https://evil.example", "Accept": "a/b"})
        assert "Cookie" not in sent(browser)
        assert "X-HTTP-Method" not in sent(browser)
        assert sent(browser)["Host"] == "mcp.example.com"
        assert sent(browser)["Origin"] == APP
        assert sent(browser)["Sec-Fetch-Site"] == "same-site"
        assert sent(browser)["Accept"] == "a/b"

    @pytest.mark.parametrize(
        ("arguments", "reason", "message"),
        [
            ({"method": "TRACE"}, "ForbiddenMethod", "'TRACE' HTTP method is unsupported."),
            ({"method": "connect"}, "ForbiddenMethod", "'connect' HTTP method is unsupported."),
            ({"method": "A B"}, "InvalidMethod", "'A B' is not a valid HTTP method."),
            ({"method": ""}, "InvalidMethod", "'' is not a valid HTTP method."),
            (
                {"method": "\u0100"},
                "NotAByteString",
                "Failed to read the 'method' property from 'RequestInit': String contains non ISO-8859-1 code point.",
            ),
            ({"body": "x"}, "BodyDisallowedByMethod", "Request with GET/HEAD method cannot have body."),
            (
                {"method": "HEAD", "json": {}},
                "BodyDisallowedByMethod",
                "Request with GET/HEAD method cannot have body.",
            ),
            ({"headers": {"a b": "x"}}, "InvalidHeaderName", "Invalid name"),
            ({"headers": {"X-A": "a\nb"}}, "InvalidHeaderValue", "Invalid value"),
            (
                {"headers": {"X-A": "\u0100"}},
                "NotAByteString",
                "Failed to read the 'headers' property from 'RequestInit': String contains non ISO-8859-1 code point.",
            ),
            (
                {"method": "put", "mode": "no-cors"},
                "MethodUnsupportedInNoCors",
                "'PUT' is unsupported in no-cors mode.",
            ),
            (
                {"path_or_url": "https://u:p@mcp.example.com/"},
                "UrlContainsCredentials",
                "Request cannot be constructed from a URL that includes credentials: https://u:p@mcp.example.com/",
            ),
            ({"path_or_url": "http://"}, "InvalidUrl", "Failed to parse URL from http://"),
            ({"path_or_url": "https://x:99999"}, "InvalidUrl", "Failed to parse URL from https://x:99999"),
        ],
    )
    def test_fetch_throws(
        self, browser: Browser, server: Server, arguments: dict[str, Any], reason: str, message: str
    ) -> None:
        with pytest.raises(CORSError) as caught:
            browser.fetch(**{"path_or_url": "/mcp"} | arguments)
        assert caught.value.reason == reason
        assert caught.value.console_message == f"Failed to execute 'fetch' on 'Window': {message}"
        assert str(caught.value) == caught.value.console_message
        assert not caught.value.is_cors_policy
        assert server.requests == []

    @pytest.mark.parametrize(
        ("arguments", "reason", "message"),
        [
            (
                {"mode": "same-origin"},
                "DisallowedByMode",
                'Fetch API cannot load https://mcp.example.com/mcp#f. Request mode is "same-origin" but the URL\'s '
                "origin is not same as the request origin https://app.example.com.",
            ),
            (
                {"mode": "no-cors", "redirect": "manual"},
                "NoCorsRedirectModeNotFollow",
                'Fetch API cannot load https://mcp.example.com/mcp#f. Request mode is "no-cors" but the redirect mode '
                'is not "follow".',
            ),
            (
                {"path_or_url": "ftp://x/"},
                "UnsupportedScheme",
                'Fetch API cannot load ftp://x/. URL scheme "ftp" is not supported.',
            ),
            (
                {"path_or_url": "ftp://x/", "mode": "same-origin"},
                "DisallowedByMode",
                'Fetch API cannot load ftp://x/. Request mode is "same-origin" but the URL\'s origin is not same as '
                "the request origin https://app.example.com.",
            ),
            ({"path_or_url": "file:///x"}, "LocalResource", "Not allowed to load local resource: file:///x"),
            (
                {"path_or_url": "http://foreign.example/x"},
                "MixedContent",
                "Mixed Content: The page at 'https://app.example.com/' was loaded over HTTPS, but requested an "
                "insecure resource 'http://foreign.example/x'. This request has been blocked; the content must be "
                "served over HTTPS.",
            ),
            ({"path_or_url": "https://x:6000/"}, "UnsafePort", "Failed to load resource: net::ERR_UNSAFE_PORT"),
        ],
    )
    def test_fetch_rejects_what_the_page_may_not_ask(
        self, browser: Browser, server: Server, arguments: dict[str, Any], reason: str, message: str
    ) -> None:
        with pytest.raises(CORSError) as caught:
            browser.fetch(**{"path_or_url": "/mcp#f"} | arguments)
        assert (caught.value.reason, caught.value.console_message) == (reason, message)
        assert not caught.value.is_cors_policy
        assert server.requests == []

    @pytest.mark.parametrize(
        "arguments",
        [
            {"method": "POST", "json": {}, "body": "x"},
            {"mode": "websocket"},
            {"credentials": "yes"},
            {"redirect": "never"},
            {"path_or_url": "data:text/plain,x"},
        ],
    )
    def test_what_no_browser_is_asked_is_a_plain_error(
        self, browser: Browser, server: Server, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(TypeError) as caught:
            browser.fetch(**{"path_or_url": "/mcp"} | arguments)
        assert not isinstance(caught.value, CORSError)
        assert server.requests == []

    @pytest.mark.parametrize("userinfo", ["@", ":@"])
    def test_empty_credentials_are_none(self, browser: Browser, userinfo: str) -> None:
        assert browser.fetch(f"https://{userinfo}mcp.example.com/").url == "https://mcp.example.com/"

    @pytest.mark.parametrize(
        ("value", "expected"), [(1, "1"), (1.5, "1.5"), (True, "true"), (False, "false"), (None, "null")]
    )
    def test_header_values_become_strings_as_in_javascript(self, browser: Browser, value: Any, expected: str) -> None:
        browser.fetch("/mcp", headers={"X-A": value})
        assert sent(browser)["X-A"] == expected

    def test_bodies(self, browser: Browser, server: Server) -> None:
        for arguments, expected in (
            ({"body": "é"}, ("text/plain;charset=UTF-8", "2", "é".encode())),
            ({"body": b"\xff"}, (None, "1", b"\xff")),
            ({"json": {"a": 1}}, ("application/json", "8", b'{"a": 1}')),
            ({"json": [], "headers": {"content-type": "text/plain"}}, ("text/plain", "2", b"[]")),
            ({}, (None, "0", b"")),
        ):
            browser.fetch("/mcp", "POST", **arguments)  # type: ignore[arg-type]
            environ = server.requests[-1]
            assert (environ.get("CONTENT_TYPE"), environ["CONTENT_LENGTH"], environ["body"]) == expected

    def test_no_cors_keeps_safelisted_headers_only(self, browser: Browser) -> None:
        headers = {"X-A": "1", "Content-Type": "application/json", "Accept-Language": "en", "Range": "bytes=0-1"}
        browser.fetch("/mcp", "POST", headers, body="x", mode="no-cors")
        assert "X-A" not in sent(browser)
        assert "Range" not in sent(browser)
        assert sent(browser)["Content-Type"] == "text/plain;charset=UTF-8"
        assert sent(browser)["Accept-Language"] == "en"

    def test_repeated_headers_are_combined(self, browser: Browser) -> None:
        browser.fetch("/mcp", headers=[("Accept", "a/a"), ("accept", "b/b")])
        assert sent(browser).getall("Accept") == ["a/a, b/b"]

    def test_a_misdirected_request_is_sent_again_once(self, browser: Browser, server: Server) -> None:
        server.actual.status = 421
        assert browser.fetch("/mcp").status == 421
        assert len(server.requests) == 2

    def test_proxy_authentication_is_a_network_error(self, browser: Browser, server: Server) -> None:
        server.actual.status = 407
        with pytest.raises(CORSError) as caught:
            browser.fetch("/mcp")
        assert caught.value.reason == "UnexpectedProxyAuth"
        assert caught.value.console_message == "Failed to load resource: net::ERR_UNEXPECTED_PROXY_AUTH"

    def test_a_navigation_leaves_the_page(self, server: Server) -> None:
        """As a form or a link: no CORS, the cookies a top-level navigation has, and everything to be seen."""
        server.actual.headers = [("Set-Cookie", "lax=1"), ("Set-Cookie", "strict=1; SameSite=Strict"), ("X-A", "1")]
        browser = Browser(server, origin="https://elsewhere.example")
        response = browser.fetch("/login", "POST", body="a=b", mode="navigate")
        assert (response.type, response.text, response.headers["x-a"]) == ("basic", "hello", "1")
        assert sent(browser)["Origin"] == "https://elsewhere.example"
        assert sent(browser)["Sec-Fetch-Mode"] == "navigate"
        browser.fetch("/", mode="navigate")
        assert sent(browser)["Cookie"] == "lax=1"


class TestCORSCheck:
    @pytest.mark.parametrize(
        ("allowed", "credentials", "reason"),
        [
            ([APP], "omit", None),
            (["*"], "omit", None),
            (["*"], "same-origin", None),
            ([f" {APP} "], "omit", None),
            (["*"], "include", "WildcardOriginNotAllowed"),
            ([], "omit", "MissingAllowOriginHeader"),
            ([APP, APP], "omit", "MultipleAllowOriginValues"),
            ([f"{APP} https://x.example"], "omit", "MultipleAllowOriginValues"),
            (["https://APP.example.com"], "omit", "AllowOriginMismatch"),
            (["null"], "omit", "AllowOriginMismatch"),
            (["https://*.example.com"], "omit", "AllowOriginMismatch"),
            ([""], "omit", "InvalidAllowOriginValue"),
            (["*.example.com"], "omit", "InvalidAllowOriginValue"),
        ],
    )
    def test_allow_origin(
        self, browser: Browser, server: Server, allowed: list[str], credentials: Any, reason: str | None
    ) -> None:
        server.actual.headers = [("Access-Control-Allow-Origin", value) for value in allowed]
        if reason is None:
            assert browser.fetch("/mcp", credentials=credentials).type == "cors"
            return
        with pytest.raises(CORSError) as caught:
            browser.fetch("/mcp", credentials=credentials)
        assert caught.value.reason == reason

    @pytest.mark.parametrize("value", ["true", "TRUE", "True", "false", "", "true, true"])
    def test_allow_credentials_is_exactly_true(self, browser: Browser, server: Server, value: str) -> None:
        server.actual.headers.append(("Access-Control-Allow-Credentials", value))
        assert browser.fetch("/mcp", credentials="same-origin").status == 200
        if value == "true":
            assert browser.fetch("/mcp", credentials="include").status == 200
            return
        with pytest.raises(CORSError) as caught:
            browser.fetch("/mcp", credentials="include")
        assert caught.value.reason is CORSErrorReason.INVALID_ALLOW_CREDENTIALS
        assert caught.value.console_message == (
            "Access to fetch at 'https://mcp.example.com/mcp' from origin 'https://app.example.com' has been blocked "
            f"by CORS policy: The value of the 'Access-Control-Allow-Credentials' header in the response is '{value}' "
            "which must be 'true' when the request's credentials mode is 'include'."
        )

    def test_an_error_response_is_blocked_like_any_other(self, browser: Browser, server: Server) -> None:
        server.actual = Answer(401, [("WWW-Authenticate", "Bearer")])
        with pytest.raises(CORSError) as caught:
            browser.fetch("/mcp")
        assert isinstance(caught.value, TypeError)
        assert str(caught.value) == caught.value.console_message
        assert browser.network[-1].response is not None
        assert browser.network[-1].response.status == 401

    def test_a_sandboxed_frame_is_the_origin_null(self, server: Server) -> None:
        server.actual.headers = [("Access-Control-Allow-Origin", "null")]
        browser = Browser(server, origin="null")
        assert browser.fetch("/mcp").type == "cors"
        assert sent(browser)["Origin"] == "null"
        assert "Referer" not in sent(browser)

    @pytest.mark.parametrize(
        ("policy", "origin", "url", "reason"),
        [
            ("same-origin", APP, MCP, "CorpNotSameOrigin"),
            ("same-origin", MCP, MCP, None),
            ("same-site", APP, MCP, None),
            ("same-site", "https://elsewhere.example", MCP, "CorpNotSameSite"),
            ("same-site", "http://app.example.com", MCP, "CorpNotSameSite"),
            ("same-site", "https://localhost", "http://localhost", None),
            ("cross-origin", "https://elsewhere.example", MCP, None),
        ],
    )
    def test_cross_origin_resource_policy(
        self, server: Server, policy: str, origin: str, url: str, reason: str | None
    ) -> None:
        server.actual.headers.append(("Cross-Origin-Resource-Policy", policy))
        browser = Browser(server, origin=origin)
        if reason is None:
            browser.fetch(url, mode="no-cors")
            return
        with pytest.raises(CORSError) as caught:
            browser.fetch(url, mode="no-cors")
        assert caught.value.reason == reason
        words = {"CorpNotSameOrigin": "NotSameOrigin", "CorpNotSameSite": "NotSameSite"}[reason]
        assert caught.value.console_message == f"Failed to load resource: net::ERR_BLOCKED_BY_RESPONSE.{words}"
        assert str(caught.value) == f"Failed to fetch: {reason}, {url}/ ({caught.value.console_message})"

    def test_an_error_can_be_pickled_by_a_parallel_test_run(self) -> None:
        error = CORSError(CORSErrorReason.PREFLIGHT_INVALID_STATUS, "", "https://b/", "https://a/", APP)
        assert pickle.loads(pickle.dumps(error)).console_message == error.console_message


class TestQuirks:
    def test_each_quirk_says_what_it_is(self) -> None:
        """That each has its effect is shown in ``test_engine_vectors.py``."""
        assert quirks_table.PAGE.read_text(encoding="utf-8") == quirks_table.table()
        assert all(quirk.engines and quirk.description.endswith(".") for quirk in Quirk)

    def test_an_unknown_browser_is_an_error(self, server: Server) -> None:
        with pytest.raises(ValueError, match="one of chromium"):
            Browser(server, quirks="netscape")  # type: ignore[arg-type]


def test_a_browser_introduces_itself(server: Server) -> None:
    assert repr(Browser(server, quirks="firefox")) == (
        "<Browser: a page of 'https://app.example.com' calling 'https://mcp.example.com/', quirks='firefox'>"
    )
    assert repr(Browser(server, "null", "http://127.0.0.1:5000")) == (
        "<Browser: a page of 'null' calling 'http://127.0.0.1:5000/'>"
    )


def test_a_traceback_ends_where_the_test_called(server: Server) -> None:
    """Not in the checks that came to the verdict."""
    server.actual.headers.clear()
    with pytest.raises(CORSError) as caught:
        Browser(server).fetch("/mcp")
    shown = caught.traceback.filter(caught)
    assert [entry.name for entry in shown] == ["test_a_traceback_ends_where_the_test_called"]
    assert caught.value.__suppress_context__


def test_it_works_on_a_flask_app() -> None:
    app = Flask(__name__)

    @app.post("/mcp")
    def mcp() -> tuple[dict[str, str], int, dict[str, str]]:
        return {"it": "works"}, 202, {"Access-Control-Allow-Origin": "*"}

    @app.after_request
    def allow(response: Any) -> Any:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Headers"] = "content-type"
        return response

    response = Browser(app).fetch("/mcp", "POST", json={})
    assert (response.status, response.json()) == (202, {"it": "works"})


def test_an_exception_in_the_app_reaches_the_test() -> None:
    app = Flask(__name__)
    app.testing = True

    @app.get("/")
    def broken() -> str:
        raise LookupError("broken")

    @app.get("/network")
    def unreachable() -> str:
        raise ConnectionRefusedError("the application's own")

    browser = Browser(app)
    with pytest.raises(LookupError):
        browser.fetch("/")
    with pytest.raises(ConnectionRefusedError):
        browser.fetch("/network")


def test_the_package_imports_the_core_and_nothing_else_of_ours() -> None:
    """It must work on any server, and without pytest."""
    allowed = {"werkzeug", "publicsuffixlist", "_typeshed"}
    for file in Path(flask_mcp_cors.testing.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level == 2:
                    assert module.startswith("core."), file
                elif node.level == 0:
                    top = module.partition(".")[0]
                    assert top in allowed or top in sys.stdlib_module_names, file


def test_a_browser_whose_fetch_was_rejected_is_gone_with_its_last_name() -> None:
    """What its responses hold open is not left to the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        browser = Browser(lambda environ, start_response: start_response("200 OK", []) and [])
        with pytest.raises(CORSError):
            browser.fetch("/mcp")
        last = weakref.ref(browser)
        del browser
        assert last() is None
    finally:
        gc.enable()
