"""A real Chromium for the tests in this folder.

They are skipped where there is none. ``REQUIRE_BROWSER=1`` makes that a failure instead, so that a run
which is meant to include them cannot pass without them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: No GPU, no sandbox, and no traffic of its own: only what a test asks for is sent.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def no_browser(why: str) -> NoReturn:
    """Skip, saying how to get a browser; or fail where one is required."""
    message = f"{why}: `pip install playwright`, install Chromium, set CHROMIUM to its path if it is elsewhere"
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
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not os.access(path, os.X_OK):
        no_browser(f"there is no Chromium at {path}")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        except Error as error:
            no_browser(f"Chromium does not start ({error.message.splitlines()[0]})")
        yield browser
        browser.close()
