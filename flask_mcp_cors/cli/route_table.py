"""The routes of an app, each with its policy and its guards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..auth.guards import Guard
from ..core.site import Choice
from ..extension.gate import AppState
from ..extension.routing import VARIABLE

if TYPE_CHECKING:
    from werkzeug.routing import Rule

_EXAMPLES = {"int": "1", "float": "1.0", "uuid": "00000000-0000-0000-0000-000000000000"}

#: Methods that may change something.
STATE_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Route:
    """One rule of the app's URL map, or those of its methods that have the same policy and guards."""

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
        return example(self.rule.rule)

    @property
    def name(self) -> str:
        """The rule, with its host or subdomain where it has one.

        >>> from werkzeug.routing import Rule
        >>> Route(Rule("/mcp", endpoint="x", subdomain="<tenant>"), (), Choice(None, ""), ()).name
        '<tenant>.*/mcp'
        """
        return f"{self.rule.host or (f'{self.rule.subdomain}.*' if self.rule.subdomain else '')}{self.rule.rule}"

    @property
    def place(self) -> str:
        """The route as a finding names it."""
        return f"{' '.join(self.methods)} {self.name}"

    def base_url(self, base: str, server_name: str | None) -> str:
        """A URL at which this route is served, where the app is served at *base*."""
        scheme, _, _ = base.partition("://")
        if self.rule.host:
            return f"{scheme}://{example(self.rule.host)}"
        if self.rule.subdomain and server_name:
            return f"{scheme}://{example(self.rule.subdomain)}.{server_name}"
        return base

    @property
    def policy_words(self) -> str:
        """The policy, in a few words."""
        if self.choice.policy is None:
            rule = self.choice.rule.removeprefix("the mark on ")
            return f"none ({rule})"
        return self.choice.rule.removeprefix("the ").replace("default policy, paths", "default, paths")


def example(rule: str) -> str:
    """A path, or a host, that a Flask rule matches."""
    return VARIABLE.sub(lambda match: _EXAMPLES.get(match["kind"] or "", "x"), rule)


def routes_of(state: AppState) -> list[Route]:
    """The app's routes, in the order of their paths; one for each policy and protection of a rule's methods."""
    routes = []
    for rule in state.app.url_map.iter_rules():
        if rule.websocket or rule.build_only:
            continue
        alike: dict[tuple[int, str, tuple[Guard, ...]], tuple[Choice, list[str]]] = {}
        methods = set(rule.methods or ("GET",)) - {"OPTIONS", "HEAD"}
        for method in sorted(methods, key=lambda method: ("GET POST PUT PATCH DELETE".find(method), method)):
            choice = state.choose_by_rule(example(rule.rule), method, rule)
            guards = state.views.find(rule.endpoint, method).guards
            alike.setdefault((id(choice.policy), choice.rule, guards), (choice, []))[1].append(method)
        routes += [Route(rule, tuple(methods), choice, key[2]) for key, (choice, methods) in alike.items()]
    return sorted(routes, key=lambda route: (route.rule.rule, route.name))


def places(routes: Iterable[Route]) -> str:
    """Routes as a finding names them: the first four, and the number of the others."""
    names = list(dict.fromkeys(route.place for route in routes))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
