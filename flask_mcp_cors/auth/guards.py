"""Guards: which credentials let a request through to a view, and the challenge for those that do not.

Challenges follow RFC 9110 section 11 and RFC 6750 section 3. A guard holds whatever
the order of decorators: it wraps the view, and it leaves a mark that the extension's hook enforces.
"""

from __future__ import annotations

import inspect
import json
import re
from base64 import b64decode
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from functools import wraps
from typing import Any
from typing import cast
from typing import NamedTuple
from typing import TypeVar

from flask import Blueprint
from flask import current_app
from flask import g
from flask import Request
from flask import request
from flask import Response
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import Forbidden

from ..core.headers import is_token
from ..extension.marks import mark_guard
from ..extension.marks import mark_wrapper

V = TypeVar("V")

#: ``verify``: a credential in, the caller's identity or ``None`` out, plainly or as a coroutine.
Verify = Callable[[Authorization], Any | Awaitable[Any]]

# On the request object: the guards that have let it pass. ``flask.g`` may hold for several requests, and of the
# environ an application may hand a copy on, with other credentials in it.
_VERIFIED = "_mcp_cors_verified"

# RFC 9110, section 11.2: token68
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_API_KEY = re.compile(r"[!-+\--~]+")  # visible ASCII but the comma, which joins repeated headers
_QUOTABLE = re.compile(r"[ -~]*")


def quoted(value: str) -> str:
    r"""A quoted-string of RFC 9110, section 5.6.4.

    >>> print(quoted('the "a" app'))
    "the \"a\" app"
    """
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


class Refusal(NamedTuple):
    """Why a request does not pass a guard."""

    status: int
    reason: str
    message: str
    error: str | None = None


MISSING = Refusal(401, "credentials_missing", "Authentication is required.")
WRONG = Refusal(401, "invalid_token", "The credentials are not valid.", "invalid_token")
INSUFFICIENT = Refusal(403, "insufficient_scope", "The credentials lack a scope.", "insufficient_scope")


class Guard:
    """One ``cors.protected(…)``: which credentials count, and who says so."""

    def __init__(
        self,
        verify: Verify,
        *,
        scopes: Iterable[str] = (),
        schemes: Iterable[str] = ("Bearer",),
        realm: str | None = None,
        api_key_header: str | None = None,
    ) -> None:
        if not callable(verify):
            raise TypeError("protected(verify): verify is a callable (credential) -> identity or None")
        self.verify = verify
        self.scopes = word_tuple("protected(scopes=…)", scopes)
        self.schemes = word_tuple("protected(schemes=…)", schemes)
        self.realm = realm
        self.api_key_header = api_key_header
        if not self.schemes and api_key_header is None:
            raise ValueError('protected(): nothing could ever pass; write schemes=("Bearer",) or api_key_header=…')
        for name in (*self.schemes, *([] if api_key_header is None else [api_key_header])):
            if not is_token(name):
                raise ValueError(f"protected(): {name!r} is no scheme or header name; write a token such as Bearer")
        for text in (*self.scopes, realm or ""):
            if not _QUOTABLE.fullmatch(text):
                raise ValueError(f"protected(): {text!r} cannot stand in a challenge; write printable ASCII")

    def check(self, request: Request) -> Response | None:
        """Verify the request's credential; the response that refuses it, or ``None`` where it may pass.

        The identity lands in ``flask.g.mcp_identity``. An exception in ``verify`` goes through.
        """
        verified: tuple[Guard, ...] = getattr(request, _VERIFIED, ())
        if self in verified:
            return None
        credential = self._credential(request)
        if isinstance(credential, Refusal):
            return self.refuse(request, credential)
        identity = self.verify(credential)
        if inspect.isawaitable(identity):
            identity = _await(identity)
        # False is what a comparison returns: as little an identity as None.
        if identity is None or identity is False:
            return self.refuse(request, WRONG)
        if not set(self.scopes) <= _scopes_of(identity):
            return self.refuse(request, INSUFFICIENT)
        g.mcp_identity = identity
        setattr(request, _VERIFIED, (*verified, self))
        return None

    def _credential(self, request: Request) -> Authorization | Refusal:
        """The one well-formed credential of a listed kind, or why there is none."""
        header = request.environ.get("HTTP_AUTHORIZATION")
        scheme = header.partition(" ")[0].lower() if header else ""
        listed = scheme in (s.lower() for s in self.schemes)
        key = None
        if self.api_key_header is not None:
            key = request.environ.get(f"HTTP_{self.api_key_header.upper().replace('-', '_')}")
        if key is not None and listed:
            return WRONG  # two at once: nobody can say which one counts
        if key is not None:
            return Authorization("apikey", token=key) if _API_KEY.fullmatch(key) else WRONG
        if not header or not listed:
            return MISSING
        return _parse_authorization(scheme, header)

    def refuse(self, request: Request, refusal: Refusal, needed: Iterable[str] = ()) -> Response:
        """The response that refuses a request, with the challenge; *needed*: scopes besides those of the view."""
        error = {"code": refusal.status, "message": refusal.message, "data": {"reason": refusal.reason}}
        response = Response(
            json.dumps({"jsonrpc": "2.0", "error": error}), refusal.status, content_type="application/json"
        )
        response.headers["Cache-Control"] = "no-store"
        for challenge in self._challenges(request, refusal, (*self.scopes, *needed)):
            response.headers.add("WWW-Authenticate", challenge)
        return response

    def _challenges(self, request: Request, refusal: Refusal, scopes: Iterable[str]) -> list[str]:
        realm = current_app.name if self.realm is None else self.realm
        # An application may be named as its author speaks; a challenge is ASCII.
        parameters = {"realm": realm.encode("ascii", "replace").decode("ascii")}
        if refusal.error:
            parameters["error"] = refusal.error
        if scopes := tuple(dict.fromkeys(scopes)):
            parameters["scope"] = " ".join(scopes)
        state = current_app.extensions.get("mcp_cors")
        metadata = state.metadata.url_for(f"{request.root_path}{request.path}") if state is not None else None
        if metadata is not None:
            parameters["resource_metadata"] = metadata
        challenges = []
        for scheme in self.schemes or ("ApiKey",):
            shown = {"realm": parameters["realm"]} if scheme.lower() == "basic" else parameters
            challenges.append(f"{scheme} {', '.join(f'{name}={quoted(value)}' for name, value in shown.items())}")
        return challenges


class InsufficientScope(Forbidden):
    """Raise it in a protected view, or in what it calls, where this request needs scopes that the caller lacks.

    It is answered with 403 and a challenge with ``error="insufficient_scope"`` that names the scopes of the view and
    these. MCP clients then ask the user for them and try again (step-up authorization). ::

        @app.post("/mcp")
        @cors.protected(verify, scopes=["tools"])
        def mcp():
            if calls("deleteAll") and "admin" not in g.mcp_identity["scopes"]:
                raise InsufficientScope("admin")

    :param scopes: what this request needs, as a list or a space-separated string.
    """

    def __init__(self, scopes: Iterable[str]) -> None:
        super().__init__(INSUFFICIENT.message)
        self.scopes = word_tuple("InsufficientScope(…)", scopes)

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """The response: the challenge is that of the guard that has let the request pass."""
        verified: tuple[Guard, ...] = getattr(request, _VERIFIED, ())
        if not verified:
            return super().get_response(*args, **kwargs)
        return verified[-1].refuse(request, INSUFFICIENT, self.scopes)


def word_tuple(place: str, value: Iterable[str]) -> tuple[str, ...]:
    words = tuple(value.split()) if isinstance(value, str) else tuple(value)
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"{place}: write strings")
    return words


def _parse_authorization(scheme: str, header: str) -> Authorization | Refusal:
    rest = header.partition(" ")[2].strip(" ")
    if not header.isascii() or not header.isprintable():
        return WRONG
    if scheme in ("bearer", "basic") and not _TOKEN68.fullmatch(rest):
        return WRONG
    parsed = Authorization.from_header(header)
    if parsed is None:
        return WRONG
    # werkzeug takes what it finds: "one, Token two" for a token, "Token b" for a parameter's name.
    if parsed.token is not None and not _TOKEN68.fullmatch(parsed.token):
        return WRONG
    if not all(map(is_token, parsed.parameters)):
        return WRONG
    # Basic carries its own text, and hmac.compare_digest raises for any that is not ASCII.
    if not all(str(value).isascii() for value in parsed.parameters.values()):
        return WRONG
    # RFC 7617, section 2: user-id and password are told apart by a colon, which werkzeug does not demand.
    if scheme == "basic" and b":" not in b64decode(rest):
        return WRONG
    return parsed


def _await(result: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await result

    return current_app.ensure_sync(wait)()


def _scopes_of(identity: object) -> set[str]:
    scopes = identity.get("scopes") if isinstance(identity, Mapping) else getattr(identity, "scopes", None)
    if isinstance(scopes, str):
        return set(scopes.split())
    return {scope for scope in scopes if isinstance(scope, str)} if isinstance(scopes, Iterable) else set()


def guard_view(target: V, guard: Guard) -> V:
    """Wrap a view in a guard and mark it, or mark a blueprint."""
    if isinstance(target, Blueprint):
        mark_guard(target, guard)
        return target
    if inspect.isclass(target):
        raise TypeError(
            f"cors.protected cannot wrap the class {target.__name__}; write decorators = [cors.protected(…)] in it"
        )
    if not callable(target):
        raise TypeError(f"cors.protected guards views and blueprints, not {target!r}")
    view: Callable[..., Any] = target

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        refusal = guard.check(request)
        if refusal is not None:
            return refusal
        return current_app.ensure_sync(view)(*args, **kwargs)

    mark_wrapper(guarded, view, guard)
    return cast(V, guarded)
