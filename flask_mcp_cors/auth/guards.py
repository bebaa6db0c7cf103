"""Guards: they verify the credentials of a request before a view runs, and send a challenge if these do not suffice.

Challenges follow RFC 9110 section 11 and RFC 6750 section 3. A guard wraps the view. If a route calls the view and not
the wrapper, the extension, which knows the routes, enforces the guard.
"""

from __future__ import annotations

import inspect
import json
import re
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from functools import wraps
from types import EllipsisType
from types import NotImplementedType
from typing import Any
from typing import NamedTuple

from flask import current_app
from flask import g
from flask import Request
from flask import request
from flask import Response
from markupsafe import Markup
from werkzeug.datastructures import Authorization
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_list_header
from werkzeug.http import quote_header_value
from werkzeug.local import LocalProxy

from ..core.headers import is_token

#: ``verify``: takes a credential and returns the caller's identity or ``None``, or an awaitable of these.
Verify = Callable[[Authorization], Any | Awaitable[Any]]

# An attribute of the request object: the guards that the request has passed. It is not in ``flask.g``, which several
# requests may share, nor in the environ, which an application may copy and pass on with other credentials.
_VERIFIED = "_mcp_cors_verified"

# RFC 9110, section 11.2: token68
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# Visible ASCII without the comma: servers join repeated headers with one.
_API_KEY = re.compile(r"[!-+\--~]+")
_QUOTABLE = re.compile(r"[ -~]*")
# RFC 6749, section 3.3: scope-token
_SCOPE = re.compile(r"[!#-\[\]-~]+")
_STATUS = re.compile(r"[1-5][0-9][0-9](?: .*)?")

# Clients read only the first challenge, and MCP clients look for these two.
_SCHEME_RANKS = {"bearer": 0, "dpop": 1}


class AuthFailure(NamedTuple):
    """The reason why a guard refuses a request."""

    status: int
    #: In the JSON-RPC body. The challenge names it too, as ``error``, unless credentials are missing.
    reason: str
    message: str


MISSING = AuthFailure(401, "credentials_missing", "Authentication is required.")
INVALID = AuthFailure(401, "invalid_token", "The credentials are not valid.")
INSUFFICIENT = AuthFailure(403, "insufficient_scope", "The credentials lack a scope.")


class InsufficientScope(HTTPException):
    """Raise this in a protected view if the caller lacks a scope for this call.

    An MCP endpoint is one view with many tools, and the ``scopes`` of :meth:`MCPCors.protected` apply to the whole
    view. If one tool needs another scope, the view raises this exception. (Raise it in the view, not in the tool: the
    official SDK turns an exception of a tool into a result.) The answer is the same as for too few scopes: 403, a
    challenge with ``error="insufficient_scope"``, ``scope`` (the guard's scopes and these) and
    ``resource_metadata``, and a JSON-RPC body. A client can then ask the user for the scope and call again.

    :param scopes: the scopes that the call needs.
    :raises ValueError: if there is none, or if one contains characters that a challenge cannot have.

    >>> raise InsufficientScope("files:write")
    Traceback (most recent call last):
    flask_mcp_cors.auth.guards.InsufficientScope: 403 Forbidden: The credentials lack a scope.
    """

    code = 403
    description = INSUFFICIENT.message

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        if not scopes:
            raise ValueError('InsufficientScope(): name the scope that is needed: InsufficientScope("files:write")')
        self.scopes = _read_scopes("InsufficientScope(…)", scopes)

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """The response, with a challenge of each guard that the request has passed. By default: for a bearer token."""
        guards: tuple[Guard, ...] = getattr(request, _VERIFIED, ()) or (_BEARER,)
        return _refuse(request, INSUFFICIENT, guards, self.scopes)


class Guard:
    """One ``cors.protected(…)``: which credentials it accepts, and the function that verifies them."""

    def __init__(
        self,
        verify: Verify,
        *,
        scopes: Iterable[str] = (),
        schemes: Iterable[str] = ("Bearer",),
        realm: str | None = None,
        api_key_header: str | None = None,
    ) -> None:
        _check_verify(verify)
        self.verify = verify
        self.scopes = _read_scopes("protected(scopes=…)", scopes)
        self.schemes = word_tuple("protected(schemes=…)", schemes)
        self.realm = realm
        self.api_key_header = api_key_header
        if not self.schemes and api_key_header is None:
            raise ValueError(
                'protected(): no credential could be accepted; write schemes=("Bearer",) or api_key_header=…'
            )
        for name in self.schemes if api_key_header is None else (*self.schemes, api_key_header):
            if not is_token(name):
                raise ValueError(
                    f"protected(): {name!r} is not a valid scheme or header name; write a token such as Bearer"
                )
        if not _QUOTABLE.fullmatch(realm or ""):
            raise ValueError(f"protected(): the realm {realm!r} is not valid; write printable ASCII")

    def check(self, request: Request) -> Response | None:
        """Verify the request's credential. Returns the refusal, or ``None`` if the request may pass.

        The identity is stored in ``flask.g.mcp_identity``. An exception in ``verify`` is not caught.

        :raises TypeError: if ``verify`` returns something that cannot be an identity.
        """
        verified: tuple[Guard, ...] = getattr(request, _VERIFIED, ())
        if self in verified:
            return None
        credential = self._credential(request)
        if isinstance(credential, AuthFailure):
            return _refuse(request, credential, (self,))
        identity = _without_proxy(self.verify(credential))
        if inspect.isawaitable(identity):
            identity = _without_proxy(_await(identity))
        if _is_refusal(identity):
            return _refuse(request, INVALID, (self,))
        _check_identity(identity)
        if not set(self.scopes) <= _scopes_of(identity):
            return _refuse(request, INSUFFICIENT, (self,))
        g.mcp_identity = identity
        setattr(request, _VERIFIED, (*verified, self))
        return None

    def _credential(self, request: Request) -> Authorization | AuthFailure:
        """The credential, if there is exactly one, well formed and of an accepted kind; otherwise the failure."""
        header = request.environ.get("HTTP_AUTHORIZATION")
        scheme = (header or "").partition(" ")[0].lower()
        listed = scheme in map(str.lower, self.schemes)
        key = None
        if self.api_key_header is not None:
            # Many servers treat "_" as "-", so X_API_Key arrives here as well. If both are sent, the server joins them
            # with a comma, which no key has, or keeps one of them.
            key = request.environ.get(f"HTTP_{self.api_key_header.upper().replace('-', '_')}")
        if key is not None:
            # With two credentials, it is not clear which one counts.
            return INVALID if listed or not _API_KEY.fullmatch(key) else Authorization("apikey", token=key)
        if not header or not listed:
            return MISSING
        return _parse_authorization(scheme, header)

    def challenges(self, parameters: Mapping[str, str]) -> Iterator[str]:
        """One challenge for each scheme, with the realm and these parameters."""
        realm = current_app.name if self.realm is None else self.realm
        # app.name may have any character, but a challenge must be ASCII.
        realm = realm.encode("ascii", "replace").decode("ascii")
        for scheme in self.schemes or ("ApiKey",):
            # Of our parameters, RFC 7617 (Basic) has only realm.
            shown = {"realm": realm, **({} if scheme.lower() == "basic" else parameters)}
            pairs = (f"{name}={quote_header_value(value, allow_token=False)}" for name, value in shown.items())
            yield f"{scheme} {', '.join(pairs)}"


def word_tuple(place: str, value: Iterable[str]) -> tuple[str, ...]:
    """Several words, or one string of words, as a tuple.

    :raises TypeError: if a member is not a string.
    """
    words = tuple(value.split()) if isinstance(value, str) else tuple(value)
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"{place}: write strings")
    return words


def _read_scopes(place: str, value: Iterable[str]) -> tuple[str, ...]:
    scopes = word_tuple(place, value)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ValueError(
                f"{place.partition('(')[0]}(): {scope!r} is not a valid scope; write printable ASCII without space, "
                'quotation mark and backslash, several as a list: ["read", "write"]'
            )
    return scopes


# What ``verify`` gets, and what it may return


def _check_verify(verify: object) -> None:
    """Refuse an object that cannot verify, such as the view itself in ``@cors.protected`` without parentheses."""
    advice = "write @cors.protected(verify), with a function verify(credential) that returns the identity or None"
    if inspect.isclass(verify):
        raise TypeError(f"protected(verify): verify must not be a class: each instance would be an identity; {advice}")
    if not callable(verify):
        raise TypeError("protected(verify): verify must be a callable (credential) -> identity or None")
    function: Any = verify
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    function = inspect.unwrap(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("protected(verify): verify is a generator function, which never runs; write return, not yield")
    try:
        inspect.signature(verify).bind(None)
    except ValueError:  # a function written in C that has no signature
        return
    except TypeError:
        raise TypeError(f"protected(verify): {verify!r} does not take one argument, the credential; {advice}") from None


def _parse_authorization(scheme: str, header: str) -> Authorization | AuthFailure:
    rest = header.partition(" ")[2].strip(" ")
    parsed = Authorization.from_header(header) if header.isascii() and header.isprintable() else None
    if parsed is None:
        return INVALID
    if scheme == "basic":
        return parsed if _is_basic_pair(rest) else INVALID
    # Werkzeug is lenient: it accepts "one, Token two" as a token and "Token b" as the name of a parameter, and of
    # several parameters with one name it keeps the last.
    if scheme == "bearer" or parsed.token is not None:
        return parsed if _TOKEN68.fullmatch(rest) else INVALID
    names = {name.lower() for name in parsed.parameters}
    if not all(map(is_token, names)) or len(names) != len(parse_list_header(rest)):
        return INVALID
    # Parameters may be encoded (name*=UTF-8''…), and hmac.compare_digest raises for text that is not ASCII.
    values = map(str, parsed.parameters.values())
    return parsed if all(value.isascii() and value.isprintable() for value in values) else INVALID


def _is_basic_pair(encoded: str) -> bool:
    """RFC 7617, section 2: user-id, colon, password, without control characters."""
    try:
        pair = b64decode(encoded, validate=True)
    except BadBase64:
        return False
    return b":" in pair and pair.isascii() and pair.decode("ascii").isprintable()


def _without_proxy(value: Any) -> Any:
    """The object behind a proxy such as Flask-Login's ``current_user``. The proxy itself looks awaitable."""
    return value._get_current_object() if isinstance(value, LocalProxy) else value


def _await(result: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await result

    return current_app.ensure_sync(wait)()


def _is_refusal(identity: object) -> bool:
    """Does *identity* mean that the caller is not authenticated?

    ``False`` may be the result of a comparison. Flask-Login's anonymous user has ``is_authenticated=False``, and an
    introspection response has ``active=False`` (RFC 7662, section 2.2).
    """
    if identity is None or identity is False:
        return True
    if isinstance(identity, Mapping):
        return identity.get("active") is False
    return getattr(identity, "is_authenticated", None) is False


#: Types that cannot be an identity: code that was not run, a result that is not ready, a page, an error.
_NO_IDENTITIES = (
    *(BaseException, type, partial, Awaitable, Iterator, AsyncIterator, Future, Markup),
    *(NotImplementedType, EllipsisType),
)


def _check_identity(identity: object) -> None:
    """Refuse a value that cannot be meant as an identity, because it would let every caller in."""
    if isinstance(identity, _NO_IDENTITIES) or inspect.isroutine(identity) or _is_response(identity):
        if inspect.iscoroutine(identity):
            identity.close()
        raise TypeError(
            f"protected(verify): verify returned {type(identity).__name__}, which cannot be an identity; "
            "return a value that identifies the caller, or None"
        )


def _is_response(value: object) -> bool:
    """A response of Flask or of an HTTP client, or one as Flask's views write it: ``"no", 401``."""
    if type(value) is not tuple:
        return isinstance(getattr(value, "status_code", None), int)
    match value:
        case (_, status) | (_, status, Mapping() | Headers() | list() | tuple() | None):
            return isinstance(status, int | str) and _STATUS.fullmatch(str(status)) is not None
    return False


def _scopes_of(identity: object) -> set[str]:
    scopes = identity.get("scopes") if isinstance(identity, Mapping) else getattr(identity, "scopes", None)
    if isinstance(scopes, str):
        return set(scopes.split())
    # A mapping grants nothing: its values may say that a scope is switched off.
    return {s for s in scopes if isinstance(s, str)} if isinstance(scopes, list | tuple | set | frozenset) else set()


# The answer


def _refuse(request: Request, failure: AuthFailure, guards: Iterable[Guard], more: Iterable[str] = ()) -> Response:
    error = {"code": failure.status, "message": failure.message, "data": {"reason": failure.reason}}
    response = Response(json.dumps({"jsonrpc": "2.0", "error": error}), failure.status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    state = current_app.extensions.get("mcp_cors")
    metadata = state.metadata.url_for(f"{request.root_path}{request.path}", request.host) if state is not None else None
    challenges: list[str] = []
    for guard in guards:
        parameters = {
            "error": None if failure is MISSING else failure.reason,
            "scope": " ".join(dict.fromkeys((*guard.scopes, *more))),
            "resource_metadata": metadata,
        }
        challenges += guard.challenges({name: value for name, value in parameters.items() if value})
    for challenge in sorted(challenges, key=lambda text: _SCHEME_RANKS.get(text.partition(" ")[0].lower(), 2)):
        response.headers.add("WWW-Authenticate", challenge)
    return response


_BEARER = Guard(lambda credential: None)


def guarded(view: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """A function that calls *view* for verified callers only."""

    @wraps(view)
    def guarded_view(*args: Any, **kwargs: Any) -> Any:
        refusal = guard.check(request)
        if refusal is not None:
            return refusal
        try:
            return current_app.ensure_sync(view)(*args, **kwargs)
        except InsufficientScope as error:
            return error.get_response()
        except ExceptionGroup as group:
            # An ASGI application behind the view runs in task groups, which wrap an exception in a group.
            wanted, others = group.split(InsufficientScope)
            if wanted is None or others is not None:
                raise
            first: Any = wanted
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            return first.get_response()

    return guarded_view


def is_guarded(function: object) -> bool:
    """Was this function made by :func:`guarded`?"""
    return getattr(function, "__code__", None) is _GUARDED_CODE


_GUARDED_CODE = guarded(lambda: None, _BEARER).__code__
