"""What the doctor says in the end: a page for people, and everything for programs."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..findings import Finding
from ..findings import Severity
from ..terminal import counted
from ..terminal import finding_text
from ..terminal import paragraph
from ..terminal import printable
from ..terminal import table
from .evidence import Evidence
from .findings import findings_of
from .findings import place_of
from .messages import REVISIONS
from .rules import TABLE
from .rules import Table


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
    #: What all of it was read from.
    evidence: Evidence = field(repr=False, compare=False)

    @classmethod
    def of(cls, evidence: Evidence, table: Table = TABLE) -> Report:
        """Read the evidence.

        :param table: another table of findings.
        """
        several = len(evidence.origins) > 1
        works: dict[str, list[str]] = {}
        for origin, place, what in evidence.works:
            said = works.setdefault(place_of([origin] if several and origin else [], [place] if place else []), [])
            if what not in said:
                said.append(what)
        return cls(
            evidence.href,
            evidence.origins,
            dict(evidence.verdicts),
            {place: tuple(what) for place, what in works.items()},
            tuple(findings_of(evidence, table)),
            evidence.requests,
            evidence,
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
        """What the terminal gets: consequences of the first finding are one line each."""
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
        blocks += [finding_text(finding) for finding in self.findings if finding.because is None]
        folded = [finding for finding in self.findings if finding.because is not None]
        if folded:
            cause = f"Probably caused by {folded[0].because}: mending that should remove these (--json has all)"
            blocks.append("\n".join([paragraph(cause), *map(_in_a_line, folded)]))
        blocks.append(f"{counted(self.findings)}; {self.requests} request{'s' * (self.requests != 1)}")
        return "\n\n".join(blocks)


def _in_a_line(finding: Finding) -> str:
    text = " ".join(filter(None, [finding.severity.value.upper(), finding.code, finding.place]))
    return paragraph(text, "    ", "  ")


def printable_lines(text: str) -> str:
    """Each line of a text made safe to print."""
    return "\n".join(printable(line) for line in text.splitlines())
