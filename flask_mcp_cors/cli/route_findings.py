"""What can be wrong with an app's routes, hooks and layers. Each finding is a fact: nothing here guesses.

What cannot be read off the app is tried: a real preflight goes through ``app.wsgi_app``, and a request with a method
that no view has, so that hooks answer it and views do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from types import CodeType
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from flask import request_started
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from ..auth.guards import Guard
from ..core.discovery import PUBLIC_METADATA
from ..core.headers import ALLOW_ORIGIN
from ..core.origins import LOOPBACK_HOSTS
from ..core.origins import parse_origin
from ..core.policy import CORSPolicy
from ..extension.gate import AppState
from ..extension.marks import describe
from ..extension.routing import is_static
from .app import base_url
from .app import example_origin
from .app import Judge
from .findings import Finding
from .findings import Severity
from .routes import Route

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: A method that no view has: routing ends in 405, and only hooks see the request.
MADE_UP_METHOD = "FLASKMCPCORSPROBE"

_STATE_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def findings_of(state: AppState, routes: list[Route]) -> Iterator[Finding]:
    """Everything that is wrong with an app."""
    governed = [route for route in routes if route.choice.policy is not None]
    yield from _hooks(state)
    yield from _other_layers(state, governed)
    yield from _outer_layers(state, governed)
    yield from _options(governed)
    yield from _open_options(state, governed)
    yield from _redirects(state, governed)
    yield from _cookies(state, governed)
    yield from _loopback_only(state)
    yield from _unprotected(state, routes)


def _places(routes: Iterable[Route]) -> str:
    names = list(dict.fromkeys(route.place for route in routes))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _named(functions: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(describe(function) for function in functions))


def _hooks(state: AppState) -> Iterator[Finding]:
    """Hooks that come between a browser and our own."""
    app = state.app
    before = app.before_request_funcs.get(None, [])
    first = before[: before.index(state.before_request)] if state.before_request in before else before
    if first:
        yield Finding(
            "hook_runs_first",
            Severity.ERROR,
            _named(first),
            "This before_request function was put before the extension's, so it sees preflights and can refuse them.",
            "register it with app.before_request, which appends",
        )
    after = app.after_request_funcs.get(None, [])
    last = after[: after.index(state.after_request)] if state.after_request in after else after
    if last:
        yield Finding(
            "hook_runs_last",
            Severity.ERROR,
            _named(last),
            "This after_request function was put behind the extension's, so it can change or double its headers.",
            "register it with app.after_request, which appends",
        )
    if state.configured.wrap_wsgi:
        return
    early = [function for functions in app.url_value_preprocessors.values() for function in functions]
    early += list(request_started.receivers_for(app)) if request_started.receivers else []
    if early:
        yield Finding(
            "runs_before_hooks",
            Severity.NOTE,
            _named(early),
            "Flask calls URL value preprocessors and receivers of request_started before any hook, for preflights too.",
            "where one of them aborts or is slow, set wrap_wsgi=True",
        )


def _code_of(function: Any) -> CodeType | None:
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _own_hooks(state: AppState) -> list[Any]:
    """The app's ``before_request`` functions."""
    hooks = [hook for functions in state.app.before_request_funcs.values() for hook in functions]
    return [hook for hook in hooks if hook not in (state.before_request, state.check_guards)]


def _mentions(code: CodeType | None, word: str) -> bool:
    """Is this word written out in this code?"""
    for constant in () if code is None else code.co_consts:
        if isinstance(constant, CodeType):
            if _mentions(constant, word):
                return True
        elif isinstance(constant, (str, bytes, tuple, frozenset)) and word.lower() in repr(constant).lower():
            return True
    return False


def _sets_cors_headers(function: Any) -> bool:
    """Is this function flask-cors's, or does it write CORS headers itself?"""
    layers = [function]
    while (inner := getattr(layers[-1], "__wrapped__", None)) is not None and inner not in layers:
        layers.append(inner)
    for layer in layers:
        # A decorator's wrapper bears the module of what it wraps; its globals do not lie.
        module = getattr(layer, "__globals__", {}).get("__name__") or getattr(layer, "__module__", "")
        if str(module).partition(".")[0] == "flask_cors":
            return True
        if _mentions(_code_of(layer), ALLOW_ORIGIN):
            return True
    return False


def _other_layers(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """Other code inside the app that sets CORS headers."""
    app = state.app
    sentence = "{} sets Access-Control-* headers as well. The extension removes them from governed responses."
    fix = "take the other CORS code out; give the route a policy with cors.policy(…) where it differs"
    hooks = [
        function
        for functions in app.after_request_funcs.values()
        for function in functions
        if function != state.after_request and _sets_cors_headers(function)
    ]
    if hooks:
        words = sentence.format("An after_request function")
        yield Finding("other_cors_layer", Severity.WARNING, _named(hooks), words, fix)
    before = [hook for hook in _own_hooks(state) if _sets_cors_headers(hook)]
    if before:
        words = sentence.format("A before_request function")
        yield Finding("other_cors_layer", Severity.WARNING, _named(before), words, fix)
    views = [route for route in governed if _sets_cors_headers(app.view_functions.get(route.rule.endpoint))]
    if views:
        words = sentence.format("The view, or a decorator on it,")
        yield Finding("other_cors_layer", Severity.WARNING, _places(views), words, fix)


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]

    def getall(self, name: str) -> list[str]:
        return [value for other, value in self.headers if other.lower() == name.lower()]


def _environ(path: str, method: str, base: str, headers: dict[str, str]) -> WSGIEnvironment:
    return EnvironBuilder(path=path, base_url=base, method=method, headers=Headers(headers)).get_environ()


def _send(state: AppState, path: str, method: str, base: str, headers: dict[str, str]) -> _Answer | Exception:
    """Let the app answer a request, whatever is wrapped around it."""
    try:
        chunks, status, sent = run_wsgi_app(state.app.wsgi_app, _environ(path, method, base, headers))
        if hasattr(chunks, "close"):
            chunks.close()
    except Exception as error:  # whatever the app's own code raises is what there is to report
        return error
    return _Answer(int(status[:3]), list(sent))


def _outer_layers(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """WSGI middleware outside, found by what becomes of a real preflight."""
    base, _ = base_url(state)
    judge = Judge(state)
    outside: dict[tuple[str, str], list[Route]] = {}
    for route in governed:
        if not isinstance(route.choice.policy, CORSPolicy):
            continue
        headers = {
            "Origin": example_origin(route.choice.policy),
            "Access-Control-Request-Method": (route.methods or ("GET",))[0],
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        environ = EnvironBuilder(
            path=route.path, base_url=base, method="OPTIONS", headers=Headers(headers)
        ).get_environ()
        expected = judge.judge(environ).decision
        answer = _send(state, route.path, "OPTIONS", base, headers)
        if fault := _difference(answer, expected.status, dict(expected.headers).get(ALLOW_ORIGIN)):
            outside.setdefault(fault, []).append(route)
    layers = _layer_names(state)
    where = f" ({' around '.join(layers)})" if layers else ""
    for (code, sentence), routes in outside.items():
        fix = "put it inside the extension: wrap app.wsgi_app before MCPCors is initialised, and set wrap_wsgi=True"
        if code == "preflight_crashes":
            fix = "see what raises before the first hook; wrap_wsgi=True answers preflights before that"
        yield Finding(code, Severity.ERROR, _places(routes), f"{sentence}{where}.", fix)


def _difference(answer: _Answer | Exception, status: int | None, allow_origin: str | None) -> tuple[str, str] | None:
    """How the answer to a preflight differs from what the extension decided: a code and a sentence."""
    if isinstance(answer, Exception):
        return "preflight_crashes", f"A preflight ends in {type(answer).__name__} before the extension can answer it"
    allowed = answer.getall(ALLOW_ORIGIN)
    if len(allowed) > 1:
        return "headers_doubled", f"A layer outside app.wsgi_app adds a second {ALLOW_ORIGIN}: browsers refuse both"
    if answer.status != status:
        sentence = f"A layer outside answers preflights first, with {answer.status} where the extension says {status}"
        return "outer_layer_answers", sentence
    if next(iter(allowed), None) != allow_origin:
        return "outer_layer_changes", f"A layer outside changes {ALLOW_ORIGIN} of the answer to a preflight"
    return None


def _layer_names(state: AppState) -> list[str]:
    """The classes around the app, the outermost first."""
    names: list[str] = []
    layer: Any = state.app.wsgi_app
    while layer is not None and getattr(layer, "__self__", None) is not state.app and len(names) < 10:
        if not type(layer).__module__.startswith("flask_mcp_cors"):
            names.append(describe(layer) if hasattr(layer, "__qualname__") else describe(type(layer)))
        layer = next(
            (getattr(layer, word) for word in ("wsgi_app", "app", "application") if hasattr(layer, word)), None
        )
    return names


def _options(governed: list[Route]) -> Iterator[Finding]:
    """Views that handle ``OPTIONS`` themselves."""
    handling = [
        route
        for route in governed
        if not getattr(route.rule, "provide_automatic_options", True) and "OPTIONS" in (route.rule.methods or ())
    ]
    if handling:
        yield Finding(
            "view_handles_options",
            Severity.WARNING,
            _places(handling),
            "The view handles OPTIONS itself. No preflight reaches it; every other OPTIONS request does, "
            "and whatever it answers there is no way to allow a browser anything.",
            "take OPTIONS out of its methods: Flask answers it",
        )


def _open_options(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """Hooks that ask every request for credentials but ``OPTIONS``: what it takes where preflights reach them."""
    hooks = [hook for hook in _own_hooks(state) if _mentions(_code_of(hook), "OPTIONS")]
    base, _ = base_url(state)
    for route in governed if hooks else ():
        if not getattr(route.rule, "provide_automatic_options", True):
            continue  # this view would run
        refused = _send(state, route.path, MADE_UP_METHOD, base, {})
        if isinstance(refused, Exception) or refused.status not in (401, 403):
            continue
        passed = _send(state, route.path, "OPTIONS", base, {})
        if not isinstance(passed, Exception) and passed.status < 300:
            yield Finding(
                "options_let_through",
                Severity.NOTE,
                _named(hooks),
                f"A hook answers requests without credentials with {refused.status}, but lets OPTIONS through. No "
                "preflight gets that far any more; what the exception still does is to leave other OPTIONS requests "
                "without authentication.",
                "take the exception for OPTIONS out of the hook",
            )
        return


def _redirects(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    slashed = [
        route
        for route in governed
        if route.rule.rule.endswith("/")
        and route.rule.rule != "/"
        and (state.app.url_map.strict_slashes if route.rule.strict_slashes is None else route.rule.strict_slashes)
    ]
    changing, reading = _by_effect(slashed)
    if changing:
        yield Finding(
            "slash_redirect",
            Severity.WARNING,
            _places(changing),
            "Without its last slash this URL is redirected (308): MCP clients stop there, other pages send each "
            "request and its preflight twice, and behind a TLS proxy without ProxyFix the redirect leads to http:, "
            "which browsers block.",
            "write the rule without the last slash, or with strict_slashes=False",
        )
    if reading:
        yield Finding(
            "slash_redirect",
            Severity.NOTE,
            _places(reading),
            "Without its last slash this URL is redirected (308). People's browsers follow; an MCP client that wants "
            "an event stream stops there.",
            "where it is one, write the rule without the last slash, or with strict_slashes=False",
        )
    base, _ = base_url(state)
    ordered = sorted(governed, key=lambda route: not _STATE_CHANGING & set(route.methods))
    if not ordered:
        return
    route = ordered[0]
    answer = _send(state, route.path, MADE_UP_METHOD, base.replace("https://", "http://", 1), {})
    if isinstance(answer, Exception) or not 300 <= answer.status < 400:
        return
    location = (answer.getall("Location") or [""])[0]
    if location.startswith("https://"):
        yield Finding(
            "https_redirect",
            Severity.WARNING,
            route.place,
            f"Plain HTTP is redirected to HTTPS ({answer.status}). The preflight is answered before that. MCP clients "
            "do not follow the redirect; another page's request follows it to another origin, so it arrives there with "
            f"Origin: null{_fate_of_null(route.choice.policy)}.",
            "give clients the https: URL, and redirect only where a person types: not on MCP paths",
        )


def _by_effect(routes: list[Route]) -> tuple[list[Route], list[Route]]:
    """Routes that may change something, and those that only read."""
    changing = [route for route in routes if _STATE_CHANGING & set(route.methods)]
    return changing, [route for route in routes if not _STATE_CHANGING & set(route.methods)]


def _fate_of_null(policy: object) -> str:
    if not isinstance(policy, CORSPolicy):
        return ", which the policy chosen for it may refuse"
    if policy.preflight("null", "GET").allowed:
        return ", which this policy allows"
    return " and is refused" if policy.actual("null").final else ", which may not read the answer"


def _cookies(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    app = state.app
    if "login_manager" not in vars(app) and not app.secret_key:
        return
    why = "Flask-Login is in use" if "login_manager" in vars(app) else "SECRET_KEY is set"
    routes = [
        route
        for route in governed
        if isinstance(route.choice.policy, CORSPolicy)
        and route.choice.policy.allows_any_origin
        and route.choice.policy is not PUBLIC_METADATA
        and not is_static(app, route.rule.endpoint)
        and not route.guards
    ]
    changing, reading = _by_effect(routes)
    if changing:
        yield Finding(
            "wildcard_beside_cookies",
            Severity.WARNING,
            _places(changing),
            f'Any web site may call this route (origins "*"), no cors.protected guards it, and the app has sessions '
            f"({why}): a browser sends their cookies along with a form or a no-cors request.",
            "name the origins, or guard the route with cors.protected",
        )
    if reading:
        yield Finding(
            "wildcard_beside_cookies",
            Severity.NOTE,
            _places(reading),
            'Any web site may read this route (origins "*"), though only as somebody without cookies: a browser '
            f"withholds what a page fetches with them. The app has sessions ({why}).",
            "name the origins, unless what this route shows to strangers is meant for every site",
        )


def _is_loopback_pattern(pattern: str) -> bool:
    origin = parse_origin(pattern.removesuffix(":*"))
    return origin is not None and origin.host in LOOPBACK_HOSTS


def _loopback_only(state: AppState) -> Iterator[Finding]:
    site = state.site
    origins = site.default.origins
    if callable(origins) or not all(map(_is_loopback_pattern, origins)):
        return
    names = [*site.hosts.patterns, *filter(None, [state.app.config["SERVER_NAME"]])]
    public = [
        name for name in names if name != "*" and name.removesuffix(":*").rpartition(":")[0] not in LOOPBACK_HOSTS
    ]
    public = [name for name in public if name.removesuffix(":*") not in LOOPBACK_HOSTS]
    if public:
        yield Finding(
            "loopback_origins_only",
            Severity.WARNING,
            ", ".join(public),
            "This server has a public name, but only pages on the visitor's own machine may call it: "
            f"origins is {'left to the default' if site.default.has_default_origins else 'loopback only'}.",
            'set origins=["https://app.example.com"] (MCP_CORS_ORIGINS) to the pages that may call',
        )


def _unprotected(state: AppState, routes: list[Route]) -> Iterator[Finding]:
    """Routes that somebody meant to protect."""
    for mark, target in state.extension.unused_marks():
        guards = isinstance(mark, Guard)
        yield Finding(
            "guard_unused" if guards else "policy_unused",
            Severity.ERROR if guards else Severity.WARNING,
            describe(target),
            f"{'cors.protected' if guards else 'cors.policy or cors.exempt'} is on it, but no route carries the mark"
            f"{': callers reach it unverified, or not at all' if guards else ', so it has no effect'}.",
            "put it directly above or below the route's decorator, and functools.wraps in the decorators in between",
        )
    by_rule: dict[str, list[Route]] = {}
    for route in routes:
        by_rule.setdefault(route.rule.rule, []).append(route)
    for rule, alike in by_rule.items():
        guarded = [method for route in alike if route.guards for method in route.methods]
        open_methods = [method for route in alike if not route.guards for method in route.methods]
        if guarded and set(open_methods) & (_STATE_CHANGING | {"GET"}):
            yield Finding(
                "method_unprotected",
                Severity.WARNING,
                f"{' '.join(open_methods)} {rule}",
                f"No cors.protected guards this, while {' and '.join(guarded)} of the same path is guarded. "
                "An MCP session is one thing: whoever may GET or DELETE it must be the one who may POST.",
                "put cors.protected on every view of the path, or on the class or blueprint",
            )
