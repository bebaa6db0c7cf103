"""What it costs once: importing the package, and building a large policy.

Each figure comes from a process of its own. ``python -m benchmarks.costs build`` and ``… memory`` are
those processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from statistics import median
from typing import Any

from flask_mcp_cors import CORSPolicy

IMPORTS = 15
BUILDS = 5
PATTERNS = 20_000


def _many() -> list[str]:
    half = range(PATTERNS // 2)
    return [*(f"https://app{n}.example.net" for n in half), *(f"https://*.tenant{n}.example.org" for n in half)]


def _build() -> float:
    patterns = _many()
    start = time.perf_counter()
    CORSPolicy(origins=patterns)
    return time.perf_counter() - start


def _memory() -> dict[str, float]:
    # The public suffix list is loaded once per process, for the first subdomain pattern.
    patterns = _many()
    tracemalloc.start()
    CORSPolicy(origins="https://*.example.com")
    suffixes = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    policy = CORSPolicy(origins=patterns)
    kept, peak = tracemalloc.get_traced_memory()
    del policy
    return {"policy_mb": (kept - suffixes) / 1e6, "peak_mb": peak / 1e6, "public_suffixes_mb": suffixes / 1e6}


def _child(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)


def _import_ms(cache: str) -> float:
    # With bytecode, as an installed package has it, also where the environment writes none.
    environment = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    report = _child("-X", "importtime", "-c", "import flask, flask_mcp_cors", **environment).stderr
    for line in report.splitlines():
        _, cumulative, name = line.rsplit("|", 2)
        if name.strip() == "flask_mcp_cors":
            return int(cumulative) / 1000
    raise AssertionError("flask_mcp_cors was not imported")


def measure() -> dict[str, Any]:
    """Import time over Flask's own, and the time and memory of a policy of 20,000 patterns."""
    with tempfile.TemporaryDirectory() as cache:
        _import_ms(cache)
        imports = [_import_ms(cache) for _ in range(IMPORTS)]
    builds = [float(_child("-m", "benchmarks.costs", "build").stdout) for _ in range(BUILDS)]
    memory = json.loads(_child("-m", "benchmarks.costs", "memory").stdout)
    return {
        "import_ms": {"min": min(imports), "median": median(imports)},
        "build_s": {"min": min(builds), "median": median(builds)},
        **memory,
    }


if __name__ == "__main__":
    print(json.dumps(_build() if sys.argv[1] == "build" else _memory()))
