"""The network, with limits on requests and seconds, and one clear reason if there is no answer."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from http.client import InvalidURL
from ipaddress import ip_address
from ipaddress import IPv6Address
from typing import NamedTuple

from ...core.hosts import is_loopback
from ...testing import HeaderList
from ...testing import HTTPTransport
from ...testing import NetworkRequest
from ...testing import NetworkResponse
from ...testing.transport import TransportError

#: After so many requests without an answer in time the doctor stops.
MAX_SILENCES = 4

#: At the end of the total time, a request that had fewer seconds than these does not count as unanswered.
FAIR_TIME = 3.0

#: Seconds for a name to resolve.
RESOLVING = 3.0

#: The codings of browsers that the standard library can decode. Servers compress only if a request names one.
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
        raise ValueError(f"{cacert} does not contain a certificate in PEM form") from None
    return context


class Exhausted(OSError):
    """The time or the number of requests is used up, or the server does not answer."""


class Unsendable(OSError):
    """The URL is malformed, or its host name is not possible."""


class Undecodable(OSError):
    """The body does not match its ``Content-Encoding``."""


class Fault(NamedTuple):
    """Why there was no complete HTTP answer."""

    code: str
    detail: str = ""


class Wire:
    """A transport for :class:`~flask_mcp_cors.testing.Browser` with limits.

    :param timeout: seconds until a response begins.
    :param limit: the most requests that are sent.
    :param total: seconds for all of them together.
    :param context: how certificates are verified.
    """

    def __init__(self, timeout: float, limit: int, total: float = 13.0, context: ssl.SSLContext | None = None) -> None:
        self.timeout = self._longest = timeout
        self.left = limit
        self.sent = 0
        #: How long the last response took to begin.
        self.waited = 0.0
        #: An origin, and the address at which to call it: ``localhost`` has two.
        self.instead = ("", "")
        self._silences = 0
        self._has_answer = False
        #: How long the slowest answer took to begin.
        self._slowest = 0.0
        self._end = time.monotonic() + total
        self._context = context

    @property
    def seconds_left(self) -> float:
        """Seconds until the end of the examination."""
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
            # A request that hangs leaves time for others; a slow server gets as long as it has needed before.
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
                raise Exhausted("no more time") from None  # the server may have answered later
            raise
        self._has_answer = True
        self._slowest = max(self._slowest, self.waited)
        return response


class _Call(threading.Thread):
    """One request in its own thread, so that a server that sends single bytes cannot hold the doctor up."""

    def __init__(self, transport: HTTPTransport, request: NetworkRequest) -> None:
        super().__init__(daemon=True)
        self._transport = transport
        self._request = request
        self._lock = threading.Lock()
        self._abandoned = False
        self._result: NetworkResponse | Exception | None = None

    def run(self) -> None:
        """Send it, and keep the response or the error."""
        result: NetworkResponse | Exception
        try:
            result = self._transport.send(self._request)
        except Exception as error:  # take() raises it again
            result = error
        with self._lock:
            self._result = result
            if self._abandoned and isinstance(result, NetworkResponse):
                result.body.close()

    def take(self) -> NetworkResponse:
        """The response, if it has come.

        :raises TimeoutError: it has not.
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


def fault_of(error: Exception) -> Fault:
    """The fault that an error of the network stands for."""
    if isinstance(error, TransportError):
        return Fault(error.kind)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault("certificate", error.verify_message.rstrip("."))
    if isinstance(error, ssl.SSLError):
        return Fault("tls", error.reason or "handshake failed")
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return Fault(code, str(error))
    return Fault("network", getattr(error, "strerror", None) or type(error).__name__)


_CODES: dict[type[Exception], str] = {
    Exhausted: "gave_up",
    Unsendable: "url_malformed",
    UnicodeError: "url_malformed",
    Undecodable: "undecodable",
    ConnectionRefusedError: "refused",
    ConnectionResetError: "closed",
    socket.gaierror: "dns",
    TimeoutError: "timeout",
}


def is_local(host: str) -> bool:
    """Is this host on this machine or in a private network?

    >>> [is_local(host) for host in ("localhost", "127.0.0.1", "192.168.0.9", "[fe80::1]", "8.8.8.8")]
    [True, True, True, True, False]
    """
    if is_loopback(host):
        return True
    with suppress(ValueError):
        return _is_private(host.strip("[]"))
    return any(map(_is_private, _addresses(host)))


def _addresses(host: str) -> list[str]:
    """The addresses of a name; none, if that takes too long. A look-up has no other time limit."""
    found: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(str(address[0]).partition("%")[0] for *_, address in answers)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(RESOLVING)
    return list(found)


def _is_private(text: str) -> bool:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not address.is_global
