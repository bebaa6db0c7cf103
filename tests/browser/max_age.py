"""Measures the longest time for which an engine keeps the answer to a preflight.

::

    python tests/browser/max_age.py webkit                 # waits ten minutes
    python tests/browser/max_age.py chromium               # waits two hours
    python tests/browser/max_age.py firefox --move-clock   # waits for nothing; Linux on x86-64, with a C compiler

The server allows 1,000,000 seconds. At the beginning one preflight is made for each URL; shortly before and shortly
after the expected limit another request goes to one of them, and the server tells whether a preflight came with it.
``--move-clock`` moves the monotonic clock of the engine's processes (``clock.c``) instead of waiting.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from pathlib import Path

from engines import CHROMIUM_FLAGS
from engines import chromium_path
from engines import ChromiumEngine
from engines import Engine
from engines import FirefoxEngine
from engines import KeepingServer
from engines import WebKitEngine

HERE = Path(__file__).parent

#: Where each engine's limit is expected, in seconds.
EXPECTED = {"chromium": 7_200, "firefox": 86_400, "webkit": 600}


@contextmanager
def started(name: str, environment: dict[str, str]) -> Iterator[Engine]:
    """The engine, with these variables in its environment."""
    with ExitStack() as stack:
        if name == "chromium":
            from playwright.sync_api import sync_playwright

            playwright = stack.enter_context(sync_playwright())
            variables: dict[str, str | float | bool] = {**os.environ, **environment}
            flags = list(CHROMIUM_FLAGS)
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags, env=variables)
            stack.callback(browser.close)
            yield ChromiumEngine(browser)
        else:
            os.environ.update(environment)
            yield stack.enter_context(FirefoxEngine.running() if name == "firefox" else WebKitEngine.running())


def measure(engine: Engine, times: list[int], wait_until: Callable[[int, float], None]) -> Iterator[tuple[int, bool]]:
    """After each of these times, whether the answer was still kept.

    :raises RuntimeError: the engine does not keep any.
    """
    with KeepingServer.running() as server, KeepingServer.running() as home:
        page = engine.open(home.url, fresh=True)

        def preflights(path: str) -> int:
            before = server.preflights
            page.evaluate("url => fetch(url, {method: 'PUT', headers: {'X-Warm': '1'}}).then(() => null)", path)
            return server.preflights - before

        urls = {seconds: f"{server.url}/{seconds}" for seconds in times}
        for url in urls.values():
            if (made := [preflights(url), preflights(url)]) != [1, 0]:
                raise RuntimeError(f"{made} preflights for two requests to one URL")
        began = time.monotonic()
        for seconds, url in urls.items():
            wait_until(seconds, began)
            yield seconds, preflights(url) == 0


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=EXPECTED)
    parser.add_argument("--at", type=int, nargs="+", metavar="SECONDS", help="ask then; default: 10 s around the limit")
    parser.add_argument("--move-clock", action="store_true", help="move the engine's clock instead of waiting")
    given = parser.parse_args()
    limit = EXPECTED[given.engine]
    times = sorted(given.at or (limit - 10, limit + 10))

    with tempfile.TemporaryDirectory() as folder:
        offset = Path(folder, "offset")
        offset.write_bytes(struct.pack("l", 0))
        environment = {}
        if given.move_clock:
            library = f"{folder}/clock.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "clock.c", "-ldl"], check=True)
            environment = {"LD_PRELOAD": library, "CLOCK_OFFSET": str(offset)}
        with started(given.engine, environment) as engine:

            def wait_until(seconds: int, began: float) -> None:
                if given.move_clock:
                    with offset.open("r+b") as file:
                        file.write(struct.pack("l", seconds))
                else:
                    time.sleep(max(0, began + seconds - time.monotonic()))

            how = "with a moved clock" if given.move_clock else "in real time"
            print(engine.name, engine.version, how, flush=True)
            for seconds, kept in measure(engine, times, wait_until):
                print(f"after {seconds} s: {'kept' if kept else 'not kept'}", flush=True)


if __name__ == "__main__":
    main()
