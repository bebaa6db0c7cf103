"""Log lines: what was refused, and advice that adds to what is set and never takes anything away."""

import ast
import logging
import re

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from pages import APP
from pages import EVIL
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import NOBODY
from flask_mcp_cors import preflight_answered
from flask_mcp_cors import request_refused
from flask_mcp_cors.reporting import safe

OWN = "https://mcp.example.com"

FRAME_ADVICE = (
    "another site shows this URL in a frame, which X-Frame-Options: DENY leaves empty; to allow frames, set "
    "frame_options to None in security_headers"
)
PASS_ON = (
    "let it pass on Origin and Access-Control-Request-* (in CloudFront with the origin request policy AllViewer; in "
    "nginx without proxy_set_header Origin)"
)
LOST_ORIGIN = f"browsers send Origin with such a request, so a proxy or CDN in front has removed it; {PASS_ON}"
ADD_EVIL = f'set origins=["{APP}", "{EVIL}"] (MCP_CORS_ORIGINS); now {APP} (keyword)'
ADD_B = (
    'if \'b.example\' is a name of this server, set hosts=["mcp.example.com", "b.example"] (MCP_CORS_HOSTS); now '
    "mcp.example.com (keyword)"
)
B_IS_NOT_SERVED = f"this Host is not served: {ADD_B}; and then, "
HOST_REPLACED = (
    "a proxy may have replaced Host: let it pass on Host, in nginx with proxy_set_header Host $http_host; otherwise, "
)
OF_A_TEST = "no page and no server has a name in .invalid: a test sent it, such as flask mcp-cors doctor"
CALLABLE = (
    f"if this page is to be allowed, policies['/mcp'] is a callable: add \"{EVIL}\" to origins of the policy that it "
    "returns, unless it refuses on purpose"
)
LOST_SCHEME = "let the proxy send X-Forwarded-Proto, and write ProxyFix(..., x_proto=1)"
LOST_PORT = (
    "the page is on port 8080 of this host, and the Host that arrived has no port: a proxy may have dropped it; in "
    "nginx write proxy_set_header Host $http_host, and the same for X-Forwarded-Host"
)
NO_PROXY_FIX = (
    "X-Forwarded-* headers are present but ignored: if you run behind a proxy, add werkzeug's ProxyFix as the "
    "outermost layer"
)
PUBLIC_DOCUMENT = "if everybody may read this document, add {!r}: PUBLIC_METADATA to policies"

NULL_ADVICE = (
    "browsers send this origin after a redirect to another host, so give the client the final URL; a page with "
    "Referrer-Policy: no-referrer sends it with forms, so give the page another policy; pages in a sandboxed iframe or "
    "from a file send it always: the last resort is dangerously_allow_null"
)
NULL_OF_FETCH = (
    "fetch sends this origin after a redirect to another host: give the client the final URL; pages in a sandboxed "
    "iframe or from a file send it always: serve them from an origin of their own, and list that; the last resort is "
    "dangerously_allow_null"
)
NULL_OF_A_FORM = (
    "a form sends this origin from a page with Referrer-Policy: no-referrer: give the page another policy, such as "
    "strict-origin-when-cross-origin; or after a redirect to another host: let the form name the final URL; if an "
    "identity provider posts it, exempt the view with cors.exempt; forms in sandboxed iframes send it always"
)


@pytest.fixture
def app():
    app = Flask("app", static_folder=None)
    app.add_url_rule("/<path:rest>", view_func=lambda rest: "ran", methods=["GET", "POST", "DELETE"])
    return app


def refusal(caplog, app, path="/mcp", method="POST", base_url=OWN, **headers):
    """The one line that a refused request writes, after the facts in front of the advice."""
    caplog.clear()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    assert app.test_client().open(path, method=method, base_url=base_url, headers=sent).status_code in (403, 421)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return line.rpartition("host ")[2].partition(": ")[2] if "host none" not in line else line


@pytest.mark.parametrize(
    ("settings", "request_", "advice"),
    [
        pytest.param(
            {},
            {"Origin": EVIL},
            f"if this page is to be allowed, {ADD_EVIL}",
            id="origin",
        ),
        pytest.param(
            {},
            {"base_url": "https://b.example"},
            ADD_B,
            id="host",
        ),
        pytest.param(
            {},
            {"base_url": "http://mcp_backend"},
            f"{HOST_REPLACED}if 'mcp_backend' is a name of this server, "
            'set hosts=["mcp.example.com", "mcp_backend"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)',
            id="name-of-a-proxy's-upstream",
        ),
        pytest.param(
            {},
            {"base_url": "http://localhost:5000"},
            "if 'localhost' is a name of this server, "
            'set hosts=["mcp.example.com", "localhost"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)',
            id="localhost",
        ),
        pytest.param(
            {},
            {"base_url": "http://localhost:5000", "X_Forwarded_For": "::1"},
            f"{HOST_REPLACED}if 'localhost' is a name of this server, "
            'set hosts=["mcp.example.com", "localhost"] (MCP_CORS_HOSTS); now mcp.example.com (keyword); '
            f"{NO_PROXY_FIX}",
            id="localhost-as-a-proxy's-upstream",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "base_url": "https://b.example"},
            f"{B_IS_NOT_SERVED}if this page is to be allowed, {ADD_EVIL}",
            id="origin-and-host",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "base_url": "https://b.example", "path": "/oauth/jwks", "method": "GET"},
            f"{B_IS_NOT_SERVED}{PUBLIC_DOCUMENT.format('/oauth/jwks')}; if this page may call the tools, too, "
            f"{ADD_EVIL}",
            id="public-document-under-another-host",
        ),
        pytest.param({}, {"Origin": "http://localhost.foreign.invalid:5610"}, OF_A_TEST, id="page-of-the-doctor"),
        pytest.param({}, {"base_url": "https://rebound.invalid"}, OF_A_TEST, id="host-of-the-doctor"),
        pytest.param(
            {"hosts": "mcp.example.com:443"},
            {"base_url": "https://mcp.example.com:8443"},
            "if 'mcp.example.com:8443' is a name of this server, "
            'set hosts=["mcp.example.com:443", "mcp.example.com:8443"] (MCP_CORS_HOSTS); now mcp.example.com:443 '
            "(keyword)",
            id="host-on-another-port",
        ),
        pytest.param(
            {"hosts": "mcp.example.com:8443"},
            {"base_url": OWN},
            "if 'mcp.example.com' is a name of this server, "
            'set hosts=["mcp.example.com:8443", "mcp.example.com:*"] (MCP_CORS_HOSTS); now mcp.example.com:8443 '
            "(keyword)",
            id="host-without-its-port",
        ),
        pytest.param(
            {},
            {"base_url": "https://b.example", "X_Forwarded_Proto": "https"},
            f"{NO_PROXY_FIX}; otherwise, {ADD_B}",
            id="no-proxy-fix",
        ),
        pytest.param(
            {"hosts": "*"},
            {"Origin": "http://b.example", "base_url": "http://b.example"},
            "if 'b.example' is a name of this server, this is its own page: "
            'set hosts=["*", "b.example"] (MCP_CORS_HOSTS); now * (keyword)',
            id="own-page-of-an-unlisted-host",
        ),
        pytest.param(
            {},
            {"Origin": "http://0.0.0.0:5000", "base_url": "http://0.0.0.0:5000"},
            "open the server as 127.0.0.1 or localhost: 0.0.0.0 and [::] are addresses to listen on",
            id="own-page-at-the-unspecified-address",
        ),
        pytest.param(
            {},
            {"base_url": "http://0.0.0.0:5000"},
            "open the server as 127.0.0.1 or localhost: 0.0.0.0 and [::] are addresses to listen on",
            id="the-unspecified-address",
        ),
        pytest.param(
            {"hosts": None},
            {"Origin": "http://b.example", "base_url": "http://b.example"},
            "if 'b.example' is a name of this server, this is its own page: name it in hosts (MCP_CORS_HOSTS): "
            '["b.example"] and every other name of this server; now any',
            id="own-page-where-hosts-is-not-set",
        ),
        pytest.param(
            {"hosts": "*"},
            {"Origin": "https://b.example", "base_url": "http://b.example"},
            "if 'b.example' is a name of this server, this is the app's own page over https, but the request arrived "
            f"over http: {LOST_SCHEME}; and set "
            'hosts=["*", "b.example"] (MCP_CORS_HOSTS); now * (keyword)',
            id="own-page-of-an-unlisted-host-whose-scheme-was-lost",
        ),
        pytest.param(
            {},
            {"Origin": OWN, "base_url": "http://mcp.example.com"},
            f"this is the app's own page over https, but the request arrived over http: {LOST_SCHEME}",
            id="own-page-whose-scheme-was-lost",
        ),
        pytest.param(
            {},
            {"Origin": OWN, "base_url": "http://mcp.example.com", "X_Forwarded_Proto": "https"},
            f"this is the app's own page over https, but the request arrived over http: {LOST_SCHEME}; {NO_PROXY_FIX}",
            id="own-page-whose-scheme-was-sent-in-vain",
        ),
        pytest.param(
            {"hosts": "mcp.example.com:443"},
            {"Origin": OWN, "base_url": "http://mcp.example.com"},
            f"this is the app's own page over https, but the request arrived over http: {LOST_SCHEME}",
            id="own-page-of-a-host-that-is-listed-with-the-port-of-the-scheme-that-was-lost",
        ),
        pytest.param(
            {"hosts": "mcp.example.com:443"},
            {"base_url": "http://mcp.example.com", "method": "GET"},
            f"hosts has this name with the port of https, but the request arrived over http: {LOST_SCHEME}",
            id="host-with-the-port-of-a-scheme-that-was-lost",
        ),
        pytest.param(
            {"hosts": "mcp.example.com:80"},
            {"base_url": OWN, "method": "GET"},
            f"hosts has this name with the port of http, but the request arrived over https: {LOST_SCHEME}",
            id="host-with-the-port-of-plain-http",
        ),
        pytest.param(
            {},
            {"Origin": "http://mcp.example.com:8080", "base_url": "http://mcp.example.com", "X_Forwarded_For": "::1"},
            f"{LOST_PORT}; {NO_PROXY_FIX}",
            id="own-page-whose-port-was-lost",
        ),
        pytest.param(
            {},
            {"Origin": "http://mcp.example.com:8080", "base_url": "http://mcp.example.com"},
            f'{LOST_PORT}; otherwise, if this page is to be allowed, set origins=["{APP}", '
            f'"http://mcp.example.com:8080"] (MCP_CORS_ORIGINS); now {APP} (keyword)',
            id="own-page-whose-port-was-lost-or-another-server's",
        ),
        pytest.param(
            {},
            {"Origin": OWN, "base_url": "http://127.0.0.1:8000", "X_Forwarded_Host": "mcp.example.com"},
            "hosts has the name of this page, but the Host that arrived is '127.0.0.1:8000': if a proxy has changed "
            "it, let it pass on Host, in nginx with proxy_set_header Host $http_host; otherwise, if this page is to be "
            f'allowed, set origins=["{APP}", "{OWN}"] (MCP_CORS_ORIGINS); now {APP} (keyword); {NO_PROXY_FIX}',
            id="own-page-whose-host-was-changed",
        ),
        *(
            pytest.param(
                {"hosts": [host]},
                {"Origin": page, "base_url": "http://127.0.0.1:8000"},
                "hosts has the name of this page, but the Host that arrived is '127.0.0.1:8000': if a proxy has "
                "changed it, let it pass on Host, in nginx with proxy_set_header Host $http_host; otherwise, if this "
                f'page is to be allowed, set origins=["{APP}", "{page}"] (MCP_CORS_ORIGINS); now {APP} (keyword)',
                id=f"own-page-on-{host}-whose-host-was-changed",
            )
            for host, page in (("mcp.example.com:8443", f"{OWN}:8443"), ("mcp.example.com:443", OWN))
        ),
        pytest.param(
            {},
            {"Origin": "http://app.example.com:8080"},
            f"origins has {APP}, with another scheme and port; if this page is to be allowed, set "
            f'origins=["{APP}", "http://app.example.com:8080"] (MCP_CORS_ORIGINS); now {APP} (keyword)',
            id="listed-with-another-scheme-and-port",
        ),
        pytest.param(
            {"origins": ["http://localhost:*", APP]},
            {"Origin": "http://app.example.com"},
            f"origins has {APP}, with another scheme; if this page is to be allowed, set "
            f'origins=["http://localhost:*", "{APP}", "http://app.example.com"] (MCP_CORS_ORIGINS); now '
            f"http://localhost:*, {APP} (keyword)",
            id="listed-with-another-scheme-after-a-pattern",
        ),
        pytest.param(
            {"origins": "http://localhost:5173"},
            {"Origin": "http://127.0.0.1:5173"},
            "origins has http://localhost:5173, and localhost and 127.0.0.1 are different hosts; if this page is to be "
            'allowed, set origins=["http://localhost:5173", "http://127.0.0.1:5173"] (MCP_CORS_ORIGINS); now '
            "http://localhost:5173 (keyword)",
            id="listed-with-the-other-loopback-name",
        ),
        pytest.param(
            {"origins": "https://*.example.org"},
            {"Origin": "https://example.org"},
            "origins has https://*.example.org, which covers subdomains only; if this page is to be allowed, set "
            'origins=["https://*.example.org", "https://example.org"] (MCP_CORS_ORIGINS); now https://*.example.org '
            "(keyword)",
            id="listed-with-its-subdomains",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/.well-known/jwks.json", "method": "GET"},
            PUBLIC_DOCUMENT.format("/.well-known/jwks.json")
            + ', or "/.well-known/**": PUBLIC_METADATA for all of them',
            id="public-document",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/.well-known/jwks.json", "method": "HEAD"},
            PUBLIC_DOCUMENT.format("/.well-known/jwks.json")
            + ', or "/.well-known/**": PUBLIC_METADATA for all of them',
            id="head-of-a-public-document",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/oauth/jwks", "method": "OPTIONS", "Access_Control_Request_Method": "GET"},
            f"{PUBLIC_DOCUMENT.format('/oauth/jwks')}; if this page may call the tools, too, {ADD_EVIL}",
            id="public-document-elsewhere",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/static/x.css", "method": "GET"},
            f"{PUBLIC_DOCUMENT.format('/static/x.css')}; if this page may call the tools, too, {ADD_EVIL}",
            id="static-file",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/static/x.css", "method": "HEAD"},
            f"{PUBLIC_DOCUMENT.format('/static/x.css')}; if this page may call the tools, too, {ADD_EVIL}",
            id="head-of-a-static-file",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "method": "GET"},
            f"if this page is to be allowed, {ADD_EVIL}",
            id="what-is-read-and-no-document",
        ),
        pytest.param(
            {"allow_credentials": True},
            {"Origin": "http://b.example"},
            "if this page is to be allowed, serve it over https and list that origin, because allow_credentials does "
            "not permit http origins",
            id="plain-http-with-credentials",
        ),
        pytest.param(
            {"allow_credentials": True},
            {"Origin": "http://localhost:3000"},
            f'if this page is to be allowed, set origins=["{APP}", "http://localhost:3000"] (MCP_CORS_ORIGINS); now '
            f"{APP} (keyword)",
            id="loopback-with-credentials",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/.well-known/mcp"},
            f"if this page is to be allowed, {ADD_EVIL}",
            id="no-document",
        ),
        pytest.param({}, {"Origin": "null"}, NULL_ADVICE, id="null"),
        pytest.param({}, {"Origin": "null", "Sec_Fetch_Mode": "cors"}, NULL_OF_FETCH, id="null-of-fetch"),
        pytest.param(
            {},
            {"Origin": "null", "method": "OPTIONS", "Access_Control_Request_Method": "POST"},
            NULL_OF_FETCH,
            id="null-of-a-preflight",
        ),
        pytest.param({}, {"Origin": "null", "Sec_Fetch_Mode": "navigate"}, NULL_OF_A_FORM, id="null-of-a-form"),
        pytest.param(
            {},
            {"Origin": "null", "Content_Type": "multipart/form-data; boundary=x", "base_url": "http://mcp.example.com"},
            NULL_OF_A_FORM,
            id="null-of-a-form-over-http",
        ),
        pytest.param({}, {"Origin": "null", "Content_Type": "text/plain"}, NULL_OF_A_FORM, id="null-of-a-plain-form"),
        pytest.param(
            {},
            {"Origin": "file://"},
            "pages that were opened from a file send this origin, in Electron and in a WebView too: serve the page "
            "from a server, or under a scheme of its own, and list that origin",
            id="file",
        ),
        pytest.param(
            {},
            {"Origin": "null", "Sec_Fetch_Site": "same-origin", "base_url": "http://b.example"},
            "a page of this app with Referrer-Policy: no-referrer sends this origin; give the page another policy, "
            "such as strict-origin-when-cross-origin",
            id="null-of-the-apps-own-page",
        ),
        pytest.param({}, {"Origin": "a"}, "no browser sends such an Origin", id="malformed"),
        pytest.param(
            {},
            {"Origin": f"{APP}, {APP}"},
            "Origin arrived twice: remove what adds it again in the client or the proxy",
            id="repeated",
        ),
        pytest.param(
            {},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "method": "GET"},
            'another site embeds this URL; a page that may read it asks with fetch and mode "cors"',
            id="image",
        ),
        pytest.param(
            {},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "method": "HEAD"},
            'another site embeds this URL; a page that may read it asks with fetch and mode "cors"',
            id="head-of-an-image",
        ),
        pytest.param(
            {}, {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors", "method": "GET"}, LOST_ORIGIN, id="lost"
        ),
        pytest.param(
            {}, {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, LOST_ORIGIN, id="lost-by-a-form"
        ),
        pytest.param(
            {},
            {
                "Sec_Fetch_Site": "cross-site",
                "Sec_Fetch_Mode": "navigate",
                "Sec_Fetch_Dest": "iframe",
                "method": "GET",
            },
            FRAME_ADVICE,
            id="frame",
        ),
        pytest.param(
            {"policies": {"/mcp": {"max_age": 5}}},
            {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe", "method": "GET"},
            f"{FRAME_ADVICE} of policies['/mcp']",
            id="frame-of-a-path",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: None}},
            {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe", "method": "GET"},
            f"{FRAME_ADVICE} of policies['/mcp']",
            id="frame-of-a-callable",
        ),
        pytest.param(
            {"policies": {"/mcp": {"origins": "https://t.example"}}},
            {"Origin": EVIL},
            f'if this page is to be allowed, in policies[\'/mcp\'] set origins=["https://t.example", "{EVIL}"]',
            id="policy-of-a-path",
        ),
        pytest.param(
            {"policies": {"/caf\xe9": {"origins": "https://t.example"}}},
            {"Origin": EVIL, "path": "/caf\xe9"},
            f'if this page is to be allowed, in policies[\'/caf\\xe9\'] set origins=["https://t.example", "{EVIL}"]',
            id="policy-of-a-path-that-is-not-ascii",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: CORSPolicy(origins=APP)}},
            {"Origin": EVIL},
            CALLABLE,
            id="callable",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: CORSPolicy(origins=APP)}},
            {"Origin": EVIL, "base_url": "https://b.example"},
            f"{B_IS_NOT_SERVED}{CALLABLE}",
            id="callable-for-a-host-that-is-not-served",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: CORSPolicy(origins=APP)}},
            {"Origin": EVIL, "base_url": "http://127.0.0.1:5608", "X_Forwarded_For": "::1"},
            f"{HOST_REPLACED}{CALLABLE}; {NO_PROXY_FIX}",
            id="callable-at-a-proxy's-upstream",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: CORSPolicy(origins=APP)}},
            {"Origin": EVIL, "base_url": "http://127.0.0.1:5608"},
            CALLABLE,
            id="callable-at-an-address",
        ),
        pytest.param(
            {"origins": lambda origin: False},
            {"Origin": EVIL},
            "if this page is to be allowed, change the callable in origins of the default policy, so that it "
            f'accepts "{EVIL}"',
            id="origins-callable",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: 1 / 0}},
            {},
            "see the traceback of policies['/mcp']; to refuse without one, return flask_mcp_cors.NOBODY",
            id="callable-that-failed",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: 1 / 0}},
            {"base_url": "https://b.example"},
            f"{B_IS_NOT_SERVED}see the traceback of policies['/mcp']; to refuse without one, return "
            "flask_mcp_cors.NOBODY",
            id="callable-that-failed-for-a-host-that-is-not-served",
        ),
    ],
)
@pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "middleware"])
def test_advice(app, caplog, door, settings, request_, advice):
    settings = {"origins": APP, "hosts": "mcp.example.com", **settings}
    settings = {word: value for word, value in settings.items() if value is not None}
    if door == "middleware":
        app.wsgi_app = CORSMiddleware(app.wsgi_app, **settings)
    else:
        MCPCors(app, wrap_wsgi=door == "wrap_wsgi", **settings)
    caplog.set_level(logging.WARNING, logger="flask_mcp_cors")
    caplog.clear()
    line = refusal_after_traceback(caplog, app, request_)
    assert line == advice


def refusal_after_traceback(caplog, app, request_):
    """As :func:`refusal`; a callable that fails writes its traceback first, with another level."""
    request_ = {"path": "/mcp", "method": "POST", "base_url": OWN, **request_}
    headers = {name.replace("_", "-"): v for name, v in request_.items() if name[0].isupper()}
    client, path = app.test_client(), request_["path"]
    response = client.open(path, method=request_["method"], base_url=request_["base_url"], headers=headers)
    assert response.status_code in (403, 421)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith("refused: ")
    return re.sub(r"^refused: \w+: '\w+' '[^']+', origin (?:none|'[^']*'), host '[^']*': ", "", line)


def test_a_mark_is_named_in_the_advice(app, caplog):
    cors = MCPCors(app, origins=APP, hosts="mcp.example.com")

    @app.post("/marked")
    @cors.policy(origins="https://t.example")
    def marked():
        return "ran"

    line = refusal(caplog, app, "/marked", Origin=EVIL)
    assert line.endswith(f'marked set origins=["https://t.example", "{EVIL}"]')
    assert "in the mark on" in line


def test_origins_for_an_app_without_settings_come_with_its_hosts(caplog):
    """Alone, they would have any Host served."""
    app = Flask("app")
    MCPCors(app)
    app.add_url_rule("/mcp", "mcp", lambda: "ran", methods=["POST"])
    line = refusal(caplog, app, base_url="http://127.0.0.1", Origin=EVIL)
    listed = ", ".join(f'"{pattern}"' for pattern in LOOPBACK)
    assert line == (
        f'if this page is to be allowed, set origins=[{listed}, "{EVIL}"] (MCP_CORS_ORIGINS); now '
        f"{', '.join(LOOPBACK)} (default); to keep the served hosts unchanged, also set "
        'hosts=["localhost", "127.0.0.1", "[::1]"]'
    )
    found = re.findall(r'set (origins|hosts)=(\[".*?"\])', line)
    pasted = Flask("app")
    MCPCors(pasted, **{word: ast.literal_eval(value) for word, value in found})
    assert pasted.test_client().get("/", base_url="http://evil.example").status_code == 421


@pytest.mark.parametrize("settings", [{"origins": APP}, {"hosts": "localhost"}], ids=["origins", "hosts"])
def test_where_origins_or_hosts_are_set_no_hosts_come_with_new_origins(caplog, settings):
    app = Flask("app", static_folder=None)
    MCPCors(app, **settings)
    line = refusal(caplog, app, base_url="http://localhost", Origin=EVIL)
    assert f'"{EVIL}"] (MCP_CORS_ORIGINS); now ' in line
    assert "also set hosts" not in line


def test_a_config_key_is_named_as_the_place_where_the_list_was_set(app, caplog):
    app.config["MCP_CORS_HOSTS"] = "a.example, b.example"
    MCPCors(app, origins=APP)
    line = refusal(caplog, app, base_url="https://c.example")
    assert line == (
        "if 'c.example' is a name of this server, "
        'set hosts=["a.example", "b.example", "c.example"] (MCP_CORS_HOSTS); now a.example, b.example (MCP_CORS_HOSTS)'
    )


def test_trusted_hosts_are_added_to_where_they_are(app, caplog):
    app.config["TRUSTED_HOSTS"] = ["mcp.example.com"]
    MCPCors(app, origins=APP)
    assert app.extensions["mcp_cors"].configured.source("hosts") == "TRUSTED_HOSTS"
    line = refusal(caplog, app, base_url="https://b.example")
    assert line == "if 'b.example' is a name of this server, add \"b.example\" to TRUSTED_HOSTS in app.config"


@pytest.mark.parametrize(("listed", "asked"), [(16, 1), (17, 1), (16, 8), (16, 9), (0, 24), (0, 25)])
def test_a_long_list_is_not_written_out(app, caplog, listed, asked):
    app.debug = True
    there, new = [f"x-t{number}" for number in range(listed)], [f"x-n{number}" for number in range(asked)]
    MCPCors(app, origins=APP, hosts="mcp.example.com", extra_allow_headers=there)
    caplog.clear()
    headers = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ",".join(new)}
    app.test_client().options("/mcp", base_url=OWN, headers=headers)
    quoted = [f'"{name}"' for name in (*there, *new)]
    if listed <= 16 and listed + asked <= 24:
        expected = f"set extra_allow_headers=[{', '.join(quoted)}]"
    else:
        expected = f"add {', '.join(quoted[listed:])} to extra_allow_headers, which has {listed} entries"
    assert f": {expected} (MCP_CORS_EXTRA_ALLOW_HEADERS); now " in caplog.messages[-1]


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, ", ...")])
def test_of_the_list_in_force_eight_are_named(app, caplog, count, more):
    hosts = [f"a{number}.example" for number in range(count)]
    MCPCors(app, origins=APP, hosts=hosts)
    line = refusal(caplog, app, base_url="https://b.example")
    assert line.endswith(f" (MCP_CORS_HOSTS); now {', '.join(hosts[:8])}{more} (keyword)")


@pytest.mark.parametrize(("place", "said"), [(0, True), (49, True), (50, False)])
def test_of_a_long_list_the_start_is_compared(app, caplog, place, said):
    """A refused request must not cost more, the longer the list is."""
    origins = [f"https://a{number}.example.com" for number in range(60)]
    origins[place] = "https://near.example"
    MCPCors(app, origins=origins, hosts="mcp.example.com")
    line = refusal(caplog, app, Origin="http://near.example")
    assert ("origins has https://near.example, with another scheme" in line) is said


def test_proxy_fix_that_leaves_the_host_out_is_named(app, caplog):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    line = refusal(caplog, app, base_url="http://backend:8000", X_Forwarded_Host="mcp.example.com")
    assert line.endswith(
        "; X-Forwarded-Host is present but ignored: if your proxy sets it, write ProxyFix(..., x_host=1)"
    )
    line = refusal(caplog, app, base_url="http://backend:8000", X_Forwarded_Proto="https")
    assert line == (
        f"{HOST_REPLACED}if 'backend' is a name of this server, "
        'set hosts=["mcp.example.com", "backend"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)'
    )
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)
    line = refusal(caplog, app, base_url="http://backend:8000", X_Forwarded_Host="other.example")
    assert "ignored" not in line


@pytest.mark.parametrize("host", ["backend", "127.0.0.1:5608"])
def test_a_host_that_a_proxy_has_replaced_comes_before_the_policy_of_a_gateway(app, caplog, host):
    """Behind ProxyFix too: the callable chose the policy of tenant 127."""
    hosts = ["red.example.com", "backend"]
    MCPCors(app, origins=APP, hosts=hosts, policies={"/mcp": lambda request: CORSPolicy(origins=APP)})
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)
    line = refusal(caplog, app, base_url=f"http://{host}", Origin=EVIL, X_Forwarded_Proto="https")
    assert line == f"{HOST_REPLACED}{CALLABLE}"


def test_a_stranger_under_a_name_of_his_own_gets_no_host_listed_without_a_condition(app, caplog):
    """As with DNS rebinding, or from a scanner."""
    MCPCors(app, origins=APP, hosts="mcp.example.com")
    line = refusal(caplog, app, base_url="http://evil.example", Origin=EVIL)
    assert line == (
        "if 'evil.example' is a name of this server, this is the app's own page over https, but the request arrived "
        f'over http: {LOST_SCHEME}; and set hosts=["mcp.example.com", "evil.example"] (MCP_CORS_HOSTS); now '
        "mcp.example.com (keyword)"
    )


@pytest.mark.parametrize(
    ("sent", "host", "ignored"),
    [
        ("a.example,b.example", "b.example", False),
        ("a.example, b.example", "b.example", False),
        ("a.example", "backend.example", True),
    ],
    ids=["the-last", "the-last-after-a-space", "left-out"],
)
def test_behind_proxy_fix_a_host_that_was_sent_on_is_not_ignored(app, caplog, sent, host, ignored):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=0 if ignored else 1)
    line = refusal(caplog, app, base_url="http://backend.example", X_Forwarded_Host=sent)
    hint = "X-Forwarded-Host is present but ignored: if your proxy sets it, write ProxyFix(..., x_host=1); otherwise, "
    assert line == (
        f"{hint if ignored else ''}if '{host}' is a name of this server, "
        f'set hosts=["mcp.example.com", "{host}"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)'
    )


def test_behind_proxy_fix_a_name_without_a_dot_may_be_the_public_one(app, caplog):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    line = refusal(caplog, app, base_url="http://backend")
    assert line == (
        f"{HOST_REPLACED}if 'backend' is a name of this server, "
        'set hosts=["mcp.example.com", "backend"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)'
    )


@pytest.mark.parametrize(("host", "reason"), [(None, "missing"), ("a b", "malformed")])
def test_a_host_that_no_client_sends(caplog, host, reason):
    layer = CORSMiddleware(Flask("app"), origins=APP, hosts="mcp.example.com")
    caplog.clear()
    environ = EnvironBuilder("/mcp").get_environ()
    del environ["HTTP_HOST"]
    assert run_wsgi_app(layer, environ if host is None else {**environ, "HTTP_HOST": host})[1][:3] == "421"
    said = "none" if host is None else f"'{host}'"
    assert caplog.messages == [
        f"refused: host_{reason}: 'GET' '/mcp', origin none, host {said}: the Host header is missing or "
        "malformed; no browser sends such a request"
    ]


@pytest.mark.parametrize("validate_origin", [True, "report"])
@pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "middleware"])
def test_the_line_of_a_foreign_request(app, caplog, validate_origin, door):
    settings = {"origins": APP, "hosts": "mcp.example.com", "validate_origin": validate_origin}
    if door == "middleware":
        app.wsgi_app = CORSMiddleware(app.wsgi_app, **settings)
    else:
        MCPCors(app, wrap_wsgi=door == "wrap_wsgi", **settings)
    caplog.clear()
    app.test_client().post("/mcp", base_url=OWN, headers={"Origin": EVIL})
    start = "would have been refused" if validate_origin == "report" else "refused"
    assert caplog.messages == [
        f"{start}: origin_not_allowed: 'POST' '/mcp', origin '{EVIL}', host 'mcp.example.com': if this page is to be "
        f"allowed, {ADD_EVIL}"
    ]


@pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "middleware"])
def test_what_the_signals_say(app, door):
    settings = {"origins": APP, "hosts": "mcp.example.com"}
    sender = app
    if door == "middleware":
        sender = app.wsgi_app = CORSMiddleware(app.wsgi_app, **settings)
    else:
        MCPCors(app, wrap_wsgi=door == "wrap_wsgi", **settings)
    heard = []

    def hear(sender, **said):
        heard.append((sender, said.pop("decision").reason.value, said))

    client = app.test_client()
    with preflight_answered.connected_to(hear), request_refused.connected_to(hear):
        asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        client.options("/mcp", base_url=OWN, headers=asked)
        client.post("/mcp", base_url=OWN, headers={"Origin": EVIL})
        client.post("/mcp", base_url=OWN, headers={"Origin": APP})
    assert heard == [
        (sender, "preflight_allowed", {"path": "/mcp", "origin": APP, "host": "mcp.example.com"}),
        (sender, "origin_not_allowed", {"path": "/mcp", "origin": EVIL, "host": "mcp.example.com"}),
    ]


@pytest.mark.parametrize("site", [None, "cross-site"])
@pytest.mark.parametrize("wrap", [False, True])
def test_options_that_has_lost_its_announced_method_is_logged_once(app, caplog, wrap, site):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=wrap)
    caplog.clear()
    headers = {"Origin": APP, "Sec-Fetch-Mode": "cors", **({"Sec-Fetch-Site": site} if site else {})}
    for _ in range(3):
        app.test_client().options("/mcp", base_url=OWN, headers=headers)
    assert caplog.messages == [
        "OPTIONS '/mcp' from a page has no Access-Control-Request-Method: unless the page itself called OPTIONS, a "
        f"proxy or CDN in front has removed the header; {PASS_ON}"
    ]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Mode": "no-cors"}, {"Sec-Fetch-Mode": "cors", "Access-Control-Request-Method": "POST"}],
    ids=["of-no-browser", "no-cors", "preflight"],
)
def test_no_other_options_request_has_lost_its_announced_method(app, caplog, headers):
    MCPCors(app, origins=APP, hosts="mcp.example.com")
    caplog.clear()
    app.test_client().options("/mcp", base_url=OWN, headers={"Origin": APP, **headers})
    assert caplog.messages == []


@pytest.mark.parametrize("wrap", [False, True])
def test_a_preflight_that_has_lost_both_headers_is_one_line(app, caplog, wrap):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=wrap)
    caplog.clear()
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
    assert app.test_client().options("/mcp", base_url=OWN, headers=headers).status_code == 403
    (line,) = caplog.messages
    assert line == f"refused: cross_site: 'OPTIONS' '/mcp', origin none, host 'mcp.example.com': {LOST_ORIGIN}"


MANY = ",".join(f"mcp-param-{number}" for number in range(65))
METHODS = '"GET", "POST", "DELETE", "OPTIONS"'


@pytest.mark.parametrize(
    ("method", "headers", "says"),
    [
        pytest.param(
            "PATCH",
            "x-foo",
            f"method 'PATCH' is not allowed: set allow_methods=[{METHODS}, \"PATCH\"] (MCP_CORS_ALLOW_METHODS); now "
            "GET, POST, DELETE, OPTIONS (default)",
            id="method-and-header",
        ),
        pytest.param(
            "",
            "",
            f"method '' is not allowed: set allow_methods=[{METHODS}, \"\"] (MCP_CORS_ALLOW_METHODS); now GET, POST, "
            "DELETE, OPTIONS (default)",
            id="no-method",
        ),
        pytest.param(
            "POST",
            "x-foo,x-bar",
            "not allowed: 'x-foo', 'x-bar': set extra_allow_headers=[\"x-foo\", \"x-bar\"] "
            "(MCP_CORS_EXTRA_ALLOW_HEADERS); now empty (default)",
            id="headers",
        ),
        pytest.param(
            "POST",
            "x" * 300,
            f"not allowed: '{'x' * 200}': set extra_allow_headers=[\"{'x' * 200}\"] (MCP_CORS_EXTRA_ALLOW_HEADERS); "
            "now empty (default)",
            id="a-long-name",
        ),
        pytest.param("POST", MANY, "it asks for more than 64 header names, or more than 4 KiB of them", id="65"),
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_in_debug_mode_a_preflight_that_will_fail_is_one_line(app, caplog, debug, method, headers, says):
    app.debug = debug
    MCPCors(app, origins=APP, hosts="mcp.example.com")
    caplog.clear()
    asked = {"Origin": APP, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    app.test_client().options("/mcp", base_url=OWN, headers=asked)
    assert caplog.messages == ([f"preflight for '/mcp' from '{APP}' will fail: {says}"] if debug else [])


def test_the_middleware_has_no_debug_mode(caplog):
    layer = CORSMiddleware(Flask("app"), origins=APP, hosts="mcp.example.com")
    caplog.clear()
    asked = {"Origin": APP, "Access-Control-Request-Method": "PATCH"}
    assert Client(layer).options("/mcp", base_url=OWN, headers=asked).status_code == 200
    assert caplog.messages == []


def test_a_method_in_lower_case_is_to_be_written_in_upper_case(app, caplog):
    app.debug = True
    MCPCors(app, origins=APP, hosts="mcp.example.com", allow_methods=["PATCH"])
    asked = {"Origin": APP, "Access-Control-Request-Method": "patch"}
    app.test_client().options("/mcp", base_url=OWN, headers=asked)
    assert caplog.messages[-1] == (
        "preflight for '/mcp' from 'https://app.example.com' will fail: no server accepts the method 'patch': write it "
        "in upper case in the page, as fetch(url, {method: 'PATCH'}); browsers do not change it"
    )


def test_NOBODY_refuses_every_origin_without_a_traceback(app, caplog):
    MCPCors(app, origins=APP, hosts="mcp.example.com", policies={"/t/**": lambda request: NOBODY})
    caplog.clear()
    assert app.test_client().post("/t/x", base_url=OWN, headers={"Origin": APP}).status_code == 403
    assert [record.exc_info for record in caplog.records] == [None]


def test_outside_governed_paths_the_answer_to_a_refused_host_is_plain_text(app):
    MCPCors(app, origins=APP, hosts="mcp.example.com", paths="/mcp")
    answer = app.test_client().get("/page", base_url="https://other.example")
    assert (answer.status_code, answer.mimetype) == (421, "text/plain")
    assert answer.text == "Invalid Host header: this host is not served here."
    assert app.test_client().get("/mcp", base_url="https://other.example").mimetype == "application/json"


# The property: pasting the line takes nothing away

LISTS = {
    "origins": st.lists(st.sampled_from([APP, "https://*.example.org", "http://localhost:*"]), min_size=1, unique=True),
    "extra_allow_headers": st.lists(st.sampled_from(["X-A", "X-Tenant", "X-B-*"]), unique=True),
    "allow_methods": st.lists(st.sampled_from(["GET", "PUT", "DELETE"]), min_size=1, unique=True),
}
SECURITY = st.just({"content_security_policy": "default-src 'self'", "other": {"X-Robots-Tag": "none"}})
POLICY = st.fixed_dictionaries({}, optional=LISTS | {"security_headers": SECURITY})
HOSTS = st.lists(st.sampled_from(["mcp.example.com", "*.example.net", "localhost:8000", "*"]), min_size=1, unique=True)
SAMPLES = [APP, "https://a.example.org", "http://localhost:3000", *(pattern.replace("*", "1") for pattern in LOOPBACK)]
HOST_SAMPLES = ["mcp.example.com", "a.example.net", "localhost:8000", *LOOPBACK_HOSTS, "x.example"]
NAMES = "authorization,mcp-session-id,x-a,x-tenant,x-b-c,x-new"


def served(app):
    hosts = app.extensions["mcp_cors"].site.hosts
    return {("host", host) for host in HOST_SAMPLES if hosts.fault(host, "http") is None}


def allowed(app):
    """Everything that the settings of an app allow, of the samples; and the security headers."""
    site = app.extensions["mcp_cors"].site
    found = set(served(app))
    for path in ("/mcp", "/t/x"):
        policy = site.choose(path, "POST").policy
        found |= {(path, origin) for origin in SAMPLES if policy.actual(origin).allowed}
        any_origin = policy.replace(origins="*")
        found |= {(path, method) for method in ("PUT", "DELETE", "PATCH") if any_origin.preflight(APP, method).allowed}
        found |= {(path, name) for name in NAMES.split(",") if any_origin.preflight(APP, "POST", name).allowed}
        found |= {(path, pair) for pair in policy.security_headers.to_headers() if pair[0] != "X-Frame-Options"}
    return found


@settings(deadline=None, max_examples=50)
@given(POLICY, POLICY, st.none() | HOSTS, st.sampled_from(["keyword", "config"]))
def test_pasted_advice_never_removes_what_was_allowed(default, below, hosts, place):
    written = {**default, "policies": {"/t/*": below}} | ({} if hosts is None else {"hosts": hosts})

    def app_with(settings):
        app = Flask("app", static_folder=None)
        app.debug = True
        if place == "config":
            app.config.update({f"MCP_CORS_{word.upper()}": value for word, value in settings.items()})
        MCPCors(app, **({} if place == "config" else settings))
        app.add_url_rule("/mcp", "mcp", lambda: "ran", methods=["POST"])
        app.add_url_rule("/t/<name>", "t", lambda name: "ran", methods=["POST"])
        return app

    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    log = logging.getLogger("flask_mcp_cors")
    app = app_with(written)
    before = allowed(app)
    log.addHandler(handler)
    try:
        client = Client(app)
        for path in ("/mcp", "/t/x"):
            client.post(path, base_url="http://127.0.0.1", headers={"Origin": EVIL})
            client.post(path, base_url="http://new.example")
            client.post(path, base_url="http://new.example", headers={"Origin": "http://new.example"})
            client.post(path, base_url="http://new.example", headers={"Origin": EVIL})
            for origin in SAMPLES:
                asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
                client.options(path, base_url="http://127.0.0.1", headers=asked)
                asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
                asked["Access-Control-Request-Headers"] = NAMES
                client.options(path, base_url="http://127.0.0.1", headers=asked)
    finally:
        log.removeHandler(handler)
    log_text = "\n".join(records)
    for origins, hosts in re.findall(
        r"set origins=(\[\".*?\"\]).*serve no other Host than now, set hosts=(\[.*\])", log_text
    ):
        both = {"origins": ast.literal_eval(origins), "hosts": ast.literal_eval(hosts)}
        assert served(app_with(written | both)) == served(app)
    advice = r"(in policies\['/t/\*'\] )?set (\w+)=(\[\".*?\"\])"
    pasted = set(re.findall(advice, log_text))
    assert {"origins", "extra_allow_headers", "allow_methods"} <= {word for _, word, _ in pasted}
    for where, word, value in pasted:
        new = {word: ast.literal_eval(value)}
        changed = written | ({"policies": {"/t/*": below | new}} if where else new)
        assert before <= allowed(app_with(changed)), (where, word, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "none"), ("a" * 200, f"'{'a' * 200}'"), ("a" * 201, f"'{'a' * 200}'..."), ("\x1b", r"'\x1b'")],
)
def test_a_value_is_cut_at_200_characters(value, expected):
    assert safe(value) == expected
