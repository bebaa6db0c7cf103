"""How requests get to the server: into a WSGI application, or over HTTP.

A transport knows nothing about CORS. It sends one request unchanged and returns the response.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from itertools import chain
from typing import Literal
from typing import Protocol
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

from werkzeug.wsgi import ClosingIterator

from .headers import HeaderList
from .headers import mime_type_essence
from .messages import Body
from .messages import NetworkRequest
from .messages import NetworkResponse
from .urls import DEFAULT_PORTS
from .urls import parse_url

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


class Transport(Protocol):
    """Anything that carries a request to a server."""

    def send(self, request: NetworkRequest) -> NetworkResponse:
        """Send it.

        :raises OSError: there was no answer, so ``fetch`` would have failed to fetch.
        """


class TransportError(ConnectionError):
    """The server answered, but not with a complete HTTP response.

    :param kind: ``"closed"``: nothing came; ``"not_http"``: it is not HTTP; ``"broke_off"``: the body broke off.
    """

    def __init__(self, kind: Literal["closed", "not_http", "broke_off"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


class WSGITransport:
    """Calls a WSGI application, whatever host the URL names. An exception in the application reaches the test.

    Like a server, it holds the headers back until the first byte of the body, except for an event stream: the test may
    have to cause the first event.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def send(self, request: NetworkRequest) -> NetworkResponse:
        """Call the application once."""
        status, headers, chunks = _call(self.app, self._environ(request))
        # A real server does not send a body here, whatever the application returns.
        bodiless = request.method == "HEAD" or status.startswith(("204", "304"))
        if bodiless:
            chunks.close()
        pairs = [(name, value.strip(" \t")) for name, value in headers]
        return NetworkResponse(int(status[:3]), HeaderList(pairs), Body() if bodiless else Body(chunks))

    def _environ(self, request: NetworkRequest) -> WSGIEnvironment:
        url = parse_url(request.url)
        path, _, query = url.target.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": url.target,
            "RAW_URI": url.target,
            "SERVER_NAME": url.host,
            "SERVER_PORT": str(url.port or DEFAULT_PORTS[url.scheme]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": io.BytesIO(request.body or b""),
        }
        for name in request.headers:
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = request.headers[name]
        setup_testing_defaults(environ)
        return environ


def _call(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], ClosingIterator]:
    """Call a WSGI application, and read its body as far as the headers may still change.

    https://peps.python.org/pep-3333/#the-start-response-callable

    :raises RuntimeError: it never starts a response.
    """
    head: tuple[str, list[tuple[str, str]]] | None = None
    body: list[bytes] = []
    is_sent = False

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        nonlocal head
        if exc_info is not None and (is_sent or any(body)):
            raise exc_info[1] or RuntimeError  # it is too late for another response
        head = (status, list(headers))
        return body.append

    def may_change() -> bool:
        if head is None:
            return True
        is_stream = mime_type_essence(HeaderList(head[1]).get("Content-Type", "")) == "text/event-stream"
        return not (any(body) or is_stream)

    rest = ClosingIterator(app(environ, start_response))
    try:
        while may_change() and (chunk := next(rest, None)) is not None:
            body.append(chunk)
    except BaseException:
        rest.close()
        raise
    is_sent = True
    if head is None:
        raise RuntimeError("the WSGI application did not call start_response")
    return *head, ClosingIterator(chain(body, rest), rest.close)


_NET_ERRORS: dict[type[OSError], str] = {
    socket.gaierror: "ERR_NAME_NOT_RESOLVED",
    ssl.SSLCertVerificationError: "ERR_CERT_AUTHORITY_INVALID",
    ConnectionRefusedError: "ERR_CONNECTION_REFUSED",
    ConnectionResetError: "ERR_CONNECTION_RESET",
    TimeoutError: "ERR_TIMED_OUT",
}


def net_error(error: OSError) -> str:
    """Chromium's name for what went wrong on the network."""
    if isinstance(error, TransportError):
        return "ERR_EMPTY_RESPONSE" if error.kind == "closed" else "ERR_INVALID_HTTP_RESPONSE"
    return next((name for kind, name in _NET_ERRORS.items() if isinstance(error, kind)), "ERR_FAILED")


class HTTPTransport:
    """Sends over the network, one connection a request.

    :param timeout: how many seconds the server may be silent, at each step.
    :param context: for HTTPS; the default verifies the certificate as a browser does.
    """

    def __init__(self, timeout: float = 10.0, context: ssl.SSLContext | None = None) -> None:
        self.timeout = timeout
        self.context = context

    def send(self, request: NetworkRequest) -> NetworkResponse:
        """Send the request over a new connection."""
        url = parse_url(request.url)
        host = url.host.strip("[]")
        connection: http.client.HTTPConnection
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(host, url.port, timeout=self.timeout, context=self.context)
        else:
            connection = http.client.HTTPConnection(host, url.port, timeout=self.timeout)
        try:
            connection.putrequest(request.method, url.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.pairs:
                connection.putheader(name, value.encode("latin-1"))
            connection.putheader("Connection", "close")
            connection.endheaders(request.body)
            sock = connection.sock  # getresponse() may remove it from the connection
            response = connection.getresponse()
        except http.client.HTTPException as error:
            connection.close()
            kind: Literal["closed", "not_http"] = "closed" if isinstance(error, ConnectionResetError) else "not_http"
            raise TransportError(kind, f"this is not HTTP: {error!r}") from error
        except OSError:
            connection.close()
            raise
        pairs = [(name, value.strip(" \t")) for name, value in response.getheaders()]
        return NetworkResponse(response.status, HeaderList(pairs), Body(_Stream(response, connection, sock)))


@dataclass(eq=False)
class _Stream:
    """A response body on the wire, in the pieces in which it arrives."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    sock: socket.socket
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._read():
                yield chunk
        except http.client.HTTPException as error:
            raise TransportError("broke_off", f"the body broke off: {error!r}") from error

    def _read(self) -> bytes:
        with self._reading:
            return self.response.read1(65536)

    def __del__(self) -> None:
        # As in JavaScript, a response need not be closed or read to its end.
        self.close()

    def close(self) -> None:
        """Stop reading and close the connection."""
        # Another thread may be waiting for the stream: shutting the socket down wakes it.
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with self._reading:
            self.response.close()
            self.connection.close()
