"""Clients that connect from a page, in real browsers: each lists the tools and calls one.

The server takes down what each of them asks for: :mod:`client_table`. The clients in ``more_clients`` are tried where
they are installed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from client_table import ARE_MORE_INSTALLED
from client_table import Client
from client_table import CLIENTS
from client_table import ENDPOINTS
from client_table import MORE
from client_table import Sightings
from engines import Engine
from engines import Page
from test_client_sdk import QUIET
from test_client_sdk import TOOLS

PAGES = {
    **{name: CLIENTS[name] for name in ("sse1", "ai-sdk-1", "ai-sdk-1-sse")},
    **(MORE if ARE_MORE_INSTALLED else {}),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Any]:
    """The example at work, with two more endpoints: one that asks for no token, one for HTTP+SSE."""
    pytest.importorskip("mcp", reason="the example needs the MCP SDK: `pip install 'mcp>=2.3'`")
    from mcp.server.mcpserver import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings

    from example_app import addNote
    from example_app import calculateSum
    from example_app import countdown
    from example_app import lookupRegion
    from example_app import running
    from flask_mcp_cors.contrib.sdk import SDKBridge

    server = MCPServer("for clients", log_level="WARNING")
    for tool in (calculateSum, lookupRegion, countdown, addNote):
        server.add_tool(tool)
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    http = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))
    sse = SDKBridge(lambda: server.sse_app(transport_security=no_check))

    with running(token="t") as demo:
        demo.app.add_url_rule("/open", "open", http.respond, methods=["GET", "POST", "DELETE"])
        demo.app.add_url_rule("/sse", "sse", lambda: sse.respond(path="/sse"), methods=["GET"])
        demo.app.add_url_rule("/messages/", "messages", lambda: sse.respond(path="/messages/"), methods=["POST"])
        yield demo


@pytest.mark.parametrize(("name", "client"), PAGES.items(), ids=PAGES)
def test_a_client_connects(
    name: str,
    client: Client,
    site: Any,
    bundles: dict[str, str],
    engine: Engine,
    visit: Callable[..., Page],
    sightings: Sightings,
) -> None:
    page = visit(site.allowed + QUIET, fresh=True)
    page.add_script(bundles[client.bundle])
    endpoint = site.endpoint.replace("/mcp", ENDPOINTS[client.endpoint][0])
    with sightings.of(name, engine.name, site.app) as sighting:
        told = page.evaluate(
            "(options) => connect(options).catch((error) => `stopped: ${error}`)",
            {"endpoint": endpoint, "token": site.token, **dict(client.options)},
        )
        sighting.connects = not isinstance(told, str)
    assert sighting.connects is (engine.name in client.connects), told
    if sighting.connects:
        assert told == {"tools": TOOLS, "sum": "42"}
