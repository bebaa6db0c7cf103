"""Take the documentation's pictures of the example's page: ``python tests/browser/picture.py``."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "docs" / "_static"
WIDTH = 880


def done(page: Any) -> Any:
    """The page, when it is done with what it does."""
    page.wait_for_selector("body[data-done]", state="attached")
    return page


def main() -> None:
    """Run the example on its usual ports: both pages side by side, and a log-in beside its login page."""
    sys.path.insert(0, str(ROOT))
    from engines import CHROMIUM_FLAGS
    from engines import chromium_path
    from playwright.sync_api import sync_playwright

    from example_app import running

    ports = {"port": 8500, "client_port": 8501, "foreign_port": 8502, "login_port": 8503}
    with running(token="the-printed-token", **ports) as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))

        def open_page(url: str) -> Any:
            page = browser.new_page(viewport={"width": WIDTH, "height": 600})
            page.goto(url)
            return page

        def side_by_side(name: str, *pictures: bytes) -> None:
            page = browser.new_page(viewport={"width": WIDTH * len(pictures), "height": 600})
            images = [f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}">' for data in pictures]
            style = "align-items: start; background: #f6f5f1; display: flex; margin: 0"
            page.set_content(f'<!doctype html><body style="{style}">{"".join(images)}')
            page.screenshot(path=STATIC / name, full_page=True)

        both = [done(open_page(url)).screenshot(full_page=True) for url in (demo.allowed, demo.foreign)]
        side_by_side("example-page.png", *both)

        page = done(open_page(demo.allowed))
        page.click("#login")
        page.wait_for_url("**/authorize?**")
        login = page.screenshot(full_page=True)
        page.click("button[value=allow]")
        page.wait_for_url(f"{demo.allowed}/**")
        side_by_side("example-login.png", login, done(page).screenshot(full_page=True))
        browser.close()


if __name__ == "__main__":
    main()
