"""What comes of a case of the differential test: in :class:`Browser`, and as one line that can be recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from differential_cases import Case
from differential_cases import fill_in

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

#: The page that came over HTTPS. No server has it: Chromium is given it when it asks.
SECURE = "https://page.test"

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
    origin = {None: urls["page"], "sandboxed": "null", "secure": SECURE}[case.get("page")]
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
            lines |= {error.console_message.replace(error.detail, name) for name in names}
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
        readable = ",".join(outcome["headers"])
        parts = [f"{outcome['type']} {outcome['status']} {readable}".rstrip()]
    names = {url.partition("//")[2]: name for name, url in urls.items() if name != "insecure"}
    for request in outcome["seen"]:
        server = names.get(request["server"], request["server"])
        headers = [f"{short}={request[name]}" for name, short in TOLD.items() if name in request]
        parts.append(" ".join([request["method"], server + re.sub("/case/[^/]+", "", request["path"]), *headers]))
    text = " | ".join(parts)
    for name, url in urls.items():
        text = text.replace(url, f"{{{name}}}")
    return text
