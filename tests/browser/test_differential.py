"""The real engines and :class:`Browser` against the same servers, case by case. None may disagree in any."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
from differential_cases import all_cases
from differential_cases import Case
from differential_cases import family
from differential_lab import Laboratory
from differential_lab import LaboratoryTransport
from differential_lab import run_in_chromium
from differential_lab import run_in_firefox
from differential_lab import run_in_webkit
from differential_outcomes import run_in_browser
from engines import Engine

FAMILIES = list(dict.fromkeys(family(case["id"]) for case in all_cases()))


def comparable(engine: str, case: Case, outcome: dict[str, Any]) -> dict[str, Any]:
    """Without what WebKit does for reasons of its own, of which no server and no page can make anything."""
    outcome = {key: value for key, value in outcome.items() if key != "console"}
    if engine == "webkit":
        if case.get("page") == "sandboxed":
            # It names the document's URL, which is not part of what Browser is given.
            outcome["seen"] = [
                {name: value for name, value in request.items() if name != "referer"} for request in outcome["seen"]
            ]
        if outcome.get("type") == "opaqueredirect":
            outcome.pop("text")
    return outcome


def is_said(theirs: Any, ours: set[str]) -> bool:
    """Is one of our lines in the console? WebKit's lines begin with their level; Firefox numbers opaque origins."""
    lines = [theirs] if isinstance(theirs, str) else theirs
    said = {re.sub("^(SECURITY|JS|NETWORK) (ERROR|WARN) ", "", line).lower() for line in lines}
    said = {re.sub(r"moz-nullprincipal:\{\S+", "null/", line) for line in said}
    return not said.isdisjoint(line.lower() for line in ours)


@pytest.fixture(scope="session")
def verdicts(engine: Engine, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What differs, by family and case; and of the console lines how many there were, and how many were right."""
    cases = all_cases()
    differs: dict[str, dict[str, list[str]]] = defaultdict(dict)
    lines, right, wrong_lines = 0, 0, []
    with Laboratory().running() as laboratory:
        if engine.name == "chromium":
            real = run_in_chromium(request.getfixturevalue("chromium"), laboratory, cases)
        elif engine.name == "firefox":
            real = run_in_firefox(engine, laboratory, cases)
        else:
            real = run_in_webkit(laboratory, cases)
        for case in cases:
            times = [outcome.pop("at") for outcome in real[case["id"]]]
            ours = run_in_browser(
                LaboratoryTransport(),
                laboratory.urls,
                case,
                engine.name,
                times,
                lambda case_id=case["id"]: laboratory.seen.pop(case_id, []),
            )
            found = []
            for number, (theirs, mine) in enumerate(zip(real[case["id"]], ours, strict=True)):
                if theirs["outcome"] == mine["outcome"] == "TypeError":
                    lines += 1
                    if is_said(theirs["console"], mine["console"]):
                        right += 1
                    else:
                        wrong_lines.append(f"{case['id']}, {number}: {theirs['console']}, not {mine['console']}")
                theirs, mine = comparable(engine.name, case, theirs), comparable(engine.name, case, mine)
                found += [
                    f"step {number}, {key}: {engine.name} {theirs.get(key)!r}, Browser {mine.get(key)!r}"
                    for key in theirs.keys() | mine.keys()
                    if theirs.get(key) != mine.get(key)
                ]
            if found:
                differs[family(case["id"])][case["id"]] = [*found, str(case)]
    disagreeing = sum(map(len, differs.values()))
    print(f"{engine.name}: {len(cases)} cases, {disagreeing} disagree; {right} of {lines} console lines word for word")
    return {"differs": differs, "lines": lines, "right": right, "wrong_lines": wrong_lines}


@pytest.mark.parametrize("name", FAMILIES)
def test_browser_agrees(name: str, engine: Engine, verdicts: dict[str, Any]) -> None:
    """Outcome, type, status, URL, headers, text, and every request that the servers saw."""
    found = verdicts["differs"].get(name, {})
    if found:
        pytest.fail("\n".join(f"{case}: {line}" for case, lines in found.items() for line in lines), pytrace=False)


def test_the_console_says_the_same(engine: Engine, verdicts: dict[str, Any]) -> None:
    """Every line in Chromium; in the others at least 96 of 100."""
    least = 1.0 if engine.name == "chromium" else 0.96
    if verdicts["right"] < least * verdicts["lines"]:
        pytest.fail("\n".join(verdicts["wrong_lines"]), pytrace=False)
