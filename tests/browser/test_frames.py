"""Frames of an app's own pages: X-Frame-Options empties them, and the console line is the documented one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask_mcp_cors import MCPCors

FAILURES = Path(__file__).parents[2] / "docs" / "failures.md"


@pytest.mark.parametrize("frame_options", ["DENY", "SAMEORIGIN"])
def test_frames_of_its_own_need_sameorigin(open_page: Callable[[str], Any], frame_options: str) -> None:
    app = Flask("frames", static_folder=None)
    MCPCors(app, security_headers={"frame_options": frame_options})
    app.add_url_rule("/", "frames", lambda: "<!doctype html>")
    app.add_url_rule("/inside", "inside", lambda: "inside")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        page, _ = open_page(url)
        frame = "<iframe src='/inside'></iframe>"
        if frame_options == "SAMEORIGIN":
            page.set_content(frame)
            assert page.frame_locator("iframe").locator("body").inner_text() == "inside"
        else:
            with page.expect_console_message(lambda message: "Refused to display" in message.text) as said:
                page.evaluate("frame => { document.body.innerHTML = frame }", frame)
            documented = said.value.text.replace(url, "https://www.example.com/")
            assert documented == (
                "Refused to display 'https://www.example.com/' in a frame because it set 'X-Frame-Options' to 'deny'."
            )
            assert documented in FAILURES.read_text(encoding="utf-8")
        page.goto("about:blank")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
