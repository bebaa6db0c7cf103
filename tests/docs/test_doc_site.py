"""The documentation as a site: built, searched, and looked at in Chromium, on a desk and on a phone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

#: What people with a problem search for.
WORDS = ["421", "403", "troubleshooting", "vite", "react", "fastmcp", "websocket", "heroku", "vercel"]
WORDS += ["codespaces", "lambda", "pyinstaller", "jwks", "dash"]

#: What does not fit: a page that is wider than the window, or lines of code that are cut.
CUT = """() => {
    const width = document.documentElement.clientWidth
    const cut = [...document.querySelectorAll("pre")].filter(e => e.scrollWidth > e.clientWidth + 1)
    return [document.documentElement.scrollWidth > width, cut.map(e => e.textContent.slice(0, 80))]
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as for a release: each warning is an error."""
    if find_spec("furo") is None or find_spec("myst_parser") is None:
        pytest.skip("Sphinx and furo are not installed: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-d", str(out / "doctrees"), "docs", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not os.access(chromium, os.X_OK):
        message = f"there is no Chromium at {chromium}"
        pytest.fail(message, pytrace=False) if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.parametrize("word", WORDS)
def test_the_words_that_people_search_for_are_found(site: Path, browser: Any, word: str) -> None:
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q={word}")
    page.wait_for_selector("#search-results li", timeout=30_000)
    page.close()


def test_every_page_has_the_navigation(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 40
    without = [path.name for path in pages if "sidebar-tree" not in path.read_text(encoding="utf-8")]
    assert without == []


@pytest.mark.parametrize("page", ["index", "quickstart"])
def test_the_first_pages_have_a_picture(site: Path, page: str) -> None:
    (source,) = re.findall(r'<img[^>]* src="(_images/[^"]+)"', (site / f"{page}.html").read_text(encoding="utf-8"))
    assert (site / source).is_file()


def test_nothing_is_cut_and_nothing_is_fetched_from_elsewhere(site: Path, browser: Any) -> None:
    """At 1280 and 390 pixels; in dark mode the page is dark."""
    elsewhere: list[str] = []
    found = {}
    for width in (1280, 390):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
        page.on("request", lambda request: elsewhere.append(request.url))
        for path in sorted(site.rglob("*.html")):
            page.goto(path.as_uri())
            if (problem := page.evaluate(CUT)) != [False, []]:
                found[f"{path.relative_to(site)} at {width}"] = problem
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()
    assert found == {}
    assert [url for url in elsewhere if not url.startswith(("file:", "data:"))] == []
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 64
