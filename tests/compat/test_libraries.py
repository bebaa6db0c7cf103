"""What one library does beside the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from compat_rows import flask_cors
from compat_rows import Lab
from compat_rows import limiter
from compat_rows import login_page
from compat_rows import make_lab
from compat_rows import PAGE
from compat_rows import post_with_token
from compat_rows import require
from compat_rows import ROWS
from compat_rows import SERVER
from compat_rows import server_side_session
from compat_rows import talisman
from werkzeug.test import Client

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import CORSErrorReason

PREFLIGHT = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")]


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Callable[[Lab], None], str], Lab]:
    def make(install: Callable[[Lab], None], order: str) -> Lab:
        row = next(row for row in ROWS if row.install is install)
        require(row.name, row.module)
        return make_lab(row, tmp_path, order=order)

    return make


@pytest.mark.parametrize(
    ("order", "opened"),
    [("ours-first", 1), ("ours-last", 1), ("ours-first-wrapped", 0), ("ours-last-wrapped", 0)],
)
def test_flask_session_opens_no_session_for_a_preflight_under_wrap_wsgi(
    make: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch, order: str, opened: int
) -> None:
    """Through the hooks it does: Flask opens the session before any hook. Nothing is stored then."""
    lab = make(server_side_session, order)
    open_session = lab.app.session_interface.open_session
    sessions = []
    monkeypatch.setattr(
        lab.app.session_interface, "open_session", lambda *args: sessions.append(open_session(*args)) or sessions[-1]
    )
    stored = set(lab.folder.iterdir())
    assert Client(lab.app).options("/mcp", base_url=SERVER, headers=PREFLIGHT).status_code == 200
    assert (len(sessions), set(lab.folder.iterdir())) == (opened, stored)


@pytest.mark.parametrize("order", ["ours-first", "ours-last"])
def test_flask_limiter_tells_a_page_when_to_come_back(make: Callable[..., Lab], order: str) -> None:
    browser = Browser(make(limiter, order).app, origin=PAGE, base_url=SERVER)
    assert post_with_token(browser).status == 200
    assert 3500 < int(post_with_token(browser).headers["retry-after"]) <= 3601


@pytest.mark.parametrize("order", ["ours-first", "ours-last"])
def test_flask_limiter_counts_no_preflight(make: Callable[..., Lab], order: str) -> None:
    lab = make(limiter, order)
    for _ in range(5):
        assert Client(lab.app).options("/mcp", base_url=SERVER, headers=PREFLIGHT).status_code == 200
    assert post_with_token(Browser(lab.app, origin=PAGE, base_url=SERVER)).status == 200


@pytest.mark.parametrize("order", ["ours-first", "ours-last"])
def test_a_page_gets_to_the_login_page_of_flask_login(make: Callable[..., Lab], order: str) -> None:
    browser = Browser(make(login_page, order).app, origin=PAGE, base_url=SERVER)
    response = browser.fetch("/mcp", "POST", json={})
    assert (response.url, response.text) == (f"{SERVER}/login?next=%2Fmcp", "who are you?")


@pytest.mark.parametrize("order", ["ours-first", "ours-last"])
def test_a_redirect_to_https_makes_the_origin_null_so_a_page_has_to_ask_https(
    make: Callable[..., Lab], order: str
) -> None:
    """It is another origin that the page did not ask, says the Fetch standard; no header can change that."""
    browser = Browser(make(talisman, order).app, origin="http://localhost:3000", base_url="http://mcp.example.com")
    with pytest.raises(CORSError) as blocked:
        post_with_token(browser)
    assert blocked.value.reason is CORSErrorReason.MISSING_ALLOW_ORIGIN_HEADER
    assert [exchange.request.headers["Origin"] for exchange in browser.network] == [
        "http://localhost:3000",
        "http://localhost:3000",
        "null",
    ]


@pytest.mark.parametrize("order", ["ours-first", "ours-last", "ours-first-wrapped", "ours-last-wrapped"])
def test_flask_cors_lets_no_other_origin_in(make: Callable[..., Lab], order: str) -> None:
    lab = make(flask_cors, order)
    answer = Client(lab.app).options(
        "/mcp", base_url=SERVER, headers=[("Origin", "https://evil.example"), PREFLIGHT[1]]
    )
    assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (403, None)


@pytest.mark.parametrize("order", ["ours-first", "ours-last", "ours-first-wrapped", "ours-last-wrapped"])
def test_flask_cors_adds_nothing_to_what_the_policy_says(make: Callable[..., Lab], order: str) -> None:
    lab = make(flask_cors, order)
    answer = Client(lab.app).post("/mcp", base_url=SERVER, headers=PREFLIGHT[:1])
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers.getlist("Vary") == ["Origin"]
