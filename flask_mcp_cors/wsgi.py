"""The WSGI door: the same policy and the same decisions around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from typing import Protocol
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
from .doors import AROUND
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

Finish = Callable[[list[tuple[str, str]]], list[tuple[str, str]]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def routed_path(environ: WSGIEnvironment) -> str:
    """The path as Werkzeug routes it: without the mount point, and decoded once, by the server."""
    path: str = environ.get("PATH_INFO", "")
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    return f"/{path.lstrip('/')}"


#: The keys of the environ with the facts, in the order of :class:`Facts`. Their values can be used to look up a kept
#: decision directly, because decisions are kept only for paths that routing reads unchanged.
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
    """The facts for the decision on this request."""
    return make_facts(tuple(map(environ.get, KEY)), path)


def make_facts(values: tuple[Any, ...], path: str) -> Facts:
    """The facts from the values of :data:`KEY`, with this path."""
    return Facts._make((values[0], path, *values[2:], False))


def answer(facts: Facts, decision: Decision, start_response: StartResponse) -> list[bytes]:
    """Send a final decision as the whole response."""
    status = decision.status or 403
    headers = list(decision.headers)
    if status != 204:
        headers.append(("Content-Length", str(len(decision.body))))
    start_response(f"{status} {HTTP_STATUS_CODES.get(status, 'OK').upper()}", headers)
    return [] if facts.method == "HEAD" else [decision.body]


class Inside(Protocol):
    """What is inside a door that keeps decisions. While no function is marked, the path alone selects the policy."""

    functions: Mapping[str, Any]
    unmarked: int


class Door:
    """The base of :class:`CORSMiddleware` and of the layer of ``wrap_wsgi``: it handles a request and its response."""

    #: Set where decisions are kept.
    _inside: Inside

    def __init__(self, wsgi_app: WSGIApplication, configured: Configured) -> None:
        self.wsgi_app = wsgi_app
        self._site = configured.site
        self._in_force = InForce(configured.site, configured.source)
        #: Looks up a kept decision that needs nothing but its headers in the response. ``CORSMiddleware`` keeps none.
        self._kept: Callable[[tuple[Any, ...]], Decision | None] = find_none

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        values = tuple(map(environ.get, KEY))
        decision = self._kept(values)
        if (
            decision is None
            or HANDOVER in environ
            or AROUND.get() is not None
            or len(self._inside.functions) != self._inside.unmarked
        ):
            facts = make_facts(values, routed_path(environ))
            final, finish = self._judge(environ, facts)
            if final is not None:
                return answer(facts, final, start_response)
        else:
            finish = decision.apply
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

    def _judge(self, environ: WSGIEnvironment, facts: Facts) -> tuple[Decision | None, Finish]:
        """The final decision if there is one, and the function that puts the headers into a response."""
        decision = self._decide(environ, facts)
        outer = claim(environ, facts.origin)
        if decision is not None:
            self._report(facts, decision, environ)
            if decision.final:
                if outer is not None:
                    outer.tell(self._site, decision)
                return decision, decision.apply
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

        return None, finish

    def _follow(
        self, body: Iterable[bytes], environ: WSGIEnvironment, start: StartResponse, has_started: Callable[[], bool]
    ) -> Iterator[bytes]:
        """The body of a generator application. It has not called ``start_response`` yet, so it may still fail."""
        try:
            yield from body
        except Exception as error:
            if has_started() or self._wants_exceptions(environ):
                raise
            yield from _crash(error, environ, start)

    def _has_doors_inside(self) -> bool:
        """May there be another door inside, or a hook of this site?"""
        return True

    def _decide(self, environ: WSGIEnvironment, facts: Facts) -> Decision | None:
        """The decision, or ``None`` if a hook inside makes it."""
        raise NotImplementedError

    def _decide_late(self, environ: WSGIEnvironment, facts: Facts) -> Decision:
        """The decision on a response, if :meth:`_decide` returned ``None`` and no hook inside has decided."""
        raise NotImplementedError

    def _report(self, facts: Facts, decision: Decision, environ: WSGIEnvironment) -> None:
        site = self._site
        report(self, facts, decision, environ, self._in_force, lambda: site.choose(facts.path, facts.policy_method))

    def _wants_exceptions(self, environ: WSGIEnvironment) -> bool:
        """Does the caller want the exception and not a response? A debugger does."""
        return "werkzeug.debug.preserve_context" in environ


def find_none(values: tuple[Any, ...]) -> None:
    """The look-up of a door that keeps no decisions."""
    return None


def _crash(error: Exception, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Send a 500 that JavaScript can read, then raise the exception, so that the server logs it."""
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

    It answers CORS-preflight requests before the application sees them, refuses foreign origins, and adds
    the headers to every response on a covered path, whatever made the response. For a Flask app, use
    :class:`MCPCors` with ``wrap_wsgi=True`` instead: then views and blueprints can have policies of their own.

    ``Host`` and scheme are used as they arrive, so put werkzeug's ``ProxyFix`` outside:
    ``ProxyFix(CORSMiddleware(app, …))``. If there is another ``CORSMiddleware`` or :class:`MCPCors` inside, each
    of them can refuse a request, and the headers of the inner one are sent.

    :param wsgi_app: the application.
    :param policy: the default policy, changed by *settings*.
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
