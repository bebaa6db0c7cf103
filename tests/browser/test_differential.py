"""The real engines and :class:`Browser` against the same servers, case by case.

Chromium may not disagree at all. In Firefox and WebKit the cases in ``known_disagreements.json`` do; none may be added,
and one that agrees now has to go from there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from differential_cases import all_cases
from differential_lab import Case
from differential_lab import Laboratory
from differential_lab import run_in_chromium
from differential_lab import run_in_firefox
from differential_lab import run_in_webkit
from differential_lab import SECURE
from engines import Engine

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport

KNOWN = json.loads((Path(__file__).parent / "known_disagreements.json").read_text(encoding="utf-8"))
FAMILIES = list(dict.fromkeys(case["id"].rpartition("-")[0] for case in all_cases()))

#: A page that came over HTTPS is something that only Chromium is given without a certificate.
CHROMIUM_ONLY = {"mixed_content"}


def run_in_browser(laboratory: Laboratory, case: Case, engine: str, times: list[float]) -> list[dict[str, Any]]:
    """One case in ours, reported in the words of the page's script; *times* is when the engine began each step."""
    laboratory.add(case)
    page = laboratory.urls["page"]
    origin = {None: page, "sandboxed": "null", "secure": SECURE}[case.get("page")]
    browser = Browser(HTTPTransport(timeout=20), origin=origin, base_url=page, quirks=engine)  # type: ignore[arg-type]
    steps: list[dict[str, Any]] = []
    for step, browser.clock in zip(case["steps"], times, strict=True):
        outcome: dict[str, Any]
        try:
            response = browser.fetch(laboratory.fill_in(step["url"], None, case["id"]), **step["init"])
            outcome = {
                "outcome": "resolved",
                "type": response.type,
                "status": response.status,
                "url": response.url,
                "redirected": response.redirected,
                "headers": dict(response.headers),
                "text": response.text,
            }
        except CORSError as error:
            # The name that stands for several refused ones is the engine's to choose.
            names = error.offending if len(error.offending) > 1 else ()
            lines = {error.console_message}
            lines |= {error.console_message.replace(error.detail, name) for name in names}
            outcome = {"outcome": "TypeError", "console": lines}
        outcome["seen"] = laboratory.seen.pop(case["id"], [])
        steps.append(outcome)
    return steps


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
    said = {re.sub("^(SECURITY|JS|NETWORK) ERROR ", "", line).lower() for line in lines}
    said = {re.sub(r"moz-nullprincipal:\{\S+", "null/", line) for line in said}
    return not said.isdisjoint(line.lower() for line in ours)


@pytest.fixture(scope="session")
def verdicts(engine: Engine, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What differs, by family and case; and of the console lines how many there were, and how many were right."""
    only = CHROMIUM_ONLY if engine.name != "chromium" else set()
    cases = [case for case in all_cases() if case["id"].rpartition("-")[0] not in only]
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
            ours = run_in_browser(laboratory, case, engine.name, times)
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
                differs[case["id"].rpartition("-")[0]][case["id"]] = [*found, str(case)]
    disagreeing = sum(map(len, differs.values()))
    print(f"{engine.name}: {len(cases)} cases, {disagreeing} disagree; {right} of {lines} console lines word for word")
    return {"differs": differs, "lines": lines, "right": right, "wrong_lines": wrong_lines}


@pytest.mark.parametrize("family", FAMILIES)
def test_browser_agrees(family: str, engine: Engine, verdicts: dict[str, Any]) -> None:
    """Outcome, type, status, URL, headers, text, and every request that the servers saw."""
    found = verdicts["differs"].get(family, {})
    known = {case for case in KNOWN[engine.name] if case.rpartition("-")[0] == family}
    wrong = [f"{case}: {line}" for case, lines in found.items() if case not in known for line in lines]
    wrong += [f"{case} agrees now: take it out of known_disagreements.json" for case in known - found.keys()]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_the_console_says_the_same(engine: Engine, verdicts: dict[str, Any]) -> None:
    """Every line in Chromium; in the others at least 95 of 100."""
    least = 1.0 if engine.name == "chromium" else 0.95
    if verdicts["right"] < least * verdicts["lines"]:
        pytest.fail("\n".join(verdicts["wrong_lines"]), pytrace=False)
