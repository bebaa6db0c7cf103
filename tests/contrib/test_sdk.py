"""The bridge from the MCP SDK's ASGI app to a Flask view, in the places where such bridges go wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("mcp", reason="the bridge is tested with the MCP SDK: pip install 'mcp>=2.3'")

from flask import Flask
from flask import request
from flask.testing import FlaskClient
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.serving import make_server

from flask_mcp_cors.contrib import sdk
from flask_mcp_cors.contrib.sdk import SDKBridge

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def app_with(bridge: SDKBridge) -> Flask:
    """A Flask app; the header ``X-Caller`` says who asks."""
    app = Flask(__name__)

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp() -> Any:
        return bridge.respond(caller=request.headers.get("X-Caller"))

    return app


def asgi(endpoint: Callable[..., Any], **settings: Any) -> SDKBridge:
    """A bridge to a bare ASGI endpoint."""
    return SDKBridge(lambda: Starlette(routes=[Mount("/", endpoint)], **settings))


@pytest.fixture
def client() -> FlaskClient:
    """A client of an app with the SDK behind it."""
    server = MCPServer("test", log_level="ERROR")
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return app_with(SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))).test_client()


def open_session(client: FlaskClient, **headers: str) -> dict[str, str]:
    """Initialize a session; the headers of its further requests."""
    hello = client.post("/mcp", json=HELLO, headers=ACCEPT | headers)
    assert hello.status_code == 200
    session = {"Mcp-Session-Id": hello.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert client.post("/mcp", json=initialized, headers=ACCEPT | session | headers).status_code == 202
    return ACCEPT | session


def first_chunk(response: TestResponse) -> bytes:
    return next(iter(response.response))  # type: ignore[arg-type, return-value]  # a stream of bytes


def test_a_silent_event_stream_starts_at_once(client: FlaskClient) -> None:
    """The first chunk, and with it the headers, does not wait for the first event."""
    start = time.monotonic()
    response = client.get("/mcp", headers=open_session(client))
    assert first_chunk(response) == b": open\n\n"
    assert time.monotonic() - start < 5
    assert response.content_type.startswith("text/event-stream")
    response.close()


def test_hop_by_hop_headers_stay_behind(client: FlaskClient) -> None:
    """The SDK sends ``Connection: keep-alive``, which is not its to say here."""
    response = client.get("/mcp", headers=open_session(client))
    assert "Connection" not in response.headers
    response.close()


def test_the_sdk_hears_that_a_client_has_left(client: FlaskClient) -> None:
    """A session may have one GET stream; a second one is possible as soon as the first is known to be over."""
    session = open_session(client)
    first = client.get("/mcp", headers=session)
    first_chunk(first)
    assert client.get("/mcp", headers=session).status_code == 409
    first.close()

    for _ in range(100):
        again = client.get("/mcp", headers=session)
        again.close()
        if again.status_code == 200:
            break
        time.sleep(0.05)
    assert again.status_code == 200


def test_no_answer_is_a_500(client: FlaskClient) -> None:
    """The SDK sends nothing at all to ``Last-Event-ID`` without an event store."""
    response = client.get("/mcp", headers=open_session(client) | {"Last-Event-ID": "1"})
    assert response.status_code == 500


def test_a_session_belongs_to_its_caller(client: FlaskClient) -> None:
    """Somebody else who knows its id finds no such session."""
    session = open_session(client, **{"X-Caller": "alice"})
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    assert client.post("/mcp", json=ping, headers=session | {"X-Caller": "alice"}).status_code == 200
    assert client.post("/mcp", json=ping, headers=session | {"X-Caller": "mallory"}).status_code == 404
    assert client.post("/mcp", json=ping, headers=session).status_code == 404


def test_an_answer_without_content_type_has_none(client: FlaskClient) -> None:
    """Flask would call it HTML."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body"})

    response = app_with(asgi(bare)).test_client().post("/mcp")
    assert (response.status_code, response.data, response.content_type) == (202, b"", None)


def test_an_exception_in_the_asgi_app_is_a_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Starlette answers it and raises it; the log has the traceback."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("broken")

    assert app_with(asgi(broken)).test_client().post("/mcp").status_code == 500
    for _ in range(1000):
        if "RuntimeError: broken" in caplog.text:
            break
        time.sleep(0.02)
    assert "RuntimeError: broken" in caplog.text


def test_an_exception_in_the_middle_breaks_the_stream_off() -> None:
    """A clean end would tell the client that it has everything."""

    async def breaking(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("broken")

    response = app_with(asgi(breaking)).test_client().post("/mcp")
    chunks = iter(response.response)
    assert next(chunks) == b"half"
    with pytest.raises(RuntimeError, match="broken"):
        next(chunks)
    response.close()


def test_the_body_is_read_whole() -> None:
    """And handed over in one piece; what follows is the end."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message["more_body"] is False
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Method", scope["method"].encode())]})
        await send({"type": "http.response.body", "body": message["body"]})

    response = app_with(asgi(echo)).test_client().post("/mcp", data=b"x" * 200_000)
    assert response.data == b"x" * 200_000
    assert response.headers["X-Method"] == "POST"


def test_an_endpoint_is_chosen_by_its_path() -> None:
    """The path of the bridge is the default of the path of an answer."""

    async def name(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode() + scope["raw_path"]})

    bridge = SDKBridge(lambda: Starlette(routes=[Mount("/", name)]), path="/one")
    with Flask(__name__).test_request_context("/anything"):
        assert bridge.respond().data == b"/one/one"
        assert bridge.respond(path="/two").data == b"/two/two"


def test_a_long_stream_arrives_whole() -> None:
    """Longer than the app may run ahead."""
    chunks = [b"%d" % number for number in range(3 * sdk.MESSAGES_AHEAD)]

    async def long(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    assert app_with(asgi(long)).test_client().post("/mcp").data == b"".join(chunks)


def test_a_slow_client_holds_the_asgi_app_back() -> None:
    """The app runs only so far ahead; when the client leaves, its ``send`` does not wait any more."""
    sent = 0
    over = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.create_task(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent += 1
            await asyncio.sleep(0)
        assert leaving.result() == {"type": "http.disconnect"}
        over.set()

    response = app_with(asgi(endless)).test_client().post("/mcp")
    assert first_chunk(response) == b"x"
    time.sleep(0.2)
    assert sent <= sdk.MESSAGES_AHEAD + 2
    response.close()
    assert over.wait(5)


def test_the_lifespan_is_entered_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first request, and again in a process that was forked off."""
    entered = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        entered.append(os.getpid())
        yield

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    client = app_with(asgi(bare, lifespan=lifespan)).test_client()
    assert entered == []
    assert client.get("/mcp").status_code == client.get("/mcp").status_code == 204
    assert entered == [os.getpid()]

    monkeypatch.setattr(sdk.os, "getpid", lambda: -1)
    assert client.get("/mcp").status_code == 204
    assert entered[1:] == [-1]


def test_a_lifespan_that_fails_is_an_error_not_a_hang() -> None:
    """And the next request tries again."""
    attempts = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        attempts.append(1)
        raise RuntimeError("not now")
        yield

    app = app_with(asgi(lambda *_: None, lifespan=lifespan))
    app.testing = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not now"):
            app.test_client().get("/mcp")
    assert len(attempts) == 2


def test_white_space_at_the_end_of_a_header_value_is_left_out() -> None:
    """werkzeug's server passes it on, although it is no part of the value (RFC 9110, section 5.5)."""
    seen: dict[bytes, bytes] = {}

    async def note(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server = make_server("127.0.0.1", 0, app_with(asgi(note)), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
            connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nMcp-Method: \t tools/list \t \r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 204"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen[b"mcp-method"] == b"tools/list"


def test_importing_the_bridge_imports_no_sdk() -> None:
    """The module can be read without the extra, and the package does not import the module."""
    code = "import sys, flask_mcp_cors; a = 'flask_mcp_cors.contrib' in sys.modules;"
    code += "import flask_mcp_cors.contrib.sdk; print(a, 'mcp' in sys.modules, 'starlette' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3
