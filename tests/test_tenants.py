"""A policy per tenant of a gateway, as ``docs/examples/gateway_tenants.py`` has it: 10,000 of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from importlib.util import find_spec
from importlib.util import module_from_spec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from flask_mcp_cors import PolicyError
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError

cachelib = pytest.importorskip("cachelib", reason="needs cachelib: `pip install -e '.[test]'`")

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "gateway_tenants.py"
COUNT = 10_000


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    spec = spec_from_file_location("gateway_tenants", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = sys.modules["gateway_tenants"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gateway_tenants"]


def server(number: int) -> UUID:
    return UUID(int=number)


def page_of(number: int) -> str:
    return f"https://tenant-{number}.example.com"


@pytest.fixture(scope="module")
def gateway(example: Any) -> Flask:
    """10,000 tenants, in memory."""
    app: Flask = example.create_app()
    for number in range(COUNT):
        app.extensions["tenants"].allow(server(number), [page_of(number)])
    return app


def call(app: Flask, origin: str, number: int) -> int:
    browser = Browser(app, origin=origin, base_url="https://gateway.example.com")
    return browser.fetch(f"/servers/{server(number)}/mcp", "POST", json={}).status


@pytest.mark.parametrize("number", [0, 1, 4999, COUNT - 1])
def test_a_tenants_page_reaches_its_server(gateway: Flask, number: int) -> None:
    assert call(gateway, page_of(number), number) == 200


@pytest.mark.parametrize("number", [0, 4999])
def test_a_tenants_page_does_not_reach_the_server_of_another(gateway: Flask, number: int) -> None:
    with pytest.raises(CORSError):
        call(gateway, page_of(number), number + 1)


def test_no_tenant_is_forgotten(gateway: Flask) -> None:
    store = gateway.extensions["tenants"].store
    assert [number for number in range(COUNT) if not store.has(f"origins:{server(number)}")] == []


@pytest.mark.parametrize("origin", [page_of(COUNT), "https://console.example.com"])
def test_a_server_that_nobody_has_is_refused(gateway: Flask, origin: str) -> None:
    with pytest.raises(CORSError):
        call(gateway, origin, COUNT)


def test_equal_origins_share_one_policy(example: Any) -> None:
    tenants = example.Tenants(cachelib.SimpleCache())
    for number in (1, 2):
        tenants.allow(server(number), ["https://shared.example.com"])
    request = Flask(__name__).test_request_context
    policies = {tenants.choose(request(f"/servers/{server(number)}/mcp").request) for number in (1, 2)}
    assert len({id(policy) for policy in policies}) == 1


def test_origins_that_no_policy_can_have_are_refused_when_they_are_saved(example: Any) -> None:
    tenants = example.Tenants(cachelib.SimpleCache())
    with pytest.raises(PolicyError, match="origin_trailing_slash"):
        tenants.allow(server(1), ["https://tenant.example.com/"])
    assert not tenants.store.has(f"origins:{server(1)}")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis server of our own."""
    program = shutil.which("redis-server")
    if program is None or find_spec("redis") is None:
        message = "there is no Redis: `apt-get install redis-server` and `pip install -e '.[compat]'`"
        pytest.fail(message, pytrace=False) if os.environ.get("REQUIRE_COMPAT") == "1" else pytest.skip(message)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if b"Ready to accept connections" in line:
            break
    yield port
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture
def workers(example: Any, redis: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Flask, Flask]:
    """Two workers as two processes would be: an app and a connection to the store each."""
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(redis))
    first, second = example.production(), example.production()
    first.extensions["tenants"].store.clear()
    return first, second


def allow_in(app: Flask) -> Callable[[UUID, list[str]], None]:
    allow: Callable[[UUID, list[str]], None] = app.extensions["tenants"].allow
    return allow


def test_what_one_worker_saves_holds_in_the_other_at_once(workers: tuple[Flask, Flask]) -> None:
    first, second = workers
    with pytest.raises(CORSError):
        call(second, page_of(1), 1)
    allow_in(first)(server(1), [page_of(1)])
    assert call(second, page_of(1), 1) == 200


def test_an_origin_that_one_worker_takes_back_is_refused_by_the_other_at_once(workers: tuple[Flask, Flask]) -> None:
    first, second = workers
    allow_in(first)(server(1), [page_of(1), page_of(2)])
    assert call(second, page_of(2), 1) == 200
    allow_in(first)(server(1), [page_of(1)])
    with pytest.raises(CORSError):
        call(second, page_of(2), 1)


def test_a_store_that_fails_lets_nobody_in(example: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(cachelib.SimpleCache):  # type: ignore[misc, name-defined]
        def get(self, key: str) -> Any:
            raise ConnectionError("the store is down")

    with pytest.raises(CORSError):
        call(example.create_app(Broken()), page_of(1), 1)
    assert "policies['/servers/*/mcp'] failed, so the request is refused" in caplog.text
