"""The official TypeScript clients in real browsers against ``docs/examples/sdk_beside_flask.py`` under uvicorn."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engines import Page
from test_client_sdk import ATTEMPT
from test_client_sdk import check_session
from test_client_sdk import CLIENTS
from test_client_sdk import QUIET

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@dataclass
class Beside:
    """The example at work, with one more tool, for the pages of the demo; it counts the preflights to its endpoint."""

    url: str
    app: Any = None
    preflights: int = 0

    @property
    def endpoint(self) -> str:
        return f"{self.url}/mcp"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("OPTIONS", "/mcp"):
            self.preflights += 1
        await self.app(scope, receive, send)


@pytest.fixture
def beside(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn: `pip install uvicorn`")
    from sse_starlette import EventSourceResponse

    from example_app import countdown

    # Firefox hands a stream's response to the page when its first bytes are there, which can be the first ping.
    monkeypatch.setattr(EventSourceResponse, "DEFAULT_PING_INTERVAL", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))
    beside = Beside(f"http://127.0.0.1:{listener.getsockname()[1]}")
    for name, value in {"MCP_TOKEN": demo.token, "ORIGINS": demo.allowed, "PUBLIC_URL": beside.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("sdk_beside_flask")
    create_server = example.create_server

    def with_countdown(url: str) -> Any:
        server = create_server(url)
        server.add_tool(countdown)
        return server

    monkeypatch.setattr(example, "create_server", with_countdown)
    beside.app = example.create_app()
    server = uvicorn.Server(uvicorn.Config(beside, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield beside
    server.should_exit = True
    thread.join()
    listener.close()
    sys.modules.pop("sdk_beside_flask")


@pytest.fixture(params=[(client.values, client.id) for client in CLIENTS], ids=lambda param: param[1])
def client(request: pytest.FixtureRequest, bundles: dict[str, str]) -> tuple[str, Any, str]:
    """A client's script, its mode, and the revision that it speaks then."""
    (bundle, mode, revision), _ = request.param
    return bundles[bundle], mode, revision


def test_a_session_costs_one_preflight(
    client: tuple[str, Any, str], demo: Any, beside: Beside, visit: Callable[..., Page]
) -> None:
    """From the first 401 to the closing DELETE, everything works and one preflight covers it."""
    script, mode, revision = client
    page = visit(demo.allowed + QUIET, fresh=True)
    page.add_script(script)
    told = page.evaluate("session", {"endpoint": beside.endpoint, "token": demo.token, "mode": mode})
    check_session(told, beside.endpoint, revision, ["calculateSum", "countdown"])
    assert beside.preflights == 1


def test_the_clients_are_kept_out_elsewhere(
    client: tuple[str, Any, str], demo: Any, beside: Beside, visit: Callable[..., Page]
) -> None:
    script, mode, _ = client
    page = visit(demo.foreign + QUIET)
    page.add_script(script)
    told = page.evaluate(ATTEMPT, {"endpoint": beside.endpoint, "token": demo.token, "mode": mode})
    assert told.startswith("stopped: ")


def test_flask_beside_it_is_under_the_same_policy(demo: Any, beside: Beside, visit: Callable[..., Page]) -> None:
    ask = "(url) => fetch(url).then((response) => response.json(), (error) => error.name)"
    assert visit(demo.allowed + QUIET).evaluate(ask, f"{beside.url}/api/hello") == {"hello": "from Flask"}
    assert visit(demo.foreign + QUIET).evaluate(ask, f"{beside.url}/api/hello") == "TypeError"
