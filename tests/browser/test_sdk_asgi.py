"""The official TypeScript clients in a real browser against ``docs/examples/sdk_beside_flask.py`` under uvicorn."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sdk_clients import CLIENTS
from test_sdk_clients import JSON
from test_sdk_clients import QUIET
from test_sdk_clients import STREAM

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def endpoint(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The example at work, with one more tool, for the pages of the demo."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn: `pip install uvicorn`")
    from example_app import countdown

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name, value in {"MCP_TOKEN": demo.token, "ORIGINS": demo.allowed, "PUBLIC_URL": url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("sdk_beside_flask")
    create_server = example.create_server

    def with_countdown(url: str) -> Any:
        server = create_server(url)
        server.add_tool(countdown)
        return server

    monkeypatch.setattr(example, "create_server", with_countdown)
    server = uvicorn.Server(uvicorn.Config(example.create_app(), log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"{url}/mcp"
    server.should_exit = True
    thread.join()
    listener.close()
    sys.modules.pop("sdk_beside_flask")


@pytest.mark.parametrize(("bundle", "mode", "revision"), CLIENTS)
def test_a_session_costs_one_preflight(
    bundle: str,
    mode: Any,
    revision: str,
    demo: Any,
    endpoint: str,
    bundles: dict[str, str],
    open_page: Callable[..., Any],
) -> None:
    """From the first 401 to the closing DELETE, everything works and one preflight covers it."""
    page, log = open_page(demo.allowed + QUIET)
    page.add_script_tag(content=bundles[bundle])
    told = page.evaluate("session", {"endpoint": endpoint, "token": demo.token, "mode": mode})

    metadata = endpoint.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
    assert told["challenge"].startswith("Bearer ") and f'resource_metadata="{metadata}"' in told["challenge"]
    assert told["discovered"]["resource"] == endpoint
    assert told["revision"] == revision
    assert told["tools"] == ["calculateSum", "countdown"]
    assert told["sum"] == "42"
    assert told["progress"] == ["1/3", "2/3", "3/3"]
    assert told["landing"] == "Lift-off!"

    has_session = revision == "2025-11-25"
    assert told["session"] is has_session
    assert (["GET", 200, STREAM] in told["exchanges"]) is has_session
    assert (["DELETE", 200, JSON] in told["exchanges"]) is has_session
    assert log.preflights(endpoint) == 1


@pytest.mark.parametrize(("bundle", "mode", "revision"), CLIENTS)
def test_the_clients_are_kept_out_elsewhere(
    bundle: str,
    mode: Any,
    revision: str,
    demo: Any,
    endpoint: str,
    bundles: dict[str, str],
    open_page: Callable[..., Any],
) -> None:
    page, _ = open_page(demo.foreign + QUIET)
    page.add_script_tag(content=bundles[bundle])
    told = page.evaluate(
        "(options) => session(options).catch((error) => `stopped: ${error}`)",
        {"endpoint": endpoint, "token": demo.token, "mode": mode},
    )
    assert told.startswith("stopped: ")


def test_flask_beside_it_is_under_the_same_policy(demo: Any, endpoint: str, open_page: Callable[..., Any]) -> None:
    hello = endpoint.replace("/mcp", "/api/hello")
    ask = "(url) => fetch(url).then((response) => response.json(), (error) => String(error))"
    assert open_page(demo.allowed + QUIET)[0].evaluate(ask, hello) == {"hello": "from Flask"}
    assert open_page(demo.foreign + QUIET)[0].evaluate(ask, hello) == "TypeError: Failed to fetch"
