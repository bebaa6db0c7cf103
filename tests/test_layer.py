"""The layer of ``wrap_wsgi``: what it decides, and what it leaves to the hook inside. The two never disagree."""

import asyncio

import pytest
from flask import Flask
from flask.views import MethodView
from pages import APP
from pages import EVIL
from pages import FROM_EVIL
from pages import OTHER
from pages import PREFLIGHT
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import asgi
from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Decision
from flask_mcp_cors import MCPCors
from flask_mcp_cors import request_refused


def init(app, **settings):
    return MCPCors(app, **{"origins": APP, "hosts": "*", **settings})


def below(status="200 OK"):
    calls = []

    def application(environ, start_response):
        calls.append(environ["REQUEST_METHOD"])
        start_response(status, [("Content-Type", "text/plain")])
        return [b"below"]

    return application, calls


def test_a_callable_gets_the_request_as_it_will_be_routed(app):
    seen = []

    def choose(request):
        seen.append((request.url_rule.rule, request.view_args))

    MCPCors(app, origins=APP, policies={"/t/**": choose}, wrap_wsgi=True)
    app.add_url_rule("/t/<int:number>", view_func=lambda number: "in", endpoint="t")
    app.test_client().get("/t/7", headers={"Origin": EVIL})
    assert seen == [("/t/<int:number>", {"number": 7})]


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
def test_a_foreign_request_is_refused_before_anything_below(method, headers, by_host):
    app = Flask("app", subdomain_matching=by_host)
    app.config["SERVER_NAME"] = "localhost"
    app.wsgi_app, calls = below()
    MCPCors(app, origins=APP, wrap_wsgi=True)
    answer = Client(app).open("/x", method=method, headers=headers, base_url="http://localhost")
    assert (answer.status_code, calls) == (403, [])


def test_a_callable_policy_is_asked_about_a_response_from_below(app):
    seen = []
    app.wsgi_app, _ = below()
    MCPCors(app, origins=APP, policies={"/t": lambda request: seen.append(request.path)}, wrap_wsgi=True)
    assert "Vary" in app.test_client().get("/t").headers
    assert seen == ["/t"]


def test_the_sender_of_a_signal_is_the_app(app):
    app.wsgi_app, _ = below()
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    senders = []

    def receive(sender, **about):
        senders.append(sender)

    with request_refused.connected_to(receive):
        assert Client(app).get("/", base_url="http://evil.example").status_code == 421
    assert senders == [app]


def test_in_debug_mode_a_preflight_that_will_fail_is_logged(app, caplog):
    app.debug = True
    MCPCors(app, origins=APP, wrap_wsgi=True)
    caplog.clear()
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "x-%s,x-b"}
    app.test_client().options("/x", headers=asked)
    assert caplog.messages == [
        "preflight for '/x' from 'https://app.example.com' will fail: not allowed: 'x-%s', 'x-b': "
        'set extra_allow_headers=["x-%s", "x-b"] (MCP_CORS_EXTRA_ALLOW_HEADERS); now empty (default)'
    ]


@pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_callable_policy_gets_flasks_request(app, wrap, method):
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
def test_a_callable_policy_can_see_that_there_is_no_view(app, wrap, path, status):
    def choose(req):
        return CORSPolicy(origins=EVIL if req.routing_exception else APP)

    init(app, wrap_wsgi=wrap, policies={"/servers/**": choose})
    app.add_url_rule("/servers/<tenant>", "tenant", lambda tenant: "reached")
    assert app.test_client().options(path, headers=PREFLIGHT).status_code == status


@pytest.mark.parametrize("trusted", [[], ["mcp.example.com"]], ids=["any-host", "untrusted-host"])
def test_a_callable_policy_is_asked_though_the_host_matches_no_rule(trusted):
    app = Flask("app", host_matching=True, static_host="static.example.com")
    app.config["TRUSTED_HOSTS"] = trusted or None
    asked = []
    MCPCors(app, origins=APP, hosts="*", wrap_wsgi=True, policies={"/**": lambda req: asked.append(req.url_rule)})
    assert app.test_client().options("/", headers=PREFLIGHT).status_code == 200
    # About the announced method, and the two others that the answer may list.
    assert asked == [None, None, None]


def start_of(application):
    """What an application in Flask's place starts and sends for a Host that is not served."""
    app = Flask("app")
    app.wsgi_app = application
    init(app, wrap_wsgi=True, hosts="mcp.example.com")
    environ = EnvironBuilder(base_url="http://other.example.com").get_environ()
    answers, sent = [], []
    body = app.wsgi_app(environ, lambda status, headers, exc_info=None: answers.append(status) or sent.append)
    return answers, sent, body


def test_an_application_below_cannot_take_a_refusal_back_with_a_second_start():
    def application(environ, start_response):
        for status in ("200 OK", "500 INTERNAL SERVER ERROR"):
            start_response(status, [])(b"secret")
        return [b"secret"]

    answers, sent, body = start_of(application)
    assert (answers, sent) == (["421 MISDIRECTED REQUEST"], [])
    assert b"secret" not in b"".join(body)


def test_a_page_that_a_callable_refuses_cannot_read_a_response_from_below(app):
    """No hook asked the callable, so the application has run: the response stays, without CORS headers."""
    app.wsgi_app, calls = below("401 UNAUTHORIZED")
    init(app, policies={"/t": lambda request: CORSPolicy(origins=APP)}, wrap_wsgi=True)
    answer = app.test_client().get("/t", headers=FROM_EVIL)
    assert (answer.status_code, answer.mimetype, answer.text, calls) == (401, "text/plain", "below", ["GET"])
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_of_a_marked_view_is_answered_before_any_function_of_the_app(app):
    cors = init(app, wrap_wsgi=True)
    app.post("/x", endpoint="x")(cors.policy(origins=OTHER)(lambda: "in"))
    app.after_request(lambda response: 1 / 0)
    answer = app.test_client().options("/x", headers={**PREFLIGHT, "Origin": OTHER})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, OTHER)


class Failing(BaseConverter):
    def to_python(self, value):
        raise LookupError(value)


@pytest.mark.parametrize(
    ("marked", "line"),
    [
        (False, "routing failed outside of the application"),
        (True, "routing failed outside of the application, so its hook decides"),
    ],
)
def test_an_embedded_url_whose_routing_fails_is_no_static_file(app, caplog, marked, line):
    app.url_map.converters["failing"] = Failing
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.wsgi_app = Around("app", app.wsgi_app)
    cors = init(app, wrap_wsgi=True)
    app.add_url_rule("/f/<failing:value>", "f", lambda value: value)
    app.add_url_rule("/x", "x", cors.policy(max_age=5)(lambda: "in") if marked else lambda: "in")
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    with caplog.at_level("DEBUG", "flask_mcp_cors"):
        assert app.test_client().get("/f/1", headers=embedded).status_code == (500 if marked else 403)
    record = next(record for record in caplog.records if record.levelname == "DEBUG")
    assert (record.getMessage(), record.exc_info[0]) == (line, LookupError)


def test_it_stands_inside_every_proxy_fix(app):
    app.wsgi_app = ProxyFix(ProxyFix(app.wsgi_app, x_host=1), x_proto=1)
    init(app, hosts="mcp.example.com", wrap_wsgi=True)
    forwarded = {**PREFLIGHT, "X-Forwarded-Host": "mcp.example.com", "X-Forwarded-Proto": "https"}
    client = app.test_client()
    assert client.options("/x", headers=forwarded, base_url="http://backend:8000").status_code == 200
    assert client.options("/x", headers=PREFLIGHT, base_url="http://backend:8000").status_code == 421


class Around:
    """Middleware that keeps what it wraps under a name."""

    def __init__(self, name, wrapped):
        setattr(self, name, wrapped)
        self.wrapped = wrapped

    def __call__(self, environ, start_response):
        return self.wrapped(environ, start_response)


@pytest.mark.parametrize("outermost", [False, True], ids=["alone", "below-another"])
@pytest.mark.parametrize("name", ["app", "wsgi_app"])
def test_a_proxy_fix_below_other_middleware_is_named_with_what_hides_it(app, name, outermost):
    app.wsgi_app = Around(name, ProxyFix(app.wsgi_app))
    if outermost:
        app.wsgi_app = ProxyFix(app.wsgi_app)
    with pytest.raises(RuntimeError) as caught:
        init(app, wrap_wsgi=True)
    assert str(caught.value) == (
        "wrap_wsgi: a ProxyFix is below Around in 'app'; put it outermost: add the other middleware first, then "
        "write app.wsgi_app = ProxyFix(app.wsgi_app, …), before or after MCPCors(app, wrap_wsgi=True)"
    )


def test_middleware_that_refers_to_itself_is_no_endless_search(app):
    app.wsgi_app = Around("app", None)
    app.wsgi_app.app = app.wsgi_app
    init(app, wrap_wsgi=True)
    assert "mcp_cors" in app.extensions


def test_a_well_known_tail_in_a_variable_has_the_policy_of_its_path(app):
    init(app, paths="/docs/**", wrap_wsgi=True)
    app.add_url_rule("/docs/<path:rest>", "docs", lambda rest: "in")
    client = app.test_client()
    path = "/docs/.well-known/openid-configuration"
    assert [client.get(path, headers={"Origin": origin}).status_code for origin in (APP, EVIL)] == [200, 403]


def test_a_preflight_finds_the_view_of_the_announced_method(app):
    cors = MCPCors(app, origins=APP, wrap_wsgi=True)
    app.get("/x", endpoint="get")(lambda: "in")
    app.delete("/x", endpoint="delete")(cors.policy(origins=OTHER)(lambda: "in"))
    client = app.test_client()
    for method, origin, listed in (("GET", APP, "GET, POST, OPTIONS"), ("DELETE", OTHER, "DELETE")):
        asked = {"Origin": origin, "Access-Control-Request-Method": method}
        answer = client.options("/x", headers=asked)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Methods"] == listed


def test_each_method_of_a_class_has_its_own_mark(app):
    cors = MCPCors(app, origins=APP, wrap_wsgi=True)

    class Tools(MethodView):
        def get(self):
            return "in"

        @cors.policy(origins=OTHER)
        def post(self):
            return "in"

    app.add_url_rule("/x", view_func=Tools.as_view("x"))
    client = app.test_client()
    for method, origin in (("GET", APP), ("POST", OTHER)):
        asked = {"Origin": origin, "Access-Control-Request-Method": method}
        assert client.options("/x", headers=asked).headers["Access-Control-Allow-Origin"] == origin
        answer = client.open("/x", method=method, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
@pytest.mark.parametrize("site", [{}, {"Sec-Fetch-Site": "cross-site"}], ids=["old-browser", "browser"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_views_policy_holds_where_only_the_proxy_knows_the_host(app, wrap, site, method):
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
def test_a_views_policy_holds_on_its_own_subdomain(wrap, host, status):
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


def test_what_layer_and_hook_both_see_is_reported_once(app, caplog):
    cors = MCPCors(app, origins=APP, hosts="localhost", wrap_wsgi=True, validate_origin="report")
    app.post("/x", endpoint="x")(lambda: "in")
    app.post("/marked", endpoint="marked")(cors.policy(max_age=5)(lambda: "in"))
    caplog.clear()
    for path in ("/x", "/marked"):
        assert app.test_client().post(path, headers=FROM_EVIL).text == "in"
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("wrap", [False, True], ids=["hooks", "wrap_wsgi"])
class TestKeptDecisions:
    """A second request like the first is decided from the memo, but for what the memo's key does not show."""

    def make(self, wrap):
        app = Flask("app", static_folder=None)
        cors = init(app, wrap_wsgi=wrap, expose_headers="X-Inner")
        app.add_url_rule("/x", "x", lambda: "in")
        for _ in range(2):
            answer = app.test_client().get("/x", headers={"Origin": APP})
            assert (answer.text, answer.headers["Access-Control-Allow-Origin"]) == ("in", APP)
        assert len(app.extensions["mcp_cors"].site.passing) == 1
        return app, cors

    def test_a_mark_that_is_made_later_counts(self, wrap):
        app, cors = self.make(wrap)
        cors.policy(origins=OTHER)(app.view_functions["x"])
        answer = app.test_client().get("/x", headers={"Origin": APP})
        assert answer.status_code == 403

    def test_a_door_around_is_told_of_it(self, wrap):
        app, _ = self.make(wrap)
        client = Client(CORSMiddleware(app, origins=APP, hosts="*", expose_headers="X-Outer"))
        assert client.get("/x", headers={"Origin": APP}).headers["Access-Control-Expose-Headers"] == "X-Inner"


def test_with_hooks_inside_the_headers_are_put_in_once(app, monkeypatch):
    cors = init(app, wrap_wsgi=True)
    cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
    app.add_url_rule("/x", "x", lambda: "in")
    applied = []
    monkeypatch.setattr(Decision, "apply", lambda self, headers: applied.append(self) or [*headers, *self.headers])
    for _ in range(3):
        assert app.test_client().get("/x", headers={"Origin": APP}).headers["Access-Control-Allow-Origin"] == APP
    assert len(applied) == 3


@pytest.mark.parametrize("inside", ["hooks", "wrap_wsgi", "middleware"])
def test_an_asgi_door_around_is_told_of_each_decision(inside):
    app = Flask("app", static_folder=None)
    settings = {"origins": APP, "hosts": "*", "expose_headers": "X-Inner"}
    if inside != "middleware":
        MCPCors(app, wrap_wsgi=inside == "wrap_wsgi", **settings)
    application = CORSMiddleware(app, **settings) if inside == "middleware" else app
    sent = []

    async def adapter(scope, receive, send):
        _, status, headers = run_wsgi_app(application, EnvironBuilder("/x", headers={"Origin": APP}).get_environ())
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": pairs})

    async def send(message):
        sent.append(dict(message["headers"])[b"access-control-expose-headers"])

    door = asgi.CORSMiddleware(adapter, origins=APP, hosts="*", expose_headers="X-Outer")
    headers = [(b"host", b"localhost"), (b"origin", APP.encode())]
    # The second time the decision is kept already.
    for _ in range(2):
        asyncio.run(door({"type": "http", "method": "GET", "path": "/x", "headers": headers}, None, send))
    assert sent == [b"X-Inner", b"X-Inner"]


def test_where_views_are_marked_another_application_beside_the_app_has_the_policy_of_its_path(app):
    plain, calls = below()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/plain": plain})
    cors = init(app, wrap_wsgi=True)
    app.add_url_rule("/x", "x", cors.policy(origins=OTHER)(lambda: "in"))
    client = app.test_client()
    asked = [("/x", OTHER), ("/x", APP), ("/plain", APP), ("/plain", OTHER)]
    assert [client.get(path, headers={"Origin": origin}).status_code for path, origin in asked] == [200, 403, 200, 403]
    assert calls == ["GET"]


def test_a_callable_is_asked_about_the_path_that_dot_segments_resolve_to(app):
    seen = []
    init(app, policies={"/t": lambda req: seen.append(req.path)}, wrap_wsgi=True)
    app.add_url_rule("/<path:rest>", "rest", lambda rest: "in")
    path = "/.well-known/x/../../t"
    answer = app.test_client().get(environ_overrides={"PATH_INFO": path, "HTTP_ORIGIN": APP})
    assert (answer.text, seen) == ("in", [path])


def test_the_method_counts_for_a_response_from_below_a_discovery_path(app):
    app.wsgi_app, _ = below("404 NOT FOUND")
    init(app, policies={"/.well-known/**": lambda req: None}, wrap_wsgi=True)
    document = "/.well-known/oauth-protected-resource"
    headers = [app.test_client().open(document, method=m, headers=FROM_EVIL).headers for m in ("GET", "POST")]
    assert [answer.get("Access-Control-Allow-Origin") for answer in headers] == ["*", None]


@pytest.mark.parametrize("copies", [False, True], ids=["same-environ", "copied-environ"])
def test_an_application_that_was_asked_before_takes_no_header_away(app, copies):
    """As middleware that asks another application whether somebody is logged in."""
    plain, _ = below("200 OK")
    other, inner = CORSMiddleware(plain, origins="https://other.example", hosts="*"), app.wsgi_app

    def asking(environ, start_response):
        run_wsgi_app(other, dict(environ) if copies else environ)
        return inner(dict(environ) if copies else environ, start_response)

    app.wsgi_app = asking
    init(app, wrap_wsgi=True)
    app.add_url_rule("/x", "x", lambda: "in")
    headers = app.test_client().get("/x", headers={"Origin": APP}).headers
    assert (headers.get("Access-Control-Allow-Origin"), headers.get("X-Frame-Options")) == (APP, "DENY")


@pytest.mark.parametrize("asked_first", ["app", "other"])
def test_of_two_applications_below_the_one_that_answers_says_which_headers_there_are(app, asked_first):
    """As with a cascade, which gives each application a copy of the environ until one of them knows the page."""
    plain, _ = below("200 OK" if asked_first == "app" else "404 NOT FOUND")
    other = CORSMiddleware(plain, origins=APP, hosts="*", expose_headers="X-Other")
    order = [app.wsgi_app, other] if asked_first == "app" else [other, app.wsgi_app]

    def cascade(environ, start_response):
        for application in order:
            body, status, headers = run_wsgi_app(application, dict(environ))
            if status[:3] != "404":
                break
        start_response(status, list(headers))
        return body

    app.wsgi_app = cascade
    init(app, wrap_wsgi=True, expose_headers="X-App")
    if asked_first == "other":
        app.add_url_rule("/x", "x", lambda: "in")
    answer = app.test_client().get("/x", headers={"Origin": APP})
    expected = "X-Other" if asked_first == "app" else "X-App"
    assert (answer.status_code, answer.headers["Access-Control-Expose-Headers"]) == (200, expected)
