"""An MCP server that keeps nothing between two requests, and answers with JSON."""

from flask import Flask
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from flask_mcp_cors import MCPCors
from flask_mcp_cors.contrib.sdk import SDKBridge

app = Flask(__name__)
MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"])
server = MCPServer("my server", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
bridge = SDKBridge(
    lambda: server.streamable_http_app(transport_security=no_check, stateless_http=True, json_response=True)
)


@app.post("/mcp")
def mcp():
    return bridge.respond()
