"""Logging in at the example's authorization server: what it grants, and that the page can read what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")
pytest.importorskip("authlib", reason="the example needs the MCP SDK and Authlib: pip install '.[example]'")

from flask import abort
from flask import Flask

import example_app
from example import authorization_server
from example.authorization_server import authorization_app
from example.authorization_server import AuthorizationServer
from example.check import LoginClient
from example.check import read
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PUBLIC_OAUTH
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import Response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOOLS_LIST = ("tools/list", {})


@pytest.fixture(scope="module", params=[False, True], ids=["third-origin", "same-origin"])
def demo(request: pytest.FixtureRequest) -> Iterator[example_app.Demo]:
    """The example at work, with the authorization server beside the MCP server or in it."""
    with example_app.running(token="t", same_origin=request.param) as demo:
        yield demo


@pytest.fixture
def client(demo: example_app.Demo) -> LoginClient:
    """A client on the allowed page that has registered."""
    client = LoginClient(demo.allowed, demo.endpoint)
    client.ask_without_a_token()
    client.find_the_endpoints()
    client.register()
    return client


@pytest.fixture
def logged_in(client: LoginClient) -> LoginClient:
    """A client with a token for ``tools``."""
    client.ask_the_user()
    client.get_the_token()
    return client


def refused(response: Response, error: str) -> None:
    """The page can read this error of RFC 6749, section 5.2."""
    assert response.type == "cors"
    assert (response.status, response.json()["error"]) == (400, error)


def ask(client: LoginClient) -> Response:
    """List the tools with the client's token."""
    return client._post(*TOOLS_LIST, client._authorization | {"MCP-Protocol-Version": "2025-11-25"})


def answer(location: str) -> dict[str, str]:
    """The parameters with which the browser is sent back."""
    return {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}


class TestTokens:
    """What an access token opens."""

    def test_a_token_opens_the_endpoint_until_it_expires_and_a_refresh_gives_a_new_one(
        self, demo: example_app.Demo, logged_in: LoginClient
    ) -> None:
        logged_in.connect()
        demo.authorization.expire_access_tokens()
        response = ask(logged_in)
        assert response.status == 401
        assert 'error="invalid_token"' in (response.headers["www-authenticate"] or "")
        logged_in.refresh_the_token()
        logged_in.connect()

    def test_a_token_for_another_audience_opens_nothing(self, demo: example_app.Demo, logged_in: LoginClient) -> None:
        """It is valid, and its server is not this one."""
        token = demo.authorization.find(logged_in.token)
        assert token is not None
        token.permission.resource = "https://other.example/mcp"
        response = ask(logged_in)
        assert response.status == 401
        assert 'error="invalid_token"' in (response.headers["www-authenticate"] or "")

    def test_a_scope_that_was_not_granted(self, demo: example_app.Demo, client: LoginClient) -> None:
        """A token without the scope of the endpoint: 403, and the challenge names it."""
        client.scope = "notes"
        client.ask_the_user()
        client.get_the_token()
        response = ask(client)
        metadata = demo.endpoint.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
        assert response.status == 403
        assert response.json()["error"]["data"] == {"reason": "insufficient_scope"}
        assert response.headers["www-authenticate"] == (
            f'Bearer realm="example_app", error="insufficient_scope", scope="tools", resource_metadata="{metadata}"'
        )

    def test_the_scope_of_a_tool(self, logged_in: LoginClient) -> None:
        """Only the call of that tool needs it."""
        logged_in.connect()
        logged_in.call_a_tool()
        assert logged_in.be_asked_for_one_more_scope() == "403, the tool needs 'tools notes'"

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param('[{"method": "tools/call", "params": {"name": "addNote"}}]', id="batch"),
            pytest.param('{"method": "x", "method": "tools/call", "params": {"name": "addNote"}}', id="said-twice"),
        ],
    )
    def test_no_way_round_the_scope_of_a_tool(self, body: str, logged_in: LoginClient) -> None:
        headers = {"Content-Type": "application/json", **logged_in._authorization}
        assert read(logged_in.browser.fetch(logged_in.endpoint, "POST", headers, body=body)).status == 403

    def test_what_cannot_be_read_does_not_reach_the_sdk(self, logged_in: LoginClient) -> None:
        """Python reads no number of 5,000 digits; the SDK's own parser may."""
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "addNote"}})
        body = f'{call[:-1]}, "x": {"1" * 5000}}}'
        headers = {"Content-Type": "application/json", **logged_in._authorization}
        assert read(logged_in.browser.fetch(logged_in.endpoint, "POST", headers, body=body)).status == 400

    def test_logging_out(self, logged_in: LoginClient) -> None:
        """Either token ends both."""
        old = dict(logged_in.issued)
        logged_in.log_out()
        refused(
            logged_in.send("token", grant_type="refresh_token", refresh_token=old["refresh_token"]), "invalid_grant"
        )

    def test_nobody_revokes_somebody_elses_token(self, demo: example_app.Demo, logged_in: LoginClient) -> None:
        token, owner = logged_in.token, logged_in.client_id
        logged_in.register()
        assert logged_in.client_id != owner
        refused(logged_in.send("revocation", token=token), "invalid_grant")
        assert demo.authorization.find(token)


class TestTokenEndpoint:
    """Each refusal is the RFC's, and readable."""

    def test_a_code_is_used_once_and_a_second_use_revokes_the_token(self, logged_in: LoginClient) -> None:
        refused(logged_in.exchange(), "invalid_grant")
        assert ask(logged_in).status == 401

    def test_a_code_expires(self, demo: example_app.Demo, client: LoginClient) -> None:
        client.ask_the_user()
        demo.authorization.codes[client.code].expires = demo.authorization.clock()
        refused(client.exchange(), "invalid_grant")

    def test_a_code_of_another_client(self, client: LoginClient) -> None:
        """It is refused, and stays good for its own client."""
        client.ask_the_user()
        owner = client.client_id
        client.register()
        refused(client.exchange(), "invalid_grant")
        assert read(client.exchange(client_id=owner)).status == 200

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"redirect_uri": "https://evil.example/"}, "invalid_grant", id="redirect-uri"),
            pytest.param({"code": "made-up"}, "invalid_grant", id="code"),
            pytest.param({"code_verifier": "w" * 64}, "invalid_grant", id="verifier"),
            pytest.param({"code_verifier": ""}, "invalid_request", id="no-verifier"),
            pytest.param({"resource": "https://other.example/mcp"}, "invalid_target", id="resource"),
            pytest.param({"client_id": "made-up"}, "invalid_client", id="client"),
            pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="grant"),
        ],
    )
    def test_what_does_not_fit(self, changes: dict[str, str], error: str, client: LoginClient) -> None:
        client.ask_the_user()
        refused(client.exchange(**changes), error)

    def test_a_refresh_token_is_used_once_and_a_second_use_revokes_all(self, logged_in: LoginClient) -> None:
        first = logged_in.issued["refresh_token"]
        logged_in.refresh_the_token()
        logged_in.connect()
        refused(logged_in.send("token", grant_type="refresh_token", refresh_token=first), "invalid_grant")
        assert ask(logged_in).status == 401

    def test_a_refresh_does_not_widen_the_scope(self, logged_in: LoginClient) -> None:
        refresh = {"grant_type": "refresh_token", "refresh_token": logged_in.issued["refresh_token"]}
        refused(logged_in.send("token", **refresh, scope="tools notes"), "invalid_scope")
        assert read(logged_in.send("token", **refresh, scope="tools")).status == 200

    def test_a_refresh_is_for_the_same_resource(self, logged_in: LoginClient) -> None:
        refresh = {"grant_type": "refresh_token", "refresh_token": logged_in.issued["refresh_token"]}
        refused(logged_in.send("token", **refresh, resource="https://other.example/mcp"), "invalid_target")

    @pytest.mark.parametrize("status", [400, 401, 429])
    def test_every_error_is_readable(self, status: int) -> None:
        """With what the page needs to know of it, whatever answers."""
        app = Flask("auth")
        MCPCors(app, origins="https://auth.example.com", hosts="auth.example.com", policies={"/token": PUBLIC_OAUTH})

        @app.post("/token")
        def token() -> Any:
            challenge = {"WWW-Authenticate": 'Basic realm="auth"', "Retry-After": "1", "DPoP-Nonce": "n"}
            abort(app.response_class("no", status, challenge))

        page = Browser(app, origin="https://app.example.com", base_url="https://auth.example.com")
        response = page.fetch("/token", "POST", FORM | {"DPoP": "proof"}, body="grant_type=x")
        assert (response.type, response.status, response.text) == ("cors", status, "no")
        assert response.headers["www-authenticate"] == 'Basic realm="auth"'
        assert (response.headers["retry-after"], response.headers["dpop-nonce"]) == ("1", "n")

    def test_plain_http_without_proxy_fix_is_told(self) -> None:
        """Authlib raises where nothing of its own catches."""
        app = authorization_app(AuthorizationServer("http://localhost:1", resources=["http://r"], scopes={"s": ""}))
        environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "192.0.2.1", "HTTP_ORIGIN": "https://app.example.com"}
        response = app.test_client().post("/token", environ_overrides=environ)
        assert response.status_code == 400
        assert response.json == {"error": "insecure_transport", "error_description": "OAuth 2 MUST utilize https."}
        assert response.headers["Access-Control-Allow-Origin"] == "*"


class TestRegistration:
    """Anybody may register, and reads what is wrong with it."""

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            pytest.param("{", "invalid_client_metadata", id="no-json"),
            pytest.param("[]", "invalid_client_metadata", id="a-list"),
            pytest.param("{}", "invalid_redirect_uri", id="nothing"),
            pytest.param('{"redirect_uris": "https://a.example/"}', "invalid_redirect_uri", id="a-string"),
            pytest.param('{"redirect_uris": []}', "invalid_redirect_uri", id="none"),
            pytest.param('{"redirect_uris": [1]}', "invalid_redirect_uri", id="a-number"),
            pytest.param('{"redirect_uris": ["http://a.example/"]}', "invalid_redirect_uri", id="http"),
            pytest.param('{"redirect_uris": ["http://[::1/"]}', "invalid_redirect_uri", id="no-url"),
            pytest.param('{"redirect_uris": ["javascript:alert(1)"]}', "invalid_redirect_uri", id="script"),
            pytest.param('{"redirect_uris": ["https://a.example/#x"]}', "invalid_redirect_uri", id="fragment"),
            pytest.param(
                '{"redirect_uris": ["https://a.example/"], "client_name": 1}', "invalid_client_metadata", id="name"
            ),
        ],
    )
    def test_a_malformed_registration(self, body: str, error: str, client: LoginClient) -> None:
        headers = {"Content-Type": "application/json"}
        url = client.server["registration_endpoint"]
        refused(client.browser.fetch(url, "POST", headers, body=body), error)

    def test_a_client_that_wants_a_secret_gets_none(self, client: LoginClient) -> None:
        """The answer says how it is registered; clients go by that."""
        asked = {"redirect_uris": [client.callback], "token_endpoint_auth_method": "client_secret_basic"}
        told = client.browser.fetch(client.server["registration_endpoint"], "POST", json=asked).json()
        assert told["token_endpoint_auth_method"] == "none"
        assert "client_secret" not in told

    def test_there_is_an_end_to_it(self, client: LoginClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(authorization_server, "MAX_CLIENTS", 0)
        asked = {"redirect_uris": [client.callback]}
        response = client.browser.fetch(client.server["registration_endpoint"], "POST", json=asked)
        assert (response.status, response.json()["error"]) == (429, "temporarily_unavailable")
        assert response.headers["retry-after"] == "3600"


class TestLoginPage:
    """Where the user decides."""

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"redirect_uri": "https://evil.example/"}, id="redirect-uri"),
            pytest.param({"redirect_uri": 'https://evil.example/"'}, id="redirect-uri-with-a-quote"),
            pytest.param({"response_type": "\N{SNOWMAN}"}, id="response-type-not-ascii"),
            pytest.param({"client_id": "made-up"}, id="client-unknown-after-a-restart"),
        ],
    )
    def test_nobody_is_sent_to_an_address_that_is_not_the_clients(
        self, changes: dict[str, str], client: LoginClient
    ) -> None:
        """The user reads why, on a page."""
        status, page = client.window.open(client.authorization_url(**changes))
        assert status == 400
        assert "This log-in cannot go on" in page

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"scope": "tools everything"}, "invalid_scope", id="scope"),
            pytest.param({"resource": "https://other.example/mcp"}, "invalid_target", id="resource"),
            pytest.param({"code_challenge": ""}, "invalid_request", id="no-pkce"),
            pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain-pkce"),
            pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        ],
    )
    def test_other_errors_go_back_to_the_client(self, changes: dict[str, str], error: str, client: LoginClient) -> None:
        """In the URL, which the page reads: with the state, and who says so (RFC 9207)."""
        status, location = client.window.open(client.authorization_url(**changes))
        told = answer(location)
        assert status == 302
        assert location.startswith(f"{client.callback}?")
        assert (told["error"], told["state"], told["iss"]) == (error, "a-state", client.server["issuer"])

    def test_a_user_who_denies(self, client: LoginClient) -> None:
        status, location = client.window.answer(client.authorization_url(), answer="deny")
        told = answer(location)
        assert (status, told["error"], told["iss"]) == (302, "access_denied", client.server["issuer"])

    def test_a_wrong_password(self, client: LoginClient) -> None:
        status, page = client.window.answer(client.authorization_url(), password="wrong")
        assert status == 403
        assert "The name or the password is wrong." in page
        assert client.window.answer(client.authorization_url())[0] == 302

    def test_a_form_that_another_page_has_made(self, client: LoginClient) -> None:
        status, page = client.window.answer(client.authorization_url(), csrf="made-up")
        assert status == 400
        assert "This form is out of date." in page

    def test_no_other_page_can_use_it(self, client: LoginClient, demo: example_app.Demo) -> None:
        """Not even the client's own, whose cookies come along where only the port differs."""
        with pytest.raises(TypeError):
            client.browser.fetch(client.authorization_url(), "POST", FORM, body="answer=allow", credentials="include")
        refusal = [entry for entry in demo.diary.entries() if entry.get("path") == "/authorize"][-1]
        assert (refusal["status"], refusal["reason"]) == (403, "origin_not_allowed")

    def test_it_cannot_be_framed(self, client: LoginClient) -> None:
        with client.window._opener.open(client.authorization_url()) as response:
            assert response.headers["X-Frame-Options"] == "DENY"


class TestMetadata:
    """Wherever clients look they can read the answer, so that they go on to the next place where there is nothing."""

    @pytest.mark.parametrize("issuer_path", ["", "/tenant"])
    def test_every_place(self, issuer_path: str) -> None:
        issuer = f"http://localhost:9000{issuer_path}"
        app = authorization_app(AuthorizationServer(issuer, resources=["https://r.example"], scopes={"s": ""}))
        page = Browser(app, origin="https://app.example.com", base_url="http://localhost:9000")
        revision = {"MCP-Protocol-Version": "2025-11-25", "Accept": "application/json"}
        name = "/.well-known/oauth-authorization-server"
        places = {place: page.fetch(place, headers=revision) for place in (name, f"{name}/tenant", f"/tenant{name}")}
        places |= {f"{place}/": page.fetch(f"{place}/", headers=revision) for place in list(places)}
        oidc = "/.well-known/openid-configuration"
        places |= {place: page.fetch(place, headers=revision) for place in (oidc, f"{oidc}/tenant", f"/tenant{oidc}")}

        statuses = {place: response.status for place, response in places.items()}
        found = 200 if issuer_path else 404
        assert statuses == {
            name: 200,
            f"{name}/": 200,
            f"{name}/tenant": found,
            f"{name}/tenant/": found,
            f"/tenant{name}": found,
            f"/tenant{name}/": found,
            oidc: 404,
            f"{oidc}/tenant": 404,
            f"/tenant{oidc}": 404,
        }
        documents = [response.json() for response in places.values() if response.status == 200]
        assert all(document == documents[0] for document in documents)
        assert documents[0]["issuer"] == issuer
        assert documents[0]["token_endpoint"] == f"{issuer}/token"

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/.well-known/oauth-protected-resource", 200),
            ("/.well-known/oauth-protected-resource/mcp", 200),
            ("/.well-known/oauth-protected-resource/mcp/", 404),
            ("/mcp/.well-known/oauth-protected-resource", 404),
            ("/mcp/.well-known/openid-configuration", 404),
            ("/.well-known/openid-configuration/mcp", 404),
            ("/.well-known/oauth-authorization-server/mcp", 404),
        ],
    )
    def test_the_resource_servers_places(self, path: str, status: int, client: LoginClient) -> None:
        base = client.endpoint.removesuffix("/mcp")
        response = read(client.browser.fetch(base + path, headers={"MCP-Protocol-Version": "2025-11-25"}))
        assert (response.type, response.status) == ("cors", status)
