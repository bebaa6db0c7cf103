"""What the Model Context Protocol needs of CORS, revision by revision.

The table is the only place that knows a revision. The next one is one line here.
https://modelcontextprotocol.io/specification/versioning
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from itertools import pairwise
from types import MappingProxyType
from typing import cast
from typing import TypedDict


class RevisionSettings(TypedDict):
    """The policy settings that a protocol revision decides."""

    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]


_COMMON = ("Accept", "Authorization", "Content-Type")
_CHALLENGE = ("WWW-Authenticate", "Retry-After")


def _revision(methods: str, requests: tuple[str, ...], responses: tuple[str, ...] = ()) -> RevisionSettings:
    return RevisionSettings(
        allow_methods=(*methods.split(), "OPTIONS"),
        allow_headers=(*_COMMON, *requests, "X-API-Key"),
        expose_headers=(*responses, *_CHALLENGE),
    )


#: Revision → its ``allow_methods``, ``allow_headers`` and ``expose_headers``. The default policy is
#: the union. To pin one: ``MCPCors(app, **MCP_REVISIONS["2025-11-25"])``.
MCP_REVISIONS: Mapping[str, RevisionSettings] = MappingProxyType(
    {
        # HTTP with SSE: a GET stream that can resume, and a POST endpoint
        "2024-11-05": _revision("GET POST", ("Last-Event-ID",)),
        # Streamable HTTP: one endpoint, sessions that a DELETE ends
        "2025-03-26": _revision("GET POST DELETE", ("Last-Event-ID", "Mcp-Session-Id"), ("Mcp-Session-Id",)),
        # the negotiated revision travels in a header
        "2025-06-18": _revision(
            "GET POST DELETE",
            ("Last-Event-ID", "MCP-Protocol-Version", "Mcp-Session-Id"),
            ("Mcp-Session-Id", "MCP-Protocol-Version"),
        ),
        # an invalid Origin is answered with 403
        "2025-11-25": _revision(
            "GET POST DELETE",
            ("Last-Event-ID", "MCP-Protocol-Version", "Mcp-Session-Id"),
            ("Mcp-Session-Id", "MCP-Protocol-Version"),
        ),
        # stateless: POST only, no session, and parts of the message mirrored in headers (SEP-2243)
        "2026-07-28": _revision(
            "POST",
            ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-*"),
            ("MCP-Protocol-Version",),
        ),
    }
)


def _union(key: str) -> tuple[str, ...]:
    """The values of all revisions, in an order that agrees with the order of each."""
    order: TopologicalSorter[str] = TopologicalSorter()
    for revision in MCP_REVISIONS.values():
        values = cast(Mapping[str, tuple[str, ...]], revision)[key]
        for before, value in pairwise(values):
            order.add(value, before)
    return tuple(order.static_order())


DEFAULT_ALLOW_METHODS = _union("allow_methods")
DEFAULT_ALLOW_HEADERS = _union("allow_headers")
DEFAULT_EXPOSE_HEADERS = _union("expose_headers")
