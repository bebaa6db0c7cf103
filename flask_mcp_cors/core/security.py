"""Security headers: response headers for every response, CORS or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from functools import partial
from types import MappingProxyType
from typing import Any

from .decision import Headers
from .headers import is_token
from .problems import PolicyError
from .problems import PolicyProblem
from .problems import shown
from .problems import wrong_type

_NAMES = {
    "content_type_options": "X-Content-Type-Options",
    "frame_options": "X-Frame-Options",
    "referrer_policy": "Referrer-Policy",
    "content_security_policy": "Content-Security-Policy",
    "strict_transport_security": "Strict-Transport-Security",
    "permissions_policy": "Permissions-Policy",
    "cross_origin_resource_policy": "Cross-Origin-Resource-Policy",
    "cache_control": "Cache-Control",
}

#: Headers that the policy, the framework or the connection sets.
_SET_ELSEWHERE = frozenset({"vary", "set-cookie", "content-type", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityHeaders:
    """The security headers of every response on a covered path; ``None`` leaves one out.

    They are added only if missing: a value that the view or another extension has set is kept.
    ``Strict-Transport-Security`` is sent over HTTPS only (RFC 6797, section 7.2). *other* holds
    further headers by name. Immutable.

    :raises PolicyError: for an invalid header value, or for a name in *other* that may not be set here.

    >>> SecurityHeaders(referrer_policy=None, frame_options="SAMEORIGIN").to_headers()
    (('X-Content-Type-Options', 'nosniff'), ('X-Frame-Options', 'SAMEORIGIN'))
    """

    content_type_options: str | None = "nosniff"
    frame_options: str | None = "DENY"
    referrer_policy: str | None = "strict-origin-when-cross-origin"
    content_security_policy: str | None = None
    strict_transport_security: str | None = None
    permissions_policy: str | None = None
    cross_origin_resource_policy: str | None = None
    cache_control: str | None = None
    other: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems: list[PolicyProblem] = []
        for setting in _NAMES:
            value = getattr(self, setting)
            if value is not None:
                _check_value(f"security_headers.{setting}", value, problems)
        if not isinstance(self.other, Mapping):
            problems.append(wrong_type("security_headers.other", self.other, "a mapping of names to values"))
        else:
            for name, value in self.other.items():
                _check_value(f"security_headers.other[{name!r}]", value, problems)
                _check_name(name, problems)
        if problems:
            raise PolicyError(problems)
        object.__setattr__(self, "other", MappingProxyType(dict(self.other)))

    def __hash__(self) -> int:
        return hash(self.to_headers(secure=True))

    def __reduce__(self) -> tuple[Any, ...]:
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        return partial(SecurityHeaders, **(settings | {"other": dict(self.other)})), ()

    def to_headers(self, *, secure: bool = False) -> Headers:
        """The headers in order; *secure*: the request came over HTTPS."""
        named = ((header, getattr(self, setting)) for setting, header in _NAMES.items())
        pairs = [(header, value) for header, value in named if value is not None]
        if not secure:
            pairs = [pair for pair in pairs if pair[0] != "Strict-Transport-Security"]
        return (*pairs, *self.other.items())


def _check_value(setting: str, value: object, problems: list[PolicyProblem]) -> None:
    if not isinstance(value, str):
        problems.append(wrong_type(setting, value, "a string, or None to leave the header out"))
    elif not value.isascii() or not value.isprintable() or value != value.strip() or not value:
        message = (
            "not a valid header value; write printable ASCII without white space around it, or None to leave it out"
        )
        problems.append(PolicyProblem("header_value_invalid", setting, value, message))
    elif setting == "security_headers.frame_options" and value.upper() not in ("DENY", "SAMEORIGIN"):
        message = (
            'browsers ignore this value; write "DENY", "SAMEORIGIN", or None to leave the header out (in an '
            "environment variable: null)"
        )
        problems.append(PolicyProblem("header_value_invalid", setting, value, message))


def _check_name(name: object, problems: list[PolicyProblem]) -> None:
    setting = "security_headers.other"
    if not isinstance(name, str) or not is_token(name):
        message = "not a valid header name; write an RFC 9110 token such as X-Robots-Tag"
        problems.append(PolicyProblem("header_name_invalid", setting, name, message))
    elif name.lower() in _SET_ELSEWHERE or name.lower().startswith("access-control-"):
        message = f"{shown(name)} is set by the policy or the application, not as a security header; leave it out"
        problems.append(PolicyProblem("header_name_prohibited", setting, name, message))
    elif own := next((word for word, header in _NAMES.items() if header.lower() == name.lower()), None):
        message = f"this header has its own setting; write {own}=…"
        problems.append(PolicyProblem("header_name_prohibited", setting, name, message))


def security_headers_from(value: object, problems: list[PolicyProblem]) -> SecurityHeaders | None:
    """What the setting ``security_headers`` means: an instance, the arguments of one, or ``None``."""
    if value is None or isinstance(value, SecurityHeaders):
        return value
    if not isinstance(value, Mapping):
        problems.append(
            wrong_type("security_headers", value, "SecurityHeaders(…), a mapping of its arguments, or None")
        )
        return None
    # Nested keys from environment variables are in upper case.
    arguments = {str(word).lower(): argument for word, argument in value.items()}
    known = [f.name for f in fields(SecurityHeaders)]
    for word in [word for word in arguments if word not in known]:
        message = f"unknown security header; write one of {', '.join(known)}"
        problems.append(PolicyProblem("unknown_setting", f"security_headers.{word}", arguments.pop(word), message))
    try:
        return SecurityHeaders(**arguments)
    except PolicyError as error:
        problems.extend(error.problems)
        return None
