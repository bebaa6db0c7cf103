"""What tests put on and around views, and how they ask for them. Pytest finds it because of ``tests/conftest.py``."""

import hmac
from functools import wraps

from flask import current_app
from pages import APP
from werkzeug.http import parse_options_header

GOOD = {"Authorization": "Bearer s3cret"}


def verify(credential):
    return "caller" if hmac.compare_digest(credential.token or "", "s3cret") else None


def hiding(view):
    """A decorator without ``functools.wraps``."""

    def wrapper(*args, **kwargs):
        return current_app.ensure_sync(view)(*args, **kwargs)

    return wrapper


def wrapping(view):
    return wraps(view)(hiding(view))


def ask(app, path="/x", method="POST", **headers):
    return app.test_client().open(path, method=method, headers={"Origin": APP, **headers})


def challenge(response):
    """The scheme of the one challenge, and its parameters."""
    (value,) = response.headers.getlist("WWW-Authenticate")
    scheme, _, rest = value.partition(" ")
    return scheme, parse_options_header(f"x; {rest.replace(', ', '; ')}")[1]


class Service:
    """Views that are bound methods."""

    def view(self):
        return "in"

    async def later(self):
        return "in"


class Slotted:
    """A view that can hold no attributes."""

    __slots__ = ()

    def __call__(self):
        return "in"


def unrouted():
    return "in"
