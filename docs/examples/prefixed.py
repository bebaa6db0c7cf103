"""An app that a proxy serves below /tools. Its own routes do not know the prefix."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_mcp_cors import MCPCors

app = Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
cors = MCPCors(app, origins=["https://app.example.com"], hosts=["example.com"], paths=["/mcp"])

# The public URL, with the prefix.
cors.serve_resource_metadata(
    app,
    resource="https://example.com/tools/mcp",
    authorization_servers=["https://auth.example.com"],
)


@app.post("/mcp")
@cors.protected(lambda credential: "somebody" if credential.token == "good" else None)
def mcp():
    return {"jsonrpc": "2.0", "id": 1, "result": {}}
