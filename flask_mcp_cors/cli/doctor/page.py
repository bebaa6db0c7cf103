"""A page in a browser, as the doctor drives it: every fetch ends in a value, whatever happens."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
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

#: How much of a body is read at most.
MAX_BODY = 1 << 20

#: Seconds in which bytes that come in one go have come.
AT_ONCE = 0.3

Engine = Literal["chromium", "firefox", "webkit"]

#: When to stop reading a body that has not ended.
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
    """A stream in a thread of its own: its first bytes, whatever comes right behind them, and whether it ends then."""

    def __init__(self, response: NetworkResponse) -> None:
        super().__init__(daemon=True)
        self._response = response
        self._start = time.monotonic()
        self._body = b""
        self._first = 0.0
        self._is_ended = False

    def run(self) -> None:
        """Read until the stream ends, or goes on after its first bytes."""
        with suppress(OSError, ValueError):  # closed from outside: nothing has come
            for chunk in self._response.body.chunks():
                now = time.monotonic() - self._start
                self._first = self._first or now
                self._body += chunk
                if now - self._first > AT_ONCE or len(self._body) > MAX_BODY:
                    return
            self._is_ended = True

    def end(self, patience: float) -> Fetched:
        """What has come by then.

        :param patience: seconds, from the beginning of the stream.
        """
        self.join(max(0.0, self._start + patience - time.monotonic()))
        self._response.body.close()
        status, headers = self._response.status, self._response.headers
        return Fetched("GET", "", status, headers, self._body, is_ended=self._is_ended, waited=self._first)


class Page:
    """A page of *origin*. Its preflight cache lives as long as it does."""

    def __init__(self, wire: Wire, origin: str, url: str, engine: Any = "chromium") -> None:
        self.origin = origin
        self._wire = wire
        self._url = url
        self._engine = engine  # Any: the browser says which engines it knows
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
        """Call ``fetch()`` and read the body, or of a stream as much as is *enough*.

        Redirects are not followed: both official TypeScript clients set ``redirect: "manual"``.

        :param patience: seconds after which a body that has not ended is left alone.
        """
        read = _Reader(self._wire, enough or _is_answered, patience)
        return _fetch(self._browser, read, Fetched(method, url, sent=message), headers or {}, body)

    def watch(self, url: str, headers: Headers) -> Watched | None:
        """Open a ``GET`` stream that is read beside everything else."""
        pairs = [("Host", parse_url(url).authority), ("Origin", self.origin), *headers.items()]
        with suppress(OSError):
            watched = Watched(self._wire.send(NetworkRequest("GET", url, HeaderList(pairs), None)))
            watched.start()
            return watched
        return None

    def ask(self, url: str, method: str, headers: Headers) -> Fetched:
        """Send the preflight of such a fetch and nothing else. ``status`` is 0 where the browser would go on."""
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
        fetched.fault = fault_of(error if isinstance(error, OSError) else Unsendable(str(error)), url)
    except TypeError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, _NotSent):
            fetched.status = 0
        elif isinstance(cause, OSError):
            fetched.fault = fault_of(cause, url)
        elif isinstance(error, CORSError) and error.is_cors_policy:
            fetched.blocked = error
        else:
            fetched.barred = error.console_message if isinstance(error, CORSError) else str(error)
    fetched.exchanges = tuple(browser.network[before:])
    fetched.waited = read.wire.waited
    return fetched


def _is_answered(body: bytes) -> bool:
    """Has the one event come that a POST's stream is for? It may stay open after that."""
    found = list(events(body))
    if any(kind == "endpoint" for kind, _ in found):
        return True  # the transport of 2024: nothing more comes for a POST
    return any(read_message(f"data: {data}\n\n".encode(), "text/event-stream").message for _, data in found)


class _Reader:
    """Reads a body as far as it is there in time and needed, and closes it."""

    def __init__(self, wire: Wire, enough: Enough, patience: float | None) -> None:
        self.wire = wire
        self._enough = enough
        self._patience = patience

    def __call__(self, fetched: Fetched, content: Body, response: NetworkResponse | None) -> None:
        """Note the body, decoded, and how it ended."""
        chunks, close = content.chunks(), content.close
        headers = HeaderList() if response is None else response.headers
        # A little less than the time-out of the socket, which would make an error of a stream that is only quiet.
        patience = 0.9 * min(self.wire.timeout, self.wire.seconds_left)
        patience = patience if self._patience is None else min(patience, self._patience)
        rung = threading.Event()

        def ring() -> None:
            rung.set()
            close()

        # Closing it from outside is what wakes a reader of a stream that is quiet.
        alarm = threading.Timer(patience, ring)
        alarm.daemon = True
        alarm.start()
        body, length, is_whole = b"", 0, False
        decoder = _decoder(headers)
        try:
            for chunk in chunks:
                length += len(chunk)
                body += chunk if decoder is None else decoder.decompress(chunk, MAX_BODY)
                if len(body) > MAX_BODY or self._enough(body):
                    break
            else:
                is_whole = not rung.is_set()
        except zlib.error as error:
            raise Undecodable(printable(headers.get("Content-Encoding", ""), 40)) from error
        except (OSError, ValueError) as error:
            # Closed by the alarm: what came so far is what there is. Else it broke off.
            if not rung.is_set():
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
    """What undoes the compression: browsers do it silently, so servers apply it to them alone."""
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
    """Send a request as ``curl`` would: no preflight, no ``Origin`` that is not in *headers*, everything readable."""
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
        fetched.fault = fault_of(error, url)
    fetched.exchanges = (exchange,)
    fetched.waited = wire.waited
    return fetched
