"""A server whose answers a test writes down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

APP = "https://app.example.com"
MCP = "https://mcp.example.com"


@dataclass
class Answer:
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b"hello"


@dataclass
class Server:
    """A WSGI application: an answer to preflights, one to all else, and others by URL."""

    preflight: Answer = field(default_factory=Answer)
    actual: Answer = field(default_factory=Answer)
    by_url: dict[str, Answer] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        self.requests.append(environ | {"body": environ["wsgi.input"].read()})
        url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
        answer = self.preflight if is_preflight else self.by_url.get(url, self.actual)
        start_response(f"{answer.status} X", answer.headers)
        return [answer.body]
