"""Origin patterns: their grammar, and an index of many patterns.

Rule 1: an ``Origin`` value is compared byte for byte. It is never lower-cased, decoded or trimmed.
Rule 2: a wildcard is compared label by label with a strictly parsed origin, never with the text.
Rule 3: matching takes as long for twenty thousand patterns as for two.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from inspect import isawaitable
from inspect import iscoroutine
from typing import NamedTuple

from .origins import ANY_PORT
from .origins import DEFAULT_PORTS
from .origins import ENDS_IN_NUMBER
from .origins import is_host
from .origins import is_ipv4
from .origins import is_serialized_origin
from .origins import LONGEST_NAME
from .origins import LOOPBACK_HOSTS
from .origins import OPAQUE
from .origins import parents
from .origins import parse_origin
from .origins import SCHEME
from .origins import serialized_ip
from .origins import to_ascii
from .origins import WEB_SCHEMES
from .problems import as_list
from .problems import Invalid

#: Schemes without encryption: anybody on the network can change such pages.
PLAINTEXT_SCHEMES = frozenset({"http", "ws", "ftp"})

# The schemes of WebSockets. No page has an origin with one of these.
_WEBSOCKET_SCHEMES = {"ws": "http", "wss": "https"}

_log = logging.getLogger("flask_mcp_cors")

_SEPARATORS = re.compile(r"[,;\s]+", re.ASCII)
# A host, in brackets or without a colon, and a port.
_AUTHORITY = re.compile(r"(\[[^\]]*+\]?+|(?!\[)[^:]*)(?::([^:]*))?")
_REGEX_SIGNS = re.compile(r"[\\^$()|+{}]|(?:^|[/:])\.\*|\[(?:[^0-9a-fA-F:.]|[^\]%]*-)|\][*?]")


class Pattern(NamedTuple):
    """A parsed origin pattern."""

    text: str
    scheme: str
    #: The host. In a subdomain pattern, the part after ``*.``; in ``scheme://*``, the ``*``.
    host: str
    #: A number, ``None`` for the scheme's default, or :data:`ANY_PORT`.
    port: int | str | None
    subdomains: bool = False

    @property
    def is_loopback(self) -> bool:
        """Does it match only origins on this machine?"""
        return self.host in LOOPBACK_HOSTS and not self.subdomains


def _suggestion(text: str) -> str:
    """The valid pattern that was probably meant, as "; write …", or an empty string."""
    meant = _meant(text)
    return f"; write {meant}" if meant else ""


def _meant(text: str) -> str | None:
    """The valid pattern that was probably meant, or ``None``."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    if not scheme.isascii():
        return None
    authority = to_ascii(re.split(r"[/?#\\]", rest)[0].rpartition("@")[2])
    port = re.search(r":0*([0-9]*|\*)$", authority)
    host = authority[: port.start()] if port else authority
    host = serialized_ip(host) or host
    # Pages on this machine and in the local network usually have no TLS.
    is_local = host in LOOPBACK_HOSTS or host.startswith("[") or is_ipv4(host)
    scheme = scheme.lower() or ("http" if is_local else "https")
    scheme = _WEBSOCKET_SCHEMES.get(scheme, scheme)
    origin = f"{scheme}://{host}"
    if port and port[1] not in ("", str(DEFAULT_PORTS.get(scheme))):
        origin += f":{port[1]}"
    return origin if origin != text and _is_pattern(origin) else None


def _is_pattern(text: str) -> bool:
    try:
        parse_pattern(text)
    except Invalid:
        return False
    return True


_ANY_CHARACTERS = r"(?:\.|\\w|\\S|\[[^\]]*\])[+*]\??"
_ANY_DIGITS = r"(?:\\d|\[0-9\])(?:[+*]|\{[0-9,]+\})"


def _from_regex(text: str) -> str | None:
    """The pattern with the meaning of a simple regular expression, or ``None``."""
    text = text.removeprefix("^").removesuffix("$").replace("\\/", "/").replace("https?://", "https://")
    text = re.sub(rf"\((?:\?:)?:{_ANY_DIGITS}\)\??$|:{_ANY_DIGITS}$|:\.[*+]$", ":*", text)
    text = re.sub(rf"\((?:\?:)?{_ANY_CHARACTERS}\)\\?\.|{_ANY_CHARACTERS}\\?\.", "*.", text)
    text = text.replace("\\.", ".").replace("\\-", "-")
    return text if not _REGEX_SIGNS.search(text) and _is_pattern(text) else None


def regex_message(text: str) -> str:
    """The message for a regular expression."""
    pattern = _from_regex(text) or "a pattern such as https://*.example.com"
    return (
        f"this looks like a regular expression, which is not supported; write {pattern}, or pass a callable such as "
        "re.compile(…).fullmatch in place of all origins: it has to accept the others, too"
    )


#: Words from other headers and settings, and what to write instead.
_WORDS = dict.fromkeys(("self", "same-origin"), "the app's own pages need no entry: leave it out")
_WORDS |= dict.fromkeys(("all", "any"), 'for every origin write "*"')


def parse_pattern(text: str) -> Pattern:
    """Read one origin pattern other than ``*`` and ``null``.

    :raises Invalid: with the reason and the right spelling.

    >>> parse_pattern("https://*.example.com:8443")
    Pattern(text='https://*.example.com:8443', scheme='https', host='example.com', port=8443, subdomains=True)
    """
    if text.startswith("*.") and "://" not in text:
        # A wildcard without a scheme means https.
        return parse_pattern(f"https://{text}")._replace(text=text)
    if (word := text.strip("'\"").lower()) in _WORDS:
        raise Invalid("origin_scheme_missing", _WORDS[word])
    _refuse_foreign_text(text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        # https:/app.example.com, http//app.example.com, //app.example.com
        slip = re.match(r"(https?)?:?/{1,2}|(https?):(?=[^0-9])", text)
        meant = f"{slip[1] or slip[2] or 'https'}://{text[slip.end() :]}/" if slip else text
        example = _suggestion(meant) or "; write one such as https://app.example.com"
        raise Invalid("origin_scheme_missing", f"the scheme is missing{example}")
    _refuse_beyond_the_port(text, rest)
    if not text.isascii():
        raise Invalid("origin_not_ascii", f"browsers send the ASCII form of a host name{_suggestion(text)}")
    if text != text.lower():
        message = f"browsers send origins in lower case{_suggestion(text)}"
        if scheme == scheme.lower() and scheme not in WEB_SCHEMES:
            # An application's id is case-sensitive: in lower case it would be another id.
            message = f"patterns are in lower case; for ids in upper case write {scheme}://*"
        raise Invalid("origin_upper_case", message)
    if not SCHEME.fullmatch(scheme):
        raise Invalid("origin_scheme_invalid", "not a valid scheme; write https, http, or an application's own")
    if scheme not in WEB_SCHEMES and (close := get_close_matches(scheme, ("https", "http"), 1, 0.85)):
        raise Invalid("origin_scheme_invalid", f"not a scheme of the Web; write {close[0]}://{rest}")
    if scheme in _WEBSOCKET_SCHEMES:
        # https://websockets.spec.whatwg.org/#concept-websocket-establish: the Origin is the page's.
        message = f"no page has this origin: browsers send the page's origin for WebSockets too{_suggestion(text)}"
        raise Invalid("origin_websocket", message)
    if scheme == "file":
        message = "a file: origin has no host, and all local files share one; list real origins"
        raise Invalid("origin_file", message)
    if rest.partition(":")[0] == "*":
        if scheme in WEB_SCHEMES or rest != "*":
            message = f'"{scheme}://*" would match every host; write https://*.example.com, or "*" for every origin'
            raise Invalid("origin_any_host", message)
        return Pattern(text, scheme, "*", None)
    host, port = _parse_port(text, scheme, rest)
    subdomains = host.startswith("*.")
    if subdomains:
        host = host[2:]
    if "*" in host:
        raise Invalid(
            "origin_wildcard_misplaced",
            "* stands for whole labels in front (https://*.example.com) or for the port (http://localhost:*); "
            "for anything else pass a callable",
        )
    if not is_host(host, scheme):
        raise _host_fault(text, host)
    if subdomains and len(host.removesuffix(".")) > LONGEST_NAME - len("a."):
        raise Invalid("origin_host_invalid", "too long: no subdomain of it fits into 253 characters")
    if subdomains and scheme in WEB_SCHEMES and is_ipv4(host):
        raise Invalid("origin_wildcard_misplaced", "an IP address has no subdomains; write the whole address")
    return Pattern(text, scheme, host, port, subdomains)


def _refuse_foreign_text(text: str) -> None:
    if not text or text.isspace():
        raise Invalid("origin_empty", "empty; write an origin such as https://app.example.com")
    if text != text.strip():
        stripped = text.strip()
        advice = f"; write {stripped}" if _is_pattern(stripped) else _suggestion(stripped)
        raise Invalid("origin_white_space", f"remove the white space around it{advice}")
    if text[0] in "[{'\"" and re.search(r"['\"]", text):
        members = re.findall(r"""['"]([^'"]+)['"]""", text)
        raise Invalid("origin_list", f"this is a list written as text; write {as_list(members)}")
    if _REGEX_SIGNS.search(text) or re.match(r"\w+\?://", text):
        raise Invalid("origin_regex", regex_message(text))
    if _SEPARATORS.search(text):
        members = [_meant(member) or member for member in _SEPARATORS.split(text) if member]
        raise Invalid("origin_list", f"one string holds one pattern; write {as_list(members)}")


def _refuse_beyond_the_port(text: str, rest: str) -> None:
    authority = re.split(r"[/?#]", rest)[0]
    if "@" in authority:
        raise Invalid("origin_userinfo", f"an origin has no user name or password{_suggestion(text)}")
    match rest[len(authority) :]:
        case "":
            return
        case "/":
            raise Invalid("origin_trailing_slash", f"remove the trailing slash{_suggestion(text)}")
        case beyond:
            part = {"/": "path", "?": "query", "#": "fragment"}[beyond[0]]
            raise Invalid(f"origin_{part}", f"an origin has no {part}{_suggestion(text)}")


def _parse_port(text: str, scheme: str, rest: str) -> tuple[str, int | str | None]:
    match = _AUTHORITY.fullmatch(rest)
    if match is None:
        raise Invalid("origin_host_invalid", "not a valid host; write an IPv6 address as [2001:db8::1]")
    host, digits = match.groups()
    if digits is None:
        return host, None
    if digits == ANY_PORT:
        return host, ANY_PORT
    if not digits.isdecimal() or not digits.isascii():
        message = "not a valid port; write a number from 1 to 65535, :* for any, or leave it out"
        raise Invalid("origin_port_invalid", message)
    if len(digits) > 5 or not 0 < int(digits) <= 65535:
        raise Invalid("origin_port_out_of_range", "not a valid port; write one from 1 to 65535")
    if digits[0] == "0":
        raise Invalid("origin_port_invalid", f"remove the leading zero of the port{_suggestion(text)}")
    if DEFAULT_PORTS.get(scheme) == int(digits):
        raise Invalid("origin_default_port", f"browsers leave the default port out{_suggestion(text)}")
    return host, int(digits)


def _host_fault(text: str, host: str) -> Invalid:
    if host.startswith("["):
        advice = _suggestion(text) or "; write it as [2001:db8::1], without a zone"
        return Invalid("origin_ipv6_invalid", f"not the spelling of an IPv6 address that browsers send{advice}")
    if ENDS_IN_NUMBER.fullmatch(host):
        advice = _suggestion(text) or "; write four decimal numbers, as 192.168.0.10"
        return Invalid("origin_ipv4_invalid", f"not the spelling of an IPv4 address that browsers send{advice}")
    message = "not a valid host; write labels of letters, digits and inner hyphens, as app.example.com"
    return Invalid("origin_host_invalid", message)


class Match(Enum):
    """The result of looking up an ``Origin`` value."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    MALFORMED = "malformed"
    REPEATED = "repeated"


class OriginIndex:
    """Many patterns, compiled: exact origins are found by hash, the others by the labels of the host."""

    __slots__ = ("_any_host", "_any_port", "_exact", "_subdomains", "any_origin")

    def __init__(self, patterns: Iterable[Pattern], *, literals: Iterable[str] = (), any_origin: bool) -> None:
        #: Is ``*`` among the patterns?
        self.any_origin = any_origin
        self._exact = set(literals)
        self._any_port: set[tuple[str, str]] = set()
        self._any_host: set[str] = set()
        self._subdomains: dict[tuple[str, int | str | None], set[str]] = {}
        for pattern in patterns:
            if pattern.host == "*":
                self._any_host.add(pattern.scheme)
            elif pattern.subdomains:
                self._subdomains.setdefault((pattern.scheme, pattern.port), set()).add(pattern.host)
            elif pattern.port == ANY_PORT:
                self._any_port.add((pattern.scheme, pattern.host))
            else:
                self._exact.add(pattern.text)

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
            if bases and not bases.isdisjoint(parents(origin.host)):
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
    """A user's function ``(origin: str) -> bool``, called only for well-formed origins.

    If it raises an exception or returns an awaitable, the origin is not allowed, and the exception is logged here.
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
        except Exception:  # a user's function may raise anything: the request must neither fail nor be let in
            _log.exception("the origins callable failed, so %s is not allowed", ascii(value))
            return Match.NOT_ALLOWED


_NOTHING = OriginIndex((), any_origin=False)
