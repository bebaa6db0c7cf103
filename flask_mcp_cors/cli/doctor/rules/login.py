"""Observations on the login: the 401, and the documents that a client finds its way by."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

from ....core.headers import ALLOW_ORIGIN
from ....core.headers import EXPOSE_HEADERS
from ....core.hosts import is_loopback
from ....testing.urls import parse_url
from ...findings import Severity
from ...terminal import printable
from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from ..evidence import LoginStep
from ..evidence import server_urls
from ..messages import words_of
from .rule import as_values
from .rule import at
from .rule import each
from .rule import error
from .rule import fact
from .rule import Fits
from .rule import note
from .rule import Observation
from .rule import Seen
from .rule import Values
from .rule import warning


def _challenges(seen: Callable[[Fetched, str], Fits]) -> Seen:
    """Every 401 whose challenge, as it was sent, is so."""

    def of(f: Fetched) -> Fits:
        return f.network is not None and seen(f, f.network.headers.get("WWW-Authenticate", ""))

    return lambda ev: (at(f, **as_values(fits)) for f in ev.refusals() if (fits := of(f)))


def _other_challenge(f: Fetched, challenge: str) -> Fits:
    is_usable = {"bearer", "dpop"} & {*challenge.lower().replace(",", " ").split()}
    return bool(challenge) and not is_usable and {"scheme": challenge.split()[0]}


def _is_no_401(f: Fetched) -> Fits:
    if f.status is None or f.result is not None or f.status >= 500 or f.status in (401, 429):
        return False
    return {"quoted": f'{f.status}, "{words}"' if (words := printable(words_of(f.body), 100)) else f.status}


def _is_bad_token_unsaid(f: Fetched) -> Fits:
    if f.result is not None:
        return {"how": "served", "severity": Severity.ERROR}
    return f.status is not None and f.status >= 500 and {"how": f"answered {f.status}"}


def _covers(resource: str, href: str) -> bool:
    """Is *href* the resource or below it, as clients check?"""
    try:
        named, asked = parse_url(resource), parse_url(href)
    except ValueError:
        return False
    return named.origin == asked.origin and f"{asked.target}/".startswith(f"{named.target.rstrip('/')}/")


def _mismatch(ev: Evidence) -> Iterator[Values]:
    for f in ev.found("resource"):
        if not _covers(f.what, ev.href):
            yield {"origin": f.origin, "resource": f.what or "nothing", "own": ev.href}


def _no_pkce(ev: Evidence, f: Fact) -> Values:
    return {"severity": Severity.ERROR if f.what else Severity.WARNING, "who": f.what or "clients have to"}


def _nowhere(ev: Evidence, f: Fact) -> Values:
    """With a token a client connects all the same; without one nobody can."""
    is_closed = ev.token is None and any(other.origin == f.origin for other in ev.found("login nowhere"))
    hidden = next((other.what for other in ev.found("metadata hidden") if other.origin == f.origin), None)
    is_relative = any(other.origin == f.origin for other in ev.found("metadata url relative"))
    how = f"names no {'whole URL' if is_relative else 'URL'} in WWW-Authenticate (resource_metadata)"
    serve = "serve /.well-known/oauth-protected-resource (RFC 9728; cors.serve_resource_metadata), or hand out tokens"
    if hidden is not None:
        how = f"names {hidden} in WWW-Authenticate, which JavaScript cannot read"
        serve = f"send {EXPOSE_HEADERS}: WWW-Authenticate, or serve the document at the usual place as well"
    return {"severity": Severity.ERROR if is_closed else Severity.NOTE, "how": how, "fix": serve}


def _missing(ev: Evidence, f: Fact) -> Values:
    serve = (
        "serve the resource metadata document at that URL (RFC 9728), at the root of the host and not below the app's "
        "mount point, or name the right URL in resource_metadata"
    )
    if f.what.startswith("nginx answers"):
        return {"fix": f"add a location for /.well-known/ that passes on to the app; {serve}"}
    return {"fix": f"{serve}; let what stands in front pass /.well-known/ on to the app"}


def _no_servers(ev: Evidence, f: Fact) -> Values:
    if f.what:
        return {
            "severity": Severity.ERROR,
            "sentence": f"authorization_servers of the protected resource metadata is {f.what}, and not a list of "
            "URLs: clients refuse the document.",
            "fix": 'write a list, also for one: "authorization_servers": ["https://…"]',
        }
    sentence = "The protected resource metadata names no authorization server (authorization_servers): a client has to "
    return {"sentence": f"{sentence}guess.", "fix": "name the issuer in authorization_servers"}


def _unchecked(what: str, *steps: str) -> Seen:
    """What this machine does not reach a browser may; what is on this machine is known."""

    def seen(ev: Evidence) -> Iterator[Values]:
        for f in ev.of(*steps):
            if f.fault is None or f.fault.code == "gave_up":
                continue
            host, fix = parse_url(f.url).host, f"{f.fault.fix}; a browser on another machine may reach it"
            is_known = ev.is_own(f.url) or (is_loopback(host) and is_loopback(ev.url.host))
            if f.fault.code == "dns" and "." not in host:
                fix = f"{host} looks like a name of a container or internal network: name the public https: URL"
            severity = Severity.ERROR if is_known else Severity.WARNING
            yield at(f, severity=severity, sentence=f"{what} could not be checked. {f.fault.sentence}", fix=fix)

    return seen


LOGIN: dict[str, Observation] = {
    "challenge_missing": warning(
        "a 401 without WWW-Authenticate",
        _challenges(lambda f, challenge: not challenge),
        "The 401 of {url} has no WWW-Authenticate, which HTTP and MCP ask for.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    "challenge_hidden": warning(
        "JavaScript cannot read WWW-Authenticate",
        _challenges(lambda f, challenge: bool(challenge) and "www-authenticate" not in f.headers),
        "JavaScript cannot read WWW-Authenticate of the 401: the client has to guess where to log in.",
        f"send {EXPOSE_HEADERS}: WWW-Authenticate with the 401",
        "expose",
    ),
    "challenge_unusable": warning(
        "a 401 whose challenge is not Bearer or DPoP",
        _challenges(_other_challenge),
        "The 401 asks for {scheme}, not for a bearer token: MCP clients cannot answer that, and no login starts.",
        "send WWW-Authenticate: Bearer, with resource_metadata",
    ),
    "issuer_mismatch": warning(
        "the authorization server's metadata names another issuer",
        fact("issuer mismatch"),
        "The authorization server's metadata is of the issuer {what}: clients that follow RFC 8414 refuse it.",
        "set issuer to the URL that authorization_servers names, letter by letter",
    ),
    "endpoints_missing": warning(
        "the authorization server's metadata names no authorization or token endpoint",
        fact("endpoints missing"),
        "The authorization server's metadata does not name {what}: clients refuse it.",
        "name authorization_endpoint and token_endpoint in the metadata",
    ),
    "response_types_missing": note(
        "the authorization server's metadata names no response types",
        fact("response types missing"),
        "The authorization server's metadata has no response_types_supported, which RFC 8414 requires: the official "
        "TypeScript client refuses metadata without it.",
        'send response_types_supported: ["code"]',
    ),
    "registration_missing": note(
        "the authorization server's metadata offers no registration of clients",
        fact("registration missing"),
        "The authorization server's metadata names no registration_endpoint: a client without an id cannot log in.",
        "name a registration_endpoint (RFC 7591), support client_id_metadata_document_supported, or give clients an id",
    ),
    "pkce_missing": warning(
        "the authorization server's metadata does not name S256",
        fact("pkce missing", _no_pkce),
        "The authorization server's metadata does not name S256 in code_challenge_methods_supported: {who} refuse "
        "that.",
        'support PKCE, and send code_challenge_methods_supported: ["S256"]',
    ),
    "wrong_token_not_401": warning(
        "a token that is wrong is answered with another error than 401, or with a result",
        each("wrong token", where=_is_bad_token_unsaid),
        "POST initialize with a token that is wrong is {how}, where 401 is due: a client whose token has expired logs "
        "in again at 401 only.",
        'answer every token that is not valid with 401 and WWW-Authenticate: Bearer error="invalid_token"',
    ),
    "forbidden_for_unauthorized": error(
        "without a token another answer than 401, and no result",
        each("without a token", where=_is_no_401),
        "POST initialize without a token is answered {quoted} where 401 is due: a client starts its login at 401 only.",
        "answer 401 with WWW-Authenticate: Bearer to requests without a token",
    ),
    "discovery_missing": note(
        "no resource metadata: named nowhere, and not at the usual places",
        fact("metadata nowhere", _nowhere),
        "A page does not find the protected resource metadata: the 401 of {url} {how}, and the usual places answer "
        "{what}. So a client does not learn where to log in.",
        "{fix}",
    ),
    "metadata_url_relative": error(
        "resource_metadata in the challenge is no whole URL",
        fact("metadata url relative"),
        "WWW-Authenticate names {what} in resource_metadata, which is no whole URL: clients cannot read it.",
        'write the whole URL: resource_metadata="{own}{what}"',
    ),
    "metadata_missing": error(
        "the resource metadata that the 401 names is not there",
        fact("metadata missing", _missing),
        "The protected resource metadata that the 401 names is not there: {url} is answered 404. {what}",
        "{fix}",
    ),
    "metadata_protected": error(
        "the resource metadata is behind a login",
        fact("metadata protected"),
        "The protected resource metadata {url} wants a login itself ({what}).",
        "serve the document without authentication: exempt /.well-known/ from the login",
    ),
    "metadata_error": error(
        "the resource metadata is answered with an error",
        fact("metadata error"),
        "The protected resource metadata {url} is answered {what}.",
        "serve the document there: see the server's log",
    ),
    "metadata_not_json": error(
        "the resource metadata is not JSON",
        fact("metadata not json"),
        "The protected resource metadata {url} is not JSON, but {what}.",
        "serve the document of RFC 9728 there as application/json, not a page that answers every path: let what serves "
        "that page pass /.well-known/oauth-* on to the app",
    ),
    "resource_metadata_unchecked": warning(
        "the resource metadata could not be fetched",
        _unchecked("The protected resource metadata", LoginStep.RESOURCE),
        "{sentence}",
        "{fix}",
    ),
    "resource_mismatch": error(
        "the resource metadata is of another URL",
        _mismatch,
        "The protected resource metadata is of '{resource}', not of {own}: clients refuse it.",
        "set resource to {own}",
    ),
    "authorization_servers_missing": warning(
        "the resource metadata names no authorization server",
        fact("no authorization servers", _no_servers),
        "{sentence}",
        "{fix}",
    ),
    "issuer_malformed": error(
        "the authorization server is not a URL",
        fact("issuer malformed"),
        "The authorization server {what} is no URL.",
        "name an https: issuer",
    ),
    "authorization_server_missing": error(
        "the authorization server has no metadata",
        fact("authorization server missing", lambda ev, f: {"place": server_urls(f.url)[0]}),
        "The authorization server {url} has no metadata: every well-known place is answered 404.{what}",
        "serve its metadata at {place} (RFC 8414: the well-known part comes before the path), or name the right issuer",
    ),
    "authorization_server_hidden": error(
        "a page cannot read the authorization server's metadata",
        fact("authorization server hidden"),
        "A page cannot read any metadata of the authorization server {url}: {what}.",
        f"serve it with {ALLOW_ORIGIN}: * there (PUBLIC_METADATA), or use a server that does",
    ),
    "authorization_server_unchecked": warning(
        "the authorization server could not be asked",
        _unchecked("The authorization server", LoginStep.SERVER, LoginStep.TOKEN, LoginStep.REGISTRATION),
        "{sentence}",
        "{fix}",
    ),
    "private_place_named": warning(
        "a public server names a loopback or private address",
        fact("private place"),
        "This public server names {what}, a loopback or private address, which the doctor does not ask. A browser "
        "would ask the person first, and reach another machine.",
        "name public URLs in the login's documents",
    ),
    "registration_failed": error(
        "the registration of a client fails (--login)",
        fact("registration failed"),
        "The registration of a client fails: {what}.",
        "see the log of the authorization server; allow the redirect URI of the page, or give clients an id",
    ),
    "authorize_failed": error(
        "the authorization endpoint fails (--login)",
        fact("authorize failed"),
        "The authorization endpoint does not lead to a login: {what}.",
        "see the log of the authorization server",
    ),
}
