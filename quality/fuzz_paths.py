"""Fuzz paths: the policy is that of the most specific pattern, on the path as Flask routes it.

``python -m quality.fuzz_paths --seconds 20``
"""

from __future__ import annotations

import sys

from werkzeug.wrappers import Request

from flask_mcp_cors.core.paths import path_fault
from flask_mcp_cors.core.paths import PathIndex
from flask_mcp_cors.wsgi import routed_path

from .fuzzing import main
from .fuzzing import Source
from .oracle import most_specific

SEGMENTS = ("a", "b", "*", "**", "mcp", "MCP", "%61", "..", ".", "+", " ", "é", "<x>", "a*", "a?", "a#b", ".well-known")


def _path(source: Source, most: int) -> str:
    parts = [source.choose(SEGMENTS) for _ in range(source.byte() % (most + 1))]
    slashes = source.choose(("/", "/", "//"))
    end = source.choose(("", "", "/", "//"))
    return f"/{slashes.join(parts)}{end}"


def target(source: Source) -> None:
    patterns = {pattern for _ in range(1 + source.byte() % 5) if path_fault(pattern := _path(source, 4)) is None}
    # Patterns that mean the same are one pattern.
    patterns = {"/" + "/".join(filter(None, pattern.split("/"))) for pattern in patterns}
    raw = _path(source, 6).encode() if source.choose((True, True, False)) else source.text().encode("latin-1")
    environ = {
        "PATH_INFO": raw.decode("latin-1"),
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }
    path = routed_path(environ)
    assert path == Request(environ).path
    found = PathIndex({pattern: pattern for pattern in patterns}).find(path)
    wanted = most_specific(sorted(patterns), path)
    assert found in wanted if wanted else found is None, (patterns, path, found, wanted)


if __name__ == "__main__":
    sys.exit(main(target))
