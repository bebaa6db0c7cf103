"""Over the network, streams included, and when there is no answer; and into WSGI applications that keep to PEP 3333."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport
from flask_mcp_cors.testing import NetworkRequest
from flask_mcp_cors.testing import NetworkResponse


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        if self.path == "/empty":
            self.close_connection = True
            return
        if self.path == "/silent":
            self.release.wait(5)
            return
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", " * ")
        self.send_header("X-Path", self.path)
        self.send_header("Access-Control-Expose-Headers", "X-Path, X-Sent")
        self.send_header("X-Sent", self.headers.get("X-Sent", ""))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(2):
            data = b"data: %d\n\n" % number
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if self.path == "/sse":
                self.release.wait(5)
        self.wfile.write(b"0\r\n\r\n")

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Handler.release.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            Handler.release.set()
            server.shutdown()


@pytest.fixture
def browser(url: str) -> Browser:
    return Browser(HTTPTransport(timeout=1), base_url=url)


def test_requests_and_responses_go_over_the_network(browser: Browser, url: str) -> None:
    response = browser.fetch("/a b?ü", headers={"X-Sent": "é"})
    assert [exchange.is_preflight for exchange in browser.network] == [True, False]
    assert (response.status, response.url) == (200, f"{url}/a%20b?%C3%BC")
    assert response.headers["x-path"] == "/a%20b?%C3%BC"
    assert response.headers["x-sent"] == "é"
    assert response.text == "data: 0\n\ndata: 1\n\n"


def test_a_stream_is_read_as_it_comes(browser: Browser) -> None:
    started = time.monotonic()
    response = browser.fetch("/sse")
    chunks = response.chunks()
    assert next(chunks) == b"data: 0\n\n"
    assert time.monotonic() - started < 1
    Handler.release.set()
    assert list(chunks) == [b"data: 1\n\n"]
    assert response.text == "data: 0\n\ndata: 1\n\n"


def test_a_stream_need_not_be_read_to_its_end(browser: Browser) -> None:
    response = browser.fetch("/sse")
    next(response.chunks())
    response.close()
    assert response.text == "data: 0\n\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nonsense", "ERR_INVALID_HTTP_RESPONSE"),
        ("/silent", "ERR_TIMED_OUT"),
        ("/empty", "ERR_EMPTY_RESPONSE"),
    ],
)
def test_no_http_and_no_answer_in_time_are_network_errors(browser: Browser, path: str, words: str) -> None:
    with pytest.raises(CORSError, match="Failed to fetch") as caught:
        browser.fetch(path)
    assert caught.value.reason == "NetworkError"
    assert caught.value.console_message == f"Failed to load resource: net::{words}"
    assert isinstance(caught.value.__cause__, OSError)
    assert browser.network[-1].response is None


def test_no_server_is_a_network_error() -> None:
    with pytest.raises(CORSError, match="Failed to fetch") as caught:
        Browser(HTTPTransport(timeout=1), base_url="http://127.0.0.1:1024").fetch("/")
    assert caught.value.console_message == "Failed to load resource: net::ERR_CONNECTION_REFUSED"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (socket.gaierror(), "ERR_NAME_NOT_RESOLVED"),
        (ssl.SSLCertVerificationError(), "ERR_CERT_AUTHORITY_INVALID"),
        (ConnectionResetError(), "ERR_CONNECTION_RESET"),
        (OSError(), "ERR_FAILED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_chromium_calls_it(error: OSError, name: str) -> None:
    class Broken:
        def send(self, request: NetworkRequest) -> NetworkResponse:
            raise error

    with pytest.raises(CORSError) as caught:
        Browser(Broken()).fetch("/")
    assert caught.value.console_message == f"Failed to load resource: net::{name}"
    assert caught.value.__cause__ is error


def start(start_response: Any, status: str, exc_info: Any = None) -> Any:
    headers = [("Access-Control-Allow-Origin", "*")]
    return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)


class TestWSGI:
    """https://peps.python.org/pep-3333/#the-start-response-callable"""

    def test_an_application_can_change_its_mind_before_the_body(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start(start_response, "200 OK")
            try:
                raise LookupError
            except LookupError:
                start(start_response, "500 Sorry", sys.exc_info())
            return [b"sorry"]

        response = Browser(app).fetch("/")
        assert (response.status, response.text) == (500, "sorry")

    def test_a_generator_can_too(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            start(start_response, "200 OK")
            try:
                raise LookupError
            except LookupError:
                start(start_response, "500 Sorry", sys.exc_info())
            yield b"sorry"

        response = Browser(app).fetch("/")
        assert (response.status, response.text) == (500, "sorry")

    def test_so_can_the_body_that_it_returns(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            def body() -> Iterator[bytes]:
                yield b""
                try:
                    raise LookupError
                except LookupError:
                    start(start_response, "500 Sorry", sys.exc_info())
                yield b"sorry"

            start(start_response, "200 OK")
            return body()

        response = Browser(app).fetch("/")
        assert (response.status, response.text) == (500, "sorry")

    def test_an_event_stream_is_not_waited_for(self) -> None:
        events: list[bytes] = []

        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            headers = [("Access-Control-Allow-Origin", "*"), ("Content-Type", "text/event-stream; charset=utf-8")]
            start_response("200 OK", headers)
            return (events.pop() for _ in range(2))

        response = Browser(app).fetch("/")
        events.append(b"data: 0\n\n")
        assert next(response.chunks()) == b"data: 0\n\n"

    def test_but_not_after_it(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            start(start_response, "200 OK")
            yield b"hello"
            try:
                raise LookupError("too late")
            except LookupError:
                start(start_response, "500 Sorry", sys.exc_info())

        response = Browser(app).fetch("/")
        with pytest.raises(LookupError, match="too late"):
            assert response.text

    def test_nor_after_write(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            write = start(start_response, "200 OK")
            write(b"hello")
            try:
                raise LookupError("too late")
            except LookupError:
                start(start_response, "500 Sorry", sys.exc_info())
            return []

        with pytest.raises(LookupError, match="too late"):
            Browser(app).fetch("/")

    def test_what_is_written_comes_first(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            write = start(start_response, "200 OK")
            write(b"a")
            write(b"b")
            return [b"c", b"d"]

        assert Browser(app).fetch("/").text == "abcd"

    def test_a_response_must_be_started(self) -> None:
        with pytest.raises(RuntimeError, match="did not call start_response"):
            Browser(lambda environ, start_response: [b"hello"]).fetch("/")

    @pytest.mark.parametrize(
        "pieces", [[b"a", b"b"], [b"a", LookupError()], [LookupError()]], ids=["all", "some", "none"]
    )
    @pytest.mark.parametrize("starts_late", [True, False])
    def test_the_body_is_closed_once(self, pieces: list[Any], starts_late: bool) -> None:
        closed = []

        class Result:
            def __init__(self, start_response: Any) -> None:
                self.start_response = start_response

            def __iter__(self) -> Iterator[bytes]:
                if starts_late and pieces[0] == b"a":
                    start(self.start_response, "200 OK")
                for piece in pieces:
                    if isinstance(piece, LookupError):
                        raise piece
                    yield piece

            def close(self) -> None:
                closed.append(True)

        def app(environ: Any, start_response: Any) -> Result:
            if not starts_late:
                start(start_response, "200 OK")
            return Result(start_response)

        with suppress(LookupError):
            response = Browser(app).fetch("/")
            with suppress(LookupError):
                assert list(response.chunks()) == [b"a", b"b"]
            response.close()
        assert closed == [True]
