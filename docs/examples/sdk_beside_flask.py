"""The official SDK's server and a Flask app in one process, under one policy: Starlette outside, Flask mounted.

``pip install a2wsgi mcp uvicorn``, then ``MCP_TOKEN=secret uvicorn sdk_beside_flask:create_app --factory``
"""

import hmac
import os

from a2wsgi import WSGIMiddleware
from flask import Flask
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.routing import Mount

from flask_mcp_cors.asgi import CORSMiddleware


class OneToken:
    """Stands for your check of a token."""

    async def verify_token(self, token):
        if hmac.compare_digest(token.encode(), os.environ["MCP_TOKEN"].encode()):
            return AccessToken(token=token, client_id="the only one", scopes=[])
        return None


def create_server(url):
    auth = AuthSettings(
        issuer_url="https://auth.example.com", resource_server_url=f"{url}/mcp", validate_token_resource=False
    )
    server = MCPServer("beside Flask", log_level="WARNING", auth=auth, token_verifier=OneToken())

    @server.tool()
    def calculateSum(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return server


flask_app = Flask(__name__)


@flask_app.get("/api/hello")
def hello():
    return {"hello": "from Flask"}


def create_app():
    server = create_server(os.environ.get("PUBLIC_URL", "http://localhost:8000"))
    # The SDK's own check of Host and Origin is off: CORSMiddleware has made it.
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    sdk = server.streamable_http_app(transport_security=no_check)
    app = Starlette(
        # The SDK's routes as they are: /mcp and its metadata document. What they do not take is Flask's.
        routes=[*sdk.routes, Mount("/", app=WSGIMiddleware(flask_app))],
        middleware=sdk.user_middleware,
        lifespan=lambda app: server.session_manager.run(),
    )
    return CORSMiddleware(
        app,
        origins=os.environ.get("ORIGINS", "http://localhost:5173").split(","),
        hosts=os.environ.get("HOSTS", "localhost").split(","),
    )
