"""An MCP server and its OAuth authorization server in one Flask app, with Authlib.

Everything is kept in dictionaries, and the only user is always logged in: put your database and your login page there.
"""

import secrets
import time
from dataclasses import dataclass
from dataclasses import field

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc6749.models import ClientMixin
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask
from flask import g
from flask import request

from flask_mcp_cors import MCPCors
from flask_mcp_cors import PUBLIC_OAUTH

ISSUER = "https://mcp.example.com"

app = Flask(__name__)
cors = MCPCors(
    app,
    origins=["https://app.example.com"],
    hosts=["mcp.example.com"],
    # Any page may ask for a token: what it needs for that is a code, and only the user gives one away.
    policies={"/token": PUBLIC_OAUTH, "/register": PUBLIC_OAUTH, "/revoke": PUBLIC_OAUTH},
)


@dataclass
class Client(ClientMixin):
    client_id: str
    redirect_uris: list[str]

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope):
        return " ".join(word for word in (scope or "").split() if word == "tools")

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret):
        return False  # a page cannot keep a secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "none"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    user: str
    code_challenge: str
    code_challenge_method: str
    made: float = field(default_factory=time.time)

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


clients: dict[str, Client] = {}
codes: dict[str, Code] = {}
tokens: dict[str, dict] = {}


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code, request):
        data = request.payload.data
        codes[code] = Code(
            code,
            request.client.client_id,
            request.payload.redirect_uri,
            request.payload.scope,
            request.user,
            data.get("code_challenge"),
            data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code, client):
        found = codes.get(code)
        valid = found is not None and found.client_id == client.client_id and time.time() < found.made + 60
        return found if valid else None

    def delete_authorization_code(self, authorization_code):
        del codes[authorization_code.code]

    def authenticate_user(self, authorization_code):
        return authorization_code.user


def save_token(token, request):
    tokens[token["access_token"]] = token | {"user": request.user, "expires_at": time.time() + token["expires_in"]}


server = AuthorizationServer(app, query_client=clients.get, save_token=save_token)
server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    """RFC 8414. Public by default, as every discovery document is."""
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "registration_endpoint": f"{ISSUER}/register",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["tools"],
    }


@app.post("/register")
def register():
    """RFC 7591: a client that has never been here introduces itself."""
    client = Client(secrets.token_urlsafe(16), list(request.get_json()["redirect_uris"]))
    clients[client.client_id] = client
    body = {"client_id": client.client_id, "redirect_uris": client.redirect_uris, "token_endpoint_auth_method": "none"}
    return body, 201


@app.get("/authorize")
def authorize():
    """The browser comes here by navigation, so no CORS is needed. Ask the user for consent here."""
    grant = server.get_consent_grant(end_user="alice")
    return server.create_authorization_response(grant_user="alice", grant=grant)


@app.post("/token")
def token():
    return server.create_token_response()


def verify(credential):
    """Who holds this access token? The scopes are looked at by ``cors.protected``."""
    found = tokens.get(credential.token or "")
    if found is None or found["expires_at"] < time.time():
        return None
    return {"user": found["user"], "scopes": found["scope"]}


@app.post("/mcp")
@cors.protected(verify, scopes=["tools"])
def mcp():
    return {"jsonrpc": "2.0", "id": 1, "result": {"user": g.mcp_identity["user"]}}


cors.serve_resource_metadata(app, resource=f"{ISSUER}/mcp", authorization_servers=[ISSUER], scopes_supported=["tools"])
