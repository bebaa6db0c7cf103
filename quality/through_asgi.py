"""One question through the ASGI door: as a server would put it, with an application that does not wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_mcp_cors.asgi import ASGIApp
from flask_mcp_cors.asgi import CORSMiddleware
from flask_mcp_cors.asgi import Message
from flask_mcp_cors.asgi import Receive
from flask_mcp_cors.asgi import Scope
from flask_mcp_cors.asgi import Send

from .oracle import Question

Pairs = list[tuple[bytes, bytes]]


def headers_of(question: Question) -> Pairs:
    """The request headers of a question, as an ASGI server hands them over."""
    values = {
        b"host": question.host,
        b"origin": question.origin,
        b"access-control-request-method": question.request_method,
        b"access-control-request-headers": question.request_headers,
        b"sec-fetch-site": question.fetch_site,
        b"sec-fetch-mode": question.fetch_mode,
        b"sec-fetch-dest": question.fetch_dest,
    }
    return [(name, value.encode("latin-1")) for name, value in values.items() if value is not None]


def scope_of(question: Question, headers: Pairs) -> Scope:
    return {
        "type": "http",
        "method": question.method,
        "scheme": question.scheme,
        "path": question.path.encode("latin-1").decode("utf-8", "replace"),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }


def make_application(settings: dict[str, Any], own_headers: Iterable[tuple[bytes, bytes]] = ()) -> CORSMiddleware:
    """An application that says in the scope that it was reached."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["reached"] = True
        await send({"type": "http.response.start", "status": 200, "headers": own_headers})
        await send({"type": "http.response.body", "body": b"ok"})

    return CORSMiddleware(application, **settings)


def ask(application: ASGIApp, scope: Scope) -> tuple[int, Pairs, bool]:
    """Status, headers, and whether the application was reached."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody asks for the body")

    running = application(scope, receive, send)
    try:
        # What a type checker knows as an awaitable is a coroutine, which is driven by hand.
        running.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        start, _ = sent
        return start["status"], start["headers"], scope.get("reached", False)
    raise AssertionError("something waits")


def as_text(headers: Pairs) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in headers]
