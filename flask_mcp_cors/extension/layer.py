"""``wrap_wsgi=True``: the layer around ``app.wsgi_app``.

It is around all middleware that is there at ``init_app``, but inside an outermost ``ProxyFix``, so that it sees
the public ``Host``.
"""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ..core.decision import Decision
from ..core.decision import Reason
from ..core.policy import CORSPolicy
from ..core.site import Facts
from ..doors import judge_choice
from ..reporting import log
from ..wsgi import Door
from ..wsgi import find_none
from .gate import AppState
from .routing import is_static
from .routing import matched_rule
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import MapAdapter


def check_proxy_fix(app: Flask) -> None:
    """Refuse a ``ProxyFix`` below other middleware: the layer would not see the public ``Host``.

    :raises RuntimeError: with the lines to write instead.
    """
    outermost = inner = _below_proxy_fix(app.wsgi_app)
    seen: set[int] = set()
    while inner is not None and id(inner) not in seen:
        if isinstance(inner, ProxyFix):
            raise RuntimeError(
                f"wrap_wsgi: a ProxyFix is below {type(outermost).__name__} in {app.name!r}; "
                "put it outermost: add the other middleware first, then write "
                "app.wsgi_app = ProxyFix(app.wsgi_app, …), before or after MCPCors(app, wrap_wsgi=True)"
            )
        seen.add(id(inner))
        inner = next((found for name in ("app", "wsgi_app") if (found := getattr(inner, name, None)) is not None), None)


def _below_proxy_fix(wsgi_app: Any) -> Any:
    while isinstance(wsgi_app, ProxyFix):
        wsgi_app = wsgi_app.app
    return wsgi_app


def wrap(state: AppState) -> None:
    """Put the layer around ``app.wsgi_app``, inside an outermost ``ProxyFix``."""
    app = state.app
    if not isinstance(app.wsgi_app, ProxyFix):
        app.wsgi_app = Layer(state, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does it
        return
    innermost: ProxyFix = app.wsgi_app
    while isinstance(innermost.app, ProxyFix):
        innermost = innermost.app
    innermost.app = Layer(state, innermost.app)


class Layer(Door):
    """The layer: it answers preflights before anything else, and finishes responses that Flask does not make.

    It decides if the path selects the policy. If a view's mark or a callable selects it, the hook inside decides.
    An exception are preflights for marked views: the layer routes these as Flask would, and decides itself.
    """

    def __init__(self, state: AppState, wsgi_app: Any) -> None:
        super().__init__(wsgi_app, state.configured)
        self._state = state
        self._app = state.app
        self._inside = self._views = state.views
        self._is_next_to_flask = getattr(wsgi_app, "__func__", None) is Flask.wsgi_app
        if not self._is_next_to_flask:
            # Other applications may be in between. The hook shows which requests reach this app.
            state.register_hooks()

    def _report(self, facts: Facts, decision: Decision, environ: WSGIEnvironment) -> None:
        state = self._state
        state.report(facts, decision, environ, lambda: state.choose(facts, self._app.request_class(environ)))

    def _wants_exceptions(self, environ: WSGIEnvironment) -> bool:
        return self._app.testing or self._app.debug or super()._wants_exceptions(environ)

    def _has_doors_inside(self) -> bool:
        # An application that a view calls does not count as inside.
        return self._state.has_hooks

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        self._state.check_patterns()
        # With hooks registered, each request needs a handover to them.
        self._kept = find_none if self._state.has_hooks else self._site.passing.get
        has_marks = self._views.exist()
        if has_marks and self._is_next_to_flask and not facts.is_preflight:
            return self._leave_to_hook()
        if has_marks or ".well-known" in facts.path:
            return self._decide_by_route(environ, facts, has_marks)
        decision = self._site.judge(facts)
        if decision is None:
            return self._leave_to_hook()
        if decision.reason is Reason.CROSS_SITE and self._is_static(environ, facts):
            return self._site.judge(facts._replace(embeddable=True))
        return decision

    def _leave_to_hook(self) -> Decision | None:
        """Let the hook decide. It is registered here if it is not yet: otherwise nothing would decide."""
        self._state.register_hooks()
        return None

    def _decide_by_route(self, environ: WSGIEnvironment, facts: Facts, has_marks: bool) -> Decision | None:
        state, site = self._state, self._site
        try:
            # There is no application context here. If a converter needs one, the hook decides.
            adapter = self._adapter(environ)
            rule = matched_rule(adapter, facts.policy_method)
        except Exception:  # a converter of the app may raise anything: Flask reports it, or the hook decides
            log.debug("routing failed outside of the application, so its hook decides", exc_info=True)
            return self._leave_to_hook()
        if has_marks and not facts.is_preflight:
            # If Flask has no view for it, an application in between may answer, and that one has no hook.
            return self._leave_to_hook() if rule is not None else site.judge(facts) or self._leave_to_hook()
        choice = state.choose_by_rule(facts.path, facts.policy_method, rule)
        if not isinstance(choice.policy, CORSPolicy):
            return self._leave_to_hook()
        return judge_choice(
            site,
            choice,
            facts,
            lambda method: self._app.request_class(environ),
            lambda method: state.choose_by_rule(facts.path, method, matched_rule(adapter, method)),
        )

    def _decide_late(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        site = self._site
        decision = site.judge(facts)
        if decision is None:
            choice = site.choose(facts.path, facts.policy_method)
            decision = judge_choice(site, choice, facts, lambda method: self._app.request_class(environ))
        # The response exists already, so it is too late to refuse: only its headers are decided.
        return decision._replace(final=False)

    def _adapter(self, environ: WSGIEnvironment) -> MapAdapter | None:
        return url_adapter(self._app, self._app.request_class(environ))

    def _is_static(self, environ: WSGIEnvironment, facts: Facts) -> bool:
        try:
            rule = matched_rule(self._adapter(environ), facts.method)
        except Exception:  # a converter of the app may raise anything: what cannot be routed is not a static file
            log.debug("routing failed outside of the application", exc_info=True)
            return False
        return rule is not None and is_static(self._app, rule.endpoint)
