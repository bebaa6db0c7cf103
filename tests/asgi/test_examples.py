"""The example files of the documentation, under uvicorn and granian, as a page sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport

TOKEN = {"Authorization": "Bearer token-of-the-tests"}
PAGE = "https://red.example"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "page", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}
SETTINGS = {"MCP_TOKEN": TOKEN["Authorization"].removeprefix("Bearer "), "ORIGINS": PAGE}


def call(page: Browser, path: str, message: dict[str, Any], headers: dict[str, str]) -> Any:
    """The result of one call, out of a body or of an event stream."""
    response = page.fetch(path, "POST", {**ACCEPT, **TOKEN, **headers}, json=message)
    assert response.status == 200
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = next(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {"))
    return json.loads(text)["result"], response


def converse(page: Browser, path: str, tool: str, arguments: dict[str, Any]) -> Any:
    """A session: from the first 401 to the closing ``DELETE``; what the tool said."""
    refused = page.fetch(path, "POST", ACCEPT, json=INITIALIZE)
    assert (refused.type, refused.status) == ("cors", 401)
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    _, opened = call(page, path, INITIALIZE, {})
    session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert page.fetch(path, "POST", {**ACCEPT, **TOKEN, **session}, json=done).status == 202
    request = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }
    result, _ = call(page, path, request, session)
    assert page.fetch(path, "DELETE", {**TOKEN, **session}).status == 200
    return result["content"][0]["text"]


def preflights(page: Browser) -> int:
    return sum(exchange.is_preflight for exchange in page.network)


def test_the_sdk_beside_flask(serving: Callable[..., Any]) -> None:
    with serving("sdk_beside_flask", **SETTINGS) as url:
        page = Browser(HTTPTransport(), origin=PAGE, base_url=url)
        assert converse(page, "/mcp", "calculateSum", {"a": 19, "b": 23}) == "42"
        assert preflights(page) == 1
        metadata = page.fetch("/.well-known/oauth-protected-resource/mcp").json()
        assert metadata["resource"] == f"{url}/mcp"
        assert page.fetch("/api/hello").json() == {"hello": "from Flask"}
        assert page.fetch("/nowhere").status == 404

        foreign = Browser(HTTPTransport(), origin="https://evil.example", base_url=url)
        for path in ("/mcp", "/api/hello"):
            with pytest.raises(CORSError):
                foreign.fetch(path, "POST", TOKEN, json=INITIALIZE)
        assert [exchange.response.status for exchange in foreign.network] == [403, 403]


def test_the_gateway(serving: Callable[..., Any]) -> None:
    with serving("asgi_gateway", **SETTINGS) as url:
        page = Browser(HTTPTransport(), origin=PAGE, base_url=url)
        assert converse(page, "/servers/red/mcp", "where", {}) == "red"
        assert preflights(page) == 1
        with pytest.raises(CORSError):
            page.fetch("/servers/blue/mcp", "POST", TOKEN, json=INITIALIZE)
        blue = Browser(HTTPTransport(), origin="https://blue.example", base_url=url)
        assert converse(blue, "/servers/blue/mcp", "where", {}) == "blue"
