"""When a preflight is sent, what it holds, what its answer must allow, and how long that is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from written_server import Answer
from written_server import Server

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import QUIRKS
from flask_mcp_cors.testing.preflight import parse_max_age


def preflights(browser: Browser) -> int:
    """How many there were since the last time."""
    count = sum(exchange.is_preflight for exchange in browser.network)
    browser.network.clear()
    return count


def allow(server: Server, name: str, value: str | None) -> None:
    """Let the answer to a preflight have this value of ``Access-Control-{name}``, or none."""
    full = f"Access-Control-{name}"
    server.preflight.headers = [pair for pair in server.preflight.headers if pair[0] != full]
    if value is not None:
        server.preflight.headers.append((full, value))


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        pytest.param({}, False, id="GET"),
        pytest.param({"method": "HEAD"}, False, id="HEAD"),
        pytest.param({"method": "POST", "body": "x"}, False, id="POST of text"),
        pytest.param({"method": "POST", "body": b"x"}, False, id="POST without content type"),
        pytest.param({"method": "POST", "json": {}}, True, id="POST of JSON"),
        pytest.param({"method": "PUT"}, True, id="PUT"),
        pytest.param({"method": "delete"}, True, id="delete"),
        pytest.param({"headers": {"X-A": "1"}}, True, id="header"),
        pytest.param({"headers": {"Accept": "text/event-stream"}}, False, id="safelisted header"),
        pytest.param({"headers": {"Accept": "a" * 128}}, False, id="128 bytes"),
        pytest.param({"headers": {"Accept-Language": "en_GB"}}, True, id="unsafe language"),
        pytest.param({"headers": {"Range": "bytes=0-9"}}, False, id="range"),
        pytest.param({"headers": {"Cookie": "a=b", "Sec-X": "1", "Host": "x"}}, False, id="forbidden headers"),
        pytest.param({"headers": {"Content-Type": "text/plain; charset=utf-8"}}, False, id="text/plain"),
    ],
)
def test_a_preflight_is_sent_exactly_when_it_is_needed(
    browser: Browser, server: Server, arguments: dict[str, Any], needed: bool
) -> None:
    allow(server, "Allow-Headers", "X-A, Content-Type, Accept-Language")
    browser.fetch("/mcp", **arguments)
    assert [exchange.is_preflight for exchange in browser.network] == [True, False][not needed :]


def test_a_same_origin_request_needs_no_preflight(server: Server) -> None:
    browser = Browser(server, origin="https://mcp.example.com")
    assert browser.fetch("/mcp", "PUT", {"X-A": "1"}).type == "basic"
    assert preflights(browser) == 0


def test_a_preflight_asks_and_brings_nothing_along(browser: Browser, server: Server) -> None:
    """Sorted lower-case names, the method, the origin; no credentials, no body, none of the headers asked about."""
    allow(server, "Allow-Credentials", "true")
    server.actual.headers += [
        ("Access-Control-Allow-Credentials", "true"),
        ("Set-Cookie", "s=1; SameSite=None; Secure"),
    ]
    browser.fetch("/mcp", credentials="include")
    browser.network.clear()

    browser.fetch("/mcp?q", "PUT", {"X-A": "1", "Content-Type": "a/b"}, body="x", credentials="include")
    preflight, actual = browser.network
    assert (preflight.request.method, preflight.request.url) == ("OPTIONS", "https://mcp.example.com/mcp?q")
    assert preflight.request.body is None
    assert dict(preflight.request.headers) == {
        "Host": "mcp.example.com",
        "Accept": "*/*",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-a",
        "Origin": "https://app.example.com",
        "Sec-Fetch-Site": "same-site",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Referer": "https://app.example.com/",
        "User-Agent": "Mozilla/5.0 (flask_mcp_cors.testing)",
    }
    assert actual.request.headers["Cookie"] == "s=1"
    assert actual.request.headers["X-A"] == "1"


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        (
            {"Allow-Origin": None},
            "PreflightMissingAllowOriginHeader",
            "No 'Access-Control-Allow-Origin' header is present on the requested resource.",
        ),
        (
            {"Allow-Origin": "https://app.example.com, *"},
            "PreflightMultipleAllowOriginValues",
            "The 'Access-Control-Allow-Origin' header contains multiple values 'https://app.example.com, *', but only "
            "one is allowed. Have the server send the header with a valid value.",
        ),
        (
            {"Allow-Origin": "https://app.example.com/"},
            "PreflightAllowOriginMismatch",
            "The 'Access-Control-Allow-Origin' header has a value 'https://app.example.com/' that is not equal to the "
            "supplied origin. Have the server send the header with a valid value.",
        ),
        (
            {"Allow-Origin": "app.example.com"},
            "PreflightInvalidAllowOriginValue",
            "The 'Access-Control-Allow-Origin' header contains the invalid value 'app.example.com'. Have the server "
            "send the header with a valid value.",
        ),
    ],
)
def test_the_answer_must_pass_the_cors_check(
    browser: Browser, server: Server, changes: dict[str, str | None], reason: str, words: str
) -> None:
    for name, value in changes.items():
        allow(server, name, value)
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp", "PUT")
    assert caught.value.reason == reason
    assert caught.value.console_message == (
        "Access to fetch at 'https://mcp.example.com/mcp' from origin 'https://app.example.com' has been blocked by "
        f"CORS policy: Response to preflight request doesn't pass access control check: {words}"
    )
    assert len(server.requests) == 1, "the request itself is never sent"


@pytest.mark.parametrize(
    ("status", "location", "reason"),
    [
        (200, None, None),
        (299, None, None),
        (204, "/elsewhere", None),
        (401, None, "PreflightInvalidStatus"),
        (404, None, "PreflightInvalidStatus"),
        (304, None, "PreflightInvalidStatus"),
        (308, "/mcp/", "PreflightDisallowedRedirect"),
        (302, "/login", "PreflightDisallowedRedirect"),
    ],
)
def test_the_answer_must_have_an_ok_status(
    browser: Browser, server: Server, status: int, location: str | None, reason: str | None
) -> None:
    server.preflight.status = status
    if location is not None:
        server.preflight.headers.append(("Location", location))
    if reason is None:
        assert browser.fetch("/mcp", "PUT").status == 200
        return
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp", "PUT")
    assert caught.value.reason == reason


@pytest.mark.parametrize("quirks", [None, "chromium"])
@pytest.mark.parametrize(
    ("method", "value", "credentials", "reason"),
    [
        ("PUT", "PUT", "omit", None),
        ("put", "PUT", "omit", None),
        ("PUT", "put", "omit", "MethodDisallowedByPreflightResponse"),
        ("PATCH", "PATCH", "omit", None),
        ("patch", "PATCH", "omit", "MethodDisallowedByPreflightResponse"),
        ("PATCH", "*", "omit", None),
        ("PATCH", "*", "include", "MethodDisallowedByPreflightResponse"),
        ("PATCH", ",, PUT ,\tPATCH,", "omit", None),
        ("PATCH", "PUT PATCH", "omit", "InvalidAllowMethodsPreflightResponse"),
        ("PATCH", None, "omit", "MethodDisallowedByPreflightResponse"),
        ("POST", None, "include", None),
        ("POST", "P@T(", "omit", "InvalidAllowMethodsPreflightResponse"),
    ],
)
def test_the_method_must_be_allowed(
    server: Server, quirks: Any, method: str, value: str | None, credentials: Any, reason: str | None
) -> None:
    allow(server, "Allow-Methods", value)
    allow(server, "Allow-Credentials", "true")
    server.actual.headers.append(("Access-Control-Allow-Credentials", "true"))
    browser = Browser(server, quirks=quirks)
    if reason is None:
        assert browser.fetch("/mcp", method, {"X-A": "1"}, credentials=credentials).status == 200
        return
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp", method, {"X-A": "1"}, credentials=credentials)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("headers", "value", "credentials", "refused"),
    [
        ({"X-A": "1"}, "x-a", "omit", None),
        ({"x-a": "1"}, "X-A,,", "omit", None),
        ({"X-A": "1"}, "*", "omit", None),
        ({"X-A": "1"}, "*", "include", "x-a"),
        ({"X-A": "1", "X-B": "1"}, "x-a", "omit", "x-b"),
        ({"X-B": "1", "X-A": "1"}, "", "omit", "x-b"),
        ({"Authorization": "b"}, "authorization", "omit", None),
        ({"Authorization": "b"}, "*, Authorization", "omit", None),
        ({"Authorization": "b"}, "*", "omit", "authorization"),
        ({"Authorization": "b"}, None, "omit", "authorization"),
        ({"Content-Type": "application/json"}, "x-a", "omit", "content-type"),
        ({"Content-Type": "text/plain", "X-A": "1"}, "x-a", "omit", None),
    ],
)
def test_every_unsafe_header_must_be_allowed(
    browser: Browser, server: Server, headers: dict[str, str], value: str | None, credentials: Any, refused: str | None
) -> None:
    allow(server, "Allow-Headers", value)
    allow(server, "Allow-Credentials", "true")
    server.actual.headers.append(("Access-Control-Allow-Credentials", "true"))
    if refused is None:
        assert browser.fetch("/mcp", headers=headers, credentials=credentials).status == 200
        return
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp", headers=headers, credentials=credentials)
    assert (caught.value.reason, caught.value.detail) == ("HeaderDisallowedByPreflightResponse", refused)
    assert caught.value.console_message.endswith(
        f"Request header field {refused} is not allowed by Access-Control-Allow-Headers in preflight response."
    )


def test_an_mcp_session_costs_one_preflight(browser: Browser) -> None:
    for method in ("POST", "POST", "GET", "DELETE"):
        browser.fetch("/mcp", method, {"X-A": "1"})
    assert preflights(browser) == 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("600", 600),
        ("0", 0),
        ("600, 600", 5),
    ],
)
def test_an_answer_is_kept_as_long_as_it_says(browser: Browser, server: Server, value: str | None, kept: int) -> None:
    allow(server, "Max-Age", value)
    browser.fetch("/mcp", "PUT")
    assert preflights(browser) == 1
    if kept:
        browser.clock += kept - 0.5
        browser.fetch("/mcp", "PUT")
        assert preflights(browser) == 0
    browser.clock += 0.5
    browser.fetch("/mcp", "PUT")
    assert preflights(browser) == 1


@pytest.mark.parametrize(
    "url", ["/mcp?x", "/mcp/", "https://other.example.com/mcp", "https://mcp.example.com:8443/mcp"]
)
def test_another_url_needs_its_own_preflight(browser: Browser, url: str) -> None:
    browser.fetch("/mcp", "PUT")
    browser.fetch(url, "PUT")
    assert preflights(browser) == 2


def test_an_answer_without_credentials_does_not_serve_a_request_with_them(browser: Browser, server: Server) -> None:
    allow(server, "Allow-Credentials", "true")
    server.actual.headers.append(("Access-Control-Allow-Credentials", "true"))
    for credentials, expected in (("omit", 1), ("same-origin", 0), ("include", 1), ("include", 0), ("omit", 0)):
        browser.fetch("/mcp", "PUT", credentials=credentials)  # type: ignore[arg-type]
        assert preflights(browser) == expected, credentials


def test_the_standard_keeps_every_word_by_itself_and_chromium_the_last_answer(
    browser: Browser, chromium_like: Browser, server: Server
) -> None:
    for client, expected in ((browser, 0), (chromium_like, 1)):
        for method in ("PUT", "DELETE"):
            allow(server, "Allow-Methods", method)
            client.fetch("/mcp", method)
        preflights(client)
        allow(server, "Allow-Methods", "PUT")
        client.fetch("/mcp", "PUT")
        assert preflights(client) == expected


def test_chromium_reads_a_kept_answer_as_for_its_own_request(chromium_like: Browser, server: Server) -> None:
    allow(server, "Allow-Credentials", "true")
    allow(server, "Allow-Methods", "PUT, *")
    server.actual.headers.append(("Access-Control-Allow-Credentials", "true"))
    # The answer to a request with credentials has no wildcard, so it does not cover PATCH without credentials.
    for method, credentials, expected in (("PUT", "include", 1), ("PATCH", "omit", 1), ("PATCH", "omit", 0)):
        chromium_like.fetch("/mcp", method, credentials=credentials)  # type: ignore[arg-type]
        assert preflights(chromium_like) == expected, (method, credentials)


def test_a_later_answer_changes_how_long_an_earlier_one_is_kept(browser: Browser, server: Server) -> None:
    allow(server, "Allow-Methods", "PUT, DELETE")
    browser.fetch("/mcp", "PUT")
    allow(server, "Max-Age", "100")
    allow(server, "Allow-Headers", "x-b")
    browser.fetch("/mcp", "PUT", {"X-B": "1"})
    assert preflights(browser) == 2
    browser.clock += 101
    browser.fetch("/mcp", "DELETE")
    assert preflights(browser) == 1


def test_a_failure_clears_the_cache_but_not_in_chromium(
    browser: Browser, chromium_like: Browser, server: Server
) -> None:
    good = list(server.actual.headers)
    for client, expected in ((browser, 1), (chromium_like, 0)):
        client.fetch("/mcp", "PUT")
        server.actual.headers = []
        with pytest.raises(CORSError):
            client.fetch("/mcp", "PUT")
        server.actual.headers = good
        preflights(client)
        client.fetch("/mcp", "PUT")
        assert preflights(client) == expected


def test_chromium_admits_authorization_under_a_wildcard_and_asks_every_time(
    chromium_like: Browser, server: Server
) -> None:
    allow(server, "Allow-Headers", "*")
    for _ in range(3):
        chromium_like.fetch("/mcp", headers={"Authorization": "b"})
    assert preflights(chromium_like) == 3
    for _ in range(3):
        chromium_like.fetch("/mcp", headers={"X-Any": "b"})
    assert preflights(chromium_like) == 0


def test_chromium_keeps_nothing_for_the_origin_null(server: Server) -> None:
    server.preflight = Answer(200, [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", "PUT")])
    server.actual = Answer(200, [("Access-Control-Allow-Origin", "null")])
    for quirks, expected in ((None, 1), ("chromium", 2)):
        browser = Browser(server, origin="null", quirks=quirks)  # type: ignore[arg-type]
        browser.fetch("/mcp", "PUT")
        browser.fetch("/mcp", "PUT")
        assert preflights(browser) == expected


@pytest.mark.parametrize("quirks", [None, "chromium", "firefox", "webkit"])
def test_every_refused_header_is_named(server: Server, quirks: Any) -> None:
    """The message has the first in the order sent; the engines choose one of them by orders of their own."""
    allow(server, "Allow-Headers", "x-b")
    with pytest.raises(CORSError) as caught:
        Browser(server, quirks=quirks).fetch("/mcp", "PUT", {"X-C": "1", "x-b": "2", "X-A": "3"})
    assert caught.value.detail == "x-c"
    assert caught.value.offending == ("x-c", "x-a")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, {None: 5, "chromium": 5, "firefox": 5, "webkit": 5}),
        ("60", {None: 60, "chromium": 60, "firefox": 60, "webkit": 60}),
        ("86400", {None: 7200, "chromium": 7200, "firefox": 86400, "webkit": 600}),
        ("100000", {None: 7200, "chromium": 7200, "firefox": 86400, "webkit": 600}),
        ("-1", {None: 5, "chromium": 0, "firefox": 0, "webkit": 0}),
        ("+2", {None: 5, "chromium": 2, "firefox": 0, "webkit": 2}),
        ("1.5", {None: 5, "chromium": 5, "firefox": 0, "webkit": 5}),
        ("9" * 30, {None: 7200, "chromium": 5, "firefox": 86400, "webkit": 5}),
        ("9223372036854775807", {None: 7200, "chromium": 7200, "firefox": 86400, "webkit": 600}),
        ("soon", {None: 5, "chromium": 5, "firefox": 0, "webkit": 5}),
        ("", {None: 5, "chromium": 5, "firefox": 5, "webkit": 5}),
    ],
)
def test_how_long_each_engine_keeps_an_answer(value: str | None, kept: dict[Any, int]) -> None:
    for engine, seconds in kept.items():
        quirks = QUIRKS[engine] if engine else frozenset()
        assert parse_max_age(value, quirks) == seconds, engine


def test_a_method_in_lower_case_is_the_pages_fault(server: Server) -> None:
    """``"patch"`` is a method of its own, and no server has it."""
    allow(server, "Allow-Methods", "PATCH")
    with pytest.raises(CORSError) as caught:
        Browser(server).fetch("/mcp", "patch")
    assert caught.value.advice == 'Write "PATCH" in the page: browsers send "patch" as it is written.'
    assert str(caught.value).endswith(caught.value.advice)
    allow(server, "Allow-Methods", "PUT")
    with pytest.raises(CORSError) as caught:
        Browser(server).fetch("/mcp", "PATCH")
    assert caught.value.advice == ""
