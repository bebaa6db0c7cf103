"""The hooks: what the extension keeps of one app, and what Flask calls for each request."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
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
from .routing import patterns_without_routes
from .routing import takes_well_known_part
from .routing import url_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Attributes of a request object. The environ may be handed on to other apps, a request object belongs to one.
_DECISION = "_mcp_cors_decision"
_OUTER = "_mcp_cors_outer"


class _FinalResponse(Response):
    """A response that is exactly the decision: an empty body has no ``Content-Type``."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        if self.response or self.status_code == 204:
            return super().get_wsgi_headers(environ)
        # Werkzeug copies all headers to correct some. An empty answer needs no correction, and the copy
        # would cost an eighth of the time that a preflight takes.
        self.headers["Content-Length"] = "0"
        return self.headers


class AppState:
    """What the extension keeps of one app, in ``app.extensions["mcp_cors"]``. Made once by ``init_app``."""

    def __init__(self, app: Flask, configured: Configured, views: MarkedViews, metadata: ResourceMetadata) -> None:
        self.app = app
        self.configured = configured
        self.views = views
        self.metadata = metadata
        #: The two hooks that every request calls. Functions, because Flask calls them faster than methods.
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
            # Nobody answers it, so it goes on as any other OPTIONS request, perhaps to another view.
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
        """The policy for a request: the view's mark, its blueprint's, the path's, the default."""
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
        """Tell the log and the signals of a decision."""
        report(self.app, facts, decision, environ, self._in_force, choose, debug=self.app.debug)

    # hooks

    def register_hooks(self) -> None:
        """Register the hooks, the first before all others and the last after them, unless they are there.

        New lists take the place of the old ones, because a request may be going through these.
        """
        with self._lock:
            if self.has_hooks:
                return
            before, after = self.app.before_request_funcs, self.app.after_request_funcs
            before[None] = [self.before_request, *before[None]]
            after[None] = [self.after_request, *after[None]]  # called from the end to the beginning
            self.has_hooks = True

    def check_patterns(self) -> None:
        """At the first request, when all routes are there: warn of patterns that govern nothing."""
        if self._has_checked_patterns:
            return
        self._has_checked_patterns = True
        site = self.site
        for unused in patterns_without_routes(self.app, site.paths, site.policies):
            log.warning(
                "%s, so it covers nothing: correct it (* is one segment, ** any number of them); for an app that is "
                "mounted below a prefix, write the path without the prefix",
                unused,
            )

    def judge(self, req: Request, facts: Facts) -> Response | None:
        """Decide on a request, and the response where that is already one."""
        environ = req.environ
        self.check_patterns()
        if req.method != facts.method and req.method != facts.method.upper() and not facts.is_preflight:
            # A request class of the app's own overrides the method, and a MethodView goes by that.
            facts = facts._replace(method=req.method, request_method=None)
        decision: Decision | None = None
        handover: Handover | None = environ.get(HANDOVER)
        if handover is not None and handover.site is self.site:
            # The layer's. A request that this view hands on to the app again comes with a copy that has none.
            handover.is_open = False
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
        # Guards of another MCPCors object, on a blueprint from elsewhere, have registered no hook here.
        return self.check_guards() if self.views.exist() and not self._has_guard_hook() else None

    def register_guard_hook(self) -> None:
        """Register :meth:`check_guards`, which an app without protected views need not pay for."""
        if not self._has_guard_hook():
            self.app.before_request_funcs[None].append(self.check_guards)

    def _has_guard_hook(self) -> bool:
        return self.check_guards in self.app.before_request_funcs[None]

    def check_guards(self) -> Response | None:
        """``before_request``: verify the credential where the view or its blueprint is protected."""
        req = _current_request()
        if req.endpoint is None:
            return None
        for guard in self.views.find(req.endpoint, req.method).guards:
            refusal = guard.check(req)
            if refusal is not None:
                return refusal
        return None

    def explain_exception(self, sender: Flask, exception: BaseException, **extra: Any) -> None:
        """``got_request_exception``: say what no header can say."""
        decision: Decision | None = getattr(_current_request(), _DECISION, None)
        if decision is not None and decision.final:
            # Only after_request functions run on it, and one that counts on a before_request function fails.
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
    """The request itself: every attribute read through the proxy costs 1.2 µs, read from here 0.05."""
    req: Request = request._get_current_object()  # type: ignore[attr-defined]  # declared as the Request itself
    return req


def answer(decision: Decision) -> Response:
    """The response that is a final decision. ``after_request`` adds the headers: to put them in twice costs 7 µs."""
    return _FinalResponse(decision.body or None, decision.status)


def append(headers: Headers, pairs: Iterable[tuple[str, str]]) -> None:
    """Append headers that are known to be valid.

    Werkzeug checks each value again, which costs as much as all the rest of a decision, so this reaches
    for the list behind :class:`~werkzeug.datastructures.Headers`, and for its public method where there is none.
    """
    stored = getattr(headers, "_list", None)
    if type(stored) is list:
        stored += pairs
    else:
        headers.extend(pairs)


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
            or views.exist()
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
            # Something failed before the first hook: opening the session, for example. The page should be
            # able to read the error, so it gets the headers, and no refusal.
            decision = state.decide(read_facts(req.environ, req.path), req)._replace(final=False)
        outer: Handover | None = getattr(req, _OUTER, None)
        if outer is not None:
            outer.tell(state.site, decision)
            if outer.site is state.site:
                return response  # the layer puts them in
        headers = response.headers
        if decision.fits(headers):
            append(headers, decision.headers)
        else:
            headers[:] = decision.apply(headers)
        return response

    return after_request
