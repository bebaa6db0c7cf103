"""Marked and guarded views, challenges and metadata documents, case by case."""

from __future__ import annotations

from functools import partial
from functools import wraps
from typing import Any

import pytest
from flask import Blueprint
from flask import Flask
from flask.views import MethodView
from werkzeug.test import EnvironBuilder

from flask_mcp_cors import MCPCors
from flask_mcp_cors.extension.marks import describe

APP = "https://app.example.com"
OTHER = "https://other.example"
EVIL = "https://evil.example"
FROM_APP = {"Origin": APP}
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}
GOOD = {"Authorization": "Bearer s3cret"}


def verify(credential: Any) -> str | None:
    return "caller" if credential.token == "s3cret" else None


@pytest.fixture
def app() -> Flask:
    return Flask("exact")


@pytest.fixture
def cors(app: Flask) -> MCPCors:
    return MCPCors(app, origins=APP, hosts="localhost")


def ask(app: Flask, path: str = "/x", method: str = "POST", **headers: str) -> Any:
    return app.test_client().open(path, method=method, headers={**FROM_APP, **headers})


# The layer


class TestLayer:
    def test_a_preflight_finds_the_view_of_the_announced_method(self, app: Flask) -> None:
        cors = MCPCors(app, origins=APP, wrap_wsgi=True)
        app.get("/x", endpoint="get")(lambda: "in")
        app.delete("/x", endpoint="delete")(cors.policy(origins=OTHER)(lambda: "in"))
        client = app.test_client()
        for method, origin in (("GET", APP), ("DELETE", OTHER)):
            asked = {"Origin": origin, "Access-Control-Request-Method": method}
            assert client.options("/x", headers=asked).headers["Access-Control-Allow-Origin"] == origin

    def test_each_method_of_a_class_has_its_own_mark(self, app: Flask) -> None:
        cors = MCPCors(app, origins=APP, wrap_wsgi=True)

        class Tools(MethodView):
            def get(self) -> str:
                return "in"

            @cors.policy(origins=OTHER)
            def post(self) -> str:
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        client = app.test_client()
        for method, origin in (("GET", APP), ("POST", OTHER)):
            asked = {"Origin": origin, "Access-Control-Request-Method": method}
            assert client.options("/x", headers=asked).headers["Access-Control-Allow-Origin"] == origin
            answer = client.open("/x", method=method, headers={"Origin": origin})
            assert answer.headers["Access-Control-Allow-Origin"] == origin


# Marks


def recursive(view: Any) -> Any:
    a_later: Any
    z_text = "not a function"

    def wrapper(depth: int = 0) -> Any:
        if depth > 9:
            return wrapper(a_later), z_text
        return view()

    return wrapper
    a_later = 1


class TestMarks:
    def test_a_mark_wraps_nothing_that_can_carry_it(self, cors: MCPCors) -> None:
        class Tools(MethodView):
            pass

        blueprint = Blueprint("b", "exact")
        for view in (lambda: "in", partial(print), Tools):
            assert cors.policy(origins=OTHER)(view) is view
            assert cors.exempt(view) is view
        assert cors.exempt(blueprint) is blueprint

    def test_views_have_names(self, app: Flask, cors: MCPCors) -> None:
        call = partial(print, 1)
        assert describe(TestMarks) == f"{__name__}.TestMarks"
        assert describe(call) == f"functools.{call!r}"
        assert describe(Blueprint("b", "exact")) == "blueprint 'b'"

        @app.get("/x")
        @cors.policy(origins=OTHER)
        def x() -> str:
            return "in"

        choice = app.extensions["mcp_cors"].views.find("x", "GET").choice
        assert choice.rule == f"the mark on {__name__}.{x.__qualname__}"

    def test_a_method_for_head_has_its_own_mark(self, app: Flask, cors: MCPCors) -> None:
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def head(self) -> str:
                return ""

            def get(self) -> str:
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        for method, origin in (("HEAD", OTHER), ("GET", APP)):
            assert ask(app, method=method, Origin=origin).headers["Access-Control-Allow-Origin"] == origin

    def test_a_mark_that_no_route_carries_is_told(
        self, app: Flask, cors: MCPCors, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.get("/x", endpoint="x")(cors.policy(origins="*")(lambda: "in"))
        cors.policy(origins=OTHER)(verify)
        cors.protected(verify)(ask)
        caplog.clear()
        ask(app, method="GET")
        assert caplog.messages == [
            f"no route carries the mark that {word} left on {__name__}.{name}: put it directly above or below the "
            "route's decorator, and use functools.wraps in the decorators in between"
            for word, name in (("cors.policy or cors.exempt", "verify"), ("cors.protected", "ask"))
        ]

    def test_the_only_view_of_an_app_may_be_marked(self) -> None:
        app = Flask("exact", static_folder=None)
        cors = MCPCors(app, origins=APP, hosts="localhost")
        app.add_url_rule("/x", view_func=cors.policy(origins=OTHER)(lambda: "in"), endpoint="x", methods=["POST"])
        assert ask(app, Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER

    def test_a_class_without_get_may_be_marked(self, app: Flask, cors: MCPCors) -> None:
        class Tools(MethodView):
            @cors.policy(origins=OTHER)
            def post(self) -> str:
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert ask(app, Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER

    def test_a_class_without_get_needs_no_mark(self, app: Flask, cors: MCPCors) -> None:
        class Tools(MethodView):
            def post(self) -> str:
                return "in"

        app.add_url_rule("/x", view_func=Tools.as_view("x"))
        assert ask(app).text == "in"

    def test_a_mark_on_an_outer_blueprint_holds_in_the_inner_one(self, app: Flask, cors: MCPCors) -> None:
        inner, outer = Blueprint("inner", "exact"), Blueprint("outer", "exact")
        inner.post("/policy", endpoint="policy")(lambda: "in")
        outer.register_blueprint(inner)
        app.register_blueprint(cors.policy(origins=OTHER)(outer))
        assert ask(app, "/policy", Origin=OTHER).headers["Access-Control-Allow-Origin"] == OTHER
        cors.protected(verify)(outer)
        assert ask(app, "/policy", Origin=OTHER).status_code == 401

    def test_functions_that_wrap_each_other_come_to_an_end(self, app: Flask, cors: MCPCors) -> None:
        def first() -> str:
            return "in"

        second = wraps(first)(lambda: first())
        first.__wrapped__ = second  # type: ignore[attr-defined]
        app.post("/x", endpoint="x")(cors.policy(origins=OTHER)(second))
        assert ask(app, Origin=OTHER).text == "in"

    def test_a_view_that_is_wrapped_where_it_is_registered_is_guarded_by_what_it_wraps(
        self, app: Flask, cors: MCPCors
    ) -> None:
        """A framework that registers a wrapper and gives the function itself back."""

        def view() -> str:
            return "in"

        app.add_url_rule("/x", "x", wraps(view)(lambda: view()), methods=["POST"])
        cors.protected(verify)(view)
        assert ask(app).status_code == 401

    def test_a_wrapped_view_keeps_the_mark_of_each_object(self) -> None:
        def view() -> str:
            return "in"

        for origin in ("https://one.example", "https://two.example"):
            app = Flask("exact")
            MCPCors(app, origins=APP, hosts="localhost").policy(origins=origin)(wraps(view)(lambda: view()))
            app.add_url_rule("/x", view_func=view)
            assert ask(app, "/x", "GET", Origin=origin).headers["Access-Control-Allow-Origin"] == origin

    def test_a_guard_that_comes_after_a_request_holds_for_the_next(self, app: Flask, cors: MCPCors) -> None:
        views = [app.post(f"/{number}", endpoint=str(number))(lambda: "in") for number in range(3)]
        for number, view in enumerate(views):
            assert ask(app, f"/{number}").status_code == 200
            cors.protected(verify)(view)
            assert ask(app, f"/{number}").status_code == 401

    def test_every_guard_of_a_view_stands_before_a_plain_options_request(self, app: Flask, cors: MCPCors) -> None:
        """Flask answers it without the view, so only the marks are left to guard it."""
        key = cors.protected(lambda c: c.token == "key" or None, schemes=(), api_key_header="X-API-Key")
        app.post("/x", endpoint="x")(key(cors.protected(verify)(lambda: "in")))
        assert ask(app, method="OPTIONS", **{"X-API-Key": "key"}).status_code == 401
        assert ask(app, method="OPTIONS", **GOOD).status_code == 401
        assert ask(app, method="OPTIONS", **GOOD, **{"X-API-Key": "key"}).status_code == 200

    def test_a_policy_for_what_hides_a_view_is_none_for_the_view(
        self, app: Flask, cors: MCPCors, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Unlike a guard, which is on the safe side."""
        cors.policy(origins=OTHER)(recursive(app.post("/x", endpoint="x")(lambda: "in")))
        caplog.clear()
        assert ask(app).text == "in"
        assert [message.partition(":")[0] for message in caplog.messages] == [
            f"no route carries the mark that cors.policy or cors.exempt left on {__name__}.recursive.<locals>.wrapper"
        ]

    def test_what_is_no_view_is_told(self, cors: MCPCors) -> None:
        with pytest.raises(TypeError) as caught:
            cors.policy(APP)  # type: ignore[arg-type]
        expected = "cors.policy(…) takes a CORSPolicy or settings: write @cors.policy(origins=[…])"
        assert str(caught.value) == expected
        with pytest.raises(TypeError, match=r"^cors\.protected guards views and blueprints, not 1$"):
            cors.protected(verify)(1)


# Guards


class TestGuards:
    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            (
                {"verify": 1},
                TypeError,
                "protected(verify): verify is a callable (credential) -> identity or None",
            ),
            ({"scopes": [1]}, TypeError, "protected(scopes=…): write strings"),
            ({"schemes": [1]}, TypeError, "protected(schemes=…): write strings"),
            (
                {"schemes": ()},
                ValueError,
                'protected(): no credential could be accepted; write schemes=("Bearer",) or api_key_header=…',
            ),
        ],
    )
    def test_wrong_arguments_are_told(
        self, cors: MCPCors, arguments: dict[str, Any], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error) as caught:
            cors.protected(**{"verify": verify, **arguments})
        assert str(caught.value) == words

    def test_a_refusal_to_the_letter(self) -> None:
        app = Flask("café")
        cors = MCPCors(app, origins="*", hosts="localhost", security_headers=None, expose_headers=())
        cors.serve_resource_metadata(app, resource="https://mcp.example.com/x")
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))
        url = "https://mcp.example.com/.well-known/oauth-protected-resource/x"
        assert list(app.test_client().post("/x").headers) == [
            ("Content-Type", "application/json"),
            ("Content-Length", "127"),
            ("Cache-Control", "no-store"),
            ("WWW-Authenticate", f'Bearer realm="caf?", resource_metadata="{url}"'),
            ("Access-Control-Allow-Origin", "*"),
        ]

    @pytest.mark.parametrize("token", ["X", "XsecretX", "a" * 2000])
    def test_a_token_reaches_verify_as_it_is(self, app: Flask, cors: MCPCors, token: str) -> None:
        seen: list[Any] = []
        app.post("/x", endpoint="x")(cors.protected(lambda c: seen.append(c.token) or "me")(lambda: "in"))
        assert ask(app, Authorization=f"Bearer {token}").status_code == 200
        assert seen == [token]

    @pytest.mark.parametrize(
        "value", ["Basic dXNl!cjpwYXNz", 'Digest username="a\x01"', 'Digest username="é"', "Digest é"]
    )
    def test_a_malformed_credential_never_reaches_verify(self, app: Flask, cors: MCPCors, value: str) -> None:
        seen: list[Any] = []
        guard = cors.protected(lambda c: seen.append(c) or "me", schemes=("Basic", "Digest"))
        app.post("/x", endpoint="x")(guard(lambda: "in"))
        environ = EnvironBuilder("/x", method="POST").get_environ() | {"HTTP_AUTHORIZATION": value}
        assert app.test_client().open(environ).status_code == 401
        assert seen == []


# Resource metadata


class TestResourceMetadata:
    def serve(self, app: Flask, cors: MCPCors, *resources: str, **more: Any) -> None:
        for resource in resources:
            cors.serve_resource_metadata(app, resource=resource, **more)

    def test_names_are_told_apart_at_their_end(self, app: Flask, cors: MCPCors) -> None:
        self.serve(app, cors, "https://h.example/a", "https://h.example/aX")
        for name in ("aX", "a"):
            answer = app.test_client().get(f"/.well-known/oauth-protected-resource/{name}")
            assert answer.json["resource"] == f"https://h.example/{name}"

    @pytest.mark.parametrize("resources", [("a", "a/"), ("a/", "a")])
    def test_a_slash_at_the_end_makes_no_other_resource(
        self, app: Flask, cors: MCPCors, resources: tuple[str, ...]
    ) -> None:
        with pytest.raises(ValueError, match="there is a document at"):
            self.serve(app, cors, *(f"https://h.example/{name}" for name in resources))

    def test_its_routes_have_names_without_a_dot(self, app: Flask, cors: MCPCors) -> None:
        self.serve(app, cors, "https://h.example/a.b", "https://h.example/a%2Eb%25")
        endpoints = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
        assert endpoints == [
            "mcp_cors_resource_metadata:/a%2Eb",
            "mcp_cors_resource_metadata:",
            "mcp_cors_resource_metadata:/a%2Eb%25",
        ]

    def test_one_authorization_server_may_be_a_string(self, app: Flask, cors: MCPCors) -> None:
        servers = "http://127.0.0.1:9000"
        self.serve(app, cors, "https://h.example/a", authorization_servers=servers, scopes_supported="read write")
        assert app.test_client().get("/.well-known/oauth-protected-resource/a").json == {
            "resource": "https://h.example/a",
            "authorization_servers": [servers],
            "scopes_supported": ["read", "write"],
            "bearer_methods_supported": ["header"],
        }

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            (
                {"resource": "mcp.example.com"},
                ValueError,
                "serve_resource_metadata: 'mcp.example.com' is no resource identifier; write an https URL "
                "(http for loopback) without query and fragment, as https://mcp.example.com/mcp",
            ),
            ({"scopes_supported": [1]}, TypeError, "serve_resource_metadata(scopes_supported=…): write strings"),
            (
                {"authorization_servers": [1]},
                ValueError,
                "serve_resource_metadata: 1 is no URL of an authorization server",
            ),
        ],
    )
    def test_wrong_arguments_are_told(
        self, app: Flask, cors: MCPCors, arguments: dict[str, Any], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error) as caught:
            cors.serve_resource_metadata(app, **{"resource": "https://h.example/a", **arguments})
        assert str(caught.value) == words

    def test_an_app_that_is_not_initialised_is_told(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            MCPCors().serve_resource_metadata(Flask("bare"), resource="https://h.example/a")
        expected = "serve_resource_metadata: MCPCors is not initialised on this app; call init_app first"
        assert str(caught.value) == expected
