"""Starts servers of the zoo and examines each once. Examinations mostly wait, so they run side by side."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any
from typing import NamedTuple
from unittest.mock import patch

from endpoint import TOKEN
from rows import Row
from rows import ROWS
from servers import Zoo

from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report

#: For streams that stay quiet and for servers that hang.
AT_ONCE = 6


class Run(NamedTuple):
    """One examination."""

    row: Row
    with_token: bool

    def __str__(self) -> str:
        return f"{self.row.name}{'-with-token' if self.with_token else ''}"


class Examined(NamedTuple):
    """What came of it, and how long it took."""

    report: Report
    seconds: float


#: Servers with a login are examined without a token and with one.
RUNS = [
    Run(row, with_token)
    for row in ROWS
    for with_token in (False, True)
    if (row.token or not with_token) and row.seen != ("without" if with_token else "with")
]


def _resolves(original: Callable[..., Any]) -> Callable[..., Any]:
    """A name that is not loopback, for one row, without a DNS server."""

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return original("127.0.0.1" if host == "mcp.zoo.test" else host, *arguments, **options)

    return getaddrinfo


@contextmanager
def examining(runs: Sequence[Run]) -> Iterator[Callable[[Run], Examined]]:
    """What came of a run. The first call starts all of them.

    :raises servers.Unavailable: by that call, if the stack is not installed.
    """
    resolves = patch.object(socket, "getaddrinfo", _resolves(socket.getaddrinfo))
    with resolves, Zoo([run.row.name for run in runs]) as zoo, ThreadPoolExecutor(AT_ONCE) as pool:

        def examined(url: str, run: Run) -> Examined:
            start = time.monotonic()
            report = examine(url, [run.row.origin], token=TOKEN if run.with_token else None)
            return Examined(report, time.monotonic() - start)

        @cache
        def start(run: Run) -> Future[Examined]:
            try:
                url = f"http://{run.row.host}:{zoo.port(run.row.name)}{run.row.path}"
            except Exception as error:  # raised again where this run is asked for
                failed: Future[Examined] = Future()
                failed.set_exception(error)
                return failed
            return pool.submit(examined, url, run)

        def result(run: Run) -> Examined:
            for each in runs:
                start(each)
            return start(run).result()

        yield result
        pool.shutdown(cancel_futures=True)
