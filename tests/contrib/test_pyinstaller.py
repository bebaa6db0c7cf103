"""A program that PyInstaller has frozen has the public suffix list."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SERVER = """
from flask import Flask
from flask_mcp_cors import MCPCors

app = Flask("frozen")
MCPCors(app, origins=["https://*.example.com"], hosts=["localhost"])
preflight = {"Origin": "https://a.example.com", "Access-Control-Request-Method": "POST"}
print("status", app.test_client().options("/mcp", headers=preflight).status_code)
"""


def hooks() -> Path:
    (folder,) = __import__("flask_mcp_cors._pyinstaller", fromlist=["get_hook_dirs"]).get_hook_dirs()
    return Path(folder)


def test_the_hook_collects_the_list() -> None:
    """The file is there, and goes where the library looks for it."""
    namespace: dict[str, list[tuple[str, str]]] = {}
    exec((hooks() / "hook-publicsuffixlist.py").read_text(encoding="utf-8"), namespace)
    ((source, folder),) = namespace["datas"]
    assert Path(source).is_file()
    assert folder == "publicsuffixlist"


def test_pyinstaller_finds_the_hook() -> None:
    """By the entry point that its documentation names."""
    written = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "pyinstaller40 =\n    hook-dirs = flask_mcp_cors._pyinstaller:get_hook_dirs" in written
    for entry in entry_points(group="pyinstaller40"):
        if entry.dist is not None and entry.dist.name == "Flask-MCP-CORS":
            assert [str(hooks())] == entry.load()()


@pytest.mark.skipif(find_spec("PyInstaller") is None, reason="PyInstaller is not installed: pip install pyinstaller")
def test_a_frozen_server_starts(tmp_path: Path) -> None:
    """With a wildcard, for which the list is read."""
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    command = [sys.executable, "-m", "PyInstaller", "-y", "--onedir", "--log-level", "ERROR", "server.py"]
    # Without the entry point of an installed package the folder is named here: the tree is what is tested.
    command += ["--paths", str(ROOT), "--additional-hooks-dir", str(hooks())]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=600)
    run = subprocess.run([tmp_path / "dist/server/server"], capture_output=True, text=True, timeout=60)
    assert run.stdout == "status 200\n", run.stderr
