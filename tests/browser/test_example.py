"""The example's page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from example_app import running

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


def press(page: Any, button: str) -> None:
    """Press a button; the page says when it is done with what it does then."""
    page.evaluate("delete document.body.dataset.done")
    page.click(button)


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
        "POST 200\nPOST 202",  # initialize, and the notification after it
        *["POST 200"] * 4,
        "POST 401",
        "DELETE 200",
    ]
    assert [row["result"] for row in told] == [
        "401 and its WWW-Authenticate",
        f"log in at {demo.authorization.issuer}",
        "Flask-MCP-CORS example",
        "calculateSum, lookupRegion, countdown, addNote",
        "42",
        "Lift-off! (4 reports)",
        "weather: looked up in north",
        "401: it needs the token, as any request does",
        "200, session closed",
    ]
    assert page.inner_text("#headline") == "This page’s origin is allowed: it is let in."
    assert page.inner_text("#tally") == "9 steps through, 0 stopped · 6 messages reached the MCP server"
    assert log.preflights(demo.endpoint) == 2


def test_the_other_spelling_of_this_machine_is_allowed_too(demo: Any, open_page: Callable[..., Any]) -> None:
    """``localhost`` is another origin than ``127.0.0.1``, and people open either."""
    page, _ = open_page(demo.allowed.replace("127.0.0.1", "localhost"))
    assert {row["state"] for row in rows(page)} == {"allowed"}
    assert page.inner_text("#here").startswith("http://localhost:")
    assert page.inner_text("#headline") == "This page’s origin is allowed: it is let in."


def test_the_foreign_page_shows_what_was_blocked(demo: Any, open_page: Callable[..., Any]) -> None:
    """Every step again, with the reason, although the token is right. That one leads which no preflight stops."""
    page, _ = open_page(demo.foreign)
    told = rows(page)
    assert [row.pop("title") for row in told] == [
        "Try without a preflight",
        *(s for s in STEPS if "without a p" not in s),
    ]
    without_preflight, _, never_asked, *_ = told
    assert never_asked["state"] == "skipped"
    assert never_asked["result"] == "not tried: the 401 that names the document could not be read"
    assert without_preflight == {
        "state": "blocked",
        "preflight": "none needed",
        "request": "POST 403\norigin_not_allowed",
        "result": "TypeError: Failed to fetch",
    }
    for row in told:
        assert row in (without_preflight, never_asked) or row == {
            "state": "blocked",
            "preflight": "OPTIONS 403\norigin_not_allowed",
            "request": "never sent",
            "result": "TypeError: Failed to fetch",
        }
    assert page.inner_text("#headline") == "This page’s origin is not allowed: it is kept out."
    assert page.inner_text("#tally") == "0 steps through, 8 stopped, 1 not tried · no messages reached the MCP server"


def test_a_wrong_token_is_told_plainly(demo: Any, open_page: Callable[..., Any]) -> None:
    """The first step that needs it says so, and the others are not tried."""
    page, _ = open_page(demo.allowed)
    rows(page)
    page.fill("#token", "not-it")
    press(page, "#run")
    told = rows(page)
    assert {row["title"]: row["state"] for row in told} == {
        "Ask without a token": "allowed",
        "Find where to log in": "allowed",
        "Connect": "blocked",
        "List the tools": "skipped",
        "Call a tool": "skipped",
        "Follow a stream": "skipped",
        "Speak the stateless revision": "skipped",
        "Try without a preflight": "allowed",
        "Say goodbye": "skipped",
    }
    assert told[2]["request"] == "POST 401"
    assert told[2]["result"] == "Error: 401: the server does not know this token"
    assert page.inner_text("#headline") == "This page is allowed, but the token is not valid."


def test_a_stopped_example_is_told_plainly(open_page: Callable[..., Any]) -> None:
    """The page is still open, and nothing answers it any more."""
    with running(token="t") as demo:
        page, _ = open_page(demo.allowed)
        rows(page)
    press(page, "#run")
    page.wait_for_selector("body[data-done]", state="attached")
    assert page.inner_text("#headline") == ("The example has stopped. Start it again with python example_app.py.")
    assert page.get_attribute("body", "data-verdict") == "bad"


def test_a_server_that_does_not_answer_is_told_plainly(demo: Any, open_page: Callable[..., Any]) -> None:
    """The page's own server is there, and the MCP server is not."""
    page, _ = open_page("about:blank")
    page.route(demo.endpoint, lambda route: route.abort("connectionrefused"))
    page.goto(demo.allowed)
    assert {row["state"] for row in rows(page)} == {"blocked", "skipped"}
    assert rows(page)[0]["result"].endswith("\nno server saw a request")
    assert page.inner_text("#headline") == "The MCP server does not answer. Is it running?"


def test_a_step_shows_its_headers_on_demand(demo: Any, open_page: Callable[..., Any]) -> None:
    """Those of the preflight and of the request, as the server wrote them down, without the token."""
    page, _ = open_page(demo.allowed)
    rows(page)
    connect = page.locator("#steps > li").nth(0)
    assert not connect.locator(".headers").is_visible()
    connect.locator("summary").click()
    lines = connect.locator(".headers").inner_text().splitlines()
    assert lines[0] == "OPTIONS /mcp"
    assert "Access-Control-Request-Headers: content-type" in lines
    assert f"Access-Control-Allow-Origin: {demo.allowed}" in lines
    assert "POST /mcp" in lines
    assert demo.token not in page.locator("#steps").inner_text()


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
