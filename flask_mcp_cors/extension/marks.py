"""Marks: what the decorators leave on views and blueprints, and the routes that each mark applies to.

The *target* of a mark is what the decorator was put on. A mark is a property of its target: it applies in every app
that routes it, whichever extension object made it.

Rule 1: a mark is left as an attribute on its target, and on every function that the target wraps.
Rule 2: a mark applies to the first of these sets of routes that is not empty:
    (a) the routes whose view is the target or wraps it;
    (b) the routes whose view is wrapped by the target (the decorator is above ``@app.route``);
    (c) the routes whose view wraps a function that the target wraps too, but not in a guard of its own.
    A guard applies to (a) and (b) together, because protecting one route too many is safer than one too few.
Rule 3: when a mark has found a route by (a), it is removed from the functions that its target wraps. Then (b) and (c)
no longer apply, so the mark has no effect in another app that shares such a function.
Rule 4: if no route has a guard, and the guard's target may hide a view, the app is closed.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
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

#: The search for a guard below a decorator that hides it stops after this many objects.
_SEARCHED = 10_000


@dataclass(eq=False)
class Mark:
    """A policy or a guard that a decorator has left on *on*."""

    #: The target. For a guard, the wrapper that :func:`guarded` has made.
    on: Any

    @property
    def target(self) -> Any:
        """The object that the user put the decorator on."""
        return self.on.__wrapped__ if is_guarded(self.on) else self.on


@dataclass(eq=False)
class PolicyMark(Mark):
    """A policy for a view or blueprint: *policy* or the app's default, changed by *settings*; or an exemption."""

    policy: CORSPolicy | None
    settings: dict[str, Any]
    is_exempt: bool

    def resolve(self, default: CORSPolicy) -> CORSPolicy | None:
        """The policy in an app with this default policy; ``None``: no policy covers the view.

        :raises PolicyError: if the settings contradict those of the default policy.
        """
        if self.is_exempt:
            return None
        try:
            return (self.policy or default).replace(**self.settings)
        except PolicyError as error:
            raise error.located(f"cors.policy on {describe(self.target)}") from None


@dataclass(eq=False)
class GuardMark(Mark):
    """A guard in front of the target."""

    guard: Guard


class _Made:
    """Counts the marks that were left. A new count makes earlier look-ups stale."""

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
    """Leave a mark on its target, and on every function that the target wraps, because the route may call either.

    A policy replaces an earlier policy on the same target, because the outer decorator counts.
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
        for views in list(_LIVE):
            views.unmarked = -1


def _marks_on(function: object) -> tuple[Mark, ...]:
    return vars(function).get(_MARKS, ()) if can_be_marked(function) else ()


def _remove_below(mark: Mark) -> None:
    """Remove a mark from what its target wraps, because another app may route that too."""
    with _Made.lock:
        for function in wrapped_by(mark.on):
            if function is not mark.on and mark in (left := _marks_on(function)):
                setattr(function, _MARKS, tuple(other for other in left if other is not mark))


def wrapped_by(function: Any) -> Iterator[Any]:
    """A function and everything that it wraps; or a class and its base classes."""
    if isinstance(function, type):
        yield from function.__mro__
        return
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        is_bound = isinstance(function, MethodType)
        function = function.__func__ if is_bound else getattr(function, "__wrapped__", None)


def _places(view: Any, method: str) -> Iterator[Any]:
    """The objects that may have a mark for a view, the most specific first."""
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(view_class, "get", None)
        if handler is not None:
            yield handler
        yield view_class.dispatch_request
        yield view_class
    yield view


# Which routes a mark applies to. A *place* is an object that may have marks for a route: a view or a blueprint.


def _above(mark: Mark, places: Iterable[Any]) -> list[tuple[int, Any]]:
    """Rule 2 (a): the places that are the target of a mark or wrap it, and how deep inside each place the target is."""
    return [
        (depth, place) for place in places for depth, function in enumerate(wrapped_by(place)) if function is mark.on
    ]


def _carriers_of(mark: Mark, places: Collection[Any]) -> list[tuple[int, Any]]:
    """Rule 2: the places that a mark applies to, and how deep inside each place its target is."""
    above = _above(mark, places)
    if isinstance(mark.on, Blueprint | type):
        return above
    inside = {id(function): depth for depth, function in enumerate(wrapped_by(mark.on))}
    below = [(-inside[id(place)], place) for place in places if id(place) in inside]
    found = above + below if isinstance(mark, GuardMark) else above or below
    return found or [(sys.maxsize, place) for place in places if _wraps_one_of(inside, place)]


def _wraps_one_of(functions: Container[int], place: Any) -> bool:
    """Rule 2 (c): does a place wrap one of these functions, and not in a guard of its own?"""
    for function in wrapped_by(place):
        if id(function) in functions or is_guarded(function):
            return id(function) in functions
    return False


class Found(NamedTuple):
    """The effect of all marks of a view in one app."""

    #: The policy that a mark selects; ``None``: no mark selects one.
    choice: Choice | None
    guards: tuple[Guard, ...]


_NOTHING = Found(None, ())
_NO_VIEW = None, {"": _NOTHING}

#: Endpoint → its view, and the places for each method, the most specific first. ``""`` stands for every other method.
_Routes = dict[str, tuple[Any, dict[str, list[Any]]]]

#: The methods for which a view class may have a function.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class _Table(NamedTuple):
    """The effect of all marks in an app. It is made and replaced as a whole."""

    #: How many marks and views there were.
    state: tuple[int, int]
    #: Endpoint → its view, and the effect for each method. The key ``""`` stands for every other method.
    found: dict[str, tuple[Any, dict[str, Found]]]
    #: The objects that may have marks, and the marks that any of them has.
    places: list[Any]
    held: set[Mark]
    #: Does any view or blueprint have a mark, or is there a mark that no route has?
    exist: bool = False
    #: The error message, if the app is closed.
    fault: str | None = None


#: It has the state of no app, so that the first look-up makes a table.
_NOT_MADE = _Table((-1, -1), {}, [], set())


class Registry:
    """The apps of one extension object, and its marks that have not been found on a route yet.

    A mark is kept until it is found on a route of a live app of the object, so that garbage collection has no effect
    on the result. For the same reason the app that was initialised last is kept until its first request, or until the
    next app is initialised. (An application factory may make many apps that never get a request.)
    """

    def __init__(self) -> None:
        self.apps: WeakSet[Flask] = WeakSet()
        self.made: list[Mark] = []
        self.warned_of: list[Mark] = []
        #: Guards that were made but not put on anything yet.
        self.unapplied: list[Guard] = []
        self.has_guards = False
        self.latest: MarkedViews | None = None

    def add(self, mark: Mark) -> None:
        """Add a mark, to be found on a route later."""
        self.made.append(mark)
        if isinstance(mark, GuardMark):
            self.has_guards = True
            self.unapplied[:] = [guard for guard in self.unapplied if guard is not mark.guard]

    def begin(self, app: Flask, views: MarkedViews) -> None:
        """Register a new app. First the routes of the previous app are searched for marks."""
        if self.latest is not None:
            self.latest.compile()
        self.latest = views
        self.apps.add(app)

    def judge(self, views: MarkedViews, table: _Table) -> str | None:
        """Forget the marks that a route has. The others cause a warning, or an error that closes the app."""
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
                    f"cors.protected is on the view {describe(guard.verify)} without parentheses, so it does not "
                    "protect the view, and this app refuses every request: write @cors.protected(verify)"
                )
        for mark in self.made:
            is_guard, name = isinstance(mark, GuardMark), describe(mark.target)
            if is_guard and may_hide_a_view(mark.target) and not _is_below_a_view(mark, table.places):
                return (
                    f"cors.protected is on {name}, but no route calls it. It may hide a view that is now unprotected, "
                    "so this app refuses every request. Put cors.protected directly above or below the route's "
                    "decorator, or use functools.wraps in the decorators in between. If the view should have no "
                    "route, remove cors.protected"
                )
            if mark not in self.warned_of:
                self.warned_of.append(mark)  # warn once
                log.warning(
                    "%s has no effect on %s, because no route carries the mark: put it directly above or below the "
                    "route's decorator, and use functools.wraps in the decorators in between",
                    "cors.protected" if is_guard else "cors.policy or cors.exempt",
                    name,
                )
        return None


#: The marked views of all apps, whichever extension object they have.
_LIVE: WeakSet[MarkedViews] = WeakSet()


class MarkedViews:
    """The marks in one app: a table that is made at the first look-up, and again after new marks or views."""

    def __init__(self, app: Flask, default: CORSPolicy, registry: Registry) -> None:
        self.app = app
        self._default = default
        self._registry = registry
        self._table = _NOT_MADE
        # The quick form of exist() compares these two for each request. A new mark or view makes them differ.
        #: The view functions of the app.
        self.functions: Mapping[str, Any] = app.view_functions
        #: Their number, as long as there are no marks; otherwise -1.
        self.unmarked = -1
        _LIVE.add(self)

    def exist(self) -> bool:
        """Does any view or blueprint of the app have a mark, or is there a mark that no route has?"""
        count, views = self._table.state
        if count != _Made.count or views != len(self.app.view_functions):
            self.compile()
        return self._table.exist

    def check(self) -> None:
        """Refuse the request while a guard that may hide a view has no route.

        :raises RuntimeError: with the line to write.
        """
        if self._table.fault is not None:
            raise RuntimeError(self._table.fault)

    def find(self, endpoint: str, method: str) -> Found:
        """The policy and the guards that marks give to an endpoint."""
        if not self.exist():
            return _NOTHING
        view, by_method = self._table.found.get(endpoint, _NO_VIEW)
        if view is not self.app.view_functions.get(endpoint):
            # Another view has replaced the one in the table.
            by_method = self.compile().found.get(endpoint, _NO_VIEW)[1]
        return by_method.get(method.upper()) or by_method[""]

    def unused(self) -> list[Mark]:
        """The marks of the extension object that no route of its apps has."""
        self.compile()
        return list(self._registry.made)

    def compile(self) -> _Table:
        """Make a new table and replace the old one in one step: a thread that saw half a table would skip a guard."""
        table = self.look_up()
        fault = self._registry.judge(self, table)
        exist = bool(table.held) or bool(self._registry.made)
        self._table = table = table._replace(exist=exist, fault=fault)
        with _Made.lock:
            count, views = table.state
            self.functions, self.unmarked = self.app.view_functions, -1 if exist or count != _Made.count else views
        return table

    def look_up(self) -> _Table:
        """The marks of the app, as they are now."""
        state = (_Made.count, len(self.app.view_functions))
        routes = self._routes()
        places = _distinct(routes)
        for other in list(_LIVE) if _marks_at(places) else ():
            # Rule 3 for all apps first, so that it does not matter which app gets the first request.
            other.place()
        by_place: dict[int, list[tuple[int, Mark]]] = {}
        for mark in reversed(_marks_at(places)):
            for depth, place in _carriers_of(mark, places):
                by_place.setdefault(id(place), []).append((depth, mark))
        found = {
            endpoint: (view, {method: self._resolve(carriers, by_place) for method, carriers in by_method.items()})
            for endpoint, (view, by_method) in routes.items()
        }
        return _Table(state, found, places, {mark for marks in by_place.values() for _, mark in marks})

    def _routes(self) -> _Routes:
        methods = {*_METHODS, *(method for rule in self.app.url_map.iter_rules() for method in rule.methods or ())}
        routes: _Routes = {}
        for endpoint, view in list(self.app.view_functions.items()):
            parts = endpoint.split(".")[:-1]
            names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
            blueprints = [self.app.blueprints[name] for name in names if name in self.app.blueprints]
            view_methods = (*methods, "") if hasattr(view, "view_class") else ("",)
            routes[endpoint] = view, {method: [*_places(view, method), *blueprints] for method in view_methods}
        return routes

    def place(self) -> None:
        """Apply rule 3 to the marks whose target is a view of this app or is wrapped by one."""
        places = _distinct(self._routes())
        for mark in _marks_at(places):
            if _above(mark, places):
                _remove_below(mark)

    def _resolve(self, places: Iterable[Any], by_place: Mapping[int, list[tuple[int, Mark]]]) -> Found:
        choice: Choice | None = None
        guards: dict[Guard, None] = {}
        for place in places:
            # Of several decorators with a policy the outermost counts. If two are as far outside, the later one counts.
            for _, mark in sorted(by_place.get(id(place), ()), key=lambda pair: pair[0]):
                if isinstance(mark, GuardMark):
                    guards[mark.guard] = None
                elif isinstance(mark, PolicyMark) and choice is None:
                    choice = Choice(mark.resolve(self._default), f"the mark on {describe(mark.on)}")
        return Found(choice, tuple(guards))


def _distinct(routes: _Routes) -> list[Any]:
    """All places of the routes, each once."""
    lists = (places for _, by_method in routes.values() for places in by_method.values())
    return list({id(place): place for places in lists for place in places}.values())


def _marks_at(places: Iterable[Any]) -> list[Mark]:
    """The marks on these and on what they wrap."""
    functions = (function for place in places for function in wrapped_by(place))
    return list(dict.fromkeys(mark for function in functions for mark in _marks_on(function)))


# Guards that no route has


def may_hide_a_view(target: Any) -> bool:
    """Can *target* call a view without showing it in ``__wrapped__``?

    A plain function of a module cannot: it holds no other object. An object, a partial, a bound method, a closure
    and a function with an object as a default value can.

    >>> from functools import partial
    >>> may_hide_a_view(describe), may_hide_a_view(partial(describe))
    (False, True)
    """
    while is_guarded(target):
        target = target.__wrapped__
    if isinstance(target, Blueprint):
        return False  # a blueprint that is not registered has no routes
    if not isinstance(target, FunctionType):
        return True
    held = (*(target.__defaults__ or ()), *(target.__kwdefaults__ or {}).values())
    is_plain = all(isinstance(value, str | bytes | int | float | None) for value in held)
    attributes = [value for name, value in vars(target).items() if name != _MARKS]
    return bool(target.__closure__) or not is_plain or any(map(callable, attributes)) or _has_own_globals(target)


def _has_own_globals(function: FunctionType) -> bool:
    """Does a function have globals that are not those of its module, because ``exec`` made it? They may hold a view."""
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return module is None or function.__globals__ is not vars(module)


def _is_below_a_view(mark: Mark, places: Collection[Any]) -> bool:
    """Does a guard without a route protect a view all the same, below a decorator without ``functools.wraps``?

    It does if a view of the app holds the guard's wrapper, and the guard's target holds no view. If the search finds
    nothing, the answer is no.
    """
    return _reaches(places, [mark.on]) and not _reaches(_contents(mark.target), places)


def _reaches(start: Iterable[Any], wanted: Collection[Any]) -> bool:
    """Can one of *wanted* be reached from *start* through the contents of functions and objects?"""
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
    """The objects that a value itself holds, without those of its module, its class or its app."""
    if isinstance(value, FunctionType):
        in_closure = gc.get_referents(*(value.__closure__ or ()))
        own = value.__globals__ if _has_own_globals(value) else None
        attributes = [held for name, held in vars(value).items() if name != _MARKS]
        return [*in_closure, value.__defaults__, value.__kwdefaults__, *attributes, own]
    if isinstance(value, str | bytes | int | float | type | ModuleType | Flask | Blueprint | Mark | Registry | None):
        return []
    return gc.get_referents(value)
