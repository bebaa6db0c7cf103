"""The Dash app of the documentation, where Dash is installed.

Dash brings a pytest plugin that this project's settings do not accept: ``pip install dash && pytest -p no:dash``.
"""

from __future__ import annotations

import pytest
from doc_servers import ROOT

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

pytest.importorskip("dash", reason="pip install dash, and run pytest with -p no:dash")

START = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}},
}


def test_a_page_reaches_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only at the endpoint, with the token, and only from the allowed origin."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    from dash_app import app

    page = Browser(app, origin="https://app.example.com", base_url="https://mcp.example.com")
    assert page.fetch("/_mcp", "POST", json=START).status == 401
    token = {"Authorization": "Bearer a-long-random-token"}
    response = page.fetch("/_mcp", "POST", token, json=START)
    assert response.json()["result"]["serverInfo"]["name"] == "Plotly Dash"
    session = token | {"Mcp-Session-Id": response.headers["mcp-session-id"]}
    tools = page.fetch("/_mcp", "POST", session, json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    assert "get_dash_component" in tools.text
    with pytest.raises(CORSError):
        page.fetch("/_dash-layout")
    with pytest.raises(CORSError):
        Browser(app, origin="https://evil.example", base_url="https://mcp.example.com").fetch("/_mcp", "POST", json={})
