"""The bug that started all this: a gateway that authenticates in front of Flask, preflights included."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from compat_rows import Lab
from compat_rows import TOKEN
from compat_rows import TokenMiddleware
from flask import Flask
from werkzeug.serving import make_server

from flask_mcp_cors import MCPCors
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import CORSErrorReason
from flask_mcp_cors.testing import HTTPTransport

PATH = "/servers/3fa85f64-5717-4562-b3fc-2c963f66afa6/mcp"
PAGE = "http://localhost:3000"


@pytest.fixture
def gateway(tmp_path: object) -> Lab:
    """One endpoint for each server, and authentication around the whole app."""
    app = Flask(__name__)
    lab = Lab(app, MCPCors(origins=PAGE), ["POST"], tmp_path)  # type: ignore[arg-type]

    @app.post("/servers/<uuid:server>/mcp")
    def mcp(server: object) -> object:
        return lab.view()

    app.wsgi_app = TokenMiddleware(app.wsgi_app, lab)  # type: ignore[method-assign]
    return lab


@pytest.fixture
def page_on() -> Iterator[Callable[[Flask], Browser]]:
    """Start an app on 127.0.0.1, and open a page on ``http://localhost:3000`` that calls it."""
    running = []

    def page_on(app: Flask) -> Browser:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        running.append((server, thread))
        return Browser(HTTPTransport(), origin=PAGE, base_url=f"http://127.0.0.1:{server.port}")

    yield page_on
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def call(browser: Browser) -> int:
    return browser.fetch(PATH, "POST", {"Authorization": f"Bearer {TOKEN}"}, json={}).status


def test_hooks_come_too_late_for_middleware_that_authenticates(
    gateway: Lab, page_on: Callable[[Flask], Browser]
) -> None:
    gateway.cors.init_app(gateway.app)
    browser = page_on(gateway.app)
    with pytest.raises(CORSError) as blocked:
        call(browser)
    assert blocked.value.reason is CORSErrorReason.PREFLIGHT_MISSING_ALLOW_ORIGIN_HEADER
    assert [(e.is_preflight, e.response and e.response.status) for e in browser.network] == [(True, 401)]


def test_wrap_wsgi_comes_first(gateway: Lab, page_on: Callable[[Flask], Browser]) -> None:
    gateway.cors.init_app(gateway.app, wrap_wsgi=True)
    browser = page_on(gateway.app)
    assert call(browser) == 200
    assert [(e.is_preflight, e.response and e.response.status) for e in browser.network] == [(True, 200), (False, 200)]


def test_the_gateways_own_401_is_readable_under_wrap_wsgi(gateway: Lab, page_on: Callable[[Flask], Browser]) -> None:
    gateway.cors.init_app(gateway.app, wrap_wsgi=True)
    response = page_on(gateway.app).fetch(PATH, "POST", json={})
    assert (response.type, response.status, response.headers["www-authenticate"]) == ("cors", 401, "Bearer")
    assert "view" not in gateway.calls


def test_middleware_put_around_the_app_after_init_app_is_outside_again(
    gateway: Lab, page_on: Callable[[Flask], Browser]
) -> None:
    gateway.cors.init_app(gateway.app, wrap_wsgi=True)
    gateway.app.wsgi_app = TokenMiddleware(gateway.app.wsgi_app, gateway)  # type: ignore[method-assign]
    with pytest.raises(CORSError):
        call(page_on(gateway.app))
