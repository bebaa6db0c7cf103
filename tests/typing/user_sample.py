"""A user's typed application: ``mypy --strict`` is to find nothing in it, and each marked mistake."""

import re
from typing import Any

from flask import Flask
from flask import g
from flask.views import MethodView
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Request

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Decision
from flask_mcp_cors import LOOPBACK
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PUBLIC_OAUTH
from flask_mcp_cors import SecurityHeaders

app = Flask(__name__)
cors = MCPCors(
    app,
    origins=(*LOOPBACK, "https://app.example.com"),
    hosts=["mcp.example.com"],
    policies={"/token": PUBLIC_OAUTH, "/open": {"origins": "*"}, "/off": None, "/servers/*/mcp": lambda request: None},
    security_headers=SecurityHeaders(frame_options=None),
    wrap_wsgi=True,
)
matched = MCPCors(Flask("matched"), origins=re.compile(r"https://[a-z]+\.example\.com").fullmatch)
pinned = MCPCors(Flask("pinned"), **MCP_REVISIONS["2025-11-25"])


def verify(credential: Authorization) -> dict[str, Any] | None:
    return {"sub": credential.token} if credential.token else None


async def verify_later(credential: Authorization) -> str | None:
    return credential.token


@app.post("/mcp")
@cors.protected(verify, scopes=["read"])
def mcp() -> str:
    return str(g.mcp_identity)


@app.get("/status")
@cors.policy(origins="*", max_age=None)
def status() -> str:
    return "ok"


@app.get("/health")
@cors.exempt
def health() -> str:
    return "ok"


class Tools(MethodView):
    decorators = [cors.protected(verify_later, schemes=("Bearer",))]

    def post(self) -> str:
        return "ok"


def tenant(request: Request) -> CORSPolicy | None:
    return CORSPolicy(origins="https://tenant.example") if request.path == "/a" else None


wrapped = CORSMiddleware(app.wsgi_app, origins=lambda origin: origin.endswith(".example"), policies={"/a/**": tenant})
decision: Decision = CORSPolicy(max_age=5).replace(origins="*").preflight("https://a.example", "POST")
headers: list[tuple[str, str]] = decision.apply([("Vary", "Cookie")])
view: str = status()

CORSPolicy(max_age="5")  # mistake
CORSPolicy(origin="*")  # mistake
MCPCors(app, wrap_wsgi="yes")  # mistake
cors.policy(hosts="x")  # mistake
CORSMiddleware(app, wrap_wsgi=True)  # mistake
