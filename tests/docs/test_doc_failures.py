"""Each console message in ``failures.md`` is what Chromium says about the mistake under its heading."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import abort
from flask import Flask
from flask import request

from flask_mcp_cors import Reason
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"
PACKAGE = Path(__file__).parents[2] / "flask_mcp_cors"
ORIGIN = "https://app.example.com"

#: What a careful but incomplete server sends.
GOOD = {
    "Access-Control-Allow-Origin": ORIGIN,
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, MCP-Protocol-Version",
}


def server(
    rule: str = "/mcp", preflight: dict[str, str] | None = None, *, hook: Callable[[], Any] | None = None
) -> Flask:
    """An app with one MCP endpoint and hand-written CORS headers on answers to ``OPTIONS`` only."""
    app = Flask("server")
    if hook is not None:
        app.before_request(hook)

    @app.route(rule, methods=["GET", "POST", "DELETE"])
    def mcp() -> str:
        return "tools"

    @app.after_request
    def headers(response: Any) -> Any:
        if request.method == "OPTIONS":
            response.headers.extend(preflight or {})
        return response

    return app


def authenticate() -> None:
    if "Authorization" not in request.headers:
        abort(401)


def allow(**changes: str) -> dict[str, str]:
    return GOOD | {name.replace("_", "-"): value for name, value in changes.items()}


def doubled() -> Flask:
    app = server(preflight=GOOD)

    @app.after_request
    def again(response: Any) -> Any:
        response.headers.add("Access-Control-Allow-Origin", "*")
        return response

    # The function that is registered last runs first.
    app.after_request_funcs[None].reverse()
    return app


TOKEN = {"Authorization": "Bearer t"}

MISTAKES: dict[str, list[tuple[Flask, str, dict[str, Any]]]] = {
    "Mixed Content: the page is https:, the server http:": [
        (server(preflight=GOOD), "POST", {"base_url": "http://mcp.example.com"})
    ],
    "401 on OPTIONS /mcp": [
        (server(hook=authenticate), "POST", {}),
        (server(hook=authenticate, preflight=GOOD), "POST", {}),
    ],
    "No 'Access-Control-Allow-Origin' header is present": [(server(preflight=GOOD), "POST", {})],
    "Redirect is not allowed for a preflight request: 308, 301, 302": [(server("/mcp/", GOOD), "POST", {})],
    "Request header field mcp-protocol-version is not allowed": [
        (
            server(preflight=allow(Access_Control_Allow_Headers="Authorization, Content-Type")),
            "POST",
            {"headers": TOKEN | {"MCP-Protocol-Version": "2025-11-25"}},
        )
    ],
    "Request header field authorization is not allowed, or a preflight before every request": [
        (server(preflight=allow(Access_Control_Allow_Headers="*")), "POST", {"quirks": None})
    ],
    "Method DELETE is not allowed by Access-Control-Allow-Methods": [
        (server(preflight=allow(Access_Control_Allow_Methods="GET, POST")), "DELETE", {})
    ],
    "The 'Access-Control-Allow-Origin' header contains multiple values": [(doubled(), "POST", {})],
    "The wildcard '*' when the request's credentials mode is 'include'": [
        (server(preflight=allow(Access_Control_Allow_Origin="*")), "POST", {"credentials": "include"})
    ],
}


def section(heading: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("heading", MISTAKES)
def test_the_console_says_what_the_page_says(heading: str) -> None:
    said = []
    for app, method, options in MISTAKES[heading]:
        base_url = options.get("base_url", "https://mcp.example.com")
        browser = Browser(app, ORIGIN, base_url, quirks=options.get("quirks", "chromium"))
        with pytest.raises(CORSError) as blocked:
            browser.fetch(
                "/mcp",
                method,
                options.get("headers", TOKEN),
                json=None if method == "DELETE" else {},
                credentials=options.get("credentials", "same-origin"),
            )
        said.append(blocked.value.console_message)
    blocks = section(heading).split("```text\n")[1:]
    assert [block.split("\n```")[0] for block in blocks] == said


@pytest.mark.parametrize(("engine", "label"), [("firefox", "Firefox"), ("webkit", "Safari")])
@pytest.mark.parametrize("heading", MISTAKES)
def test_the_other_consoles_say_what_the_page_says(heading: str, engine: Any, label: str) -> None:
    said = []
    for app, method, options in MISTAKES[heading]:
        if "quirks" in options:
            # Only the standard forbids this, no engine does.
            continue
        browser = Browser(app, ORIGIN, options.get("base_url", "https://mcp.example.com"), quirks=engine)
        with pytest.raises(CORSError) as blocked:
            browser.fetch(
                "/mcp",
                method,
                options.get("headers", TOKEN),
                json=None if method == "DELETE" else {},
                credentials=options.get("credentials", "same-origin"),
            )
        said.append(f"- {label}: `{blocked.value.console_message}`")
    assert [line for line in section(heading).splitlines() if line.startswith(f"- {label}: ")] == said


def test_every_message_on_the_page_is_compared() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```text\n") == sum(map(len, MISTAKES.values()))
    assert all(f"\n## {heading}\n" in text for heading in MISTAKES)


def test_authorization_under_a_wildcard_costs_chromium_a_preflight_each_time() -> None:
    app = server(preflight=allow(Access_Control_Allow_Headers="*", Access_Control_Max_Age="600"))

    @app.after_request
    def on_the_others(response: Any) -> Any:
        if request.method != "OPTIONS":
            response.headers["Access-Control-Allow-Origin"] = ORIGIN
        return response

    browser = Browser(app, ORIGIN, "https://mcp.example.com", quirks="chromium")
    for _ in range(3):
        browser.fetch("/mcp", "POST", TOKEN, json={})
    assert [exchange.is_preflight for exchange in browser.network] == [True, False] * 3


# the table of causes

CAUSES = section("Find the cause by a log line or a finding")
CELLS = [row.split(" | ")[0] for row in re.findall(r"^\| (.+) \|$", CAUSES, re.MULTILINE)]
QUOTED = [phrase for cell in CELLS for phrase in re.findall(r'"([^"]+)"', re.sub("`[^`]*`", "", cell))]


def texts(tree: ast.AST) -> Iterator[str]:
    """The strings in a piece of source; what is filled in at run time is left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)  # type: ignore[misc]


def modules() -> Iterator[ast.Module]:
    return (ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py"))


def messages() -> Iterator[list[str]]:
    """The strings of each log line of the package, and of each advice that a refusal is logged with."""
    for tree in modules():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr="warning" | "error" | "exception")):
                    yield [text for text in texts(node.args[0]) if re.search("[a-z]{3}", text)]
                case ast.FunctionDef(name=name) if name.startswith(("_advice", "_failed_preflight", "_differences")):
                    for returned in ast.walk(node):
                        if isinstance(returned, ast.Return) and returned.value is not None:
                            yield [text for text in texts(returned.value) if re.search("[a-z]{3}", text)]


#: Only puts together what is in the table.
GATHERED = [["%s: %s: %s %s, origin %s, host %s: %s"]]


def test_every_line_in_the_table_is_one_of_the_package() -> None:
    written = [text for tree in modules() for text in texts(tree)]
    assert len(QUOTED) > 40
    assert [phrase for phrase in QUOTED if not any(phrase in text for text in written)] == []


def test_every_log_line_and_every_advice_is_in_the_table() -> None:
    found = [message for message in messages() if any(len(text) > 25 for text in message)]
    assert len(found) > 25
    for message in found:
        assert any(phrase in text for phrase in QUOTED for text in message) or message in GATHERED, message


def test_every_code_in_the_table_is_one() -> None:
    """A reason of a refusal, or a finding in the tables of ``doctor.md``, which other tests hold to the source."""
    tables = (PAGE.parent / "doctor.md").read_text(encoding="utf-8")
    findings = set(re.findall(r"^\| (?:\w+ \| )?`(\w+)` \|", tables, re.MULTILINE))
    codes = {code for cell in CELLS for code in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", cell)} - {"public_suffix_list"}
    assert len(codes) > 20
    assert codes <= findings | {reason.value for reason in Reason}
