"""Servers that somebody wrote by hand on WSGI: the CORS of an endpoint, its login, and pages that are no endpoint."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from endpoint import ALLOW_HEADERS
from endpoint import ALLOW_METHODS
from endpoint import Answer
from endpoint import APP
from endpoint import as_json
from endpoint import documents
from endpoint import Endpoint
from endpoint import EXPOSE_HEADERS
from endpoint import failed
from endpoint import is_own_host
from endpoint import serve_wsgi
from endpoint import TOKEN

PRM = "/.well-known/oauth-protected-resource"

#: How origins are let in; all others compare.
ORIGIN_CHECKS: dict[str, Callable[[str], object]] = {
    "wsgi-prefix-hole": lambda origin: origin.startswith(APP),
    "wsgi-suffix-hole": lambda origin: origin.endswith("example.com"),
    "wsgi-regex-hole": lambda origin: re.match(r"https://app\.example\.com", origin),
    "wsgi-dot-hole": lambda origin: re.fullmatch("https://app.example.com", origin),
    "wsgi-contains-hole": lambda origin: "app.example.com" in origin,
    "wsgi-scheme-hole": lambda origin: urlsplit(origin).netloc == "app.example.com",
    "wsgi-port-hole": lambda origin: re.fullmatch(r"https://app\.example\.com(:\d+)?", origin),
    "oauth-prefix-hole": lambda origin: origin.startswith(APP),
    "wsgi-null-hole": lambda origin: origin in (APP, "null"),
    "wsgi-any-origin": lambda origin: True,
    "wsgi-ok-subdomains": lambda origin: re.fullmatch(r"https://([a-z0-9-]+\.)*example\.com", origin),
    "wsgi-ok-case": lambda origin: origin.lower() == APP,
    "wsgi-localhost-hole": lambda origin: origin == APP or origin.startswith("http://localhost"),
    "wsgi-ok-two-origins": lambda origin: origin in (APP, "https://admin.example.com"),
}

#: Lists that name the origin as no browser writes it, so it never gets its headers.
MISSPELLED = {"wsgi-origin-case": "https://App.Example.com", "wsgi-origin-port": f"{APP}:443"}


def make_app(fault: str) -> Any:
    endpoint = Endpoint(sessions="stateless" not in fault)
    has_login = fault.startswith("oauth-") or fault in (
        "wsgi-403-for-401",
        "wsgi-200-for-401",
        "wsgi-302-for-401",
        "wsgi-no-way-in",
        "wsgi-login-page",
        "wsgi-login-everywhere",
    )
    check = ORIGIN_CHECKS.get(fault, lambda origin: origin == APP)

    def cors(origin: str | None, *, preflight: bool = False) -> list[tuple[str, str]]:
        if origin is None or not check(origin) or origin != MISSPELLED.get(fault, origin):
            return [("Vary", "Origin")]
        allowed = f"{APP}, https://admin.example.com" if fault == "wsgi-two-values" else origin
        if fault == "wsgi-quoted-origin":
            allowed = f'"{origin}"'
        misspelled = "s" if fault == "wsgi-misspelled-header" else ""
        headers = [(f"Access-Control-Allow-Origin{misspelled}", allowed)]
        if fault == "wsgi-star-credentials":
            headers = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]
        if fault == "wsgi-two-layers":
            headers *= 2
        if fault != "wsgi-no-vary":
            headers.append(("Vary", "Origin"))
        if preflight:
            lists = {"wsgi-no-delete": "GET, POST, OPTIONS", "wsgi-ok-star-lists": "*"}
            ages = {"wsgi-max-age-zero": "0", "wsgi-no-max-age": "0", "wsgi-max-age-negative": "-1"}
            headers.append(("Access-Control-Allow-Methods", lists.get(fault, ALLOW_METHODS)))
            lists = {"wsgi-malformed-list": "Content Type, Authorization", "wsgi-ok-star-lists": "*"}
            headers.append(("Access-Control-Allow-Headers", lists.get(fault, ALLOW_HEADERS)))
            if fault != "wsgi-max-age-missing":
                headers.append(("Access-Control-Max-Age", ages.get(fault, "7200")))
            if fault == "wsgi-ok-cookie":
                headers.append(("Set-Cookie", "seen=1; HttpOnly; SameSite=Lax"))
        else:
            expose = EXPOSE_HEADERS.partition(",")[0] if fault == "oauth-www-hidden" else EXPOSE_HEADERS
            headers.append(("Access-Control-Expose-Headers", expose))
        return headers

    def refused(status: int, base: str) -> Answer:
        answer = failed(status, "Unauthorized" if status == 401 else "Forbidden")
        metadata = f"{base}{PRM}" if fault == "oauth-ok-root" else f"{base}{PRM}/mcp"
        named = (
            ""
            if fault in ("oauth-named-nowhere", "wsgi-login-everywhere", "wsgi-no-way-in")
            else f', resource_metadata="{metadata}"'
        )
        if status == 401 and fault != "oauth-no-www":
            answer[1]["WWW-Authenticate"] = f'Bearer realm="mcp"{named}'
        return answer

    def document(path: str, base: str) -> tuple[Answer, list[tuple[str, str]]] | None:
        """A document of the login, with its CORS headers."""
        found = documents(base, "" if fault == "oauth-ok-root" else "/mcp")
        is_resource = path.startswith(PRM)
        public = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "*")]
        if path in ("/token", "/register"):
            hidden = (fault, path) == ("oauth-token-no-cors", "/token")
            error = "unsupported_grant_type" if path == "/token" else "invalid_client_metadata"
            return as_json(400, {"error": error}), [] if hidden else public
        if is_resource and fault == "oauth-prm-login":
            return refused(401, base), public
        if is_resource and fault == "oauth-prm-redirect":
            return (302, {"Location": f"{base}/login"}, b""), public
        if (
            path not in found
            or fault == "wsgi-no-way-in"
            or (is_resource and fault in ("oauth-prm-missing", "oauth-named-nowhere"))
        ):
            return None
        if not is_resource and fault == "oauth-as-missing":
            return None
        body = found[path]
        if is_resource and fault == "oauth-ok-root":
            body["resource"] = base
        if is_resource and fault == "oauth-ok-other-issuer":
            body["authorization_servers"] = [base.replace("127.0.0.1", "localhost")]
        if is_resource and fault == "oauth-wrong-resource":
            body["resource"] = "http://mcp-backend:8000/mcp"
        if is_resource and fault == "oauth-no-servers":
            del body["authorization_servers"]
        if fault == ("oauth-prm-no-cors" if is_resource else "oauth-as-no-cors"):
            public = []
        if is_resource and fault == "oauth-prm-no-headers":
            public = public[:1]
        if is_resource and fault == "oauth-prm-html":
            return (200, {"Content-Type": "text/html"}, b"<!doctype html><title>My app</title>"), public
        return as_json(200, body), public

    def mcp(method: str, headers: dict[str, str], body: bytes, base: str) -> Answer:
        if has_login and headers.get("Authorization") != f"Bearer {TOKEN}":
            if fault == "wsgi-login-page":
                return 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Log in</title><form method=post>"
            if fault == "wsgi-302-for-401":
                return 302, {"Location": f"{base}/login"}, b""
            if fault == "wsgi-200-for-401":
                return failed(200, "Unauthorized: missing or invalid token", -32001, 1)
            return refused(403 if fault == "wsgi-403-for-401" else 401, base)
        if fault == "wsgi-landing-page" and method == "GET":
            return 200, {"Content-Type": "text/html"}, b"<!doctype html><h1>An MCP server</h1>"
        if fault == "wsgi-ok-delete-405" and method == "DELETE":
            return 405, {"Allow": "POST"}, b""
        status, extra, data = endpoint.answer(method, headers, body)
        if data and method == "POST":
            message = json.loads(data)
            if fault == "wsgi-bare-result" and "result" in message:
                data = json.dumps(message["result"]).encode()
            if fault == "wsgi-string-id" and "result" in message:
                data = json.dumps(message | {"id": str(message["id"])}).encode()
            if fault == "wsgi-other-id" and "result" in message:
                data = json.dumps(message | {"id": message["id"] + 1000}).encode()
            if fault == "wsgi-null-id" and "result" in message:
                data = json.dumps(message | {"id": None}).encode()
            if fault == "wsgi-nan" and b'"tools":' in data and b"capabilities" not in data:
                data = data.replace(b'"type": "object"', b'"type": "object", "maximum": NaN')
            if fault == "wsgi-python-text" and "result" in message:
                data = str(message).encode()
            if fault == "wsgi-named-event" and "result" in message:
                data = b"event: response\ndata: " + data + b"\n\n"
                extra["Content-Type"] = "text/event-stream"
            if fault == "wsgi-gzip-label":
                extra["Content-Encoding"] = "gzip"
            if fault == "wsgi-latin1" and b'"tools":' in data and b"capabilities" not in data:
                data = data.replace(b"numbers", b"num\xe9ros")
                extra["Content-Type"] = "application/json; charset=iso-8859-1"
            if fault == "wsgi-session-null" and "Mcp-Session-Id" in extra:
                extra["Mcp-Session-Id"] = "null"
            if fault == "wsgi-error-null" and "result" in message:
                data = json.dumps(message | {"error": None}).encode()
            if fault == "wsgi-empty-arrays" and "capabilities" in message.get("result", {}):
                data = data.replace(b'"tools": {}', b'"tools": []')
            if fault == "wsgi-status-500" and b'"tools":' in data and b"capabilities" not in data:
                status = 500
            if fault == "wsgi-no-jsonrpc" and "result" in message:
                data = json.dumps({key: value for key, value in message.items() if key != "jsonrpc"}).encode()
            if fault == "wsgi-ok-old-revision":
                data = data.replace(b"2025-11-25", b"2025-03-26").replace(b"2025-06-18", b"2025-03-26")
            if fault == "wsgi-ok-charset":
                extra["Content-Type"] = "application/json; charset=utf-8"
            if fault == "wsgi-ok-sse-answers" and "result" in message:
                # As the revision of 2025-11-25 has it: first an event with an id and no data, to resume after.
                data = b"id: 1\r\ndata: \r\n\r\n: hello\r\n\r\nevent: message\r\nid: 2\r\ndata: " + data + b"\r\n\r\n"
                extra["Content-Type"] = "text/event-stream"
            if fault == "wsgi-text-html":
                extra["Content-Type"] = "text/html; charset=utf-8"
            if fault == "wsgi-batch-answer" and "result" in message:
                data = json.dumps([message]).encode()
        return status, extra, data

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        headers = {k[5:].replace("_", "-").title(): v for k, v in environ.items() if k.startswith("HTTP_")}
        headers["MCP-Protocol-Version"] = headers.pop("Mcp-Protocol-Version", None)
        headers = {name: value for name, value in headers.items() if value is not None}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method, path, host = environ["REQUEST_METHOD"], environ["PATH_INFO"], headers["Host"]
        origin = headers.get("Origin")
        base = f"http://{host}"
        is_preflight = method == "OPTIONS" and "Access-Control-Request-Method" in headers

        def send(answer: Answer, more: list[tuple[str, str]]) -> list[bytes]:
            status, extra, data = answer
            lines = [*extra.items(), *more, ("Content-Length", str(len(data))), ("X-Content-Type-Options", "nosniff")]
            start_response(f"{status} {HTTPStatus(status).phrase}", lines)
            return [data]

        if fault == "wsgi-same-host-rebinding":
            if origin not in (None, APP, base):
                return send(failed(403, "Origin not allowed"), [])
        elif not is_own_host(host):
            return send(failed(421, "Host not served"), [])
        if fault == "wsgi-sso-redirect":
            return send((302, {"Location": "https://login.example.net/authorize?client_id=mcp"}, b""), [])
        if fault == "wsgi-tunnel-private":
            login = "https://github.dev/pf-signin?id=zoo&cluster=euw&port=8000"
            signs = {"Location": login, "X-Served-By": "tunnels-prod-rel-euw-v3-cluster", "WWW-Authenticate": "tunnel"}
            return send((302, signs, b""), [])
        if fault == "wsgi-login-everywhere" and not is_preflight and headers.get("Authorization") != f"Bearer {TOKEN}":
            return send(refused(401, base), cors(origin))
        if fault == "oauth-token-login" and path in ("/token", "/register"):
            return send(refused(401, base), [])
        if is_preflight and fault == "oauth-ok-no-options" and path.startswith("/.well-known/"):
            return send((405, {"Allow": "GET"}, b""), [])
        if fault == "wsgi-late-stream" and method == "GET":
            time.sleep(5)
            return send((200, {"Content-Type": "text/event-stream"}, b""), cors(origin))
        if fault == "wsgi-one-worker" and method == "GET":
            start_response("200 OK", [("Content-Type", "text/event-stream"), *cors(origin)])
            return pings()
        if fault == "wsgi-list-page" and b"tools/list" in body:
            page = b"<!doctype html><title>Just a moment...</title>"
            return send((200, {"Content-Type": "text/html"}, page), cors(origin))
        if path != "/mcp" and has_login and (found := document(path, base)) is not None:
            answer, more = found
            is_closed = is_preflight and not more
            if is_preflight:
                more = [*more, ("Access-Control-Allow-Methods", "GET, POST"), ("Access-Control-Max-Age", "7200")]
            return send((405, {"Allow": "GET"}, b"") if is_closed else (204, {}, b"") if is_preflight else answer, more)
        if origin is not None and not check(origin) and fault != "wsgi-same-host-rebinding":
            return send(failed(403, "Origin not allowed"), [("Vary", "Origin")])
        if is_preflight and fault == "wsgi-options-503":
            return send((503, {}, b""), [])
        if is_preflight and fault == "wsgi-slow-preflight":
            time.sleep(2)
        if is_preflight:
            return send((204, {}, b""), cors(origin, preflight=True))
        if fault == "wsgi-bot-rule" and "Sec-Fetch-Mode" in headers:
            return send((403, {"Content-Type": "text/plain"}, b"Bots are not welcome"), cors(origin))
        answer = mcp(method, headers, body, base) if path == "/mcp" else failed(404, "Not found")
        if fault == "wsgi-one-version" and headers.get("MCP-Protocol-Version", "2025-03-26") != "2025-03-26":
            answer = failed(400, "Bad Request: Unsupported protocol version (supported versions: 2025-03-26)")
        if fault == "wsgi-refused-202" and answer[0] == 202:
            answer = failed(400, "Unknown method notifications/initialized")
        unreadable = {
            "wsgi-400-no-cors": answer[0] == 400 and b"Parse error" in answer[2],
            "wsgi-404-session-no-cors": answer[0] == 404 and path == "/mcp",
            "wsgi-404-no-cors": answer[0] == 404 and path != "/mcp",
            "wsgi-delete-no-cors": method == "DELETE",
            "wsgi-202-no-cors": answer[0] == 202,
        }
        return send(answer, [] if unreadable.get(fault) else cors(origin))

    return application


def pings() -> Iterator[bytes]:
    """A stream that is not ended by this side."""
    while True:
        yield b": ping\n\n"
        time.sleep(0.2)


def single_page_app(fault: str) -> Any:
    """What a development server, or a host of static files, says to every path."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        page = b"<!doctype html><html><body><div id=root></div><script src=/main.js></script></body></html>"
        if fault == "spa-get-only" and environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "text/html"), ("Allow", "GET, HEAD")])
            return [b"<!doctype html><h1>405 Not Allowed</h1>"]
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(page)))])
        return [page]

    return application


if __name__ == "__main__":
    serve_wsgi(lambda fault: single_page_app(fault) if fault.startswith("spa-") else make_app(fault))
