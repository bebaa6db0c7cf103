"""A gateway on Starlette: many MCP servers, authentication in a layer around them, an origin list for each server.

``pip install mcp uvicorn``, then ``uvicorn asgi_gateway:create_app --factory``
"""

import hmac
import os
from contextlib import asynccontextmanager
from contextlib import AsyncExitStack
from functools import lru_cache

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Mount

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import NOBODY
from flask_mcp_cors.asgi import CORSMiddleware


class BearerMiddleware:
    """The gateway's authentication. Without a token nothing gets in, also not OPTIONS."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {os.environ['MCP_TOKEN']}".encode()):
                answer = JSONResponse({"error": "no token"}, 401, {"WWW-Authenticate": 'Bearer realm="gateway"'})
                return await answer(scope, receive, send)
        return await self.app(scope, receive, send)


#: Stands for a database: which pages may call which server.
ORIGINS = {"red": ("https://red.example",), "blue": ("https://blue.example",)}


async def origins_of(name):
    """Here the database would be asked, with ``await``."""
    return ORIGINS.get(name)


@lru_cache(maxsize=1000)
def policy_for(origins):
    """Making a policy is not free, so it is kept."""
    return CORSPolicy(origins=origins)


async def policy_of_server(request):
    """Called for preflights, too, so it cannot look at the token."""
    origins = await origins_of(request.path.split("/")[2])
    return NOBODY if origins is None else policy_for(origins)


def create_server(name):
    server = MCPServer(name, log_level="WARNING")

    @server.tool()
    def where() -> str:
        """Say which server this is."""
        return name

    return server


def create_app():
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    servers = {name: create_server(name) for name in ORIGINS}
    routes = [
        Mount(f"/servers/{name}", app=server.streamable_http_app(transport_security=no_check))
        for name, server in servers.items()
    ]

    @asynccontextmanager
    async def lifespan(app):
        async with AsyncExitStack() as stack:
            for server in servers.values():
                await stack.enter_async_context(server.session_manager.run())
            yield

    app = Starlette(routes=routes, middleware=[Middleware(BearerMiddleware)], lifespan=lifespan)
    # Around everything, so that it answers the preflight before BearerMiddleware sees it.
    return CORSMiddleware(
        app,
        origins=os.environ.get("ORIGINS", "https://admin.example.com").split(","),
        hosts=os.environ.get("HOSTS", "gateway.example.com").split(","),
        policies={"/servers/*/mcp": policy_of_server},
    )
