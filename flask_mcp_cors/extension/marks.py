"""Marks: what decorators leave on views and blueprints, and how it is found again for a request.

A mark is no wrapper. It is looked up on the function that the route really calls, so the order of
decorators does not matter as long as the wrappers in between use ``functools.wraps``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import wraps
from types import FunctionType
from types import MethodType
from typing import Any
from typing import cast
from typing import NamedTuple
from typing import TYPE_CHECKING
from typing import TypeVar
from weakref import WeakSet

from flask import Blueprint
from flask import current_app

from ..core.policy import CORSPolicy
from ..core.site import Choice

if TYPE_CHECKING:
    from flask import Flask

    from ..auth.guards import Guard
    from .cors import MCPCors

V = TypeVar("V")

_POLICIES = "__mcp_cors_policies__"
_GUARDS = "__mcp_cors_guards__"

#: The functions that are themselves the wrapper of a guard.
_guarded: WeakSet[Any] = WeakSet()


class PolicyMark:
    """Another policy for a view or blueprint: settings over *policy* or over the app's default; or none."""

    def __init__(self, owner: MCPCors, policy: CORSPolicy | None, settings: dict[str, Any], *, exempt: bool) -> None:
        self.owner = owner
        self.policy = policy
        self.settings = settings
        self.exempt = exempt

    def resolve(self, default: CORSPolicy) -> CORSPolicy | None:
        """The policy that it means in an app with this default policy; ``None``: not governed.

        :raises PolicyError: where the settings do not go with the default's.
        """
        if self.exempt:
            return None
        return (self.policy or default).replace(**self.settings)


class Marks(NamedTuple):
    """The marks that hold for one view, as a request reaches it with one method."""

    policy: PolicyMark | None
    #: Where the policy mark was found, in words.
    place: str
    guards: tuple[Guard, ...]


def describe(target: Any) -> str:
    """A view, class or blueprint as a message names it."""
    if isinstance(target, Blueprint):
        return f"blueprint {target.name!r}"
    name = getattr(target, "__qualname__", None) or repr(target)
    return f"{target.__module__}.{name}"


def markable(view: V) -> V:
    """The view itself or, where nothing can be left on it (a bound method, slots), a function that calls it."""
    if isinstance(view, type | Blueprint) or _can_carry(view):
        return view
    call: Callable[..., Any] = cast(Callable[..., Any], view)

    @wraps(call, updated=())
    def called(*args: Any, **kwargs: Any) -> Any:
        return current_app.ensure_sync(call)(*args, **kwargs)

    return cast(V, called)


def _can_carry(target: object) -> bool:
    return hasattr(target, "__dict__") and not isinstance(target, MethodType)


def mark_policy(target: Any, mark: PolicyMark) -> None:
    """Leave a policy mark, on what *target* wraps too: that may be what the route calls."""
    for function in filter(_can_carry, _chain(target)):
        marks: tuple[PolicyMark, ...] = vars(function).get(_POLICIES, ())
        if function is target:
            setattr(function, _POLICIES, (mark, *marks))
        elif all(other.owner is not mark.owner for other in marks):
            setattr(function, _POLICIES, (*marks, mark))
    _made.count += 1


def mark_guard(target: Any, guard: Guard) -> None:
    """Leave a guard, on what *target* wraps too."""
    for function in filter(_can_carry, _chain(target)):
        setattr(function, _GUARDS, (*getattr(function, _GUARDS, ()), guard))
    _made.count += 1


def mark_wrapper(wrapper: Any, view: Any, guard: Guard) -> None:
    """Leave a guard on the function that wraps *view* in it.

    The wrapper has the guards of those wrappers that *view* has already, but none of those that other
    wrappers of the same function left there.
    """
    inner = next((function for function in _chain(view) if function in _guarded), None)
    setattr(wrapper, _GUARDS, getattr(inner, _GUARDS, ()))
    _guarded.add(wrapper)
    mark_guard(wrapper, guard)


def guard_enclosed(target: Any, guard: Guard, views: set[Any]) -> list[Any]:
    """Leave a guard on those of *views* that a decorator without ``functools.wraps`` has hidden in *target*.

    For a guard that no route carries: only then is it certain that *target* itself is no view.

    :return: the views that it found.
    """
    hidden = [function for function in _enclosed(target) if function in views]
    for function in hidden:
        mark_guard(function, guard)
    return hidden


def _chain(function: Any) -> Iterator[Any]:
    """A function, and what it wraps."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = getattr(function, "__wrapped__", None)


def _enclosed(function: Any) -> Iterator[Any]:
    waiting = [function]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        if id(function) in seen or not isinstance(function, FunctionType):
            continue
        seen.add(id(function))
        yield function
        for cell in function.__closure__ or ():
            try:
                waiting.append(cell.cell_contents)
            except ValueError:  # not bound yet
                continue


def _carriers(view: Callable[..., Any], method: str) -> Iterator[Any]:
    """What may carry a mark for this view, the most specific first; each stands for all that it wraps."""
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(view_class, "get", None)
        if handler is not None:
            yield handler
        yield view_class
    yield view


def find_marks(app: Flask, view: Callable[..., Any] | None, blueprints: list[str], method: str) -> Marks:
    """The marks for a view: its own, else its innermost blueprint's; guards add up.

    :param blueprints: names as ``request.blueprints`` has them, the innermost first.
    """
    carriers = [] if view is None else list(_carriers(view, method))
    carriers += [app.blueprints[name] for name in blueprints if name in app.blueprints]
    policy: PolicyMark | None = None
    place = ""
    guards: dict[Guard, None] = {}
    for carrier in carriers:
        is_reached = True
        for function in _chain(carrier):
            for mark in getattr(function, _POLICIES, ()):
                # A view may be shared with an app of another object, which says what holds there.
                if policy is None and mark.owner.may_serve(app):
                    policy, place = mark, f"the mark on {describe(function)}"
            if is_reached:
                guards.update(dict.fromkeys(getattr(function, _GUARDS, ())))
            # Below the wrapper of a guard there are guards of other wrappers of the same function.
            is_reached = is_reached and function not in _guarded
    return Marks(policy, place, tuple(guards))


class Found(NamedTuple):
    """What the marks of a view come to in one app."""

    #: The policy that a mark says, or ``None`` where no mark says any.
    choice: Choice | None
    guards: tuple[Guard, ...]


_NOTHING = Found(None, ())

# How many views and methods to remember: a rule may take any method, and a client make them up.
_REMEMBERED = 128

#: What a rule that names no methods may be asked with and a view class tell apart.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class _Snapshot(NamedTuple):
    """What is known of an app's marks as long as neither its views nor the marks change."""

    state: tuple[int, int, int]
    #: Does any view or blueprint carry a mark?
    exist: bool
    #: What was looked up already.
    found: dict[tuple[str, str], Found]


class MarkedViews:
    """The marks in one app, resolved once per view and method."""

    def __init__(self, app: Flask, default: CORSPolicy, on_change: Callable[[], None]) -> None:
        self._app = app
        self._on_change = on_change
        self._default = default
        self._snapshot = _Snapshot((-1, -1, -1), False, {})

    def exist(self) -> bool:
        """Does any view or blueprint of the app carry a mark?"""
        return self._current().exist

    def _current(self) -> _Snapshot:
        app = self._app
        # Decorators run before the first request, but in tests and shells not always.
        state = (_made.count, len(app.view_functions), len(app.blueprints))
        snapshot = self._snapshot
        while state != snapshot.state:
            # Which may leave guards where they are not yet.
            self._on_change()
            state = (_made.count, len(app.view_functions), len(app.blueprints))
            # Replaced as a whole and only when complete: until then other threads search for
            # themselves, because what they took for an answer would let a request pass its guard.
            self._snapshot = snapshot = _Snapshot(state, self._any_marked(), {})
        return snapshot

    def _any_marked(self) -> bool:
        # By view and not by rule: a rule may still be added to a view that is there.
        methods = {method for rule in self._app.url_map.iter_rules() for method in rule.methods or ()}
        for endpoint in list(self._app.view_functions):
            for method in methods.union(_METHODS):
                marks = self._marks(endpoint, method)
                if marks.guards or marks.policy is not None:
                    return True
        return False

    def find(self, endpoint: str, method: str) -> Found:
        """The policy and the guards that marks give to an endpoint."""
        snapshot = self._current()
        if not snapshot.exist:
            return _NOTHING
        # As werkzeug routes it: whatever its case.
        key = (endpoint, method.upper())
        found = snapshot.found.get(key)
        if found is None:
            found = self._resolve(*key)
            if len(snapshot.found) < _REMEMBERED:
                snapshot.found[key] = found
        return found

    def _resolve(self, endpoint: str, method: str) -> Found:
        marks = self._marks(endpoint, method)
        choice = None if marks.policy is None else Choice(marks.policy.resolve(self._default), marks.place)
        return Found(choice, marks.guards)

    def _marks(self, endpoint: str, method: str) -> Marks:
        parents = []
        name = endpoint.rpartition(".")[0]
        while name:
            parents.append(name)
            name = name.rpartition(".")[0]
        return find_marks(self._app, self._app.view_functions.get(endpoint), parents, method)

    def carried(self) -> set[object]:
        """Every mark and guard that some route of the app carries."""
        carried: set[object] = set()
        for rule in self._app.url_map.iter_rules():
            for method in rule.methods or _METHODS:
                marks = self._marks(rule.endpoint, method)
                carried.update(marks.guards)
                if marks.policy is not None:
                    carried.add(marks.policy)
        return carried


class _Made:
    """How many marks there are, so that what was looked up before the last one is looked up again."""

    count = 0


_made = _Made()
