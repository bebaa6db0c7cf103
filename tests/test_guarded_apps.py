"""Guards and marks in whole apps: threads, rules for every method, other objects, proxies and subdomains."""

import threading
from functools import wraps

import pytest
from flask import Blueprint
from flask import Flask
from flask import request
from flask.views import MethodView
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule
from werkzeug.test import EnvironBuilder

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError

APP = "https://app.example.com"
OTHER = "https://other.example.com"
EVIL = "https://evil.example"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}


@pytest.fixture
def app():
    return Flask("app")


def init(app, **settings):
    return MCPCors(app, **{"origins": APP, "hosts": "*", **settings})


class TestGuards:
    def test_a_guard_holds_while_another_thread_looks_for_guards(self, app):
        """The first requests come at once: one that arrives during the search must not find it finished."""
        cors = init(app)

        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        @app.route("/tools")
        def tools():
            return "reached"

        views = app.extensions["mcp_cors"].views
        search, statuses = views._compile, []

        def slow_search():
            if not statuses:
                statuses.append(None)
                second = threading.Thread(target=lambda: statuses.append(app.test_client().get("/tools").status_code))
                second.start()
                second.join(10)
            return search()

        views._compile = slow_search
        assert app.test_client().get("/tools").status_code == 401
        assert statuses == [None, 401]

    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
    def test_a_guard_holds_on_a_rule_that_takes_every_method(self, app, method):
        cors = init(app)

        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        def tools():
            return "reached"

        app.url_map.add(Rule("/tools", endpoint="tools"))
        assert app.test_client().open("/tools", method=method).status_code == 401

    def test_a_guard_holds_on_a_rule_that_came_after_the_first_request(self, app):
        cors = init(app)

        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        def tools():
            return "reached"

        app.test_client().get("/")
        app.url_map.add(Rule("/tools", endpoint="tools"))
        assert app.test_client().get("/tools").status_code == 401

    @pytest.mark.parametrize(
        "header",
        [
            "Token one, Token two",
            "Token one two",
            "Token a=b, Token c=d",
            "Token a b=c",
            "Token",
            "Token =",
            'Digest username="a", Digest username="b"',
        ],
    )
    def test_an_ill_formed_or_second_credential_of_any_scheme_never_reaches_verify(self, app, header):
        asked = []
        cors = init(app)
        app.add_url_rule("/tools", view_func=cors.protected(asked.append, schemes=("Token", "Digest"))(lambda: "ok"))
        assert app.test_client().get("/tools", headers={"Authorization": header}).status_code == 401
        assert asked == []

    @pytest.mark.parametrize("header", ["Token one", "Token a=b", 'Digest username="a", uri="/tools"'])
    def test_a_well_formed_one_does(self, app, header):
        cors = init(app)
        guard = cors.protected(lambda credential: "somebody", schemes=("Token", "Digest"))
        app.add_url_rule("/tools", view_func=guard(lambda: "ok"))
        assert app.test_client().get("/tools", headers={"Authorization": header}).status_code == 200

    @pytest.mark.parametrize("own", [True, False], ids=["its-own-object", "another-object"])
    def test_a_guard_made_before_the_app_holds_on_the_app(self, own):
        """An app factory: the views and their guards are there first, above the route's decorator too."""
        cors = MCPCors(origins=APP, hosts="*")
        pages = Blueprint("pages", __name__)

        @cors.protected(lambda credential: None)
        @pages.route("/tools")
        def tools():
            return "reached"

        app = Flask("app")
        app.register_blueprint(pages)
        (cors if own else MCPCors(origins=APP, hosts="*")).init_app(app)
        assert app.test_client().get("/tools").status_code == 401

    def test_the_route_of_a_public_document_gives_what_the_hook_gives(self, app):
        """The hook answers first, so that no other hook asks for credentials; the route is what is listed."""
        cors = init(app)
        cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
        path = "/.well-known/oauth-protected-resource/mcp"
        with app.test_request_context(path):
            view = app.view_functions[request.endpoint]
            assert (
                view().json
                == app.test_client().get(path).json
                == {
                    "resource": "https://mcp.example.com/mcp",
                    "bearer_methods_supported": ["header"],
                }
            )


class TestMarks:
    def test_a_mark_whose_policy_cannot_be_is_refused_though_there_is_no_app_yet(self):
        with pytest.raises(PolicyError):
            MCPCors().policy(CORSPolicy(origins=APP, allow_credentials=True), origins="*")(lambda: "ok")

    def test_a_mark_made_after_init_app_is_checked_against_the_apps_policy(self, app):
        cors = init(app, allow_credentials=True)
        with pytest.raises(PolicyError):
            cors.policy(origins="*")(lambda: "ok")

    def test_an_inner_functions_own_mark_is_left_alone(self, app):
        cors = init(app)

        @cors.policy(origins=OTHER)
        def inner():
            return "reached"

        @wraps(inner, updated=())
        def outer():
            return inner()

        app.add_url_rule("/outer", "outer", cors.policy(origins=EVIL)(outer))
        app.add_url_rule("/inner", "inner", inner)
        client = app.test_client()
        assert client.get("/outer", headers={"Origin": EVIL}).status_code == 200
        assert client.get("/inner", headers={"Origin": EVIL}).status_code == 403

    def test_an_app_without_marks_finds_none(self, app):
        init(app)
        app.add_url_rule("/tools", "tools", lambda: "ok")
        found = app.extensions["mcp_cors"].views.find("tools", "GET")
        assert (found.choice, found.guards) == (None, ())

    def test_an_unused_mark_is_warned_of_once(self, app, caplog):
        cors = init(app)
        for _ in range(2):
            cors.policy(max_age=1)(lambda: "ok")
            app.test_client().get("/")
        assert len([record for record in caplog.records if "no route carries" in record.message]) == 2


class TestChoiceOfPolicy:
    @pytest.mark.parametrize("method", ["HEAD", "head", "Head"])
    def test_head_in_any_case_has_the_policy_of_get(self, app, method):
        cors = init(app)

        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def get(self):
                return "reached"

        app.add_url_rule("/tools", view_func=Tools.as_view("tools"))
        client = app.test_client()
        builder = EnvironBuilder("/tools", headers={"Origin": APP})
        environ = {**builder.get_environ(), "REQUEST_METHOD": method}
        assert client.open(environ).status_code == 403

    def test_a_failure_before_the_first_hook_is_answered_by_the_views_policy(self, app):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        cors = init(app)
        app.add_url_rule("/private", view_func=cors.policy(origins=OTHER)(lambda: "reached"))
        app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
        client = app.test_client()
        assert "Access-Control-Allow-Origin" not in client.get("/private", headers={"Origin": APP}).headers
        allowed = client.get("/private", headers={"Origin": OTHER}).headers["Access-Control-Allow-Origin"]
        assert allowed == OTHER


class TestWrapWsgi:
    """What the layer outside cannot know, it leaves to the hook inside: the two never disagree."""

    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    @pytest.mark.parametrize("site", [{}, {"Sec-Fetch-Site": "cross-site"}], ids=["old-browser", "browser"])
    @pytest.mark.parametrize("method", ["OPTIONS", "POST"])
    def test_a_views_policy_holds_where_only_the_proxy_knows_the_host(self, app, wrap, site, method):
        app.config["TRUSTED_HOSTS"] = ["mcp.example.com"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)
        cors = MCPCors(app, origins=APP, wrap_wsgi=wrap)
        app.add_url_rule("/tools", view_func=cors.policy(origins=OTHER)(lambda: "reached"), methods=["POST"])
        headers = {
            "X-Forwarded-Host": "mcp.example.com",
            "X-Forwarded-Proto": "https",
            "Origin": OTHER,
            **({"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else site),
        }
        response = app.test_client().open("/tools", method=method, headers=headers, base_url="http://backend:8000")
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, OTHER)

    # Flask before 3.1 says so of a request for another name than SERVER_NAME.
    @pytest.mark.filterwarnings("ignore:Current server name:UserWarning")
    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    @pytest.mark.parametrize(
        ("host", "status"),
        [("api.example.com", 200), ("www.example.com", 403), ("api.evil.example", 421)],
        ids=["its-subdomain", "another", "untrusted"],
    )
    def test_a_views_policy_holds_on_its_own_subdomain(self, wrap, host, status):
        """The path's policy allows ``OTHER`` nothing, the view's allows it everything."""
        app = Flask("app", subdomain_matching=True)
        app.config.update(SERVER_NAME="example.com", TRUSTED_HOSTS=[".example.com"])
        cors = MCPCors(app, origins=[APP, EVIL], wrap_wsgi=wrap)
        view = cors.policy(origins=[OTHER, EVIL])(lambda: "reached")
        app.add_url_rule("/tools", "tools", view, subdomain="api", methods=["POST"])
        origin = EVIL if status == 421 else OTHER
        headers = {**PREFLIGHT, "Origin": origin}
        response = app.test_client().options("/tools", headers=headers, base_url=f"https://{host}")
        assert response.status_code == status
