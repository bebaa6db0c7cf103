"""From a 401 to the authorization server, as browser clients do it.

The first half is RFC 9728, the second RFC 8414 and OpenID Connect Discovery. The probe sends no token and no password.
Its only request to the token endpoint has a grant type that does not exist, and it registers a client only if the user
asks for the whole login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from urllib.parse import urljoin
from urllib.parse import urlsplit

from ....testing.urls import parse_url
from ...findings import Severity
from ...terminal import printable
from ..evidence import Fact
from ..evidence import Fetched
from ..evidence import LoginStep
from ..evidence import SERVER_PLACE
from ..evidence import server_urls
from ..messages import NEWEST_WITH_SESSIONS
from ..messages import parse_json
from ..page import send_plain
from ..wire import fault_of
from ..wire import is_local
from ..wire import Unsendable
from .asking import Probe

_RESOURCE_METADATA = re.compile(r'resource_metadata\s*=\s*(?:"([^"]*)"|([^\s,]+))', re.IGNORECASE)
#: Steps without a browser: no page has read their 401.
_UNREAD = ("behind", "behind, without a token", "without a token")
_RESOURCE = "/.well-known/oauth-protected-resource"


class Login(Probe):
    """The login of a client in one page."""

    def follow(self, *, registers: bool) -> None:
        """Follow a 401 as far as a client can without a person."""
        refused = next((f for f in self.ev.refusals() if f.origin == self.page.origin), None)
        if refused is not None:
            self.works("401", "JavaScript can read the 401")
        else:
            # The page cannot read it, which other findings report. This tests the steps after that.
            refused = next((f for f in self.ev.of(*_UNREAD) if f.status == 401), None)
        if refused is None:
            return
        challenge = refused.headers.get("www-authenticate", "")
        if challenge and refused.step not in _UNREAD:
            self.works("challenge", "JavaScript can read WWW-Authenticate")
        named = _named_in(challenge)
        if named is not None and not urlsplit(named).scheme:
            self._fact("metadata_url_relative", named)
            named = None
        if named is None and not challenge:
            hidden = _named_in(refused.network_headers.get("WWW-Authenticate", ""))
            if hidden:
                self._fact("metadata hidden", hidden)
        document = self._resource([named] if named else _resource_urls(self.ev.href), is_named=named is not None)
        if document is None:
            if any(fact.origin == self.page.origin for fact in self.ev.found("discovery_missing")):
                self._as_before()
            return
        self.works("discovery", "the protected resource metadata")
        resource = document.get("resource")
        self._fact("resource", resource if isinstance(resource, str) else repr(resource))
        servers = document.get("authorization_servers")
        if not isinstance(servers, list) or not servers or not isinstance(servers[0], str):
            self._fact("authorization_servers_missing", "" if servers in (None, []) else json.dumps(servers))
            return
        self._authorization_server(servers[0], registers=registers)

    def _as_before(self) -> None:
        """Until 2025-03-26 there was no resource metadata: the authorization server was at the endpoint's host."""
        for url in server_urls(self.ev.url.origin):
            fetched = self._get(url, LoginStep.SERVER)
            document = None if fetched is None or fetched.status != 200 else parse_json(fetched.body)
            if isinstance(document, dict):
                self.works("discovery", "an authorization server at this host, as clients of 2025-03-26 look for it")
                self._judge_metadata(self.ev.url.origin, document)
                return
        self._fact("login nowhere")

    def _fact(self, step: str, what: str = "", url: str = "") -> None:
        self.ev.facts.append(Fact(step, self.page.origin, what, url))

    # --- asking -------------------------------------------------------------------------------------------------

    def _may_ask(self, url: str) -> bool:
        """Is it a URL that the server may name? A public server must not name loopback or private addresses."""
        try:
            host = parse_url(url).host
        except ValueError:
            return True  # nothing can be sent to it
        if self.ev.is_local or host == self.ev.url.host or not is_local(host):
            return True
        self._fact("private_place_named", url)
        return False

    def _get(self, url: str, step: str) -> Fetched | None:
        """Fetch a document as clients do: with MCP-Protocol-Version and, if that is blocked, without it."""
        if not self._may_ask(url):
            return None
        self.asker.say(f"discovery: {printable(url)}")
        fetched = self.note(self.page.fetch(url, "GET", {"MCP-Protocol-Version": NEWEST_WITH_SESSIONS.name}), step)
        if fetched.blocked is None:
            return fetched
        plain = self.note(self.page.fetch(url, "GET"), step)
        if plain.status == 200:
            fetched.weight = Severity.NOTE  # the document can be read
        return plain if not plain.is_rejected else fetched

    def _resource(self, urls: Iterable[str], *, is_named: bool) -> dict[str, Any] | None:
        """The resource metadata. If the page cannot get it, a fact says why."""
        statuses: list[str] = []
        for url in urls:
            fetched = self._get(url, LoginStep.RESOURCE)
            if fetched is None or fetched.fault is not None:
                return None
            # If the page cannot read it, a request without a browser shows whether CORS is the cause.
            seen = self._plain(url) if fetched.is_rejected else fetched
            document = parse_json(seen.body)
            if seen.status in (401, 403, 404, 410) and not is_named:
                # The server does not claim that it exists. Some logins cover every path.
                statuses.append(f"{seen.status}")
                continue
            if seen.status in (401, 403):
                self._fact("metadata_protected", f"{seen.status}", url)
            elif seen.status in (404, 410):
                own = "nginx answers it itself, before the app: no location passes this path on (proxy_pass)."
                self._fact("metadata_missing", own if b"<center>nginx" in seen.body else self._below_mount(url), url)
            elif fetched.is_rejected and (isinstance(document, dict) or seen.status != 200):
                fetched.weight = Severity.ERROR
            elif seen.status != 200:
                self._fact("metadata_error", f"{seen.status}", url)
            elif not isinstance(document, dict):
                self._fact("metadata_not_json", seen.headers.get("content-type", "something else"), url)
            else:
                return document
            return None
        self._fact("discovery_missing", " and ".join(dict.fromkeys(statuses)))
        return None

    def _plain(self, url: str) -> Fetched:
        """Fetch without a browser: is CORS the cause, or does the document not exist?"""
        try:
            fetched = send_plain(self.asker.wire, url, "GET", parse_url(url).authority, {})
        except ValueError as error:
            fetched = Fetched("GET", url, fault=fault_of(Unsendable(str(error))))
        return self.note(fetched, "without a browser")

    def _below_mount(self, url: str) -> str:
        """An app below a mount point often serves its document below it too, where clients do not look."""
        path = parse_url(self.ev.href).target.partition("?")[0].strip("/")
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            mount, rest = "/" + "/".join(parts[:count]), "/".join(parts[count:])
            for below in dict.fromkeys((f"/{rest}".rstrip("/"), "", f"/{path}")):
                other = urljoin(url, f"{mount}{_RESOURCE}{below}")
                if self._may_ask(other) and self._plain(other).status == 200:
                    return f"It is served at {printable(other, 200)}, below the mount point, where clients do not look."
        return ""

    # --- the authorization server -------------------------------------------------------------------------------

    def _authorization_server(self, issuer: str, *, registers: bool) -> None:
        try:
            urls = server_urls(issuer)
        except ValueError:
            self._fact("issuer_malformed", issuer)
            return
        blocked: Fetched | None = None
        document: object = None
        for url in urls:
            fetched = self._get(url, LoginStep.SERVER)
            if fetched is None or fetched.fault is not None:
                return
            if fetched.barred is not None and fetched.location is None:
                fetched.weight = Severity.ERROR
                return  # it was not sent, so its headers are not known
            if fetched.is_rejected:
                blocked = blocked or (None if self._plain(url).status in (404, 410) else fetched)
            elif fetched.status == 200 and isinstance(document := parse_json(fetched.body), dict):
                break
            elif fetched.status == 200:
                blocked = blocked or fetched
        if not isinstance(document, dict):
            if blocked is None:
                # A frequent mistake: the well-known part after the issuer's path, and not before it.
                appended = f"{issuer.rstrip('/')}{SERVER_PLACE}"
                is_there = appended not in urls and self._plain(appended).status == 200
                self._fact("authorization_server_missing", f" One is at {appended}." if is_there else "", issuer)
                return
            blocked.weight = Severity.ERROR if blocked.is_rejected else None
            kind = blocked.headers.get("content-type", "something else")
            why = "it has no CORS headers" if blocked.is_rejected else f"it is not JSON, but {kind}"
            self._fact("authorization_server_hidden", why, issuer)
            return
        self.works("authorization server", "its metadata")
        self._judge_metadata(issuer, document)
        token_endpoint, registration_endpoint = document.get("token_endpoint"), document.get("registration_endpoint")
        if isinstance(token_endpoint, str) and self._may_ask(token_endpoint):
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            tried = self.page.fetch(token_endpoint, "POST", headers, body="grant_type=urn%3Anone")
            if self._usable(tried, LoginStep.TOKEN):
                self.works("authorization server", "pages can call its token endpoint")
        if isinstance(registration_endpoint, str) and self._may_ask(registration_endpoint):
            asked = self.page.ask(registration_endpoint, "POST", {"Content-Type": "application/json"})
            if self._usable(asked, LoginStep.REGISTRATION):
                self.works("authorization server", "pages can register at it")
                if registers:
                    self._register(registration_endpoint, document.get("authorization_endpoint"))

    def _judge_metadata(self, issuer: str, document: dict[str, Any]) -> None:
        """Note what clients refuse in the metadata, or need and do not find there."""
        named = document.get("issuer")
        if isinstance(named, str) and named.rstrip("/") != issuer.rstrip("/"):
            self._fact("issuer_mismatch", named)
        due = ("authorization_endpoint", "token_endpoint")
        missing = [key for key in due if not isinstance(document.get(key), str)]
        if missing:
            self._fact("endpoints_missing", " and ".join(missing))
        if not isinstance(document.get("response_types_supported"), list):
            self._fact("response_types_missing")
        if "registration_endpoint" not in document and not document.get("client_id_metadata_document_supported"):
            self._fact("registration_missing")
        methods = document.get("code_challenge_methods_supported")
        if not isinstance(methods, list) or "S256" not in methods:
            self._fact("pkce_missing", "" if methods is None else ", and the official TypeScript client does")

    def _usable(self, fetched: Fetched, step: str) -> bool:
        if fetched.failed_at_preflight and fetched.fault is None:
            self.asker.again(fetched, self.page.origin)
        # A browser may reach what this machine does not: other rows report that.
        self.note(fetched, step, None if fetched.fault is not None else Severity.ERROR)
        return not fetched.is_rejected

    def _register(self, url: str, authorize: object) -> None:
        """Register a client as pages do, and test whether the login page opens."""
        redirect_uri = f"{self.page.origin}/callback"
        wanted = {
            "client_name": "flask-mcp-cors doctor",
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
        }
        made = self.page.fetch(url, "POST", {"Content-Type": "application/json"}, body=json.dumps(wanted))
        self.note(made, "registration", Severity.ERROR)
        client = parse_json(made.body)
        client_id = client.get("client_id") if isinstance(client, dict) else None
        if made.is_rejected:
            return
        if made.status not in (200, 201) or not isinstance(client_id, str):
            self._fact("registration_failed", f"{made.status}, {printable(made.body.decode('utf-8', 'replace'), 100)}")
            return
        self.works("login", "a client is registered")
        if not isinstance(authorize, str) or not self._may_ask(authorize):
            return
        asked = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": "doctor"}
        asked |= {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        opened = self._plain(f"{authorize}{'&' if '?' in authorize else '?'}{urlencode(asked)}")
        if opened.status is None or opened.status >= 400:
            self._fact("authorize_failed", f"{opened.status}")
        else:
            self.works("login", "the authorization endpoint opens; from there a person logs in")


def _named_in(challenge: str) -> str | None:
    found = _RESOURCE_METADATA.search(challenge)
    return (found[1] or found[2]) if found else None


def _resource_urls(href: str) -> list[str]:
    path = parse_url(href).target.partition("?")[0].rstrip("/")
    return list(dict.fromkeys(urljoin(href, place) for place in (f"{_RESOURCE}{path}", _RESOURCE)))
