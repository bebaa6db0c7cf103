"""The page of the documentation that logs in, in Chromium, against the example's two servers."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")
pytest.importorskip("authlib", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from flask import Flask
from test_react_page import BUILD
from test_react_page import HERE
from werkzeug.serving import make_server

from example_app import running

MAIN = """
import { connect } from "../../docs/examples/react/login.js";
const list = document.body;
connect(import.meta.env.VITE_MCP_URL)
  .then((client) => client.listTools())
  .then(({ tools }) => (list.innerHTML = tools.map(({ name }) => `<li>${name}</li>`).join("")))
  .catch((error) => (list.innerHTML = `<p role="alert">${error.message}</p>`));
"""
HTML = '<!doctype html><body><script src="/app.js"></script>'


@pytest.mark.parametrize("answer", ["allow", "deny"])
def test_a_page_logs_in(bundles: dict[str, str], open_page: Callable[[str], Any], answer: str) -> None:
    """``bundles`` is there for its check: without Node's packages this is skipped, or fails where it may not be."""
    app = Flask("page")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    origin = f"http://127.0.0.1:{server.server_port}"
    try:
        with running(token="t", origins=[origin]) as demo:
            command = ["node", "--input-type=module", "--eval", BUILD, demo.endpoint]
            done = subprocess.run(command, cwd=HERE, input=MAIN, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            app.add_url_rule("/", "page", lambda: HTML)
            app.add_url_rule("/callback", "callback", lambda: HTML)
            app.add_url_rule("/app.js", "script", lambda: (done.stdout, {"Content-Type": "text/javascript"}))
            thread.start()
            page, _ = open_page(f"{origin}/")
            page.wait_for_selector("input[name=user]", timeout=30_000)
            page.fill("input[name=user]", "alice")
            page.fill("input[name=password]", "wonderland")
            page.click(f"button[value={answer}]")
            page.wait_for_selector("li, [role=alert]", timeout=30_000)
            if answer == "allow":
                assert "calculateSum" in page.locator("li").all_inner_texts()
            else:
                assert page.inner_text("[role=alert]") == "The login failed: access_denied"
            assert page.url == f"{origin}/"
            page.goto("about:blank")
    finally:
        if thread.ident:
            server.shutdown()
            thread.join()
        server.server_close()
