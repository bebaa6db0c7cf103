"""Asking Flask where a request would go, without going there."""

from __future__ import annotations

from typing import cast
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from flask import Flask
    from flask import Request


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


def is_static(app: Flask, endpoint: str | None) -> bool:
    """Is this the endpoint of static files, of the app or of a blueprint?"""
    if endpoint == "static":
        return app.has_static_folder
    name, _, last = (endpoint or "").rpartition(".")
    return last == "static" and name in app.blueprints and app.blueprints[name].has_static_folder
