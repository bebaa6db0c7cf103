"""The rows of the compatibility table: apps as their authors write them, each with a real library.

A row builds the library and one endpoint, ``/mcp``, and states what is true of it. Nothing here knows of CORS but
the few rows that are about another CORS layer; the extension comes in through ``test_rows.py``, before or after.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from functools import wraps
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

import pytest
from flask import abort
from flask import Blueprint
from flask import Flask
from flask import request
from flask import session
from flask.views import MethodView
from werkzeug.datastructures import Authorization

from flask_mcp_cors import MCPCors
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

TOKEN = "a-good-token"
PAGE = "https://app.example.com"
SERVER = "https://mcp.example.com"


@dataclass
class Lab:
    """One app under test, and what of it has run."""

    app: Flask
    cors: MCPCors
    methods: list[str]
    folder: Path
    calls: list[str] = field(default_factory=list)

    @property
    def lists_options(self) -> bool:
        return "OPTIONS" in self.methods

    def view(self) -> dict[str, bool]:
        self.calls.append("view")
        return {"ok": True}

    def knows(self, token: str | None) -> bool:
        self.calls.append("credentials")
        return token == TOKEN

    def demand_token(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """The decorator that everybody writes once."""

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            given = request.authorization
            if not self.knows(given and given.token):
                abort(401)
            return self.app.ensure_sync(view)(*args, **kwargs)

        return guarded


def post(browser: Browser, **headers: str) -> Response:
    """What a page does to call the endpoint. A redirect is looked at, not followed."""
    return browser.fetch("/mcp", "POST", headers, json={}, redirect="manual")


def post_with_token(browser: Browser) -> Response:
    return browser.fetch("/mcp", "POST", {"Authorization": f"Bearer {TOKEN}"}, json={})


@dataclass(frozen=True)
class Row:
    """One line of the table, and what is to be seen."""

    name: str
    how: str
    install: Callable[[Lab], None]
    #: The status of a request without credentials.
    refusal: int = 401
    #: The status of an ``OPTIONS`` that is no preflight: where Flask answers it, and where the view lists it.
    options: int = 200
    listed_options: int = 401
    #: The same without the extension, where that is another one.
    options_without_us: int | None = None
    #: The module that has to be there.
    module: str | None = None
    make_app: Callable[[], Flask] = lambda: Flask(__name__)
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    page: str = PAGE
    server: str = SERVER
    refused: Callable[[Browser], Response] = post
    served: Callable[[Browser], Response] = post_with_token
    #: How often a plain ``OPTIONS`` is sent; the last answer counts.
    attempts: int = 1
    #: Is it WSGI middleware, which only ``wrap_wsgi`` precedes, and only where it was there before?
    is_middleware: bool = False


def require(name: str, module: str | None) -> None:
    """Skip where a library is not installed; or fail where nothing may be skipped."""
    if module is None or importlib.util.find_spec(module) is not None:
        return
    message = f"{name} is not installed: `pip install -e '.[compat]'`"
    if os.environ.get("REQUIRE_COMPAT") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def make_lab(row: Row, folder: Path, methods: Iterable[str] = ("POST",), order: str = "") -> Lab:
    """The app of a row, with the extension initialised in this order; ``""``: without it."""
    app = row.make_app()
    app.config.update(row.config)
    cors = MCPCors(origins=row.page, hosts="*", wrap_wsgi=order.endswith("-wrapped"), **row.settings)
    lab = Lab(app, cors, [*methods], folder)
    if order.startswith("ours-first"):
        cors.init_app(app)
    row.install(lab)
    if order.startswith("ours-last"):
        cors.init_app(app)
    return lab


ROWS: list[Row] = []


def row(name: str, how: str, **facts: Any) -> Callable[[Callable[[Lab], None]], Callable[[Lab], None]]:
    def add(install: Callable[[Lab], None]) -> Callable[[Lab], None]:
        ROWS.append(Row(name, how, install, **facts))
        return install

    return add


# Authentication


@row("Flask-HTTPAuth", "`@auth.login_required`", module="flask_httpauth", listed_options=200)
def httpauth_decorator(lab: Lab) -> None:
    from flask_httpauth import HTTPTokenAuth

    auth = HTTPTokenAuth()
    auth.verify_token(lab.knows)

    @lab.app.route("/mcp", methods=lab.methods)
    @auth.login_required
    def mcp() -> Any:
        return lab.view()


@row("Flask-HTTPAuth", "in a `before_request` hook", module="flask_httpauth", listed_options=200)
def httpauth_hook(lab: Lab) -> None:
    from flask_httpauth import HTTPTokenAuth

    auth = HTTPTokenAuth()
    auth.verify_token(lab.knows)

    @lab.app.before_request
    @auth.login_required
    def authenticate() -> None: ...

    lab.app.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)


def _post_with_jwt(browser: Browser) -> Response:
    import jwt

    claims = {"sub": "somebody", "type": "access", "fresh": False, "jti": "1", "csrf": ""}
    token = jwt.encode(claims, "k" * 32, algorithm="HS256")
    return post(browser, Authorization=f"Bearer {token}")


@row(
    "Flask-JWT-Extended",
    "`@jwt_required()`",
    module="flask_jwt_extended",
    config={"JWT_SECRET_KEY": "k" * 32},
    served=_post_with_jwt,
    listed_options=200,
)
def jwt_extended(lab: Lab) -> None:
    from flask_jwt_extended import jwt_required
    from flask_jwt_extended import JWTManager

    manager = JWTManager(lab.app)

    @manager.token_in_blocklist_loader
    def is_revoked(header: Any, claims: Any) -> bool:
        lab.calls.append("credentials")
        return False

    @lab.app.route("/mcp", methods=lab.methods)
    @jwt_required()
    def mcp() -> Any:
        return lab.view()


def _flask_login(lab: Lab) -> Any:
    from flask_login import login_required
    from flask_login import LoginManager
    from flask_login import UserMixin

    manager = LoginManager(lab.app)

    @manager.request_loader
    def load(req: Any) -> Any:
        return UserMixin() if lab.knows(req.authorization and req.authorization.token) else None

    @lab.app.route("/mcp", methods=lab.methods)
    @login_required
    def mcp() -> Any:
        return lab.view()

    return manager


@row(
    "Flask-Login",
    "`@login_required`",
    module="flask_login",
    config={"SECRET_KEY": "k" * 32},
    listed_options=200,
)
def login(lab: Lab) -> None:
    _flask_login(lab)


@row(
    "Flask-Login",
    "`@login_required`, with a login page to redirect to",
    module="flask_login",
    config={"SECRET_KEY": "k" * 32},
    refusal=302,
    listed_options=200,
)
def login_page(lab: Lab) -> None:
    _flask_login(lab).login_view = "login"
    lab.app.add_url_rule("/login", "login", lambda: "who are you?")


@row("Authlib", "`ResourceProtector`", module="authlib")
def authlib(lab: Lab) -> None:
    from authlib.integrations.flask_oauth2 import ResourceProtector
    from authlib.oauth2.rfc6750 import BearerTokenValidator

    class Token:
        def is_expired(self) -> bool:
            return False

        def is_revoked(self) -> bool:
            return False

        def get_scope(self) -> str:
            return ""

    class Validator(BearerTokenValidator):
        def authenticate_token(self, token_string: str) -> Token | None:
            return Token() if lab.knows(token_string) else None

    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(Validator())

    @lab.app.route("/mcp", methods=lab.methods)
    @require_oauth()
    def mcp() -> Any:
        return lab.view()


def _post_with_security_token(browser: Browser) -> Response:
    token = browser.fetch("/issue").text
    return post(browser, **{"Authentication-Token": token})


@row(
    "Flask-Security-Too",
    '`@auth_required("token")`',
    module="flask_security",
    config={
        "SECRET_KEY": "k" * 32,
        "SECURITY_PASSWORD_SALT": "1" * 32,
        "SECURITY_PASSWORD_HASH": "plaintext",
        "SECURITY_PASSWORD_SCHEMES": ["plaintext"],
        "SECURITY_WAN_ALLOW_AS_FIRST_FACTOR": False,
    },
    settings={"extra_allow_headers": ["Authentication-Token"]},
    served=_post_with_security_token,
    listed_options=302,  # to its login page, for want of JSON
)
def security(lab: Lab) -> None:
    from flask_security import auth_required
    from flask_security import RoleMixin
    from flask_security import Security
    from flask_security import UserDatastore
    from flask_security import UserMixin

    class Role(RoleMixin):
        pass

    class User(UserMixin):
        active = True
        fs_uniquifier = "one"
        roles: Iterable[Role] = ()

    class Datastore(UserDatastore):  # in place of a database
        def find_user(self, case_insensitive: bool = False, **wanted: Any) -> User | None:
            lab.calls.append("credentials")
            return User() if wanted == {"fs_uniquifier": "one"} else None

    Security(lab.app, Datastore(User, Role))
    lab.app.add_url_rule("/issue", "issue", lambda: User().get_auth_token())

    @lab.app.route("/mcp", methods=lab.methods)
    @auth_required("token")
    def mcp() -> Any:
        return lab.view()


# It guards the OPTIONS that Flask answers too, which takes the hook.
@row("Flask-MCP-CORS", "`@cors.protected(verify)`", options=401, options_without_us=200)
def protected(lab: Lab) -> None:
    def verify(credential: Authorization) -> str | None:
        return "somebody" if lab.knows(credential.token) else None

    @lab.app.route("/mcp", methods=lab.methods)
    @lab.cors.protected(verify)
    def mcp() -> Any:
        return lab.view()


# What else comes between a browser and a view


def _post_over_https(browser: Browser) -> Response:
    return browser.fetch("https://mcp.example.com/mcp", "POST", {"Authorization": f"Bearer {TOKEN}"}, json={})


@row(
    "Flask-Talisman",
    "its HTTPS redirect",
    module="flask_talisman",
    refusal=302,
    options=302,
    listed_options=302,
    page="http://localhost:3000",
    server="http://mcp.example.com",
    served=_post_over_https,
)
def talisman(lab: Lab) -> None:
    from flask_talisman import Talisman

    Talisman(lab.app)
    lab.app.add_url_rule("/mcp", view_func=lab.demand_token(lab.view), methods=lab.methods)


def _post_with_csrf_token(browser: Browser) -> Response:
    token = browser.fetch("/token", credentials="include").text
    return browser.fetch("/mcp", "POST", {"X-CSRFToken": token}, json={}, credentials="include")


@row(
    "Flask-WTF",
    "`CSRFProtect`",
    module="flask_wtf",
    # A page on another origin never passes the check of Referer.
    config={"SECRET_KEY": "k" * 32, "WTF_CSRF_SSL_STRICT": False},
    settings={"allow_credentials": True, "extra_allow_headers": ["X-CSRFToken"]},
    refusal=400,
    served=_post_with_csrf_token,
    listed_options=200,
)
def csrf(lab: Lab) -> None:
    from flask_wtf.csrf import CSRFProtect
    from flask_wtf.csrf import generate_csrf

    CSRFProtect(lab.app)
    lab.app.add_url_rule("/token", "token", generate_csrf)
    lab.app.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)


def _post_too_often(browser: Browser) -> Response:
    post_with_token(browser)
    return post_with_token(browser)


@row(
    "Flask-Limiter",
    "one request an hour; a preflight does not count",
    module="flask_limiter",
    config={"RATELIMIT_HEADERS_ENABLED": True},
    refusal=429,
    refused=_post_too_often,
    attempts=2,
    options=429,
    listed_options=429,
)
def limiter(lab: Lab) -> None:
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    limiter = Limiter(get_remote_address, app=lab.app, default_limits=["1 per hour"], storage_uri="memory://")

    @limiter.request_filter
    def watch() -> bool:
        lab.calls.append("limit")
        return False

    lab.app.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)


def _post_with_session(browser: Browser) -> Response:
    browser.fetch("/login", "POST", credentials="include")
    return browser.fetch("/mcp", "POST", json={}, credentials="include")


@row(
    "Flask-Session",
    "a server-side session",
    module="flask_session",
    settings={"allow_credentials": True},
    served=_post_with_session,
)
def server_side_session(lab: Lab) -> None:
    from cachelib import FileSystemCache
    from flask_session import Session

    lab.app.config["SESSION_TYPE"] = "cachelib"
    lab.app.config["SESSION_CACHELIB"] = FileSystemCache(str(lab.folder))
    Session(lab.app)

    def log_in() -> str:
        session["user"] = "somebody"
        return "welcome"

    def mcp() -> Any:
        lab.calls.append("credentials")
        if "user" not in session:
            abort(401)
        return lab.view()

    lab.app.add_url_rule("/login", view_func=log_in, methods=["POST"])
    lab.app.add_url_rule("/mcp", view_func=mcp, methods=lab.methods)


# Frameworks on Flask


@row("Flask-RESTX", "a `Resource` with `method_decorators`", module="flask_restx")
def restx(lab: Lab) -> None:
    from flask_restx import Api
    from flask_restx import Resource

    class Endpoint(Resource):  # type: ignore[misc]
        method_decorators = (lab.demand_token,)

        def post(self) -> Any:
            return lab.view()

        if lab.lists_options:
            options = post

    Api(lab.app, doc=False).add_resource(Endpoint, "/mcp")


@row(
    "flask-smorest",
    "a `MethodView` of its `Blueprint`",
    module="flask_smorest",
    config={"API_TITLE": "tools", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"},
)
def smorest(lab: Lab) -> None:
    from flask_smorest import Api
    from flask_smorest import Blueprint as SmorestBlueprint

    blueprint = SmorestBlueprint("tools", __name__)

    @blueprint.route("/mcp")
    class Endpoint(MethodView):
        decorators = (lab.demand_token,)

        @blueprint.response(200)
        def post(self) -> Any:
            return lab.view()

        if lab.lists_options:
            options = post

    Api(lab.app).register_blueprint(blueprint)


def _make_apiflask() -> Flask:
    from apiflask import APIFlask

    return APIFlask(__name__)


@row("APIFlask", "`@app.auth_required(auth)`", module="apiflask", make_app=_make_apiflask, listed_options=200)
def apiflask(lab: Lab) -> None:
    from apiflask import HTTPTokenAuth

    auth = HTTPTokenAuth()
    auth.verify_token(lab.knows)
    app: Any = lab.app

    @app.route("/mcp", methods=lab.methods)
    @app.auth_required(auth)
    def mcp() -> Any:
        return lab.view()


# Another CORS layer


@row("flask-cors", "`CORS(app)` left in by mistake", module="flask_cors")
def flask_cors(lab: Lab) -> None:
    from flask_cors import CORS

    CORS(lab.app, supports_credentials=True)
    lab.app.add_url_rule("/mcp", view_func=lab.demand_token(lab.view), methods=lab.methods)


@row("flask-cors", "`@cross_origin()` left in by mistake", module="flask_cors", listed_options=200)
def cross_origin(lab: Lab) -> None:
    from flask_cors import cross_origin

    # It answers every OPTIONS itself, so what it wraps is not asked.
    view = cross_origin(supports_credentials=True)(lab.demand_token(lab.view))
    lab.app.add_url_rule("/mcp", view_func=view, methods=lab.methods)


# Flask itself


@row("Flask", "a `before_request` hook", options=401)
def app_hook(lab: Lab) -> None:
    lab.app.before_request(lab.demand_token(lambda: None))
    lab.app.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)


@row("Flask", "a `before_request` hook of a blueprint", options=401)
def blueprint_hook(lab: Lab) -> None:
    tools = Blueprint("tools", __name__)
    tools.before_request(lab.demand_token(lambda: None))
    tools.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)
    lab.app.register_blueprint(tools)


@row("Flask", "a decorator in `MethodView.decorators`")
def method_view(lab: Lab) -> None:
    class Endpoint(MethodView):
        decorators = (lab.demand_token,)

        def post(self) -> Any:
            return lab.view()

        if lab.lists_options:
            options = post

    lab.app.add_url_rule("/mcp", view_func=Endpoint.as_view("mcp"))


@row("Flask", "a decorator on an `async` view", module="asgiref")
def async_view(lab: Lab) -> None:
    @lab.app.route("/mcp", methods=lab.methods)
    @lab.demand_token
    async def mcp() -> Any:
        return lab.view()


@row("Flask", "a view that lists `OPTIONS` itself", options=401)
def listed_options(lab: Lab) -> None:
    lab.app.add_url_rule("/mcp", view_func=lab.demand_token(lab.view), methods={*lab.methods, "OPTIONS"})


@row("Flask", "`provide_automatic_options=False`", options=405)
def no_automatic_options(lab: Lab) -> None:
    view = lab.demand_token(lab.view)
    lab.app.add_url_rule("/mcp", view_func=view, methods=lab.methods, provide_automatic_options=False)


def _post_and_follow(browser: Browser) -> Response:
    response = post_with_token(browser)
    assert response.redirected
    return response


@row(
    "Flask",
    "a trailing-slash redirect",
    refusal=308,
    options=308,
    listed_options=308,
    served=_post_and_follow,
)
def trailing_slash(lab: Lab) -> None:
    lab.app.add_url_rule("/mcp/", view_func=lab.demand_token(lab.view), methods=lab.methods)


class TokenMiddleware:
    """Authentication in front of an application, as gateways have it: nothing passes without a token."""

    def __init__(self, wsgi_app: Any, lab: Lab) -> None:
        self.wsgi_app = wsgi_app
        self.lab = lab

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = Authorization.from_header(environ.get("HTTP_AUTHORIZATION"))
        if self.lab.knows(given and given.token):
            return self.wsgi_app(environ, start_response)
        start_response("401 UNAUTHORIZED", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
        return [b"who are you?"]


@row("WSGI middleware", "there before `init_app`, with `wrap_wsgi=True`", is_middleware=True, options=401)
def wsgi_middleware(lab: Lab) -> None:
    lab.app.wsgi_app = TokenMiddleware(lab.app.wsgi_app, lab)  # type: ignore[method-assign]
    lab.app.add_url_rule("/mcp", view_func=lab.view, methods=lab.methods)
