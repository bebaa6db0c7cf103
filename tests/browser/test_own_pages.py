"""The own pages of an app keep working: over TLS, behind a proxy, on loopback, without referrer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from engines import Engine
from engines import Page
from flask import Flask
from flask import request
from hands import press
from hands import text
from hands import until
from serving import serving
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_mcp_cors import MCPCors
from flask_mcp_cors.testing import Browser

PAGE = """<!doctype html><title>own</title><meta name="referrer" content="{policy}">
<form method="post" action="/form"><button>post</button></form>"""


def make_app(wrap_wsgi: bool) -> Flask:
    app = Flask("own", static_folder=None)
    app.config["asked"] = []
    MCPCors(app, origins="https://app.example.com", hosts=["localhost"], wrap_wsgi=wrap_wsgi)
    app.add_url_rule("/page/<policy>", "page", lambda policy: PAGE.format(policy=policy))

    def act() -> str:
        app.config["asked"].append(request.headers.get("Origin"))
        return "done"

    app.add_url_rule("/form", "form", act, methods=["POST"])
    app.add_url_rule("/fetch", "fetch", act, methods=["GET", "POST"])
    return app


def behind_a_proxy(app: Any, **passed_on: str) -> Callable[..., Any]:
    """What the app sees of a proxy that ends TLS: plain HTTP, and the headers that the proxy sets."""

    def proxied(environ: dict[str, Any], start_response: Any) -> Any:
        return app({**environ, "wsgi.url_scheme": "http", **passed_on}, start_response)

    return proxied


@pytest.fixture(params=["hooks", "wrap_wsgi"])
def app(request: pytest.FixtureRequest) -> Flask:
    return make_app(request.param == "wrap_wsgi")


@pytest.fixture(params=["loopback", "tls", "tls-ends-at-a-proxy", "proxy-fix"])
def base_url(request: pytest.FixtureRequest, app: Flask) -> Iterator[str]:
    """Where the app's pages are, for the browser."""
    is_secure = request.param != "loopback"
    served: Any = app
    if request.param == "tls-ends-at-a-proxy":
        served = behind_a_proxy(app)
    elif request.param == "proxy-fix":
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1)  # type: ignore[method-assign]
        served = behind_a_proxy(app, HTTP_X_FORWARDED_PROTO="https")
    with serving(served, tls=is_secure) as origin:
        yield origin.replace("127.0.0.1", "localhost")


def test_own_pages_may_do_what_they_do(visit: Callable[..., Page], app: Flask, base_url: str) -> None:
    page = visit("about:blank")
    ask = "([method, mode]) => fetch('/fetch', {method, mode}).then(response => response.status)"
    for policy in ("strict-origin-when-cross-origin", "no-referrer"):
        page.goto(f"{base_url}/page/{policy}")
        assert text(page, "title") == "own"
        for method, mode in (("POST", "cors"), ("GET", "cors"), ("POST", "same-origin"), ("POST", "no-cors")):
            assert page.evaluate(ask, [method, mode]) == 200, (policy, method, mode)
        press(page, "button")
        until(page, "location.pathname === '/form' && document.body.innerText === 'done'")
        # Under no-referrer the form has no origin to show, and is the app's own all the same.
        assert (app.config["asked"][-1] == "null") is (policy == "no-referrer")


def test_a_form_from_https_to_http(engine: Engine, visit: Callable[..., Page]) -> None:
    """Whether it says where it comes from depends on the engine."""
    asked: list[str | None] = []
    app = Flask("other", static_folder=None)

    @app.post("/form")
    def form() -> str:
        asked.append(request.headers.get("Origin"))
        return "done"

    page = PAGE.format(policy="strict-origin-when-cross-origin")
    with serving(app) as there:
        here = Flask("page", static_folder=None)
        here.add_url_rule("/", "page", lambda: page.replace("/form", f"{there}/form"))
        with serving(here, tls=True) as origin:
            tab = visit(f"{origin}/")
            press(tab, "button")
            until(tab, "document.body.innerText === 'done'")
            Browser(app, origin, there, quirks=engine.name).fetch("/form", "POST", mode="navigate")
    assert asked == [origin if engine.name == "webkit" else "null"] * 2
