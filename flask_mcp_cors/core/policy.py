"""The policy: settings, validated and compiled once; two questions, answered per request.

:meth:`CORSPolicy.preflight` and :meth:`CORSPolicy.actual` follow the Fetch standard's "CORS protocol"
(https://fetch.spec.whatwg.org/#http-cors-protocol) from the server's side. They read nothing but
their arguments and raise for no request.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from typing import Literal
from typing import NoReturn
from typing import Unpack

from . import headers as names
from .decision import Decision
from .decision import Headers
from .decision import Reason
from .decision import REFUSAL_BODIES
from .decision import refusal_status
from .headers import is_token
from .patterns import Match
from .patterns import OriginCallable
from .patterns import OriginIndex
from .security import SecurityHeaders
from .settings import POLICY_SETTINGS
from .settings import PolicySettings
from .validation import read_policy_settings

VARY_ACTUAL = ("Vary", "Origin")
VARY_OPTIONS = ("Vary", f"Origin, {names.REQUEST_METHOD}, {names.REQUEST_HEADERS}")

_REFUSED = {
    Match.NOT_ALLOWED: Reason.ORIGIN_NOT_ALLOWED,
    Match.MALFORMED: Reason.ORIGIN_MALFORMED,
    Match.REPEATED: Reason.ORIGIN_REPEATED,
}

_NOT_A_PREFLIGHT = Decision(False, Reason.NOT_A_PREFLIGHT, None, ())


class CORSPolicy:
    """Who may call, with which methods and headers, and what JavaScript may read of the answer.

    Without arguments it is the MCP default: pages on this machine (:data:`LOOPBACK`), the methods
    and header names of every MCP revision. It is validated when made, immutable afterwards, safe to
    share between threads, compared by its settings, and it can be pickled unless ``origins`` is a
    callable that cannot.

    :param origins: origin patterns, one string or many; or a callable ``(origin: str) -> bool``,
        called for every well-formed origin. An exception in it means no, and is logged. Default:
        :data:`LOOPBACK`.
    :param allow_methods: methods besides ``GET``, ``HEAD`` and ``POST``, which CORS always lets
        through; ``"*"``: any.
    :param allow_headers: request header names, ``Prefix-*`` for a family, ``"*"`` for every name
        but ``Authorization``.
    :param expose_headers: response header names that JavaScript may read.
    :param extra_allow_headers: added to ``allow_headers``.
    :param extra_expose_headers: added to ``expose_headers``.
    :param allow_credentials: may the browser send cookies and HTTP authentication that it keeps?
        A bearer token that JavaScript sets itself does not need it.
    :param max_age: how long a browser may keep a preflight's answer, in seconds, 0 to 86400;
        ``None`` leaves the header out.
    :param preflight_status: 200 to 299.
    :param validate_origin: refuse real requests of foreign origins, as MCP demands; ``False`` for
        plain CORS, ``"report"`` to let them run and only say so.
    :param security_headers: a :class:`SecurityHeaders`, a mapping of its arguments, or ``None``.
    :param dangerously_allow_insecure_origins: permit ``http:`` origins together with credentials.
    :param dangerously_allow_public_suffixes: permit ``https://*.github.io`` and its like.
    :param dangerously_allow_null: permit ``null`` and ``file://``.
    :raises PolicyError: naming every fault at once.

    >>> policy = CORSPolicy(origins=["https://app.example.com", "https://*.example.org"])
    >>> policy.preflight("https://a.example.org", "POST", "authorization,mcp-param-region").allowed
    True
    >>> policy.preflight("https://example.org", "POST").status
    403
    """

    origins: tuple[str, ...] | Callable[[str], bool]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    extra_allow_headers: tuple[str, ...]
    extra_expose_headers: tuple[str, ...]
    allow_credentials: bool
    max_age: int | None
    preflight_status: int
    validate_origin: bool | Literal["report"]
    security_headers: SecurityHeaders | None
    dangerously_allow_insecure_origins: bool
    dangerously_allow_public_suffixes: bool
    dangerously_allow_null: bool

    def __init__(self, **settings: Unpack[PolicySettings]) -> None:
        given = dict(settings)
        values, origins = read_policy_settings(given)
        state = self.__dict__
        state.update(values)
        # Which settings were written matters: credentials need origins that somebody chose.
        state["_given"] = {word: values[word] for word in PolicySettings.__annotations__ if word in given}
        state["_origins"] = origins
        self._compile()

    def _compile(self) -> None:
        state = self.__dict__
        allow_headers = _unique((*self.allow_headers, *self.extra_allow_headers))
        exact = [name for name in allow_headers if not name.endswith("*")]
        state["_methods"] = frozenset(self.allow_methods) | names.SAFELISTED_METHODS
        state["_any_method"] = "*" in self.allow_methods
        state["_method_names"] = [method for method in self.allow_methods if method != "*"]
        state["_allow_methods"] = (names.ALLOW_METHODS, ", ".join(self._method_names))
        state["_any_header"] = "*" in allow_headers
        state["_header_names"] = frozenset(name.lower() for name in exact)
        state["_header_families"] = tuple(name[:-1].lower() for name in allow_headers if name.endswith("-*"))
        state["_allow_headers"] = ", ".join(exact)
        state["_any_origin"] = self._origins.any_origin
        exposed = ", ".join(_unique((*self.expose_headers, *self.extra_expose_headers)))

        credentials: Headers = ((names.ALLOW_CREDENTIALS, "true"),) if self.allow_credentials else ()
        max_age: Headers = () if self.max_age is None else ((names.MAX_AGE, str(self.max_age)),)
        expose: Headers = ((names.EXPOSE_HEADERS, exposed),) if exposed else ()
        # Each pair of tuples is indexed by ``secure``: some headers are for HTTPS only.
        security = [self.security_headers.to_headers(secure=s) if self.security_headers else () for s in (False, True)]
        vary = () if self._any_origin else (VARY_ACTUAL,)
        # Security headers come first: they fill gaps, so where a layer further out applies the same
        # decision again it finds them at the place where they stay.
        state["_security"] = security
        state["_preflight_tail"] = (*max_age, *credentials, VARY_OPTIONS)
        state["_actual_tail"] = (*credentials, *expose, *vary)
        anyone: Headers = ((names.ALLOW_ORIGIN, "*"), *expose) if self._any_origin else ()
        state["_unmatched"] = [(*s, *anyone, *vary) for s in security]
        state["_no_origin"] = [Decision(True, Reason.NO_ORIGIN, None, h) for h in self._unmatched]
        state["_same_origin"] = [Decision(True, Reason.SAME_ORIGIN, None, h) for h in self._unmatched]
        fixed = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        state["_refusal"] = [(*fixed, *(h for h in s if h[0].lower() != "cache-control")) for s in security]

        #: Does the same question always get the same answer? A callable may change its mind.
        state["is_constant"] = isinstance(self._origins, OriginIndex)

    def replace(self, **settings: Unpack[PolicySettings]) -> CORSPolicy:
        """A new policy: this one's settings with *settings* over them, validated together.

        :raises PolicyError: as the constructor does.

        >>> CORSPolicy(max_age=600).replace(origins="https://app.example.com").max_age
        600
        """
        return CORSPolicy(**{**self._given, **settings})

    def preflight(
        self,
        origin: str | None,
        method: str | None,
        headers: str | None = None,
        *,
        secure: bool = False,
        methods: Collection[str] | None = None,
    ) -> Decision:
        """Answer a CORS-preflight request (https://fetch.spec.whatwg.org/#cors-preflight-request).

        A refused origin gets 403 and no CORS header. An allowed one always gets the whole policy,
        also where the method or a header name is not allowed: the browser compares and names the
        culprit, and :attr:`Decision.offending` does here. Never raises.

        :param origin: the ``Origin`` header as sent, or ``None``.
        :param method: ``Access-Control-Request-Method`` as sent, or ``None``.
        :param headers: ``Access-Control-Request-Headers`` as sent, or ``None``.
        :param secure: the request came over HTTPS.
        :param methods: those of the policy's methods that it governs at this URL; ``None``: all of them.
        """
        if origin is None or method is None:
            return _NOT_A_PREFLIGHT
        match = self._origins.match(origin)
        if match is not Match.ALLOWED:
            return self.refuse(_REFUSED[match], options=True, secure=secure)

        reason = Reason.PREFLIGHT_ALLOWED
        offending: tuple[str, ...] = ()
        allow_headers = self._allow_headers
        # What browsers send, and all of it named in the policy: the common case needs no parsing.
        if headers and not (
            len(headers) <= names.MAX_REQUEST_HEADERS_LENGTH and self._header_names.issuperset(headers.split(","))
        ):
            allow_headers, offending, whole = self._admit_headers(headers)
            if offending:
                reason = Reason.HEADER_NOT_ALLOWED
            elif not whole:
                reason = Reason.TOO_MANY_HEADERS
        listed = self._method_names if methods is None else [m for m in self._method_names if m in methods]
        allow_methods = self._allow_methods if methods is None else (names.ALLOW_METHODS, ", ".join(listed))
        if method not in self._methods or self._any_method:
            if self._any_method and is_token(method) and method.upper() not in names.FORBIDDEN_METHODS:
                allow_methods = (names.ALLOW_METHODS, ", ".join(dict.fromkeys((*listed, method))))
            else:
                reason, offending = Reason.METHOD_NOT_ALLOWED, (method, *offending)

        answer = [*self._security[secure], (names.ALLOW_ORIGIN, "*" if self._any_origin else origin)]
        if allow_methods[1]:
            answer.append(allow_methods)
        if allow_headers:
            answer.append((names.ALLOW_HEADERS, allow_headers))
        answer += self._preflight_tail
        return Decision(
            reason is Reason.PREFLIGHT_ALLOWED, reason, self.preflight_status, tuple(answer), b"", True, offending
        )

    def _admit_headers(self, asked: str) -> tuple[str, tuple[str, ...], bool]:
        """The value of ``Access-Control-Allow-Headers``, the refused names, and whether all were read."""
        requested, whole = names.parse_request_header_names(asked)
        admitted: list[str] = []
        offending: list[str] = []
        for name in _unique(requested):
            if name in self._header_names:
                continue
            (admitted if self._admits_header(name) else offending).append(name)
        value = ", ".join((self._allow_headers, *admitted) if self._allow_headers else admitted)
        return value, tuple(offending), whole

    def _admits_header(self, name: str) -> bool:
        """May this lower-case name be reflected, though it is not on the list itself?"""
        # As a token "*" is a name, but in the answer it would be the wildcard.
        if not is_token(name) or name == "*":
            return False
        if self._any_header and name != names.NON_WILDCARD:
            return True
        return name.startswith(self._header_families) and name not in self._header_families

    def actual(self, origin: str | None, *, same_origin: bool = False, secure: bool = False) -> Decision:
        """Decide on a real request: the headers of its response, and whether to refuse it.

        Never raises.

        :param origin: the ``Origin`` header as sent, or ``None``.
        :param same_origin: the caller knows that the request comes from the application's own pages.
        :param secure: the request came over HTTPS.
        """
        if origin is None:
            return self._no_origin[secure]
        match = self._origins.match(origin)
        if match is Match.ALLOWED:
            allow_origin = (names.ALLOW_ORIGIN, "*" if self._any_origin else origin)
            headers = (*self._security[secure], allow_origin, *self._actual_tail)
            return Decision(True, Reason.ORIGIN_ALLOWED, None, headers)
        if same_origin:
            return self._same_origin[secure]
        if self.validate_origin is True:
            return self.refuse(_REFUSED[match], secure=secure)
        decision = self.let_pass(_REFUSED[match], secure=secure)
        return decision._replace(reported=self.validate_origin == "report")

    def refuse(self, reason: Reason, *, options: bool = False, secure: bool = False) -> Decision:
        """The refusal for *reason*: a JSON-RPC error response without ``id``, and never a CORS header.

        :param options: it answers an ``OPTIONS`` request.
        """
        vary = VARY_OPTIONS if options else VARY_ACTUAL
        return Decision(
            False, reason, refusal_status(reason), (*self._refusal[secure], vary), REFUSAL_BODIES[reason], True
        )

    def let_pass(self, reason: Reason, *, secure: bool = False) -> Decision:
        """What a request gets that would be refused for *reason*, where the policy only reports."""
        return Decision(False, reason, None, self._unmatched[secure], reported=True)

    @property
    def allows_any_origin(self) -> bool:
        """Is ``*`` among the origins?"""
        return bool(self._any_origin)

    @property
    def denies_frames(self) -> bool:
        """Does every response forbid that a page embeds it in a frame?"""
        security = self.security_headers
        return security is not None and (security.frame_options or "").upper() == "DENY"

    @property
    def has_default_origins(self) -> bool:
        """Were the origins left to the default?"""
        return "origins" not in self._given

    # Everything above is set through ``__dict__``; this tells mypy what the compiled parts are.
    _given: Mapping[str, Any]
    _origins: OriginIndex | OriginCallable
    _any_origin: bool
    _methods: frozenset[str]
    _any_method: bool
    _method_names: list[str]
    _allow_methods: tuple[str, str]
    _any_header: bool
    _header_names: frozenset[str]
    _header_families: tuple[str, ...]
    _allow_headers: str
    _security: list[Headers]
    _preflight_tail: Headers
    _actual_tail: Headers
    _unmatched: list[Headers]
    _no_origin: list[Decision]
    _same_origin: list[Decision]
    _refusal: list[Headers]
    is_constant: bool

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a CORSPolicy is immutable; write policy.replace({name}=…)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a CORSPolicy is immutable")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CORSPolicy):
            return NotImplemented
        return all(getattr(self, word) == getattr(other, word) for word in POLICY_SETTINGS)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.origins, self.allow_methods, self.allow_headers, self.max_age))

    def __repr__(self) -> str:
        return f"CORSPolicy({', '.join(f'{word}={value!r}' for word, value in self._given.items())})"

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], CORSPolicy], tuple[dict[str, Any]]]:
        return _remade, (dict(self._given),)


def _remade(settings: dict[str, Any]) -> CORSPolicy:
    return CORSPolicy(**settings)


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    """The items in order, none twice, whatever its case."""
    seen: dict[str, str] = {}
    for item in items:
        seen.setdefault(item.lower(), item)
    return tuple(seen.values())
