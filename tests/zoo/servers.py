"""How the servers of the zoo are started: one process for a stack where that goes, each server on a port of its own.

A server's name begins with its stack's. The programs choose free ports and print ``name port`` for each server that
listens; they end when their standard input does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
START_TIMEOUT = 90.0

Ports = dict[str, int]


class Unavailable(Exception):
    """This stack is not installed; the message names what is missing."""


_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; never the same twice, for nginx takes two servers on one port."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def needs(*programs: str, packages: Sequence[str] = (), node: bool = False) -> None:
    """Raise :exc:`Unavailable` unless all of this is here."""
    missing = [name for name in programs if which(name) is None]
    missing += [f"Python package {name}" for name in packages if find_spec(name) is None]
    if node and not (HERE / "node_modules").is_dir():
        missing.append("tests/zoo/node_modules (npm ci --prefix tests/zoo)")
    if missing:
        raise Unavailable(", ".join(missing))


def which(program: str) -> str | None:
    """The path of a program; Debian keeps servers in ``/usr/sbin``."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Zoo:
    """The running servers. A stack starts when the first of its servers is asked for.

    :param names: every server that may be asked for.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._stacks: dict[object, Ports | Exception] = {}
        self._running = ExitStack()
        self.folder = Path(self._running.enter_context(tempfile.TemporaryDirectory()))

    def __enter__(self) -> Zoo:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._running.close()

    def port(self, name: str) -> int:
        """The port of a server.

        :raises Unavailable: its stack is not installed.
        :raises Exception: its stack did not start.
        """
        start = STACKS[name.partition("-")[0]]
        if start not in self._stacks:
            names = [n for n in self._names if STACKS[n.partition("-")[0]] is start]
            try:
                self._stacks[start] = start(self, names)
            except Exception as error:  # raised for each of its servers, below
                self._stacks[start] = error
        ports = self._stacks[start]
        if isinstance(ports, Exception):
            raise ports
        return ports[name]

    def announced(self, command: Sequence[str], names: Sequence[str]) -> Ports:
        """Run a program that says itself which ports it listens on."""
        process = self._start([*command, *names], stdout=subprocess.PIPE)
        assert process.stdout is not None
        ports: Ports = {}
        while len(ports) < len(names):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{command} ended: {self._errors(process)}")
            name, _, port = line.decode().partition(" ")
            ports[name] = int(port)
        return ports

    def listening(self, command: Sequence[str], ports: Ports, **environment: str) -> Ports:
        """Run a program that was told its ports, and wait until it listens at each."""
        process = self._start(command, stdout=subprocess.DEVNULL, **environment)
        deadline = time.monotonic() + START_TIMEOUT
        for port in ports.values():
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} does not listen: {self._errors(process)}")
                time.sleep(0.02)
        return ports

    def _start(self, command: Sequence[str], stdout: int, **environment: str) -> subprocess.Popen[bytes]:
        errors = self._running.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        process = subprocess.Popen(
            command,
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        process.errors = errors  # type: ignore[attr-defined]
        self._running.callback(_stop, process)
        return process

    def _errors(self, process: subprocess.Popen[bytes]) -> str:
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        errors = process.errors  # type: ignore[attr-defined]
        errors.seek(0)
        return str(errors.read().decode(errors="replace")[-2000:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    if process.stdout is not None:
        process.stdout.close()
    # Some have children of their own.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def python(file: str, *packages: str) -> Callable[[Zoo, Sequence[str]], Ports]:
    """A stack that is a Python program."""

    def start(zoo: Zoo, names: Sequence[str]) -> Ports:
        needs(packages=packages)
        return zoo.announced([sys.executable, "-W", "ignore", file], names)

    return start


def program(file: str, *command: str, node: bool = False) -> Callable[[Zoo, Sequence[str]], Ports]:
    """A stack that is a program in another language."""

    def start(zoo: Zoo, names: Sequence[str]) -> Ports:
        needs(command[0], node=node)
        return zoo.announced([*command, file], names)

    return start


def go(zoo: Zoo, names: Sequence[str]) -> Ports:
    """Go, compiled once."""
    needs("go")
    binary = str(zoo.folder / "go_servers")
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", binary, "go_servers.go"], cwd=HERE, check=True, env=environment)
    return zoo.announced([binary], names)


def php(zoo: Zoo, names: Sequence[str]) -> Ports:
    """PHP's own server, which has one router each."""
    needs("php")
    ports: Ports = {}
    for name in names:
        port = free_port()
        command = ["php", "-d", "display_errors=1", "-S", f"127.0.0.1:{port}", "php_servers.php"]
        zoo.listening(command, {name: port}, ZOO=name, ZOO_FOLDER=str(zoo.folder), PHP_CLI_SERVER_WORKERS="4")
        ports[name] = port
    return ports


def behind(proxy: str, config: Callable[[Ports, Ports, Path], str], *command: str) -> Callable[..., Ports]:
    """A proxy, with aiohttp servers behind it.

    :param config: the ports to listen on and those of the servers behind → the text of the configuration.
    """

    def start(zoo: Zoo, names: Sequence[str]) -> Ports:
        needs(proxy, packages=("aiohttp",))
        upstream = [f"aiohttp-upstream{kind}" for kind in ("", "-cors", "-token", "-slow")]
        inner = zoo.announced([sys.executable, "-W", "ignore", "aiohttp_servers.py"], upstream)
        ports = {name: free_port() for name in names}
        file = zoo.folder / f"{proxy}.conf"
        file.write_text(config(ports, inner | {"nothing": free_port()}, zoo.folder), encoding="utf-8")
        arguments = [part.format(file=file, folder=zoo.folder) for part in command]
        # Caddy keeps its state in the home directory else.
        state = {"XDG_CONFIG_HOME": str(zoo.folder), "XDG_DATA_HOME": str(zoo.folder)}
        return zoo.listening([str(which(proxy)), *arguments], ports, **state)

    return start


def _stacks() -> dict[str, Callable[[Zoo, Sequence[str]], Ports]]:
    import proxies

    wsgi = python("wsgi_servers.py")
    sdk = python("asgi_servers.py", "mcp", "uvicorn")
    node = program("node_servers.mjs", "node", node=True)
    return {
        "flask": python("flask_servers.py", "flask_cors", "flask_wtf"),
        "django": python("django_servers.py", "django", "corsheaders"),
        "aiohttp": python("aiohttp_servers.py", "aiohttp"),
        "raw": python("raw_servers.py"),
        **dict.fromkeys(("wsgi", "oauth", "spa", "net"), wsgi),
        "around": python("around_servers.py"),
        **dict.fromkeys(("sdk", "starlette"), sdk),
        "fastmcp": python("asgi_servers.py", "fastmcp"),
        **dict.fromkeys(("express", "hono", "node"), node),
        "java": program("JavaServers.java", "java"),
        "ruby": program("ruby_servers.rb", "ruby"),
        "perl": program("perl_servers.pl", "perl"),
        "go": go,
        "php": php,
        "nginx": behind("nginx", proxies.nginx, "-c", "{file}", "-p", "{folder}", "-e", "{folder}/nginx-errors"),
        "caddy": behind("caddy", proxies.caddy, "run", "--adapter", "caddyfile", "--config", "{file}"),
        "haproxy": behind("haproxy", proxies.haproxy, "-db", "-f", "{file}"),
    }


STACKS = _stacks()
