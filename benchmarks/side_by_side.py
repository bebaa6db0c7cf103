"""All contestants side by side: interleaved in one process, as ratios to bare Flask.

One *round* runs every contestant once, a short batch of requests each, in an order shuffled anew, so
that whatever else the machine does hits all of them alike. A ratio is taken within a round, between
neighbours in time, and the median over many rounds is reported with its quartiles.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Mapping
from collections.abc import Sequence
from statistics import median
from statistics import quantiles
from typing import Any

from werkzeug.test import EnvironBuilder

from .contestants import BARE
from .contestants import CONSTANT
from .contestants import CONSTANT_HOOK
from .contestants import Environ
from .contestants import EXTEND
from .contestants import FLASK_CORS
from .contestants import Handler
from .contestants import HOST
from .contestants import OURS
from .contestants import OURS_MIDDLEWARE
from .contestants import OURS_WRAPPED
from .contestants import WITH_POLICY
from .contestants import WITHOUT_POLICY

SIZES = (2, 100, 20_000)

#: A batch is as many requests as fit into this, at least one. A third as many go before it unmeasured:
#: a process has one application, so its code is warm in the caches and in the specialising interpreter.
BATCH_NS = 2_000_000

#: The origin in the middle of the list: neither the first to be compared nor the last.
EXACT_ORIGIN = "https://app.example.com"
WILDCARD_ORIGIN = "https://pr-7.preview.example.org"
FOREIGN_ORIGIN = "https://evil.example"

TEN_NAMES = (
    "accept,authorization,content-type,last-event-id,mcp-method,"
    "mcp-name,mcp-param-region,mcp-protocol-version,mcp-session-id,x-api-key"
)

Key = tuple[str, int | None]


def origins(size: int) -> tuple[list[str], list[str]]:
    """Exact origins and parents of subdomains, *size* in all, half and half."""
    half = size // 2
    exact = [f"https://app{number}.example.net" for number in range(half)]
    parents = [f"tenant{number}.example.org" for number in range(half)]
    exact[half // 2] = EXACT_ORIGIN
    parents[half // 2] = "preview.example.org"
    return exact, parents


def _environ(method: str, headers: Mapping[str, str]) -> Environ:
    return EnvironBuilder("/mcp", method=method, base_url=f"https://{HOST}", headers=dict(headers)).get_environ()


def _call(**headers: str) -> Environ:
    return _environ("POST", {"Authorization": "Bearer token", "Content-Type": "application/json", **headers})


def _preflight(origin: str, asked: str) -> Environ:
    names = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    return _environ("OPTIONS", {"Origin": origin, **names})


WORK: dict[str, Environ] = {
    "call, allowed origin": _call(Origin=EXACT_ORIGIN),
    "call, wildcard match": _call(Origin=WILDCARD_ORIGIN),
    "call, no origin": _call(),
    "call, foreign origin": _call(Origin=FOREIGN_ORIGIN),
    "preflight, 2 names": _preflight(EXACT_ORIGIN, "authorization,content-type"),
    "preflight, 10 names": _preflight(EXACT_ORIGIN, TEN_NAMES),
    "preflight, Mcp-Param-*": _preflight(EXACT_ORIGIN, "authorization,content-type,mcp-param-region"),
    "preflight, refused": _preflight(FOREIGN_ORIGIN, "authorization,content-type"),
}


def _batch(handle: Handler, environ: Environ, count: int) -> int:
    for _ in range(count // 3):
        handle(environ)
    start = time.process_time_ns()
    for _ in range(count):
        handle(environ)
    return time.process_time_ns() - start


def _rounds(handlers: Mapping[Key, Handler], environ: Environ, seconds: float) -> dict[Key, list[float]]:
    """The time of one request in ns, per contestant and round."""
    counts = {}
    for key, handle in handlers.items():
        handle(environ)
        once = min(_batch(handle, environ, 1) for _ in range(3))
        counts[key] = max(1, BATCH_NS // once)
    times: dict[Key, list[float]] = {key: [] for key in handlers}
    order = list(handlers)
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[order[0]]) < 5:
        random.shuffle(order)
        gc.collect(0)
        gc.disable()
        for key in order:
            times[key].append(_batch(handlers[key], environ, counts[key]) / counts[key])
        gc.enable()
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4)
    return {"median": median(values), "q1": low, "q3": high}


def _row(work: str, key: Key, times: Mapping[Key, list[float]]) -> dict[str, Any]:
    own, bare = times[key], times[BARE, None]
    return {
        "work": work,
        "contestant": key[0],
        "patterns": key[1],
        "us": {"min": min(own) / 1000} | {name: value / 1000 for name, value in spread(own).items()},
        "ratio": spread([a / b for a, b in zip(own, bare, strict=True)]) | {"of_minima": min(own) / min(bare)},
        "rounds": len(own),
    }


def _quotient(times: Mapping[Key, list[float]], above: Key, below: Key, *, over_bare: bool = False) -> dict[str, float]:
    """One contestant's time over another's, or the two overheads over bare Flask, round by round."""
    floor = times[BARE, None] if over_bare else [0.0] * len(times[above])
    # Noise can push a small overhead to nothing: such a round says nothing about a quotient.
    rounds = [(a - c) / (b - c) for a, b, c in zip(times[above], times[below], floor, strict=True) if b > c]
    least = min(floor)
    of_minima = (min(times[above]) - least) / (min(times[below]) - least)
    return spread(rounds) | {"of_minima": of_minima}


def _goals(work: str, times: Mapping[Key, list[float]]) -> dict[str, dict[str, float]]:
    ours, theirs = (OURS, 2), (FLASK_CORS, 2)
    goals: dict[str, dict[str, float]] = {}
    if work == "call, allowed origin":
        goals["overhead_over_flask_cors"] = _quotient(times, ours, theirs, over_bare=True)
        goals["wrapped_overhead_over_flask_cors"] = _quotient(times, (OURS_WRAPPED, 2), theirs, over_bare=True)
        goals["overhead_over_extend"] = _quotient(times, ours, (EXTEND, None), over_bare=True)
        goals["flask_cors_over_extend"] = _quotient(times, theirs, (EXTEND, None), over_bare=True)
        goals["overhead_over_constant"] = _quotient(times, ours, (CONSTANT, None), over_bare=True)
        goals["flask_cors_over_constant"] = _quotient(times, theirs, (CONSTANT, None), over_bare=True)
        goals["middleware_over_bare"] = _quotient(times, (OURS_MIDDLEWARE, 2), (BARE, None))
    if work == "call, foreign origin":
        goals["refused_over_bare"] = _quotient(times, ours, (BARE, None))
        goals["flask_cors_refused_over_bare"] = _quotient(times, theirs, (BARE, None))
    if work == "preflight, 2 names":
        goals["preflight_hooks_over_bare"] = _quotient(times, ours, (BARE, None))
        goals["preflight_constant_hook_over_bare"] = _quotient(times, (CONSTANT_HOOK, None), (BARE, None))
        goals["preflight_flask_cors_over_bare"] = _quotient(times, theirs, (BARE, None))
        goals["preflight_wrapped_over_flask_cors"] = _quotient(times, (OURS_WRAPPED, 2), theirs)
    for name in (OURS, OURS_WRAPPED, OURS_MIDDLEWARE, FLASK_CORS):
        goals[f"size: {name}: {work}"] = _quotient(times, (name, SIZES[-1]), (name, SIZES[0]))
    return goals


def measure(seconds: float) -> dict[str, Any]:
    """Measure every kind of work for an equal share of *seconds*."""
    handlers: dict[Key, Handler] = {(name, None): make([], []) for name, make in WITHOUT_POLICY.items()}
    for size in SIZES:
        exact, parents = origins(size)
        handlers |= {(name, size): make(exact, parents) for name, make in WITH_POLICY.items()}
    rows: list[dict[str, Any]] = []
    goals: dict[str, dict[str, float]] = {}
    for work, environ in WORK.items():
        times = _rounds(handlers, environ, seconds / len(WORK))
        rows += [_row(work, key, times) for key in handlers]
        goals |= _goals(work, times)
    return {"rows": rows, "goals": goals}
