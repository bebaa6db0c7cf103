"""The official MCP Python SDK, or FastMCP, behind a Flask view: ``pip install 'Flask-MCP-CORS[sdk]'``.

The SDK's server is an ASGI app, and Flask is WSGI. :class:`SDKBridge` hands one Flask request to the ASGI app and
streams its answer back. All protocol revisions work, those with sessions and the stateless one. ::

    server = MCPServer("my server")
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp():
        return bridge.respond()

The SDK checks ``Host`` and ``Origin`` itself. Switch that check off, as above: Flask-MCP-CORS makes it before the view
runs, and two lists would have to be kept equal.

Before you deploy:

- Each open response holds a thread of the WSGI server. Use threads (gunicorn's ``gthread``, waitress).
- A session of the older revisions lives in the process that opened it. With several worker processes, pass
  ``stateless_http=True`` to ``streamable_http_app``, or run one process with many threads.
- The request's body is read whole. Set Flask's ``MAX_CONTENT_LENGTH``.

This module does not import the SDK until a caller is passed on, so it also works with any other ASGI app that is made
by Starlette.
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
from typing import TYPE_CHECKING
from wsgiref.util import is_hop_by_hop

from flask import request
from flask import Response

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Message
    from starlette.types import Scope

logger = logging.getLogger(__name__)

#: How far the SDK may run ahead of a slow client, in ASGI messages.
MESSAGES_AHEAD = 32


class SDKBridge:
    """Answers Flask requests with an ASGI app that runs in an event loop of its own.

    :param make_app: returns the ASGI app: ``streamable_http_app()`` of the SDK or ``http_app()`` of FastMCP. It is
        called at the first request, once in each process, because the thread of the event loop does not survive the
        ``fork`` of a WSGI server.
    :param path: where the ASGI app has its endpoint. The path of the Flask route may be another.
    """

    def __init__(self, make_app: Callable[[], Starlette], path: str = "/mcp") -> None:
        self._make_app = make_app
        self._path = path
        self._lock = threading.Lock()
        self._process: int | None = None
        self._running: tuple[asyncio.AbstractEventLoop, Starlette]

    def respond(self, caller: str | None = None, *, path: str | None = None) -> Response:
        """The SDK's answer to Flask's current request.

        :param caller: the caller that your authentication has identified. A session then belongs to the caller who
            opened it: nobody else can use it, even if its id leaks. This needs the SDK.
        :param path: the path inside the ASGI app, for an app with more than one endpoint.
        :raises Exception: the exception of the ASGI app, so that Flask answers 500.
        """
        loop, app = self._start()
        exchange = _Exchange(loop, request.get_data())
        exchange.begin(app, self._scope(caller, self._path if path is None else path))
        return exchange.response()

    def _start(self) -> tuple[asyncio.AbstractEventLoop, Starlette]:
        """The event loop and the ASGI app of this process, started at the first request."""
        with self._lock:
            if self._process != os.getpid():
                started: Future[tuple[asyncio.AbstractEventLoop, Starlette]] = Future()
                threading.Thread(target=asyncio.run, args=(self._run(started),), name="mcp-sdk", daemon=True).start()
                self._running = started.result()
                self._process = os.getpid()
            return self._running

    async def _run(self, started: Future[tuple[asyncio.AbstractEventLoop, Starlette]]) -> None:
        """Keep the ASGI app's lifespan, and so the SDK's session manager, running until the process ends."""
        try:
            app = self._make_app()
            async with app.router.lifespan_context(app):
                started.set_result((asyncio.get_running_loop(), app))
                await asyncio.Event().wait()
        except Exception as error:  # the app may raise anything: _start raises it again
            started.set_exception(error)

    def _scope(self, caller: str | None, path: str) -> Scope:
        """The current request as an ASGI scope."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": path,
            "raw_path": path.encode("ascii"),
            "root_path": "",
            "query_string": request.query_string,
            # werkzeug's server keeps white space at the end of a value, although it is not a part of the value:
            # https://www.rfc-editor.org/rfc/rfc9110#section-5.5
            "headers": [
                (name.lower().encode("latin-1"), value.strip(" \t").encode("latin-1"))
                for name, value in request.headers
            ],
        }
        if caller is not None:
            from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
            from mcp.server.auth.provider import AccessToken

            scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=caller, scopes=[]))
        return scope


class _Exchange:
    """One request and its answer. The event loop fills a queue, and the WSGI server's thread empties it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body: bytes) -> None:
        self._loop = loop
        self._body: bytes | None = body
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MESSAGES_AHEAD)
        self._gone = asyncio.Event()
        self._complete = False

    def begin(self, app: Starlette, scope: Scope) -> None:
        """Start the ASGI app on this request. ``None`` in the queue marks its end, also after an exception."""
        self._task = asyncio.run_coroutine_threadsafe(app(scope, self._receive, self._send), self._loop)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: Future[None]) -> None:
        """Mark the end in the queue. Log an exception after the response, because nobody would see it there."""
        if (self._complete or self._gone.is_set()) and (error := task.exception()):
            # Starlette does this: it answers 500 and raises, for the server to log.
            logger.error("The ASGI app failed after its answer", exc_info=error)
        self._messages.put(None)

    async def _receive(self) -> Message:
        """ASGI's ``receive``: the whole body first, then ``http.disconnect`` when the client has left."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """ASGI's ``send``. It discards messages once the client has left."""
        await self._room.acquire()
        if self._gone.is_set():
            self._room.release()
            return
        self._complete = message["type"] == "http.response.body" and not message.get("more_body")
        self._messages.put(message)

    def _next(self) -> Message | None:
        """Wait for the ASGI app's next message. Returns ``None`` at its end and raises what the app raised."""
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
            # The SDK sends no answer to `Last-Event-ID` if it has no event store.
            return _Response("The MCP server sent no answer.", 500, content_type="text/plain; charset=utf-8")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        response = _Response(
            self._stream(is_event_stream=dict(headers).get("content-type", "").startswith("text/event-stream")),
            start["status"],
            # The WSGI server manages the connection. With the SDK's `Connection: keep-alive` some servers raise, and on
            # others the next request on the same socket hangs.
            [(name, value) for name, value in headers if not is_hop_by_hop(name)],
        )
        response.call_on_close(self._leave)
        return response

    def _stream(self, *, is_event_stream: bool) -> Iterator[bytes]:
        """The body, chunk by chunk."""
        if is_event_stream:
            # WSGI servers send the headers with the first chunk. A stream without events would keep the client waiting
            # for them, so it starts with a comment, which event stream parsers skip.
            yield b": open\n\n"
        while (message := self._next()) is not None:
            if chunk := message.get("body"):
                yield chunk
            if not message.get("more_body"):
                return

    def _leave(self) -> None:
        """Tell the ASGI app that the response is over, or that the client has disconnected."""
        self._loop.call_soon_threadsafe(self._gone.set)
        self._loop.call_soon_threadsafe(self._room.release)


class _Response(Response):
    """A response with the ``Content-Type`` of the ASGI app, or none, instead of Flask's default."""

    default_mimetype: Any = None
