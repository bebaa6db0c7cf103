"""Who is measured: one application per library, with the same view and the same policy.

Each ``make_*`` takes the two halves of a policy's origins, names under which a page is allowed and
parents of such names, and returns a callable that handles one WSGI environ from start to end.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Sequence
from typing import Any

import flask_cors
import wsgicors
from flask import Flask
from flask import Response
from flask_talisman import Talisman
from starlette.middleware.cors import CORSMiddleware as StarletteCORS

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import SecurityHeaders

Environ = dict[str, Any]
Handler = Callable[[Environ], None]
Maker = Callable[[Sequence[str], Sequence[str]], Handler]

HOST = "mcp.example.com"
METHODS = ["GET", "POST", "DELETE", "OPTIONS"]
ALLOW_HEADERS = sorted({name for revision in MCP_REVISIONS.values() for name in revision["allow_headers"]})
EXACT_HEADERS = [name for name in ALLOW_HEADERS if not name.endswith("*")]
EXPOSE_HEADERS = ["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After"]
BODY = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"42"}]}}'

#: What ours sends on a real response, as constants.
CONSTANT_HEADERS = [
    ("Access-Control-Allow-Origin", "https://app0.example.com"),
    ("Access-Control-Expose-Headers", ", ".join(EXPOSE_HEADERS)),
    *SecurityHeaders().to_headers(),
    ("Vary", "Origin"),
]


def make_app() -> Flask:
    """The bare app: one view, which answers as an MCP endpoint does."""
    app = Flask("benchmark", static_folder=None)

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp() -> Response:
        return Response(BODY, mimetype="application/json")

    return app


def trivial_wsgi(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """The least that a WSGI application can do."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
    return [BODY]


async def trivial_asgi(scope: Environ, receive: Any, send: Any) -> None:
    """The least that an ASGI application can do."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
    return lambda data: None


def wsgi_handler(app: Callable[..., Any]) -> Handler:
    """Run a WSGI application as a server does: consume the body and close it."""

    def handle(environ: Environ) -> None:
        body = app(environ.copy(), _start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return handle


def make_bare(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    return wsgi_handler(make_app())


def make_constant(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in CONSTANT_HEADERS:
            response.headers[name] = value
        return response

    return wsgi_handler(app)


def make_extend(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.extend(CONSTANT_HEADERS)
        return response

    return wsgi_handler(app)


def make_constant_hook(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()

    @app.before_request
    def answer() -> Response:
        return Response(status=200)

    return wsgi_handler(app)


def make_flask_cors(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()
    # Compiled, and anchored at both ends, as its documentation advises.
    patterns = [re.compile(rf"^https://([a-z0-9-]+\.)+{re.escape(parent)}$") for parent in parents]
    flask_cors.CORS(
        app,
        origins=[*exact, *patterns],
        methods=METHODS,
        allow_headers=EXACT_HEADERS,
        expose_headers=EXPOSE_HEADERS,
        max_age=86400,
    )
    return wsgi_handler(app)


def make_wsgicors(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()
    origins = " ".join([*exact, *(f"https://*.{parent}" for parent in parents)])
    app.wsgi_app = wsgicors.CORS(  # type: ignore[method-assign]
        app.wsgi_app,
        origin=origins,
        methods=",".join(METHODS),
        headers=", ".join(EXACT_HEADERS),
        expose_headers=", ".join(EXPOSE_HEADERS),
        maxage="86400",
    )
    return wsgi_handler(app)


def make_talisman(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The three headers that ours sets, and nothing else.
        Talisman(
            app,
            force_https=False,
            strict_transport_security=False,
            frame_options="DENY",
            content_security_policy=None,
            permissions_policy={},
            session_cookie_secure=False,
        )
    return wsgi_handler(app)


def _settings(exact: Sequence[str], parents: Sequence[str]) -> dict[str, Any]:
    return {"origins": [*exact, *(f"https://*.{parent}" for parent in parents)], "hosts": HOST}


def make_ours(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()
    MCPCors(app, **_settings(exact, parents))
    return wsgi_handler(app)


def make_ours_wrapped(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = make_app()
    MCPCors(app, wrap_wsgi=True, **_settings(exact, parents))
    return wsgi_handler(app)


def make_ours_middleware(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    return wsgi_handler(CORSMiddleware(trivial_wsgi, **_settings(exact, parents)))


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    return None


def make_starlette(exact: Sequence[str], parents: Sequence[str]) -> Handler:
    app = StarletteCORS(
        trivial_asgi,
        allow_origins=list(exact),
        # It takes one expression, so the patterns become its branches.
        allow_origin_regex=rf"https://([a-z0-9-]+\.)+({'|'.join(map(re.escape, parents))})",
        allow_methods=METHODS,
        allow_headers=EXACT_HEADERS,
        expose_headers=EXPOSE_HEADERS,
        max_age=86400,
    )
    scopes: dict[int, Environ] = {}

    def handle(environ: Environ) -> None:
        scope = scopes.get(id(environ))
        if scope is None:
            scope = scopes[id(environ)] = _scope(environ)
        # Nothing in here ever waits, so no event loop is needed, and none is measured.
        call: Coroutine[Any, Any, None] = app(scope.copy(), _receive, _send)
        try:
            call.send(None)
        except StopIteration:
            return
        raise AssertionError("the application waits")

    return handle


def _scope(environ: Environ) -> Environ:
    names = [key for key in environ if key.startswith("HTTP_")]
    headers = [(name[5:].replace("_", "-").lower().encode(), environ[name].encode()) for name in names]
    return {"type": "http", "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "headers": headers}


BARE = "bare Flask"
CONSTANT = "Flask, constant headers set one by one"
EXTEND = "Flask, constant headers by extend"
CONSTANT_HOOK = "Flask, hook that answers"
FLASK_CORS = "flask-cors"
OURS = "ours, hooks"
OURS_WRAPPED = "ours, wrap_wsgi"
OURS_MIDDLEWARE = "ours, CORSMiddleware on a trivial WSGI app"
STARLETTE = "Starlette on a trivial ASGI app"

#: Those without a policy: one size fits all.
WITHOUT_POLICY: dict[str, Maker] = {
    BARE: make_bare,
    CONSTANT: make_constant,
    EXTEND: make_extend,
    CONSTANT_HOOK: make_constant_hook,
    "flask-talisman": make_talisman,
}

WITH_POLICY: dict[str, Maker] = {
    FLASK_CORS: make_flask_cors,
    "wsgicors": make_wsgicors,
    OURS: make_ours,
    OURS_WRAPPED: make_ours_wrapped,
    OURS_MIDDLEWARE: make_ours_middleware,
    STARLETTE: make_starlette,
}
