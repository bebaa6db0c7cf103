"""The login pages of development tunnels: the port is private, and that is what is said."""

from __future__ import annotations

import pytest

from flask_mcp_cors.cli.doctor.stacks import front_of
from flask_mcp_cors.testing import HeaderList
from flask_mcp_cors.testing import NetworkResponse

NAME = "fluffy-space-7qx-5000"


@pytest.mark.parametrize(
    ("location", "is_tunnel"),
    [
        (f"https://{NAME}.app.github.dev/auth/postback/tunnel?rd=%2Fmcp&tunnel=1", True),
        (f"https://github.com/codespaces/auth/{NAME}?port=5000", True),
        (f"https://{NAME}.githubpreview.dev/signin?cid=1&rd=%2Fmcp", True),
        ("https://github.dev/pf-signin?id=abc&cluster=euw", True),
        ("https://abc-5000.euw.devtunnels.ms/_login", True),
        ("https://github.com/login/oauth/authorize?client_id=1", False),
        ("https://auth.example.com/signin", False),
    ],
)
def test_a_login_page_of_a_tunnel_says_that_the_port_is_private(location: str, is_tunnel: bool) -> None:
    front = front_of(NetworkResponse(302, HeaderList([("Location", location)])))
    assert (front is not None and front.code == "tunnel_private") is is_tunnel
