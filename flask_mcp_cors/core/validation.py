"""Reading a policy's settings: every value checked, every fault of a configuration found at once.

In messages, *forbidden* is what the Fetch standard rules out, *prohibited* what this library rules
out, and *invalid* what has no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any

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
from .patterns import PatternFault
from .patterns import PLAINTEXT_SCHEMES
from .patterns import REGEX_ADVICE
from .security import security_headers_from
from .security import SecurityHeaders
from .settings import check_words
from .settings import POLICY_SETTINGS
from .settings import PolicyError
from .settings import PolicyProblem
from .settings import string_list
from .settings import wrong_type
from .suffixes import covers_public_suffix

#: A day. Firefox keeps no answer longer, and a wrong one could not be taken back.
MAX_AGE_LIMIT = 86400

#: The value of each policy setting that nobody wrote.
POLICY_DEFAULTS: Mapping[str, Any] = {
    "origins": LOOPBACK,
    "allow_methods": DEFAULT_ALLOW_METHODS,
    "allow_headers": DEFAULT_ALLOW_HEADERS,
    "expose_headers": DEFAULT_EXPOSE_HEADERS,
    "extra_allow_headers": (),
    "extra_expose_headers": (),
    "allow_credentials": False,
    "max_age": MAX_AGE_LIMIT,
    "preflight_status": 200,
    "validate_origin": True,
    "security_headers": SecurityHeaders(),
    "dangerously_allow_insecure_origins": False,
    "dangerously_allow_public_suffixes": False,
    "dangerously_allow_null": False,
}


def read_policy_settings(given: Mapping[str, Any]) -> tuple[dict[str, Any], OriginIndex | OriginCallable]:
    """The value of every policy setting, and the compiled origins.

    :raises PolicyError: with every problem of *given*.
    """
    reader = _Reader(given)
    values: dict[str, Any] = {"origins": ()}
    for word in ("allow_credentials", *(w for w in POLICY_DEFAULTS if w.startswith("dangerously_"))):
        values[word] = reader.flag(word)
    origins = reader.origins(values)
    values["allow_methods"] = reader.methods("allow_methods")
    for word in ("allow_headers", "extra_allow_headers"):
        values[word] = reader.request_headers(word)
    for word in ("expose_headers", "extra_expose_headers"):
        values[word] = reader.response_headers(word, values["allow_credentials"])
    values["max_age"] = reader.max_age("max_age")
    values["preflight_status"] = reader.preflight_status("preflight_status")
    values["validate_origin"] = reader.validate_origin("validate_origin")
    values["security_headers"] = security_headers_from(reader.value("security_headers"), reader.problems)
    if reader.problems:
        raise PolicyError(reader.problems)
    return values, origins


class _Reader:
    """Reads one setting after the other and collects what is wrong."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.problems: list[PolicyProblem] = check_words(given, POLICY_SETTINGS)

    def value(self, word: str) -> Any:
        return self.given.get(word, POLICY_DEFAULTS[word])

    def add(self, code: str, word: str, value: object, message: str) -> None:
        self.problems.append(PolicyProblem(code, word, value, message))

    def flag(self, word: str) -> bool:
        value = self.value(word)
        if not isinstance(value, bool):
            self.problems.append(wrong_type(word, value, "True or False"))
            return False
        return value

    # origins

    def origins(self, values: dict[str, Any]) -> OriginIndex | OriginCallable:
        value = self.value("origins")
        if callable(value):
            if iscoroutinefunction(value):
                self.add("origins_async", "origins", value, "invalid: it is asked per request; write a plain function")
            values["origins"] = value
            return OriginCallable(value, allow_null=values["dangerously_allow_null"])
        count = len(self.problems)
        texts = string_list("origins", [value] if isinstance(value, re.Pattern) else value, self.problems)
        for place, problem in enumerate(self.problems[count:], count):
            if isinstance(problem.value, re.Pattern):
                message = f"invalid: origins are no regular expressions; {REGEX_ADVICE}"
                self.problems[place] = PolicyProblem("origin_regex", "origins", problem.value, message)
        if not texts and len(self.problems) == count:
            self.add("origins_empty", "origins", value, 'invalid: nobody could call; name an origin, or write "*"')
        values["origins"] = tuple(dict.fromkeys(texts))
        credentials = values["allow_credentials"]
        if credentials and "origins" not in self.given:
            self.add(
                "credentials_need_origins",
                "allow_credentials",
                credentials,
                "prohibited with the default origins: any local page could use the cookies; set origins as well",
            )
        literals: list[str] = []
        patterns: list[Pattern] = []
        for text in values["origins"]:
            if text == "*":
                if credentials:
                    self.add(
                        "credentials_any_origin",
                        "origins",
                        text,
                        "forbidden with allow_credentials: browsers refuse * there; list the origins",
                    )
            elif text in ("null", "file:", "file://"):
                if not values["dangerously_allow_null"]:
                    self.add(
                        "origin_null" if text == "null" else "origin_file",
                        "origins",
                        text,
                        "prohibited: every sandboxed frame and local file has this origin; list real origins, "
                        "or set dangerously_allow_null=True",
                    )
                literals.append("file://" if text == "file:" else text)
            elif pattern := self.pattern(text):
                self.check_pattern(pattern, values)
                patterns.append(pattern)
        return OriginIndex(patterns, literals=literals, any_origin="*" in texts)

    def pattern(self, text: str) -> Pattern | None:
        try:
            return parse_pattern(text)
        except PatternFault as fault:
            self.add(fault.code, "origins", text, fault.message)
            return None

    def check_pattern(self, pattern: Pattern, values: Mapping[str, Any]) -> None:
        is_name = pattern.subdomains and pattern.scheme in WEB_SCHEMES
        if is_name and not values["dangerously_allow_public_suffixes"] and covers_public_suffix(pattern.host):
            self.add(
                "origin_public_suffix",
                "origins",
                pattern.text,
                f"prohibited: anyone can have a page under {pattern.host}; write your own names in full, "
                f"as {pattern.scheme}://your-name.{pattern.host}, pass a callable, "
                "or set dangerously_allow_public_suffixes=True",
            )
        if not values["allow_credentials"]:
            return
        if pattern.host == "*":
            self.add(
                "credentials_any_host",
                "origins",
                pattern.text,
                "prohibited with allow_credentials: any installed application could use the cookies; list the hosts",
            )
        insecure = pattern.scheme in PLAINTEXT_SCHEMES and not pattern.is_loopback
        if insecure and not values["dangerously_allow_insecure_origins"]:
            secure = pattern.text.replace(f"{pattern.scheme}://", "https://", 1)
            self.add(
                "origin_insecure",
                "origins",
                pattern.text,
                "prohibited with allow_credentials: anybody on the network can change such a page; "
                f"write {secure}, or set dangerously_allow_insecure_origins=True",
            )

    # names

    def methods(self, word: str) -> tuple[str, ...]:
        normalized = []
        for method in string_list(word, self.value(word), self.problems):
            name = names.normalize_method(method)
            if not is_token(method):
                self.add("method_invalid", word, method, "invalid: no RFC 9110 token; write one method a string")
            elif name.upper() in names.FORBIDDEN_METHODS:
                self.add("method_forbidden", word, method, "forbidden by the Fetch standard; leave it out")
            else:
                normalized.append(name)
        return tuple(dict.fromkeys(normalized))

    def request_headers(self, word: str) -> tuple[str, ...]:
        listed = string_list(word, self.value(word), self.problems)
        for name in listed:
            lower = name.lower()
            stem = name.removesuffix("-*")
            if name == "*":
                continue
            if self.invalid_name(word, name, stem):
                continue
            if "*" in stem:
                message = "invalid: * stands alone or ends a family, as Mcp-Param-*"
                self.add("header_wildcard_misplaced", word, name, message)
            elif lower in names.RESPONSE_ONLY or lower.startswith(("access-control-allow-", "access-control-*")):
                message = "prohibited: this is a response header, and no browser asks for it; leave it out"
                self.add("header_wrong_direction", word, name, message)
            elif names.is_forbidden_request_header(lower) or lower.startswith("access-control-"):
                message = "forbidden by the Fetch standard: only the browser itself sets it; leave it out"
                self.add("header_forbidden", word, name, message)
        return listed

    def response_headers(self, word: str, credentials: bool) -> tuple[str, ...]:
        listed = string_list(word, self.value(word), self.problems)
        for name in listed:
            lower = name.lower()
            if name == "*":
                if credentials:
                    message = "forbidden with allow_credentials: * is then a header of that name; list the names"
                    self.add("credentials_expose_any", word, name, message)
            elif self.invalid_name(word, name, name):
                continue
            elif "*" in name:
                message = 'invalid: browsers know no family here; list the names, or write "*" for all'
                self.add("header_wildcard_misplaced", word, name, message)
            elif lower in names.FORBIDDEN_RESPONSE_HEADERS:
                message = "forbidden by the Fetch standard: JavaScript never reads it; leave it out"
                self.add("header_forbidden", word, name, message)
            elif lower in names.REQUEST_ONLY:
                message = "prohibited: this is a request header, and no response has it; leave it out"
                self.add("header_wrong_direction", word, name, message)
            elif lower in names.PREFLIGHT_RESPONSE_ONLY:
                message = "prohibited: only the answer to a preflight has it, and no JavaScript sees that; leave it out"
                self.add("header_wrong_direction", word, name, message)
        return listed

    def invalid_name(self, word: str, name: str, stem: str) -> bool:
        if is_token(stem):
            return False
        self.add("header_name_invalid", word, name, "invalid: no RFC 9110 token; write one header name a string")
        return True

    # scalars

    def max_age(self, word: str) -> int | None:
        value = self.value(word)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.problems.append(wrong_type(word, value, "a whole number of seconds, as 600, or None"))
            return None
        if not 0 <= value <= MAX_AGE_LIMIT:
            message = f"invalid: write 0 (never kept) to {MAX_AGE_LIMIT} seconds, or None to leave the header out"
            self.add("max_age_out_of_range", word, value, message)
        return value

    def preflight_status(self, word: str) -> int:
        value = self.value(word)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problems.append(wrong_type(word, value, "a number from 200 to 299"))
            return 200
        if not 200 <= value <= 299:
            self.add("preflight_status_out_of_range", word, value, "forbidden: browsers want 200 to 299; write 204")
        return value

    def validate_origin(self, word: str) -> Any:
        value = self.value(word)
        if not (isinstance(value, bool) or value == "report"):
            self.problems.append(wrong_type(word, value, 'True, False or "report"'))
        return value
