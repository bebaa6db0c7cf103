"""The table of protocol revisions."""

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import PUBLIC_OAUTH
from flask_mcp_cors.core.mcp import missing_for_clients


def test_the_first_and_the_last_revision():
    assert MCP_REVISIONS["2024-11-05"] == {
        "allow_methods": ("GET", "POST", "OPTIONS"),
        "allow_headers": ("Accept", "Authorization", "Content-Type", "Last-Event-ID", "X-API-Key"),
        "expose_headers": ("WWW-Authenticate", "Retry-After"),
    }
    assert MCP_REVISIONS["2026-07-28"] == {
        "allow_methods": ("POST", "OPTIONS"),
        "allow_headers": (
            "Accept",
            "Authorization",
            "Content-Type",
            "MCP-Protocol-Version",
            "Mcp-Method",
            "Mcp-Name",
            "Mcp-Param-*",
            "X-API-Key",
        ),
        "expose_headers": ("MCP-Protocol-Version", "WWW-Authenticate", "Retry-After"),
    }


def test_the_table():
    assert list(MCP_REVISIONS) == ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
    for revision, pinned in MCP_REVISIONS.items():
        assert set(pinned) == {"allow_methods", "allow_headers", "expose_headers"}, revision
        assert CORSPolicy(**pinned).allow_headers == pinned["allow_headers"]


def test_session_headers_end_where_sessions_end_and_mirrored_ones_begin():
    new = MCP_REVISIONS["2026-07-28"]["allow_headers"]
    old = MCP_REVISIONS["2025-11-25"]["allow_headers"]
    assert {"Mcp-Method", "Mcp-Name", "Mcp-Param-*"} <= set(new) - set(old)
    assert {"Mcp-Session-Id", "Last-Event-ID"} <= set(old) - set(new)


@pytest.mark.parametrize("policy", [CORSPolicy(), PUBLIC_OAUTH], ids=["default", "PUBLIC_OAUTH"])
def test_the_default_lists(policy):
    """What the revisions name, and what real clients send besides."""
    assert ", ".join(policy.allow_headers) == (
        "Accept, Authorization, Content-Type, DPoP, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, "
        "Mcp-Method, Mcp-Name, Mcp-Param-*, User-Agent, X-API-Key, X-Custom-Auth-Headers"
    )
    assert ", ".join(policy.expose_headers) == (
        "DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After"
    )


def test_the_default_allows_what_every_revision_names():
    policy = CORSPolicy()
    assert policy.allow_methods == ("GET", "POST", "DELETE", "OPTIONS")
    for revision in MCP_REVISIONS.values():
        for setting, names in revision.items():
            assert set(names) <= set(getattr(policy, setting)), setting


@pytest.mark.parametrize(
    ("allow_headers", "expose_headers", "missing"),
    [
        (
            "Content-Type",
            "X-Total",
            "allows no MCP-Protocol-Version, Mcp-Session-Id and does not expose Mcp-Session-Id",
        ),
        ("Content-Type MCP-Protocol-Version Mcp-Session-Id", "X-Total", "does not expose Mcp-Session-Id"),
        ("content-type mcp-protocol-version mcp-session-id", "MCP-SESSION-ID", ""),
        ("*", "*", ""),
        ("Content-Type Mcp-Session-Id", "*", ""),  # 2025-03-26
        ("Content-Type MCP-Protocol-Version Mcp-Method Mcp-Name", "X-Total", ""),  # 2026-07-28
        ("MCP-Protocol-Version Mcp-Session-Id", "*", "allows no Content-Type"),
        ("Accept Authorization Content-Type Last-Event-ID X-API-Key", "", ""),  # 2024-11-05, and no other
        ("Accept Authorization Content-Type Last-Event-ID", "*", "allows no MCP-Protocol-Version, Mcp-Session-Id"),
    ],
)
def test_which_names_keep_every_client_out(allow_headers, expose_headers, missing):
    assert missing_for_clients(allow_headers.split(), expose_headers.split()) == missing


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        MCP_REVISIONS["2027-01-01"] = {}
