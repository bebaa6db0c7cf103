"""What the table says of clients in a browser is so: the official TypeScript client in Chromium fails as it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from typing import TYPE_CHECKING

import pytest
from endpoint import TOKEN
from rows import Row
from rows import ROWS
from servers import HERE
from servers import Unavailable
from servers import Zoo

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from playwright.async_api import Page
    from playwright.async_api import Route

#: ``mcp.zoo.test`` is no loopback name, so a page on HTTPS may not call it. The page itself comes from nowhere, and
#: Chromium would ask a person whether it may call this machine.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-features=LocalNetworkAccessChecks",
    "--host-resolver-rules=MAP mcp.zoo.test 127.0.0.1",
)
AT_ONCE = 12

#: Of the transport of 2024 only a client that falls back to it gets something. Where every path wants the token, a
#: client that has one connects, and the one of this test, which has to log in, does not.
UNDECIDED = {"sdk-sse-only", "wsgi-login-everywhere"}


def missing(message: str) -> NoReturn:
    """Skip with this message; or fail where nothing may be skipped."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="module")
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Row], str]:
    """How a row's server ends for the client: with an error, or (an empty text) well."""
    node = shutil.which("node")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if find_spec("playwright") is None:
        missing("playwright is not installed: `pip install playwright`")
    if chromium is None:
        missing("there is no Chromium: install it, or set CHROMIUM to its path")
    if node is None or not (HERE / "node_modules").is_dir():
        missing("the TypeScript client is not there: install Node 20 or later, run `npm ci --prefix tests/zoo`")
    bundle = tmp_path_factory.mktemp("bundle") / "client.js"
    esbuild = HERE / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--format=iife", "--platform=browser", "--log-level=error", f"--outfile={bundle}"]
    subprocess.run([str(esbuild), "client.mjs", *options], cwd=HERE, check=True)
    rows = [
        item.callspec.params["row"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == Path(__file__)
    ]
    outcomes: dict[str, str | Exception] = {}
    with Zoo([row.name for row in rows]) as zoo:
        # Playwright has an event loop, which is not to run in the thread of the other tests.
        thread = threading.Thread(
            target=lambda: outcomes.update(asyncio.run(visit_all(zoo, rows, chromium, bundle))), daemon=True
        )
        thread.start()
        thread.join()

    def of(row: Row) -> str:
        ended = outcomes[row.name]
        if isinstance(ended, Unavailable):
            pytest.skip(f"not installed: {ended}")
        if isinstance(ended, Exception):
            raise ended
        return ended

    return of


async def visit_all(zoo: Zoo, rows: list[Row], chromium: str, bundle: Path) -> dict[str, str | Exception]:
    """Let a client of a page connect to every server, several at once: each server is an origin of its own."""
    from playwright.async_api import async_playwright

    script = bundle.read_text(encoding="utf-8")
    room = asyncio.Semaphore(AT_ONCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        pages = {origin: await open_page(browser, origin, script) for origin in {row.origin for row in rows}}

        async def one(row: Row) -> str | Exception:
            try:
                url = f"http://{row.host}:{zoo.port(row.name)}{row.path}"
            except Exception as error:  # raised in the test of this server
                return error
            options = {"url": url, "token": TOKEN if row.token else None}
            async with room:
                error: str = await pages[row.origin].evaluate("options => connect(options)", options)
                return error

        ended = await asyncio.gather(*map(one, rows))
        await browser.close()
    return {row.name: outcome for row, outcome in zip(rows, ended, strict=True)}


async def open_page(browser: Browser, origin: str, script: str) -> Page:
    """A page of this origin with the client in it."""
    page = await browser.new_page()

    async def blank(route: Route) -> None:
        await route.fulfill(body="<!doctype html><title>page</title>", content_type="text/html")

    # While there is a route, preflights are answered by Playwright: none is left when the client begins.
    await page.route(f"{origin}/", blank)
    await page.goto(f"{origin}/")
    await page.unroute_all()
    await page.add_script_tag(content=script)
    return page


@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in UNDECIDED], ids=lambda row: row.name)
def test_a_client_fails_where_the_table_says_so(row: Row, outcome: Callable[[Row], str]) -> None:
    error = outcome(row)
    assert bool(error) is (row.fails == "yes"), f"{row.what}: {error or 'the client got through'}"
