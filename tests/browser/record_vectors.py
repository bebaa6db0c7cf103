"""Record what the three engines do where they differ: ``python tests/browser/record_vectors.py``.

It runs the cases of the differential test and writes ``tests/vectors/engines.json``: the recorded cases of Chromium in
the other two, and the first cases of every kind in which the three do not do the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from differential_cases import all_cases
from differential_cases import family
from differential_lab import Laboratory
from differential_lab import run_in_chromium
from differential_lab import run_in_firefox
from differential_lab import run_in_webkit
from differential_outcomes import line
from engines import CHROMIUM_FLAGS
from engines import chromium_path
from engines import FirefoxEngine
from engines import WebKitEngine
from playwright.sync_api import sync_playwright

VECTORS = Path(__file__).parent.parent / "vectors" / "engines.json"

#: How many cases of one kind are kept.
AT_MOST = 15

#: What needs a certificate, and what needs real time.
LEFT_OUT = {"mixed_content", "ages"}


def main() -> None:
    cases = [case for case in all_cases() if family(case["id"]) not in LEFT_OUT]
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
    kept: dict[str, dict[str, list[str]]] = {}
    count: dict[str, int] = defaultdict(int)
    for case in cases:
        # Engines that did the same share an entry.
        shared: dict[str, list[str]] = defaultdict(list)
        for name in versions:
            shared["\n".join(lines[case["id"]][name])].append(name)
        kind = family(case["id"])
        if kind == "recorded" or (len(shared) > 1 and count[kind] < AT_MOST):
            count[kind] += 1
            kept[case["id"]] = {" ".join(names): text.split("\n") for text, names in shared.items()}
    written = ",\n".join(
        f"{json.dumps(case_id)}: {json.dumps(entry, ensure_ascii=False)}" for case_id, entry in kept.items()
    )
    VECTORS.write_text(f'{{"versions": {json.dumps(versions)},\n"cases": {{\n{written}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
