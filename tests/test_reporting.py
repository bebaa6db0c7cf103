"""Log lines: what was refused, and advice that adds to what is set and never takes anything away."""

import json
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

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import NOBODY
from flask_mcp_cors.reporting import safe

OWN = "https://mcp.example.com"

FRAME_ADVICE = (
    "another site shows this URL in a frame, which X-Frame-Options: DENY leaves empty; "
    'to allow frames set security_headers={"frame_options": None}'
)
LOST_ORIGIN = (
    "browsers send Origin with such a request, so a proxy or CDN in front has removed it; "
    "let it pass Origin and Access-Control-Request-* on"
)
NULL_ADVICE = (
    "browsers send this origin after a redirect to another host, so give the client the final URL; a page with "
    "Referrer-Policy: no-referrer sends it with forms; sandboxed iframes and local files send it always: "
    "see dangerously_allow_null"
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
            f'if this page is to be allowed, set origins=["{APP}", "{EVIL}"] (MCP_CORS_ORIGINS); now {APP} (keyword)',
            id="origin",
        ),
        pytest.param(
            {},
            {"base_url": "https://b.example"},
            'set hosts=["mcp.example.com", "b.example"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)',
            id="host",
        ),
        pytest.param(
            {"hosts": "mcp.example.com:443"},
            {"base_url": "https://mcp.example.com:8443"},
            'set hosts=["mcp.example.com:443", "mcp.example.com:8443"] (MCP_CORS_HOSTS); now mcp.example.com:443 '
            "(keyword)",
            id="host-on-another-port",
        ),
        pytest.param(
            {},
            {"base_url": "https://b.example", "X_Forwarded_Proto": "https"},
            'set hosts=["mcp.example.com", "b.example"] (MCP_CORS_HOSTS); now mcp.example.com (keyword); X-Forwarded-* '
            "headers are present but ignored: if you run behind a proxy, add werkzeug's ProxyFix",
            id="no-proxy-fix",
        ),
        pytest.param(
            {"hosts": "*"},
            {"Origin": "https://b.example", "base_url": "http://b.example"},
            'if this is the app\'s own page, set hosts=["*", "b.example"] (MCP_CORS_HOSTS); now * (keyword)',
            id="own-page-of-an-unlisted-host",
        ),
        pytest.param(
            {},
            {"Origin": OWN, "base_url": "http://mcp.example.com"},
            "this is the app's own page over https, but the request arrived over http: let the proxy send "
            "X-Forwarded-Proto, and write ProxyFix(..., x_proto=1)",
            id="own-page-whose-scheme-was-lost",
        ),
        pytest.param(
            {},
            {"Origin": "http://mcp.example.com:8080", "base_url": "http://mcp.example.com", "X_Forwarded_For": "::1"},
            "the page is on port 8080 of this host, and the Host that arrived has no port: a proxy may have dropped "
            "it; in nginx write proxy_set_header Host $http_host, and the same for X-Forwarded-Host; X-Forwarded-* "
            "headers are present but ignored: if you run behind a proxy, add werkzeug's ProxyFix",
            id="own-page-whose-port-was-lost",
        ),
        pytest.param(
            {},
            {"Origin": EVIL, "path": "/.well-known/jwks.json", "method": "GET"},
            "if everybody may read this document, add '/.well-known/jwks.json': PUBLIC_METADATA to policies, "
            'or "/.well-known/**": PUBLIC_METADATA for all of them',
            id="public-document",
        ),
        pytest.param({}, {"Origin": "null"}, NULL_ADVICE, id="null"),
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
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "method": "GET"},
            'another site embeds this URL; a page that may read it asks with fetch and mode "cors"',
            id="image",
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
            {"policies": {"/mcp": {"origins": "https://t.example"}}},
            {"Origin": EVIL},
            f'if this page is to be allowed, in policies[\'/mcp\'] set origins=["https://t.example", "{EVIL}"]',
            id="policy-of-a-path",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: CORSPolicy(origins=APP)}},
            {"Origin": EVIL},
            f"if this page is to be allowed, policies['/mcp'] is a callable: let the policy that it returns have "
            f'"{EVIL}" in origins',
            id="callable",
        ),
        pytest.param(
            {"origins": lambda origin: False},
            {"Origin": EVIL},
            f'if this page is to be allowed, let the callable in origins of the default policy accept "{EVIL}"',
            id="origins-callable",
        ),
        pytest.param(
            {"policies": {"/mcp": lambda request: 1 / 0}},
            {},
            "see the traceback of policies['/mcp']; to refuse without one, return flask_mcp_cors.NOBODY",
            id="callable-that-failed",
        ),
    ],
)
@pytest.mark.parametrize("door", ["hooks", "wrap_wsgi", "middleware"])
def test_advice(app, caplog, door, settings, request_, advice):
    settings = {"origins": APP, "hosts": "mcp.example.com", **settings}
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


def test_a_config_key_is_named_as_the_place_where_the_list_was_set(app, caplog):
    app.config["MCP_CORS_HOSTS"] = "a.example, b.example"
    MCPCors(app, origins=APP)
    line = refusal(caplog, app, base_url="https://c.example")
    assert line == (
        'set hosts=["a.example", "b.example", "c.example"] (MCP_CORS_HOSTS); now a.example, b.example (MCP_CORS_HOSTS)'
    )


def test_trusted_hosts_are_added_to_where_they_are():
    app = Flask("app")
    app.config["TRUSTED_HOSTS"] = ["mcp.example.com"]
    state = MCPCors(app, origins=APP) and app.extensions["mcp_cors"]
    assert state.configured.source("hosts") == "TRUSTED_HOSTS"


def test_a_long_list_is_not_written_out(app, caplog):
    origins = [f"https://a{number}.example.com" for number in range(40)]
    MCPCors(app, origins=origins, hosts="mcp.example.com")
    line = refusal(caplog, app, Origin=EVIL)
    assert f'add "{EVIL}" to origins, which has 40 entries (MCP_CORS_ORIGINS)' in line


def test_proxy_fix_that_leaves_the_host_out_is_named(app, caplog):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    line = refusal(caplog, app, base_url="http://backend:8000", X_Forwarded_Host="mcp.example.com")
    assert line.endswith(
        "; X-Forwarded-Host is present but ignored: if your proxy sets it, write ProxyFix(..., x_host=1)"
    )
    line = refusal(caplog, app, base_url="http://backend:8000", X_Forwarded_Proto="https")
    assert "ignored" not in line


@pytest.mark.parametrize("wrap", [False, True])
def test_options_that_has_lost_its_announced_method_is_logged_once(app, caplog, wrap):
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=wrap)
    caplog.clear()
    for _ in range(3):
        app.test_client().options("/mcp", base_url=OWN, headers={"Origin": APP, "Sec-Fetch-Mode": "cors"})
    (line,) = caplog.messages
    assert "has no Access-Control-Request-Method" in line
    assert "a proxy or CDN in front has removed the header" in line


def test_a_method_in_lower_case_is_to_be_written_in_upper_case(app, caplog):
    app.debug = True
    MCPCors(app, origins=APP, hosts="mcp.example.com", allow_methods=["PATCH"])
    asked = {"Origin": APP, "Access-Control-Request-Method": "patch"}
    app.test_client().options("/mcp", base_url=OWN, headers=asked)
    assert caplog.messages[-1] == (
        "preflight for '/mcp' from 'https://app.example.com' will fail: method 'patch' is not allowed: write it in "
        "upper case in the page, as fetch(url, {method: 'PATCH'}); browsers do not"
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

ORIGINS = st.lists(st.sampled_from([APP, "https://*.example.org", "http://localhost:*"]), min_size=1, unique=True)
HOSTS = st.lists(st.sampled_from(["mcp.example.com", "*.example.net", "localhost:8000", "*"]), min_size=1, unique=True)
SAMPLES = [APP, "https://a.example.org", "http://localhost:3000", *(pattern.replace("*", "1") for pattern in LOOPBACK)]
HOST_SAMPLES = ["mcp.example.com", "a.example.net", "localhost:8000", *LOOPBACK_HOSTS, "x.example"]


@settings(deadline=None, max_examples=50)
@given(st.none() | ORIGINS, st.none() | HOSTS, st.sampled_from(["keyword", "config"]))
def test_pasted_advice_never_removes_what_was_allowed(origins, hosts, place):
    written = {word: value for word, value in (("origins", origins), ("hosts", hosts)) if value is not None}

    def app_with(settings):
        app = Flask("app", static_folder=None)
        if place == "config":
            app.config.update({f"MCP_CORS_{word.upper()}": value for word, value in settings.items()})
        MCPCors(app, **({} if place == "config" else settings))
        app.add_url_rule("/mcp", "mcp", lambda: "ran", methods=["POST"])
        return app

    def allowed(app):
        state = app.extensions["mcp_cors"].site
        origins = {origin for origin in SAMPLES if state.default.actual(origin).allowed}
        return origins, {host for host in HOST_SAMPLES if state.hosts.fault(host, "http") is None}

    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    log = logging.getLogger("flask_mcp_cors")
    app = app_with(written)
    log.addHandler(handler)
    try:
        client = Client(app)
        client.post("/mcp", base_url="http://127.0.0.1", headers={"Origin": EVIL})
        client.post("/mcp", base_url="http://new.example")
        client.post("/mcp", base_url="http://new.example", headers={"Origin": "http://new.example"})
    finally:
        log.removeHandler(handler)
    pasted = re.findall(r'set (origins|hosts)=(\[".*?"\])', "\n".join(records))
    assert pasted
    before = allowed(app)
    for word, value in pasted:
        after = allowed(app_with({**written, word: json.loads(value)}))
        assert before[0] <= after[0]
        assert before[1] <= after[1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "none"), ("a" * 200, f"'{'a' * 200}'"), ("a" * 201, f"'{'a' * 200}'..."), ("\x1b", r"'\x1b'")],
)
def test_a_value_is_cut_at_200_characters(value, expected):
    assert safe(value) == expected
