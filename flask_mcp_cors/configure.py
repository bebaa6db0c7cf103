"""Compile the settings of a site.

A keyword overrides ``app.config``, which overrides *policy*, which overrides the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from .core.mcp import missing_for_clients
from .core.policy import CORSPolicy
from .core.problems import PolicyError
from .core.problems import wrong_type
from .core.settings import check_words
from .core.settings import CONFIG_PREFIX
from .core.settings import EXTENSION_SETTINGS
from .core.settings import OTHER_WORDS
from .core.settings import POLICY_SETTINGS
from .core.settings import settings_from_config
from .core.settings import unknown_setting
from .core.settings import WORDS_WITHOUT_COUNTERPART
from .core.site import make_site
from .core.site import Site
from .reporting import log

_ENVIRONMENT_KEY = re.compile(r"(?:.*_)?MCP_?CORS_([A-Z0-9_]+)", re.IGNORECASE)
#: Such as ``FLASK_MCP_CORS_ORIGINS``, which is right in the environment only. Keys with other prefixes are the app's
#: own.
_NEAR_KEY = re.compile(r"(?:FLASK_)?MCP_?CORS_([A-Z0-9_]+)", re.IGNORECASE)

# flask-mcp-server reads this variable itself. from_prefixed_env() puts it into app.config as well.
_FLASK_MCP_SERVER = "FLASK_MCP_CORS_ORIGIN"


class Configured(NamedTuple):
    """A compiled site, and the source of each setting."""

    site: Site
    wrap_wsgi: bool
    #: Setting → ``keyword``, ``TRUSTED_HOSTS`` or its key in ``app.config``. A default is not listed.
    sources: Mapping[str, str]

    def source(self, word: str) -> str:
        """The source of a setting."""
        if word == "origins" and word not in self.sources and not self.site.default.has_default_origins:
            return "policy"
        return self.sources.get(word, "default")

    def announce(self, whom: str) -> None:
        """Log the effective settings once, as a warning if origins or hosts are not configured."""
        site = self.site
        origins = site.default.origins
        shown = getattr(origins, "__qualname__", repr(origins)) if callable(origins) else _cut(origins)
        line = (
            f"{whom}: origins {shown} ({self.source('origins')}); "
            f"hosts {_cut(site.hosts.patterns)} ({self.source('hosts')}); "
            f"paths {'everything' if site.paths is None else _cut(site.paths)} ({self.source('paths')})"
        )
        if self.source("origins") == self.source("hosts") == "default":
            log.warning(
                "%s: neither origins nor hosts is set, so only pages on this machine may call: set origins "
                "(MCP_CORS_ORIGINS) to the pages that may call, and hosts (MCP_CORS_HOSTS) to the names of this server",
                line,
            )
        elif site.hosts.any_host and self.source("hosts") == "default":
            log.warning(
                "%s: any Host is served, so with DNS rebinding any web site can read what this server answers to a GET "
                'without login: set hosts (MCP_CORS_HOSTS) to the names of this server, or to "*" to allow this',
                line,
            )
        else:
            log.info("%s", line)
        policy = site.default
        what = missing_for_clients(
            (*policy.allow_headers, *policy.extra_allow_headers), (*policy.expose_headers, *policy.extra_expose_headers)
        )
        if what and policy.validate_origin and not site.policies:
            # If there are policies for paths, one of them may cover the MCP endpoint.
            log.warning(
                "%s: no browser MCP client can connect, because the default policy %s: extra_allow_headers and "
                "extra_expose_headers add to the default lists, allow_headers and expose_headers replace them",
                whom,
                what,
            )


def _cut(values: Iterable[str]) -> str:
    listed = list(values)
    more = f", … ({len(listed)} in all)" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more


def configure(
    known: frozenset[str],
    policy: CORSPolicy | None,
    keywords: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
) -> Configured:
    """Compile the settings of one site.

    :param known: the names that *keywords* may have.
    :param config: an ``app.config``, or ``None`` without Flask.
    :raises PolicyError: naming every fault at once.
    """
    problems = check_words(keywords, known)
    settings: dict[str, Any] = {}
    keys: dict[str, str] = {}
    if config is not None:
        config = _without_foreign_keys(config)
        settings, keys = settings_from_config(config, problems)
        _warn_of_lost_keys(config)
    for word in keywords:
        key = keys.pop(word, None)
        if key is not None and _as_written(settings[word]) != _as_written(keywords[word]):
            log.warning("%s in app.config has no effect: the keyword %s=… in the code overrides it", key, word)
    settings.update((word, value) for word, value in keywords.items() if word in known)
    if config is not None:
        _warn_of_flask_cors(config, settings)
        _warn_of_near_keys(config, settings)

    if policy is not None and not isinstance(policy, CORSPolicy):
        problems.append(wrong_type("policy", policy, "a CORSPolicy; origins and the like are keywords: origins=[…]"))
        policy = None
    default = policy or CORSPolicy()
    try:
        default = default.replace(**{word: settings[word] for word in POLICY_SETTINGS & settings.keys()})
    except PolicyError as error:
        problems += error.problems
    wrap_wsgi = settings.get("wrap_wsgi", False)
    if not isinstance(wrap_wsgi, bool):
        problems.append(wrong_type("wrap_wsgi", wrap_wsgi, "True or False"))
    config = config or {}
    trusted, site = config.get("TRUSTED_HOSTS"), None
    try:
        site = make_site(settings, default, trusted_hosts=trusted, server_name=config.get("SERVER_NAME"))
    except PolicyError as error:
        problems += error.problems
    if problems or site is None:
        raise PolicyError(problems).located(keys=keys)

    sources = {word: keys.get(word, "keyword") for word in settings}
    if "hosts" not in settings and trusted and not default.has_default_origins:
        sources["hosts"] = "TRUSTED_HOSTS"
    return Configured(site, wrap_wsgi, sources)


def _as_written(value: object) -> object:
    """A form of a value for comparisons: a string equals a list of that one string, and a list equals a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _without_foreign_keys(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """``app.config`` without the key that comes from :data:`_FLASK_MCP_SERVER`."""
    if _FLASK_MCP_SERVER not in os.environ:
        return config
    return {key: value for key, value in config.items() if key != "MCP_CORS_ORIGIN"}


def _warn_of_flask_cors(config: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Warn of keys of flask-cors in ``app.config``, unless our own setting is configured too."""
    advice = []
    for key in config:
        word = key.removeprefix("CORS_").lower() if isinstance(key, str) and key.startswith("CORS_") else ""
        # Advise extra_…: a plain list of header names would replace the defaults, which MCP clients need.
        meant = f"extra_{word}" if f"extra_{word}" in EXTENSION_SETTINGS else OTHER_WORDS.get(word, word)
        if word in WORDS_WITHOUT_COUNTERPART:
            advice.append(f"{key} → leave it out")
        elif meant in EXTENSION_SETTINGS - settings.keys():
            paths = f"{CONFIG_PREFIX}PATHS and " if meant == "policies" else ""
            advice.append(f"{key} → {paths}{CONFIG_PREFIX}{meant.upper()}")
    if advice:
        log.warning("app.config has keys of flask-cors, which Flask-MCP-CORS does not read: %s", "; ".join(advice))


def _warn_of_near_keys(config: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Warn of keys in ``app.config`` that are nearly ours, unless the same setting is configured here too."""
    for key in config:
        match = _NEAR_KEY.fullmatch(key) if isinstance(key, str) and not key.startswith(CONFIG_PREFIX) else None
        if match is None or key in os.environ or f"FLASK_{key}" in os.environ:
            continue  # _warn_of_lost_keys names it as a variable
        word = _word_in(match)
        if word not in settings:
            advice = _unknown(word, key) or f"write {CONFIG_PREFIX}{word.upper()}"
            log.warning("%s in app.config has no effect: %s", key, advice)


def _warn_of_lost_keys(config: Mapping[str, Any]) -> None:
    """Warn of settings in the environment that are not in ``app.config``, and of a key ``MCP_CORS`` with a mapping."""
    if isinstance(config.get("MCP_CORS"), Mapping):
        log.warning("MCP_CORS in app.config has no effect: write a key for each setting, such as MCP_CORS_ORIGINS")
    for variable in sorted(os.environ):
        match = _ENVIRONMENT_KEY.fullmatch(variable)
        if match is None:
            continue
        word = _word_in(match)
        key = f"{CONFIG_PREFIX}{word.upper()}"
        if variable == _FLASK_MCP_SERVER:
            log.warning("%s is a variable of flask-mcp-server; for Flask-MCP-CORS write %sS", variable, variable)
        elif key not in variable or key not in config:
            advice = f"write FLASK_{key}"
            if key in variable:
                advice = (
                    f"{key} is not in app.config; call app.config.from_prefixed_env() before the extension is "
                    f"initialised, and name the variable FLASK_{key}"
                )
            log.warning("%s is in the environment, but has no effect: %s", variable, _unknown(word, key) or advice)


def _word_in(match: re.Match[str]) -> str:
    """The setting in the name of a key or a variable. The part after ``__`` is a key inside its value."""
    return match[1].partition("__")[0].lower()


def _unknown(word: str, key: str) -> str | None:
    """The message for a name that no setting has; ``None``: a setting has it."""
    return None if word in EXTENSION_SETTINGS else unknown_setting(word, EXTENSION_SETTINGS, key=key).message
