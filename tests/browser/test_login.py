"""Logging in with the OAuth code of the official TypeScript clients, and by the buttons of the example's page."""

from __future__ import annotations

import json
import subprocess
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")
pytest.importorskip("authlib", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from engines import Page
from flask import request
from hands import press
from hands import text
from hands import until
from werkzeug.datastructures import Headers

from example_app import Demo
from example_app import running

#: A document on a page's origin that runs no script of its own. Here it is the redirect URI, too.
QUIET = "/facts.json"
METADATA = "/.well-known/oauth-protected-resource/mcp"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
CLIENTS = [pytest.param("login1", id="1.x"), pytest.param("login2", id="2.x")]


@pytest.fixture(scope="module", params=[False, True], ids=["third-origin", "same-origin"])
def site(request: pytest.FixtureRequest) -> Iterator[Demo]:
    """The example, with the authorization server on an origin of its own, or on that of the MCP server."""
    with running(token="t", same_origin=request.param) as demo:
        yield demo


@pytest.fixture(scope="module")
def third_origin() -> Iterator[Demo]:
    """The example with the authorization server on an origin of its own."""
    with running(token="t") as demo:
        yield demo


@dataclass
class Tab:
    """A page on the allowed origin with one generation of the client in it."""

    page: Page
    demo: Demo
    script: str
    bind: bool = False

    def __post_init__(self) -> None:
        self._before = len(self.demo.diary.entries())

    def run(self, stage: str, *arguments: str) -> dict[str, Any]:
        """Run a stage of ``clients/login.js``; the script is loaded again after each navigation."""
        if not self.page.evaluate("() => 'login' in globalThis"):
            self.page.add_script(self.script)
        options = {
            "endpoint": self.demo.endpoint,
            "bind": self.bind,
            "revocation": f"{self.demo.authorization.issuer}/revoke",
        }
        told: dict[str, Any] = self.page.evaluate(f"(given) => login.{stage}(...given)", [options, *arguments])
        return told

    def ask_the_user(self, authorization: str, *, answer: str = "allow") -> str:
        """Go to the login page as a client does, press a button there, and come back with the answer."""
        self.page.evaluate("(url) => void setTimeout(() => location.assign(url))", authorization)
        press(self.page, f"button[value={answer}]")
        until(self.page, f"location.origin === {self.demo.allowed!r} && location.search")
        query: str = self.page.evaluate("() => location.search")
        return query

    def preflights(self) -> dict[str, int]:
        """How many preflights of this page each place has seen."""
        entries = self.demo.diary.entries()[self._before :]
        return dict(Counter(entry["path"] for entry in entries if entry.get("preflight")))


@pytest.fixture
def open_tab(bundles: dict[str, str], visit: Callable[..., Page]) -> Callable[..., Tab]:
    """Open a :class:`Tab`."""

    def open_tab(demo: Demo, bundle: str, *, bind: bool = False, fresh: bool = False) -> Tab:
        return Tab(visit(demo.allowed + QUIET, fresh=fresh), demo, bundles[bundle], bind)

    return open_tab


def readable(stage: dict[str, Any]) -> dict[str, Any]:
    """A stage, all of whose responses the client could read."""
    blocked = [f"{method} {path}" for method, path, outcome in stage["exchanges"] if outcome == "TypeError"]
    assert not blocked, f"blocked: {blocked[0]}"
    return stage


def log_in(tab: Tab) -> list[list[Any]]:
    """From the first 401 to the first call of a tool; what the client got at each step."""
    started = readable(tab.run("use"))
    finished = readable(tab.run("finish", tab.ask_the_user(started["authorization"])))
    assert (finished["error"], finished["scope"]) == (None, "tools")
    used = readable(tab.run("use"))
    assert used["error"] is None
    assert used["result"] == {"tools": ["calculateSum", "lookupRegion", "countdown", "addNote"], "sum": "42"}
    return [*started["exchanges"], *finished["exchanges"], *used["exchanges"]]


@pytest.mark.parametrize("bundle", CLIENTS)
def test_the_whole_flow(bundle: str, site: Demo, open_tab: Callable[..., Tab]) -> None:
    """Log in, use the tools, let the token expire, ask for one more scope, log out: one preflight a place at most."""
    tab = open_tab(site, bundle, fresh=True)
    exchanges = log_in(tab)
    assert exchanges[:4] == [
        ["POST", "/mcp", 401],
        ["GET", METADATA, 200],
        ["GET", SERVER_METADATA, 200],
        ["POST", "/register", 201],
    ]
    assert exchanges[4] == ["POST", "/token", 200]

    site.authorization.expire_access_tokens()
    refreshed = tab.run("use")
    assert refreshed["error"] is None
    assert refreshed["exchanges"][:3] == [["POST", "/mcp", 401], ["POST", "/token", 200], ["POST", "/mcp", 200]]

    step_up = tab.run("note")
    assert step_up["authorization"]
    assert ["POST", "/mcp", 403] in step_up["exchanges"]
    again = tab.run("finish", tab.ask_the_user(step_up["authorization"]))
    assert (again["error"], again["scope"]) == (None, "tools notes")
    assert tab.run("note")["result"] == "'hello' is noted"

    assert tab.run("revoke") == 200
    ended = tab.run("use")
    assert ended["exchanges"][0] == ["POST", "/mcp", 401]
    assert ["POST", "/token", 400] in ended["exchanges"]  # the refresh token is revoked, too
    assert ended["authorization"], "the client goes back to the login page"

    assert tab.preflights() == {"/mcp": 1, METADATA: 1, SERVER_METADATA: 1, "/register": 1}


@pytest.mark.parametrize("engine", ["chromium", "firefox"], indirect=True)
@pytest.mark.parametrize("bundle", CLIENTS)
def test_a_login_page_in_a_popup(bundle: str, third_origin: Demo, open_tab: Callable[..., Tab]) -> None:
    """The page stays and takes the answer from the window that it has opened. (No window opens for WebKit's driver.)"""
    tab = open_tab(third_origin, bundle)
    popup = tab.page.popup(tab.run("use")["authorization"])
    press(popup, "button[value=allow]")
    until(popup, f"location.origin === {third_origin.allowed!r} && location.search")
    finished = tab.run("finish", popup.evaluate("() => location.search"))
    assert (finished["error"], finished["scope"]) == (None, "tools")
    assert tab.run("use")["result"]["sum"] == "42"


def test_a_client_that_binds_its_tokens_gets_through(open_tab: Callable[..., Tab]) -> None:
    """It sends ``DPoP`` to the token endpoint, which costs a preflight, and reads the ``DPoP-Nonce`` that it needs.

    The example's server then issues a bearer token: it checks no proofs.
    """
    with running(token="t") as demo:

        @demo.login_app.before_request
        def demand_a_nonce() -> Any:
            if request.path != "/token" or request.method != "POST":
                return None
            claims = request.headers["DPoP"].split(".")[1]
            if json.loads(urlsafe_b64decode(f"{claims}==")).get("nonce") == "a-nonce":
                return None
            return {"error": "use_dpop_nonce"}, 400, {"DPoP-Nonce": "a-nonce"}

        tab = open_tab(demo, "login2", bind=True, fresh=True)
        exchanges = log_in(tab)
        seen = [entry for entry in demo.diary.entries() if entry.get("path") == "/token"]
    assert [exchange for exchange in exchanges if exchange[1] == "/token"] == [
        ["POST", "/token", 400],
        ["POST", "/token", 200],
    ]
    assert [(entry["method"], entry["asked"]) for entry in seen] == [
        ("OPTIONS", "dpop"),
        ("POST", None),
        ("POST", None),
    ]
    assert tab.preflights()["/token"] == 1


@pytest.mark.parametrize("bundle", CLIENTS)
def test_a_user_who_denies(bundle: str, third_origin: Demo, open_tab: Callable[..., Tab]) -> None:
    """The client reads why in the URL."""
    tab = open_tab(third_origin, bundle)
    answer = tab.ask_the_user(tab.run("use")["authorization"], answer="deny")
    assert "error=access_denied" in answer
    assert "state=the-state" in answer


#: The steps of the flow that are a `fetch`: the request, and which of its responses it is about.
STEPS = {
    "the 401": ("POST /mcp", {401}),
    "resource metadata": (f"GET {METADATA}", {200}),
    "server metadata": (f"GET {SERVER_METADATA}", {200}),
    "register": ("POST /register", {201}),
    "token": ("POST /token", {200}),
    "the endpoint with the token": ("POST /mcp", {200}),
}


@contextmanager
def without_cors(demo: Demo, request: str, statuses: set[int]) -> Iterator[None]:
    """Take the CORS headers from these responses to a request, after everything else."""
    before = {app: app.wsgi_app for app in (demo.app, demo.login_app)}

    def stripped(wsgi_app: Any) -> Any:
        def wrapper(environ: Any, start_response: Any) -> Any:
            def start(status: str, headers: Any, exc_info: Any = None) -> Any:
                asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                if asked == request and int(status[:3]) in statuses:
                    headers = [pair for pair in Headers(headers) if not pair[0].lower().startswith("access-control-")]
                return start_response(status, headers, exc_info)

            return wsgi_app(environ, start)

        return wrapper

    for app, wsgi_app in before.items():
        app.wsgi_app = stripped(wsgi_app)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for app, wsgi_app in before.items():
            app.wsgi_app = wsgi_app  # type: ignore[method-assign]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("bundle", CLIENTS)
def test_every_step_needs_its_headers(bundle: str, step: str, third_origin: Demo, open_tab: Callable[..., Tab]) -> None:
    """The flow above fails, at that step, when any of them loses its CORS headers."""
    request, statuses = STEPS[step]
    with without_cors(third_origin, request, statuses), pytest.raises(AssertionError, match=f"^blocked: {request}\n"):
        log_in(open_tab(third_origin, bundle))


@pytest.mark.parametrize("bundle", CLIENTS)
def test_the_login_page_needs_none(bundle: str, third_origin: Demo, open_tab: Callable[..., Tab]) -> None:
    """The seventh step is a navigation."""
    demo = third_origin
    with without_cors(demo, "GET /authorize", {200}), without_cors(demo, "POST /authorize", {302}):
        log_in(open_tab(demo, bundle))


def shown(page: Page) -> list[list[str]]:
    """Wait until the example's page is done; its steps, and the state of each."""
    until(page, "document.body && 'done' in document.body.dataset")
    told: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll("#steps > li")].map((row) => [
            row.querySelector("h2").textContent, row.dataset.state])"""
    )
    return told


def titles(page: Page) -> list[str]:
    """The steps that the example's page shows, each of which went through."""
    steps = shown(page)
    assert {state for _, state in steps} == {"allowed"}
    return [title for title, _ in steps]


def press_and_wait(page: Page, selector: str) -> None:
    """Press a button of the example's page; the page says when it is done."""
    page.evaluate("() => { delete document.body.dataset.done; }")
    press(page, selector)


def press_and_answer(page: Page, demo: Demo, selector: str, answer: str) -> None:
    """Press a button that leads to the login page, press one there, and wait until the page is back and done."""
    press(page, selector)
    press(page, f"button[value={answer}]")
    until(page, f"location.origin === {demo.allowed!r} && 'done' in document.body.dataset")


def test_two_clicks_on_the_examples_page(third_origin: Demo, visit: Callable[..., Page]) -> None:
    """ "Log in", "Allow", connected; then one more scope, an expired token, and the end."""
    page = visit(third_origin.allowed, fresh=True)
    titles(page)
    before = len(third_origin.diary.entries())

    press_and_answer(page, third_origin, "#login", "allow")
    assert titles(page) == [
        "Ask without a token",
        "Find where to log in",
        "Find the endpoints",
        "Register",
        "Log in and allow",
        "Get the token",
        "Connect",
        "List the tools",
        "Call calculateSum",
    ]
    assert text(page, "#headline") == "Logged in and connected, with a token for “tools”."

    press_and_answer(page, third_origin, "#note", "allow")
    assert titles(page)[9:] == [
        "Connect",
        "Call addNote",
        "Log in and allow",
        "Get the token",
        "Connect",
        "Call addNote",
    ]
    assert text(page, "#headline") == "Logged in and connected, with a token for “tools notes”."

    press_and_wait(page, "#expire")
    assert titles(page)[15:] == ["Connect", "Refresh the token", "Connect", "Call calculateSum"]

    press_and_wait(page, "#logout")
    assert titles(page)[19:] == ["Revoke the token", "List the tools"]
    assert text(page, "#headline") == "Logged out: the old token is worth nothing any more."
    assert page.evaluate("() => document.querySelector('#next').hidden")
    seen = Counter(entry["path"] for entry in third_origin.diary.entries()[before:] if entry.get("preflight"))
    assert seen == {SERVER_METADATA: 1, "/register": 1}  # those of the endpoint were kept from the steps before


def test_denied_on_the_examples_page(third_origin: Demo, visit: Callable[..., Page]) -> None:
    """It says so, and nothing is given to it."""
    page = visit(third_origin.allowed)
    titles(page)
    press_and_answer(page, third_origin, "#login", "deny")
    assert text(page, "#headline") == "You have denied it. Nothing was given to this page."
    assert text(page, "#steps > li:last-child .result .value") == "access_denied"


def test_an_answer_that_nobody_has_asked_for(third_origin: Demo, visit: Callable[..., Page]) -> None:
    """Somebody else's code in the URL of the page is not used."""
    before = third_origin.diary.entries()
    page = visit(f"{third_origin.allowed}/callback?code=somebody-elses&state=made-up")
    assert shown(page) == []
    assert text(page, "#headline").startswith("This page has not asked for this.")
    assert third_origin.diary.entries() == before


def test_the_foreign_page_cannot_log_in(third_origin: Demo, visit: Callable[..., Page]) -> None:
    """It is stopped at the first request, which would tell it where."""
    page = visit(third_origin.foreign)
    shown(page)
    press_and_wait(page, "#login")
    # The SDK tries both eras of the protocol.
    assert shown(page) == [["Ask without a token", "blocked"]] * 2
    assert text(page, "#headline") == "This page’s origin is not allowed: it cannot log in."


def test_the_kept_bundle_is_what_the_packages_make(bundles: dict[str, str], tmp_path: Path) -> None:
    """``example/page/sdk.js`` is made of the packages in the lock file, and of nothing else."""
    here = Path(__file__).parent
    made = tmp_path / "sdk.js"
    subprocess.run(["node", "build.mjs", "--example", str(made)], cwd=here, check=True)
    for name in ("sdk.js", "sdk.licences.txt"):
        kept = here.parents[1] / "example" / "page" / name
        assert kept.read_bytes() == (tmp_path / name).read_bytes()
