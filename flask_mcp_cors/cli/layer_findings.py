"""What can be wrong with the hooks of an app, and with what is around and beside it.

Real preflights go through everything around the app, and ``before_request`` functions are called as for a request
without credentials. No view runs.
"""

from __future__ import annotations

import dataclasses
import marshal
from collections.abc import Iterator
from itertools import takewhile
from typing import Any
from typing import TYPE_CHECKING

from flask import request_started
from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from ..core.headers import ALLOW_ORIGIN
from ..core.policy import CORSPolicy
from ..extension.gate import AppState
from ..extension.layer import Layer
from ..extension.marks import describe
from ..extension.marks import wrapped_by
from ..extension.routing import layers_around
from ..extension.routing import mounts_of
from .app import Answer
from .app import ask
from .app import base_url
from .app import DryRun
from .app import example_origin
from .app import layer_names
from .app import names_of
from .app import own_hooks
from .app import replaced
from .findings import Finding
from .findings import Severity
from .route_table import places
from .route_table import Route
from .route_table import STATE_CHANGING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def other_servers(state: AppState) -> Iterator[Finding]:
    """Other applications and servers beside the app, with CORS rules of their own."""
    is_wrapped = False
    for layer in layers_around(state.app):
        is_wrapped = is_wrapped or isinstance(layer, Layer)
        for prefix in () if is_wrapped else mounts_of(state.app, layer):
            yield Finding(
                "mount_not_governed",
                Severity.WARNING,
                prefix,
                "Another application is mounted here, in front of the app. No policy covers it, and it answers "
                "preflights itself.",
                "mount it before MCPCors is initialised and set wrap_wsgi=True, or wrap it in CORSMiddleware",
            )
    if type(state.app.json).__module__.partition(".")[0] == "connexion":
        yield Finding(
            "asgi_around",
            Severity.WARNING,
            "connexion 3",
            "connexion routes and authenticates in ASGI middleware around this Flask app, so preflights end there.",
            "instead of MCPCors write add_middleware(flask_mcp_cors.asgi.CORSMiddleware, "
            "position=MiddlewarePosition.BEFORE_EXCEPTION, origins=[…])",
        )
    flask_socketio = getattr(state.app.extensions.get("socketio"), "server", None)
    servers = [flask_socketio, *(getattr(layer, "engineio_app", None) for layer in layers_around(state.app))]
    for server in servers:
        engine = getattr(server, "eio", server)
        if getattr(engine, "cors_allowed_origins", None) == "*":
            credentials = ", with credentials" if getattr(engine, "cors_credentials", False) else ""
            yield Finding(
                "other_cors_server",
                Severity.WARNING,
                "Socket.IO",
                f"Socket.IO answers beside the app and has its own CORS rules: any origin may connect{credentials}.",
                "set its cors_allowed_origins to the origins of this app",
            )


def hooks(state: AppState) -> Iterator[Finding]:
    """Hooks that run before or after the extension's."""
    app = state.app
    if not state.has_hooks:
        return  # the layer of wrap_wsgi does everything
    if first := names_of(takewhile(lambda hook: hook != state.before_request, app.before_request_funcs[None])):
        yield Finding(
            "hook_runs_first",
            Severity.ERROR,
            first,
            "This before_request function runs before the extension's, so it sees preflights and can refuse them.",
            "register it with app.before_request, which appends",
        )
    if last := names_of(takewhile(lambda hook: hook != state.after_request, app.after_request_funcs[None])):
        yield Finding(
            "hook_runs_last",
            Severity.ERROR,
            last,
            "This after_request function runs after the extension's, so it can change or double its headers.",
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
            names_of(early),
            "Flask calls URL value preprocessors and receivers of request_started before any hook, for preflights too.",
            "if one of them aborts or is slow, set wrap_wsgi=True",
        )


def _sets_cors_headers(function: Any) -> bool:
    """Is this function flask-cors's, or does it write CORS headers itself?"""
    for layer in wrapped_by(function):
        # functools.wraps copies __module__, but the globals are those of the wrapper's own module.
        module = getattr(layer, "__globals__", {}).get("__name__") or getattr(layer, "__module__", "")
        if str(module).partition(".")[0] == "flask_cors":
            return True
        # The header's name is among the constants of its code, or of a function in it.
        code = getattr(layer, "__code__", None) or getattr(type(layer).__call__, "__code__", None)
        if code is not None and ALLOW_ORIGIN.lower().encode() in marshal.dumps(code).lower():
            return True
    return False


def other_layers(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """Other code inside the app that sets CORS headers."""
    after = [
        function
        for functions in state.app.after_request_funcs.values()
        for function in functions
        if function != state.after_request and _sets_cors_headers(function)
    ]
    before = [hook for hook in own_hooks(state) if _sets_cors_headers(hook)]
    views = [route for route in governed if _sets_cors_headers(state.app.view_functions.get(route.rule.endpoint))]
    for code, where in (
        ("An after_request function", names_of(after)),
        ("A before_request function", names_of(before)),
        ("The view, or a decorator on it,", places(views)),
    ):
        if where:
            yield Finding(
                "other_cors_layer",
                Severity.WARNING,
                where,
                f"{code} sets Access-Control-* headers as well. The extension removes them from covered responses; on "
                "others they stay.",
                "remove the other CORS code; if the route needs other settings, use cors.policy(…)",
            )


def _environ(path: str, method: str, base: str, headers: dict[str, str]) -> WSGIEnvironment:
    return EnvironBuilder(path=path, base_url=base, method=method, headers=Headers(headers)).get_environ()


def outer_layers(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """WSGI middleware outside that answers or changes a real preflight."""
    app = state.app
    base, _ = base_url(state)
    dry_run = DryRun(state)
    outside: dict[tuple[str, str], list[Route]] = {}
    for route in governed:
        if not isinstance(route.choice.policy, CORSPolicy):
            continue  # the user's callable is called for real requests only
        headers = {
            "Origin": example_origin(route.choice.policy),
            "Access-Control-Request-Method": route.methods[0],
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        url = route.base_url(base, app.config["SERVER_NAME"])
        expected = dry_run.decide(_environ(route.path, "OPTIONS", url, headers)).decision
        # If a layer removes a header, this is an ordinary OPTIONS request, which a view may handle.
        with replaced(app, "dispatch_request", lambda *_: Response()):
            answer = ask(app, _environ(route.path, "OPTIONS", url, headers))
        if fault := _difference(answer, expected.status, dict(expected.headers).get(ALLOW_ORIGIN)):
            outside.setdefault(fault, []).append(route)
    layers = layer_names(app)
    where = f" ({' around '.join(layers)})" if layers else ""
    for (code, sentence), routes in outside.items():
        fix = "put it inside the extension: wrap app.wsgi_app before MCPCors is initialised, and set wrap_wsgi=True"
        if code == "preflight_crashes":
            fix = "see what raises before the first hook; wrap_wsgi=True answers preflights before that"
        yield Finding(code, Severity.ERROR, places(routes), f"{sentence}{where}.", fix)


def _difference(answer: Answer, status: int | None, allow_origin: str | None) -> tuple[str, str] | None:
    """How the answer to a preflight differs from what the extension decided: a code and a sentence."""
    if answer.error is not None:
        raised = type(answer.error).__name__
        return "preflight_crashes", f"A preflight ends in {raised} before the extension can answer it"
    allowed = answer.headers.getall(ALLOW_ORIGIN)
    if len(allowed) > 1:
        return "headers_doubled", f"A layer outside app.wsgi_app adds a second {ALLOW_ORIGIN}: browsers refuse both"
    if answer.status != status:
        sentence = f"A layer outside answers preflights first, with {answer.status} instead of the extension's {status}"
        return "outer_layer_answers", sentence
    if next(iter(allowed), None) != allow_origin:
        return "outer_layer_changes", f"A layer outside changes {ALLOW_ORIGIN} of the answer to a preflight"
    return None


def _hook_answer(
    state: AppState, route: Route, method: str, url: str, *, before_guards: bool = False
) -> tuple[Any, Response] | None:
    """The first of the app's own ``before_request`` functions that answers a request without credentials; its answer.

    :param before_guards: only those that run before ``cors.protected``.
    """
    app = state.app
    with app.request_context(_environ(route.path, method, url, {})) as context:
        for hook in app.before_request_funcs.get(None, ()):
            if hook == state.check_guards and before_guards:
                return None
            if hook in (state.before_request, state.check_guards):
                continue
            try:
                answer = app.ensure_sync(hook)()
            except HTTPException as error:
                answer = error.get_response(context.request.environ)
            except Exception:  # a hook may need what others, or a real request, have set
                return None
            if answer is not None:
                return hook, app.make_response(answer)
    return None


def https_redirects(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """Hooks that redirect plain HTTP to HTTPS; one route is enough to see it."""
    route = min(governed, key=lambda route: not STATE_CHANGING & set(route.methods), default=None)
    if route is None:
        return
    url = route.base_url(base_url(state)[0], state.app.config["SERVER_NAME"]).replace("https://", "http://", 1)
    _, response = _hook_answer(state, route, route.methods[0], url) or (None, Response())
    if response.headers.get("Location", "").startswith("https://"):
        yield Finding(
            "https_redirect",
            Severity.WARNING,
            route.place,
            f"Plain HTTP is redirected to HTTPS ({response.status_code}). The preflight is answered before "
            "that. MCP clients do not follow the redirect; another page's request follows it to another origin, so it "
            f"arrives there with Origin: null{_fate_of_null(route.choice.policy)}.",
            "give clients the https: URL, and do not redirect MCP paths",
        )


def hooks_before_guards(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    """Hooks that answer requests without credentials before ``cors.protected`` can send its challenge."""
    base, _ = base_url(state)
    refused: dict[tuple[str, str, str], list[Route]] = {}
    for route in governed:
        url = route.base_url(base, state.app.config["SERVER_NAME"]).replace("http://", "https://", 1)
        methods: dict[tuple[str, str, str], list[str]] = {}
        for method in route.methods if route.guards else ():
            hook, response = _hook_answer(state, route, method, url, before_guards=True) or (None, Response())
            if hook is not None and "WWW-Authenticate" not in response.headers:
                fault = describe(hook), response.status, _let_through(hook, response.status_code)
                methods.setdefault(fault, []).append(method)
        for fault, names in methods.items():
            refused.setdefault(fault, []).append(dataclasses.replace(route, methods=tuple(names)))
    for (name, status, fix), routes in refused.items():
        yield Finding(
            "hook_before_guard",
            Severity.WARNING,
            name,
            f"This before_request function answers requests without credentials ({status}) before cors.protected can, "
            f"so clients get no challenge that tells them how to log in: {places(routes)}.",
            fix,
        )


def _let_through(hook: Any, status: int) -> str:
    if getattr(hook, "__module__", "") == "flask_wtf.csrf":
        return "write csrf.exempt(view) for these views"
    # Other statuses than 401 are not about login, but about a rate limit, say: cors.protected is still needed.
    return "let the function return None for these routes" + (
        ", or remove cors.protected from them" if status == 401 else ""
    )


def _fate_of_null(policy: object) -> str:
    if not isinstance(policy, CORSPolicy):
        return ", which the policy chosen for it may refuse"
    if policy.preflight("null", "GET").allowed:
        return ", which this policy allows"
    return " and is refused" if policy.actual("null").final else ", which may not read the answer"
