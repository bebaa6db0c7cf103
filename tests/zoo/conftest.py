"""Every server that a run of the tests asks for is started and examined once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from examining import Examined
from examining import examining
from examining import Run
from servers import Unavailable

#: Programs, not modules to look for doctests in.
collect_ignore_glob = ["*_servers.py"]

#: These may not be missing where ``REQUIRE_ZOO=1``.
REQUIRED = ("flask", "django", "wsgi", "aiohttp", "raw", "sdk", "starlette", "fastmcp", "spa", "oauth", "net", "around")
REQUIRED += ("express", "hono", "node", "nginx")


@pytest.fixture(scope="module")
def selected(request: pytest.FixtureRequest) -> list[Run]:
    """The examinations that the selected tests need, each once."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    runs = (item.callspec.params.get("run") for item in items if hasattr(item, "callspec"))
    return list(dict.fromkeys(run for run in runs if isinstance(run, Run)))


@pytest.fixture(scope="module")
def examined(selected: list[Run]) -> Iterator[Callable[[Run], Examined]]:
    """What came of a run. A stack that is not installed skips the test."""
    with examining(selected) as result:

        def available(run: Run) -> Examined:
            try:
                return result(run)
            except Unavailable as error:
                stack = run.row.name.partition("-")[0]
                message = f"{stack} is not installed: {error}"
                if os.environ.get("REQUIRE_ZOO") == "1" and stack in REQUIRED:
                    pytest.fail(message, pytrace=False)
                pytest.skip(message)

        yield available
