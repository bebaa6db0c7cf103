"""The values of a fetch: what goes over the network, and what JavaScript gets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal

from .headers import HeaderList

Credentials = Literal["omit", "same-origin", "include"]
Mode = Literal["cors", "no-cors", "same-origin", "navigate"]
Redirect = Literal["follow", "error", "manual"]
ResponseType = Literal["basic", "cors", "opaque", "opaqueredirect"]


@dataclass(frozen=True)
class NetworkRequest:
    """A request as it leaves the browser."""

    method: str
    url: str
    headers: HeaderList
    body: bytes | None = None


class Body:
    """A response body, read only on demand."""

    def __init__(self, source: Iterable[bytes] = ()) -> None:
        self._source = source
        self._rest = iter(source)
        self._read: list[bytes] = []

    def chunks(self) -> Iterator[bytes]:
        """The chunks as they arrive, beginning with those already read."""
        position = 0
        while True:
            while position < len(self._read):
                yield self._read[position]
                position += 1
            try:
                chunk = next(self._rest, None)
            except BaseException:
                self.close()
                raise
            if chunk is None:
                self.close()
                return
            self._read.append(chunk)

    def read(self) -> bytes:
        """The whole body. For an endless stream use :meth:`chunks`."""
        return b"".join(self.chunks())

    def close(self) -> None:
        """Stop reading."""
        self._rest = iter(())
        source, self._source = self._source, ()
        if close := getattr(source, "close", None):
            close()


@dataclass(frozen=True)
class NetworkResponse:
    """A response as it came from the server, with all headers."""

    status: int
    headers: HeaderList
    body: Body = field(default_factory=Body, repr=False, compare=False)


@dataclass
class Exchange:
    """One request on the network and its response, as in the network tab of the developer tools."""

    request: NetworkRequest
    #: Is it a CORS-preflight request?
    is_preflight: bool
    #: ``None`` if the network failed.
    response: NetworkResponse | None = None


@dataclass(frozen=True)
class Response:
    """What ``fetch`` resolves with.

    ``headers`` holds only what JavaScript may read, with names in lower case as JavaScript gets them. An opaque
    response has status 0, no headers and no body.
    """

    type: ResponseType
    status: int
    url: str
    redirected: bool
    headers: HeaderList
    body: Body = field(default_factory=Body, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Is the status 200 to 299?"""
        return 200 <= self.status <= 299

    @property
    def text(self) -> str:
        """The body, decoded as UTF-8."""
        return self.body.read().decode("utf-8-sig", "replace")

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.text)

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives: an event stream can be read without waiting for its end."""
        return self.body.chunks()

    def close(self) -> None:
        """Stop reading, as ``AbortController.abort()`` does."""
        self.body.close()
