"""A finding: something that is wrong, with a stable code, a sentence and a fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad it is."""

    #: An allowed page cannot connect, or a foreign one can.
    ERROR = "error"
    #: It works for some clients only, or until something else changes.
    WARNING = "warning"
    #: Nothing is wrong, so it never changes an exit status.
    NOTE = "note"


_ORDER = list(Severity)


@dataclass(frozen=True)
class Finding:
    """One finding. Its *code* is stable: scripts may rely on it."""

    code: str
    severity: Severity
    #: Where: a route, an origin, protocol revisions.
    place: str
    sentence: str
    fix: str
    #: The message in the browser's console, if there is one.
    console: str | None = None
    #: The code of the finding that probably explains this one.
    because: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The finding as it stands in ``--json``."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Without duplicates, by severity and then in the order given.

    >>> note = Finding("n", Severity.NOTE, "", "", "")
    >>> error = Finding("e", Severity.ERROR, "", "", "")
    >>> [finding.code for finding in in_order([note, error, note])]
    ['e', 'n']
    """
    return sorted(dict.fromkeys(findings), key=lambda finding: _ORDER.index(finding.severity))
