"""The published flaws of other CORS layers do not exist here.

Each class is one flaw, with the name under which it was published where it has one. Every test runs
with the hooks and with ``wrap_wsgi``.
"""

import logging
from urllib.parse import unquote

import pytest
from flask import Flask
from pages import APP
from pages import EVIL

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError

OPTIONS_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.fixture(params=[False, True], ids=["hooks", "wrap_wsgi"])
def make(request):
    """Makes a client of an app with one view for every path, which writes down what it was asked for."""

    def make(**settings):
        app = Flask("app")
        MCPCors(app, **{"origins": APP, "hosts": "*", "wrap_wsgi": request.param, **settings})
        app.reached = []
        methods = ["GET", "POST", "PUT", "DELETE"]

        @app.route("/", defaults={"rest": ""}, methods=methods)
        @app.route("/<path:rest>", methods=methods)
        def view(rest):
            app.reached.append(rest)
            return "ok"

        return app.test_client()

    return make


def reached(client):
    return client.application.reached


def cors(response):
    return {name: value for name, value in response.headers if name.startswith("Access-Control")}


class TestLogInjection:
    """CVE-2024-1681, GHSA-84pr-m4jr-85g5: flask-cors before 4.0.1 logged the path as it came."""

    @pytest.mark.parametrize("sign", ["\r\n", "\n", "\x0b", "\x1b[2K", "\x7f", "\x85", "\u2028", "\x9b"])
    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_no_path_breaks_out_of_its_line(self, make, caplog, sign, debug, method):
        caplog.set_level(logging.DEBUG)
        client = make()
        client.application.debug = debug
        caplog.clear()
        path = f"/x{sign}INFO:root:all is well".encode().decode("latin-1")
        asked = {"HTTP_ORIGIN": EVIL, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "PATH_INFO": path}
        assert client.open("/", method=method, environ_overrides=asked).status_code == 403
        lines = [record.getMessage() for record in caplog.records if record.name == "flask_mcp_cors"]
        assert len(lines) == 1
        assert lines[0].isascii()
        assert lines[0].isprintable()


class TestPrivateNetworkAccess:
    """CVE-2024-6221, GHSA-hxwh-jpp2-84pm: flask-cors before 4.0.2 opened private networks by default."""

    @pytest.mark.parametrize("origins", [APP, "*"])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_it_is_granted_to_nobody(self, make, origins, method):
        headers = {
            "Origin": APP,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Private-Network": "true",
            "Access-Control-Request-Local-Network": "true",
        }
        response = make(origins=origins).open("/", method=method, headers=headers)
        assert "Access-Control-Allow-Origin" in response.headers
        assert [name for name in cors(response) if "Network" in name] == []

    def test_a_view_cannot_grant_it_by_mistake(self):
        app = Flask("app")
        MCPCors(app, origins=APP, hosts="*")
        app.add_url_rule("/", view_func=lambda: ("ok", {"Access-Control-Allow-Private-Network": "true"}))
        response = app.test_client().get("/", headers={"Origin": APP})
        assert "Access-Control-Allow-Private-Network" not in response.headers

    @pytest.mark.parametrize("word", ["allow_headers", "expose_headers"])
    def test_it_cannot_be_configured_as_another_header(self, word):
        with pytest.raises(PolicyError):
            CORSPolicy(**{word: ["Access-Control-Request-Private-Network", "Access-Control-Allow-Private-Network"]})


class TestPatternOrder:
    """CVE-2024-6839, GHSA-7rxf-gvfg-47g4: flask-cors before 6.0.0 tried the longer pattern first."""

    PATTERNS = (
        ("/**", {"origins": "*"}),
        ("/a/*/b/*/c/**", {"origins": "*"}),
        ("/a/**", {"origins": APP}),
        ("/a/b", {"origins": "https://admin.example.com"}),
    )

    @pytest.mark.parametrize("order", [PATTERNS, PATTERNS[::-1]], ids=["written", "reversed"])
    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/", "*"),
            ("/x", "*"),
            ("/a/x", APP),
            ("/a/b", "https://admin.example.com"),
            ("/a/b/c", APP),
            ("/a/1/b/2/c", "*"),
        ],
    )
    def test_the_most_specific_wins_whatever_the_order_and_the_length(self, make, order, path, allowed):
        client = make(policies=dict(order))
        statuses = {
            origin: client.get(path, headers={"Origin": origin}).status_code
            for origin in (EVIL, APP, "https://admin.example.com")
        }
        assert [origin for origin, status in statuses.items() if status == 200] == (
            list(statuses) if allowed == "*" else [allowed]
        )


class TestPlusInPaths:
    """CVE-2024-6844, GHSA-8vgw-p6qm-5gr7: flask-cors before 6.0.0 took a ``+`` in the path for a space."""

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            pytest.param("/a+b", 403, id="plus"),
            pytest.param("/a%2Bb", 403, id="escaped-plus"),
            pytest.param("/a b", 200, id="space"),
            pytest.param("/a%20b", 200, id="escaped-space"),
        ],
    )
    def test_a_plus_is_a_plus(self, make, path, status):
        client = make(origins="*", policies={"/a+b": {"origins": APP}})
        assert client.get(path, headers={"Origin": EVIL}).status_code == status


class TestCaseOfPaths:
    """CVE-2024-6866, GHSA-43qf-4rqw-9q2g: flask-cors before 6.0.0 matched paths without regard to case."""

    def test_a_loose_policy_does_not_cover_another_case(self, make):
        client = make(policies={"/public": {"origins": "*"}})
        for path, status in (("/public", 200), ("/Public", 403), ("/PUBLIC", 403)):
            assert client.get(path, headers={"Origin": EVIL}).status_code == status


class TestTraversal:
    """CVE-2020-25032: in flask-cors before 3.0.9 ``/public/../private`` had the policy of ``/public``."""

    @pytest.mark.parametrize(
        "path",
        [
            "/public/../private",
            "/public/..%2fprivate",
            "/public/%2e%2e/private",
            "/./private",
            "//private",
            "/private/",
            "/%2fprivate",
        ],
    )
    def test_the_policy_is_that_of_what_flask_routes(self, make, path):
        """Flask resolves no dots: what it hands to a view is what the policy was looked up with."""
        client = make(origins=APP, policies={"/public": {"origins": "*"}, "/private": {"origins": APP}})
        # Not through the client's own parser, which takes "//private" for a host.
        asked = {"HTTP_ORIGIN": EVIL, "PATH_INFO": unquote(path)}
        assert client.get("/", environ_overrides=asked).status_code == 403
        assert reached(client) == []

    @pytest.mark.parametrize(("path", "status"), [("/public/../private", 403), ("/public/x/../y", 200)])
    def test_dots_have_the_policy_of_the_path_that_they_resolve_to(self, make, path, status):
        """A static file view follows ``..%2f``, so the text of a path is not the file."""
        client = make(origins=APP, policies={"/public/**": {"origins": "*"}})
        assert client.get(path, headers={"Origin": EVIL}).status_code == status
        assert reached(client) == ([path.removeprefix("/")] if status == 200 else [])


class TestDoubleDecoding:
    """A path that was decoded by the server is decoded again: ``%2561`` becomes ``a`` (flask-cors)."""

    @pytest.mark.parametrize(
        ("path", "view", "status"),
        [
            ("/%61pi", "api", 200),
            ("/%2561pi", "%61pi", 403),
            ("/%252561pi", "%2561pi", 403),
            ("/api%252f", "api%2f", 403),
        ],
    )
    def test_a_path_is_decoded_once(self, make, path, view, status):
        client = make(policies={"/api": {"origins": "*"}})
        assert client.get(path, headers={"Origin": EVIL}).status_code == status
        client.get(path)
        assert reached(client)[-1] == view


class TestAnyOriginWithCredentials:
    """``*`` with credentials answered by reflecting the asking origin, ``null`` too (flask-cors, Starlette)."""

    @pytest.mark.parametrize("origins", ["*", ["*", APP], LOOPBACK], ids=["star", "star-among-others", "default"])
    def test_it_cannot_be_configured(self, origins):
        settings = {} if origins is LOOPBACK else {"origins": origins}
        with pytest.raises(PolicyError) as caught:
            MCPCors(Flask("app"), allow_credentials=True, **settings)
        assert {problem.setting for problem in caught.value.problems} <= {"origins", "allow_credentials"}

    @pytest.mark.parametrize("origin", [APP, EVIL, "null"])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_any_origin_is_answered_with_a_star_and_without_credentials(self, make, origin, method):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        response = make(origins="*").open("/", method=method, headers=headers)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers

    @pytest.mark.parametrize("origin", ["null", "file://", EVIL])
    def test_with_credentials_only_the_listed_origin_is_reflected(self, make, origin):
        client = make(allow_credentials=True)
        response = client.get("/", headers={"Origin": origin})
        assert (response.status_code, cors(response)) == (403, {})


class TestCredentialsToDenied:
    """``Access-Control-Allow-Credentials`` on the answer to an origin that is denied (Starlette)."""

    @pytest.mark.parametrize("validate", [True, False, "report"])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    @pytest.mark.parametrize("origin", [EVIL, "null", f"{APP}.evil.example", f"{APP}, {APP}", ""])
    def test_a_denied_origin_gets_no_cors_header_at_all(self, make, validate, method, origin):
        client = make(allow_credentials=True, validate_origin=validate)
        asked = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
        assert cors(client.open("/", method=method, environ_overrides=asked)) == {}

    def test_nor_does_a_request_without_origin(self, make):
        assert cors(make(allow_credentials=True).get("/")) == {}


class TestVary:
    """No ``Vary`` where the answer holds no CORS header: a cache then gives it to an allowed origin."""

    @pytest.mark.parametrize("validate", [True, False, "report"])
    @pytest.mark.parametrize("headers", [{}, {"Origin": APP}, {"Origin": EVIL}], ids=["none", "allowed", "denied"])
    def test_every_real_response_varies_by_origin(self, make, validate, headers):
        assert make(validate_origin=validate).get("/", headers=headers).headers.getlist("Vary") == ["Origin"]

    @pytest.mark.parametrize("origin", [APP, EVIL, "null"])
    def test_every_preflight_varies_by_what_it_asks(self, make, origin):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert make().options("/", headers=headers).headers.getlist("Vary") == [OPTIONS_VARY]


class TestMethodAsSubstring:
    """An asked method looked for in the text of the list: ``ELET`` is in ``GET, POST, DELETE``."""

    @pytest.mark.parametrize("asked", ["ELET", "DELETE, PUT", "GET, POST", "E", "DELETEX", "PUT", ",", " ", ""])
    def test_it_is_compared_as_a_whole(self, asked):
        decision = CORSPolicy(origins=APP).preflight(APP, asked)
        assert (decision.allowed, decision.offending) == (False, (asked,))
        stated = dict(decision.headers)["Access-Control-Allow-Methods"]
        assert sorted(stated.split(", ")) == ["DELETE", "GET", "OPTIONS", "POST"]

    @pytest.mark.parametrize("asked", ["uthorization", "mcp-para", "xmcp-param-a", "x-api-key2", "accept content-type"])
    def test_so_is_an_asked_header(self, asked):
        assert CORSPolicy(origins=APP).preflight(APP, "GET", asked).offending == (asked,)


class TestSharedHeaders:
    """One header object for all responses, changed by one request and seen by the next."""

    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_what_a_hook_adds_to_one_response_is_not_in_the_next(self, make, method):
        client = make(origins=[APP, "https://other.example.com"])

        @client.application.after_request
        def add(response):
            if "X-Once" in response.headers or not reached(client):
                response.headers["X-Once"] = "1"
                response.headers["Access-Control-Allow-Origin"] = EVIL
            return response

        asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        first = client.open("/", method=method, headers=asked)
        reached(client).append("again")
        second = client.open("/", method=method, headers={**asked, "Origin": "https://other.example.com"})
        assert "X-Once" not in second.headers
        assert first.headers.getlist("Access-Control-Allow-Origin") == [APP]
        assert second.headers.getlist("Access-Control-Allow-Origin") == ["https://other.example.com"]

    def test_two_apps_share_nothing(self):
        apps = {}
        for name in ("first", "second"):
            apps[name] = Flask(name)
            MCPCors(apps[name], origins=f"https://{name}.example", hosts="*")
        for name, app in apps.items():
            allowed = [
                other
                for other in apps
                if app.test_client().get("/", headers={"Origin": f"https://{other}.example"}).status_code == 404
            ]
            assert allowed == [name]
