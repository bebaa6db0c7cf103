"""The state of the extension in one app, and the hooks that Flask calls for each request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any
from typing import TYPE_CHECKING

from flask import Flask
from flask import Request
from flask import request
from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.routing import Rule

from ..auth.metadata import metadata_response
from ..auth.metadata import ResourceMetadata
from ..configure import Configured
from ..core.decision import Decision
from ..core.decision import Reason
from ..core.site import Choice
from ..core.site import Facts
from ..core.site import Site
from ..doors import AROUND
from ..doors import claim
from ..doors import HANDOVER
from ..doors import Handover
from ..doors import judge_choice
from ..reporting import InForce
from ..reporting import log
from ..reporting import report
from ..wsgi import announcing
from ..wsgi import KEY
from ..wsgi import make_facts
from ..wsgi import read_facts
from .marks import MarkedViews
from .routing import is_static
from .routing import matched_rule
from .routing import PATTERN_ADVICE
from .routing import patterns_without_routes
from .routing import takes_well_known_part
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Attributes of a request object. A view may pass the environ on to another app, but not the request object.
_DECISION = "_mcp_cors_decision"
_OUTER = "_mcp_cors_outer"


class _FinalResponse(Response):
    """A response with exactly the decision's headers: with an empty body there is no ``Content-Type``."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        if self.response or self.status_code == 204:
            return super().get_wsgi_headers(environ)
        # Werkzeug copies all headers to correct some. An empty answer needs no correction, and the copy
        # would take an eighth of a preflight's time.
        self.headers["Content-Length"] = "0"
        return self.headers


class AppState:
    """The state of the extension in one app, in ``app.extensions["mcp_cors"]``. ``init_app`` makes it once."""

    def __init__(self, app: Flask, configured: Configured, views: MarkedViews, metadata: ResourceMetadata) -> None:
        self.app = app
        self.configured = configured
        self.views = views
        self.metadata = metadata
        #: The two hooks that run for every request. They are functions, because Flask calls these faster than methods.
        self.before_request = _make_before_request(self)
        self.after_request = _make_after_request(self)
        #: Are they registered?
        self.has_hooks = False
        self._in_force = InForce(configured.site, configured.source)
        self._has_checked_patterns = False
        self._lock = Lock()

    @property
    def site(self) -> Site:
        """The compiled settings."""
        return self.configured.site

    # the decision

    def decide(self, facts: Facts, req: Request) -> Decision:
        """The decision on a request that Flask has routed. Never raises."""
        site = self.configured.site
        if not self.views.exist() and ".well-known" not in facts.path:
            decision = site.judge(facts)
            if decision is not None:
                return decision
        choice = self.choose(facts, req)
        if choice.policy is None and facts.is_preflight:
            # No policy answers this preflight, so it is an ordinary OPTIONS request, perhaps to another view.
            facts = facts._replace(request_method=None)
            choice = self.choose(facts, req)
        if not facts.is_preflight:
            return judge_choice(site, choice, facts, lambda method: req)
        adapter = url_adapter(self.app, req)

        def choose_for(method: str) -> Choice:
            return self.choose_by_rule(facts.path, method, matched_rule(adapter, method))

        return judge_choice(site, choice, facts, self._announcing(facts, req), choose_for)

    def _announcing(self, facts: Facts, req: Request) -> Callable[[str], Request]:
        def request_for(method: str) -> Request:
            if method == facts.policy_method:
                return req
            other = self.app.request_class(announcing(req.environ, method))
            other.url_rule, other.view_args, other.routing_exception = (
                req.url_rule,
                req.view_args,
                req.routing_exception,
            )
            return other

        return request_for

    def choose(self, facts: Facts, req: Request) -> Choice:
        """The policy for a request: from the view's mark, its blueprint's mark, the path, or the default."""
        method = facts.policy_method
        rule = matched_rule(url_adapter(self.app, req), method) if facts.is_preflight else req.url_rule
        return self.choose_by_rule(facts.path, method, rule)

    def choose_by_rule(self, path: str, method: str, rule: Rule | None) -> Choice:
        """The policy for a path and a method that reach this rule; ``None``: no view."""
        if rule is not None and self.views.exist():
            found = self.views.find(rule.endpoint, method)
            if found.choice is not None:
                return found.choice
        choice = self.configured.site.choose(path, method)
        if choice.is_discovery and takes_well_known_part(rule, path):
            return self.configured.site.choose(path, method, discovery=False)
        return choice

    def report(self, facts: Facts, decision: Decision, environ: WSGIEnvironment, choose: Callable[[], Choice]) -> None:
        """Report a decision to the log and the signals."""
        report(self.app, facts, decision, environ, self._in_force, choose, debug=self.app.debug)

    # hooks

    def register_hooks(self) -> None:
        """Register the hooks, unless they are registered: one runs before all others, the other after them.

        New lists replace the old ones, because a running request may be iterating over these.
        """
        with self._lock:
            if self.has_hooks:
                return
            before, after = self.app.before_request_funcs, self.app.after_request_funcs
            before[None] = [self.before_request, *before[None]]
            after[None] = [self.after_request, *after[None]]  # called from the end to the beginning
            self.has_hooks = True

    def check_patterns(self) -> None:
        """At the first request, when all routes are registered: warn of patterns that match no route."""
        if self._has_checked_patterns:
            return
        self._has_checked_patterns = True
        site = self.site
        for unused in patterns_without_routes(self.app, site.paths, site.policies):
            log.warning("%s, so it covers nothing: %s", unused, PATTERN_ADVICE)

    def judge(self, req: Request, facts: Facts) -> Response | None:
        """Decide on a request. Returns the response if nothing else of the app has to run, else ``None``."""
        environ = req.environ
        self.check_patterns()
        if req.method != facts.method and req.method != facts.method.upper() and not facts.is_preflight:
            # The app's request class overrides the method, and a MethodView uses the overridden one.
            facts = facts._replace(method=req.method, request_method=None)
        decision: Decision | None = None
        handover: Handover | None = environ.get(HANDOVER)
        if handover is not None and handover.site is self.site:
            # It is from our own layer. It is removed, so that a view can call the app again with a copy of the environ.
            del environ[HANDOVER]
            setattr(req, _OUTER, handover)
            if handover.facts == facts:
                decision = handover.decision
        else:
            setattr(req, _OUTER, claim(environ, facts.origin))
        if decision is None:
            decision = self.decide(facts, req)
            if decision.reason is Reason.CROSS_SITE and is_static(self.app, req.endpoint):
                decision = self.decide(facts._replace(embeddable=True), req)
            self.report(facts, decision, environ, partial(self.choose, facts, req))
        setattr(req, _DECISION, decision)
        if decision.final:
            return answer(decision)
        self.views.check()
        if facts.path in self.metadata.bodies and facts.method in ("GET", "HEAD"):
            return metadata_response(self.metadata.body_for(facts.path, req.host))
        # A blueprint may bring guards of another MCPCors object, which has registered no hook in this app.
        return self.check_guards() if self.views.exist() and not self._has_guard_hook() else None

    def register_guard_hook(self) -> None:
        """Register :meth:`check_guards`. An app without protected views does without it."""
        if not self._has_guard_hook():
            self.app.before_request_funcs[None].append(self.check_guards)

    def _has_guard_hook(self) -> bool:
        return self.check_guards in self.app.before_request_funcs[None]

    def check_guards(self) -> Response | None:
        """``before_request``: verify the credential if the view or its blueprint is protected."""
        req = _current_request()
        if req.endpoint is None:
            return None
        for guard in self.views.find(req.endpoint, req.method).guards:
            refusal = guard.check(req)
            if refusal is not None:
                return refusal
        return None

    def explain_exception(self, sender: Flask, exception: BaseException, **extra: Any) -> None:
        """``got_request_exception``: log a cause that the browser's console does not show."""
        decision: Decision | None = getattr(_current_request(), _DECISION, None)
        if decision is not None and decision.final:
            # Only after_request functions have run, and one of them needs a before_request function that has not.
            log.error(
                "%s after a preflight was answered or a request refused: no before_request function has run, so an "
                "after_request function must read flask.g with g.get(…); or set wrap_wsgi=True",
                type(exception).__name__,
            )
        elif "Origin" in request.headers and (sender.debug or sender.config["PROPAGATE_EXCEPTIONS"]):
            # The debugger or the server makes the response, without our headers.
            log.error(
                "%s in the application: this is not CORS: see the traceback above or below, "
                "although the browser's console blames CORS",
                type(exception).__name__,
            )


def _current_request() -> Request:
    """The request itself. Each attribute read through the proxy costs 1.2 µs, each read from the object 0.05 µs."""
    req: Request = request._get_current_object()  # type: ignore[attr-defined]  # declared as the Request itself
    return req


def answer(decision: Decision) -> Response:
    """The response for a final decision. ``after_request`` adds the headers; adding them here too would cost 7 µs."""
    return _FinalResponse(decision.body or None, decision.status)


def put(decision: Decision, headers: Headers) -> None:
    """Put a decision's headers into those of a response.

    Werkzeug would check each value again, which costs as much as the whole decision, and all are known to be valid. So
    this uses the private list of :class:`~werkzeug.datastructures.Headers`, or public methods if there is no such list.
    """
    stored = getattr(headers, "_list", None)
    if type(stored) is list:
        stored[:] = decision.apply(stored)
    else:
        headers[:] = decision.apply(headers)


def _make_before_request(state: AppState) -> Callable[[], Response | None]:
    views, documents = state.views, state.metadata.bodies
    passing, answering = state.site.passing.get, state.site.answering.get
    around = AROUND.get

    def before_request() -> Response | None:
        """``before_request``, first: answer preflights, refuse foreign requests, serve public metadata."""
        req = _current_request()
        environ = req.environ
        values = tuple(map(environ.get, KEY))
        decision = passing(values) or answering(values)
        if (
            decision is None
            or decision.reported
            or HANDOVER in environ
            or around() is not None
            or len(views.functions) != views.unmarked
            or req.method != environ["REQUEST_METHOD"]
            or req.path in documents
        ):
            return state.judge(req, make_facts(values, req.path))
        req._mcp_cors_decision = decision  # type: ignore[attr-defined]  # quicker than setattr with a constant
        if decision.final:
            facts = make_facts(values, req.path)
            state.report(facts, decision, environ, partial(state.choose, facts, req))
            return answer(decision)
        return None

    return before_request


def _make_after_request(state: AppState) -> Callable[[Response], Response]:
    def after_request(response: Response) -> Response:
        """``after_request``, last: put the decision's headers into the response."""
        req = _current_request()
        decision: Decision | None = getattr(req, _DECISION, None)
        if decision is None:
            # Something failed before the first hook, for example opening the session. The response gets the CORS
            # headers, so that the page can read the error; it is not refused.
            decision = state.decide(read_facts(req.environ, req.path), req)._replace(final=False)
        outer: Handover | None = getattr(req, _OUTER, None)
        if outer is not None:
            outer.tell(state.site, decision)
            if outer.site is state.site:
                return response  # the layer puts them in
        put(decision, response.headers)
        return response

    return after_request
