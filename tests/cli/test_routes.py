"""``routes`` lists each route and finds what is wrong, and nothing that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Blueprint
from flask import Flask
from flask import redirect
from flask import request
from flask import Response
from flask.cli import ScriptInfo
from flask.views import MethodView

from flask_mcp_cors import MCPCors
from flask_mcp_cors.__main__ import cli

ORIGIN = "https://app.example.com"


def run(app: Flask, *words: str) -> Any:
    return CliRunner().invoke(cli, ["routes", *words], obj=ScriptInfo(create_app=lambda: app), catch_exceptions=False)


def findings(app: Flask) -> dict[str, dict[str, str]]:
    found = json.loads(run(app, "--json").output)["findings"]
    assert len({(f["code"], f["place"]) for f in found}) == len(found)
    return {finding["code"]: finding for finding in found}


def make(**settings: Any) -> tuple[Flask, MCPCors]:
    app = Flask("tools", static_folder=None)
    cors = MCPCors(app, **{"origins": ORIGIN, "hosts": "mcp.example.com", **settings})
    return app, cors


def new_view() -> Callable[[], str]:
    """A view of its own for each test: marks stay on a function."""

    def view() -> str:
        raise AssertionError("routes runs no view")

    return view


def test_a_good_app_has_no_findings() -> None:
    app, cors = make()
    app.secret_key = "x"
    guard = cors.protected(lambda credential: None)

    @app.before_request
    def authenticate() -> Response | None:
        return None if request.endpoint else Response(status=401)

    app.add_url_rule("/mcp", view_func=guard(new_view()), methods=["GET", "POST", "DELETE"])
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
    result = run(app, "--strict")
    assert result.exit_code == 0
    assert "no findings" in result.output


def test_the_table() -> None:
    app, cors = make(policies={"/public/**": {"origins": "*", "allow_methods": "GET"}})
    blueprint = Blueprint("other", __name__)
    blueprint.add_url_rule("/other", "view", new_view(), methods=["POST"])
    cors.policy(origins="https://other.example", allow_credentials=True)(blueprint)
    app.register_blueprint(blueprint)
    app.add_url_rule("/health", "health", cors.exempt(new_view()))
    app.add_url_rule("/public/<path:name>", "public", new_view())
    app.add_url_rule("/mcp/<int:number>", "mcp", cors.protected(lambda c: None)(new_view()), methods=["POST"])
    output = run(app).output
    assert output.splitlines()[0].split() == ["ROUTE", "METHODS", "POLICY", "PROTECTION"]
    assert "https://other.example; with credentials" in output
    assert max(map(len, output.splitlines())) <= 80
    rows = json.loads(run(app, "--json").output)["routes"]
    assert [(row["rule"], row["methods"], row["policy"], row["protection"]) for row in rows] == [
        ("/health", ["GET"], None, []),
        ("/mcp/<int:number>", ["POST"], "the default policy", ["Bearer"]),
        ("/other", ["POST"], "the mark on blueprint 'other'", []),
        ("/public/<path:name>", ["GET"], "policies['/public/**']", []),
    ]


def test_methods_of_one_path_may_differ() -> None:
    app, cors = make()

    class MCP(MethodView):
        @cors.protected(lambda credential: None)
        def post(self) -> str:
            return new_view()()

        def delete(self) -> str:
            return new_view()()

    app.add_url_rule("/mcp", view_func=MCP.as_view("mcp"))
    found = findings(app)
    assert list(found) == ["method_unprotected"]
    assert found["method_unprotected"]["place"] == "DELETE /mcp"
    assert run(app, "--strict").exit_code == 1
    assert run(app).exit_code == 0


def options_itself(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST", "OPTIONS"])


def hook_first(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.before_request_funcs[None].insert(0, lambda: None)


def hook_last(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.after_request_funcs[None].insert(0, lambda response: response)


def other_layer(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])

    @app.after_request
    def allow_everybody(response: Response) -> Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response


def flask_cors_extension(app: Flask, cors: MCPCors) -> None:
    pytest.importorskip("flask_cors", reason="pip install flask-cors").CORS(app)
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])


def flask_cors_decorator(app: Flask, cors: MCPCors) -> None:
    decorator = pytest.importorskip("flask_cors", reason="pip install flask-cors").cross_origin
    app.add_url_rule("/mcp", view_func=decorator(automatic_options=False)(new_view()), methods=["POST"])


def slash(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp/", view_func=new_view(), methods=["POST"])


def https(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])

    @app.before_request
    def secure() -> Any:
        return None if request.is_secure else redirect(request.url.replace("http:", "https:"))


def wildcard(app: Flask, cors: MCPCors) -> None:
    app.secret_key = "x"
    app.add_url_rule("/mcp", view_func=cors.policy(origins="*")(new_view()), methods=["POST"])


def unused_guard(app: Flask, cors: MCPCors) -> None:
    guarded = cors.protected(lambda credential: None)(new_view())
    app.add_url_rule("/mcp", "mcp", lambda: guarded() + "", methods=["POST"])


def unused_policy(app: Flask, cors: MCPCors) -> None:
    marked = cors.policy(origins="*")(new_view())
    app.add_url_rule("/mcp", "mcp", lambda: marked() + "", methods=["POST"])


def outer_layer(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    inner = app.wsgi_app

    def authenticating(environ: Any, start_response: Any) -> Any:
        if "HTTP_AUTHORIZATION" not in environ:
            start_response("401 UNAUTHORIZED", [])
            return []
        return inner(environ, start_response)

    app.wsgi_app = authenticating  # type: ignore[method-assign]


def doubling_layer(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    inner = app.wsgi_app

    def doubling(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Access-Control-Allow-Origin", "*")], exc_info)

        return inner(environ, start)

    app.wsgi_app = doubling  # type: ignore[method-assign]


def crashing(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.url_value_preprocessor
    def look_up(endpoint: str | None, values: Any) -> None:
        raise LookupError


@pytest.mark.parametrize(
    ("build", "codes"),
    [
        (options_itself, ["view_handles_options"]),
        (hook_first, ["hook_runs_first"]),
        (hook_last, ["hook_runs_last"]),
        (other_layer, ["other_cors_layer"]),
        (flask_cors_extension, ["other_cors_layer"]),
        (flask_cors_decorator, ["other_cors_layer"]),
        (slash, ["slash_redirect"]),
        (https, ["https_redirect"]),
        (wildcard, ["wildcard_beside_cookies"]),
        (unused_guard, ["guard_unused"]),
        (unused_policy, ["policy_unused"]),
        (outer_layer, ["outer_layer_answers"]),
        (doubling_layer, ["headers_doubled"]),
        (crashing, ["exceptions_propagate", "preflight_crashes", "runs_before_hooks"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_fault_is_found_and_nothing_else(build: Callable[[Flask, MCPCors], None], codes: list[str]) -> None:
    app, cors = make()
    build(app, cors)
    found = findings(app)
    assert sorted(found) == codes
    for finding in found.values():
        assert finding["sentence"].endswith(".")
        assert finding["fix"]
    result = run(app, "--strict")
    assert result.exit_code == 1
    assert max(map(len, result.output.splitlines())) <= 80


def test_a_slash_redirect_of_a_route_that_only_reads_is_a_note() -> None:
    """An event stream stops at it, too. A person's browser does not, so it is nothing that is wrong."""
    app, cors = make()
    app.add_url_rule("/sse/", view_func=new_view())
    app.add_url_rule("/exempt/", view_func=cors.exempt(new_view()), endpoint="exempt")
    found = findings(app)
    assert list(found) == ["slash_redirect"]
    assert found["slash_redirect"]["severity"] == "note"
    assert found["slash_redirect"]["place"] == "GET /sse/"
    assert "event stream" in found["slash_redirect"]["sentence"]
    assert run(app, "--strict").exit_code == 0


def test_slash_redirects_of_both_kinds_are_two_findings() -> None:
    app, _ = make()
    app.add_url_rule("/sse/", view_func=new_view(), endpoint="sse")
    app.add_url_rule("/mcp/", view_func=new_view(), methods=["POST"], endpoint="mcp")
    found = json.loads(run(app, "--json").output)["findings"]
    assert [(finding["code"], finding["severity"], finding["place"]) for finding in found] == [
        ("slash_redirect", "warning", "POST /mcp/"),
        ("slash_redirect", "note", "GET /sse/"),
    ]


def test_a_wildcard_on_a_route_that_only_reads_is_a_note() -> None:
    app, cors = make()
    app.secret_key = "x"
    app.add_url_rule("/page", view_func=cors.policy(origins="*")(new_view()))
    found = findings(app)
    assert list(found) == ["wildcard_beside_cookies"]
    assert found["wildcard_beside_cookies"]["severity"] == "note"
    assert found["wildcard_beside_cookies"]["place"] == "GET /page"
    assert "without cookies" in found["wildcard_beside_cookies"]["sentence"]
    assert run(app, "--strict").exit_code == 0


def test_a_wildcard_on_what_has_no_cookies_is_nothing() -> None:
    """Static files and the documents of discovery are nobody's in particular; without sessions nothing is."""
    app = Flask("tools", static_folder=".")
    cors = MCPCors(app, origins="*", hosts="mcp.example.com")
    app.secret_key = "x"
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
    app.add_url_rule("/mcp", view_func=cors.protected(lambda credential: None)(new_view()), methods=["GET", "POST"])
    assert findings(app) == {}
    without_sessions, cors = make()
    without_sessions.add_url_rule("/page", view_func=cors.policy(origins="*")(new_view()), methods=["GET", "POST"])
    assert findings(without_sessions) == {}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "so it arrives there with Origin: null and is refused."),
        ({"origins": "*"}, "so it arrives there with Origin: null, which this policy allows."),
        ({"validate_origin": False}, "so it arrives there with Origin: null, which may not read the answer."),
        ({"policies": {"/mcp": lambda request: None}}, "Origin: null, which the policy chosen for it may refuse."),
    ],
)
def test_what_becomes_of_a_request_after_the_redirect_to_https(settings: dict[str, Any], says: str) -> None:
    app, cors = make(**settings)
    https(app, cors)
    assert says in findings(app)["https_redirect"]["sentence"]
    answer = app.test_client().post("/mcp", base_url="https://mcp.example.com", headers={"Origin": "null"})
    assert (answer.status_code == 403) is ("refuse" in says)


def test_the_outer_layer_is_named() -> None:
    app, cors = make()
    outer_layer(app, cors)
    assert "test_routes.outer_layer.<locals>.authenticating" in findings(app)["outer_layer_answers"]["sentence"]


def test_a_public_server_that_only_this_machine_may_call() -> None:
    app = Flask("tools")
    MCPCors(app, hosts="mcp.example.com")
    assert list(findings(app)) == ["loopback_origins_only"]


@pytest.mark.parametrize("settings", [{}, {"hosts": ["localhost", "127.0.0.1:*"]}, {"origins": ORIGIN, "hosts": "a.b"}])
def test_loopback_is_fine_where_it_belongs(settings: dict[str, Any]) -> None:
    app = Flask("tools")
    MCPCors(app, **settings)
    assert findings(app) == {}


def test_wrap_wsgi_leaves_nothing_before_it() -> None:
    app, _ = make(wrap_wsgi=True)
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.url_value_preprocessor(lambda endpoint, values: None)
    assert findings(app) == {}


def test_notes_are_no_fault() -> None:
    app, _ = make()
    app.url_value_preprocessor(lambda endpoint, values: None)
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    assert list(findings(app)) == ["runs_before_hooks"]
    assert run(app, "--strict").exit_code == 0


def test_what_is_not_governed_is_nobodys_business() -> None:
    app, cors = make()
    app.add_url_rule("/other/", view_func=cors.exempt(new_view()), methods=["POST", "OPTIONS"])
    assert findings(app) == {}
