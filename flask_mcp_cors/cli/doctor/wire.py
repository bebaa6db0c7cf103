"""The network, bounded: so many requests, so many seconds each, and one clear line where there is no answer."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import NamedTuple

from ...testing import HTTPTransport
from ...testing import NetworkRequest
from ...testing import NetworkResponse

#: After that many requests without an answer in time there is nothing more to learn.
MAX_SILENCES = 5


class Exhausted(OSError):
    """There will be no more requests: the limit is reached, or the server stays silent."""


class Fault(NamedTuple):
    """Why there was no HTTP answer at all."""

    code: str
    sentence: str
    fix: str


class Wire:
    """A transport for :class:`~flask_mcp_cors.testing.Browser` with an end to everything.

    :param timeout: seconds until a response has begun, however slowly it trickles in.
    :param limit: how many requests are sent at most.
    """

    def __init__(self, timeout: float, limit: int) -> None:
        self.timeout = timeout
        self.left = limit
        self.sent = 0
        self._silences = 0

    def send(self, request: NetworkRequest) -> NetworkResponse:
        if self.left <= 0 or self._silences >= MAX_SILENCES:
            raise Exhausted("no more requests")
        self.left -= 1
        self.sent += 1
        call = _Call(HTTPTransport(self.timeout), request)
        call.start()
        call.join(self.timeout)
        try:
            return call.take()
        except TimeoutError:
            self._silences += 1
            raise


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
        result: NetworkResponse | Exception
        try:
            result = self._transport.send(self._request)
        except Exception as error:  # raised again where somebody waits for it
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
            if isinstance(self._result, Exception):
                raise self._result
            return self._result


def fault_of(error: Exception, url: str) -> Fault:
    """What an error of the network means, and what to look at."""
    if isinstance(error, Exhausted):
        return Fault("gave_up", "The doctor stopped: too many requests, or too many without an answer.", "run it again")
    if isinstance(error, ConnectionRefusedError):
        return Fault("refused", f"Nothing listens at {url}: the connection is refused.", "start the server; check port")
    if isinstance(error, socket.gaierror):
        return Fault("dns", f"The name in {url} does not resolve.", "check the spelling and the DNS record")
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"The certificate of {url} is not valid: {error.verify_message}."
        return Fault("certificate", words, "browsers fail too, without a word about CORS; install a valid certificate")
    if isinstance(error, ssl.SSLError):
        words = f"There is no TLS at {url} ({error.reason or 'handshake failed'})."
        return Fault("tls", words, "if the server speaks plain HTTP on this port, write http:")
    if isinstance(error, TimeoutError):
        return Fault(
            "timeout", f"No answer from {url} in time.", "see whether the server hangs; --timeout waits longer"
        )
    if isinstance(error, ConnectionResetError) or "RemoteDisconnected" in str(error):
        words = f"{url} closes the connection without an answer."
        return Fault("closed", words, "check the port; if the server speaks TLS there, write https:")
    if isinstance(error, ConnectionError) and "not HTTP" in str(error):
        words = f"What answers at {url} does not speak HTTP."
        return Fault("not_http", words, "check the port; if the server speaks TLS there, write https:")
    if isinstance(error, ConnectionError) and "broke off" in str(error):
        return Fault("broke_off", f"A response of {url} ends in the middle.", "see the log of server and proxies")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return Fault("network", f"No connection to {url}: {reason}.", "check address and network")
