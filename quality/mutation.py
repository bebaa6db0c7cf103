"""Mutation testing with mutmut: is there a test for every line's meaning?

``python -m quality.mutation core`` (or ``adapters``, or single files, as ``auth/guards.py``) changes the package, one
small thing at a time, in a copy of the tree, and runs the tests that reach the change. A mutant that no test notices
has *survived*; those that mean the same as the original are listed with the reason in ``equivalent_mutants.txt``. The
others are printed: some show a test that is missing. It is a search and no gate. ``--keep DIR`` resumes.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from difflib import ndiff
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Each file that is changed, and the tests that pin what it does: the smallest selection that knows all of it.
#: The command line and the browser have no mutants here.
TESTS = {
    "core/answers.py": ["core/test_answers", "core/test_policy", "core/test_vectors", "core/test_site"],
    "core/decision.py": ["core/test_decision", "core/test_answers", "core/test_policy"],
    "core/discovery.py": ["core/test_site", "core/test_mcp", "test_reporting"],
    "core/headers.py": ["core/test_headers", "core/test_answers", "core/test_policy", "core/test_messages"],
    "core/hosts.py": ["core/test_hosts", "core/test_site", "core/test_messages"],
    "core/mcp.py": ["core/test_mcp", "test_config"],
    "core/origins.py": ["core/test_origins", "core/test_patterns", "core/test_vectors", "core/test_hosts"],
    "core/paths.py": ["core/test_paths", "core/test_site", "core/test_messages"],
    "core/patterns.py": ["core/test_patterns", "core/test_messages", "core/test_vectors", "core/test_policy"],
    "core/policy.py": ["core/test_policy", "core/test_answers", "core/test_decision", "core/test_site"],
    "core/problems.py": ["core/test_policy", "core/test_messages", "test_config"],
    "core/security.py": ["core/test_security", "core/test_messages", "core/test_policy"],
    "core/settings.py": ["core/test_settings", "core/test_messages", "test_config"],
    "core/site.py": ["core/test_site", "core/test_messages"],
    "core/suffixes.py": ["core/test_suffixes", "core/test_patterns", "core/test_hosts"],
    "core/validation.py": ["core/test_policy", "core/test_messages", "core/test_patterns", "core/test_answers"],
    "asgi.py": ["test_asgi", "test_doors", "asgi/test_frameworks"],
    "configure.py": ["test_config"],
    "doors.py": ["test_doors", "test_wsgi", "test_asgi", "test_layer"],
    "reporting.py": ["test_reporting", "test_asgi", "cli/test_debug_lines"],
    "wsgi.py": ["test_wsgi", "test_doors", "test_layer", "test_config"],
    "auth/guards.py": ["test_guards", "test_guarded_routes", "test_metadata"],
    "auth/metadata.py": ["test_metadata"],
    "extension/cors.py": [
        *("test_extension", "test_layer", "test_marks", "test_guards", "test_guarded_routes", "test_metadata"),
        "test_config",
    ],
    "extension/gate.py": [
        *("test_gate", "test_extension", "test_adversary", "test_config", "test_layer", "test_wsgi"),
        *("test_marks", "test_guarded_routes", "test_metadata"),
    ],
    "extension/layer.py": ["test_layer", "test_gate", "test_wsgi", "test_doors"],
    "extension/marks.py": ["test_marks", "test_guarded_routes", "test_layer"],
    "extension/routing.py": ["test_routing", "test_config"],
}

GROUPS = {
    "core": [name for name in TESTS if name.startswith("core/")],
    "adapters": [name for name in TESTS if not name.startswith("core/")],
}

CONFIGURATION = """
[tool.mutmut]
source_paths = ["flask_mcp_cors"]
only_mutate = ["flask_mcp_cors/{file}"]
also_copy = ["flask_mcp_cors", "quality", "docs"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
"""


def copy_tree(file: str, place: Path) -> None:
    """The files under version control, with mutmut's settings added to the copy."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
    with open(place / "pyproject.toml", "a", encoding="utf-8") as settings:
        settings.write(CONFIGURATION.format(file=file, tests=[f"tests/{name}.py" for name in TESTS[file]]))


def changes(source: str) -> dict[str, tuple[str, str]]:
    """Mutant → the line that it has taken out, and the one that it put in. *source*: the file as mutmut has made it."""
    lines = source.splitlines()
    bodies: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            head = lines[node.lineno - 1].replace(node.name, "")
            bodies[node.name] = [line.strip() for line in (head, *lines[node.lineno : node.end_lineno])]
    found: dict[str, tuple[str, str]] = {}
    for name, body in bodies.items():
        original = bodies.get(f"{name.rpartition('__mutmut_')[0]}__mutmut_orig", body)
        compared = list(ndiff(original, body))
        out, into = (next((line[2:] for line in compared if line.startswith(sign)), "") for sign in "-+")
        found[name] = out, into
    return found


def equivalents() -> dict[tuple[str, str], str]:
    """Function and changed line → why it means the same as the original."""
    explained: dict[tuple[str, str], str] = {}
    reason = ""
    for line in (ROOT / "quality" / "equivalent_mutants.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            function, _, changed = line.partition(" | ")
            explained[function.strip(), changed.strip()] = reason
    return explained


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="+", choices=[*GROUPS, *TESTS], help="core, adapters, or a file of the package")
    parser.add_argument("--keep", type=Path, help="where the copies are, and stay: a second run goes on with them")
    parser.add_argument("--children", default="2", help="how many processes (default: 2)")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="mutation-"))
    files = dict.fromkeys(file for what in arguments.what for file in GROUPS.get(what, [what]))
    total: Counter[str] = Counter()
    try:
        for file in files:
            total += judge(file, place / file.removesuffix(".py").replace("/", "."), arguments.children)
    finally:
        if arguments.keep is None:
            shutil.rmtree(place, ignore_errors=True)
    print(f"all: {described(total)}")
    return 0


def judge(file: str, place: Path, children: str) -> Counter[str]:
    """Make and test the mutants of one file; print every survivor that nobody has explained, and the score."""
    if not (place / "pyproject.toml").exists():
        place.mkdir(parents=True, exist_ok=True)
        copy_tree(file, place)
    mutants = place / "mutants"
    tests = [f"tests/{name}.py" for name in TESTS[file]]
    plugin = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--assert=plain", "-p", "quality.mutants", *tests]
    with open(place / "log", "w", encoding="utf-8") as log:
        # Mutmut makes the mutants, learns which tests call which function, and then finds none of this name.
        subprocess.run([sys.executable, "-m", "mutmut", "run", "none"], cwd=place, stdout=log, stderr=log)
        if not (mutants / "mutmut-stats.json").exists():
            raise SystemExit(f"{file}: its tests fail: run it with --keep and see {log.name}")
        environment = {**os.environ, "MUTATION_CHILDREN": children}
        subprocess.run(plugin, cwd=mutants, stdout=log, stderr=log, env=environment, check=True)
    explained = equivalents()
    changed = changes((mutants / "flask_mcp_cors" / file).read_text(encoding="utf-8"))
    counts: Counter[str] = Counter()
    for name, status in json.loads((mutants / "results.json").read_text(encoding="utf-8")).items():
        kind = "killed" if status == "timeout" else status
        if kind != "killed":
            module, _, function = name.rpartition("__mutmut_")[0].removeprefix("flask_mcp_cors.").rpartition(".")
            function = f"{module}.{function.removeprefix('x').removeprefix('_').replace('ǁ', '.').strip('.')}"
            out, into = changed[name.rpartition(".")[2]]
            if (function, into) in explained:
                kind = "equivalent"
            elif fails_alone(name, mutants, tests):
                kind = "killed"
            else:
                print(f"{function} | {into}\n    was: {out}")
        counts[kind] += 1
    print(f"{file}: {described(counts)}", flush=True)
    return counts


def fails_alone(mutant: str, mutants: Path, tests: list[str]) -> bool:
    """Does a test fail in a new process? A fork tests nothing that is called when a module is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--assert=plain", "-m", "not hypothesis", *tests]
    environment = {**os.environ, "MUTANT_UNDER_TEST": mutant}
    return subprocess.run(command, cwd=mutants, env=environment, stdout=subprocess.DEVNULL).returncode != 0


def described(counts: Counter[str]) -> str:
    """The score, and how many there are of each kind. A mutant that no test reaches counts as a survivor."""
    equivalent = counts["equivalent"]
    total = counts.total() - equivalent
    score = 100 * counts["killed"] / total if total else 100.0
    return f"{score:.1f} % of {total} killed ({', '.join(f'{n} {kind}' for kind, n in sorted(counts.items()))})"


if __name__ == "__main__":
    sys.exit(main())
