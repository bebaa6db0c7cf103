"""Does any test miss a row of the doctor's table of findings? Each row is taken out in turn.

Servers are asked once. What they answered is kept, and judged again without the row: in the zoo as its tests judge,
in ``tests/cli`` by running each test again whose findings change, with the kept answers in place of its server.

    python -m quality.rows

It prints rows that nobody misses, and fails if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from _pytest.runner import runtestprotocol

from flask_mcp_cors.cli.doctor import probes
from flask_mcp_cors.cli.doctor import Report
from flask_mcp_cors.cli.doctor.evidence import Evidence
from flask_mcp_cors.cli.doctor.rules import TABLE
from flask_mcp_cors.cli.doctor.rules import Table

TESTS = Path(__file__).parents[1] / "tests"
_report_of = Report.of


def missed_in_zoo() -> set[str]:
    """The rows without which some server of the zoo is not understood."""
    sys.path.insert(0, str(TESTS / "zoo"))
    from examining import examining
    from examining import RUNS
    from judging import missed
    from servers import Unavailable

    known = []
    with examining(RUNS) as examined:
        for run in RUNS:
            with suppress(Unavailable):
                known.append((run.row, examined(run).report.evidence))
    print(f"{len(known)} of {len(RUNS)} examinations of the zoo", flush=True)
    return missed(known)


@contextmanager
def _recording(into: list[Evidence]) -> Iterator[None]:
    def of(evidence: Evidence, table: Table = TABLE) -> Report:
        into.append(evidence)
        return _report_of(evidence, table)

    with patch.object(Report, "of", of):
        yield


@contextmanager
def _replaying(recorded: Iterable[Evidence], table: Table) -> Iterator[None]:
    rest = iter(recorded)
    answers = patch.object(Report, "of", lambda evidence: _report_of(next(rest), table))
    with answers, patch.object(probes, "gather", lambda asker, login: None):
        yield


class Replays:
    """A pytest plugin: runs each test once, and those that a row matters to once more without it.

    :param codes: the rows to ask for.
    """

    def __init__(self, codes: Iterable[str]) -> None:
        self.codes = list(codes)
        #: Row → the test that fails without it.
        self.missed: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop."""
        for item in session.items:
            answers: list[Evidence] = []
            with _recording(answers):
                passed = _passes(item)
            fired = {finding.code for evidence in answers for finding in _report_of(evidence).findings}
            asked = [code for code in self.codes if code in fired and code not in self.missed]
            # A test that looks at its server cannot do without it.
            if asked and passed and self._still_passes(item, answers, TABLE):
                for code in asked:
                    if not self._still_passes(item, answers, TABLE.without(code)):
                        self.missed[code] = item.nodeid
        return True

    def _still_passes(self, item: pytest.Item, answers: list[Evidence], table: Table) -> bool:
        with _replaying(answers, table):
            return _passes(item)


def _passes(item: pytest.Item) -> bool:
    item._initrequest()  # type: ignore[attr-defined]  # what pytest-rerunfailures does to run an item again
    return not any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))


def main() -> int:
    """Run both, and say which row nobody misses."""
    in_zoo = missed_in_zoo()
    plugin = Replays(code for code in TABLE.rules if code not in in_zoo)
    files = sorted(str(path) for path in (TESTS / "cli").glob("test_doctor_*.py"))
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:rerunfailures", *files], plugins=[plugin])
    for code, test in plugin.missed.items():
        print(f"{code}: {test}")
    unneeded = [code for code in plugin.codes if code not in plugin.missed]
    print(f"{len(TABLE.rules)} rows: {len(in_zoo)} are missed in the zoo, {len(plugin.missed)} by tests/cli only")
    for code in unneeded:
        print(f"{code}: no test misses this row")
    return 1 if unneeded else 0


if __name__ == "__main__":
    sys.exit(main())
