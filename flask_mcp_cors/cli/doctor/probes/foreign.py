"""Foreign pages: may they call, or those with a similar origin, or those that use DNS rebinding?"""

from __future__ import annotations

from ....core.headers import ALLOW_ORIGIN
from ....core.headers import REQUEST_HEADERS
from ....core.headers import REQUEST_METHOD
from ....core.hosts import is_loopback
from ....testing.browser import USER_AGENT
from ....testing.urls import parse_url
from ..evidence import Fetched
from ..evidence import FOREIGN_HOST
from ..evidence import FOREIGN_ORIGIN
from ..evidence import MAX_DOTS
from ..messages import first_message
from ..messages import Revision
from .asking import Asker

#: Headers that browsers add. Many firewalls refuse requests without them.
_AS_BROWSER = {
    "User-Agent": USER_AGENT,
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
}


class ForeignPages:
    """Sends requests that the server should refuse."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        self.ev = asker.ev

    def ask_first(self) -> None:
        """Ask as a foreign page and, if the server is local, for a foreign Host; once."""
        revision = self.asker.spoken
        if revision is None or self.ev.first("foreign origin") is not None:
            return
        if self.asker.may_go_on("a foreign page"):
            self._foreign_origin(revision)
        if self.ev.is_local and self.asker.may_go_on("a foreign Host"):
            self._foreign_host(revision)

    def _foreign_origin(self, revision: Revision) -> None:
        """MCP says: servers MUST validate Origin and answer 403."""
        foreign = self.asker.first("foreign origin", revision, _AS_BROWSER | {"Origin": FOREIGN_ORIGIN})
        if foreign.status == 403:
            self._works(f"a foreign origin ({FOREIGN_ORIGIN}) is refused with 403")
        elif self._is_refused(foreign):
            self._works(f"a foreign origin ({FOREIGN_ORIGIN}) is not served ({foreign.status})")
        if foreign.result is None:
            return
        message = first_message(revision)
        headers = self.asker.headers(revision, message)
        asked = self.asker.page(FOREIGN_ORIGIN).ask(self.ev.href, "POST", headers)
        self.asker.note(asked, "foreign preflight")
        if asked.is_rejected and not revision.is_stateless and not self.ev.token:
            # A page may send this without a preflight.
            simple = {"Accept": headers["Accept"], "Content-Type": "text/plain;charset=UTF-8", "Origin": FOREIGN_ORIGIN}
            self.asker.end_session(self.asker.plain("foreign simple", "POST", simple, message), revision)

    def _is_refused(self, fetched: Fetched) -> bool:
        """Is it refused with another status than the other requests?"""
        everybody = {f.status for f in self.ev.plain}
        return fetched.result is None and fetched.status not in {None, 401, 429, *everybody}

    def _works(self, what: str) -> None:
        self.ev.works.append(("", "", what))

    def ask_as_look_alikes(self, origin: str) -> None:
        """Ask with origins that a careless comparison confuses with the allowed one."""
        foreign = self.ev.first("foreign origin")
        is_open = foreign is None or foreign.headers.get(ALLOW_ORIGIN) in ("*", FOREIGN_ORIGIN)
        if is_open or not self.asker.may_go_on(f"look-alikes of {origin}"):
            return
        mine = (f for f in self.ev.fetches if f.origin == origin and f.url == self.ev.href)
        if not any(r.headers.get(ALLOW_ORIGIN) == origin for f in mine for r in (f.network, f.preflight) if r):
            return
        names = "authorization,content-type" if self.ev.wants_login or self.ev.token else "content-type"
        for kind, spelled in look_alikes(origin):
            headers = _AS_BROWSER | {"Origin": spelled, REQUEST_METHOD: "POST", REQUEST_HEADERS: names}
            asked = self.asker.plain("look-alike preflight", "OPTIONS", headers)
            if asked.headers.get(ALLOW_ORIGIN) == spelled and (revision := self.asker.spoken) is not None:
                self.asker.first(f"look-alike: {kind}", revision, _AS_BROWSER | {"Origin": spelled})
            if self.asker.wire.is_exhausted:
                self.ev.not_asked.append(f"look-alikes of {origin}")
                return

    def _foreign_host(self, revision: Revision) -> None:
        """DNS rebinding: the attacker's name now leads here, so that his page is same-origin with this server."""
        host = FOREIGN_HOST if self.ev.url.port is None else f"{FOREIGN_HOST}:{self.ev.url.port}"
        sent = _AS_BROWSER | {"Host": host, "Sec-Fetch-Site": "same-origin"}
        named = sent | {"Origin": f"{self.ev.url.scheme}://{host}"}
        if self.asker.first("foreign host", revision, named).result is not None:
            return
        # It may be refused for its Origin, which a GET of such a page does not have.
        bare = self.asker.first("foreign host, no origin", revision, sent)
        if self._is_refused(bare):
            self._works(f"a foreign Host is not served ({bare.status})")


def look_alikes(origin: str) -> list[tuple[str, str]]:
    """Similar origins, each with its kind.

    None of them has upper case or a path, because browsers send neither.

    >>> look_alikes("https://app.example.com")[0]
    ('host as prefix', 'https://app.example.com.foreign.invalid')
    """
    try:
        url = parse_url(origin)
    except ValueError:
        return []  # the scheme of an application
    host, port = url.host, "" if url.port is None else f":{url.port}"
    # Many lists allow local pages too, for development.
    local = [("host as prefix", f"http://{name}.foreign.invalid") for name in ("localhost", "127.0.0.1")]
    if host.startswith("[") or is_loopback(host):
        return [("null", "null"), ("host as prefix", f"{url.scheme}://{host}.foreign.invalid{port}"), *local]
    domain = host.partition(".")[2] if host.count(".") > 1 else host
    other = "http" if url.scheme == "https" else "https"
    dotted = f"{url.scheme}://{{}}{port}"
    found = [
        ("host as prefix", f"{origin}.foreign.invalid"),
        ("host as prefix", dotted.format(f"{host}.foreign.invalid")),
        ("host as suffix", dotted.format(f"evil{host}")),
        ("host as suffix", dotted.format(f"evil{domain}")),
        ("host in the middle", dotted.format(f"evil-{host}.foreign.invalid")),
        ("host as suffix", f"https://foreign.invalid/{host}"),
        ("another scheme", f"{other}://{host}{port}"),
        ("another port", f"{url.scheme}://{host}:8443"),
        ("subdomain", dotted.format(f"evil.{host}")),
        ("subdomain", dotted.format(f"evil.{domain}")),
        ("a part of it", origin[:-1]),
        ("null", "null"),
        *local,
    ]
    dots = [at for at, character in enumerate(host) if character == "."][:MAX_DOTS]
    found += [("another character for a dot", dotted.format(f"{host[:at]}x{host[at + 1 :]}")) for at in dots]
    return list({spelled: (kind, spelled) for kind, spelled in reversed(found)}.values())[::-1]
