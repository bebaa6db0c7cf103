"""The example files of the documentation, under uvicorn and granian, as a page sees them."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ROOT = Path(__file__).parents[2]
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
COMMANDS = {
    "uvicorn": ["uvicorn", "--factory", "--log-level", "warning", "--port"],
    "granian": ["granian", "--interface", "asgi", "--factory", "--port"],
}


@contextmanager
def serving(server: str, module: str, folder: Path) -> Iterator[str]:
    """Run an example until the block ends; its base URL."""
    if importlib.util.find_spec(server) is None:
        if os.environ.get("REQUIRE_COMPAT") == "1":
            pytest.fail(f"{server} is not installed", pytrace=False)
        pytest.skip(f"{server} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(ROOT)]),
        "MCP_TOKEN": TOKEN["Authorization"].removeprefix("Bearer "),
        "ORIGINS": PAGE,
        "PUBLIC_URL": url,
    }
    log = folder / f"{server}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[server], str(port), f"{module}:create_app"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{server} does not start:\n{log.read_text()}", pytrace=False)
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=COMMANDS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


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


def test_the_sdk_beside_flask(server: str, tmp_path: Path) -> None:
    with serving(server, "sdk_beside_flask", tmp_path) as url:
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


def test_the_gateway(server: str, tmp_path: Path) -> None:
    with serving(server, "asgi_gateway", tmp_path) as url:
        page = Browser(HTTPTransport(), origin=PAGE, base_url=url)
        assert converse(page, "/servers/red/mcp", "where", {}) == "red"
        assert preflights(page) == 1
        with pytest.raises(CORSError):
            page.fetch("/servers/blue/mcp", "POST", TOKEN, json=INITIALIZE)
        blue = Browser(HTTPTransport(), origin="https://blue.example", base_url=url)
        assert converse(blue, "/servers/blue/mcp", "where", {}) == "blue"
