"""The decision: the answer to a request, its reason, and how its headers are put into a response.

A :class:`Decision` is a value. The doors apply it, the command line prints it, tests compare it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from .headers import merge_vary

Headers = tuple[tuple[str, str], ...]


class Reason(StrEnum):
    """Why a :class:`Decision` is what it is. The values are stable: log them, count them."""

    # allowed
    PREFLIGHT_ALLOWED = "preflight_allowed"
    ORIGIN_ALLOWED = "origin_allowed"
    SAME_ORIGIN = "same_origin"
    NO_ORIGIN = "no_origin"
    NOT_GOVERNED = "not_governed"
    NOT_A_PREFLIGHT = "not_a_preflight"
    # a preflight was answered, but the policy does not allow what it asked for
    METHOD_NOT_ALLOWED = "method_not_allowed"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    TOO_MANY_HEADERS = "too_many_headers"
    # refused
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    ORIGIN_MALFORMED = "origin_malformed"
    ORIGIN_REPEATED = "origin_repeated"
    CROSS_SITE = "cross_site"
    HOST_NOT_SERVED = "host_not_served"
    HOST_MALFORMED = "host_malformed"
    HOST_MISSING = "host_missing"
    POLICY_FAILED = "policy_failed"


#: The fixed text of each refusal. It contains nothing of the request or of the configuration.
MESSAGES = {
    Reason.ORIGIN_NOT_ALLOWED: "This origin is not allowed.",
    Reason.ORIGIN_MALFORMED: "The Origin header is malformed.",
    Reason.ORIGIN_REPEATED: "The Origin header holds more than one origin.",
    Reason.CROSS_SITE: "Cross-site requests are not allowed.",
    Reason.HOST_NOT_SERVED: "Invalid Host header: this host is not served here.",
    Reason.HOST_MALFORMED: "Invalid Host header: it is malformed.",
    Reason.HOST_MISSING: "Invalid Host header: it is missing.",
    Reason.POLICY_FAILED: "The policy for this path is not available.",
}

MISDIRECTED = frozenset({Reason.HOST_NOT_SERVED, Reason.HOST_MALFORMED, Reason.HOST_MISSING})


def _refusal_body(reason: Reason) -> bytes:
    # MCP 2025-11-25 and later: a JSON-RPC error response without id. The code is the HTTP status,
    # because MCP 2026-07-28 closes -32000 to -32099 to new implementations.
    error = {"code": refusal_status(reason), "message": MESSAGES[reason], "data": {"reason": reason.value}}
    return json.dumps({"jsonrpc": "2.0", "error": error}).encode()


def refusal_status(reason: Reason) -> int:
    """421 (RFC 9110, section 15.5.20) if the ``Host`` is the reason, else 403."""
    return 421 if reason in MISDIRECTED else 403


REFUSAL_BODIES = {reason: _refusal_body(reason) for reason in MESSAGES}


class _Fields(NamedTuple):
    #: May the browser go on? For a preflight: with the requested method and header names.
    allowed: bool
    #: Why, as a stable code.
    reason: Reason
    #: The HTTP status of a final answer; ``None`` if the application sets it.
    status: int | None
    #: The headers to send, in order.
    headers: Headers
    #: The body of a final answer.
    body: bytes = b""
    #: Is this the whole response? Then the application does not run.
    final: bool = False
    #: What a preflight asked for and did not get: the method, and the header names in lower case.
    offending: tuple[str, ...] = ()
    #: Would this be a refusal, if ``validate_origin`` were not ``"report"``?
    reported: bool = False


class Decision(_Fields):
    """The answer to one request, and its reason. Immutable, compared by value.

    >>> from flask_mcp_cors import CORSPolicy
    >>> decision = CORSPolicy(origins="https://app.example.com").actual("https://evil.example")
    >>> decision.allowed, decision.reason.value, decision.status, decision.final
    (False, 'origin_not_allowed', 403, True)
    """

    @property
    def is_refusal(self) -> bool:
        """Is the request answered with 403 or 421, instead of by the application?"""
        return self.final and (self.status or 0) >= 400

    def apply(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The header list of a response with the headers of this decision.

        ``Access-Control-*`` headers that are already there are replaced. ``Vary`` is merged. Other headers
        (security headers) are added only if they are not set. Applying a decision twice gives the same result,
        so several layers may do it.

        >>> from flask_mcp_cors import CORSPolicy
        >>> decision = CORSPolicy(origins="*", security_headers=None, expose_headers=()).actual(None)
        >>> decision.apply([("Access-Control-Allow-Origin", "https://other.example"), ("X-A", "1")])
        [('X-A', '1'), ('Access-Control-Allow-Origin', '*')]
        """
        result = [*headers]
        # Usually the headers can simply be appended, which takes a third of the time of merging. An event stream needs
        # one more header, but most types do not even begin like text/event-stream.
        plain = self._plain
        for name, value in result:
            if name not in plain or (name == "Content-Type" and value[:1] in "tT" and _is_event_stream(value)):
                return result if self.reason is Reason.NOT_GOVERNED else self._merge(result)
        result += self.headers
        return result

    @cached_property
    def _plain(self) -> frozenset[str]:
        """The usual header names of a response, as frameworks spell them, that this decision does not touch."""
        touched = {name.lower() for name, _ in self.headers}
        if self.final:
            touched |= _OF_A_FINAL_ANSWER
        return frozenset(name for name in _USUAL_HEADERS if name.lower() not in touched)

    @cached_property
    def encoded(self) -> list[tuple[bytes, bytes]]:
        """The headers in the form of ASGI: bytes, with names in lower case."""
        return _encode(self.headers)

    def apply_encoded(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The same as :meth:`apply`, for the header list of an ASGI message.

        >>> from flask_mcp_cors import CORSPolicy
        >>> decision = CORSPolicy(origins="*", security_headers=None, expose_headers=()).actual(None)
        >>> decision.apply_encoded([(b"access-control-allow-origin", b"https://other.example"), (b"x-a", b"1")])
        [(b'x-a', b'1'), (b'access-control-allow-origin', b'*')]
        """
        result = list(headers)
        touched = self._touched
        for name, value in result:
            name = name.lower()
            if (
                name in touched
                or name.startswith(b"access-control-")
                or (name == b"content-type" and value.lower().startswith(b"text/event-stream"))
            ):
                return _encode(self.apply((key.decode("latin-1"), text.decode("latin-1")) for key, text in result))
        result += self.encoded
        return result

    @cached_property
    def _touched(self) -> frozenset[bytes]:
        """The lower-case names to which our headers cannot simply be appended."""
        names = {b"vary", *(name for name, _ in self.encoded)}
        return frozenset(names.union(name.encode() for name in _OF_A_FINAL_ANSWER if self.final))

    def _merge(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        result: list[tuple[str, str]] = []
        present: set[str] = set()
        vary: list[str] = []
        streams_events = False
        for pair in headers:
            name = pair[0].lower()
            if name == "vary":
                vary.append(pair[1])
            elif not (name.startswith("access-control-") or (self.final and name in _OF_A_FINAL_ANSWER)):
                present.add(name)
                result.append(pair)
                if name == "content-type":
                    streams_events = _is_event_stream(pair[1])
        # MCP, Streamable HTTP: servers SHOULD send this header, so that proxies do not buffer events.
        if streams_events and "x-accel-buffering" not in present:
            result.append(("X-Accel-Buffering", "no"))
        for pair in self.headers:
            name = pair[0].lower()
            if name == "vary":
                result.append((pair[0], merge_vary(vary, pair[1])) if vary else pair)
                vary = []
            elif name not in present:
                result.append(pair)
        result.extend(("Vary", value) for value in vary)
        return result


_USUAL_HEADERS = ("Content-Type", "Content-Length", "Location", "Set-Cookie", "Allow", "Cache-Control", "ETag", "Date")

#: Headers that a final answer removes or replaces: an empty one has no content type, a refusal must not be cached.
_OF_A_FINAL_ANSWER = frozenset({"content-type", "cache-control"})


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _is_event_stream(content_type: str) -> bool:
    return content_type.lower().startswith("text/event-stream")
