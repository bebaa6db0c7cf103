"""What the tests of the recipes share: the blocks of a page, and nginx in front of an app."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {blocks}
    }}
}}
"""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in one language, without the indentation that a list gives them."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [dedent(block) for block in re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)]


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """A WSGI app under werkzeug's server; its port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def nginx(folder: Path, blocks: list[str], app_port: int, http: str = "") -> Iterator[int]:
    """nginx with these blocks of the documentation, which pass on to port 8000; the port it listens on.

    :param http: what stands in the ``http`` block, beside the server.
    """
    if NGINX is None:
        message = "nginx is not installed: apt-get install nginx-light"
        pytest.fail(message, pytrace=False) if os.environ.get("REQUIRE_COMPAT") == "1" else pytest.skip(message)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    written = "\n".join(blocks).replace("127.0.0.1:8000", f"127.0.0.1:{app_port}")
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port, blocks=written, http=http))
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise AssertionError(process.stderr.read()) from None
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()
