"""A second implementation of the contract, slow and obvious, to check the first against.

It shares no code with the package: it reads texts character by character and label by label, tries every
pattern, and keeps nothing between two questions. Fuzzing and soak ask both and compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from ipaddress import IPv6Address
from typing import Any

LOWER = "abcdefghijklmnopqrstuvwxyz"
LETTERS = LOWER + LOWER.upper()
DIGITS = "0123456789"
HEX = DIGITS + "abcdef"
TOKEN = "!#$%&'*+-.^_`|~" + DIGITS + LETTERS
DEFAULT_PORT = {"http": 80, "ws": 80, "https": 443, "wss": 443, "ftp": 21}
SAFELISTED = {"GET", "HEAD", "POST"}
FORBIDDEN = {"CONNECT", "TRACE", "TRACK"}
LISTED_HEADERS = {
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "mcp-method",
    "mcp-name",
    "user-agent",
    "x-api-key",
    "x-custom-auth-headers",
}
EXPOSED_HEADERS = {"dpop-nonce", "mcp-session-id", "mcp-protocol-version", "www-authenticate", "retry-after"}
LISTED_METHODS = {"GET", "POST", "DELETE", "OPTIONS"}
FRAMES = {"iframe", "frame", "fencedframe", "object", "embed"}
ASKED = {"access-control-request-method", "access-control-request-headers"}


def consists_of(text: str, alphabet: str) -> bool:
    """Is every character one of these, and is there any?"""
    return bool(text) and all(character in alphabet for character in text)


# origins


def is_number(text: str, most: int) -> bool:
    """A decimal number without leading zeros, from 0 to *most*."""
    return consists_of(text, DIGITS) and str(int(text[:6])) == text and int(text) <= most


def is_dotted_quad(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(is_number(part, 255) for part in parts)


def serialized_ipv6(text: str) -> str | None:
    """The WHATWG serialization of an address, https://url.spec.whatwg.org/#concept-ipv6-serializer."""
    if not consists_of(text, HEX + ":."):
        return None
    try:
        number = int(IPv6Address(text))
    except ValueError:
        return None
    pieces = [number >> shift & 0xFFFF for shift in range(112, -1, -16)]
    best = (0, 0)
    for start in range(8):
        length = 0
        while start + length < 8 and pieces[start + length] == 0:
            length += 1
        if length > best[1]:
            best = (start, length)
    words = [f"{piece:x}" for piece in pieces]
    if best[1] < 2:
        return ":".join(words)
    return ":".join(words[: best[0]]) + "::" + ":".join(words[best[0] + best[1] :])


def is_name(host: str) -> bool:
    """A name of the Internet: labels of at most 63 letters, digits, inner ``-`` and ``_``; not a number at the end."""
    labels = host.removesuffix(".").split(".")
    for label in labels:
        if not consists_of(label, LOWER + DIGITS + "-_") or len(label) > 63 or label[0] in "-_" or label[-1] in "-_":
            return False
    last = labels[-1]
    is_numeric = consists_of(last, DIGITS) or (last.startswith("0x") and (last == "0x" or consists_of(last[2:], HEX)))
    return len(host.removesuffix(".")) <= 253 and not is_numeric


def is_own_host(host: str) -> bool:
    """A host of an application's own scheme: whatever it calls itself, or the single dot of Electron."""
    labels = host.split(".")
    return host == "." or (len(host) <= 253 and all(consists_of(label, LETTERS + DIGITS + "-_") for label in labels))


@dataclass
class Parts:
    """An origin, taken apart."""

    scheme: str
    host: str
    port: str | None


def take_apart(value: str) -> Parts | None:
    """The parts of a serialized origin, or ``None`` for anything else."""
    scheme, separator, rest = value.partition("://")
    if not separator or not consists_of(scheme, LOWER + DIGITS + "+.-") or scheme[0] not in LOWER or len(scheme) > 64:
        return None
    if rest.startswith("["):
        address, bracket, tail = rest[1:].partition("]")
        if not bracket or serialized_ipv6(address) != address or (tail and not tail.startswith(":")):
            return None
        host, port = f"[{address}]", tail[1:] if tail else None
    else:
        host, colon, digits = rest.partition(":")
        port = digits if colon else None
        if scheme in DEFAULT_PORT:
            if not (is_dotted_quad(host) or is_name(host)):
                return None
        elif not is_own_host(host):
            return None
    if port is not None and (not is_number(port, 65535) or port == "0" or DEFAULT_PORT.get(scheme) == int(port)):
        return None
    return Parts(scheme, host, port)


def is_origin(value: str) -> bool:
    return value in ("null", "file://") or take_apart(value) is not None


def covers(pattern: str, value: str) -> bool:
    """Does the text of this pattern say that this origin is allowed?"""
    if not is_origin(value):
        return False
    if pattern == "*" or pattern == value:
        return True
    parts = take_apart(value)
    if parts is None:
        return False
    if pattern.startswith("*."):
        pattern = f"https://{pattern}"
    scheme, _, rest = pattern.partition("://")
    if scheme != parts.scheme:
        return False
    if rest == "*":
        return parts.port is None
    any_port = rest.endswith(":*")
    rest = rest.removesuffix(":*")
    host, port = rest, None
    if not rest.endswith("]") and ":" in rest:
        host, _, port = rest.rpartition(":")
    if not any_port and port != parts.port:
        return False
    if not host.startswith("*."):
        return host == parts.host
    if parts.host.startswith("["):
        return False
    asked, base = parts.host.split("."), host[2:].split(".")
    return len(asked) > len(base) and asked[-len(base) :] == base


# paths


def path_covers(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    head, *rest = pattern
    if head == "**":
        return any(path_covers(rest, parts[start:]) for start in range(len(parts) + 1))
    return bool(parts) and head in ("*", parts[0]) and path_covers(rest, parts[1:])


def cut(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def specificity(pattern: str) -> list[int]:
    """Segment by segment a name before ``*`` before the end before ``**``: the smallest is the most specific."""
    return [*({"*": 1, "**": 3}.get(segment, 0) for segment in cut(pattern)), 2]


def most_specific(patterns: Sequence[str], path: str) -> list[str]:
    """The most specific of the patterns that cover a path; several where nothing tells them apart."""
    covering = [pattern for pattern in patterns if path_covers(cut(pattern), cut(path))]
    return [p for p in covering if specificity(p) == min(map(specificity, covering))]


# hosts


@dataclass
class Served:
    """A ``Host`` value, taken apart."""

    name: str
    port: int | None

    @property
    def is_address(self) -> bool:
        """An IP literal by which people call a server: not the unspecified one, nor an IPv4-mapped one."""
        if self.name.startswith("["):
            return self.name != "[::]" and not (self.name.startswith("[::ffff:") and self.name.count(":") == 4)
        return is_dotted_quad(self.name) and self.name != "0.0.0.0"

    @property
    def is_loopback(self) -> bool:
        """Loopback in the browsers' sense, to whose URLs they send ``Sec-Fetch-*`` over plain HTTP too."""
        is_quad = is_dotted_quad(self.name) and self.name.split(".")[0] == "127"
        return is_quad or self.name in ("localhost", "[::1]") or self.name.split(".")[-1] == "localhost"


def take_host_apart(value: str | None) -> Served | None:
    if not value or not value.isascii():
        return None
    text = value.lower()
    if text.startswith("["):
        address, bracket, tail = text[1:].partition("]")
        number = serialized_ipv6(address)
        if not bracket or number is None:
            return None
        name = f"[{number}]"
    else:
        name, colon, digits = text.partition(":")
        tail = colon + digits
        if not (is_dotted_quad(name) or is_name(name)):
            return None
    if not tail:
        return Served(name, None)
    digits = tail[1:]
    if not tail.startswith(":") or not consists_of(digits, DIGITS) or len(digits) > 5 or int(digits) > 65535:
        return None
    return Served(name, int(digits))


def host_is_listed(host: Served, scheme: str, patterns: Sequence[str]) -> bool:
    for pattern in patterns:
        name, colon, port = pattern.rpartition(":")
        if not colon or pattern.endswith("]"):
            name, port = pattern, "*"
        if port != "*" and int(port) != (DEFAULT_PORT.get(scheme) if host.port is None else host.port):
            continue
        labels, base = host.name.split("."), name.removeprefix("*.").split(".")
        if name == host.name or (name.startswith("*.") and len(labels) > len(base) and labels[-len(base) :] == base):
            return True
    return False


# decisions


@dataclass(frozen=True)
class Question:
    """A request, as far as a decision depends on it."""

    method: str
    path: str = "/mcp"
    scheme: str = "https"
    host: str | None = "mcp.example.com"
    origin: str | None = None
    request_method: str | None = None
    request_headers: str | None = None
    fetch_site: str | None = None
    fetch_mode: str | None = None
    fetch_dest: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the answer to it must be: every CORS header, with lists as sets in lower case where case does not count."""

    #: ``None`` where the application gives the status.
    status: int | None
    cors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    vary: frozenset[str] = frozenset()

    @property
    def reaches_the_application(self) -> bool:
        return self.status is None


DISCOVERY = (
    "/.well-known/oauth-protected-resource/**",
    "/.well-known/oauth-authorization-server/**",
    "/.well-known/openid-configuration/**",
    "/**/.well-known/openid-configuration",
)
PUBLIC = {"origins": ["*"], "allow_methods": ["GET"]}


def resolve(path: str) -> str | None:
    """The path without its ``.`` and ``..`` segments, where it has any."""
    kept: list[str] = []
    for part in cut(path):
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept) if {".", ".."} & set(cut(path)) else None


def policy_for(path: str, method: str, site: Mapping[str, Any], *, is_swallowed: bool) -> Mapping[str, Any] | None:
    """The settings that govern a path and a method; ``None``: nothing does.

    :param is_swallowed: a view took the ``.well-known`` part of the path into a variable.
    """
    own = site.get("policies", {})
    is_public = method in ("GET", "HEAD") and not is_swallowed
    winners = most_specific([*own, *(p for p in DISCOVERY if is_public and p not in own)], path)
    if winners:
        # Of two that are equally specific the owner's counts.
        mine = [pattern for pattern in winners if pattern in own]
        if not mine:
            return {**PUBLIC, "hosts": site["hosts"]}
        return None if own[mine[0]] is None else {**site, **own[mine[0]]}
    paths = site.get("paths")
    if paths is not None and not most_specific(paths, path):
        return None
    return site


def answer_of_site(question: Question, site: Mapping[str, Any], *, is_swallowed: bool = False) -> Answer:
    """The answer of a site with ``paths`` and ``policies`` (path pattern → settings over the site's, or ``None``)."""
    is_preflight = question.method == "OPTIONS" and None not in (question.origin, question.request_method)
    method = (question.request_method or "") if is_preflight else question.method
    answers = []
    for path, swallowed in ((question.path, is_swallowed), (resolve(question.path), False)):
        if path is None:
            continue
        settings = policy_for(path, method, site, is_swallowed=swallowed)
        if settings is None:
            answers.append((Answer(None) if _is_served(question, site) else Answer(421, vary=_vary(question)), False))
            continue
        if is_preflight:
            governed = {
                m
                for m in settings.get("allow_methods", LISTED_METHODS)
                if m in (method, "*") or policy_for(path, m, site, is_swallowed=swallowed) == settings
            }
            settings = {**settings, "allow_methods": governed}
        answers.append((answer_to(question, settings), True))
    refusals = [answer for answer, _ in answers if answer.status is not None and answer.status >= 400]
    if refusals:
        return refusals[-1]
    # What is allowed least: without the headers of an allowed origin before with them, governed before not.
    answers.sort(key=lambda pair: (pair[1], "access-control-allow-origin" not in pair[0].cors))
    return answers[-1][0]


def _vary(question: Question) -> frozenset[str]:
    return frozenset({"origin", *(ASKED if question.method == "OPTIONS" else ())})


def members(value: str) -> list[str]:
    return [member for member in (part.strip(" \t") for part in value.split(",")) if member]


def answer_to(question: Question, settings: Mapping[str, Any]) -> Answer:
    """The answer under these settings of one policy and its hosts.

    Known are ``origins``, ``hosts``, ``allow_methods``, ``allow_headers``, ``expose_headers``, ``allow_credentials``,
    ``max_age``, ``preflight_status`` and ``validate_origin``.
    """
    origins: Sequence[str] = settings["origins"]
    vary = frozenset({"origin", *(ASKED if question.method == "OPTIONS" else ())})
    refused = Answer(403, vary=vary)
    misdirected = Answer(421, vary=vary)
    is_allowed = question.origin is not None and any(covers(pattern, question.origin) for pattern in origins)
    validates = settings.get("validate_origin", True) is True

    if question.method == "OPTIONS" and question.origin is not None and question.request_method is not None:
        if not is_allowed:
            return refused
        return _preflight(question, settings, vary) if _is_served(question, settings) else misdirected

    is_foreign = question.origin is not None and not is_allowed and not _is_own_page(question, settings)
    if question.origin is None and "*" not in origins:
        is_embedded = question.fetch_mode not in (None, "navigate") or question.fetch_dest in FRAMES
        is_unsafe = question.method not in ("GET", "HEAD", "OPTIONS", "TRACE")
        is_foreign = question.fetch_site in ("cross-site", "same-site") and (is_embedded or is_unsafe)
    if is_foreign and validates:
        return refused
    if not _is_served(question, settings):
        return misdirected

    cors: dict[str, frozenset[str]] = {}
    exposed = frozenset(map(str.lower, settings.get("expose_headers", EXPOSED_HEADERS)))
    if is_allowed or "*" in origins:
        cors["access-control-allow-origin"] = frozenset({"*" if "*" in origins else question.origin or ""})
        if exposed:
            cors["access-control-expose-headers"] = exposed
    if is_allowed and settings.get("allow_credentials", False):
        cors["access-control-allow-credentials"] = frozenset({"true"})
    return Answer(None, cors, frozenset() if "*" in origins else vary)


def _preflight(question: Question, settings: Mapping[str, Any], vary: frozenset[str]) -> Answer:
    cors = {"access-control-allow-origin": frozenset({"*" if "*" in settings["origins"] else question.origin or ""})}

    listed = set(settings.get("allow_methods", LISTED_METHODS))
    method = question.request_method or ""
    if "*" in listed and consists_of(method, TOKEN) and method.upper() not in FORBIDDEN:
        listed.add(method)
        if method != "*":
            listed.discard("*")
    else:
        listed.discard("*")
    if listed:
        cors["access-control-allow-methods"] = frozenset(listed)

    patterns = {name.lower() for name in settings.get("allow_headers", {*LISTED_HEADERS, "mcp-param-*"})}
    names = {name for name in patterns if not name.endswith("*")}
    asked = question.request_headers or ""
    if len(asked) > 4096:
        asked = asked[:4096].rpartition(",")[0]
    for name in [member.lower() for member in members(asked)][:64]:
        families = [pattern[:-1] for pattern in patterns if pattern.endswith("-*")]
        is_admitted = any(name.startswith(family) and name != family for family in families)
        if "*" in patterns and name != "authorization":
            is_admitted = True
        if is_admitted and consists_of(name, TOKEN) and name != "*":
            names.add(name)
    if names:
        cors["access-control-allow-headers"] = frozenset(names)

    if settings.get("allow_credentials", False):
        cors["access-control-allow-credentials"] = frozenset({"true"})
    if settings.get("max_age", 86400) is not None:
        cors["access-control-max-age"] = frozenset({str(settings.get("max_age", 86400))})
    return Answer(settings.get("preflight_status", 200), cors, vary)


def _is_served(question: Question, settings: Mapping[str, Any]) -> bool:
    host = take_host_apart(question.host)
    if host is None:
        return False
    hosts = settings["hosts"]
    return "*" in hosts or host.is_address or host_is_listed(host, question.scheme, hosts)


def _is_own_page(question: Question, settings: Mapping[str, Any]) -> bool:
    host = take_host_apart(question.host)
    named = [host for host in settings["hosts"] if host != "*"] or ["localhost", "127.0.0.1", "[::1]"]
    is_named = host is not None and host_is_listed(host, question.scheme, named)
    if question.fetch_site is not None:
        if question.fetch_site != "same-origin":
            return False
        if question.origin == "null":
            return question.scheme == "https" or is_named or (host is not None and host.is_loopback)
        parts = take_apart(question.origin or "")
        if parts is None:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and Served(parts.host, None).is_loopback)
    if host is None or not (is_named or host.is_address):
        return False
    port = "" if host.port is None or host.port == DEFAULT_PORT.get(question.scheme) else f":{host.port}"
    return question.origin == f"{question.scheme}://{host.name}{port}"


def summary(status: int | None, headers: Sequence[tuple[str, str]]) -> Answer:
    """What the package answered, in the oracle's form. A header that is there twice is an error."""
    cors: dict[str, frozenset[str]] = {}
    vary: frozenset[str] = frozenset()
    for name, value in headers:
        key = name.lower()
        if key == "vary":
            assert not vary, headers
            vary = frozenset(map(str.lower, members(value)))
        elif key.startswith("access-control-"):
            assert key not in cors, headers
            keeps_case = key in ("access-control-allow-methods", "access-control-allow-origin")
            cors[key] = frozenset(value.split(", ") if keeps_case else value.lower().split(", "))
        assert value.isascii() and value.isprintable(), headers
    return Answer(status, cors, vary)
