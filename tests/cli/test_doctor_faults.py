"""Each fault of a server, built for the purpose, is found under its code; a network fault is one clear line."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest
from click.testing import CliRunner
from foreign_servers import by_hand
from foreign_servers import free_port
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.__main__ import cli
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report

TOKEN = "a-token-of-the-tests"
SESSION_REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25")

Layer = Callable[[Request], Response | None]


def make_app(**settings: Any) -> flask.Flask:
    """A server without a fault."""
    app = flask.Flask(__name__)
    MCPCors(app, **{"origins": ORIGIN, "hosts": LOOPBACK_HOSTS, **settings})
    app.add_url_rule("/mcp", view_func=by_hand, methods=["POST"])
    return app


def codes(report: Report) -> dict[str, str]:
    """Code → severity, without the two that every server on this machine may have."""
    return {
        finding.code: finding.severity.value
        for finding in report.findings
        if finding.code not in ("local_network_access", "nosniff_missing")
    }


def examined(app: Any, **options: Any) -> Report:
    with serving_wsgi(app) as url:
        return examine(f"{url}/mcp", [ORIGIN], timeout=3, **options)


def behind(layer: Callable[[Request], Response | None]) -> Any:
    """The good server with something in front that may answer first."""
    inner = make_app().wsgi_app

    def application(environ: Any, start_response: Any) -> Any:
        answer = layer(Request(environ))
        return inner(environ, start_response) if answer is None else answer(environ, start_response)

    return application


def changing(change: Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]], app: Any = None) -> Any:
    """A server with something in front that changes response headers."""
    inner = (app or make_app()).wsgi_app

    def application(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, change(Request(environ), list(headers)), exc_info)

        return inner(environ, start)

    return application


def test_a_server_without_a_fault() -> None:
    report = examined(make_app())
    assert codes(report) == {}
    assert report.is_healthy
    verdicts = {revision: verdict for (_, revision), verdict in report.verdicts.items()}
    assert verdicts == dict.fromkeys(SESSION_REVISIONS, "connects") | dict.fromkeys(
        ("2024-11-05", "2026-07-28"), "not spoken"
    )


def test_another_origin_gets_another_verdict() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url}/mcp", [ORIGIN, "https://other.example"], timeout=3)
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert report.verdicts["https://other.example", "2025-11-25"] == "cannot connect"
    [error] = [finding for finding in report.findings if finding.severity == "error"]
    assert error.code == "preflight_refused"
    assert error.place.endswith("from https://other.example")
    assert "This origin is not allowed." in error.sentence


PREFLIGHT_LAYERS: list[Any] = [
    pytest.param(lambda status: Response(status=401), "preflight_authenticated", id="authenticates"),
    pytest.param(lambda status: Response(status=404), "preflight_not_routed", id="no route"),
    pytest.param(lambda status: Response(status=405), "preflight_not_routed", id="no method"),
    pytest.param(lambda status: Response(status=500), "preflight_crashes", id="crashes"),
    pytest.param(lambda status: Response(status=204), "cors_missing", id="no CORS"),
    pytest.param(
        lambda status: Response(status=204, headers={"Access-Control-Allow-Methods": "POST"}),
        "origin_not_allowed",
        id="no allow-origin",
    ),
    pytest.param(
        lambda status: Response(status=204, headers={"Access-Control-Allow-Origin": "https://b.example"}),
        "allow_origin_wrong",
        id="another origin",
    ),
    pytest.param(
        lambda status: Response(status=403, headers={"Access-Control-Allow-Origin": "*"}),
        "preflight_status",
        id="status",
    ),
    pytest.param(
        lambda status: Response(status=308, headers={"Location": "/mcp/"}), "preflight_redirected", id="redirect"
    ),
    pytest.param(
        lambda status: Response(status=200, headers={"Access-Control-Allow-Origin": "*"}),
        "header_not_allowed",
        id="no headers",
    ),
    pytest.param(
        lambda status: Response(
            status=200, headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "a b"}
        ),
        "allow_list_malformed",
        id="malformed list",
    ),
]


@pytest.mark.parametrize(("answer", "code"), PREFLIGHT_LAYERS)
def test_what_is_wrong_with_a_preflight(answer: Callable[[int], Response], code: str) -> None:
    def layer(request: Request) -> Response | None:
        return answer(0) if request.method == "OPTIONS" else None

    report = examined(behind(layer))
    found = codes(report)
    assert found.pop(code) == "error"
    assert set(found) <= {"question_blocked", "preflight_not_cached"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "cannot connect"
    finding = next(finding for finding in report.findings if finding.code == code)
    assert finding.console is not None
    assert finding.console.startswith("Access to fetch at 'http://127.0.0.1:")


def front(status: int, html: str = "", **headers: str) -> Callable[[Request], Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Response(html, status, named, content_type="text/html" if html else None)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (front(403, Server="AirTunes/775.3.1"), "airtunes"),
        (front(403, "<html>", cf_mitigated="challenge", Server="cloudflare"), "cloudflare_challenge"),
        (front(302, Location="https://x.cloudflareaccess.com/cdn-cgi/access/login"), "cloudflare_access"),
        (front(200, "<html>", Ngrok_Error_Code="ERR_NGROK_6024"), "ngrok_warning"),
        (front(404, "<html>", Ngrok_Error_Code="ERR_NGROK_3200"), "ngrok_error"),
        (front(401, "<html>", x_ms_middleware_request_id="1"), "azure_easy_auth"),
        (front(302, Location="https://login.microsoftonline.com/x/oauth2/authorize"), "azure_easy_auth"),
        (front(403, "<html>", Server="Google Frontend"), "cloud_run_iam"),
        (front(401, "<html>", Set_Cookie="_vercel_sso_nonce=1"), "vercel_protection"),
        (front(403, x_amzn_ErrorType="MissingAuthenticationTokenException"), "aws_gateway"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("only_preflight", [True, False], ids=["preflight", "everything"])
def test_what_stands_in_front_is_recognised(answer: Layer, code: str, only_preflight: bool) -> None:
    def layer(request: Request) -> Response | None:
        return answer(request) if request.method == "OPTIONS" or not only_preflight else None

    report = examined(behind(layer))
    assert codes(report)[code] == "error"
    [finding] = {finding for finding in report.findings if finding.code == code and finding.console} or {None}
    assert finding is not None or not only_preflight


def repeat(name: str, value: str) -> Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]]:
    return lambda request, headers: [*headers, (name, value)]


def without(name: str) -> Callable[[Request, list[tuple[str, str]]], list[tuple[str, str]]]:
    return lambda request, headers: [pair for pair in headers if pair[0].lower() != name.lower()]


def test_a_proxy_that_adds_the_header_too() -> None:
    report = examined(changing(repeat("Access-Control-Allow-Origin", ORIGIN)))
    assert codes(report)["headers_doubled"] == "error"
    assert "contains multiple values" in next(f.console or "" for f in report.findings if f.code == "headers_doubled")


def test_a_proxy_that_repeats_another_header() -> None:
    report = examined(changing(repeat("X-Frame-Options", "SAMEORIGIN")))
    assert codes(report) == {"header_repeated": "warning"}
    assert report.is_healthy


def test_an_answer_that_depends_on_origin_and_does_not_say_so() -> None:
    report = examined(changing(without("Vary")))
    assert codes(report) == {"vary_missing": "warning"}


def test_an_error_without_cors_headers() -> None:
    def unreadable(request: Request, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return headers if request.method == "OPTIONS" else without("Access-Control-Allow-Origin")(request, headers)

    report = examined(changing(unreadable))
    assert codes(report)["response_without_cors"] == "error"


def test_authorization_under_a_wildcard() -> None:
    def star(request: Request, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        headers = without("Access-Control-Allow-Headers")(request, headers)
        return [*headers, ("Access-Control-Allow-Headers", "*")] if request.method == "OPTIONS" else headers

    report = examined(changing(star), token=TOKEN)
    assert codes(report) == {"wildcard_authorization": "warning"}


def test_preflights_that_are_not_cached() -> None:
    assert codes(examined(make_app(max_age=None))) == {"preflight_not_cached": "note"}


def test_everybody_is_served() -> None:
    app = flask.Flask(__name__)
    MCPCors(app, origins="*", hosts="*", validate_origin=False)
    app.add_url_rule("/mcp", view_func=by_hand, methods=["POST"])
    report = examined(app)
    assert codes(report) == {"foreign_origin_served": "error", "dns_rebinding": "error"}
    assert not report.is_healthy
    assert codes(examined(app, token=TOKEN)) == {"foreign_origin_served": "warning", "dns_rebinding": "warning"}


def test_any_origin_with_credentials() -> None:
    def reflect(request: Request, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        kept = without("Access-Control-Allow-Origin")(request, headers)
        echoed = ("Access-Control-Allow-Origin", request.headers.get("Origin", ""))
        return [*kept, echoed, ("Access-Control-Allow-Credentials", "true")]

    app = make_app(origins="*", validate_origin=False)
    assert codes(examined(changing(reflect, app)))["any_origin_with_credentials"] == "error"


def own_list(status: int, *, preflights_pass: bool) -> Any:
    """A server whose MCP library refuses the origin that CORS in front of it allows."""

    def application(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        if request.method == "POST" and "Origin" in request.headers:
            return Response("Invalid Origin header", status)(environ, start_response)
        return make_app(validate_origin=False).wsgi_app(environ, start_response)

    allow = {} if preflights_pass else {"allow_headers": ["Content-Type"]}
    return CORSMiddleware(application, origins=ORIGIN, hosts=LOOPBACK_HOSTS, **allow)


@pytest.mark.parametrize(
    ("status", "passes", "found", "verdict"),
    [
        (403, True, {"request_refused"}, "refused"),
        (403, False, {"header_not_allowed", "request_refused"}, "cannot connect"),
        (500, True, {"no_result"}, "refused"),
    ],
)
def test_a_second_list_of_origins(status: int, passes: bool, found: set[str], verdict: str) -> None:
    report = examined(own_list(status, preflights_pass=passes))
    assert set(codes(report)) - {"question_blocked"} == found
    assert report.verdicts[ORIGIN, "2025-11-25"] == verdict
    assert any(f'{status}, "Invalid Origin header"' in finding.sentence for finding in report.findings)


class Sessions:
    """An MCP server with sessions, and what one can get wrong about them."""

    def __init__(self, *, workers: int = 1, silent_stream: bool = False, params: bool = False, **settings: Any) -> None:
        self.workers: list[set[str]] = [set() for _ in range(workers)]
        self.open: set[str] = set()
        self.turn = 0
        self.silent_stream = silent_stream
        self.app = make_app(**settings)
        self.app.add_url_rule("/sessions", view_func=self.view, methods=["GET", "POST", "DELETE"])

    def view(self) -> Any:
        session = flask.request.headers.get("Mcp-Session-Id")
        self.turn += 1
        worker = self.workers[self.turn % len(self.workers)]
        if session is None:
            if flask.request.method != "POST" or flask.request.get_json()["method"] != "initialize":
                return "no session", 400
            session = f"session-{self.turn}"
            worker.add(session)
            self.open.add(session)
            return by_hand(), {"Mcp-Session-Id": session}
        if flask.request.method == "DELETE":
            self.open.discard(session)
            return "", 204
        if session not in worker:
            return "session not found", 404
        if flask.request.method == "GET":
            return flask.Response(self.stream(), content_type="text/event-stream")
        return by_hand()

    def stream(self) -> Iterator[str]:
        if self.silent_stream:
            time.sleep(5)
        yield "id: 1\ndata: {}\n\n"


def sessions(**settings: Any) -> tuple[Report, Sessions]:
    server = Sessions(**settings)
    with serving_wsgi(server.app) as url:
        return examine(f"{url}/sessions", [ORIGIN], timeout=2), server


def test_sessions_are_opened_used_and_closed() -> None:
    report, server = sessions()
    assert codes(report) == {}
    works = report.works["2025-11-25"][0]
    assert works == (
        "initialize, notifications/initialized, tools/list, the session id is readable, "
        "GET stream: its first event comes at once, it can be resumed, DELETE"
    )
    assert server.open == set()


def test_a_session_id_that_javascript_cannot_read() -> None:
    report, server = sessions(expose_headers=["WWW-Authenticate"])
    assert codes(report) == {"session_id_hidden": "error"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "cannot connect"
    assert server.open == set()


def test_a_session_that_the_other_worker_does_not_know() -> None:
    report, _ = sessions(workers=2)
    assert codes(report) == {"session_lost": "error"}
    assert "got 404" in next(f.sentence for f in report.findings if f.code == "session_lost")
    assert report.verdicts[ORIGIN, "2025-11-25"] == "refused"


def test_delete_that_is_not_allowed() -> None:
    report, server = sessions(allow_methods=["GET", "POST"])
    assert codes(report) == {"method_not_allowed": "warning"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert server.open == set()


def test_resumption_that_is_not_allowed() -> None:
    report, _ = sessions(allow_headers=["Content-Type", "MCP-Protocol-Version", "Mcp-Session-Id"])
    assert codes(report) == {"header_not_allowed": "warning", "question_blocked": "note"}


def test_a_stream_that_says_nothing() -> None:
    report, _ = sessions(silent_stream=True)
    assert codes(report) == {"stream_delayed": "warning"}


def test_http_with_sse() -> None:
    app = make_app()

    def stream() -> Iterator[str]:
        yield "event: endpoint\ndata: /mcp?session=1\n\n"
        time.sleep(0.2)

    app.add_url_rule("/sse", view_func=lambda: flask.Response(stream(), content_type="text/event-stream"))
    with serving_wsgi(app) as url:
        report = examine(f"{url}/sse", [ORIGIN], timeout=2)
    assert report.verdicts[ORIGIN, "2024-11-05"] == "connects"


def stateless(parameter: dict[str, str], **settings: Any) -> Report:
    app = make_app(**settings)

    def view() -> Any:
        message = flask.request.get_json()
        if message["method"] == "initialize":
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}, 400
        schema = {"type": "object", "properties": {"region": {"type": "string", **parameter}}}
        results = {
            "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {}},
            "tools/list": {"tools": [{"name": "look_up", "inputSchema": schema}]},
        }
        return {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}

    app.add_url_rule("/stateless", view_func=view, methods=["POST"])
    with serving_wsgi(app) as url:
        return examine(f"{url}/stateless", [ORIGIN], timeout=2)


def test_the_stateless_revision() -> None:
    report = stateless({"x-mcp-header": "Region"})
    assert codes(report) == {}
    assert report.verdicts[ORIGIN, "2026-07-28"] == "connects"
    assert report.verdicts[ORIGIN, "2025-11-25"] == "not spoken"


@pytest.mark.parametrize(
    ("parameter", "found"),
    [
        pytest.param({"x-mcp-header": "Region"}, {"header_not_allowed": "error"}, id="a tool has one"),
        pytest.param({}, {"params_not_allowed": "note"}, id="no tool has one"),
    ],
)
def test_parameters_in_headers(parameter: dict[str, str], found: dict[str, str]) -> None:
    names = ["Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"]
    report = stateless(parameter, allow_headers=names)
    assert codes(report) == found
    if parameter:
        assert any("mcp-param-region" in finding.sentence.lower() for finding in report.findings)


@contextmanager
def answering(data: bytes, *, hold: float = 0.0) -> Iterator[str]:
    """A TCP server that sends the same bytes to everybody, and then closes, or holds the line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)
                    over.wait(hold)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            over.set()
            thread.join()


def only_finding(report: Report) -> str:
    [finding] = [f for f in report.findings if f.code != "local_network_access"]
    assert finding.severity == "error"
    assert not report.is_healthy
    return finding.code


def test_nothing_listens() -> None:
    assert only_finding(examine(f"http://127.0.0.1:{free_port()}/mcp", [ORIGIN], timeout=2)) == "refused"


def test_a_name_that_does_not_exist() -> None:
    assert only_finding(examine("https://nowhere.invalid/mcp", [ORIGIN], timeout=2)) == "dns"


@pytest.mark.parametrize(
    ("data", "hold", "code"),
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", 0.0, "not_http", id="another protocol"),
        pytest.param(b"", 0.0, "closed", id="closes"),
        pytest.param(b"", 30.0, "timeout", id="silent"),
    ],
)
def test_what_is_no_http_server(data: bytes, hold: float, code: str) -> None:
    with answering(data, hold=hold) as url:
        start = time.monotonic()
        assert only_finding(examine(url, [ORIGIN], timeout=0.3)) == code
        assert time.monotonic() - start < 5


def test_tls_where_there_is_none() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert only_finding(examine(url.replace("http:", "https:"), [ORIGIN], timeout=2)) == "tls"


def test_a_server_that_trickles_cannot_hold_the_doctor_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def trickle(connection: socket.socket) -> None:
            with connection:
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=trickle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        start = time.monotonic()
        report = examine(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", [ORIGIN], timeout=0.5)
        assert only_finding(report) == "timeout"
        assert time.monotonic() - start < 8
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_what_no_browser_sends_at_all() -> None:
    report = examine("http://mcp.invalid/mcp", [ORIGIN], timeout=1)
    assert only_finding(report) == "dns"
    with serving_wsgi(make_app()) as url:
        port = url.rpartition(":")[2]
        report = examine(f"http://127.0.0.1:{port}/mcp", ["http://plain.example"], timeout=2)
        assert codes(report)["local_network_insecure"] == "warning"
    report = examine("http://127.0.0.1:6667/mcp", [ORIGIN], timeout=1)
    assert codes(report) == {"port_blocked": "error"}


def test_an_ipv6_address_and_a_url_without_scheme() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.removeprefix('http://')}/mcp", [ORIGIN], timeout=2)
        assert report.url == f"{url}/mcp"
        assert codes(report) == {}
    assert only_finding(examine(f"http://[::1]:{free_port()}/mcp", [ORIGIN], timeout=2)) in ("refused", "network")


def test_a_certificate_that_nobody_trusts() -> None:
    pytest.importorskip("cryptography", reason="pip install cryptography, for a certificate made on the spot")
    with serving_wsgi(make_app(), ssl_context="adhoc") as url:
        report = examine(f"{url.replace('http:', 'https:')}/mcp", [ORIGIN], timeout=3)
    assert only_finding(report) == "certificate"


def test_localhost_where_two_servers_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    from flask_mcp_cors.cli.doctor import surroundings

    monkeypatch.setattr(surroundings, "_listens", lambda address, port: True)
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', 'localhost')}/mcp", [ORIGIN], timeout=2)
    assert codes(report) == {"localhost_twice": "note"}


def test_an_address_to_listen_on() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', '0.0.0.0')}/mcp", ["http://localhost:3000"], timeout=2)
    assert codes(report)["unspecified_address"] == "warning"


def test_mixed_content(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return original("127.0.0.1" if host == "mcp.example.com" else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving_wsgi(make_app(hosts="mcp.example.com")) as url:
        port = url.rpartition(":")[2]
        report = examine(f"http://mcp.example.com:{port}/mcp", [ORIGIN], timeout=2)
    assert codes(report)["mixed_content"] == "error"
    assert report.verdicts[ORIGIN, "2025-11-25"] == "cannot connect"


def test_localhost_is_two_addresses() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', 'localhost')}/mcp", [ORIGIN], timeout=2)
    assert codes(report) == {"localhost_once": "note"}


def protected(**settings: Any) -> flask.Flask:
    app = flask.Flask(__name__)
    cors = MCPCors(app, **{"origins": ORIGIN, "hosts": LOOPBACK_HOSTS, **settings})
    guard = cors.protected(lambda credential: {"name": "somebody"} if credential.token == TOKEN else None)
    app.add_url_rule("/mcp", view_func=guard(lambda: by_hand()), endpoint="mcp", methods=["POST"])
    app.extensions["cors"] = cors
    return app


def with_login(app: flask.Flask, url: str, **documents: Any) -> None:
    """Put an authorization server into the app itself."""
    app.extensions["cors"].serve_resource_metadata(app, resource=f"{url}/mcp", authorization_servers=[url])
    document = {
        "issuer": url,
        "token_endpoint": f"{url}/token",
        "registration_endpoint": f"{url}/register",
        **documents,
    }
    app.add_url_rule("/.well-known/oauth-authorization-server", "metadata", lambda: document)
    app.add_url_rule("/token", "token", lambda: ({"error": "unsupported_grant_type"}, 400), methods=["POST"])
    app.add_url_rule("/register", "register", lambda: pytest.fail("the doctor registers nothing"), methods=["POST"])


def logged_in(app: flask.Flask, **options: Any) -> Report:
    login = options.pop("login", True)
    with serving_wsgi(app) as url:
        if login:
            with_login(app, url)
        return examine(f"{url}/mcp", [ORIGIN], timeout=3, **options)


def test_the_way_to_a_login() -> None:
    report = logged_in(protected())
    assert codes(report) == {"foreign_origin_unknown": "note"} or codes(report) == {}
    assert report.is_healthy
    assert report.verdicts[ORIGIN, "2025-11-25"] == "log in first"
    said = "; ".join(what for works in report.works.values() for what in works)
    for step in ("can read the 401", "can read WWW-Authenticate", "token endpoint answers", "may register"):
        assert step in said


def test_with_a_token() -> None:
    report = logged_in(protected(), token=TOKEN)
    assert codes(report) == {}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert TOKEN not in report.to_text()
    assert TOKEN not in json.dumps(report.to_json())


def test_with_a_wrong_token() -> None:
    report = logged_in(protected(), token="wrong")
    assert codes(report)["token_refused"] == "error"
    assert report.verdicts[ORIGIN, "2025-11-25"] == "refused"


def test_a_challenge_that_javascript_cannot_read() -> None:
    report = logged_in(protected(expose_headers=["Mcp-Session-Id"]))
    assert codes(report)["challenge_hidden"] == "warning"


def test_a_server_that_does_not_say_where_to_log_in() -> None:
    report = logged_in(protected(), login=False)
    assert codes(report)["discovery_missing"] == "note"


def test_an_authorization_server_that_pages_cannot_use() -> None:
    app = protected(policies={"/token": None, "/register": None})
    assert codes(logged_in(app))["cors_missing"] == "error"


def test_discovery_that_pages_cannot_read() -> None:
    app = protected(policies={"/.well-known/oauth-authorization-server/**": None})
    found = codes(logged_in(app))
    assert found["authorization_server_hidden"] == "error"


def test_discovery_without_the_header_of_mcp() -> None:
    """Clients ask again without it, so it is no more than a warning."""
    narrow = {"origins": "*", "allow_methods": "GET", "allow_headers": ["Accept"]}
    report = logged_in(protected(policies={"/.well-known/oauth-authorization-server/**": narrow}))
    assert codes(report)["header_not_allowed"] == "warning"
    assert report.is_healthy


def test_an_issuer_that_is_no_url() -> None:
    app = protected()
    with serving_wsgi(app) as url:
        document = {"resource": f"{url}/mcp", "authorization_servers": ["not a URL"]}
        app.add_url_rule("/.well-known/oauth-protected-resource/mcp", "document", lambda: document)
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    assert codes(report)["issuer_malformed"] == "error"


def test_metadata_of_another_resource() -> None:
    app = protected()
    with serving_wsgi(app) as url:
        app.extensions["cors"].serve_resource_metadata(app, resource=f"{url}/mcp/other")
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    assert codes(report)["resource_mismatch"] == "error"


def test_a_challenge_that_is_missing() -> None:
    report = examined(behind(lambda request: Response(status=401) if request.method == "POST" else None))
    # Such a 401 comes from outside, so it has no CORS headers either.
    assert codes(report)["response_without_cors"] == "error"
    wrapped = CORSMiddleware(Response(status=401), origins=ORIGIN, hosts=LOOPBACK_HOSTS)
    assert codes(examined(wrapped))["challenge_missing"] == "warning"


def test_what_is_no_mcp_server() -> None:
    app = flask.Flask(__name__)
    assert codes(examined(app)) == {"not_mcp": "error", "preflight_not_routed": "error"}


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, ["doctor", *words], catch_exceptions=False)


def test_exit_status_and_streams() -> None:
    with serving_wsgi(make_app()) as url:
        good = run(f"{url}/mcp", "--origin", ORIGIN, "--timeout", "3")
        bad = run(f"{url}/mcp", "--origin", "https://other.example", "--timeout", "3")
        data = run(f"{url}/mcp", "--origin", ORIGIN, "--origin", "https://other.example", "--json")
    assert good.exit_code == 0
    assert "… 2025-11-25 from https://app.example.com" in good.stderr
    assert good.stdout.startswith("MCP endpoint ")
    assert "\x1b" not in good.output
    assert bad.exit_code == 1
    for line in (good.stdout + bad.stdout).splitlines():
        assert len(line) <= 80
    parsed = json.loads(data.stdout)
    assert parsed["healthy"] is False
    assert parsed["origins"][ORIGIN]["2025-11-25"] == "connects"
    assert {"code", "severity", "place", "sentence", "fix"} <= set(parsed["findings"][0])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["http://127.0.0.1:1/mcp"], "Missing option '--origin'"),
        (["ftp://x/mcp", "--origin", ORIGIN], "is not an http: or https: URL"),
        (["http://me:secret@x/mcp", "--origin", ORIGIN], "use --token"),
        (["http://x/mcp", "--origin", f"{ORIGIN}/"], "is no origin as browsers write it"),
    ],
)
def test_wrong_arguments(words: list[str], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_it_needs_no_app() -> None:
    words = [sys.executable, "-m", "flask_mcp_cors", "doctor", f"http://127.0.0.1:{free_port()}/mcp"]
    done = subprocess.run([*words, "--origin", ORIGIN], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ERROR refused" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_hostile_server_cannot_write_to_the_terminal() -> None:
    evil = "\x1b[31mall is well\x07"
    report = examined(behind(lambda request: Response(evil, 403) if request.method == "OPTIONS" else None))
    assert "\x1b" not in report.to_text()
    assert "\x07" not in report.to_text()


def test_requests_are_bounded() -> None:
    report, _ = sessions()
    assert report.requests < 60
