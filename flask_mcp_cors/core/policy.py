"""The policy: settings that are validated and compiled once, and the decisions on preflights and real requests.

:meth:`CORSPolicy.preflight` and :meth:`CORSPolicy.actual` follow the Fetch standard's "CORS protocol"
(https://fetch.spec.whatwg.org/#http-cors-protocol) for the server. They depend only on their arguments and
raise for no request.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from typing import Literal
from typing import NoReturn
from typing import Unpack

from .answers import Answers
from .decision import Decision
from .decision import Reason
from .patterns import OriginIndex
from .security import SecurityHeaders
from .settings import POLICY_SETTINGS
from .settings import PolicySettings
from .validation import read_policy_settings


class CORSPolicy:
    """Which pages may call, with which methods and headers, and which response headers JavaScript may read.

    Without arguments it is the MCP default: pages on this machine (:data:`LOOPBACK`), and the methods
    and header names of every MCP revision. A policy is validated when it is created and immutable afterwards. It
    can be shared between threads, is compared by its settings, and can be pickled, unless ``origins`` is a
    callable that cannot be pickled.

    :param origins: origin patterns, one string or many; or a callable ``(origin: str) -> bool``,
        called for every well-formed origin. If it raises an exception, the origin is not allowed, and the
        exception is logged. Default: :data:`LOOPBACK`.
    :param allow_methods: methods besides ``GET``, ``HEAD`` and ``POST``, which CORS always allows;
        ``"*"``: any.
    :param allow_headers: request header names, ``Prefix-*`` for a family, ``"*"`` for every name
        but ``Authorization``.
    :param expose_headers: response header names that JavaScript may read.
    :param extra_allow_headers: added to ``allow_headers``.
    :param extra_expose_headers: added to ``expose_headers``.
    :param allow_credentials: may the browser send cookies and HTTP authentication that it keeps?
        A bearer token that JavaScript sets itself does not need it.
    :param max_age: how long a browser may cache the answer to a preflight, in seconds, 0 to 86400;
        ``None`` leaves the header out.
    :param preflight_status: the status of the answer to a preflight, 200 to 299.
    :param validate_origin: ``True`` refuses real requests from foreign origins, as MCP requires. ``False`` is
        plain CORS. ``"report"`` lets them run and reports them.
    :param security_headers: a :class:`SecurityHeaders`, a mapping of its arguments, or ``None``.
    :param dangerously_allow_insecure_origins: permit ``http:`` origins together with credentials.
    :param dangerously_allow_public_suffixes: permit patterns such as ``https://*.github.io``.
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
        self.__dict__.update(
            values,
            # Kept, because it matters which settings were given: credentials need explicit origins.
            _given={word: values[word] for word in PolicySettings.__annotations__ if word in given},
            _answers=Answers(values, origins),
        )

    def replace(self, **settings: Unpack[PolicySettings]) -> CORSPolicy:
        """A new policy with the settings of this one, changed by *settings* and validated together.

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

        A refused origin gets 403 and no CORS headers. An allowed origin always gets the whole policy, even if the
        method or a header name is not allowed: the browser compares, and its console names what is not allowed.
        So does :attr:`Decision.offending`. Never raises.

        :param origin: the ``Origin`` header as sent, or ``None``.
        :param method: ``Access-Control-Request-Method`` as sent, or ``None``.
        :param headers: ``Access-Control-Request-Headers`` as sent, or ``None``.
        :param secure: the request came over HTTPS.
        :param methods: the methods of this URL that the policy covers; ``None``: all methods of the policy.
        """
        return self._answers.preflight(origin, method, headers, secure, methods)

    def actual(self, origin: str | None, *, same_origin: bool = False, secure: bool = False) -> Decision:
        """Decide on a real request: the headers of its response, and whether to refuse it.

        Never raises.

        :param origin: the ``Origin`` header as sent, or ``None``.
        :param same_origin: the request is known to come from the application's own pages.
        :param secure: the request came over HTTPS.
        """
        return self._answers.actual(origin, same_origin, secure)

    def refuse(self, reason: Reason, *, options: bool = False, secure: bool = False) -> Decision:
        """The refusal for *reason*: a JSON-RPC error response without ``id``, and never a CORS header.

        :param options: the request is an ``OPTIONS`` request.
        """
        return self._answers.refuse(reason, options=options, secure=secure)

    def report_only(self, reason: Reason, *, secure: bool = False) -> Decision:
        """The decision on a request that would be refused for *reason*, if the policy only reports."""
        return self._answers.report_only(reason, secure=secure)

    @property
    def allows_any_origin(self) -> bool:
        """Is ``*`` among the origins?"""
        return self._answers.origins.any_origin

    @property
    def denies_frames(self) -> bool:
        """Do the security headers forbid that any page shows a response in a frame?"""
        security = self.security_headers
        return security is not None and (security.frame_options or "").upper() == "DENY"

    @property
    def has_default_origins(self) -> bool:
        """Were the origins left to the default?"""
        return "origins" not in self._given

    @property
    def is_constant(self) -> bool:
        """Does the same request always get the same answer? With a callable in ``origins`` it may not."""
        return isinstance(self._answers.origins, OriginIndex)

    # Both are set through ``__dict__``.
    _given: Mapping[str, Any]
    _answers: Answers

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
