"""Over the network: a real server on this machine, streams, and what happens when there is no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

import pytest

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
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


@pytest.mark.parametrize("path", ["/nonsense", "/silent"])
def test_no_http_and_no_answer_in_time_are_network_errors(browser: Browser, path: str) -> None:
    with pytest.raises(TypeError, match="Failed to fetch") as caught:
        browser.fetch(path)
    assert not isinstance(caught.value, CORSError)
    assert isinstance(caught.value.__cause__, OSError)
    assert browser.network[-1].response is None


def test_no_server_is_a_network_error() -> None:
    with pytest.raises(TypeError, match="Failed to fetch") as caught:
        Browser(HTTPTransport(timeout=1), base_url="http://127.0.0.1:1024").fetch("/")
    assert isinstance(caught.value.__cause__, OSError)
