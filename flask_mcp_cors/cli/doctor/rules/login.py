"""Observations on the login: the 401, and the documents that lead a client from it to the login."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

from ....core.headers import ALLOW_ORIGIN
from ....core.headers import EXPOSE_HEADERS
from ....core.hosts import is_loopback
from ....testing.urls import parse_url
from ...findings import Severity
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..evidence import LoginStep
from ..evidence import server_urls
from .network import FAULTS
from .rule import ANSWER_401
from .rule import at
from .rule import each
from .rule import error
from .rule import fact
from .rule import Fits
from .rule import note
from .rule import Observation
from .rule import quoted
from .rule import Seen
from .rule import Values
from .rule import warning


def _challenges(seen: Callable[[Fetched, str], Fits]) -> Seen:
    """Every 401 for whose challenge, as it was sent, *seen* holds."""
    return lambda ev: (
        at(f, fits) for f in ev.refusals() if (fits := seen(f, f.network_headers.get("WWW-Authenticate", "")))
    )


def _other_challenge(f: Fetched, challenge: str) -> Fits:
    is_usable = {"bearer", "dpop"} & {*challenge.lower().replace(",", " ").split()}
    return bool(challenge) and not is_usable and {"scheme": challenge.split()[0]}


def _is_no_401(f: Fetched) -> Fits:
    if f.status is None or f.result is not None or f.status >= 500 or f.status in (401, 429):
        return False
    return {"quoted": quoted(f.status, f.body)}


def _is_bad_token_unsaid(f: Fetched) -> Fits:
    if f.result is not None:
        return {"how": "served", "severity": Severity.ERROR}
    return f.status is not None and f.status >= 500 and {"how": f"answered {f.status}"}


def _covers(resource: str, href: str) -> bool:
    """Is *href* the resource, or below it? Clients check this."""
    try:
        named, asked = parse_url(resource), parse_url(href)
    except ValueError:
        return False
    return named.origin == asked.origin and f"{asked.target}/".startswith(f"{named.target.rstrip('/')}/")


def _mismatch(ev: Evidence) -> Iterator[Values]:
    for f in ev.found("resource"):
        if not _covers(f.what, ev.href):
            yield {"origin": f.origin, "resource": f.what or "nothing", "own": ev.href}


def _nowhere(ev: Evidence, f: Fact) -> Values:
    """An error only without a token: with one, clients connect all the same."""
    about = {other.name: other.what for other in ev.facts if other.origin == f.origin}
    hidden, is_relative = about.get("metadata hidden"), "metadata_url_relative" in about
    how = f"names no {'whole URL' if is_relative else 'URL'} in WWW-Authenticate (resource_metadata)"
    serve = "serve /.well-known/oauth-protected-resource (RFC 9728; cors.serve_resource_metadata), or hand out tokens"
    if hidden is not None:
        how = f"names {hidden} in WWW-Authenticate, which JavaScript cannot read"
        serve = f"send {EXPOSE_HEADERS}: WWW-Authenticate, or serve the document at the usual place as well"
    is_closed = ev.token is None and "login nowhere" in about
    return {"severity": Severity.ERROR if is_closed else Severity.NOTE, "how": how, "fix": serve}


def _missing(ev: Evidence, f: Fact) -> Values:
    serve = (
        "serve the resource metadata document at that URL (RFC 9728), at the root of the host and not below the app's "
        "mount point, or name the right URL in resource_metadata"
    )
    if f.what.startswith("nginx answers"):
        return {"fix": f"add a location for /.well-known/ that passes on to the app; {serve}"}
    return {"fix": f"{serve}; let the proxy in front pass /.well-known/ on to the app"}


def _no_servers(ev: Evidence, f: Fact) -> Values:
    if not f.what:
        sentence = "The protected resource metadata has no authorization_servers, so a client has to guess the server."
        return {"sentence": sentence, "fix": "name the issuer in authorization_servers"}
    sentence = f"authorization_servers of the protected resource metadata is {f.what}, and not a list of URLs: clients "
    fix = 'write a list, even for one: "authorization_servers": ["https://…"]'
    return {"severity": Severity.ERROR, "sentence": f"{sentence}refuse the document.", "fix": fix}


def _unchecked(what: str, *steps: str) -> Seen:
    """A URL that this machine cannot reach. A browser may reach it, unless it is on this machine."""

    def seen(ev: Evidence) -> Iterator[Values]:
        for f in ev.of(*steps):
            if f.fault is None or f.fault.code == "gave_up":
                continue
            sentence, fix = FAULTS[f.fault.code]
            sentence = f"{what} could not be checked. {sentence.format(url=f.url, detail=f.fault.detail)}"
            host, fix = parse_url(f.url).host, f"{fix}; a browser on another machine may reach it"
            is_known = ev.is_own(f.url) or (is_loopback(host) and is_loopback(ev.url.host))
            if f.fault.code == "dns" and "." not in host:
                fix = f"{host} looks like the name of a container or of an internal network: name the public https: URL"
            severity = Severity.ERROR if is_known else Severity.WARNING
            yield at(f, severity=severity, sentence=sentence, fix=fix)

    return seen


LOGIN: dict[str, Observation] = {
    "challenge_missing": warning(
        _challenges(lambda f, challenge: not challenge),
        "The 401 of {url} has no WWW-Authenticate, which HTTP and MCP require.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    "challenge_hidden": warning(
        _challenges(lambda f, challenge: bool(challenge) and "www-authenticate" not in f.headers),
        "JavaScript cannot read WWW-Authenticate of the 401: the client has to guess where to log in.",
        f"send {EXPOSE_HEADERS}: WWW-Authenticate with the 401",
        "expose",
    ),
    "challenge_unusable": warning(
        _challenges(_other_challenge),
        "The 401 asks for {scheme} and not for a bearer token: MCP clients do not support that, and no login starts.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    "issuer_mismatch": warning(
        fact("issuer_mismatch"),
        "The authorization server's metadata names the issuer {what}: clients that follow RFC 8414 refuse it.",
        "set issuer to exactly the URL in authorization_servers",
    ),
    "endpoints_missing": warning(
        fact("endpoints_missing"),
        "The authorization server's metadata does not name {what}: clients refuse it.",
        "name authorization_endpoint and token_endpoint in the metadata",
    ),
    "response_types_missing": note(
        fact("response_types_missing"),
        "The authorization server's metadata has no response_types_supported, which RFC 8414 requires: the official "
        "TypeScript client refuses metadata without it.",
        'send response_types_supported: ["code"]',
    ),
    "registration_missing": note(
        fact("registration_missing"),
        "The authorization server's metadata names no registration_endpoint: a client without an id cannot log in.",
        "name a registration_endpoint (RFC 7591), set client_id_metadata_document_supported, or give clients an id",
    ),
    "pkce_missing": warning(
        fact("pkce_missing", lambda ev, f: {"severity": Severity.ERROR} if f.what else {}),
        "The authorization server's metadata does not name S256 in code_challenge_methods_supported: clients must "
        "refuse it{what}.",
        'support PKCE, and send code_challenge_methods_supported: ["S256"]',
    ),
    "wrong_token_not_401": warning(
        each("wrong token", where=_is_bad_token_unsaid),
        "POST initialize with an invalid token is {how}, and not answered 401: a client whose token has expired logs "
        "in again only at 401.",
        'answer every invalid token with 401 and WWW-Authenticate: Bearer error="invalid_token"',
    ),
    "forbidden_for_unauthorized": error(
        each("without a token", where=_is_no_401),
        "POST initialize without a token is answered {quoted} and not 401: a client starts its login only at 401.",
        ANSWER_401,
    ),
    "discovery_missing": note(
        fact("discovery_missing", _nowhere),
        "A page cannot find the protected resource metadata: the 401 of {url} {how}, and the usual URLs answer {what}. "
        "So a client does not learn where to log in.",
        "{fix}",
    ),
    "metadata_url_relative": error(
        fact("metadata_url_relative"),
        "resource_metadata in WWW-Authenticate is {what}, which is not a whole URL: clients cannot use it.",
        'write the whole URL: resource_metadata="{own}{what}"',
    ),
    "metadata_missing": error(
        fact("metadata_missing", _missing),
        "The 401 names protected resource metadata that does not exist: {url} is answered 404. {what}",
        "{fix}",
    ),
    "metadata_protected": error(
        fact("metadata_protected"),
        "The protected resource metadata {url} itself requires a login ({what}).",
        "serve the document without authentication: exempt /.well-known/ from the login",
    ),
    "metadata_error": error(
        fact("metadata_error"),
        "The protected resource metadata {url} is answered {what}.",
        "serve the document there: see the server's log",
    ),
    "metadata_not_json": error(
        fact("metadata_not_json"),
        "The protected resource metadata {url} is not JSON, but {what}.",
        "serve the document of RFC 9728 there as application/json; if a page is served for every path, let its server "
        "pass /.well-known/oauth-* on to the app",
    ),
    "resource_metadata_unchecked": warning(
        _unchecked("The protected resource metadata", LoginStep.RESOURCE),
        "{sentence}",
        "{fix}",
    ),
    "resource_mismatch": error(
        _mismatch,
        "The protected resource metadata is for '{resource}', not for {own}: clients refuse it.",
        "set resource to {own}",
    ),
    "authorization_servers_missing": warning(
        fact("authorization_servers_missing", _no_servers),
        "{sentence}",
        "{fix}",
    ),
    "issuer_malformed": error(
        fact("issuer_malformed"),
        "The authorization server {what} is not a URL.",
        "name an https: issuer",
    ),
    "authorization_server_missing": error(
        fact("authorization_server_missing", lambda ev, f: {"place": server_urls(f.url)[0]}),
        "The authorization server {url} has no metadata: every well-known URL is answered 404.{what}",
        "serve its metadata at {place} (RFC 8414: the well-known part comes before the path), or name the right issuer",
    ),
    "authorization_server_hidden": error(
        fact("authorization_server_hidden"),
        "A page cannot read any metadata of the authorization server {url}: {what}.",
        f"serve it with {ALLOW_ORIGIN}: * there (PUBLIC_METADATA), or use a server that does",
    ),
    "authorization_server_unchecked": warning(
        _unchecked("The authorization server", LoginStep.SERVER, LoginStep.TOKEN, LoginStep.REGISTRATION),
        "{sentence}",
        "{fix}",
    ),
    "private_place_named": warning(
        fact("private_place_named"),
        "This public server names {what}, a loopback or private address, which the doctor does not call. A browser "
        "would ask the person first, and reach another machine.",
        "name public URLs in the documents of the login",
    ),
    "registration_failed": error(
        fact("registration_failed"),
        "The registration of a client fails: {what}.",
        "see the log of the authorization server; allow the redirect URI of the page, or give clients an id",
    ),
    "authorize_failed": error(
        fact("authorize_failed"),
        "The authorization endpoint does not lead to a login: {what}.",
        "see the log of the authorization server",
    ),
}
