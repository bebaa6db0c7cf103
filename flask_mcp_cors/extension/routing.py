"""Asking Flask where a request would go, without going there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.routing import Rule

if TYPE_CHECKING:
    from flask import Request


def url_adapter(app: Flask, req: Request) -> MapAdapter | None:
    """What routes this request; ``None`` where Flask does not trust its ``Host``."""
    try:
        return app.create_url_adapter(req)
    except HTTPException:
        return None


def matched_rule(adapter: MapAdapter | None, method: str | None) -> Rule | None:
    """The rule that a method would reach, if any: a preflight's announced one, say."""
    try:
        return None if adapter is None else adapter.match(method=method, return_rule=True)[0]
    except HTTPException:
        return None


def is_static(app: Flask, endpoint: str | None) -> bool:
    """Is this the endpoint of static files, of the app or of a blueprint?"""
    if endpoint == "static":
        return app.has_static_folder
    name, _, last = (endpoint or "").rpartition(".")
    return last == "static" and name in app.blueprints and app.blueprints[name].has_static_folder


def takes_well_known_part(rule: Rule | None, path: str) -> bool:
    """Does a variable of the rule stand for a ``.well-known`` segment of the path?

    Then whoever asks has written that segment, and the view is no server of discovery documents.
    """
    if rule is None:
        return False
    return path.split("/").count(".well-known") > rule.rule.split("/").count(".well-known")
