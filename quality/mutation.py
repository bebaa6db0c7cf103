"""Mutation testing with mutmut: is there a test for every line's meaning?

``python -m quality.mutation core`` and ``python -m quality.mutation adapters`` change the package, one small thing at
a time, in a copy of the tree, and run the tests that reach the change. A mutant that no test notices has *survived*;
those that mean the same as the original are listed with the reason in ``equivalent_mutants.txt``. The others are
printed: some show a test that is missing. It is a search and no gate. It takes the better part of an hour on two cores;
``--keep DIR`` resumes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: The files of each group: everything in the package but the command line and the browser, which have no mutants here.
GROUPS = {
    "core": ["flask_mcp_cors/core/*.py"],
    "adapters": [
        *(f"flask_mcp_cors/{name}.py" for name in ("asgi", "configure", "doors", "reporting", "wsgi")),
        "flask_mcp_cors/auth/*.py",
        "flask_mcp_cors/extension/*.py",
    ],
}

#: The tests of each group; a file that is not there is left out.
TESTS = {
    "core": [
        "tests/core",
        *(f"tests/test_{name}.py" for name in ("config", "doors", "extension", "published_flaws", "quality")),
    ],
    "adapters": [
        *(
            f"tests/test_{name}.py"
            for name in (
                "adversary",
                "config",
                "doors",
                "extension",
                "gate",
                "guards",
                "layer",
                "marks",
                "metadata",
                "published_flaws",
                "quality",
                "reporting",
                "wsgi",
            )
        ),
        "tests/cli/test_debug_lines.py",
    ],
}

# The properties are left out: random examples would kill a mutant today and not tomorrow.
CONFIGURATION = """
[tool.mutmut]
source_paths = ["flask_mcp_cors"]
only_mutate = {files}
also_copy = ["flask_mcp_cors", "quality"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--deselect", "tests/core/test_properties.py"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
timeout_multiplier = 10
"""

KILLED = {"killed", "timeout", "caught by type check", "segfault", "suspicious"}


def copy_tree(group: str, place: Path) -> None:
    """The files under version control, with mutmut's settings added to the copy."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
    tests = [name for name in TESTS[group] if (place / name).exists()]
    with open(place / "pyproject.toml", "a", encoding="utf-8") as settings:
        settings.write(CONFIGURATION.format(files=GROUPS[group], tests=tests))


def mutmut(place: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout


def results(place: Path) -> Iterator[tuple[str, str]]:
    """Each mutant's name and what became of it."""
    for line in mutmut(place, "results", "--all", "true").splitlines():
        name, colon, status = line.strip().rpartition(": ")
        if colon:
            yield name, status


def change(place: Path, name: str) -> tuple[str, str]:
    """The line that a mutant has taken out, and the one that it put in."""
    out = into = ""
    for line in mutmut(place, "show", name).splitlines():
        if line.startswith("-") and not line.startswith("---"):
            out = line[1:].strip()
        elif line.startswith("+") and not line.startswith("+++"):
            into = line[1:].strip()
    return out, into


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
    parser.add_argument("group", choices=sorted(GROUPS))
    parser.add_argument("--keep", type=Path, help="where the copy is, and stays: a second run goes on with it")
    parser.add_argument("--children", default="2", help="how many processes (default: 2)")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="mutation-"))
    try:
        if not (place / "pyproject.toml").exists():
            place.mkdir(parents=True, exist_ok=True)
            copy_tree(arguments.group, place)
        run = [sys.executable, "-m", "mutmut", "run", "--max-children", arguments.children]
        if subprocess.run(run, cwd=place, stdout=subprocess.DEVNULL).returncode not in (0, 1):
            print("mutmut failed: run it in the copy to see why", file=sys.stderr)
            return 2
        report(place)
        return 0
    finally:
        if arguments.keep is None:
            shutil.rmtree(place, ignore_errors=True)


def report(place: Path) -> None:
    """Print the score and every survivor that nobody has explained."""
    explained = equivalents()
    counts: Counter[str] = Counter()
    for name, status in results(place):
        if status in KILLED:
            counts["killed"] += 1
            continue
        if status != "survived":
            counts[status] += 1
            continue
        module, _, function = name.rpartition("__mutmut_")[0].removeprefix("flask_mcp_cors.").rpartition(".")
        function = f"{module}.{function.removeprefix('x').removeprefix('_').replace('ǁ', '.').strip('.')}"
        out, into = change(place, name)
        if (function, into) in explained:
            counts["equivalent"] += 1
            continue
        counts["survived"] += 1
        print(f"{function} | {into}\n    was: {out}")
    total = counts["killed"] + counts["survived"]
    score = 100 * counts["killed"] / total if total else 0.0
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    print(f"score {score:.1f} % of {total} mutants that mean something else")


if __name__ == "__main__":
    sys.exit(main())
