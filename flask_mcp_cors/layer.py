"""``wrap_wsgi=True``: the layer around ``app.wsgi_app``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from .core.decision import Decision
from .core.decision import Reason
from .core.site import Choice
from .core.site import Facts
from .middleware import CORSMiddleware
from .routing import endpoint_of
from .routing import is_static
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from flask import Request
    from werkzeug.routing import MapAdapter

    from .hooks import AppState


class FlaskLayer(CORSMiddleware):
    """``wrap_wsgi=True``: the layer around ``app.wsgi_app``.

    It answers preflights before anything else and finishes the responses that Flask does not make.
    What depends on ``Host`` and scheme is left to the hook inside, where ``ProxyFix`` has been; a
    response that comes back without having been judged there is judged here.
    """

    def __init__(self, state: AppState) -> None:
        self.wsgi_app = state.app.wsgi_app
        self._state = state
        self._site = state.site

    def _sender(self) -> Flask:
        return self._state.app

    def _debug(self) -> bool:
        return self._state.app.debug

    def _raises(self, environ: WSGIEnvironment) -> bool:
        return self._state.app.testing or super()._raises(environ)

    def _judge(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        if not facts.is_preflight and facts.origin is None and facts.fetch_mode is None:
            return None
        decision = self._decide(environ, facts)
        if not decision.final or decision.status == 421:
            return None
        by_host = decision.reason is Reason.ORIGIN_NOT_ALLOWED and facts.fetch_site is None
        if not by_host or facts.is_preflight:
            return decision
        # Of a page that cannot be the site's own the hook could only say the same, unless the view
        # depends on the Host, and what is mounted beside Flask has no hook.
        is_certain = not self._routes_by_host() and not self._site.has_host_of_its_own(facts.origin)
        return decision if is_certain else None

    def _routes_by_host(self) -> bool:
        app = self._state.app
        return app.subdomain_matching or app.url_map.host_matching

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        decision = super()._decide(environ, facts)
        if decision.reason is Reason.CROSS_SITE:
            endpoint = endpoint_of(self._adapter(environ, facts), facts.method)
            if is_static(self._state.app, endpoint):
                return super()._decide(environ, facts._replace(embeddable=True))
        return decision

    def _choose(self, environ: WSGIEnvironment, facts: Facts) -> Choice:
        state = self._state
        if not state.views.exist():
            return self._site.choose(facts.path)
        method = facts.request_method if facts.is_preflight else facts.method
        endpoint = endpoint_of(self._adapter(environ, facts), method)
        found = None if endpoint is None else state.views.find(endpoint, method or "").choice
        return found or self._site.choose(facts.path)

    def _adapter(self, environ: WSGIEnvironment, facts: Facts) -> MapAdapter | None:
        app = self._state.app
        if self._routes_by_host():
            return url_adapter(app, app.request_class(environ))
        # By path alone: out here the Host may be a proxy's, which TRUSTED_HOSTS would not let through.
        return app.url_map.bind("", path_info=facts.path, default_method=facts.method)

    def _request(self, environ: WSGIEnvironment, facts: Facts) -> Request:
        """Flask's own, routed as far as that can be done out here."""
        req = self._state.app.request_class(environ)
        adapter = self._adapter(environ, facts)
        if adapter is not None:
            try:
                req.url_rule, arguments = adapter.match(return_rule=True)
                req.view_args = dict(arguments)
            except HTTPException as error:
                req.routing_exception = error
        return req
