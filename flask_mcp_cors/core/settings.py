"""Settings: their names and types, what can be wrong with them, and where they come from.

Everything that a user writes passes through here once. The meaning of a value (what an origin
pattern may look like, say) belongs to the module that compiles it; this one knows words and types.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import TYPE_CHECKING
from typing import TypedDict

if TYPE_CHECKING:
    from .policy import CORSPolicy
    from .security import SecurityHeaders

#: What every key of ``app.config`` starts with.
CONFIG_PREFIX = "MCP_CORS_"


class PolicySettings(TypedDict, total=False):
    """The settings of a :class:`CORSPolicy`."""

    origins: str | Iterable[str] | Callable[[str], bool]
    allow_methods: str | Iterable[str]
    allow_headers: str | Iterable[str]
    expose_headers: str | Iterable[str]
    extra_allow_headers: str | Iterable[str]
    extra_expose_headers: str | Iterable[str]
    allow_credentials: bool
    max_age: int | None
    preflight_status: int
    validate_origin: bool | Literal["report"]
    security_headers: SecurityHeaders | Mapping[str, Any] | None
    dangerously_allow_insecure_origins: bool
    dangerously_allow_public_suffixes: bool
    dangerously_allow_null: bool


class SiteSettings(PolicySettings, total=False):
    """The settings of one site: its default policy, and which paths and hosts are whose."""

    hosts: str | Iterable[str]
    paths: str | Iterable[str]
    policies: Mapping[str, CORSPolicy | PolicySettings | Callable[[Any], CORSPolicy | None] | None]


class ExtensionSettings(SiteSettings, total=False):
    """The settings of the Flask extension."""

    wrap_wsgi: bool


POLICY_SETTINGS = frozenset(PolicySettings.__annotations__)
SITE_SETTINGS = frozenset(SiteSettings.__annotations__)
EXTENSION_SETTINGS = frozenset(ExtensionSettings.__annotations__)

#: Settings for which a comma-separated string in ``app.config`` means a list.
LIST_SETTINGS = frozenset(
    {
        "origins",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "extra_allow_headers",
        "extra_expose_headers",
        "hosts",
        "paths",
    }
)

#: Words that other CORS layers and MCP servers use for what has another name (or none) here.
OTHER_WORDS = {
    "allow_origin": "origins",
    "allow_origins": "origins",
    "allowed_origins": "origins",
    "cors_origins": "origins",
    "origin": "origins",
    "origin_regex": "origins",
    "allow_origin_regex": "origins",
    "allowed_origin_regexes": "origins",
    "methods": "allow_methods",
    "allowed_methods": "allow_methods",
    "headers": "allow_headers",
    "allowed_headers": "allow_headers",
    "exposed_headers": "expose_headers",
    "credentials": "allow_credentials",
    "supports_credentials": "allow_credentials",
    "allowed_hosts": "hosts",
    "trusted_hosts": "hosts",
    "host": "hosts",
    "resources": "policies",
    "resource": "policies",
    "path": "paths",
    "preflight_max_age": "max_age",
    "options_success_status": "preflight_status",
    "enable_dns_rebinding_protection": "validate_origin",
    "host_origin_protection": "validate_origin",
}

#: Words that have no counterpart, and why.
WORDS_WITHOUT_COUNTERPART = {
    "send_wildcard": '"*" is sent as such, every other origin as itself',
    "vary_header": "Vary is always set where an answer could have differed",
    "always_send": "headers are sent where the Fetch standard gives them a meaning",
    "automatic_options": "every CORS-preflight request is answered before routing",
    "intercept_exceptions": "error responses carry the headers; for crashes below Flask set wrap_wsgi",
    "allow_private_network": "Local Network Access is a permission of the person, no header grants it",
}


class PolicyProblem(NamedTuple):
    """One fault of a configuration.

    *code* is stable and names the kind of fault; *message* says what is wrong and what to write
    instead; *key* is the ``app.config`` key that the value came from, where it came from there.
    """

    code: str
    setting: str
    value: object
    message: str
    key: str | None = None

    def __str__(self) -> str:
        where = f"{self.key} ({self.setting})" if self.key else self.setting
        return f"{where}={shown(self.value)}: {self.message} [{self.code}]"


class PolicyError(ValueError):
    """A configuration that cannot be used, with every fault of it in :attr:`problems`.

    >>> from flask_mcp_cors import CORSPolicy
    >>> try:
    ...     CORSPolicy(origins="https://app.example.com/", max_age=-1)
    ... except PolicyError as error:
    ...     print([problem.code for problem in error.problems])
    ['origin_trailing_slash', 'max_age_out_of_range']
    """

    def __init__(self, problems: Iterable[PolicyProblem]) -> None:
        #: Every :class:`PolicyProblem` found, in the order of the settings.
        self.problems: tuple[PolicyProblem, ...] = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n  - ".join([f"{head} in the CORS configuration:", *map(str, self.problems)]))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[PolicyProblem, ...]]]:
        return type(self), (self.problems,)

    def located(self, setting: str = "", keys: Mapping[str, str] | None = None) -> PolicyError:
        """The same faults, named as they were written: below *setting*, or in ``app.config`` *keys*."""
        located = []
        for problem in self.problems:
            place = f"{setting}.{problem.setting}" if setting else problem.setting
            # One key holds all that is below it: policies['/mcp'].max_age, security_headers.frame_options.
            word = place.partition("[")[0].partition(".")[0]
            located.append(problem._replace(setting=place, key=problem.key or (keys or {}).get(word)))
        return PolicyError(located)


def shown(value: object) -> str:
    """A value as a message shows it: ASCII, and cut where somebody set a book."""
    text = ascii(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def unknown_setting(word: str, known: frozenset[str], *, key: str | None = None, value: object = None) -> PolicyProblem:
    """The problem of a word that is no setting, with the one that was meant."""

    def spelled(name: str) -> str:
        return f"{CONFIG_PREFIX}{name.upper()}" if key else name

    meant = OTHER_WORDS.get(word)
    if word in WORDS_WITHOUT_COUNTERPART:
        message = f"leave it out: {WORDS_WITHOUT_COUNTERPART[word]}"
    elif word in known:
        message = f"keys of app.config are in upper case; write {spelled(word)}"
    elif word in EXTENSION_SETTINGS:
        whose = "MCPCors or CORSMiddleware" if word in SITE_SETTINGS else "MCPCors"
        message = f"this is a setting of {whose}, not one of a policy; write it there"
    elif meant in known:
        message = f"unknown setting; write {spelled(meant)}"
    elif close := get_close_matches(word, sorted(known), 1):
        message = f"unknown setting; did you mean {spelled(close[0])}?"
    else:
        message = f"unknown setting; the settings are {', '.join(map(spelled, sorted(known)))}"
    return PolicyProblem("unknown_setting", word, value, message, key)


def check_words(settings: Mapping[str, object], known: frozenset[str]) -> list[PolicyProblem]:
    """A problem for each keyword argument that is no setting."""
    return [unknown_setting(word, known, value=value) for word, value in settings.items() if word not in known]


def settings_from_config(
    config: Mapping[str, Any], problems: list[PolicyProblem]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings in an ``app.config``, and for each the key that it came from.

    A string where a list is expected is split at its commas, as in an environment variable.

    :param problems: gets one for each key that starts with ``MCP_CORS_`` and names no setting.

    >>> settings_from_config({"MCP_CORS_ORIGINS": "https://a.example, https://b.example"}, [])
    ({'origins': ['https://a.example', 'https://b.example']}, {'origins': 'MCP_CORS_ORIGINS'})
    """
    settings: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for key, value in config.items():
        if not isinstance(key, str) or not key.startswith(CONFIG_PREFIX):
            continue
        word = key.removeprefix(CONFIG_PREFIX).lower()
        if word not in EXTENSION_SETTINGS or key != key.upper():
            problems.append(unknown_setting(word, EXTENSION_SETTINGS, key=key, value=value))
            continue
        if word in LIST_SETTINGS and isinstance(value, str):
            value = [member.strip() for member in value.split(",")] if "," in value else [value.strip()]
        settings[word] = value
        keys[word] = key
    return settings, keys


def settled(value: Any) -> Any:
    """The same settings, or the same value of one, with what can be gone through only once made a tuple."""
    if isinstance(value, Mapping):
        return {name: settled(member) for name, member in value.items()}
    return tuple(value) if isinstance(value, Iterator) else value


def string_list(setting: str, value: object, problems: list[PolicyProblem]) -> tuple[str, ...]:
    """One string or many as a tuple; a problem for anything else."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        problems.append(wrong_type(setting, value, "a string or a list of strings"))
        return ()
    members = tuple(value)
    for member in members:
        if not isinstance(member, str):
            problems.append(wrong_type(setting, member, "a string"))
    return tuple(member for member in members if isinstance(member, str))


def wrong_type(setting: str, value: object, expected: str) -> PolicyProblem:
    """The problem of a value of another type than the setting's."""
    return PolicyProblem("wrong_type", setting, value, f"{type(value).__name__} is the wrong type; write {expected}")
