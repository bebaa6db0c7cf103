"""A real MCP server on Flask that browsers connect to: ``python example_app.py``, then open the URLs that it prints.

One page is on an origin that the server allows, the other is the same page on an origin that it does not. To run the
server alone, as in production::

    gunicorn --worker-class gthread --threads 32 'example_app:create_app(token="…", origins=["https://…"])'
"""

from __future__ import annotations

import argparse
import hmac
import logging
import re
import secrets
import socket
import sys
import threading
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated
from typing import Any

import anyio
from flask import Flask
from flask import g
from flask import Response
from mcp.server.mcpserver import Context
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from werkzeug.datastructures import Authorization
from werkzeug.serving import make_server

from example.check import check
from example.pages import Diary
from example.pages import page_server
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors.contrib.sdk import SDKBridge


def calculateSum(a: int | float, b: int | float) -> int | float:
    """Add two numbers."""
    return a + b


def lookupRegion(
    region: Annotated[str, Field(description="where to look", json_schema_extra={"x-mcp-header": "Region"})],
    query: str = "",
) -> str:
    """Look something up in a region. A gateway can route by the Mcp-Param-Region header, which names it too."""
    return f"{query or 'nothing in particular'}: looked up in {region}"


async def countdown(ctx: Context, n: Annotated[int, Field(ge=1, le=20)] = 3) -> str:
    """Count down, reporting progress on the way."""
    for left in range(n, 0, -1):
        await ctx.report_progress(n - left + 1, n, f"{left} …")
        await anyio.sleep(0.25)
    return "Lift-off!"


def create_app(
    *,
    token: str,
    origins: Iterable[str],
    resource: str = "http://127.0.0.1:8500/mcp",
    diary: Diary | None = None,
) -> Flask:
    """The Flask app with its MCP endpoint.

    :param token: the bearer token that the endpoint demands.
    :param origins: whose pages may connect.
    :param resource: the endpoint's URL, as clients see it.
    :param diary: where to write down what happens, for the example's page.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
    cors = MCPCors(app, origins=[*origins], hosts=LOOPBACK_HOSTS)

    server = MCPServer("Flask-MCP-CORS example", log_level="WARNING")
    for tool in (calculateSum, lookupRegion, countdown):
        server.add_tool(tool)

    # The SDK's own check of Host and Origin is off: MCPCors has made it before the view runs, from one list.
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))

    def verify(credentials: Authorization) -> str | None:
        """Who calls. The comparison takes as long for a near miss as for nonsense; bytes, since text must be ASCII."""
        given = (credentials.token or "").encode()
        return "the example's user" if hmac.compare_digest(given, token.encode()) else None

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    @cors.protected(verify)
    def mcp() -> Response:
        return bridge.respond(caller=g.mcp_identity)

    # An OAuth client finds out from this document where to get a token. Here the token is printed at start, and the
    # authorization server is only a name.
    cors.serve_resource_metadata(app, resource=resource, authorization_servers=["https://auth.example.com"])

    if diary is not None:
        diary.watch(app, server)
    return app


@dataclass(frozen=True)
class Demo:
    """The example at work: the MCP server and the page on two origins."""

    app: Flask
    diary: Diary
    endpoint: str
    token: str
    allowed: str
    foreign: str


@contextmanager
def running(
    *,
    token: str,
    port: int = 0,
    client_port: int = 0,
    foreign_port: int = 0,
    origins: Iterable[str] = (),
) -> Iterator[Demo]:
    """Run everything on 127.0.0.1. Port 0 means any free one.

    :param origins: allowed besides the client page's own.
    """
    diary = Diary()

    def facts(here: str) -> dict[str, Any]:
        return {
            "endpoint": demo.endpoint,
            "token": token,
            "allowed": CORSPolicy(origins=(demo.allowed, *origins)).actual(here).allowed,
            "pages": {"allowed": demo.allowed, "foreign": demo.foreign},
        }

    origins = tuple(origins)
    with (
        socket.create_server(("127.0.0.1", port)) as listener,
        page_server(client_port, lambda: facts(demo.allowed), diary) as allowed,
        page_server(foreign_port, lambda: facts(demo.foreign), diary) as foreign,
    ):
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        app = create_app(token=token, origins=(allowed, *origins), resource=endpoint, diary=diary)
        demo = Demo(app, diary, endpoint, token, allowed, foreign)
        server = make_server("127.0.0.1", 0, app, threaded=True, fd=listener.fileno())
        thread = threading.Thread(target=server.serve_forever, name="mcp-server", daemon=True)
        thread.start()
        try:
            yield demo
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="A Flask MCP server and a page that connects to it from two origins.")
    parser.add_argument("--port", type=int, help="of the MCP server (default: 8500)")
    parser.add_argument("--client-port", type=int, help="of the page on the allowed origin (default: 8501)")
    parser.add_argument("--foreign-port", type=int, help="of the page on the foreign origin (default: 8502)")
    parser.add_argument("--token", default=secrets.token_urlsafe(16), help="the bearer token (default: a random one)")
    parser.add_argument("--origin", action="append", default=[], dest="origins", help="one more allowed origin")
    parser.add_argument(
        "--check", action="store_true", help="go through it all once, without a person; any free port unless given"
    )
    options = vars(parser.parse_args())
    checking = options.pop("check")
    if not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", options["token"]):
        parser.error("a bearer token is made of letters, digits and -._~+/ (RFC 6750)")
    for name, number in (("port", 8500), ("client_port", 8501), ("foreign_port", 8502)):
        if options[name] is None:
            options[name] = 0 if checking else number
    if checking:
        # Refusals are part of the check, and it tells of them itself.
        logging.disable(logging.WARNING)
    try:
        with running(**options) as demo:
            if checking:
                return check(demo.endpoint, demo.token, demo.allowed, demo.foreign, demo.diary)
            print(f"MCP endpoint    {demo.endpoint}")
            print(f"Bearer token    {demo.token}")
            print(f"Allowed page    {demo.allowed}/")
            print(f"Foreign page    {demo.foreign}/")
            print("Open both pages in a browser. Press Ctrl-C to stop.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except PolicyError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{error}; choose other ports with --port, --client-port and --foreign-port")
    return 0


if __name__ == "__main__":
    sys.exit(main())
