"""A client in an extension, with and without a host permission for the server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client_table import Sightings
from engines import CHROMIUM_FLAGS
from engines import chromium_path
from engines import FirefoxEngine
from engines import KeepingServer
from engines import Unavailable
from engines import WARM_UP
from test_client_sdk import ATTEMPT
from test_client_sdk import TOOLS

#: Firefox makes the id in an extension's origin up, unless a preference says which.
FIREFOX_UUIDS = {
    "extension@example.com": "11111111-2222-4333-8444-555555555555",
    "extension-without@example.com": "11111111-2222-4333-8444-666666666666",
}


def write_extension(folder: Path, name: str, script: str, hosts: list[str]) -> None:
    """An extension with one page, which runs this script."""
    folder.mkdir()
    manifest = {
        "manifest_version": 3,
        "name": "A client",
        "version": "1",
        "host_permissions": hosts,
        "browser_specific_settings": {"gecko": {"id": f"{name}@example.com"}},
        # Firefox's default turns http into https.
        "content_security_policy": {"extension_pages": "script-src 'self'"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "page.html").write_text("<!doctype html><script src=script.js></script>", encoding="utf-8")
    (folder / "script.js").write_text(script, encoding="utf-8")


@contextmanager
def in_chromium(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The extension's origin, and its page."""
    # The id of an extension that is in no store comes of its path.
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    origin = "chrome-extension://" + "".join(chr(ord("a") + int(digit, 16)) for digit in digest)
    context = request.getfixturevalue("chromium").browser_type.launch_persistent_context(
        folder.with_name("profile"),
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


@pytest.fixture(scope="module")
def firefox() -> Iterator[FirefoxEngine]:
    """A Firefox that takes extensions."""
    preferences = {"extensions.webextensions.uuids": json.dumps(FIREFOX_UUIDS)}
    with ExitStack() as stack:
        try:
            yield stack.enter_context(FirefoxEngine.running("--remote-allow-system-access", preferences=preferences))
        except Unavailable as reason:
            pytest.skip(str(reason))


@contextmanager
def in_firefox(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The same."""
    origin = f"moz-extension://{FIREFOX_UUIDS[f'{folder.name}@example.com']}"
    engine = request.getfixturevalue("firefox")
    engine.install(folder)
    yield origin, engine.open(f"{origin}/page.html")


def requests(demo: Any) -> set[tuple[str, bool, str | None]]:
    """The endpoint's requests: method, whether they had an Origin, Sec-Fetch-Site."""
    return {
        (entry["method"], entry["origin"] is not None, dict(entry["headers"]["request"]).get("Sec-Fetch-Site"))
        for entry in demo.diary.entries()
        if entry.get("path") == "/mcp"
    }


@pytest.mark.parametrize("name", ["extension", "extension-without"])
@pytest.mark.parametrize(("browser", "site"), [("chromium", "none"), ("firefox", "same-origin")])
def test_a_client_in_an_extension(
    browser: str,
    site: str,
    name: str,
    bundles: dict[str, str],
    tmp_path: Path,
    sightings: Sightings,
    request: pytest.FixtureRequest,
) -> None:
    """With a host permission there is no preflight, and a ``GET`` has no ``Origin``; a ``POST`` has it."""
    pytest.importorskip("mcp", reason="the example needs the MCP SDK: `pip install 'mcp>=2.3'`")
    from example_app import running

    is_permitted = name == "extension"
    folder = tmp_path / name
    write_extension(folder, name, bundles["client2"], ["http://127.0.0.1/*"] if is_permitted else [])
    with {"chromium": in_chromium, "firefox": in_firefox}[browser](folder, request) as (origin, page):
        if browser == "firefox" and not is_permitted:
            with KeepingServer.running() as server:
                page.evaluate(WARM_UP, server.url)
        options = {"token": "t", "mode": "legacy"}
        with running(token="t", origins=[origin]) as demo, sightings.of(name, browser, demo.app) as sighting:
            told = page.evaluate("session", {"endpoint": demo.endpoint, **options})
            assert (told["tools"], told["sum"]) == (TOOLS, "42")
            sighting.connects = True
            seen = requests(demo)
            # The server of the example's page sends no CORS headers.
            ask = "(url) => fetch(url).then((response) => response.status, (error) => error.name)"
            assert page.evaluate(ask, f"{demo.allowed}/facts.json") == (200 if is_permitted else "TypeError")
        with running(token="t") as demo:
            assert page.evaluate(ATTEMPT, {"endpoint": demo.endpoint, **options}).startswith("stopped: ")
            entries = [entry for entry in demo.diary.entries() if entry.get("path") == "/mcp"]
            refused = {(entry["method"], entry["status"]) for entry in entries}
    if is_permitted:
        assert seen == {("POST", True, site), ("GET", False, site), ("DELETE", True, site)}
        assert refused == {("POST", 403)}
    else:
        assert seen == {(method, True, "cross-site") for method in ("OPTIONS", "POST", "GET", "DELETE")}
        assert refused == {("OPTIONS", 403)}
