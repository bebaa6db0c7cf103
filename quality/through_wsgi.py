"""One question through the doors of WSGI: as a server would put it, to a Flask app that takes every path."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

from flask import Flask
from flask import request

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import MCPCors

from .oracle import Question

DOORS = ("hooks", "wrap_wsgi", "middleware")

Application = Callable[..., Iterable[bytes]]
Pairs = list[tuple[str, str]]


def make_application(
    door: str, settings: dict[str, Any], methods: Collection[str], view: Callable[[], object] = lambda: None
) -> Application:
    """An application behind one of the doors that says in the environ that it was reached, and then calls *view*."""
    app = Flask("quality", static_folder=None)

    def reached(rest: str = "") -> str:
        request.environ["quality.reached"] = True
        view()
        return "ok"

    for rule in ("/", "/<path:rest>"):
        app.add_url_rule(rule, rule, reached, methods=methods, provide_automatic_options=False)
    if door == "middleware":
        return CORSMiddleware(app, **settings)
    MCPCors(app, wrap_wsgi=door == "wrap_wsgi", **settings)
    return app


def environ_of(question: Question) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": question.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": question.path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": question.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    headers = {
        "HTTP_HOST": question.host,
        "HTTP_ORIGIN": question.origin,
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": question.request_method,
        "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": question.request_headers,
        "HTTP_SEC_FETCH_SITE": question.fetch_site,
        "HTTP_SEC_FETCH_MODE": question.fetch_mode,
        "HTTP_SEC_FETCH_DEST": question.fetch_dest,
    }
    environ.update((key, value) for key, value in headers.items() if value is not None)
    return environ


def ask(application: Application, question: Question) -> tuple[int, Pairs, bool]:
    """Status, headers, and whether the request went through: no rule takes a line break or such a method."""
    environ = environ_of(question)
    started: list[Any] = []

    def start_response(status: str, headers: Pairs, exc_info: Any = None) -> Any:
        started[:] = status, headers
        return lambda data: None

    body = application(environ, start_response)
    for _ in body:
        pass
    if close := getattr(body, "close", None):
        close()
    status, headers = started
    code = int(status.split()[0])
    return code, headers, environ.get("quality.reached", False) or code in (404, 405)
