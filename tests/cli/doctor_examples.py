"""Write what the doctor says of servers that nobody here wrote, as examples for the documentation.

``python tests/cli/doctor_examples.py`` writes ``docs/_generated/doctor-*.txt``. Ports are replaced by 8000.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

from foreign_servers import ORIGIN
from foreign_servers import Server
from foreign_servers import SERVERS
from foreign_servers import Unavailable

from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report

FOLDER = Path(__file__).parents[2] / "docs" / "_generated"
PORT = "8000"


def with_port(report: Report, port: str) -> Report:
    """The same report of a server on port 8000."""

    def moved(text: str) -> str:
        return text.replace(f":{port}", f":{PORT}")

    findings = tuple(
        replace(
            finding,
            sentence=moved(finding.sentence),
            fix=moved(finding.fix),
            console=None if finding.console is None else moved(finding.console),
        )
        for finding in report.findings
    )
    return replace(report, url=moved(report.url), findings=findings)


def example(server: Server) -> str:
    """The command and its output."""
    with server.start() as base:
        url = f"{base}{server.path}"
        report = with_port(examine(url, [ORIGIN], timeout=5), base.rpartition(":")[2])
    return f"$ python -m flask_mcp_cors doctor {report.url} --origin {ORIGIN}\n{report.to_text()}\n"


def main() -> int:
    """Write them all; those that can be started here."""
    logging.disable(logging.CRITICAL)
    FOLDER.mkdir(parents=True, exist_ok=True)
    missing = 0
    for server in SERVERS:
        try:
            text = example(server)
        except Unavailable as error:
            print(f"{server.name}: left as it was; to write it: {error}", file=sys.stderr)
            missing += 1
            continue
        (FOLDER / f"doctor-{server.name}.txt").write_text(text, encoding="utf-8")
        print(f"docs/_generated/doctor-{server.name}.txt")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
