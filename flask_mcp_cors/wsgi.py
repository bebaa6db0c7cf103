"""The WSGI door: the same policy and the same decisions around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from typing import TYPE_CHECKING
from typing import Unpack

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Request
from werkzeug.wsgi import ClosingIterator

from .configure import configure
from .configure import Configured
from .core.decision import Decision
from .core.policy import CORSPolicy
from .core.settings import SITE_SETTINGS
from .core.site import Facts
from .core.site_settings import SiteSettings
from .doors import carries
from .doors import claim
from .doors import HANDOVER
from .doors import Handover
from .doors import judge_choice
from .reporting import InForce
from .reporting import report

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def routed_path(environ: WSGIEnvironment) -> str:
    """The path as werkzeug routes it: without the mount point, decoded once by the server."""
    path: str = environ.get("PATH_INFO", "")
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    return f"/{path.lstrip('/')}"


#: The facts where a WSGI server puts them, in the order of :class:`Facts`. As they stand there they find a kept
#: decision, because decisions are kept for those paths only that routing reads as they stand.
KEY = (
    "REQUEST_METHOD",
    "PATH_INFO",
    "wsgi.url_scheme",
    "HTTP_HOST",
    "HTTP_ORIGIN",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_DEST",
)


def read_facts(environ: WSGIEnvironment, path: str) -> Facts:
    """The facts that a decision on this request rests on."""
    return make_facts(tuple(map(environ.get, KEY)), path)


def make_facts(values: tuple[Any, ...], path: str) -> Facts:
    """The same, of the values of :data:`KEY`."""
    return Facts._make((values[0], path, *values[2:], False))


def answer(facts: Facts, decision: Decision, start_response: StartResponse) -> list[bytes]:
    """Send a final decision as the whole response."""
    status = decision.status or 403
    headers = list(decision.headers)
    if status != 204:
        headers.append(("Content-Length", str(len(decision.body))))
    start_response(f"{status} {HTTP_STATUS_CODES.get(status, 'OK').upper()}", headers)
    return [] if facts.method == "HEAD" else [decision.body]


class Door:
    """What :class:`CORSMiddleware` and the layer of ``wrap_wsgi`` have in common: the way in and the way back."""

    def __init__(self, wsgi_app: WSGIApplication, configured: Configured) -> None:
        self.wsgi_app = wsgi_app
        self._site = configured.site
        self._in_force = InForce(configured.site, configured.source)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._pass(environ, start_response, read_facts(environ, routed_path(environ)))

    def _pass(self, environ: WSGIEnvironment, start_response: StartResponse, facts: Facts) -> Iterable[bytes]:
        """Answer the request, or let it in and finish the response."""
        decision = self._decide(environ, facts)
        outer = claim(environ, facts.origin)
        if decision is not None:
            self._report(facts, decision, environ)
            if decision.final:
                if outer is not None:
                    outer.tell(self._site, decision)
                return answer(facts, decision, start_response)
        handover = Handover(self._site, facts, decision)
        if self._has_doors_inside():
            environ[HANDOVER] = handover

        def finish(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
            inner, sent = handover.inner, handover.decision
            if inner is not None and carries(headers, inner):
                sent = inner
            else:
                sent = sent or self._decide_late(environ, facts)
                headers = sent.apply(headers)
            if outer is not None:
                outer.tell(self._site, sent)
            return headers

        return self._go_in(environ, start_response, finish)

    def _go_in(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        finish: Callable[[list[tuple[str, str]]], list[tuple[str, str]]],
    ) -> Iterable[bytes]:
        """Call the application, and put the headers into its response."""
        started = False

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            nonlocal started
            started = True
            return start_response(status, finish(headers), exc_info)

        try:
            body = self.wsgi_app(environ, start)
        except Exception as error:
            if started or self._wants_exceptions(environ):
                raise
            return _crash(error, environ, start)
        if started:
            return body
        following = self._follow(body, environ, start, lambda: started)
        return ClosingIterator(following, getattr(body, "close", None))

    def _follow(
        self, body: Iterable[bytes], environ: WSGIEnvironment, start: StartResponse, has_started: Callable[[], bool]
    ) -> Iterator[bytes]:
        """The body of an application that is a generator: it has not started yet, so it may still fail."""
        try:
            yield from body
        except Exception as error:
            if has_started() or self._wants_exceptions(environ):
                raise
            yield from _crash(error, environ, start)

    def _has_doors_inside(self) -> bool:
        """May another door of ours stand inside, or a hook of this site?"""
        return True

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        """The decision, or ``None`` where a hook inside makes it."""
        raise NotImplementedError

    def _decide_late(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        """The decision on a response that no hook inside has judged; only asked where :meth:`_decide` gave none."""
        raise NotImplementedError

    def _report(self, facts: Facts, decision: Decision, environ: WSGIEnvironment) -> None:
        site = self._site
        report(self, facts, decision, environ, self._in_force, lambda: site.choose(facts.path, facts.policy_method))

    def _wants_exceptions(self, environ: WSGIEnvironment) -> bool:
        """Does whoever called want an exception itself, not a response? A debugger does."""
        return "werkzeug.debug.preserve_context" in environ


def _crash(error: Exception, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A 500 that JavaScript can read, and then the exception, which the server is to log."""
    body = b"Internal Server Error"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("500 INTERNAL SERVER ERROR", headers)

    def send() -> Iterator[bytes]:
        if environ["REQUEST_METHOD"] != "HEAD":
            yield body
        raise error

    return send()


class CORSMiddleware(Door):
    """Wrap any WSGI application in a policy.

    CORS-preflight requests are answered before the application sees them, foreign origins are
    refused, and every response on a governed path gets the headers, whoever made it. Around a Flask
    app that uses :class:`MCPCors` write ``wrap_wsgi=True`` there instead: then views and blueprints
    keep policies of their own.

    The ``Host`` and the scheme are taken as they arrive, so werkzeug's ``ProxyFix`` goes outside:
    ``ProxyFix(CORSMiddleware(app, …))``. Where another door of ours is inside, each refuses for itself,
    and the inner one's headers are sent.

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
        super().__init__(wsgi_app, configured)

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        site = self._site
        decision = site.judge(facts)
        if decision is not None:
            return decision

        def request_for(method: str) -> Request:
            return Request(environ if method == facts.policy_method else announcing(environ, method))

        return judge_choice(site, site.choose(facts.path, facts.policy_method), facts, request_for)


def announcing(environ: WSGIEnvironment, method: str) -> WSGIEnvironment:
    """The environ of a preflight that announces another method."""
    return {**environ, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method}
