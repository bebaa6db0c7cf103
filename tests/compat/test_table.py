"""The published table is what the tests of ``test_rows.py`` saw in this run."""

from __future__ import annotations

from pathlib import Path

import pytest
from compat_rows import ROWS
from compat_table import Table

PUBLISHED = Path(__file__).parents[2] / "docs" / "_generated" / "compatibility.md"


@pytest.fixture
def seen(table: Table) -> str:
    rows = [(row.name, row.how) for row in ROWS]
    if missing := [f"{name}, {how}" for name, how in rows if not table.has(name, how)]:
        pytest.skip(f"no table without all of tests/compat: this run did not see {'; '.join(missing)}")
    return table.to_markdown(rows)


def test_the_published_table_is_what_this_run_saw(seen: str, request: pytest.FixtureRequest) -> None:
    target: Path | None = request.config.getoption("write_table", default=None)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(seen, encoding="utf-8")
    assert PUBLISHED.read_text(encoding="utf-8") == seen
