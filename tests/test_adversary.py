"""What an adversary tries: each rule of the security promises, through every door that it concerns.

The doors are the hooks, ``wrap_wsgi``, and ``CORSMiddleware`` around the app.
"""

import pytest
from flask import Blueprint
from flask import Flask
from flask import Request
from flask import request
from flask import Response
from flask.views import MethodView
from pages import APP
from pages import EVIL
from pages import OTHER
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.test import Client

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors

BASE = "https://mcp.example.com"

DOORS = pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "middleware"])
FLASK_DOORS = pytest.mark.parametrize("door", ["hooks", "wrap_wsgi"])


@pytest.fixture
def app():
    app = Flask("app", static_folder=None)
    app.ran = []
    return app


def init(app, door, **settings):
    settings = {"origins": APP, "hosts": ["mcp.example.com"], **settings}
    if door == "middleware":
        app.wsgi_app = CORSMiddleware(app.wsgi_app, **settings)
        return None
    return MCPCors(app, wrap_wsgi=door == "wrap_wsgi", **settings)


def noting(app, answer="ran"):
    def view(**arguments):
        app.ran.append((request.method, request.path))
        return answer

    return view


def ask(app, path, method="GET", origin=EVIL, base_url=BASE, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if origin is not None:
        sent["Origin"] = origin
    return app.test_client().open(path, method=method, base_url=base_url, headers=sent, buffered=True)


def listed_methods(app, path, method, origin=APP):
    answer = ask(app, path, "OPTIONS", origin, Access_Control_Request_Method=method)
    assert answer.status_code == 200
    return answer.headers.get("Access-Control-Allow-Methods", "").split(", ")


class TestTails:
    """The built-in policy for discovery documents is ``*``: no tail of a path may select it."""

    @pytest.fixture(params=["call/.well-known/openid-configuration", ".well-known/openid-configuration"])
    def tail(self, request):
        return f"/servers/a/{request.param}"

    @DOORS
    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
    def test_no_other_method_than_get_is_public(self, app, door, tail, method):
        init(app, door)
        app.add_url_rule(
            "/servers/<name>/<path:rest>", "forward", noting(app), methods=["GET", "POST", "DELETE", "PUT"]
        )
        assert ask(app, tail, method).status_code == 403
        assert app.ran == []

    @FLASK_DOORS
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_view_that_takes_the_tail_into_a_variable_is_no_document(self, app, door, tail, method):
        init(app, door)
        app.add_url_rule("/servers/<name>/<path:rest>", "forward", noting(app), methods=["GET", "POST"])
        answer = ask(app, tail, method)
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin"), app.ran) == (403, None, [])
        answer = ask(app, tail, "OPTIONS", Access_Control_Request_Method="GET")
        assert answer.status_code == 403

    @FLASK_DOORS
    def test_nor_where_the_variable_only_repeats_a_real_place(self, app, door):
        init(app, door)
        app.add_url_rule("/.well-known/acme/<path:rest>", "acme", noting(app))
        assert ask(app, "/.well-known/acme/x/.well-known/openid-configuration").status_code == 403

    @FLASK_DOORS
    def test_with_marks_in_the_app_too(self, app, door, tail):
        cors = init(app, door)
        app.add_url_rule("/marked", "marked", cors.policy(max_age=1)(noting(app)))
        app.add_url_rule("/servers/<name>/<path:rest>", "forward", noting(app))
        assert ask(app, tail).status_code == 403

    @DOORS
    def test_a_pattern_of_the_owner_for_the_path_wins(self, app, door, tail):
        init(app, door, policies={"/servers/**": {"origins": OTHER}})
        app.add_url_rule("/servers/<name>/<path:rest>", "forward", noting(app))
        assert ask(app, tail).status_code == 403
        assert ask(app, tail, origin=OTHER).status_code == 200

    @DOORS
    @pytest.mark.parametrize(
        "place",
        [
            "/.well-known/oauth-protected-resource/x",
            "/t/.well-known/openid-configuration",
            "/.well-known/openid-configuration",
        ],
    )
    def test_a_real_document_stays_public(self, app, door, place):
        init(app, door)
        app.add_url_rule(place, "document", noting(app))
        answer = ask(app, place)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert ask(app, "/.well-known/oauth-authorization-server").headers["Access-Control-Allow-Origin"] == "*"
        assert listed_methods(app, place, "GET", EVIL) == ["GET"]


class TestFoldedHeaders:
    """Servers that fold ``_`` into ``-`` deliver a page's own ``Sec_Fetch_Site`` as the browser's."""

    @DOORS
    @pytest.mark.parametrize("host", ["attacker.example:8000", "192.168.0.9:8000", "localhost.attacker.example"])
    @pytest.mark.parametrize("origin", [None, "null"])
    def test_a_rebound_page_stays_foreign(self, app, door, host, origin):
        init(app, door, hosts="*")
        app.add_url_rule("/mcp", "mcp", noting(app), methods=["POST"])
        base = f"http://{host}"
        answer = ask(app, "/mcp", "POST", origin or base, base, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="navigate")
        assert (answer.status_code, app.ran) == (403, [])

    @DOORS
    def test_nor_does_a_believed_x_forwarded_host_help_it(self, app, door):
        app.add_url_rule("/mcp", "mcp", noting(app), methods=["POST"])
        init(app, door)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
        headers = {"X_Forwarded_Host": "mcp.example.com", "X_Forwarded_Proto": "https", "Sec_Fetch_Site": "same-origin"}
        answer = ask(app, "/mcp", "POST", "http://attacker.example", "http://attacker.example", **headers)
        assert (answer.status_code, app.ran) == (403, [])


class TestOneSiteOneRequest:
    """A decision belongs to one site and one request, not to the environ."""

    @FLASK_DOORS
    def test_a_websocket_views_own_policy_holds(self, app, door):
        cors = init(app, door, origins=[APP, OTHER])
        app.add_url_rule("/ws", "ws", cors.policy(origins=APP)(noting(app)), websocket=True)
        handshake = {"Upgrade": "websocket", "Connection": "Upgrade"}
        assert ask(app, "/ws", origin=OTHER, **handshake).status_code == 403
        assert app.ran == []

    @FLASK_DOORS
    def test_a_converter_that_reads_the_request_does_not_lose_the_views_policy(self, app, door):
        class Tenant(BaseConverter):
            def to_python(self, value):
                return request.headers.get("X-Tenant", value)

        app.url_map.converters["tenant"] = Tenant
        cors = init(app, door, origins=[APP, OTHER])
        view = cors.policy(origins=APP)(noting(app))
        app.add_url_rule("/t/<tenant:tenant>", "t", view, methods=["POST"])
        assert ask(app, "/t/x", "POST", OTHER).status_code == 403
        assert ask(app, "/t/x", "OPTIONS", OTHER, Access_Control_Request_Method="POST").status_code == 403
        assert app.ran == []

    @FLASK_DOORS
    def test_a_callable_sees_what_middleware_inside_has_set(self, app, door):
        inner = app.wsgi_app

        def authentication(environ, start_response):
            environ["REMOTE_USER"] = "tenant-b"
            return inner(environ, start_response)

        app.wsgi_app = authentication
        tenant_b = CORSPolicy(origins=OTHER)
        init(app, door, policies={"/**": lambda req: tenant_b if req.remote_user == "tenant-b" else None})
        app.add_url_rule("/mcp", "mcp", noting(app), methods=["POST"])
        assert [ask(app, "/mcp", "POST", origin).status_code for origin in (APP, OTHER)] == [403, 200]

    @pytest.mark.parametrize("wrap", [False, True])
    @pytest.mark.parametrize("inner_settings", [{"origins": "*"}, {"origins": OTHER}])
    @pytest.mark.parametrize("when", ["view", "before_request"])
    def test_an_app_that_is_called_from_here_decides_nothing_here(self, wrap, inner_settings, when):
        inner = Flask("inner", static_folder=None)
        MCPCors(inner, hosts="*", wrap_wsgi=wrap, **inner_settings)
        inner.add_url_rule("/status", "status", lambda: "up")
        for outer_wrap in (False, True):
            outer = Flask("outer", static_folder=None)
            MCPCors(outer, origins=APP, hosts="*", wrap_wsgi=outer_wrap, validate_origin=False)

            def call(inner=inner):
                Response.from_app(inner, {**request.environ, "PATH_INFO": "/status"})

            if when == "before_request":
                outer.before_request(call)
            outer.add_url_rule("/x", "x", lambda call=call: (call(), "secret")[1])
            client = outer.test_client()
            assert client.get("/x", headers={"Origin": EVIL}).headers.get("Access-Control-Allow-Origin") is None
            assert client.get("/x", headers={"Origin": APP}).headers["Access-Control-Allow-Origin"] == APP
            assert client.get("/x").headers["Vary"] == "Origin"

    @pytest.mark.parametrize("marked", [False, True])
    def test_an_app_mounted_beside_flask_is_judged_before_it_runs(self, app, marked):
        ran = []

        def mounted(environ, start_response):
            ran.append(environ["PATH_INFO"])
            start_response("200 OK", [])
            return [b"mounted"]

        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/beside": mounted})
        cors = init(app, "wrap_wsgi")
        if marked:
            app.add_url_rule("/x", "x", cors.policy(max_age=1)(noting(app)))
        assert ask(app, "/beside/x", "POST").status_code == 403
        assert ask(app, "/beside/x", origin=None, base_url="http://rebound.example").status_code == 421
        assert ran == []
        assert ask(app, "/beside/x", "POST", APP).headers["Access-Control-Allow-Origin"] == APP

    @pytest.mark.parametrize("headers", [{"Host": "rebound.example"}, {"Origin": "http://localhost:9999"}])
    def test_what_the_outer_door_refuses_reaches_no_view(self, app, headers):
        MCPCors(app, origins=APP, paths=["/mcp"])
        app.add_url_rule("/other", "other", noting(app), methods=["POST"])
        client = Client(CORSMiddleware(app, origins=APP, hosts=["mcp.example.com"]))
        assert client.post("/other", base_url=BASE, headers=headers).status_code in (403, 421)
        assert app.ran == []


class TestDotSegments:
    """``/static/public/..%2fprivate/s.txt`` is the file ``private/s.txt``, whatever the text of the path says."""

    @pytest.fixture
    def files(self, tmp_path):
        for name in ("public", "private"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "s.txt").write_text(name)
        return tmp_path

    @DOORS
    @pytest.mark.parametrize("dots", ["..%2f", "%2e%2e/", "..%2F.%2F", "x%2f..%2f..%2f", "..//"])
    def test_a_static_file_has_the_policy_of_its_place(self, files, door, dots):
        app = Flask("app", static_folder=str(files), static_url_path="/static")
        policies = {"/static/public/**": {"origins": "*"}, "/static/private/**": {"origins": APP}}
        init(app, door, policies=policies)
        answer = ask(app, f"/static/public/{dots}private/s.txt")
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (403, None)
        assert ask(app, "/static/public/s.txt").text == "public"
        assert ask(app, "/static/private/s.txt", origin=APP).text == "private"

    @DOORS
    def test_an_ungoverned_place_is_no_way_in(self, files, door):
        app = Flask("app", static_folder=str(files), static_url_path="/static")
        init(app, door, policies={"/static/public/**": None})
        assert ask(app, "/static/public/..%2fprivate/s.txt").status_code == 403

    @FLASK_DOORS
    def test_a_marked_blueprint_is_none_either(self, files, door):
        app = Flask("app", static_folder=None)
        blueprint = Blueprint("files", "files", static_folder=str(files), static_url_path="/files")
        cors = init(app, door, policies={"/files/private/**": {"origins": APP}})
        cors.policy(origins="*")(blueprint)
        app.register_blueprint(blueprint)
        assert ask(app, "/files/public/s.txt").text == "public"
        assert ask(app, "/files/public/..%2fprivate/s.txt").status_code == 403


class TestListedMethods:
    """A preflight for one method opens no other one that has another policy."""

    @FLASK_DOORS
    @pytest.mark.parametrize("mode", [True, False, "report"])
    def test_of_a_class_whose_methods_differ(self, app, door, mode):
        cors = init(app, door, origins=[APP, OTHER], validate_origin=mode)

        class Tool(MethodView):
            def get(self):
                return "got"

            @cors.policy(origins=APP)
            def delete(self):
                return "deleted"

        app.add_url_rule("/tool", view_func=Tool.as_view("tool"))
        assert "DELETE" not in listed_methods(app, "/tool", "GET", OTHER)
        assert "DELETE" in listed_methods(app, "/tool", "DELETE", APP)
        assert ask(app, "/tool", "OPTIONS", OTHER, Access_Control_Request_Method="DELETE").status_code == 403

    @FLASK_DOORS
    def test_of_two_views_at_one_url(self, app, door):
        cors = init(app, door, origins=[APP, OTHER])
        app.add_url_rule("/x", "read", cors.policy(origins="*", allow_methods=["GET", "DELETE"])(noting(app)))
        app.add_url_rule("/x", "change", noting(app), methods=["DELETE"])
        assert listed_methods(app, "/x", "GET", EVIL) == ["GET"]

    @DOORS
    def test_of_a_callable_that_looks_at_the_method(self, app, door):
        strict, open_ = CORSPolicy(origins=APP), CORSPolicy(origins=[APP, OTHER])

        def choose(req):
            method = req.headers.get("Access-Control-Request-Method", req.method)
            return strict if method == "DELETE" else open_

        init(app, door, policies={"/x": choose})
        app.add_url_rule("/x", "x", noting(app), methods=["GET", "DELETE"])
        assert listed_methods(app, "/x", "GET", OTHER) == ["GET", "POST", "OPTIONS"]

    @DOORS
    def test_of_a_discovery_document(self, app, door):
        init(app, door)
        assert "GET" not in listed_methods(app, "/.well-known/oauth-protected-resource", "POST", APP)


class TestExempt:
    @FLASK_DOORS
    def test_a_preflight_that_is_left_alone_is_judged_as_the_request_that_it_is(self, app, door):
        """It reaches another view's ``OPTIONS`` handler, which must not be asked unvalidated."""
        cors = init(app, door)
        app.add_url_rule("/x", "exempt", cors.exempt(noting(app)), methods=["POST"], provide_automatic_options=False)
        app.add_url_rule("/x", "options", noting(app), methods=["OPTIONS"], provide_automatic_options=False)
        assert ask(app, "/x", "OPTIONS", EVIL, Access_Control_Request_Method="POST").status_code == 403
        assert app.ran == []
        assert ask(app, "/x", "POST", EVIL).status_code == 200

    @FLASK_DOORS
    def test_a_request_class_that_overrides_the_method_gets_the_policy_of_that_method(self, app, door):
        class Overriding(Request):
            @property
            def method(self):
                return self.environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", self._method)

            @method.setter
            def method(self, value):
                self._method = value

        app.request_class = Overriding
        cors = init(app, door)

        class Tool(MethodView):
            @cors.exempt
            def post(self):
                return "posted"

            def delete(self):
                app.ran.append("deleted")
                return "deleted"

        app.add_url_rule("/tool", view_func=Tool.as_view("tool"))
        assert ask(app, "/tool", "POST").status_code == 200
        assert ask(app, "/tool", "POST", X_HTTP_Method_Override="DELETE").status_code == 403
        assert app.ran == []
        # An override makes no preflight of a request that the browser has sent as another.
        asked = {"X_HTTP_Method_Override": "OPTIONS", "Access_Control_Request_Method": "DELETE"}
        answer = ask(app, "/tool", "POST", APP, **asked)
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "Access-Control-Allow-Methods" not in answer.headers


class TestEmbeddingAndAddresses:
    @DOORS
    @pytest.mark.parametrize("dest", ["iframe", "frame", "fencedframe", "object", "embed"])
    def test_a_frame_that_stays_empty_runs_no_view(self, app, door, dest):
        init(app, door)
        app.add_url_rule("/page", "page", noting(app))
        headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": dest}
        assert ask(app, "/page", origin=None, **headers).status_code == 403
        assert app.ran == []

    @DOORS
    def test_an_unsafe_method_of_another_site_without_origin_runs_no_view(self, app, door):
        init(app, door)
        app.add_url_rule("/page", "page", noting(app), methods=["POST"])
        assert ask(app, "/page", "POST", None, Sec_Fetch_Site="same-site", Sec_Fetch_Mode="navigate").status_code == 403
        assert app.ran == []

    @DOORS
    @pytest.mark.parametrize("host", ["0.0.0.0:5000", "[::]:5000", "[::ffff:127.0.0.1]:5000"])
    def test_unspecified_and_mapped_addresses_are_not_served(self, app, door, host):
        init(app, door)
        app.add_url_rule("/page", "page", noting(app))
        answer = app.test_client().get("/page", headers={"Host": host})
        assert (answer.status_code, app.ran) == (421, [])
        assert app.test_client().get("/page", headers={"Host": "10.0.0.9:5000"}).status_code == 200


class TestAvailability:
    @FLASK_DOORS
    def test_a_view_that_is_not_hashable_is_served(self, app, door):
        class View:
            __hash__ = None

            def __call__(self):
                return "ran"

        cors = init(app, door)
        app.add_url_rule("/x", "x", View())
        app.add_url_rule("/y", "y", cors.policy(max_age=1)(noting(app)))
        assert ask(app, "/x", origin=APP).status_code == 200
