"""Flask MCP servers that others wrote, with our two lines: the page that belongs there reaches them, no other does."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pytest
from engines import Page
from flask import Flask
from flask import jsonify
from flask import request
from serving import serving

from flask_mcp_cors import MCPCors

#: ``fetch`` as a page makes it: what JavaScript gets of the answer, or the name of the error.
JSON_CALL = """({url, message}) => fetch(url, {
    method: "POST",
    headers: {"Content-Type": "application/json", "MCP-Protocol-Version": "2025-06-18"},
    body: JSON.stringify(message),
}).then(response => response.json(), error => error.name)"""

#: The same without a preflight.
TEXT_CALL = """({url, message}) => fetch(url, {method: "POST", mode: "no-cors", body: JSON.stringify(message)})
    .then(response => response.type, error => error.name)"""


class Wild:
    """A server that somebody else wrote, with one tool, ``add``."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.calls: list[tuple[int, int]] = []

    def add(self, a: int, b: int) -> int:
        self.calls.append((a, b))
        return a + b

    #: The JSON-RPC message that runs it with 2 and 3.
    call: dict[str, Any]

    #: Does a request run it that needs no preflight, because the type of its body is not looked at?
    takes_text: bool

    def result(self, answer: Any) -> Any:
        raise NotImplementedError


class MCPUtils(Wild):
    """The Flask example in the README of mcp-utils."""

    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 2, "b": 3}},
    }
    takes_text = False

    def __init__(self) -> None:
        super().__init__()
        from mcp_utils.core import MCPServer

        server = MCPServer("example", "1.0", response_queue=None)

        @server.tool()
        def add(a: int, b: int) -> str:
            return str(self.add(a, b))

        @self.app.route("/mcp", methods=["POST"])
        def mcp_route() -> Any:
            response = server.handle_message(request.get_json())
            return jsonify(response.model_dump(exclude_none=True))

    def result(self, answer: Any) -> Any:
        return int(answer["result"]["content"][0]["text"])


class FlaskMCPServer(Wild):
    """The quick start of flask-mcp-server, with all the middleware that it has.

    It answers no ``initialize``, so no MCP client gets anywhere, but a page's own ``fetch`` calls its tools.
    """

    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "mcp.call",
        "params": {"kind": "tool", "name": "add", "args": {"a": 2, "b": 3}},
    }
    takes_text = True

    def __init__(self) -> None:
        super().__init__()
        from flask_mcp_server import mount_mcp
        from flask_mcp_server.http_integrated import mw_auth
        from flask_mcp_server.http_integrated import mw_cors
        from flask_mcp_server.http_integrated import mw_ratelimit
        from flask_mcp_server.registry import MCPRegistry

        registry = MCPRegistry()

        def add(a: int, b: int) -> int:
            return self.add(a, b)

        registry.register_tool("add", add)
        mount_mcp(self.app, registry, url_prefix="/mcp", middlewares=[mw_auth, mw_ratelimit, mw_cors])

    def result(self, answer: Any) -> Any:
        return answer["result"]["result"]


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Run an app; its origin."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture
def page(serve: Callable[[Flask], str], visit: Callable[[str], Page]) -> Callable[[], Page]:
    """Open a page on an origin of its own."""

    def page() -> Page:
        app = Flask("page")
        app.add_url_rule("/", "page", lambda: "<!doctype html><title>a page</title>")
        return visit(f"{serve(app)}/")

    return page


@pytest.fixture(params=[MCPUtils, FlaskMCPServer], ids=["mcp-utils", "flask-mcp-server"])
def wild(request: pytest.FixtureRequest) -> Wild:
    module = {MCPUtils: "mcp_utils", FlaskMCPServer: "flask_mcp_server"}[request.param]
    if find_spec(module) is None:
        message = f"{module} is not installed: `pip install -e '.[compat]'`"
        pytest.fail(message, pytrace=False) if os.environ.get("REQUIRE_COMPAT") == "1" else pytest.skip(message)
    wild: Wild = request.param()
    return wild


def ask(page: Any, script: str, url: str, wild: Wild) -> Any:
    return page.evaluate(script, {"url": f"{url}/mcp", "message": wild.call})


def test_without_us_no_page_gets_an_answer(wild: Wild, serve: Any, page: Any) -> None:
    assert ask(page(), JSON_CALL, serve(wild.app), wild) == "TypeError"


def test_without_us_any_page_may_run_the_tool(
    wild: Wild, serve: Any, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blindly. The API keys of flask-mcp-server do not help: its middleware is not asked at ``/mcp``."""
    monkeypatch.setenv("FLASK_MCP_AUTH_MODE", "apikey")
    monkeypatch.setenv("FLASK_MCP_API_KEYS", "a-key-that-no-page-has")
    assert ask(page(), TEXT_CALL, serve(wild.app), wild) == "opaque"
    assert wild.calls == ([(2, 3)] if wild.takes_text else [])


def test_a_page_that_belongs_there_runs_the_tool(wild: Wild, serve: Any, page: Any) -> None:
    friend = page()
    MCPCors(wild.app, origins=friend.evaluate("location.origin"))
    assert wild.result(ask(friend, JSON_CALL, serve(wild.app), wild)) == 5
    assert wild.calls == [(2, 3)]


@pytest.mark.parametrize(("script", "outcome"), [(JSON_CALL, "TypeError"), (TEXT_CALL, "opaque")], ids=["json", "text"])
def test_a_foreign_page_never_runs_it(wild: Wild, serve: Any, page: Any, script: str, outcome: str) -> None:
    friend, stranger = page(), page()
    MCPCors(wild.app, origins=friend.evaluate("location.origin"))
    assert ask(stranger, script, serve(wild.app), wild) == outcome
    assert wild.calls == []
