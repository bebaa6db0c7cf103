"""The Flask adapter: first and last place, every response, one decision."""

import gc
import logging
import pickle
import weakref
from urllib.parse import unquote

import pytest
from flask import abort
from flask import Blueprint
from flask import current_app
from flask import Flask
from flask import g
from flask import got_request_exception
from flask import redirect
from flask import request
from flask import request_started
from flask import Response
from flask import session
from pages import APP
from pages import EVIL
from pages import FROM_APP
from pages import FROM_EVIL
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors import preflight_answered
from flask_mcp_cors import Reason
from flask_mcp_cors import request_refused
from flask_mcp_cors import SecurityHeaders
from flask_mcp_cors.extension.routing import is_static

PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


@pytest.fixture
def calls(app):
    """A view that writes down that it was reached."""
    reached = []

    @app.route("/mcp", methods=["GET", "POST", "PUT", "DELETE"])
    def mcp():
        reached.append(request.method)
        return "ok"

    return reached


def init(app, **settings):
    return MCPCors(app, **{"origins": APP, "hosts": "localhost", **settings})


@pytest.mark.parametrize("wrap_wsgi", [False, True])
def test_current_app_is_the_app(app, calls, wrap_wsgi):
    """Some hosts of cloud functions have an app of their own and give no other name for it."""
    with app.app_context():
        cors = init(current_app, wrap_wsgi=wrap_wsgi)
        cors.serve_resource_metadata(current_app, resource="https://localhost/mcp")
        with pytest.raises(RuntimeError, match="is initialised on this app"):
            cors.init_app(app)
    client = app.test_client()
    assert client.options("/mcp", headers=PREFLIGHT).headers["Access-Control-Allow-Origin"] == APP
    assert client.get("/.well-known/oauth-protected-resource/mcp").json["resource"] == "https://localhost/mcp"


def test_a_fault_in_the_settings_of_current_app_leaves_the_app_as_it_was(app):
    with app.app_context(), pytest.raises(ValueError, match="trailing slash"):
        init(current_app, origins=f"{APP}/")
    assert not app.before_request_funcs
    assert "mcp_cors" not in app.extensions


class Dash:
    server = Flask("inside")


class Restx:
    app = Flask("inside")


class Starlette:
    def add_middleware(self, *args):
        raise AssertionError


AROUND_ANOTHER = "write CORSMiddleware(app, …) around another WSGI app, flask_mcp_cors.asgi.CORSMiddleware for ASGI"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (Dash(), ": write MCPCors(x.server, …), where x is this object"),
        (Restx(), ": write MCPCors(x.app, …), where x is this object"),
        (Starlette(), ": write app.add_middleware(flask_mcp_cors.asgi.CORSMiddleware, …)"),
        (lambda environ, start_response: [], f": {AROUND_ANOTHER}"),
        (Blueprint("b", "b"), "not <Blueprint 'b'>: to give a blueprint a policy, write cors.policy(…)(blueprint)"),
        ("app", f"MCPCors takes a Flask app, not 'app': {AROUND_ANOTHER}"),
    ],
    ids=["dash", "restx", "starlette", "wsgi", "blueprint", "string"],
)
def test_what_is_no_flask_app_is_refused_with_what_to_write(other, says):
    with pytest.raises(TypeError) as caught:
        init(other)
    assert str(caught.value).endswith(says)


def call(app, environ):
    """POST to /mcp with a changed environ, past a test client that wants a URL of it; the status."""
    _, status, _ = run_wsgi_app(app, EnvironBuilder("/mcp", method="POST").get_environ() | environ, buffered=True)
    return int(status.split()[0])


def cors_headers(response):
    return sorted(name for name in response.headers.keys() if name.startswith("Access-Control"))  # noqa: SIM118


class TestPreflight:
    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    def test_it_comes_before_every_hook_whatever_the_order(self, app, calls, late):
        if not late:
            init(app)

        @app.before_request
        def authenticate():
            abort(401)

        @app.url_value_preprocessor
        def harmless(endpoint, values):
            calls.append(endpoint)

        if late:
            init(app)
        response = app.test_client().options("/mcp", headers=PREFLIGHT)
        assert response.status_code == 200
        assert response.data == b""
        assert "Content-Type" not in response.headers
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert SECURITY.items() <= dict(response.headers).items()
        assert calls == ["mcp"]
        assert app.test_client().options("/mcp").status_code == 401

    @pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/nowhere", "/post-only", "/slash"])
    def test_it_is_answered_whether_routed_or_not(self, app, calls, path):
        init(app)
        app.add_url_rule("/post-only", view_func=lambda: "", methods=["POST"], provide_automatic_options=False)
        app.add_url_rule("/slash/", view_func=lambda: "", endpoint="slash", methods=["POST"])
        response = app.test_client().options(path, headers=PREFLIGHT)
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, APP)

    def test_its_body_cookies_and_content_type_are_never_looked_at(self, app, calls):
        init(app)
        client = app.test_client()
        client.set_cookie("session", "forged")
        headers = {**PREFLIGHT, "Content-Type": "application/json"}
        assert client.options("/mcp", headers=headers, data=b"{" * 10_000).status_code == 200

    def test_a_view_that_lists_options_is_not_reached(self, app):
        init(app)
        app.add_url_rule("/own", view_func=lambda: abort(500), methods=["OPTIONS", "POST"])
        assert app.test_client().options("/own", headers=PREFLIGHT).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Origin": APP}, {"Access-Control-Request-Method": "POST"}, {"Access-Control-Request-Headers": "x"}],
    )
    def test_any_other_options_reaches_the_application(self, app, headers):
        init(app)
        app.add_url_rule("/own", view_func=lambda: ("mine", 418), methods=["OPTIONS"])
        assert app.test_client().options("/own", headers=headers).status_code == 418

    def test_the_status_is_the_policys(self, app):
        init(app, preflight_status=204)
        response = app.test_client().options("/", headers=PREFLIGHT)
        assert (response.status_code, response.data) == (204, b"")

    def test_a_refused_one_says_why_and_nothing_else(self, app, calls):
        init(app)
        response = app.test_client().options("/mcp", headers={**PREFLIGHT, "Origin": EVIL})
        assert response.status_code == 403
        assert cors_headers(response) == []
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json == {
            "jsonrpc": "2.0",
            "error": {"code": 403, "message": "This origin is not allowed.", "data": {"reason": "origin_not_allowed"}},
        }
        assert SECURITY.items() <= dict(response.headers).items()


class TestRealResponses:
    @pytest.mark.parametrize(
        ("path", "status"),
        [("/ok", 200), ("/redirect", 302), ("/401", 401), ("/403", 403), ("/404", 404), ("/429", 429), ("/crash", 500)],
    )
    def test_every_response_carries_the_headers_once(self, app, path, status):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        init(app)
        app.add_url_rule("/ok", "ok", lambda: "ok")
        app.add_url_rule("/redirect", "redirect", lambda: redirect("/ok"))
        app.add_url_rule("/crash", "crash", lambda: 1 / 0)
        for code in (401, 403, 429):
            app.add_url_rule(f"/{code}", str(code), lambda code=code: abort(code))
        response = app.test_client().get(path, headers=FROM_APP)
        assert response.status_code == status
        assert response.headers.getlist("Access-Control-Allow-Origin") == [APP]
        assert response.headers.getlist("Vary") == ["Origin"]
        assert SECURITY.items() <= dict(response.headers).items()

    def test_405_and_slash_redirects_carry_them(self, app, calls):
        init(app)
        app.add_url_rule("/slash/", view_func=lambda: "", endpoint="slash")
        for method, path, status in (("PATCH", "/mcp", 405), ("GET", "/slash", 308)):
            response = app.test_client().open(path, method=method, headers=FROM_APP)
            assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (status, APP)

    def test_streams_carry_them_and_are_not_buffered(self, app):
        init(app)
        app.add_url_rule("/sse", view_func=lambda: Response(iter(["data: 1\n\n"]), mimetype="text/event-stream"))
        response = app.test_client().get("/sse", headers=FROM_APP)
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Access-Control-Allow-Origin"] == APP

    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    def test_foreign_cors_headers_are_removed_whoever_set_them(self, app, late):
        if not late:
            init(app)

        @app.after_request
        def other_layer(response):
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Private-Network"] = "true"
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
            response.vary.add("Accept")
            return response

        if late:
            init(app)
        response = app.test_client().get("/nowhere", headers=FROM_APP)
        assert response.headers.getlist("Access-Control-Allow-Origin") == [APP]
        assert "Access-Control-Allow-Private-Network" not in response.headers
        assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert response.headers["Vary"] == "Accept, Origin"
        assert cors_headers(app.test_client().get("/nowhere")) == []

    def test_a_session_adds_to_vary(self, app):
        app.secret_key = "key"
        init(app)
        app.add_url_rule("/login", view_func=lambda: session.update(user=1) or "in")
        response = app.test_client().get("/login", headers=FROM_APP)
        assert "Origin" in response.vary
        assert "Cookie" in response.vary

    def test_a_failure_before_the_first_hook_is_readable_too(self, app):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        init(app)

        def broken(sender, **extra):
            raise RuntimeError("no")

        with request_started.connected_to(broken, app):
            for origin, allow in ((APP, APP), (EVIL, None)):
                response = app.test_client().get("/", headers={"Origin": origin})
                assert (response.status_code, response.headers.get("Access-Control-Allow-Origin")) == (500, allow)

    def test_security_headers_can_be_left_out_and_chosen(self, app):
        init(app, security_headers=SecurityHeaders(frame_options=None, strict_transport_security="max-age=1"))
        secure = app.test_client().get("/", base_url="https://localhost").headers
        assert "X-Frame-Options" not in secure
        assert secure["Strict-Transport-Security"] == "max-age=1"
        assert "Strict-Transport-Security" not in app.test_client().get("/").headers
        other = Flask("other")
        init(other, security_headers=None)
        assert not SECURITY.keys() & dict(other.test_client().get("/").headers).keys()


class TestOriginValidation:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    @pytest.mark.parametrize("origin", [EVIL, "null", "junk", f"{APP}, {EVIL}"])
    def test_a_foreign_request_never_reaches_hook_or_view(self, app, calls, method, origin):
        init(app)
        app.before_request(lambda: calls.append("hook"))
        response = app.test_client().open("/mcp", method=method, headers={"Origin": origin})
        assert (response.status_code, calls, cors_headers(response)) == (403, [], [])

    def test_an_image_on_another_site_never_reaches_the_view(self, app, calls):
        init(app)
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert app.test_client().get("/mcp", headers=headers).status_code == 403
        assert calls == []

    @pytest.mark.parametrize("wrap", [False, True])
    def test_static_files_may_be_embedded(self, app, tmp_path, wrap):
        (tmp_path / "logo.txt").write_text("logo")
        app.static_folder = str(tmp_path)
        blueprint = Blueprint(
            "shop", __name__, static_folder=str(tmp_path), static_url_path="/static", url_prefix="/shop"
        )
        app.register_blueprint(blueprint)
        app.add_url_rule("/fake", "fake.static", lambda: "not a file")
        init(app, wrap_wsgi=wrap)
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        client = app.test_client()
        for path, status in (("/static/logo.txt", 200), ("/shop/static/logo.txt", 200), ("/fake", 403)):
            with client.get(path, headers=headers) as response:
                assert response.status_code == status

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "http://localhost"},
            {},
        ],
    )
    def test_the_apps_own_pages_keep_working(self, app, calls, headers):
        init(app)
        response = app.test_client().post("/mcp", headers=headers)
        assert (response.status_code, calls, cors_headers(response)) == (200, ["POST"], [])

    def test_the_report_mode_lets_it_run_and_logs_it(self, app, calls, caplog):
        init(app, validate_origin="report")
        seen = []
        with request_refused.connected_to(lambda sender, **facts: seen.append(facts), app):
            response = app.test_client().post("/mcp", headers=FROM_EVIL)
        assert (response.status_code, calls, cors_headers(response)) == (200, ["POST"], [])
        assert "would have been refused: origin_not_allowed" in caplog.text
        assert [(facts["decision"].reason, facts["path"]) for facts in seen] == [(Reason.ORIGIN_NOT_ALLOWED, "/mcp")]

    def test_without_validation_it_runs_without_headers(self, app, calls, caplog):
        init(app, validate_origin=False)
        caplog.clear()
        response = app.test_client().post("/mcp", headers=FROM_EVIL)
        assert (response.status_code, cors_headers(response)) == (200, [])

    def test_the_scheme_and_host_are_those_that_proxy_fix_yields(self, app, calls):
        init(app, hosts="mcp.example.com")
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "mcp.example.com"}
        client = app.test_client()
        own = {**forwarded, "Origin": "https://mcp.example.com"}
        assert client.post("/mcp", headers=own, base_url="http://backend:8000").status_code == 200
        assert client.post("/mcp", base_url="http://backend:8000").status_code == 421

    def test_forwarded_headers_never_decide_by_themselves(self, app, calls, caplog):
        init(app, hosts="mcp.example.com")
        headers = {"X-Forwarded-Host": "mcp.example.com", "X-Forwarded-Proto": "https"}
        response = app.test_client().post("/mcp", headers=headers, base_url="http://evil.example")
        assert (response.status_code, calls) == (421, [])
        assert "ProxyFix" in caplog.text

    @pytest.mark.parametrize(
        ("forwarded", "hint"),
        [
            ({"X-Forwarded-Host": "mcp.example.com"}, True),
            ({"X-Forwarded-Host": "a.example, backend:8000"}, False),
            ({"X-Forwarded-Proto": "https"}, False),
        ],
    )
    def test_a_proxy_fix_without_x_host_is_logged(self, app, calls, caplog, forwarded, hint):
        init(app, hosts="mcp.example.com")
        app.wsgi_app = ProxyFix(app.wsgi_app)
        assert app.test_client().post("/mcp", headers=forwarded, base_url="http://backend:8000").status_code == 421
        assert ("if your proxy sets it, write ProxyFix(..., x_host=1)" in caplog.messages[-1]) is hint

    def test_files_of_nested_blueprints_are_static(self, app, tmp_path):
        inner = Blueprint("inner", __name__, static_folder=str(tmp_path), static_url_path="/files")
        outer = Blueprint("outer", __name__)
        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        assert is_static(app, "outer.inner.static")
        assert not is_static(app, "outer.static")
        assert not is_static(app, None)

    def test_the_pages_of_the_server_name_are_the_apps_own(self):
        app = Flask("app")
        app.config["SERVER_NAME"] = "mcp.example.com"
        MCPCors(app, origins=APP)
        app.add_url_rule("/x", view_func=lambda: "in")
        client = app.test_client()
        for origin, status in (("https://mcp.example.com", 200), ("https://b.example", 403)):
            answer = client.get("/x", base_url="https://mcp.example.com", headers={"Origin": origin})
            assert answer.status_code == status


class TestHosts:
    def test_an_unserved_host_is_misdirected(self, app, calls):
        init(app, hosts="mcp.example.com")
        response = app.test_client().post("/mcp", headers=FROM_APP)
        assert (response.status_code, calls, cors_headers(response)) == (421, [], [])
        assert response.json["error"]["code"] == 421

    def test_nothing_configured_serves_this_machine_only(self, app, calls):
        MCPCors(app)
        client = app.test_client()
        assert client.post("/mcp").status_code == 200
        assert client.post("/mcp", headers={"Origin": "http://localhost:6274"}).status_code == 200
        assert client.post("/mcp", base_url="http://mcp.example.com").status_code == 421

    def test_trusted_hosts_are_taken_over(self, app, calls):
        app.config["TRUSTED_HOSTS"] = ["mcp.example.com"]
        MCPCors(app, origins=APP)
        assert app.test_client().post("/mcp", base_url="https://mcp.example.com").status_code == 200
        assert app.test_client().post("/mcp", base_url="https://evil.example").status_code == 421

    @pytest.mark.parametrize("host", ["", "a b", "localhost:x", "a" * 3000, "\xff", "localhost,localhost"])
    def test_a_malformed_host_is_never_served_and_never_raises(self, app, calls, host):
        init(app, hosts="*")
        assert (call(app, {"HTTP_HOST": host}), calls) == (421, [])


class TestPathsAndPolicies:
    @pytest.mark.parametrize(
        ("path", "governed"),
        [
            ("/mcp", True),
            ("//mcp", True),
            ("/mcp/", True),
            ("/%6dcp", True),
            ("/%256dcp", False),
            ("/MCP", False),
            ("/other", False),
            ("/mcp+", False),
            ("/x/../mcp", True),
        ],
    )
    def test_paths_are_matched_as_flask_routes_them(self, app, path, governed):
        init(app, paths="/mcp")
        app.add_url_rule("/<path:rest>", view_func=lambda rest: "ran", methods=["POST"])
        # A test client reads "//mcp" as a host, and a browser's path comes with its escapes.
        decoded = unquote(path)
        response = app.test_client().post("/", headers=FROM_EVIL, environ_overrides={"PATH_INFO": decoded})
        assert (response.status_code == 403) is governed

    def test_outside_paths_the_app_is_left_alone(self, app, calls):
        init(app, paths="/api/**")
        response = app.test_client().post("/mcp", headers=FROM_EVIL)
        assert (response.status_code, calls) == (200, ["POST"])
        assert not {*SECURITY, "Vary"} & dict(response.headers).keys()
        assert app.test_client().options("/mcp", headers=PREFLIGHT).headers.get("Access-Control-Allow-Origin") is None

    def test_an_app_under_a_prefix_matches_its_own_paths(self, app, calls):
        init(app, paths="/mcp")
        client = Client(DispatcherMiddleware(Flask("root"), {"/prefix": app}))
        assert client.post("/prefix/mcp", headers=FROM_EVIL).status_code == 403
        assert client.post("/prefix/mcp", headers=FROM_APP).status_code == 200

    def test_a_callable_is_the_policy_per_tenant(self, app):
        tenants = {"a": CORSPolicy(origins="https://a.example"), "b": CORSPolicy(origins="https://b.example")}

        def choose(req):
            return tenants.get(req.path.split("/")[2])

        init(app, policies={"/servers/*/mcp": choose})
        app.add_url_rule("/servers/<name>/mcp", view_func=lambda name: name, methods=["POST"])
        client = app.test_client()

        def status(tenant, origin):
            return client.post(f"/servers/{tenant}/mcp", headers={"Origin": origin}).status_code

        assert [status("a", "https://a.example"), status("a", "https://b.example")] == [200, 403]
        assert [status("b", "https://b.example"), status("b", APP)] == [200, 403]
        assert [status("none", APP), status("none", "https://a.example")] == [200, 403]

    @pytest.mark.parametrize("broken", [lambda req: 1 / 0, lambda req: {"origins": "*"}], ids=["raises", "wrong-type"])
    def test_a_callable_that_fails_refuses_and_is_logged(self, app, calls, broken, caplog):
        init(app, policies={"/mcp": broken})
        for headers in (PREFLIGHT, FROM_APP):
            response = app.test_client().open(
                "/mcp", method="OPTIONS" if headers is PREFLIGHT else "POST", headers=headers
            )
            assert (response.status_code, calls) == (403, [])
            assert response.json["error"]["data"]["reason"] == "policy_failed"
        assert "Traceback" in caplog.text


class TestInitialisation:
    def test_twice_on_one_app_is_an_error(self, app):
        cors = init(app)
        with pytest.raises(RuntimeError, match="already"):
            cors.init_app(app)

    def test_one_object_serves_two_apps(self):
        first, second = Flask("first"), Flask("second")
        cors = MCPCors(hosts="localhost")
        cors.init_app(first, origins="https://first.example")
        cors.init_app(second, origins="https://second.example")
        for app, own, other in ((first, "first", "second"), (second, "second", "first")):
            client = app.test_client()
            assert client.get("/", headers={"Origin": f"https://{own}.example"}).status_code == 404
            assert client.get("/", headers={"Origin": f"https://{other}.example"}).status_code == 403

    @pytest.mark.parametrize(
        ("constructor", "given"),
        [((CORSPolicy(max_age=5),), ()), ((), (CORSPolicy(max_age=5),)), ((CORSPolicy(),), (CORSPolicy(max_age=5),))],
        ids=["the constructor", "init_app", "both"],
    )
    def test_a_policy_is_given_to_the_constructor_or_to_init_app(self, app, constructor, given):
        MCPCors(None, *constructor).init_app(app, *given)
        assert app.extensions["mcp_cors"].site.default.max_age == 5

    def test_current_app_is_the_app(self, app):
        with app.app_context():
            MCPCors(current_app)
        assert app.extensions["mcp_cors"].app is app

    def test_an_unknown_setting_is_an_error_before_there_is_an_app(self):
        with pytest.raises(PolicyError) as caught:
            MCPCors(orgins=APP)
        assert [problem.setting for problem in caught.value.problems] == ["orgins"]

    def test_the_state_is_in_extensions(self, app):
        init(app)
        assert app.extensions["mcp_cors"].site.default.origins == (APP,)

    def test_after_the_first_request_it_is_too_late(self, app):
        app.test_client().get("/")
        with pytest.raises(AssertionError):
            init(app)

    def test_an_app_is_freed_though_the_extension_lives(self):
        cors = MCPCors(origins=APP, hosts="*")
        app = Flask("app")
        cors.init_app(app)
        app.test_client().get("/", headers={"Origin": APP})
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None


class TestSignals:
    def test_an_answered_preflight_is_signalled(self, app):
        init(app)
        seen = []
        with preflight_answered.connected_to(lambda sender, **facts: seen.append((sender, facts)), app):
            app.test_client().options("/mcp", headers={**PREFLIGHT, "Access-Control-Request-Headers": "x-evil"})
        ((sender, facts),) = seen
        assert sender is app
        assert facts.keys() == {"decision", "path", "origin", "host"}
        assert (facts["path"], facts["origin"], facts["host"]) == ("/mcp", APP, "localhost")
        assert facts["decision"].offending == ("x-evil",)
        assert pickle.loads(pickle.dumps(facts["decision"])) == facts["decision"]

    @pytest.mark.parametrize("method", ["POST", "OPTIONS"])
    def test_a_refusal_is_signalled(self, app, method):
        init(app)
        seen = []
        headers = {**PREFLIGHT, "Origin": EVIL}
        with request_refused.connected_to(lambda sender, **facts: seen.append(facts["decision"].reason), app):
            app.test_client().open("/mcp", method=method, headers=headers)
        assert seen == [Reason.ORIGIN_NOT_ALLOWED]

    @pytest.mark.parametrize(
        ("validate", "told"), [(False, 0), ("report", 1), (True, 1)], ids=["plain", "report", "refused"]
    )
    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    def test_what_is_or_would_be_refused_is_signalled_and_logged_and_nothing_else(
        self, app, caplog, validate, told, wrap
    ):
        init(app, validate_origin=validate, wrap_wsgi=wrap)
        seen = []
        caplog.set_level(logging.WARNING, "flask_mcp_cors")
        with request_refused.connected_to(lambda sender, **facts: seen.append(facts), app):
            for times in (1, 2, 3):
                app.test_client().get("/", headers={"Origin": EVIL})
                assert (len(seen), len(caplog.records)) == (told * times, told * times)

    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    def test_the_same_preflight_is_signalled_each_time(self, app, wrap):
        init(app, wrap_wsgi=wrap)
        seen = []
        with preflight_answered.connected_to(lambda sender, **facts: seen.append(facts["path"]), app):
            for path in ("/mcp", "/mcp", "/mcp", "/other", "/mcp"):
                app.test_client().options(path, headers=PREFLIGHT)
        assert seen == ["/mcp", "/mcp", "/mcp", "/other", "/mcp"]


class TestLog:
    def refusals(self, caplog):
        return [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]

    def test_one_line_a_refusal_with_what_to_paste(self, app, caplog):
        init(app)
        app.test_client().post("/mcp", headers=FROM_EVIL)
        (line,) = self.refusals(caplog)
        for part in (
            "origin_not_allowed",
            "'/mcp'",
            f"'{EVIL}'",
            "'localhost'",
            f'origins=["{APP}", "{EVIL}"] (MCP_CORS_ORIGINS)',
        ):
            assert part in line
        caplog.clear()
        app.test_client().post("/mcp", base_url="http://mcp.example.com")
        (line,) = self.refusals(caplog)
        assert 'set hosts=["localhost", "mcp.example.com"] (MCP_CORS_HOSTS)' in line
        assert "ProxyFix" not in line

    @pytest.mark.parametrize(
        "value", ["a\r\nERROR: forged", "\x1b[31mred", "\x85next", "\u2028line", "\x00nul", "x" * 5000, "\x9b31m"]
    )
    def test_no_header_and_no_path_can_forge_a_line(self, app, caplog, value):
        init(app)
        latin = value.encode("utf-8").decode("latin-1")
        call(app, {"HTTP_ORIGIN": latin, "HTTP_HOST": latin, "PATH_INFO": f"/{latin}"})
        (line,) = self.refusals(caplog)
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 1500

    def test_in_debug_mode_a_failed_preflight_says_what_to_change(self, app, caplog):
        init(app)
        app.debug = True
        ask = {**PREFLIGHT, "Access-Control-Request-Headers": "x-evil"}
        app.test_client().options("/mcp", headers=ask)
        assert 'set extra_allow_headers=["x-evil"] (MCP_CORS_EXTRA_ALLOW_HEADERS); now empty (default)' in caplog.text
        app.test_client().options("/mcp", headers={**PREFLIGHT, "Access-Control-Request-Method": "PUT"})
        assert (
            'method \'PUT\' is not allowed: set allow_methods=["GET", "POST", "DELETE", "OPTIONS", "PUT"]'
            in caplog.text
        )
        many = ",".join(f"mcp-param-{i}" for i in range(100))
        app.test_client().options("/mcp", headers={**PREFLIGHT, "Access-Control-Request-Headers": many})
        assert "it asks for more than 64 header names" in caplog.text

    def test_outside_debug_mode_a_failed_preflight_is_the_browsers_to_report(self, app, caplog):
        init(app)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "flask_mcp_cors"):
            app.test_client().options("/mcp", headers={**PREFLIGHT, "Access-Control-Request-Headers": "x-evil"})
        assert caplog.messages == []

    @pytest.mark.parametrize(("debug", "said"), [(True, True), (False, False)])
    def test_in_debug_mode_an_exception_is_logged_as_no_cors_problem(self, app, caplog, debug, said):
        init(app)
        app.debug = debug
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/crash", view_func=lambda: 1 / 0)
        app.test_client().get("/crash", headers=FROM_APP)
        assert ("this is not CORS: see the traceback above" in caplog.text) is said

    def test_the_signal_of_flask_is_left_to_others_too(self, app):
        init(app)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/crash", view_func=lambda: 1 / 0)
        seen = []
        with got_request_exception.connected_to(lambda sender, exception: seen.append(exception), app):
            app.test_client().get("/crash")
        assert len(seen) == 1


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_ORIGIN": "\xff\xfe"},
        {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "\xff" * 9000, "HTTP_ORIGIN": APP, "REQUEST_METHOD": "OPTIONS"},
        {
            "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "\x00,\xff",
            "HTTP_ORIGIN": APP,
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "",
        },
        {"PATH_INFO": "\xff\xfe/\x00"},
        {"PATH_INFO": ""},
        {"REQUEST_METHOD": "\xe9"},
        {"HTTP_SEC_FETCH_SITE": "\xff", "HTTP_SEC_FETCH_MODE": ""},
    ],
)
@pytest.mark.parametrize("wrap", [False, True])
def test_no_request_raises(app, calls, environ, wrap):
    cors = init(app, wrap_wsgi=wrap)
    cors.policy(max_age=1)(app.view_functions["mcp"])
    app.testing = True
    response = app.test_client().get("/mcp", environ_overrides=environ)
    assert response.status_code in (200, 204, 403, 404, 405, 421)
    for name, value in response.headers:
        assert value.isprintable(), name


class TestFinalAnswers:
    """What other functions of the app do to an answer that is the whole response."""

    @pytest.mark.parametrize("wrap", [False, True])
    def test_an_after_request_function_cannot_make_a_refusal_cacheable(self, app, calls, wrap):
        init(app, wrap_wsgi=wrap)

        @app.after_request
        def keep(response):
            response.headers["Cache-Control"] = "public, max-age=60"
            response.headers["X-Request-Id"] = "1"
            return response

        client = app.test_client()
        refusals = [
            client.post("/mcp", headers=FROM_EVIL),
            client.post("/mcp", base_url="http://evil.example"),
            client.options("/mcp", headers={**PREFLIGHT, "Origin": EVIL}),
        ]
        for response in refusals:
            assert response.headers.getlist("Cache-Control") == ["no-store"]
            assert response.headers.getlist("Content-Type") == ["application/json"]
        assert client.post("/mcp", headers=FROM_APP).headers["Cache-Control"] == "public, max-age=60"

    def test_the_empty_answer_to_a_preflight_has_no_type(self, app, calls):
        init(app)

        @app.after_request
        def say_json(response):
            response.headers["Content-Type"] = "application/json"
            return response

        assert "Content-Type" not in app.test_client().options("/mcp", headers=PREFLIGHT).headers

    def test_an_after_request_function_that_needs_a_skipped_before_request_is_logged(self, app, calls, caplog):
        """Timing a request is the usual case: ``before_request`` writes down when it began."""
        app.config["PROPAGATE_EXCEPTIONS"] = False
        init(app)
        app.before_request(lambda: setattr(g, "began", 1))

        @app.after_request
        def took(response):
            response.headers["X-Took"] = str(g.began)
            return response

        client = app.test_client()
        assert client.post("/mcp", headers=FROM_APP).headers["X-Took"] == "1"
        caplog.clear()
        assert client.options("/mcp", headers=PREFLIGHT).status_code == 500
        (line,) = [message for message in caplog.messages if "g.get" in message]
        assert line.startswith("AttributeError after a preflight was answered or a request refused")
        assert "wrap_wsgi=True" in line

    def test_with_wrap_wsgi_it_does_not_run_at_all(self, app, calls):
        init(app, wrap_wsgi=True)
        app.after_request(lambda response: 1 / 0)
        assert app.test_client().options("/mcp", headers=PREFLIGHT).status_code == 200


class TestRepeatedHeaders:
    """Repeated headers: PEP 3333 leaves joining to the server, and the servers differ."""

    JOINTS = pytest.mark.parametrize("joint", [",", ", ", " , "], ids=["comma", "comma-space", "spaces"])

    @JOINTS
    @pytest.mark.parametrize("second", [APP, EVIL, "null", ""], ids=["same", "foreign", "null", "empty"])
    def test_a_repeated_origin_is_refused_however_it_was_joined(self, app, joint, second):
        init(app)
        for value in (f"{APP}{joint}{second}", f"{second}{joint}{APP}"):
            response = app.test_client().get("/", environ_overrides={"HTTP_ORIGIN": value})
            assert response.status_code == 403

    @JOINTS
    def test_a_repeated_sec_fetch_site_never_makes_a_request_same_origin(self, app, joint):
        init(app)
        environ = {"HTTP_ORIGIN": EVIL, "HTTP_SEC_FETCH_SITE": f"same-origin{joint}same-origin"}
        assert app.test_client().get("/", environ_overrides=environ).status_code == 403

    @JOINTS
    def test_a_repeated_host_is_never_served(self, app, joint):
        init(app, hosts="mcp.example.com")
        environ = {"HTTP_HOST": f"mcp.example.com{joint}mcp.example.com"}
        assert app.test_client().get("/", environ_overrides=environ).status_code == 421

    @JOINTS
    def test_a_split_list_of_asked_headers_is_one_list(self, app, joint):
        init(app)
        environ = {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": f"authorization{joint}{joint}mcp-param-a"}
        response = app.test_client().options("/", headers=PREFLIGHT, environ_overrides=environ)
        assert response.headers["Access-Control-Allow-Headers"].endswith(", X-Custom-Auth-Headers, mcp-param-a")
