"""The page of the documentation, made from the results."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from .side_by_side import SIZES
from .side_by_side import WORK

Results = Mapping[str, Any]

_METHOD = """\
Everything runs in one process. A *round* takes every contestant in turn, in an order shuffled anew, and lets it
handle about 2 ms worth of requests, after a third as many that are not measured. A request is a call of the WSGI
application with a copy of a ready environ; the body is consumed and closed. Starlette's ASGI application is driven
by hand, without an event loop. Ratios are taken within a round; the median of all rounds is shown, and the quartiles
in brackets. The clock is the CPU time of the process and the garbage collector waits between rounds, so that other
work on the machine counts as little as it can. The comparison over two overheads (ours and flask-cors's over bare
Flask) is also given for the fastest round of each, which is the one least disturbed.
"""


_ASGI = """\
The same method. The requests are as Chromium sends them; the trivial application sends a constant body. Starlette's
middleware refuses no real request, so a foreign one is dearer here: it is refused, and the log is asked whether it
wants a line. On the SDK's own app (stateless, JSON) a real request is dominated by the SDK.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(found: Mapping[str, float], digits: int = 2) -> str:
    return f"{found['median']:.{digits}f} [{found['q1']:.{digits}f}–{found['q3']:.{digits}f}]"


def _of_minima(found: Mapping[str, float], digits: int = 2) -> str:
    return f"{_spread(found, digits)}; fastest rounds {found['of_minima']:.{digits}f}"


def _goals(results: Results) -> str:
    goals = results["side_by_side"]["goals"]
    costs = results.get("costs")
    sessions = {row["contestant"]: row["preflights"] for row in results.get("preflights", [])}
    growth = [found for name, found in goals.items() if name.startswith("size: ours")]
    peers = [found["median"] for name, found in goals.items() if name.startswith("size: flask-cors")]
    worst = max(growth, key=lambda found: found["median"])
    rows = [
        [
            "overhead of a real request over bare Flask, ours / flask-cors (ours sets the security headers too)",
            "≤ 0.40",
            _of_minima(goals["overhead_over_flask_cors"]),
            "1",
        ],
        [
            "the same with `wrap_wsgi`",
            "≤ 0.15",
            _of_minima(goals["wrapped_overhead_over_flask_cors"]),
            "1",
        ],
        [
            "the same, ours through the hooks / constant headers by `extend`",
            "≤ 1.6",
            _of_minima(goals["overhead_over_extend"]),
            _spread(goals["flask_cors_over_extend"]),
        ],
        [
            "the same, ours through the hooks / constant headers set one by one",
            "",
            _of_minima(goals["overhead_over_constant"]),
            _spread(goals["flask_cors_over_constant"]),
        ],
        [
            "`CORSMiddleware` on a trivial WSGI app / bare Flask's request",
            "≤ 0.09",
            _of_minima(goals["middleware_over_bare"], 3),
            "",
        ],
        [
            "a refused request / bare Flask's request",
            "≤ 1.5",
            _of_minima(goals["refused_over_bare"]),
            _spread(goals["flask_cors_refused_over_bare"]),
        ],
        [
            "preflight through the hooks / bare Flask's automatic `OPTIONS` "
            f"(a hook that returns a constant response: {goals['preflight_constant_hook_over_bare']['median']:.2f})",
            "≤ 0.80",
            _of_minima(goals["preflight_hooks_over_bare"]),
            _spread(goals["preflight_flask_cors_over_bare"]),
        ],
        [
            "preflight with `wrap_wsgi` / flask-cors's preflight",
            "≤ 0.06",
            _of_minima(goals["preflight_wrapped_over_flask_cors"], 3),
            "1",
        ],
        [
            "20,000 patterns / 2 patterns, the worst of all kinds of request and doors",
            "≤ 1.1",
            _of_minima(worst),
            f"{min(peers):.0f} to {max(peers):.0f}",
        ],
    ]
    if sessions:
        others = ", ".join(f"{name}: {count}" for name, count in sessions.items() if name != "ours")
        rows.append(["preflights in an MCP session of ten calls in Chromium", "1", str(sessions["ours"]), others])
    if costs:
        imported = f"{costs['import_ms']['min']:.1f} ms (median {costs['import_ms']['median']:.1f})"
        rows.append(["import time over Flask's own", "", imported, ""])
        rows.append(["building a policy of 20,000 patterns", "< 1 s", f"{costs['build_s']['median']:.2f} s", ""])
        memory = (
            f"{costs['policy_mb']:.1f} MB kept, {costs['peak_mb']:.1f} MB at the peak, with the public suffix list's "
            f"{costs['public_suffixes_mb']:.1f} MB"
        )
        rows.append(["its memory", "< 50 MB", memory, ""])
    return _table(["figure", "goal", "ours", "flask-cors, others"], rows)


def _matrix(rows: Sequence[Mapping[str, Any]], size: int) -> str:
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["patterns"] in (None, size):
            cells.setdefault(row["contestant"], {})[row["work"]] = _spread(row["ratio"])
    return _table(["", *WORK], ([name, *(found[work] for work in WORK)] for name, found in cells.items()))


def _absolute(rows: Sequence[Mapping[str, Any]]) -> str:
    bare = [row for row in rows if row["contestant"] == "bare Flask"]
    times = ", ".join(f"{row['work']} {row['us']['min']:.0f} µs" for row in bare)
    return f"Bare Flask itself, fastest round: {times}."


def _micro(rows: Sequence[Mapping[str, Any]]) -> str:
    found = ([row["name"], f"{row['median_us']:.2f} µs ± {row['mad_us']:.2f}"] for row in rows)
    return _table(["", "median ± median absolute deviation"], found)


def _load(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "request", "requests/s", "best round", "p99", "best round"]
    ordered = sorted(rows, key=lambda row: str(row["request"]))
    return _table(
        head,
        (
            [
                row["contestant"],
                row["request"],
                f"{row['per_second']:.0f}",
                f"{row['per_second_best']:.0f}",
                f"{row['p99_ms']:.1f} ms",
                f"{row['p99_ms_best']:.1f} ms",
            ]
            for row in ordered
        ),
    )


def _asgi(found: Mapping[str, Any]) -> str:
    goals: Mapping[str, Mapping[str, float]] = found["goals"]
    limits = {"overhead of a real request": "≤ 1.0", "20,000": "≤ 1.1", "preflight: ": "≤ 0.5"}
    rows = [
        [name, next((limit for word, limit in limits.items() if word in name), ""), _of_minima(goal)]
        for name, goal in goals.items()
    ]
    return _table(["figure", "goal", "ours"], rows)


def to_markdown(results: Results) -> str:
    """The whole page."""
    machine = results["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    parts = [
        "<!-- Made by `python -m benchmarks`. -->\n\n# Performance",
        f"Measured on {machine['cores']} cores of an {machine['cpu']} ({machine['system']}), {machine['python']}, "
        f"with {packages}. The load average at the start was {machine['load_average']:.1f}: the machine was shared, so "
        "look at ratios and at the fastest rounds, not at single times.",
    ]
    if "side_by_side" in results:
        rows = results["side_by_side"]["rows"]
        rounds = min(row["rounds"] for row in rows)
        parts += ["## Goals", _goals(results), "## Side by side", _METHOD.rstrip(), _absolute(rows)]
        for size in SIZES:
            parts += [f"### Policies of {size:,} patterns", _matrix(rows, size)]
        parts.append(
            f"Time over bare Flask's for the same request, at least {rounds} rounds. Half of the patterns are exact "
            "origins, half subdomain patterns; the origin that calls is in the middle of the list. wsgicors adds no "
            "security headers, refuses nobody, and keeps the answers for 200 origins."
        )
    if "asgi" in results:
        parts += ["## ASGI: beside Starlette's CORSMiddleware", _ASGI.rstrip(), _asgi(results["asgi"])]
    if "micro" in results:
        parts += ["## The core alone", "With pyperf.", _micro(results["micro"])]
    if "load" in results:
        text = "gunicorn with two workers of four threads, `wrk` with eight connections, both on this machine, in turn."
        parts += ["## On a real server", text, _load(results["load"])]
    if "preflights" in results:
        sessions = results["preflights"]
        text = (
            f"Chromium {sessions[0]['chromium']}: a call without a token, `initialize`, a notification, the GET "
            "stream, ten tool calls a second apart, DELETE; counted at the server."
        )
        found = _table(["", "preflights"], ([row["contestant"], str(row["preflights"])] for row in sessions))
        parts += ["## Preflights in one MCP session", text, found]
    return "\n\n".join(parts) + "\n"
