"""The proxy configurations in the documentation, under nginx."""

from __future__ import annotations

import http.client
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from doc_servers import blocks
from doc_servers import nginx
from doc_servers import ROOT
from doc_servers import serving
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_mcp_cors import MCPCors

FORM = '<form method="post" action="/form"><button>Send</button></form>'


def site() -> Flask:
    """An app with a form of its own, set up as docs/recipes/proxy.md has it."""
    app = Flask("site", static_folder=None)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    MCPCors(app, origins=["https://app.example.com"], hosts=["intranet.test"])
    app.add_url_rule("/", "page", lambda: FORM)
    app.add_url_rule("/form", "form", lambda: "The form was accepted.", methods=["POST"])
    return app


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = (response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode())
    connection.close()
    return answer


def sample() -> str:
    """The first block of the proxy page."""
    return blocks("recipes/proxy.md", "nginx")[0]


def test_the_sample_keeps_the_port(tmp_path: Path) -> None:
    """The app's own page on a port that is not the default one is its own page, and no other is."""
    with serving(site()) as app_port, nginx(tmp_path, [sample()], app_port) as port:
        assert port != 80
        own = {"Host": f"intranet.test:{port}", "Origin": f"http://intranet.test:{port}"}
        assert ask(port, "POST", "/form", own)[::2] == (200, "The form was accepted.")
        for other in ("http://intranet.test", f"http://intranet.test:{port + 1}", "http://evil.example"):
            assert ask(port, "POST", "/form", own | {"Origin": other})[0] == 403
        assert ask(port, "GET", "/", {"Host": "rebound.example"})[0] == 421


def test_without_the_port_the_own_form_is_refused(tmp_path: Path) -> None:
    """What the sample is for: nginx leaves the port out of ``$host``."""
    with serving(site()) as app_port, nginx(tmp_path, [sample().replace("$http_host", "$host")], app_port) as port:
        own = {"Host": f"intranet.test:{port}", "Origin": f"http://intranet.test:{port}"}
        assert ask(port, "POST", "/form", own)[0] == 403


def test_a_browser_sends_the_form(tmp_path: Path) -> None:
    """Over plain HTTP, where Chromium sends no ``Sec-Fetch-Site``, so that the ports are compared."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not os.access(path, os.X_OK):
        message = f"there is no Chromium at {path}"
        pytest.fail(message, pytrace=False) if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip(message)
    flags = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP intranet.test 127.0.0.1"]
    with (
        serving(site()) as app_port,
        nginx(tmp_path, [sample()], app_port) as port,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page()
        page.goto(f"http://intranet.test:{port}/")
        with page.expect_navigation():
            page.click("button")
        assert page.inner_text("body") == "The form was accepted."
        browser.close()


def authentication(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """What ``auth_request`` asks."""
    good = environ.get("HTTP_AUTHORIZATION") == "Bearer good"
    start_response("204 No Content" if good else "401 Unauthorized", [("WWW-Authenticate", "Bearer")])
    return []


def test_authentication_in_the_proxy(tmp_path: Path) -> None:
    """A page can ask, read the 401, find the login and come back with a token; another page can do nothing."""
    app = Flask("site", static_folder=None)
    cors = MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"])
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
    app.add_url_rule("/mcp", "mcp", lambda: "ran", methods=["POST"])
    maps, server = blocks("recipes/proxy.md", "nginx")[-2:]
    page = {"Origin": "https://app.example.com"}
    with serving(app) as app_port, serving(authentication) as port:
        server = server.replace("127.0.0.1:9000", f"127.0.0.1:{port}")
        with nginx(tmp_path, [server], app_port, maps) as port:
            preflight = page | {"Access-Control-Request-Method": "POST"}
            status, headers, _ = ask(port, "OPTIONS", "/mcp", preflight)
            assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example.com")
            status, headers, _ = ask(port, "POST", "/mcp", page)
            assert (status, headers["access-control-allow-origin"]) == (401, "https://app.example.com")
            assert "WWW-Authenticate" in headers["access-control-expose-headers"]
            document = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
            assert headers["www-authenticate"] == f'Bearer resource_metadata="{document}"'
            assert ask(port, "GET", "/.well-known/oauth-protected-resource/mcp", page)[0] == 200
            status, headers, body = ask(port, "POST", "/mcp", page | {"Authorization": "Bearer good"})
            assert (status, body, headers["access-control-allow-origin"]) == (200, "ran", "https://app.example.com")
            assert ask(port, "OPTIONS", "/mcp", page)[0] == 401  # no preflight
            status, headers, _ = ask(port, "POST", "/mcp", {"Origin": "https://evil.example"})
            assert status == 401 and "access-control-allow-origin" not in headers


def test_an_app_below_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 401 names the metadata document, and the proxy sends its URL to the app."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    from prefixed import app

    page: dict[str, Any] = {"Host": "example.com", "Origin": "https://app.example.com"}
    with serving(app) as app_port, nginx(tmp_path, blocks("recipes/prefix.md", "nginx"), app_port) as port:
        preflight = page | {"Access-Control-Request-Method": "POST"}
        status, headers, _ = ask(port, "OPTIONS", "/tools/mcp", preflight)
        assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example.com")
        status, headers, _ = ask(port, "POST", "/tools/mcp", page)
        document = "https://example.com/.well-known/oauth-protected-resource/tools/mcp"
        assert status == 401 and f'resource_metadata="{document}"' in headers["www-authenticate"]
        status, headers, body = ask(port, "GET", "/.well-known/oauth-protected-resource/tools/mcp", page)
        assert status == 200 and '"https://example.com/tools/mcp"' in body
        assert headers["access-control-allow-origin"] == "*"
        assert ask(port, "POST", "/tools/mcp", page | {"Authorization": "Bearer good"})[0] == 200
