"""The inspectors' own log-ins: MCP Inspector's page and mcp-use's, with the example's servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")
pytest.importorskip("authlib", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from client_table import Sightings
from engines import Engine
from engines import Page
from flask import Flask
from flask import send_from_directory
from hands import press
from hands import press_text
from hands import until
from serving import serving

from example_app import Demo
from example_app import running

PACKAGES = Path(__file__).parent / "node_modules"


def one_page(folder: Path) -> Flask:
    """Serves the files of a page that does its routing itself."""
    app = Flask("page", static_folder=folder, static_url_path="/")
    app.register_error_handler(404, lambda error: send_from_directory(folder, "index.html"))
    return app


@contextmanager
def mcp_use_inspector() -> Iterator[str]:
    """Start mcp-use's inspector, which has a server of its own; yields its origin."""
    node = shutil.which("node")
    assert node is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [node, str(PACKAGES / "@mcp-use" / "inspector" / "dist" / "cli.js"), "--port", port, "--no-open"]
    environment = {**os.environ, "MCP_USE_ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    with process:
        assert process.stdout is not None
        assert any("started at" in line for line in process.stdout)
        # What it says further has to be read, or it stops when the pipe is full.
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        try:
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            reader.join()


def reached(demo: Demo) -> list[str]:
    """The MCP messages that have got through to the SDK."""
    return [entry["method"] for entry in demo.diary.entries() if entry["kind"] == "mcp"]


def refused(demo: Demo) -> list[Any]:
    """What Flask-MCP-CORS has refused."""
    return [entry for entry in demo.diary.entries() if entry.get("reason")]


@pytest.mark.parametrize("how", ["login", "headers"])
def test_mcp_inspector(
    how: str, bundles: dict[str, str], engine: Engine, visit: Callable[..., Page], sightings: Sightings
) -> None:
    """All of it in the page: "Connect", with "Allow" or with the headers that are filled in; connected."""
    folder = PACKAGES / "@modelcontextprotocol" / "inspector-client" / "dist"
    with serving(one_page(folder)) as origin, running(token="t", origins=[origin]) as demo:
        page = visit(f"{origin}/mcp.svg", fresh=True)
        page.evaluate("() => localStorage.setItem('lastConnectionType', 'direct')")
        if how == "headers":
            headers = {"Authorization": "Bearer t", "X-API-Key": "k"}
            rows = [{"name": name, "value": value, "enabled": True} for name, value in headers.items()]
            page.evaluate("(rows) => localStorage.setItem('lastCustomHeaders', JSON.stringify(rows))", rows)
        with sightings.of(f"inspector-{how}", engine.name, demo.app) as sighting:
            page.goto(f"{origin}/?transport=streamable-http&serverUrl={demo.endpoint}")
            press_text(page, "Connect")
            if how == "login":
                press(page, "button[value=allow]")
            until(page, "document.body.innerText.includes('Flask-MCP-CORS example')")
            press_text(page, "Tools")
            press_text(page, "List Tools")
            until(page, "document.body.innerText.includes('calculateSum')")
            sighting.connects = True
        assert reached(demo) == ["initialize", "notifications/initialized", "tools/list"]
        assert refused(demo) == []
        assert sighting.preflights == 1


def test_mcp_use_inspector(
    bundles: dict[str, str], engine: Engine, visit: Callable[..., Page], sightings: Sightings
) -> None:
    """Its server does the discovery and gets the token; the page talks to the endpoint."""
    with (
        mcp_use_inspector() as origin,
        running(token="t", origins=[origin]) as demo,
        sightings.of("inspector-mcp-use", engine.name, demo.app) as sighting,
    ):
        page = visit(f"{origin}/inspector?autoConnect={demo.endpoint}")
        press_text(page, "Authenticate")
        press(page, "button[value=allow]")
        until(page, "document.body && document.body.innerText.includes('calculateSum')")
        assert reached(demo)[:1] == ["server/discover"]
        assert "tools/list" in reached(demo)
        assert refused(demo) == []
        sighting.connects = True
