"""Path patterns: ``*`` is one segment, ``**`` any number of them, all else stands for itself.

Patterns are matched against the path as the application routes it: decoded once and never again.
Empty segments do not count, because routers merge slashes and redirect at the last one: ``/mcp``,
``/mcp/`` and ``//mcp`` are one place, so that none of them is a way round the others' policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Generic
from typing import TypeVar

V = TypeVar("V")


def segments(path: str) -> list[str]:
    """The segments of a path, without empty ones."""
    return [segment for segment in path.split("/") if segment]


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
    __slots__ = ("any_number", "children", "value")

    def __init__(self, *, any_number: bool = False) -> None:
        self.children: dict[str, _Node[V]] = {}
        self.value: V | None = None
        #: Is this the node of a ``**``?
        self.any_number = any_number


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
                node = node.children.setdefault(segment, _Node(any_number=segment == "**"))
            node.value = value

    def find(self, path: str) -> V | None:
        """The value of the most specific pattern that matches *path*, or ``None``."""
        parts = segments(path)
        # A stack instead of recursion: a path may have more segments than Python has frames.
        # The least specific way on is pushed first, so that the most specific is tried first.
        stack = [(self._root, 0)]
        # What was tried in vain is not tried again: two ** would cost the square of a long path.
        tried: set[tuple[int, int]] = set()
        while stack:
            node, place = stack.pop()
            if (id(node), place) in tried:
                continue
            tried.add((id(node), place))
            children = node.children
            if place < len(parts):
                if node.any_number:
                    stack.append((node, place + 1))
                if "**" in children:
                    stack.append((children["**"], place))
                if "*" in children:
                    stack.append((children["*"], place + 1))
                # A path may hold a segment "*" or "**": there it is a name, not one of our signs.
                name = parts[place]
                if name in children and name not in ("*", "**"):
                    stack.append((children[name], place + 1))
            elif node.value is not None:
                return node.value
            elif "**" in children:
                stack.append((children["**"], place))
        return None
