"""The compatibility table as text, from what the tests saw and from nothing else."""

from __future__ import annotations

COLUMNS = (
    "Preflight",
    "Without credentials",
    "With credentials",
    "Foreign page",
    "Plain `OPTIONS`",
    "… listed by the view",
)

HEAD = """\
<!-- Written by a test run: pytest tests/compat --write-table docs/_generated/compatibility.md -->
"""


class Table:
    """Statuses by row and column. Where runs of one row differ, a cell holds all that were seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, set[int]]] = {}

    def saw(self, name: str, how: str, column: str, status: int) -> None:
        """Take down one observation."""
        assert column in COLUMNS
        self._seen.setdefault((name, how), {}).setdefault(column, set()).add(status)

    def has(self, name: str, how: str) -> bool:
        """Has every column of this row been seen?"""
        return self._seen.get((name, how), {}).keys() == set(COLUMNS)

    def to_markdown(self, rows: list[tuple[str, str]]) -> str:
        """The table, its rows in this order."""
        lines = [HEAD, f"| Library | as | {' | '.join(COLUMNS)} |", f"|{'---|' * (len(COLUMNS) + 2)}"]
        for name, how in rows:
            cells = (self._seen[name, how].get(column, set()) for column in COLUMNS)
            statuses = (" or ".join(map(str, sorted(cell))) for cell in cells)
            lines.append(f"| {name} | {how} | {' | '.join(statuses)} |")
        return "\n".join(lines) + "\n"
