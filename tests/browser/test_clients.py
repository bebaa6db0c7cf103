"""Clients that connect from a page, in real browsers: each lists the tools and calls one, and the server writes down
what it was asked for. What it saw is the table in ``docs/_generated/clients.md``.

``pytest tests/browser/test_clients.py --write-clients`` writes it; a plain run compares its rows. The clients in
``more_clients`` are tried where they are installed: ``npm ci --prefix tests/browser/more_clients``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import pytest
from client_table import ENGINES
from client_table import HERE
from client_table import Sightings
from client_table import version
from engines import Engine
from engines import Page
from test_sdk_clients import QUIET
from test_sdk_clients import TOOLS

HTTP = "Streamable HTTP"
STATELESS = "Streamable HTTP, 2026-07-28"
SSE = "HTTP+SSE"

#: The paths of each endpoint of the server.
ENDPOINTS = {"mcp": ("/mcp",), "open": ("/open",), "sse": ("/sse", "/messages/")}


@dataclass(frozen=True)
class Client:
    """A row of the table."""

    package: str
    bundle: str
    transport: str = HTTP
    endpoint: str = "mcp"
    options: dict[str, Any] = field(default_factory=dict)
    #: the engines in which it connects
    connects: tuple[str, ...] = tuple(ENGINES)

    def __str__(self) -> str:
        return f"{self.package.replace('sdk-1.0', '@modelcontextprotocol/sdk')} {version(self.package)}"


CLIENTS = [
    Client("@modelcontextprotocol/sdk", "sdk1"),
    Client("@modelcontextprotocol/sdk", "sse1", SSE, "sse"),
    Client("@modelcontextprotocol/client", "client2", STATELESS, options={"mode": "auto"}),
    Client("@modelcontextprotocol/client", "client2", options={"mode": "legacy"}),
]
MORE = [
    Client("sdk-1.0", "sdk_1_0", SSE, "sse"),
    Client("@ai-sdk/mcp", "ai_sdk_2"),
    Client("@ai-sdk/mcp", "ai_sdk_2", SSE, "sse", {"type": "sse"}),
    Client("@google/genai", "genai"),
    Client("@huggingface/mcp-client", "hugging_face"),
    Client("@huggingface/mcp-client", "hugging_face", SSE, "sse", {"type": "sse"}),
    Client("@langchain/mcp-adapters", "langchain", options={"transport": "http"}),
    Client("@langchain/mcp-adapters", "langchain", SSE, "sse", {"transport": "sse"}),
    Client("@mastra/mcp", "mastra"),
    Client("@strands-agents/sdk", "strands"),
    Client("jsonv-ts", "jsonv_ts", connects=()),
    Client("mcp-client", "mcp_client", endpoint="open"),
    Client("mcp-client", "mcp_client", SSE, "sse", {"type": "sse"}),
    Client("mcp-use", "mcp_use"),
    Client("use-mcp", "use_mcp"),
]
INSTALLED = [*CLIENTS, *(MORE if (HERE / "more_clients" / "node_modules").is_dir() else [])]


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


@pytest.mark.parametrize("client", INSTALLED, ids=lambda client: f"{client.bundle}-{client.endpoint}")
def test_a_client_connects(
    client: Client,
    site: Any,
    bundles: dict[str, str],
    engine: Engine,
    visit: Callable[..., Page],
    sightings: Sightings,
) -> None:
    """It connects, lists the tools, and calls one."""
    page = visit(site.allowed + QUIET, fresh=True)
    page.add_script(bundles[client.bundle])
    paths = ENDPOINTS[client.endpoint]
    endpoint = site.endpoint.replace("/mcp", paths[0])
    with sightings.of(str(client), engine.name, site.app, *paths) as sighting:
        told = page.evaluate(
            "(options) => (globalThis.connect ?? session)(options).catch((error) => `stopped: ${error}`)",
            {"endpoint": endpoint, "token": site.token, **client.options},
        )
    print(engine.name, client, client.transport, sighting, told)
    sighting.connects = not isinstance(told, str)
    assert sighting.connects is (engine.name in client.connects), told
    if sighting.connects:
        assert (told["tools"], told["sum"]) == (TOOLS, "42")
