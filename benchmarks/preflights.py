"""How many preflights a browser sends in one MCP session, counted at the servers.

Chromium runs a page that sends what the official TypeScript client (1.x) sends: a call without a token,
``initialize``, the notification, the GET stream, ten tool calls a second apart, and the closing DELETE.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import flask_cors
import uvicorn
from flask import Flask
from flask import request
from flask import Response
from starlette.middleware.cors import CORSMiddleware as StarletteCORS
from werkzeug.serving import make_server

from flask_mcp_cors import MCPCors

from .contestants import BODY
from .contestants import EXACT_HEADERS
from .contestants import EXPOSE_HEADERS
from .contestants import METHODS

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CALLS = 10

_SESSION = """
async ([endpoints, calls]) => {
  const pause = () => new Promise(resolve => setTimeout(resolve, 1000));
  const session = async endpoint => {
    const statuses = [];
    const send = async (method, headers) => {
      const response = await fetch(endpoint, {method, headers, body: method === "POST" ? "{}" : undefined});
      await response.text();
      statuses.push(response.status);
    };
    const type = {"Content-Type": "application/json"};
    const token = {Authorization: "Bearer token"};
    const rest = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": "1"};
    await send("POST", type);
    await send("POST", {...token, ...type});
    await send("POST", {...token, ...type, ...rest});
    await send("GET", {...token, ...rest});
    for (let call = 0; call < calls; call++) {
      await pause();
      await send("POST", {...token, ...type, ...rest});
    }
    await send("DELETE", {...token, ...rest});
    return statuses;
  };
  return Promise.all(endpoints.map(session));
}
"""


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


def available() -> str | None:
    """What is missing, or ``None``."""
    return None if _chromium() else "Chromium is not installed; set CHROMIUM to its path if it is elsewhere"


def _make_app() -> Flask:
    app = Flask("preflights", static_folder=None)

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp() -> Response:
        if request.authorization is None:
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if request.method == "GET":
            return Response(": open\n\n", mimetype="text/event-stream")
        return Response(BODY, mimetype="application/json")

    return app


def _ours(page: str) -> Flask:
    app = _make_app()
    MCPCors(app, origins=page)
    return app


def _flask_cors_defaults(page: str) -> Flask:
    app = _make_app()
    flask_cors.CORS(app)
    return app


def _flask_cors_tuned(page: str) -> Flask:
    app = _make_app()
    flask_cors.CORS(
        app,
        origins=[page],
        methods=METHODS,
        allow_headers=EXACT_HEADERS,
        expose_headers=EXPOSE_HEADERS,
        max_age=86400,
    )
    return app


async def _asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    status = 200 if any(name == b"authorization" for name, _ in scope["headers"]) else 401
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": BODY})


FLASK_APPS: dict[str, Callable[[str], Flask]] = {
    "ours": _ours,
    "flask-cors, defaults": _flask_cors_defaults,
    "flask-cors, tuned": _flask_cors_tuned,
}

STARLETTE = "Starlette, `*` for origins, methods and headers"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>client</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Counted:
    """Four servers, each of which counts the preflights that reach it."""

    def __init__(self) -> None:
        self.preflights: Counter[str] = Counter()
        self.endpoints: dict[str, str] = {}
        self._page = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
        threading.Thread(target=self._page.serve_forever, daemon=True).start()
        self.page = f"http://127.0.0.1:{self._page.server_port}"
        self._servers = [self._serve_flask(name, make(self.page)) for name, make in FLASK_APPS.items()]
        self._uvicorn = self._serve_starlette()

    def _serve_flask(self, name: str, app: Flask) -> Any:
        def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self.preflights[name] += environ["REQUEST_METHOD"] == "OPTIONS"
            return app.wsgi_app(environ, start_response)

        server = make_server("127.0.0.1", 0, counted, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.endpoints[name] = f"http://127.0.0.1:{server.server_port}/mcp"
        return server

    def _serve_starlette(self) -> uvicorn.Server:
        app = StarletteCORS(_asgi, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

        async def counted(scope: dict[str, Any], receive: Any, send: Any) -> None:
            self.preflights[STARLETTE] += scope["method"] == "OPTIONS"
            await app(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(counted, port=0, lifespan="off", log_level="error"))
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.endpoints[STARLETTE] = f"http://127.0.0.1:{port}/mcp"
        return server

    def close(self) -> None:
        for server in (*self._servers, self._page):
            server.shutdown()
        self._uvicorn.should_exit = True


def measure() -> list[dict[str, Any]]:
    """Run the session against all four at once, each from a cold preflight cache."""
    from playwright.sync_api import sync_playwright

    servers = Counted()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
            version = browser.version
            page = browser.new_page()
            page.goto(servers.page)
            statuses = page.evaluate(_SESSION, [list(servers.endpoints.values()), CALLS])
            browser.close()
    finally:
        servers.close()
    expected = [401, *[200] * (CALLS + 4)]
    if any(found != expected for found in statuses):
        raise AssertionError(f"a session went wrong: {statuses}")
    return [
        {"contestant": name, "preflights": servers.preflights[name], "chromium": version} for name in servers.endpoints
    ]
