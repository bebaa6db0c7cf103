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
    known = {**CLIENTS, **MORE}
    rows = {name: sightings.row(name, client) for name, client in known.items()}
    target: Path | None = request.config.getoption("write_clients", default=None)
    if target is not None:
        assert [name for name, row in rows.items() if row is None] == [], "not seen in this run"
        target.write_text(
            "".join([HEAD, *(f"{row}\n" for row in sorted(filter(None, rows.values())))]), encoding="utf-8"
        )
    seen = [row for row in rows.values() if row]
    wanted = known if ARE_MORE_INSTALLED else CLIENTS
    if len(seen) < len(wanted):
        pytest.skip(f"no table without all clients in all engines: this run saw {len(seen)} of {len(wanted)}")
    published = PUBLISHED.read_text(encoding="utf-8").splitlines()
    assert [row for row in seen if row not in published] == []
