"""What ``WSGIScriptAlias`` points to: mod_wsgi looks for the name ``application``."""

import hmac
import os

from flask import Flask

from flask_mcp_cors import MCPCors

# mod_wsgi loads this file under a generated name, and the challenge shows the name of the app.
application = Flask("mcp")
cors = MCPCors(application, origins=["https://app.example.com"], hosts=["mcp.example.com"])


def verify(credential):
    expected = os.environ.get("MCP_TOKEN", "a-long-random-token")
    given = (credential.token or "").encode()
    return "the only user" if hmac.compare_digest(given, expected.encode()) else None


@application.post("/mcp")
@cors.protected(verify)
def mcp():
    return {"jsonrpc": "2.0", "id": 1, "result": {}}
