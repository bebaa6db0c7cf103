"""A page in a browser, as the doctor uses it: each fetch returns its outcome and raises nothing."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from typing import Literal

from ...testing import Browser
from ...testing import CORSError
from ...testing import Exchange
from ...testing import HeaderList
from ...testing import NetworkRequest
from ...testing import NetworkResponse
from ...testing.messages import Body
from ...testing.transport import TransportError
from ...testing.urls import parse_url
from ..terminal import printable
from .evidence import Fetched
from .messages import events
from .messages import Headers
from .messages import Message
from .messages import read_message
from .wire import fault_of
from .wire import Undecodable
from .wire import Unsendable
from .wire import Wire

#: The most bytes that are read of a body.
MAX_BODY = 1 << 20

#: Bytes within so many seconds were sent at once.
AT_ONCE = 0.3

Engine = Literal["chromium", "firefox", "webkit"]

#: Is enough of the body there to stop reading?
Enough = Callable[[bytes], bool]


class _NotSent(OSError):
    """The preflight passed; the request itself is not to be sent."""


class _PreflightsOnly:
    """A transport that sends nothing but preflights."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: NetworkRequest) -> NetworkResponse:
        """Send it if it is a preflight."""
        if request.method != "OPTIONS":
            raise _NotSent
        return self._wire.send(request)


class Watched(threading.Thread):
    """A stream in its own thread: its first bytes, those that come at once after them, and whether it ends then."""

    def __init__(self, response: NetworkResponse) -> None:
        super().__init__(daemon=True)
        self._response = response
        self._start = time.monotonic()
        self._body = b""
        self._first = 0.0
        self._is_ended = False

    def run(self) -> None:
        """Read until the stream ends, or goes on after its first bytes."""
        with suppress(OSError, ValueError):  # end() has closed it
            for chunk in self._response.body.chunks():
                now = time.monotonic() - self._start
                self._first = self._first or now
                self._body += chunk
                if now - self._first > AT_ONCE or len(self._body) > MAX_BODY:
                    return
            self._is_ended = True

    def end(self, patience: float) -> Fetched:
        """Stop, and return what has come.

        :param patience: seconds to wait, from the beginning of the stream.
        """
        self.join(max(0.0, self._start + patience - time.monotonic()))
        self._response.body.close()
        status, headers = self._response.status, self._response.headers
        return Fetched("GET", "", status, headers, self._body, is_ended=self._is_ended, waited=self._first)


class Page:
    """A page of *origin*, with its preflight cache."""

    def __init__(self, wire: Wire, origin: str, url: str, engine: Any = "chromium") -> None:
        self.origin = origin
        self._wire = wire
        self._url = url
        self._engine = engine  # Any: the browser checks its name
        self._browser = Browser(wire, origin, url, quirks=engine)

    def fetch(
        self,
        url: str,
        method: str = "GET",
        headers: Headers | None = None,
        *,
        message: Message | None = None,
        body: str | None = None,
        enough: Enough | None = None,
        patience: float | None = None,
    ) -> Fetched:
        """Call ``fetch()`` and read the body, or *enough* of a stream.

        Redirects are not followed: both official TypeScript clients set ``redirect: "manual"``.

        :param patience: seconds to wait for the body.
        """
        read = _Reader(self._wire, enough or _is_answered, patience)
        return _fetch(self._browser, read, Fetched(method, url, sent=message), headers or {}, body)

    def watch(self, url: str, headers: Headers) -> Watched | None:
        """Open a ``GET`` stream and read it in the background."""
        pairs = [("Host", parse_url(url).authority), ("Origin", self.origin), *headers.items()]
        with suppress(OSError):
            watched = Watched(self._wire.send(NetworkRequest("GET", url, HeaderList(pairs), None)))
            watched.start()
            return watched
        return None

    def ask(self, url: str, method: str, headers: Headers) -> Fetched:
        """Send only the preflight of such a fetch. ``status`` is 0 if it passes."""
        browser = Browser(_PreflightsOnly(self._wire), self.origin, self._url, quirks=self._engine)
        return _fetch(browser, _Reader(self._wire, _is_answered, None), Fetched(method, url), headers)


def _fetch(browser: Browser, read: _Reader, fetched: Fetched, headers: Headers, body: str | None = None) -> Fetched:
    method, url = fetched.method, fetched.url
    before = len(browser.network)
    try:
        response = browser.fetch(url, method, headers, json=fetched.sent, body=body, redirect="manual")
        fetched.headers = response.headers
        read(fetched, response.body, browser.network[-1].response)
        fetched.status = None if response.type == "opaqueredirect" else response.status
    except (OSError, ValueError) as error:
        fetched.fault = fault_of(error if isinstance(error, OSError) else Unsendable(str(error)))
    except TypeError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, _NotSent):
            fetched.status = 0
        elif isinstance(cause, OSError):
            fetched.fault = fault_of(cause)
        elif isinstance(error, CORSError) and error.is_cors_policy:
            fetched.blocked = error
        else:
            fetched.barred = error.console_message if isinstance(error, CORSError) else str(error)
    fetched.exchanges = tuple(browser.network[before:])
    fetched.waited = read.wire.waited
    return fetched


def _is_answered(body: bytes) -> bool:
    """Has the event come that answers a POST? Its stream may stay open after that."""
    found = list(events(body))
    if any(kind == "endpoint" for kind, _ in found):
        return True  # the transport of 2024
    return any(read_message(f"data: {data}\n\n".encode(), "text/event-stream").message for _, data in found)


@dataclass
class _Reader:
    """Reads a body until it ends, is enough or takes too long, and closes it."""

    wire: Wire
    enough: Enough
    patience: float | None

    def __call__(self, fetched: Fetched, content: Body, response: NetworkResponse | None) -> None:
        """Note the decoded body, and how it ended."""
        chunks, close = content.chunks(), content.close
        headers = HeaderList() if response is None else response.headers
        # A little less than the time-out of the socket, which would turn a quiet stream into an error.
        patience = 0.9 * min(self.wire.timeout, self.wire.seconds_left)
        patience = patience if self.patience is None else min(patience, self.patience)
        is_over = threading.Event()

        def stop() -> None:
            is_over.set()
            close()

        # Only closing the body wakes a thread that waits for the next bytes of it.
        alarm = threading.Timer(patience, stop)
        alarm.daemon = True
        alarm.start()
        body, length, is_whole = b"", 0, False
        decoder = _decoder(headers)
        try:
            for chunk in chunks:
                length += len(chunk)
                body += chunk if decoder is None else decoder.decompress(chunk, MAX_BODY)
                if len(body) > MAX_BODY or self.enough(body):
                    break
            else:
                is_whole = not is_over.is_set()
        except zlib.error as error:
            raise Undecodable(printable(headers.get("Content-Encoding", ""), 40)) from error
        except (OSError, ValueError) as error:
            # If the alarm has closed it, what came so far counts.
            if not is_over.is_set():
                if isinstance(error, ConnectionError):
                    raise TransportError("broke_off", "the connection was reset in the body") from error
                raise
        finally:
            alarm.cancel()
            close()
        fetched.body, fetched.is_ended, fetched.received = body, is_whole, length
        fetched.is_short = is_whole and fetched.method != "HEAD" and length < _announced(headers)


def _announced(headers: HeaderList) -> int:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and length.isascii() else 0


def _decoder(headers: HeaderList) -> Any:
    """What undoes the compression. Servers often compress only for browsers."""
    coding = headers.get("Content-Encoding", "").strip().lower()
    return zlib.decompressobj(47) if coding in ("gzip", "x-gzip", "deflate") else None


def send_plain(
    wire: Wire,
    url: str,
    method: str,
    host: str,
    headers: Headers,
    message: Message | None = None,
    *,
    body: bytes | None = None,
    patience: float | None = None,
    enough: Enough | None = None,
) -> Fetched:
    """Send a request as ``curl`` would: without a preflight, only with these *headers*, and everything is readable."""
    data = body if message is None else json.dumps(message).encode()
    pairs = [("Host", host), *headers.items()]
    if data is not None:
        pairs.append(("Content-Length", str(len(data))))
    sent = NetworkRequest(method, url, HeaderList(pairs), data)
    fetched = Fetched(method, url, sent=message)
    exchange = Exchange(sent, False)
    try:
        response = wire.send(sent)
        exchange.response = response
        fetched.headers = response.headers
        _Reader(wire, enough or _is_answered, patience)(fetched, response.body, response)
        fetched.status = response.status
    except OSError as error:
        fetched.fault = fault_of(error)
    fetched.exchanges = (exchange,)
    fetched.waited = wire.waited
    return fetched
