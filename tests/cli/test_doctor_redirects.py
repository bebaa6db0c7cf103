"""An endpoint that redirects: browser clients stop there, and one finding says which URL to give them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from faulty_servers import behind
from faulty_servers import codes
from faulty_servers import examined
from faulty_servers import make_app
from faulty_servers import SESSION_REVISIONS
from foreign_servers import by_hand
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from test_doctor_conversations import Sessions
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report
from flask_mcp_cors.cli.findings import Finding

POSTING = (*SESSION_REVISIONS, "2026-07-28")


def found(report: Report, code: str) -> Finding:
    [finding] = [finding for finding in report.findings if finding.code == code]
    return finding


def redirecting(status: int, to: str, *methods: str) -> Any:
    """The good server with something in front that redirects these methods, and knows no CORS."""

    def layer(request: Request) -> Response | None:
        location = to.format(host=request.host)
        return Response(status=status, headers={"Location": location}) if request.method in methods else None

    return behind(layer)


def test_a_slash_redirect() -> None:
    app = flask.Flask(__name__)
    MCPCors(app, origins=ORIGIN, hosts=LOOPBACK_HOSTS)
    app.add_url_rule("/mcp/", view_func=by_hand, methods=["GET", "POST", "DELETE"])
    report = examined(app)
    assert codes(report) == {"redirected": "error"}
    finding = found(report, "redirected")
    target = f"{report.url}/"
    assert f"POST {report.url} is redirected (308) to {target}." in finding.sentence
    assert 'fetch with redirect: "manual" and stop there' in finding.sentence
    assert finding.fix.startswith(f"give clients that URL: {target} ")
    assert finding.console is None
    assert finding.place == ", ".join(reversed(POSTING))
    assert [report.verdicts[ORIGIN, revision] for revision in POSTING] == ["cannot connect"] * 4
    assert report.verdicts[ORIGIN, "2024-11-05"] == "not spoken"
    assert "server's log" not in report.to_text()


def test_https_behind_preflights_that_are_answered() -> None:
    app = make_app()

    @app.before_request
    def secure() -> Any:
        return flask.redirect(flask.request.url.replace("http:", "https:"), 308)

    report = examined(app)
    assert codes(report) == {"redirected": "error"}
    # No TLS at this port: the doctor asks before it gives a URL to clients.
    assert f"finds none at {report.url.replace('http:', 'https:')}" in found(report, "redirected").fix


def test_a_redirect_without_cors_headers_has_a_line_in_the_console() -> None:
    report = examined(redirecting(308, "https://{host}/mcp", "GET", "POST", "DELETE"))
    assert codes(report) == {"redirected": "error"}
    finding = found(report, "redirected")
    assert "No 'Access-Control-Allow-Origin' header is present" in str(finding.console)
    assert f"finds none at {report.url.replace('http:', 'https:')}" in finding.fix


def test_a_redirected_preflight_says_it_all() -> None:
    report = examined(redirecting(308, "https://{host}/mcp", "GET", "POST", "DELETE", "OPTIONS"))
    assert codes(report) == {"preflight_redirected": "error", "redirected": "error"}
    assert found(report, "redirected").because == "preflight_redirected"
    assert "\n  ERROR redirected " in report.to_text()
    assert "https://" in found(report, "preflight_redirected").sentence


def test_a_preflight_that_fails_before_the_redirect() -> None:
    """Whoever mends the preflight meets the redirect next."""
    app = flask.Flask(__name__)
    app.add_url_rule("/mcp/", view_func=by_hand, methods=["POST"], provide_automatic_options=False)

    def application(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return Response()(environ, start_response)
        return app.wsgi_app(environ, start_response)

    assert codes(examined(application)) == {"cors_missing": "error", "redirected": "error"}


def test_a_login_page_is_not_the_url_to_give() -> None:
    report = examined(redirecting(302, "/login?next=/mcp", "GET", "POST", "DELETE"))
    assert codes(report) == {"login_redirect": "error"}
    assert "answer 401" in found(report, "login_redirect").fix


def test_an_event_stream_behind_a_redirect() -> None:
    app = make_app()
    app.add_url_rule("/sse/", view_func=lambda: pytest.fail("nobody follows"))
    app.add_url_rule("/sse", view_func=lambda: flask.redirect("/sse/", 308), endpoint="redirect", methods=["GET"])
    with serving_wsgi(app) as url:
        report = examine(f"{url}/sse", [ORIGIN], timeout=2)
    assert codes(report) == {"redirected": "error"}
    assert found(report, "redirected").sentence.startswith(f"GET {report.url} is redirected (308) to {report.url}/.")
    assert report.verdicts[ORIGIN, "2024-11-05"] == "cannot connect"


def test_a_stream_of_a_session_behind_a_redirect() -> None:
    class Moved(Sessions):
        def view(self) -> Any:
            return flask.redirect("/elsewhere", 307) if flask.request.method == "GET" else super().view()

    server = Moved()
    with serving_wsgi(server.app) as url:
        report = examine(f"{url}/sessions", [ORIGIN], timeout=2)
    assert codes(report) == {"redirected": "warning"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert server.open == set()


def test_a_location_that_is_no_url() -> None:
    def application(environ: Any, start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return make_app().wsgi_app(environ, start_response)
        start_response("308 PERMANENT REDIRECT", [("Location", "http://[")])
        return []

    report = examined(application)
    assert codes(report) == {"redirected": "error"}
    assert "(308) to http://[." in found(report, "redirected").sentence


def test_a_redirect_to_nowhere() -> None:
    report = examined(redirecting(302, "", "GET", "POST", "DELETE"))
    assert codes(report) == {"redirected": "error"}
    assert "(302) to no URL." in found(report, "redirected").sentence


def test_what_only_browsers_get_is_mcp() -> None:
    """Whatever ``curl`` gets: where a page connects, nobody says that no client can."""

    def layer(request: Request) -> Response | None:
        return None if "Origin" in request.headers else Response(status=404)

    report = examined(behind(layer))
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert "not_mcp" not in codes(report)


def test_an_endless_stream_that_names_no_endpoint_is_no_redirect() -> None:
    app = make_app()

    def stream() -> Iterator[str]:
        yield ": nothing\n\n"

    app.add_url_rule("/sse", view_func=lambda: flask.Response(stream(), content_type="text/event-stream"))
    with serving_wsgi(app) as url:
        report = examine(f"{url}/sse", [ORIGIN], timeout=2)
    assert set(codes(report)) == {"not_mcp"}
