"""A Flask app with our hooks inside an ASGI app with our door, through each WSGI adapter that people use.

An adapter makes a new environ, and runs the application in a copy of the context. If it did not, the outer
door would put its own headers over those of the inner one, and open what that keeps shut.
"""

from __future__ import annotations

import asyncio
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pages import APP

from flask_mcp_cors import asgi
from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import MCPCors

OTHER = "https://other.example.com"
ADAPTERS = {
    "a2wsgi": ("a2wsgi", "WSGIMiddleware"),
    "asgiref": ("asgiref.wsgi", "WsgiToAsgi"),
    "starlette": ("starlette.middleware.wsgi", "WSGIMiddleware"),
}


@pytest.fixture(params=ADAPTERS)
def adapt(request: pytest.FixtureRequest) -> Any:
    module, name = ADAPTERS[request.param]
    pytest.importorskip(module.partition(".")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette says that its own is deprecated
        return getattr(importlib.import_module(module), name)


def make_flask(inside: str, **settings: Any) -> Any:
    app = Flask("inside")

    @app.post("/mcp")
    def mcp() -> str:
        return "ok"

    if inside == "middleware":
        return CORSMiddleware(app, **settings)
    MCPCors(app, **settings, wrap_wsgi=inside == "wrap_wsgi")
    return app


def ask(app: Callable[..., Any], origin: str | None, method: str = "POST", path: str = "/mcp") -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []
    headers = [(b"host", b"mcp.example.com")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 5000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names)), names
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize("inside", ["hooks", "wrap_wsgi", "middleware"])
class TestInside:
    def test_the_inner_ones_headers_are_sent_and_each_once(self, adapt: Any, inside: str) -> None:
        flask = make_flask(inside, origins=APP, hosts="*", expose_headers="X-Inner")
        app = asgi.CORSMiddleware(adapt(flask), origins=[APP, OTHER], hosts="*", expose_headers="X-Outer")
        status, headers = ask(app, APP)
        assert (status, headers[b"access-control-allow-origin"]) == (200, APP.encode())
        assert headers[b"access-control-expose-headers"] == b"X-Inner"

    @pytest.mark.parametrize(("validate_origin", "status"), [(True, 403), (False, 200)])
    def test_the_outer_one_does_not_open_what_the_inner_one_keeps_shut(
        self, adapt: Any, inside: str, validate_origin: bool, status: int
    ) -> None:
        flask = make_flask(inside, origins=APP, hosts="*", validate_origin=validate_origin)
        app = asgi.CORSMiddleware(adapt(flask), origins=[APP, OTHER], hosts="*")
        answer, headers = ask(app, OTHER)
        assert answer == status
        assert b"access-control-allow-origin" not in headers

    def test_where_the_inner_one_does_not_govern_the_outer_one_does(self, adapt: Any, inside: str) -> None:
        flask = make_flask(inside, origins=OTHER, hosts="*", paths="/elsewhere")
        app = asgi.CORSMiddleware(adapt(flask), origins=APP, hosts="*")
        assert ask(app, APP)[1][b"access-control-allow-origin"] == APP.encode()

    def test_a_404_of_the_inner_one_is_readable(self, adapt: Any, inside: str) -> None:
        flask = make_flask(inside, origins=APP, hosts="*")
        app = asgi.CORSMiddleware(adapt(flask), origins=APP, hosts="*")
        status, headers = ask(app, APP, path="/nowhere")
        assert (status, headers[b"access-control-allow-origin"]) == (404, APP.encode())


def test_a_flask_app_without_the_extension_gets_the_outer_headers(adapt: Any) -> None:
    app = asgi.CORSMiddleware(adapt(Flask("bare")), origins=APP, hosts="*")
    status, headers = ask(app, APP)
    assert (status, headers[b"access-control-allow-origin"]) == (404, APP.encode())
