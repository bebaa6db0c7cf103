"""Servers that nobody here wrote, each on a free port of 127.0.0.1 and stopped at the end of its ``with`` block.

And, to compare, one that uses this package. ``SERVERS`` lists them; a server whose packages are not installed raises
:exc:`Unavailable`, which says how to get them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import NoReturn

import flask
import pytest
from werkzeug.serving import make_server
from werkzeug.serving import WSGIRequestHandler

ORIGIN = "https://app.example.com"
#: The pages of the tests in Chromium.
TEST_ORIGINS = "http://attacker.test:*"
NODE_MODULES = Path(__file__).parents[1] / "browser" / "node_modules"


class Unavailable(Exception):
    """This server is not installed; the message says how to get it."""


def skip(server: Server, error: Unavailable) -> NoReturn:
    """Skip the test, saying how to get the server; or fail where nothing may be skipped."""
    message = f"{server.title} is not installed: {error}"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, is_alive: Callable[[], bool]) -> None:
    """Wait until something listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and is_alive():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


class _Quiet(WSGIRequestHandler):
    """No line for each request: a test that fails is to be readable."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def serving_wsgi(app: Any, **options: Any) -> Iterator[str]:
    """A WSGI app under werkzeug's server, with threads; its base URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet, **options)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving_asgi(make_app: Callable[[], Any]) -> Iterator[str]:
    """An ASGI app under uvicorn; its base URL."""
    try:
        import uvicorn
    except ImportError:
        raise Unavailable("pip install uvicorn") from None
    port = free_port()
    config = uvicorn.Config(
        make_app(), host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=1, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(port, thread.is_alive)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _sdk_server() -> Any:
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        raise Unavailable("pip install 'mcp>=2.3'") from None
    server = MCPServer("sums")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return server


def python_sdk() -> AbstractContextManager[str]:
    """The MCP Python SDK as it comes."""
    return serving_asgi(lambda: _sdk_server().streamable_http_app())


def python_sdk_with_cors() -> AbstractContextManager[str]:
    """The same inside Starlette's CORSMiddleware, set up as the SDK's example servers had it (python-sdk #1059)."""

    def make_app() -> Any:
        app = _sdk_server().streamable_http_app()
        from starlette.middleware.cors import CORSMiddleware

        return CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["GET", "POST", "DELETE"],
            expose_headers=["Mcp-Session-Id"],
        )

    return serving_asgi(make_app)


def flask_mcp_server() -> AbstractContextManager[str]:
    """flask-mcp-server, set up as its README shows."""
    try:
        from flask_mcp_server import Mcp
        from flask_mcp_server import mount_mcp
        from flask_mcp_server.http_integrated import mw_auth
        from flask_mcp_server.http_integrated import mw_cors
        from flask_mcp_server.http_integrated import mw_ratelimit
    except ImportError:
        raise Unavailable("pip install flask-mcp-server") from None
    app = flask.Flask(__name__)

    @Mcp.tool(name="sum")
    def sum_(a: int, b: int) -> int:
        return a + b

    mount_mcp(app, url_prefix="/mcp", middlewares=[mw_auth, mw_ratelimit, mw_cors])
    return serving_wsgi(app)


@contextmanager
def typescript_sdk() -> Iterator[str]:
    """The TypeScript SDK's Express example server with sessions, ``simpleStreamableHttp``, as the package ships it."""
    node = shutil.which("node")
    package = NODE_MODULES / "@modelcontextprotocol" / "sdk"
    example = package / "dist" / "esm" / "examples" / "server" / "simpleStreamableHttp.js"
    if node is None or not example.is_file():
        raise Unavailable("install Node 20 or later, run `npm ci --prefix tests/browser`")
    port = free_port()
    process = subprocess.Popen(
        [node, str(example)],
        env={**os.environ, "MCP_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, lambda: process.poll() is None)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def flask_with_flask_cors() -> AbstractContextManager[str]:
    """A plain Flask app with flask-cors as most people write it, and an MCP endpoint by hand."""
    try:
        from flask_cors import CORS
    except ImportError:
        raise Unavailable("pip install flask-cors") from None
    app = flask.Flask(__name__)
    CORS(app)
    app.add_url_rule("/mcp", view_func=by_hand, methods=["POST"])
    return serving_wsgi(app)


def by_hand() -> Any:
    """An MCP endpoint in a few lines: no session, revision 2025-11-25 and what came before."""
    message = flask.request.get_json()
    if "id" not in message:
        return "", 202
    if message["method"] == "initialize":
        asked = message["params"]["protocolVersion"]
        revision = asked if asked in ("2025-03-26", "2025-06-18", "2025-11-25") else "2025-11-25"
        result: dict[str, Any] = {
            "protocolVersion": revision,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "by hand", "version": "1"},
        }
    elif message["method"] == "tools/list":
        result = {"tools": []}
    else:
        error = {"code": -32601, "message": "Method not found"}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


@contextmanager
def flask_mcp_cors() -> Iterator[str]:
    """The same SDK server on Flask behind Flask-MCP-CORS, by the bridge."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2]))  # where the example is
    try:
        from mcp.server.transport_security import TransportSecuritySettings

        from flask_mcp_cors.contrib.sdk import SDKBridge
    except ImportError:
        raise Unavailable("pip install 'mcp>=2.3'") from None
    from flask_mcp_cors import LOOPBACK_HOSTS
    from flask_mcp_cors import MCPCors

    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    bridge = SDKBridge(lambda: _sdk_server().streamable_http_app(transport_security=no_check))
    app = flask.Flask(__name__)
    MCPCors(app, origins=(ORIGIN, TEST_ORIGINS), hosts=LOOPBACK_HOSTS)
    app.add_url_rule("/mcp", view_func=lambda: bridge.respond(), endpoint="mcp", methods=["GET", "POST", "DELETE"])
    with serving_wsgi(app) as url:
        yield url


class Server(NamedTuple):
    """A server to examine."""

    name: str
    title: str
    start: Callable[[], AbstractContextManager[str]]
    path: str = "/mcp"


SERVERS = (
    Server("python-sdk", "the MCP Python SDK", python_sdk),
    Server("python-sdk-cors", "the MCP Python SDK inside Starlette's CORSMiddleware", python_sdk_with_cors),
    Server("flask-mcp-server", "flask-mcp-server", flask_mcp_server),
    Server("typescript-sdk", "the TypeScript SDK's Express example", typescript_sdk),
    Server("flask-cors", "a Flask app with flask-cors", flask_with_flask_cors),
    Server("flask-mcp-cors", "the MCP Python SDK on Flask with Flask-MCP-CORS", flask_mcp_cors),
)
