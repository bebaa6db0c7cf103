"""The table of all quirks for the documentation: ``python tests/testing/quirks_table.py`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from flask_mcp_cors.testing import Quirk
from flask_mcp_cors.testing import QUIRKS

PAGE = Path(__file__).parents[2] / "docs" / "_generated" / "quirks.md"


def table() -> str:
    lines = ["| What happens | Chromium | Firefox | WebKit |", "|---|---|---|---|"]
    for quirk in Quirk:
        description = re.sub(r"([*_<>`])", r"\\\1", quirk.description)
        marks = ("yes" if engine in quirk.engines else "" for engine in QUIRKS)
        lines.append(f"| {description} | {' | '.join(marks)} |")
    return "# All differences\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
