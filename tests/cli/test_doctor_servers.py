"""What the doctor finds at servers that nobody here wrote. Chromium confirms it in ``test_doctor_truth.py``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from foreign_servers import ORIGIN
from foreign_servers import Server
from foreign_servers import SERVERS
from foreign_servers import skip
from foreign_servers import Unavailable

from flask_mcp_cors.cli.doctor import examine

EXAMPLES = Path(__file__).parents[2] / "docs" / "_generated"
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")

NO, YES, OLD = "cannot connect", "connects", "not spoken"

EXPECTED = {
    # The SDK's own check of Origin refuses the preflight, and it has no CORS.
    "python-sdk": (
        (OLD, NO, NO, NO, NO),
        ["preflight_refused"],
    ),
    # Starlette refuses the preflight for the MCP headers, and the SDK's check would refuse what follows.
    "python-sdk-cors": (
        (OLD, NO, NO, NO, NO),
        ["header_not_allowed", "header_not_allowed", "header_not_allowed", "request_refused_too"],
    ),
    # It has methods of its own in place of MCP's, and no CORS on the MCP endpoint.
    "flask-mcp-server": (
        (OLD, NO, NO, NO, NO),
        ["cors_missing", "not_mcp"],
    ),
    # Express answers OPTIONS by itself. Foreign origins are not refused, but browsers do not get that far.
    "typescript-sdk": (
        (OLD, NO, NO, NO, OLD),
        ["cors_missing", "origin_not_validated"],
    ),
    # Everybody may call it, whoever that is.
    "flask-cors": (
        (OLD, YES, YES, YES, OLD),
        ["dns_rebinding", "foreign_origin_served", "preflight_not_cached"],
    ),
    "flask-mcp-cors": (
        (OLD, YES, YES, YES, YES),
        [],
    ),
}


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_findings(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    verdicts, codes = EXPECTED[server.name]
    try:
        with server.start() as base:
            report = examine(f"{base}{server.path}", [ORIGIN], timeout=5)
    except Unavailable as error:
        skip(server, error)
    assert tuple(report.verdicts[ORIGIN, revision] for revision in REVISIONS) == verdicts
    common = {"local_network_access", "nosniff_missing"}
    assert sorted(finding.code for finding in report.findings if finding.code not in common) == codes
    assert report.is_healthy is (server.name == "flask-mcp-cors")
    assert report.requests < 80


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_in_the_documentation_says_the_same(name: str) -> None:
    verdicts, codes = EXPECTED[name]
    text = (EXAMPLES / f"doctor-{name}.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == f"$ python -m flask_mcp_cors doctor http://127.0.0.1:8000/mcp --origin {ORIGIN}"
    for revision, verdict in zip(REVISIONS, verdicts, strict=True):
        assert f"{revision}  {verdict}" in lines
    said = [line.split()[1] for line in lines if re.match(r" *(ERROR|WARNING|NOTE) ", line)]
    assert sorted(set(said) - {"local_network_access", "nosniff_missing"}) == sorted(set(codes))
    assert max(map(len, lines[1:])) <= 80
