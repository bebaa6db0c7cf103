"""Settings: their names and types, and how they are read from ``app.config``.

This module knows the names and types of settings. What a value may be, for example the grammar of an origin pattern,
is defined in the module that compiles it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any
from typing import Literal
from typing import TypedDict

from .paths import meant_path
from .problems import as_list
from .problems import PolicyProblem
from .security import SecurityHeaders

#: The prefix of every key in ``app.config``.
CONFIG_PREFIX = "MCP_CORS_"


class PolicySettings(TypedDict, total=False):
    """The settings of a :class:`CORSPolicy`. The descriptions are here, where editors look for them."""

    origins: str | Collection[str] | Callable[[str], object]
    """The pages that may call: ``"https://app.example.com"``, ``"https://*.example.com"``, a list of these, ``"*"``
    for every page, or a callable ``(origin) -> bool`` such as ``re.compile(…).fullmatch``. Default: pages on this
    machine (``LOOPBACK``)."""

    allow_methods: str | Collection[str]
    """Methods that pages may use besides ``GET``, ``HEAD`` and ``POST``, which browsers always allow; ``"*"`` for any.
    Default: ``GET, POST, DELETE, OPTIONS``."""

    allow_headers: str | Collection[str]
    """Request headers that pages may send: names, ``"Prefix-*"`` for a family, or ``"*"`` for all but
    ``Authorization``. Replaces the default list; ``extra_allow_headers`` adds to it."""

    expose_headers: str | Collection[str]
    """Response headers that JavaScript may read. Replaces the default list; ``extra_expose_headers`` adds to it."""

    extra_allow_headers: str | Collection[str]
    """Request headers that pages may send in addition to ``allow_headers``."""

    extra_expose_headers: str | Collection[str]
    """Response headers that JavaScript may read in addition to ``expose_headers``."""

    allow_credentials: bool
    """May browsers send their cookies and stored passwords? Default ``False``. A bearer token that JavaScript sets
    itself does not need it."""

    max_age: int | None
    """Seconds that browsers may keep the answer to a preflight: 0 to 86400, or ``None`` to leave the header out.
    Default: 86400; Chromium keeps it for 7200 at most."""

    preflight_status: int
    """Status of the answer to a preflight: 200 to 299. Default: 200."""

    validate_origin: bool | Literal["report"]
    """``True``, the default: requests of pages that may not call get 403, as MCP demands. ``"report"``: they run, and
    are logged. ``False``: they run, and the browser keeps the response from the page."""

    security_headers: SecurityHeaders | Mapping[str, Any] | None
    """A ``SecurityHeaders``, a mapping of its arguments, or ``None`` for none."""

    dangerously_allow_insecure_origins: bool
    """Accept ``http:`` origins beyond this machine together with ``allow_credentials``. Anybody on the network can
    change such pages."""

    dangerously_allow_public_suffixes: bool
    """Accept patterns such as ``https://*.github.io``, below which anybody can have a page."""

    dangerously_allow_null: bool
    """Accept the origins ``null`` and ``file://``, which every sandboxed frame and every local file has."""


POLICY_SETTINGS = frozenset(PolicySettings.__annotations__)
#: The policy settings and those of a site: ``site_settings.SiteSettings``.
SITE_SETTINGS = POLICY_SETTINGS | {"hosts", "paths", "policies"}
#: The settings of a site and the extension's own: ``site_settings.ExtensionSettings``.
EXTENSION_SETTINGS = SITE_SETTINGS | {"wrap_wsgi"}

#: Settings for which a comma-separated string in ``app.config`` means a list.
LIST_SETTINGS = frozenset(
    {
        "hosts",
        "paths",
        *(word for word, kind in PolicySettings.__annotations__.items() if "Collection[str]" in str(kind)),
    }
)

#: Names that other CORS libraries and MCP servers use, and the setting that each stands for.
OTHER_WORDS = {
    other: word
    for word, others in {
        "origins": "allow_origin allow_origins allowed_origins cors_origins origin origin_regex allow_origin_regex "
        "allowed_origin_regexes",
        "allow_methods": "methods allowed_methods",
        # extra_…, because it adds to the default lists, which MCP clients need.
        "extra_allow_headers": "headers allowed_headers",
        "extra_expose_headers": "exposed_headers",
        "allow_credentials": "credentials supports_credentials",
        "hosts": "allowed_hosts trusted_hosts host",
        "policies": "resources resource",
        "paths": "path",
        "max_age": "preflight_max_age",
        "preflight_status": "options_success_status",
        "validate_origin": "enable_dns_rebinding_protection host_origin_protection",
    }.items()
    for other in others.split()
}

#: Names from other libraries that have no equivalent, and the reason.
WORDS_WITHOUT_COUNTERPART = {
    "send_wildcard": '"*" is always sent as "*", any other origin as itself',
    "vary_header": "Vary is set wherever the answer depends on the origin",
    "always_send": "the headers are sent whenever the Fetch standard needs them",
    "automatic_options": "every CORS-preflight request is answered before routing",
    "intercept_exceptions": "error responses have the headers; for crashes outside of Flask set wrap_wsgi=True",
    "allow_private_network": "browsers ask the person for this permission now; no header grants it",
}


def unknown_setting(word: str, known: frozenset[str], *, key: str | None = None, value: object = None) -> PolicyProblem:
    """The problem for an unknown setting. It names the setting that was probably meant."""

    def spelled(name: str) -> str:
        return f"{CONFIG_PREFIX}{name.upper()}" if key else name

    meant = OTHER_WORDS.get(word)
    bare = word.lower().removeprefix("cors_").removeprefix(CONFIG_PREFIX.lower())
    if not key and bare in known and word != bare:
        message = f"unknown keyword; write {bare}"
    elif word in WORDS_WITHOUT_COUNTERPART:
        message = f"leave it out: {WORDS_WITHOUT_COUNTERPART[word]}"
    elif word in known:
        message = f"keys of app.config are in upper case; write {spelled(word)}"
    elif word in EXTENSION_SETTINGS:
        whose = "MCPCors or CORSMiddleware" if word in SITE_SETTINGS else "MCPCors"
        message = f"this is a setting of {whose}, not of a policy; set it there"
    elif meant == "policies" and meant in known:
        # In flask-cors, this setting says which paths have CORS, and with which settings. There, a last * includes
        # everything below.
        keys = [value] if isinstance(value, str) else value if isinstance(value, Iterable) else []
        listed = [re.sub(r"/\*$", "/**", meant_path(key) or key) for key in keys if isinstance(key, str)] or ["/api/**"]
        message = (
            f"unknown setting; list the paths with CORS in {spelled('paths')}, such as {as_list(listed)}, and give "
        )
        message += f'settings to single paths in {spelled("policies")}, such as {{"{listed[-1]}": {{"origins": […]}}}}'
    elif meant in known:
        message = f"unknown setting; write {spelled(meant)}"
    elif close := get_close_matches(word, sorted(known), 1):
        message = f"unknown setting; did you mean {spelled(close[0])}?"
    else:
        message = f"unknown setting; the settings are {', '.join(map(spelled, sorted(known)))}"
    return PolicyProblem("unknown_setting", word, value, message, key)


def check_words(settings: Mapping[str, object], known: frozenset[str]) -> list[PolicyProblem]:
    """A problem for each keyword argument that is not a setting."""
    return [unknown_setting(word, known, value=value) for word, value in settings.items() if word not in known]


def settings_from_config(
    config: Mapping[str, Any], problems: list[PolicyProblem]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings in an ``app.config``, and for each the key that it came from.

    A string where a list is expected is split at its commas, as in an environment variable.

    :param problems: gets a problem for each key that starts with ``MCP_CORS_`` but names no setting, and for each
        string that is not a valid list or not valid JSON.

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
        if isinstance(value, str):
            if fault := _syntax_fault(word, value):
                problems.append(PolicyProblem("config_syntax", word, value, fault, key))
                if word not in LIST_SETTINGS:
                    continue
                value = _members(value)  # so that faults of the members are reported too
            elif word in LIST_SETTINGS:
                value = json.loads(value) if _is_json(value) else [member.strip() for member in value.split(",")]
        settings[word] = value
        keys[word] = key
    return settings, keys


# Straight quotes, and the curly ones that word processors write.
_QUOTES = "'\"\u2018\u2019\u201c\u201d"


def _is_json(text: str) -> bool:
    """Was this string meant as a JSON list or object? An IPv6 address also starts with a bracket."""
    return text.lstrip()[:1] in ("[", "{") and not re.match(r"\s*\[[0-9A-Fa-f:.]+\]", text)


def _members(text: str) -> list[str]:
    """The members of a list whose quotes, brackets or separators are wrong."""
    text = text.replace("\\", "").strip()
    while text[:1] in _QUOTES and text[-1:] in _QUOTES and _is_json(text[1:]):
        text = text[1:-1].strip()
    if _is_json(text) or text.startswith("("):
        text = text.strip("[]{}()")
    members = [member.strip(f" \t\r\n{_QUOTES}") for member in re.split(rf"[,;]|[{_QUOTES}]\s+[{_QUOTES}]", text)]
    return [member for member in members if member]


# Signs of common faults in JSON, and what is wrong.
_JSON_FAULTS = (
    (r"\\", "a backslash is part of the value"),
    ("'", "strings are in double quotes"),
    (r",\s*[\]}]\s*$", "remove the comma before the closing bracket"),
    ('^[^"]*$', "each string is in double quotes"),
)


def _syntax_fault(word: str, text: str) -> str | None:
    """What is wrong with the JSON or the comma-separated list in *text*, and what to write; ``None``: nothing."""
    fault = None
    if _is_json(text):
        try:
            json.loads(text)
        except ValueError as error:
            reason = next((f": {why}" for sign, why in _JSON_FAULTS if re.search(sign, text)), f" ({error})")
            fault = f"not valid JSON{reason}"
    elif (bare := text.strip(f" \t\r\n\\{_QUOTES}")) != text.strip() and word not in LIST_SETTINGS:
        return f"the quotes are part of the value; write {bare}"
    elif word not in LIST_SETTINGS:
        return None
    elif any(re.search(rf"^[\\{_QUOTES}]|[{_QUOTES}]$", member.strip()) for member in re.split("[,;]", text)):
        fault = "the quotes are part of the value"
    elif text.strip().startswith("("):
        fault = "a list is in square brackets"
    elif ";" in text and (word != "paths" or re.search(r";\s*(?:/|$)", text)):
        fault = "members are separated by commas, not by semicolons"
    elif "," in text and not all(map(str.strip, text.split(","))):
        fault = "there is a comma too many"
    if fault and word in LIST_SETTINGS:
        fault += f"; write {as_list(_members(text))}"
    return fault
