"""Marks on views and blueprints: another policy, or none."""

import functools
from functools import wraps

import pytest
from flask import Blueprint
from flask import current_app
from flask import Flask
from flask.views import MethodView
from flask.views import View

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError

APP = "https://app.example.com"
OTHER = "https://other.example"


def wrapping(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        return current_app.ensure_sync(view)(*args, **kwargs)

    return wrapper


def hiding(view):
    def wrapper(*args, **kwargs):
        return view(*args, **kwargs)

    return wrapper


@pytest.fixture
def app():
    return Flask("marked")


@pytest.fixture
def cors(app):
    return MCPCors(app, origins=APP, hosts="localhost")


def allowed(app, path, method="POST", origin=OTHER):
    """What origin a preflight and a real request for this path are told."""
    client = app.test_client()
    preflight = client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})
    actual = client.open(path, method=method, headers={"Origin": origin})
    name = "Access-Control-Allow-Origin"
    assert preflight.headers.get(name) == actual.headers.get(name)
    return actual.headers.get(name)


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("between", [lambda view: view, wrapping], ids=["plain", "wrapped"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_mark_is_found_in_either_order(app, cors, above, between, is_async):
    async def later():
        return "ok"

    view = later if is_async else lambda: "ok"
    route = app.route("/x", endpoint="x", methods=["POST"])
    mark = cors.policy(origins=OTHER)
    if above:
        mark(between(route(view)) if between is not wrapping else route(between(view)))
    else:
        route(between(mark(view)))
    assert allowed(app, "/x") == OTHER
    assert allowed(app, "/x", origin=APP) is None


def test_a_mark_on_a_wrapper_reaches_the_view_that_the_route_calls(app, cors):
    cors.policy(origins=OTHER)(wrapping(app.post("/x")(lambda: "ok")))
    assert allowed(app, "/x") == OTHER


def test_settings_go_over_the_apps_policy_and_a_policy_stands_for_itself(app, cors):
    app.post("/settings", endpoint="s")(cors.policy(max_age=5)(lambda: "ok"))
    app.post("/policy", endpoint="p")(cors.policy(CORSPolicy(origins=OTHER), max_age=5)(lambda: "ok"))
    assert allowed(app, "/settings", origin=APP) == APP
    assert allowed(app, "/policy", origin=APP) is None
    headers = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    assert app.test_client().options("/policy", headers=headers).headers["Access-Control-Max-Age"] == "5"


def test_a_views_mark_beats_its_blueprints_and_an_inner_one_the_outer(app, cors):
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    outer.post("/plain")(lambda: "ok")
    inner.post("/plain")(lambda: "ok")
    inner.post("/own", endpoint="own")(cors.policy(origins="https://view.example")(lambda: "ok"))
    assert cors.policy(origins="https://outer.example")(outer) is outer
    cors.policy(origins="https://inner.example")(inner)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    for path, owner in (("/outer/plain", "outer"), ("/outer/inner/plain", "inner"), ("/outer/inner/own", "view")):
        assert allowed(app, path, origin=f"https://{owner}.example") == f"https://{owner}.example"
        assert allowed(app, path, origin=APP) is None


def test_a_mark_beats_policies_and_paths(app):
    cors = MCPCors(app, origins=APP, hosts="localhost", paths="/mcp", policies={"/x": None})
    app.post("/x", endpoint="x")(cors.policy(origins=OTHER)(lambda: "ok"))
    assert allowed(app, "/x") == OTHER


class TestExempt:
    def test_it_means_no_headers_no_preflight_and_no_validation(self, app, cors):
        app.post("/x", endpoint="x")(cors.exempt(lambda: "ok"))
        response = app.test_client().post("/x", headers={"Origin": OTHER})
        assert response.status_code == 200
        assert not {"Vary", "X-Frame-Options", "Access-Control-Allow-Origin"} & dict(response.headers).keys()
        headers = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        preflight = app.test_client().options("/x", headers=headers)
        assert "Access-Control-Allow-Origin" not in preflight.headers
        assert "POST" in preflight.headers["Allow"]

    def test_hosts_still_apply(self, app, cors):
        app.get("/x", endpoint="x")(cors.exempt(lambda: "ok"))
        assert app.test_client().get("/x", base_url="http://evil.example").status_code == 421

    def test_a_view_with_cors_headers_of_its_own_keeps_them(self, app, cors):
        app.get("/x", endpoint="x")(cors.exempt(lambda: ("ok", {"Access-Control-Allow-Origin": "*"})))
        assert app.test_client().get("/x").headers["Access-Control-Allow-Origin"] == "*"


class TestMethodView:
    def test_a_mark_on_the_class_holds_for_every_method(self, app, cors):
        @cors.policy(origins=OTHER)
        class Tools(MethodView):
            def get(self):
                return "got"

            def post(self):
                return "posted"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        for method in ("GET", "POST", "HEAD"):
            assert allowed(app, "/x", method) == OTHER

    def test_a_mark_on_a_method_holds_for_the_announced_method(self, app, cors):
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def get(self):
                return "got"

            def post(self):
                return "posted"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert [allowed(app, "/x", method) for method in ("GET", "HEAD", "POST")] == [OTHER, OTHER, None]

    def test_a_mark_in_decorators_holds(self, app, cors):
        class Tools(MethodView):
            decorators = (cors.policy(origins=OTHER),)

            def post(self):
                return "posted"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert allowed(app, "/x") == OTHER


class TestPreflightFindsTheView:
    @pytest.fixture(autouse=True)
    def routes(self, app, cors):
        app.add_url_rule("/x", "read", lambda: "read", methods=["GET"])
        app.add_url_rule(
            "/x", "write", cors.policy(origins=OTHER, allow_methods="PUT")(lambda: "write"), methods=["PUT"]
        )

    def ask(self, app, method, path="/x"):
        headers = {"Origin": OTHER, "Access-Control-Request-Method": method}
        return app.test_client().options(path, headers=headers).status_code

    def test_by_the_announced_method(self, app):
        assert [self.ask(app, "GET"), self.ask(app, "PUT")] == [403, 200]

    @pytest.mark.parametrize(("method", "path"), [("DELETE", "/x"), ("PUT", "/nowhere"), ("\xff", "/x"), ("", "/x")])
    def test_unrouted_it_is_the_paths(self, app, method, path):
        assert self.ask(app, method, path) == 403


def test_a_mark_that_no_route_carries_is_a_warning_naming_it(app, cors, caplog):
    @cors.policy(origins=OTHER)
    def forgotten():
        return "ok"

    app.post("/x", endpoint="x")(hiding(cors.exempt(forgotten)))
    app.test_client().post("/")
    warnings = [message for message in caplog.messages if "no route carries the mark" in message]
    assert len(warnings) == 2
    assert "forgotten" in warnings[0]
    app.test_client().post("/")
    assert len([message for message in caplog.messages if "no route carries" in message]) == 2


def test_a_mark_carried_by_another_app_of_the_object_is_none(caplog):
    cors = MCPCors(origins=APP, hosts="localhost")
    first, second = Flask("first"), Flask("second")
    cors.init_app(first)
    cors.init_app(second)
    second.post("/x", endpoint="x")(cors.policy(origins=OTHER)(lambda: "ok"))
    first.test_client().post("/")
    assert "no route carries" not in caplog.text


class TestWrongUse:
    @pytest.mark.parametrize("settings", [{"origins": "nonsense"}, {"max_age": -1}, {"hosts": "x"}, {"nonsense": 1}])
    def test_wrong_settings_are_refused_where_they_are_written(self, cors, settings):
        with pytest.raises(PolicyError):
            cors.policy(**settings)(lambda: "ok")

    def test_or_at_the_latest_when_the_app_is_initialised(self, app):
        cors = MCPCors()
        cors.policy(allow_credentials=True)(lambda: "ok")
        with pytest.raises(PolicyError):
            cors.init_app(app)
        assert "mcp_cors" not in app.extensions
        cors.init_app(Flask("other"), origins=APP)

    @pytest.mark.parametrize("target", ["view", 3, None])
    def test_only_views_and_blueprints_are_marked(self, cors, target):
        with pytest.raises(TypeError):
            cors.exempt(target)
        with pytest.raises(TypeError):
            cors.policy(max_age=1)(target)

    def test_a_forgotten_call_says_what_to_write(self, cors):
        with pytest.raises(TypeError, match=r"write @cors.policy\(origins"):
            cors.policy(lambda: "ok")


class Service:
    """Views that are bound methods."""

    def __init__(self, text):
        self.text = text

    def view(self):
        return self.text

    async def later(self):
        return self.text


class Slotted:
    __slots__ = ()

    def __call__(self):
        return "slots"


@pytest.mark.parametrize("target", [Service("x").view, Service("x").later, Slotted()])
def test_marking_what_holds_no_attributes_raises(cors, target):
    for mark in (cors.exempt, cors.policy(origins=OTHER)):
        with pytest.raises(TypeError, match="name its path: policies="):
            mark(target)


def test_an_exempt_wrapper_does_not_open_another_route_of_its_view(app, cors):
    def view():
        return "ok"

    @functools.wraps(view)
    def wrapper():
        return view()

    app.add_url_rule("/exempt", "exempt", cors.exempt(wrapper), methods=["POST"])
    app.add_url_rule("/plain", "plain", view, methods=["POST"])
    evil = {"Origin": "https://evil.example"}
    assert [app.test_client().post(path, headers=evil).status_code for path in ("/exempt", "/plain")] == [200, 403]


def test_a_view_in_the_place_of_an_exempt_one_is_not_exempt(app, cors):
    app.add_url_rule("/x", "x", cors.exempt(lambda: "ok"), methods=["POST"])
    evil = {"Origin": "https://evil.example"}
    assert app.test_client().post("/x", headers=evil).status_code == 200
    app.view_functions["x"] = lambda: "another"
    assert app.test_client().post("/x", headers=evil).status_code == 403


def test_a_mark_in_the_class_of_a_bound_method_holds(app, cors):
    class Marked:
        @cors.policy(origins=OTHER)
        def view(self):
            return "ok"

    app.add_url_rule("/marked", "marked", Marked().view, methods=["POST"])
    assert allowed(app, "/marked") == OTHER


def test_an_app_is_no_view(app, cors):
    with pytest.raises(TypeError, match="mark views and blueprints"):
        cors.exempt(app)


def test_a_mark_holds_in_the_apps_of_its_own_object_only():
    def view():
        return "ok"

    apps = []
    for name in ("first", "second"):
        app = Flask(name)
        cors = MCPCors(app, origins=APP, hosts="localhost")
        marked = cors.policy(origins=OTHER)(view) if name == "first" else view
        app.add_url_rule("/x", "x", marked, methods=["POST"])
        apps.append(app)
    assert [allowed(app, "/x") for app in apps] == [OTHER, None]
    assert [allowed(app, "/x", origin=APP) for app in apps] == [None, APP]


def test_two_objects_may_mark_one_view_each_for_its_own_app():
    def view():
        return "ok"

    origins = ["https://one.example", "https://two.example"]
    apps = [Flask("one"), Flask("two")]
    for app, origin in zip(apps, origins, strict=True):
        app.add_url_rule("/x", "x", MCPCors(app, origins=APP, hosts="localhost").policy(origins=origin)(view))
    for app, origin in zip(apps, origins, strict=True):
        assert [allowed(app, "/x", "GET", asked) for asked in origins] == [o if o == origin else None for o in origins]


def test_a_mark_of_an_object_without_an_app_holds(app, cors):
    """A package with a blueprint marks its views through an object of its own."""
    app.add_url_rule("/x", "x", MCPCors().policy(origins=OTHER)(lambda: "ok"), methods=["POST"])
    assert allowed(app, "/x") == OTHER


def test_the_later_mark_of_an_object_counts(app, cors):
    view = cors.policy(origins=OTHER)(cors.exempt(lambda: "ok"))
    app.add_url_rule("/x", "x", view, methods=["POST"])
    assert allowed(app, "/x") == OTHER


def test_every_fault_in_the_marks_is_told():
    cors = MCPCors()
    cors.policy(max_age=-1)(lambda: "ok")
    cors.policy(origins="null", preflight_status=300)(lambda: "ok")
    with pytest.raises(PolicyError) as caught:
        cors.init_app(Flask("faulty"))
    where = f"cors.policy on {__name__}.test_every_fault_in_the_marks_is_told.<locals>.<lambda>"
    assert [problem.setting for problem in caught.value.problems] == [
        f"{where}.{setting}" for setting in ("max_age", "origins", "preflight_status")
    ]


def test_a_star_under_a_default_with_credentials_names_the_view_and_the_way_out(app):
    cors = MCPCors(app, origins=APP, hosts="localhost", allow_credentials=True)
    with pytest.raises(PolicyError) as caught:
        cors.policy(origins="*")(Base)
    assert str(caught.value.problems[0]) == (
        f"cors.policy on {__name__}.Base.origins='*': browsers refuse * together with allow_credentials; list the "
        "origins, or set allow_credentials=False [credentials_any_origin]"
    )


class Base(MethodView):
    def post(self):
        return "ok"


def test_a_mark_on_a_class_holds_for_its_subclasses_and_not_for_its_bases(app, cors):
    class Marked(Base):
        pass

    class Child(Marked):
        pass

    cors.policy(origins=OTHER)(Marked)
    app.add_url_rule("/base", view_func=Base.as_view("base"))
    app.add_url_rule("/child", view_func=Child.as_view("child"))
    assert (allowed(app, "/base"), allowed(app, "/child")) == (None, OTHER)


def test_a_mark_on_a_method_that_only_the_rule_names_holds(app, cors):
    class Finder(View):
        @cors.policy(origins=OTHER)
        def dispatch_request(self):
            return "ok"

    app.add_url_rule("/x", view_func=Finder.as_view("x"), methods=["POST"])
    assert allowed(app, "/x") == OTHER
