"""An MCP server that pages on this machine can connect to: flask --app quickstart_server run"""

import logging

from flask import Flask
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from flask_mcp_cors import MCPCors
from flask_mcp_cors.contrib.sdk import SDKBridge

logging.basicConfig(level=logging.INFO)  # before MCPServer, whose own handler folds long lines
app = Flask(__name__)
cors = MCPCors(app)
server = MCPServer("quickstart", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# MCPCors checks Host and Origin before the view runs, so the SDK's own check is off.
no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))


@app.route("/mcp", methods=["GET", "POST", "DELETE"])
def mcp():
    return bridge.respond()
