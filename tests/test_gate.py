"""The hooks of one app: when they are there, and how headers go into a response."""

import pytest
from flask import Flask
from flask import Request
from flask import Response
from pages import APP
from pages import EVIL
from pages import FROM_APP
from pages import OTHER
from pages import PREFLIGHT
from werkzeug.datastructures import Headers
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors.extension.gate import put

OPTIONS_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def init(app, **settings):
    return MCPCors(app, **{"origins": APP, "hosts": "*", **settings})


class WithoutList(Headers):
    """Headers of a werkzeug that keeps them in another way."""

    def __init__(self, pairs):
        self.pairs = list(pairs)

    def __iter__(self):
        return iter(self.pairs)

    def __len__(self):
        return len(self.pairs)

    def __setitem__(self, key, value):
        self.pairs[key] = value


class WithTuple(WithoutList):
    _list = property(lambda self: tuple(self.pairs))


class TestPut:
    """It uses a private list of werkzeug's. CI runs this with the oldest and the newest version."""

    DECISION = CORSPolicy(origins=APP, security_headers=None).actual(APP)

    @pytest.mark.parametrize("more", [(), [("Vary", "Cookie"), ("Access-Control-Allow-Origin", "*")]])
    def test_the_private_list_is_what_the_response_sends(self, more):
        response = Response("x")
        response.headers.extend(more)
        expected = self.DECISION.apply(list(response.headers))
        put(self.DECISION, response.headers)
        assert list(response.headers) == expected
        assert response.headers.getlist("access-control-allow-origin") == [APP]
        _, _, sent = response.get_wsgi_response({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"})
        assert set(expected) <= set(sent)
        assert type(Headers()._list) is list

    @pytest.mark.parametrize("kind", [WithoutList, WithTuple])
    def test_without_it_the_public_method_does_the_same(self, kind):
        pairs = [("Content-Type", "text/plain"), ("Vary", "Cookie")]
        headers = kind(pairs)
        put(self.DECISION, headers)
        assert headers.pairs == self.DECISION.apply(pairs)


class TestRegistration:
    """With ``wrap_wsgi`` the hooks are registered where they have work: each costs 1.5 µs a request."""

    def make(self, wrap_wsgi=True, **settings):
        app = Flask("app", static_folder=None)
        cors = MCPCors(app, origins=APP, hosts="*", wrap_wsgi=wrap_wsgi, **settings)
        app.add_url_rule("/x", "x", lambda: "ran")
        return app, cors

    def registered(self, app):
        state = app.extensions["mcp_cors"]
        before, after = app.before_request_funcs.get(None, []), app.after_request_funcs.get(None, [])
        assert (state.before_request in before) == (state.after_request in after)
        return state.before_request in before

    def test_the_layer_alone_judges_where_a_policy_by_path_governs(self):
        app, _ = self.make()
        assert app.test_client().get("/x", headers={"Origin": APP}).headers["Access-Control-Allow-Origin"] == APP
        assert not self.registered(app)

    def test_without_it_they_are_there_from_the_start(self):
        assert self.registered(self.make(wrap_wsgi=False)[0])

    def test_a_callable_needs_them(self):
        app, _ = self.make(policies={"/x": lambda request: None})
        assert self.registered(app)
        assert app.test_client().get("/x", headers={"Origin": "https://evil.example"}).status_code == 403

    def test_a_marked_view_needs_them_from_its_first_request_on(self):
        app, cors = self.make()
        app.add_url_rule("/y", "y", cors.policy(origins="https://other.example")(lambda: "ran"))
        assert app.test_client().get("/y", headers={"Origin": APP}).status_code == 403
        assert self.registered(app)

    def test_a_metadata_document_needs_them(self):
        app, cors = self.make()
        cors.serve_resource_metadata(app, resource="https://mcp.example.com/x")
        assert self.registered(app)

    def test_middleware_in_between_needs_them(self):
        app = Flask("app", static_folder=None)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {})
        MCPCors(app, origins=APP, hosts="*", wrap_wsgi=True)
        assert self.registered(app)

    def test_they_come_first_and_last_whatever_was_registered_before(self):
        app, cors = self.make()
        order = []
        app.before_request(lambda: order.append("own"))
        cors.policy(max_age=1)(app.view_functions["x"])
        assert app.test_client().get("/x", headers={"Origin": "https://evil.example"}).status_code == 403
        assert order == []

    def test_they_are_registered_once(self):
        app, _ = self.make(policies={"/x": lambda request: None})
        state = app.extensions["mcp_cors"]
        for _ in range(3):
            state.register_hooks()
        assert app.before_request_funcs[None].count(state.before_request) == 1


@pytest.mark.parametrize("propagates", ["debug", "PROPAGATE_EXCEPTIONS"])
def test_a_crash_without_our_headers_is_logged_as_no_cors_problem(caplog, propagates):
    app = Flask("app", static_folder=None)
    MCPCors(app, origins=APP, hosts="*")
    app.add_url_rule("/x", "x", lambda: 1 / 0)
    if propagates == "debug":
        app.debug = True
    else:
        app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/x", headers={"Origin": APP})
    assert "ZeroDivisionError in the application: this is not CORS: see the traceback above" in caplog.text


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "length"), [(200, [("Content-Length", "0")]), (204, []), (299, [("Content-Length", "0")])]
    )
    def test_the_headers_of_an_answer_to_a_preflight(self, app, status, length):
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

    def test_the_headers_of_a_refusal(self, app):
        MCPCors(app, origins=APP, hosts="localhost", security_headers=None)
        answer = app.test_client().get("/x", headers={"Origin": EVIL})
        assert list(answer.headers) == [
            ("Content-Length", str(len(answer.data))),
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Vary", "Origin"),
        ]

    @pytest.mark.parametrize("announced", [{}, {"Access-Control-Request-Method": "POST"}], ids=["plain", "preflight"])
    @pytest.mark.parametrize(
        "settings", [{"hosts": "mcp.example.com"}, {"policies": {"/**": lambda request: 1 / 0}}], ids=["421", "failed"]
    )
    def test_a_refused_options_request_varies_as_a_preflight(self, app, announced, settings):
        init(app, **settings)
        response = app.test_client().options("/", headers={"Origin": APP, **announced})
        assert response.status_code in (403, 421)
        assert response.headers.getlist("Vary") == [OPTIONS_VARY]

    def test_so_does_one_outside_the_governed_paths(self, app):
        init(app, hosts="mcp.example.com", paths="/mcp")
        response = app.test_client().options("/", headers=PREFLIGHT)
        assert (response.status_code, response.headers["Vary"]) == (421, OPTIONS_VARY)


class TestFailureBeforeTheFirstHook:
    def test_a_callable_policy_is_asked(self, app):
        seen = []
        app.config["PROPAGATE_EXCEPTIONS"] = False
        MCPCors(app, origins=APP, policies={"/t": lambda request: seen.append(request.path)})
        app.url_value_preprocessor(lambda endpoint, values: 1 / 0)
        assert app.test_client().get("/t", headers=FROM_APP).headers["Access-Control-Allow-Origin"] == APP
        assert seen == ["/t"]

    @pytest.mark.parametrize("origins", ["*", APP])
    def test_a_refused_origin_can_read_nothing(self, app, origins):
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


@pytest.mark.parametrize("final", [True, False])
def test_the_log_line_of_a_crash_names_the_exception(app, caplog, final):
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


def test_a_method_in_lower_case_does_not_get_the_policy_of_a_discovery_document(app):
    init(app)
    app.add_url_rule("/.well-known/oauth-protected-resource", "document", lambda: "in")
    environ = {"REQUEST_METHOD": "get", "HTTP_ORIGIN": EVIL}
    answer = app.test_client().get("/.well-known/oauth-protected-resource", environ_overrides=environ)
    assert answer.status_code == 403


@pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "wrap_wsgi around middleware"])
@pytest.mark.parametrize("marked", [False, True], ids=["plain", "marked"])
def test_a_static_file_may_be_embedded_and_a_view_may_not(tmp_path, door, marked):
    (tmp_path / "a.png").write_bytes(b"image")
    app = Flask("app", static_folder=str(tmp_path), static_url_path="/static")
    if "middleware" in door:
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {})
    cors = init(app, wrap_wsgi=door != "hooks")
    app.get("/x", endpoint="x")(cors.policy(max_age=5)(lambda: "in") if marked else lambda: "in")
    embedding = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for path, status in (("/static/a.png", 200), ("/x", 403)):
        with app.test_client().get(path, headers=embedding) as response:
            assert response.status_code == status


class Overriding(Request):
    """A request class that lets a query say the method, as the forms of some frameworks do."""

    method = property(lambda self: self.args.get("_method", self.environ["REQUEST_METHOD"]), lambda self, value: None)


def test_a_kept_decision_on_one_method_is_none_on_the_method_that_a_query_says(app):
    app.request_class = Overriding
    init(app)
    app.add_url_rule("/x", "x", lambda: "in", methods=["GET", "DELETE"])
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    client = app.test_client()
    assert [client.get(url, headers=link).status_code for url in ("/x", "/x?_method=DELETE")] == [200, 403]


@pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
def test_a_document_under_a_policy_of_the_owner_is_public_each_time(app, wrap):
    cors = init(app, wrap_wsgi=wrap, policies={"/.well-known/**": {"max_age": 5}})
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/x")
    app.before_request(lambda: ("log in", 401))
    document = "/.well-known/oauth-protected-resource/x"
    for _ in range(3):
        assert app.test_client().get(document, headers={"Origin": APP}).status_code == 200
