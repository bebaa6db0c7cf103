"""``python -m benchmarks``: measure everything, write JSON and the page of the documentation."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import asgi
from . import costs
from . import load
from . import micro
from . import preflights
from . import side_by_side
from .report import to_markdown

ROOT = Path(__file__).parent.parent
PACKAGES = ("Flask", "Werkzeug", "flask-cors", "wsgicors", "flask-talisman", "starlette", "mcp", "gunicorn")


def _parts(seconds: float) -> dict[str, Callable[[], Any]]:
    return {
        "side_by_side": lambda: side_by_side.measure(seconds),
        "asgi": lambda: asgi.measure(seconds / 2),
        "costs": costs.measure,
        "micro": micro.measure,
        "preflights": lambda: preflights.available() or preflights.measure(),
        "load": lambda: load.available() or load.measure(seconds / 2),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: version(name) for name in PACKAGES},
        "load_average": os.getloadavg()[0],
    }


def _rounded(results: dict[str, Any]) -> str:
    rounded = json.loads(json.dumps(results), parse_float=lambda digits: round(float(digits), 4))
    return json.dumps(rounded, separators=(",", ":")) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="for the comparison; default: %(default)s")
    parser.add_argument("--only", action="append", choices=_parts(0), help="measure this part only (repeatable)")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "_generated" / "performance.md", metavar="FILE")
    options = parser.parse_args()
    logging.getLogger("flask_mcp_cors").setLevel(logging.CRITICAL)  # refusals are logged, here by the thousand
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)

    results = json.loads(options.json.read_text()) if options.only and options.json.exists() else {}
    results["machine"] = _machine()
    for name, measure in _parts(options.seconds).items():
        if options.only and name not in options.only:
            continue
        start = time.monotonic()
        found = measure()
        if isinstance(found, str):
            print(f"{name}: left out: {found}", file=sys.stderr)
            continue
        results[name] = found
        options.json.write_text(_rounded(results))
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    page = to_markdown(results)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
