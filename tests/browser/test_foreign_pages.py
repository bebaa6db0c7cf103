"""No page that does not belong there makes the server do anything, with a preflight or without."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from engines import Engine
from engines import Frame
from engines import Page
from flask import Flask
from flask import request
from serving import serving

from flask_mcp_cors import MCPCors

#: A document on a page's origin that runs no script of its own.
QUIET = "/facts.json"

#: What a page can try at a URL.
ATTEMPTS = {
    "json-post": "url => fetch(url, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})",
    "put": "url => fetch(url, {method: 'PUT'})",
    "delete": "url => fetch(url, {method: 'DELETE'})",
    "authorized-get": "url => fetch(url, {headers: {Authorization: 'Bearer x'}})",
    "text-post": "url => fetch(url, {method: 'POST', body: '{}'})",
    "no-cors-post": "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'})",
    "get": "url => fetch(url)",
    "no-cors-get": "url => fetch(url, {mode: 'no-cors'})",
    "image": "url => new Promise(done => Object.assign(new Image(), {src: url, onload: done, onerror: done}))",
    "script": """url => new Promise(done => document.head.append(
        Object.assign(document.createElement("script"), {src: url, onload: () => done(), onerror: () => done()})))""",
    "event-source": """url => new Promise(done => {
        const source = new EventSource(url);
        source.onopen = source.onerror = () => { source.close(); done(); };
    })""",
    "beacon": "async url => navigator.sendBeacon(url, '{}')",
}
TOOL_CALL = """({endpoint, token}) => fetch(endpoint, {
    method: "POST",
    headers: {
        ...(token && {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}),
        ...(token && {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "calculateSum"}),
        Accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
            name: "calculateSum",
            arguments: {a: 1, b: 2},
            _meta: {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {name: "a page", version: "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }),
}).then(response => response.status, error => error.name)"""


@pytest.fixture(params=["foreign-origin", "foreign-site", "sandboxed-iframe", "rebound-name"])
def stranger(request: pytest.FixtureRequest, demo: Any, engine: Engine, visit: Callable[..., Page]) -> Frame:
    """A page that does not belong there: a frame to run its script in."""
    match request.param:
        case "foreign-origin":
            return visit(demo.foreign + QUIET)
        case "foreign-site":
            return visit(f"http://{engine.foreign_name}:{urlsplit(demo.foreign).port}{QUIET}")
        case "sandboxed-iframe":
            return visit(demo.allowed + QUIET).sandboxed()
        case _:
            # The name leads to the server itself now, as after DNS rebinding. It serves that name nothing, but
            # its refusal is a document on the attacker's origin all the same: scripts in it can do what those of a
            # page can that was loaded from there before.
            return visit(f"http://{engine.foreign_name}:{urlsplit(demo.endpoint).port}/")


def target(demo: Any, page: Frame, path: str) -> str:
    """The URL that a page would use: after rebinding the attacker's own, which to the browser is same-origin."""
    port = urlsplit(demo.endpoint).port
    here = page.evaluate("location.origin")
    return f"{here}{path}" if here.endswith(f":{port}") else f"http://127.0.0.1:{port}{path}"


def answered(demo: Any, path: str, before: int, seconds: float = 20) -> dict[str, Any]:
    """Wait for the first request to this path that the server has answered since; what its diary says of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for entry in demo.diary.entries()[before:]:
            if entry["kind"] == "request" and entry["path"] == path:
                return entry
        time.sleep(0.02)
    raise AssertionError(f"no request to {path} came")


def attempts_that_reach_the_view(demo: Any, page: Frame) -> set[str]:
    """Make every attempt from this page; those of which the spy at the end of an unguarded route hears."""
    url = target(demo, page, "/spy")
    calls = demo.app.extensions["spy"]
    reached = set()
    for name, attempt in ATTEMPTS.items():
        calls.clear()
        before = len(demo.diary.entries())
        page.evaluate(f"url => ({attempt})(url).then(() => null, () => null)", url)
        # A beacon does not say when it has arrived.
        answered(demo, "/spy", before)
        if calls:
            reached.add(name)
    return reached


def test_the_view_is_never_reached(stranger: Frame, demo: Any, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Neither by what needs a preflight nor by what needs none.

    But WebKit lets a text beacon from a sandboxed frame say the origin of the page around it, here an allowed one, so
    no server can tell it from that page's own.
    """
    is_sandboxed = "sandboxed-iframe" in request.node.callspec.id
    known = {"beacon"} if is_sandboxed and engine.name == "webkit" else set()
    assert attempts_that_reach_the_view(demo, stranger) == known


@pytest.mark.parametrize("has_token", [True, False], ids=["with-token", "without-preflight"])
def test_the_tool_does_not_run(stranger: Frame, has_token: bool, demo: Any) -> None:
    """Not even with the right token in the page's hands; and what needs no preflight is refused before the 401."""
    before = len(demo.diary.entries())
    options = {"endpoint": target(demo, stranger, "/mcp"), "token": demo.token if has_token else None}
    # 421 where the request says nothing of its origin: the rebound name is not served.
    assert stranger.evaluate(TOOL_CALL, options) in ("TypeError", 403, 421)
    entries = [entry for entry in demo.diary.entries()[before:] if entry["kind"] == "mcp" or entry["path"] == "/mcp"]
    # A browser sends a request that got 421 once more, over another connection.
    assert {(entry["kind"], entry["status"]) for entry in entries} in ({("request", 403)}, {("request", 421)})


SUBMIT = """([url, enctype]) => {
    const form = Object.assign(document.createElement("form"), {action: url, method: "post", enctype});
    document.body.append(form);
    setTimeout(() => form.submit());
}"""


@pytest.mark.parametrize("enctype", ["application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("where", ["foreign", "own"])
def test_only_the_apps_own_form_can_post(where: str, enctype: str, demo: Any, visit: Callable[..., Page]) -> None:
    """A form is a navigation, to which CORS has nothing to say; its ``Origin`` is checked all the same."""
    calls = demo.app.extensions["spy"]
    calls.clear()
    page = visit(own_page(demo) if where == "own" else demo.foreign + QUIET)
    before = len(demo.diary.entries())
    page.evaluate(SUBMIT, [target(demo, page, "/spy"), enctype])
    entry = answered(demo, "/spy", before)
    if where == "own":
        assert (entry["status"], calls) == (200, ["POST"])
    else:
        assert (entry["status"], entry["reason"], calls) == (403, "origin_not_allowed", [])


def test_an_allowed_page_reaches_it(demo: Any, visit: Callable[..., Page]) -> None:
    """By what the policy allows, which PUT is not, and by what names its origin, which images do not."""
    page = visit(demo.allowed + QUIET)
    assert attempts_that_reach_the_view(demo, page) == set(ATTEMPTS) - {"put", "no-cors-get", "image", "script"}


def test_a_page_of_the_app_itself_reaches_it(demo: Any, visit: Callable[..., Page]) -> None:
    """By every means: nothing of this is cross-origin."""
    page = visit(own_page(demo))
    assert attempts_that_reach_the_view(demo, page) == set(ATTEMPTS)


@pytest.mark.parametrize("where", ["allowed", "own"])
def test_pages_that_belong_there_run_the_tool(where: str, demo: Any, visit: Callable[..., Page]) -> None:
    """With the token."""
    before = len(demo.diary.entries())
    page = visit(demo.allowed + QUIET if where == "allowed" else own_page(demo))
    assert page.evaluate(TOOL_CALL, {"endpoint": demo.endpoint, "token": demo.token}) == 200
    entries = demo.diary.entries()[before:]
    assert [entry["name"] for entry in entries if entry["kind"] == "mcp"] == ["calculateSum"]


def test_a_sandboxed_frame_gets_in_where_its_origin_is_allowed(demo: Any, visit: Callable[..., Page]) -> None:
    """``Origin: null`` is everybody's, so the setting for it is called dangerous."""
    app = Flask("open to null")
    MCPCors(app, origins=["null"], dangerously_allow_null=True)
    app.add_url_rule("/mcp", "mcp", lambda: {"origin": request.headers["Origin"]}, methods=["POST"])
    ask = "(url) => fetch(url, {method: 'POST', headers: {Authorization: 'Bearer t'}}).then((answer) => answer.json())"
    with serving(app) as origin:
        frame = visit(demo.allowed + QUIET).sandboxed()
        assert frame.evaluate(ask, f"{origin}/mcp") == {"origin": "null"}


def own_page(demo: Any) -> str:
    """A document on the server's own origin."""
    return demo.endpoint.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
