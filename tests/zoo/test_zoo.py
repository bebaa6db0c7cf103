"""The doctor names what is wrong with each server of the zoo, and what to do; of a healthy one it says nothing bad."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rows import Row
from rows import ROWS

RUNS = [
    pytest.param(row, with_token, id=f"{row.name}{'-with-token' if with_token else ''}")
    for row in ROWS
    for with_token in (False, True)
    if (row.token or not with_token) and row.seen != ("without" if with_token else "with")
]


def says_all(text: str, patterns: str) -> bool:
    """Are all of these regular expressions, with ``;`` between them, found in the text?"""
    return all(re.search(pattern.strip(), text, re.IGNORECASE) for pattern in patterns.split(";"))


def all_findings(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The findings of a report, also those that are folded under another."""
    for finding in report["findings"]:
        yield finding
        for key, value in finding.items():
            if isinstance(value, list) and value and isinstance(value[0], dict) and "severity" in value[0]:
                yield from all_findings({"findings": finding[key]})


def words_of(finding: dict[str, Any]) -> str:
    """Everything that a finding says but its code, which is for programs, and its place."""
    return "\n".join(str(finding.get(key, "")) for key in ("console", "sentence", "fix"))


def shown(report: dict[str, Any]) -> str:
    """The findings, for the message of a failure."""
    lines = (f"{f['severity']} {f['code']}: {f['sentence']} Fix: {f['fix']}" for f in all_findings(report))
    return "\n".join(lines) or "no finding"


#: However a server behaves; its examination shares the machine with others here.
MAX_SECONDS = 20


@pytest.mark.parametrize(("row", "with_token"), RUNS)
def test_an_examination_ends_soon(row: Row, with_token: bool, examined: Any) -> None:
    assert examined(row, with_token)["seconds"] < MAX_SECONDS


@pytest.mark.parametrize(("row", "with_token"), RUNS)
def test_the_doctor_names_cause_and_cure(row: Row, with_token: bool, examined: Any) -> None:
    report = examined(row, with_token)
    found = list(all_findings(report))
    if row.fails == "healthy":
        assert [f for f in found if f["severity"] != "note"] == [], f"a false alarm\n{shown(report)}"
        assert report["healthy"]
        return
    heard = f"{row.what}\n{shown(report)}"
    matching = [f for f in found if says_all(words_of(f), row.names) and says_all(f["fix"], row.cures)]
    assert matching, f"no finding names ({row.names}) with the cure ({row.cures}): {heard}"
    if row.fails == "yes" or row.severity == "error":
        assert any(f["severity"] == "error" for f in matching), f"this is an error: {heard}"
        assert not report["healthy"]
    if row.never:
        astray = [f for f in found if re.search(row.never, words_of(f), re.IGNORECASE)]
        assert not astray, f"leads astray ({row.never}): {heard}"


def test_every_name_is_there_once() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
