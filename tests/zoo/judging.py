"""Does a report say of a server what the table of the zoo wants to be said?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rows import Row

from flask_mcp_cors.cli.doctor import Report
from flask_mcp_cors.cli.doctor.evidence import Evidence
from flask_mcp_cors.cli.doctor.rules import TABLE
from flask_mcp_cors.cli.findings import Finding
from flask_mcp_cors.cli.findings import Severity


def says_all(text: str, patterns: str) -> bool:
    """Are all of these regular expressions, with ``;`` between them, found in the text?"""
    return all(re.search(pattern.strip(), text, re.IGNORECASE) for pattern in patterns.split(";"))


def words_of(finding: Finding) -> str:
    """Everything that a finding says but its code, which is for programs, and its place."""
    return "\n".join([finding.console or "", finding.sentence, finding.fix])


def complaint(row: Row, report: Report) -> str:
    """What is wrong with a report; nothing, if cause and cure are named, or nothing bad is said of a healthy server."""
    found = report.findings
    shown = "\n".join(f"{f.severity} {f.code}: {f.sentence} Fix: {f.fix}" for f in found) or "no finding"
    if row.fails == "healthy":
        return "" if all(f.severity is Severity.NOTE for f in found) else f"a false alarm\n{shown}"
    heard = f"{row.what}\n{shown}"
    matching = [f for f in found if says_all(words_of(f), row.names) and says_all(f.fix, row.cures)]
    if not matching:
        return f"no finding names ({row.names}) with the cure ({row.cures}): {heard}"
    is_error = row.fails == "yes" or row.severity == "error"
    if is_error and not any(f.severity is Severity.ERROR for f in matching):
        return f"this is an error: {heard}"
    if row.never and any(re.search(row.never, words_of(f), re.IGNORECASE) for f in found):
        return f"leads astray ({row.never}): {heard}"
    return ""


def missed(known: Iterable[tuple[Row, Evidence]]) -> set[str]:
    """The rows of the table of findings without which one of these servers is not understood.

    Nothing is asked again: what is known of a server is judged without one row that its findings have.
    """
    needed: set[str] = set()
    for row, evidence in known:
        report = Report.of(evidence)
        if complaint(row, report) == "":
            fired = {finding.code for finding in report.findings} - needed
            needed |= {code for code in fired if complaint(row, Report.of(evidence, TABLE.without(code)))}
    return needed
