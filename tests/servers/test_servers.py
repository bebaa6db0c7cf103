"""What a page gets from a real server: the preflight, the 401, a call, and events as they happen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from http.client import HTTPResponse
from typing import Any

import pytest
from served_app import PAGE
from served_app import TOKEN

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import HTTPTransport

AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(params=["hooks", "wrapped"])
def path(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}/mcp"


@pytest.fixture
def browser(server: Any) -> Browser:
    return Browser(HTTPTransport(), origin=PAGE, base_url=server.url)


@pytest.fixture
def connection(server: Any) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


def cors_headers(response: HTTPResponse) -> list[tuple[str, str]]:
    return sorted((k.lower(), v) for k, v in response.getheaders() if k.lower().startswith("access-control-"))


def test_a_preflight_is_answered(connection: HTTPConnection, path: str) -> None:
    connection.request("OPTIONS", path, headers=PREFLIGHT)
    response = connection.getresponse()
    assert (response.status, response.read(), response.getheader("Content-Type")) == (200, b"", None)
    assert [name for name, _ in cors_headers(response)] == [
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-max-age",
    ]


def test_a_plain_options_is_not(connection: HTTPConnection, path: str) -> None:
    connection.request("OPTIONS", path, headers={"Origin": PAGE})
    response = connection.getresponse()
    response.read()
    assert response.status == 401


def test_preflight_and_call_go_over_one_connection(connection: HTTPConnection, path: str) -> None:
    """As a browser's do, where the server keeps connections open."""
    connection.request("OPTIONS", path, headers=PREFLIGHT)
    assert connection.getresponse().read() == b""
    headers = {"Origin": PAGE, "Content-Type": "application/json", **AUTHORIZATION}
    connection.request("POST", path, json.dumps({"a": 1}), headers)
    response = connection.getresponse()
    assert (response.status, json.load(response)["result"]) == (200, {"a": 1})


def test_a_page_reads_the_401(browser: Browser, path: str) -> None:
    response = browser.fetch(path, "POST", json={})
    assert (response.type, response.status) == ("cors", 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="served_app"'


def test_a_page_calls(browser: Browser, path: str) -> None:
    response = browser.fetch(path, "POST", AUTHORIZATION, json={"a": 1})
    assert (response.status, response.json()["result"]) == (200, {"a": 1})
    assert [exchange.is_preflight for exchange in browser.network] == [True, False]


def test_a_page_gets_the_first_event_before_there_is_a_second(browser: Browser, server: Any, path: str) -> None:
    response = browser.fetch(path, headers={"Accept": "text/event-stream", **AUTHORIZATION})
    assert (response.type, response.status) == ("cors", 200)
    chunks = response.chunks()
    assert next(chunks) == b"data: first\n\n"
    server.gate.write_bytes(b"")  # now the second may come
    assert b"".join(chunks) == b"data: second\n\n"
    response.close()


def test_a_foreign_page_is_refused(connection: HTTPConnection, path: str) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json", **AUTHORIZATION}
    connection.request("POST", path, "{}", headers)
    response = connection.getresponse()
    assert (response.status, json.load(response)["error"]["data"]) == (403, {"reason": "origin_not_allowed"})
    assert cors_headers(response) == []
