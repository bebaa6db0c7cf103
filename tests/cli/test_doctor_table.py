"""Each row of the table of findings fires for the fault that it is about, and is on the documentation's page."""

from __future__ import annotations

import ast
import errno
import gzip
import io
import json
import re
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_servers import codes
from faulty_servers import make_app
from faulty_servers import TOKEN
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from test_doctor_login import protected
from test_doctor_network import answering
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from flask_mcp_cors.cli import doctor
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report
from flask_mcp_cors.cli.doctor import RULES
from flask_mcp_cors.cli.doctor.evidence import Evidence
from flask_mcp_cors.cli.doctor.evidence import Fact
from flask_mcp_cors.cli.doctor.evidence import Fetched
from flask_mcp_cors.cli.doctor.wire import fault_of
from flask_mcp_cors.cli.findings import Severity
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import CORSErrorReason
from flask_mcp_cors.testing.urls import parse_url

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
PRM = "/.well-known/oauth-protected-resource"
HTML = "<!doctype html><title>A page</title>"

Change = Callable[[Request, Response], Response | None]


def altered(change: Change, app: Any = None) -> Any:
    """The good server with something in front that may answer in its place, or change its answer."""
    inner = (app or make_app()).wsgi_app

    def application(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        environ["wsgi.input"] = io.BytesIO(request.get_data())
        response = Response.from_app(inner, environ)
        return (change(request, response) or response)(environ, start_response)

    return application


def on(method: str, answer: Callable[[], Response]) -> Change:
    """Another answer to this method."""
    return lambda request, response: answer() if request.method == method else None


def with_cors(body: str, status: int = 200, kind: str = "text/html") -> Response:
    headers = {"Access-Control-Allow-Origin": ORIGIN, "Vary": "Origin", "Content-Type": kind}
    return Response(body, status, headers)


def results(change: Callable[[dict[str, Any]], object]) -> Change:
    """Another body for each result."""

    def alter(request: Request, response: Response) -> None:
        if request.method == "POST" and b'"result"' in response.data:
            changed = change(json.loads(response.data))
            response.data = changed if isinstance(changed, str) else json.dumps(changed)

    return alter


def without_cors(condition: Callable[[Request, Response], bool]) -> Change:
    def alter(request: Request, response: Response) -> None:
        if condition(request, response):
            response.headers.remove("Access-Control-Allow-Origin")

    return alter


def labelled(request: Request, response: Response) -> None:
    if request.method == "POST":
        response.headers["Content-Type"] = "text/plain"


def longer(request: Request, response: Response) -> Response | None:
    if request.method != "POST":
        return None
    body = response.data
    response.response = iter([body])
    response.headers["Content-Length"] = str(len(body) + 50)
    return response


def notified(request: Request, response: Response) -> Response | None:
    return with_cors("no", 400) if b"notifications/" in request.data else None


def listed(request: Request, response: Response) -> Response | None:
    return with_cors("no", 404) if b"tools/list" in request.data else None


def results_as_stream(request: Request, response: Response) -> None:
    if request.method == "POST" and b'"result"' in response.data:
        response.data = b"data: " + response.data.strip().replace(b"\n", b"") + b"\n"
        response.headers["Content-Type"] = "text/event-stream"


def results_as_pretty_stream(request: Request, response: Response) -> None:
    if request.method == "POST" and b'"result"' in response.data:
        response.data = f"data: {json.dumps(json.loads(response.data), indent=2)}\n\n".encode()
        response.headers["Content-Type"] = "text/event-stream"


def failing(request: Request, response: Response) -> None:
    if b"tools/list" in request.data:
        response.status_code = 500


def closing_lists(request: Request, response: Response) -> None:
    if b"tools/list" in request.data:
        request.environ["werkzeug.socket"].shutdown(2)


def misspelled(request: Request, response: Response) -> None:
    response.headers["Access-Control-Allow-Origins"] = response.headers.pop("Access-Control-Allow-Origin", "")


def sessions_lost(request: Request, response: Response) -> Response | None:
    response.headers["Mcp-Session-Id"] = "a"
    response.headers["Access-Control-Expose-Headers"] = "Mcp-Session-Id"
    return with_cors("Bad Request: Missing session ID", 400) if b"tools/list" in request.data else None


def versions_refused(request: Request, response: Response) -> Response | None:
    is_named = b"tools/list" in request.data and "MCP-Protocol-Version" in request.headers
    return with_cors("Unsupported protocol version", 400) if is_named else None


def several(request: Request, response: Response) -> None:
    response.headers["Access-Control-Allow-Origin"] = f"{ORIGIN}, https://b.example"


def letting_in(is_listed: Callable[[str], bool]) -> Any:
    """A list of origins with a hole."""
    app = make_app(origins="*", validate_origin=False)

    def alter(request: Request, response: Response) -> Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and not is_listed(origin):
            return Response(status=403)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
        return None

    return altered(alter, app)


def spelled(request: Request, response: Response) -> Response | None:
    """flask-cors with a slash at the end of the origin."""
    response.headers.remove("Access-Control-Allow-Origin")
    if request.method != "OPTIONS":
        return None
    allowed = {"Access-Control-Allow-Origin": f"{ORIGIN}/"} if request.headers.get("Origin") == f"{ORIGIN}/" else {}
    return Response(status=200, headers=allowed)


def origin_dropped(request: Request, response: Response) -> Response | None:
    response.headers.remove("Access-Control-Allow-Origin")
    return Response(status=403) if request.method == "OPTIONS" else None


def methods_only(request: Request, response: Response) -> Response | None:
    """No origin is on the list, neither for the preflight nor for the request."""
    response.headers.remove("Access-Control-Allow-Origin")
    return (
        Response(status=204, headers={"Access-Control-Allow-Methods": "POST"}) if request.method == "OPTIONS" else None
    )


def closing(request: Request, response: Response) -> Response | None:
    if request.method == "OPTIONS":
        request.environ["werkzeug.socket"].shutdown(2)
    return None


def hanging(request: Request, response: Response) -> Response | None:
    if request.method == "OPTIONS":
        time.sleep(1.5)
    return None


def stream(first: bytes, rest: bytes = b"", coding: str | None = None) -> Callable[[], Response]:
    def chunks() -> Iterator[bytes]:
        yield first
        time.sleep(3)
        yield rest

    named = {"Access-Control-Allow-Origin": ORIGIN, "Vary": "Origin"}
    named |= {} if coding is None else {"Content-Encoding": coding}
    return lambda: Response(chunks(), headers=named, content_type="text/event-stream")


def compressed(request: Request, response: Response) -> Response | None:
    if request.method != "GET":
        return None
    event = b"data: {}\n\n"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        packed = gzip.compress(event)
        return stream(packed[:10], packed[10:], "gzip")()
    return stream(event)()


def dead_endpoint(request: Request, response: Response) -> Response | None:
    if request.path != "/mcp" and request.method != "OPTIONS":
        return with_cors("", 404)
    return {"GET": stream(b"event: endpoint\ndata: /messages\n\n"), "POST": lambda: with_cors("", 404)}.get(
        request.method, lambda: None
    )()


NO_ROUTE = fault_of(OSError(errno.ENETUNREACH, "Network is unreachable"))

FAULTS: dict[str, Change] = {
    "preflight_closed": closing,
    "preflight_timeout": hanging,
    "gateway_error": lambda request, response: Response(HTML, 502),
    "body_too_large": on("POST", lambda: Response(HTML, 413)),
    "rate_limited": on("POST", lambda: Response("slow down", 429)),
    "host_not_served": lambda request, response: Response("Invalid Host header", 421),
    "request_refused": lambda request, response: (
        Response("no", 403) if request.method == "POST" and "Origin" in request.headers else None
    ),
    "csrf": on("POST", lambda: Response("CSRF verification failed. Request aborted.", 403)),
    "tunnel_private": lambda request, response: Response(
        status=302, headers={"Location": "https://github.dev/pf-signin?id=x"}
    ),
    "allow_origin_several": several,
    "origin_spelled": spelled,
    "origin_not_allowed": methods_only,
    "forbidden_without_token": on("POST", lambda: Response("no", 403)),
    "notification_refused": notified,
    "body_short": longer,
    "json_surrounded": results(lambda value: "Warning: deprecated\n" + json.dumps(value)),
    "json_cut": results(lambda value: json.dumps(value)[:-10]),
    "content_type_wrong": labelled,
    "answer_unended": results_as_stream,
    "answer_empty": on("POST", lambda: with_cors("", 200, "application/json")),
    "request_header_changed": on("POST", lambda: with_cors("", 406)),
    "tls_expected": lambda request, response: Response(
        "<html>400 The plain HTTP request was sent to HTTPS port</html>", 400
    ),
    "session_not_received": sessions_lost,
    "version_refused": versions_refused,
    "envelope_missing": results(lambda value: value["result"]),
    "jsonrpc_missing": results(lambda value: {key: value[key] for key in ("id", "result")}),
    "answer_in_array": results(lambda value: [value]),
    "id_is_text": results(lambda value: value | {"id": str(value["id"])}),
    "id_differs": results(lambda value: value | {"id": 4711}),
    "status_wrong": failing,
    "event_not_json": results_as_pretty_stream,
    "result_and_error": results(lambda value: value | {"error": None}),
    "result_malformed": results(lambda value: value | {"result": value["result"] | {"capabilities": []}}),
    "message_unanswered": closing_lists,
    "cors_header_misspelled": misspelled,
    "json_nan": results(lambda value: json.dumps(value | {"result": value["result"] | {"x": float("nan")}})),
    "json_invalid": results(lambda value: str(value)),
    "page_in_place": lambda request, response: with_cors(HTML) if b"tools/list" in request.data else None,
    "browsers_refused": lambda request, response: Response(HTML, 403) if "Sec-Fetch-Mode" in request.headers else None,
    "login_page": on("POST", lambda: with_cors("<!doctype html><title>Log in</title>")),
    "not_mcp_page": on("POST", lambda: with_cors(HTML)),
    "no_result": listed,
    "stream_compressed": compressed,
    "event_unended": on("GET", stream(b"data: {}\n", b"\n")),
    "get_not_405": on("GET", lambda: with_cors("", 404)),
    "get_not_stream": on("GET", lambda: with_cors(HTML)),
    "old_transport_dead": dead_endpoint,
    "error_without_cors": without_cors(lambda request, response: response.status_code == 400),
    "path_without_cors": without_cors(lambda request, response: response.status_code == 404),
    "max_age_unused": lambda request, response: response.headers.set("Access-Control-Max-Age", "0"),
}


def examined(app: Any, **options: Any) -> Report:
    with serving_wsgi(app) as url:
        return examine(f"{url}/mcp", [ORIGIN], **{"timeout": 1, **options})


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_found_under_its_code(code: str) -> None:
    report = examined(altered(FAULTS[code]))
    found = codes(report)
    assert code in found
    assert found[code] == (RULES[code].severity or "error")


def test_a_misspelled_header() -> None:
    report = examined(altered(misspelled))
    assert "write Access-Control-Allow-Origin instead of Access-Control-Allow-Origins" in str(report.findings)


def test_a_session_in_a_cookie() -> None:
    def alter(request: Request, response: Response) -> Response | None:
        if b'"initialize"' in request.data:
            response.set_cookie("sid", "x", httponly=True)
        elif request.method == "POST" and "sid" not in request.cookies:
            return with_cors("Server not initialized", 400)
        return None

    report = examined(altered(alter))
    assert codes(report)["session_in_cookie"] == "error"
    assert "notification_refused" not in codes(report)


def test_a_preflight_and_a_401_without_cors() -> None:
    """Whoever mends the preflight only would meet the 401 next."""
    app = protected()

    def alter(request: Request, response: Response) -> Response | None:
        if request.path == "/mcp" and "Authorization" not in request.headers:
            return Response("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        return None

    report = examined(altered(alter, app))
    assert {"preflight_authenticated", "challenge_unreadable_too"} <= set(codes(report))
    assert "JavaScript can read" not in str(report.works)


@pytest.mark.parametrize("token", [None, TOKEN])
def test_an_error_of_json_rpc_in_place_of_a_401(token: str | None) -> None:
    def alter(request: Request, response: Response) -> Response | None:
        if response.status_code != 401:
            return None
        error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "Unauthorized: missing token"}}
        return with_cors(json.dumps(error), 200, "application/json")

    found = codes(examined(altered(alter, protected()), token=token))
    assert found["error_in_place_of_401" if token is None else "forbidden_for_unauthorized"] == "error"


def test_an_event_stream_labelled_json() -> None:
    def relabelled(request: Request, response: Response) -> None:
        results_as_stream(request, response)
        if request.method == "POST" and response.data.startswith(b"data:"):
            response.data += b"\n"
            response.headers["Content-Type"] = "application/json"

    [finding] = [f for f in examined(altered(relabelled)).findings if f.code == "content_type_wrong"]
    assert finding.fix == "send Content-Type: text/event-stream"


@pytest.mark.parametrize(
    ("code", "is_listed", "let_in"),
    [
        ("lookalike_allowed", lambda origin: origin.startswith(ORIGIN), "https://app.example.com.foreign.invalid"),
        ("lookalike_allowed", lambda origin: origin.endswith("example.com"), "https://evilexample.com"),
        ("lookalike_allowed", lambda origin: "app.example.com" in origin, "https://evil-app.example.com.foreign"),
        (
            "lookalike_allowed",
            lambda origin: re.fullmatch("https://app.example.com", origin) is not None,
            "https://appxexample.com",
        ),
        ("null_allowed", lambda origin: origin in (ORIGIN, "null"), "null"),
        ("other_scheme_allowed", lambda origin: origin.partition(":")[2] == ORIGIN.partition(":")[2], "http://app."),
        (
            "other_port_allowed",
            lambda origin: re.fullmatch(re.escape(ORIGIN) + r"(:\d+)?", origin) is not None,
            ":8443",
        ),
        ("subdomains_allowed", lambda origin: origin.endswith(".example.com"), "https://evil.example.com"),
    ],
)
def test_a_list_with_a_hole(code: str, is_listed: Callable[[str], bool], let_in: str) -> None:
    report = examined(letting_in(is_listed))
    found = [finding for finding in report.findings if finding.code == code]
    assert any(let_in in finding.sentence for finding in found)
    # Without a login any program of that host or network is let in, whatever the table says of the milder case.
    is_let_in = code in ("other_scheme_allowed", "other_port_allowed")
    assert {finding.severity for finding in found} == {Severity.ERROR if is_let_in else RULES[code].severity}


def test_holes_that_follow_from_another_are_not_said_twice() -> None:
    found = codes(examined(letting_in(lambda origin: origin.startswith(ORIGIN))))
    assert found.keys() & {"lookalike_allowed", "other_port_allowed"} == {"lookalike_allowed"}


def test_a_proxy_that_drops_origin() -> None:
    """Whatever the Origin is, messages are served: the app has never seen one."""
    report = examined(altered(origin_dropped, make_app(validate_origin=False)))
    assert codes(report)["origin_lost"] == "error"
    assert "preflight_refused" not in codes(report)


def test_a_proxy_that_drops_origin_before_this_package() -> None:
    """It then sees a cross-site request without Origin, which no browser sends."""
    app = make_app()

    def application(environ: Any, start_response: Any) -> Any:
        environ.pop("HTTP_ORIGIN", None)
        return app.wsgi_app(environ, start_response)

    report = examined(application)
    assert codes(report)["origin_lost"] == "error"
    assert "preflight_refused" not in codes(report)


def test_a_message_never_explains_a_preflight_nor_one_page_another() -> None:
    def alter(request: Request, response: Response) -> Response | None:
        if request.method == "OPTIONS" and request.headers["Origin"] != ORIGIN:
            return Response("no", 403)
        return Response("CSRF verification failed.", 403) if request.method == "POST" else None

    with serving_wsgi(altered(alter)) as url:
        report = examine(f"{url}/mcp", [ORIGIN, "https://b.example"], timeout=1)
    assert {(f.code, f.because) for f in report.findings if f.severity is Severity.ERROR} == {
        ("csrf", None),
        ("preflight_refused", None),
    }


def test_an_origin_that_only_browsers_stop() -> None:
    """A page's JSON needs a preflight, which fails; whatever else sends that Origin is served."""

    def only_json(request: Request, response: Response) -> Response | None:
        is_json = request.headers.get("Content-Type") == "application/json"
        return with_cors("", 415) if request.method == "POST" and not is_json else None

    report = examined(altered(only_json, make_app(validate_origin=False)))
    assert codes(report) == {"origin_not_validated": "warning"}


def test_an_exact_list_has_no_hole() -> None:
    assert codes(examined(letting_in(lambda origin: origin == ORIGIN))) == {}


def documents(change: Callable[[Request], Response | None], **more: Any) -> Any:
    """A server with a login in front of which some documents change."""

    def alter(request: Request, response: Response) -> Response | None:
        host = f"http://{request.host}"
        server = {
            "issuer": host,
            "registration_endpoint": f"{host}/register",
            "authorization_endpoint": f"{host}/login",
            "token_endpoint": f"{host}/token",
            "response_types_supported": ["code"],
        }
        if (answer := change(request)) is not None:
            return answer
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = f'Bearer resource_metadata="{host}{PRM}/mcp"'
        if request.method == "GET" and request.path == f"{PRM}/mcp":
            value = {"resource": f"{host}/mcp", "authorization_servers": [host]}
            return Response(json.dumps(value), headers={"Access-Control-Allow-Origin": "*"})
        if request.method == "GET" and request.path == "/.well-known/oauth-authorization-server":
            return Response(json.dumps(server), headers={"Access-Control-Allow-Origin": "*"})
        return None

    return altered(alter, protected(policies={path: {"origins": "*"} for path in ("/register", "/token")}))


def answered(path: str, status: int, body: str = "") -> Callable[[Request], Response | None]:
    headers = {"Access-Control-Allow-Origin": "*"}

    def change(request: Request) -> Response | None:
        is_asked = request.path.startswith(path) and request.method != "OPTIONS"
        return Response(body, status, headers, content_type="text/html") if is_asked else None

    return change


def finding_of(app: Any, code: str, **options: Any) -> str:
    report = examined(app, **options)
    assert codes(report).get(code) == "error", report.to_text()
    [found] = {f"{finding.sentence} Fix: {finding.fix}" for finding in report.findings if finding.code == code}
    return found


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("code", "change", "says"),
    [
        # The page that a web server has for every path: CORS headers on it cure nothing.
        (
            "metadata_not_json",
            lambda request: (
                Response(HTML, content_type="text/html") if request.path.startswith("/.well-known/") else None
            ),
            "pass /.well-known/oauth-* on to the app",
        ),
        (
            "metadata_missing",
            answered(PRM, 404, "<center><h1>404 Not Found</h1></center><hr><center>nginx/1.22.1</center>"),
            "nginx answers it itself",
        ),
        (
            "authorization_servers_missing",
            answered(PRM, 200, '{"resource": "x", "authorization_servers": "https://login.example.com"}'),
            "write a list",
        ),
        (
            "barred",
            answered(PRM, 200, '{"resource": "x", "authorization_servers": ["http://keycloak:8080/realms/mcp"]}'),
            "keycloak looks like the name of a container or of an internal network",
        ),
    ],
)
def test_a_document_that_leads_nowhere(
    code: str, change: Callable[[Request], Response | None], says: str, token: str | None
) -> None:
    assert says in finding_of(documents(change), code, token=token)


def test_an_authorization_server_that_no_browser_asks_is_not_said_to_lack_cors() -> None:
    document = '{"resource": "x", "authorization_servers": ["http://keycloak:8080"]}'
    assert "authorization_server_hidden" not in codes(examined(documents(answered(PRM, 200, document))))


def test_an_authorization_server_with_a_name_of_a_container() -> None:
    document = '{"resource": "x", "authorization_servers": ["https://no-such-name:8443"]}'
    report = examined(documents(answered(PRM, 200, document)))
    [fix] = [finding.fix for finding in report.findings if finding.code == "authorization_server_unchecked"]
    assert fix.startswith("no-such-name looks like the name of a container")


def test_503_after_others_were_served_is_a_limit() -> None:
    left = [3]

    def limited(request: Request, response: Response) -> Response | None:
        left[0] -= 1
        return Response(HTML, 503) if left[0] < 0 else None

    found = finding_of(altered(limited), "rate_limited")
    assert "looks like a rate limit" in found
    assert "limit_req" in found


def test_an_endpoint_of_2024_that_has_lost_its_prefix() -> None:
    """Nothing is there: CORS at that place cures nothing."""

    def moved(request: Request, response: Response) -> Response | None:
        if request.path != "/mcp":
            return Response(HTML, 405 if request.method == "OPTIONS" else 404)
        first = stream(b"event: endpoint\ndata: /messages?session=1\n\n")
        return {"GET": first, "POST": lambda: with_cors("", 405)}.get(request.method, lambda: None)()

    found = finding_of(altered(moved), "old_transport_dead")
    assert "such as /prefix/messages" in found
    assert "session=1" not in found


def test_a_cure_is_for_what_answered_the_preflight() -> None:
    def in_front(request: Request, response: Response) -> Response | None:
        response.headers["X-Powered-By"] = "Express"
        response.headers["Via"] = "1.1 Caddy"
        return Response(headers={"Server": "Caddy"}) if request.method == "OPTIONS" else None

    found = finding_of(altered(in_front), "preflight_intercepted")
    assert "let Caddy and everything in front pass OPTIONS on" in found
    assert "Express" not in found


def test_a_proxy_that_drops_the_port_of_the_host() -> None:
    found = finding_of(
        altered(lambda request, response: Response("Invalid Host header", 421, {"Server": "nginx"})), "host_not_served"
    )
    assert "let nginx pass the Host on as it came, with its port" in found


def test_errors_that_a_page_replaces() -> None:
    def replaced(request: Request, response: Response) -> Response | None:
        return Response(HTML, 200, content_type="text/html") if response.status_code in (400, 404, 405) else None

    report = examined(altered(replaced))
    [found] = [finding for finding in report.findings if finding.code == "error_without_cors"]
    assert "instead of an error" in found.sentence
    assert "proxy_intercept_errors off" in found.fix


@pytest.mark.parametrize(
    ("code", "change", "options"),
    [
        ("metadata_missing", answered(PRM, 404), {}),
        ("metadata_protected", answered(PRM, 401), {}),
        ("metadata_error", answered(PRM, 500), {}),
        ("metadata_not_json", answered(PRM, 200, HTML), {}),
        ("authorization_servers_missing", answered(PRM, 200, '{"resource": "x"}'), {}),
        ("authorization_server_missing", answered("/.well-known/o", 404), {}),
        ("registration_failed", answered("/register", 400, '{"error": "x"}'), {"login": True}),
        ("authorize_failed", answered("/login", 500), {"login": True}),
        ("endpoints_missing", answered("/.well-known/oauth-authorization-server", 200, '{"issuer": "x"}'), {}),
        ("issuer_mismatch", answered("/.well-known/oauth-authorization-server", 200, '{"issuer": "x"}'), {}),
        ("response_types_missing", answered("/.well-known/oauth-authorization-server", 200, '{"issuer": "x"}'), {}),
        ("registration_missing", answered("/.well-known/oauth-authorization-server", 200, '{"issuer": "x"}'), {}),
        ("pkce_missing", answered("/.well-known/oauth-authorization-server", 200, '{"issuer": "x"}'), {}),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_login_that_stops(
    code: str, change: Callable[[Request], Response | None], options: Any, token: str | None
) -> None:
    def both(request: Request) -> Response | None:
        if code == "authorization_server_missing" and request.path.startswith(PRM):
            return None
        if code == "authorize_failed" and request.path == "/register" and request.method == "POST":
            return Response('{"client_id": "x"}', 201, {"Access-Control-Allow-Origin": "*"})
        return change(request)

    report = examined(documents(both), token=token, **options)
    assert codes(report).get(code) == RULES[code].severity


def test_a_whole_login() -> None:
    def register(request: Request) -> Response | None:
        if request.path == "/register" and request.method == "POST":
            return Response('{"client_id": "x"}', 201, {"Access-Control-Allow-Origin": "*"})
        return Response("Log in") if request.path == "/login" else None

    report = examined(documents(register), login=True)
    assert report.is_healthy
    assert "the authorization endpoint opens; from there a person logs in" in str(report.works)


def test_a_token_that_does_not_arrive() -> None:
    app = protected()

    def application(environ: Any, start_response: Any) -> Any:
        environ.pop("HTTP_AUTHORIZATION", None)
        return app.wsgi_app(environ, start_response)

    report = examined(application, token=TOKEN)
    assert codes(report)["token_not_received"] == "error"
    assert "token_refused" not in codes(report)


def test_a_challenge_that_no_mcp_client_can_answer() -> None:
    def alter(request: Request, response: Response) -> None:
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="x"'

    assert codes(examined(altered(alter, protected())))["challenge_unusable"] == "warning"


def test_403_in_place_of_401() -> None:
    def alter(request: Request, response: Response) -> Response | None:
        return with_cors("no", 403) if response.status_code == 401 else None

    assert codes(examined(altered(alter, protected()), token=TOKEN))["forbidden_for_unauthorized"] == "error"


def test_headers_of_the_user_go_to_the_endpoint_and_into_the_preflight() -> None:
    def needs_key(request: Request, response: Response) -> Response | None:
        if request.path != "/mcp":
            assert "X-API-Key" not in request.headers
        return with_cors("no key", 403) if request.method == "POST" and "X-API-Key" not in request.headers else None

    assert codes(examined(altered(needs_key), headers={"X-API-Key": "x"})) == {}
    refused = examined(altered(needs_key, make_app(allow_headers=["Content-Type"])), headers={"X-API-Key": "x"})
    assert any("x-api-key" in finding.sentence.lower() for finding in refused.findings)


def test_a_body_that_breaks_off() -> None:
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"
    with answering(cut, hold=0.3) as url:
        assert codes(examine(url, [ORIGIN], timeout=1))["broke_off"] == "error"


def test_a_url_that_cannot_be_asked() -> None:
    assert "url_malformed" in codes(examine("http://a..b/mcp", ["http://app.example.com"], timeout=1))


def test_what_was_not_asked_for_lack_of_time_is_said() -> None:
    def slow(request: Request, response: Response) -> None:
        time.sleep(0.2)

    start = time.monotonic()
    report = examined(altered(slow), total=2)
    assert time.monotonic() - start < 3
    assert codes(report)["not_asked"] == "note"


@pytest.mark.parametrize(
    ("code", "evidence"),
    [
        ("private_place_named", {"facts": [Fact("private_place_named", ORIGIN, "http://10.0.0.1/")]}),
        ("network", {"fetches": [Fetched("POST", "http://x/", fault=NO_ROUTE, weight=Severity.ERROR)]}),
        ("no_conversation", {"verdicts": {(ORIGIN, "2025-11-25"): "not spoken"}}),
        (
            "stream_blocks",  # the one worker serves the next request once it sees that nobody reads the stream
            {
                "fetches": [
                    Fetched("POST", "http://x/", status=202, step="initialize", waited=0.1),
                    Fetched("GET", "http://x/", status=200, step="GET stream of 2024"),
                    Fetched("POST", "http://x/", status=0, step="first question", waited=8.0),
                ]
            },
        ),
        (
            "cors_error",
            {
                "fetches": [
                    Fetched(
                        "GET",
                        "http://x/",
                        blocked=CORSError(CORSErrorReason.CORS_DISABLED_SCHEME, "", "http://x/", "http://x/", ORIGIN),
                        weight=Severity.ERROR,
                    )
                ]
            },
        ),
    ],
)
def test_rows_that_few_servers_show(code: str, evidence: dict[str, Any]) -> None:
    [finding] = Report.of(Evidence(parse_url("https://mcp.example.com/mcp"), **evidence)).findings
    assert finding.code == code


def test_every_row_is_on_the_page() -> None:
    rows = re.findall(r"(?m)^\| (error|warning|note) \| `(\w+)` \| .+ \|$", PAGE.read_text(encoding="utf-8"))
    assert rows == [(rule.severity or "error", code) for code, rule in RULES.items()]


def test_what_is_fetched_and_what_is_said_about_it_are_apart() -> None:
    """Rules know nothing of how something was fetched, and probes nothing of the rows that will fit."""
    imported: dict[str, set[str]] = {"rules": set(), "probes": set()}
    for folder, names in imported.items():
        for path in (Path(doctor.__file__).parent / folder).glob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 2 and n.module}
    assert imported["rules"] == {"evidence", "messages", "stacks"}
    assert "rules" not in imported["probes"]


def test_notes_that_many_servers_get() -> None:
    report = examined(lambda environ, start: with_cors("", 401)(environ, start))
    notes = {finding.code for finding in report.findings if finding.severity is Severity.NOTE}
    assert notes >= {"local_network_access", "nosniff_missing", "foreign_origin_unknown"}


@pytest.mark.parametrize(
    ("code", "step", "status"), [("delete_not_405", "DELETE", 500), ("unknown_session_not_404", "POST", 400)]
)
def test_the_end_of_a_session(code: str, step: str, status: int) -> None:
    def alter(request: Request, response: Response) -> Response | None:
        response.headers["Mcp-Session-Id"] = "a"
        response.headers["Access-Control-Expose-Headers"] = "Mcp-Session-Id"
        if request.method == "DELETE":
            return with_cors("no", 500 if step == "DELETE" else 204)
        is_unknown = request.headers.get("Mcp-Session-Id", "a") != "a"
        return with_cors("no such session", 400 if step == "POST" else 404) if is_unknown else None

    found = codes(examined(altered(alter)))
    assert found.pop(code) == RULES[code].severity
    assert found == {}
