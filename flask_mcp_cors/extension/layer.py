"""``wrap_wsgi=True``: the layer around ``app.wsgi_app``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from ..core.decision import Decision
from ..core.site import Choice
from ..core.site import Facts
from ..exchange import current_exchange
from ..wsgi import CORSMiddleware
from .routing import endpoint_outside
from .routing import match_outside
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from flask import Request
    from werkzeug.routing import MapAdapter

    from .gate import AppState


class FlaskLayer(CORSMiddleware):
    """``wrap_wsgi=True``: the layer around ``app.wsgi_app``.

    It answers preflights before anything else and finishes the responses that Flask does not make.
    What depends on ``Host`` and scheme is left to the hook inside, where ``ProxyFix`` has been; a
    response that comes back without having been judged there is judged here.
    """

    _app: Flask

    def __init__(self, state: AppState) -> None:
        self.wsgi_app = state.app.wsgi_app
        self._app = state.app
        self._state = state
        self._site = state.site

    def _sender(self) -> Flask:
        return self._app

    def _debug(self) -> bool:
        return self._app.debug

    def _raises(self, environ: WSGIEnvironment) -> bool:
        return self._app.testing or self._app.debug or super()._raises(environ)

    def _judge(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        if not facts.is_preflight and facts.origin is None and facts.fetch_mode is None:
            return None
        decision = self._decide(environ, facts)
        if decision.final and not self._state.knows_better(decision, facts):
            return decision
        current_exchange(environ).foreseen = (self._site, facts, decision)
        return None

    def _choose(self, environ: WSGIEnvironment, facts: Facts) -> Choice:
        state = self._state
        if not state.views.exist():
            return self._site.choose(facts.path)
        method = facts.request_method if facts.is_preflight else facts.method
        endpoint = endpoint_outside(self._app, self._adapter(self._app, environ, facts), method)
        found = None if endpoint is None else state.views.find(endpoint, method or "").choice
        return found or self._site.choose(facts.path)

    def _adapter(self, app: Flask, environ: WSGIEnvironment, facts: Facts) -> MapAdapter | None:
        if self._state.routes_by_host:
            return url_adapter(app, app.request_class(environ))
        return super()._adapter(app, environ, facts)

    def _request(self, environ: WSGIEnvironment, facts: Facts) -> Request:
        """Flask's own, routed as far as that can be done out here."""
        req = self._app.request_class(environ)
        adapter = self._adapter(self._app, environ, facts)
        if adapter is not None:
            try:
                req.url_rule, arguments = match_outside(self._app, partial(adapter.match, return_rule=True))
                req.view_args = dict(arguments)
            except HTTPException as error:
                req.routing_exception = error
        return req
