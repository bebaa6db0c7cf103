"""A real MCP server on Flask that browsers connect to: ``python example_app.py``, then open the URLs that it prints.

One page is on an origin that the server allows, the other is the same page on an origin that it does not. The page gets
in with the token that is printed, or it logs in with OAuth at an authorization server that runs beside. To run the MCP
server alone, as in production::

    gunicorn --worker-class gthread --threads 32 'example_app:create_app(token="…", origins=["https://…"])'
"""

from __future__ import annotations

import argparse
import hmac
import logging
import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated
from typing import Any

import anyio
from flask import Flask
from flask import g
from flask import request
from flask import Response
from mcp.server.mcpserver import Context
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from werkzeug.datastructures import Authorization
from werkzeug.serving import make_server
from werkzeug.serving import WSGIRequestHandler

from example.authorization_server import authorization_app
from example.authorization_server import AuthorizationServer
from example.authorization_server import origin_of
from example.authorization_server import PASSWORD
from example.authorization_server import USER
from example.check import check
from example.pages import Diary
from example.pages import page_app
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import InsufficientScope
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors.contrib.sdk import SDKBridge
from flask_mcp_cors.testing.urls import BAD_PORTS

#: What a token may be good for. A log-in asks for ``tools``; who wants to call ``addNote`` has to ask for more.
SCOPES = {"tools": "use its tools", "notes": "write notes"}
TOOL_SCOPES = {"addNote": "notes"}


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


notes: list[str] = []


def addNote(text: Annotated[str, Field(max_length=200)]) -> str:
    """Write a note down. It needs the scope "notes"."""
    notes[:] = [*notes[-99:], text]
    return f"{text!r} is noted"


def create_app(
    *,
    token: str,
    origins: Iterable[str],
    resource: str = "http://127.0.0.1:8500/mcp",
    authorization: AuthorizationServer | None = None,
    diary: Diary | None = None,
) -> Flask:
    """The Flask app with its MCP endpoint.

    :param token: a bearer token that opens the endpoint without a log-in.
    :param origins: whose pages may connect.
    :param resource: the endpoint's URL, as clients see it.
    :param authorization: the server whose tokens open the endpoint, too. If its URL is on the same origin as the
        endpoint, this app serves it.
    :param diary: where to write down what happens, for the example's page.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
    is_here = authorization is not None and origin_of(authorization.issuer) == origin_of(resource)
    policies = authorization.policies if authorization and is_here else {}
    cors = MCPCors(app, origins=[*origins], hosts=LOOPBACK_HOSTS, policies=policies)

    server = MCPServer("Flask-MCP-CORS example", log_level="WARNING")
    for tool in (calculateSum, lookupRegion, countdown, addNote):
        server.add_tool(tool)

    # The SDK's own check of Host and Origin is off: MCPCors has made it before the view runs, from one list.
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))

    def verify(credentials: Authorization) -> dict[str, Any] | None:
        """Who calls, and what for. ``find`` leaves out what is expired or revoked; a token for another server is none
        for this one."""
        given = credentials.token or ""
        # As long for a near miss as for nonsense; bytes, since text must be ASCII.
        if hmac.compare_digest(given.encode(), token.encode()):
            return {"user": "the example's user", "scopes": list(SCOPES)}
        found = authorization.find(given) if authorization else None
        if found is None or found.resource != resource:
            return None
        return {"user": found.user, "scopes": found.scope.split()}

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    @cors.protected(verify, scopes=["tools"])
    def mcp() -> Response:
        if request.method == "POST":
            require_scopes(request.get_json(force=True))
        return bridge.respond(caller=g.mcp_identity["user"])

    # From this document an OAuth client finds out where to get a token.
    cors.serve_resource_metadata(
        app,
        resource=resource,
        authorization_servers=[authorization.issuer] if authorization else [],
        scopes_supported=list(SCOPES),
    )
    if authorization and is_here:
        app.secret_key = secrets.token_bytes()
        app.config.update(SESSION_COOKIE_NAME="example_login", SESSION_COOKIE_SAMESITE="Lax")
        authorization.init_app(app)
    if diary is not None:
        diary.watch(app, server)
    return app


def require_scopes(body: Any) -> None:
    """Ask for the scope of the tool that is called, before the SDK sees the call.

    :raises InsufficientScope: where the caller has it not. It is answered with 403, and a challenge that names it.
    """
    for message in body if isinstance(body, list) else [body]:
        try:
            scope = TOOL_SCOPES.get(message["params"]["name"]) if message["method"] == "tools/call" else None
        except (TypeError, LookupError):
            continue  # no call of a tool, and nothing that the SDK would take for one
        if scope and scope not in g.mcp_identity["scopes"]:
            raise InsufficientScope(scope)


@dataclass(frozen=True)
class Demo:
    """The example at work: the MCP server, the authorization server, and the page on two origins."""

    app: Flask
    login_app: Flask
    authorization: AuthorizationServer
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
    login_port: int = 0,
    client_port: int = 0,
    foreign_port: int = 0,
    origins: Iterable[str] = (),
    same_origin: bool = False,
) -> Iterator[Demo]:
    """Run everything on 127.0.0.1. Port 0 means any free one.

    :param origins: allowed besides the client page's own.
    :param same_origin: the MCP server serves the authorization server, too.
    """
    diary = Diary()
    origins = tuple(origins)

    def facts(here: str) -> dict[str, Any]:
        return {
            "endpoint": demo.endpoint,
            "authorization": demo.authorization.issuer,
            "token": token,
            "allowed": policy.actual(here).allowed,
            "pages": {"allowed": demo.allowed, "foreign": demo.foreign},
        }

    with ExitStack() as stack:

        def listen(flag: str, number: int) -> tuple[socket.socket, str]:
            try:
                listener = stack.enter_context(socket.create_server(("127.0.0.1", number)))
            except OSError as error:
                raise OSError(f"--{flag} {number}: {os.strerror(error.errno or 0)}; choose another port") from error
            return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"

        mcp_listener, mcp_url = listen("port", port)
        login_listener, login_url = listen("login-port", login_port)
        allowed_listener, allowed = listen("client-port", client_port)
        foreign_listener, foreign = listen("foreign-port", foreign_port)
        # Browsers take http://localhost:8501 and http://127.0.0.1:8501 for two origins. People open either.
        policy = CORSPolicy(origins=[allowed, allowed.replace("127.0.0.1", "localhost"), *origins])
        endpoint = f"{mcp_url}/mcp"
        authorization = AuthorizationServer(mcp_url if same_origin else login_url, resources=[endpoint], scopes=SCOPES)
        app = create_app(
            token=token, origins=policy.origins, resource=endpoint, authorization=authorization, diary=diary
        )
        login_app = app if same_origin else authorization_app(authorization)
        demo = Demo(app, login_app, authorization, diary, endpoint, token, allowed, foreign)
        page = page_app(facts, diary, authorization.expire_access_tokens)
        stack.enter_context(serving(app, mcp_listener))
        if not same_origin:
            diary.watch(login_app)
            stack.enter_context(serving(login_app, login_listener))
        for listener in (allowed_listener, foreign_listener):
            stack.enter_context(serving(page, listener))
        yield demo


class Quiet(WSGIRequestHandler):
    """The page shows every request; the terminal is for what Flask-MCP-CORS says of refused ones."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(app: Flask, listener: socket.socket) -> Iterator[None]:
    """Serve an app where *listener* listens."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=app.name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def port_number(text: str) -> int:
    """A port on which a page can be opened; 0 for any free one."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 to 65535, 0 for any free one")
    if number and number in BAD_PORTS:
        raise argparse.ArgumentTypeError(f"browsers refuse to open port {number}; choose another one")
    return number


PORTS = {
    "port": ("the MCP server", 8500),
    "client-port": ("the page on the allowed origin", 8501),
    "foreign-port": ("the page on the foreign origin", 8502),
    "login-port": ("the authorization server", 8503),
}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="A Flask MCP server and a page that connects to it from two origins.")
    for flag, (what, default) in PORTS.items():
        parser.add_argument(f"--{flag}", type=port_number, help=f"of {what} (default: {default})")
    parser.add_argument("--token", default=secrets.token_urlsafe(16), help="the bearer token (default: a random one)")
    parser.add_argument("--origin", action="append", default=[], dest="origins", help="one more allowed origin")
    parser.add_argument(
        "--check", action="store_true", help="go through it all once, without a person; any free port unless given"
    )
    options = vars(parser.parse_args())
    checking = options.pop("check")
    if not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", options["token"]):
        parser.error("a bearer token is made of letters, digits and -._~+/ (RFC 6750)")
    for flag, (_, default) in PORTS.items():
        name = flag.replace("-", "_")
        if options[name] is None:
            options[name] = 0 if checking else default
    if checking:
        # Refusals are part of the check, and it tells of them itself.
        logging.disable(logging.WARNING)
    try:
        with running(**options) as demo:
            if checking:
                return check(demo)
            print(f"MCP endpoint    {demo.endpoint}")
            print(f"Bearer token    {demo.token}")
            print(f"User            {USER}, password {PASSWORD} (authorization server: {demo.authorization.issuer})")
            print(f"Allowed page    {demo.allowed}/")
            print(f"Foreign page    {demo.foreign}/")
            print("Open both pages in a browser. Press Ctrl-C to stop.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except PolicyError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
