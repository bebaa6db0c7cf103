"""Guards: which credential reaches ``verify``, what counts as an identity, and the challenge for everybody else."""

import base64
import functools
import hmac
import json
from types import SimpleNamespace

import pytest
from flask import Blueprint
from flask import Flask
from flask import g
from flask import request
from flask import Response
from flask.views import MethodView
from pages import APP
from views import ask
from views import challenge
from views import GOOD
from views import hiding
from views import verify
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from flask_mcp_cors import InsufficientScope
from flask_mcp_cors import MCPCors


class TestChallenges:
    def test_missing_credentials_name_no_error(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, scopes="read write")(lambda: "in"))
        response = ask(app)
        assert response.status_code == 401
        assert challenge(response) == ("Bearer", {"realm": "app", "scope": "read write"})
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
        assert challenge(response) == ("Bearer", {"realm": "app", "error": "invalid_token"})

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
        expected = {"realm": "app", "error": "insufficient_scope", "scope": "read write"}
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
        assert values == ['Bearer realm="app", error="invalid_token", scope="a"', 'Basic realm="app"']

    def test_an_api_key_alone_has_one_too(self, app, cors):
        app.post("/x", endpoint="x")(cors.protected(verify, schemes=(), api_key_header="X-API-Key")(lambda: "in"))
        assert ask(app).headers["WWW-Authenticate"] == 'ApiKey realm="app"'

    def test_bearer_comes_first_and_then_dpop_whatever_the_order_given(self, app, cors):
        """Clients read only the first challenge."""
        view = cors.protected(verify, schemes=("Basic", "DPoP", "Bearer"))(lambda: "in")
        app.add_url_rule("/x", "x", view, methods=["POST"])
        challenges = ask(app, Authorization="Bearer wrong").headers.getlist("WWW-Authenticate")
        assert [text.partition(" ")[0] for text in challenges] == ["Bearer", "DPoP", "Basic"]

    def test_a_refusal_to_the_letter(self):
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


class TestCredentials:
    @pytest.mark.parametrize(
        "header",
        [
            "",
            ",",
            "s3cret",
            "\xff\xfe",
            "Unlisted s3cret",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a,Bearer s3cret",
            "Bearer s3cret, Bearer s3cret",
            'Bearer token="s3cret"',
            "Bearer\ts3cret",
            "Bearer s3cr\xe9t",
            "Bearer \x00",
            "Bearer s3cret\x7f",
            "Basic",
            "Basic s3cret",
            "Basic !!!",
            "Basic dXNl!cjpwYXNz",
            "Basic bWU6cHc=,x",
            "Basic gYGB",
            "Basic \xe9",
            "Token",
            "Token =",
            "Token one two",
            "Token one, Token two",
            "Token a b=c",
            "Token a=b, Token c=d",
            'Digest username="a", Digest username="b"',
            'Digest username="a", USERNAME="b"',
            'Digest username="a\x01"',
            'Digest username="\xe9"',
            "Digest username*=UTF-8''%C3%A9",
            "Digest \xe9",
        ],
    )
    def test_an_ill_formed_unlisted_or_second_one_never_reaches_verify(self, app, cors, header):
        asked = []
        guard = cors.protected(asked.append, schemes=("Bearer", "Basic", "Token", "Digest"))
        app.post("/x", endpoint="x")(guard(lambda: "in"))
        response = app.test_client().post("/x", environ_overrides={"HTTP_AUTHORIZATION": header})
        assert (response.status_code, asked) == (401, [])

    @pytest.mark.parametrize(
        "header",
        ["Bearer X", "Bearer XsecretX", "Bearer " + "a" * 100_000, "Token one", "Token a=b", 'Digest a="b", uri="/x"'],
    )
    def test_a_well_formed_one_arrives_as_it_is(self, app, cors, header):
        seen = []
        guard = cors.protected(lambda c: seen.append(c) or "me", schemes=("Bearer", "Token", "Digest"))
        app.post("/x", endpoint="x")(guard(lambda: "in"))
        assert ask(app, Authorization=header).text == "in"
        assert seen == [Authorization.from_header(header)]

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
        assert challenge(response) == ("Bearer", {"realm": "app"})


class TestVerify:
    def test_verify_is_asked_once_for_a_request(self, app, cors):
        asked = []
        app.post("/x", endpoint="x")(cors.protected(lambda c: asked.append(c) or "me")(lambda: "in"))
        assert ask(app, **GOOD).text == "in"
        assert len(asked) == 1

    def test_one_request_lets_no_other_in(self, app, cors):
        app.post("/x", endpoint="x")(hiding(cors.protected(verify)(lambda: "in")))
        with app.app_context():  # one g for both requests
            assert ask(app, **GOOD).status_code == 200
            assert ask(app).status_code == 401

    @pytest.mark.parametrize("how", ["copied", "same"])
    def test_another_credential_in_the_same_environ_is_verified(self, app, cors, how):
        app.post("/x", endpoint="x")(cors.protected(verify)(lambda: "in"))

        @app.post("/batch")
        @cors.protected(verify)
        def batch():
            inner = request.environ.copy() if how == "copied" else request.environ
            inner["PATH_INFO"], inner["HTTP_AUTHORIZATION"] = "/x", "Bearer wrong"
            return Response.from_app(app.wsgi_app, inner)

        assert ask(app, "/x", **GOOD).status_code == 200
        assert ask(app, "/batch", **GOOD).status_code == 401

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


async def verify_later(credential):
    return verify(credential)


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
        ids=lambda answer: repr(answer).partition(" at 0x")[0],
    )
    def test_what_nobody_means_as_an_identity_lets_nobody_in(self, app, cors, answer):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).status_code == 500

    @pytest.mark.parametrize(
        "answer", [None, False, {"active": False}, SimpleNamespace(is_authenticated=False), LocalProxy(lambda: None)]
    )
    def test_what_says_no_is_a_401(self, app, cors, answer):
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).status_code == 401

    @pytest.mark.parametrize(
        "answer",
        ["me", {"id": 1}, 7, True, ("user", 1), ("a",), ("a", "b", "c", "d"), ["a"], object(), {"active": True}, 0.5],
    )
    def test_identities_pass(self, app, cors, answer):
        app.add_url_rule("/x", "x", cors.protected(lambda credential: answer)(lambda: "in"), methods=["POST"])
        assert ask(app, **GOOD).text == "in"

    @pytest.mark.parametrize("is_async", [False, True])
    def test_what_a_proxy_stands_for_is_the_identity(self, app, cors, is_async):
        """``current_user`` of Flask-Login, for example."""
        proxy = LocalProxy(lambda: "me")

        async def later(credential):
            return proxy

        check = later if is_async else lambda credential: proxy
        app.post("/x", endpoint="x")(cors.protected(check)(lambda: type(g.mcp_identity).__name__))
        assert ask(app, **GOOD).text == "str"

    @pytest.mark.parametrize("scopes", [{"admin": True}, {"admin": False}, 1, None, iter(["admin"])])
    def test_scopes_are_a_list_or_a_string(self, app, cors, scopes):
        view = cors.protected(lambda credential: {"scopes": scopes}, scopes="admin")(lambda: "in")
        app.add_url_rule("/x", "x", view, methods=["POST"])
        assert ask(app, **GOOD).status_code == 403


def test_the_error_says_what_to_return(app, cors):
    async def twice(credential):
        return verify_later(credential)

    for check, kind in ((lambda credential: PermissionError("no"), "PermissionError"), (twice, "coroutine")):
        view = cors.protected(check)(lambda: "in")
        with app.test_request_context(headers=GOOD), pytest.raises(TypeError) as caught:
            view()
        assert str(caught.value) == (
            f"protected(verify): verify returned {kind}, which cannot be an identity; return a value that identifies "
            "the caller, or None"
        )


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
                "realm": "app",
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

    def test_it_challenges_for_each_guard_that_the_request_has_passed(self, app, cors):
        key = cors.protected(lambda c: "key", schemes=(), api_key_header="X-API-Key")

        @app.post("/x")
        @key
        @cors.protected(lambda c: {"scopes": "read"}, scopes="read", realm="r")
        def view():
            raise InsufficientScope("notes")

        response = ask(app, **GOOD, **{"X-API-Key": "key"})
        assert response.headers.getlist("WWW-Authenticate") == [
            'Bearer realm="r", error="insufficient_scope", scope="read notes"',
            'ApiKey realm="app", error="insufficient_scope", scope="notes"',
        ]

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

    @pytest.mark.parametrize("scopes", [("a b",), ('a"b',), ("é",)])
    def test_a_scope_that_cannot_be_named_is_refused(self, scopes):
        with pytest.raises(
            ValueError, match=r"^InsufficientScope\(\): '.*' is not a valid scope; write printable ASCII"
        ):
            InsufficientScope(*scopes)

    def test_none_is_refused(self):
        with pytest.raises(ValueError) as caught:
            InsufficientScope()
        expected = 'InsufficientScope(): name the scope that is needed: InsufficientScope("files:write")'
        assert str(caught.value) == expected


class TestWrongUse:
    def test_on_a_class_it_says_where_it_goes(self, cors):
        with pytest.raises(TypeError, match=r"; write decorators = \[cors\.protected\(…\)\] in it$"):

            @cors.protected(verify)
            class View(MethodView):
                pass

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"verify": 1}, TypeError, "protected(verify): verify must be a callable (credential) -> identity or None"),
            (
                {"verify": dict},
                TypeError,
                "protected(verify): verify must not be a class: each instance would be an identity; write "
                "@cors.protected(verify), with a function verify(credential) that returns the identity or None",
            ),
            (
                {"verify": generator},
                TypeError,
                "protected(verify): verify is a generator function, which never runs; write return, not yield",
            ),
            ({"scopes": [1]}, TypeError, "protected(scopes=…): write strings"),
            (
                {"scopes": ["é"]},
                ValueError,
                "protected(): 'é' is not a valid scope; write printable ASCII without space, quotation mark and "
                'backslash, several as a list: ["read", "write"]',
            ),
            ({"schemes": [1]}, TypeError, "protected(schemes=…): write strings"),
            (
                {"schemes": ()},
                ValueError,
                'protected(): no credential could be accepted; write schemes=("Bearer",) or api_key_header=…',
            ),
            (
                {"schemes": ("Bea rer",)},
                ValueError,
                "protected(): 'Bea rer' is not a valid scheme or header name; write a token such as Bearer",
            ),
            (
                {"api_key_header": "X Key"},
                ValueError,
                "protected(): 'X Key' is not a valid scheme or header name; write a token such as Bearer",
            ),
            (
                {"realm": "a\nb"},
                ValueError,
                "protected(): the realm 'a\\nb' is not valid; write printable ASCII",
            ),
        ],
    )
    def test_wrong_arguments_are_refused(self, cors, arguments, error, words):
        with pytest.raises(error) as caught:
            cors.protected(**{"verify": verify, **arguments})
        assert str(caught.value) == words

    def test_without_parentheses_it_says_what_to_write(self, cors):
        def view():
            return "ok"

        with pytest.raises(TypeError) as caught:
            cors.protected(view)
        assert str(caught.value) == (
            f"protected(verify): {view!r} does not take one argument, the credential; write @cors.protected(verify), "
            "with a function verify(credential) that returns the identity or None"
        )
