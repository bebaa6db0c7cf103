"""Starlette and connexion: where the layer stands, and who is told when it stands in the wrong place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pages import APP
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from flask_mcp_cors.asgi import CORSMiddleware

POLICY: dict[str, Any] = {"origins": APP, "hosts": "mcp.example.com"}
FROM_APP = {"Origin": APP}
PREFLIGHT = {**FROM_APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


class BearerMiddleware:
    """Authentication as gateways have it: around everything."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"authorization", b"Bearer good") not in scope["headers"]:
            await Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def mcp(request: Any) -> Response:
    return JSONResponse({"path": request.url.path})


async def broken(request: Any) -> Response:
    raise LookupError("broken")


async def echo(websocket: Any) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def routes() -> list[Any]:
    return [Route("/mcp", mcp, methods=["POST"]), Route("/broken", broken), WebSocketRoute("/ws", echo)]


def client(app: Any, **more: Any) -> TestClient:
    return TestClient(app, base_url="https://mcp.example.com", **more)


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    yield lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def check(app: Any) -> None:
    """The preflight is answered, the 401 and the call are readable."""
    asking = client(app)
    assert asking.options("/mcp", headers=PREFLIGHT).headers["access-control-allow-origin"] == APP
    refused = asking.post("/mcp", headers=FROM_APP)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, APP)
    called = asking.post("/mcp", headers={**FROM_APP, "Authorization": "Bearer good"})
    assert (called.status_code, called.headers["access-control-allow-origin"]) == (200, APP)


EVIL = {"Origin": "https://evil.example"}
TOKEN = {"Authorization": "Bearer good"}


@pytest.mark.parametrize("how", ["around", "add_middleware"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("OPTIONS", "/mcp", PREFLIGHT, 200, id="preflight"),
        pytest.param("OPTIONS", "/nowhere", PREFLIGHT, 200, id="preflight-of-a-path-nobody-serves"),
        pytest.param("OPTIONS", "/mcp", {**PREFLIGHT, **EVIL}, 403, id="foreign-preflight"),
        pytest.param("OPTIONS", "/mcp", {**PREFLIGHT, "Host": "rebound.example"}, 421, id="preflight-at-another-host"),
        pytest.param("OPTIONS", "/mcp", FROM_APP, 401, id="options-of-a-page"),
        pytest.param("OPTIONS", "/mcp", {}, 401, id="options"),
        pytest.param("OPTIONS", "/mcp", {"Access-Control-Request-Method": "POST"}, 401, id="options-without-origin"),
        pytest.param("OPTIONS", "/mcp", TOKEN, 405, id="options-with-a-token"),
        pytest.param("POST", "/mcp", FROM_APP, 401, id="call"),
        pytest.param("POST", "/mcp", {**FROM_APP, "Access-Control-Request-Method": "GET"}, 401, id="no-preflight"),
        pytest.param("POST", "/mcp", {**FROM_APP, **TOKEN}, 200, id="call-with-a-token"),
        pytest.param("POST", "/mcp", TOKEN, 200, id="call-of-no-page"),
        pytest.param("POST", "/mcp", EVIL, 403, id="foreign-call"),
        pytest.param("POST", "/mcp", {**EVIL, **TOKEN}, 403, id="foreign-call-with-a-token"),
        pytest.param("POST", "/mcp", {**TOKEN, "Host": "rebound.example"}, 421, id="rebound"),
        pytest.param("POST", "/nowhere", FROM_APP, 401, id="a-path-nobody-serves"),
    ],
)
def test_who_is_answered_before_authentication(
    how: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    app: Any = Starlette(routes=routes(), middleware=[Middleware(BearerMiddleware)])
    if how == "around":
        app = CORSMiddleware(app, **POLICY)
    else:
        app.add_middleware(CORSMiddleware, **POLICY)
    answer = client(app).request(method, path, headers=headers)
    assert answer.status_code == status
    readable = headers.get("Origin") == APP and status != 421
    assert answer.headers.get_list("access-control-allow-origin") == ([APP] if readable else [])


def test_added_last_it_is_outermost(warnings_of: Any) -> None:
    app = Starlette(routes=routes())
    app.add_middleware(BearerMiddleware)
    app.add_middleware(CORSMiddleware, **POLICY)
    check(app)
    assert warnings_of() == []


def test_around_the_whole_app_it_is_outermost_too(warnings_of: Any) -> None:
    check(CORSMiddleware(Starlette(routes=routes(), middleware=[Middleware(BearerMiddleware)]), **POLICY))
    assert warnings_of() == []


ADVICE = (
    "BearerMiddleware sees preflights before CORSMiddleware does, and its own answers get no CORS headers: wrap the "
    "whole app, as app = CORSMiddleware(app, ...), or call add_middleware(CORSMiddleware, ...) last"
)


@pytest.mark.parametrize("lifespan", [True, False], ids=["at-start", "at-the-first-request"])
def test_a_layer_that_was_added_later_is_named(warnings_of: Any, lifespan: bool) -> None:
    app = Starlette(routes=routes())
    app.add_middleware(CORSMiddleware, **POLICY)
    app.add_middleware(BearerMiddleware)
    app.add_middleware(GZipMiddleware)  # it never answers by itself
    if lifespan:
        with client(app):
            assert warnings_of() == [ADVICE]
    for _ in range(2):
        client(app).post("/mcp", headers={**FROM_APP, "Authorization": "Bearer good"})
    assert warnings_of() == [ADVICE]


def test_around_one_mounted_app_all_layers_are_outside(warnings_of: Any) -> None:
    inner = CORSMiddleware(Route("/mcp", mcp, methods=["POST"]).app, **POLICY)
    app = Starlette(routes=[Mount("/api", app=inner)], middleware=[Middleware(BearerMiddleware)])
    client(app).post("/api/mcp", headers={**FROM_APP, "Authorization": "Bearer good"})
    assert warnings_of() == [ADVICE]


def test_in_a_mounted_app_paths_begin_at_the_mount_point() -> None:
    inner = Starlette(routes=routes(), middleware=[Middleware(CORSMiddleware, **POLICY, paths="/mcp")])
    app = Starlette(routes=[Mount("/api", app=inner)])
    assert client(app).options("/api/mcp", headers=PREFLIGHT).status_code == 200
    assert client(app).post("/api/mcp", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client(app).options("/api/broken", headers=PREFLIGHT).status_code == 405


@pytest.mark.parametrize("how", ["add_middleware", "around"])
def test_a_crash_is_readable_and_raised(how: str) -> None:
    app: Any = Starlette(routes=routes())
    if how == "around":
        app = CORSMiddleware(app, **POLICY)
    else:
        app.add_middleware(CORSMiddleware, **POLICY)
    answer = client(app, raise_server_exceptions=False).get("/broken", headers=FROM_APP)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["access-control-allow-origin"] == APP
    with pytest.raises(LookupError):
        client(app).get("/broken", headers=FROM_APP)


def test_around_the_app_its_own_error_page_is_readable() -> None:
    async def sorry(request: Any, error: Exception) -> Response:
        return JSONResponse({"sorry": str(error)}, 500)

    app = CORSMiddleware(Starlette(routes=routes(), exception_handlers={500: sorry}), **POLICY)
    answer = client(app, raise_server_exceptions=False).get("/broken", headers=FROM_APP)
    assert (answer.json(), answer.headers["access-control-allow-origin"]) == ({"sorry": "broken"}, APP)


def test_debug_pages_are_left_to_starlette() -> None:
    app = Starlette(debug=True, routes=routes())
    app.add_middleware(CORSMiddleware, **POLICY)
    answer = client(app, raise_server_exceptions=False).get("/broken", headers=FROM_APP)
    assert "Traceback" in answer.text


def test_websockets() -> None:
    app = CORSMiddleware(Starlette(routes=routes()), **POLICY)
    with client(app).websocket_connect("wss://mcp.example.com/ws", headers=FROM_APP) as allowed:
        allowed.send_text("hello")
        assert allowed.receive_text() == "hello"
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client(app).websocket_connect("wss://mcp.example.com/ws", headers={"Origin": "https://evil.example"}),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["error"]["data"]) == (403, {"reason": "origin_not_allowed"})


def test_connexion_adds_it_its_own_way() -> None:
    connexion = pytest.importorskip("connexion", reason="needs connexion 3: `pip install connexion[flask,uvicorn]`")
    from connexion.middleware import MiddlewarePosition

    app = connexion.FlaskApp(__name__)
    app.add_middleware(CORSMiddleware, position=MiddlewarePosition.BEFORE_EXCEPTION, **POLICY)
    operation = {"operationId": f"{__name__}.operation", "responses": {"200": {"description": "ok"}}}
    app.add_api({"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {"/mcp": {"post": operation}}})
    asking = app.test_client(base_url="https://mcp.example.com")
    answer = asking.options("/mcp", headers=PREFLIGHT)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)
    assert asking.post("/mcp", headers={"Origin": "https://evil.example"}).status_code == 403


def operation() -> dict[str, Any]:
    return {}
