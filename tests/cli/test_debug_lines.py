"""In debug mode the log says what to change: one line for each failed preflight, one for what is not CORS."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from flask_mcp_cors import MCPCors

ORIGIN = "https://app.example.com"
BASE = "https://mcp.example.com"


def make_app(*, debug: bool) -> Flask:
    app = Flask("tools")
    app.debug = debug
    MCPCors(app, origins=ORIGIN, hosts="mcp.example.com", extra_allow_headers="X-Tenant")

    @app.post("/crash")
    def crash() -> str:
        raise LookupError("no such tool")

    return app


def preflight(app: Flask, origin: str = ORIGIN, method: str = "POST", headers: str = "", base: str = BASE) -> None:
    names = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    app.test_client().options("/crash", base_url=base, headers=names)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        pytest.param(
            {"headers": "x-foo,x-bar"},
            'set extra_allow_headers=["X-Tenant", "x-foo", "x-bar"] (MCP_CORS_EXTRA_ALLOW_HEADERS); now X-Tenant '
            "(keyword)",
            id="headers",
        ),
        pytest.param(
            {"method": "PATCH"},
            'set allow_methods=["GET", "POST", "DELETE", "OPTIONS", "PATCH"] (MCP_CORS_ALLOW_METHODS); now GET, POST, '
            "DELETE, OPTIONS (default)",
            id="method",
        ),
        pytest.param({"headers": ",".join(f"mcp-param-{i}" for i in range(65))}, "more than 64 header names", id="64"),
        pytest.param({"origin": "https://b.example"}, f'set origins=["{ORIGIN}", "https://b.example"]', id="origin"),
        pytest.param({"base": "https://b.example"}, 'set hosts=["mcp.example.com", "b.example"]', id="host"),
    ],
)
def test_each_failed_preflight_is_one_line(caplog: pytest.LogCaptureFixture, asked: dict[str, str], says: str) -> None:
    app = make_app(debug=True)
    caplog.clear()
    with caplog.at_level(logging.INFO, "flask_mcp_cors"):
        preflight(app, **asked)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert says in record.getMessage()


def test_a_preflight_that_succeeds_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(debug=True)
    caplog.clear()
    preflight(app, headers="authorization,content-type,mcp-param-region")
    assert caplog.records == []


def test_outside_debug_mode_a_narrow_answer_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(debug=False)
    caplog.clear()
    preflight(app, headers="x-foo")
    assert caplog.records == []


@pytest.mark.parametrize("origin", [ORIGIN, None])
def test_an_exception_is_not_cors(caplog: pytest.LogCaptureFixture, origin: str | None) -> None:
    app = make_app(debug=True)
    caplog.clear()
    with pytest.raises(LookupError):
        app.test_client().post("/crash", base_url=BASE, headers={"Origin": origin} if origin else {})
    lines = [record.getMessage() for record in caplog.records if record.name == "flask_mcp_cors"]
    if origin is None:  # nobody looks into a browser's console
        assert lines == []
    else:
        [line] = lines
        assert line.startswith("LookupError in the application:")
        assert "this is not CORS: see the traceback above" in line
