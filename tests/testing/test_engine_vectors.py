"""What the three engines did in recorded cases, and what :class:`Browser` does in them. No engine is needed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS / "browser"))  # where the cases are

from differential_cases import all_cases  # noqa: E402
from differential_cases import answer_of  # noqa: E402
from differential_cases import Case  # noqa: E402
from differential_cases import fill_in  # noqa: E402
from differential_outcomes import line  # noqa: E402
from differential_outcomes import run_in_browser  # noqa: E402

from flask_mcp_cors.testing import HeaderList  # noqa: E402
from flask_mcp_cors.testing import NetworkRequest  # noqa: E402
from flask_mcp_cors.testing import NetworkResponse  # noqa: E402
from flask_mcp_cors.testing.messages import Body  # noqa: E402

RECORDED = json.loads((TESTS / "vectors" / "engines.json").read_text(encoding="utf-8"))["cases"]
CASES = {case["id"]: case for case in all_cases()}

URLS = {
    "page": "http://127.0.0.1:9201",
    "a": "http://127.0.0.1:9150",
    "b": "http://127.0.0.1:9151",
    "c": "http://localhost:9151",
    "insecure": "http://attacker.test:9151",
}
SERVERS = {url.partition("//")[2]: name for name, url in URLS.items()}


class Laboratory:
    """The servers of a case, as a transport: what the living engines ask over the network."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.seen: list[dict[str, str]] = []

    def send(self, request: NetworkRequest) -> NetworkResponse:
        found = re.fullmatch(r"http://([^/]+)(/[^?]*)(\?.*)?", request.url)
        assert found is not None, request.url
        if found[1] not in SERVERS:
            raise ConnectionRefusedError(found[1])
        self.seen.append(
            {"method": request.method, "server": found[1], "path": found[2] + (found[3] or "")}
            | {name.lower(): request.headers[name] for name in request.headers}
        )
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        path = re.sub("/case/[^/]+", "", found[2]) or "/"
        answer = answer_of(self.case, SERVERS[found[1]], path, is_preflight=is_preflight)
        origin, status = request.headers.get("Origin"), answer.get("status", 200)
        headers = [(name, fill_in(value, URLS, origin, self.case["id"]).strip()) for name, value in answer["headers"]]
        has_body = status not in (204, 205, 304)
        if has_body:
            headers.append(("Content-Length", "5"))
        elif status == 205:
            headers.append(("Content-Length", "0"))
        body = [b"hello"] if has_body and request.method != "HEAD" else []
        return NetworkResponse(status, HeaderList(headers), Body(body))

    def take_seen(self) -> list[dict[str, str]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.mark.parametrize("engine", ["chromium", "firefox", "webkit"])
@pytest.mark.parametrize("case_id", RECORDED)
def test_browser_does_what_the_engine_did(case_id: str, engine: str) -> None:
    case = CASES[case_id]
    expected = next(lines for engines, lines in RECORDED[case_id].items() if engine in engines.split())
    laboratory = Laboratory(case)
    times = [0.01 * number for number in range(len(case["steps"]))]
    outcomes: list[dict[str, Any]] = run_in_browser(laboratory, URLS, case, engine, times, laboratory.take_seen)
    assert [line(outcome, URLS) for outcome in outcomes] == expected


def test_the_vectors_are_about_differences() -> None:
    """In most cases the engines do not do the same, and each differs from another somewhere."""
    apart = [entry for entry in RECORDED.values() if len(entry) > 1]
    assert len(apart) > 150
    for engine in ("chromium", "firefox", "webkit"):
        assert sum(engine in entry for entry in apart) > 50, engine
