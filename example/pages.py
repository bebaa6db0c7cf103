"""The example's two pages, on ports of their own, and the diary from which they tell what the servers saw."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import abort
from flask import Flask
from flask import request
from flask import request_finished
from flask import Response
from flask.typing import ResponseReturnValue
from mcp.server.context import CallNext
from mcp.server.context import HandlerResult
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer

#: The headers that the pages show: those that decide whether a page may read an answer, and what MCP and OAuth add.
SHOWN_HEADERS = (
    "Access-Control-",
    "Authorization",
    "Content-Type",
    "DPoP",
    "Host",
    "Location",
    "MCP-",
    "Origin",
    "Retry-After",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Vary",
    "WWW-Authenticate",
)


class Diary:
    """What the servers saw, in order.

    A page cannot see the preflights that its browser sends, nor why one was refused. So the servers write down each
    request that they answered and each MCP message that got through to the SDK.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def watch(self, app: Flask, mcp_server: MCPServer | None = None) -> None:
        """Write down what these do."""
        request_finished.connect(self._answered, app)
        if mcp_server is not None:
            mcp_server.middleware.append(self._reached)

    def entries(self) -> list[dict[str, Any]]:
        """All entries up to now."""
        with self._lock:
            return list(self._entries)

    def _add(self, **entry: Any) -> None:
        with self._lock:
            self._entries.append(entry)

    def _answered(self, sender: Flask, response: Response, **_: Any) -> None:
        self._add(
            kind="request",
            method=request.method,
            path=request.path,
            url=request.base_url,
            origin=request.headers.get("Origin"),
            preflight=request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers,
            asked=request.headers.get("Access-Control-Request-Headers"),
            status=response.status_code,
            reason=_reason(response),
            headers={"request": _shown(request.headers), "response": _shown(response.headers)},
        )

    async def _reached(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        self._add(kind="mcp", method=ctx.method, name=(ctx.params or {}).get("name"))
        return await call_next(ctx)


def _reason(response: Response) -> str | None:
    """The reason that Flask-MCP-CORS gives in the body of a refusal."""
    refusal = response.get_json() if response.status_code in (403, 421) else None
    try:
        return str(refusal["error"]["data"]["reason"])
    except (TypeError, LookupError):
        return None


def _shown(headers: Any) -> list[tuple[str, str]]:
    """The headers to be shown. Of credentials only the scheme is."""
    return [
        (name, f"{value.partition(' ')[0]} …" if name == "Authorization" else value)
        for name, value in headers
        if name.lower().startswith(tuple(shown.lower() for shown in SHOWN_HEADERS))
    ]


def page_app(facts: Callable[[str], dict[str, Any]], diary: Diary, expire: Callable[[], None]) -> Flask:
    """The app that serves the page.

    :param facts: what the page at this origin needs to know: the endpoint, the token, and so on.
    :param expire: ends the lifetime of all access tokens.
    """
    app = Flask("page", root_path=__file__.rpartition("pages.py")[0], static_folder="page", static_url_path="")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0

    @app.get("/")
    @app.get("/callback")
    def index() -> ResponseReturnValue:
        return app.send_static_file("index.html")

    @app.get("/facts.json")
    def the_facts() -> ResponseReturnValue:
        return facts(request.host_url.rstrip("/"))

    @app.get("/diary.json")
    def the_diary() -> ResponseReturnValue:
        return diary.entries()

    @app.post("/expire")
    def the_end() -> ResponseReturnValue:
        if request.headers.get("Origin") != request.host_url.rstrip("/"):
            abort(403)
        expire()
        return "", 204

    @app.after_request
    def no_store(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    return app
