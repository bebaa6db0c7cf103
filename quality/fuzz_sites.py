"""Fuzz sites: which policy governs a path and a method, and what comes of it, through the core and through three doors.

Known are paths whose tail a stranger writes, dot segments, methods with policies of their own, headers that a server
has folded (``Sec_Fetch_Site``), and an application of ours that a view calls with the caller's environ.

``python -m quality.fuzz_sites --seconds 20``
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from flask import Flask
from flask import request
from flask import Response

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors.core.site import make_site

from .cases import APP
from .cases import facts_of
from .fuzzing import main
from .fuzzing import Source
from .oracle import answer_of_site
from .oracle import policy_for
from .oracle import Question
from .oracle import resolve
from .oracle import summary
from .through_wsgi import ask
from .through_wsgi import DOORS
from .through_wsgi import make_application

OTHER = "https://other.example"
OWN = "https://mcp.example.com"
SITES: tuple[dict[str, Any], ...] = (
    {"origins": [APP], "hosts": ["mcp.example.com"]},
    {"origins": [APP], "hosts": ["mcp.example.com"], "paths": ["/mcp", "/servers/**"]},
    {
        "origins": [APP, OTHER],
        "hosts": ["*"],
        "policies": {
            "/servers/**": {"origins": [APP]},
            "/static/public/**": {"origins": ["*"]},
            "/static/private/**": {"origins": [APP]},
            "/off": None,
            "/.well-known/openid-configuration": {"origins": [OTHER]},
        },
    },
    {
        "origins": [APP],
        "hosts": ["mcp.example.com"],
        "validate_origin": False,
        "policies": {"/static/public/**": {"origins": ["*"]}, "/servers/*/mcp": {"origins": [OTHER]}},
    },
)
SITE_WORDS = ("hosts", "paths", "policies")
SEGMENTS = (
    *("mcp", "servers", "a", "static", "public", "private", "off", "tenant"),
    *(".well-known", "openid-configuration", "oauth-protected-resource", "oauth-authorization-server"),
    *(".", "..", "...", "*", "**"),
)
ORIGINS = (APP, APP, OTHER, OTHER, "https://evil.example", "null", OWN, "http://evil.example", "http://localhost:5000")
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "OPTIONS", "HEAD", "get")


def _make_other_app() -> Flask:
    app = Flask("other", static_folder=None)
    MCPCors(app, origins="*", hosts="*")
    app.add_url_rule("/x", "x", lambda: "other")
    return app


def _call_other_app() -> None:
    # What this application decides is none of the caller's: it allows every origin.
    Response.from_app(_OTHER_APP, {**request.environ, "PATH_INFO": "/x", "REQUEST_METHOD": "GET"})


_OTHER_APP = _make_other_app()
APPLICATIONS = [
    (door, make_application(door, settings, ["GET", "HEAD", "POST", "DELETE", "OPTIONS"], _call_other_app), settings)
    for settings in SITES
    for door in DOORS
]
CORES = [
    (
        make_site(
            {k: v for k, v in s.items() if k in SITE_WORDS},
            CORSPolicy(**{k: v for k, v in s.items() if k not in SITE_WORDS}),
        ),
        s,
    )
    for s in SITES
]


def _question(source: Source) -> Question:
    path = "/" + "/".join(source.choose(SEGMENTS) for _ in range(source.byte() % 6))
    return Question(
        method=source.choose(METHODS),
        path=path,
        scheme=source.choose(("https", "http")),
        host=source.choose(("mcp.example.com", "mcp.example.com", "evil.example", "localhost:5000")),
        origin=source.choose((*ORIGINS, None, None)),
        request_method=source.choose(("POST", "GET", "DELETE", "HEAD", "get", "PUT", None)),
        fetch_site=source.choose((None, None, "same-origin", "cross-site", "same-site", "none")),
        fetch_mode=source.choose((None, "cors", "navigate", "no-cors")),
        fetch_dest=source.choose((None, "iframe", "document", "object")),
    )


def target(source: Source) -> None:
    question = _question(source)
    site, settings = source.choose(CORES)
    decision = site.judge(facts_of(question))
    assert decision is not None
    given = summary(decision.status if decision.final else None, decision.headers)
    wanted = answer_of_site(question, settings)
    assert given == wanted, f"the core: {question} under {settings}: {given}, not {wanted}"

    door, application, settings = source.choose(APPLICATIONS)
    is_swallowed = door != "middleware"
    method = question.request_method or ""
    is_left_alone = policy_for(question.path, method, settings, is_swallowed=is_swallowed) is None
    if is_swallowed and question.method == "OPTIONS" and is_left_alone and resolve(question.path) is not None:
        return  # for the hook it is no preflight any more, for the core it still is: neither lets more through
    code, headers, passed = ask(application, question)
    given = summary(None if passed else code, headers)
    # The one view of the app takes every path into a variable; a middleware knows no views.
    wanted = answer_of_site(question, settings, is_swallowed=is_swallowed)
    assert given == wanted, f"{door}: {question} under {settings}: {given}, not {wanted}"


if __name__ == "__main__":
    logging.getLogger("flask_mcp_cors").setLevel(logging.CRITICAL)  # refusals are logged, here by the thousand
    sys.exit(main(target))
