"""The middleware under real ASGI servers: preflights, 401, crashes, websockets, and events as they happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from served_asgi import PAGE

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import HTTPTransport

PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture(scope="module")
def url(serving: Callable[..., Any]) -> Iterator[str]:
    with serving("served_asgi") as url:
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    yield connection
    connection.close()


def test_preflight_and_call_go_over_one_connection(connection: HTTPConnection) -> None:
    connection.request("OPTIONS", "/mcp", headers=PREFLIGHT)
    response = connection.getresponse()
    assert (response.status, response.read(), response.getheader("Content-Type")) == (200, b"", None)
    assert response.getheader("Access-Control-Allow-Origin") == PAGE
    connection.request("POST", "/mcp", "{}", {"Origin": PAGE})
    response = connection.getresponse()
    assert (response.status, response.read()) == (401, b"no token")
    assert response.headers.get_all("Access-Control-Allow-Origin") == [PAGE]


def test_a_foreign_page_is_refused(connection: HTTPConnection) -> None:
    for method in ("POST", "HEAD"):
        connection.request(method, "/mcp", headers={"Origin": "https://evil.example"})
        response = connection.getresponse()
        body = response.read()
        assert (response.status, response.getheader("Access-Control-Allow-Origin")) == (403, None)
        if method == "POST":
            assert json.loads(body)["error"]["data"] == {"reason": "origin_not_allowed"}


def test_a_repeated_origin_and_a_folded_name_are_no_way_in(connection: HTTPConnection) -> None:
    connection.putrequest("POST", "/mcp")
    for value in (PAGE, PAGE):
        connection.putheader("Origin", value)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    assert response.status == 403
    connection.request("POST", "/mcp", headers={"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"})
    response = connection.getresponse()
    response.read()
    assert response.status == 403


def test_a_crash_is_readable(url: str) -> None:
    response = Browser(HTTPTransport(), origin=PAGE, base_url=url).fetch("/crash")
    assert (response.type, response.status, response.text) == ("cors", 500, "Internal Server Error")


@pytest.mark.parametrize(
    ("origin", "status"), [(PAGE, 101), ("https://evil.example", 403), ("null", 403)], ids=["own", "foreign", "null"]
)
def test_websockets_of_foreign_pages_are_refused(connection: HTTPConnection, origin: str, status: int) -> None:
    connection.request("GET", "/ws", headers={**UPGRADE, "Origin": origin})
    assert connection.getresponse().status == status


def test_events_arrive_as_they_are_sent(url: str) -> None:
    page = Browser(HTTPTransport(), origin=PAGE, base_url=url)
    response = page.fetch("/events", headers={"Accept": "text/event-stream"})
    chunks = response.chunks()
    assert next(chunks) == b"data: first\n\n"
    # A client that goes away is the application's affair: it hears of it.
    response.close()
    assert page.fetch("/gone").text == "gone"

    response = page.fetch("/events", headers={"Accept": "text/event-stream"})
    chunks = response.chunks()
    assert next(chunks) == b"data: first\n\n"
    assert page.fetch("/gate").text == "open"
    assert b"".join(chunks) == b"data: second\n\n"
    response.close()
