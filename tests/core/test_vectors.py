"""The vectors in ``tests/vectors``, through the pure core and through a Flask app."""

import json
import logging
from pathlib import Path

import pytest
from flask import Flask

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError

VECTORS = Path(__file__).parents[1] / "vectors"


def load(name):
    rows = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert rows
    return [pytest.param(row, id=row["id"]) for row in rows]


@pytest.mark.parametrize("row", load("patterns"))
def test_a_pattern_is_accepted_or_refused(row):
    if row["valid"]:
        assert CORSPolicy(origins=[row["pattern"]]).origins == (row["pattern"],)
    else:
        with pytest.raises(PolicyError) as caught:
            CORSPolicy(origins=[row["pattern"]])
        assert [problem.value for problem in caught.value.problems] == [row["pattern"]]


@pytest.mark.parametrize("row", load("configurations"))
def test_a_dangerous_configuration_is_refused(row):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(**row["settings"])
    assert caught.value.problems


@pytest.mark.parametrize("row", load("matches"))
def test_the_core_matches_an_origin(row):
    policy = CORSPolicy(origins=row["origins"])
    preflight = policy.preflight(row["origin"], "POST", "authorization")
    actual = policy.actual(row["origin"])
    assert (preflight.allowed, actual.allowed) == (row["allowed"], row["allowed"])
    assert preflight.status == (200 if row["allowed"] else 403)
    names = [name for name, _ in (*preflight.headers, *actual.headers) if name.startswith("Access-Control-Allow")]
    assert bool(names) is row["allowed"]


def sendable(row):
    # A WSGI server hands header values over as Latin-1; what is beyond it arrives as UTF-8 bytes.
    return row["origin"].encode("utf-8").decode("latin-1")


@pytest.mark.parametrize("row", load("matches"))
def test_an_app_matches_an_origin(row, caplog):
    app = Flask("vectors")
    MCPCors(app, origins=row["origins"], hosts="localhost")
    calls = []
    app.add_url_rule("/mcp", view_func=lambda: calls.append(1) or "ok", methods=["POST"])
    caplog.set_level(logging.CRITICAL, "flask_mcp_cors")
    environ = {"HTTP_ORIGIN": sendable(row)}
    client = app.test_client()
    preflight = client.options("/mcp", environ_overrides=environ, headers={"Access-Control-Request-Method": "POST"})
    actual = client.post("/mcp", environ_overrides=environ)
    expected = (200, 200, row["origin"], 1) if row["allowed"] else (403, 403, None, 0)
    allow_origin = actual.headers.get("Access-Control-Allow-Origin")
    assert (preflight.status_code, actual.status_code, allow_origin, len(calls)) == expected
