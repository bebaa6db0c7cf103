"""The transport of revision 2024-11-05: one endpoint for the event stream, one for messages."""

from flask import Flask
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from flask_mcp_cors import MCPCors
from flask_mcp_cors.contrib.sdk import SDKBridge

app = Flask(__name__)
MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"], paths=["/sse", "/messages"])
server = MCPServer("my server", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
bridge = SDKBridge(lambda: server.sse_app(transport_security=no_check))


@app.get("/sse")
def events():
    return bridge.respond(path="/sse")


@app.post("/messages/")
def messages():
    return bridge.respond(path="/messages/")
