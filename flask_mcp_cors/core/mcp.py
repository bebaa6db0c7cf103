"""The methods and headers that each revision of the Model Context Protocol needs.

The table below is the only place that depends on revisions. For a new revision, add an entry to the table, and its new
names to the default lists below it.
https://modelcontextprotocol.io/specification/versioning
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict


class RevisionSettings(TypedDict):
    """The policy settings that a protocol revision decides."""

    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]


_COMMON = ("Accept", "Authorization", "Content-Type")
_SESSION = ("MCP-Protocol-Version", "Mcp-Session-Id")
_CHALLENGE = ("WWW-Authenticate", "Retry-After")


def _revision(methods: str, requests: tuple[str, ...], responses: tuple[str, ...] = ()) -> RevisionSettings:
    return RevisionSettings(
        allow_methods=(*methods.split(), "OPTIONS"),
        allow_headers=(*_COMMON, *requests, "X-API-Key"),
        expose_headers=(*responses, *_CHALLENGE),
    )


#: Revision → its ``allow_methods``, ``allow_headers`` and ``expose_headers``. The default policy
#: allows all of them. To pin one: ``MCPCors(app, **MCP_REVISIONS["2025-11-25"])``.
MCP_REVISIONS: Mapping[str, RevisionSettings] = MappingProxyType(
    {
        # HTTP with SSE: a GET stream that can resume, and a POST endpoint
        "2024-11-05": _revision("GET POST", ("Last-Event-ID",)),
        # Streamable HTTP: one endpoint, sessions that a DELETE ends
        "2025-03-26": _revision("GET POST DELETE", ("Last-Event-ID", "Mcp-Session-Id"), ("Mcp-Session-Id",)),
        # the negotiated revision travels in a header
        "2025-06-18": _revision("GET POST DELETE", ("Last-Event-ID", *_SESSION), _SESSION[::-1]),
        # an invalid Origin is answered with 403
        "2025-11-25": _revision("GET POST DELETE", ("Last-Event-ID", *_SESSION), _SESSION[::-1]),
        # stateless: POST only, no session, and parts of the message mirrored in headers (SEP-2243)
        "2026-07-28": _revision(
            "POST", ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-*"), ("MCP-Protocol-Version",)
        ),
    }
)


#: The default policy: the names of the revisions above, and other names that real clients send. ``DPoP`` and
#: ``DPoP-Nonce`` are for clients that bind their tokens (RFC 9449), ``User-Agent`` is for the AI SDK, and the last two
#: are for MCP Inspector and other clients in which the user chooses a header.
DEFAULT_ALLOW_METHODS = ("GET", "POST", "DELETE", "OPTIONS")
DEFAULT_ALLOW_HEADERS = (
    "Accept",
    "Authorization",
    "Content-Type",
    "DPoP",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Session-Id",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Param-*",
    "User-Agent",
    "X-API-Key",
    "X-Custom-Auth-Headers",
)
DEFAULT_EXPOSE_HEADERS = (
    "DPoP-Nonce",
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "WWW-Authenticate",
    "Retry-After",
)

#: Headers that some clients do not send.
_OPTIONAL = frozenset({"accept", "authorization", "last-event-id", "x-api-key", "mcp-param-*"})


def missing_for_clients(allow_headers: Iterable[str], expose_headers: Iterable[str]) -> str:
    """What prevents browser clients of all revisions from connecting, for revision 2025-11-25; empty: nothing.

    >>> missing_for_clients(["Content-Type"], DEFAULT_EXPOSE_HEADERS)
    'allows no MCP-Protocol-Version, Mcp-Session-Id'
    >>> missing_for_clients(DEFAULT_ALLOW_HEADERS, DEFAULT_EXPOSE_HEADERS)
    ''
    """
    allowed, exposed = ({name.lower() for name in names} for names in (allow_headers, expose_headers))

    def missing(revision: RevisionSettings) -> str:
        names = [name for name in revision["allow_headers"] if not {name.lower(), "*"} & (allowed | _OPTIONAL)]
        faults = [f"allows no {', '.join(names)}"] if names else []
        if "Mcp-Session-Id" in revision["expose_headers"] and not {"mcp-session-id", "*"} & exposed:
            faults.append("does not expose Mcp-Session-Id")
        return " and ".join(faults)

    first, *later = MCP_REVISIONS.values()
    is_pinned = allowed == {name.lower() for name in first["allow_headers"]}
    is_usable = is_pinned or not all(map(missing, later))
    return "" if is_usable else missing(MCP_REVISIONS["2025-11-25"])
