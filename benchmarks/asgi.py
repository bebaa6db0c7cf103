"""Our ASGI door and Starlette's ``CORSMiddleware`` side by side, on a trivial application and on the SDK's.

Both get the same scopes, and a batch of one is followed by a batch of the other: see ``side_by_side``. The trivial
application is driven by hand, without an event loop. The SDK's one needs its own loop, so each batch runs in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware.cors import CORSMiddleware as StarletteCORS

from flask_mcp_cors.asgi import CORSMiddleware
from flask_mcp_cors.asgi import Message
from flask_mcp_cors.asgi import Receive
from flask_mcp_cors.asgi import Scope
from flask_mcp_cors.asgi import Send

from .contestants import BODY
from .contestants import EXACT_HEADERS
from .contestants import EXPOSE_HEADERS
from .contestants import HOST
from .contestants import METHODS
from .side_by_side import _rounds
from .side_by_side import EXACT_ORIGIN
from .side_by_side import FOREIGN_ORIGIN
from .side_by_side import origins
from .side_by_side import SIZES
from .side_by_side import spread

BARE, OURS, STARLETTE = "bare application", "ours", "Starlette's CORSMiddleware"
Key = tuple[str, int | None]
Handler = Callable[[Scope], None]

#: As Chromium sends it.
CALL = {
    "host": HOST,
    "connection": "keep-alive",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "accept": "application/json, text/event-stream",
    "authorization": "Bearer token",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
    "origin": EXACT_ORIGIN,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
    "accept-encoding": "gzip, deflate, br, zstd",
}
PREFLIGHT = {
    **{name: value for name, value in CALL.items() if name not in ("authorization", "content-type")},
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
}
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


def _scope(method: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 5000),
    }


WORK = {
    "call, allowed origin": _scope("POST", CALL),
    "call, no origin": _scope("POST", {n: v for n, v in CALL.items() if n != "origin" and not n.startswith("sec-")}),
    "call, foreign origin": _scope("POST", {**CALL, "origin": FOREIGN_ORIGIN}),
    "preflight": _scope("OPTIONS", PREFLIGHT),
    "preflight, refused": _scope("OPTIONS", {**PREFLIGHT, "origin": FOREIGN_ORIGIN}),
}


async def trivial(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an ASGI application can do."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def _around(app: Any, name: str, size: int) -> Any:
    exact, parents = origins(size)
    if name == OURS:
        return CORSMiddleware(app, origins=[*exact, *(f"https://*.{parent}" for parent in parents)], hosts=HOST)
    pattern = "|".join(rf"https://.+\.{parent}" for parent in parents).replace(".", r"\.")
    return StarletteCORS(
        app,
        allow_origins=exact,
        allow_origin_regex=pattern,
        allow_methods=METHODS,
        allow_headers=EXACT_HEADERS,
        expose_headers=EXPOSE_HEADERS,
        max_age=86400,
    )


async def _receive() -> Message:
    return {"type": "http.request", "body": PING, "more_body": False}


async def _send(message: Message) -> None:
    pass


def _by_hand(app: Any) -> Handler:
    def handle(scope: Scope) -> None:
        running: Coroutine[Any, Any, None] = app({**scope}, _receive, _send)
        try:
            running.send(None)
        except StopIteration:
            return
        raise AssertionError("the application waits")

    return handle


def _in_loop(app: Any, runner: asyncio.Runner) -> Handler:
    return lambda scope: runner.run(app({**scope}, _receive, _send))


def _contestants(app: Any, handler: Callable[[Any], Handler], sizes: tuple[int, ...]) -> dict[Key, Handler]:
    return {(name, size): handler(_around(app, name, size)) for name in (OURS, STARLETTE) for size in sizes}


def _quotient(times: dict[Key, list[float]], above: Key, below: Key, floor: Key | None = None) -> dict[str, float]:
    """One contestant's time over another's, round by round, or what both add to *floor*."""
    under = times[floor] if floor else [0.0] * len(times[above])
    rounds = [(a - c) / (b - c) for a, b, c in zip(times[above], times[below], under, strict=True) if b > c]
    of_minima = (min(times[above]) - min(under)) / (min(times[below]) - min(under))
    return spread(rounds) | {"of_minima": of_minima}


def _rows(app: str, work: str, times: dict[Key, list[float]]) -> list[dict[str, Any]]:
    return [
        {"app": app, "work": work, "contestant": name, "patterns": size, "us": min(found) / 1000}
        for (name, size), found in times.items()
    ]


def measure(seconds: float) -> dict[str, Any]:
    """Times in microseconds, fastest round, and the quotients that are goals."""
    rows: list[dict[str, Any]] = []
    goals: dict[str, dict[str, float]] = {}
    sizes = (SIZES[0], SIZES[-1])
    ours, theirs, bare = (OURS, SIZES[0]), (STARLETTE, SIZES[0]), (BARE, None)
    handlers = {bare: _by_hand(trivial), **_contestants(trivial, _by_hand, sizes)}
    for work, scope in WORK.items():
        times = _rounds(handlers, scope, seconds / 2 / len(WORK))
        rows += _rows("trivial", work, times)
        goals[f"trivial: {work}: ours / Starlette's"] = _quotient(times, ours, theirs)
        goals[f"20,000 / 2 patterns: {work}"] = _quotient(times, (OURS, SIZES[-1]), ours)
        if work == "call, allowed origin":
            goals["trivial: overhead of a real request, ours / Starlette's"] = _quotient(
                times, ours, theirs, floor=bare
            )
    server = MCPServer("benchmark", log_level="ERROR")
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    sdk = server.streamable_http_app(stateless_http=True, json_response=True, transport_security=no_check)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        stop = runner.run(_started(server))
        stack.callback(lambda: runner.run(stop()))
        in_loop = {bare: _in_loop(sdk, runner), **_contestants(sdk, lambda app: _in_loop(app, runner), sizes[:1])}
        times = _rounds(in_loop, WORK["call, allowed origin"], seconds / 4)
        rows += _rows("SDK", "call, allowed origin", times)
        goals["SDK's app: a real request: ours / Starlette's"] = _quotient(times, ours, theirs)
        # Both answer it without the application, so no loop is needed, and none is measured.
        times = _rounds(_contestants(sdk, _by_hand, sizes[:1]), WORK["preflight"], seconds / 4)
        rows += _rows("SDK", "preflight", times)
        goals["SDK's app: preflight: ours / Starlette's"] = _quotient(times, ours, theirs)
    return {"rows": rows, "goals": goals}


async def _started(server: MCPServer) -> Callable[[], Coroutine[Any, Any, None]]:
    """Run the session manager in a task of its own; what ends it."""
    is_up, may_end = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with server.session_manager.run():
            is_up.set()
            await may_end.wait()

    task = asyncio.get_running_loop().create_task(run())
    await is_up.wait()

    async def stop() -> None:
        may_end.set()
        await task

    return stop
