"""A page in a browser, as the doctor drives it: every fetch ends in a value, whatever happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from urllib.parse import urljoin

from ...testing import Browser
from ...testing import CORSError
from ...testing import Exchange
from ...testing import HeaderList
from ...testing import NetworkRequest
from ...testing import NetworkResponse
from ...testing import Response
from ...testing.checks import REDIRECT_STATUSES
from .messages import events
from .messages import Headers
from .messages import Message
from .messages import read_message
from .wire import Fault
from .wire import fault_of
from .wire import Wire

#: How much of a body is read at most.
MAX_BODY = 1 << 20

#: When to stop reading a body that has not ended.
Enough = Callable[[bytes], bool]


@dataclass
class Fetched:
    """What came of one ``fetch()``."""

    method: str
    url: str
    #: What JavaScript gets: ``None`` where the fetch was rejected.
    status: int | None = None
    headers: HeaderList = field(default_factory=HeaderList)
    body: bytes = b""
    #: Why it was rejected, if it was: by CORS, by the network, or by the browser before it asked anybody.
    blocked: CORSError | None = None
    fault: Fault | None = None
    barred: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    #: Until the response began, and until the first event or the end of the body.
    began_after: float = 0.0
    ended_after: float = 0.0

    @property
    def is_rejected(self) -> bool:
        """Is there nothing that a client can go on with?"""
        return self.status is None

    @property
    def location(self) -> str | None:
        """Where the last response sends the client, which does not follow; ``None``: it is no redirect."""
        response = self.network
        if response is None or response.status not in REDIRECT_STATUSES:
            return None
        location = response.headers.get("Location", "")
        try:
            return urljoin(self.url, location) if location else ""
        except ValueError:
            return location

    @property
    def message(self) -> Message | None:
        """The JSON-RPC response."""
        return read_message(self.body, self.headers.get("content-type", ""))

    @property
    def result(self) -> dict[str, Any] | None:
        """What a JSON-RPC request was answered with, unless it was an error."""
        result = (self.message or {}).get("result")
        return result if isinstance(result, dict) else None

    @property
    def preflight(self) -> NetworkResponse | None:
        """The answer to the last preflight, if one was sent."""
        return next((e.response for e in reversed(self.exchanges) if e.is_preflight), None)

    @property
    def network(self) -> NetworkResponse | None:
        """The last response as the server sent it, readable or not."""
        return next((e.response for e in reversed(self.exchanges) if not e.is_preflight), None)

    @property
    def sent_names(self) -> tuple[str, ...]:
        """The names that the last preflight asked for."""
        for exchange in reversed(self.exchanges):
            if exchange.is_preflight:
                asked = exchange.request.headers.get("Access-Control-Request-Headers", "")
                return tuple(name for name in asked.split(",") if name)
        return ()


class _NotSent(OSError):
    """The preflight passed; the request itself is not to be sent."""


class _PreflightsOnly:
    """A transport that sends nothing but preflights."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: NetworkRequest) -> NetworkResponse:
        if request.method != "OPTIONS":
            raise _NotSent
        return self._wire.send(request)


class Page:
    """A page of *origin*. Its preflight cache lives as long as it does."""

    def __init__(self, wire: Wire, origin: str, url: str) -> None:
        self.origin = origin
        self._wire = wire
        self._url = url
        self._browser = Browser(wire, origin, url, quirks="chromium")

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
        read = _Reader(self._wire.timeout, enough or _is_answered, patience)
        return _fetch(self._browser, read, url, method, headers or {}, message, body)

    def ask(self, url: str, method: str, headers: Headers) -> Fetched:
        """Send the preflight of such a fetch and nothing else. ``status`` is 0 where the browser would go on."""
        browser = Browser(_PreflightsOnly(self._wire), self.origin, self._url, quirks="chromium")
        return _fetch(browser, _Reader(self._wire.timeout, _is_answered, None), url, method, headers, None, None)


def _fetch(
    browser: Browser,
    read: _Reader,
    url: str,
    method: str,
    headers: Headers,
    message: Message | None,
    body: str | None,
) -> Fetched:
    fetched = Fetched(method, url)
    before = len(browser.network)
    start = time.monotonic()
    try:
        response = browser.fetch(url, method, headers, json=message, body=body, redirect="manual")
        fetched.began_after = time.monotonic() - start
        fetched.headers = response.headers
        fetched.body = read(response)
        fetched.status = None if response.type == "opaqueredirect" else response.status
    except OSError as error:
        fetched.fault = fault_of(error, url)
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
    fetched.ended_after = time.monotonic() - start
    fetched.exchanges = tuple(browser.network[before:])
    return fetched


def _is_answered(body: bytes) -> bool:
    """Has the one event come that a POST's stream is for? It may stay open after that."""
    return any(read_message(f"data: {data}\n\n".encode(), "text/event-stream") for _, data in events(body))


class _Reader:
    """Reads a body as far as it is there in time and needed, and closes it."""

    def __init__(self, timeout: float, enough: Enough, patience: float | None) -> None:
        self._timeout = timeout
        self._enough = enough
        self._patience = patience

    def __call__(self, response: Response | NetworkResponse) -> bytes:
        body = b""
        chunks = response.chunks() if isinstance(response, Response) else response.body.chunks()
        close = response.close if isinstance(response, Response) else response.body.close
        patience = self._timeout if self._patience is None else self._patience
        rung = threading.Event()

        def ring() -> None:
            rung.set()
            close()

        # Closing it from outside is what wakes a reader of a stream that is quiet.
        alarm = threading.Timer(patience, ring)
        alarm.daemon = True
        alarm.start()
        try:
            for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY or self._enough(body):
                    break
        except (OSError, ValueError):
            # Closed by the alarm: what came so far is what there is. Else it broke off.
            if not rung.is_set():
                raise
        finally:
            alarm.cancel()
            close()
        return body


def send_plain(
    wire: Wire,
    url: str,
    method: str,
    host: str,
    headers: Headers,
    message: Message | None = None,
    patience: float | None = None,
) -> Fetched:
    """Send a request as ``curl`` would: no preflight, no ``Origin`` that is not in *headers*, everything readable."""
    data = None if message is None else json.dumps(message).encode()
    pairs = [("Host", host), *headers.items()]
    if data is not None:
        pairs.append(("Content-Length", str(len(data))))
    sent = NetworkRequest(method, url, HeaderList(pairs), data)
    fetched = Fetched(method, url)
    exchange = Exchange(sent, False)
    start = time.monotonic()
    try:
        response = wire.send(sent)
        exchange.response = response
        fetched.began_after = time.monotonic() - start
        fetched.headers = response.headers
        fetched.body = _Reader(wire.timeout, _is_answered, patience)(response)
        fetched.ended_after = time.monotonic() - start
        fetched.status = response.status
    except OSError as error:
        fetched.fault = fault_of(error, url)
    fetched.exchanges = (exchange,)
    return fetched
