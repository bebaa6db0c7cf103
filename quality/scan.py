"""Scanners that nobody here wrote, against the example on loopback: CORScanner, and OWASP's list of secure headers.

``python -m quality.scan`` starts ``example_app.py`` on free ports, scans it, and prints what each scanner found and,
from the tables below, why that is so. A server that reflects every origin is scanned first: a scanner that finds
nothing there proves nothing. Exit status 1 for a finding without an explanation. It needs ``corscanner`` and the
example's packages in the same environment.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.simple_server import make_server
from wsgiref.simple_server import WSGIRequestHandler

from example_app import running

TOKEN = "a-token-for-the-scanners"

#: https://owasp.org/www-project-secure-headers/: names that it says to send, from its headers_add.json (2024-09-02).
OWASP_ADD = (
    "Cache-Control",
    "Clear-Site-Data",
    "Content-Security-Policy",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Permitted-Cross-Domain-Policies",
)

#: Names that it says to remove (headers_remove.json): those that a Python server could send.
OWASP_REMOVE = (
    "Server",
    "X-Powered-By",
    "Powered-By",
    "Product",
    "X-Framework",
    "X-Generator",
    "SourceMap",
    "X-SourceMap",
)

#: Why a header of OWASP's list is not sent by default, or one that it would remove is there.
EXPLAINED = {
    "Cache-Control": "refusals and 401s are no-store; how long its own answers may be kept is the application's to say",
    "Clear-Site-Data": "for a logout: on every response it would log everybody out; SecurityHeaders(other=…) has it",
    "Content-Security-Policy": "an endpoint for programs has no page to protect; for one: content_security_policy=…",
    "Cross-Origin-Embedder-Policy": "says what a page may embed, and this is none; for one: SecurityHeaders(other=…)",
    "Cross-Origin-Opener-Policy": "says who may hold a window of a page, and this is none; SecurityHeaders(other=…)",
    "Cross-Origin-Resource-Policy": "foreign no-cors requests are refused anyway; cross_origin_resource_policy=…",
    "Permissions-Policy": "says what a page may use, and this is none; for one: permissions_policy=…",
    "Strict-Transport-Security": "opt-in, and over HTTPS only (RFC 6797, 7.2); loopback is plain HTTP",
    "X-Permitted-Cross-Domain-Policies": "for Flash and Acrobat, which no browser runs; SecurityHeaders(other=…)",
    "Server": "comes from the HTTP server (werkzeug's, here), below WSGI; gunicorn and nginx have a setting for it",
}


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def careless_server() -> Iterator[str]:
    """A server that any scanner must complain of."""

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        origin = environ.get("HTTP_ORIGIN", "*")
        start_response(
            "200 OK", [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
        )
        return [b"secret"]

    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def corscanner(urls: list[str]) -> list[dict[str, str]]:
    """What CORScanner finds at these URLs, with the example's token and without."""
    spec = find_spec("CORScanner")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("CORScanner is not installed: pip install corscanner")
    script = Path(spec.submodule_search_locations[0]) / "cors_scan.py"
    findings: list[dict[str, str]] = []
    for headers in ([], ["-d", f"Authorization: Bearer {TOKEN}"]):
        with tempfile.TemporaryDirectory() as directory:
            listed, found = Path(directory, "urls.txt"), Path(directory, "found.json")
            listed.write_text("\n".join(urls), encoding="utf-8")
            command = [sys.executable, str(script), "-i", str(listed), "-t", "2", "-o", str(found), *headers]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            findings += json.loads(found.read_text(encoding="utf-8") or "[]") if found.exists() else []
    return findings


def headers_of(url: str, method: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, parts.path, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        return response.status, {name.title(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def audit(endpoint: str, origin: str) -> int:
    """Compare the headers of each kind of answer with OWASP's list; the number of unexplained findings."""
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    kinds = {
        "a preflight": ("OPTIONS", "/mcp", ask),
        "a refusal": ("POST", "/mcp", {"Origin": "https://evil.example"}),
        "a 401": ("POST", "/mcp", {"Origin": origin}),
        "a 404": ("GET", "/nowhere", {"Origin": origin}),
        "a document": ("GET", "/.well-known/oauth-protected-resource", {"Origin": origin}),
    }
    missing: dict[str, list[str]] = {}
    surplus: dict[str, list[str]] = {}
    for kind, (method, path, headers) in kinds.items():
        status, given = headers_of(endpoint.replace("/mcp", path), method, headers)
        print(f"  {kind} ({status}): {', '.join(f'{n}: {given[n]}' for n in map(str.title, OWASP_ADD) if n in given)}")
        for name in OWASP_ADD:
            if name.title() not in given:
                missing.setdefault(name, []).append(kind)
        for name in OWASP_REMOVE:
            if name.title() in given:
                surplus.setdefault(name, []).append(kind)
    unexplained = 0
    for verb, found in (("not sent", missing), ("sent", surplus)):
        for name, where in found.items():
            reason = EXPLAINED.get(name)
            unexplained += reason is None
            print(f"  {name} {verb} on {'all' if len(where) == len(kinds) else ', '.join(where)}: {reason or '!'}")
    return unexplained


def main() -> int:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    logging.disable(logging.WARNING)  # refusals are what a scanner is for
    with careless_server() as url:
        found = corscanner([url])
    kinds = ", ".join(sorted({finding["type"] for finding in found})) or "nothing"
    print(f"CORScanner on a server that reflects every origin: {kinds}")
    if not found:
        print("! the scanner found nothing where there is something, so what follows proves nothing")
        return 1

    with running(token=TOKEN) as demo:
        port = urlsplit(demo.endpoint).port
        urls = [
            f"http://{host}:{port}{path}" for host in ("localhost", "127.0.0.1") for path in ("/mcp", "/", "/nowhere")
        ]
        found = corscanner(urls)
        print(f"CORScanner on the example, {len(urls)} URLs with a token and without: {len(found)} findings")
        for finding in found:
            print(f"! {finding}")
        public = corscanner([f"http://localhost:{port}/.well-known/oauth-protected-resource"])
        print(f"CORScanner on its public discovery document, which answers *: {len(public)} findings")
        for finding in public:
            print(f"  {finding}")
        print("OWASP Secure Headers Project, on the example:")
        unexplained = audit(demo.endpoint, demo.allowed)
    return 1 if found or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
