"""The command that runs the README's commands on a busy machine."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
busy = pytest.importorskip("quality.busy", reason="the tools are not here (an sdist's tests, say)")


def test_the_commands_are_the_two_of_the_readme():
    assert busy.commands_in((ROOT / "README.md").read_text(encoding="utf-8")) == [
        "pip install '.[example]' && python example_app.py --check",
        "pip install -e '.[test]' && pytest",
    ]


def test_cores_are_busy_and_free_again():
    with busy.busy_cores(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)


def test_each_command_runs_in_the_clone_with_the_new_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    clone = tmp_path / "clone"
    clone.mkdir()
    seen = "python -c \"import os, sys; print(sys.prefix, os.getcwd(), os.environ.get('PYTHONPATH'))\" > seen"
    (clone / "README.md").write_text(f"```sh\ntrue && {seen}\n```\n\n```sh\ntrue && exit 3\n```\n")
    results = busy.run(clone, tmp_path / "environment", 1)
    assert [status for _, status, _ in results] == [0, 3]
    assert (clone / "seen").read_text().split() == [str(tmp_path / "environment"), str(clone), "None"]
