"""The adapters to the letter: limits, words and headers that a mutation tester changed and no other test noticed."""

from __future__ import annotations

import logging
from functools import partial
from functools import wraps
from typing import Any

import pytest
from flask import Blueprint
from flask import Flask
from flask.views import MethodView
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors import request_refused
from flask_mcp_cors.extension.marks import describe
from flask_mcp_cors.extension.routing import is_static
from flask_mcp_cors.reporting import safe
from flask_mcp_cors.wsgi import routed_path

APP = "https://app.example.com"
OTHER = "https://other.example"
EVIL = "https://evil.example"
FROM_APP = {"Origin": APP}
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}
GOOD = {"Authorization": "Bearer s3cret"}


def verify(credential: Any) -> str | None:
    return "caller" if credential.token == "s3cret" else None


#: A callable without a name.
ONCE = partial(verify)


@pytest.fixture
def app() -> Flask:
    return Flask("exact")


@pytest.fixture
def cors(app: Flask) -> MCPCors:
    return MCPCors(app, origins=APP, hosts="localhost")


def ask(app: Flask, path: str = "/x", method: str = "POST", **headers: str) -> Any:
    return app.test_client().open(path, method=method, headers={**FROM_APP, **headers})


# Static files


class TestStaticFiles:
    def test_files_of_nested_blueprints_are_static(self, app: Flask, tmp_path: Any) -> None:
        inner = Blueprint("inner", "exact", static_folder=str(tmp_path), static_url_path="/files")
        outer = Blueprint("outer", "exact")
        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        assert is_static(app, "outer.inner.static")
        assert not is_static(app, "outer.static")
        assert not is_static(app, None)


# The layer


def below(status: str = "200 OK") -> tuple[Any, list[str]]:
    calls: list[str] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        start_response(status, [("Content-Type", "text/plain")])
        return [b"below"]

    return application, calls


class TestLayer:
    def test_a_callable_gets_the_request_as_it_will_be_routed(self, app: Flask) -> None:
        seen: list[Any] = []

        def choose(request: Any) -> None:
            seen.append((request.url_rule.rule, request.view_args))

        MCPCors(app, origins=APP, policies={"/t/**": choose}, wrap_wsgi=True)
        app.add_url_rule("/t/<int:number>", view_func=lambda number: "in", endpoint="t")
        app.test_client().get("/t/7", headers={"Origin": EVIL})
        assert seen == [("/t/<int:number>", {"number": 7})]

    def test_a_preflight_finds_the_view_of_the_announced_method(self, app: Flask) -> None:
        cors = MCPCors(app, origins=APP, wrap_wsgi=True)
        app.get("/x", endpoint="get")(lambda: "in")
        app.delete("/x", endpoint="delete")(cors.policy(origins=OTHER)(lambda: "in"))
        client = app.test_client()
        for method, origin in (("GET", APP), ("DELETE", OTHER)):
            asked = {"Origin": origin, "Access-Control-Request-Method": method}
            assert client.options("/x", headers=asked).headers["Access-Control-Allow-Origin"] == origin

    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            ("POST", {"Origin": "https://evil.example/"}),
            ("POST", {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}),
            ("POST", {"Origin": "http://localhost:3", "Sec-Fetch-Site": "same-site"}),
            ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
            ("OPTIONS", {**PREFLIGHT, "Origin": EVIL}),
            ("OPTIONS", {**PREFLIGHT, "Origin": "http://localhost:3"}),
        ],
    )
    @pytest.mark.parametrize("by_host", [False, True])
    def test_what_no_host_can_change_is_refused_before_anything_below(
        self, method: str, headers: dict[str, str], by_host: bool
    ) -> None:
        app = Flask("exact", subdomain_matching=by_host)
        app.config["SERVER_NAME"] = "localhost"
        app.wsgi_app, calls = below()  # type: ignore[method-assign]
        MCPCors(app, origins=APP, wrap_wsgi=True)
        answer = Client(app).open("/x", method=method, headers=headers, base_url="http://localhost")
        assert (answer.status_code, calls) == (403, [])

    def test_a_callable_is_asked_for_a_response_from_below(self, app: Flask) -> None:
        seen: list[str] = []
        app.wsgi_app, _ = below()  # type: ignore[method-assign]
        MCPCors(app, origins=APP, policies={"/t": lambda request: seen.append(request.path)}, wrap_wsgi=True)
        assert "Vary" in app.test_client().get("/t").headers
        assert seen == ["/t"]

    def test_a_refusal_of_a_response_from_below_is_the_apps(self, app: Flask) -> None:
        app.wsgi_app, _ = below()  # type: ignore[method-assign]
        MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
        senders: list[Any] = []

        def receive(sender: Any, **about: Any) -> None:
            senders.append(sender)

        with request_refused.connected_to(receive):
            assert Client(app).get("/", base_url="http://evil.example").status_code == 421
        assert senders == [app]

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

    def test_in_debug_mode_it_says_what_a_preflight_lacks(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        app.debug = True
        MCPCors(app, origins=APP, wrap_wsgi=True)
        caplog.clear()
        asked = {**PREFLIGHT, "Access-Control-Request-Headers": "x-%s,x-b"}
        app.test_client().options("/x", headers=asked)
        assert caplog.messages == [
            "preflight for '/x' from 'https://app.example.com' will fail: not allowed: 'x-%s', 'x-b': "
            "set extra_allow_headers=['x-%s', 'x-b'] (MCP_CORS_EXTRA_ALLOW_HEADERS)"
        ]


# The hooks


class TestHooks:
    @pytest.mark.parametrize(
        ("status", "length"), [(200, [("Content-Length", "0")]), (204, []), (299, [("Content-Length", "0")])]
    )
    def test_an_answer_to_a_preflight_to_the_letter(
        self, app: Flask, status: int, length: list[tuple[str, str]]
    ) -> None:
        MCPCors(
            app,
            origins=APP,
            hosts="localhost",
            security_headers=None,
            max_age=None,
            allow_methods=["PUT"],
            allow_headers=["X-A"],
            preflight_status=status,
        )
        answer = app.test_client().options("/x", headers=PREFLIGHT)
        assert (answer.status_code, answer.data) == (status, b"")
        assert list(answer.headers) == [
            ("Access-Control-Allow-Origin", APP),
            ("Access-Control-Allow-Methods", "PUT"),
            ("Access-Control-Allow-Headers", "X-A"),
            ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
            *length,
        ]

    def test_a_refusal_to_the_letter(self, app: Flask) -> None:
        MCPCors(app, origins=APP, hosts="localhost", security_headers=None)
        answer = app.test_client().get("/x", headers={"Origin": EVIL})
        assert list(answer.headers) == [
            ("Content-Length", str(len(answer.data))),
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Vary", "Origin"),
        ]

    def test_a_callable_is_asked_for_what_fails_before_the_first_hook(self, app: Flask) -> None:
        seen: list[str] = []
        app.config["PROPAGATE_EXCEPTIONS"] = False
        MCPCors(app, origins=APP, policies={"/t": lambda request: seen.append(request.path)})
        app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
        assert app.test_client().get("/t", headers=FROM_APP).headers["Access-Control-Allow-Origin"] == APP
        assert seen == ["/t"]


# What is said


ANY_HOST = (
    ": any Host is served, so a page whose name is rebound to this server can read what a GET without login gives: "
    'set hosts=["mcp.example.com"] (MCP_CORS_HOSTS) to the names of this server, or hosts="*" if that is meant'
)


class TestWords:
    def line(self, caplog: pytest.LogCaptureFixture, environ: dict[str, Any], **settings: Any) -> str:
        layer: Any = CORSMiddleware(below()[0], **{"origins": APP, "hosts": "mcp.example.com", **settings})
        if environ.pop("proxied", None):
            layer = ProxyFix(layer)
        caplog.clear()
        asked = EnvironBuilder("/x", base_url="https://mcp.example.com").get_environ() | environ
        run_wsgi_app(layer, {key: value for key, value in asked.items() if value is not None})
        return caplog.messages[-1]

    def test_what_would_have_been_refused_is_told_and_the_middleware_tells_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        layer = CORSMiddleware(below()[0], origins=APP, validate_origin="report")
        senders: list[Any] = []

        def receive(sender: Any, **about: Any) -> None:
            senders.append(sender)

        caplog.clear()
        with request_refused.connected_to(receive):
            Client(layer).get("/x", headers={"Origin": EVIL})
        assert senders == [layer]
        assert [message.partition(":")[0] for message in caplog.messages] == ["would have been refused"]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, "none"), ("a" * 200, f"'{'a' * 200}'"), ("a" * 201, f"'{'a' * 200}'..."), ("\x1b", r"'\x1b'")],
    )
    def test_a_value_is_cut_at_200_characters(self, value: str | None, expected: str) -> None:
        assert safe(value) == expected

    @pytest.mark.parametrize(
        ("returned", "expected"),
        [("raise", "ZeroDivisionError"), (1, "TypeError: policies['/x'] returned int; return a CORSPolicy or None")],
    )
    def test_a_callable_that_failed_is_told_with_its_pattern(
        self, caplog: pytest.LogCaptureFixture, returned: Any, expected: str
    ) -> None:
        hsts = {"strict_transport_security": "max-age=1"}
        choose = (lambda request: 1 / 0) if returned == "raise" else (lambda request: returned)
        layer = CORSMiddleware(below()[0], origins=APP, policies={"/x": choose}, security_headers=hsts)
        caplog.clear()
        secure = Client(layer).get("/x", base_url="https://localhost")
        assert [secure.status_code, "Strict-Transport-Security" in secure.headers] == [403, True]
        assert caplog.messages[0] == "policies['/x'] failed, so the request is refused"
        assert expected in caplog.text
        assert "Strict-Transport-Security" not in Client(layer).get("/x").headers

    def test_what_is_no_setting_is_told_with_the_others(self) -> None:
        app = Flask("exact")
        app.config["MCP_CORS_WRAP_WSGI"] = "yes"
        with pytest.raises(PolicyError) as caught:
            MCPCors(app, "policy", max_age=-1)  # type: ignore[arg-type]
        assert [str(problem) for problem in caught.value.problems] == [
            "policy='policy': str is the wrong type; write a CORSPolicy; origins and the like are keywords: "
            "origins=[…] [wrong_type]",
            "max_age=-1: out of range; write 0 (not kept) to 86400 seconds, or None to leave the header out "
            "[max_age_out_of_range]",
            "MCP_CORS_WRAP_WSGI (wrap_wsgi)='yes': str is the wrong type; write True or False "
            "(in an environment variable, which is read as JSON: true) [wrong_type]",
        ]

    @pytest.mark.parametrize(("count", "more"), [(8, ""), (9, ", … (9 in all)")])
    def test_eight_of_many_are_told(self, caplog: pytest.LogCaptureFixture, count: int, more: str) -> None:
        app = Flask("exact")
        app.config["TRUSTED_HOSTS"] = ["b.example"]
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            MCPCors(app, origins=APP, hosts=[f"h{n}.example" for n in range(count)])
        told = ", ".join(f"h{n}.example" for n in range(8))
        assert f"; hosts {told}{more} (keyword); " in caplog.messages[0]

    def test_the_pages_of_the_server_name_are_the_apps_own(self) -> None:
        app = Flask("exact")
        app.config["SERVER_NAME"] = "mcp.example.com"
        MCPCors(app, origins=APP)
        app.add_url_rule("/x", view_func=lambda: "in")
        client = app.test_client()
        for origin, status in (("https://mcp.example.com", 200), ("https://b.example", 403)):
            answer = client.get("/x", base_url="https://mcp.example.com", headers={"Origin": origin})
            assert answer.status_code == status

    @pytest.mark.parametrize(
        ("settings", "level", "expected"),
        [
            (
                {},
                logging.WARNING,
                "origins http://localhost:*, https://localhost:*, http://127.0.0.1:*, https://127.0.0.1:*, "
                "http://[::1]:*, https://[::1]:* (default); hosts localhost, 127.0.0.1, [::1] (default); paths "
                "everything (default): without configuration only pages on this machine may call: set origins "
                "(MCP_CORS_ORIGINS) to the pages that may call, and hosts (MCP_CORS_HOSTS) to the names of this server",
            ),
            (
                {"hosts": ["a.example", "*"]},
                logging.INFO,
                "origins http://localhost:*, https://localhost:*, http://127.0.0.1:*, https://127.0.0.1:*, "
                "http://[::1]:*, https://[::1]:* (default); hosts a.example, * (keyword); paths everything (default)",
            ),
            (
                {"policy": CORSPolicy(origins=APP), "paths": "/mcp"},
                logging.WARNING,
                f"origins https://app.example.com (policy); hosts * (default); paths /mcp (keyword){ANY_HOST}",
            ),
            (
                {"origins": verify},
                logging.WARNING,
                f"origins {verify.__qualname__} (keyword); hosts * (default); paths everything (default){ANY_HOST}",
            ),
            (
                {"origins": ONCE},
                logging.WARNING,
                f"origins {ONCE!r} (keyword); hosts * (default); paths everything (default){ANY_HOST}",
            ),
        ],
        ids=["nothing", "hosts", "policy", "function", "object"],
    )
    def test_what_is_in_force_is_one_line(
        self, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], level: int, expected: str
    ) -> None:
        app = Flask("exact")
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            MCPCors(app, **settings)
        assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(level, f"MCPCors on 'exact': {expected}")]

    def test_what_never_reached_the_config_is_one_line_each(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Flask("exact")
        app.config["MCP_CORS_HOSTS"] = "a.example"
        for name in ("FLASK_MCP_CORS_HOSTS", "FLASK_MCP_CORS_METHODS", "FLASK_MCP_CORS_POLICIES__A"):
            monkeypatch.setenv(name, "1")
        MCPCors(app, origins=APP)
        assert caplog.messages == [
            "FLASK_MCP_CORS_METHODS is in the environment, but has no effect: unknown setting; write "
            "MCP_CORS_ALLOW_METHODS",
            "FLASK_MCP_CORS_POLICIES__A is in the environment, but MCP_CORS_POLICIES is not in app.config, so it has "
            "no effect: call app.config.from_prefixed_env() before the extension is initialised, and name the variable "
            "FLASK_MCP_CORS_POLICIES",
        ]

    @pytest.mark.parametrize("final", [True, False])
    def test_an_exception_is_told_by_its_name(self, app: Flask, caplog: pytest.LogCaptureFixture, final: bool) -> None:
        app.debug = True
        MCPCors(app, origins=APP, hosts="localhost")
        app.add_url_rule("/x", view_func=lambda: 1 / 0)
        if final:
            app.after_request(lambda response: 1 / 0)
        caplog.clear()
        with pytest.raises(ZeroDivisionError):
            app.test_client().open("/x", method="OPTIONS" if final else "GET", headers=PREFLIGHT)
        expected = (
            "ZeroDivisionError after a preflight was answered or a request refused: no before_request function has "
            "run, so an after_request function must read flask.g with g.get(…); or set wrap_wsgi=True"
            if final
            else "ZeroDivisionError in the application: this is not CORS: see the traceback above or below, although "
            "the browser's console blames CORS"
        )
        assert expected in caplog.messages


# The middleware


class TestMiddleware:
    @pytest.mark.parametrize(
        ("path", "expected"), [(None, "/"), ("//a", "/a"), ("/\xc3\xa9", "/é"), ("/\xff", "/\ufffd"), ("/€", "/?")]
    )
    def test_a_path_is_decoded_once_whatever_the_server_made_of_it(self, path: str | None, expected: str) -> None:
        assert routed_path({} if path is None else {"PATH_INFO": path}) == expected

    def test_a_page_that_embeds_what_is_no_flask_app_is_refused(self) -> None:
        application, calls = below()
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert Client(CORSMiddleware(application, origins=APP)).get("/", headers=embedded).status_code == 403
        assert calls == []

    def test_a_status_without_a_name_is_ok(self) -> None:
        layer = CORSMiddleware(below()[0], origins=APP, preflight_status=299)
        assert Client(layer).options("/", headers=PREFLIGHT).status == "299 OK"

    def test_its_answers_to_the_letter(self) -> None:
        layer = CORSMiddleware(
            below()[0], origins=APP, security_headers=None, max_age=None, allow_methods=["PUT"], allow_headers=["X-A"]
        )
        answer = Client(layer).options("/", headers=PREFLIGHT)
        assert list(answer.headers) == [
            ("Access-Control-Allow-Origin", APP),
            ("Access-Control-Allow-Methods", "PUT"),
            ("Access-Control-Allow-Headers", "X-A"),
            ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
            ("Content-Length", "0"),
        ]

    def test_it_asks_a_callable_once(self) -> None:
        asked: list[str] = []
        layer = CORSMiddleware(below()[0], origins=lambda origin: asked.append(origin) or True)
        assert Client(layer).get("/", headers=FROM_APP).text == "below"
        assert asked == [APP]

    def test_it_has_no_debug_mode(self, caplog: pytest.LogCaptureFixture) -> None:
        layer = CORSMiddleware(below()[0], origins=APP)
        caplog.clear()
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            Client(layer).options("/", headers={**PREFLIGHT, "Access-Control-Request-Headers": "x-evil"})
        assert caplog.messages == []

    def test_a_body_that_has_started_is_handed_on_as_it_is(self) -> None:
        body = [b"itself"]

        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return body

        environ = EnvironBuilder("/").get_environ()
        assert CORSMiddleware(application, origins=APP)(environ, lambda *args: print) is body

    def test_a_crash_after_the_start_adds_nothing(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"part"
            raise LookupError("late")

        chunks, status, _ = run_wsgi_app(CORSMiddleware(application, origins=APP), EnvironBuilder("/").get_environ())
        body = iter(chunks)
        assert (status, next(body)) == ("200 OK", b"part")
        with pytest.raises(LookupError, match="late"):
            next(body)

    def test_a_crash_before_the_start_is_plain_text(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            raise LookupError("early")

        layer = CORSMiddleware(application, origins="*", security_headers=None, expose_headers=())
        _, status, headers = run_wsgi_app(layer, EnvironBuilder("/").get_environ())
        assert status == "500 INTERNAL SERVER ERROR"
        assert list(headers) == [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", "21"),
            ("Access-Control-Allow-Origin", "*"),
        ]

    def test_a_debugger_gets_the_exception_itself(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            raise LookupError("for the debugger")

        page = Client(DebuggedApplication(CORSMiddleware(application, origins=APP), evalex=True)).get("/")
        assert (page.status_code, page.mimetype) == (500, "text/html")
        assert not page.text.startswith("Internal Server Error")


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
