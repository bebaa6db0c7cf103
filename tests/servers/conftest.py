"""Real servers on 127.0.0.1, started here and stopped here.

``REQUIRE_COMPAT=1`` makes a server that is not installed a failure instead of a skip.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # where served_app is

START_WITHIN = 30  # seconds

#: With the defaults that matter: nginx talks HTTP/1.0 to the application and buffers what comes back, events too,
#: unless X-Accel-Buffering says not to.
NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    #: A named pipe: see ``served_app.events``.
    gate: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


#: Each server's own command line, for a port.
COMMANDS: dict[str, Callable[[int], list[str]]] = {
    "werkzeug": lambda port: ["flask", "--app", "served_app:app", "run", "--port", str(port)],
    "gunicorn-sync": lambda port: ["gunicorn", "--bind", f"127.0.0.1:{port}", "served_app:app"],
    "gunicorn-gthread": lambda port: ["gunicorn", "--bind", f"127.0.0.1:{port}", "--threads=4", "served_app:app"],
    "waitress": lambda port: ["waitress", f"--listen=127.0.0.1:{port}", "served_app:app"],
    "granian": lambda port: ["granian", "--interface=wsgi", "--host=127.0.0.1", f"--port={port}", "served_app:app"],
}


def missing(what: str, advice: str) -> NoReturn:
    message = f"{what} is not installed: {advice}"
    if os.environ.get("REQUIRE_COMPAT") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, folder: Path, gate: Path) -> Iterator[None]:
    """Run a server while the block runs, from when it accepts connections."""
    log = folder / f"{port}.log"
    environment = {**os.environ, "GATE": str(gate), "PYTHONPATH": str(HERE)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True
        )
    try:
        wait_until_it_accepts(process, port, log)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        # A worker that waits at the gate hears of nothing else.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_accepts(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            pass
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"{process.args} does not start:\n{log.read_text(errors='replace')}", pytrace=False)


@pytest.fixture(scope="module", params=[*COMMANDS, "nginx-gunicorn-gthread"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each server in turn."""
    name: str = request.param
    backend = name.removeprefix("nginx-")
    module = {"werkzeug": "flask"}.get(backend, backend.partition("-")[0])
    if importlib.util.find_spec(module) is None:
        missing(module, "`pip install -e '.[compat]'`")
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if backend != name and nginx is None:
        missing("nginx", "`apt-get install nginx-light`")
    folder = tmp_path_factory.mktemp(name)
    gate = folder / "gate"
    os.mkfifo(gate)
    with ExitStack() as stack:
        port = free_port()
        command = [sys.executable, "-m", *COMMANDS[backend](port)]
        stack.enter_context(running(command, port, folder, gate))
        if nginx is not None and backend != name:
            upstream, port = port, free_port()
            config = folder / "nginx.conf"
            config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
            stack.enter_context(running([nginx, "-p", str(folder), "-c", str(config)], port, folder, gate))
        yield Server(port, gate)
