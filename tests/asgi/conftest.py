"""Real ASGI servers on 127.0.0.1, started here and stopped here.

``REQUIRE_COMPAT=1`` makes a server that is not installed a failure instead of a skip.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # where served_asgi is
ROOT = HERE.parents[1]
EXAMPLES = ROOT / "docs" / "examples"

COMMANDS = {
    "uvicorn": ["uvicorn", "--factory", "--log-level", "warning", "--port"],
    "granian": ["granian", "--interface", "asgi", "--factory", "--port"],
}


@pytest.fixture(params=COMMANDS, scope="module")
def server_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        if os.environ.get("REQUIRE_COMPAT") == "1":
            pytest.fail(f"{name} is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module")
def serving(server_name: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """Run ``module:create_app`` until the block ends; its base URL."""

    @contextmanager
    def serving(module: str, **variables: str) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        folders = [str(HERE), str(EXAMPLES), str(ROOT)]
        environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(folders), "PUBLIC_URL": url}
        log = tmp_path_factory.mktemp(server_name) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *COMMANDS[server_name], str(port), f"{module}:create_app"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"{server_name} does not start:\n{log.read_text()}", pytrace=False)
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait(10)

    return serving
