"""A pytest plugin that tests mutants: the tests are collected once, and each mutant has a fork of that process.

``quality/mutation.py`` runs it in the folder that mutmut has made, where a variable of the environment says which
mutant of a function counts. What becomes of each goes into ``results.json``; a second run goes on from there.
"""

from __future__ import annotations

import gc
import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

RESULTS = Path("results.json")

#: Seconds of computing in one test, and of all its tests, after which a mutant counts as killed.
COMPUTING, WAITING = 3, 300


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Test every mutant, instead of the package."""
    results: dict[str, str] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    running: dict[int, str] = {}
    #: Function → the tests that have killed a mutant of it, the last one first.
    killers: defaultdict[str, list[str]] = defaultdict(list)

    def wait() -> None:
        child, status = os.wait()
        mutant = running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        # By a signal: it has computed or waited for too long.
        results[mutant] = "survived" if code == 0 else "killed" if code == 1 else "timeout"
        RESULTS.write_text(json.dumps(results), encoding="utf-8")
        if (said := _killer(child)).exists():
            killers[_function(mutant)].insert(0, said.read_text(encoding="utf-8"))
            said.unlink()

    items = {item.nodeid: item for item in session.items}
    gc.collect()
    gc.freeze()
    for mutant, tests in _mutants(session):
        if mutant in results:
            continue
        if not tests:
            results[mutant] = "no tests"
            continue
        while len(running) >= int(os.environ["MUTATION_CHILDREN"]):
            wait()
        child = os.fork()
        if child == 0:
            _test(session, mutant, [items[test] for test in dict.fromkeys([*killers[_function(mutant)], *tests])])
        running[child] = mutant
    while running:
        wait()
    RESULTS.write_text(json.dumps(results), encoding="utf-8")
    return True


def _function(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


def _killer(process: int) -> Path:
    """Where a fork names the test that has killed its mutant."""
    return Path(f"killer-{process}")


def _mutants(session: pytest.Session) -> Iterator[tuple[str, list[str]]]:
    """Each mutant, and the tests that call its function, the fastest first."""
    stats = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))
    callers, durations = stats["tests_by_mangled_function_name"], stats["duration_by_test"]
    # Random examples would kill a mutant today and not tomorrow.
    steady = {item.nodeid for item in session.items if not hasattr(getattr(item, "obj", None), "hypothesis")}
    for meta in Path("flask_mcp_cors").rglob("*.meta"):
        for mutant in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]:
            reached = steady.intersection(callers.get(_function(mutant), ()))
            yield mutant, sorted(reached, key=lambda test: durations.get(test, 0.0))


def _test(session: pytest.Session, mutant: str, items: list[pytest.Item]) -> None:
    """In the fork: run the tests until one fails, and end with 1, or with 0 where none does."""
    os.environ["MUTANT_UNDER_TEST"] = mutant
    signal.alarm(WAITING)
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    for item, following in zip(items, [*items[1:], None], strict=True):
        signal.setitimer(signal.ITIMER_VIRTUAL, COMPUTING)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            _killer(os.getpid()).write_text(item.nodeid, encoding="utf-8")
            os._exit(1)
    os._exit(0)
