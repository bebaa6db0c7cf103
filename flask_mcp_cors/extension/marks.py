"""Marks: what decorators say of views and blueprints, and for which routes it holds.

A mark is a property of the view: it holds in every app that routes it, whichever extension object made it.

Rule 1: a mark remembers what it was put on. It is left there as an attribute, and on what that wraps.
Rule 2: it holds for the routes that call, or wrap, what it was put on; if there are none, for those that this
wraps (the decorator stands above the route's); if there are none, for those that wrap the same function, but not in
a guard of their own. A guard holds for the first two together: it closes a route too many rather than one too few.
Rule 3: a mark that has found its route by the first clause of rule 2 is taken off what its target wraps. The other
two clauses never apply to it again, so that it says nothing of another app that shares a function.
Rule 4: a guard that no route carries, on something that may hide a view, closes the app.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from types import FunctionType
from types import MethodType
from types import ModuleType
from typing import Any
from typing import NamedTuple
from weakref import WeakSet

from flask import Blueprint
from flask import Flask

from ..auth.guards import Guard
from ..auth.guards import is_guarded
from ..core.policy import CORSPolicy
from ..core.problems import PolicyError
from ..core.site import Choice
from ..reporting import log

_MARKS = "__mcp_cors_marks__"

#: How many objects are looked at for a guard under a decorator that hides it.
_SEARCHED = 10_000


@dataclass(eq=False)
class Mark:
    """What a decorator says of *on*: a policy for it, or a guard in front of it."""

    #: What it was put on; of a guard, the function that wraps the view in it.
    on: Any

    @property
    def target(self) -> Any:
        """What the user put it on."""
        return self.on.__wrapped__ if is_guarded(self.on) else self.on


@dataclass(eq=False)
class PolicyMark(Mark):
    """Another policy: settings over *policy* or over the app's default; or none."""

    policy: CORSPolicy | None
    settings: dict[str, Any]
    is_exempt: bool

    def resolve(self, default: CORSPolicy) -> CORSPolicy | None:
        """The policy that it means in an app with this default policy; ``None``: not governed.

        :raises PolicyError: where the settings do not go with the default's.
        """
        if self.is_exempt:
            return None
        try:
            return (self.policy or default).replace(**self.settings)
        except PolicyError as error:
            raise error.located(f"cors.policy on {describe(self.target)}") from None


@dataclass(eq=False)
class GuardMark(Mark):
    """A guard in front of it."""

    guard: Guard


class _Made:
    """How many marks were left, so that what was looked up before the last one is looked up again."""

    count = 0
    lock = Lock()


def describe(target: Any) -> str:
    """A view, class or blueprint as a message names it."""
    if isinstance(target, Blueprint):
        return f"blueprint {target.name!r}"
    name = getattr(target, "__qualname__", None) or repr(target)
    return f"{target.__module__}.{name}"


def can_be_marked(target: object) -> bool:
    """Can a mark be left on this? Bound methods and objects with slots hold no attributes of their own."""
    return hasattr(target, "__dict__") and not isinstance(target, MethodType)


def leave(mark: Mark, *, on_wrapped: bool = True) -> None:
    """Leave a mark on what it was put on, and on what that wraps: the route may call either.

    A policy takes the place of an earlier one on the same target: the outer decorator counts.
    """
    with _Made.lock:
        is_alone = isinstance(mark.on, type) or not on_wrapped
        for function in (mark.on,) if is_alone else wrapped_by(mark.on):
            if can_be_marked(function):
                marks = _marks_on(function)
                if isinstance(mark, PolicyMark):
                    marks = tuple(other for other in marks if other.on is not mark.on or isinstance(other, GuardMark))
                setattr(function, _MARKS, (*marks, mark))
        _Made.count += 1


def _marks_on(function: object) -> tuple[Mark, ...]:
    return vars(function).get(_MARKS, ()) if can_be_marked(function) else ()


def _place(mark: Mark) -> None:
    """The mark has found its route: take it off what it wraps, which another app may route as well."""
    with _Made.lock:
        for function in wrapped_by(mark.on):
            if function is not mark.on and mark in (left := _marks_on(function)):
                setattr(function, _MARKS, tuple(other for other in left if other is not mark))


def wrapped_by(function: Any) -> Iterator[Any]:
    """A function, and what it wraps; a class, and what it inherits from."""
    if isinstance(function, type):
        yield from function.__mro__
        return
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        is_bound = isinstance(function, MethodType)
        function = function.__func__ if is_bound else getattr(function, "__wrapped__", None)


def _places(view: Callable[..., Any] | None, method: str) -> Iterator[Any]:
    """What may carry a mark for a view, the most specific first."""
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(view_class, "get", None)
        if handler is not None:
            yield handler
        yield view_class.dispatch_request
        yield view_class
    if view is not None:
        yield view


# Which routes a mark holds for


def _above(mark: Mark, places: Iterable[Any]) -> list[tuple[int, Any]]:
    """The places that call or wrap what a mark was put on, and how far inside of each that is."""
    return [
        (depth, place) for place in places for depth, function in enumerate(wrapped_by(place)) if function is mark.on
    ]


def _carriers_of(mark: Mark, places: Collection[Any]) -> list[tuple[int, Any]]:
    """Rule 2: the places that a mark holds for, and how far inside of each it stands."""
    above = _above(mark, places)
    if isinstance(mark.on, Blueprint | type):
        return above
    inside = {id(function): depth for depth, function in enumerate(wrapped_by(mark.on))}
    below = [(-inside[id(place)], place) for place in places if id(place) in inside]
    found = above + below if isinstance(mark, GuardMark) else above or below
    return found or [(sys.maxsize, place) for place in places if _wraps_one_of(inside, place)]


def _wraps_one_of(functions: Container[int], place: Any) -> bool:
    """Does a place wrap one of these functions, and not in a guard of its own?"""
    for function in wrapped_by(place):
        if id(function) in functions or is_guarded(function):
            return id(function) in functions
    return False


class Found(NamedTuple):
    """What the marks of a view come to in one app."""

    #: The policy that a mark says, or ``None`` where no mark says any.
    choice: Choice | None
    guards: tuple[Guard, ...]


_NOTHING = Found(None, ())

#: The methods that a view class may tell apart.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class _Table(NamedTuple):
    """What the marks of an app come to. Made as a whole and replaced as a whole."""

    #: How many marks and views there were.
    state: tuple[int, int]
    #: Endpoint → its view, and what was found for each method; ``""``: for every other method.
    found: dict[str, tuple[Any, dict[str, Found]]]
    #: What may carry marks, and the marks that something of it carries.
    places: list[Any]
    held: set[Mark]
    #: Does any view or blueprint carry a mark, or is there one that no route carries?
    exist: bool = False
    #: Why the app is closed, where it is.
    fault: str | None = None


class Registry:
    """The marks that one extension object has made and nobody has judged, and its apps.

    Marks are kept until they are found on a route of a live app of the object, so that the collection of
    garbage decides nothing. The app that was initialised last is kept until its first request or until the next
    one is initialised, for the same reason: an application factory may make many apps that are never asked.
    """

    def __init__(self) -> None:
        self.apps: WeakSet[Flask] = WeakSet()
        self.made: list[Mark] = []
        self.warned_of: list[Mark] = []
        #: Guards that were made and not yet put on anything.
        self.unapplied: list[Guard] = []
        self.has_guards = False
        self.latest: MarkedViews | None = None

    def add(self, mark: Mark) -> None:
        """Take a mark in, to be judged."""
        self.made.append(mark)
        if isinstance(mark, GuardMark):
            self.has_guards = True
            self.unapplied[:] = [guard for guard in self.unapplied if guard is not mark.guard]

    def begin(self, app: Flask, views: MarkedViews) -> None:
        """A new app has come: judge what the one before it carries."""
        if self.latest is not None:
            self.latest.compile()
        self.latest = views
        self.apps.add(app)

    def judge(self, views: MarkedViews, table: _Table) -> str | None:
        """Drop the marks that a route carries, and say of the others what they mean: a warning, or a fault."""
        if self.latest is views:
            self.latest = None
        self.made[:] = [mark for mark in self.made if mark not in table.held]
        for app in list(self.apps) if self.made else ():
            others = app.extensions["mcp_cors"].views.look_up().held
            self.made[:] = [mark for mark in self.made if mark not in others]
        self.warned_of[:] = [mark for mark in self.warned_of if mark in self.made]
        for guard in self.unapplied:
            if any(place is guard.verify for place in table.places):
                return (
                    f"cors.protected was put on the view {describe(guard.verify)} without parentheses, so the view is "
                    "open, and this app is closed: write @cors.protected(verify)"
                )
        for mark in self.made:
            is_guard, name = isinstance(mark, GuardMark), describe(mark.target)
            if is_guard and may_hide_a_view(mark.target) and not _is_below_a_view(mark, table.places):
                return (
                    f"cors.protected was put on {name}, which no route calls, and which may hide a view that is open "
                    "now, so this app is closed. Put cors.protected directly above or below the route's decorator, or "
                    "use functools.wraps in the decorators in between. If this view is not to be registered, leave "
                    "cors.protected off it"
                )
            if mark not in self.warned_of:
                self.warned_of.append(mark)  # said once
                log.warning(
                    "no route carries the mark that %s left on %s: put it directly above or below the route's "
                    "decorator, and use functools.wraps in the decorators in between",
                    "cors.protected" if is_guard else "cors.policy or cors.exempt",
                    name,
                )
        return None


class MarkedViews:
    """The marks in one app: one table, compiled when first asked, and again when marks or views are new."""

    def __init__(self, app: Flask, default: CORSPolicy, registry: Registry) -> None:
        self.app = app
        self._default = default
        self._registry = registry
        self._table = _Table((-1, -1), {}, [], set())

    def exist(self) -> bool:
        """Does any view or blueprint of the app carry a mark, or is there one that no route carries?"""
        count, views = self._table.state
        if count != _Made.count or views != len(self.app.view_functions):
            self.compile()
        return self._table.exist

    def check(self) -> None:
        """Let no request in while a guard is lost.

        :raises RuntimeError: with the line to write.
        """
        if self._table.fault is not None:
            raise RuntimeError(self._table.fault)

    def find(self, endpoint: str, method: str) -> Found:
        """The policy and the guards that marks give to an endpoint."""
        if not self.exist():
            return _NOTHING
        view = self.app.view_functions.get(endpoint)
        entry = self._table.found.get(endpoint)
        if entry is None or entry[0] is not view:
            # Another view has taken the place of the one that was looked up.
            entry = self.compile().found.get(endpoint)
        if entry is None:
            return _NOTHING
        return entry[1].get(method.upper()) or entry[1][""]

    def unused(self) -> list[Mark]:
        """The marks of the extension that no route of its apps carries."""
        self.compile()
        return list(self._registry.made)

    def compile(self) -> _Table:
        """Make the table anew, and put it in the place of the old one in one step."""
        table = self.look_up()
        fault = self._registry.judge(self, table)
        exist = bool(table.held) or bool(self._registry.made)
        self._table = table = table._replace(exist=exist, fault=fault)
        return table

    def look_up(self) -> _Table:
        """The marks of the app, as they are now."""
        for other in list(self._registry.apps):
            # The marks of all apps first, so that it does not matter which one is asked first.
            other.extensions["mcp_cors"].views.place()
        state = (_Made.count, len(self.app.view_functions))
        routes, views = self._routes()
        places = _distinct(routes.values())
        by_place: dict[int, list[tuple[int, Mark]]] = {}
        for mark in reversed(_marks_at(places)):
            for depth, place in _carriers_of(mark, places):
                by_place.setdefault(id(place), []).append((depth, mark))
        found: dict[str, tuple[Any, dict[str, Found]]] = {}
        for (endpoint, method), carriers in routes.items():
            _, by_method = found.setdefault(endpoint, (views[endpoint], {}))
            by_method[method] = self._resolve([by_place.get(id(place), []) for place in carriers])
        return _Table(state, found, places, {mark for marks in by_place.values() for _, mark in marks})

    def _routes(self) -> tuple[dict[tuple[str, str], list[Any]], dict[str, Any]]:
        """What may carry marks, by endpoint and method, the most specific first; and the views."""
        views = dict(self.app.view_functions)
        methods = {*_METHODS, *(method for rule in self.app.url_map.iter_rules() for method in rule.methods or ())}
        routes: dict[tuple[str, str], list[Any]] = {}
        for endpoint, view in views.items():
            for method in (*methods, "") if hasattr(view, "view_class") else ("",):
                routes[endpoint, method] = [*_places(view, method), *self._blueprints(endpoint)]
        return routes, views

    def _blueprints(self, endpoint: str) -> list[Any]:
        """The blueprints of an endpoint, the innermost first."""
        parts = endpoint.split(".")[:-1]
        names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        return [self.app.blueprints[name] for name in names if name in self.app.blueprints]

    def place(self) -> None:
        """Find the marks whose own target a route of this app calls or wraps."""
        places = _distinct(self._routes()[0].values())
        for mark in _marks_at(places):
            if _above(mark, places):
                _place(mark)

    def _resolve(self, levels: Iterable[list[tuple[int, Mark]]]) -> Found:
        choice: Choice | None = None
        guards: dict[Guard, None] = {}
        for level in levels:
            # Of several decorators with a policy the outermost counts, and of two as far outside the later one.
            for _, mark in sorted(level, key=lambda pair: pair[0]):
                if isinstance(mark, GuardMark):
                    guards[mark.guard] = None
                elif isinstance(mark, PolicyMark) and choice is None:
                    choice = Choice(mark.resolve(self._default), f"the mark on {describe(mark.on)}")
        return Found(choice, tuple(guards))


def _distinct(lists: Iterable[list[Any]]) -> list[Any]:
    return list({id(place): place for places in lists for place in places}.values())


def _marks_at(places: Iterable[Any]) -> list[Mark]:
    """The marks on these and on what they wrap."""
    functions = (function for place in places for function in wrapped_by(place))
    return list(dict.fromkeys(mark for function in functions for mark in _marks_on(function)))


# Guards that no route carries


def may_hide_a_view(target: Any) -> bool:
    """Can there be a view behind *target* that its attributes do not show?

    A plain function of a module cannot hide one: it holds nothing. An object, a partial, a bound method, a
    closure and a function with an object as a default value can.

    >>> from functools import partial
    >>> may_hide_a_view(describe), may_hide_a_view(partial(describe))
    (False, True)
    """
    while is_guarded(target):
        target = target.__wrapped__
    if isinstance(target, Blueprint):
        return False  # where it is not registered, it has no route
    if not isinstance(target, FunctionType):
        return True
    held = (*(target.__defaults__ or ()), *(target.__kwdefaults__ or {}).values())
    is_plain = all(isinstance(value, str | bytes | int | float | None) for value in held)
    attributes = [value for name, value in vars(target).items() if name != _MARKS]
    return bool(target.__closure__) or not is_plain or any(map(callable, attributes)) or _has_own_globals(target)


def _has_own_globals(function: FunctionType) -> bool:
    """Was it made by ``exec``? Then it may have a view among its globals, which are no module's."""
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return module is None or function.__globals__ is not vars(module)


def _is_below_a_view(mark: Mark, places: Collection[Any]) -> bool:
    """Does a guard that no route carries hold all the same, under a decorator without ``functools.wraps``?

    Then a view of the app holds its wrapper, and what it was put on holds no view. What is not found counts
    as no.
    """
    return _reaches(places, [mark.on]) and not _reaches(_contents(mark.target), places)


def _reaches(start: Iterable[Any], wanted: Collection[Any]) -> bool:
    """Can one of *wanted* be got at from these, by what functions and objects hold?"""
    ids = {id(value) for value in wanted}
    waiting = list(start)
    seen: set[int] = set()
    while waiting and len(seen) < _SEARCHED:
        value = waiting.pop()
        if id(value) in ids:
            return True
        if id(value) not in seen:
            seen.add(id(value))
            waiting += _contents(value)
    return False


def _contents(value: Any) -> list[Any]:
    """What a value holds by itself: not what its module, its class or its app holds."""
    if isinstance(value, FunctionType):
        cells = [cell for cell in value.__closure__ or () if gc.get_referents(cell)]
        own = value.__globals__ if _has_own_globals(value) else None
        attributes = [held for name, held in vars(value).items() if name != _MARKS]
        return [*(cell.cell_contents for cell in cells), value.__defaults__, value.__kwdefaults__, *attributes, own]
    if isinstance(value, str | bytes | int | float | type | ModuleType | Flask | Blueprint | Mark | Registry | None):
        return []
    return gc.get_referents(value)
