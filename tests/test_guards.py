"""Protected routes: nobody gets in unverified, and everybody can read why."""

import base64
import functools
import gc
import hmac
import json
import types
from functools import wraps
from types import SimpleNamespace

import pytest
from flask import Blueprint
from flask import Flask
from flask import g
from flask import request
from flask import Response
from flask.views import MethodView
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_options_header
from werkzeug.routing import Rule

from flask_mcp_cors import InsufficientScope
from flask_mcp_cors import MCPCors

APP = "https://app.example.com"
GOOD = {"Authorization": "Bearer s3cret"}


def hiding(view):
    def wrapper(*args, **kwargs):
        return view(*args, **kwargs)

    return wrapper


def wrapping(view):
    return wraps(view)(hiding(view))


def verify(credential):
    return "caller" if hmac.compare_digest(credential.token or "", "s3cret") else None


async def verify_later(credential):
    return verify(credential)


@pytest.fixture
def app():
    return Flask("tools")


@pytest.fixture
def cors(app):
    return MCPCors(app, origins=APP, hosts="localhost")


def ask(app, path="/x", method="POST", **headers):
    return app.test_client().open(path, method=method, headers={"Origin": APP, **headers})


def challenge(response):
    """The parameters of the one challenge, and its scheme."""
    (value,) = response.headers.getlist("WWW-Authenticate")
    scheme, _, rest = value.partition(" ")
    return scheme, parse_options_header(f"x; {rest.replace(', ', '; ')}")[1]


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


def test_verify_is_asked_once_for_a_request(app, cors):
    asked = []
    app.post("/x", endpoint="x")(cors.protected(lambda c: asked.append(c) or "me")(lambda: "in"))
    assert ask(app, **GOOD).text == "in"
    assert len(asked) == 1


def test_one_request_lets_no_other_in(app, cors):
    app.post("/x", endpoint="x")(hiding(cors.protected(verify)(lambda: "in")))
    with app.app_context():  # one g for both requests
        assert ask(app, **GOOD).status_code == 200
        assert ask(app).status_code == 401


def test_every_guard_of_a_view_must_let_it_pass(app, cors):
    key = cors.protected(lambda c: c.token == "key" or None, schemes=(), api_key_header="X-API-Key")
    app.post("/x", endpoint="x")(key(cors.protected(verify)(lambda: "in")))
    assert ask(app, **GOOD).status_code == 401
    assert ask(app, **{"X-API-Key": "key"}).status_code == 401
    assert ask(app, **{"X-API-Key": "key"}, **GOOD).status_code == 200


class TestChallenges:
    def test_missing_credentials_name_no_error(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, scopes="read write")(lambda: "in"))
        response = ask(app)
        assert response.status_code == 401
        assert challenge(response) == ("Bearer", {"realm": "tools", "scope": "read write"})
        assert response.json == {
            "jsonrpc": "2.0",
            "error": {"code": 401, "message": "Authentication is required.", "data": {"reason": "credentials_missing"}},
        }
        assert response.headers["Cache-Control"] == "no-store"
        assert "www-authenticate" in response.headers["Access-Control-Expose-Headers"].lower()
        assert response.headers["Access-Control-Allow-Origin"] == APP

    def test_wrong_credentials_are_an_invalid_token(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))
        response = ask(app, Authorization="Bearer wrong")
        assert response.status_code == 401
        assert challenge(response) == ("Bearer", {"realm": "tools", "error": "invalid_token"})

    @pytest.mark.parametrize(
        "identity",
        [
            {"scopes": "read"},
            {"scopes": ["read"]},
            SimpleNamespace(scopes=("read",)),
            SimpleNamespace(scopes=None),
            {"scopes": 3},
            {"scopes": [3]},
            "caller",
        ],
    )
    def test_too_few_scopes_are_insufficient(self, app, cors, identity):
        app.post("/x", endpoint="x")(cors.protected(lambda c: identity, scopes=("read", "write"))(lambda: "in"))
        response = ask(app, **GOOD)
        assert response.status_code == 403
        expected = {"realm": "tools", "error": "insufficient_scope", "scope": "read write"}
        assert challenge(response) == ("Bearer", expected)
        assert response.json["error"]["data"]["reason"] == "insufficient_scope"

    @pytest.mark.parametrize("identity", [{"scopes": "write read x"}, SimpleNamespace(scopes={"read", "write"})])
    def test_enough_scopes_pass(self, app, cors, identity):
        app.post("/x", endpoint="x")(cors.protected(lambda c: identity, scopes=("read", "write"))(lambda: "in"))
        assert ask(app, **GOOD).status_code == 200

    def test_every_value_is_quoted(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, realm='the "a\\b" realm')(lambda: "in"))
        assert ask(app).headers["WWW-Authenticate"] == r'Bearer realm="the \"a\\b\" realm"'

    def test_each_scheme_has_its_own_challenge(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, schemes=("Bearer", "Basic"), scopes="a")(lambda: "in"))
        values = ask(app, Authorization="Bearer wrong").headers.getlist("WWW-Authenticate")
        assert values == ['Bearer realm="tools", error="invalid_token", scope="a"', 'Basic realm="tools"']

    def test_an_api_key_alone_has_one_too(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, schemes=(), api_key_header="X-API-Key")(lambda: "in"))
        assert ask(app).headers["WWW-Authenticate"] == 'ApiKey realm="tools"'


class TestCredentials:
    @pytest.mark.parametrize(
        "header",
        [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,Bearer s3cret",
            "Bearer s3cret, Bearer s3cret",
            "Bearer s3cr\xe9t",
            "Bearer \x00",
            "Bearer s3cret\x7f",
            "Bearer =",
            'Bearer token="s3cret"',
            "Bearer " + "a" * 100_000,
            "Basic s3cret",
            "Digest username=x",
            "s3cret",
            "",
            "\xff\xfe",
            ",",
            "Bearer\ts3cret",
        ],
    )
    def test_junk_is_a_401(self, app, cors, header):
        seen = []

        def check(credential):
            seen.append(credential)
            return verify(credential)

        app.post("/x", endpoint="x")(cors.protected(check)(lambda: "in"))
        response = app.test_client().post("/x", environ_overrides={"HTTP_AUTHORIZATION": header})
        assert response.status_code == 401
        assert all(c.type == "bearer" and c.token.isascii() for c in seen)

    def test_the_scheme_is_case_insensitive(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, schemes="bearer")(lambda: "in"))
        assert ask(app, Authorization="BEARER s3cret").status_code == 200

    @pytest.mark.parametrize(
        ("pair", "status"),
        [("me:pw", 200), ("me:wrong", 401), ("me:p\xe4", 401), ("nocolon", 401), ("", 401)],
    )
    def test_basic_credentials_arrive_parsed(self, app, cors, pair, status):
        def check(credential):
            assert credential.type == "basic"
            assert credential.username == "me"
            return hmac.compare_digest(credential.password, "pw") or None

        app.post("/x", endpoint="x")(cors.protected(check, schemes=("Basic",))(lambda: "in"))
        header = "Basic " + base64.b64encode(pair.encode()).decode()
        assert ask(app, Authorization=header).status_code == status

    @pytest.mark.parametrize("header", ["Basic !!!", "Basic bWU6cHc=,x", "Basic gYGB", "Basic"])
    def test_malformed_basic_is_a_401(self, app, cors, header):
        app.post("/x", endpoint="x")(cors.protected(lambda c: "me", schemes=("Basic",))(lambda: "in"))
        assert ask(app, Authorization=header).status_code == 401

    @pytest.mark.parametrize(
        ("key", "status"), [("s3cret", 200), ("no", 401), ("a,s3cret", 401), ("", 401), ("\xe9", 401)]
    )
    def test_an_api_key_arrives_as_a_token(self, app, cors, key, status):
        def check(credential):
            assert credential.type == "apikey"
            return verify(credential)

        app.post("/x", endpoint="x")(cors.protected(check, api_key_header="X-API-Key")(lambda: "in"))
        response = app.test_client().post("/x", environ_overrides={"HTTP_X_API_KEY": key})
        assert response.status_code == status

    def test_two_credentials_at_once_are_none(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(lambda c: "me", api_key_header="X-API-Key")(lambda: "in"))
        assert ask(app, **GOOD, **{"X-API-Key": "k"}).status_code == 401

    def test_an_unlisted_scheme_is_no_credential_so_no_error_is_named(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))
        response = ask(app, Authorization="Basic bWU6cHc=")
        assert challenge(response) == ("Bearer", {"realm": "tools"})


class TestVerify:
    @pytest.mark.parametrize("answer", [None, False])
    def test_no_identity_is_no_way_in(self, app, cors, answer):
        app.post("/x", endpoint="x")(cors.protected(lambda c: answer)(lambda: "in"))
        assert ask(app, **GOOD).status_code == 401

    @pytest.mark.parametrize("identity", ["me", {"sub": 1}, 0, "", []])
    def test_the_identity_lands_in_g(self, app, cors, identity):
        app.post("/x", endpoint="x")(cors.protected(lambda c: identity)(lambda: json.dumps(g.mcp_identity)))
        assert json.loads(ask(app, **GOOD).text) == identity

    def test_an_exception_is_a_500_and_readable(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.post("/x", endpoint="x")(cors.protected(lambda c: 1 / 0)(lambda: "in"))
        response = ask(app, **GOOD)
        assert response.status_code == 500
        assert response.headers["Access-Control-Allow-Origin"] == APP


class TestWrongUse:
    def test_on_a_class_it_says_where_it_goes(self, cors):
        with pytest.raises(TypeError, match="decorators = "):

            @cors.protected(verify)
            class View(MethodView):
                pass

    @pytest.mark.parametrize(
        ("kwargs", "error"),
        [
            ({"schemes": ()}, ValueError),
            ({"schemes": ("Bea rer",)}, ValueError),
            ({"api_key_header": "X Key"}, ValueError),
            ({"realm": "a\nb"}, ValueError),
            ({"scopes": ["é"]}, ValueError),
            ({"scopes": [3]}, TypeError),
        ],
    )
    def test_wrong_arguments_are_refused(self, cors, kwargs, error):
        with pytest.raises(error, match=r"protected\("):
            cors.protected(verify, **kwargs)

    @pytest.mark.parametrize("target", [3, "view"])
    def test_wrong_targets_are_refused(self, cors, target):
        with pytest.raises(TypeError):
            cors.protected(verify)(target)
        with pytest.raises(TypeError):
            cors.protected(target)

    def test_a_guard_on_no_route_is_a_warning(self, app, cors, caplog):
        @cors.protected(verify)
        def forgotten():
            return "in"

        ask(app)
        assert "cors.protected" in caplog.text
        assert "forgotten" in caplog.text

    def test_a_guard_of_another_object_is_enforced_too(self, app, cors):
        blueprint = Blueprint("elsewhere", __name__)
        MCPCors().protected(verify)(blueprint)
        blueprint.post("/x", endpoint="x")(lambda: g.mcp_identity)
        app.register_blueprint(blueprint)
        assert ask(app).status_code == 401
        assert ask(app, **GOOD).text == "caller"

    def test_guards_come_after_the_hooks_that_were_there(self, app, cors):
        counted = []
        app.before_request(lambda: counted.append(1))
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))
        assert ask(app).status_code == 401
        assert counted == [1]

    def test_a_guard_works_without_the_extension(self):
        app = Flask("bare")
        app.post("/x", endpoint="x")(MCPCors().protected(verify)(lambda: "in"))
        client = app.test_client()
        assert client.post("/x").status_code == 401
        assert client.post("/x", headers=GOOD).text == "in"


class TestResourceMetadata:
    def serve(self, app, cors, *resources, **more):
        for resource in resources:
            cors.serve_resource_metadata(app, resource=resource, **more)

    def get(self, app, path, **headers):
        return app.test_client().get(path, headers=headers)

    def test_the_document(self, app, cors):
        self.serve(
            app,
            cors,
            "https://mcp.example.com/mcp",
            authorization_servers=["https://login.example.com"],
            scopes_supported=["read"],
            resource_name="Tools",
        )
        response = self.get(app, "/.well-known/oauth-protected-resource/mcp", Origin="https://anyone.example")
        assert response.mimetype == "application/json"
        assert response.json == {
            "resource": "https://mcp.example.com/mcp",
            "authorization_servers": ["https://login.example.com"],
            "scopes_supported": ["read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Tools",
        }
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert self.get(app, "/.well-known/oauth-protected-resource").json == response.json

    def test_it_is_public_whatever_hooks_the_app_has(self, app, cors):
        app.before_request(lambda: ("no", 401))
        self.serve(app, cors, "https://mcp.example.com/mcp")
        path = "/.well-known/oauth-protected-resource/mcp"
        assert self.get(app, path).status_code == 200
        assert app.test_client().head(path).status_code == 200
        ask_first = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        assert app.test_client().options(path, headers=ask_first).status_code == 200

    def test_other_methods_are_not_allowed(self, app, cors):
        self.serve(app, cors, "https://mcp.example.com/mcp")
        assert app.test_client().post("/.well-known/oauth-protected-resource/mcp").status_code == 405

    def test_several_resources_have_a_document_each(self, app, cors):
        self.serve(app, cors, "https://h.example/a", "https://h.example/a/b.c", "https://h.example/")
        base = "/.well-known/oauth-protected-resource"
        assert self.get(app, f"{base}/a").json["resource"] == "https://h.example/a"
        assert self.get(app, f"{base}/a/b.c").json["resource"] == "https://h.example/a/b.c"
        assert self.get(app, base).json["resource"] == "https://h.example/"

    @pytest.mark.parametrize(
        ("path", "document"),
        [("/a", "/a"), ("/a/x", "/a"), ("/a/b", "/a/b"), ("/a/b/c", "/a/b"), ("/ab", None), ("/z", None)],
    )
    def test_a_challenge_names_the_document_of_the_longest_prefix(self, app, cors, path, document):
        app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
        self.serve(app, cors, "https://h.example/a", "https://h.example/a/b")
        expected = document and f"https://h.example/.well-known/oauth-protected-resource{document}"
        assert challenge(ask(app, path))[1].get("resource_metadata") == expected

    @pytest.mark.parametrize(
        ("host", "tenant"),
        [
            ("https://a.example", "https://a.example"),
            ("https://b.example:8443", "https://b.example:8443"),
            ("https://b.example", "https://b.example"),
            ("https://other.example", "https://a.example"),
        ],
        ids=["first", "with its port", "default port", "a Host that is no resource's"],
    )
    @pytest.mark.parametrize("path", ["/mcp", ""])
    def test_resources_of_several_hosts_have_a_document_each(self, host, tenant, path):
        app = Flask("gateway")
        cors = MCPCors(app, origins=APP, hosts="*")
        app.post("/mcp", endpoint="x")(cors.protected(verify)(lambda: "in"))
        for resource in ("https://a.example/mcp", "https://b.example:8443/mcp", "https://b.example:443/mcp"):
            self.serve(app, cors, resource)
        document = app.test_client().get(f"/.well-known/oauth-protected-resource{path}", base_url=host).json
        assert document["resource"].replace(":443/", "/") == f"{tenant}/mcp"
        named = challenge(app.test_client().post("/mcp", base_url=host))[1]["resource_metadata"]
        assert named.replace(":443/", "/") == f"{tenant}/.well-known/oauth-protected-resource/mcp"

    def test_a_longer_path_of_another_host_is_not_named(self):
        app = Flask("gateway")
        cors = MCPCors(app, origins=APP, hosts="*")
        app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
        self.serve(app, cors, "https://a.example/mcp", "https://b.example/mcp/deep")
        named = challenge(app.test_client().post("/mcp/deep", base_url="https://a.example"))[1]["resource_metadata"]
        assert named == "https://a.example/.well-known/oauth-protected-resource/mcp"

    @pytest.mark.parametrize(
        "resource",
        [
            "/mcp",
            "mcp.example.com",
            "http://mcp.example.com/mcp",
            "https://h.example/#f",
            "https://u@h.example/",
            "https://",
        ],
    )
    def test_what_is_no_resource_identifier_is_refused(self, app, cors, resource):
        with pytest.raises(ValueError, match="write an https URL"):
            self.serve(app, cors, resource)

    def test_loopback_may_be_http(self, app, cors):
        self.serve(app, cors, "http://127.0.0.1:8500/mcp", "http://[::1]:8500/v6")
        assert self.get(app, "/.well-known/oauth-protected-resource/mcp").status_code == 200

    def test_the_same_resource_twice_is_refused(self, app, cors):
        with pytest.raises(ValueError, match="already"):
            self.serve(app, cors, "https://h.example/a", "https://h.example/a/")

    def test_wrong_authorization_servers_are_refused(self, app, cors):
        with pytest.raises(ValueError, match="authorization server"):
            self.serve(app, cors, "https://h.example/a", authorization_servers="login.example.com")

    def test_without_init_app_it_says_so(self):
        with pytest.raises(RuntimeError, match="init_app"):
            MCPCors().serve_resource_metadata(Flask("bare"), resource="https://h.example/a")

    @pytest.mark.parametrize(
        ("resource", "document", "paths"),
        [
            ("https://h.example/a%20b/mcp", "/a%20b/mcp", ["/a%20b/mcp", ""]),
            ("https://h.example/mcp/", "/mcp/", ["/mcp/", "/mcp", ""]),
            ("https://h.example/", "", [""]),
        ],
    )
    def test_the_document_is_where_the_rfc_puts_it(self, app, cors, resource, document, paths):
        self.serve(app, cors, resource)
        app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
        base = "/.well-known/oauth-protected-resource"
        assert [self.get(app, f"{base}{path}").json["resource"] for path in paths] == [resource] * len(paths)
        asked = challenge(ask(app, f"{resource.removeprefix('https://h.example').rstrip('/')}/x"))
        assert asked[1]["resource_metadata"] == f"https://h.example{base}{document}"

    def test_names_that_differ_in_a_sign_are_two(self, app, cors):
        self.serve(app, cors, "https://h.example/a.b", "https://h.example/a_b", "https://h.example/a%2Eb.")
        for name in ("a.b", "a_b", "a.b."):
            assert self.get(app, f"/.well-known/oauth-protected-resource/{name}").status_code == 200

    @pytest.mark.parametrize("host", ["[::1]", "[::1]:80", "localhost", "127.0.0.1:8500"])
    def test_every_loopback_host_may_be_http(self, app, cors, host):
        self.serve(app, cors, f"http://{host}/mcp")
        assert self.get(app, "/.well-known/oauth-protected-resource/mcp").json["resource"] == f"http://{host}/mcp"


def scoped(credential):
    return {"scopes": credential.token}


def test_guards_of_two_routes_with_one_function_are_two(app, cors):
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


def test_a_function_behind_two_guards_has_each_where_it_was_put(app, cors):
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


class Service:
    def view(self):
        return "in"

    async def later(self):
        return "in"


class Slotted:
    __slots__ = ()

    def __call__(self):
        return "in"


@pytest.mark.parametrize("view", [Service().view, Service().later, Slotted()])
def test_bound_methods_and_objects_with_slots_are_guarded(app, cors, view):
    app.add_url_rule("/x", "x", cors.protected(verify)(view), methods=["POST"])
    assert ask(app).status_code == 401
    assert ask(app, **GOOD).text == "in"


@pytest.mark.parametrize("how", ["copied", "same"])
def test_another_credential_in_the_same_environ_is_verified(app, cors, how):
    app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))

    @app.post("/batch")
    @cors.protected(verify)
    def batch():
        inner = request.environ.copy() if how == "copied" else request.environ
        inner["PATH_INFO"], inner["HTTP_AUTHORIZATION"] = "/x", "Bearer wrong"
        return Response.from_app(app.wsgi_app, inner)

    assert ask(app, "/x", **GOOD).status_code == 200
    assert ask(app, "/batch", **GOOD).status_code == 401


class TestInsufficientScope:
    """A tool needs a scope of its own: its view raises, and the client reads which one."""

    def test_the_challenge_names_the_scopes_of_the_view_and_of_the_tool(self, app, cors):
        cors.serve_resource_metadata(app, resource="http://localhost/x")

        @app.post("/x")
        @cors.protected(lambda credential: {"scopes": "tools"}, scopes=["tools"])
        def view():
            raise InsufficientScope("notes", "tools")

        response = ask(app, **GOOD)
        assert response.status_code == 403
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert response.json == {
            "jsonrpc": "2.0",
            "error": {
                "code": 403,
                "message": "The credentials lack a scope.",
                "data": {"reason": "insufficient_scope"},
            },
        }
        assert challenge(response) == (
            "Bearer",
            {
                "realm": "tools",
                "error": "insufficient_scope",
                "scope": "tools notes",
                "resource_metadata": "http://localhost/.well-known/oauth-protected-resource/x",
            },
        )

    def test_it_goes_through_a_blueprints_guard_and_a_handler_of_every_http_error(self, app, cors):
        blueprint = Blueprint("b", "b")
        cors.protected(verify)(blueprint)

        @blueprint.post("/x")
        def view():
            raise InsufficientScope("notes")

        app.register_blueprint(blueprint)
        app.register_error_handler(HTTPException, lambda error: error.get_response())
        scheme, parameters = challenge(ask(app, **GOOD))
        assert (scheme, parameters["scope"]) == ("Bearer", "notes")

    def test_in_a_view_that_nothing_guards_it_asks_for_a_bearer_token(self, app, cors):
        @app.post("/x")
        def view():
            raise InsufficientScope("notes")

        response = ask(app)
        assert response.status_code == 403
        assert challenge(response)[1]["scope"] == "notes"

    def test_it_is_found_in_the_groups_that_an_asgi_application_behind_the_view_raises(self, app, cors):
        @app.post("/x")
        @cors.protected(verify)
        def view():
            raise ExceptionGroup("outer", [ExceptionGroup("inner", [InsufficientScope("notes")])])

        assert challenge(ask(app, **GOOD))[1]["scope"] == "notes"

    def test_a_group_with_another_exception_is_an_error(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @app.post("/x")
        @cors.protected(verify)
        def view():
            raise ExceptionGroup("outer", [InsufficientScope("notes"), ValueError("no")])

        assert ask(app, **GOOD).status_code == 500

    @pytest.mark.parametrize("scopes", [(), ("a b",), ('a"b',), ("é",)])
    def test_a_scope_that_cannot_be_named_is_refused(self, scopes):
        with pytest.raises(ValueError, match="InsufficientScope"):
            InsufficientScope(*scopes)


def generator(credential):
    yield "somebody"


async def async_generator(credential):
    yield "somebody"


class Generates:
    def __call__(self, credential):
        yield "somebody"


class TestIdentities:
    """An identity is what ``verify`` returns on purpose."""

    @pytest.mark.parametrize(
        "verify", [generator, async_generator, Generates(), functools.partial(generator), lambda: "x", dict, 3, "x"]
    )
    def test_what_cannot_verify_is_refused_where_it_is_written(self, cors, verify):
        with pytest.raises(TypeError, match=r"protected\(verify\)"):
            cors.protected(verify)

    @pytest.mark.parametrize(
        "answer",
        [
            Response("no", 401),
            ("no", 401),
            ("no", "401 UNAUTHORIZED"),
            ({"error": "no"}, 403, {"X": "y"}),
            PermissionError("no"),
            PermissionError,
            NotImplemented,
            ...,
            (name for name in "ab"),
            functools.partial(print),
            print,
        ],
        ids=repr,
    )
    def test_what_nobody_means_as_an_identity_lets_nobody_in(self, app, cors, answer):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).status_code == 500

    @pytest.mark.parametrize("answer", [None, False, {"active": False}, types.SimpleNamespace(is_authenticated=False)])
    def test_what_says_no_is_a_401(self, app, cors, answer):
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).status_code == 401

    @pytest.mark.parametrize("answer", ["me", {"id": 1}, 7, True, ("user", 1), ["a"], object(), {"active": True}, 0.5])
    def test_identities_pass(self, app, cors, answer):
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).text == "in"

    @pytest.mark.parametrize("scopes", [{"admin": True}, {"admin": False}, 1, None, iter(["admin"])])
    def test_scopes_are_a_list_or_a_string(self, app, cors, scopes):
        view = cors.protected(lambda credential: {"scopes": scopes}, scopes="admin")(lambda: "in")
        app.add_url_rule("/x", "x", view, methods=["POST"])
        assert ask(app, **GOOD).status_code == 403


def test_bearer_comes_first_and_then_dpop_whatever_the_order_given(app, cors):
    """Clients read only the first challenge."""
    view = cors.protected(verify, schemes=("Basic", "DPoP", "Bearer"))(lambda: "in")
    app.add_url_rule("/x", "x", view, methods=["POST"])
    challenges = ask(app).headers.getlist("WWW-Authenticate")
    assert [text.partition(" ")[0] for text in challenges] == ["Bearer", "DPoP", "Basic"]


class TestWithoutParentheses:
    def test_it_says_what_to_write(self, cors):
        def view():
            return "ok"

        with pytest.raises(TypeError, match=r"write @cors\.protected\(verify\)"):
            cors.protected(view)
        with pytest.raises(TypeError, match=r"write @cors\.policy\(origins="):
            cors.policy(view)
        with pytest.raises(TypeError, match=r"write @cors\.policy\(origins="):
            cors.policy()
        with pytest.raises(TypeError, match=r"write @cors\.exempt, without parentheses"):
            cors.exempt()


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
        cors.protected(verify)(in_a_dict(app.post("/x")(lambda: "in")))
        app.testing = True
        with pytest.raises(RuntimeError, match=r"Put cors\.protected directly above or below the route's decorator"):
            ask(app)

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
        cors.protected(verify)(generator)
        app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
        assert ask(app).text == "in"
        assert "no route carries the mark that cors.protected left on" in caplog.text

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

    def test_without_parentheses_above_a_route_with_one_variable(self, app, cors):
        """The view is taken for ``verify``, which also takes one argument."""
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @cors.protected
        @app.post("/x/<name>")
        def x(name):
            return "in"

        assert ask(app, "/x/a", **GOOD).status_code == 500

    def test_without_parentheses_below_it(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False

        @app.post("/x/<target>")
        @cors.protected
        def x(target):
            return "in"

        assert ask(app, "/x/a", **GOOD).status_code == 500

    def test_two_guards_on_a_plain_function_that_is_not_registered_only_warn(self, app, cors):
        app.add_url_rule("/x", "x", lambda: "in", methods=["POST"])
        cors.protected(verify)(cors.protected(verify)(generator))
        assert ask(app).text == "in"

    def test_a_function_that_calls_an_attribute_of_its_own_may_hide_a_view(self, app, cors):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        calls_its_attribute.view = app.post("/x")(lambda: "in")
        cors.protected(verify)(calls_its_attribute)
        assert ask(app, **GOOD).status_code == 500


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

    def test_marks_on_a_shared_function_do_not_grow_with_the_apps(self):
        def view():
            return "in"

        cors = MCPCors(origins=APP, hosts="localhost")
        for _ in range(5):
            app = Flask("app")
            cors.init_app(app)
            app.add_url_rule("/x", "x", cors.protected(verify)(view), methods=["POST"])
            assert ask(app, **GOOD).text == "in"
        assert len(vars(view).get("__mcp_cors_marks__", ())) == 0

    def test_the_marks_of_an_app_that_is_gone_say_nothing_of_another(self):
        def view():
            return "in"

        first = Flask("first")
        cors = MCPCors(first, origins=APP, hosts="localhost")
        first.add_url_rule("/x", "x", view, methods=["POST"])
        cors.exempt(wraps(view)(lambda: view()))
        assert ask(first).status_code == 200
        del first, cors
        gc.collect()

        second = Flask("second")
        MCPCors(second, origins=APP, hosts="localhost")
        second.add_url_rule("/x", "x", view, methods=["POST"])
        assert second.test_client().post("/x", headers={"Origin": "https://evil.example"}).status_code == 403
