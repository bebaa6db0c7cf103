"""The app as the commands see it: where it is served, and what it decides about a request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

from click import UsageError
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import RequestRedirect

from ..auth.guards import Guard
from ..core.decision import Decision
from ..core.origins import LOOPBACK_HOSTS
from ..core.policy import CORSPolicy
from ..core.site import Choice
from ..core.site import Facts
from ..core.site import PolicyCallable
from ..extension.gate import AppState
from ..wsgi import judge_choice
from ..wsgi import read_facts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment


def state_of(app: Flask) -> AppState:
    """The extension's state on an app.

    :raises UsageError: where the app has none.
    """
    state = app.extensions.get("mcp_cors")
    if not isinstance(state, AppState):
        raise UsageError(f"MCPCors is not initialised on {app.name!r}: write MCPCors(app, origins=[…])")
    return state


def base_url(state: AppState) -> tuple[str, str]:
    """A URL at which the app is served, and where that was taken from."""
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
    """An origin that a policy allows, as far as one can be made from its patterns.

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


@dataclass(frozen=True)
class Judged:
    """One request, and what the extension decided about it."""

    facts: Facts
    choice: Choice
    #: The policy in the end: a callable in ``policies`` has been asked.
    policy: CORSPolicy | None
    decision: Decision
    #: What routing says: an endpoint or the exception; and the guards on the view.
    endpoint: str | None
    routing: HTTPException | None
    guards: tuple[Guard, ...]


class Judge:
    """A WSGI application that only decides: it answers with the app's decisions and runs none of its code.

    A callable in ``policies`` is the exception: nobody else knows which policy it chooses.
    """

    def __init__(self, state: AppState) -> None:
        self.state = state
        self.judged: list[Judged] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        judged = self.judge(environ)
        self.judged.append(judged)
        decision = judged.decision
        if decision.final:
            start_response(f"{decision.status} ", list(decision.headers))
            return [decision.body]
        if isinstance(judged.routing, HTTPException):
            # The answer that Flask gives by itself, so that a redirect is followed as a browser would.
            answer = judged.routing.get_response(environ)
            start_response(answer.status, decision.apply(answer.headers.items()))
            return []
        start_response("200 OK", decision.apply([]))
        return []

    def judge(self, environ: WSGIEnvironment) -> Judged:
        """The decision on one request."""
        state = self.state
        chosen: list[CORSPolicy | None] = []

        def asking(ask: PolicyCallable) -> PolicyCallable:
            def note(req: Any) -> CORSPolicy | None:
                policy = ask(req)
                chosen.append(state.site.default if policy is None else policy)
                return policy

            return note

        # The context in which the first hook runs: the request is routed, none of the app's functions has been called.
        with state.app.request_context(environ) as context:
            req = context.request
            facts = read_facts(environ, req.path)
            choice = state.choose(facts, req)
            asked = choice._replace(policy=asking(choice.policy)) if callable(choice.policy) else choice
            decision = judge_choice(state.site, asked, facts, lambda method: req)
            policy = (chosen or [None])[0] if callable(choice.policy) else choice.policy
            return Judged(facts, choice, policy, decision, *self._route(req, facts))

    def _route(self, req: Any, facts: Facts) -> tuple[str | None, HTTPException | None, tuple[Guard, ...]]:
        method = facts.request_method if facts.is_preflight else facts.method
        try:
            adapter = self.state.app.create_url_adapter(req)
            endpoint = None if adapter is None else str(adapter.match(method=method)[0])
        except (HTTPException, RequestRedirect) as error:
            return None, error, ()
        guards = () if endpoint is None else self.state.views.find(endpoint, method or "").guards
        return endpoint, None, guards


def route_words(judged: Judged) -> str:
    """What Flask's routing makes of a request, in words."""
    routing = judged.routing
    if judged.endpoint is not None:
        return f"view {judged.endpoint!r}"
    if isinstance(routing, RequestRedirect):
        return f"redirect to {routing.new_url}"
    if isinstance(routing, MethodNotAllowed):
        return f"no route for this method: Flask answers 405; there is {', '.join(sorted(routing.valid_methods or ()))}"
    return f"no route: Flask answers {404 if routing is None else routing.code}"


def guard_words(guards: tuple[Guard, ...]) -> str:
    """What callers must show, in words."""
    if not guards:
        return "none"
    kinds: dict[str, None] = {}
    for guard in guards:
        kinds.update(dict.fromkeys(guard.schemes))
        if guard.api_key_header is not None:
            kinds[guard.api_key_header] = None
    return ", ".join(kinds)
