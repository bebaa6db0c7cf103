"""The example's two pages, on ports of their own, and the diary from which they tell what the server saw."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flask import Flask
from flask import request
from flask import request_finished
from flask import Response
from mcp.server.context import CallNext
from mcp.server.context import HandlerResult
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer

FOLDER = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/client.js": ("client.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}


class Diary:
    """What the server saw, in order.

    A page cannot see the preflights that its browser sends, nor why one was refused. So the server writes down each
    request that it answered and each MCP message that got through to the SDK.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def watch(self, app: Flask, mcp_server: MCPServer) -> None:
        """Write down what these two do."""
        request_finished.connect(self._answered, app)
        mcp_server.middleware.append(self._reached)

    def entries(self) -> list[dict[str, Any]]:
        """All entries up to now."""
        with self._lock:
            return list(self._entries)

    def _add(self, **entry: Any) -> None:
        with self._lock:
            self._entries.append(entry)

    def _answered(self, sender: Flask, response: Response, **_: Any) -> None:
        refusal = response.get_json() if response.status_code in (403, 421) else None
        self._add(
            kind="request",
            method=request.method,
            path=request.path,
            origin=request.headers.get("Origin"),
            preflight=request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers,
            asked=request.headers.get("Access-Control-Request-Headers"),
            status=response.status_code,
            reason=refusal and refusal["error"]["data"]["reason"],
        )

    async def _reached(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        self._add(kind="mcp", method=ctx.method, name=(ctx.params or {}).get("name"))
        return await call_next(ctx)


@contextmanager
def page_server(port: int, facts: Callable[[], dict[str, Any]], diary: Diary) -> Iterator[str]:
    """Serve the page on 127.0.0.1; yields its origin.

    :param port: where; 0 for any free port.
    :param facts: what the page needs to know: the endpoint, the token, and so on.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/facts.json":
                self._answer(json.dumps(facts()).encode(), "application/json")
            elif path == "/diary.json":
                self._answer(json.dumps(diary.entries()).encode(), "application/json")
            elif path in FILES:
                name, content_type = FILES[path]
                self._answer((FOLDER / name).read_bytes(), content_type)
            else:
                self.send_error(404)

        def _answer(self, body: bytes, content_type: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The terminal is for what the MCP server says."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
