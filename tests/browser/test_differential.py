"""The real Chromium and :class:`Browser` against the same servers, case by case. They may not disagree at all."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

import pytest
from differential_cases import all_cases
from differential_lab import Case
from differential_lab import Laboratory
from differential_lab import run_in_chromium
from differential_lab import SECURE

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium


def run_in_browser(laboratory: Laboratory, case: Case) -> list[dict[str, Any]]:
    """One case in ours, reported in the words of the page's script."""
    laboratory.add(case)
    page = laboratory.urls["page"]
    origin = {None: page, "sandboxed": "null", "secure": SECURE}[case.get("page")]
    browser = Browser(HTTPTransport(timeout=20), origin=origin, base_url=page, quirks="chromium")
    steps: list[dict[str, Any]] = []
    for step in case["steps"]:
        browser.clock += step.get("wait", 0)
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
            outcome = {"outcome": "TypeError", "console": error.console_message}
        outcome["seen"] = laboratory.seen.pop(case["id"], [])
        steps.append(outcome)
    return steps


def disagreements(real: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[str]:
    """What differs, one line each."""
    return [
        f"step {number}, {key}: Chromium {theirs.get(key)!r}, Browser {mine.get(key)!r}"
        for number, (theirs, mine) in enumerate(zip(real, ours, strict=True))
        for key in theirs.keys() | mine.keys()
        if theirs.get(key) != mine.get(key)
    ]


def test_browser_agrees_with_chromium(chromium: Chromium) -> None:
    """Outcome, type, status, URL, headers, text, console, and every request that the servers saw."""
    cases = all_cases()
    wrong = []
    with Laboratory().running() as laboratory:
        real = run_in_chromium(chromium, laboratory, cases)
        for case in cases:
            found = disagreements(real[case["id"]], run_in_browser(laboratory, case))
            wrong += [f"{case['id']}: {line}\n    {case}" for line in found]
    print(f"{len(cases)} cases, {len(wrong)} disagreements")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
