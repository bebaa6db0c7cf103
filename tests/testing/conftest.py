"""A server whose answers a test writes down, and a browser in front of it."""

from __future__ import annotations

import pytest
from written_server import Answer
from written_server import APP
from written_server import Server

from flask_mcp_cors.testing import Browser


@pytest.fixture
def server() -> Server:
    """Allows the page's origin, any method and the headers ``x-a`` and ``content-type``, for ten minutes."""
    return Server(
        Answer(
            204,
            [
                ("Access-Control-Allow-Origin", APP),
                ("Access-Control-Allow-Methods", "GET, PUT, DELETE"),
                ("Access-Control-Allow-Headers", "X-A, Content-Type"),
                ("Access-Control-Max-Age", "600"),
            ],
        ),
        Answer(200, [("Access-Control-Allow-Origin", APP), ("Content-Type", "text/plain"), ("X-Secret", "s")]),
    )


@pytest.fixture
def browser(server: Server) -> Browser:
    """As strict as the Fetch standard."""
    return Browser(server)


@pytest.fixture
def chromium_like(server: Server) -> Browser:
    return Browser(server, quirks="chromium")
