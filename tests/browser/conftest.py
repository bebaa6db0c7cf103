"""Three real engines for the tests in this folder: Chromium, Firefox and WebKit.

A test that takes ``visit`` (or ``engine``) runs once in each. ``visit(url)`` opens a page that belongs to the test; it
is a :class:`engines.Page`: ``evaluate(function, argument)``, ``add_script(text)``, ``sandboxed()``, ``goto(url)`` …::

    def test_a_page_may_ask(visit, demo):
        page = visit(demo.allowed + QUIET)
        assert page.evaluate("url => fetch(url).then(response => response.status)", demo.endpoint) == 401

``visit(url, fresh=True)`` begins with an empty preflight cache: for tests that count preflights, on the server.
``open_page`` and ``chromium`` are Playwright's, for what only Chromium can show. ``-k firefox`` chooses an engine.

An engine that is missing skips its tests. ``REQUIRE_BROWSER=1`` makes that a failure instead, so that a run which is
meant to include them cannot pass without them.
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
from client_table import Sightings
from engines import CHROMIUM_FLAGS
from engines import chromium_path
from engines import ChromiumEngine
from engines import Engine
from engines import FirefoxEngine
from engines import Page as EnginePage
from engines import Unavailable
from engines import WebKitEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # where example_app is


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-clients", metavar="FILE", type=Path, help="write the table of clients to FILE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these tests last: while Playwright is there, its event loop runs in the thread of the tests.

    A browser on a loaded machine may lose a connection, so such a test is tried again before it fails.
    """
    items.sort(key=lambda item: HERE in item.path.parents)
    for item in items:
        if HERE in item.path.parents and item.config.pluginmanager.has_plugin("rerunfailures"):
            item.add_marker(pytest.mark.flaky(reruns=2))


def no_browser(why: str) -> NoReturn:
    """Skip, saying how to get a browser; or fail where one is required."""
    missing(f"{why}: `pip install playwright`, install Chromium, set CHROMIUM to its path if it is elsewhere")


def missing(message: str) -> NoReturn:
    """Skip with this message; or fail with it where nothing may be skipped."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


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
            browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        except Error as error:
            no_browser(f"Chromium does not start ({error.message.splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["chromium", "firefox", "webkit"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn, running."""
    if request.param == "chromium":
        yield ChromiumEngine(request.getfixturevalue("chromium"))
        return
    starting = {"firefox": FirefoxEngine, "webkit": WebKitEngine}[request.param].running()
    try:
        engine = starting.__enter__()
    except Unavailable as reason:
        missing(str(reason))
    yield engine
    starting.__exit__(None, None, None)


@pytest.fixture
def visit(engine: Engine) -> Iterator[Callable[..., EnginePage]]:
    """Open a URL in the engine; see :meth:`engines.Engine.open`. The pages are closed after the test."""
    pages = []

    def visit(url: str, *, fresh: bool = False) -> EnginePage:
        pages.append(engine.open(url, fresh=fresh))
        return pages[-1]

    yield visit
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def bundles() -> dict[str, str]:
    """The clients in ``clients/`` as scripts for a page, by name."""
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


@pytest.fixture(scope="session")
def sightings() -> Sightings:
    """What the server has seen of which client."""
    return Sightings()


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
