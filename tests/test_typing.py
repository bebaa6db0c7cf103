"""The types that a user meets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "typing" / "user_sample.py"


def test_a_typed_application_is_clean_but_for_its_marked_mistakes(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install -e '.[dev]'")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "--config-file", "", str(SAMPLE)]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {int(number) for number in re.findall(r"user_sample\.py:(\d+): error", output)}
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    assert found == {number for number, line in enumerate(lines, 1) if line.endswith("# mistake")}, output
