"""What the doctor says in the end: for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import TYPE_CHECKING

from ..findings import Finding
from ..findings import in_order
from ..findings import Severity
from ..terminal import counted
from ..terminal import finding_text
from ..terminal import paragraph
from ..terminal import printable
from ..terminal import table
from .messages import REVISIONS

if TYPE_CHECKING:
    from .examination import Examination


@dataclass(frozen=True)
class Report:
    """The result of an examination."""

    url: str
    origins: tuple[str, ...]
    #: (origin, revision) → verdict
    verdicts: dict[tuple[str, str], str]
    #: Place → what works there.
    works: dict[str, tuple[str, ...]]
    findings: tuple[Finding, ...]
    #: How many requests it took.
    requests: int

    @classmethod
    def of(cls, exam: Examination, origins: Sequence[str]) -> Report:
        """Put together what an examination has found."""
        several = len(origins) > 1
        works: dict[str, list[str]] = {}
        for origin, place, what in exam.works:
            if what not in works.setdefault(_place([origin] if several and origin else [], [place]), []):
                works[_place([origin] if several and origin else [], [place])].append(what)
        return cls(
            exam.href,
            tuple(origins),
            dict(exam.verdicts),
            {place: tuple(what) for place, what in works.items()},
            tuple(in_order(_merged(exam.findings, several=several))),
            exam.wire.sent,
        )

    @property
    def is_healthy(self) -> bool:
        """Is there no error?"""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "url": self.url,
            "healthy": self.is_healthy,
            "origins": {
                origin: {r.name: self.verdicts[origin, r.name] for r in REVISIONS if (origin, r.name) in self.verdicts}
                for origin in self.origins
            },
            "works": {place: list(what) for place, what in self.works.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "requests": self.requests,
        }

    def to_text(self) -> str:
        """What the terminal gets."""
        rows = [
            (revision.name, *(self.verdicts.get((origin, revision.name), "") for origin in self.origins))
            for revision in REVISIONS
        ]
        blocks = [f"MCP endpoint {printable(self.url)}", table(("REVISION", *self.origins), rows)]
        if self.works:
            lines = [
                paragraph(f"{place}: {'; '.join(what)}" if place else "; ".join(what), "    ", "  ")
                for place, what in self.works.items()
            ]
            blocks.append("\n".join(["Works", *map(printable_lines, lines)]))
        blocks += [finding_text(finding) for finding in self.findings]
        blocks.append(f"{counted(self.findings)}; {self.requests} requests")
        return "\n\n".join(blocks)


def printable_lines(text: str) -> str:
    """Each line of a text made safe to print."""
    return "\n".join(printable(line) for line in text.splitlines())


def _place(origins: Iterable[str], revisions: Iterable[str]) -> str:
    words = ", ".join(dict.fromkeys(filter(None, revisions)))
    from_ = ", ".join(dict.fromkeys(filter(None, origins)))
    return " ".join(filter(None, [words, f"from {from_}" if from_ else ""]))


def _merged(found: list[tuple[Finding, str, str]], *, several: bool) -> list[Finding]:
    """Findings that say the same of several revisions and origins, said once."""
    places: dict[Finding, tuple[list[str], list[str]]] = {}
    for finding, origin, revision in found:
        origins, revisions = places.setdefault(finding, ([], []))
        if several:
            origins.append(origin)
        revisions.append(revision)
    return [replace(finding, place=_place(*place)) for finding, place in places.items()]
