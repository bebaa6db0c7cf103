"""Guarded routes: a guard holds whatever the order of decorators, in each app; one that is lost closes the app."""

import functools
import gc
import operator
import threading
from functools import wraps

import pytest
from flask import Blueprint
from flask import Flask
from flask import g
from flask.views import MethodView
from pages import APP
from views import ask
from views import GOOD
from views import hiding
from views import Service
from views import Slotted
from views import unrouted
from views import verify
from views import wrapping
from werkzeug.routing import Rule

from flask_mcp_cors import MCPCors


async def verify_later(credential):
    return verify(credential)


def protected_routes(app, cors, check):
    """Every way of writing a protected route: name → path."""
    guard = cors.protected(check)
    app.post("/below", endpoint="below")(guard(lambda: g.mcp_identity))
    guard(app.post("/above", endpoint="above")(lambda: g.mcp_identity))
    app.post("/hidden", endpoint="hidden")(hiding(guard(lambda: g.mcp_identity)))
    app.post("/wrapped", endpoint="wrapped")(wrapping(guard(lambda: g.mcp_identity)))
    guard(app.post("/above-wrapped", endpoint="above_wrapped")(wrapping(lambda: g.mcp_identity)))

    async def later():
        return g.mcp_identity

    app.post("/async", endpoint="later")(guard(later))

    class View(MethodView):
        decorators = (guard,)

        def post(self):
            return g.mcp_identity

    class Method(MethodView):
        @guard
        def post(self):
            return g.mcp_identity

    app.add_url_rule("/method-view", view_func=View.as_view("method_view"))
    app.add_url_rule("/method", view_func=Method.as_view("method"))
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.post("/x", endpoint="x")(guard(lambda: g.mcp_identity))
    outer.register_blueprint(inner)
    guard(marked := Blueprint("marked", __name__, url_prefix="/marked"))
    marked.post("/x", endpoint="x")(lambda: g.mcp_identity)
    app.register_blueprint(outer)
    app.register_blueprint(marked)
    return [
        "/below",
        "/above",
        "/hidden",
        "/wrapped",
        "/above-wrapped",
        "/async",
        "/method-view",
        "/method",
        "/outer/inner/x",
        "/marked/x",
    ]


@pytest.mark.parametrize("check", [verify, verify_later, lambda c: verify_later(c)], ids=["sync", "async", "awaitable"])
def test_it_guards_whatever_the_order_of_decorators(app, cors, check):
    for path in protected_routes(app, cors, check):
        assert ask(app, path).status_code == 401, path
        assert ask(app, path, Authorization="Bearer wrong").status_code == 401, path
        passed = ask(app, path, **GOOD)
        assert (passed.status_code, passed.text) == (200, "caller"), path
        assert passed.headers["Access-Control-Allow-Origin"] == APP


def test_a_preflight_never_reaches_verify_and_any_other_options_does(app, cors):
    asked = []
    for path in protected_routes(app, cors, lambda credential: asked.append(1)):
        preflight = ask(app, path, "OPTIONS", **{"Access-Control-Request-Method": "POST", **GOOD})
        assert (preflight.status_code, asked) == (200, []), path
        # Flask answers OPTIONS without the view where nothing visible guards that method: under a
        # decorator that hides the guard, and in a class where only ``post`` has one.
        if path not in ("/hidden", "/method"):
            assert ask(app, path, "OPTIONS").status_code == 401, path
            assert app.test_client().options(path, headers={"Access-Control-Request-Method": "POST"}).status_code == 401


@pytest.mark.parametrize("view", [Service().view, Service().later, Slotted()])
def test_bound_methods_and_objects_with_slots_are_guarded(app, cors, view):
    app.add_url_rule("/x", "x", cors.protected(verify)(view), methods=["POST"])
    assert ask(app).status_code == 401
    assert ask(app, **GOOD).text == "in"


def test_a_view_that_is_wrapped_where_it_is_registered_is_guarded_by_what_it_wraps(app, cors):
    """A framework that registers a wrapper and gives the function itself back."""

    def view():
        return "in"

    app.add_url_rule("/x", "x", wraps(view)(lambda: view()), methods=["POST"])
    cors.protected(verify)(view)
    assert ask(app).status_code == 401


def test_a_guard_on_a_wrapper_of_what_the_route_wraps_holds_for_that_route_only(app, cors):
    def view():
        return "in"

    app.add_url_rule("/x", "x", wrapping(view), methods=["POST"])
    app.add_url_rule("/other", "other", lambda: "other", methods=["POST"])
    cors.protected(verify)(wrapping(view))
    assert [ask(app, path).status_code for path in ("/x", "/other")] == [401, 200]


def test_a_guard_on_one_route_closes_another_of_the_same_view(app, cors):
    """A route too many rather than one too few."""

    def view():
        return "in"

    app.add_url_rule("/x", "x", cors.protected(verify)(view), methods=["POST"])
    app.add_url_rule("/bare", "bare", view, methods=["POST"])
    assert [ask(app, path).status_code for path in ("/x", "/bare")] == [401, 401]


def test_a_guard_that_is_put_on_nothing_closes_nothing(app, cors):
    cors.protected(verify)
    app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
    assert ask(app).text == "in"


def test_a_guard_that_comes_after_a_request_holds_for_the_next(app, cors):
    views = [app.post(f"/{number}", endpoint=str(number))(lambda: "in") for number in range(3)]
    for number, view in enumerate(views):
        assert ask(app, f"/{number}").status_code == 200
        cors.protected(verify)(view)
        assert ask(app, f"/{number}").status_code == 401


class TestSeveralGuards:
    def test_every_guard_of_a_view_must_let_it_pass(self, app, cors):
        key = cors.protected(lambda c: c.token == "key" or None, schemes=(), api_key_header="X-API-Key")
        app.post("/x", endpoint="x")(key(cors.protected(verify)(lambda: "in")))
        assert ask(app, **GOOD).status_code == 401
        assert ask(app, **{"X-API-Key": "key"}).status_code == 401
        assert ask(app, **{"X-API-Key": "key"}, **GOOD).status_code == 200

    def test_every_guard_of_a_view_stands_before_a_plain_options_request(self, app, cors):
        """Flask answers it without the view, so only the marks are left to guard it."""
        key = cors.protected(lambda c: c.token == "key" or None, schemes=(), api_key_header="X-API-Key")
        app.post("/x", endpoint="x")(key(cors.protected(verify)(lambda: "in")))
        assert ask(app, method="OPTIONS", **{"X-API-Key": "key"}).status_code == 401
        assert ask(app, method="OPTIONS", **GOOD).status_code == 401
        assert ask(app, method="OPTIONS", **GOOD, **{"X-API-Key": "key"}).status_code == 200

    def test_guards_of_two_routes_with_one_function_are_two(self, app, cors):
        def view():
            return "in"

        for scope in ("read", "write"):
            app.add_url_rule(f"/{scope}", scope, cors.protected(scoped, scopes=[scope])(view), methods=["POST"])
        both = cors.protected(scoped, scopes=["write"])(app.view_functions["read"])
        app.add_url_rule("/both", "both", wrapping(both), methods=["POST"])
        statuses = {}
        for path in ("/write", "/both"):
            for scopes in ("read", "write", "read write"):
                statuses[path, scopes] = ask(app, path, Authorization=f"Bearer {scopes.replace(' ', '+')}").status_code
        assert statuses == {
            ("/write", "read"): 403,
            ("/write", "write"): 200,
            ("/write", "read write"): 403,
            ("/both", "read"): 403,
            ("/both", "write"): 403,
            ("/both", "read write"): 403,
        }

    def test_a_function_behind_two_guards_has_each_where_it_was_put(self, app, cors):
        def view():
            return "in"

        read = cors.protected(scoped, scopes=["read"])(view)
        write = cors.protected(scoped, scopes=["write"])(view)
        app.add_url_rule("/read", "read", read, methods=["POST"])
        app.add_url_rule("/write", "write", wrapping(write), methods=["POST"])
        for path, scope, status in (
            ("/read", "read", 200),
            ("/read", "write", 403),
            ("/write", "write", 200),
            ("/write", "read", 403),
        ):
            assert ask(app, path, Authorization=f"Bearer {scope}").status_code == status, (path, scope)


def scoped(credential):
    return {"scopes": credential.token}


class TestHook:
    """The extension enforces a mark before the view."""

    def test_guards_come_after_the_hooks_that_were_there(self, app, cors):
        counted = []
        app.before_request(lambda: counted.append(1))
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))
        assert ask(app).status_code == 401
        assert counted == [1]

    def test_so_do_those_that_were_made_before_the_app(self):
        counted = []
        cors = MCPCors(origins=APP, hosts="localhost")
        view = cors.protected(verify)(lambda: "in")
        app = Flask("app")
        app.before_request(lambda: counted.append(1))
        cors.init_app(app)
        app.add_url_rule("/x", "x", view, methods=["POST"])
        assert (ask(app).status_code, counted) == (401, [1])

    def test_a_guard_holds_while_another_thread_looks_for_guards(self, app, cors):
        """The first requests come at once: one that arrives during the search must not find it finished."""

        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        @app.route("/tools")
        def tools():
            return "reached"

        views = app.extensions["mcp_cors"].views
        search, statuses = views.look_up, []

        def slow_search():
            if not statuses:
                statuses.append(None)
                second = threading.Thread(target=lambda: statuses.append(app.test_client().get("/tools").status_code))
                second.start()
                second.join(10)
            return search()

        views.look_up = slow_search
        assert app.test_client().get("/tools").status_code == 401
        assert statuses == [None, 401]

    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
    def test_a_guard_holds_on_a_rule_that_takes_every_method(self, app, cors, method):
        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        def tools():
            return "reached"

        app.url_map.add(Rule("/tools", endpoint="tools"))
        assert app.test_client().open("/tools", method=method).status_code == 401

    def test_a_guard_holds_on_a_rule_that_came_after_the_first_request(self, app, cors):
        @cors.protected(lambda credential: None)
        @app.endpoint("tools")
        def tools():
            return "reached"

        app.test_client().get("/")
        app.url_map.add(Rule("/tools", endpoint="tools"))
        assert app.test_client().get("/tools").status_code == 401

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

    def test_a_guard_of_another_object_is_enforced_too(self, app, cors):
        blueprint = Blueprint("elsewhere", __name__)
        MCPCors().protected(verify)(blueprint)
        blueprint.post("/x", endpoint="x")(lambda: g.mcp_identity)
        app.register_blueprint(blueprint)
        assert ask(app).status_code == 401
        assert ask(app, **GOOD).text == "caller"

    def test_a_guard_works_without_the_extension(self):
        app = Flask("bare")
        app.post("/x", endpoint="x")(MCPCors().protected(verify)(lambda: "in"))
        client = app.test_client()
        assert client.post("/x").status_code == 401
        assert client.post("/x", headers=GOOD).text == "in"


class OnAnObject:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class WithSlots:
    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def in_a_default(function):
    def wrapper(*args, _function=function, **kwargs):
        return _function(*args, **kwargs)

    return wrapper


def in_a_dict(function):
    known = {"view": function}

    def wrapper(*args, **kwargs):
        return known["view"](*args, **kwargs)

    return wrapper


def in_an_attribute(function):
    def wrapper(*args, **kwargs):
        return wrapper.view(*args, **kwargs)

    wrapper.view = function
    return wrapper


def by_exec(function):
    made = {"function": function}
    exec("def wrapper(*args, **kwargs):\n    return function(*args, **kwargs)", made)
    return made["wrapper"]


HIDING = [
    hiding,
    OnAnObject,
    WithSlots,
    functools.partial,
    in_a_default,
    in_a_dict,
    in_an_attribute,
    by_exec,
    lambda function: OnAnObject(function).__call__,
]


class TestLostGuards:
    """A guard that no route carries closes the app, where it was put on something that may hide a view."""

    @pytest.mark.parametrize("hide", HIDING)
    @pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
    def test_above_a_hiding_decorator_above_the_route(self, hide, wrap):
        app = Flask("tools")
        cors = MCPCors(app, origins=APP, hosts="localhost", wrap_wsgi=wrap)
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @cors.protected(verify)
        @hide
        @app.post("/x")
        def x():
            return "in"

        app.add_url_rule("/other", "other", lambda: "other", methods=["POST"])
        for _ in range(2):
            assert [ask(app, path, **GOOD).status_code for path in ("/x", "/other")] == [500, 500]
        preflight = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        assert app.test_client().options("/x", headers=preflight).status_code == 200

    def test_the_error_says_what_to_write(self, app, cors):
        hidden = in_a_dict(app.post("/x")(lambda: "in"))
        cors.protected(verify)(hidden)
        app.testing = True
        with pytest.raises(RuntimeError) as caught:
            ask(app)
        assert str(caught.value) == (
            f"cors.protected is on {__name__}.{hidden.__qualname__}, but no route calls it. It may hide a view that is "
            "now unprotected, so this app refuses every request. Put cors.protected directly above or below the "
            "route's decorator, or use functools.wraps in the decorators in between. If the view should have no "
            "route, remove cors.protected"
        )

    @pytest.mark.parametrize("hide", HIDING)
    def test_below_a_hiding_decorator_it_holds(self, app, cors, hide):
        secret = "in"

        def view():
            return secret  # a closure: it might hide a view, but a route reaches its guard

        app.add_url_rule("/x", "x", hide(cors.protected(verify)(view)), methods=["POST"])
        assert (ask(app).status_code, ask(app, **GOOD).text) == (401, "in")

    def test_it_is_open_again_once_the_route_is_there(self, app, cors):
        secret = "in"
        guarded = cors.protected(verify)(lambda: secret)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        assert ask(app, **GOOD).status_code == 500
        # Flask allows no route after the first request; this is what its method does.
        app.view_functions["x"] = guarded
        app.url_map.add(Rule("/x", endpoint="x", methods=["POST"]))
        assert ask(app, **GOOD).text == "in"

    def test_a_plain_function_that_is_not_registered_is_a_warning(self, app, cors, caplog):
        cors.protected(verify)(unrouted)
        app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
        assert ask(app).text == "in"
        assert "cors.protected has no effect on views.unrouted, because no route carries the mark" in caplog.text

    def test_an_app_factory_with_one_object_makes_no_false_alarm(self, caplog):
        cors = MCPCors(origins=APP, hosts="localhost")

        def create_app():
            app = Flask("tools")
            cors.init_app(app)
            setting = object()

            @app.post("/x")
            @cors.protected(verify)
            def x():
                assert setting
                return "in"

            return app

        for asked in (True, False, False, True):
            app = create_app()
            if asked:
                assert (ask(app).status_code, ask(app, **GOOD).text) == (401, "in")
            del app
            gc.collect()
        assert "no route carries" not in caplog.text
        assert len(cors._made) <= 1

    def test_a_guard_made_while_a_request_is_handled_only_wraps(self, app, cors):
        app.add_url_rule("/x", "x", lambda: cors.protected(verify)(lambda: "in")(), methods=["POST"])
        for _ in range(20):
            assert (ask(app).status_code, ask(app, **GOOD).text) == (401, "in")
        assert cors._made == []

    @pytest.mark.parametrize("holder", ["a view", "a verify"])
    def test_no_view_that_holds_the_extension_leads_to_a_lost_guard(self, app, cors, holder):
        app.config["PROPAGATE_EXCEPTIONS"] = False

        def check(credential):
            return cors and verify(credential)

        other = cors.protected(check)(lambda: "other") if holder == "a verify" else lambda: str(cors)
        app.add_url_rule("/other", "other", other, methods=["POST"])
        cors.protected(check)(OnAnObject(app.post("/x")(lambda: "in")))
        assert ask(app, **GOOD).status_code == 500

    def test_nor_does_one_that_calls_the_guarded_view(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        guarded = cors.protected(verify)(in_a_default(app.post("/x")(lambda: "in")))
        app.add_url_rule("/calls", "calls", lambda: guarded(), methods=["POST"])
        assert ask(app, **GOOD).status_code == 500

    def test_what_the_module_of_a_view_holds_is_not_below_the_view(self, app, cors, monkeypatch):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/x", "x", routed, methods=["POST"])
        monkeypatch.setitem(globals(), "lost", cors.protected(verify)(operator.methodcaller("dispatch_request")))
        assert ask(app, **GOOD).status_code == 500

    def test_without_parentheses_above_a_route_with_one_variable(self, app, cors):
        """The view is taken for ``verify``, which also takes one argument."""
        app.testing = True

        @app.post("/x/<name>")
        def x(name):
            return "in"

        cors.protected(x)

        with pytest.raises(RuntimeError) as caught:
            ask(app, "/x/a", **GOOD)
        assert str(caught.value) == (
            f"cors.protected is on the view {__name__}.{x.__qualname__} without parentheses, so it does not protect "
            "the view, and this app refuses every request: write @cors.protected(verify)"
        )

    def test_without_parentheses_beside_a_guard_that_is_right(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.post("/y/<name>", endpoint="y")(cors.protected(verify)(lambda name: "in"))
        view = app.post("/x/<name>", endpoint="x")(lambda name: "in")
        cors.protected(view)
        app.post("/z", endpoint="z")(cors.protected(verify)(lambda: "in"))
        assert ask(app, "/x/a", **GOOD).status_code == 500

    def test_without_parentheses_below_it(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @app.post("/x/<target>")
        @cors.protected
        def x(target):
            return "in"

        assert ask(app, "/x/a", **GOOD).status_code == 500

    def test_a_blueprint_that_is_not_registered_is_a_warning(self, app, cors, caplog):
        cors.protected(verify)(Blueprint("left_out", "app"))
        app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
        assert ask(app).text == "in"
        assert "cors.protected has no effect on blueprint 'left_out'" in caplog.text

    def test_two_guards_on_a_plain_function_that_is_not_registered_only_warn(self, app, cors):
        app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
        cors.protected(verify)(cors.protected(verify)(unrouted))
        assert ask(app).text == "in"

    def test_a_function_that_calls_an_attribute_of_its_own_may_hide_a_view(self, app, cors):
        app.testing = True
        calls_its_attribute.view = app.post("/x")(lambda: "in")
        cors.protected(verify)(calls_its_attribute)
        with pytest.raises(RuntimeError, match="may hide a view"):
            ask(app, **GOOD)


def routed():
    return "in"


def calls_its_attribute():
    return calls_its_attribute.view()


class TestSharedViews:
    """Two apps may route one function, each with a guard of its own."""

    @pytest.mark.parametrize("is_one_object", [True, False])
    @pytest.mark.parametrize("order", [1, -1])
    def test_each_app_has_its_own_verify(self, is_one_object, order):
        def view():
            return "in"

        shared = MCPCors(origins=APP, hosts="localhost")
        apps = {}
        for name in ("one", "two"):
            app = apps[name] = Flask(name)
            cors = shared if is_one_object else MCPCors(origins=APP, hosts="localhost")
            cors.init_app(app)
            own = cors.protected(lambda credential, name=name: name if credential.token == name else None)
            app.add_url_rule("/x", "x", own(view), methods=["POST"])
        for name in list(apps)[::order]:
            statuses = {token: ask(apps[name], Authorization=f"Bearer {token}").status_code for token in apps}
            assert statuses == {token: 200 if token == name else 401 for token in apps}

    def test_marks_on_a_shared_function_do_not_grow_with_the_apps(self):
        def view():
            return "in"

        cors = MCPCors(origins=APP, hosts="localhost")
        for _ in range(5):
            app = Flask("app")
            cors.init_app(app)
            app.add_url_rule("/x", "x", cors.protected(verify)(view), methods=["POST"])
            app.add_url_rule("/other", "other", lambda: "other")
            assert ask(app, **GOOD).text == "in"
        assert len(vars(view).get("__mcp_cors_marks__", ())) == 0
