"""Path patterns: ``*`` is one segment, ``**`` any number of segments; anything else is literal.

Patterns are compared with the path as the application routes it: decoded once.
Empty segments do not count, because routers merge slashes and redirect at the last one. So ``/mcp``, ``/mcp/`` and
``//mcp`` have the same policy, and no spelling bypasses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from operator import itemgetter
from typing import Generic
from typing import TypeVar
from urllib.parse import unquote

from .problems import as_list

V = TypeVar("V")


def segments(path: str) -> list[str]:
    """The segments of a path, without empty ones."""
    return [segment for segment in path.split("/") if segment]


def resolved_path(path: str) -> str | None:
    """The path that ``.`` and ``..`` segments resolve to, or ``None`` if there are no such segments.

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


_LIST = re.compile(r"[,;]\s*(?=/)|,\s+")


def path_fault(pattern: str) -> str | None:
    """What is wrong with a path pattern and what to write instead, or ``None``.

    A pattern that no path can match is refused: the intended path would not be covered.

    >>> path_fault("mcp"), path_fault("/{id}/mcp")
    ('a path starts with a slash; write /mcp', 'a variable of a route is not a pattern; write /*/mcp')
    """
    fault = _path_fault(pattern)
    if fault is None:
        return None
    listed = [meant_path(part) or part for part in _LIST.split(pattern.strip())]
    meant = as_list(listed) if len(listed) > 1 else meant_path(pattern)
    return f"{fault}; write {meant or '/mcp, /servers/*/mcp or /api/**'}"


def _path_fault(pattern: str) -> str | None:
    if _LIST.search(pattern.strip()):
        return "one string holds one path"
    if pattern != pattern.strip():
        return "remove the white space around it"
    if re.search(r"^\^|\$$|\.[*+]|\\|\[[^\]]*\]|\([^)]*\|[^)]*\)", pattern):
        return "this looks like a regular expression, which is not supported"
    if not pattern.startswith("/"):
        return "a path starts with a slash"
    if "<" in pattern or re.search(r"\{[^/]*\}|/:\w", pattern):
        return "a variable of a route is not a pattern"
    if "?" in pattern or "#" in pattern:
        return "a path has no query and no fragment"
    if re.search(r"%[0-9A-Fa-f]{2}", pattern):
        return "patterns are compared with the decoded path"
    parts = segments(pattern)
    if not {".", ".."}.isdisjoint(parts):
        return "browsers resolve . and .. segments before they send a path"
    if any("*" in part and part not in ("*", "**") for part in parts):
        return '"*" stands for one whole segment and "**" for any number of them'
    return None


def meant_path(pattern: str) -> str | None:
    """The valid pattern that was probably meant, or ``None``."""
    text = unquote(pattern.strip().removeprefix("^").removesuffix("$"))
    text = text.partition("://")[2].partition("/")[2] if "://" in text else text
    # Flask's <path:…> and a regular expression's .* take any number of segments.
    text = re.sub(r"\\([./-])", r"\1", text)
    text = re.sub(r"<path:[^>]*>|\(?\.\*\)?|\*{2,}", "**", text)
    text = re.sub(r"(?:<[^>]*>|\{[^}]*\})+|(?<=/):\w+", "*", text)
    text = f"/{text.partition('?')[0].partition('#')[0].strip().lstrip('/')}"
    if pattern.startswith("^") and not pattern.endswith("$") and text.endswith("/"):
        text += "**"  # re.match ignores what follows
    text = resolved_path(text) or text
    return text if text != pattern and _path_fault(text) is None else None


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Is there a path that both patterns match? The arguments are the segments of the patterns.

    >>> overlap(segments("/servers/*/mcp"), segments("/servers/**")), overlap(["tools", "mcp"], ["mcp"])
    (True, False)
    """
    if not one or not other:
        return {"**"}.issuperset((*one, *other))
    if one[0] == "**":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "**":
        return overlap(other, one)
    return (one[0] == other[0] or "*" in (one[0], other[0])) and overlap(one[1:], other[1:])


class _Node(Generic[V]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] = {}
        self.value: V | None = None


# How specific a segment is, the most specific first. The end of a pattern is between ``*`` and ``**``.
_NAME, _ONE, _END, _ANY_NUMBER = range(4)


class PathIndex(Generic[V]):
    """Path patterns and their values. The most specific pattern wins, in whatever order they are written.

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
    """The value of the most specific pattern below *node*, and how specific each segment of that pattern is.

    :param places: the positions in the path at which the pattern up to *node* may end. All of them are followed at
        once. So each node is visited once, however long the path is, and the result does not depend on the position
        at which a ``**`` ends.
    """
    children = node.children
    end = len(parts)
    after: dict[str, list[int]] = {}
    for place in places:
        # In a path (not in a pattern), "*" and "**" are ordinary names.
        if place < end and (name := parts[place]) in children and name not in ("*", "**"):
            after.setdefault(name, []).append(place + 1)
    named = [_most_specific(children[name], parts, following) for name, following in after.items()]
    if found := min(filter(None, named), key=itemgetter(0), default=None):
        return (_NAME, *found[0]), found[1]
    if "*" in children and (found := _most_specific(children["*"], parts, [p + 1 for p in places if p < end])):
        return (_ONE, *found[0]), found[1]
    if node.value is not None and end in places:
        return (_END,), node.value
    if "**" in children and places and (found := _most_specific(children["**"], parts, range(places[0], end + 1))):
        return (_ANY_NUMBER, *found[0]), found[1]
    return None
