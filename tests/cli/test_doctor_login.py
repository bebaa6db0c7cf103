"""From a 401 to the authorization server."""

from __future__ import annotations

import json
import time
from typing import Any

import flask
import pytest
from faulty_servers import behind
from faulty_servers import codes
from faulty_servers import examined
from faulty_servers import TOKEN
from foreign_servers import by_hand
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from werkzeug.wrappers import Response

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report


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
        "authorization_endpoint": f"{url}/authorize",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint": f"{url}/token",
        "response_types_supported": ["code"],
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
    assert set(codes(report)) <= {"foreign_origin_unknown", "foreign_host_unknown", "pkce_missing"}
    assert report.is_healthy
    assert report.verdicts[ORIGIN, "2025-11-25"] == "log in first"
    said = "; ".join(what for works in report.works.values() for what in works)
    for step in ("can read the 401", "can read WWW-Authenticate", "pages can call its token endpoint", "can register"):
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
    """Without a token no client gets in. With one it does."""
    assert codes(logged_in(protected(), login=False))["discovery_missing"] == "error"
    assert codes(logged_in(protected(), login=False, token=TOKEN))["discovery_missing"] == "note"


def test_an_authorization_server_where_clients_of_2025_03_26_look() -> None:
    app = protected()
    with serving_wsgi(app) as url:
        document = {"issuer": url, "authorization_endpoint": f"{url}/a", "token_endpoint": f"{url}/t"}
        app.add_url_rule("/.well-known/oauth-authorization-server", "metadata", lambda: document)
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    assert codes(report)["discovery_missing"] == "note"
    assert "clients of 2025-03-26" in str(report.works)


def test_an_authorization_server_that_pages_cannot_use() -> None:
    app = protected(policies={"/token": None, "/register": None})
    assert codes(logged_in(app))["cors_missing"] == "error"


def unchecked(report: Report) -> list[str]:
    found = [finding for finding in report.findings if finding.code == "authorization_server_unchecked"]
    assert all(finding.severity == "warning" for finding in found)
    return [finding.sentence for finding in found]


def test_an_authorization_server_that_cannot_be_reached_from_here() -> None:
    """A browser may reach what this machine does not."""
    app = protected()
    with serving_wsgi(app) as url:
        servers = ["https://login.invalid/tenant"]
        app.extensions["cors"].serve_resource_metadata(app, resource=f"{url}/mcp", authorization_servers=servers)
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    [sentence] = unchecked(report)
    assert "could not be checked" in sentence
    assert "https://login.invalid/.well-known/oauth-authorization-server/tenant does not resolve" in sentence
    assert set(codes(report)) <= {"authorization_server_unchecked", "foreign_origin_unknown"}
    assert report.is_healthy


def test_its_endpoints_that_cannot_be_reached_from_here() -> None:
    app = protected()
    endpoints = {
        "token_endpoint": "https://tokens.invalid/token",
        "registration_endpoint": "https://tokens.invalid/register",
    }
    with serving_wsgi(app) as url:
        with_login(app, url, **endpoints)
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    for endpoint, sentence in zip(endpoints.values(), unchecked(report), strict=True):
        assert endpoint in sentence
    assert report.is_healthy


def test_metadata_elsewhere_that_cannot_be_reached_from_here() -> None:
    challenge = 'Bearer resource_metadata="https://metadata.invalid/resource"'
    refusal = Response(status=401, headers={"WWW-Authenticate": challenge})
    report = examined(CORSMiddleware(refusal, origins=ORIGIN, hosts=LOOPBACK_HOSTS))
    assert "metadata.invalid" in next(f.sentence for f in report.findings if f.code == "resource_metadata_unchecked")
    assert report.is_healthy


def test_metadata_of_the_server_itself_that_does_not_come() -> None:
    """The server is within reach, so this is no matter of where the doctor runs."""
    app = protected()
    app.add_url_rule("/.well-known/oauth-protected-resource/mcp", "slow", lambda: time.sleep(1) or "")
    with serving_wsgi(app) as url:
        report = examine(f"{url}/mcp", [ORIGIN], timeout=0.4)
    assert codes(report)["resource_metadata_unchecked"] == "error"


def test_metadata_behind_a_redirect() -> None:
    """Clients do not follow, and the place is not theirs to choose."""
    app = protected()
    place = "/.well-known/oauth-protected-resource/mcp"
    app.add_url_rule(place, "moved", lambda: flask.redirect("/elsewhere", 302))
    with serving_wsgi(app) as url:
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    [finding] = [finding for finding in report.findings if finding.code == "redirected"]
    assert finding.severity == "error"
    assert finding.fix.startswith(f"answer at {url}{place} without a redirect")


def test_an_authorization_server_without_https() -> None:
    app = protected()
    with serving_wsgi(app) as url:
        servers = ["http://login.invalid"]
        document = {"resource": f"{url}/mcp", "authorization_servers": servers}
        app.add_url_rule("/.well-known/oauth-protected-resource/mcp", "document", lambda: document)
        report = examine(f"{url}/mcp", [ORIGIN], timeout=3)
    assert codes(report)["barred"] == "error"
    assert "Mixed Content: " in str(next(finding.console for finding in report.findings if finding.code == "barred"))


def test_discovery_that_pages_cannot_read() -> None:
    app = protected(policies={"/.well-known/oauth-authorization-server/**": None})
    found = codes(logged_in(app))
    assert found["authorization_server_hidden"] == "error"


def test_discovery_without_the_header_of_mcp() -> None:
    """Clients ask again without it, so it is no more than a note."""
    narrow = {"origins": "*", "allow_methods": "GET", "allow_headers": ["Accept"]}
    report = logged_in(protected(policies={"/.well-known/oauth-authorization-server/**": narrow}))
    assert codes(report)["document_preflight"] == "note"
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
