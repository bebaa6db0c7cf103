"""A real Chromium for the tests in this folder.

They are skipped where there is none. ``REQUIRE_BROWSER=1`` makes that a failure instead, so that a run
which is meant to include them cannot pass without them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NoReturn
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Frame
    from playwright.sync_api import Page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # where example_app is

#: No GPU, no sandbox, and no traffic of its own: only what a test asks for is sent.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP attacker.test 127.0.0.1",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these tests last: while Playwright is there, its event loop runs in the thread of the tests."""
    items.sort(key=lambda item: HERE in item.path.parents)


def no_browser(why: str) -> NoReturn:
    """Skip, saying how to get a browser; or fail where one is required."""
    missing(f"{why}: `pip install playwright`, install Chromium, set CHROMIUM to its path if it is elsewhere")


def missing(message: str) -> NoReturn:
    """Skip with this message; or fail with it where nothing may be skipped."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def chromium_path() -> str:
    """Where Chromium is, or would be."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, shared by the whole run; ask it for a ``new_context()`` of your own."""
    try:
        from playwright.sync_api import Error
        from playwright.sync_api import sync_playwright
    except ImportError:
        no_browser("playwright is not installed")
    path = chromium_path()
    if not os.access(path, os.X_OK):
        no_browser(f"there is no Chromium at {path}")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        except Error as error:
            no_browser(f"Chromium does not start ({error.message.splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def bundles(chromium: Browser) -> dict[str, str]:
    """The official TypeScript clients as scripts for a page: ``sdk1`` and ``client2``."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        missing("the TypeScript clients are not there: install Node 20 or later, run `npm ci --prefix tests/browser`")
    subprocess.run([node, "build.mjs"], cwd=HERE, check=True)
    return {path.stem: path.read_text(encoding="utf-8") for path in (HERE / "bundles").glob("*.js")}


@pytest.fixture(scope="session")
def demo() -> Iterator[Any]:
    """The example at work (an ``example_app.Demo``), with an unguarded view at ``/spy`` that counts its calls.

    The calls are in ``demo.app.extensions["spy"]``, by method.
    """
    try:
        import mcp  # noqa: F401
    except ImportError:
        missing("the example needs the MCP SDK: `pip install 'mcp>=2.3'`")
    from flask import request

    from example_app import running

    calls: list[str] = []

    def spy() -> str:
        calls.append(request.method)
        return "reached"

    with running(token="token-of-the-tests") as demo:
        demo.app.extensions["spy"] = calls
        demo.app.add_url_rule("/spy", view_func=spy, methods=["GET", "POST", "PUT", "DELETE"])
        yield demo


class NetworkLog:
    """What a page puts on the network, preflights included, as Chromium's own log has it."""

    def __init__(self, page: Page) -> None:
        self.requests: list[tuple[str, str, str]] = []
        devtools = page.context.new_cdp_session(page)
        devtools.on("Network.requestWillBeSent", self._note)
        devtools.send("Network.enable")

    def _note(self, event: dict[str, Any]) -> None:
        self.requests.append((event["initiator"]["type"], event["request"]["method"], event["request"]["url"]))

    def preflights(self, url: str) -> int:
        """How many preflights went to this URL."""
        return self.requests.count(("preflight", "OPTIONS", url))


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[[str], tuple[Page, NetworkLog]]]:
    """Open a URL in a profile of its own, so with an empty preflight cache."""
    contexts = []

    def open_page(url: str) -> tuple[Page, NetworkLog]:
        contexts.append(chromium.new_context())
        page = contexts[-1].new_page()
        log = NetworkLog(page)
        page.goto(url)
        return page, log

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def sandboxed() -> Callable[[Page], Frame]:
    """Put a sandboxed iframe into a page: its origin is opaque, so its requests say ``Origin: null``."""

    def sandboxed(page: Page) -> Frame:
        page.evaluate(
            """() => new Promise((loaded) => {
                const frame = document.createElement("iframe");
                frame.sandbox = "allow-scripts";
                frame.srcdoc = "<!doctype html>";
                frame.onload = loaded;
                document.body.append(frame);
            })"""
        )
        return page.frames[-1]

    return sandboxed
