"""Why a page is stopped: the same preflight with one change at a time, and the message without its preflight."""

from __future__ import annotations

from ....core.headers import ALLOW_METHODS
from ....core.headers import ALLOW_ORIGIN
from ....core.headers import REQUEST_HEADERS
from ....core.headers import REQUEST_METHOD
from ....testing import CORSErrorReason as R
from ....testing.urls import DEFAULT_PORTS
from ...findings import Severity
from ..evidence import Fetched
from ..messages import NEWEST_WITH_SESSIONS
from .asking import Probe

#: The answer itself says what is wrong, so that no variation is needed.
_PLAIN_REASONS = (
    R.HEADER_DISALLOWED_BY_PREFLIGHT_RESPONSE,
    R.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE,
    R.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE,
    R.INVALID_ALLOW_METHODS_PREFLIGHT_RESPONSE,
    R.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN_VALUES,
    R.PREFLIGHT_DISALLOWED_REDIRECT,
)


class Preflights(Probe):
    """Finds out why the page is stopped."""

    _is_varied = False

    def look_closer(self, fetched: Fetched) -> None:
        """Note the body of the refusal, the answer to the message itself, and which change makes a difference."""
        if fetched.last_status == 429 and self.ev.first("varied: at the limit=") is None:
            self._passes("at the limit", names=",".join(fetched.sent_names))
        is_stopped = fetched.is_rejected or fetched.status == 403
        if not is_stopped or fetched.url != self.ev.href or fetched.barred is not None:
            return
        is_preflight = fetched.failed_at_preflight and fetched.fault is None and fetched.last is not None
        if not self._is_varied:
            self._is_varied = True
            self._look_behind(fetched)
            if is_preflight:
                self._vary(fetched)
        elif is_preflight:
            if fetched.method != "POST":
                self.asker.again(fetched, self.page.origin)
            tried = {f.step.partition("=")[2] for f in self.ev.of_kind("varied") if "header=" in f.step}
            for name in fetched.sent_names if tried else ():
                if name not in tried:
                    self._passes("header", name, names=name)

    def _look_behind(self, fetched: Fetched) -> None:
        """Send the message as if the preflight had passed."""
        behind = self.asker.first("behind", NEWEST_WITH_SESSIONS, {"Origin": self.page.origin}, self.page.origin)
        refused = fetched.last_status if fetched.last is not None and fetched.failed_at_preflight else 403
        is_second_list = b"origin" in behind.body.lower() and behind.status == 403 != refused
        is_unreadable = behind.status == 401 and ALLOW_ORIGIN not in behind.headers
        if is_second_list or (is_unreadable and fetched.failed_at_preflight):
            behind.weight = Severity.ERROR  # the next fault, once the preflight is repaired

    def _vary(self, fetched: Fetched) -> None:
        """Make one change at a time to a refused preflight, until its answer has CORS headers."""
        self.asker.again(fetched, self.page.origin)
        response, names = fetched.last, ",".join(fetched.sent_names)
        if response is None or response.status in (401, 421, 429) or response.status >= 500:
            return
        if fetched.blocked is None or fetched.blocked.reason in _PLAIN_REASONS:
            if ALLOW_METHODS not in response.headers:
                self._passes("no method", method="", names=names)
            return
        if self._passes("no fetch metadata", names=names, method=fetched.method):
            return
        if self._passes("no headers"):
            for name in fetched.sent_names:
                self._passes("header", name, names=name)
        elif not self._passes("GET", method="GET"):
            for kind, spelled in spellings(self.page.origin):
                self._passes(kind, spelled, origin=spelled, names=names)

    def _passes(self, kind: str, value: str = "", *, method: str = "POST", origin: str = "", names: str = "") -> bool:
        """Does the preflight pass with one change?"""
        named = {"Origin": origin or self.page.origin, REQUEST_METHOD: method, REQUEST_HEADERS: names}
        headers = {name: value for name, value in named.items() if value}
        return self.asker.plain(f"varied: {kind}={value}", "OPTIONS", headers, origin=self.page.origin).passes


def spellings(origin: str) -> list[tuple[str, str]]:
    """How people write an origin in a list, and browsers do not.

    >>> dict(spellings("https://app.example.com"))["the default port"]
    'https://app.example.com:443'
    """
    scheme, _, host = origin.partition("://")
    capitals = ".".join(label.capitalize() for label in host.split("."))
    found = [("slash", f"{origin}/"), ("upper case", origin.upper()), ("capitals", f"{scheme}://{capitals}")]
    name, _, port = host.rpartition(":")
    if scheme in DEFAULT_PORTS:
        if port.isdecimal():
            found.append(("no port", f"{scheme}://{name}"))
        else:
            found.append(("the default port", f"{origin}:{DEFAULT_PORTS[scheme]}"))
    names = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}
    if other_name := names.get(host.partition(":")[0]):
        found.append(("another name", origin.replace(host.partition(":")[0], other_name)))
    other = {"http": "https", "https": "http"}.get(scheme)
    return [*found, ("the other scheme", f"{other}://{host}")] if other else found
