"""Soak: many mixed requests, hostile ones among them, through real apps on several threads.

``python -m quality.soak`` sends 1,000,000; CI sends fewer: ``--requests 20000``. Each answer is compared with the
oracle's, the log must stay in its lines, nothing may raise, and memory must not grow. The figures are printed, and
the exit status is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from flask_mcp_cors.asgi import CORSMiddleware

from . import through_asgi
from . import through_wsgi
from .cases import METHODS
from .cases import question_from
from .cases import SETTINGS
from .oracle import answer_to
from .oracle import Question
from .oracle import summary
from .through_wsgi import DOORS

#: Paths as a server hands them over. All of them have the default policy.
PATHS = ("/mcp", "/", "/mcp/", "/x/\xff\xfe", "/a/../b", "/%61", "/mcp\r\nx", "/" + "a/" * 300 + "b", "/" + "é" * 50)

#: What may be added to the memory after the first tenth of the requests: interpreter noise, not a leak.
ALLOWED_GROWTH = 8 * 2**20

Application = through_wsgi.Application | CORSMiddleware


@dataclass
class Figures:
    """What a run comes to."""

    answers: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    log_lines: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.differences or self.exceptions or self.forged)


class Watch(logging.Handler):
    """Reads every log line as a file would get it: none may break out, whatever the request held."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self.figures = figures

    def emit(self, record: logging.LogRecord) -> None:
        self.figures.log_lines += 1
        line = self.format(record)
        if not (line.isascii() and line.isprintable()) and len(self.figures.forged) < 10:
            self.figures.forged.append(ascii(line))


def make_applications() -> list[tuple[str, Application, dict[str, Any]]]:
    """Each of the settings through the hooks, through ``wrap_wsgi``, in a middleware around a plain Flask app, and
    around an ASGI app."""
    methods = {method.upper() for method in METHODS}
    made: list[tuple[str, Application, dict[str, Any]]] = []
    for settings in SETTINGS:
        made += ((door, through_wsgi.make_application(door, settings, methods), settings) for door in DOORS)
        made.append(("asgi", through_asgi.make_application(settings), settings))
    return made


def ask(application: Application, settings: dict[str, Any], question: Question, figures: Figures) -> None:
    """Send one request and compare the answer with the oracle's."""
    if isinstance(application, CORSMiddleware):
        code, pairs, passed = through_asgi.ask(
            application, through_asgi.scope_of(question, through_asgi.headers_of(question))
        )
        headers = through_asgi.as_text(pairs)
    else:
        code, headers, passed = through_wsgi.ask(application, question)
    given = summary(None if passed else code, headers)
    wanted = answer_to(question, settings)
    if given != wanted and len(figures.differences) < 10:
        figures.differences.append(f"{question} under {settings}: {given}, not {wanted}")
    figures.answers["reached" if passed else str(code)] += 1


def _work(
    seed: int, count: int, applications: Sequence[tuple[str, Application, dict[str, Any]]], figures: Figures
) -> None:
    source = random.Random(seed)
    signs = "abz019.-_:/*[]@,~ +%\\\t\x00\r\n\xe9\x85\x9b\xff"

    def text() -> str:
        return "".join(source.choices(signs, k=source.randrange(32)))

    for _ in range(count):
        question = replace(question_from(source.choice, text), path=source.choice(PATHS))
        door, application, settings = source.choice(applications)
        try:
            ask(application, settings, question, figures)
        except Exception as error:
            if len(figures.exceptions) < 10:
                figures.exceptions.append(f"{error!r} through {door} on {question} under {settings}")


def run(count: int, threads: int, seed: int, applications: Any, figures: Figures) -> None:
    """Send *count* requests on so many threads."""
    workers = [
        threading.Thread(target=_work, args=(seed + number, count // threads, applications, figures))
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def resident_memory() -> int:
    """What the process has of the machine's memory, in bytes (Linux); elsewhere 0."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    figures = Figures()
    log = logging.getLogger("flask_mcp_cors")
    log.propagate = False
    applications = make_applications()
    log.handlers[:] = [Watch(figures)]

    begin = time.monotonic()
    first = max(arguments.requests // 10, arguments.threads)
    run(first, arguments.threads, arguments.seed, applications, figures)
    gc.collect()
    warm, objects = resident_memory(), len(gc.get_objects())
    run(arguments.requests - first, arguments.threads, arguments.seed + 1000, applications, figures)
    gc.collect()
    growth, new_objects = resident_memory() - warm, len(gc.get_objects()) - objects
    seconds = time.monotonic() - begin

    total = figures.answers.total()
    print(f"requests      {total:,} on {arguments.threads} threads in {seconds:.0f} s ({total / seconds:,.0f}/s)")
    print("answers       " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(figures.answers.items())))
    print(f"log lines     {figures.log_lines:,}, {len(figures.forged)} not in one printable line")
    print(
        f"wrong         {len(figures.differences)} decisions against the oracle, {len(figures.exceptions)} exceptions"
    )
    print(
        f"memory        {warm / 2**20:.1f} MB after a tenth; since {growth / 2**20:+.1f} MB, {new_objects:+,} objects"
    )
    for line in (*figures.differences, *figures.exceptions, *figures.forged):
        print(f"! {line}")
    is_steady = growth <= ALLOWED_GROWTH
    if not is_steady:
        print(f"! memory grew by more than {ALLOWED_GROWTH // 2**20} MB")
    return 0 if figures.is_clean and is_steady else 1


if __name__ == "__main__":
    sys.exit(main())
