"""``routes``: every route of an app with its policy, its protection and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

from ..auth.guards import Guard
from ..core.policy import CORSPolicy
from ..core.site import Choice
from ..extension.gate import AppState
from .app import guard_words
from .findings import are_clean
from .findings import Finding
from .findings import in_order
from .terminal import counted
from .terminal import finding_text
from .terminal import paragraph
from .terminal import table

if TYPE_CHECKING:
    from werkzeug.routing import Rule

_VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>")
_EXAMPLES = {"int": "1", "float": "1.0", "uuid": "00000000-0000-0000-0000-000000000000"}


@dataclass(frozen=True)
class Route:
    """One rule of the app's URL map, or those of its methods that are treated alike."""

    rule: Rule
    methods: tuple[str, ...]
    choice: Choice
    guards: tuple[Guard, ...]

    @property
    def path(self) -> str:
        """A path that the rule matches.

        >>> from werkzeug.routing import Map, Rule
        >>> rule = Rule("/servers/<int:number>/<path:rest>", endpoint="x")
        >>> Route(rule, (), Choice(None, ""), ()).path
        '/servers/1/x'
        """
        return example_path(self.rule.rule)

    @property
    def place(self) -> str:
        """The route as a finding names it."""
        return f"{' '.join(self.methods)} {self.rule.rule}"

    @property
    def policy_words(self) -> str:
        """The policy, in as few words as tell it from the others."""
        if self.choice.policy is None:
            rule = self.choice.rule.removeprefix("the mark on ")
            return f"none ({rule})"
        return self.choice.rule.removeprefix("the ").replace("default policy, paths", "default, paths")


def example_path(rule: str) -> str:
    """A path that a Flask rule matches."""
    return _VARIABLE.sub(lambda match: _EXAMPLES.get(match[1] or "", "x"), rule)


def routes_of(state: AppState) -> list[Route]:
    """The app's routes, in the order of their paths; one for each policy and protection that methods have."""
    routes = []
    for rule in state.app.url_map.iter_rules():
        if rule.websocket or rule.build_only:
            continue
        alike: dict[tuple[int, str, tuple[Guard, ...]], tuple[Choice, list[str]]] = {}
        methods = set(rule.methods or ("GET",)) - {"OPTIONS", "HEAD"}
        for method in sorted(methods, key=lambda method: ("GET POST PUT PATCH DELETE".find(method), method)):
            found = state.views.find(rule.endpoint, method)
            choice = found.choice or state.site.choose(example_path(rule.rule))
            key = (id(choice.policy), choice.rule, found.guards)
            alike.setdefault(key, (choice, []))[1].append(method)
        routes += [Route(rule, tuple(methods), choice, key[2]) for key, (choice, methods) in alike.items()]
    return sorted(routes, key=lambda route: route.rule.rule)


@dataclass(frozen=True)
class Survey:
    """What ``routes`` found."""

    state: AppState
    routes: tuple[Route, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Is nothing wrong?"""
        return are_clean(self.findings)

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "app": self.state.app.name,
            "routes": [
                {
                    "rule": route.rule.rule,
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
            (route.rule.rule, " ".join(route.methods), route.policy_words, guard_words(route.guards))
            for route in self.routes
        ]
        blocks = [table(("ROUTE", "METHODS", "POLICY", "PROTECTION"), rows)]
        blocks.append("\n".join(self._policies()))
        blocks += [finding_text(finding) for finding in self.findings]
        blocks.append(f"{len(self.routes)} routes, {counted(self.findings)}")
        return "\n\n".join(blocks)

    def _policies(self) -> Iterable[str]:
        """Each policy that the table names, with the origins that it lets in."""
        named = {route.policy_words: route.choice.policy for route in self.routes if route.choice.policy is not None}
        for words, policy in named.items():
            if not isinstance(policy, CORSPolicy):
                yield paragraph("chosen for each request", "  ", f"{words}: ")
                continue
            callback = getattr(policy.origins, "__qualname__", "a callable")
            origins = callback if callable(policy.origins) else ", ".join(policy.origins)
            credentials = "; with credentials" if policy.allow_credentials else ""
            yield paragraph(f"{words}: {origins}{credentials}", "  ", "")


def survey(state: AppState) -> Survey:
    """Look at every route, and let the app answer some requests."""
    from .route_findings import findings_of

    routes = routes_of(state)
    return Survey(state, tuple(routes), tuple(in_order(findings_of(state, routes))))
