"""What the three engines did in recorded cases, and what :class:`Browser` does in them. No engine is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_mcp_cors.testing import Quirk
from flask_mcp_cors.testing import QUIRKS

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS / "browser"))  # where the cases are

from differential_cases import all_cases  # noqa: E402
from differential_outcomes import Replay  # noqa: E402

RECORDED = json.loads((TESTS / "vectors" / "engines.json").read_text(encoding="utf-8"))["cases"]
CASES = {case["id"]: case for case in all_cases()}

#: No recorded case waits for so long, and none sends a form: see ``test_preflight.py`` and ``test_browser.py``.
NOT_RECORDED = {Quirk.KEPT_FOR_A_DAY, Quirk.KEPT_FOR_TEN_MINUTES, Quirk.DOWNGRADED_FORM_KEEPS_ORIGIN}


def expected(case_id: str, engine: str) -> Any:
    """What the engine did, line by line."""
    return next(lines for engines, lines in RECORDED[case_id]["lines"].items() if engine in engines.split())


@pytest.mark.parametrize("engine", QUIRKS)
@pytest.mark.parametrize("case_id", RECORDED)
def test_browser_does_what_the_engine_did(case_id: str, engine: str) -> None:
    assert Replay(CASES[case_id]).lines(engine) == expected(case_id, engine)


@pytest.mark.parametrize(
    ("engine", "quirk"),
    [(engine, quirk) for engine, quirks in QUIRKS.items() for quirk in Quirk if quirk in quirks - NOT_RECORDED],
)
def test_without_the_quirk_it_would_not(engine: str, quirk: Quirk) -> None:
    shown_by = [case_id for case_id, case in RECORDED.items() if f"{engine} {quirk.name}" in case["shows"]]
    assert shown_by
    for case_id in shown_by:
        assert Replay(CASES[case_id]).lines(engine, without=quirk) != expected(case_id, engine)
