"""What each console says about the usual mistakes: as measured in the engines, and as the documentation quotes it."""

from __future__ import annotations

from typing import Any

import pytest
from written_server import APP
from written_server import Server

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

URL = "https://mcp.example.com/mcp"
FIREFOX = (
    f"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at {URL}. (Reason: "
)


def make_mistake(server: Server, mistake: dict[str, Any]) -> None:
    """Change status and ``Location`` of the preflight's answer, and ``Access-Control-*`` of both (``None``: remove)."""
    server.preflight.status = mistake.pop("status", server.preflight.status)
    if location := mistake.pop("location", None):
        server.preflight.headers.append(("Location", location))
    for name, value in mistake.items():
        for answer in (server.preflight, server.actual):
            answer.headers[:] = [pair for pair in answer.headers if pair[0] != f"Access-Control-{name}"]
            answer.headers += [] if value is None else [(f"Access-Control-{name}", value)]


@pytest.mark.parametrize(
    ("mistake", "init", "firefox", "webkit"),
    [
        (
            {"Allow-Origin": None},
            {},
            "CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 200.",
            f"Origin {APP} is not allowed by Access-Control-Allow-Origin. Status code: 200",
        ),
        (
            {"status": 401},
            {"method": "PUT"},
            "CORS preflight response did not succeed). Status code: 401.",
            "Preflight response is not successful. Status code: 401",
        ),
        (
            {"Allow-Origin": "https://other.example"},
            {},
            "CORS header ‘Access-Control-Allow-Origin’ does not match ‘https://other.example’).",
            f"Origin {APP} is not allowed by Access-Control-Allow-Origin. Status code: 200",
        ),
        (
            {"Allow-Credentials": "false"},
            {"credentials": "include"},
            "expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’).",
            'Credentials flag is true, but Access-Control-Allow-Credentials is not "true".',
        ),
        (
            {"status": 308, "location": f"{URL}/"},
            {"method": "PUT"},
            "CORS request external redirect not allowed).",
            "Preflight response is not successful. Status code: 308",
        ),
        (
            {"Allow-Origin": None, "status": 308, "location": f"{URL}/"},
            {"method": "PUT"},
            "CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 308.",
            "Preflight response is not successful. Status code: 308",
        ),
        (
            {"Allow-Origin": "https://other.example", "status": 308, "location": f"{URL}/"},
            {"method": "PUT"},
            "CORS header ‘Access-Control-Allow-Origin’ does not match ‘https://other.example’).",
            "Preflight response is not successful. Status code: 308",
        ),
        (
            {"Allow-Methods": "GET", "Allow-Headers": "X A"},
            {"method": "PUT"},
            "Did not find method in CORS header ‘Access-Control-Allow-Methods’).",
            "Header Access-Control-Allow-Headers has an invalid value: X A",
        ),
        (
            {"Allow-Methods": "GET"},
            {"method": "PUT"},
            "Did not find method in CORS header ‘Access-Control-Allow-Methods’).",
            "Method PUT is not allowed by Access-Control-Allow-Methods.",
        ),
        (
            {"Allow-Headers": "X-B"},
            {"headers": {"X-A": "1"}},
            "header ‘x-a’ is not allowed according to header ‘Access-Control-Allow-Headers’ from CORS preflight "
            "response).",
            "Request header field X-A is not allowed by Access-Control-Allow-Headers.",
        ),
    ],
)
def test_the_words(server: Server, mistake: dict[str, Any], init: dict[str, Any], firefox: str, webkit: str) -> None:
    make_mistake(server, mistake.copy())
    for engine, expected in (("firefox", FIREFOX + firefox), ("webkit", webkit)):
        with pytest.raises(CORSError) as caught:
            Browser(server, quirks=engine).fetch("/mcp", **init)  # type: ignore[arg-type]
        assert caught.value.console_message == expected


def test_a_wildcard_with_credentials(server: Server) -> None:
    """Firefox puts the URL into quotation marks here."""
    make_mistake(server, {"Allow-Origin": "*"})
    said = {}
    for engine in ("firefox", "webkit"):
        with pytest.raises(CORSError) as caught:
            Browser(server, quirks=engine).fetch("/mcp", credentials="include")  # type: ignore[arg-type]
        said[engine] = caught.value.console_message
    assert said == {
        "firefox": (
            f"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at ‘{URL}’. "
            "(Reason: Credential is not supported if the CORS header ‘Access-Control-Allow-Origin’ is ‘*’)."
        ),
        "webkit": "Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true.",
    }


@pytest.mark.parametrize(
    ("engine", "url", "message"),
    [
        (
            "chromium",
            "http://foreign.example/x#f",
            "Mixed Content: The page at 'https://app.example.com/' was loaded over HTTPS, but requested an insecure "
            "resource 'http://foreign.example/x'. This request has been blocked; the content must be served over "
            "HTTPS.",
        ),
        (
            "firefox",
            "http://foreign.example/x#f",
            "Blocked loading mixed active content “http://foreign.example/x#f”",
        ),
        (
            "webkit",
            "http://foreign.example/x#f",
            "[blocked] The page at https://app.example.com/ requested insecure content from http://foreign.example/x. "
            "This content was blocked and must be served over HTTPS.",
        ),
        (
            "webkit",
            "http://localhost:5000/mcp",
            "[blocked] The page at https://app.example.com/ requested insecure content from "
            "http://localhost:5000/mcp. This content was blocked and must",
        ),
    ],
)
def test_mixed_content(server: Server, engine: Any, url: str, message: str) -> None:
    with pytest.raises(CORSError) as caught:
        Browser(server, quirks=engine).fetch(url)
    assert caught.value.console_message == message
    assert server.requests == []


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("chromium", "Failed to load resource: net::ERR_CONNECTION_REFUSED"),
        (
            "firefox",
            FIREFOX.replace(URL, "http://127.0.0.1:9999/mcp") + "CORS request did not succeed). Status code: (null).",
        ),
        ("webkit", "Load failed"),
    ],
)
def test_a_server_that_is_not_there(engine: Any, message: str) -> None:
    class Refusing:
        def send(self, request: object) -> Any:
            raise ConnectionRefusedError

    browser = Browser(Refusing(), base_url="http://127.0.0.1:9999", origin="http://127.0.0.1:1234", quirks=engine)
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp")
    assert caught.value.console_message == message
    if engine == "webkit":
        # It says more of a preflight.
        message = "Could not connect to 127.0.0.1: Connection refused"
    with pytest.raises(CORSError) as caught:
        browser.fetch("/mcp", "POST", json={})
    assert caught.value.console_message == message
