"""The React page of the documentation, in real browsers, against the server of its quick start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from engines import FAILED
from engines import Page
from flask import Flask
from hands import text
from hands import until
from serving import serving

from flask_mcp_cors import preflight_answered

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"

#: What ``npm create vite`` puts around the component. StrictMode runs each effect twice.
MAIN = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import App from "../../docs/examples/react/App.jsx";
createRoot(document.getElementById("root")).render(<StrictMode><App /></StrictMode>);
"""

HTML = '<!doctype html><div id="root"></div><script src="/app.js"></script>'

#: The component is outside of this folder, so esbuild is told where the packages are.
BUILD = """
import { readFileSync } from "node:fs";
import { build } from "esbuild";
const { outputFiles } = await build({
  stdin: { contents: readFileSync(0, "utf-8"), loader: "jsx", resolveDir: process.cwd() },
  nodePaths: [`${process.cwd()}/node_modules`],
  bundle: true, write: false, jsx: "automatic", jsxDev: true, format: "iife", logLevel: "error",
  define: {
    "import.meta.env.VITE_MCP_URL": JSON.stringify(process.argv.at(-1)),
    "process.env.NODE_ENV": '"development"',
  },
});
process.stdout.write(outputFiles[0].text);
"""


def built(endpoint: str) -> str:
    """The page's script, made by esbuild in development mode, as Vite's development server does."""
    command = ["node", "--input-type=module", "--eval", BUILD, endpoint]
    done = subprocess.run(command, cwd=HERE, input=MAIN, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("allowed", [True, False], ids=["development", "another-origin-only"])
def test_the_page_shows_the_tools(
    allowed: bool,
    bundles: dict[str, str],
    engine: Engine,
    visit: Callable[..., Page],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the fewest preflights; where the server allows another origin only, it shows the browser's error.

    ``bundles`` is there for its check: without Node's packages this test is skipped, or fails where it may not be.
    """
    pytest.importorskip("mcp")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "quickstart_server", raising=False)
    monkeypatch.delenv("FLASK_MCP_CORS_ORIGINS", raising=False)
    if allowed:
        from quickstart_server import app
    else:
        from bridge_server import create_app

        app = create_app(token="t")
    page_app = Flask("page")
    preflights: list[str] = []

    def note(sender: Flask, path: str, **_: Any) -> None:
        preflights.append(path)

    with serving(app) as server, serving(page_app) as origin, preflight_answered.connected_to(note, app):
        script = built(f"{server}/mcp")
        page_app.add_url_rule("/", "page", lambda: HTML)
        page_app.add_url_rule("/app.js", "script", lambda: (script, {"Content-Type": "text/javascript"}))
        page = visit(f"{origin}/", fresh=True)
        until(page, "document.querySelector('li, [role=alert]')")
        if allowed:
            assert page.evaluate("() => [...document.querySelectorAll('li')].map((one) => one.innerText)") == ["add"]
            assert 1 <= preflights.count("/mcp") <= 2  # StrictMode: the effect's two runs may overlap
        else:
            assert FAILED[engine.name] in text(page, "[role=alert]")
        page.goto("about:blank")
