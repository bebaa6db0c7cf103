"""The core is pure, and imports point one way."""

import ast
import graphlib
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


#: Room → the rooms from which its files may import, itself included. A room is a folder or a file of the package.
MAY_IMPORT = {
    "core": {"core"},
    "reporting": {"core"},
    "configure": {"core", "reporting"},
    "doors": {"core", "reporting"},
    "wsgi": {"configure", "core", "doors", "reporting"},
    "asgi": {"configure", "core", "doors", "reporting"},
    "auth": {"auth", "core"},
    "extension": {"auth", "configure", "core", "doors", "extension", "reporting", "wsgi"},
    "contrib": {"contrib", "core"},
    "testing": {"core", "testing"},
    "cli": {"_version", "auth", "cli", "configure", "core", "doors", "extension", "reporting", "testing", "wsgi"},
    "__main__": {"_version", "cli"},
    "__init__": {"_version", "auth", "core", "extension", "reporting", "wsgi"},
    "_version": set(),
}


def import_graph():
    """Module → the modules of the package that it imports, under ``TYPE_CHECKING`` and in functions, too."""
    modules = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__": path
        for path in PACKAGE.rglob("*.py")
    }
    graph = {}
    for name, path in modules.items():
        package = path.relative_to(PACKAGE).parent.parts
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            for alias in node.names:
                parts = [part for part in (*base, alias.name) if part]
                full, parent = ".".join(parts), ".".join(parts[:-1]) or "__init__"
                found.add(full if full in modules else parent)
        graph[name] = found - {name}
    return graph


def room_of(module):
    return module.partition(".")[0]


def test_each_room_imports_only_the_rooms_below_it():
    offending = {
        (module, imported)
        for module, found in import_graph().items()
        for imported in found
        if room_of(imported) not in MAY_IMPORT[room_of(module)]
    }
    assert offending == set()


def test_no_import_goes_in_a_circle():
    order = list(graphlib.TopologicalSorter(import_graph()).static_order())
    assert len(order) == len(set(order))


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
