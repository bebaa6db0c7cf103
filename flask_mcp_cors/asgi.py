"""The ASGI door: the same policy and the same decisions around any ASGI 3 application.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import MutableMapping
from typing import Any
from typing import Unpack

from werkzeug.datastructures import Headers
from werkzeug.sansio.request import Request

from .configure import configure
from .core.decision import Decision
from .core.decision import Reason
from .core.policy import CORSPolicy
from .core.settings import SITE_SETTINGS
from .core.site import Facts
from .core.site import MEMO_ENTRIES
from .core.site_settings import SiteSettings
from .doors import AROUND
from .doors import carries
from .doors import claim
from .doors import Handover
from .doors import judge_choice_async
from .reporting import InForce
from .reporting import log
from .reporting import preflight_answered
from .reporting import report

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The method of a websocket handshake, which is a GET. No rule for documents that may be read by GET opens it.
WEBSOCKET = "WEBSOCKET"

#: The request headers that are facts, in the order of :class:`Facts`. A name with ``_`` is another name in ASGI.
_FACTS = (
    b"host",
    b"origin",
    b"access-control-request-method",
    b"access-control-request-headers",
    b"sec-fetch-site",
    b"sec-fetch-mode",
    b"sec-fetch-dest",
)

_SCHEMES = {"ws": "http", "wss": "https"}

#: Layers of Starlette and uvicorn that never answer by themselves, so they may stand outside.
_HARMLESS = frozenset({"CORSMiddleware", "GZipMiddleware", "ProxyHeadersMiddleware", "SessionMiddleware"})


def routed_path(scope: Scope) -> str:
    """The path as the application routes it: without the mount point, decoded once by the server.

    Servers leave the mount point in ``path``, or do not, so it is taken off where it is a whole prefix.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        path = path[len(root) :]
    return f"/{path.lstrip('/')}"


def read_headers(scope: Scope) -> dict[bytes, bytes]:
    """The request headers by name. Repeated ones are joined, so a repeated ``Origin`` is one that no browser sends."""
    headers = scope["headers"]
    found = dict(headers)
    if len(found) != len(headers):
        found = {}
        for name, value in headers:
            found[name] = b", ".join((found[name], value)) if name in found else value
    return found


def _origin(headers: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(b"origin")
    return None if value is None else value.decode("latin-1")


def read_facts(scope: Scope, headers: dict[bytes, bytes]) -> Facts:
    """The facts that a decision on this request rests on."""
    scheme = scope.get("scheme") or "http"
    return Facts._make(
        (
            scope["method"] if scope["type"] == "http" else WEBSOCKET,
            routed_path(scope),
            _SCHEMES.get(scheme, scheme),
            *[None if (value := headers.get(name)) is None else value.decode("latin-1") for name in _FACTS],
            False,
        )
    )


class CORSMiddleware:
    """Wrap any ASGI 3 application in a policy.

    CORS-preflight requests are answered before the application sees them, foreign origins are refused, of
    websockets too, and every response on a governed path gets the headers, whoever made it. Other scopes, such
    as ``lifespan``, pass. Streams pass as they come.

    Wrap the whole application: ``app = CORSMiddleware(app, …)``. Starlette's ``add_middleware`` works too; it puts
    the layer that was added last outermost, so add this one last, or a WARNING names the layers outside of it.
    An exception in the application is answered with a 500 that JavaScript can read, and raised again; in
    Starlette's debug mode it is only raised.

    The ``Host`` and the scheme are taken as they arrive, so what corrects them behind a proxy goes outside:
    uvicorn's ``--proxy-headers`` does. Where another door of ours is inside, each refuses for itself, and the
    inner one's headers are sent. A Flask app behind a WSGI adapter counts as inside, because the adapters run
    it in a copy of the context.

    :param app: the application.
    :param policy: the default policy, under *settings*.
    :param settings: every policy setting, and ``hosts``, ``paths``, ``policies``. A callable in ``policies``
        may be ``async`` and takes a :class:`werkzeug.sansio.request.Request`, the base class of Flask's: it has
        ``path``, ``method``, ``host``, ``headers``, ``args``, ``cookies``, and no body. A websocket handshake has
        the method ``WEBSOCKET``.
    :raises PolicyError: naming every fault at once.

    >>> async def application(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 200, "headers": []})
    ...     await send({"type": "http.response.body", "body": b"hello"})
    >>> app = CORSMiddleware(application, origins="https://app.example.com", hosts="mcp.example.com")
    """

    def __init__(self, app: ASGIApp, policy: CORSPolicy | None = None, **settings: Unpack[SiteSettings]) -> None:
        configured = configure(SITE_SETTINGS, policy, dict(settings))
        configured.announce("CORSMiddleware")
        self.app = app
        self._site = configured.site
        #: The decisions that the site keeps, by the same facts as they come from the server.
        self._kept: dict[tuple[Any, ...], Decision] = {}
        self._in_force = InForce(configured.site, configured.source)
        self._has_looked_outside = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._has_looked_outside:
            self._has_looked_outside = True
            self._warn_of_layers_outside(scope)
        get = scope.get
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = read_headers(scope)
        key = (kind, get("method"), routed_path(scope), get("scheme"), *map(headers.get, _FACTS))
        decision = self._kept.get(key)
        if decision is None:
            facts = read_facts(scope, headers)
            decision = await self._decide(scope, facts)
            self._report(facts, decision, headers)
            if self._site.keeps(facts):
                if len(self._kept) >= MEMO_ENTRIES:
                    self._kept.clear()
                self._kept[key] = decision
        # An answered preflight is told by a signal only, and most applications have nobody listening.
        elif decision.reported or decision.is_refusal or (decision.final and preflight_answered.receivers):
            self._report(read_facts(scope, headers), decision, headers)
        if decision.final:
            outer = claim({}, _origin(headers))
            if outer is not None:
                outer.tell(self._site, decision)
            await _answer(scope, decision, send)
        elif kind == "websocket" or decision.reason is Reason.NOT_GOVERNED:
            await self.app(scope, receive, send)
        else:
            await self._go_in(scope, receive, send, _origin(headers), decision)

    async def _decide(self, scope: Scope, facts: Facts) -> Decision:
        site = self._site
        decision = site.judge(facts)
        if decision is not None:
            return decision

        def request_for(method: str) -> Request:
            headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
            if method != facts.policy_method:
                headers["Access-Control-Request-Method"] = method
            server, client = scope.get("server"), scope.get("client")
            return Request(
                facts.method,
                facts.scheme,
                server and tuple(server),
                scope.get("root_path") or "",
                facts.path,
                scope.get("query_string", b""),
                headers,
                client and client[0],
            )

        return await judge_choice_async(site, site.choose(facts.path, facts.policy_method), facts, request_for)

    async def _go_in(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        origin: str | None,
        decision: Decision,
    ) -> None:
        """Call the application, and put the headers into its response."""
        around = AROUND.get()
        outer = claim({}, origin)
        handover = Handover(self._site, (), decision)
        started = False

        async def finish(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                sent, headers, inner = decision, message.get("headers", ()), handover.inner
                if inner is not None and carries(_decoded(headers), inner):
                    sent = inner
                else:
                    message = {**message, "headers": decision.apply_encoded(headers)}
                if outer is not None:
                    outer.tell(self._site, sent)
            await send(message)

        AROUND.set((origin, handover))
        try:
            await self.app(scope, receive, finish)
        except Exception as error:
            if started:
                raise
            if getattr(scope.get("app"), "debug", False) is True:
                if origin is not None:
                    log.error(
                        "%s in the application: this is not CORS: see the traceback above or below, although the "
                        "browser's console blames CORS",
                        type(error).__name__,
                    )
                raise
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await _send_whole(finish, "http.", 500, plain, b"Internal Server Error", scope["method"])
            raise
        finally:
            # Not reset(): a generator may be closed in another context.
            AROUND.set(around)

    def _report(self, facts: Facts, decision: Decision, headers: Mapping[bytes, bytes]) -> None:
        site = self._site
        environ: dict[str, object] = {"asgi": True} | {
            f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": value.decode("latin-1")
            for name, value in headers.items()
            if b"forwarded" in name
        }
        environ["CONTENT_TYPE"] = headers.get(b"content-type", b"").decode("latin-1")
        report(self, facts, decision, environ, self._in_force, lambda: site.choose(facts.path, facts.policy_method))

    def _warn_of_layers_outside(self, scope: Scope) -> None:
        """Warn of Starlette's layers that see a preflight before this one does.

        https://www.starlette.io/middleware/ ``user_middleware`` has the outermost first. Where this layer is
        not in it but inside the app, around one route, all of them are outside.
        """
        layers = [getattr(layer, "cls", None) for layer in getattr(scope.get("app"), "user_middleware", ())]
        outside = layers[: layers.index(type(self))] if type(self) in layers else layers
        names = [name for layer in outside if (name := getattr(layer, "__name__", repr(layer))) not in _HARMLESS]
        if names:
            log.warning(
                "%s sees preflights before CORSMiddleware does, and its own answers get no CORS headers: wrap the "
                "whole app, as app = CORSMiddleware(app, ...), or call add_middleware(CORSMiddleware, ...) last",
                ", ".join(names),
            )


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


async def _answer(scope: Scope, decision: Decision, send: Send) -> None:
    """Send a final decision as the whole response."""
    status = decision.status or 403
    prefix = "http."
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # The server makes a 403 of it. 1008: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
            await send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http."
    await _send_whole(send, prefix, status, decision.encoded, decision.body, scope.get("method"))


async def _send_whole(
    send: Send, prefix: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes, method: str | None
) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": f"{prefix}response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}response.body", "body": b"" if method == "HEAD" else body})
