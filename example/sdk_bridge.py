"""The official MCP Python SDK behind a Flask view.

The SDK's server is an ASGI app; Flask is WSGI. :class:`SDKBridge` carries one request across and its answer back, and
streams where the SDK streams. Both eras of the protocol pass: the stateless revision and the older ones with sessions.
To use it in an app of your own, copy this file; it needs Flask and ``mcp`` 2.x. ::

    server = MCPServer("my server")
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp():
        return bridge.respond()

The SDK has a check of ``Host`` and ``Origin`` of its own. It is switched off above, because Flask-MCP-CORS has made
that check before the view runs, and two lists would drift apart.

What to know before you deploy it:

- Each response that is still open holds a thread of the WSGI server: use threads (gunicorn's ``gthread``, waitress).
- A session of the older revisions lives in the process that opened it. With several worker processes, pass
  ``stateless_http=True`` to ``streamable_http_app``, or keep one process and many threads.
- The request's body is read whole: set Flask's ``MAX_CONTENT_LENGTH``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any
from wsgiref.util import is_hop_by_hop

from flask import request
from flask import Response
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.applications import Starlette
from starlette.types import Message
from starlette.types import Scope

logger = logging.getLogger(__name__)

#: How far the SDK may run ahead of a slow client, in ASGI messages.
MESSAGES_AHEAD = 32


class SDKBridge:
    """Answers Flask requests with an ASGI app that runs in an event loop of its own.

    :param make_app: makes the ASGI app, as ``streamable_http_app()`` does. It is called at the first request and once
        in each process, since a thread, and so an event loop in it, does not survive the ``fork`` of a WSGI server.
    :param path: where the ASGI app has its endpoint. The path of the Flask route is of no concern to it.
    """

    def __init__(self, make_app: Callable[[], Starlette], path: str = "/mcp") -> None:
        self._make_app = make_app
        self._path = path
        self._lock = threading.Lock()
        self._process: int | None = None
        self._running: tuple[asyncio.AbstractEventLoop, Starlette]

    def respond(self, caller: str | None = None) -> Response:
        """The SDK's answer to Flask's current request.

        :param caller: who asks, as your authentication found. A session then belongs to the caller who opened it, and
            nobody else can go on with it, even if its id leaks.
        :raises Exception: whatever the ASGI app raised, so that Flask answers 500.
        """
        loop, app = self._start()
        exchange = _Exchange(loop, request.get_data())
        exchange.begin(app, self._scope(caller))
        return exchange.response()

    def _start(self) -> tuple[asyncio.AbstractEventLoop, Starlette]:
        """The event loop and the ASGI app of this process, made when first asked for."""
        with self._lock:
            if self._process != os.getpid():
                started: Future[tuple[asyncio.AbstractEventLoop, Starlette]] = Future()
                threading.Thread(target=asyncio.run, args=(self._run(started),), name="mcp-sdk", daemon=True).start()
                self._running = started.result()
                self._process = os.getpid()
            return self._running

    async def _run(self, started: Future[tuple[asyncio.AbstractEventLoop, Starlette]]) -> None:
        """Hold the ASGI app's lifespan open, and with it the SDK's session manager, as long as the process lives."""
        try:
            app = self._make_app()
            async with app.router.lifespan_context(app):
                started.set_result((asyncio.get_running_loop(), app))
                await asyncio.Event().wait()
        except Exception as error:
            started.set_exception(error)

    def _scope(self, caller: str | None) -> Scope:
        """The current request in ASGI's words."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": self._path,
            "raw_path": self._path.encode("ascii"),
            "root_path": "",
            "query_string": request.query_string,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        }
        if caller is not None:
            scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=caller, scopes=[]))
        return scope


class _Exchange:
    """One request and its answer: the event loop fills a queue, the thread of the WSGI server empties it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body: bytes) -> None:
        self._loop = loop
        self._body: bytes | None = body
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MESSAGES_AHEAD)
        self._gone = asyncio.Event()
        self._complete = False

    def begin(self, app: Starlette, scope: Scope) -> None:
        """Start the ASGI app on this request. ``None`` in the queue is its end, however it ended."""
        self._task = asyncio.run_coroutine_threadsafe(app(scope, self._receive, self._send), self._loop)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: Future[None]) -> None:
        """Put the end into the queue. An exception waits there too, unless nobody is going to look any more."""
        if (self._complete or self._gone.is_set()) and (error := task.exception()):
            # Starlette does this: it answers 500 and raises, for the server to log.
            logger.error("The ASGI app failed after its answer", exc_info=error)
        self._messages.put(None)

    async def _receive(self) -> Message:
        """ASGI's ``receive``: the whole body at once; after that there is only the client's leaving to wait for."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """ASGI's ``send``: does nothing any more when the client has left."""
        await self._room.acquire()
        if self._gone.is_set():
            self._room.release()
            return
        self._complete = message["type"] == "http.response.body" and not message.get("more_body")
        self._messages.put(message)

    def _next(self) -> Message | None:
        """Wait for the ASGI app's next message; ``None`` at its end. Raises what the app raised."""
        message = self._messages.get()
        if message is None:
            self._task.result()
        else:
            self._loop.call_soon_threadsafe(self._room.release)
        return message

    def response(self) -> Response:
        """Wait for status and headers; the body follows as the ASGI app sends it."""
        start = self._next()
        if start is None:
            # The SDK answers nothing at all to `Last-Event-ID` when it has no event store.
            return _Response("The MCP server sent no answer.", 500, content_type="text/plain; charset=utf-8")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        response = _Response(
            self._stream(is_event_stream=dict(headers).get("content-type", "").startswith("text/event-stream")),
            start["status"],
            # The connection is the WSGI server's business: with the SDK's `Connection: keep-alive` some refuse to
            # answer, and on others the next request on the same socket hangs.
            [(name, value) for name, value in headers if not is_hop_by_hop(name)],
        )
        response.call_on_close(self._leave)
        return response

    def _stream(self, *, is_event_stream: bool) -> Iterator[bytes]:
        """The body, chunk by chunk."""
        if is_event_stream:
            # WSGI servers send the headers along with the first chunk. A silent stream would keep the client waiting
            # for them, so it starts with a comment, which readers of event streams skip.
            yield b": open\n\n"
        while (message := self._next()) is not None:
            if chunk := message.get("body"):
                yield chunk
            if not message.get("more_body"):
                return

    def _leave(self) -> None:
        """Tell the ASGI app that the client is gone: at the response's end, or earlier if it hung up."""
        self._loop.call_soon_threadsafe(self._gone.set)
        self._loop.call_soon_threadsafe(self._room.release)


class _Response(Response):
    """A response with the ASGI app's own ``Content-Type``, or none if it has none."""

    default_mimetype: Any = None
