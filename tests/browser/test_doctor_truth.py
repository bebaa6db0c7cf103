"""Whatever the doctor says that a browser would do, a real Chromium does, with the same words in its console.

Every fetch of an examination is repeated by a page in Chromium, at each of the servers that nobody here wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import page as doctor_page
from flask_mcp_cors.cli.doctor.messages import initialize
from flask_mcp_cors.cli.doctor.page import Fetched

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from foreign_servers import by_hand
from foreign_servers import Server
from foreign_servers import SERVERS
from foreign_servers import serving_wsgi
from foreign_servers import skip
from foreign_servers import Unavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

#: Chromium finds this name on 127.0.0.1: to a server it is as foreign as any, and no permission is asked for.
NAME = "attacker.test"

#: Fetches a URL with all that is given; the status and the header names that JavaScript can read, or None.
FETCH = """async ([url, method, headers, body]) => {
    const cut = new AbortController();
    try {
        const response = await fetch(url, {method, headers, body, redirect: "manual", signal: cut.signal});
        const names = [...response.headers.keys()];
        cut.abort();  // a stream is not waited for
        return [response.status, names];
    } catch {
        return null;
    }
}"""


def blank_page(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><title>page</title>"]


class Replayed:
    """One fetch that the doctor made: what it called, and what came of it."""

    def __init__(self, arguments: tuple[Any, ...], fetched: Fetched, *, only_preflight: bool) -> None:
        browser, _, _, self.headers, *body = arguments
        self.url, self.method, self.message = fetched.url, fetched.method, fetched.sent
        self.body = body[0] if body else None
        self.origin = browser.origin
        self.fetched = fetched
        self.only_preflight = only_preflight

    @property
    def arguments(self) -> list[Any]:
        body = self.body if self.message is None else json.dumps(self.message)
        return [self.url, self.method, self.headers, body]


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Replayed]]:
    """Every fetch of a page of the doctor's, as it happens."""
    fetches: list[Replayed] = []
    original = doctor_page._fetch

    def record(*arguments: Any) -> Fetched:
        fetched = original(*arguments)
        only_preflight = isinstance(arguments[0].transport, doctor_page._PreflightsOnly)
        fetches.append(Replayed(arguments, fetched, only_preflight=only_preflight))
        return fetched

    with monkeypatch.context() as patch:
        patch.setattr(doctor_page, "_fetch", record)
        yield fetches


def replay(page: Page, replayed: Replayed) -> tuple[list[Any] | None, list[str]]:
    """What Chromium makes of it, and what its console says of CORS."""
    said: list[str] = []

    def note(message: Any) -> None:
        if "has been blocked by CORS policy" in message.text:
            said.append(message.text)

    page.on("console", note)
    result = page.evaluate(FETCH, replayed.arguments)
    page.evaluate("() => 0")  # the console's messages come on the same wire, before this answer
    page.remove_listener("console", note)
    return result, said


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_chromium_agrees(
    server: Server, open_page: Callable[[str], tuple[Page, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as running:
        try:
            base = running.enter_context(server.start())
        except Unavailable as error:
            skip(server, error)
        origin = running.enter_context(serving_wsgi(blank_page)).replace("127.0.0.1", NAME)
        with recording(monkeypatch) as fetches:
            report = examine(f"{base}{server.path}", [origin], timeout=5)
        page, _ = open_page(f"{origin}/")
        own = [fetch for fetch in fetches if fetch.origin == origin]
        blocked = [check(page, fetch) for fetch in own].count(True)
    assert len(own) >= 3
    assert bool(blocked) is any(finding.console for finding in report.findings)
    connects = server.name in ("flask-cors", "flask-mcp-cors")
    assert ("connects" in report.verdicts.values()) is connects
    assert bool(blocked) is not connects


def check(page: Page, fetch: Replayed) -> bool:
    """Repeat one fetch of the doctor's. Was it blocked, there and here?"""
    result, said = replay(page, fetch)
    context = (fetch.method, fetch.url, fetch.headers, said)
    error = fetch.fetched.blocked
    if error is not None:
        assert result is None, context
        assert error.console_message in said, context
        return True
    if fetch.only_preflight:
        # Chromium sends the request as well; what becomes of that is not what was asked.
        assert not [line for line in said if "preflight" in line], context
        return False
    assert result is not None, context
    status, names = result
    # A session that the doctor has ended since is answered otherwise now.
    if "Mcp-Session-Id" not in fetch.headers:
        assert status == (fetch.fetched.status or 0), context  # a redirect, which is not followed, has the status 0
        assert set(names) == set(fetch.fetched.headers), context
    return False


@pytest.mark.parametrize("readable", [True, False], ids=["with CORS headers", "without"])
def test_chromium_stops_at_a_redirect_too(
    readable: bool, open_page: Callable[[str], tuple[Page, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as a client that does not follow gets: to nothing that it could read."""
    with ExitStack() as running:
        origin = running.enter_context(serving_wsgi(blank_page)).replace("127.0.0.1", NAME)
        app = Flask(__name__)
        MCPCors(app, origins=origin, hosts=LOOPBACK_HOSTS)
        app.add_url_rule("/mcp/", view_func=by_hand, methods=["GET", "POST", "DELETE"])

        def unreadable(environ: Any, start_response: Any) -> Any:
            if environ["REQUEST_METHOD"] == "OPTIONS":
                return app(environ, start_response)
            start_response("308 PERMANENT REDIRECT", [("Location", "/mcp/")])
            return []

        base = running.enter_context(serving_wsgi(app if readable else unreadable))
        with recording(monkeypatch) as fetches:
            report = examine(f"{base}/mcp", [origin], timeout=5)
        page, _ = open_page(f"{origin}/")
        blocked = [check(page, fetch) for fetch in fetches]
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert [finding.code for finding in errors] == ["redirected"]
    assert any(blocked) is (errors[0].console is not None) is not readable
    assert any(not fetch.only_preflight for fetch in fetches)


def test_a_rebound_get_comes_without_an_origin(chromium: Browser) -> None:
    """What ``host_not_checked`` says: the Origin of such a page keeps its POST out, and there is none in its GET."""
    app = Flask(__name__)
    MCPCors(app, origins="https://app.example.com")
    app.add_url_rule("/mcp", view_func=by_hand, methods=["POST"])
    app.add_url_rule("/private", endpoint="private", view_func=lambda: "a secret")
    with ExitStack() as running:
        base = running.enter_context(serving_wsgi(app))
        report = examine(f"{base}/mcp", ["https://app.example.com"], timeout=5)
        context = chromium.new_context()
        running.callback(context.close)
        page = context.new_page()
        page.goto(f"{base.replace('127.0.0.1', NAME)}/")
        answers = page.evaluate(
            """async message => [
                await (await fetch("/private")).text(),
                (await fetch("/mcp", {method: "POST", headers: {"Content-Type": "application/json"}, body: message}))
                    .status,
            ]""",
            json.dumps(initialize("2025-11-25")),
        )
    assert answers == ["a secret", 403]
    [warning] = [finding for finding in report.findings if finding.severity == "warning"]
    assert warning.code == "host_not_checked"
    assert "is refused (403)" in warning.sentence


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_rebound_name_gets_in_where_the_doctor_says_so(server: Server, chromium: Browser) -> None:
    """DNS rebinding, carried out: the page's own name leads to the server, so its requests are same-origin."""
    with ExitStack() as running:
        try:
            base = running.enter_context(server.start())
        except Unavailable as error:
            skip(server, error)
        report = examine(f"{base}{server.path}", ["https://app.example.com"], timeout=5)
        context = chromium.new_context()
        running.callback(context.close)
        page = context.new_page()
        # Whatever stands there, a 404 say, it is a document of that origin, and it comes from this machine.
        page.goto(f"{base.replace('127.0.0.1', NAME)}/")
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        answer = page.evaluate(
            "async ([url, headers, body]) => (await fetch(url, {method: 'POST', headers, body})).text()",
            [server.path, headers, json.dumps(initialize("2025-11-25"))],
        )
    gets_in = '"protocolVersion"' in answer
    assert gets_in is any(finding.code == "dns_rebinding" for finding in report.findings)
    assert gets_in is (server.name == "flask-cors")
