"""What comes of a case of the differential test: in :class:`Browser`, and as one line that can be recorded.

A :class:`Replay` has the servers of a case without a network: what was recorded can be tested without an engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from unittest.mock import patch

from differential_cases import answer_of
from differential_cases import Case
from differential_cases import fill_in

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HeaderList
from flask_mcp_cors.testing import NetworkRequest
from flask_mcp_cors.testing import NetworkResponse
from flask_mcp_cors.testing import Quirk
from flask_mcp_cors.testing import QUIRKS
from flask_mcp_cors.testing.messages import Body

#: The headers that a line tells, under shorter names. The others are compared with the living engines only.
TOLD = {
    "origin": "origin",
    "sec-fetch-site": "site",
    "access-control-request-method": "for",
    "access-control-request-headers": "with",
    "authorization": "authorization",
    "content-type": "type",
    "content-language": "language",
    "cookie": "cookie",
    "range": "range",
}


def run_in_browser(
    transport: Any,
    urls: dict[str, str],
    case: Case,
    engine: str,
    times: list[float],
    take_seen: Callable[[], list[dict[str, str]]],
) -> list[dict[str, Any]]:
    """One case in ours, reported in the words of the page's script.

    :param times: when the engine began each step.
    :param take_seen: what the servers have seen since it was last called.
    """
    origin = {None: urls["page"], "sandboxed": "null", "secure": urls["secure"]}[case.get("page")]
    browser = Browser(transport, origin=origin, base_url=urls["page"], quirks=engine)  # type: ignore[arg-type]
    steps: list[dict[str, Any]] = []
    for step, browser.clock in zip(case["steps"], times, strict=True):
        outcome: dict[str, Any]
        try:
            response = browser.fetch(fill_in(step["url"], urls, None, case["id"]), **step["init"])
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
            lines |= {error.console_message.lower().replace(error.detail, name) for name in names}
            outcome = {"outcome": "TypeError", "console": lines}
        outcome["seen"] = take_seen()
        steps.append(outcome)
    return steps


def line(outcome: dict[str, Any], urls: dict[str, str]) -> str:
    """The outcome of a step as one line: what the page got, then what the servers saw.

    >>> urls = {"a": "http://127.0.0.1:1"}
    >>> seen = {"method": "GET", "server": "127.0.0.1:1", "path": "/case/x-1/t", "origin": "null"}
    >>> line({"outcome": "TypeError", "seen": [seen]}, urls)
    'TypeError | GET a/t origin=null'
    """
    parts = ["TypeError"]
    if outcome["outcome"] == "resolved":
        # Of the values this is the one that an engine changes.
        readable = [f"{name}={value}" if name == "content-type" else name for name, value in outcome["headers"].items()]
        parts = [" ".join([outcome["type"], str(outcome["status"]), *readable])]
    names = {url.partition("//")[2]: name for name, url in urls.items() if name != "insecure"}
    for request in outcome["seen"]:
        server = names.get(request["server"], request["server"])
        headers = [f"{short}={request[name]}" for name, short in TOLD.items() if name in request]
        parts.append(" ".join([request["method"], server + re.sub("/case/[^/]+", "", request["path"]), *headers]))
    text = " | ".join(parts)
    for name, url in urls.items():
        text = text.replace(url, f"{{{name}}}")
    return text


class Replay:
    """The servers of a case, as a transport."""

    URLS = {
        "page": "http://127.0.0.1:9201",
        "a": "http://127.0.0.1:9150",
        "b": "http://127.0.0.1:9151",
        "c": "http://localhost:9151",
        "local": "http://api.localhost:9151",
        "secure": "https://page.localhost:9443",
        "insecure": "http://attacker.test:9151",
        "closed": "http://127.0.0.1:9152",
    }
    SERVERS = {url.partition("//")[2]: name for name, url in URLS.items() if name != "closed"}

    def __init__(self, case: Case) -> None:
        self.case = case
        self.seen: list[dict[str, str]] = []

    def lines(self, engine: str, without: Quirk | None = None) -> list[str]:
        """What :class:`Browser` makes of the case.

        :param without: this quirk, to see what it is for.
        """
        waits = (step.get("wait", 0) + 0.001 for step in self.case["steps"])
        quirks = {**QUIRKS, engine: QUIRKS[engine] - {without}}  # type: ignore[index]
        with patch("flask_mcp_cors.testing.browser.QUIRKS", quirks):
            outcomes = run_in_browser(self, self.URLS, self.case, engine, list(accumulate(waits)), self._take_seen)
        return [line(outcome, self.URLS) for outcome in outcomes]

    def send(self, request: NetworkRequest) -> NetworkResponse:
        found = re.fullmatch(r"https?://(?:[^/@]*@)?([^/]+)(/[^?]*)(\?.*)?", request.url)
        if found is None or found[1] not in self.SERVERS:
            raise ConnectionRefusedError(request.url)
        self.seen.append(
            {"method": request.method, "server": found[1], "path": found[2] + (found[3] or "")}
            | {name.lower(): request.headers[name] for name in request.headers}
        )
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        path = re.sub("/case/[^/]+", "", found[2]) or "/"
        answer = answer_of(self.case, self.SERVERS[found[1]], path, is_preflight=is_preflight)
        origin, status = request.headers.get("Origin"), answer["status"]
        # HTTP takes the white space around a value away.
        headers = [
            (name, fill_in(value, self.URLS, origin, self.case["id"]).strip()) for name, value in answer["headers"]
        ]
        length = 0 if status in (204, 205, 304) else 5
        if length or status == 205:
            headers.append(("Content-Length", str(length)))
        body = [b"hello"] if length and request.method != "HEAD" else []
        return NetworkResponse(status, HeaderList(headers), Body(body))

    def _take_seen(self) -> list[dict[str, str]]:
        seen, self.seen = self.seen, []
        return seen
