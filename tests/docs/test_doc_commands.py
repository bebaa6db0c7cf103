"""The page about the command line shows what the commands print."""

from __future__ import annotations

import ast
import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from flask.cli import FlaskGroup

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```text\n\$ flask (.+)\n((?:.*\n)+?)```$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=["routes", "explain"])
def test_the_output_is_as_shown(
    command: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):  # explain exits with its verdict
        FlaskGroup().main(shlex.split(command), standalone_mode=False)
    assert capsys.readouterr().out == output


def test_every_finding_about_routes_is_documented() -> None:
    files = (ROOT / "flask_mcp_cors" / "cli" / f"{name}_findings.py" for name in ("route", "layer"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    codes = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        match node:
            case ast.Call(func=ast.Name(id="Finding"), args=[ast.IfExp(body=one, orelse=other), *_]):
                codes |= {ast.literal_eval(one), ast.literal_eval(other)}
            case ast.Call(func=ast.Name(id="Finding"), args=[ast.Constant(value=code), *_]):
                codes.add(code)
            case ast.FunctionDef(name="_difference"):
                returned = [found.value for found in ast.walk(node) if isinstance(found, ast.Return)]
                codes |= {ast.literal_eval(value.elts[0]) for value in returned if isinstance(value, ast.Tuple)}
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == sorted(codes)
