"""A simple cookie jar: it decides whether a request has cookies.

It honours domains, paths, expiry, ``Secure``, ``SameSite`` (``Lax`` by default) and the prefixes of names. It does not
honour limits, partitions and Chromium's two minutes in which a new cookie may go with a top-level POST.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.http import parse_date

from .quirks import Quirk
from .urls import is_ip_address
from .urls import site_of
from .urls import URL


@dataclass(frozen=True)
class Cookie:
    """A cookie as it was set, with the host and the path for which it is sent."""

    name: str
    value: str
    host: str
    host_only: bool
    path: str
    secure: bool
    #: in lower case; anything but ``strict`` and ``none`` means ``lax``
    same_site: str
    expires: float | None

    def goes_to(self, url: URL, now: float, quirks: frozenset[Quirk]) -> bool:
        """Do host, path, time and security permit it? ``SameSite`` is not checked here."""
        path = url.target.partition("?")[0]
        return (
            (url.host == self.host or (not self.host_only and url.host.endswith(f".{self.host}")))
            and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))
            and (self.expires is None or self.expires > now)
            and (not self.secure or _is_secure(url, quirks))
        )


class CookieJar:
    """All cookies of the browser."""

    def __init__(self, quirks: frozenset[Quirk] = frozenset()) -> None:
        self._quirks = quirks
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def set(self, url: URL, set_cookie: str, now: float, *, same_site: bool, navigation: bool = False) -> None:
        """Store the cookie of one ``Set-Cookie`` value, if this server may set it.

        :param same_site: is the page of the same site as *url*?
        """
        cookie = _parse(url, set_cookie, now, self._quirks)
        if cookie is None:
            return
        if cookie.same_site == "none":
            if not (cookie.secure or Quirk.SAME_SITE_NONE_WITHOUT_SECURE in self._quirks):
                return
        elif not (same_site or navigation):
            return
        # An expired cookie replaces the older one and is never sent.
        self._cookies[cookie.name, cookie.host, cookie.path] = cookie

    def header(self, url: URL, now: float, *, same_site: bool, lax: bool = False) -> str | None:
        """The ``Cookie`` value for a request.

        :param lax: is it a top-level navigation with a safe method?
        """
        pairs = [
            f"{cookie.name}={cookie.value}" if cookie.name else cookie.value
            for cookie in sorted(self._cookies.values(), key=lambda cookie: -len(cookie.path))
            if cookie.goes_to(url, now, self._quirks)
            and (same_site or cookie.same_site == "none" or (lax and cookie.same_site != "strict"))
        ]
        return "; ".join(pairs) or None


def _is_secure(url: URL, quirks: frozenset[Quirk]) -> bool:
    needs_https = Quirk.SECURE_COOKIES_NEED_HTTPS in quirks
    return url.scheme == "https" if needs_https else url.is_potentially_trustworthy()


def _parse(url: URL, set_cookie: str, now: float, quirks: frozenset[Quirk]) -> Cookie | None:
    pair, *attributes = set_cookie.split(";")
    name, equals, value = pair.partition("=")
    if Quirk.COOKIES_HAVE_NAMES in quirks:
        if not name.strip():
            return None
    elif not equals:
        name, value = "", pair
    given = {}
    for attribute in attributes:
        key, _, setting = attribute.partition("=")
        given[key.strip().lower()] = setting.strip()
    host, host_only = url.host, True
    if domain := given.get("domain", "").lower().removeprefix("."):
        if not (url.host == domain or url.host.endswith(f".{domain}")) or site_of(f"https://{domain}") != site_of(
            f"https://{url.host}"
        ):
            return None
        # An IP address has no subdomains.
        host, host_only = domain, is_ip_address(domain)
    path = given.get("path", "")
    if not path.startswith("/"):
        path = url.target.partition("?")[0].rpartition("/")[0] or "/"
    secure = "secure" in given
    if secure and not _is_secure(url, quirks):
        return None
    has_prefixes = Quirk.COOKIE_PREFIXES_ARE_UNKNOWN not in quirks
    if has_prefixes and not _fits_prefix(name.strip(), value.strip(), given, host_only=host_only):
        return None
    same_site = given.get("samesite", "").lower()
    return Cookie(name.strip(), value.strip(), host, host_only, path, secure, same_site, _expires(given, now))


def _fits_prefix(name: str, value: str, given: dict[str, str], *, host_only: bool) -> bool:
    """Does the cookie meet the rules of its prefix? https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#4.1.3

    That text lacks ``__Http-`` and ``__Host-Http-``, which Chromium has.
    """
    # Of a cookie without a name, the server receives the value only.
    prefix = (name or value).lower()
    if not prefix.startswith(("__secure-", "__host-", "__http-")):
        return True
    if not name or "secure" not in given:
        return False
    if prefix.startswith("__host-") and not (host_only and given.get("path") == "/"):
        return False
    return "httponly" in given or not prefix.startswith(("__http-", "__host-http-"))


def _expires(given: dict[str, str], now: float) -> float | None:
    if re.fullmatch("-?[0-9]+", max_age := given.get("max-age", "")):
        return now + float(max_age)
    expires = parse_date(given.get("expires"))
    return None if expires is None else expires.timestamp()
