"""Every row of the compatibility table, in both orders of initialisation, through the hooks and with ``wrap_wsgi``.

A browser that keeps to the Fetch standard does the asking, so "readable" means that a page's JavaScript gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compat_rows import Lab
from compat_rows import make_lab
from compat_rows import require
from compat_rows import Row
from compat_rows import ROWS
from compat_rows import TOKEN
from compat_table import Table
from werkzeug.test import Client
from werkzeug.test import TestResponse

from flask_mcp_cors.testing import Browser

FOREIGN = "https://evil.example"
ASKED = ("Access-Control-Request-Method", "POST")

#: An ``OPTIONS`` that is no preflight, by what it carries.
PLAIN_OPTIONS: dict[str, Callable[[Row], list[tuple[str, str]]]] = {
    "nothing": lambda row: [],
    "only-origin": lambda row: [("Origin", row.page)],
    "only-requested-method": lambda row: [ASKED],
}


ORDERS = ("ours-first", "ours-last", "ours-first-wrapped", "ours-last-wrapped")


def _cases() -> Iterator[Any]:
    for row in ROWS:
        # Only wrap_wsgi precedes middleware, and only middleware that is there before: see test_gateway.py.
        for order in ("ours-last-wrapped",) if row.is_middleware else ORDERS:
            yield pytest.param((row, order), id=f"{row.name}-{row.install.__name__}-{order}")


@pytest.fixture(params=list(_cases()))
def case(request: pytest.FixtureRequest) -> tuple[Row, str]:
    row, order = request.param
    require(row.name, row.module)
    return row, order


@pytest.fixture
def row(case: tuple[Row, str]) -> Row:
    return case[0]


Build = Callable[..., Lab]


@pytest.fixture
def bare(row: Row, tmp_path: Path) -> Build:
    """The app without the extension."""
    return lambda methods=("POST",): make_lab(row, tmp_path, methods)


@pytest.fixture
def build(case: tuple[Row, str], tmp_path: Path) -> Build:
    """The app with the extension, initialised before or after the library."""
    row, order = case
    return lambda methods=("POST",): make_lab(row, tmp_path, methods, order)


@pytest.fixture
def saw(row: Row, table: Table) -> Callable[[str, int], None]:
    return lambda column, status: table.saw(row.name, row.how, column, status)


def browser_on(row: Row, lab: Lab) -> Browser:
    return Browser(lab.app, origin=row.page, base_url=row.server)


def send(row: Row, lab: Lab, method: str, headers: list[tuple[str, str]]) -> TestResponse:
    return Client(lab.app).open("/mcp", method=method, base_url=row.server, headers=headers)


def cors_header_names(headers: Any) -> list[str]:
    """Every ``Access-Control-*`` name as often as it is there."""
    return sorted(name.lower() for name, _ in headers if name.lower().startswith("access-control-"))


def of_policy(row: Row, *names: str) -> list[str]:
    if row.settings.get("allow_credentials"):
        names += ("access-control-allow-credentials",)
    return sorted(("access-control-allow-origin", *names))


def test_a_preflight_is_answered_before_anything_runs(row: Row, build: Build, saw: Any) -> None:
    lab = build()
    for _ in range(3):
        answer = send(row, lab, "OPTIONS", [("Origin", row.page), ASKED, ("Access-Control-Request-Headers", "a")])
    saw("Preflight", answer.status_code)
    assert (answer.status_code, answer.data, lab.calls) == (200, b"", [])
    assert answer.headers["Access-Control-Allow-Origin"] == row.page
    assert cors_header_names(answer.headers) == of_policy(
        row, "access-control-allow-headers", "access-control-allow-methods", "access-control-max-age"
    )
    assert "Set-Cookie" not in answer.headers


def test_a_page_reads_the_refusal_of_a_request_without_credentials(row: Row, build: Build, saw: Any) -> None:
    lab = build()
    browser = browser_on(row, lab)
    response = row.refused(browser)
    sent = browser.network[-1].response
    assert sent is not None
    saw("Without credentials", sent.status)
    assert sent.status == row.refusal
    # A redirect that is looked at and not followed shows JavaScript that it is one, and no more.
    expected = ("opaqueredirect", 0) if 300 <= sent.status < 400 else ("cors", row.refusal)
    assert (response.type, response.status) == expected
    assert cors_header_names(sent.headers.pairs) == of_policy(row, "access-control-expose-headers")


def test_a_page_with_credentials_is_served(row: Row, build: Build, saw: Any) -> None:
    lab = build()
    browser = browser_on(row, lab)
    response = row.served(browser)
    saw("With credentials", response.status)
    assert (response.type, response.status, response.json()) == ("cors", 200, {"ok": True})
    for exchange in browser.network:
        assert exchange.response is not None
        names = cors_header_names(exchange.response.headers.pairs)
        assert len(names) == len(set(names))


def test_a_foreign_page_is_refused_before_anything_runs(row: Row, build: Build, saw: Any) -> None:
    lab = build()
    headers = [("Origin", FOREIGN), ("Authorization", f"Bearer {TOKEN}"), ("Content-Type", "application/json")]
    answer = send(row, lab, "POST", headers)
    saw("Foreign page", answer.status_code)
    assert (answer.status_code, cors_header_names(answer.headers)) == (403, [])
    assert "view" not in lab.calls


@pytest.mark.parametrize("kind", PLAIN_OPTIONS)
def test_another_options_request_is_answered_as_without_us(
    row: Row, build: Build, bare: Build, kind: str, saw: Any
) -> None:
    with_us, without_us = plain_options(row, kind, build(), bare())
    saw("Plain `OPTIONS`", with_us)
    assert (with_us, without_us) == (row.options, row.options_without_us or row.options)


@pytest.mark.parametrize("kind", PLAIN_OPTIONS)
def test_another_options_request_to_a_view_that_lists_it_is_answered_as_without_us(
    row: Row, build: Build, bare: Build, kind: str, saw: Any
) -> None:
    methods = ("POST", "OPTIONS")
    with_us, without_us = plain_options(row, kind, build(methods), bare(methods))
    saw("… listed by the view", with_us)
    assert (with_us, without_us) == (row.listed_options, row.listed_options)


def plain_options(row: Row, kind: str, *labs: Lab) -> list[int]:
    headers = PLAIN_OPTIONS[kind](row)
    return [[send(row, lab, "OPTIONS", headers).status_code for _ in range(row.attempts)][-1] for lab in labs]
