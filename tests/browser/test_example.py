"""The example's page in real browsers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from engines import Engine
from engines import Page
from engines import wait_until

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


#: What JavaScript is told, whatever the reason.
FAILED = {
    "chromium": "Failed to fetch",
    "firefox": "NetworkError when attempting to fetch resource.",
    "webkit": "Load failed",
}


def rows(page: Any) -> list[dict[str, str]]:
    """Wait until the page has gone through its steps; what it says of each."""
    wait_until(page, "document.querySelector('body[data-done]')")
    return page.evaluate(
        """() => [...document.querySelectorAll("#steps > li")].map((row) => ({
            title: row.querySelector("h2").textContent,
            state: row.dataset.state,
            preflight: row.querySelector(".preflight .value").textContent,
            request: row.querySelector(".request .value").textContent,
            result: row.querySelector(".result .value").textContent,
        }))"""
    )


def test_the_allowed_page_shows_what_went_through(demo: Any, visit: Callable[..., Page]) -> None:
    """Every step, down to the figures."""
    page = visit(demo.allowed, fresh=True)
    before = len(demo.diary.entries())
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
    assert (
        page.evaluate("document.querySelector('#tally').textContent")
        == "9 steps through, 0 stopped · 6 messages reached the MCP server"
    )
    assert [entry["path"] for entry in demo.diary.entries()[before:] if entry.get("preflight")].count("/mcp") == 2


def test_the_foreign_page_shows_what_was_blocked(demo: Any, engine: Engine, visit: Callable[..., Page]) -> None:
    """Every step again, with the reason, although the page has the right token."""
    page = visit(demo.foreign)
    told = {row.pop("title"): row for row in rows(page)}
    assert list(told) == STEPS
    never_asked = told.pop("Find where to log in")
    without_preflight = told.pop("Try without a preflight")
    assert never_asked["result"] == "the 401 that names the document could not be read"
    assert without_preflight == {
        "state": "blocked",
        "preflight": "none needed",
        "request": "POST 403\norigin_not_allowed",
        "result": f"TypeError: {FAILED[engine.name]}",
    }
    for row in told.values():
        assert row == {
            "state": "blocked",
            "preflight": "OPTIONS 403\norigin_not_allowed",
            "request": "never sent",
            "result": f"TypeError: {FAILED[engine.name]}",
        }
    assert (
        page.evaluate("document.querySelector('#tally').textContent")
        == "0 steps through, 9 stopped · no messages reached the MCP server"
    )


def test_the_page_runs_again_with_another_token(demo: Any, visit: Callable[..., Page]) -> None:
    """A wrong token stops the steps that need one, with a reason that JavaScript can read."""
    page = visit(demo.allowed)
    rows(page)
    page.evaluate(
        "() => { document.querySelector('#token').value = 'not-it'; document.querySelector('#run').click(); }"
    )
    told = {row["title"]: row for row in rows(page)}
    assert told["Ask without a token"]["preflight"] == "cached, not sent again"
    assert told["Connect"]["state"] == "blocked"
    assert told["Connect"]["request"] == "POST 401"
    assert told["Connect"]["result"] == "Error: The credentials are not valid."
    assert told["Say goodbye"]["result"] == "Error: status 401"


@pytest.mark.parametrize("width", [1200, 390], ids=["desktop", "telephone"])
@pytest.mark.parametrize("where", ["allowed", "foreign"])
def test_the_page_fits_and_reads_at_a_glance(where: str, width: int, demo: Any, visit: Callable[..., Page]) -> None:
    """Nothing sticks out to the side, no text is cut, and the head has the colour of the verdict."""
    page = visit("about:blank")
    page.resize(width, 900)
    page.goto(getattr(demo, where))
    rows(page)
    assert len(page.screenshot()) > 20_000
    overflowing = """() => [...document.querySelectorAll("body, body *:not(input)")]
        .filter((element) => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
        .map((element) => element.outerHTML)"""
    assert page.evaluate(overflowing) == []
    colour = page.evaluate("() => getComputedStyle(document.querySelector('h1 em')).color")
    red, green, _ = (int(part) for part in re.findall(r"\d+", colour))
    assert (green > red) is (where == "allowed")
