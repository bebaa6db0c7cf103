"""Whatever a server answers, an examination ends, soon, in a report."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from foreign_servers import ORIGIN
from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st

from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report

CORS = (
    b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: *\r\n"
    b"Access-Control-Allow-Headers: *, Authorization\r\nAccess-Control-Expose-Headers: *\r\n"
)


class Raw:
    """A TCP server that answers every request with the same bytes."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.answer = b""
        self.requests = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/mcp"

    def serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.requests += 1
                connection.settimeout(2)
                try:
                    self._read(connection)
                    connection.sendall(self.answer)
                except OSError:
                    continue

    def _read(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536) or b" " * length

    def examine(self, **options: Any) -> Report:
        self.requests = 0
        start = time.monotonic()
        report = examine(self.url, [ORIGIN], timeout=1, **options)
        assert time.monotonic() - start < 10
        assert self.requests <= 80
        text = report.to_text()
        assert text.isprintable() or all(line.isprintable() for line in text.splitlines())
        assert json.loads(json.dumps(report.to_json())) == report.to_json()
        return report


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    with running() as server:
        yield server


@contextmanager
def running() -> Iterator[Raw]:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        server = Raw(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        server.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def http(status: str, headers: bytes, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n".encode()
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + headers + length + b"Connection: close\r\n\r\n" + body


JSON = b"Content-Type: application/json\r\n"
EVENTS = b"Content-Type: text/event-stream\r\n"


def result(value: object) -> bytes:
    return http("200 OK", CORS + JSON, json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x00\xff" * 50, id="binary"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n" + CORS + b"\r\nshort", id="broken off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + CORS + b"\r\nzz\r\n", id="bad chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n" + CORS + b"\r\n", id="bad length"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, id="continues"),
        pytest.param(http("200 OK", CORS + JSON, b"[" * 100_000), id="nested without end"),
        pytest.param(http("200 OK", CORS + JSON, b"\xff\xfe"), id="not UTF-8"),
        pytest.param(http("200 OK", CORS + JSON, b'"a string"'), id="a string"),
        pytest.param(http("200 OK", CORS + EVENTS, b"data: \xf0\x9f\n\ndata\n\n:\n\n"), id="odd events"),
        pytest.param(http("200 OK", CORS + EVENTS, b"event: endpoint\ndata: http://[\n\n"), id="odd endpoint"),
        pytest.param(result({"supportedVersions": 7, "protocolVersion": ["2025-11-25"]}), id="odd versions"),
        pytest.param(result({"supportedVersions": ["2026-07-28"], "tools": {"x-mcp-header": "\r\nX: y"}}), id="tools"),
        pytest.param(http("302 Found", b"Location: http://[::1\r\n" + CORS, b""), id="odd location"),
        pytest.param(http("302 Found", b"Location: /mcp\r\n" + CORS, b""), id="circle"),
        pytest.param(http("400 Bad Request", CORS + b"Access-Control-Allow-Headers: a b\r\n", b""), id="odd list"),
        pytest.param(http("401 No", CORS + b"WWW-Authenticate: X resource_metadata=data:x\r\n", b""), id="data URL"),
        pytest.param(http("401 No", CORS + b"WWW-Authenticate: \xff\xfe\r\n", b"{}"), id="odd challenge"),
        pytest.param(http("407 No", CORS, b""), id="proxy"),
        pytest.param(http("999 Odd", CORS, b""), id="odd status"),
        pytest.param(http("200 OK", CORS + b"Mcp-Session-Id: \x1b[31m\r\n" + JSON, b"{}"), id="escape"),
    ],
)
def test_an_odd_answer(raw: Raw, answer: bytes) -> None:
    raw.answer = answer
    assert not raw.examine().is_healthy


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from(["200 OK", "204 No Content", "401 Unauthorized", "403 Forbidden", "308 Redirect", "500 No"]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                (
                    *("Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Max-Age", "Vary"),
                    *("WWW-Authenticate", "Mcp-Session-Id", "Content-Type", "Location", "Server", "Content-Encoding"),
                )
            ),
            st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
            | st.sampled_from(["*", ORIGIN, "text/event-stream", "application/json", "null"]),
        ),
        max_size=8,
    ),
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["result", "error", "tools", "protocolVersion", "resource", "authorization_servers"]),
                inner,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_answer(raw: Raw, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)
    raw.answer = http(status, lines, body)
    raw.examine()
    raw.examine(token="x")
