"""A client in an extension for Chromium, with and without a host permission for the server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from client_table import Sightings
from engines import CHROMIUM_FLAGS
from engines import chromium_path
from test_client_sdk import TOOLS


@contextmanager
def extension(chromium: Any, folder: Path, script: str, hosts: list[str]) -> Iterator[tuple[str, Any]]:
    """Make an extension and install it; yields its origin, and its page, which has run the script."""
    folder.mkdir()
    manifest = {"manifest_version": 3, "name": "A client", "version": "1", "host_permissions": hosts}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "page.html").write_text("<!doctype html><script src=script.js></script>", encoding="utf-8")
    (folder / "script.js").write_text(script, encoding="utf-8")
    # The id of an extension that is in no store comes of its path.
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    origin = "chrome-extension://" + "".join(chr(ord("a") + int(digit, 16)) for digit in digest)
    context = chromium.browser_type.launch_persistent_context(
        folder.with_name(f"{folder.name}-profile"),
        executable_path=chromium_path(),
        args=[*CHROMIUM_FLAGS, f"--disable-extensions-except={folder}", f"--load-extension={folder}"],
        ignore_default_args=["--disable-extensions"],
    )
    try:
        page = context.new_page()
        page.goto(f"{origin}/page.html")
        yield origin, page
    finally:
        context.close()


def requests(demo: Any) -> list[tuple[str, str | None, str | None]]:
    """The endpoint's requests: method, whether they had the extension's Origin, Sec-Fetch-Site."""
    return [
        (entry["method"], entry["origin"] is not None, dict(entry["headers"]["request"]).get("Sec-Fetch-Site"))
        for entry in demo.diary.entries()
        if entry.get("path") == "/mcp"
    ]


@pytest.mark.parametrize(
    ("name", "hosts"), [("extension", ["http://127.0.0.1/*"]), ("extension-without", [])], ids=["permission", "none"]
)
def test_a_client_in_an_extension(
    name: str,
    hosts: list[str],
    chromium: Any,
    bundles: dict[str, str],
    tmp_path: Path,
    sightings: Sightings,
) -> None:
    """With a host permission there is no preflight, and a ``GET`` has no ``Origin``; a ``POST`` has it."""
    pytest.importorskip("mcp", reason="the example needs the MCP SDK: `pip install 'mcp>=2.3'`")
    from example_app import running

    with extension(chromium, tmp_path / "extension", bundles["client2"], hosts) as (origin, page):
        options = {"token": "t", "mode": "legacy"}
        with running(token="t", origins=[origin]) as demo, sightings.of(name, "chromium", demo.app) as sighting:
            told = page.evaluate("(options) => session(options)", {"endpoint": demo.endpoint, **options})
            assert (told["tools"], told["sum"]) == (TOOLS, "42")
            sighting.connects = True
            seen = set(requests(demo))
            # The server of the example's page sends no CORS headers.
            ask = "(url) => fetch(url).then((response) => response.status, (error) => error.name)"
            assert page.evaluate(ask, f"{demo.allowed}/facts.json") == (200 if hosts else "TypeError")
        with running(token="t") as demo:
            told = page.evaluate("(options) => session(options).catch(String)", {"endpoint": demo.endpoint, **options})
            assert isinstance(told, str), told
            refused = {
                (entry["method"], entry["status"]) for entry in demo.diary.entries() if entry.get("path") == "/mcp"
            }
    if hosts:
        assert seen == {("POST", True, "none"), ("GET", False, "none"), ("DELETE", True, "none")}
        assert refused == {("POST", 403)}
    else:
        ways = ("OPTIONS", "POST", "GET", "DELETE")
        assert seen == {(method, True, "cross-site") for method in ways}
        assert refused == {("OPTIONS", 403)}
