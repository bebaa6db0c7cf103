"""The core is pure, and imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flask_mcp_cors

PACKAGE = Path(flask_mcp_cors.__file__).parent
CORE = sorted((PACKAGE / "core").glob("*.py"))


def imports(path):
    """Every import of a file, wherever in it: relative ones with their dots, others by top-level name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level if node.level else (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_imports_the_standard_library_and_itself_only(path):
    foreign = {name for name in imports(path) if name != "." and name not in sys.stdlib_module_names}
    # The public suffix list comes in through one seam.
    assert foreign == ({"publicsuffixlist"} if path.name == "suffixes.py" else set())


def test_the_core_loads_no_framework():
    code = (
        "import sys, types; package = types.ModuleType('flask_mcp_cors');"
        f"package.__path__ = [{str(PACKAGE)!r}]; sys.modules['flask_mcp_cors'] = package;"
        "from flask_mcp_cors.core import site, discovery;"
        "print(sorted({'flask', 'werkzeug', 'click', 'blinker', 'publicsuffixlist'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_loads_no_tool():
    code = (
        "import sys, flask_mcp_cors; print([name for name in sys.modules if name.startswith("
        "('flask_mcp_cors.testing', 'flask_mcp_cors.cli', 'flask_mcp_cors.__main__', 'publicsuffixlist'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_app_config_is_read_at_start_and_after_a_crash_only():
    readers = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "config"
    ]
    # init_app, and what got_request_exception calls
    assert sorted(readers) == ["extension/cors.py", "extension/gate.py"]
