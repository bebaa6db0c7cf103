"""Marks on views and blueprints: another policy, or none; where it holds, and what is said of one that is lost."""

import functools
import gc
import weakref
from functools import partial
from functools import wraps

import pytest
from flask import Blueprint
from flask import Flask
from flask.views import MethodView
from flask.views import View
from pages import APP
from pages import EVIL
from pages import OTHER
from views import ask
from views import hiding
from views import Service
from views import Slotted
from views import unrouted
from views import verify
from views import wrapping
from werkzeug.routing import Rule
from werkzeug.test import EnvironBuilder

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors.extension.marks import describe


def allowed(app, path, method="POST", origin=OTHER):
    """What origin a preflight and a real request for this path are told."""
    client = app.test_client()
    preflight = client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})
    actual = client.open(path, method=method, headers={"Origin": origin})
    name = "Access-Control-Allow-Origin"
    assert preflight.headers.get(name) == actual.headers.get(name)
    return actual.headers.get(name)


# What a mark says


def test_settings_go_over_the_apps_policy_and_a_policy_stands_for_itself(app, cors):
    app.post("/settings", endpoint="s")(cors.policy(max_age=5)(lambda: "ok"))
    app.post("/policy", endpoint="p")(cors.policy(CORSPolicy(origins=OTHER), max_age=5)(lambda: "ok"))
    assert allowed(app, "/settings", origin=APP) == APP
    assert allowed(app, "/policy", origin=APP) is None
    headers = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    assert app.test_client().options("/policy", headers=headers).headers["Access-Control-Max-Age"] == "5"


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


def test_views_have_names(app, cors):
    call = partial(print, 1)
    assert describe(TestExempt) == f"{__name__}.TestExempt"
    assert describe(call) == f"functools.{call!r}"
    assert describe(Blueprint("b", "exact")) == "blueprint 'b'"

    @app.get("/x")
    @cors.policy(origins=OTHER)
    def x():
        return "in"

    choice = app.extensions["mcp_cors"].views.find("x", "GET").choice
    assert choice.rule == f"the mark on {__name__}.{x.__qualname__}"


def test_a_failure_before_the_first_hook_is_answered_by_the_views_policy(app, cors):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/private", view_func=cors.policy(origins=OTHER)(lambda: "reached"))
    app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
    client = app.test_client()
    assert "Access-Control-Allow-Origin" not in client.get("/private", headers={"Origin": APP}).headers
    allowed = client.get("/private", headers={"Origin": OTHER}).headers["Access-Control-Allow-Origin"]
    assert allowed == OTHER


# Where it holds


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


def test_a_mark_in_the_class_of_a_bound_method_holds(app, cors):
    class Marked:
        @cors.policy(origins=OTHER)
        def view(self):
            return "ok"

    app.add_url_rule("/marked", "marked", Marked().view, methods=["POST"])
    assert allowed(app, "/marked") == OTHER


def test_a_mark_wraps_nothing_that_can_carry_it(cors):
    class Tools(MethodView):
        pass

    blueprint = Blueprint("b", "exact")
    for view in (lambda: "in", partial(print), Tools):
        assert cors.policy(origins=OTHER)(view) is view
        assert cors.exempt(view) is view
    assert cors.exempt(blueprint) is blueprint


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


def test_a_mark_on_an_outer_blueprint_holds_in_the_inner_one(app, cors):
    inner, outer = Blueprint("inner", "exact"), Blueprint("outer", "exact")
    inner.post("/policy", endpoint="policy")(lambda: "in")
    outer.register_blueprint(inner)
    app.register_blueprint(cors.policy(origins=OTHER)(outer))
    assert ask(app, "/policy", Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER
    cors.protected(verify)(outer)
    assert ask(app, "/policy", Origin=OTHER).status_code == 401


def test_a_policy_for_a_guarded_blueprint_takes_no_guard_away(app, cors):
    blueprint = Blueprint("b", "exact")
    blueprint.post("/x", endpoint="x")(lambda: "in")
    app.register_blueprint(cors.policy(origins=OTHER)(cors.protected(verify)(blueprint)))
    assert ask(app, "/x", Origin=OTHER).status_code == 401


def test_an_endpoint_with_a_dot_need_not_be_a_blueprints(app, cors):
    app.add_url_rule("/x", "no.blueprint", cors.policy(origins=OTHER)(lambda: "in"), methods=["POST"])
    assert allowed(app, "/x") == OTHER


def test_the_only_view_of_an_app_may_be_marked():
    app = Flask("exact", static_folder=None)
    cors = MCPCors(app, origins=APP, hosts="localhost")
    app.add_url_rule("/x", view_func=cors.policy(origins=OTHER)(lambda: "in"), endpoint="x", methods=["POST"])
    assert ask(app, Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER


def test_of_two_marks_above_the_route_the_outer_one_counts(app, cors):
    inner = cors.policy(origins=EVIL)(wrapping(app.post("/x", endpoint="x")(lambda: "ok")))
    cors.policy(origins=OTHER)(wrapping(inner))
    assert allowed(app, "/x") == OTHER


def test_the_later_mark_of_an_object_counts(app, cors):
    view = cors.policy(origins=OTHER)(cors.exempt(lambda: "ok"))
    app.add_url_rule("/x", "x", view, methods=["POST"])
    assert allowed(app, "/x") == OTHER


def test_an_inner_functions_own_mark_is_left_alone(app, cors):
    @cors.policy(origins=OTHER)
    def inner():
        return "reached"

    @wraps(inner, updated=())
    def outer():
        return inner()

    app.add_url_rule("/outer", "outer", cors.policy(origins=EVIL)(outer))
    app.add_url_rule("/inner", "inner", inner)
    client = app.test_client()
    for path, origin, status in (("/outer", EVIL, 200), ("/inner", EVIL, 403), ("/inner", OTHER, 200)):
        assert client.get(path, headers={"Origin": origin}).status_code == status


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


def test_a_view_in_the_place_of_another_has_its_own_mark(app, cors):
    app.add_url_rule("/x", "x", lambda: "ok", methods=["POST"])
    marked = cors.policy(origins=OTHER)(lambda: "another")
    assert allowed(app, "/x") is None
    app.view_functions["x"] = marked
    assert allowed(app, "/x") == OTHER


def test_a_marked_view_may_come_after_the_first_request(app, cors):
    """Flask allows no route then; this is what its method does."""
    marked = MCPCors().policy(origins=OTHER)(lambda: "ok")
    ask(app)
    app.view_functions["x"] = marked
    app.url_map.add(Rule("/x", endpoint="x", methods=["POST"]))
    assert allowed(app, "/x") == OTHER


@pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
def test_a_marked_view_may_come_after_requests_for_its_path(wrap):
    app = Flask("app")
    MCPCors(app, origins=APP, hosts="*", wrap_wsgi=wrap)
    marked = MCPCors().policy(origins=OTHER)(lambda: "ok")
    # The second of them shows a kept decision.
    assert [allowed(app, "/x", origin=APP) for _ in range(2)] == [APP, APP]
    app.view_functions["x"] = marked
    app.url_map.add(Rule("/x", endpoint="x", methods=["POST"]))
    assert allowed(app, "/x", origin=APP) is None


def test_functions_that_wrap_each_other_come_to_an_end(app, cors):
    def first():
        return "in"

    second = wraps(first)(lambda: first())
    first.__wrapped__ = second
    app.post("/x", endpoint="x")(cors.policy(origins=OTHER)(second))
    assert ask(app, Origin=OTHER).text == "in"


def test_an_app_without_marks_finds_none(app, cors):
    app.add_url_rule("/tools", "tools", lambda: "ok")
    found = app.extensions["mcp_cors"].views.find("tools", "GET")
    assert (found.choice, found.guards) == (None, ())


def test_a_mark_that_is_made_while_the_table_is_made_counts(app, cors, monkeypatch):
    app.post("/x", endpoint="x")(lambda: "ok")
    views = app.extensions["mcp_cors"].views
    assert not views.exist()
    assert views.unmarked == len(views.functions)
    look_up = views.look_up

    def look_up_slowly():
        table = look_up()
        cors.policy(origins=OTHER)(app.view_functions["x"])
        return table

    monkeypatch.setattr(views, "look_up", look_up_slowly)
    views.compile()
    monkeypatch.undo()
    assert views.unmarked == -1
    assert allowed(app, "/x") == OTHER
    assert views.unmarked == -1


def test_an_endpoint_without_a_view_has_no_marks(app, cors):
    app.post("/x", endpoint="x")(cors.policy(origins=OTHER)(lambda: "ok"))
    views = app.extensions["mcp_cors"].views
    assert views.find("gone", "GET") == (None, ())
    assert views.find("x", "POST").choice is not None
    app.view_functions["y"] = app.view_functions.pop("x")
    assert views.find("x", "POST") == (None, ())


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

    def test_a_method_for_head_has_its_own_mark(self, app, cors):
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def head(self):
                return ""

            def get(self):
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        for method, origin in (("HEAD", OTHER), ("GET", APP)):
            assert ask(app, method=method, Origin=origin).headers["Access-Control-Allow-Origin"] == origin

    @pytest.mark.parametrize("method", ["HEAD", "head", "Head"])
    def test_head_in_any_case_has_the_policy_of_get(self, app, cors, method):
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def get(self):
                return "reached"

        app.add_url_rule("/tools", view_func=Tools.as_view("tools"))
        client = app.test_client()
        builder = EnvironBuilder("/tools", headers={"Origin": APP})
        environ = {**builder.get_environ(), "REQUEST_METHOD": method}
        assert client.open(environ).status_code == 403

    def test_a_class_without_get_may_be_marked(self, app, cors):
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def post(self):
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert ask(app, Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER

    def test_a_class_without_get_needs_no_mark(self, app, cors):
        class Tools(MethodView):
            def post(self):
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert ask(app).text == "in"

    def test_a_mark_on_a_class_holds_for_its_subclasses_and_not_for_its_bases(self, app, cors):
        class Marked(Base):
            pass

        class Child(Marked):
            pass

        cors.policy(origins=OTHER)(Marked)
        app.add_url_rule("/base", view_func=Base.as_view("base"))
        app.add_url_rule("/child", view_func=Child.as_view("child"))
        assert (allowed(app, "/base"), allowed(app, "/child")) == (None, OTHER)

    def test_a_mark_on_a_method_that_only_the_rule_names_holds(self, app, cors):
        class Finder(View):
            @cors.policy(origins=OTHER)
            def dispatch_request(self):
                return "ok"

        app.add_url_rule("/x", view_func=Finder.as_view("x"), methods=["POST"])
        assert allowed(app, "/x") == OTHER

    def test_a_mark_holds_on_a_rule_that_takes_every_method(self, app, cors):
        @cors.policy(origins=OTHER)
        class Finder(View):
            def dispatch_request(self):
                return "ok"

        app.view_functions["x"] = Finder.as_view("x")
        app.url_map.add(Rule("/x", endpoint="x"))
        assert [allowed(app, "/x", method) for method in ("GET", "PROPFIND")] == [OTHER, OTHER]


class Base(MethodView):
    def post(self):
        return "ok"


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


class TestSharedViews:
    """A mark is a property of the view: it holds in every app that routes it."""

    @staticmethod
    def apps_with(*views):
        """An app for each of these views, each with an extension object of its own."""
        for view in views:
            app = Flask("app")
            MCPCors(app, origins=APP, hosts="localhost")
            app.add_url_rule("/x", "x", view, methods=["POST"])
            yield app

    def test_of_two_marks_on_one_view_the_later_counts_in_both_apps(self):
        def view():
            return "ok"

        first, second = self.apps_with(view, view)
        MCPCors().policy(origins=EVIL)(view)
        assert [allowed(app, "/x", origin=EVIL) for app in (first, second)] == [EVIL, EVIL]
        MCPCors().policy(origins=OTHER)(view)
        assert [allowed(app, "/x") for app in (first, second)] == [OTHER, OTHER]
        assert [allowed(app, "/x", origin=EVIL) for app in (first, second)] == [None, None]

    def test_marks_on_two_wrappers_of_one_view_are_two(self):
        def view():
            return "ok"

        origins = (EVIL, OTHER)
        marked = [MCPCors().policy(origins=origin)(wraps(view)(lambda: view())) for origin in origins]
        for app, origin in zip(self.apps_with(*marked), origins, strict=True):
            assert [allowed(app, "/x", origin=asked) == asked for asked in origins] == [o == origin for o in origins]

    @pytest.mark.parametrize("first", [0, 1])
    def test_an_exemption_of_one_apps_wrapper_opens_no_other_app_whichever_is_asked_first(self, first):
        def view():
            return "in"

        apps = list(self.apps_with(MCPCors().exempt(wraps(view)(lambda: view())), view))
        found = {place: ask(apps[place], "/x", Origin=EVIL).status_code for place in (first, 1 - first)}
        assert found == {0: 200, 1: 403}

    def test_of_two_marks_above_the_route_the_later_counts(self):
        def view():
            return "ok"

        (app,) = self.apps_with(view)
        for origin in (EVIL, OTHER):
            MCPCors().policy(origins=origin)(wraps(view)(lambda: view()))
            assert allowed(app, "/x", origin=origin) == origin

    def test_a_mark_of_an_object_without_an_app_holds(self, app, cors):
        """A package with a blueprint marks its views through an object of its own."""
        app.add_url_rule("/x", "x", MCPCors().policy(origins=OTHER)(lambda: "ok"), methods=["POST"])
        assert allowed(app, "/x") == OTHER

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_exempt_wrapper_in_one_app_opens_no_plain_view_in_another(self, order):
        def view():
            return "in"

        cors = MCPCors(origins=APP, hosts="localhost")
        apps = {"exempt": Flask("exempt"), "plain": Flask("plain")}
        for app in apps.values():
            cors.init_app(app)
        apps["exempt"].add_url_rule("/x", "x", cors.exempt(wraps(view)(lambda: view())), methods=["POST"])
        apps["plain"].add_url_rule("/x", "x", view, methods=["POST"])
        evil = {"Origin": "https://evil.example"}
        statuses = {name: apps[name].test_client().post("/x", headers=evil).status_code for name in list(apps)[::order]}
        assert statuses == {"exempt": 200, "plain": 403}


class TestLeft:
    """What a mark leaves behind."""

    def test_one_made_while_a_request_is_handled_is_left_on_its_target_only(self, app, cors):
        def view():
            return "ok"

        app.add_url_rule("/x", "x", lambda: cors.policy(origins=OTHER)(wrapping(view))(), methods=["POST"])
        assert ask(app).text == "ok"
        assert "__mcp_cors_marks__" not in vars(view)

    def test_an_app_that_was_asked_is_freed_though_the_object_lives(self):
        app = Flask("app")
        cors = MCPCors(app, origins=APP, hosts="localhost")
        app.add_url_rule("/x", "x", cors.exempt(lambda: "ok"), methods=["POST"])
        assert ask(app).text == "ok"
        freed = weakref.ref(app)
        del app
        gc.collect()
        assert freed() is None

    def test_one_on_a_class_leaves_nothing_on_its_bases(self, cors):
        class Marked(Base):
            pass

        assert cors.exempt(Marked) is Marked
        assert [c.__name__ for c in Marked.__mro__ if "__mcp_cors_marks__" in vars(c)] == ["Marked"]


class TestLost:
    """A mark that no route carries."""

    def test_a_mark_that_no_route_carries_is_told(self, app, cors, caplog):
        app.get("/x", endpoint="x")(cors.policy(origins="*")(lambda: "in"))
        cors.policy(origins=OTHER)(verify)
        cors.protected(verify)(unrouted)
        caplog.clear()
        ask(app, method="GET")
        assert caplog.messages == [
            f"{word} has no effect on {module}.{name}, because no route carries the mark: put it directly above or "
            "below the route's decorator, and use functools.wraps in the decorators in between"
            for word, module, name in (
                ("cors.policy or cors.exempt", "views", "verify"),
                ("cors.protected", "views", "unrouted"),
            )
        ]

    def test_those_that_no_route_carries_are_listed(self, app, cors):
        app.add_url_rule("/x", "x", cors.exempt(lambda: "ok"), methods=["POST"])
        cors.exempt(unrouted)
        assert [mark.target for mark in app.extensions["mcp_cors"].views.unused()] == [unrouted]

    def test_an_unused_mark_is_warned_of_once(self, app, cors, caplog):
        for _ in range(2):
            cors.policy(max_age=1)(lambda: "ok")
            app.test_client().get("/")
        assert len([record for record in caplog.records if "no route carries" in record.message]) == 2

    def test_a_mark_carried_by_another_app_of_the_object_is_none(self, caplog):
        cors = MCPCors(origins=APP, hosts="localhost")
        first, second = Flask("first"), Flask("second")
        cors.init_app(first)
        cors.init_app(second)
        second.post("/x", endpoint="x")(cors.policy(origins=OTHER)(lambda: "ok"))
        first.test_client().post("/")
        assert "no route carries" not in caplog.text

    def test_a_policy_for_what_hides_a_view_is_none_for_the_view(self, app, cors, caplog):
        """Unlike a guard, which is on the safe side."""
        cors.policy(origins=OTHER)(hiding(app.post("/x", endpoint="x")(lambda: "in")))
        caplog.clear()
        assert ask(app).text == "in"
        assert [message.partition(",")[0] for message in caplog.messages] == [
            "cors.policy or cors.exempt has no effect on views.hiding.<locals>.wrapper"
        ]


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

    def test_a_mark_whose_policy_cannot_be_is_refused_though_there_is_no_app_yet(self):
        with pytest.raises(PolicyError):
            MCPCors().policy(CORSPolicy(origins=APP, allow_credentials=True), origins="*")(lambda: "ok")

    def test_a_mark_made_after_init_app_is_checked_against_the_apps_policy(self, app):
        cors = MCPCors(app, origins=APP, allow_credentials=True)
        with pytest.raises(PolicyError):
            cors.policy(origins="*")(lambda: "ok")

    def test_every_fault_in_the_marks_is_told(self):
        cors = MCPCors()
        cors.policy(max_age=-1)(lambda: "ok")
        cors.policy(origins="null", preflight_status=300)(lambda: "ok")
        with pytest.raises(PolicyError) as caught:
            cors.init_app(Flask("faulty"))
        where = (
            f"cors.policy on {__name__}.{type(self).__name__}.test_every_fault_in_the_marks_is_told.<locals>.<lambda>"
        )
        assert [problem.setting for problem in caught.value.problems] == [
            f"{where}.{setting}" for setting in ("max_age", "origins", "preflight_status")
        ]

    def test_a_star_under_a_default_with_credentials_names_the_view_and_the_way_out(self):
        class Tools(MethodView):
            pass

        cors = MCPCors(Flask("faulty"), origins=APP, hosts="localhost", allow_credentials=True)
        with pytest.raises(PolicyError) as caught:
            cors.policy(origins="*")(Tools)
        message = str(caught.value.problems[0])
        assert message.startswith(f"cors.policy on {__name__}.{type(self).__name__}.")
        assert message.endswith(
            "Tools.origins='*': browsers refuse * together with allow_credentials; list the origins, or set "
            "allow_credentials=False [credentials_any_origin]"
        )

    def test_an_app_is_no_view(self, app, cors):
        with pytest.raises(TypeError, match="mark views and blueprints"):
            cors.exempt(app)

    @pytest.mark.parametrize("target", [Service().view, Service().later, Slotted()])
    def test_marking_what_holds_no_attributes_raises(self, cors, target):
        for mark in (cors.exempt, cors.policy(origins=OTHER)):
            with pytest.raises(TypeError) as caught:
                mark(target)
            assert str(caught.value) == (
                f"{target!r} cannot be marked, because it is a bound method or an object with slots: mark the function "
                'itself, or set policies={"/path": …}'
            )

    @pytest.mark.parametrize(
        ("use", "words"),
        [
            (
                lambda cors: cors.policy(lambda: "ok"),
                "cors.policy(…) takes a CORSPolicy or settings: write @cors.policy(origins=[…])",
            ),
            (
                lambda cors: cors.policy(),
                "cors.policy(…) needs a CORSPolicy or settings: write @cors.policy(origins=[…])",
            ),
            (
                lambda cors: cors.exempt(),
                "cors.exempt takes the view or the blueprint: write @cors.exempt, without parentheses",
            ),
            (lambda cors: cors.exempt(1), "cors.policy and cors.exempt mark views and blueprints, not 1"),
            (lambda cors: cors.protected(verify)(1), "cors.protected guards views and blueprints, not 1"),
        ],
    )
    def test_it_says_what_to_write(self, cors, use, words):
        with pytest.raises(TypeError) as caught:
            use(cors)
        assert str(caught.value) == words
