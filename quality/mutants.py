"""A pytest plugin that tests mutants: the tests are collected once, and each mutant has a fork of that process.

``quality/mutation.py`` runs it in the folder that mutmut has made, where a variable of the environment says which
mutant of a function counts. What becomes of each goes into ``results.json``; a second run goes on from there.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

RESULTS = Path("results.json")

#: Seconds of computing and of waiting after which a mutant counts as killed.
COMPUTING, WAITING = 20, 300


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Test every mutant, instead of the package."""
    results: dict[str, str] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    running: dict[int, str] = {}
    gc.collect()
    gc.freeze()

    def wait() -> None:
        child, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        # By a signal: it has computed or waited for too long.
        results[running.pop(child)] = "survived" if code == 0 else "killed" if code == 1 else "timeout"
        RESULTS.write_text(json.dumps(results), encoding="utf-8")

    for mutant, items in _mutants(session):
        if mutant in results:
            continue
        if not items:
            results[mutant] = "no tests"
            continue
        child = os.fork()
        if child == 0:
            _test(session, mutant, items)
        running[child] = mutant
        while len(running) >= int(os.environ["MUTATION_CHILDREN"]):
            wait()
    while running:
        wait()
    RESULTS.write_text(json.dumps(results), encoding="utf-8")
    return True


def _mutants(session: pytest.Session) -> Iterator[tuple[str, list[pytest.Item]]]:
    """Each mutant, and the tests that call its function, the fastest first."""
    stats = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))
    # Random examples would kill a mutant today and not tomorrow.
    items = {item.nodeid: item for item in session.items if not hasattr(getattr(item, "obj", None), "hypothesis")}
    for meta in Path("flask_mcp_cors").rglob("*.meta"):
        for mutant in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]:
            function = mutant.rpartition("__mutmut_")[0]
            reached = [test for test in stats["tests_by_mangled_function_name"].get(function, ()) if test in items]
            reached.sort(key=lambda test: stats["duration_by_test"].get(test, 0.0))
            yield mutant, [items[test] for test in reached]


def _test(session: pytest.Session, mutant: str, items: list[pytest.Item]) -> None:
    """In the fork: run the tests until one fails, and end with 1, or with 0 where none does."""
    os.environ["MUTANT_UNDER_TEST"] = mutant
    resource.setrlimit(resource.RLIMIT_CPU, (COMPUTING, COMPUTING + 1))
    signal.alarm(WAITING)
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            os._exit(1)
    os._exit(0)
