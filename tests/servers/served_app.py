"""What the servers serve: one MCP endpoint twice, through the hooks and with ``wrap_wsgi``."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from flask import request
from flask import Response
from werkzeug.datastructures import Authorization
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_mcp_cors import MCPCors

TOKEN = "a-good-token"
PAGE = "http://localhost:3000"


def verify(credential: Authorization) -> str | None:
    return "somebody" if hmac.compare_digest(credential.token or "", TOKEN) else None


def make_app(*, wrap_wsgi: bool) -> Flask:
    app = Flask(__name__)
    cors = MCPCors(app, origins=PAGE, hosts=["127.0.0.1"], wrap_wsgi=wrap_wsgi)

    @app.post("/mcp")
    @cors.protected(verify)
    def call() -> object:
        return {"jsonrpc": "2.0", "id": 1, "result": request.json}

    @app.get("/mcp")
    @cors.protected(verify)
    def listen() -> Response:
        return Response(events(), mimetype="text/event-stream")

    return app


def events() -> Iterator[str]:
    """One event, and the next when somebody has opened the gate."""
    yield "data: first\n\n"
    # A named pipe: reading ends when another process has opened it for writing and closed it.
    Path(os.environ["GATE"]).read_bytes()
    yield "data: second\n\n"


app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/hooks": make_app(wrap_wsgi=False), "/wrapped": make_app(wrap_wsgi=True)}
)
