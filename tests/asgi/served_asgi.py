"""What ``test_asgi_servers.py`` runs: a plain ASGI application with our middleware, without any framework."""

from __future__ import annotations

import asyncio
from typing import Any

from flask_mcp_cors.asgi import CORSMiddleware

PAGE = "https://app.example.com"


def create_app() -> CORSMiddleware:
    gate, gone = asyncio.Event(), asyncio.Event()

    async def answer(send: Any, status: int, *parts: bytes, kind: bytes = b"text/plain") -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def events(receive: Any, send: Any) -> None:
        """The second event comes after a request for ``/gate``, or never, where the client is gone first."""
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        disconnected = asyncio.ensure_future(_disconnect(receive))
        opened = asyncio.ensure_future(gate.wait())
        await asyncio.wait([disconnected, opened], return_when=asyncio.FIRST_COMPLETED)
        if disconnected.done():
            opened.cancel()
            gone.set()
            return
        disconnected.cancel()
        await send({"type": "http.response.body", "body": b"data: second\n\n"})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{kind}"
                await send({"type": f"lifespan.{kind}.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
        elif scope["path"] == "/events":
            await events(receive, send)
        elif scope["path"] == "/gate":
            gate.set()
            await answer(send, 200, b"open")
        elif scope["path"] == "/gone":
            await asyncio.wait_for(gone.wait(), 10)
            await answer(send, 200, b"gone")
        elif scope["path"] == "/crash":
            raise LookupError("broken")
        else:
            await answer(send, 401, b"no ", b"token")

    return CORSMiddleware(application, origins=PAGE, hosts="localhost")


async def _disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
