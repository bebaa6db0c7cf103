"""A shop with a login and forms that gets an MCP endpoint: Flask-Login, Flask-WTF, the MCP SDK, and a token."""

import hmac
import logging
import os

from flask import Flask
from flask import g
from flask import redirect
from flask import request
from flask import url_for
from flask_login import current_user
from flask_login import login_required
from flask_login import login_user
from flask_login import LoginManager
from flask_login import UserMixin
from flask_wtf.csrf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from flask_mcp_cors import MCPCors
from flask_mcp_cors.contrib.sdk import SDKBridge

logging.basicConfig(level=logging.INFO)  # before MCPServer, whose own handler folds long lines

csrf = CSRFProtect()
login = LoginManager()
login.login_view = "log_in"
cors = MCPCors(origins=["https://app.example.com"], hosts=["www.example.com", "localhost"], paths=["/mcp"])

server = MCPServer("shop", log_level="WARNING")
no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
bridge = SDKBridge(lambda: server.streamable_http_app(transport_security=no_check))


class User(UserMixin):
    def __init__(self, id):
        self.id = id


@login.user_loader
def load_user(id):
    return User(id)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def verify(credential):
    """Who calls: look the token up, hashed, in your database."""
    right = hmac.compare_digest((credential.token or "").encode(), os.environ["MCP_TOKEN"].encode())
    return "alice" if right else None


def create_app():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
    app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
    csrf.init_app(app)
    login.init_app(app)
    cors.init_app(app)

    # The pages, as they were.

    @app.route("/login", methods=["GET", "POST"])
    def log_in():
        if request.method == "POST" and hmac.compare_digest(request.form["password"], os.environ["PASSWORD"]):
            login_user(User("alice"))
            return redirect(url_for("account"))
        return f'<form method="post"><input name="csrf_token" value="{generate_csrf()}"><input name="password"></form>'

    @app.get("/account")
    @login_required
    def account():
        return f"the account of {current_user.get_id()}"

    # New. The order of csrf.exempt and cors.protected does not matter.

    @app.route("/mcp", methods=["GET", "POST", "DELETE"])
    @csrf.exempt  # it takes a bearer token and no cookie
    @cors.protected(verify)
    def mcp():
        return bridge.respond(caller=g.mcp_identity)

    return app
