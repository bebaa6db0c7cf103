"""Answers: the decisions of one policy on preflights and real requests.

The parts of every answer are made once, from validated settings; a request only selects among them. No request
makes this module raise.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

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

VARY_ACTUAL = ("Vary", "Origin")
VARY_OPTIONS = ("Vary", f"Origin, {names.REQUEST_METHOD}, {names.REQUEST_HEADERS}")

_REFUSED = {
    Match.NOT_ALLOWED: Reason.ORIGIN_NOT_ALLOWED,
    Match.MALFORMED: Reason.ORIGIN_MALFORMED,
    Match.REPEATED: Reason.ORIGIN_REPEATED,
}

_NOT_A_PREFLIGHT = Decision(False, Reason.NOT_A_PREFLIGHT, None, ())


class Answers:
    """A compiled policy. Lists with two members are indexed by ``secure``: some headers are for HTTPS only."""

    def __init__(self, values: Mapping[str, Any], origins: OriginIndex | OriginCallable) -> None:
        """*values* has every policy setting, already validated."""
        self.origins = origins
        self.validate_origin = values["validate_origin"]
        self.preflight_status: int = values["preflight_status"]
        self.any_method = "*" in values["allow_methods"]
        self.methods = frozenset(values["allow_methods"]) | names.SAFELISTED_METHODS
        self.method_names = [method for method in values["allow_methods"] if method != "*"]
        self.allow_methods = (names.ALLOW_METHODS, ", ".join(self.method_names))

        allow_headers = _unique((*values["allow_headers"], *values["extra_allow_headers"]))
        exact = [name for name in allow_headers if not name.endswith("*")]
        self.any_header = "*" in allow_headers
        self.header_names = frozenset(name.lower() for name in exact)
        self.header_families = tuple(name[:-1].lower() for name in allow_headers if name.endswith("-*"))
        self.allow_headers = ", ".join(exact)

        exposed = ", ".join(_unique((*values["expose_headers"], *values["extra_expose_headers"])))
        max_age = values["max_age"]
        security_headers = values["security_headers"]
        credentials: Headers = ((names.ALLOW_CREDENTIALS, "true"),) if values["allow_credentials"] else ()
        keep: Headers = () if max_age is None else ((names.MAX_AGE, str(max_age)),)
        expose: Headers = ((names.EXPOSE_HEADERS, exposed),) if exposed else ()
        vary = () if origins.any_origin else (VARY_ACTUAL,)
        anyone: Headers = ((names.ALLOW_ORIGIN, "*"), *expose) if origins.any_origin else ()
        fixed = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        # Security headers come first. They never replace a header, so applying a decision twice keeps the order.
        self.security: list[Headers] = [
            security_headers.to_headers(secure=secure) if security_headers else () for secure in (False, True)
        ]
        self.preflight_tail = (*keep, *credentials, VARY_OPTIONS)
        self.actual_tail = (*credentials, *expose, *vary)
        self.without_cors: list[Headers] = [(*security, *anyone, *vary) for security in self.security]
        self.no_origin = [Decision(True, Reason.NO_ORIGIN, None, headers) for headers in self.without_cors]
        self.same_origin = [Decision(True, Reason.SAME_ORIGIN, None, headers) for headers in self.without_cors]
        self.refusal: list[Headers] = [
            (*fixed, *(pair for pair in security if pair[0].lower() != "cache-control")) for security in self.security
        ]

    def preflight(
        self,
        origin: str | None,
        method: str | None,
        headers: str | None,
        secure: bool,
        methods: Collection[str] | None,
    ) -> Decision:
        """The answer to a CORS-preflight request: see :meth:`CORSPolicy.preflight`."""
        if origin is None or method is None:
            return _NOT_A_PREFLIGHT
        match = self.origins.match(origin)
        if match is not Match.ALLOWED:
            return self.refuse(_REFUSED[match], options=True, secure=secure)

        reason = Reason.PREFLIGHT_ALLOWED
        offending: tuple[str, ...] = ()
        allow_headers = self.allow_headers
        # The common case: the value as browsers write it, with names that are all in the policy. It needs no parsing.
        if headers and not (
            len(headers) <= names.MAX_REQUEST_HEADERS_LENGTH and self.header_names.issuperset(headers.split(","))
        ):
            allow_headers, offending, whole = self._admit_headers(headers)
            if offending:
                reason = Reason.HEADER_NOT_ALLOWED
            elif not whole:
                reason = Reason.TOO_MANY_HEADERS
        listed = self.method_names if methods is None else [m for m in self.method_names if m in methods]
        allow_methods = self.allow_methods if methods is None else (names.ALLOW_METHODS, ", ".join(listed))
        if method not in self.methods or self.any_method:
            if self.any_method and is_token(method) and method.upper() not in names.FORBIDDEN_METHODS:
                allow_methods = (names.ALLOW_METHODS, ", ".join(dict.fromkeys((*listed, method))))
            else:
                reason, offending = Reason.METHOD_NOT_ALLOWED, (method, *offending)

        answer = [*self.security[secure], (names.ALLOW_ORIGIN, "*" if self.origins.any_origin else origin)]
        if allow_methods[1]:
            answer.append(allow_methods)
        if allow_headers:
            answer.append((names.ALLOW_HEADERS, allow_headers))
        answer += self.preflight_tail
        return Decision(
            reason is Reason.PREFLIGHT_ALLOWED, reason, self.preflight_status, tuple(answer), b"", True, offending
        )

    def _admit_headers(self, asked: str) -> tuple[str, tuple[str, ...], bool]:
        """The value of ``Access-Control-Allow-Headers``, the refused names, and whether all were read."""
        requested, whole = names.parse_request_header_names(asked)
        admitted: list[str] = []
        offending: list[str] = []
        for name in _unique(requested):
            if name in self.header_names:
                continue
            (admitted if self._admits_header(name) else offending).append(name)
        value = ", ".join((self.allow_headers, *admitted) if self.allow_headers else admitted)
        return value, tuple(offending), whole

    def _admits_header(self, name: str) -> bool:
        """May the answer contain this lower-case name, although the list does not have it?"""
        # "*" is a valid token, but in the answer it would be the wildcard.
        if not is_token(name) or name == "*":
            return False
        if self.any_header and name != names.NON_WILDCARD:
            return True
        return name.startswith(self.header_families) and name not in self.header_families

    def actual(self, origin: str | None, same_origin: bool, secure: bool) -> Decision:
        """The decision on a real request: see :meth:`CORSPolicy.actual`."""
        if origin is None:
            return self.no_origin[secure]
        match = self.origins.match(origin)
        if match is Match.ALLOWED:
            allow_origin = (names.ALLOW_ORIGIN, "*" if self.origins.any_origin else origin)
            headers = (*self.security[secure], allow_origin, *self.actual_tail)
            return Decision(True, Reason.ORIGIN_ALLOWED, None, headers)
        if same_origin:
            return self.same_origin[secure]
        if self.validate_origin is True:
            return self.refuse(_REFUSED[match], secure=secure)
        decision = self.report_only(_REFUSED[match], secure=secure)
        return decision._replace(reported=self.validate_origin == "report")

    def refuse(self, reason: Reason, *, options: bool = False, secure: bool = False) -> Decision:
        """The refusal for *reason*: a JSON-RPC error response without ``id``, and never a CORS header.

        :param options: the request is an ``OPTIONS`` request.
        """
        vary = VARY_OPTIONS if options else VARY_ACTUAL
        return Decision(
            False, reason, refusal_status(reason), (*self.refusal[secure], vary), REFUSAL_BODIES[reason], True
        )

    def report_only(self, reason: Reason, *, secure: bool = False) -> Decision:
        """The decision on a request that would be refused for *reason*, if the policy only reports."""
        return Decision(False, reason, None, self.without_cors[secure], reported=True)


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    """The items in order, without duplicates; names that differ only in case are duplicates."""
    seen: dict[str, str] = {}
    for item in items:
        seen.setdefault(item.lower(), item)
    return tuple(seen.values())
