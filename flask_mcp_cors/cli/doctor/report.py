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
from ..terminal import printable
from ..terminal import table
from .evidence import Evidence
from .evidence import Fetched
from .messages import negotiated
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
    """All findings, the one that explains most first, each with the place that it is about.

    :param table: another table, without a row, to see whether anybody misses it.
    """
    several = len({origin for origin, _ in evidence.verdicts}) > 1
    failures = list(_failures(evidence, table))
    if "connects" in evidence.verdicts.values():
        # Whatever curl gets: a page connects.
        failures = [failure for failure in failures if failure.origin]
    of_pages = {f.finding.code for f in failures if f.origin and f.finding.severity is Severity.ERROR}
    places: dict[Finding, tuple[dict[str, None], dict[str, None]]] = {}
    same: dict[tuple[str, ...], Finding] = {}
    for finding, origin, revision, url, kind in [*failures, *_observed(evidence, table)]:
        if not origin and finding.code in of_pages:
            continue  # a page meets the same, and there is a console line
        if table.is_one_cause(finding.code):
            # Said once, with the words of the first message that meets it.
            finding = same.setdefault((finding.code, origin, url, kind), finding)
        origins, revisions = places.setdefault(finding, ({}, {}))
        origins.update({origin: None} if several and origin else {})
        revisions.update({revision: None} if revision else {})
    if any(f.severity is Severity.ERROR and f.code != "no_conversation" for f in places):
        # A conversation that fails has its cause by then.
        places = {finding: where for finding, where in places.items() if finding.code != "no_conversation"}
    placed = {replace(f, place=place_of(list(of), list(in_))): set(of) for f, (of, in_) in places.items()}
    return _explained(in_order(placed), placed, table)


def place_of(origins: list[str], revisions: list[str]) -> str:
    """Where something holds, in words."""
    from_ = f"from {', '.join(origins)}" if origins else ""
    return " ".join(filter(None, [", ".join(revisions), from_]))


def is_failed(fetched: Fetched) -> bool:
    """Did a request that matters not get what it asked for?"""
    if fetched.weight is None:
        return False
    if fetched.is_rejected:
        return True
    if fetched.sent is None:
        return fetched.status in (502, 503, 504)  # nobody's answer to GET or DELETE
    if fetched.step == "initialize" and not fetched.origin and not fetched.reading.fault:
        # Without a browser: an answer from something that is not MCP is a failure, too.
        return negotiated(fetched.result) not in {revision.name for revision in REVISIONS}
    if "id" not in fetched.sent:
        return bool(fetched.status and fetched.status >= 400)
    if fetched.status == 0:
        return False
    return fetched.result is None or bool(fetched.reading.fault) or (fetched.status or 0) >= 400


def _failures(evidence: Evidence, table: Table) -> Iterator[_Found]:
    for fetched in evidence.fetches:
        if not is_failed(fetched) or (fetched.fault is not None and fetched.fault.code == "gave_up"):
            continue
        case = Case(evidence, fetched)
        for code, rule in table.failures.items():
            if not (fits := rule.seen(case)):
                continue
            values = {**case.values(), **(fits if isinstance(fits, Mapping) else {})}
            console = fetched.blocked.console_message if fetched.blocked is not None else None
            severity = cast(Severity, values.get("severity") or rule.severity or fetched.weight)
            stacks = case.answering if rule.topic == "preflight" else case.stacks
            finding = _finding(code, rule, severity, values, stacks, console)
            kind = f"{fetched.method} {case.status}" if code == "response_without_cors" else ""
            yield _Found(finding, fetched.origin, fetched.revision, str(values["url"]), kind)
            break


def _observed(evidence: Evidence, table: Table) -> Iterator[_Found]:
    stacks = stacks_of(evidence.responses())
    for code, rule in table.observations.items():
        for values in rule.seen(evidence):
            severity = cast(Severity, values.get("severity", rule.severity))
            finding = _finding(code, rule, severity, values, stacks, None)
            origin, revision, url = (str(values.get(key, "")) for key in ("origin", "revision", "url"))
            yield _Found(finding, origin, revision, url)


def _finding(
    code: str, rule: Rule[Any], severity: Severity, values: Values, stacks: set[str], console: str | None
) -> Finding:
    """Fill in the templates. Whatever a server sent is made safe to print here, and nowhere else."""
    safe = {key: printable(str(value), 600) for key, value in values.items()}
    cure = rule.cure.format_map(safe)
    if words := cure_for(str(values.get("topic", rule.topic)), stacks):
        cure += f" ({words})"
    shown = None if console is None else printable(console, 1000)
    return Finding(code, severity, "", rule.sentence.format_map(safe).strip(), cure, shown)


def _explained(findings: list[Finding], origins: Mapping[Finding, set[str]], table: Table) -> list[Finding]:
    """Put the error that explains most first, and its consequences for the same pages behind it."""
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
