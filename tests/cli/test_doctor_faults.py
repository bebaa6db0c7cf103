"""Each fault of CORS, and of who is let in, is found under its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from faulty_servers import behind
from faulty_servers import changing
from faulty_servers import codes
from faulty_servers import examined
from faulty_servers import Layer
from faulty_servers import make_app
from faulty_servers import repeat
from faulty_servers import SESSION_REVISIONS
from faulty_servers import TOKEN
from faulty_servers import without
from foreign_servers import by_hand
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report


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
    pytest.param(lambda status: Response(status=404), "preflight_intercepted", id="no route"),
    pytest.param(lambda status: Response(status=405), "preflight_intercepted", id="no method"),
    pytest.param(lambda status: Response(status=500), "preflight_crashes", id="crashes"),
    pytest.param(lambda status: Response(status=204), "preflight_intercepted", id="no CORS"),
    pytest.param(
        lambda status: Response(status=204, headers={"Access-Control-Allow-Methods": "POST"}),
        "preflight_intercepted",
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


def test_a_front_that_drops_what_makes_a_preflight() -> None:
    """The server knows preflights, as its Vary says, and answers one as any other OPTIONS request."""

    def drop(request: Request) -> None:
        request.environ.pop("HTTP_ACCESS_CONTROL_REQUEST_METHOD", None)

    report = examined(behind(drop))
    finding = next(finding for finding in report.findings if finding.severity == "error")
    assert finding.code == "origin_lost"
    assert "like OPTIONS without Access-Control-Request-Method" in finding.sentence
    assert "header_not_allowed" not in codes(report)


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


def test_a_wildcard_with_credentials() -> None:
    def star(request: Request, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        kept = without("Access-Control-Allow-Origin")(request, headers)
        return [*kept, ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]

    report = examined(changing(star))
    assert codes(report) == {"wildcard_with_credentials": "warning"}
    assert report.is_healthy


def without_hosts(**view: Any) -> flask.Flask:
    """Origin is validated, Host is not: what a server does whose ``hosts`` nobody has set."""
    app = flask.Flask(__name__)
    MCPCors(app, origins=ORIGIN)
    app.add_url_rule("/mcp", **{"view_func": by_hand, "methods": ["POST"], **view})
    return app


def works(report: Report) -> str:
    return "; ".join(what for place in report.works.values() for what in place)


def test_the_refusal_of_an_origin_does_not_speak_for_the_host() -> None:
    report = examined(without_hosts())
    assert codes(report) == {"host_not_checked": "warning"}
    assert report.is_healthy
    assert "a foreign Host is not served" not in works(report)
    assert codes(examined(without_hosts(), token=TOKEN)) == {"host_not_checked": "note"}


def test_a_host_that_is_refused_with_and_without_an_origin() -> None:
    assert "a foreign Host is not served (421)" in works(examined(make_app()))


def test_behind_a_login_nobody_knows_whether_the_host_is_checked() -> None:
    report = examined(without_hosts(view_func=lambda: ("", 401, {"WWW-Authenticate": "Bearer"}), endpoint="mcp"))
    assert codes(report)["foreign_host_unknown"] == "note"
    assert "a foreign Host is not served" not in works(report)


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
        (403, False, {"header_not_allowed", "request_refused", "request_refused_too"}, "cannot connect"),
        (500, True, {"server_error"}, "refused"),
    ],
)
def test_a_second_list_of_origins(status: int, passes: bool, found: set[str], verdict: str) -> None:
    report = examined(own_list(status, preflights_pass=passes))
    assert set(codes(report)) - {"question_blocked"} == found
    assert report.verdicts[ORIGIN, "2025-11-25"] == verdict
    assert any(f'{status}, "Invalid Origin header"' in finding.sentence for finding in report.findings)


def test_what_is_no_mcp_server() -> None:
    app = flask.Flask(__name__)
    assert codes(examined(app)) == {"not_mcp": "error", "preflight_not_routed": "error"}


def test_a_stub_that_gives_every_message_an_empty_result() -> None:
    """As on the page that starts with the library. Nothing connects to that, in no revision."""
    app = flask.Flask(__name__)
    MCPCors(app, origins=ORIGIN, hosts=LOOPBACK_HOSTS)
    view = {"jsonrpc": "2.0", "id": 1, "result": {}}
    app.add_url_rule("/mcp", endpoint="mcp", view_func=lambda: view, methods=["POST"])
    report = examined(app)
    assert codes(report) == {"not_mcp": "error"}
    assert set(report.verdicts.values()) == {"not spoken"}
    [finding] = [finding for finding in report.findings if finding.code == "not_mcp"]
    assert "initialize has no protocolVersion" in finding.sentence
