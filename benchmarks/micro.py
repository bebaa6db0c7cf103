"""Microbenchmarks of the core with pyperf: ``python -m benchmarks.micro`` is a pyperf script.

A policy keeps its answers, so a question is measured twice: asked again and again, and asked by ever
new origins, more than are kept.
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

ASKED = "authorization,content-type,mcp-protocol-version,mcp-session-id"


@cache
def _policy() -> CORSPolicy:
    return CORSPolicy(origins=["https://app.example.com", "https://*.example.org"])


@cache
def _many() -> Iterator[str]:
    return cycle([f"https://pr-{number}.example.org" for number in range(5000)])


def actual_exact() -> None:
    _policy().actual("https://app.example.com")


def actual_wildcard_new() -> None:
    _policy().actual(next(_many()))


def actual_foreign() -> None:
    _policy().actual("https://evil.example")


def preflight_known() -> None:
    _policy().preflight("https://app.example.com", "POST", ASKED)


def preflight_new() -> None:
    _policy().preflight(next(_many()), "POST", ASKED)


def preflight_family_new() -> None:
    _policy().preflight(next(_many()), "POST", f"{ASKED},mcp-param-region")


def apply() -> None:
    _policy().actual("https://app.example.com").apply([("Content-Type", "application/json"), ("Content-Length", "77")])


BENCHMARKS: dict[str, Callable[[], None]] = {
    "policy.actual, known origin": actual_exact,
    "policy.actual, wildcard, ever new origins": actual_wildcard_new,
    "policy.actual, foreign origin": actual_foreign,
    "policy.preflight, known": preflight_known,
    "policy.preflight, ever new origins": preflight_new,
    "policy.preflight, Mcp-Param-*, ever new origins": preflight_family_new,
    "policy.actual and decision.apply": apply,
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
