"""A finding: something that is wrong, under a stable code, in a sentence, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad it is."""

    #: Somebody cannot connect, or somebody can who must not.
    ERROR = "error"
    #: It works today, for some, or until something else changes.
    WARNING = "warning"
    #: Worth knowing. Nothing is wrong, so it never changes an exit status.
    NOTE = "note"


_ORDER = list(Severity)


@dataclass(frozen=True)
class Finding:
    """One finding. The *code* is stable: scripts may look for it."""

    code: str
    severity: Severity
    #: Where: a route, an origin, protocol revisions.
    place: str
    sentence: str
    fix: str
    #: What the browser's console says, where it says something.
    console: str | None = None
    #: The code of the finding that probably explains this one.
    because: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The finding as it stands in ``--json``."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, else as they were found; none twice.

    >>> note = Finding("n", Severity.NOTE, "", "", "")
    >>> error = Finding("e", Severity.ERROR, "", "", "")
    >>> [finding.code for finding in in_order([note, error, note])]
    ['e', 'n']
    """
    return sorted(dict.fromkeys(findings), key=lambda finding: _ORDER.index(finding.severity))
