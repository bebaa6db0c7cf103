"""Path patterns: ``*`` is one segment, ``**`` any number of them, all else stands for itself.

Patterns are matched against the path as the application routes it: decoded once and never again.
Empty segments do not count, because routers merge slashes and redirect at the last one: ``/mcp``,
``/mcp/`` and ``//mcp`` are one place, so that none of them is a way round the others' policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from operator import itemgetter
from typing import Generic
from typing import TypeVar

V = TypeVar("V")


def segments(path: str) -> list[str]:
    """The segments of a path, without empty ones."""
    return [segment for segment in path.split("/") if segment]


def resolved_path(path: str) -> str | None:
    """The path that ``.`` and ``..`` segments resolve to, or ``None`` where there are none.

    >>> resolved_path("/static/public/../private/s.txt"), resolved_path("/mcp")
    ('/static/private/s.txt', None)
    """
    if "." not in path:
        return None
    resolved: list[str] = []
    parts = segments(path)
    for part in parts:
        if part == "..":
            del resolved[-1:]
        elif part != ".":
            resolved.append(part)
    return None if len(resolved) == len(parts) else f"/{'/'.join(resolved)}"


def path_fault(pattern: str) -> str | None:
    """What is wrong with a path pattern and what to write instead, or ``None``.

    >>> path_fault("mcp")
    'invalid: a path starts with a slash; write /mcp'
    """
    if not pattern.startswith("/"):
        return f"invalid: a path starts with a slash; write /{pattern.partition('://')[2].partition('/')[2] or pattern}"
    for segment in segments(pattern):
        if "*" in segment and segment not in ("*", "**"):
            return 'invalid: a segment is a word, "*" (any one) or "**" (any number); write /servers/*/mcp or /api/**'
        if "<" in segment:
            return 'invalid: this is a Flask rule; write "*" for a segment, as /servers/*/mcp'
    if "?" in pattern or "#" in pattern:
        return f"invalid: a path has no query and no fragment; write {pattern.partition('?')[0].partition('#')[0]}"
    return None


class _Node(Generic[V]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] = {}
        self.value: V | None = None


# How specific a segment is, and, between the two, the end of a pattern.
_NAME, _ONE, _END, _ANY_NUMBER = range(4)


class PathIndex(Generic[V]):
    """Path patterns and their values; the most specific pattern wins, whatever the order written.

    >>> index = PathIndex({"/api/**": "api", "/api/*/mcp": "tenant", "/api/x/mcp": "x"})
    >>> index.find("/api/x/mcp"), index.find("/api/y/mcp"), index.find("/api/y/z"), index.find("/")
    ('x', 'tenant', 'api', None)
    """

    def __init__(self, patterns: Mapping[str, V] | Iterable[tuple[str, V]]) -> None:
        self._root: _Node[V] = _Node()
        for pattern, value in dict(patterns).items():
            node = self._root
            for segment in segments(pattern):
                node = node.children.setdefault(segment, _Node())
            node.value = value

    def find(self, path: str) -> V | None:
        """The value of the most specific pattern that matches *path*, or ``None``."""
        found = _most_specific(self._root, segments(path), range(1))
        return None if found is None else found[1]


def _most_specific(node: _Node[V], parts: list[str], places: Sequence[int]) -> tuple[tuple[int, ...], V] | None:
    """The most specific of the patterns that go on from *node*, and how specific each of its segments is.

    :param places: where in the path the pattern so far may end. Going over all of them at once means that each
        node is seen once, however long the path is, and that no path can choose among the patterns by the
        place at which a ``**`` stops.
    """
    children = node.children
    end = len(parts)
    after: dict[str, list[int]] = {}
    for place in places:
        # A path may hold a segment "*" or "**": there it is a name, not one of our signs.
        if place < end and (name := parts[place]) in children and name not in ("*", "**"):
            after.setdefault(name, []).append(place + 1)
    named = [_most_specific(children[name], parts, following) for name, following in after.items()]
    if found := min(filter(None, named), key=itemgetter(0), default=None):
        return _below(_NAME, found)
    if "*" in children and (found := _most_specific(children["*"], parts, [p + 1 for p in places if p < end])):
        return _below(_ONE, found)
    if node.value is not None and end in places:
        return (_END,), node.value
    if "**" in children and places:
        return _below(_ANY_NUMBER, _most_specific(children["**"], parts, range(places[0], end + 1)))
    return None


def _below(segment: int, found: tuple[tuple[int, ...], V] | None) -> tuple[tuple[int, ...], V] | None:
    return None if found is None else ((segment, *found[0]), found[1])
