"""Load on a real server: gunicorn with two workers, and wrk, both on this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from .contestants import BARE
from .contestants import CONSTANT
from .contestants import FLASK_CORS
from .contestants import OURS
from .contestants import OURS_WRAPPED
from .served import ORIGIN

APPLICATIONS = {BARE: "bare", CONSTANT: "constant", FLASK_CORS: "peer", OURS: "ours", OURS_WRAPPED: "wrapped"}

REQUESTS = {
    "call": (
        "POST",
        {"Origin": ORIGIN, "Authorization": "Bearer token", "Content-Type": "application/json", "Content-Length": "2"},
        "{}",
    ),
    "preflight": (
        "OPTIONS",
        {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
        "",
    ),
}

CONNECTIONS = 8
ROUNDS = 4

_SCRIPT = """
wrk.method = {method}
wrk.body = {body}
{headers}
function done(summary, latency, requests)
  io.write(string.format("\\nRESULT %f %f %d\\n", summary.requests * 1e6 / summary.duration,
    latency:percentile(99) / 1000, summary.errors.status + summary.errors.timeout + summary.errors.read))
end
"""


def available() -> str | None:
    """What is missing, or ``None``."""
    return None if shutil.which("wrk") else "wrk is not installed"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _served(application: str) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--worker-class", "gthread", "--threads", "4"]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "error", f"benchmarks.served:{application}"]
    server = subprocess.Popen(command)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(0.5)  # both workers
        yield port
    finally:
        server.terminate()
        server.wait()


def _wrk(script: Path, port: int, seconds: float) -> tuple[float, float]:
    url = f"http://localhost:{port}/mcp"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT"))
    rate, p99, errors = line.split()[1:]
    if int(errors):
        raise AssertionError(f"{errors} requests failed: {output}")
    return float(rate), float(p99)


def measure(seconds: float) -> list[dict[str, Any]]:
    """Requests per second and p99, in turn, with *seconds* in all for wrk."""
    share = max(1.0, seconds / (ROUNDS * len(APPLICATIONS) * len(REQUESTS)))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        for kind, (method, headers, body) in REQUESTS.items():
            lines = "\n".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
            script = _SCRIPT.format(method=json.dumps(method), body=json.dumps(body), headers=lines)
            (Path(folder) / f"{kind}.lua").write_text(script)
        # All of them wait while one is asked.
        ports = {name: servers.enter_context(_served(served)) for name, served in APPLICATIONS.items()}
        for _ in range(ROUNDS):
            for kind in REQUESTS:
                for name, port in ports.items():
                    found.setdefault((name, kind), []).append(_wrk(Path(folder) / f"{kind}.lua", port, share))
    return [
        {
            "contestant": name,
            "request": kind,
            "per_second": median(rate for rate, _ in values),
            "per_second_best": max(rate for rate, _ in values),
            "p99_ms": median(p99 for _, p99 in values),
            "p99_ms_best": min(p99 for _, p99 in values),
        }
        for (name, kind), values in found.items()
    ]
