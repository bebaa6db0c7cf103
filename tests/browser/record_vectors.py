"""Record what the three engines do: ``python tests/browser/record_vectors.py``.

It runs the cases of the differential test and writes ``tests/vectors/engines.json``: two cases for every quirk of every
engine, that show it, and the recorded cases of Chromium.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from differential_cases import all_cases
from differential_cases import family
from differential_lab import Laboratory
from differential_lab import run_in_chromium
from differential_lab import run_in_firefox
from differential_lab import run_in_webkit
from differential_outcomes import line
from differential_outcomes import Replay
from engines import CHROMIUM_FLAGS
from engines import chromium_path
from engines import FirefoxEngine
from engines import WebKitEngine
from playwright.sync_api import sync_playwright

from flask_mcp_cors.testing import Quirk
from flask_mcp_cors.testing import QUIRKS

VECTORS = Path(__file__).parent.parent / "vectors" / "engines.json"

#: How many cases are kept for one quirk.
ENOUGH = 2


def main() -> None:
    cases = all_cases()
    versions: dict[str, str] = {}
    lines: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for name in ("chromium", "firefox", "webkit"):
        with Laboratory().running() as laboratory, ExitStack() as stack:
            real: dict[str, Any]
            if name == "chromium":
                playwright = stack.enter_context(sync_playwright())
                chromium = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_FLAGS))
                versions[name], real = chromium.version, run_in_chromium(chromium, laboratory, cases)
                chromium.close()
            elif name == "firefox":
                firefox = stack.enter_context(FirefoxEngine.running())
                versions[name], real = firefox.version, run_in_firefox(firefox, laboratory, cases)
            else:
                versions[name] = stack.enter_context(WebKitEngine.running()).version
                real = run_in_webkit(laboratory, cases)
            for case_id, outcomes in real.items():
                lines[case_id][name] = [line(outcome, laboratory.urls) for outcome in outcomes]
    shows: dict[str, list[str]] = {case["id"]: [] for case in cases if family(case["id"]) == "recorded"}
    for engine, quirks in QUIRKS.items():
        right = [case for case in cases if Replay(case).lines(engine) == lines[case["id"]][engine]]
        for quirk in (quirk for quirk in Quirk if quirk in quirks):
            found = (
                case["id"] for case in right if Replay(case).lines(engine, without=quirk) != lines[case["id"]][engine]
            )
            for case_id in islice(found, ENOUGH):
                shows.setdefault(case_id, []).append(f"{engine} {quirk.name}")
    written = []
    for case_id in sorted(shows, key=list(lines).index):
        # Engines that did the same share an entry.
        shared: dict[str, list[str]] = defaultdict(list)
        for name in versions:
            shared["\n".join(lines[case_id][name])].append(name)
        entry = {
            "shows": shows[case_id],
            "lines": {" ".join(names): text.split("\n") for text, names in shared.items()},
        }
        written.append(f"{json.dumps(case_id)}: {json.dumps(entry, ensure_ascii=False)}")
    cases_written = ",\n".join(written)
    VECTORS.write_text(f'{{"versions": {json.dumps(versions)},\n"cases": {{\n{cases_written}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
