"""The decision: what is answered, why, and how its headers go into a response.

A :class:`Decision` is a value. Adapters apply it, the command line prints it, tests compare it.
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
    # a preflight answered with the policy, which the browser will find too narrow
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


#: The fixed sentence of each refusal: nothing of the request and nothing of the configuration.
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
    """421 (RFC 9110, section 15.5.20) where the ``Host`` is at fault, else 403."""
    return 421 if reason in MISDIRECTED else 403


REFUSAL_BODIES = {reason: _refusal_body(reason) for reason in MESSAGES}


class _Fields(NamedTuple):
    #: May the browser go on? For a preflight: with the method and the header names asked for.
    allowed: bool
    #: Why, as a stable code.
    reason: Reason
    #: The HTTP status of a final answer; ``None`` where the application gives it.
    status: int | None
    #: The headers to send, in order.
    headers: Headers
    #: The body of a final answer.
    body: bytes = b""
    #: Is this the whole response, so that nothing of the application runs?
    final: bool = False
    #: What a preflight asked for in vain: the method, and the header names in lower case.
    offending: tuple[str, ...] = ()
    #: Would this be a refusal, if ``validate_origin`` were not ``"report"``?
    reported: bool = False


class Decision(_Fields):
    """What is answered to one request, and why. Immutable, compared by value.

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
        """A response's header list with ours put in.

        Every ``Access-Control-*`` header that is there goes, ours come in once; ``Vary`` is merged;
        the other headers (security headers) only fill what is not set. Applying it twice is the
        same as once, so layers may do it one after the other.

        >>> from flask_mcp_cors import CORSPolicy
        >>> decision = CORSPolicy(origins="*", security_headers=None, expose_headers=()).actual(None)
        >>> decision.apply([("Access-Control-Allow-Origin", "https://other.example"), ("X-A", "1")])
        [('X-A', '1'), ('Access-Control-Allow-Origin', '*')]
        """
        result = [*headers]
        if self.fits(result):
            result += self.headers
            return result
        return result if self.reason is Reason.NOT_GOVERNED else self._merge(result)

    def fits(self, headers: Iterable[tuple[str, str]]) -> bool:
        """Can our headers simply follow these? The usual case, which costs a third of merging."""
        plain = self._plain
        for name, value in headers:
            # Most types do not even begin like text/event-stream.
            if name not in plain or (name == "Content-Type" and value[:1] in "tT" and _is_event_stream(value)):
                return False
        return True

    @cached_property
    def _plain(self) -> frozenset[str]:
        """The usual header names of a response that are nothing to us, as frameworks spell them."""
        if self.reason is Reason.NOT_GOVERNED:
            return frozenset()
        touched = {name.lower() for name, _ in self.headers}
        if self.final:
            touched |= _OF_A_FINAL_ANSWER
        return frozenset(name for name in _USUAL_HEADERS if name.lower() not in touched)

    @cached_property
    def encoded(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI has them: bytes, with names in lower case."""
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
        """The names, in lower case, that cannot simply be followed by ours."""
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
        # MCP, Streamable HTTP: servers SHOULD send it, so that no proxy holds events back.
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

#: What a final answer alone decides: an empty one has no type, and a refusal must not be kept.
_OF_A_FINAL_ANSWER = frozenset({"content-type", "cache-control"})


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _is_event_stream(content_type: str) -> bool:
    return content_type.lower().startswith("text/event-stream")
