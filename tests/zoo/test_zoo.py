"""The doctor names what is wrong with each server of the zoo, and what to do; of a healthy one it says nothing bad."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from examining import Examined
from examining import Run
from examining import RUNS
from judging import complaint
from rows import ROWS

from flask_mcp_cors.cli.doctor import Report
from flask_mcp_cors.cli.doctor.rules import TABLE

#: However a server behaves; its examination shares the machine with others here.
MAX_SECONDS = 20

#: Rows of the table of findings that no server of the zoo is needed for: tests/cli has their tests.
ELSEWHERE: set[str] = set()


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
    known = [(run.row, examined(run).report.evidence) for run in RUNS]
    unneeded = {
        code
        for code in TABLE.rules
        if not any(complaint(row, Report.of(evidence, TABLE.without(code))) for row, evidence in known)
    }
    assert unneeded == ELSEWHERE


def test_every_name_is_there_once() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
