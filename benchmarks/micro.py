"""Microbenchmarks of the core with pyperf: ``python -m benchmarks.micro`` is a pyperf script, which pyperf
runs again as a file of its own, so nothing is imported from next door.

A site keeps its last decisions, so it is asked twice: the same question again and again, and by ever new
origins, more than are kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

import pyperf

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site
from flask_mcp_cors.core.site import Site

HOST = "mcp.example.com"
ORIGIN = "https://app.example.com"
ASKED = "authorization,content-type,mcp-protocol-version,mcp-session-id"


@cache
def _policy() -> CORSPolicy:
    return CORSPolicy(origins=[ORIGIN, "https://*.example.org"])


@cache
def _site() -> Site:
    return make_site({"hosts": HOST}, _policy())


def _facts(origin: str) -> Facts:
    return Facts("POST", "/mcp", "https", HOST, origin, None, None, "cross-site", "cors")


@cache
def _many() -> Iterator[Facts]:
    return cycle([_facts(f"https://pr-{number}.example.org") for number in range(5000)])


KNOWN = _facts(ORIGIN)
RESPONSE = [("Content-Type", "application/json"), ("Content-Length", "77")]

BENCHMARKS: dict[str, Callable[[], object]] = {
    "policy.actual, exact origin": lambda: _policy().actual(ORIGIN),
    "policy.actual, subdomain pattern": lambda: _policy().actual("https://pr-7.example.org"),
    "policy.actual, foreign origin": lambda: _policy().actual("https://evil.example"),
    "policy.preflight, names on the list": lambda: _policy().preflight(ORIGIN, "POST", ASKED),
    "policy.preflight, Mcp-Param-*": lambda: _policy().preflight(ORIGIN, "POST", f"{ASKED},mcp-param-region"),
    "site.decide, asked before": lambda: _site().decide(KNOWN, _policy()),
    "site.decide, subdomain pattern, ever new origins": lambda: _site().decide(next(_many()), _policy()),
    "site.decide and decision.apply": lambda: _site().decide(KNOWN, _policy()).apply(RESPONSE),
}


def measure() -> list[dict[str, float | str]]:
    """Run the script and read what it found."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "micro.json"
        options = ["--processes", "4", "--values", "3", "--warmups", "1", "--quiet", "--output", str(output)]
        subprocess.run([sys.executable, "-m", "benchmarks.micro", *options], check=True, capture_output=True)
        suite = pyperf.BenchmarkSuite.load(str(output))
    return [
        {"name": bench.get_name(), "median_us": bench.median() * 1e6, "mad_us": bench.median_abs_dev() * 1e6}
        for bench in suite.get_benchmarks()
    ]


if __name__ == "__main__":
    runner = pyperf.Runner()
    for name, function in BENCHMARKS.items():
        runner.bench_func(name, function)
