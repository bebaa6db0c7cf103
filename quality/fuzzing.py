"""Running a fuzz target: with atheris where it is installed, guided by coverage; else with random bytes.

A target takes bytes and raises where the package does something wrong. ``--seconds`` bounds a run, for CI;
``--corpus`` keeps what was found interesting, for longer runs by hand.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

Target = Callable[["Source"], None]


class Source:
    """Choices and texts out of bytes; when they are used up, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1] if self.place <= len(self.data) else 0

    def choose(self, words: Sequence[Any]) -> Any:
        number = self.byte()
        if len(words) > 256:
            number = number * 256 + self.byte()
        return words[number % len(words)]

    def text(self) -> str:
        """Latin-1 text, as WSGI has header values; mostly of the characters that mean something."""
        length = self.byte() % 32
        if self.byte() % 4:
            signs = "abz019.-_:/*[]@,~ +%\\\t\x00\r\n\xe9\x85xX"
            return "".join(self.choose(signs) for _ in range(length))
        self.place += length
        return self.data[self.place - length : self.place].decode("latin-1")


def main(target: Target, instrumented: Sequence[str] = ("flask_mcp_cors",)) -> int:
    """Run *target* as the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="stop after this time (default: 20)")
    parser.add_argument("--corpus", help="a directory that keeps interesting inputs between runs (atheris)")
    parser.add_argument("--random", action="store_true", help="random bytes, though atheris is installed")
    parser.add_argument("--seed", type=int, default=0, help="for --random")
    arguments = parser.parse_args()
    if not arguments.random:
        try:
            import atheris
        except ImportError:
            print("atheris is not installed: random bytes instead", file=sys.stderr)
        else:
            return _guided(atheris, target, arguments)
    return _random(target, arguments)


def _guided(atheris: Any, target: Target, arguments: argparse.Namespace) -> int:
    def run(data: bytes) -> None:
        target(Source(data))

    atheris.instrument_all()
    options = ["-max_len=512", f"-max_total_time={max(1, int(arguments.seconds))}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, *([arguments.corpus] if arguments.corpus else [])], run)
    atheris.Fuzz()  # ends the process: 0, or 77 with the input in a file
    return 0


def _random(target: Target, arguments: argparse.Namespace) -> int:
    source = random.Random(arguments.seed)
    end = time.monotonic() + arguments.seconds
    count = 0
    while time.monotonic() < end:
        for _ in range(100):
            data = source.randbytes(source.randrange(256))
            count += 1
            try:
                target(Source(data))
            except Exception:
                print(f"fails on {data!r}", file=sys.stderr)
                raise
    print(f"{count} inputs, no difference")
    return 0
