"""Servers with one fault each, and how to examine them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
from foreign_servers import by_hand
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report

TOKEN = "a-token-of-the-tests"
SESSION_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25")

Layer = Callable[[Request], Response | None]


def make_app(**settings: Any) -> flask.Flask:
    """A server without a fault."""
    app = flask.Flask(__name__)
    MCPCors(app, **{"origins": ORIGIN, "hosts": LOOPBACK_HOSTS, **settings})
    app.add_url_rule("/mcp", view_func=by_hand, methods=["POST"])
    return app


def codes(report: Report) -> dict[str, str]:
    """Code → severity, without the two that every server on this machine may have."""
    return {
        finding.code: finding.severity.value
        for finding in report.findings
        if finding.code not in ("local_network_access", "nosniff_missing")
    }


def examined(app: Any, **options: Any) -> Report:
    with serving_wsgi(app) as url:
        return examine(f"{url}/mcp", [ORIGIN], timeout=3, **options)


def behind(layer: Callable[[Request], Response | None]) -> Any:
    """The good server with something in front that may answer first."""
    inner = make_app().wsgi_app

    def application(environ: Any, start_response: Any) -> Any:
        answer = layer(Request(environ))
        return inner(environ, start_response) if answer is None else answer(environ, start_response)

    return application


def changing(change: Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]], app: Any = None) -> Any:
    """A server with something in front that changes response headers."""
    inner = (app or make_app()).wsgi_app

    def application(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, change(Request(environ), list(headers)), exc_info)

        return inner(environ, start)

    return application


def repeat(name: str, value: str) -> Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]]:
    return lambda request, headers: [*headers, (name, value)]


def without(name: str) -> Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]]:
    return lambda request, headers: [pair for pair in headers if pair[0].lower() != name.lower()]


def only_finding(report: Report) -> str:
    [finding] = [f for f in report.findings if f.code != "local_network_access"]
    assert finding.severity == "error"
    assert not report.is_healthy
    return finding.code
