"""What an attacker tries: each was once a hole, or a place where one could be, and none may come back."""

import gc
import logging
import threading
import weakref
from functools import wraps

import pytest
from flask import Blueprint
from flask import Flask
from flask import jsonify
from flask import request
from flask.views import MethodView
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors import Reason
from flask_mcp_cors import request_refused
from flask_mcp_cors.core.paths import PathIndex
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site

APP = "https://app.example.com"
OTHER = "https://other.example.com"
EVIL = "https://evil.example"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}
OPTIONS_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.fixture
def app():
    return Flask("app")


def init(app, **settings):
    return MCPCors(app, **{"origins": APP, "hosts": "*", **settings})


def header(decision, name):
    return dict(decision.headers).get(name)


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
    @pytest.mark.parametrize("path", ["/servers/**", "/servers/*"])
    def test_a_wildcard_in_the_path_is_a_name_like_any_other(self, path):
        """A tenant called ``**`` must not get from ``/servers/*`` to the policy of ``/servers/**``."""
        assert PathIndex({"/servers/*": "tenant", "/servers/**": "any"}).find(path) == "tenant"

    @pytest.mark.parametrize(
        ("path", "winner"),
        [
            ("/admin/secret", "/**/admin/secret"),
            ("/admin/x", "/**/admin/**"),
            ("/admin/x/admin/secret", "/**/admin/secret"),
            ("/a/admin/admin/secret", "/**/admin/secret"),
            ("/admin/b/c", "/**/b/c"),
        ],
    )
    def test_a_path_cannot_choose_the_looser_pattern_by_saying_a_name_twice(self, path, winner):
        patterns = ["/**/admin/**", "/**/b/c", "/**/admin/secret", "/**"]
        for order in (patterns, patterns[::-1]):
            assert PathIndex({pattern: pattern for pattern in order}).find(path) == winner

    def test_the_cost_of_a_long_path_does_not_grow_with_its_square(self):
        """Counted, not timed: how often a segment is looked up."""

        class Counted(str):
            __slots__ = ()
            hashed = 0

            def __hash__(self):
                type(self).hashed += 1
                return super().__hash__()

        class Path(str):
            __slots__ = ()

            def split(self, *args):
                return [Counted(part) for part in super().split(*args)]

        index = PathIndex({"/**/a/**/a/**/a/**/b": 1})
        assert index.find(Path("/a" * 5000)) is None
        assert Counted.hashed < 50 * 5000

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

    @pytest.mark.parametrize("origins", ["*", APP])
    def test_a_failure_before_the_first_hook_gives_nothing_to_a_refused_origin(self, app, origins):
        """The answer to it is made by the path's own policy, not by the default one."""
        app.config["PROPAGATE_EXCEPTIONS"] = False
        init(app, origins=origins, policies={"/private": CORSPolicy(origins=OTHER)})
        app.add_url_rule("/private", view_func=lambda: "reached")
        app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
        response = app.test_client().get("/private", headers={"Origin": APP})
        assert response.status_code == 500
        assert [name for name, _ in response.headers if name.startswith("Access-Control")] == []
        assert response.headers["Vary"] == "Origin"
        assert response.content_type == "text/html; charset=utf-8"

    def test_a_failure_before_the_first_hook_is_answered_by_the_views_policy(self, app):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        cors = init(app)
        app.add_url_rule("/private", view_func=cors.policy(origins=OTHER)(lambda: "reached"))
        app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
        client = app.test_client()
        assert "Access-Control-Allow-Origin" not in client.get("/private", headers={"Origin": APP}).headers
        allowed = client.get("/private", headers={"Origin": OTHER}).headers["Access-Control-Allow-Origin"]
        assert allowed == OTHER


class TestReflection:
    def test_every_response_header_may_be_exposed_without_credentials(self):
        decision = CORSPolicy(origins=APP, expose_headers="*").actual(APP)
        assert header(decision, "Access-Control-Expose-Headers") == "*"

    def test_a_header_called_star_is_not_reflected(self):
        """``Access-Control-Allow-Headers: *`` would let every header through, and Chromium ask every time."""
        policy = CORSPolicy(origins=APP, allow_headers="*")
        decision = policy.preflight(APP, "POST", "*,x-a")
        assert header(decision, "Access-Control-Allow-Headers") == "x-a"
        assert (decision.reason, decision.offending) == (Reason.HEADER_NOT_ALLOWED, ("*",))

    def test_methods_differ_in_case(self):
        """The browser compares byte for byte: ``patch`` is not ``PATCH``."""
        policy = CORSPolicy(origins=APP, allow_methods=["PATCH", "*"])
        assert header(policy.preflight(APP, "patch"), "Access-Control-Allow-Methods") == "PATCH, patch"

    def test_a_method_is_named_once(self):
        policy = CORSPolicy(origins=APP, allow_methods=["PATCH", "*"])
        assert header(policy.preflight(APP, "PATCH"), "Access-Control-Allow-Methods") == "PATCH"


class TestOrigins:
    @pytest.mark.parametrize("text", ["hé://a", "https\x85://*.example.com:443", "\u212attp://localhost", "ｈttps://A"])
    def test_a_scheme_that_is_not_ascii_is_one_problem(self, text):
        with pytest.raises(PolicyError) as caught:
            CORSPolicy(origins=text)
        assert [problem.code for problem in caught.value.problems] == ["origin_not_ascii"]

    @pytest.mark.parametrize("host", ["[]", "[:]", "[:::1]", "[1:2:3:4:5:6:7:8:9]", "[::ffff:1.2.3.4]", "[1", "1]"])
    def test_a_bracketed_host_that_is_no_address_is_malformed(self, host):
        assert CORSPolicy(origins="*").actual(f"http://{host}").reason is Reason.ORIGIN_MALFORMED

    def test_a_callable_that_gives_an_awaitable_object_says_no(self):
        class Later:
            def __await__(self):
                return iter(())

        assert CORSPolicy(origins=lambda origin: Later()).actual(APP).status == 403


class TestVary:
    @pytest.mark.parametrize("announced", [{}, {"Access-Control-Request-Method": "POST"}], ids=["plain", "preflight"])
    @pytest.mark.parametrize(
        "settings", [{"hosts": "mcp.example.com"}, {"policies": {"/**": lambda request: 1 / 0}}], ids=["421", "failed"]
    )
    def test_a_refused_options_request_could_have_been_a_preflight(self, app, announced, settings):
        init(app, **settings)
        response = app.test_client().options("/", headers={"Origin": APP, **announced})
        assert response.status_code in (403, 421)
        assert response.headers.getlist("Vary") == [OPTIONS_VARY]

    def test_so_could_one_outside_the_governed_paths(self, app):
        init(app, hosts="mcp.example.com", paths="/mcp")
        response = app.test_client().options("/", headers=PREFLIGHT)
        assert (response.status_code, response.headers["Vary"]) == (421, OPTIONS_VARY)


class TestMemory:
    def test_long_paths_are_not_kept(self):
        site = make_site({}, CORSPolicy(origins=APP))
        kept = weakref.WeakSet()

        class Path(str):
            __slots__ = ("__weakref__",)

        for number in range(50):
            path = Path(f"/{number}{'x' * 5000}")
            kept.add(path)
            site.choose(path)
        del path
        gc.collect()
        assert len(kept) == 0

    def test_an_app_is_freed_though_the_extension_lives(self):
        cors = MCPCors(origins=APP, hosts="*")
        app = Flask("app")
        cors.init_app(app)
        app.test_client().get("/", headers={"Origin": APP})
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None


class TestWithoutValidation:
    """``validate_origin=False`` is plain CORS: nothing is refused, so nothing is reported."""

    @pytest.mark.parametrize(
        ("validate", "told"), [(False, 0), ("report", 1), (True, 1)], ids=["plain", "report", "refused"]
    )
    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    def test_only_what_is_or_would_be_refused_is_reported(self, app, caplog, validate, told, wrap):
        init(app, validate_origin=validate, wrap_wsgi=wrap)
        seen = []
        caplog.set_level(logging.WARNING, "flask_mcp_cors")
        with request_refused.connected_to(lambda sender, **facts: seen.append(facts), app):
            app.test_client().get("/", headers={"Origin": EVIL})
        assert (len(seen), len(caplog.records)) == (told, told)

    def test_the_middleware_agrees(self, caplog):
        caplog.set_level(logging.WARNING, "flask_mcp_cors")
        middleware = CORSMiddleware(Response("ok"), origins=APP, hosts="*", validate_origin=False)
        assert Client(middleware).get("/", headers={"Origin": EVIL}).status_code == 200
        assert caplog.records == []


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

    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    @pytest.mark.parametrize("method", ["OPTIONS", "POST"])
    def test_a_callable_policy_gets_flasks_request(self, app, wrap, method):
        def choose(req):
            return CORSPolicy(origins=f"https://{req.view_args['tenant']}.example")

        init(app, wrap_wsgi=wrap, policies={"/servers/*": choose})
        app.add_url_rule("/servers/<tenant>", "tenant", lambda tenant: "reached", methods=["POST"])
        headers = {**PREFLIGHT, "Origin": "https://acme.example", "Sec-Fetch-Site": "cross-site"}
        client = app.test_client()
        assert client.open("/servers/acme", method=method, headers=headers).status_code == 200
        assert client.open("/servers/else", method=method, headers=headers).status_code == 403

    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    @pytest.mark.parametrize(("path", "status"), [("/servers/acme", 200), ("/servers/acme/x", 403)])
    def test_a_callable_policy_can_see_that_there_is_no_view(self, app, wrap, path, status):
        def choose(req):
            return CORSPolicy(origins=EVIL if req.routing_exception else APP)

        init(app, wrap_wsgi=wrap, policies={"/servers/**": choose})
        app.add_url_rule("/servers/<tenant>", "tenant", lambda tenant: "reached")
        assert app.test_client().options(path, headers=PREFLIGHT).status_code == status

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

    @pytest.mark.parametrize("trusted", [[], ["mcp.example.com"]], ids=["any-host", "untrusted-host"])
    def test_a_callable_policy_is_asked_though_the_host_matches_no_rule(self, trusted):
        app = Flask("app", host_matching=True, static_host="static.example.com")
        app.config["TRUSTED_HOSTS"] = trusted or None
        asked = []
        MCPCors(app, origins=APP, hosts="*", wrap_wsgi=True, policies={"/**": lambda req: asked.append(req.url_rule)})
        assert app.test_client().options("/", headers=PREFLIGHT).status_code == 200
        # About the announced method, and the two others that the answer may list.
        assert asked == [None, None, None]


class TestBelowFlask:
    """An application in Flask's place that no hook judges: the layer's verdict stands, whatever it does."""

    def ask(self, application):
        app = Flask("app")
        app.wsgi_app = application
        init(app, wrap_wsgi=True, hosts="mcp.example.com")
        environ = EnvironBuilder(base_url="http://other.example.com").get_environ()
        answers, sent = [], []
        body = app.wsgi_app(environ, lambda status, headers, exc_info=None: answers.append(status) or sent.append)
        return answers, sent, body

    def test_a_second_start_does_not_take_a_refusal_back(self):
        def application(environ, start_response):
            for status in ("200 OK", "500 INTERNAL SERVER ERROR"):
                start_response(status, [])(b"secret")
            return [b"secret"]

        answers, sent, body = self.ask(application)
        assert (answers, sent) == (["421 MISDIRECTED REQUEST"], [])
        assert b"secret" not in b"".join(body)


class TestServers:
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

    @JOINTS
    def test_a_repeated_asked_method_is_no_method(self, app, joint):
        decision = CORSPolicy(origins=APP, allow_methods="*").preflight(APP, f"POST{joint}POST")
        assert decision.reason is Reason.METHOD_NOT_ALLOWED


class TestSharedState:
    def test_answers_to_one_request_do_not_show_in_the_next(self, app):
        """A view that changes its response's headers changes nobody else's."""
        init(app)

        @app.route("/")
        def index():
            response = jsonify("ok")
            response.headers["X-Frame-Options"] = request.args.get("frame", "DENY")
            response.headers["Vary"] = "Cookie"
            return response

        client = app.test_client()
        assert client.get("/?frame=SAMEORIGIN", headers={"Origin": APP}).headers["X-Frame-Options"] == "SAMEORIGIN"
        assert client.get("/", headers={"Origin": APP}).headers.getlist("Vary") == ["Cookie, Origin"]
        plain = client.get("/missing", headers={"Origin": APP}).headers
        assert (plain["X-Frame-Options"], plain.getlist("Vary")) == ("DENY", ["Origin"])

    def test_a_decision_cannot_be_changed(self):
        decision = CORSPolicy(origins=APP).actual(APP)
        with pytest.raises(AttributeError):
            decision.headers = ()
        assert isinstance(decision.headers, tuple)
        assert all(isinstance(pair, tuple) for pair in decision.headers)


class TestFacts:
    """Rules 2 and 4 of Origin validation, with what only a hostile client would send."""

    @pytest.fixture
    def site(self):
        return make_site({"hosts": ["mcp.example.com"]}, CORSPolicy(origins=APP))

    @pytest.mark.parametrize("value", ["", "Same-Origin", "same-origin ", "none", "same-site", "cross-site"])
    def test_no_other_sec_fetch_site_is_same_origin(self, site, value):
        facts = Facts("POST", "/", "https", "mcp.example.com", "https://mcp.example.com", fetch_site=value)
        assert site.decide(facts, site.default).status == 403

    @pytest.mark.parametrize(
        ("scheme", "host", "origin"),
        [
            pytest.param("http", "mcp.example.com", "https://mcp.example.com", id="other-scheme"),
            pytest.param("https", "mcp.example.com:8443", "https://mcp.example.com", id="other-port"),
            pytest.param("https", "mcp.example.com.", "https://mcp.example.com", id="trailing-dot"),
            pytest.param("https", "evil.example", "https://evil.example", id="rebound-name"),
            pytest.param("https", "0.0.0.0", "https://0.0.0.0", id="unspecified-address"),
            pytest.param("https", "", "https://", id="empty-host"),
            pytest.param("https", None, "https://mcp.example.com", id="no-host"),
            pytest.param("https", "mcp.example.com@evil.example", "https://evil.example", id="userinfo"),
        ],
    )
    def test_no_other_host_makes_an_origin_the_sites_own(self, site, scheme, host, origin):
        assert site.decide(Facts("POST", "/", scheme, host, origin), site.default).status == 403

    @pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket", "", "Navigate", "navigate, navigate"])
    @pytest.mark.parametrize("sent", ["cross-site", "same-site"])
    def test_a_request_without_origin_from_another_site_is_refused(self, site, sent, mode):
        facts = Facts("GET", "/", "https", "mcp.example.com", None, fetch_site=sent, fetch_mode=mode)
        assert site.decide(facts, site.default).reason is Reason.CROSS_SITE


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=4).map("/".join),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.lists(st.sampled_from(["a", "b", "c", "*", "**"]), max_size=6),
)
def test_no_pattern_that_covers_the_path_is_more_specific_than_the_one_chosen(patterns, parts):
    def covers(pattern, parts):
        if not pattern:
            return not parts
        head, *rest = pattern
        if head == "**":
            return any(covers(rest, parts[i:]) for i in range(len(parts) + 1))
        return bool(parts) and head in ("*", parts[0]) and covers(rest, parts[1:])

    def specificity(pattern):
        return [*({"*": 1, "**": 3}.get(segment, 0) for segment in pattern.split("/") if segment), 2]

    found = PathIndex({f"/{pattern}": pattern for pattern in patterns}).find("/" + "/".join(parts))
    covering = [pattern for pattern in patterns if covers([s for s in pattern.split("/") if s], parts)]
    assert (found is None) == (not covering)
    assert all(specificity(found) <= specificity(pattern) for pattern in covering)
