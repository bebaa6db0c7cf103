"""``routes`` lists each route and finds what is wrong, and nothing that is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flask import abort
from flask import Blueprint
from flask import Flask
from flask import redirect
from flask import request
from flask import Response
from flask.cli import ScriptInfo
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule

from flask_mcp_cors import __version__
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.__main__ import cli
from flask_mcp_cors.__main__ import main
from flask_mcp_cors.cli.terminal import table
from flask_mcp_cors.extension.routing import rule_pattern

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
        response.headers["access-control-allow-origin"] = "*"
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


def https_behind_a_guard(app: Flask, cors: MCPCors) -> None:
    app.add_url_rule("/guarded", "guarded", cors.protected(lambda credential: None)(new_view()), methods=["POST"])
    https(app, cors)


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
        (https_behind_a_guard, ["https_redirect"]),
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
    found = findings(app)
    assert list(found) == ["loopback_origins_only"]
    assert found["loopback_origins_only"]["fix"] == (
        "add the pages that may call to origins (MCP_CORS_ORIGINS); now http://localhost:*, https://localhost:*, "
        "http://127.0.0.1:*, https://127.0.0.1:*, http://[::1]:*, https://[::1]:*"
    )
    app = Flask("tools")
    MCPCors(app, hosts="mcp.example.com", origins="http://localhost:5610")
    assert findings(app)["loopback_origins_only"]["fix"].endswith("; now http://localhost:5610")


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


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (
            {"allow_headers": ["Content-Type"], "expose_headers": ["X-Total"]},
            "allows no MCP-Protocol-Version, Mcp-Session-Id and does not expose Mcp-Session-Id",
        ),
        ({"allow_headers": ["Content-Type", "MCP-Protocol-Version"]}, "allows no Mcp-Session-Id"),
        ({"expose_headers": []}, None),
        ({"allow_headers": "*", "expose_headers": "*"}, None),
        ({"extra_allow_headers": "X-A", "extra_expose_headers": "X-Total"}, None),
        ({"allow_headers": ["Content-Type"], "validate_origin": False}, None),
        (MCP_REVISIONS["2025-11-25"], None),
    ],
)
def test_lists_without_the_headers_of_mcp_are_a_note(settings: Any, what: str | None) -> None:
    app, _ = make(**settings)
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.add_url_rule("/page", "page", new_view())
    found = findings(app)
    if what is None:
        assert found == {}
    else:
        assert (found["mcp_headers_missing"]["place"], found["mcp_headers_missing"]["severity"]) == (
            "POST /mcp",
            "note",
        )
        assert found["mcp_headers_missing"]["sentence"] == (
            f"The policy {what}, so a browser MCP client cannot use this route."
        )


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


# patterns without routes


@pytest.mark.parametrize(
    ("settings", "place", "like"),
    [
        ({"paths": ["/tools/mcp"]}, "paths: /tools/mcp", " Routes like it: /mcp."),
        ({"paths": ["/mpc"]}, "paths: /mpc", " Routes like it: /mcp."),
        ({"policies": {"/amdin/**": {"origins": "*"}}}, "policies: /amdin/**", " Routes like it: /admin/<name>."),
        ({"policies": {"/nowhere": None}}, "policies: /nowhere", ""),
    ],
)
def test_a_pattern_that_no_route_matches_is_found(settings: dict[str, Any], place: str, like: str) -> None:
    """What it was meant for is open, and nothing else says so."""
    app, _ = make(**settings)
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    app.add_url_rule("/admin/<name>", "admin", new_view())
    found = findings(app)["pattern_without_route"]
    assert (found["place"], found["severity"]) == (place, "warning")
    assert found["sentence"] == f"No route matches this pattern, so it covers nothing.{like}"
    assert run(app, "--strict").exit_code == 1


def test_a_pattern_that_a_route_a_document_or_a_mount_matches_is_fine() -> None:
    patterns = ["/mcp", "/servers/*/mcp", "/servers/a/mcp", "/files/**", "/**/b.txt", "/v1/x", "/sub", "/mounted/x/y"]
    documents = {"/.well-known/oauth-protected-resource/mcp": {"origins": "*"}}
    app, cors = make(paths=patterns, policies=documents)
    for rule in ("/mcp", "/servers/<name>/mcp", "/files/<path:name>", "/v<int:number>/x"):
        app.add_url_rule(rule, rule, new_view(), methods=["POST"])
    app.add_url_rule("/sub", "sub", new_view(), subdomain="<tenant>")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/mounted": answering(200)})  # type: ignore[method-assign]
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
    assert "pattern_without_route" not in findings(app)


def test_routes_below_a_pattern_of_one_segment_are_a_note() -> None:
    """``/api/*`` of flask-cors governs them."""
    app, _ = make(paths=["/api/*", "/v1/**", "/mcp"])
    for rule in ("/api/items", "/api/items/<int:number>", "/v1/a/b", "/mcp", "/other/a"):
        app.add_url_rule(rule, rule, new_view(), methods=["POST"])
    found = findings(app)["pattern_one_segment"]
    assert (found["place"], found["severity"]) == ("paths: /api/*", "note")
    assert found["sentence"] == "* matches one segment, so this does not cover POST /api/items/<int:number>."
    assert found["fix"] == "write /api/** to cover everything below"
    app, _ = make(paths=["/api/*"], policies={"/api/*/**": {"origins": "*"}})
    app.add_url_rule("/api/items", "items", new_view())
    app.add_url_rule("/api/items/<int:number>", "item", new_view())
    assert findings(app) == {}


def test_a_pattern_in_other_case_is_said_to_be_like_the_route() -> None:
    app, _ = make(paths=["/MCP"])
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    assert findings(app)["pattern_without_route"]["sentence"].endswith("Routes like it: /mcp.")


def test_of_many_patterns_without_a_route_ten_are_reported() -> None:
    app, _ = make(policies={f"/tenants/{number}": None for number in range(5000)})
    assert len(json.loads(run(app, "--json").output)["findings"]) == 10


def test_a_converter_that_takes_slashes_is_any_number_of_segments() -> None:
    class Tail(BaseConverter):
        regex = ".*?"
        part_isolating = False

    app = Flask("tools", static_folder=None)
    app.url_map.converters["tail"] = Tail
    assert rule_pattern(app, "/a/<tail:x>") == "/a/**"
    assert rule_pattern(app, "/a/<any(b, 'c/d'):x>/e<y>") == "/a/*/*"


def test_any_host_is_found_where_nobody_said_so() -> None:
    app = Flask("tools", static_folder=None)
    MCPCors(app, origins=ORIGIN)
    found = findings(app)["any_host"]
    assert found["severity"] == "warning"
    assert found["fix"] == 'set hosts (MCP_CORS_HOSTS) to the names of this server, or to "*" to allow this'
    meant = Flask("tools", static_folder=None)
    MCPCors(meant, origins=ORIGIN, hosts="*")
    assert findings(meant) == {}


# what is around and beside the app


def answering(status: int) -> Any:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response(f"{status} ", [("Content-Length", "0")])
        return []

    return application


@pytest.mark.parametrize("wrap_wsgi", [True, False])
def test_a_mounted_application_is_named_unless_the_layer_is_around_it(*, wrap_wsgi: bool) -> None:
    app = Flask("tools", static_folder=None)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/tools": answering(405)})  # type: ignore[method-assign]
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", wrap_wsgi=wrap_wsgi)
    found = findings(app)
    assert list(found) == ([] if wrap_wsgi else ["mount_not_governed"])
    if not wrap_wsgi:
        assert found["mount_not_governed"]["place"] == "/tools"
        assert "wrap_wsgi=True" in found["mount_not_governed"]["fix"]


def test_the_app_itself_as_a_mount_is_no_other_application() -> None:
    app, _ = make()
    app.wsgi_app = DispatcherMiddleware(answering(404), {"/tools": app.wsgi_app})  # type: ignore[method-assign]
    assert "mount_not_governed" not in findings(app)


@pytest.mark.parametrize(("allowed", "found"), [("*", True), ([ORIGIN], False), (None, False)])
@pytest.mark.parametrize("place", ["extension", "layer"])
def test_socket_io_with_any_origin_is_named(allowed: Any, place: str, *, found: bool) -> None:
    """Flask-SocketIO keeps itself in app.extensions; python-socketio's WSGIApp has engineio_app and wsgi_app."""
    app, _ = make()
    server = SimpleNamespace(eio=SimpleNamespace(cors_allowed_origins=allowed, cors_credentials=True))
    if place == "extension":
        app.extensions["socketio"] = SimpleNamespace(server=server)
    else:
        app.wsgi_app = SimpleNamespace(engineio_app=server, wsgi_app=app.wsgi_app)  # type: ignore[method-assign, assignment]
    if found:
        assert findings(app)["other_cors_server"]["sentence"].endswith("any origin may connect, with credentials.")
    else:
        assert findings(app) == {}


def test_connexion_3_is_named() -> None:
    connexion = pytest.importorskip("connexion", reason="pip install 'connexion[flask]>=3'")
    app = connexion.FlaskApp("tools").app
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com")
    assert "flask_mcp_cors.asgi.CORSMiddleware" in findings(app)["asgi_around"]["fix"]


@pytest.mark.parametrize("settings", [{}, {"wrap_wsgi": True}])
def test_exceptions_that_leave_the_app_are_a_note(settings: dict[str, Any]) -> None:
    app, _ = make(**settings)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    assert list(findings(app)) == ([] if settings else ["exceptions_propagate"])
    assert run(app, "--strict").exit_code == 0


# what runs


@pytest.mark.parametrize("answer", ["redirect", "abort", "www-authenticate", None])
def test_a_hook_that_answers_before_the_guard_is_named(answer: str | None) -> None:
    """A login page, or a 401 without challenge, is no way in for an MCP client."""
    app, cors = make()
    calls: list[str] = []

    @app.before_request
    def log_in() -> Any:
        calls.append(request.path)
        if answer == "redirect":
            return redirect("/login")
        if answer == "abort":
            abort(401)
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"}) if answer else None

    app.add_url_rule("/mcp", view_func=cors.protected(lambda credential: None)(new_view()), methods=["POST"])
    app.add_url_rule("/open", "open", new_view())
    found = findings(app)
    assert set(found) == ({"hook_before_guard"} if answer in ("redirect", "abort") else set())
    assert set(calls) <= {"/mcp"}
    if found:
        assert found["hook_before_guard"]["place"].endswith("log_in")
        assert "POST /mcp" in found["hook_before_guard"]["sentence"]
        # Only a login makes the guard superfluous.
        removed = {"abort": ", or remove cors.protected from them", "redirect": ""}[answer or ""]
        assert found["hook_before_guard"]["fix"] == f"let the function return None for these routes{removed}"


@pytest.mark.parametrize("where", ["flask-wtf", "own"])
def test_a_hook_that_stops_some_methods_of_an_mcp_route_is_named_with_these(where: str) -> None:
    """A CSRF check lets GET pass."""
    csrf = pytest.importorskip("flask_wtf.csrf", reason="pip install flask-wtf")
    app, cors = make()
    app.secret_key = "s"
    protect = csrf.CSRFProtect()
    if where == "flask-wtf":
        protect.init_app(app)
    else:

        @app.before_request
        def check() -> None:
            if request.method == "POST":
                abort(400)

    view = cors.protected(lambda credential: None)(new_view())
    app.add_url_rule("/mcp", "mcp", view, methods=["GET", "POST", "DELETE"])
    app.add_url_rule("/open", "open", new_view(), methods=["POST"])
    found = findings(app)["hook_before_guard"]
    methods = {"flask-wtf": "POST DELETE", "own": "POST"}[where]
    assert found["sentence"].endswith(f"so clients get no challenge that tells them how to log in: {methods} /mcp.")
    if where == "own":
        assert found["fix"] == "let the function return None for these routes"
        return
    assert found["fix"] == "write csrf.exempt(view) for these views"
    protect.exempt(view)
    assert findings(app) == {}


def test_no_view_and_no_callable_of_the_user_runs(capfd: pytest.CaptureFixture[str]) -> None:
    """Also where a layer outside takes Origin away, and a rule takes every method."""

    def choose(request: Any) -> Any:
        raise AssertionError("routes asks no callable")

    app, _ = make(policies={"/t/*": choose})
    app.testing = True
    app.url_map.add(Rule("/any", endpoint="any"))
    app.view_functions["any"] = new_view()
    app.add_url_rule("/t/<name>", view_func=new_view(), methods=["POST"])
    inner = app.wsgi_app

    def without_origin(environ: Any, start_response: Any) -> Any:
        environ.pop("HTTP_ORIGIN", None)
        return inner(environ, start_response)

    app.wsgi_app = without_origin  # type: ignore[method-assign]
    assert list(findings(app)) == ["outer_layer_changes"]
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(AssertionError, match="routes runs no view"):
        app.test_client().get("/any", base_url="https://mcp.example.com")


# what it looks like


def test_subdomains_and_hosts_are_shown_and_asked_there() -> None:
    app, _ = make(hosts=["example.com", "*.example.com"])
    app.config["SERVER_NAME"] = "example.com"
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"], subdomain="<tenant>")
    result = run(app)
    assert "<tenant>.*/mcp" in result.output
    assert "no findings" in result.output
    [row] = json.loads(run(app, "--json").output)["routes"]
    assert (row["rule"], row["subdomain"], row["host"]) == ("/mcp", "<tenant>", None)


def test_one_route_is_one_route() -> None:
    app, _ = make()
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    assert run(app).output.endswith("1 route, no findings\n")


def test_what_protects_otherwise_is_said_to_be_unseen() -> None:
    app, cors = make()
    app.add_url_rule("/mcp", "mcp", cors.protected(lambda credential: None)(new_view()), methods=["POST"])
    assert "not seen" not in run(app).output
    app, _ = make()
    app.add_url_rule("/mcp", view_func=new_view(), methods=["POST"])
    assert "Other decorators and hooks may protect these" in run(app).output


def test_a_console_that_cannot_print_a_rule_prints_it_escaped(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(
        "from flask import Flask\nfrom flask_mcp_cors import MCPCors\napp = Flask('x', static_folder=None)\n"
        "MCPCors(app)\napp.add_url_rule('/\u00fc', 'x', lambda: 'x')\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "flask_mcp_cors", "--app", "served", "routes"]
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "/\\xfc" in result.stdout


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_colour_is_for_terminals_only(words: list[str]) -> None:
    app, _ = make(paths=["/nowhere"])
    assert "\x1b" not in run(app, *words).output
    coloured = CliRunner().invoke(cli, ["routes", *words], obj=ScriptInfo(create_app=lambda: app), color=True)
    assert ("\x1b[33m\x1b[1mWARNING\x1b[0m pattern_without_route" in coloured.output) is not words


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, _ = make(paths=["/nowhere"])
    result = CliRunner().invoke(cli, ["routes"], obj=ScriptInfo(create_app=lambda: app), color=True)
    assert "\x1b" not in result.output


@pytest.mark.parametrize(("columns", "longest"), [("40", 40), ("100", 100), ("500", 120)])
def test_text_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str, longest: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    app = Flask("tools", static_folder=None)
    MCPCors(app, origins=ORIGIN)
    lines = run(app).output.splitlines()
    assert longest - 20 < max(map(len, lines)) <= longest


def test_a_table_in_a_pipe_breaks_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    app, _ = make()
    rule = "/organisations/<organisation>/tenants/<tenant>/tool-servers/<server>/mcp"
    app.add_url_rule(rule, "a-view-with-a-long-name", new_view(), methods=["GET", "POST", "DELETE"])
    [row] = [line for line in run(app).output.splitlines() if line.startswith("/organisations")]
    assert row.startswith(f"{rule}  ")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert max(map(len, table(("ROUTE", "METHODS"), [(rule * 2, "GET")]).splitlines())) == 80


@pytest.mark.parametrize("words", [["flask", "--help"], ["flask_mcp_cors", "--help"]])
def test_the_list_of_commands_is_not_cut(words: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, timeout=60)
    assert "..." not in result.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("group", [cli, main])
def test_the_version(group: Any) -> None:
    assert CliRunner().invoke(group, ["--version"]).output == f"Flask-MCP-CORS, version {__version__}\n"


def test_hosts_are_shown_where_routes_are_matched_by_them() -> None:
    app = Flask("tools", static_folder=None, host_matching=True)
    MCPCors(app, origins=ORIGIN, hosts=["a.example", "x.b.example"])
    app.add_url_rule("/mcp", "a", new_view(), methods=["POST"], host="a.example")
    app.add_url_rule("/mcp", "b", new_view(), methods=["POST"], host="<tenant>.b.example")
    assert [row["host"] for row in json.loads(run(app, "--json").output)["routes"]] == [
        "<tenant>.b.example",
        "a.example",
    ]
    assert findings(app) == {}


def test_a_policy_that_a_callable_chooses_is_said_to_be_chosen() -> None:
    app, _ = make(policies={"/t/*": lambda request: None})
    app.add_url_rule("/t/<name>", view_func=new_view(), methods=["POST"])
    assert "policies['/t/*']: chosen for each request" in run(app).output


def test_a_hook_that_fails_outside_of_a_real_request_is_no_finding() -> None:
    app, cors = make()

    @app.before_request
    def needs_more() -> None:
        raise KeyError(request.headers["X-Tenant"])

    app.add_url_rule("/mcp", view_func=cors.protected(lambda credential: None)(new_view()), methods=["POST"])
    assert findings(app) == {}
