"""aiohttp servers, whose GET is a real stream. Those named ``upstream`` stand behind the proxies of other files."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

from aiohttp import web
from endpoint import ALLOW_HEADERS
from endpoint import ALLOW_METHODS
from endpoint import announce
from endpoint import APP
from endpoint import documents
from endpoint import Endpoint
from endpoint import EXPOSE_HEADERS
from endpoint import is_own_host
from endpoint import TOKEN

CHANGED = b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}\n'


def cors(origin: str | None) -> dict[str, str]:
    headers = {"Vary": "Origin"}
    if origin == APP:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSE_HEADERS}
    return headers


def make_app(fault: str) -> web.Application:
    endpoint = Endpoint()
    has_cors = not fault.startswith("aiohttp-upstream") or fault in ("aiohttp-upstream-cors", "aiohttp-upstream-slow")

    @web.middleware
    async def by_middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.update(cors(request.headers.get("Origin")))
        return response

    async def by_signal(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(cors(request.headers.get("Origin")))

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        if not is_own_host(request.host):
            return web.json_response({"error": "Host not served"}, status=421)
        if request.headers.get("Origin") not in (None, APP):
            return web.json_response({"error": "Origin not allowed"}, status=403)
        if request.method == "OPTIONS" and has_cors and fault != "aiohttp-no-options":
            allow = {"Access-Control-Allow-Methods": ALLOW_METHODS, "Access-Control-Allow-Headers": ALLOW_HEADERS}
            return web.Response(status=204, headers=allow | {"Access-Control-Max-Age": "7200"})
        return await handler(request)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        if fault == "aiohttp-compressed-stream":
            response.enable_compression()
        await response.prepare(request)
        # An event ends with an empty line: without it a client waits for more.
        is_late = fault == "aiohttp-late-event"
        await response.write(CHANGED + (b"" if is_late else b"\n"))
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(1)
                await response.write(b": ping\n" if is_late else b": ping\n\n")
        return response

    async def mcp(request: web.Request) -> web.StreamResponse:
        if fault == "aiohttp-ok-slow":
            await asyncio.sleep(0.15)
        if fault == "aiohttp-upstream-slow":
            await asyncio.sleep(3600)
        if fault == "aiohttp-upstream-token" and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            prm = f"http://{request.host}/.well-known/oauth-protected-resource/mcp"
            challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{prm}"'}
            return web.json_response({"error": "Unauthorized"}, status=401, headers=challenge)
        has_stream = fault != "aiohttp-errors-no-cors"
        if request.method == "GET" and has_stream and "Mcp-Session-Id" in request.headers:
            if not endpoint.knows(request.headers["Mcp-Session-Id"]):
                raise web.HTTPNotFound
            return await stream(request)
        status, headers, body = endpoint.answer(request.method, request.headers, await request.read())
        if status >= 400 and fault == "aiohttp-errors-no-cors":
            raise {404: web.HTTPNotFound, 405: web.HTTPMethodNotAllowed}.get(status, web.HTTPBadRequest)(
                *(("GET", ["POST"]) if status == 405 else ())
            )
        return web.Response(status=status, headers=headers, body=body)

    async def document(request: web.Request) -> web.StreamResponse:
        return web.json_response(documents(f"http://{request.host}")[request.path])

    async def token(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "unsupported_grant_type"}, status=400)

    app = web.Application(middlewares=[guard])
    if fault in ("aiohttp-sse-no-cors", "aiohttp-errors-no-cors"):
        app.middlewares.insert(0, by_middleware)
    elif has_cors:
        app.on_response_prepare.append(by_signal)
    for method in ("GET", "POST", "DELETE"):
        app.router.add_route(method, "/mcp", mcp)
    for path in documents(""):
        app.router.add_get(path, document)
    app.router.add_post("/token", token)
    app.router.add_post("/register", token)
    return app


async def main() -> None:
    for fault in sys.argv[1:]:
        runner = web.AppRunner(make_app(fault), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        announce(fault, runner.addresses[0][1])
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
