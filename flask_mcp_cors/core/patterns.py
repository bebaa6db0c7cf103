"""Origin patterns: what one may say, and an index of many of them.

Rule 1: an ``Origin`` value is compared byte for byte; nothing is lower-cased, decoded or trimmed.
Rule 2: a wildcard is matched label by label on a strictly parsed origin, never on the text.
Rule 3: matching costs the same for two patterns and for twenty thousand.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from collections.abc import Iterable
from enum import Enum
from inspect import isawaitable
from inspect import iscoroutine
from typing import NamedTuple

from .origins import ANY_PORT
from .origins import DEFAULT_PORTS
from .origins import ENDS_IN_NUMBER
from .origins import is_ascii_label
from .origins import is_host
from .origins import is_ipv4
from .origins import is_serialized_origin
from .origins import LONGEST_NAME
from .origins import LOOPBACK_HOSTS
from .origins import OPAQUE
from .origins import parse_origin
from .origins import SCHEME
from .origins import serialized_ip
from .origins import to_ascii
from .origins import WEB_SCHEMES

#: Schemes over which anybody on the way can change a page.
PLAINTEXT_SCHEMES = frozenset({"http", "ws", "ftp"})

#: What to write instead of a regular expression.
REGEX_ADVICE = "write https://*.example.com, or pass a callable such as re.compile(…).fullmatch"

_log = logging.getLogger("flask_mcp_cors")

_REGEX_SIGNS = re.compile(r"[\\^$()|+{}]|(?:^|[/:])\.\*|\[(?:[^0-9a-fA-F:.]|[^\]%]*-)|\][*?]")


class Pattern(NamedTuple):
    """A parsed origin pattern."""

    text: str
    scheme: str
    #: Of a subdomain pattern, the part after ``*.``; of ``scheme://*``, ``*``.
    host: str
    #: A number, ``None`` for the scheme's default, or :data:`ANY_PORT`.
    port: int | str | None
    subdomains: bool = False

    @property
    def is_loopback(self) -> bool:
        """Is every origin that it matches on this very machine?"""
        return self.host in LOOPBACK_HOSTS and not self.subdomains


class PatternFault(ValueError):
    """A text that is no origin pattern: a stable *code*, and what to write instead."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def _suggestion(text: str) -> str:
    """The origin that somebody most likely meant, with "; write …" before it, or nothing."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "https", text
    if not scheme.isascii():
        return ""
    scheme = scheme.lower()
    authority = to_ascii(re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2])
    port = re.search(r":0*([0-9]*)$", authority)
    host = authority[: port.start()] if port else authority
    origin = f"{scheme}://{serialized_ip(host) or host}"
    if port and port[1] not in ("", str(DEFAULT_PORTS.get(scheme))):
        origin += f":{port[1]}"
    if origin == text:
        return ""
    try:
        parse_pattern(origin)
    except PatternFault:
        return ""
    return f"; write {origin}"


def parse_pattern(text: str) -> Pattern:
    """Read one origin pattern other than ``*`` and ``null``.

    :raises PatternFault: with the reason and the right spelling.

    >>> parse_pattern("https://*.example.com:8443")
    Pattern(text='https://*.example.com:8443', scheme='https', host='example.com', port=8443, subdomains=True)
    """
    if text.startswith("*.") and "://" not in text:
        # The short form: a wildcard that forgets the scheme means the safe one.
        return parse_pattern(f"https://{text}")._replace(text=text)
    _refuse_foreign_text(text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        example = _suggestion(text) or "; write one such as https://app.example.com"
        raise PatternFault("origin_scheme_missing", f"invalid: an origin starts with its scheme{example}")
    _refuse_beyond_the_port(text, rest)
    if not text.isascii():
        raise PatternFault(
            "origin_not_ascii", f"invalid: browsers send the ASCII form of a host name{_suggestion(text)}"
        )
    if text != text.lower():
        raise _upper_case(text, scheme.lower())
    if not SCHEME.fullmatch(scheme):
        raise PatternFault("origin_scheme_invalid", "invalid scheme; write https, http, or an application's own")
    if scheme == "file":
        raise PatternFault("origin_file", "prohibited: pages from files share one origin with every other file")
    if rest.partition(":")[0] == "*":
        if scheme in WEB_SCHEMES or rest != "*":
            raise PatternFault(
                "origin_any_host",
                f'prohibited: "{scheme}://*" is every host; write https://*.example.com, or "*" for every origin',
            )
        return Pattern(text, scheme, "*", None)
    host, port = _parse_port(text, scheme, rest)
    subdomains = host.startswith("*.")
    if subdomains:
        host = host[2:]
    if "*" in host:
        raise PatternFault(
            "origin_wildcard_misplaced",
            "invalid: * stands for whole labels in front (https://*.example.com) or for the port "
            "(http://localhost:*); for anything else pass a callable",
        )
    if not is_host(host, scheme):
        raise _host_fault(text, host)
    if subdomains and len(host.removesuffix(".")) > LONGEST_NAME - len("a."):
        raise PatternFault("origin_host_invalid", "invalid host: with a label in front it is longer than any name")
    if subdomains and (host.startswith("[") or (scheme in WEB_SCHEMES and is_ipv4(host))):
        raise PatternFault("origin_wildcard_misplaced", "invalid: an IP address has no subdomains; write it in full")
    return Pattern(text, scheme, host, port, subdomains)


def _upper_case(text: str, scheme: str) -> PatternFault:
    # Lower-casing the id of an application would make another one of it.
    is_id = scheme not in WEB_SCHEMES and text.lower().partition("://")[0] == text.partition("://")[0]
    if is_id:
        message = f"invalid: patterns are in lower case; for ids in upper case write {scheme}://*"
    else:
        message = f"invalid: browsers send origins in lower case{_suggestion(text)}"
    return PatternFault("origin_upper_case", message)


def _refuse_foreign_text(text: str) -> None:
    if not text or text.isspace():
        raise PatternFault("origin_empty", "invalid: empty; write an origin such as https://app.example.com")
    if text != text.strip():
        raise PatternFault("origin_white_space", f"invalid: white space around it; write {text.strip()}")
    if "," in text or " " in text:
        raise PatternFault("origin_list", "invalid: one string holds one pattern; write a list of strings")
    if _REGEX_SIGNS.search(text) or re.match(r"\w+\?://", text):
        raise PatternFault(
            "origin_regex",
            f"invalid: this looks like a regular expression, and patterns are none; {REGEX_ADVICE}",
        )


def _refuse_beyond_the_port(text: str, rest: str) -> None:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise PatternFault("origin_userinfo", f"invalid: an origin has no user name or password{_suggestion(text)}")
    match rest[len(authority) :]:
        case "":
            return
        case "/":
            raise PatternFault("origin_trailing_slash", f"invalid: an origin ends without slash{_suggestion(text)}")
        case beyond:
            part = {"/": "path", "?": "query", "#": "fragment"}[beyond[0]]
            raise PatternFault(f"origin_{part}", f"invalid: an origin has no {part}{_suggestion(text)}")


def _parse_port(text: str, scheme: str, rest: str) -> tuple[str, int | str | None]:
    if rest.startswith("["):
        host, bracket, tail = rest.partition("]")
        host += bracket
        colon, digits = tail[:1], tail[1:]
        if colon not in ("", ":"):
            raise PatternFault("origin_host_invalid", "invalid host; write an IPv6 address as [2001:db8::1]")
    else:
        host, colon, digits = rest.partition(":")
        if ":" in digits:
            raise PatternFault("origin_host_invalid", "invalid host; write an IPv6 address as [2001:db8::1]")
    if not colon:
        return host, None
    if digits == ANY_PORT:
        return host, ANY_PORT
    if not digits.isdecimal() or not digits.isascii():
        raise PatternFault(
            "origin_port_invalid", "invalid port; write a number from 1 to 65535, :* for any, or leave it out"
        )
    if len(digits) > 5 or not 0 < int(digits) <= 65535:
        raise PatternFault("origin_port_out_of_range", "invalid port; write one from 1 to 65535")
    if digits[0] == "0":
        raise PatternFault("origin_port_invalid", f"invalid port: a number has no zero in front{_suggestion(text)}")
    if DEFAULT_PORTS.get(scheme) == int(digits):
        raise PatternFault("origin_default_port", f"invalid: browsers leave the default port out{_suggestion(text)}")
    return host, int(digits)


def _host_fault(text: str, host: str) -> PatternFault:
    if host.startswith("["):
        advice = _suggestion(text) or "; write it as [2001:db8::1], without a zone"
        return PatternFault("origin_ipv6_invalid", f"invalid IPv6 address{advice}")
    if ENDS_IN_NUMBER.fullmatch(host):
        advice = _suggestion(text) or "; write four decimal numbers, as 192.168.0.10"
        return PatternFault("origin_ipv4_invalid", f"invalid IPv4 address{advice}")
    if not all(map(is_ascii_label, host.split("."))):
        message = "invalid host: browsers send no xn-- that stands for nothing; write the name as it is registered"
        return PatternFault("origin_host_invalid", message)
    return PatternFault(
        "origin_host_invalid",
        "invalid host; write labels of letters, digits and inner hyphens, as app.example.com",
    )


class Match(Enum):
    """What an index says of an ``Origin`` value."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    MALFORMED = "malformed"
    REPEATED = "repeated"


class OriginIndex:
    """Many patterns, compiled: exact origins by hash, the others by walking the host's labels."""

    __slots__ = ("_any_host", "_any_port", "_exact", "_subdomains", "any_origin")

    def __init__(self, patterns: Iterable[Pattern], *, literals: Iterable[str] = (), any_origin: bool = False) -> None:
        exact = set(literals)
        any_port: set[tuple[str, str]] = set()
        any_host: set[str] = set()
        subdomains: dict[tuple[str, int | str | None], set[str]] = {}
        for pattern in patterns:
            if pattern.host == "*":
                any_host.add(pattern.scheme)
            elif pattern.subdomains:
                subdomains.setdefault((pattern.scheme, pattern.port), set()).add(pattern.host)
            elif pattern.port == ANY_PORT:
                any_port.add((pattern.scheme, pattern.host))
            else:
                exact.add(pattern.text)
        #: Is ``*`` among the patterns?
        self.any_origin = any_origin
        self._exact = frozenset(exact)
        self._any_port = frozenset(any_port)
        self._any_host = frozenset(any_host)
        self._subdomains = {key: frozenset(bases) for key, bases in subdomains.items()}

    def match(self, value: str) -> Match:
        """Say whether this ``Origin`` value is allowed. Never raises."""
        if value in self._exact:
            return Match.ALLOWED
        origin = parse_origin(value)
        if origin is None:
            return self._match_special(value)
        if self.any_origin or (origin.scheme, origin.host) in self._any_port:
            return Match.ALLOWED
        if origin.scheme in self._any_host and origin.port is None:
            return Match.ALLOWED
        for port in (origin.port, ANY_PORT):
            bases = self._subdomains.get((origin.scheme, port))
            if bases and _has_parent_in(origin.host, bases):
                return Match.ALLOWED
        return Match.NOT_ALLOWED

    def _match_special(self, value: str) -> Match:
        if is_serialized_origin(value):
            return Match.ALLOWED if self.any_origin else Match.NOT_ALLOWED
        # Servers join a repeated header with commas (RFC 9110, section 5.2).
        members = [member.strip(" \t") for member in value.split(",", 8)]
        if len(members) > 1 and all(map(is_serialized_origin, members)):
            return Match.REPEATED
        return Match.MALFORMED


class OriginCallable:
    """A user's own ``(origin: str) -> bool``, asked only for well-formed origins.

    A callable is the one part of the core that is not ours. When it raises, or returns something to
    await, the answer is no, and the record of that is written here, where it was called.
    """

    __slots__ = ("_allow_null", "_function", "any_origin")

    def __init__(self, function: Callable[[str], object], *, allow_null: bool = False) -> None:
        self._function = function
        self._allow_null = allow_null
        self.any_origin = False

    def match(self, value: str) -> Match:
        """Say whether this ``Origin`` value is allowed. Never raises."""
        verdict = _NOTHING.match(value)
        if verdict is not Match.NOT_ALLOWED or (not self._allow_null and value in OPAQUE):
            return verdict
        try:
            answer = self._function(value)
            if isawaitable(answer):
                if iscoroutine(answer):
                    answer.close()
                raise TypeError("the origins callable must return a bool; this one returned something to await")
            return Match.ALLOWED if answer else Match.NOT_ALLOWED
        except Exception:
            _log.exception("the origins callable failed, so %s is not allowed", ascii(value))
            return Match.NOT_ALLOWED


def _has_parent_in(host: str, bases: frozenset[str]) -> bool:
    dot = host.find(".")
    while dot != -1:
        if host[dot + 1 :] in bases:
            return True
        dot = host.find(".", dot + 1)
    return False


_NOTHING = OriginIndex(())
