"""Take the README's picture of the example's page, on both origins: ``python tests/browser/picture.py``."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "_static" / "example-page.png"


def main() -> None:
    """Run the example on its usual ports, photograph both pages and put them side by side."""
    sys.path.insert(0, str(ROOT))
    from engines import CHROMIUM_FLAGS
    from engines import chromium_path
    from playwright.sync_api import sync_playwright

    from example_app import running

    ports = {"port": 8500, "client_port": 8501, "foreign_port": 8502}
    with running(token="the-printed-token", **ports) as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))
        images = []
        for url in (demo.allowed, demo.foreign):
            page = browser.new_page(viewport={"width": 880, "height": 600})
            page.goto(url)
            page.wait_for_selector("body[data-done]", state="attached")
            data = base64.b64encode(page.screenshot(full_page=True)).decode()
            images.append(f'<img src="data:image/png;base64,{data}">')
        page = browser.new_page(viewport={"width": 1760, "height": 600})
        style = "align-items: start; background: #f6f5f1; display: flex; margin: 0"
        page.set_content(f'<!doctype html><body style="{style}">{"".join(images)}')
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
