"""Which view a request reaches, and which layers are around the app, without running any of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.routing import Rule

from ..core.paths import overlap
from ..core.paths import segments

if TYPE_CHECKING:
    from flask import Request


def url_adapter(app: Flask, req: Request) -> MapAdapter | None:
    """The adapter that routes this request; ``None`` if Flask does not trust its ``Host``."""
    try:
        return app.create_url_adapter(req)
    except HTTPException:
        return None


def matched_rule(adapter: MapAdapter | None, method: str | None) -> Rule | None:
    """The rule that matches with this method, such as the method that a preflight announces; ``None``: no rule."""
    try:
        return None if adapter is None else adapter.match(method=method, return_rule=True)[0]
    except HTTPException:
        return None


def is_static(app: Flask, endpoint: str | None) -> bool:
    """Is this the endpoint for static files of the app or of a blueprint?"""
    if endpoint == "static":
        return app.has_static_folder
    name, _, last = (endpoint or "").rpartition(".")
    return last == "static" and name in app.blueprints and app.blueprints[name].has_static_folder


def takes_well_known_part(rule: Rule | None, path: str) -> bool:
    """Does a variable of the rule match a ``.well-known`` segment of the path?

    Then the client has chosen that segment, and the view does not serve discovery documents.
    """
    return rule is not None and segments(path).count(".well-known") > segments(rule.rule).count(".well-known")


#: A variable of a Flask rule.
VARIABLE = re.compile(r"<(?:(?P<kind>[a-zA-Z_]\w*)(?:\((?P<arguments>.*?)\))?:)?[a-zA-Z_]\w*>")


def rule_pattern(app: Flask, rule: str) -> str:
    """A Flask rule as a path pattern: each variable becomes ``*`` or ``**``.

    >>> rule_pattern(Flask("x"), "/servers/<name>/v<int:major>/<path:rest>")
    '/servers/*/*/**'
    """

    def sign(variable: re.Match[str]) -> str:
        converter = app.url_map.converters.get(variable["kind"] or "default")
        return "*" if getattr(converter, "part_isolating", False) else "**"

    parts = VARIABLE.sub(sign, rule).split("/")
    return "/".join("**" if "**" in part else "*" if "*" in part else part for part in parts)


_REPORTED_AT_ONCE = 10

#: What to do about an :class:`UnusedPattern`.
PATTERN_ADVICE = (
    "correct it (* is one segment, ** any number of them); for an app that is mounted below a prefix, write the path "
    "without the prefix"
)


class UnusedPattern(NamedTuple):
    """A pattern in ``paths`` or ``policies`` that matches no route, so that it covers nothing."""

    #: ``paths`` or ``policies``.
    setting: str
    pattern: str
    #: Rules that are similar to the pattern.
    similar: tuple[str, ...]

    def __str__(self) -> str:
        like = f"; routes like it: {', '.join(self.similar)}" if self.similar else ""
        return f"{self.setting} has {self.pattern!r}, which no route matches{like}"


def patterns_without_routes(app: Flask, paths: Iterable[str] | None, policies: Iterable[str]) -> list[UnusedPattern]:
    """The patterns that match no route, because they are misspelt or have the prefix of a mounted app, for example.

    At most ten are returned: there may be thousands of tenants.
    """
    rules = {rule.rule: rule_pattern(app, rule.rule) for rule in app.url_map.iter_rules()}
    mounted = [f"{prefix}/**" for layer in layers_around(app) for prefix in mounts_of(app, layer)]
    there = [segments(pattern) for pattern in (*rules.values(), *mounted)]
    written = [("paths", pattern) for pattern in paths or ()] + [("policies", pattern) for pattern in policies]
    unused = (
        (setting, pattern)
        for setting, pattern in written
        if not any(overlap(parts, other) for parts in [segments(pattern)] for other in there)
    )
    found = []
    for setting, pattern in islice(unused, _REPORTED_AT_ONCE):
        below = [rule for rule in rules if rule != "/" and pattern.endswith(rule)]
        alike = get_close_matches(pattern.lower(), [its_pattern.lower() for its_pattern in rules.values()])
        close = [rule for rule, its_pattern in rules.items() if its_pattern.lower() in alike]
        found.append(UnusedPattern(setting, pattern, tuple(dict.fromkeys([*below, *close]))))
    return found


def layers_around(app: Flask) -> list[Any]:
    """The WSGI layers around ``app``, the outermost first, as far as their attributes show what they wrap."""
    layers: list[Any] = []
    layer: Any = app.wsgi_app
    while layer is not None and layer is not app and getattr(layer, "__self__", None) is not app and len(layers) < 20:
        layers.append(layer)
        layer = next(
            (found for word in ("wsgi_app", "app", "application") if (found := getattr(layer, word, None))), None
        )
    return layers


def mounts_of(app: Flask, layer: object) -> list[str]:
    """The path prefixes at which a layer, such as ``DispatcherMiddleware``, has other applications."""
    mounts = getattr(layer, "mounts", None)
    if not isinstance(mounts, dict):
        return []
    return [prefix for prefix, mounted in mounts.items() if getattr(mounted, "__self__", None) is not app]
