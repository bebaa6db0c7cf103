"""One table of requests and answers, through every door: the core, the hooks, ``wrap_wsgi``, WSGI and ASGI middleware.

A row says the status, every CORS header, ``Vary``, and whether the application was reached. A header that
a row does not name must not be there. Lists compare as sets.
"""

import asyncio
from dataclasses import dataclass
from dataclasses import field

import pytest
from flask import Flask
from pages import APP
from pages import EVIL
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import asgi
from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import Decision
from flask_mcp_cors import MCPCors
from flask_mcp_cors import Reason
from flask_mcp_cors.configure import configure
from flask_mcp_cors.core.settings import SITE_SETTINGS
from flask_mcp_cors.doors import carries
from flask_mcp_cors.doors import judge_choice
from flask_mcp_cors.wsgi import read_facts
from flask_mcp_cors.wsgi import routed_path

SELF = "https://mcp.example.com"

ALLOW_HEADERS = (
    "Accept, Authorization, Content-Type, DPoP, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, "
    "Mcp-Name, User-Agent, X-API-Key, X-Custom-Auth-Headers"
)
STATED = {
    "Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Allow-Headers": ALLOW_HEADERS,
    "Max-Age": "86400",
}
EXPOSED = {"Expose-Headers": "DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After"}
ACTUAL = "Origin"
OPTIONS = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@dataclass
class Row:
    """A request, what is sent with it, and the answer."""

    id: str
    method: str
    path: str = "/mcp"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    #: Without the ``Access-Control-`` in front.
    cors: dict[str, str] = field(default_factory=dict)
    vary: str | None = ACTUAL
    reached: bool = False
    base_url: str = SELF


def ask(origin, method="POST", headers=None):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return asked if headers is None else {**asked, "Access-Control-Request-Headers": headers}


def preflight(id, origin, method="POST", headers=None, **more):
    """A preflight from an allowed origin, answered with the whole policy."""
    row = {"cors": {"Allow-Origin": origin, **STATED}, "vary": OPTIONS, **more}
    return Row(id, "OPTIONS", headers=ask(origin, method, headers), **row)


def refused(id, method, headers, status=403, **more):
    return Row(id, method, headers=headers, status=status, vary=OPTIONS if method == "OPTIONS" else ACTUAL, **more)


def passed(id, method, headers, **more):
    return Row(id, method, headers=headers, reached=True, **more)


BASIC = {"origins": [APP, "https://*.example.org", "http://localhost:*"], "hosts": "mcp.example.com"}

TABLE = [
    (
        "the usual policy",
        BASIC,
        [
            preflight("preflight", APP),
            preflight("preflight-of-delete", APP, "DELETE"),
            preflight("preflight-of-head", APP, "HEAD"),
            preflight("preflight-with-named-headers", APP, "POST", "authorization,content-type"),
            preflight(
                "preflight-with-a-family",
                APP,
                "POST",
                "mcp-param-b, Mcp-Param-A,,mcp-param-b",
                cors={
                    "Allow-Origin": APP,
                    **STATED,
                    "Allow-Headers": f"{ALLOW_HEADERS}, mcp-param-b, mcp-param-a",
                },
            ),
            preflight("preflight-of-a-method-not-allowed", APP, "PUT"),
            preflight("preflight-of-a-lower-case-method", APP, "delete"),
            preflight("preflight-of-an-empty-method", APP, ""),
            preflight("preflight-with-a-header-not-allowed", APP, "POST", "x-evil"),
            preflight("preflight-with-junk-headers", APP, "POST", "a b,\x00,mcp-param-,é"),
            preflight("preflight-of-a-path-nobody-serves", APP, path="/nowhere"),
            preflight("preflight-from-a-subdomain", "https://a.b.example.org"),
            preflight("preflight-from-loopback", "http://localhost:3000"),
            refused("preflight-of-a-foreign-origin", "OPTIONS", ask(EVIL)),
            refused("preflight-of-null", "OPTIONS", ask("null")),
            refused("preflight-of-a-malformed-origin", "OPTIONS", ask(f"{APP}/")),
            refused("preflight-of-a-repeated-origin", "OPTIONS", ask(f"{APP}, {APP}")),
            refused("preflight-of-an-empty-origin", "OPTIONS", ask("")),
            refused("preflight-of-the-apex", "OPTIONS", ask("https://example.org")),
            refused("preflight-of-its-own-origin", "OPTIONS", {**ask(SELF), "Sec-Fetch-Site": "same-origin"}),
            refused("preflight-at-another-host", "OPTIONS", ask(APP), status=421, base_url="https://other.example.com"),
            refused("foreign-preflight-at-another-host", "OPTIONS", ask(EVIL), base_url="https://other.example.com"),
            passed("post", "POST", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            passed("get", "GET", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            passed("head", "HEAD", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            passed("patch", "PATCH", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            passed("unknown-method", "BREW", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            passed("options", "OPTIONS", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}, vary=OPTIONS),
            passed("options-without-origin", "OPTIONS", {"Access-Control-Request-Method": "POST"}, vary=OPTIONS),
            passed("bare-options", "OPTIONS", {}, vary=OPTIONS),
            passed("without-origin", "POST", {}),
            passed("navigation", "GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
            passed("typed-into-the-address-bar", "GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
            passed("own-get", "GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}),
            passed("own-post", "POST", {"Origin": SELF, "Sec-Fetch-Site": "same-origin"}),
            passed("own-post-of-an-old-browser", "POST", {"Origin": SELF}),
            passed("own-post-without-referrer", "POST", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}),
            refused("foreign-post", "POST", {"Origin": EVIL}),
            refused("foreign-get", "GET", {"Origin": EVIL}),
            refused("foreign-head", "HEAD", {"Origin": EVIL}),
            refused("foreign-options", "OPTIONS", {"Origin": EVIL}),
            refused("foreign-unknown-method", "BREW", {"Origin": EVIL}),
            refused("foreign-post-of-a-browser", "POST", {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}),
            refused("sandboxed-frame", "POST", {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
            refused("upper-case-scheme", "POST", {"Origin": "HTTPS://app.example.com"}),
            refused("default-port", "POST", {"Origin": f"{APP}:443"}),
            refused("trailing-slash", "POST", {"Origin": f"{APP}/"}),
            refused("repeated-origin", "POST", {"Origin": f"{APP},{EVIL}"}),
            refused("own-origin-over-http", "POST", {"Origin": "http://mcp.example.com"}),
            refused("image", "GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
            refused("image-of-a-sibling", "HEAD", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}),
            refused("another-host", "POST", {"Origin": APP}, status=421, base_url="https://other.example.com"),
            refused("foreign-post-at-another-host", "POST", {"Origin": EVIL}, base_url="https://other.example.com"),
            refused("rebound-name", "POST", {"Origin": "http://rebound.example"}, base_url="http://rebound.example"),
            refused("rebound-get", "GET", {}, status=421, base_url="http://rebound.example"),
            refused("options-at-another-host", "OPTIONS", {}, status=421, base_url="https://other.example.com"),
            passed("an-address-cannot-be-rebound", "POST", {}, base_url="http://127.0.0.1:8000"),
        ],
    ),
    (
        "any origin",
        {"origins": "*", "hosts": "*", "allow_methods": "*", "allow_headers": ["*", "Authorization"]},
        [
            preflight(
                "preflight",
                EVIL,
                "BREW",
                "x-a, authorization",
                cors={
                    "Allow-Origin": "*",
                    "Allow-Methods": "BREW",
                    "Allow-Headers": "Authorization, x-a",
                    "Max-Age": "86400",
                },
            ),
            refused("malformed-preflight", "OPTIONS", ask("https://EVIL.example")),
            passed("null", "POST", {"Origin": "null"}, cors={"Allow-Origin": "*", **EXPOSED}, vary=None),
            passed("foreign", "POST", {"Origin": EVIL}, cors={"Allow-Origin": "*", **EXPOSED}, vary=None),
            passed("without-origin", "GET", {}, cors={"Allow-Origin": "*", **EXPOSED}, vary=None),
            passed(
                "image",
                "GET",
                {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
                cors={"Allow-Origin": "*", **EXPOSED},
                vary=None,
            ),
            refused("repeated-origin", "POST", {"Origin": f"{EVIL}, {EVIL}"}),
        ],
    ),
    (
        "credentials",
        {
            "origins": APP,
            "hosts": "*",
            "allow_credentials": True,
            "expose_headers": (),
            "max_age": None,
            "preflight_status": 204,
        },
        [
            preflight(
                "preflight",
                APP,
                status=204,
                cors={
                    "Allow-Origin": APP,
                    "Allow-Methods": STATED["Allow-Methods"],
                    "Allow-Headers": ALLOW_HEADERS,
                    "Allow-Credentials": "true",
                },
            ),
            passed("post", "POST", {"Origin": APP}, cors={"Allow-Origin": APP, "Allow-Credentials": "true"}),
            passed("own-post", "POST", {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"}),
            passed("without-origin", "GET", {}),
            refused("foreign", "POST", {"Origin": EVIL}),
            refused("foreign-preflight", "OPTIONS", ask(EVIL)),
        ],
    ),
    (
        "plain CORS",
        {"origins": APP, "hosts": "mcp.example.com", "validate_origin": False},
        [
            passed("foreign", "POST", {"Origin": EVIL}),
            passed("malformed", "POST", {"Origin": "x"}),
            passed("image", "GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
            passed("allowed", "POST", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            refused("foreign-preflight", "OPTIONS", ask(EVIL)),
            refused("another-host", "POST", {"Origin": EVIL}, status=421, base_url="https://other.example.com"),
        ],
    ),
    (
        "report",
        {"origins": APP, "hosts": "mcp.example.com", "validate_origin": "report"},
        [
            passed("foreign", "POST", {"Origin": EVIL}),
            passed("image", "GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
            refused("foreign-preflight", "OPTIONS", ask(EVIL)),
            refused("another-host", "POST", {}, status=421, base_url="https://other.example.com"),
        ],
    ),
    (
        "paths and policies",
        {
            "origins": APP,
            "hosts": "mcp.example.com",
            "paths": ["/mcp", "/servers/*/mcp"],
            "policies": {
                "/mcp/public": {"origins": "*", "expose_headers": ()},
                "/mcp/off": None,
                "/tenants/*": lambda request: None,
                "/broken/**": lambda request: 1 / 0,
            },
        },
        [
            passed("governed", "POST", {"Origin": APP}, cors={"Allow-Origin": APP, **EXPOSED}),
            refused("foreign", "POST", {"Origin": EVIL}),
            refused("foreign-with-a-slash", "POST", {"Origin": EVIL}, path="/mcp/"),
            refused("foreign-escaped", "POST", {"Origin": EVIL}, path="/%6Dcp"),
            refused("foreign-among-tenants", "POST", {"Origin": EVIL}, path="/servers/**/mcp"),
            passed("another-case", "POST", {"Origin": EVIL}, path="/MCP", vary=None),
            passed("escaped-twice", "POST", {"Origin": EVIL}, path="/%256Dcp", vary=None),
            passed("outside", "POST", {"Origin": EVIL}, path="/other", vary=None),
            passed("preflight-outside", "OPTIONS", ask(APP), path="/other", vary=None),
            refused("outside-at-another-host", "POST", {}, 421, path="/other", base_url="https://other.example.com"),
            passed("public", "POST", {"Origin": EVIL}, path="/mcp/public", cors={"Allow-Origin": "*"}, vary=None),
            passed("ungoverned", "POST", {"Origin": EVIL}, path="/mcp/off", vary=None),
            passed("ungoverned-preflight", "OPTIONS", ask(APP), path="/mcp/off", vary=None),
            passed(
                "callable",
                "POST",
                {"Origin": APP},
                path="/tenants/1",
                cors={"Allow-Origin": APP, **EXPOSED},
            ),
            refused("callable-foreign", "POST", {"Origin": EVIL}, path="/tenants/1"),
            refused("callable-that-fails", "POST", {"Origin": APP}, path="/broken/1"),
            refused("preflight-of-a-callable-that-fails", "OPTIONS", ask(APP), path="/broken/1"),
            preflight(
                "discovery-preflight",
                EVIL,
                "GET",
                "mcp-protocol-version",
                path="/.well-known/oauth-protected-resource/mcp",
                cors={**STATED, "Allow-Origin": "*", "Allow-Methods": "GET"},
            ),
            passed(
                "discovery",
                "GET",
                {"Origin": EVIL},
                path="/.well-known/oauth-authorization-server",
                cors={"Allow-Origin": "*", **EXPOSED},
                vary=None,
            ),
        ],
    ),
    (
        "nothing configured",
        {},
        [
            passed(
                "loopback",
                "POST",
                {"Origin": "http://localhost:6274"},
                base_url="http://127.0.0.1:8000",
                cors={"Allow-Origin": "http://localhost:6274", **EXPOSED},
            ),
            refused("foreign", "POST", {"Origin": APP}, base_url="http://localhost:8000"),
            refused("a-name", "POST", {}, status=421),
        ],
    ),
]

ROWS = [pytest.param(settings, row, id=f"{name}: {row.id}") for name, settings, rows in TABLE for row in rows]

#: What the application behind every door sets.
OWN_HEADERS = [("Content-Type", "text/plain")]


def through_the_core(settings, environ):
    site = configure(SITE_SETTINGS, None, settings).site
    facts = read_facts(environ, routed_path(environ))
    decision = judge_choice(site, site.choose(facts.path, facts.policy_method), facts, lambda method: None)
    headers = decision.headers if decision.final else decision.apply(OWN_HEADERS)
    return decision.status or 200, headers, not decision.final


def answer_of(application, environ):
    _, status, headers = run_wsgi_app(application, environ)
    return int(status.split()[0]), list(headers)


def through_flask(settings, environ, **more):
    app = Flask("app")
    reached = []
    MCPCors(app, **settings, **more)

    def view(rest):
        reached.append(rest)
        return "ok", OWN_HEADERS

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]
    app.add_url_rule("/<path:rest>", view_func=view, methods=methods)
    # A view that takes the well-known part into a variable is no server of discovery documents.
    app.add_url_rule("/.well-known/<path:rest>", view_func=view, methods=methods)
    return *answer_of(app, environ), bool(reached)


def through_the_hooks(settings, environ):
    return through_flask(settings, environ)


def through_wrap_wsgi(settings, environ):
    return through_flask(settings, environ, wrap_wsgi=True)


def through_the_middleware(settings, environ):
    reached = []

    def application(environ, start_response):
        reached.append(environ["PATH_INFO"])
        start_response("200 OK", list(OWN_HEADERS))
        return [b"ok"]

    return *answer_of(CORSMiddleware(application, **settings), environ), bool(reached)


def scope_of(environ):
    """The scope that an ASGI server makes of the same request."""
    headers = {key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
    return {
        "type": "http",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }


def through_asgi(settings, environ):
    reached, sent = [], []

    async def application(scope, receive, send):
        reached.append(scope["path"])
        headers = [(name.lower().encode(), value.encode()) for name, value in OWN_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message):
        sent.append(message)

    asyncio.run(asgi.CORSMiddleware(application, **settings)(scope_of(environ), None, send))
    start, body = sent
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    headers = [("-".join(part.capitalize() for part in n.decode().split("-")), v.decode()) for n, v in start["headers"]]
    return start["status"], headers, bool(reached)


def as_set(value):
    return sorted(member.strip().lower() for member in value.split(","))


@pytest.mark.parametrize(
    "door",
    [through_the_core, through_the_hooks, through_wrap_wsgi, through_the_middleware, through_asgi],
    ids=lambda door: door.__name__,
)
@pytest.mark.parametrize(("settings", "row"), ROWS)
def test_every_door_gives_the_same_answer(door, settings, row):
    environ = EnvironBuilder(row.path, method=row.method, base_url=row.base_url).get_environ()
    # Not through the builder, which would refuse what only a hostile client sends.
    environ.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in row.headers.items()})
    status, headers, reached = door(settings, environ)

    names = [name for name, _ in headers]
    assert len(names) == len({name.lower() for name in names})
    cors = {name.removeprefix("Access-Control-"): value for name, value in headers if name.startswith("Access-")}
    assert {name: as_set(value) for name, value in cors.items()} == {n: as_set(v) for n, v in row.cors.items()}
    assert as_set(dict(headers).get("Vary", "")) == as_set(row.vary or "")
    assert (status, reached) == (row.status, row.reached)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("access-control-ALLOW-origin", APP), ("Vary", "Cookie")], True),
        ([("Access-Control-Allow-Origin", EVIL)], False),
        ([("Access-Control-Allow-Origin", APP), ("Access-Control-Max-Age", "5")], False),
        ([("Vary", "Origin")], False),
        ([], False),
    ],
)
def test_a_response_carries_a_decision_whose_cors_headers_it_has(headers, expected):
    decision = Decision(True, Reason.ORIGIN_ALLOWED, None, (("Access-Control-Allow-Origin", APP), ("Vary", "Origin")))
    assert carries(headers, decision) is expected
