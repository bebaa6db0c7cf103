"""The hooks: what the extension keeps of one app, and what Flask calls for each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

from flask import Flask
from flask import request
from flask import Response
from werkzeug.datastructures import Headers

from ..auth.metadata import metadata_response
from ..auth.metadata import ResourceMetadata
from ..configure import Configured
from ..core.decision import Decision
from ..core.decision import Reason
from ..core.site import Choice
from ..core.site import Facts
from ..core.site import Site
from ..exchange import current_exchange
from ..exchange import EXCHANGE
from ..exchange import Exchange
from ..exchange import facts_from_environ
from ..exchange import settle
from ..reporting import log
from ..reporting import report
from .marks import MarkedViews
from .routing import endpoint_of
from .routing import is_static
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Request

    from .cors import MCPCors


class _FinalResponse(Response):
    """A response that is exactly the decision: an empty body has no ``Content-Type``."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        if self.response or self.status_code == 204:
            return super().get_wsgi_headers(environ)
        # An empty answer needs none of the corrections for which werkzeug copies the headers one by
        # one: that would be an eighth of the time that a preflight takes.
        self.headers["Content-Length"] = "0"
        return self.headers


@dataclass(frozen=True, slots=True, weakref_slot=True)
class AppState:
    """What the extension keeps of one app, in ``app.extensions["mcp_cors"]``. Made once by ``init_app``."""

    app: Flask
    extension: MCPCors
    configured: Configured
    views: MarkedViews
    metadata: ResourceMetadata

    @property
    def site(self) -> Site:
        """The compiled settings."""
        return self.configured.site

    def choose(self, facts: Facts, req: Request) -> Choice:
        """The policy for a request: the view's mark, its blueprint's, the path's, the default."""
        views = self.views
        if views.exist():
            if facts.is_preflight:
                endpoint = endpoint_of(url_adapter(self.app, req), facts.request_method)
                method = facts.request_method or ""
            else:
                endpoint, method = req.endpoint, facts.method
            if endpoint is not None:
                found = views.find(endpoint, method)
                if found.choice is not None:
                    return found.choice
        return self.configured.site.choose(facts.path)

    @property
    def routes_by_host(self) -> bool:
        """Does the view depend on the ``Host``?"""
        return self.app.subdomain_matching or self.app.url_map.host_matching

    def knows_better(self, decision: Decision, facts: Facts) -> bool:
        """Is a refusal from outside one that only the hook can be sure of, because ``ProxyFix`` may stand between?"""
        if decision.status == 421:
            return True
        by_host = decision.reason is Reason.ORIGIN_NOT_ALLOWED and facts.fetch_site is None
        if not by_host or facts.is_preflight:
            return False
        # Of a page that cannot be the site's own the hook could only say the same, unless the view
        # depends on the Host, and what is mounted beside Flask has no hook.
        return self.routes_by_host or self.site.has_host_of_its_own(facts.origin)

    # hooks

    def gate(self) -> Response | None:
        """``before_request``, first: answer preflights, refuse foreign requests, serve public metadata."""
        req = _current_request()
        environ = req.environ
        facts = facts_from_environ(environ, req.path)
        if facts.origin is None and facts.fetch_site is not None and is_static(self.app, req.endpoint):
            facts = facts._replace(embeddable=True)
        site = self.configured.site
        exchange = current_exchange(environ)
        foreseen = exchange.foreseen
        if foreseen is not None and foreseen[0] is site and foreseen[1] == facts:
            decision = foreseen[2]
        else:
            decision = settle(site, self.choose(facts, req), facts, lambda: req)
        exchange.keep(decision)
        if decision.final or decision.reported:
            report(self.app, facts, decision, environ, debug=self.app.debug)
        if decision.final:
            # The headers are left to ``finish``: putting them in twice costs 7 µs.
            return _FinalResponse(decision.body or None, decision.status)
        if facts.path in self.metadata.bodies and facts.method in ("GET", "HEAD"):
            return metadata_response(self.metadata.bodies[facts.path])
        # Guards of another MCPCors object, on a blueprint from elsewhere, have registered no hook here.
        return self.guard() if self.views.exist() and not self._enforces_guards() else None

    def enforce_guards(self) -> None:
        """Register :meth:`guard`, which an app without protected views need not pay for."""
        if not self._enforces_guards():
            self.app.before_request_funcs[None].append(self.guard)

    def _enforces_guards(self) -> bool:
        return self.guard in self.app.before_request_funcs[None]

    def guard(self) -> Response | None:
        """``before_request``: verify the credential where the view or its blueprint is protected."""
        req = _current_request()
        if req.endpoint is None:
            return None
        for guard in self.views.find(req.endpoint, req.method).guards:
            refusal = guard.check(req)
            if refusal is not None:
                return refusal
        return None

    def finish(self, response: Response) -> Response:
        """``after_request``, last: put the decision's headers into the response."""
        req = _current_request()
        exchange: Exchange | None = req.environ.get(EXCHANGE)
        if exchange is not None and exchange.finished_outside:
            return response
        decision = None if exchange is None else exchange.decision
        if decision is None:
            # Something failed before the first hook: no session, say. The error is to be readable, and it
            # is no refusal, whatever would have been refused.
            facts = facts_from_environ(req.environ, req.path)
            decision = settle(self.site, self.choose(facts, req), facts, lambda: req)._replace(final=False)
        response.headers[:] = decision.apply(response.headers)
        return response

    def explain_exception(self, sender: Flask, exception: BaseException, **extra: Any) -> None:
        """``got_request_exception``: say what no header can say."""
        exchange: Exchange | None = request.environ.get(EXCHANGE)
        if exchange is None or exchange.decision is None:
            return
        if exchange.decision.final:
            # Only after_request functions run on it, and one that counts on a before_request function fails.
            log.error(
                "%s after a preflight was answered or a request refused: no before_request function has run, so an "
                "after_request function must read flask.g with g.get(…); or set wrap_wsgi=True",
                type(exception).__name__,
            )
        elif sender.debug and "Origin" in request.headers:
            # In debug mode the page is the debugger's.
            log.error(
                "%s in the application: whatever the browser's console says, "
                "this is not CORS: see the traceback above or right below",
                type(exception).__name__,
            )


def _current_request() -> Request:
    """The request itself: every attribute read through the proxy costs 1.2 µs, read from here 0.05."""
    req: Request = request._get_current_object()  # type: ignore[attr-defined]
    return req
