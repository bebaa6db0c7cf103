"""The published table "which client asks for what" is what this run saw, row by row.

``pytest tests/browser/test_client_*.py --write-clients docs/_generated/clients.md`` writes it, where the clients in
``more_clients`` are installed. This file comes last of those.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from client_table import ARE_MORE_INSTALLED
from client_table import CLIENTS
from client_table import HEAD
from client_table import MORE
from client_table import PUBLISHED
from client_table import Sightings


def test_the_published_table_is_what_this_run_saw(sightings: Sightings, request: pytest.FixtureRequest) -> None:
    known = {**CLIENTS, **MORE} if ARE_MORE_INSTALLED else CLIENTS
    rows = [sightings.row(name, client) for name, client in known.items()]
    seen = sorted(row for row in rows if row)
    if len(seen) < len(known):
        pytest.skip(f"no table without all clients in all engines: this run saw {len(seen)} of {len(known)}")
    target: Path | None = request.config.getoption("write_clients", default=None)
    if target is not None:
        assert ARE_MORE_INSTALLED, "the table is of all clients: npm ci --prefix tests/browser/more_clients"
        target.write_text("\n".join([HEAD, *seen, ""]), encoding="utf-8")
    published = PUBLISHED.read_text(encoding="utf-8")
    if ARE_MORE_INSTALLED:
        assert published == "\n".join([HEAD, *seen, ""])
    else:
        assert [row for row in seen if row not in published.splitlines()] == []
