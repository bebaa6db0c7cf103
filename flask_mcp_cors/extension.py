"""MCPCors: the Flask extension.

It registers one ``before_request`` function that comes first, one for guards, and one
``after_request`` function that comes last. All of them only translate: the decision is the core's.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import cast
from typing import TYPE_CHECKING
from typing import TypeVar
from typing import Unpack
from weakref import WeakSet

from flask import Blueprint
from flask import Flask
from flask import got_request_exception
from flask import request
from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from .configure import configure
from .configure import Configured
from .core.decision import Decision
from .core.decision import Reason
from .core.policy import CORSPolicy
from .core.settings import check_words
from .core.settings import EXTENSION_SETTINGS
from .core.settings import ExtensionSettings
from .core.settings import POLICY_SETTINGS
from .core.settings import PolicyError
from .core.settings import PolicySettings
from .core.site import Choice
from .core.site import Facts
from .core.site import Site
from .exchange import current_exchange
from .exchange import EXCHANGE
from .exchange import Exchange
from .exchange import facts_from_environ
from .exchange import settle
from .marks import describe
from .marks import mark_policy
from .marks import MarkedViews
from .marks import PolicyMark
from .middleware import CORSMiddleware
from .protect import Guard
from .protect import guard_view
from .protect import make_document
from .protect import metadata_response
from .protect import ResourceMetadata
from .protect import serve
from .protect import Verify
from .reporting import log
from .reporting import report

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Request

V = TypeVar("V")
View = Callable[..., Any]


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
                endpoint = _announced_endpoint(_url_adapter(self.app, req), facts.request_method)
                method = facts.request_method or ""
            else:
                endpoint, method = req.endpoint, facts.method
            if endpoint is not None:
                found = views.find(endpoint, method)
                if found.choice is not None:
                    return found.choice
        return self.configured.site.choose(facts.path)

    # hooks

    def gate(self) -> Response | None:
        """``before_request``, first: answer preflights, refuse foreign requests, serve public metadata."""
        req = _current_request()
        environ = req.environ
        facts = facts_from_environ(environ, req.path)
        if facts.origin is None and facts.fetch_site is not None and _is_static(self.app, req.endpoint):
            facts = facts._replace(embeddable=True)
        decision = settle(self.configured.site, self.choose(facts, req), facts, lambda: req)
        current_exchange(environ).decision = decision
        if decision.final or decision.reported:
            report(self.app, facts, decision, environ, debug=self.app.debug)
        if decision.final:
            # A preflight's headers are left to ``finish``: putting them in twice costs 7 µs.
            headers = list(decision.headers) if decision.body else None
            return _FinalResponse(decision.body or None, decision.status, headers)
        if facts.path in self.metadata.bodies and facts.method in ("GET", "HEAD"):
            return metadata_response(self.metadata.bodies[facts.path])
        return None

    def guard(self) -> Response | None:
        """``before_request``: verify the credential where the view or its blueprint is protected."""
        if not self.views.exist():
            return None
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
            # Something failed before the first hook: no session, say. The error is to be readable.
            facts = facts_from_environ(req.environ, req.path)
            decision = settle(self.site, self.choose(facts, req), facts, lambda: req)
        response.headers[:] = decision.apply(response.headers)
        return response

    def explain_exception(self, sender: Flask, exception: BaseException, **extra: Any) -> None:
        """``got_request_exception``: in debug mode no header can reach the debugger's page, so say so."""
        exchange: Exchange | None = request.environ.get(EXCHANGE)
        if sender.debug and exchange is not None and exchange.decision is not None and "Origin" in request.headers:
            log.error(
                "%s in the application: whatever the browser's console says, "
                "this is not CORS: see the traceback above or right below",
                type(exception).__name__,
            )


def _current_request() -> Request:
    """The request itself: every attribute read through the proxy costs 1.2 µs, read from here 0.05."""
    req: Request = request._get_current_object()  # type: ignore[attr-defined]
    return req


def _url_adapter(app: Flask, req: Request) -> MapAdapter | None:
    """What routes this request; ``None`` where Flask does not trust its ``Host``."""
    try:
        return app.create_url_adapter(req)
    except HTTPException:
        return None


def _announced_endpoint(adapter: MapAdapter | None, method: str | None) -> str | None:
    """The endpoint that a preflight's announced method would reach, if any."""
    try:
        return None if adapter is None else cast(str, adapter.match(method=method)[0])
    except HTTPException:
        return None


def _is_static(app: Flask, endpoint: str | None) -> bool:
    """Is this the endpoint of static files, of the app or of a blueprint?"""
    if endpoint == "static":
        return app.has_static_folder
    name, _, last = (endpoint or "").rpartition(".")
    return last == "static" and name in app.blueprints and app.blueprints[name].has_static_folder


class _FlaskLayer(CORSMiddleware):
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
        # The path's policy may be stricter than the one that a mark gives to the view.
        if not decision.final or decision.status == 421:
            return None
        by_host = decision.reason is Reason.ORIGIN_NOT_ALLOWED and facts.fetch_site is None
        if not by_host or facts.is_preflight:
            return decision
        # Where no view has a policy of its own the hook could only say the same of a page that cannot
        # be the site's own, and what is mounted beside Flask has no hook.
        is_certain = not self._state.views.exist() and not self._site.has_host_of_its_own(facts.origin)
        return decision if is_certain else None

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        decision = super()._decide(environ, facts)
        if decision.reason is Reason.CROSS_SITE:
            endpoint = _announced_endpoint(self._adapter(environ, facts), facts.method)
            if _is_static(self._state.app, endpoint):
                return super()._decide(environ, facts._replace(embeddable=True))
        return decision

    def _choose(self, environ: WSGIEnvironment, facts: Facts) -> Choice:
        state = self._state
        if not state.views.exist():
            return self._site.choose(facts.path)
        method = facts.request_method if facts.is_preflight else facts.method
        endpoint = _announced_endpoint(self._adapter(environ, facts), method)
        found = None if endpoint is None else state.views.find(endpoint, method or "").choice
        return found or self._site.choose(facts.path)

    def _adapter(self, environ: WSGIEnvironment, facts: Facts) -> MapAdapter | None:
        app = self._state.app
        if app.subdomain_matching or app.url_map.host_matching:
            return _url_adapter(app, app.request_class(environ))
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


class MCPCors:
    """CORS, Origin validation and security headers for a Flask MCP server.

    Initialise it on an app, in any order with other extensions. What it registers:

    - a ``before_request`` function that comes first, whatever is registered before or after: it
      answers CORS-preflight requests, refuses foreign origins and hosts, and serves the documents of
      :meth:`serve_resource_metadata`;
    - a ``before_request`` function that enforces :meth:`protected`;
    - an ``after_request`` function that comes last and adds the headers to every response;
    - with ``wrap_wsgi=True`` a layer around ``app.wsgi_app``.

    Settings are read once, in :meth:`init_app`: keywords, then ``MCP_CORS_*`` in ``app.config``, then
    *policy*, then the defaults. Later changes of ``app.config`` have no effect. One object may serve
    several apps; each keeps its own state in ``app.extensions["mcp_cors"]``.

    :param app: the app, or ``None`` to call :meth:`init_app` later.
    :param policy: the default policy.
    :param settings: every setting of :class:`CORSPolicy`, and ``hosts``, ``paths``, ``policies``,
        ``wrap_wsgi``.
    :raises PolicyError: naming every fault of the configuration at once.

    >>> from flask import Flask
    >>> app = Flask("tools")
    >>> cors = MCPCors(app, origins="https://app.example.com", hosts="mcp.example.com")
    >>> answer = app.test_client().options(
    ...     "/mcp",
    ...     base_url="https://mcp.example.com",
    ...     headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
    ... )
    >>> answer.status_code, answer.headers["Access-Control-Allow-Origin"]
    (200, 'https://app.example.com')
    """

    def __init__(
        self, app: Flask | None = None, policy: CORSPolicy | None = None, **settings: Unpack[ExtensionSettings]
    ) -> None:
        problems = check_words(settings, EXTENSION_SETTINGS)
        if problems:
            raise PolicyError(problems)
        self._policy = policy
        self._settings = settings
        # The states are in the apps: kept here, they would keep their apps alive.
        self._apps: WeakSet[Flask] = WeakSet()
        #: Marks and guards made through this object, with the name of what they are on.
        self._made: list[tuple[PolicyMark | Guard, str]] = []
        self._warned_of: list[tuple[PolicyMark | Guard, str]] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, policy: CORSPolicy | None = None, **settings: Unpack[ExtensionSettings]) -> None:
        """Initialise one app. *policy* and *settings* go over those of the constructor.

        Everything that can fail comes first, so that a failure leaves the app as it was.

        :raises PolicyError: naming every fault of the configuration at once.
        :raises RuntimeError: where the app has been initialised already.
        """
        if "mcp_cors" in app.extensions:
            raise RuntimeError(
                f"MCPCors is initialised on this app ({app.name!r}) already: create it once, with or without init_app"
            )
        keywords = {**self._settings, **settings}
        configured = configure(EXTENSION_SETTINGS, policy or self._policy, keywords, app.config)
        views = MarkedViews(app, configured.site.default, self.warn_of_unused_marks)
        for mark, _ in self._made:
            if isinstance(mark, PolicyMark):
                mark.resolve(configured.site.default)
        state = AppState(app, self, configured, views, ResourceMetadata())

        app.before_request(state.gate)
        first = app.before_request_funcs[None]
        first.insert(0, first.pop())
        app.before_request(state.guard)
        app.after_request(state.finish)
        last = app.after_request_funcs[None]  # called from the end to the beginning
        last.insert(0, last.pop())
        got_request_exception.connect(state.explain_exception, app)
        app.extensions["mcp_cors"] = state
        self._apps.add(app)
        if configured.wrap_wsgi:
            app.wsgi_app = _FlaskLayer(state)  # type: ignore[method-assign]
        configured.announce(f"MCPCors on {app.name!r}")

    # marks

    def policy(self, policy: CORSPolicy | None = None, **settings: Unpack[PolicySettings]) -> Callable[[V], V]:
        """Another policy for a view or a blueprint: *settings* over *policy*, or over the app's default.

        A mark, not a wrapper: it works above and below ``@app.route``, on functions, ``async`` ones,
        ``MethodView`` classes and their methods, and called on a :class:`~flask.Blueprint`. A view's
        own mark beats its blueprint's, an inner blueprint's the outer one's.

        :raises PolicyError: naming every fault at once; at the latest when the app is initialised.

        >>> cors = MCPCors()
        >>> @cors.policy(origins="*", max_age=600)
        ... def status():
        ...     return "ok"
        """
        problems = check_words(settings, POLICY_SETTINGS)
        if problems:
            raise PolicyError(problems)
        if policy is not None and not isinstance(policy, CORSPolicy):
            raise TypeError("cors.policy(…) takes a CORSPolicy or settings: write @cors.policy(origins=[…])")
        return self._marker(policy, dict(settings), exempt=False)

    def exempt(self, target: V) -> V:
        """No policy for a view or a blueprint: no CORS headers, no preflight answer, no Origin validation.

        ``hosts`` still applies. Takes what :meth:`policy` takes.

        >>> cors = MCPCors()
        >>> @cors.exempt
        ... def health():
        ...     return "ok"
        """
        return self._marker(None, {}, exempt=True)(target)

    def _marker(self, policy: CORSPolicy | None, settings: dict[str, Any], *, exempt: bool) -> Callable[[V], V]:
        def mark(target: V) -> V:
            if not (callable(target) or isinstance(target, Blueprint)):
                raise TypeError(f"cors.policy and cors.exempt mark views and blueprints, not {target!r}")
            made = PolicyMark(describe(target), policy, settings, exempt=exempt)
            for state in self._states():
                made.resolve(state.site.default)
            if not self._apps and policy is not None:
                made.resolve(policy)
            mark_policy(target, made)
            self._made.append((made, made.target))
            return target

        return mark

    def protected(
        self,
        verify: Verify,
        *,
        scopes: Iterable[str] = (),
        schemes: Iterable[str] = ("Bearer",),
        realm: str | None = None,
        api_key_header: str | None = None,
    ) -> Callable[[V], V]:
        """Let only verified callers reach a view.

        It guards whatever the order of decorators: the view is wrapped, and a mark is left that the
        extension enforces before the view, ``OPTIONS`` requests included. A CORS-preflight request never
        reaches *verify*. On a ``MethodView`` write it into ``decorators``; it may also be called on a
        :class:`~flask.Blueprint`.

        Missing credentials are answered with 401, wrong ones with 401 and ``error="invalid_token"``, too
        few scopes with 403 and ``error="insufficient_scope"`` (RFC 6750, section 3.1).

        :param verify: takes a :class:`werkzeug.datastructures.Authorization`, returns the caller's
            identity or ``None``, plainly or as a coroutine. Only one well-formed ASCII credential of a
            listed scheme reaches it. Compare secrets with :func:`hmac.compare_digest`. An exception in it
            is a 500. The identity lands in ``flask.g.mcp_identity``.
        :param scopes: what the identity's ``scopes`` (attribute or key, a list or a string) must hold.
        :param schemes: the authentication schemes that count.
        :param realm: of the challenge; the app's name by default.
        :param api_key_header: a header that may carry an API key instead; *verify* gets it as
            ``Authorization("apikey", token=…)``.
        :raises ValueError: for a name that cannot stand in a challenge.

        >>> import hmac
        >>> cors = MCPCors()
        >>> @cors.protected(lambda credential: hmac.compare_digest(credential.token or "", "s3cret") or None)
        ... def tools():
        ...     return "ok"
        """
        guard = Guard(verify, scopes=scopes, schemes=schemes, realm=realm, api_key_header=api_key_header)

        def protect(target: V) -> V:
            self._made.append((guard, describe(target)))
            return guard_view(target, guard)

        return protect

    def serve_resource_metadata(
        self,
        app: Flask,
        *,
        resource: str,
        authorization_servers: Iterable[str] = (),
        scopes_supported: Iterable[str] = (),
        **more: Any,
    ) -> None:
        """Serve the protected resource metadata of RFC 9728, so that a browser client finds where to log in.

        The document is at the path that the RFC derives from *resource*, the first one also at the bare
        ``/.well-known/oauth-protected-resource``. It is public whatever hooks the app has. Challenges of
        :meth:`protected` name the document of the resource whose path is the longest prefix of the
        request's. Call it once for each resource, after :meth:`init_app`.

        :param resource: the URL of the MCP endpoint, as clients know it.
        :param authorization_servers: issuer URLs.
        :param scopes_supported: scopes that make sense to ask for.
        :param more: further members of the document.
        :raises ValueError: for a URL that is no resource identifier.
        :raises RuntimeError: where the app is not initialised.

        >>> from flask import Flask
        >>> app = Flask("tools")
        >>> cors = MCPCors(app, origins="https://app.example.com", hosts="mcp.example.com")
        >>> cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
        >>> path = "/.well-known/oauth-protected-resource/mcp"
        >>> app.test_client().get(path, base_url="https://mcp.example.com").json["resource"]
        'https://mcp.example.com/mcp'
        """
        state = app.extensions.get("mcp_cors")
        if not isinstance(state, AppState):
            raise RuntimeError("serve_resource_metadata: MCPCors is not initialised on this app; call init_app first")
        serve(app, state.metadata, make_document(resource, authorization_servers, scopes_supported, **more))

    def _states(self) -> list[AppState]:
        return [app.extensions["mcp_cors"] for app in self._apps]

    def unused_marks(self) -> list[tuple[PolicyMark | Guard, str]]:
        """The marks of this object that no route of its apps carries, and what each was left on."""
        carried: set[object] = set()
        for state in self._states():
            carried |= state.views.carried()
        return [made for made in self._made if made[0] not in carried]

    def warn_of_unused_marks(self) -> None:
        """Log a warning for each mark of this object that no route of its apps carries."""
        for made in self.unused_marks():
            if made in self._warned_of:
                continue
            self._warned_of.append(made)  # said once
            mark, target = made
            word = "cors.protected" if isinstance(mark, Guard) else "cors.policy or cors.exempt"
            log.warning(
                "no route carries the mark that %s left on %s: put it directly above or below the route's "
                "decorator, and use functools.wraps in the decorators in between",
                word,
                target,
            )
