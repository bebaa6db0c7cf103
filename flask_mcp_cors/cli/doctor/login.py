"""From a 401 to the authorization server, as a browser client finds its way.

RFC 9728 for the first half, RFC 8414 and OpenID Connect Discovery for the second. Nothing is registered, and the one
request to the token endpoint has a grant type that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from ...testing.urls import parse_url
from ..findings import Finding
from ..findings import Severity
from ..terminal import printable
from .diagnosis import diagnose
from .examination import Examination
from .messages import parse_json
from .messages import Revision
from .page import Fetched
from .page import Page

_RESOURCE_METADATA = re.compile(r'resource_metadata\s*=\s*(?:"([^"]*)"|([^\s,]+))', re.IGNORECASE)


def log_in(exam: Examination, page: Page, revision: Revision, refused: Fetched) -> None:
    """Follow a 401 as far as a client can without a person. Once for each origin."""
    if any(code == "401" for origin, code, _ in exam.works if origin == page.origin):
        return
    exam.works.append((page.origin, "401", "JavaScript can read the 401"))
    if exam.token is not None:
        words = "The token is not accepted: the answer to it is 401."
        exam.add(Finding("token_refused", Severity.ERROR, "", words, "pass a valid one in --token"), page.origin)
        return
    challenge = _challenge(exam, page, refused)
    found = _RESOURCE_METADATA.search(challenge)
    named = (found[1] or found[2]) if found else None
    document = _document(exam, page, revision, [named] if named else _resource_metadata_urls(exam.href))
    if isinstance(document, Fetched):
        _unchecked(exam, page, "resource_metadata_unchecked", "The protected resource metadata", document)
        return
    if document is None:
        words = "No protected resource metadata was found, so a client does not learn where to log in."
        fix = "serve /.well-known/oauth-protected-resource (RFC 9728; cors.serve_resource_metadata), or hand out tokens"
        exam.add(Finding("discovery_missing", Severity.NOTE, "", words, fix), page.origin)
        return
    exam.works.append((page.origin, "discovery", "the protected resource metadata"))
    resource = document.get("resource")
    if not isinstance(resource, str) or not _covers(resource, exam.href):
        words = (
            f"The protected resource metadata is of {printable(repr(resource))}, not of this URL: clients refuse it."
        )
        fix = f"set resource to {exam.href}"
        exam.add(Finding("resource_mismatch", Severity.ERROR, "", words, fix), page.origin)
    servers = document.get("authorization_servers")
    if isinstance(servers, list) and servers and isinstance(servers[0], str):
        _authorization_server(exam, page, revision, servers[0])


def _challenge(exam: Examination, page: Page, refused: Fetched) -> str:
    sent = "" if refused.network is None else refused.network.headers.get("WWW-Authenticate", "")
    if not sent:
        words = "The 401 has no WWW-Authenticate, which HTTP and MCP ask for."
        fix = "send WWW-Authenticate: Bearer, with resource_metadata"
        exam.add(Finding("challenge_missing", Severity.WARNING, "", words, fix), page.origin)
    elif "www-authenticate" not in refused.headers:
        words = "JavaScript cannot read WWW-Authenticate of the 401: the client has to guess where to log in."
        fix = "send Access-Control-Expose-Headers: WWW-Authenticate with the 401"
        exam.add(Finding("challenge_hidden", Severity.WARNING, "", words, fix), page.origin)
        return ""
    else:
        exam.works.append((page.origin, "challenge", "JavaScript can read WWW-Authenticate"))
    return sent


def _resource_metadata_urls(href: str) -> list[str]:
    path = parse_url(href).target.partition("?")[0].rstrip("/")
    bare = "/.well-known/oauth-protected-resource"
    return list(dict.fromkeys(urljoin(href, place) for place in (f"{bare}{path}", bare)))


def _authorization_server_urls(issuer: str) -> list[str]:
    path = parse_url(issuer).target.partition("?")[0].rstrip("/")
    oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
    places = [f"{oauth}{path}", f"{openid}{path}", f"{path}{openid}"]
    return list(dict.fromkeys(urljoin(issuer, place) for place in places))


def _covers(resource: str, href: str) -> bool:
    """Is *href* the resource or below it, as clients check?"""
    try:
        named, asked = parse_url(resource), parse_url(href)
    except ValueError:
        return False
    return named.origin == asked.origin and f"{asked.target}/".startswith(f"{named.target.rstrip('/')}/")


def _blame(exam: Examination, page: Page, place: str, fetched: Fetched, severity: Severity = Severity.ERROR) -> None:
    finding = diagnose(fetched, page.origin, severity)
    if finding.code == "redirected":
        # Clients go by the place, and nobody gives them another.
        finding = replace(finding, fix=f"answer at {printable(fetched.url)}, without a redirect")
    exam.add(finding, page.origin, place)


def _unchecked(exam: Examination, page: Page, code: str, what: str, fetched: Fetched) -> None:
    """What this machine does not reach a browser may; only the server itself is known to be within reach."""
    if fetched.fault is not None:
        is_own = parse_url(fetched.url).origin == exam.url.origin
        words = f"{what} could not be checked from here: {fetched.fault.sentence}"
        fix = f"if browsers do not reach it either: {fetched.fault.fix}"
        exam.add(Finding(code, Severity.ERROR if is_own else Severity.WARNING, "", words, fix), page.origin)


def _document(
    exam: Examination, page: Page, revision: Revision, urls: Iterable[str]
) -> dict[str, Any] | Fetched | None:
    """The first document that is there, fetched as clients do: with a header of MCP's, and if need be without.

    A :class:`Fetched` instead where the place was not reached.
    """
    blocked: Fetched | None = None
    for url in urls:
        exam.say(f"discovery: {printable(url)}")
        fetched = exam.note(page.fetch(url, "GET", {"MCP-Protocol-Version": revision.name}))
        if fetched.blocked is not None:
            plain = page.fetch(url, "GET")
            if plain.is_rejected:
                blocked = blocked or fetched
                continue
            if plain.status == 200:
                _blame(exam, page, "discovery", fetched, Severity.WARNING)
            fetched = plain
        elif fetched.fault is not None:
            return fetched
        elif fetched.is_rejected:
            _blame(exam, page, "discovery", fetched)
            return None
        if fetched.status == 200:
            document = parse_json(fetched.body)
            if isinstance(document, dict):
                return document
    if blocked is not None:
        _blame(exam, page, "discovery", blocked)
    return None


def _authorization_server(exam: Examination, page: Page, revision: Revision, issuer: str) -> None:
    try:
        urls = _authorization_server_urls(issuer)
    except ValueError:
        words = f"The authorization server {printable(issuer)} is no URL."
        exam.add(Finding("issuer_malformed", Severity.ERROR, "", words, "name an https: issuer"), page.origin)
        return
    document = _document(exam, page, revision, urls)
    what = f"The authorization server {printable(issuer)}"
    if isinstance(document, Fetched):
        _unchecked(exam, page, "authorization_server_unchecked", what, document)
        return
    if document is None:
        words = f"A page cannot read any metadata of the authorization server {printable(issuer)}."
        fix = "serve it with Access-Control-Allow-Origin: * there (PUBLIC_METADATA), or use a server that does"
        exam.add(Finding("authorization_server_hidden", Severity.ERROR, "", words, fix), page.origin)
        return
    exam.works.append((page.origin, "authorization server", "its metadata"))
    token_endpoint, registration_endpoint = document.get("token_endpoint"), document.get("registration_endpoint")
    if isinstance(token_endpoint, str):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        tried = exam.note(page.fetch(token_endpoint, "POST", headers, body="grant_type=urn%3Anone"))
        if tried.fault is not None:
            _unchecked(exam, page, "authorization_server_unchecked", f"{what}'s token endpoint", tried)
        elif tried.is_rejected:
            _blame(exam, page, "token endpoint", tried)
        else:
            exam.works.append((page.origin, "authorization server", "its token endpoint answers a page"))
    if isinstance(registration_endpoint, str):
        asked = exam.note(page.ask(registration_endpoint, "POST", {"Content-Type": "application/json"}))
        if asked.fault is not None:
            _unchecked(exam, page, "authorization_server_unchecked", f"{what}'s registration endpoint", asked)
        elif asked.is_rejected:
            _blame(exam, page, "registration endpoint", asked)
        else:
            exam.works.append((page.origin, "authorization server", "a page may register at it"))
