"""What the Python servers of the zoo have in common: an MCP endpoint without HTTP around it, and how to run them."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import uuid
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import WSGIServer

APP = "https://app.example.com"
TOKEN = "zoo-token"
HOSTS = ("127.0.0.1", "localhost", "[::1]", "mcp.zoo.test")
REVISIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
ALLOW_METHODS = "GET, POST, DELETE, OPTIONS"
ALLOW_HEADERS = "Authorization, Content-Type, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name"
EXPOSE_HEADERS = "Mcp-Session-Id, WWW-Authenticate"
TOOLS = [{"name": "add", "description": "Add two numbers.", "inputSchema": {"type": "object"}}]

#: Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


def as_json(status: int, value: object, **headers: str) -> Answer:
    """A JSON answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(value).encode()


def failed(status: int, message: str, code: int = -32000, id: object = None) -> Answer:
    """A JSON-RPC error."""
    return as_json(status, {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})


class Endpoint:
    """An MCP endpoint of the revisions with sessions, as far as clients need it. The caller may stream ``GET``."""

    def __init__(self, *, sessions: bool = True) -> None:
        self.sessions: set[str] | None = set() if sessions else None

    def knows(self, session: str | None) -> bool:
        """Is this session open?"""
        return self.sessions is None or session in self.sessions

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request that has passed every check."""
        session = headers.get("Mcp-Session-Id")
        if method == "POST":
            return self._post(session, headers.get("MCP-Protocol-Version"), body)
        if method != "DELETE" or self.sessions is None:
            allow = "POST" if self.sessions is None else "POST, DELETE"
            return 405, {"Allow": allow, "Content-Type": "text/plain"}, b"Method Not Allowed"
        if not self.knows(session):
            return failed(404, "Session not found")
        self.sessions.discard(str(session))
        return 204, {}, b""

    def _post(self, session: str | None, version: str | None, body: bytes) -> Answer:
        try:
            message = json.loads(body)
        except ValueError:
            return failed(400, "Parse error", -32700)
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return failed(400, "Invalid Request", -32600)
        if message["method"] == "initialize":
            return self._initialize(message)
        if version is not None and version not in REVISIONS:
            return failed(400, "Bad Request: Unsupported protocol version", -32600, message.get("id"))
        if self.sessions is not None and session is None:
            return failed(400, "Bad Request: Missing session ID", -32600, message.get("id"))
        if not self.knows(session):
            return failed(404, "Session not found", -32600, message.get("id"))
        if "id" not in message:
            return 202, {}, b""
        results: dict[str, Any] = {"ping": {}, "tools/list": {"tools": TOOLS}}
        if (result := results.get(message["method"])) is None:
            return failed(200, "Method not found", -32601, message["id"])
        return as_json(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _initialize(self, message: dict[str, Any]) -> Answer:
        asked = (message.get("params") or {}).get("protocolVersion")
        result = {
            "protocolVersion": asked if asked in REVISIONS else REVISIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "zoo", "version": "1"},
        }
        answer = as_json(200, {"jsonrpc": "2.0", "id": message.get("id"), "result": result})
        if self.sessions is not None:
            answer[1]["Mcp-Session-Id"] = session = uuid.uuid4().hex
            self.sessions.add(session)
        return answer


def is_own_host(host: str | None) -> bool:
    """Is this ``Host`` one of ours?"""
    return (host or "").rpartition(":")[0] in HOSTS


def documents(base: str, resource: str = "/mcp") -> dict[str, dict[str, Any]]:
    """The OAuth documents of a resource and of an authorization server at the same place, by path."""
    server = {
        "issuer": base,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "registration_endpoint": f"{base}/register",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }
    return {
        f"/.well-known/oauth-protected-resource{resource}": {
            "resource": f"{base}{resource}",
            "authorization_servers": [base],
        },
        "/.well-known/oauth-authorization-server": server,
    }


def announce(fault: str, port: int) -> None:
    """Tell who started this process that a server listens."""
    # In one piece: several processes may write to this pipe.
    sys.stdout.write(f"{fault} {port}\n")
    sys.stdout.flush()


def until_closed() -> None:
    """Wait for the end of standard input: it comes also when the parent is gone."""
    sys.stdin.read()


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve_wsgi(make_app: Callable[[str], Any]) -> None:
    """Run the named servers under the standard library's WSGI server, with threads, as ``runserver`` does."""
    for fault in sys.argv[1:]:
        kind = WSGIServer if "one-worker" in fault else _Threaded
        server = make_server("127.0.0.1", 0, make_app(fault), kind, _Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        announce(fault, server.server_port)
    until_closed()
