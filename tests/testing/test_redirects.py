"""Where redirects lead, and what is left of the request when it gets there."""

from __future__ import annotations

import pytest
from written_server import Answer
from written_server import APP
from written_server import MCP
from written_server import Server

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HeaderList
from flask_mcp_cors.testing.messages import Mode

OPEN = [("Access-Control-Allow-Origin", APP), ("Access-Control-Allow-Credentials", "true")]


def sent(browser: Browser) -> HeaderList:
    """The headers of the last request."""
    return browser.network[-1].request.headers


def redirect(server: Server, path: str, location: str, status: int = 302) -> None:
    server.by_url[MCP + path] = Answer(status, [*OPEN, ("Location", location)])


def test_it_is_followed(browser: Browser, server: Server) -> None:
    redirect(server, "/old", "new?x#y")
    response = browser.fetch("/old")
    assert (response.url, response.redirected) == ("https://mcp.example.com/new?x", True)


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", ("GET", b"", None)),
        (302, "POST", ("GET", b"", None)),
        (303, "POST", ("GET", b"", None)),
        (303, "PUT", ("GET", b"", None)),
        (303, "HEAD", ("HEAD", b"", None)),
        (302, "PUT", ("PUT", b"x", "text/plain;charset=UTF-8")),
        (307, "POST", ("POST", b"x", "text/plain;charset=UTF-8")),
        (308, "POST", ("POST", b"x", "text/plain;charset=UTF-8")),
    ],
)
def test_method_and_body(
    browser: Browser, server: Server, status: int, method: str, expected: tuple[str, bytes, str | None]
) -> None:
    redirect(server, "/old", "/new", status)
    browser.fetch("/old", method, body=None if method == "HEAD" else "x")
    last = server.requests[-1]
    assert (last["REQUEST_METHOD"], last["body"], last.get("CONTENT_TYPE")) == expected


def test_each_hop_has_its_own_preflight_and_check(browser: Browser, server: Server) -> None:
    redirect(server, "/old", "/new", 307)
    browser.fetch("/old", "PUT")
    assert [exchange.is_preflight for exchange in browser.network] == [True, False, True, False]
    server.by_url[MCP + "/old"].headers = [("Location", "/new")]
    with pytest.raises(CORSError) as caught:
        browser.fetch("/old")
    assert caught.value.reason == "MissingAllowOriginHeader"


def test_a_second_foreign_origin_sees_the_origin_null(browser: Browser, server: Server) -> None:
    redirect(server, "/old", "https://other.example.com/new")
    with pytest.raises(CORSError) as caught:
        browser.fetch("/old")
    assert sent(browser)["Origin"] == "null"
    assert caught.value.console_message == (
        "Access to fetch at 'https://other.example.com/new' (redirected from 'https://mcp.example.com/old') from "
        "origin 'https://app.example.com' has been blocked by CORS policy: The 'Access-Control-Allow-Origin' "
        "header has a value 'https://app.example.com' that is not equal to the supplied origin. Have the server "
        "send the header with a valid value."
    )


def test_authorization_does_not_cross_origins(browser: Browser, server: Server) -> None:
    server.preflight.headers.append(("Access-Control-Allow-Headers", "authorization"))
    redirect(server, "/old", "/new")
    redirect(server, "/new", "https://other.example.com/")
    server.actual.headers = [("Access-Control-Allow-Origin", "*")]
    browser.fetch("/old", headers={"Authorization": "b", "Accept": "a/b"})
    actual = [exchange.request.headers for exchange in browser.network if not exchange.is_preflight]
    assert ["Authorization" in headers for headers in actual] == [True, True, False]
    assert actual[-1]["Accept"] == "a/b"


def test_a_way_back_to_ones_own_origin_is_still_cors(browser: Browser, server: Server) -> None:
    redirect(server, "/old", f"{APP}/new")
    server.actual.headers = [("Access-Control-Allow-Origin", "*"), ("X-Secret", "s")]
    response = browser.fetch("/old")
    assert response.type == "cors"
    assert "x-secret" not in response.headers


def test_error_and_manual(browser: Browser, server: Server) -> None:
    redirect(server, "/old", "/new")
    with pytest.raises(CORSError) as caught:
        browser.fetch("/old", redirect="error")
    assert caught.value.reason == "RedirectDisallowed"
    assert caught.value.console_message == "Failed to load resource: net::ERR_FAILED"
    response = browser.fetch("/old", redirect="manual")
    assert (response.type, response.status, response.url) == ("opaqueredirect", 0, "https://mcp.example.com/old")
    assert (dict(response.headers), response.text) == ({}, "")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://u:p@mcp.example.com/", "RedirectContainsCredentials"),
        ("ftp://mcp.example.com/", "CorsDisabledScheme"),
        ("data:text/plain,x", "UnsafeRedirect"),
        ("https://", "InvalidRedirect"),
        ("http://mcp.example.com/", "MixedContent"),
        ("https://mcp.example.com:25/", "UnsafePort"),
    ],
)
def test_where_a_redirect_cannot_lead(browser: Browser, server: Server, location: str, reason: str) -> None:
    redirect(server, "/old", location)
    with pytest.raises(CORSError) as caught:
        browser.fetch("/old")
    assert caught.value.reason == reason
    assert caught.value.is_cors_policy is (reason in ("RedirectContainsCredentials", "CorsDisabledScheme"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("mode", "location", "reason", "message"),
    [
        (
            "same-origin",
            "https://mcp.example.com/x",
            "DisallowedByMode",
            "Unsafe attempt to load URL https://mcp.example.com/x from frame with URL https://app.example.com/. "
            "Domains, protocols and ports must match.",
        ),
        (
            "same-origin",
            "ftp://x/",
            "DisallowedByMode",
            "Unsafe attempt to load URL ftp://x/ from frame with URL https://app.example.com/. "
            "Domains, protocols and ports must match.",
        ),
        ("no-cors", "ftp://x/", "RedirectToUnknownScheme", "Failed to load resource: net::ERR_UNKNOWN_URL_SCHEME"),
        ("no-cors", "about:blank", "UnsafeRedirect", "Failed to load resource: net::ERR_UNSAFE_REDIRECT"),
    ],
)
def test_where_it_cannot_lead_in_other_modes(
    browser: Browser, server: Server, mode: Mode, location: str, reason: str, message: str
) -> None:
    server.by_url[f"{APP}/old"] = Answer(302, [("Location", location)])
    with pytest.raises(CORSError) as caught:
        browser.fetch(f"{APP}/old", mode=mode)
    assert (caught.value.reason, caught.value.console_message) == (reason, message)


@pytest.mark.parametrize(("mode", "location"), [("cors", f"{APP}/x"), ("no-cors", f"{APP}/x"), ("no-cors", f"{MCP}/x")])
def test_chromium_follows_to_no_credentials(
    browser: Browser, chromium_like: Browser, server: Server, mode: Mode, location: str
) -> None:
    location = location.replace("https://", "https://u:p@")
    server.by_url[f"{APP}/old"] = Answer(302, [("Location", location)])
    browser.fetch(f"{APP}/old", mode=mode)
    with pytest.raises(CORSError) as caught:
        chromium_like.fetch(f"{APP}/old", mode=mode)
    assert caught.value.reason == "RedirectToEmbeddedCredentials"
    assert caught.value.console_message == "Failed to fetch"
    assert caught.value.url == location


def test_there_is_an_end_to_it(browser: Browser, server: Server) -> None:
    redirect(server, "/loop", "/loop")
    with pytest.raises(CORSError) as caught:
        browser.fetch("/loop")
    assert caught.value.reason == "TooManyRedirects"
    assert caught.value.console_message == "Failed to load resource: net::ERR_TOO_MANY_REDIRECTS"
    assert len(server.requests) == 21


def test_it_cannot_lead_to_two_places(browser: Browser, server: Server) -> None:
    server.by_url[MCP + "/old"] = Answer(302, [*OPEN, ("Location", "/new"), ("Location", "/new")])
    assert browser.fetch("/old").url == f"{MCP}/new"
    server.by_url[MCP + "/old"].headers.append(("Location", "/elsewhere"))
    with pytest.raises(CORSError) as caught:
        browser.fetch("/old")
    assert caught.value.reason == "NetworkError"
    assert caught.value.console_message == "Failed to load resource: net::ERR_RESPONSE_HEADERS_MULTIPLE_LOCATION"


def test_without_location_it_is_a_response(browser: Browser, server: Server) -> None:
    server.actual.status = 302
    assert browser.fetch("/mcp").status == 302
    with pytest.raises(CORSError):
        browser.fetch("/mcp", redirect="error")


def test_chromium_looks_at_a_location_that_it_does_not_follow(
    browser: Browser, chromium_like: Browser, server: Server
) -> None:
    redirect(server, "/old", "https://")
    assert browser.fetch("/old", redirect="manual").type == "opaqueredirect"
    with pytest.raises(CORSError):
        chromium_like.fetch("/old", redirect="manual")
    redirect(server, "/old", "mailto:x")
    assert chromium_like.fetch("/old", redirect="manual").type == "opaqueredirect"


def test_sec_fetch_site_remembers_the_way_and_chromium_forgets(
    browser: Browser, chromium_like: Browser, server: Server
) -> None:
    redirect(server, "/old", "https://app.example.com/new", 307)
    server.actual.headers = [("Access-Control-Allow-Origin", "*")]
    server.preflight.headers[0] = ("Access-Control-Allow-Origin", "*")
    for client, site in ((browser, "same-site"), (chromium_like, "same-origin")):
        client.fetch("/old", "PUT")
        assert sent(client)["Sec-Fetch-Site"] == site
        assert sent(client)["Origin"] == "null"


def test_chromium_taints_a_no_cors_post_at_once(browser: Browser, chromium_like: Browser, server: Server) -> None:
    server.by_url[f"{APP}/old"] = Answer(307, [("Location", f"{MCP}/new")])
    for client, origin in ((browser, APP), (chromium_like, "null")):
        client.fetch(f"{APP}/old", "POST", mode="no-cors")
        assert sent(client)["Origin"] == origin


def test_a_referer_that_plain_http_was_not_told_does_not_come_back(browser: Browser, server: Server) -> None:
    server.by_url["http://127.0.0.1:5000/old"] = Answer(307, [("Location", f"{APP}/new")])
    browser.fetch("http://127.0.0.1:5000/old", mode="no-cors")
    assert [exchange.request.headers.get("Referer") for exchange in browser.network] == [None, None]
    browser.fetch(f"{APP}/new")
    assert sent(browser)["Referer"] == f"{APP}/"
