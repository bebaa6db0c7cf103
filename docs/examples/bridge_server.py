"""An MCP server on the official Python SDK, behind a Flask view, with a token."""

import hmac
import logging
import os

from flask import Flask
from flask import g
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from flask_mcp_cors import MCPCors
from flask_mcp_cors.contrib.sdk import SDKBridge

logging.basicConfig(level=logging.INFO)  # before MCPServer, whose own handler folds long lines
server = MCPServer("my server", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def create_app(token: str | None = None) -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
    cors = MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"])
    expected = token or os.environ["MCP_TOKEN"]

    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))

    def verify(credential):
        given = (credential.token or "").encode()
        return "the only user" if hmac.compare_digest(given, expected.encode()) else None

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    @cors.protected(verify)
    def mcp():
        return bridge.respond(caller=g.mcp_identity)

    return app
