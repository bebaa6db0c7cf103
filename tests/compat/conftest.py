"""The compatibility table: what the tests here saw, row by row.

``pytest tests/compat --write-table docs/_generated/compatibility.md`` writes it; a plain run compares it with the
committed one. ``REQUIRE_COMPAT=1`` makes a library that is not installed a failure instead of a skip.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from compat_table import Table  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", metavar="FILE", type=Path, help="write the compatibility table to FILE")


@pytest.fixture(scope="session")
def table() -> Table:
    """What has been seen so far."""
    return Table()
