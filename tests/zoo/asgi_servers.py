"""Servers under uvicorn: the official Python SDK, FastMCP, and endpoints by hand on Starlette."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvicorn
from endpoint import ALLOW_HEADERS
from endpoint import announce
from endpoint import APP
from endpoint import Endpoint
from endpoint import is_own_host
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route

NAMES = ALLOW_HEADERS.split(", ")


def cors(fault: str) -> dict[str, Any]:
    """How CORSMiddleware is set up."""
    settings: dict[str, Any] = {
        "allow_origins": [APP],
        "allow_methods": ["GET", "POST", "DELETE"],
        "allow_headers": NAMES,
        "expose_headers": ["Mcp-Session-Id", "WWW-Authenticate"],
    }
    if fault == "starlette-default-headers":
        del settings["allow_headers"]
    if fault == "starlette-default-methods":
        del settings["allow_methods"]
    if fault == "starlette-no-port":
        settings["allow_origins"] = ["http://localhost"]
    if fault == "starlette-no-delete":
        settings["allow_methods"] = ["GET", "POST"]
    if fault == "sdk-no-expose":
        del settings["expose_headers"]
    if fault == "sdk-no-mcp-method":
        settings["allow_headers"] = [name for name in NAMES if name not in ("Mcp-Method", "Mcp-Name")]
    if fault == "starlette-any-credentials":
        settings |= {"allow_origins": ["*"], "allow_credentials": True}
    if fault == "starlette-regex-hole":
        settings |= {"allow_origins": [], "allow_origin_regex": r"https://.*example\.com"}
    return settings


def sdk(fault: str) -> Any:
    server = MCPServer("zoo")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    hosts = ["mcp.example.com"] if fault == "sdk-host-not-listed" else ["127.0.0.1:*", "localhost:*"]
    origins = ["https://www.example.com"] if fault == "sdk-origin-not-listed" else [APP]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    if fault == "sdk-sse-only":
        app = server.sse_app(sse_path="/mcp", transport_security=security)
    else:
        app = server.streamable_http_app(
            transport_security=security,
            json_response=fault == "sdk-ok-json",
            stateless_http=fault == "sdk-ok-stateless",
        )
    return app if fault == "sdk-no-cors" else CORSMiddleware(app, **cors(fault))


def fast(fault: str) -> Any:
    from fastmcp import FastMCP

    server = FastMCP("zoo")

    @server.tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    path = "/mcp/" if fault == "fastmcp-slash" else "/mcp"
    return server.http_app(
        path=path,
        middleware=[Middleware(CORSMiddleware, **cors(fault))],
        host_origin_protection=True,
        allowed_hosts=["127.0.0.1:*"],
        allowed_origins=["https://www.example.com"] if fault == "fastmcp-origin-not-listed" else [APP],
    )


def starlette(fault: str) -> Any:
    endpoint = Endpoint()
    checks = CORSMiddleware(Starlette(), **cors(fault))

    async def mcp(request: Request) -> Response:
        origin = request.headers.get("Origin")
        if not is_own_host(request.headers.get("Host")):
            return JSONResponse({"error": "Host not served"}, 421)
        if origin is not None and fault != "starlette-no-port" and not checks.is_allowed_origin(origin):
            return JSONResponse({"error": "Origin not allowed"}, 403)
        body = await request.body()
        if fault == "starlette-500-no-cors" and b'"tools/list"' in body:
            raise KeyError("TOOLS_FILE")
        status, headers, data = endpoint.answer(request.method, request.headers, body)
        return Response(data, status, headers)

    methods = ["GET", "POST", "DELETE"]
    route: Any = Route("/mcp", mcp, methods=methods)
    if fault == "starlette-mount-redirect":
        route = Mount("/mcp", routes=[Route("/", mcp, methods=methods)])
    middleware = [Middleware(CORSMiddleware, **cors(fault))]
    if fault == "starlette-trusted-host":
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=["mcp.example.com"]))
    return Starlette(routes=[route], middleware=middleware)


async def main() -> None:
    running = []
    for fault in sys.argv[1:]:
        make = {"sdk": sdk, "fastmcp": fast, "starlette": starlette}[fault.partition("-")[0]]
        config = uvicorn.Config(
            make(fault), host="127.0.0.1", port=0, log_level="critical", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        running.append(asyncio.create_task(server._serve()))
        while not server.started:
            if running[-1].done():
                running[-1].result()
            await asyncio.sleep(0.01)
        announce(fault, server.servers[0].sockets[0].getsockname()[1])
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
