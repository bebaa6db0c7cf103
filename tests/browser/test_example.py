"""The example's page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STEPS = [
    "Ask without a token",
    "Find where to log in",
    "Connect",
    "List the tools",
    "Call a tool",
    "Follow a stream",
    "Speak the stateless revision",
    "Try without a preflight",
    "Say goodbye",
]


def rows(page: Any) -> list[dict[str, str]]:
    """Wait until the page has gone through its steps; what it says of each."""
    page.wait_for_selector("body[data-done]", state="attached")
    return page.evaluate(
        """() => [...document.querySelectorAll("#steps > li")].map((row) => ({
            title: row.querySelector("h2").textContent,
            state: row.dataset.state,
            preflight: row.querySelector(".preflight .value").textContent,
            request: row.querySelector(".request .value").textContent,
            result: row.querySelector(".result .value").textContent,
        }))"""
    )


def test_the_allowed_page_shows_what_went_through(demo: Any, open_page: Callable[..., Any]) -> None:
    """Every step, down to the figures."""
    page, log = open_page(demo.allowed)
    told = rows(page)
    assert [row["title"] for row in told] == STEPS
    assert {row["state"] for row in told} == {"allowed"}
    assert [row["preflight"] for row in told] == [
        "OPTIONS 200",
        "OPTIONS 200",  # another URL: the discovery document
        *["cached, not sent again"] * 4,
        "OPTIONS 200",  # Mcp-Param-Region was not in the first question
        "none needed",
        "cached, not sent again",
    ]
    assert [row["request"] for row in told] == [
        "POST 401",
        "GET 200",
        *["POST 200"] * 5,
        "POST 401",
        "DELETE 200",
    ]
    assert [row["result"] for row in told] == [
        "401 and its WWW-Authenticate",
        "log in at https://auth.example.com",
        "Flask-MCP-CORS example",
        "calculateSum, lookupRegion, countdown",
        "42",
        "Lift-off! (4 reports)",
        "weather: looked up in north",
        "401: it needs the token, as any request does",
        "200, session closed",
    ]
    assert page.inner_text("#tally") == "9 steps through, 0 stopped · 6 messages reached the MCP server"
    assert log.preflights(demo.endpoint) == 2


def test_the_foreign_page_shows_what_was_blocked(demo: Any, open_page: Callable[..., Any]) -> None:
    """Every step again, with the reason, although the page has the right token."""
    page, _ = open_page(demo.foreign)
    told = {row.pop("title"): row for row in rows(page)}
    assert list(told) == STEPS
    never_asked = told.pop("Find where to log in")
    without_preflight = told.pop("Try without a preflight")
    assert never_asked["result"] == "the 401 that names the document could not be read"
    assert without_preflight == {
        "state": "blocked",
        "preflight": "none needed",
        "request": "POST 403\norigin_not_allowed",
        "result": "TypeError: Failed to fetch",
    }
    for row in told.values():
        assert row == {
            "state": "blocked",
            "preflight": "OPTIONS 403\norigin_not_allowed",
            "request": "never sent",
            "result": "TypeError: Failed to fetch",
        }
    assert page.inner_text("#tally") == "0 steps through, 9 stopped · no messages reached the MCP server"


def test_the_page_runs_again_with_another_token(demo: Any, open_page: Callable[..., Any]) -> None:
    """A wrong token stops the steps that need one, with a reason that JavaScript can read."""
    page, _ = open_page(demo.allowed)
    rows(page)
    page.fill("#token", "not-it")
    page.click("#run")
    told = {row["title"]: row for row in rows(page)}
    assert told["Ask without a token"]["preflight"] == "cached, not sent again"
    assert told["Connect"]["state"] == "blocked"
    assert told["Connect"]["request"] == "POST 401"
    assert told["Connect"]["result"] == "Error: The credentials are not valid."
    assert told["Say goodbye"]["result"] == "Error: status 401"


@pytest.mark.parametrize("width", [1200, 390], ids=["desktop", "telephone"])
@pytest.mark.parametrize("where", ["allowed", "foreign"])
def test_the_page_fits_and_reads_at_a_glance(
    where: str, width: int, demo: Any, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    """Nothing sticks out to the side, no text is cut, and the head has the colour of the verdict."""
    page, _ = open_page("about:blank")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(getattr(demo, where))
    rows(page)
    picture = tmp_path / "page.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000
    overflowing = """() => [...document.querySelectorAll("body, body *:not(input)")]
        .filter((element) => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
        .map((element) => element.outerHTML)"""
    assert page.evaluate(overflowing) == []
    colour = page.evaluate("() => getComputedStyle(document.querySelector('h1 em')).color")
    red, green, _ = (int(part) for part in re.findall(r"\d+", colour))
    assert (green > red) is (where == "allowed")
