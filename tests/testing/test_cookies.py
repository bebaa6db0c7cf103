"""Which cookies are kept and sent."""

from __future__ import annotations

import pytest
from written_server import APP
from written_server import MCP
from written_server import Server

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import HeaderList

OPEN = [("Access-Control-Allow-Origin", APP), ("Access-Control-Allow-Credentials", "true")]


def sent(browser: Browser) -> HeaderList:
    """The headers of the last request."""
    return browser.network[-1].request.headers


@pytest.mark.parametrize(
    ("set_cookie", "origin", "expected"),
    [
        ("s=1", APP, "s=1"),
        ("s=1; SameSite=Strict", APP, "s=1"),
        ("s=1; Max-Age=60", APP, "s=1"),
        ("s=1; Max-Age=0", APP, None),
        ("s=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", APP, None),
        ("s=1; Path=/other", APP, None),
        ("s=1; Expires=soon", APP, "s=1"),
        ("s=1; Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT", APP, None),
        ("v", APP, "v"),
        ("s=1; Domain=example.com", APP, "s=1"),
        ("s=1; Domain=com", APP, None),
        ("s=1; Domain=elsewhere.example", APP, None),
        ("s=1", "https://elsewhere.example", None),
        ("s=1; SameSite=None", "https://elsewhere.example", None),
        ("s=1; SameSite=None; Secure", "https://elsewhere.example", "s=1"),
        ("s=1; SameSite=None; Secure", "null", "s=1"),
        ("s=1", "null", None),
    ],
)
def test_a_cookie_is_kept_and_sent_where_it_belongs(
    server: Server, set_cookie: str, origin: str, expected: str | None
) -> None:
    server.actual.headers = [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Set-Cookie", set_cookie),
    ]
    browser = Browser(server, origin=origin)
    browser.fetch("/mcp", credentials="include")
    browser.fetch("/mcp", credentials="include")
    assert sent(browser).get("Cookie") == expected


def test_the_credentials_mode_decides(browser: Browser, server: Server) -> None:
    server.actual.headers = [*OPEN, ("Set-Cookie", "s=1")]
    for credentials in ("omit", "same-origin"):
        browser.fetch("/mcp", credentials=credentials)  # type: ignore[arg-type]
    browser.fetch("/mcp", credentials="include")
    assert "Cookie" not in sent(browser), "nothing was kept before"
    browser.fetch("/mcp", credentials="same-origin")
    assert "Cookie" not in sent(browser)
    browser.fetch("/mcp", credentials="include")
    assert sent(browser)["Cookie"] == "s=1"


def test_same_origin_requests_have_cookies_by_default(server: Server) -> None:
    server.actual.headers = [("Set-Cookie", "s=1")]
    browser = Browser(server, origin=MCP)
    browser.fetch("/")
    browser.fetch("/")
    assert sent(browser)["Cookie"] == "s=1"
    browser.fetch("/", credentials="omit")
    assert "Cookie" not in sent(browser)


def test_secure_cookies_are_for_secure_urls(server: Server) -> None:
    server.actual.headers = [("Set-Cookie", "s=1; Secure")]
    browser = Browser(server, origin="http://mcp.example.com", base_url="http://mcp.example.com")
    browser.fetch("/")
    browser.fetch("/")
    assert "Cookie" not in sent(browser)


@pytest.mark.parametrize(
    ("set_cookie", "is_kept"),
    [
        ("__Host-s=1; Secure; Path=/", True),
        ("__Host-s=1; Secure; Path=/; Domain=", True),
        ("__Host-s=1; Path=/", False),
        ("__Host-s=1; Secure", False),
        ("__Host-s=1; Secure; Path=/mcp", False),
        ("__Host-s=1; Secure; Path=/; Domain=mcp.example.com", False),
        ("__hOST-s=1; Path=/", False),
        ("__Secure-s=1; Secure", True),
        ("__Secure-s=1; Secure; Path=/mcp; Domain=example.com", True),
        ("__Secure-s=1", False),
        ("__SECURE-s=1", False),
        ("__Http-s=1; Secure; HttpOnly", True),
        ("__Http-s=1; Secure", False),
        ("__Host-Http-s=1; Secure; Path=/; HttpOnly", True),
        ("__Host-Http-s=1; Secure; Path=/", False),
        ("__Host-Http-s=1; Secure; HttpOnly", False),
        ("=__Host-s=1; Secure; Path=/", False),
        ("__Secure-s; Secure", False),
        ("s=__Host-1", True),
    ],
)
def test_a_prefix_is_a_promise(server: Server, set_cookie: str, is_kept: bool) -> None:
    server.actual.headers = [("Set-Cookie", set_cookie)]
    browser = Browser(server, origin=MCP)
    browser.fetch("/mcp")
    browser.fetch("/mcp")
    assert ("Cookie" in sent(browser)) is is_kept


def test_an_ip_address_has_no_subdomains(server: Server) -> None:
    """A cookie whose domain it is, is its own: as in Chromium."""
    server.actual.headers = [("Set-Cookie", "__Host-s=1; Secure; Path=/; Domain=127.0.0.1")]
    browser = Browser(server, origin="https://127.0.0.1", base_url="https://127.0.0.1")
    browser.fetch("/")
    browser.fetch("/")
    assert sent(browser)["Cookie"] == "__Host-s=1"


def test_time_passes(server: Server) -> None:
    server.actual.headers = [("Set-Cookie", "s=1; Max-Age=60")]
    browser = Browser(server, origin=MCP)
    browser.fetch("/")
    browser.clock += 61
    server.actual.headers = []
    browser.fetch("/")
    assert "Cookie" not in sent(browser)
