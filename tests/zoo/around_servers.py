"""Healthy servers with one thing changed around them: a check in front, or another answer than the server's own."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from endpoint import APP
from endpoint import failed
from endpoint import serve_wsgi
from endpoint import TOKEN
from werkzeug.utils import redirect
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response
from wsgi_servers import make_app

#: What is done with a request before the server gets it: an answer in its place, or nothing.
Before = Callable[[Request], Response | None]
#: What is done with an answer.
After = Callable[[Request, Response], Response | None]

EXPOSED = "Access-Control-Expose-Headers"
ALLOWED = "Access-Control-Allow-Origin"


def readable(status: int, body: str | bytes | Iterator[bytes] = b"", kind: str = "text/plain") -> Response:
    """An answer that the page can read."""
    return Response(body, status, {ALLOWED: APP, "Vary": "Origin"}, content_type=kind)


def is_result(response: Response) -> bool:
    return b'"result"' in response.data


def change_results(change: Callable[[bytes], bytes]) -> After:
    """Another body for each result."""

    def after(request: Request, response: Response) -> None:
        if request.method == "POST" and is_result(response):
            response.data = change(response.data)

    return after


def options_415(request: Request, response: Response) -> None:
    if request.method == "OPTIONS":
        response.status_code = 415


def mounted_twice(request: Request) -> Response | None:
    if request.path == "/mcp":
        return redirect(f"{request.host_url}mcp/", 307)
    request.environ["PATH_INFO"] = "/mcp" if request.path == "/mcp/mcp" else "/nowhere"
    return None


def other_name(request: Request) -> Response | None:
    """Its list has http://127.0.0.1:5173 only; it refuses nobody."""
    origin = request.environ.pop("HTTP_ORIGIN", None)
    if origin == "http://127.0.0.1:5173":
        request.environ["HTTP_ORIGIN"] = APP
        request.environ["zoo.origin"] = origin
    return Response(status=204, headers={"Vary": "Origin"}) if request.method == "OPTIONS" and origin is None else None


def echo_other(request: Request, response: Response) -> None:
    if ALLOWED in response.headers:
        response.headers[ALLOWED] = request.environ["zoo.origin"]


def in_text(request: Request) -> None:
    """``origin in "https://app.example.com"``: a part of the text will do."""
    origin = request.headers.get("Origin", "")
    if origin and origin in APP:
        request.environ["HTTP_ORIGIN"], request.environ["zoo.origin"] = APP, origin


def public(request: Request) -> None:
    if "Origin" in request.headers:
        request.environ["HTTP_ORIGIN"] = APP


def star(request: Request, response: Response) -> None:
    if ALLOWED in response.headers:
        response.headers[ALLOWED] = "*"
        response.headers.remove("Vary")


def naming(url: str, *, is_exposed: bool) -> After:
    """The challenge names a place of its own for the document, and there it is."""

    def after(request: Request, response: Response) -> Response | None:
        if request.path == "/oauth/resource.json":
            base = request.host_url.rstrip("/")
            body = json.dumps({"resource": f"{base}/mcp", "authorization_servers": [base]})
            public = {ALLOWED: "*", "Access-Control-Allow-Headers": "*"}
            return Response(b"" if request.method == "OPTIONS" else body, 200, public, content_type="application/json")
        if "oauth-protected-resource" in request.path:
            return readable(404)
        if "WWW-Authenticate" in response.headers:
            named = url.format(base=request.host_url.rstrip("/"))
            response.headers["WWW-Authenticate"] = f'Bearer resource_metadata="{named}"'
            if not is_exposed:
                response.headers[EXPOSED] = "Mcp-Session-Id"
        return None

    return after


def version_unwanted(request: Request) -> Response | None:
    is_named = request.method == "POST" and "MCP-Protocol-Version" in request.headers
    return readable(400, "Bad Request") if is_named else None


def get_preflight_refused(request: Request) -> Response | None:
    return Response(status=403) if request.headers.get("Access-Control-Request-Method") == "GET" else None


def with_stream(request: Request, response: Response) -> Response | None:
    is_stream = request.method == "GET" and request.path == "/mcp"
    return readable(200, b": a stream\n\n", "text/event-stream") if is_stream else None


def origin_required(request: Request) -> Response | None:
    """Every request needs an Origin, and http: will do."""
    origin = request.headers.get("Origin", "")
    if origin == "http://app.example.com":
        request.environ["HTTP_ORIGIN"], request.environ["zoo.origin"] = APP, origin
    return None if origin else Response("Origin required", 403)


def echo_if_changed(request: Request, response: Response) -> None:
    if ALLOWED in response.headers and "zoo.origin" in request.environ:
        response.headers[ALLOWED] = request.environ["zoo.origin"]


def transport_for_each(request: Request) -> Response | None:
    is_later = request.method == "POST" and b'"initialize"' not in request.get_data()
    status, headers, body = failed(400, "Bad Request: Server not initialized")
    return readable(status, body, headers["Content-Type"]) if is_later else None


def one_transport() -> Before:
    opened: list[str] = []

    def before(request: Request) -> Response | None:
        if request.method == "POST" and b'"initialize"' in request.get_data():
            opened.append("")
            if len(opened) > 1:
                status, headers, body = failed(400, "Invalid Request: Server already initialized")
                return readable(status, body, headers["Content-Type"])
        return None

    return before


def path_cut(request: Request) -> Response | None:
    page = f"<!DOCTYPE html><pre>Cannot {request.method} /</pre>"
    return None if request.method == "OPTIONS" else Response(page, 404, content_type="text/html")


def cross_site(request: Request) -> Response | None:
    is_refused = request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site"
    return readable(403, "cross-origin request detected from Sec-Fetch-Site header") if is_refused else None


def wrong_token(request: Request) -> Response | None:
    is_wrong = request.headers.get("Authorization", f"Bearer {TOKEN}") != f"Bearer {TOKEN}"
    return readable(500, "jwt malformed") if is_wrong else None


def mute(request: Request) -> Response | None:
    def pings() -> Iterator[bytes]:
        while True:
            yield b": ping\n\n"
            time.sleep(0.2)

    return readable(200, pings(), "text/event-stream") if b"tools/list" in request.get_data() else None


def other_rpc(request: Request) -> Response | None:
    if request.method != "POST":
        return None
    error = {"code": -32601, "message": "the method initialize does not exist/is not available"}
    return readable(200, json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}), "application/json")


def appended(request: Request) -> None:
    """The metadata of the issuer …/auth is below its path."""
    moved = {"/auth/.well-known/oauth-authorization-server": "/.well-known/oauth-authorization-server"}
    request.environ["PATH_INFO"] = moved.get(request.path, request.path.replace("/.well-known/oauth-auth", "/nowhere"))


def issuer_with_path(request: Request, response: Response) -> None:
    base = request.host_url.rstrip("/")
    response.data = response.data.replace(f'["{base}"]'.encode(), f'["{base}/auth"]'.encode())


def listed_text(request: Request, response: Response) -> None:
    if ALLOWED in response.headers:
        response.headers[ALLOWED] = str([APP])


#: Fault → the server inside, what is done before it, what is done after it.
FAULTS: dict[str, tuple[str, Before | None, After | None]] = {
    "around-ok-public": ("wsgi-ok-stateless", public, star),
    "around-ok-public-token": ("oauth-ok", public, star),
    "around-options-415": ("wsgi-ok-case", None, options_415),
    "around-json-twice": ("wsgi-ok", None, change_results(lambda data: json.dumps(data.decode()).encode())),
    "around-json-behind": ("wsgi-ok", None, change_results(lambda data: data + b"int(3)\n")),
    "around-mounted-twice": ("wsgi-ok", mounted_twice, None),
    "around-no-tls": ("wsgi-ok", lambda request: redirect(request.url.replace("http:", "https:"), 302), None),
    "around-other-name": ("wsgi-ok", other_name, echo_other),
    "around-options-login": (
        "oauth-ok",
        lambda request: redirect("/login?next=%2Fmcp", 302) if request.method == "OPTIONS" else None,
        None,
    ),
    "around-part-hole": ("wsgi-ok", in_text, echo_if_changed),
    "around-relative": ("oauth-ok", None, naming("/oauth/resource.json", is_exposed=True)),
    "around-challenge-hidden": ("oauth-ok", None, naming("{base}/oauth/resource.json", is_exposed=False)),
    "around-version": ("wsgi-ok", version_unwanted, None),
    "around-listed-text": ("wsgi-ok", None, listed_text),
    "around-get-preflight": ("wsgi-ok", get_preflight_refused, with_stream),
    "around-ok-post-only": ("wsgi-ok-stateless", get_preflight_refused, None),
    "around-origin-required": ("wsgi-ok", origin_required, echo_if_changed),
    "around-transport-for-each": ("wsgi-ok", transport_for_each, None),
    "around-one-transport": ("wsgi-ok", one_transport(), None),
    "around-path-cut": ("wsgi-ok", path_cut, None),
    "around-cross-site": ("wsgi-ok", cross_site, None),
    "around-wrong-token": ("oauth-ok", wrong_token, None),
    "around-mute": ("wsgi-ok", mute, None),
    "around-other-rpc": ("wsgi-ok", other_rpc, None),
    "around-as-appended": ("oauth-ok", appended, issuer_with_path),
}


def make(fault: str) -> Any:
    name, before, after = FAULTS[fault]
    inner = make_app(name)

    def application(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        environ["wsgi.input"] = io.BytesIO(request.get_data())
        answer = before(request) if before is not None else None
        if answer is not None:
            return answer(environ, start_response)
        response = Response.from_app(inner, environ)
        if after is not None:
            response = after(request, response) or response
        return response(environ, start_response)

    return application


if __name__ == "__main__":
    serve_wsgi(make)
