"""Text for a terminal. Values from servers and clients are escaped; :func:`show` adds the colours."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import zip_longest

import click

from .findings import Finding
from .findings import Severity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_SEVERITY = re.compile(rf"^(?:{'|'.join(severity.value.upper() for severity in Severity)})(?= )", re.MULTILINE)


def terminal_width() -> int:
    """The width of the terminal, between 40 and 120 columns; 80 without a terminal."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, 40), 120)


def show(text: str) -> None:
    """Print text: in colour on a terminal, and with escapes for characters that the output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    text = _SEVERITY.sub(lambda m: click.style(m[0], fg=_COLOURS[Severity(m[0].lower())], bold=True), text)
    # https://no-color.org
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Show progress in one line of standard error, which is removed at the end; without a terminal, show nothing."""

    def say(line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K… {printable(line)[: terminal_width() - 2]}")
            sys.stderr.flush()

    try:
        yield say
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def printable(value: str, limit: int = 400) -> str:
    """A foreign value, safe to print: control characters are escaped, and its length is limited.

    >>> printable("a\\x1b[31m\\nb")
    'a\\\\x1b[31m\\\\nb'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value[:limit])
    return f"{shown} …" if len(value) > limit else shown


def paragraph(text: str, indent: str = "", first: str | None = None) -> str:
    """One paragraph, wrapped; URLs and header names are not broken."""
    return textwrap.fill(
        text,
        terminal_width(),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def two_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns: names and their texts. An empty name continues the one above."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0) + 2
    return "\n".join(paragraph(text, " " * width, name.ljust(width)) for name, text in rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned table that fits the terminal: long cells are wrapped, in the widest columns first.

    Without a terminal, words are not broken, so that they can be copied.

    >>> print(table(("A", "B"), [("1", "one"), ("22", "two")]))
    A   B
    1   one
    22  two
    """
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    longest_words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    least = [8] * len(columns) if sys.stdout.isatty() else longest_words
    while sum(widths) + 2 * (len(widths) - 1) > terminal_width():
        wide = [i for i in range(len(head)) if widths[i] > least[i]]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
    lines = []
    for row in (head, *rows):
        cells = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def finding_text(finding: Finding) -> str:
    """A finding as a block of text."""
    place = f"  {finding.place}" if finding.place else ""
    lines = [paragraph(f"{finding.severity.value.upper()} {finding.code}{place}", "  ", "")]
    if finding.console is not None:
        lines += [paragraph(finding.console, "    | ")]
    lines += [paragraph(finding.sentence, "  ")]
    if finding.fix:
        lines += [paragraph(f"Fix: {finding.fix}", "       ", "  ")]
    return "\n".join(lines)


def counted(findings: Sequence[Finding]) -> str:
    """The number of findings of each severity.

    >>> counted([Finding("e", Severity.ERROR, "", "", "")]), counted([])
    ('1 error', 'no findings')
    """
    numbers = [(sum(f.severity is severity for f in findings), severity.value) for severity in Severity]
    return ", ".join(plural(n, word) for n, word in numbers if n) or "no findings"


def plural(number: int, word: str) -> str:
    """A number with its noun.

    >>> plural(1, "route"), plural(2, "route")
    ('1 route', '2 routes')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"
