"""The README's two commands, from a new clone, while every core is busy: ``python -m quality.busy``.

The commands are read from README.md: the demo, run with ``--check`` so that it ends by itself, and the tests. One
process per core does nothing but count meanwhile. Takes about as long as the tests do on a machine half as fast. The
exit status is 1 where a command fails.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands_in(readme: str) -> list[str]:
    """The README's commands, each as one line for a shell.

    >>> commands_in("```sh\\npip install '.[example]' && python example_app.py\\n```\\n```sh\\npip install .\\n```\\n")
    ["pip install '.[example]' && python example_app.py --check"]
    """
    blocks = re.findall(r"^```sh\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    lines = [block for block in blocks if " && " in block]
    return [f"{line} --check" if line.endswith("example_app.py") else line for line in lines]


@contextmanager
def busy_cores(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep this many cores busy."""
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def run(clone: Path, environment: Path, count: int) -> list[tuple[str, int, float]]:
    """Run the commands of a clone in a new virtual environment: each with its exit status and its seconds."""
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    path = os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(environment)}
    variables.pop("PYTHONPATH", None)  # what is installed is what counts
    results = []
    with busy_cores(count):
        for command in commands_in((clone / "README.md").read_text(encoding="utf-8")):
            print(f"$ {command}", flush=True)
            start = time.monotonic()
            status = subprocess.run(command, shell=True, cwd=clone, env=variables, check=False).returncode
            results.append((command, status, time.monotonic() - start))
    return results


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("clone", nargs="?", type=Path, help="a clone to use; by default a new one of this repository")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="how many are kept busy")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = options.clone or Path(folder, "clone")
        if options.clone is None:
            subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        results = run(clone, Path(folder, "environment"), options.cores)
    for command, status, seconds in results:
        print(
            f"{'passed' if status == 0 else f'failed ({status})'} in {seconds:.0f} s, {options.cores} busy: {command}"
        )
    return int(any(status for _, status, _ in results))


if __name__ == "__main__":
    sys.exit(main())
