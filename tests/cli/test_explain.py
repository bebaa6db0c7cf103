"""``explain`` decides through the app and says why."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask import Response
from flask.cli import ScriptInfo
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import NOBODY
from flask_mcp_cors.__main__ import cli

ORIGIN = "https://app.example.com"


def make_app() -> Flask:
    app = Flask("tools")
    cors = MCPCors(
        app,
        origins=[ORIGIN, "https://*.example.org"],
        hosts="mcp.example.com",
        policies={"/chosen": lambda request: CORSPolicy(origins="https://chosen.example")},
    )

    @app.post("/mcp")
    @cors.protected(lambda credential: None)
    def mcp() -> str:
        raise AssertionError("explain runs no view")

    @app.before_request
    def hook() -> None:
        raise AssertionError("explain runs no hook")

    @app.post("/open")
    @cors.exempt
    def exempt() -> str:
        raise AssertionError("explain runs no view")

    app.add_url_rule("/slash/", "slash", exempt, methods=["GET"])
    return app


def run(*words: str, app: Flask | None = None) -> str:
    info = ScriptInfo(create_app=lambda: app or make_app())
    result = CliRunner().invoke(cli, ["explain", *words], obj=info, catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return result.output


def explained(*words: str, app: Flask | None = None) -> dict:
    info = ScriptInfo(create_app=lambda: app or make_app())
    done = CliRunner().invoke(cli, ["explain", *words, "--json"], obj=info, catch_exceptions=False)
    result = json.loads(done.output)
    assert done.exit_code == (0 if result["allowed"] else 1)
    return result


def test_an_mcp_client_passes() -> None:
    result = explained("/mcp", "--origin", ORIGIN)
    assert result["url"] == "https://mcp.example.com/mcp"
    assert result["allowed"] is True
    assert result["console"] is None
    assert [request["reason"] for request in result["requests"]] == ["preflight_allowed", "origin_allowed"]
    assert result["requests"][0]["status"] == 200
    assert ["Access-Control-Allow-Origin", ORIGIN] in result["requests"][0]["response_headers"]
    steps = {step["step"]: step["says"] for step in result["steps"]}
    assert steps["route"] == "view 'mcp'"
    assert steps["protection"] == "cors.protected: Bearer; not asked of a preflight"
    assert steps["policy"] == "the default policy (origins: keyword)"


@pytest.mark.parametrize(
    ("words", "reason", "console"),
    [
        pytest.param(
            ("/mcp", "--origin", "https://evil.example"),
            "origin_not_allowed",
            "Response to preflight request doesn't pass access control check: "
            "No 'Access-Control-Allow-Origin' header is present on the requested resource.",
            id="foreign origin",
        ),
        pytest.param(
            ("/mcp", "--origin", ORIGIN, "--header", "X-Foo: 1"),
            "header_not_allowed",
            "Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response.",
            id="header",
        ),
        pytest.param(
            ("/mcp", "--origin", ORIGIN, "--method", "PATCH"),
            "method_not_allowed",
            "Method PATCH is not allowed by Access-Control-Allow-Methods in preflight response.",
            id="method",
        ),
        pytest.param(
            ("https://rebound.example/mcp", "--origin", ORIGIN),
            "host_not_served",
            "Response to preflight request doesn't pass access control check: "
            "No 'Access-Control-Allow-Origin' header is present on the requested resource.",
            id="host",
        ),
        pytest.param(
            ("/open", "--origin", ORIGIN),
            "not_governed",
            "Response to preflight request doesn't pass access control check: "
            "No 'Access-Control-Allow-Origin' header is present on the requested resource.",
            id="exempt",
        ),
    ],
)
def test_the_console_names_the_culprit(words: tuple[str, ...], reason: str, console: str) -> None:
    result = explained(*words)
    assert result["allowed"] is False
    assert result["requests"][0]["reason"] == reason
    assert result["console"].endswith(f"has been blocked by CORS policy: {console}")
    assert {"step": "request", "says": "never sent: the browser stops at the preflight"} in result["steps"]


def test_mixed_content_is_what_the_console_says_and_the_server_decides_all_the_same() -> None:
    result = explained("http://evil.test/mcp", "--origin", ORIGIN)
    assert result["allowed"] is False
    assert result["console"] == (
        "Mixed Content: The page at 'https://app.example.com/' was loaded over HTTPS, but requested an insecure "
        "resource 'http://evil.test/mcp'. This request has been blocked; the content must be served over HTTPS."
    )
    assert {request["reason"] for request in result["requests"]} == {"host_not_served"}
    steps = {step["step"]: step["says"] for step in result["steps"]}
    assert steps["origin"] == "allowed"
    assert steps["host"].startswith("evil.test: ")
    assert steps["browser"].startswith("sends no request")
    passing = explained("http://mcp.example.com/mcp", "--origin", ORIGIN)
    assert [request["reason"] for request in passing["requests"]] == ["preflight_allowed", "origin_allowed"]
    assert passing["allowed"] is False
    assert passing["console"].startswith("Mixed Content: ")


def test_mixed_content_in_the_words_of_the_chosen_browser() -> None:
    result = explained("http://evil.test/mcp", "--origin", ORIGIN, "--browser", "firefox")
    assert result["console"] == "Blocked loading mixed active content “http://evil.test/mcp”"


def test_a_port_that_browsers_block() -> None:
    result = explained("https://mcp.example.com:6667/mcp", "--origin", ORIGIN)
    assert result["console"] == "Failed to load resource: net::ERR_UNSAFE_PORT"
    assert result["requests"][0]["preflight"] is True


def test_a_request_that_needs_no_preflight() -> None:
    result = explained("/mcp", "--origin", ORIGIN, "--method", "GET", "--header", "Accept: text/event-stream")
    assert [request["preflight"] for request in result["requests"]] == [False]
    says = {step["step"]: step["says"] for step in result["steps"]}
    assert says["preflight"].startswith("none:")
    assert says["route"] == "no route for this method: Flask answers 405; there is OPTIONS, POST"


def test_a_slash_redirect_is_followed() -> None:
    result = explained("/slash", "--origin", ORIGIN, "--method", "GET", "--header", "Accept: */*")
    assert result["requests"][0]["policy"] == "the default policy"
    assert result["steps"][0]["says"] == "redirect to https://mcp.example.com/slash/"
    assert len(result["requests"]) == 2


def test_a_chosen_policy_is_the_one_that_is_explained() -> None:
    result = explained("/chosen", "--origin", "https://chosen.example")
    assert result["allowed"] is True
    assert result["requests"][0]["policy"] == "policies['/chosen']"


@pytest.mark.parametrize("origin", [ORIGIN, "https://a.example.org", "https://evil.example", "null"])
@pytest.mark.parametrize("path", ["/mcp", "/open", "/nowhere", "/.well-known/oauth-protected-resource", "/chosen"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_it_explains_what_the_app_answers(origin: str, path: str, method: str) -> None:
    result = explained(path, "--origin", origin, "--method", method, "--header", "X-Foo", "--header", "Authorization")
    [explained_headers] = [request["response_headers"] for request in result["requests"] if request["preflight"]]
    if result["requests"][0]["reason"] == "not_governed":
        assert explained_headers == []
        return
    answer = (
        make_app()
        .test_client()
        .options(
            path,
            base_url="https://mcp.example.com",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,x-foo",
            },
        )
    )
    assert answer.status_code == result["requests"][0]["status"]
    sent = {(name, value) for name, value in answer.headers if name != "Content-Length"}
    assert sent == {(name, value) for name, value in explained_headers}


def test_the_curl_command_shows_it() -> None:
    command = explained("/mcp", "--origin", ORIGIN, "--header", "Authorization")["requests"][0]["curl"]
    assert shlex.split(command) == [
        *("curl", "-i", "-X", "OPTIONS"),
        *("-H", "Access-Control-Request-Method: POST"),
        *("-H", "Access-Control-Request-Headers: authorization"),
        *("-H", f"Origin: {ORIGIN}"),
        *("-H", "Sec-Fetch-Site: same-site"),
        *("-H", "Sec-Fetch-Mode: cors"),
        "https://mcp.example.com/mcp",
    ]


def test_text_fits_a_terminal() -> None:
    output = run("/mcp", "--origin", ORIGIN, "--header", "X-Foo")
    assert "header_not_allowed: answered with 200, the browser stops (x-foo)" in output
    before_curl = output[: output.index("To see it")]
    assert max(map(len, before_curl.splitlines())) <= 80


def test_what_no_fetch_takes_is_a_usage_error() -> None:
    info = ScriptInfo(create_app=make_app)
    for words, message in (
        (["--method", "TRACE"], "'TRACE' HTTP method is unsupported."),
        (["--header", "X Y"], "'X Y' is not a valid header name."),
        (["--origin", "app.example.com"], "'app.example.com' is not an origin as browsers write it: scheme://host"),
    ):
        result = CliRunner().invoke(cli, ["explain", "/mcp", "--origin", ORIGIN, *words], obj=info)
        assert result.exit_code == 2
        assert message in result.output


@pytest.mark.parametrize("command", ["explain", "routes"])
def test_an_app_without_the_extension_is_an_error(command: str) -> None:
    words = ["explain", "/", "--origin", ORIGIN] if command == "explain" else ["routes"]
    result = CliRunner().invoke(cli, words, obj=ScriptInfo(create_app=lambda: Flask("bare")))
    assert result.exit_code == 2
    assert "MCPCors is not initialised on 'bare'" in result.output


@pytest.mark.parametrize("command", [["flask", "mcp-cors"], ["flask_mcp_cors"]], ids=["flask", "python -m"])
def test_both_doors_find_the_app(tmp_path: Path, command: list[str]) -> None:
    source = "from flask import Flask\nfrom flask_mcp_cors import MCPCors\napp = Flask('x')\nMCPCors(app)\napp.run()\n"
    (tmp_path / "served.py").write_text(source)
    module, *group = command
    words = [sys.executable, "-m", module, "--app", "served", *group, "explain", "/", "--origin", "http://localhost:1"]
    result = subprocess.run([*words, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    # Flask says that it ignored app.run(), and then comes the answer.
    assert json.loads(result.stdout[result.stdout.index("{") :])["allowed"] is True


# what is around the app


def answering(status: int) -> Any:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response(f"{status} ", [("Content-Length", "0")])
        return []

    return application


def around(wsgi_app: Any) -> Flask:
    app = make_app()
    app.wsgi_app = wsgi_app(app.wsgi_app)  # type: ignore[method-assign]
    return app


class Authentication:
    """Middleware that answers every request without this token, preflights too."""

    def __init__(self, wsgi_app: Any, *, preflights: bool) -> None:
        self.wsgi_app = wsgi_app
        self.preflights = preflights

    def __call__(self, environ: Any, start_response: Any) -> Any:
        asked = self.preflights or environ["REQUEST_METHOD"] != "OPTIONS"
        if asked and environ.get("HTTP_AUTHORIZATION") != "Bearer secret":
            return answering(401)(environ, start_response)
        return self.wsgi_app(environ, start_response)


def test_middleware_that_answers_preflights_is_the_answer() -> None:
    app = around(lambda inner: Authentication(inner, preflights=True))
    result = explained("/mcp", "--origin", ORIGIN, app=app)
    [preflight] = result["requests"]
    assert (preflight["status"], preflight["answered_outside"], preflight["reason"]) == (401, True, "preflight_allowed")
    assert preflight["response_headers"] == [["Content-Length", "0"]]
    assert "Response to preflight request doesn't pass access control check" in result["console"]
    steps = {step["step"]: step["says"] for step in result["steps"]}
    assert steps["preflight"] == (
        "test_explain.Authentication around the app answers with 401 before the app does; the extension would answer "
        "preflight_allowed; with wrap_wsgi=True, and MCPCors initialised after that layer, it does"
    )
    assert "401" in run("/mcp", "--origin", ORIGIN, app=app)


def test_middleware_that_answers_the_request_is_its_answer() -> None:
    app = around(lambda inner: Authentication(inner, preflights=False))
    result = explained("/mcp", "--origin", ORIGIN, app=app)
    assert [(r["status"], r["answered_outside"]) for r in result["requests"]] == [(200, False), (401, True)]
    assert result["console"].endswith("No 'Access-Control-Allow-Origin' header is present on the requested resource.")
    passing = explained("/mcp", "--origin", ORIGIN, "--header", "Authorization: Bearer secret", app=app)
    assert (passing["allowed"], [r["answered_outside"] for r in passing["requests"]]) == (True, [False, False])


def test_a_mounted_application_answers_for_itself() -> None:
    app = around(lambda inner: DispatcherMiddleware(inner, {"/tools": answering(405)}))
    result = explained("/tools/mcp", "--origin", ORIGIN, app=app)
    assert (result["allowed"], result["requests"][0]["status"]) == (False, 405)
    assert explained("/mcp", "--origin", ORIGIN, app=app)["allowed"] is True


def test_a_layer_that_raises_is_named() -> None:
    def raising(environ: Any, start_response: Any) -> Any:
        raise LookupError

    says = " ".join(run("/mcp", "--origin", ORIGIN, app=around(lambda inner: raising)).split())
    assert "raising around the app raises LookupError before the app does" in says


@pytest.mark.parametrize("wrap_wsgi", [True, False])
def test_the_layer_of_wrap_wsgi_is_no_stranger(*, wrap_wsgi: bool) -> None:
    app = Flask("tools")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/tools": answering(200)})  # type: ignore[method-assign]
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", wrap_wsgi=wrap_wsgi)
    result = explained("/tools/mcp", "--origin", ORIGIN, app=app)
    assert result["requests"][0]["answered_outside"] is not wrap_wsgi
    for origin in (ORIGIN, "https://evil.example"):
        for request in explained("/mcp", "--origin", origin, app=app)["requests"]:
            assert request["answered_outside"] is False


def test_the_app_is_as_it_was_afterwards() -> None:
    app = make_app()
    explained("/mcp", "--origin", ORIGIN, app=app)
    assert "full_dispatch_request" not in vars(app)
    own = app.full_dispatch_request = lambda: Response("own")  # type: ignore[method-assign]
    explained("/mcp", "--origin", ORIGIN, app=app)
    assert app.full_dispatch_request is own


def test_it_says_what_it_cannot_see() -> None:
    steps = {step["step"]: step["says"] for step in explained("/mcp", "--origin", ORIGIN)["steps"]}
    assert steps["not seen"].startswith("the app's before_request functions (test_explain.make_app.<locals>.hook), ")
    assert steps["not seen"].endswith("and what stands in front of the server, such as a proxy or a CDN")
    refused = explained("/mcp", "--origin", "https://evil.example")
    assert "not seen" not in {step["step"] for step in refused["steps"]}


# other callers, other browsers


def test_a_program_that_sends_no_origin() -> None:
    result = explained("/mcp")
    assert (result["origin"], result["allowed"], result["console"]) == (None, True, None)
    [request] = result["requests"]
    assert (request["preflight"], request["reason"]) == (False, "no_origin")
    assert "Origin" not in request["curl"]
    assert "Sec-Fetch" not in request["curl"]
    assert "The browser's console" not in run("/mcp")
    assert explained("https://rebound.example/mcp")["requests"][0]["status"] == 421


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["/mcp", "--method", "a b"], "'a b' is not a valid method."),
        (["/mcp", "--header", "a b"], "'a b' is not a valid header name."),
        (["ftp://mcp.example.com/mcp"], "ftp"),
    ],
)
def test_what_no_program_sends_is_a_usage_error(words: list[str], says: str) -> None:
    result = CliRunner().invoke(cli, ["explain", *words], obj=ScriptInfo(create_app=make_app))
    assert (result.exit_code, says in result.output) == (2, True)


def test_a_callable_that_fails_refuses_and_prints_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    app = Flask("tools")
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", policies={"/t": lambda request: 1 / 0})
    result = explained("/t", "--origin", ORIGIN, app=app)
    assert (result["requests"][0]["reason"], result["requests"][0]["status"]) == ("policy_failed", 403)
    assert "Traceback" not in capfd.readouterr().err


def test_a_callable_that_was_asked_with_a_host_that_is_not_served_is_not_to_blame() -> None:
    app = Flask("tools")
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", policies={"/t": lambda request: NOBODY})
    steps = explained("http://backend/t", "--origin", ORIGIN, app=app)["steps"]
    says = "policies['/t']: a callable, which got a Host that is not served; correct that first"
    assert {"step": "policy", "says": says} in steps


def test_a_method_in_lower_case_is_to_be_written_in_upper_case() -> None:
    """Browsers upper-case DELETE, GET, HEAD, OPTIONS, POST and PUT, not PATCH, and servers know no other case."""
    says = " ".join(run("/mcp", "--origin", ORIGIN, "--method", "patch").split())
    assert "patch: not allowed; write PATCH in the page, in upper case" in says


def test_the_log_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    caplog.clear()
    explained("/mcp", "--origin", "https://evil.example", app=app)
    assert caplog.messages == []
    app.test_client().post("/mcp", base_url="https://mcp.example.com", headers={"Origin": "https://evil.example"})
    assert "origin_not_allowed" in caplog.text


def test_another_browser_is_one_that_is_known() -> None:
    result = CliRunner().invoke(cli, ["explain", "/", "--origin", ORIGIN, "--browser", "lynx"])
    assert (result.exit_code, "chromium" in result.output) == (2, True)


def test_the_apps_own_page_needs_no_entry() -> None:
    app = make_app()
    result = explained("/mcp", "--origin", "https://mcp.example.com", app=app)
    says = {step["step"]: step["says"] for step in result["steps"]}
    assert result["allowed"] is True
    assert says["origin"] == "the app's own, which needs no entry"
    assert says["preflight"] == "none: the page has the same origin, so the browser sends the request at once"


def test_a_policy_that_allows_nobody_is_named() -> None:
    app = Flask("tenants")
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", policies={"/t/*": lambda request: NOBODY})
    result = explained("/t/unknown", "--origin", ORIGIN, app=app)
    says = {step["step"]: step["says"] for step in result["steps"]}
    assert says["origin"] == "origin_not_allowed: the policy is NOBODY"
