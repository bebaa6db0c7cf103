"""The network, bounded: so many requests, so many seconds, and one clear reason where there is no answer."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import InvalidURL
from typing import NamedTuple

from ...testing import HeaderList
from ...testing import HTTPTransport
from ...testing import NetworkRequest
from ...testing import NetworkResponse
from ...testing.transport import TransportError
from ..terminal import printable

#: After that many requests without an answer in time there is nothing more to learn.
MAX_SILENCES = 4

#: Seconds that a request has to have had before it counts as unanswered, at the end of all the time.
FAIR_TIME = 3.0

#: What a browser accepts, as far as the standard library can decode it. Servers compress only where it is asked for.
ACCEPT_ENCODING = ("Accept-Encoding", "gzip, deflate")


def tls_context(cacert: str | None, *, insecure: bool) -> ssl.SSLContext | None:
    """How certificates are verified; ``None``: as by default.

    :raises ValueError: *cacert* is not a PEM file with certificates.
    """
    if not insecure and cacert is None:
        return None
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(cacert)
    except ssl.SSLError:
        raise ValueError(f"{cacert} holds no certificate in PEM form") from None
    return context


class Exhausted(OSError):
    """There will be no more requests: the time or the number is used up, or the server stays silent."""


class Unsendable(OSError):
    """The URL cannot be asked: it is malformed, or no host can have this name."""


class Undecodable(OSError):
    """The body is not what its ``Content-Encoding`` says."""


class Fault(NamedTuple):
    """Why there was no whole HTTP answer."""

    code: str
    sentence: str
    fix: str


class Wire:
    """A transport for :class:`~flask_mcp_cors.testing.Browser` with an end to everything.

    :param timeout: seconds until a response has begun, however slowly it trickles in.
    :param limit: how many requests are sent at most.
    :param total: seconds for all of them together.
    :param context: how certificates are verified.
    """

    def __init__(self, timeout: float, limit: int, total: float = 13.0, context: ssl.SSLContext | None = None) -> None:
        self.timeout = self._longest = timeout
        self.left = limit
        self.sent = 0
        #: How long the last response took to begin.
        self.waited = 0.0
        #: An origin that is called at another address: ``localhost`` is two.
        self.instead = ("", "")
        self._silences = 0
        self._has_answer = False
        #: How long the slowest answer took to begin.
        self._slowest = 0.0
        self._end = time.monotonic() + total
        self._context = context

    @property
    def seconds_left(self) -> float:
        """Until the whole examination has to be over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_exhausted(self) -> bool:
        """Will nothing more be sent?"""
        return self.left <= 0 or self._silences >= MAX_SILENCES or self.seconds_left <= 0

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Wait no longer than this for a response."""
        timeout, self.timeout = self.timeout, min(self.timeout, seconds)
        try:
            yield
        finally:
            self.timeout = timeout

    def send(self, request: NetworkRequest) -> NetworkResponse:
        """Send it, unless the time or the number is used up.

        :raises OSError: there was no answer, or nothing was sent.
        """
        if self.is_exhausted:
            raise Exhausted("no more requests")
        self.left -= 1
        self.sent += 1
        timeout = min(self.timeout, self.seconds_left)
        if self._has_answer:
            # One request that hangs leaves time for others; a server that is slow gets the time that it has needed.
            timeout = min(timeout, max(FAIR_TIME, self.seconds_left / 2, 1.5 * self._slowest))
        headers, url = request.headers, request.url
        if "Accept-Encoding" not in headers:
            headers = HeaderList([*headers.pairs, ACCEPT_ENCODING])
        if self.instead[0] and url.startswith(self.instead[0]):
            url = self.instead[1] + url.removeprefix(self.instead[0])
        request = NetworkRequest(request.method, url, headers, request.body)
        start = time.monotonic()
        call = _Call(HTTPTransport(min(self._longest, self.seconds_left), self._context), request)
        call.start()
        call.join(timeout)
        self.waited = time.monotonic() - start
        try:
            response = call.take()
        except TimeoutError:
            self._silences += 1
            if self._has_answer and timeout < min(self.timeout, max(FAIR_TIME, self._slowest)):
                raise Exhausted("no more time") from None  # a server that has answered was not given its time
            raise
        self._has_answer = True
        self._slowest = max(self._slowest, self.waited)
        return response


class _Call(threading.Thread):
    """One request in a thread of its own: a server that sends a byte now and then cannot hold the doctor up."""

    def __init__(self, transport: HTTPTransport, request: NetworkRequest) -> None:
        super().__init__(daemon=True)
        self._transport = transport
        self._request = request
        self._lock = threading.Lock()
        self._abandoned = False
        self._result: NetworkResponse | Exception | None = None

    def run(self) -> None:
        """Send it, and keep what comes."""
        result: NetworkResponse | Exception
        try:
            result = self._transport.send(self._request)
        except Exception as error:  # whatever it is: raised again where somebody waits for it
            result = error
        with self._lock:
            self._result = result
            if self._abandoned and isinstance(result, NetworkResponse):
                result.body.close()

    def take(self) -> NetworkResponse:
        """The response that has come.

        :raises TimeoutError: none has.
        """
        with self._lock:
            self._abandoned = self._result is None
            if self._result is None:
                raise TimeoutError("timed out")
            if isinstance(self._result, NetworkResponse):
                return self._result
            if isinstance(self._result, (UnicodeError, InvalidURL)):
                # A server may name any URL.
                raise Unsendable(str(self._result)) from self._result
            raise self._result


_KINDS = {
    "closed": (
        "{url} closes the connection without an answer.",
        "check the port; if it speaks TLS there, write https:",
    ),
    "not_http": (
        "What answers at {url} does not speak HTTP.",
        "check the port in the URL; if the server speaks TLS there, write https:",
    ),
    "broke_off": ("A response of {url} ends in the middle.", "see the log of server and proxies"),
}


def fault_of(error: Exception, url: str) -> Fault:
    """What an error of the network means, and what to look at."""
    url = printable(url, 200)
    if isinstance(error, Exhausted):
        return Fault("gave_up", "The doctor stopped: its time is over, or too many requests had no answer.", "")
    if isinstance(error, (Unsendable, UnicodeError)):
        return Fault("url_malformed", f"{url} is not a URL that can be asked.", "write a whole URL, with a valid host")
    if isinstance(error, Undecodable):
        words = f"The body of an answer of {url} is not encoded as its Content-Encoding says: {error}."
        return Fault("undecodable", words, "send Content-Encoding with bodies that are so encoded, by one layer only")
    if isinstance(error, TransportError):
        sentence, fix = _KINDS[error.kind]
        return Fault(error.kind, sentence.format(url=url), fix)
    if isinstance(error, ConnectionRefusedError):
        return Fault("refused", f"Nothing listens at {url}: the connection is refused.", "start it; check the port")
    if isinstance(error, socket.gaierror):
        return Fault("dns", f"The name in {url} does not resolve.", "check the spelling and the DNS record")
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"The certificate of {url} is not valid: {error.verify_message.rstrip('.')}."
        fix = "install a valid certificate, for browsers refuse this one (for your own CA: --cacert)"
        return Fault("certificate", words, fix)
    if isinstance(error, ssl.SSLError):
        words = f"There is no TLS at {url} ({error.reason or 'handshake failed'})."
        return Fault("tls", words, "if the server speaks plain HTTP on this port, write http:")
    if isinstance(error, TimeoutError):
        fix = "see in the server's log whether it hangs; --timeout and --total wait longer"
        return Fault("timeout", f"No answer from {url} in time.", fix)
    if isinstance(error, ConnectionResetError):
        return Fault("closed", *(words.format(url=url) for words in _KINDS["closed"]))
    reason = getattr(error, "strerror", None) or type(error).__name__
    return Fault("network", f"No connection to {url}: {reason}.", "check address and network")
