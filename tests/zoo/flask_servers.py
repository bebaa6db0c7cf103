"""Flask servers with flask-cors, as most people set it up, and two that need no other extension."""

from __future__ import annotations

from typing import Any

import flask
from endpoint import ALLOW_HEADERS
from endpoint import APP
from endpoint import documents
from endpoint import Endpoint
from endpoint import EXPOSE_HEADERS
from endpoint import is_own_host
from endpoint import serve_wsgi
from endpoint import TOKEN
from flask_cors import CORS
from flask_cors import cross_origin

NAMES = ALLOW_HEADERS.split(", ")


def make_app(fault: str) -> Any:
    app = flask.Flask(__name__)
    endpoint = Endpoint(sessions=fault != "flask-cookie-session")
    settings: dict[str, Any] = {
        "origins": [APP, "https://admin.example.com"],
        "allow_headers": NAMES,
        "expose_headers": EXPOSE_HEADERS.split(", "),
        "methods": ["GET", "POST", "DELETE"],
        "max_age": 7200,
    }
    if fault == "flask-no-expose":
        del settings["expose_headers"]
    if fault == "flask-origin-slash":
        settings["origins"] = [f"{APP}/"]
    if fault == "flask-regex-hole":
        settings["origins"] = [r"https://app\.example\.com"]
    if fault == "flask-any-credentials":
        settings |= {"origins": "*", "supports_credentials": True}
    if fault == "flask-other-resource":
        settings = {"resources": {r"/api/*": settings}}

    asked: list[str] = []

    def is_allowed(origin: str) -> bool:
        if fault == "flask-regex-hole":
            return origin.startswith(APP)
        return origin == APP or fault == "flask-any-credentials"

    @app.before_request
    def guard() -> Any:
        request = flask.request
        if not is_own_host(request.host):
            return {"error": "Host not served"}, 421
        asked.append(request.method)
        if fault == "flask-limit" and len(asked) > 8:
            return {"error": "8 per 1 minute"}, 429
        if not is_allowed(request.headers.get("Origin", APP)):
            return {"error": "Origin not allowed"}, 403
        if fault == "flask-login" and request.method != "OPTIONS":
            return flask.redirect("/login?next=/mcp")
        if not fault.endswith(("-401", "-401-no-cors", "-token")) or request.path != "/mcp":
            return None
        if request.method == "OPTIONS" and fault != "flask-preflight-401":
            return None
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            prm = f"{request.host_url}.well-known/oauth-protected-resource/mcp"
            return {"error": "Unauthorized"}, 401, {"WWW-Authenticate": f'Bearer resource_metadata="{prm}"'}
        return None

    def mcp() -> Any:
        if fault == "flask-cookie-session" and flask.request.method == "POST":
            message = flask.request.get_json()
            if message["method"] != "initialize" and "sid" not in flask.request.cookies:
                return {
                    "jsonrpc": "2.0",
                    "id": None,
                    "error": {"code": -32000, "message": "Server not initialized"},
                }, 400
        if fault == "flask-crash" and flask.request.method == "POST":
            raise RuntimeError("the database is away")
        status, headers, body = endpoint.answer(flask.request.method, flask.request.headers, flask.request.get_data())
        response = flask.Response(body, status, headers)
        if fault == "flask-cookie-session" and b'"serverInfo"' in body:
            response.set_cookie("sid", "1", httponly=True)
        return response

    def document(**_: Any) -> Any:
        return documents(flask.request.host_url.rstrip("/"))[flask.request.path]

    def public(view: Any) -> Any:
        return cross_origin(origins="*", allow_headers=NAMES)(view)

    if fault == "flask-ok-by-hand":

        @app.after_request
        def add_cors(response: flask.Response) -> flask.Response:
            if flask.request.headers.get("Origin") == APP:
                response.headers["Access-Control-Allow-Origin"] = APP
                response.headers["Access-Control-Expose-Headers"] = EXPOSE_HEADERS
                if flask.request.method == "OPTIONS":
                    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
                    response.headers["Access-Control-Allow-Headers"] = ALLOW_HEADERS
                    response.headers["Access-Control-Max-Age"] = "600"
            response.vary.add("Origin")
            return response

    elif fault == "flask-401-no-cors":
        mcp = cross_origin(**settings)(mcp)
    elif fault != "flask-no-cors":
        CORS(app, **settings)
    if fault == "flask-csrf":
        from flask_wtf import CSRFProtect

        app.secret_key = "zoo"
        CSRFProtect(app)
    path = "/mcp/" if fault == "flask-strict-slash" else "/mcp"
    app.add_url_rule(path, "mcp", mcp, methods=["GET", "POST", "DELETE"])
    app.add_url_rule("/.well-known/oauth-protected-resource/mcp", "prm", public(document))
    app.add_url_rule("/.well-known/oauth-authorization-server", "as", public(document))
    app.add_url_rule("/token", "token", public(lambda: ({"error": "unsupported_grant_type"}, 400)), methods=["POST"])
    app.add_url_rule(
        "/register", "register", public(lambda: ({"error": "invalid_client_metadata"}, 400)), methods=["POST"]
    )
    return app


def make_own(fault: str) -> Any:
    """With this package."""
    from flask_mcp_cors import LOOPBACK_HOSTS
    from flask_mcp_cors import MCPCors

    app = flask.Flask(__name__)
    MCPCors(app, origins=APP, hosts=LOOPBACK_HOSTS)
    endpoint = Endpoint()

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    def mcp() -> Any:
        status, headers, body = endpoint.answer(flask.request.method, flask.request.headers, flask.request.get_data())
        return flask.Response(body, status, headers)

    return app


if __name__ == "__main__":
    serve_wsgi(lambda fault: make_own(fault) if fault == "flask-ok-mcp-cors" else make_app(fault))
