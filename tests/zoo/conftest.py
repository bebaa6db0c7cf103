"""Every server that a run asks for is started and examined once. Examinations wait a lot, so they run side by side."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flask_mcp_cors.cli.doctor import examine

sys.path.insert(0, str(Path(__file__).parent))

from endpoint import TOKEN
from rows import Row
from servers import Unavailable
from servers import Zoo

#: Programs, not modules to look for doctests in.
collect_ignore_glob = ["*_servers.py"]

#: These may not be missing where ``REQUIRE_ZOO=1``.
REQUIRED = ("flask", "django", "wsgi", "aiohttp", "raw", "sdk", "starlette", "fastmcp", "spa", "oauth", "net")
REQUIRED += ("express", "hono", "node", "nginx")

#: An examination mostly waits, for streams that stay quiet and for servers that hang.
AT_ONCE = 6

Examined = Callable[[Row, bool], dict[str, Any]]


def _resolves(original: Callable[..., Any]) -> Callable[..., Any]:
    """A name that is not loopback, for one row, without a DNS server."""

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return original("127.0.0.1" if host == "mcp.zoo.test" else host, *arguments, **options)

    return getaddrinfo


@pytest.fixture(scope="module")
def examined(request: pytest.FixtureRequest) -> Iterator[Examined]:
    """What ``--json`` says of a row's server, and how long it took. All examinations of this run start at once."""
    runs = [
        (item.callspec.params["row"], item.callspec.params["with_token"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "examined" in item.fixturenames
    ]
    patch = pytest.MonkeyPatch()
    patch.setattr(socket, "getaddrinfo", _resolves(socket.getaddrinfo))
    with Zoo([row.name for row, _ in runs]) as zoo, ThreadPoolExecutor(AT_ONCE) as pool:

        def run(url: str, row: Row, with_token: bool) -> dict[str, Any]:
            start = time.monotonic()
            report = examine(url, [row.origin], token=TOKEN if with_token else None).to_json()
            return report | {"seconds": time.monotonic() - start}

        @cache
        def start(row: Row, with_token: bool) -> Future[dict[str, Any]]:
            try:
                url = f"http://{row.host}:{zoo.port(row.name)}{row.path}"
            except Exception as error:  # raised again in the tests of this server
                failed: Future[dict[str, Any]] = Future()
                failed.set_exception(error)
                return failed
            return pool.submit(run, url, row, with_token)

        def result(row: Row, with_token: bool) -> dict[str, Any]:
            for each in runs:
                start(*each)
            try:
                return start(row, with_token).result()
            except Unavailable as error:
                stack = row.name.partition("-")[0]
                message = f"{stack} is not installed: {error}"
                if os.environ.get("REQUIRE_ZOO") == "1" and stack in REQUIRED:
                    pytest.fail(message, pytrace=False)
                pytest.skip(message)

        yield result
        pool.shutdown(cancel_futures=True)
    patch.undo()
