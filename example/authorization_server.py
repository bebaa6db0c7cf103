"""An OAuth authorization server on Authlib, with what MCP clients in a browser need of one.

Dynamic client registration (RFC 7591), the authorization code flow with PKCE (RFC 7636), resource indicators
(RFC 8707), refresh tokens that are used once, revocation (RFC 7009), the issuer in the answer (RFC 9207), and the
metadata of RFC 8414 at each place where clients look. Clients, codes and tokens are kept in memory, and there is one
user: put your database and your login in their place.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.common.urls import add_params_to_uri
from authlib.integrations.flask_oauth2 import AuthorizationServer as AuthlibServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749 import TokenMixin
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import InvalidClientMetadataError
from authlib.oauth2.rfc7591 import InvalidRedirectURIError
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Blueprint
from flask import Flask
from flask import render_template
from flask import request
from flask import session
from flask.typing import ResponseReturnValue
from werkzeug import Response
from werkzeug.security import check_password_hash
from werkzeug.security import generate_password_hash

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PUBLIC_METADATA
from flask_mcp_cors import PUBLIC_OAUTH

USER, PASSWORD = "alice", "wonderland"
CODE_LIFETIME = 60
MAX_CLIENTS = 1000
WELL_KNOWN = "/.well-known/oauth-authorization-server"
LOOPBACK_NAMES = {host.strip("[]") for host in LOOPBACK_HOSTS}


@dataclass
class Client(ClientMixin):
    """A page that has registered itself. It cannot keep a secret, so it has none."""

    client_id: str
    name: str
    redirect_uris: list[str]
    default_scope: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or self.default_scope  # that the server knows it has been checked

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token")


@dataclass
class Permission:
    """What a user allowed a client. To revoke it revokes every code and token that came of it."""

    user: str
    client_id: str
    resource: str
    revoked: bool = False


@dataclass
class Code(AuthorizationCodeMixin):
    """An authorization code: good once, for a minute."""

    permission: Permission
    redirect_uri: str | None
    scope: str
    code_challenge: str
    code_challenge_method: str
    expires: float
    used: bool = False

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):
    """An access token and its refresh token, which is good once."""

    permission: Permission
    scope: str
    expires: float
    refreshed: bool = False

    @property
    def user(self) -> str:
        return self.permission.user

    @property
    def resource(self) -> str:
        """The resource server that the token is for: its audience."""
        return self.permission.resource

    def check_client(self, client: Client) -> bool:
        return self.permission.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


class InvalidTargetError(OAuth2Error):
    """RFC 8707, section 2: the resource is missing, unknown, or another than the one that the user has allowed."""

    error = "invalid_target"


class TooManyClients(OAuth2Error):
    """Anybody may register, so there is an end to it."""

    error = "temporarily_unavailable"
    status_code = 429

    def get_headers(self) -> list[tuple[str, str]]:
        return [*super().get_headers(), ("Retry-After", "3600")]


class Rules(CodeChallenge):
    """What every authorization request has to bring: PKCE with S256, and a resource that this server knows."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: grants.BaseGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method=S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)
        grant.server.owner.resource_asked_for(grant.request)


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    """Authlib has the protocol; here is where codes are kept."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        owner: AuthorizationServer = self.server.owner
        data = request.payload.data
        resource = owner.resource_asked_for(request)
        owner.codes[code] = Code(
            permission=Permission(request.user, request.client.client_id, resource),
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            code_challenge=data["code_challenge"],
            code_challenge_method=data["code_challenge_method"],
            expires=owner.clock() + CODE_LIFETIME,
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return self.server.owner.use_code(code, client)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It stays, marked as used, so that a second use is noticed."""

    def authenticate_user(self, authorization_code: Code) -> str:
        self.server.owner.resource_asked_for(self.request, authorization_code.permission)
        return authorization_code.permission.user


class RefreshTokenGrant(grants.RefreshTokenGrant):
    """A refresh token is used once; a second use revokes all that came of it (OAuth 2.1, section 4.3.1)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        found: Token | None = self.server.owner.refresh_tokens.get(refresh_token)
        return None if found is None or found.permission.revoked else found

    def authenticate_user(self, refresh_token: Token) -> str:
        self.server.owner.resource_asked_for(self.request, refresh_token.permission)
        self.server.owner.use_refresh_token(refresh_token)
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """Its refresh token is marked as used already. Its access token may go on until it expires."""


class Revocation(RevocationEndpoint):
    """Logging out: either token of a pair ends both."""

    CLIENT_AUTH_METHODS = ("none",)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        owner: AuthorizationServer = self.server.owner
        return owner.access_tokens.get(token_string) or owner.refresh_tokens.get(token_string)

    def revoke_token(self, token: Token, request: Any) -> None:
        token.permission.revoked = True


class AuthorizationServer:
    """One authorization server: what it keeps, and the blueprint that serves it.

    :param issuer: its URL, as clients see it. A path in it is a prefix of every endpoint.
    :param resources: the resource servers, by URL, that it issues tokens for.
    :param scopes: the scopes, and what each lets a client do, in words for the user. The first one is the default.
    :param lifetime: of an access token, in seconds.
    :param clock: the time, for tests.
    """

    def __init__(
        self,
        issuer: str,
        *,
        resources: Iterable[str],
        scopes: Mapping[str, str],
        lifetime: int = 600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.resources = tuple(resources)
        self.scopes = dict(scopes)
        self.lifetime = lifetime
        self.clock = clock
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.access_tokens: dict[str, Token] = {}
        self.refresh_tokens: dict[str, Token] = {}
        self._passwords = {USER: generate_password_hash(PASSWORD)}
        self._lock = threading.Lock()
        self._authlib = AuthlibServer(query_client=self.clients.get, save_token=self._save_token)
        self._authlib.owner = self
        self._authlib.scopes_supported = list(self.scopes)
        self._authlib.register_token_generator(
            "default", BearerTokenGenerator(_random_token, _random_token, lambda client, grant_type: lifetime)
        )
        self._authlib.register_grant(AuthorizationCodeGrant, [Rules()])
        self._authlib.register_grant(RefreshTokenGrant)
        self._authlib.register_endpoint(Revocation)

    # --- What the resource server asks ---

    def find(self, token: str) -> Token | None:
        """What an access token stands for; ``None`` if it is unknown, expired or revoked."""
        found = self.access_tokens.get(token)
        return None if found is None or found.permission.revoked or found.expires <= self.clock() else found

    def expire_access_tokens(self) -> None:
        """End the lifetime of every access token now, so that one need not wait for it."""
        for token in list(self.access_tokens.values()):
            token.expires = self.clock()

    # --- What the grants ask ---

    def resource_asked_for(self, request: Any, permission: Permission | None = None) -> str:
        """The one resource of a request (RFC 8707); it has to be that of the *permission*, where there is one."""
        known = self.resources if permission is None else (permission.resource,)
        asked = request.payload.datalist.get("resource") or known
        if len(asked) != 1 or asked[0] not in known:
            raise InvalidTargetError("Write one resource for which this server issues tokens.")
        return str(asked[0])

    def use_code(self, code: str, client: Client) -> Code | None:
        """A code, the first time that its client brings it. A second time revokes what the first has brought."""
        found = self.codes.get(code)
        if found is None or found.permission.client_id != client.client_id:
            return None
        with self._lock:
            first, found.used = not found.used, True
        found.permission.revoked |= not first
        return found if first and self.clock() < found.expires else None

    def use_refresh_token(self, token: Token) -> None:
        """Mark a refresh token as used; a second use is refused, and revokes what the first has brought."""
        with self._lock:
            first, token.refreshed = not token.refreshed, True
        if not first:
            token.permission.revoked = True
            raise InvalidGrantError("This refresh token has been used before.")

    def _save_token(self, token: dict[str, Any], request: Any) -> None:
        source = request.authorization_code or request.refresh_token
        saved = Token(source.permission, token["scope"], self.clock() + token["expires_in"])
        self.access_tokens[token["access_token"]] = self.refresh_tokens[token["refresh_token"]] = saved

    # --- What is served ---

    @property
    def policies(self) -> dict[str, CORSPolicy]:
        """For ``MCPCors(app, policies=…)``: any page may use these endpoints, and none but its own the login page.

        To get a token a page needs a code, which only the user gives away. Whatever else is asked for below
        ``.well-known`` is answered with a 404 that a page can read, so that clients go on to the next place.
        """
        path = urlsplit(self.issuer).path
        own = CORSPolicy(origins=origin_of(self.issuer))
        public = {f"{path}/{name}": PUBLIC_OAUTH for name in ("token", "register", "revoke")}
        return {**public, f"{path}/authorize": own, "/**/.well-known/**": PUBLIC_METADATA}

    def init_app(self, app: Flask) -> None:
        """Serve it in *app*, which needs a ``secret_key``."""
        path = urlsplit(self.issuer).path
        blueprint = Blueprint("authorization_server", __name__, url_prefix=path or None, template_folder="templates")
        blueprint.add_url_rule("/authorize", view_func=self.authorize, methods=["GET", "POST"])
        blueprint.add_url_rule("/register", view_func=self.register, methods=["POST"])
        blueprint.add_url_rule("/token", view_func=self.token, methods=["POST"])
        blueprint.add_url_rule("/revoke", view_func=self.revoke, methods=["POST"])
        # Authlib raises outside its own handling, too: over plain HTTP, say, behind a proxy without ProxyFix.
        blueprint.register_error_handler(OAuth2Error, lambda error: self._authlib.handle_response(*error()))
        app.register_blueprint(blueprint)
        # The RFC's place is the one with the issuer's path inserted. Clients try the others, with or without slash.
        for place in {WELL_KNOWN, f"{WELL_KNOWN}{path}", f"{path}{WELL_KNOWN}"}:
            for rule in (place, f"{place}/"):
                app.add_url_rule(rule, f"authorization_server_metadata:{rule}".replace(".", ""), self.metadata)

    def metadata(self) -> dict[str, Any]:
        """RFC 8414."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "scopes_supported": list(self.scopes),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def register(self) -> ResponseReturnValue:
        """RFC 7591: a client that has never been here introduces itself. What it may not choose is replaced."""
        data = request.get_json(force=True, silent=True)
        if not isinstance(data, dict):
            raise InvalidClientMetadataError("Write a JSON object.")
        uris = data.get("redirect_uris")
        if not isinstance(uris, list) or not uris or not all(map(is_redirect_uri, uris)):
            raise InvalidRedirectURIError("redirect_uris: write https URLs, or http ones of this machine.")
        name = data.get("client_name", "A page without a name")
        if not isinstance(name, str):
            raise InvalidClientMetadataError("client_name: write a string.")
        if len(self.clients) >= MAX_CLIENTS:
            raise TooManyClients("Too many clients have registered.")
        client = Client(_random_token(), name, uris, next(iter(self.scopes)))
        self.clients[client.client_id] = client
        return {
            "client_id": client.client_id,
            "client_id_issued_at": int(self.clock()),
            "client_name": name,
            "redirect_uris": uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }, 201

    def authorize(self) -> ResponseReturnValue:
        """The page on which the user logs in and allows. The browser comes by navigation, so no CORS is needed."""
        user = session.get("user")
        try:
            grant = self._authlib.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            if error.redirect_uri:
                return self._go_back(self._authlib.handle_error_response(None, error))
            # Nobody knows whether that address is the client's: tell the user and redirect nowhere (RFC 6749, 4.1.2.1).
            return render_template("authorize.html", error=error), 400
        except ValueError:
            # Authlib describes an error with the value that was sent, and cannot write every character there.
            return render_template("authorize.html", error=InvalidRequestError("A parameter cannot be read.")), 400
        wrong = False
        if request.method == "POST":
            if not secrets.compare_digest(request.form.get("csrf", "").encode(), session.get("csrf", "-").encode()):
                return render_template("authorize.html", error=InvalidRequestError("This form is out of date.")), 400
            if request.form.get("answer") != "allow":
                return self._go_back(self._authlib.create_authorization_response(grant=grant, grant_user=None))
            user = user or self._log_in(request.form.get("user", ""), request.form.get("password", ""))
            if user:
                return self._go_back(self._authlib.create_authorization_response(grant=grant, grant_user=user))
            wrong = True
        session.setdefault("csrf", secrets.token_urlsafe())
        scopes = {name: self.scopes[name] for name in grant.request.scope.split()}
        page = render_template(
            "authorize.html", client=grant.client, scopes=scopes, redirect_to=origin_of(grant.redirect_uri), user=user,
            wrong=wrong, demo=(USER, PASSWORD), resource=self.resource_asked_for(grant.request),
        )  # fmt: skip
        return page, 403 if wrong else 200

    def token(self) -> ResponseReturnValue:
        return self._authlib.create_token_response()

    def revoke(self) -> ResponseReturnValue:
        return self._authlib.create_endpoint_response("revocation")

    def _log_in(self, user: str, password: str) -> str | None:
        if not check_password_hash(self._passwords.get(user, ""), password):
            return None
        session.clear()
        session["user"] = user
        return user

    def _go_back(self, response: Response) -> Response:
        """Send the browser back to the client, and say who does (RFC 9207)."""
        response.location = add_params_to_uri(response.location, {"iss": self.issuer}.items())
        return response


def _random_token(*args: Any, **kwargs: Any) -> str:
    return secrets.token_urlsafe(32)


def origin_of(url: str) -> str:
    """The origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_redirect_uri(uri: object) -> bool:
    """May a client be sent back there? https, http on this machine (RFC 8252, section 7.3), no fragment."""
    try:
        parts = urlsplit(uri) if isinstance(uri, str) else urlsplit("")
        loopback = parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES
    except ValueError:
        return False
    return bool((parts.scheme == "https" or loopback) and parts.hostname and "#" not in str(uri))


def authorization_app(server: AuthorizationServer) -> Flask:
    """An app that is nothing but an authorization server, on an origin of its own."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes()
    # Cookies do not know ports: without a name of its own it would fight with other apps on this machine.
    app.config.update(SESSION_COOKIE_NAME="example_login", SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=64 * 1024)
    MCPCors(app, origins=origin_of(server.issuer), hosts=LOOPBACK_HOSTS, policies=server.policies)
    server.init_app(app)
    return app
