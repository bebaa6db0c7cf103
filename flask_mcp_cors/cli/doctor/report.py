"""From the evidence and the table to findings, and the report of them: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import cast
from typing import NamedTuple

from ..findings import Finding
from ..findings import in_order
from ..findings import Severity
from ..terminal import counted
from ..terminal import finding_text
from ..terminal import paragraph
from ..terminal import plural
from ..terminal import printable
from ..terminal import table as columns
from .evidence import CONNECTS
from .evidence import Evidence
from .messages import REVISIONS
from .rules import Case
from .rules import EVERYTHING
from .rules import Rule
from .rules import TABLE
from .rules import Table
from .rules import Values
from .stacks import cure_for
from .stacks import stacks_of


class _Found(NamedTuple):
    """A finding, and what it is about."""

    finding: Finding
    origin: str
    revision: str
    url: str
    #: Method and status of a failure.
    kind: str = ""


def findings_of(evidence: Evidence, table: Table = TABLE) -> list[Finding]:
    """All findings, each with its place. The one that explains most is the first.

    :param table: another table, without a row, for the test that every row is needed.
    """
    several = len({origin for origin, _ in evidence.verdicts}) > 1
    failures = list(_failures(evidence, table))
    if CONNECTS in evidence.verdicts.values():
        # A page connects, so failures without a browser do not matter.
        failures = [failure for failure in failures if failure.origin]
    of_pages = {f.finding.code for f in failures if f.origin and f.finding.severity is Severity.ERROR}
    places: dict[Finding, tuple[dict[str, None], dict[str, None]]] = {}
    same: dict[tuple[str, ...], Finding] = {}
    for finding, origin, revision, url, kind in [*failures, *_observed(evidence, table)]:
        if not origin and finding.code in of_pages:
            continue  # the same finding of a page has a console message
        if table.is_one_cause(finding.code):
            # One finding, with the words for the first message.
            finding = same.setdefault((finding.code, origin, url, kind), finding)
        origins, revisions = places.setdefault(finding, ({}, {}))
        origins.update({origin: None} if several and origin else {})
        revisions.update({revision: None} if revision else {})
    if any(f.severity is Severity.ERROR and f.code != "no_conversation" for f in places):
        # Another error is the cause of that.
        places = {finding: where for finding, where in places.items() if finding.code != "no_conversation"}
    placed = {replace(f, place=place_of(list(of), list(in_))): set(of) for f, (of, in_) in places.items()}
    return _explained(in_order(placed), placed, table)


def place_of(origins: list[str], revisions: list[str]) -> str:
    """Revisions and origins in words."""
    from_ = f"from {', '.join(origins)}" if origins else ""
    return " ".join(filter(None, [", ".join(revisions), from_]))


def _failures(evidence: Evidence, table: Table) -> Iterator[_Found]:
    for fetched in evidence.fetches:
        if not fetched.is_failed or fetched.fault_code == "gave_up":
            continue
        case = Case(evidence, fetched)
        for code, rule in table.failures.items():
            if (rule.is_for_preflights and not case.is_preflight) or not (fits := rule.seen(case)):
                continue
            values = {"severity": rule.severity or fetched.weight, **case.values()}
            values |= fits if isinstance(fits, Mapping) else {}
            stacks = case.answering if rule.topic == "preflight" else case.stacks
            finding = _finding(code, rule, values, stacks, case.console)
            kind = f"{fetched.method} {case.status}" if code == "response_without_cors" else ""
            yield _Found(finding, fetched.origin, fetched.revision, str(values["url"]), kind)
            break


def _observed(evidence: Evidence, table: Table) -> Iterator[_Found]:
    stacks = stacks_of(evidence.responses())
    for code, rule in table.observations.items():
        for values in rule.seen(evidence):
            finding = _finding(code, rule, {"severity": rule.severity, **values}, stacks)
            origin, revision, url = (str(values.get(key, "")) for key in ("origin", "revision", "url"))
            yield _Found(finding, origin, revision, url)


def _finding(code: str, rule: Rule[Any], values: Values, stacks: set[str], console: str = "") -> Finding:
    """Fill in the templates. This makes whatever a server sent safe to print."""
    safe = {key: printable(str(value), 600) for key, value in values.items()}
    cure = rule.cure.format_map(safe)
    if words := cure_for(str(values.get("topic", rule.topic)), stacks):
        cure += f" ({words})"
    sentence, shown = rule.sentence.format_map(safe).strip(), printable(console, 1000) or None
    return Finding(code, cast(Severity, values["severity"]), "", sentence, cure, shown)


def _explained(findings: list[Finding], origins: Mapping[Finding, set[str]], table: Table) -> list[Finding]:
    """Put the error that explains most first, and its consequences for the same pages last."""
    order, rules = list(table.rules), table.rules
    causes = [f for f in findings if f.severity is Severity.ERROR and rules[f.code].explains]
    if not causes:
        return findings
    main = min(causes, key=lambda f: (not set(EVERYTHING) & set(rules[f.code].explains), order.index(f.code)))
    explained = table.explained_by(main.code)

    def because(finding: Finding) -> Finding:
        is_same_page = not origins[main] or origins[finding] <= origins[main]
        is_consequence = finding is not main and finding.code in explained and is_same_page
        return replace(finding, because=main.code) if is_consequence else finding

    return sorted(map(because, findings), key=lambda f: (f is not main, f.because is not None))


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
    #: The number of requests.
    requests: int
    evidence: Evidence = field(repr=False, compare=False)

    @classmethod
    def of(cls, evidence: Evidence, table: Table = TABLE) -> Report:
        """Judge the evidence.

        :param table: another table of findings.
        """
        several = len(evidence.origins) > 1
        works: dict[str, dict[str, None]] = {}
        for origin, revision, what in evidence.works:
            place = place_of([origin] if several and origin else [], [revision] if revision else [])
            works.setdefault(place, {})[what] = None
        said = {place: tuple(what) for place, what in works.items()}
        findings = tuple(findings_of(evidence, table))
        verdicts = dict(evidence.verdicts)
        return cls(evidence.href, evidence.origins, verdicts, said, findings, evidence.requests, evidence)

    @property
    def is_healthy(self) -> bool:
        """Is there no error?"""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The output of ``--json``."""
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
        """The output on a terminal. The consequences of the first finding get one line each."""
        rows = [(r.name, *(self.verdicts.get((origin, r.name), "") for origin in self.origins)) for r in REVISIONS]
        blocks = [f"MCP endpoint {printable(self.url)}", columns(("REVISION", *self.origins), rows)]
        if self.works:
            works = (
                "; ".join(what) if not place else f"{place}: {'; '.join(what)}" for place, what in self.works.items()
            )
            blocks.append("\n".join(["Works", *(paragraph(printable(line, 4000), "    ", "  ") for line in works)]))
        blocks += [finding_text(finding) for finding in self.findings if finding.because is None]
        if folded := [finding for finding in self.findings if finding.because is not None]:
            cause = f"Probably caused by {folded[0].because}: if you repair that, these should go away (--json has all)"
            names = (" ".join(filter(None, [f.severity.value.upper(), f.code, f.place])) for f in folded)
            blocks.append("\n".join([paragraph(cause), *(paragraph(name, "    ", "  ") for name in names)]))
        blocks.append(f"{counted(self.findings)}; {plural(self.requests, 'request')}")
        return "\n\n".join(blocks)
