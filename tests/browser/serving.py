"""Servers for the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from ssl import SSLContext
from typing import Any

from werkzeug.serving import generate_adhoc_ssl_context
from werkzeug.serving import make_server


@cache
def tls_context() -> SSLContext:
    """For HTTPS, with a certificate that nobody has signed. To make its key takes a while, so one serves the run."""
    return generate_adhoc_ssl_context()


@contextmanager
def serving(app: Any, *, tls: bool = False) -> Iterator[str]:
    """Serve a WSGI application on 127.0.0.1; yields its origin."""
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=tls_context() if tls else None)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
