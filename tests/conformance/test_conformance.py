"""The official MCP conformance suite against the SDK's app with our middleware around it.

It passes what it passes bare, and ``dns-rebinding-protection``. To run: ``npm ci --prefix tests/conformance``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

SCENARIOS = [
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-error",
    "tools-call-with-progress",
    "server-sse-multiple-streams",
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
]

Check = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    """Run a scenario against ``bare`` or ``guarded``, each under uvicorn."""
    if not SUITE.is_file():
        message = "the conformance suite is not there: run `npm ci --prefix tests/conformance`"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    servers: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}

    def port_of(app: str) -> int:
        if app not in servers:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port: int = listener.getsockname()[1]
            command = [sys.executable, "-m", "uvicorn", "--factory", f"conformance_app:{app}", "--port", str(port)]
            process = subprocess.Popen([*command, "--log-level", "error"], env=environment)
            servers[app] = port, process
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline, f"{app} does not start"
                    time.sleep(0.05)
        return servers[app][0]

    def check(app: str, scenario: str) -> subprocess.CompletedProcess[str]:
        url = f"http://localhost:{port_of(app)}/mcp"
        command = [str(MODULES / ".bin" / "node"), str(SUITE), "server", "--url", url, "--scenario", scenario]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=HERE)

    yield check
    for _, process in servers.values():
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_passes_bare_passes_with_the_middleware(scenario: str, check: Check) -> None:
    for app in ("bare", "guarded"):
        done = check(app, scenario)
        assert done.returncode == 0, (app, done.stdout)


def test_the_middleware_protects_against_dns_rebinding(check: Check) -> None:
    assert check("bare", "dns-rebinding-protection").returncode == 1
    done = check("guarded", "dns-rebinding-protection")
    assert done.returncode == 0, done.stdout
