"""What a real Chromium did in the recorded cases, and what :class:`Browser` does in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "chromium.json").read_text(encoding="utf-8"))

#: What the recorded servers sent besides: it shows where every header is exposed.
SERVER_HEADERS = [("Content-Length", "5"), ("Date", "x"), ("Server", "x"), ("Connection", "keep-alive")]


def vector_app(server: dict[str, Any]) -> Any:
    """The server of a case: one answer for preflights, one for everything else."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        answer = server["preflight" if is_preflight else "actual"]
        origin = environ.get("HTTP_ORIGIN", "")
        headers = [(name, value.replace("{origin}", origin)) for name, value in answer["headers"]]
        start_response(f"{answer['status']} X", headers + SERVER_HEADERS)
        return [b"hello"]

    return app


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_browser_does_what_chromium_did(case: dict[str, Any]) -> None:
    browser = Browser(
        vector_app(case["server"]),
        origin="http://127.0.0.1:9201",
        base_url="http://127.0.0.1:9150",
        quirks="chromium",
    )
    for step in case["steps"]:
        expected = {key: value for key, value in step["chromium"].items() if key not in ("error", "message")}
        browser.network.clear()
        seen = dict.fromkeys(expected)
        try:
            response = browser.fetch("/c", **step["request"])
            seen |= {"outcome": "resolved", "type": response.type, "status": response.status}
            seen["readable"] = sorted(response.headers)
        except CORSError as error:
            console = error.console_message.partition("CORS policy: ")[2]
            if len(error.offending) > 1:
                # Chromium names one of several by an order of its own.
                others = {console.replace(error.detail, name) for name in error.offending}
                console = expected["console"] if expected["console"] in others else console
            seen |= {"outcome": "TypeError", "console": console}
            # The recording has no code for one of the errors, whose console line it does have.
            assert step["chromium"]["error"] in (error.reason, None)
        except TypeError:
            seen["outcome"] = "TypeError"
        seen["preflights"] = sum(exchange.is_preflight for exchange in browser.network)
        assert seen == expected


def test_all_vectors_are_there() -> None:
    assert len(CASES) == 95
