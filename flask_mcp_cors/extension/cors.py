"""MCPCors: the public class of the Flask extension. What happens for each request is in ``gate.py``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import cast
from typing import TypeVar
from typing import Unpack

from flask import Blueprint
from flask import Flask
from flask import got_request_exception
from flask import has_request_context
from werkzeug.local import LocalProxy

from ..auth.guards import Guard
from ..auth.guards import guarded
from ..auth.guards import Verify
from ..auth.metadata import make_document
from ..auth.metadata import ResourceMetadata
from ..auth.metadata import serve
from ..configure import configure
from ..core.policy import CORSPolicy
from ..core.problems import PolicyError
from ..core.problems import PolicyProblem
from ..core.settings import check_words
from ..core.settings import EXTENSION_SETTINGS
from ..core.settings import POLICY_SETTINGS
from ..core.settings import PolicySettings
from ..core.site_settings import ExtensionSettings
from .gate import AppState
from .layer import check_proxy_fix
from .layer import wrap
from .marks import can_be_marked
from .marks import GuardMark
from .marks import leave
from .marks import Mark
from .marks import MarkedViews
from .marks import PolicyMark
from .marks import Registry

V = TypeVar("V")

_NO_TARGET: Any = object()


class MCPCors:
    """CORS, Origin validation and security headers for a Flask MCP server.

    Initialise it on an app, before or after other extensions. It registers:

    - a ``before_request`` function that runs before all others, whenever they are registered: it answers
      CORS-preflight requests, refuses foreign origins and hosts, and serves the documents of
      :meth:`serve_resource_metadata`;
    - once :meth:`protected` is used, a second ``before_request`` function that enforces it: it runs after the
      functions that are registered at that time, so that a rate limit counts failed attempts;
    - an ``after_request`` function that runs last and adds the headers to every response;
    - with ``wrap_wsgi=True``, a layer around ``app.wsgi_app``.

    Settings are read once, in :meth:`init_app`. A keyword overrides ``MCP_CORS_*`` in ``app.config``, which
    overrides *policy*, which overrides the default. Later changes of ``app.config`` have no effect. One object
    may serve several apps; each app has its own state in ``app.extensions["mcp_cors"]``.

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
        self._policy = policy
        self._settings: dict[str, Any] = dict(settings)
        self._marks = Registry()
        #: The marks that no route has so far, and those of them that the log has already named.
        self._made, self._warned_of = self._marks.made, self._marks.warned_of
        if app is not None:
            self.init_app(app)
        elif problems := check_words(settings, EXTENSION_SETTINGS):
            raise PolicyError(problems)

    def init_app(self, app: Flask, policy: CORSPolicy | None = None, **settings: Unpack[ExtensionSettings]) -> None:
        """Initialise one app. *policy* and *settings* override those of the constructor.

        If this fails, the app is unchanged: everything that can fail comes first.

        :raises PolicyError: naming every fault of the configuration at once.
        :raises RuntimeError: if the app has been initialised already.
        :raises TypeError: if *app* is not a Flask app; the message says what to write instead.
        """
        app = _flask_app(app)
        if "mcp_cors" in app.extensions:
            raise RuntimeError(
                f"MCPCors is initialised on this app ({app.name!r}) already: create it once, with or without init_app"
            )
        keywords = {**self._settings, **settings}
        configured = configure(EXTENSION_SETTINGS, policy or self._policy, keywords, app.config)
        if configured.wrap_wsgi:
            check_proxy_fix(app)
        views = MarkedViews(app, configured.site.default, self._marks)
        _check_marks(self._made, configured.site.default)
        state = AppState(app, configured, views, ResourceMetadata())

        # This makes Flask raise if the app has already handled a request.
        app.before_request(state.before_request)
        app.before_request_funcs[None].pop()
        if not configured.wrap_wsgi or any(map(callable, configured.site.policies.values())):
            state.register_hooks()
        got_request_exception.connect(state.explain_exception, app)
        app.extensions["mcp_cors"] = state
        self._marks.begin(app, views)
        if self._marks.has_guards:
            state.register_guard_hook()
        if configured.wrap_wsgi:
            wrap(state)
        configured.announce(f"MCPCors on {app.name!r}")

    # marks

    def policy(self, policy: CORSPolicy | None = None, **settings: Unpack[PolicySettings]) -> Callable[[V], V]:
        """Give a view or a blueprint another policy: *policy*, or the app's default, changed by *settings*.

        This decorator returns the view itself, with a mark on it. It works above and below ``@app.route``, on
        functions, on ``async`` functions, on ``MethodView`` classes and their methods, and on a
        :class:`~flask.Blueprint` that it is called with. A view's mark overrides its blueprint's, and an inner
        blueprint's mark overrides the outer one's. The mark is a property of the view: it applies in every app
        that has the view.

        :raises PolicyError: naming every fault at once; when the app is initialised at the latest.
        :raises TypeError: for anything but a view or a blueprint. Also for a bound method or an object with slots,
            on which no mark can be left: name its path in ``policies``.

        >>> cors = MCPCors()
        >>> @cors.policy(origins="*", max_age=600)
        ... def status():
        ...     return "ok"
        """
        if policy is not None and not isinstance(policy, CORSPolicy):
            raise TypeError("cors.policy(…) takes a CORSPolicy or settings: write @cors.policy(origins=[…])")
        if policy is None and not settings:
            raise TypeError("cors.policy(…) needs a CORSPolicy or settings: write @cors.policy(origins=[…])")
        if problems := check_words(settings, POLICY_SETTINGS):
            raise PolicyError(problems)
        return self._marker(policy, dict(settings), is_exempt=False)

    def exempt(self, target: V = _NO_TARGET, /) -> V:
        """Exempt a view or a blueprint: no CORS headers, no preflight answer, no Origin validation.

        ``hosts`` still applies. It works on the same targets as :meth:`policy`.

        >>> cors = MCPCors()
        >>> @cors.exempt
        ... def health():
        ...     return "ok"
        """
        if target is _NO_TARGET:
            raise TypeError("cors.exempt takes the view or the blueprint: write @cors.exempt, without parentheses")
        return self._marker(None, {}, is_exempt=True)(target)

    def _marker(self, policy: CORSPolicy | None, settings: dict[str, Any], *, is_exempt: bool) -> Callable[[V], V]:
        def mark(target: V) -> V:
            if isinstance(target, Flask) or not (callable(target) or isinstance(target, Blueprint)):
                raise TypeError(f"cors.policy and cors.exempt mark views and blueprints, not {target!r}")
            if not can_be_marked(target):
                raise TypeError(
                    f"{target!r} cannot be marked, because it is a bound method or an object with slots: "
                    'mark the function itself, or set policies={"/path": …}'
                )
            made = PolicyMark(target, policy, settings, is_exempt)
            for state in self._states():
                made.resolve(state.site.default)
            if not self._marks.apps and policy is not None:
                made.resolve(policy)
            if has_request_context():
                # A mark that is made during a request is not kept in the registry, which would grow without end.
                leave(made, on_wrapped=False)
            else:
                leave(made)
                self._marks.add(made)
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

        The order of decorators does not matter: the decorator wraps the view, and it leaves a mark that the
        extension enforces before the view runs, also for ``OPTIONS`` requests. A CORS-preflight request never
        reaches *verify*. On a ``MethodView``, write it into ``decorators``. It may also be called on a
        :class:`~flask.Blueprint`.

        A guard must be found on a route. If no route has it, and its target may hide a view (an object, a
        partial, a bound method, a closure), the app is closed. Then every request but a preflight is a 500, with a
        ``RuntimeError`` that says what to write. If the target is a plain function of a module, there is only a
        warning, because such a view was probably left unregistered on purpose. A guard that is made while a
        request is handled (``method_decorators`` of Flask-RESTful) only wraps the view.

        Missing credentials get 401. Wrong credentials get 401 with ``error="invalid_token"``. Credentials with
        too few scopes get 403 with ``error="insufficient_scope"`` (RFC 6750, section 3.1).

        :param verify: takes a :class:`werkzeug.datastructures.Authorization`, returns the caller's
            identity or ``None``; may be ``async``. It is called only for a request with exactly one well-formed
            ASCII credential of a listed scheme. Compare secrets with :func:`hmac.compare_digest`. An exception
            in it is a 500. The identity is stored in ``flask.g.mcp_identity``.
        :param scopes: the scopes that the identity's ``scopes`` (attribute or key, a list or a string) must
            contain.
        :param schemes: the accepted authentication schemes.
        :param realm: the realm of the challenge; by default the app's name.
        :param api_key_header: a header that may carry an API key instead; *verify* gets it as
            ``Authorization("apikey", token=…)``.
        :raises ValueError: for a scheme, scope or realm that a challenge cannot contain.

        >>> import hmac
        >>> cors = MCPCors()
        >>> @cors.protected(lambda credential: hmac.compare_digest(credential.token or "", "s3cret") or None)
        ... def tools():
        ...     return "ok"
        """
        guard = Guard(verify, scopes=scopes, schemes=schemes, realm=realm, api_key_header=api_key_header)

        if not has_request_context():
            self._marks.unapplied.append(guard)

        # Positional only: if it becomes a view by mistake (no parentheses), a URL variable must not be its target.
        def protect(target: V, /) -> V:
            protected: Any = target
            if isinstance(target, type):
                raise TypeError(
                    f"cors.protected cannot wrap the class {target.__name__}; "
                    "write decorators = [cors.protected(…)] in it"
                )
            if not isinstance(target, Blueprint):
                if isinstance(target, Flask) or not callable(target):
                    raise TypeError(f"cors.protected guards views and blueprints, not {target!r}")
                protected = guarded(target, guard)
            if not has_request_context():
                mark = GuardMark(protected, guard)
                leave(mark)
                self._marks.add(mark)
                for state in self._states():
                    state.register_guard_hook()
            return cast(V, protected)

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

        The document is served at the path that the RFC derives from *resource*. The first document is also
        served at ``/.well-known/oauth-protected-resource`` itself. The documents are public, whatever hooks the
        app has. A challenge of :meth:`protected` names the document of the resource whose path is the longest
        prefix of the request's path. Call this method once for each resource, after :meth:`init_app`.

        :param resource: the URL of the MCP endpoint, as clients know it.
        :param authorization_servers: issuer URLs.
        :param scopes_supported: the scopes that clients may ask for.
        :param more: further members of the document.
        :raises ValueError: if *resource* is not a valid resource identifier.
        :raises RuntimeError: if the app is not initialised.

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
        state.register_hooks()
        serve(app, state.metadata, make_document(resource, authorization_servers, scopes_supported, **more))

    def _states(self) -> list[AppState]:
        return [app.extensions["mcp_cors"] for app in self._marks.apps]


def _flask_app(app: Any) -> Flask:
    """The Flask app itself. ``current_app`` is a proxy, but on some cloud platforms it is all that is available."""
    if isinstance(app, LocalProxy):
        app = app._get_current_object()
    if isinstance(app, Flask):
        return app
    if isinstance(app, Blueprint):
        raise TypeError(
            f"MCPCors takes a Flask app, not {app!r}: to give a blueprint a policy, write cors.policy(…)(blueprint)"
        )
    advice = "write CORSMiddleware(app, …) around another WSGI app, flask_mcp_cors.asgi.CORSMiddleware for ASGI"
    if hasattr(app, "add_middleware"):  # Starlette, FastAPI, connexion
        advice = "write app.add_middleware(flask_mcp_cors.asgi.CORSMiddleware, …)"
    else:
        for name in ("server", "app"):  # Dash, Flask-RESTX and others keep the Flask app there
            if isinstance(getattr(app, name, None), Flask):
                advice = f"write MCPCors(x.{name}, …), where x is this object"
    raise TypeError(f"MCPCors takes a Flask app, not {app!r:.80}: {advice}")


def _check_marks(marks: Iterable[Mark], default: CORSPolicy) -> None:
    """Resolve every policy mark once, so that a mark with wrong settings is an error at start."""
    problems: list[PolicyProblem] = []
    for mark in marks:
        try:
            if isinstance(mark, PolicyMark):
                mark.resolve(default)
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
