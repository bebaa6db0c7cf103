"""The example's page in real browsers."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from engines import Engine
from engines import FAILED
from engines import Page
from engines import wait_until
from hands import text
from serving import serving

from example.pages import Diary
from example.pages import page_app
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


def press(page: Page, selector: str) -> None:
    """Press a button of the page; the page says when it is done with what it does then."""
    page.evaluate("() => { delete document.body.dataset.done; }")
    page.evaluate("(selector) => document.querySelector(selector).click()", selector)


def rows(page: Page) -> list[dict[str, str]]:
    """Wait until the page has gone through its steps; what it says of each."""
    wait_until(page, "document.querySelector('body[data-done]')")
    told: list[dict[str, str]] = page.evaluate(
        """() => [...document.querySelectorAll("#steps > li")].map((row) => ({
            title: row.querySelector("h2").textContent,
            state: row.dataset.state,
            preflight: row.querySelector(".preflight .value").textContent,
            request: row.querySelector(".request .value").textContent,
            result: row.querySelector(".result .value").textContent,
        }))"""
    )
    return told


def test_the_allowed_page_shows_what_went_through(demo: Any, visit: Callable[..., Page]) -> None:
    """Every step, down to the figures."""
    before = len(demo.diary.entries())
    page = visit(demo.allowed, fresh=True)
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
    assert text(page, "#headline") == "This page’s origin is allowed: it is let in."
    assert text(page, "#tally") == "9 steps through, 0 stopped · 6 messages got past the guard"
    assert [entry["path"] for entry in demo.diary.entries()[before:] if entry.get("preflight")].count("/mcp") == 2


def test_the_other_spelling_of_this_machine_is_allowed_too(demo: Any, visit: Callable[..., Page]) -> None:
    """``localhost`` is another origin than ``127.0.0.1``, and people open either."""
    page = visit(demo.allowed.replace("127.0.0.1", "localhost"))
    assert {row["state"] for row in rows(page)} == {"allowed"}
    assert text(page, "#here").startswith("http://localhost:")
    assert text(page, "#headline") == "This page’s origin is allowed: it is let in."


def test_the_foreign_page_shows_what_was_blocked(demo: Any, engine: Engine, visit: Callable[..., Page]) -> None:
    """Every step again, with the reason, although the token is right. That one leads which no preflight stops."""
    page = visit(demo.foreign)
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
        "result": f"TypeError: {FAILED[engine.name]}",
    }
    for row in told:
        assert row in (without_preflight, never_asked) or row == {
            "state": "blocked",
            "preflight": "OPTIONS 403\norigin_not_allowed",
            "request": "never sent",
            "result": f"TypeError: {FAILED[engine.name]}",
        }
    assert text(page, "#headline") == "This page’s origin is not allowed: it is kept out."
    assert text(page, "#tally") == "0 steps through, 8 stopped, 1 not tried · no messages got past the guard"


def test_a_wrong_token_is_told_plainly(demo: Any, visit: Callable[..., Page]) -> None:
    """The first step that needs it says so, and the others are not tried."""
    page = visit(demo.allowed)
    rows(page)
    page.evaluate("() => { document.querySelector('#token').value = 'not-it'; }")
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
    assert text(page, "#headline") == "This page is allowed, but the token is not valid."


def test_a_stopped_example_is_told_plainly(visit: Callable[..., Page]) -> None:
    """The page is still open, and nothing answers it any more."""
    with running(token="t") as demo:
        page = visit(demo.allowed)
        rows(page)
    press(page, "#run")
    wait_until(page, "document.querySelector('body[data-done]')")
    assert text(page, "#headline") == ("The example has stopped. Start it again with python example_app.py.")
    assert page.evaluate("() => document.body.dataset.verdict") == "bad"


def test_a_server_that_does_not_answer_is_told_plainly(visit: Callable[..., Page]) -> None:
    """The page's own server is there, and the MCP server is not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"

    def facts(here: str) -> dict[str, Any]:
        pages = {"allowed": here, "foreign": here}
        return {"endpoint": endpoint, "authorization": here, "token": "t", "allowed": True, "pages": pages}

    with serving(page_app(facts, Diary(), lambda: None)) as origin:
        page = visit(origin)
        told = rows(page)
        assert {row["state"] for row in told} == {"blocked", "skipped"}
        assert told[0]["result"].endswith("\nno server saw a request")
        assert text(page, "#headline") == "The MCP server does not answer. Is it running?"


def test_a_step_shows_its_headers_on_demand(demo: Any, visit: Callable[..., Page]) -> None:
    """Those of the preflight and of the request, as the server wrote them down, without the token."""
    page = visit(demo.allowed, fresh=True)
    rows(page)
    visible = "() => document.querySelector('.headers').checkVisibility()"
    assert not page.evaluate(visible)
    page.evaluate("() => document.querySelector('summary').click()")
    assert page.evaluate(visible)
    lines = page.evaluate("() => [...document.querySelector('.headers').children].map((line) => line.textContent)")
    assert lines[0] == "OPTIONS /mcp"
    assert "Access-Control-Request-Headers: content-type" in lines
    assert f"Access-Control-Allow-Origin: {demo.allowed}" in lines
    assert "POST /mcp" in lines
    assert demo.token not in text(page, "#steps")


@pytest.mark.parametrize("width", [1200, 390], ids=["desktop", "telephone"])
@pytest.mark.parametrize("where", ["allowed", "foreign"])
def test_the_page_fits_and_reads_at_a_glance(where: str, width: int, demo: Any, visit: Callable[..., Page]) -> None:
    """Nothing sticks out to the side, no text is cut, and the head has the colour of the verdict."""
    page = visit("about:blank")
    page.resize(width, 900)
    page.goto(getattr(demo, where))
    rows(page)
    overflowing = """() => [...document.querySelectorAll("body, body *:not(input)")]
        .filter((element) => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
        .map((element) => element.outerHTML)"""
    assert page.evaluate(overflowing) == []
    colour = page.evaluate("() => getComputedStyle(document.querySelector('h1 em')).color")
    red, green, _ = (int(part) for part in re.findall(r"\d+", colour))
    assert (green > red) is (where == "allowed")
