"""Asking Flask where a request would go, without going there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import cast
from typing import TYPE_CHECKING
from typing import TypeVar

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from ..reporting import log

if TYPE_CHECKING:
    from flask import Request

T = TypeVar("T")


def flask_app_in(wsgi_app: Any) -> Flask | None:
    """The Flask app that a WSGI application is or wraps, as far as attributes tell."""
    seen: set[int] = set()
    while wsgi_app is not None and id(wsgi_app) not in seen:
        if isinstance(wsgi_app, Flask):
            return wsgi_app
        if hasattr(wsgi_app, "mounts"):  # not one app, but several
            return None
        seen.add(id(wsgi_app))
        places = (getattr(wsgi_app, name, None) for name in ("wsgi_app", "app", "__self__"))
        wsgi_app = next((place for place in places if place is not None), None)
    return None


def match_outside(app: Flask, match: Callable[[], T]) -> T:
    """Match a URL where no application context is: a converter that asks the app for something needs one."""
    try:
        return match()
    except HTTPException:
        raise
    except Exception:
        with app.app_context():
            return match()


def url_adapter(app: Flask, req: Request) -> MapAdapter | None:
    """What routes this request; ``None`` where Flask does not trust its ``Host``."""
    try:
        return app.create_url_adapter(req)
    except HTTPException:
        return None


def endpoint_of(adapter: MapAdapter | None, method: str | None) -> str | None:
    """The endpoint that a method would reach, if any: a preflight's announced one, say."""
    try:
        return None if adapter is None else cast(str, adapter.match(method=method)[0])
    except HTTPException:
        return None


def endpoint_outside(app: Flask, adapter: MapAdapter | None, method: str | None) -> str | None:
    """The same, where no application context is; ``None`` also where a converter fails, as it will inside."""
    try:
        return match_outside(app, lambda: endpoint_of(adapter, method))
    except Exception:
        log.exception("routing failed, so the path alone says which policy holds")
        return None


def is_static(app: Flask, endpoint: str | None) -> bool:
    """Is this the endpoint of static files, of the app or of a blueprint?"""
    if endpoint == "static":
        return app.has_static_folder
    name, _, last = (endpoint or "").rpartition(".")
    return last == "static" and name in app.blueprints and app.blueprints[name].has_static_folder
