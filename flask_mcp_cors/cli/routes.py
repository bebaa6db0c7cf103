"""``routes``: every route of an app with its policy, its protection and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..core.policy import CORSPolicy
from ..extension.gate import AppState
from .app import guard_words
from .app import listed_origins
from .app import quiet
from .findings import Finding
from .findings import in_order
from .findings import Severity
from .route_findings import findings_of
from .route_table import Route
from .route_table import routes_of
from .terminal import counted
from .terminal import finding_text
from .terminal import paragraph
from .terminal import plural
from .terminal import table


@dataclass(frozen=True)
class RoutesReport:
    """What ``routes`` found."""

    state: AppState
    routes: tuple[Route, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Is nothing wrong? Notes do not count."""
        return all(finding.severity is Severity.NOTE for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "app": self.state.app.name,
            "routes": [
                {
                    "rule": route.rule.rule,
                    "host": route.rule.host or None,
                    "subdomain": route.rule.subdomain or None,
                    "endpoint": route.rule.endpoint,
                    "methods": list(route.methods),
                    "policy": None if route.choice.policy is None else route.choice.rule,
                    "why": route.choice.rule,
                    "protection": [] if not route.guards else guard_words(route.guards).split(", "),
                }
                for route in self.routes
            ],
            "findings": [finding.to_json() for finding in self.findings],
            "clean": self.is_clean,
        }

    def to_text(self) -> str:
        """What the terminal gets."""
        rows = [
            (
                route.name,
                " ".join(route.methods),
                route.policy_words,
                f"cors.protected: {guard_words(route.guards)}" if route.guards else "not seen",
            )
            for route in self.routes
        ]
        blocks = [table(("ROUTE", "METHODS", "POLICY", "PROTECTION"), rows)]
        if not all(route.guards for route in self.routes):
            words = "without cors.protected. Other decorators and hooks may protect these routes; they cannot be seen."
            blocks.append(paragraph(words, "  ", "not seen: "))
        blocks.append("\n".join(self._policies()))
        blocks += [finding_text(finding) for finding in self.findings]
        blocks.append(f"{plural(len(self.routes), 'route')}, {counted(self.findings)}")
        return "\n\n".join(blocks)

    def _policies(self) -> Iterable[str]:
        """Each policy that the table names, with the origins that it allows."""
        named = {route.policy_words: route.choice.policy for route in self.routes if route.choice.policy is not None}
        for words, policy in named.items():
            if not isinstance(policy, CORSPolicy):
                yield paragraph("chosen for each request", "  ", f"{words}: ")
                continue
            credentials = "; with credentials" if policy.allow_credentials else ""
            yield paragraph(f"{words}: {listed_origins(policy)}{credentials}", "  ", "")


def survey(state: AppState) -> RoutesReport:
    """Check every route, and send a preflight to each."""
    with quiet():
        routes = routes_of(state)
        return RoutesReport(state, tuple(routes), tuple(in_order(findings_of(state, routes))))
