"""CORSMiddleware: the same policy and the same decisions around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from functools import cached_property
from functools import partial
from types import TracebackType
from typing import Any
from typing import TYPE_CHECKING
from typing import Unpack

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Request
from werkzeug.wsgi import ClosingIterator

from .configure import configure
from .core.decision import Decision
from .core.decision import Reason
from .core.policy import CORSPolicy
from .core.settings import SITE_SETTINGS
from .core.settings import SiteSettings
from .core.site import Choice
from .core.site import Facts
from .exchange import current_exchange
from .exchange import EXCHANGE
from .exchange import Exchange
from .exchange import facts_from_environ
from .exchange import routed_path
from .exchange import settle
from .extension.gate import AppState
from .extension.routing import endpoint_outside
from .extension.routing import flask_app_in
from .extension.routing import is_static
from .reporting import report

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from werkzeug.routing import MapAdapter


class CORSMiddleware:
    """Wrap any WSGI application in a policy.

    CORS-preflight requests are answered before the application sees them, foreign origins are
    refused, and every response on a governed path gets the headers, whoever made it. Around a Flask
    app that uses :class:`MCPCors` write ``wrap_wsgi=True`` there instead: then views and blueprints
    keep policies of their own.

    The ``Host`` and the scheme are taken as they arrive, so werkzeug's ``ProxyFix`` goes outside:
    ``ProxyFix(CORSMiddleware(app, …))``. Where :class:`MCPCors` is inside, they are left to it to judge.

    :param wsgi_app: the application.
    :param policy: the default policy, under *settings*.
    :param settings: every policy setting, and ``hosts``, ``paths``, ``policies``. A callable in
        ``policies`` takes a :class:`werkzeug.wrappers.Request`.
    :raises PolicyError: naming every fault at once.

    >>> from werkzeug.test import Client
    >>> def application(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/plain")])
    ...     return [b"hello"]
    >>> client = Client(CORSMiddleware(application, origins="https://app.example.com"))
    >>> client.get("/", headers={"Origin": "https://app.example.com"}).headers["Access-Control-Allow-Origin"]
    'https://app.example.com'
    """

    def __init__(
        self, wsgi_app: WSGIApplication, policy: CORSPolicy | None = None, **settings: Unpack[SiteSettings]
    ) -> None:
        configured = configure(SITE_SETTINGS, policy, dict(settings))
        configured.announce("CORSMiddleware")
        self.wsgi_app = wsgi_app
        self._site = configured.site

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        facts = facts_from_environ(environ, routed_path(environ))
        decision = self._judge(environ, facts)
        if decision is not None and decision.final:
            report(self._sender(), facts, decision, environ, debug=self._debug())
            outer: Exchange | None = environ.get(EXCHANGE)
            if outer is not None:
                outer.keep(decision)
            return _answer(facts, decision, start_response)
        exchange = current_exchange(environ)
        exchange.finished_outside = True
        if decision is not None:
            exchange.decision = decision
            report(self._sender(), facts, decision, environ)
        return _Passage(self, environ, facts, exchange, start_response).run()

    def _sender(self) -> Any:
        return self

    def _debug(self) -> bool:
        return False

    def _raises(self, environ: WSGIEnvironment) -> bool:
        """Does whoever called want an exception itself, not a response? A debugger does."""
        return "werkzeug.debug.preserve_context" in environ

    @cached_property
    def _app(self) -> Flask | None:
        """The Flask app inside, if there is one."""
        return flask_app_in(self.wsgi_app)

    def _judge(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        """The decision, or ``None`` where a layer further inside is to judge."""
        decision = self._decide(environ, facts)
        state = None if self._app is None else self._app.extensions.get("mcp_cors")
        is_left_inside = decision.final and isinstance(state, AppState) and state.knows_better(decision, facts)
        return None if is_left_inside else decision

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        """The decision with what is known out here."""
        choice = self._choose(environ, facts)

        def decide(facts: Facts) -> Decision:
            return settle(self._site, choice, facts, lambda: self._request(environ, facts))

        decision = decide(facts)
        if decision.reason is Reason.CROSS_SITE and self._app is not None:
            endpoint = endpoint_outside(self._app, self._adapter(self._app, environ, facts), facts.method)
            if is_static(self._app, endpoint):
                return decide(facts._replace(embeddable=True))
        return decision

    def _adapter(self, app: Flask, environ: WSGIEnvironment, facts: Facts) -> MapAdapter | None:
        # By path alone: out here the Host may be a proxy's, which TRUSTED_HOSTS would not let through.
        return app.url_map.bind("", path_info=facts.path, default_method=facts.method)

    def _request(self, environ: WSGIEnvironment, facts: Facts) -> Request:
        """The request that a callable in ``policies`` takes."""
        return Request(environ)

    def _choose(self, environ: WSGIEnvironment, facts: Facts) -> Choice:
        return self._site.choose(facts.path)


def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES.get(status, 'OK').upper()}"


def _answer(facts: Facts, decision: Decision, start_response: StartResponse) -> list[bytes]:
    """Send a final decision as the whole response."""
    status = decision.status or 403
    headers = list(decision.headers)
    if status != 204:
        headers.append(("Content-Length", str(len(decision.body))))
    start_response(_status_line(status), headers)
    return [] if facts.method == "HEAD" else [decision.body]


class _Passage:
    """One request on its way through the wrapped application, and its response on the way back."""

    def __init__(
        self,
        layer: CORSMiddleware,
        environ: WSGIEnvironment,
        facts: Facts,
        exchange: Exchange,
        start_response: StartResponse,
    ) -> None:
        self.layer = layer
        self.environ = environ
        self.facts = facts
        self.exchange = exchange
        self.start_response = start_response
        self.started = False
        #: The body of a refusal that takes the place of a response that nobody inside has judged.
        self.refusal: list[bytes] | None = None

    def run(self) -> Iterable[bytes]:
        try:
            body = self.layer.wsgi_app(self.environ, self.start)
        except Exception as error:
            if self.started or self.layer._raises(self.environ):
                raise
            return self.crash(error)
        if self.refusal is not None:
            _close(body)
            return self.refusal
        if self.started:
            return body
        # An application that is a generator has not started yet: it may still be refused.
        return ClosingIterator(self.follow(body), partial(_close, body))

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
        /,
    ) -> Callable[[bytes], object]:
        decision = self.exchange.decision
        if decision is None:
            decision = self.layer._decide(self.environ, self.facts)
            if not self.started:
                report(self.layer._sender(), self.facts, decision, self.environ)
            if decision.final and not self.started:
                self.started = True
                self.refusal = _answer(self.facts, decision, self.start_response)
                return lambda data: None
        self.started = True
        if self.refusal is not None:
            return lambda data: None
        return self.start_response(status, decision.apply(headers), exc_info)

    def follow(self, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for data in body:
                if self.refusal is not None:
                    break
                yield data
        except Exception as error:
            if self.started or self.layer._raises(self.environ):
                raise
            yield from self.crash(error)
        if self.refusal is not None:
            yield from self.refusal

    def crash(self, error: Exception) -> Iterator[bytes]:
        """A 500 that JavaScript can read, and then the exception, which the server is to log."""
        body = b"Internal Server Error"
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        self.start("500 INTERNAL SERVER ERROR", headers)

        def send() -> Iterator[bytes]:
            if self.refusal is not None:
                yield from self.refusal
            elif self.facts.method != "HEAD":
                yield body
            raise error

        return send()


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
