"""Which client asks for what: the table in the documentation, from what the server saw of each and from nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from flask import Flask
from flask import request
from flask import request_finished

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "docs" / "_generated" / "clients.md"
ENGINES = {"chromium": "Chromium", "firefox": "Firefox", "webkit": "WebKit"}

#: What browsers put into their requests by themselves; a preflight never asks for it.
OWN = frozenset(
    "accept accept-encoding accept-language cache-control connection content-length host origin pragma priority referer"
    " te user-agent".split()
)
#: The values of Content-Type that need no preflight: https://fetch.spec.whatwg.org/#cors-safelisted-request-header
SAFELISTED_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

HEAD = """\
<!-- Written by a test run; CONTRIBUTING.md names the command. -->

| Client | Transport | Methods | Header names | Preflights | Chromium | Firefox | WebKit |
|---|---|---|---|---|---|---|---|
"""


@dataclass
class Sighting:
    """What the MCP endpoints saw of one client in one engine."""

    methods: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    preflights: int = 0
    connects: bool = False


class Sightings:
    """What has been seen so far, by client and engine."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, Sighting]] = {}

    @contextmanager
    def of(self, client: str, engine: str, app: Flask, *paths: str) -> Iterator[Sighting]:
        """Take down what this app sees at these paths; the caller says whether the client connects."""
        sighting = Sighting()
        lock = threading.Lock()

        def note(sender: Flask, **_: Any) -> None:
            if request.path not in paths:
                return
            asked = request.headers.get("Access-Control-Request-Headers", "")
            with lock:
                if request.method == "OPTIONS":
                    sighting.preflights += 1
                    sighting.names.update(name.strip() for name in asked.split(",") if name.strip())
                    return
                sighting.methods.add(request.method)
                sighting.names.update(
                    name
                    for name in map(str.lower, request.headers.keys())
                    if name not in OWN
                    and not name.startswith("sec-")
                    and not (name == "content-type" and request.mimetype in ("", *SAFELISTED_TYPES))
                )

        with request_finished.connected_to(note, app):
            yield sighting
        self._seen.setdefault(client, {})[engine] = sighting

    def row(self, client: str, transport: str, engines: tuple[str, ...]) -> str | None:
        """The line of a client, if all of these engines have been seen."""
        seen = self._seen.get(client, {})
        if not set(engines) <= seen.keys():
            return None
        names = sorted(set[str]().union(*(each.names for each in seen.values())))
        methods = sorted(set[str]().union(*(each.methods for each in seen.values())))
        counts = sorted({each.preflights for each in seen.values()})
        cells = [
            client,
            transport,
            ", ".join(methods),
            ", ".join(f"`{name}`" for name in names) or "none",
            " or ".join(map(str, counts)),
            *(("yes" if seen[engine].connects else "no") if engine in engines else "–" for engine in ENGINES),
        ]
        return f"| {' | '.join(cells)} |\n"


def version(package: str) -> str:
    """The version that is installed, from the lock file of this folder or of ``more_clients``."""
    for folder in (HERE / "more_clients", HERE):
        packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        if found := packages.get(f"node_modules/{package}"):
            return str(found["version"])
    raise LookupError(package)
