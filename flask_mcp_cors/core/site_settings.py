"""The settings of a site and of the Flask extension, as an editor completes and explains them."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from .policy import CORSPolicy
from .settings import PolicySettings


class SiteSettings(PolicySettings, total=False):
    """The settings of one site: its default policy, other policies by path, and the hosts that it serves."""

    hosts: str | Collection[str]
    """The names of this server: the ``Host`` values that are served, as ``"mcp.example.com"``, ``"name:8443"``,
    ``"*.example.com"``, or ``"*"`` for any. Other requests get 421. Default: this machine's names if ``origins`` is
    unset too, else Flask's ``TRUSTED_HOSTS``, else any."""

    paths: str | Collection[str]
    """The paths that the default policy covers: ``"/mcp"``, ``"/servers/*/mcp"``, ``"/api/**"``. Default: all."""

    policies: Mapping[
        str,
        CORSPolicy
        | PolicySettings
        | Callable[[Any], CORSPolicy | None]
        | Callable[[Any], Awaitable[CORSPolicy | None]]
        | None,
    ]
    """Other policies, by path pattern: a ``CORSPolicy``, settings that change the default policy, ``None`` (no policy),
    or a callable ``(request) -> CORSPolicy | None``, which may be ``async`` in ``flask_mcp_cors.asgi``."""


class ExtensionSettings(SiteSettings, total=False):
    """The settings of the Flask extension."""

    wrap_wsgi: bool
    """Put a layer around ``app.wsgi_app`` as well, which answers preflights before any other middleware, session or
    signal, and sends the headers on crashes too. Default ``False``."""
