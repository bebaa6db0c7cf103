"""Validation of a policy's settings. It finds every fault at once.

:data:`SETTINGS` has a row for each setting: its default, and the function that reads it. The meaning of a setting is
described in :class:`~flask_mcp_cors.core.settings.PolicySettings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any
from typing import NamedTuple

from . import headers as names
from .headers import is_token
from .mcp import DEFAULT_ALLOW_HEADERS
from .mcp import DEFAULT_ALLOW_METHODS
from .mcp import DEFAULT_EXPOSE_HEADERS
from .origins import LOOPBACK
from .origins import WEB_SCHEMES
from .patterns import OriginCallable
from .patterns import OriginIndex
from .patterns import parse_pattern
from .patterns import Pattern
from .patterns import PLAINTEXT_SCHEMES
from .patterns import regex_message
from .problems import as_list
from .problems import Invalid
from .problems import number_members
from .problems import PolicyError
from .problems import PolicyProblem
from .problems import string_list
from .problems import wrong_type
from .security import security_headers_from
from .security import SecurityHeaders
from .settings import check_words
from .settings import POLICY_SETTINGS
from .suffixes import covers_public_suffix

#: A day. Firefox caches no answer longer, and a server cannot remove a wrong answer from a browser's cache.
MAX_AGE_LIMIT = 86400


def read_policy_settings(given: Mapping[str, Any]) -> tuple[dict[str, Any], OriginIndex | OriginCallable]:
    """The value of every policy setting, and the compiled origins.

    :raises PolicyError: with every problem of *given*.
    """
    reader = _Reader(given)
    values = {}
    for word, setting in SETTINGS.items():
        count, value = len(reader.problems), reader.value(word)
        values[word] = setting.read(reader, word, value)
        number_members(word, value, reader.problems, count)
    if reader.problems:
        raise PolicyError(reader.problems)
    return values, reader.index


class _Reader:
    """Reads one setting after the other and collects the problems."""

    index: OriginIndex | OriginCallable

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.problems: list[PolicyProblem] = check_words(given, POLICY_SETTINGS)

    def value(self, word: str) -> Any:
        return self.given.get(word, SETTINGS[word].default)

    def is_set(self, word: str) -> bool:
        """Is this switch on? A value of a wrong type counts as off; reading the switch itself reports it."""
        return self.value(word) is True

    def add(self, code: str, word: str, value: object, message: str) -> None:
        self.problems.append(PolicyProblem(code, word, value, message))

    def flag(self, word: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.problems.append(wrong_type(word, value, "True or False"))
        return value is True

    # origins

    def origins(self, word: str, value: Any) -> Any:
        if callable(value):
            if iscoroutinefunction(value):
                self.add("origins_async", word, value, "must not be async: it runs for every request")
            self.index = OriginCallable(value, allow_null=self.is_set("dangerously_allow_null"))
            return value
        count = len(self.problems)
        texts = string_list(word, value, self.problems)
        for place, problem in enumerate(self.problems[count:], count):
            if isinstance(expression := problem.value, re.Pattern):
                message = regex_message(str(expression.pattern))
                self.problems[place] = PolicyProblem("origin_regex", word, expression, message)
        if not texts and len(self.problems) == count:
            self.add("origins_empty", word, value, 'empty: no page could connect; list an origin, or write "*"')
        texts = tuple(dict.fromkeys(texts))
        literals = [text for text in texts if text in ("null", "file:", "file://")]
        for text in literals:
            if not self.is_set("dangerously_allow_null"):
                message = "every sandboxed frame and every local file has this origin; list real origins, or set "
                message += "dangerously_allow_null=True"
                self.add("origin_null" if text == "null" else "origin_file", word, text, message)
        patterns: list[Pattern] = []
        for text in texts:
            if text == "*" or text in literals:
                continue
            try:
                patterns.append(parse_pattern(text))
            except Invalid as fault:
                self.add(fault.code, word, text, fault.message)
            else:
                self.check_pattern(patterns[-1])
        if "*" in texts and self.is_set("allow_credentials"):
            others = [text for text in texts if text != "*"]
            advice = "list the origins, or set allow_credentials=False"
            if others:
                advice = f'take "*" out: write {as_list(others)}'
            message = f"browsers refuse * together with allow_credentials; {advice}"
            self.add("credentials_any_origin", word, "*", message)
        literals = ["file://" if text == "file:" else text for text in literals]
        self.index = OriginIndex(patterns, literals=literals, any_origin="*" in texts)
        return texts

    def check_pattern(self, pattern: Pattern) -> None:
        is_name = pattern.subdomains and pattern.scheme in WEB_SCHEMES
        if is_name and not self.is_set("dangerously_allow_public_suffixes") and covers_public_suffix(pattern.host):
            message = f"anyone can have a page below {pattern.host}; write your own names in full, "
            message += f"as {pattern.scheme}://your-name.{pattern.host}, pass a callable, "
            message += "or set dangerously_allow_public_suffixes=True"
            self.add("origin_public_suffix", "origins", pattern.text, message)
        if not self.is_set("allow_credentials"):
            return
        if pattern.host == "*":
            message = (
                "with allow_credentials, any installed application of this kind could use the cookies; list the hosts"
            )
            self.add("credentials_any_host", "origins", pattern.text, message)
        insecure = pattern.scheme in PLAINTEXT_SCHEMES and not pattern.is_loopback
        if insecure and not self.is_set("dangerously_allow_insecure_origins"):
            secure = pattern.text.replace(f"{pattern.scheme}://", "https://")
            message = "anybody on the network can change such a page and use the cookies of allow_credentials; "
            message += f"write {secure}, or set dangerously_allow_insecure_origins=True"
            self.add("origin_insecure", "origins", pattern.text, message)

    def credentials(self, word: str, value: Any) -> bool:
        if self.flag(word, value) and "origins" not in self.given:
            message = "with the default origins any local page could use the cookies; set origins as well"
            self.add("credentials_need_origins", word, value, message)
        return value is True

    # names

    def name_list(self, kind: str, word: str, value: Any, fault_of: Callable[[str], Invalid | None]) -> tuple[str, ...]:
        """The names in a list of names, with a problem for each invalid one.

        If one string has several names, the problem lists the valid ones.
        """
        right: list[str] = []
        for text in string_list(word, value, self.problems):
            members = [member for member in re.split(r"[,;\s]+", text) if member]
            is_list = len(members) > 1 and all(map(is_token, members))
            faults = {name: fault_of(name) for name in (members if is_list else [text])}
            kept = [name for name, fault in faults.items() if fault is None]
            if is_list:
                code = "method_invalid" if kind == "method" else "header_name_invalid"
                self.add(code, word, text, f"one string holds one {kind}; write {as_list(kept)}")
            for name, fault in faults.items():
                if fault:
                    self.add(fault.code, word, name, fault.message)
            right += kept
        return tuple(right)

    def methods(self, word: str, value: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(names.normalize_method, self.name_list("method", word, value, _method_fault))))

    def request_headers(self, word: str, value: Any) -> tuple[str, ...]:
        return self.name_list("header name", word, value, _request_header_fault)

    def response_headers(self, word: str, value: Any) -> tuple[str, ...]:
        listed = self.name_list("header name", word, value, _response_header_fault)
        if "*" in listed and self.is_set("allow_credentials"):
            message = "with allow_credentials browsers read * as the name of a header; list the names"
            self.add("credentials_expose_any", word, "*", message)
        return listed

    # scalars

    def max_age(self, word: str, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            seconds = int(value.total_seconds()) if isinstance(value, timedelta) else 600
            seconds = min(max(seconds, 0), MAX_AGE_LIMIT)
            self.problems.append(wrong_type(word, value, f"a whole number of seconds, such as {seconds}, or None"))
        elif not 0 <= value <= MAX_AGE_LIMIT:
            message = f"out of range; write 0 (not kept) to {MAX_AGE_LIMIT} seconds, or None to leave the header out"
            self.add("max_age_out_of_range", word, value, message)
        return value

    def preflight_status(self, word: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            self.problems.append(wrong_type(word, value, "a number from 200 to 299"))
        elif not 200 <= value <= 299:
            self.add("preflight_status_out_of_range", word, value, "browsers accept 200 to 299 only; write 200 or 204")
        return value

    def validate_origin(self, word: str, value: Any) -> Any:
        if not (isinstance(value, bool) or value == "report"):
            self.problems.append(wrong_type(word, value, 'True, False or "report"'))
        return value

    def security_headers(self, word: str, value: Any) -> SecurityHeaders | None:
        return security_headers_from(value, self.problems)


def _method_fault(method: str) -> Invalid | None:
    if not is_token(method):
        return Invalid("method_invalid", "not a valid method (RFC 9110 token)")
    if method.upper() in names.FORBIDDEN_METHODS:
        return Invalid("method_forbidden", "the Fetch standard forbids that JavaScript sends this method; leave it out")
    return None


def _request_header_fault(name: str) -> Invalid | None:
    lower = name.lower()
    stem = name.removesuffix("-*")
    if name == "*":
        return None
    if not is_token(stem):
        return Invalid("header_name_invalid", "not a valid header name (RFC 9110 token)")
    if "*" in stem:
        message = "* stands alone or after the dash that ends a prefix, as in Mcp-Param-*"
        return Invalid("header_wildcard_misplaced", message)
    if lower in names.RESPONSE_ONLY or lower.startswith(("access-control-allow-", "access-control-*")):
        return Invalid("header_wrong_direction", "this is a response header, which browsers never send; leave it out")
    if names.is_forbidden_request_header(lower) or lower.startswith("access-control-"):
        return Invalid("header_forbidden", "the Fetch standard forbids that JavaScript sets this header; leave it out")
    return None


def _response_header_fault(name: str) -> Invalid | None:
    lower = name.lower()
    if name == "*":
        return None
    if not is_token(name):
        return Invalid("header_name_invalid", "not a valid header name (RFC 9110 token)")
    if "*" in name:
        return Invalid("header_wildcard_misplaced", 'prefixes do not work here; list the names, or write "*" for all')
    if lower in names.FORBIDDEN_RESPONSE_HEADERS:
        return Invalid("header_forbidden", "the Fetch standard forbids that JavaScript reads this header; leave it out")
    if lower in names.REQUEST_ONLY:
        return Invalid("header_wrong_direction", "this is a request header, which responses never have; leave it out")
    if lower in names.PREFLIGHT_RESPONSE_ONLY:
        message = "only the answer to a preflight has this header, and JavaScript cannot read it; leave it out"
        return Invalid("header_wrong_direction", message)
    return None


class Setting(NamedTuple):
    """The default of a setting, and the function that checks and returns its value."""

    default: Any
    read: Callable[[_Reader, str, Any], Any]


#: Every setting of a policy, in the order in which faults are named.
SETTINGS: Mapping[str, Setting] = {
    "origins": Setting(LOOPBACK, _Reader.origins),
    "allow_methods": Setting(DEFAULT_ALLOW_METHODS, _Reader.methods),
    "allow_headers": Setting(DEFAULT_ALLOW_HEADERS, _Reader.request_headers),
    "expose_headers": Setting(DEFAULT_EXPOSE_HEADERS, _Reader.response_headers),
    "extra_allow_headers": Setting((), _Reader.request_headers),
    "extra_expose_headers": Setting((), _Reader.response_headers),
    "allow_credentials": Setting(False, _Reader.credentials),
    "max_age": Setting(MAX_AGE_LIMIT, _Reader.max_age),
    "preflight_status": Setting(200, _Reader.preflight_status),
    "validate_origin": Setting(True, _Reader.validate_origin),
    "security_headers": Setting(SecurityHeaders(), _Reader.security_headers),
    "dangerously_allow_insecure_origins": Setting(False, _Reader.flag),
    "dangerously_allow_public_suffixes": Setting(False, _Reader.flag),
    "dangerously_allow_null": Setting(False, _Reader.flag),
}
