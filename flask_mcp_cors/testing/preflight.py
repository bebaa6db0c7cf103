"""The answer to a CORS-preflight request: what it allows, and the preflight cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from ..core.headers import ALLOW_HEADERS
from ..core.headers import ALLOW_METHODS
from ..core.headers import MAX_AGE
from ..core.headers import NON_WILDCARD
from ..core.headers import SAFELISTED_METHODS
from .errors import CORSErrorReason
from .errors import CORSFailure
from .headers import extract_list
from .headers import HeaderList
from .headers import MalformedList
from .quirks import Quirk
from .urls import OPAQUE

#: Seconds that an answer without a valid ``Access-Control-Max-Age`` is kept, according to the Fetch standard.
DEFAULT_MAX_AGE = 5

#: The standard lets each browser set a limit. This is Chromium's, and that of a Browser without quirks.
MAX_AGE_LIMIT = 7200


@dataclass(frozen=True)
class Question:
    """What a CORS-preflight request asks; also the key of its cached answer.

    The standard's key has the network partition, too. A :class:`Browser` is one page, so there is one partition.
    """

    origin: str
    url: str
    method: str
    #: in lower case, in the order in which the page set them
    unsafe_names: tuple[str, ...]
    with_credentials: bool


@dataclass(frozen=True)
class Answer:
    """What a server's answer to a CORS-preflight request allows."""

    methods: frozenset[str]
    #: in lower case
    header_names: frozenset[str]
    max_age: int

    @classmethod
    def from_headers(cls, headers: HeaderList, quirks: frozenset[Quirk] = frozenset()) -> Answer:
        """Read ``Access-Control-Allow-Methods``, ``-Allow-Headers`` and ``-Max-Age``.

        :raises CORSFailure: one of the lists cannot be parsed.
        """
        lists = []
        for name, reason in (
            (ALLOW_METHODS, CORSErrorReason.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE),
            (ALLOW_HEADERS, CORSErrorReason.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE),
        ):
            try:
                lists.append(extract_list(headers, name))
            except MalformedList as fault:
                raise CORSFailure(reason, str(fault), value=headers[name]) from None
        methods, names = lists
        return cls(frozenset(methods), frozenset(map(str.lower, names)), parse_max_age(headers.get(MAX_AGE), quirks))

    def allows_method(self, method: str, *, with_credentials: bool) -> bool:
        """Is this method safelisted, listed or covered by ``*``?"""
        if method in self.methods or method in SAFELISTED_METHODS:
            return True
        return "*" in self.methods and not with_credentials

    def refused_headers(self, question: Question, *, authorization_needs_naming: bool = True) -> tuple[str, ...]:
        """The header names that this answer does not allow, in the order of *question*."""
        refused = tuple(name for name in question.unsafe_names if name not in self.header_names)
        if question.with_credentials or "*" not in self.header_names:
            return refused
        return (NON_WILDCARD,) if authorization_needs_naming and NON_WILDCARD in refused else ()


def parse_max_age(value: str | None, quirks: frozenset[Quirk] = frozenset()) -> int:
    """Seconds to keep an answer.

    >>> [parse_max_age(value) for value in ("600", "86400", "-1", "1.5", "600, 600", None)]
    [600, 7200, 5, 5, 5, 5]
    """
    limit = 86400 if Quirk.KEPT_FOR_A_DAY in quirks else 600 if Quirk.KEPT_FOR_TEN_MINUTES in quirks else MAX_AGE_LIMIT
    is_signed = Quirk.MAX_AGE_AS_NUMBER in quirks
    if value and re.fullmatch(r"[+-]?[0-9]+" if is_signed else "[0-9]+", value):
        seconds = Decimal(value)  # int() reads no more than 4,300 digits
        if not is_signed or -(2**63) <= seconds < 2**63:
            return max(0, int(min(seconds, Decimal(limit))))
    return 0 if value and Quirk.BAD_MAX_AGE_IS_ZERO in quirks else DEFAULT_MAX_AGE


#: Key of a cache entry: was it made for a request with credentials; "method" or "header"; its name.
_Key = tuple[bool, str, str]


class _Entry(NamedTuple):
    stored: float
    max_age: int


class StandardPreflightCache:
    """https://fetch.spec.whatwg.org/#concept-cache: an entry for each method and each header name."""

    def __init__(self, quirks: frozenset[Quirk] = frozenset()) -> None:
        self._quirks = quirks
        self._entries: dict[tuple[str, str, bool], dict[_Key, _Entry]] = {}

    def covers(self, question: Question, now: float) -> bool:
        """Can the preflight be omitted? One without unsafe method and names can, if an answer was ever kept."""
        if not any(entry.max_age for entry in self._of(question).values()):
            return False
        if question.method not in SAFELISTED_METHODS and not self._matches(question, "method", question.method, now):
            return False
        return all(self._matches(question, "header", name, now) for name in question.unsafe_names)

    def store(self, question: Question, answer: Answer, now: float) -> None:
        """Keep a good answer: make new cache entries, and give old ones the new age."""
        entries = self._of(question)
        words = [("method", word) for word in answer.methods] + [("header", word) for word in answer.header_names]
        for kind, word in words:
            if matches := self._matches(question, kind, word, now):
                for key in matches:
                    since = now if Quirk.ANSWER_EXTENDS_CACHE in self._quirks else entries[key].stored
                    entries[key] = _Entry(since, answer.max_age)
            else:
                entries[question.with_credentials, kind, word] = _Entry(now, answer.max_age)

    def clear(self, question: Question) -> None:
        """Remove the entries for this origin and URL, with credentials and without."""
        for with_credentials in (False, True):
            self._entries.pop((question.origin, question.url, with_credentials), None)

    def _of(self, question: Question) -> dict[_Key, _Entry]:
        is_divided = Quirk.CREDENTIALS_DIVIDE_CACHE in self._quirks
        key = (question.origin, question.url, is_divided and question.with_credentials)
        return self._entries.setdefault(key, {})

    def _matches(self, question: Question, kind: str, word: str, now: float) -> list[_Key]:
        """https://fetch.spec.whatwg.org/#concept-cache-match-method, and its twin for header names."""
        entries = self._of(question)
        # An entry made with credentials serves all requests. In it, * is not a wildcard, although the standard's text
        # omits that here: an answer for one method would then cover all methods.
        keys = [(True, kind, word)]
        if not question.with_credentials:
            keys.append((False, kind, word))
            if word != NON_WILDCARD and Quirk.WILDCARD_IS_NOT_CACHED not in self._quirks:
                keys.append((False, kind, "*"))
        return [key for key in keys if key in entries and entries[key].stored + entries[key].max_age > now]


class URLPreflightCache:
    """:attr:`Quirk.ONE_CACHE_ENTRY_PER_URL`, with the other quirks of such a cache."""

    def __init__(self, quirks: frozenset[Quirk]) -> None:
        self._quirks = quirks
        self._entries: dict[tuple[str, str], tuple[Answer, bool, float]] = {}

    def covers(self, question: Question, now: float) -> bool:
        """Can the preflight be omitted? An answer that does not cover this request is removed."""
        found = self._entries.pop((question.origin, question.url), None)
        if found is None:
            return False
        answer, with_credentials, end = found
        if end <= now or (question.with_credentials and not with_credentials):
            return False
        repeats = Quirk.AUTHORIZATION_REPEATS_PREFLIGHT in self._quirks
        # Chromium reads the answer as for its own request: if that had credentials, * is not a wildcard.
        asked = replace(question, with_credentials=with_credentials) if repeats else question
        if not answer.allows_method(asked.method, with_credentials=asked.with_credentials):
            return False
        if answer.refused_headers(asked, authorization_needs_naming=repeats):
            return False
        self._entries[question.origin, question.url] = found
        return True

    def store(self, question: Question, answer: Answer, now: float) -> None:
        """Keep the whole answer, in place of the last one."""
        if question.origin == OPAQUE and Quirk.ORIGIN_NULL_IS_NOT_CACHED in self._quirks:
            return
        self._entries[question.origin, question.url] = (answer, question.with_credentials, now + answer.max_age)

    def clear(self, question: Question) -> None:
        """Remove the answer for this origin and URL."""
        self._entries.pop((question.origin, question.url), None)
