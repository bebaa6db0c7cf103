"""The doctor names what is wrong with each server of the zoo, and what to do; of a healthy one it says nothing bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from examining import Examined
from examining import Run
from examining import RUNS
from judging import complaint
from judging import missed
from rows import ROWS

from flask_mcp_cors.cli.doctor.rules import TABLE

#: However a server behaves; its examination shares the machine with others here.
MAX_SECONDS = 20

#: Rows of the table of findings that no server of the zoo is needed for: tests/cli has their tests.
ELSEWHERE = {
    "airtunes",
    "answer_unended",
    "authorization_server_hidden",
    "authorization_server_unchecked",
    "authorize_failed",
    "aws_gateway",
    "azure_easy_auth",
    "barred",
    "body_too_large",
    "broke_off",
    "certificate",
    "challenge_unreadable_too",
    "challenge_unusable",
    "closed",
    "cloud_run_iam",
    "cloudflare_access",
    "cloudflare_challenge",
    "cors_error",
    "delete_not_405",
    "dns",
    "document_preflight",
    "endpoints_missing",
    "foreign_host_unknown",
    "foreign_origin_unknown",
    "header_repeated",
    "headers_doubled",
    "host_not_checked",
    "issuer_malformed",
    "issuer_mismatch",
    "local_network_access",
    "local_network_insecure",
    "localhost_twice",
    "metadata_error",
    "network",
    "ngrok_error",
    "ngrok_warning",
    "no_conversation",
    "nosniff_missing",
    "not_asked",
    "old_transport_silent",
    "origin_not_allowed",
    "origin_not_validated",
    "params_not_allowed",
    "pkce_missing",
    "port_blocked",
    "preflight_authenticated",
    "private_place_named",
    "question_blocked",
    "registration_failed",
    "registration_missing",
    "response_types_missing",
    "request_header_changed",
    "request_refused_too",
    "resource_metadata_unchecked",
    "session_lost",
    "subdomains_allowed",
    "tls",
    "tls_expected",
    "token_not_received",
    "token_refused",
    "unknown_session_not_404",
    "unspecified_address",
    "url_malformed",
    "vercel_protection",
    "version_negotiated",
    "version_unknown",
}


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_an_examination_ends_soon(run: Run, examined: Callable[[Run], Examined]) -> None:
    assert examined(run).seconds < MAX_SECONDS


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_doctor_names_cause_and_cure(run: Run, examined: Callable[[Run], Examined]) -> None:
    assert complaint(run.row, examined(run).report) == ""


def test_every_row_of_the_table_is_missed(selected: list[Run], examined: Callable[[Run], Examined]) -> None:
    """What is known of a server is judged once more for each row, without it: some server is then not understood."""
    if set(selected) != set(RUNS):
        pytest.skip("for this all of the zoo has to be there")
    needed = missed((run.row, examined(run).report.evidence) for run in RUNS)
    assert set(TABLE.rules) - needed == ELSEWHERE


def test_the_others_have_tests() -> None:
    """``python -m quality.rows`` shows that these fail without the row."""
    files = (Path(__file__).parents[1] / "cli").glob("test_doctor_*.py")
    here = "".join(path.read_text(encoding="utf-8") for path in files)
    assert [code for code in ELSEWHERE if f'"{code}"' not in here] == []


def test_every_name_is_there_once() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
