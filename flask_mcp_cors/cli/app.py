"""What the commands need from an app: where it is served, and what it decides about a request."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from click import UsageError
from flask import Flask
from flask import Request
from flask import request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from ..auth.guards import Guard
from ..core.decision import Decision
from ..core.headers import ALLOW_ORIGIN
from ..core.origins import LOOPBACK_HOSTS
from ..core.policy import CORSPolicy
from ..core.site import Choice
from ..core.site import Facts
from ..core.site import PolicyCallable
from ..extension.gate import AppState
from ..extension.marks import describe
from ..extension.routing import layers_around
from ..reporting import log
from ..testing import HeaderList
from ..wsgi import read_facts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment


def state_of(app: Flask) -> AppState:
    """The extension's state on an app.

    :raises UsageError: the app does not have the extension.
    """
    state = app.extensions.get("mcp_cors")
    if not isinstance(state, AppState):
        raise UsageError(f"MCPCors is not initialised on {app.name!r}: write MCPCors(app, origins=[…])")
    return state


def base_url(state: AppState) -> tuple[str, str]:
    """A URL at which the app is served, and which setting says so."""
    config = state.app.config
    if server_name := config["SERVER_NAME"]:
        return f"{config['PREFERRED_URL_SCHEME']}://{server_name}", "SERVER_NAME"
    for pattern in state.site.hosts.patterns:
        name = pattern.removesuffix(":*")
        if "*" not in name:
            scheme = "http" if any(name.startswith(host) for host in LOOPBACK_HOSTS) else "https"
            source = state.configured.source("hosts")
            return f"{scheme}://{name}", "hosts" if source == "keyword" else f"hosts, {source}"
    return "http://localhost", "no host is named"


def example_origin(policy: CORSPolicy) -> str:
    """An origin that a policy allows, made from one of its patterns where possible.

    >>> example_origin(CORSPolicy(origins="https://*.example.com:*"))
    'https://a.example.com:8443'
    """
    for pattern in () if callable(policy.origins) else policy.origins:
        if pattern == "*":
            break
        scheme, _, rest = (pattern if "://" in pattern else f"https://{pattern}").partition("://")
        made = f"{scheme}://{rest.replace('*.', 'a.').replace(':*', ':8443').replace('*', 'a')}"
        if policy.preflight(made, "POST").allowed:
            return made
    return "https://client.example"


@contextmanager
def replaced(target: object, name: str, value: object) -> Iterator[None]:
    """Replace an attribute for a while, such as a method of the app whose code must not run.

    Without ``full_dispatch_request`` neither hooks nor views run; without ``dispatch_request`` views do not.
    """
    own = vars(target).get(name)
    setattr(target, name, value)
    try:
        yield
    finally:
        delattr(target, name)
        if own is not None:
            setattr(target, name, own)


def quiet() -> AbstractContextManager[None]:
    """Disable the extension's log: the command prints what matters."""
    return replaced(log, "disabled", True)


class Answer(NamedTuple):
    """A response, as the outermost layer sends it."""

    status: int
    headers: HeaderList
    #: The exception that was raised instead.
    error: Exception | None = None


def ask(app: Flask, environ: WSGIEnvironment) -> Answer:
    """Send a request through all layers around the app."""
    try:
        chunks, status, sent = run_wsgi_app(app.wsgi_app, environ)
        if hasattr(chunks, "close"):
            chunks.close()
    except Exception as error:  # the command reports whatever the app's own code raises
        return Answer(500, HeaderList(), error)
    return Answer(int(status[:3]), HeaderList(sent))


def listed_origins(policy: CORSPolicy) -> str:
    """The origins of a policy."""
    origins = policy.origins
    return getattr(origins, "__qualname__", "a callable") if callable(origins) else ", ".join(origins)


def own_hooks(state: AppState) -> list[Any]:
    """The app's own ``before_request`` functions."""
    hooks = [hook for functions in state.app.before_request_funcs.values() for hook in functions]
    return [hook for hook in hooks if hook not in (state.before_request, state.check_guards)]


def names_of(functions: Iterable[object]) -> str:
    """Functions as a message names them."""
    return ", ".join(dict.fromkeys(map(describe, functions)))


def layer_names(app: Flask) -> list[str]:
    """The layers around the app, without those of the extension, the outermost first."""
    others = [layer for layer in layers_around(app) if not type(layer).__module__.startswith("flask_mcp_cors")]
    return [describe(layer) if hasattr(layer, "__qualname__") else describe(type(layer)) for layer in others]


@dataclass(frozen=True)
class DryRunStep:
    """One request, the extension's decision and the response."""

    facts: Facts
    choice: Choice
    #: The policy; where ``policies`` has a callable, the one that it returned.
    policy: CORSPolicy | None
    decision: Decision
    #: The result of routing: an endpoint or the exception; and the guards on the view.
    endpoint: str | None
    routing: HTTPException | None
    guards: tuple[Guard, ...]
    #: The response of the outermost layer; ``None`` if the request was not sent.
    answer: Answer | None = None
    #: Did the request reach the app?
    reached: bool = False

    @property
    def answered_outside(self) -> bool:
        """Did a layer around the app answer, and differently from the extension?"""
        if self.answer is None or self.reached:
            return False
        allowed = [value for name, value in self.decision.headers if name == ALLOW_ORIGIN]
        return self.answer.status != self.decision.status or self.answer.headers.getall(ALLOW_ORIGIN) != allowed


class DryRun:
    """A WSGI application that sends a request through all layers around the app and records the extension's decision.

    Middleware, mounted applications, the session and callables in ``policies`` run; hooks and views of the app do not.
    """

    def __init__(self, state: AppState) -> None:
        self.state = state
        self.steps: list[DryRunStep] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = self.state.app
        step = self.decide(dict(environ))
        inside: list[DryRunStep] = []

        def dispatch(*_: object) -> Response:
            req = request._get_current_object()  # type: ignore[attr-defined]  # declared as the Request itself
            inside.append(self._decide(req))
            return _response(inside[-1], req.environ)

        with replaced(app, "full_dispatch_request", dispatch):
            answer = ask(app, environ)
        step = replace(inside[-1] if inside else step, answer=answer, reached=bool(inside))
        self.steps.append(step)
        start_response(f"{answer.status} ", list(answer.headers.pairs))
        return [step.decision.body] if step.decision.final and not step.answered_outside else []

    def decide(self, environ: WSGIEnvironment) -> DryRunStep:
        """The decision on one request, without sending it."""
        # The state of the first hook: the request is routed, and the app's own functions have not run.
        with self.state.app.request_context(environ) as context:
            return self._decide(context.request)

    def _decide(self, req: Request) -> DryRunStep:
        facts = read_facts(req.environ, req.path)
        choice = self.state.choose(facts, req)
        policy = choice.policy if isinstance(choice.policy, CORSPolicy) else self._ask(choice.policy, req)
        return DryRunStep(facts, choice, policy, self.state.decide(facts, req), *self._route(req, facts))

    def _ask(self, choose: PolicyCallable | None, req: Request) -> CORSPolicy | None:
        """The policy that a callable returns; ``None`` if it fails, so that the request is refused."""
        if choose is None:
            return None
        try:
            return choose(req) or self.state.site.default
        except Exception:  # the extension logs it for a real request
            return None

    def _route(self, req: Any, facts: Facts) -> tuple[str | None, HTTPException | None, tuple[Guard, ...]]:
        method = facts.request_method if facts.is_preflight else facts.method
        try:
            adapter = self.state.app.create_url_adapter(req)
            endpoint = None if adapter is None else str(adapter.match(method=method)[0])
        except HTTPException as error:
            return None, error, ()
        guards = () if endpoint is None else self.state.views.find(endpoint, method or "").guards
        return endpoint, None, guards


def _response(step: DryRunStep, environ: WSGIEnvironment) -> Response:
    """The app's response, as far as the extension determines it."""
    decision = step.decision
    if decision.final:
        response = Response(decision.body, decision.status)
        response.headers = Headers(decision.headers)
        return response
    response = Response()
    if step.routing is not None:
        # Flask's own response, so that the browser follows a redirect.
        response = step.routing.get_response(environ)
    response.headers = Headers(decision.apply(response.headers.items()))
    return response


def route_words(step: DryRunStep) -> str:
    """The result of Flask's routing, in words."""
    routing = step.routing
    if step.endpoint is not None:
        return f"view {step.endpoint!r}"
    if isinstance(routing, RequestRedirect):
        return f"redirect to {routing.new_url}"
    if isinstance(routing, MethodNotAllowed):
        return f"no route for this method: Flask answers 405; there is {', '.join(sorted(routing.valid_methods or ()))}"
    return f"no route: Flask answers {404 if routing is None else routing.code}"


def guard_words(guards: tuple[Guard, ...]) -> str:
    """The credentials that guards accept, in words."""
    kinds = [kind for guard in guards for kind in (*guard.schemes, guard.api_key_header) if kind]
    return ", ".join(dict.fromkeys(kinds))
