"""What can be wrong with an app's settings and routes. What is around them is in ``layer_findings.py``."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.discovery import PUBLIC_METADATA
from ..core.discovery import PUBLIC_OAUTH
from ..core.hosts import LOOPBACK_INDEX
from ..core.hosts import parse_host
from ..core.mcp import missing_for_clients
from ..core.origins import LOOPBACK_HOSTS
from ..core.origins import parse_origin
from ..core.paths import overlap
from ..core.paths import segments
from ..core.policy import CORSPolicy
from ..extension.gate import AppState
from ..extension.marks import describe
from ..extension.marks import GuardMark
from ..extension.routing import is_static
from ..extension.routing import PATTERN_ADVICE
from ..extension.routing import patterns_without_routes
from ..extension.routing import rule_pattern
from .findings import Finding
from .findings import Severity
from .layer_findings import hooks
from .layer_findings import hooks_before_guards
from .layer_findings import https_redirects
from .layer_findings import other_layers
from .layer_findings import other_servers
from .layer_findings import outer_layers
from .route_table import places
from .route_table import Route
from .route_table import STATE_CHANGING


def findings_of(state: AppState, routes: list[Route]) -> Iterator[Finding]:
    """Everything that is wrong with an app."""
    governed = [route for route in routes if route.choice.policy is not None]
    yield from _unused_patterns(state)
    yield from _one_segment(state, routes)
    yield from _any_host(state)
    yield from hooks(state)
    yield from other_layers(state, governed)
    yield from other_servers(state)
    yield from outer_layers(state, governed)
    yield from _crashes(state)
    yield from _options(governed)
    yield from _mcp_headers(governed)
    yield from _slash_redirects(state, governed)
    yield from https_redirects(state, governed)
    yield from hooks_before_guards(state, governed)
    yield from _cookies(state, governed)
    yield from _loopback_only(state)
    yield from _unprotected(state, routes)


def _unused_patterns(state: AppState) -> Iterator[Finding]:
    """Patterns that cover no route: the paths that they were meant for are not protected."""
    site = state.site
    for unused in patterns_without_routes(state.app, site.paths, site.policies):
        like = f" Routes like it: {', '.join(unused.similar)}." if unused.similar else ""
        yield Finding(
            "pattern_without_route",
            Severity.WARNING,
            f"{unused.setting}: {unused.pattern}",
            f"No route matches this pattern, so it covers nothing.{like}",
            PATTERN_ADVICE,
        )


def _one_segment(state: AppState, routes: list[Route]) -> Iterator[Finding]:
    """``/api/*`` in ``paths``, where there are deeper routes. In flask-cors the pattern covers these, too."""
    for pattern in state.site.paths or ():
        *stem, last = segments(pattern) or [""]
        if last != "*":
            continue
        outside = [route for route in routes if route.choice.rule == "outside paths"]
        below = [
            route
            for route in outside
            if overlap(segments(rule_pattern(state.app, route.rule.rule)), [*stem, "*", "**"])
        ]
        if below:
            yield Finding(
                "pattern_one_segment",
                Severity.NOTE,
                f"paths: {pattern}",
                f"* matches one segment, so this does not cover {places(below)}.",
                f"write {pattern}* to cover everything below",
            )


def _any_host(state: AppState) -> Iterator[Finding]:
    if state.site.hosts.any_host and state.configured.source("hosts") == "default":
        yield Finding(
            "any_host",
            Severity.WARNING,
            "",
            "hosts is not set, so any Host is served: with DNS rebinding any web site can read what this server "
            "answers to a GET without login.",
            'set hosts (MCP_CORS_HOSTS) to the names of this server, or to "*" to allow this',
        )


def _crashes(state: AppState) -> Iterator[Finding]:
    if state.app.config["PROPAGATE_EXCEPTIONS"] and not state.configured.wrap_wsgi:
        yield Finding(
            "exceptions_propagate",
            Severity.NOTE,
            "PROPAGATE_EXCEPTIONS",
            "When a view crashes, the server answers instead of the app. Its answer has no CORS headers, so the "
            "browser's console blames CORS.",
            "leave PROPAGATE_EXCEPTIONS unset, or set wrap_wsgi=True",
        )


def _options(governed: list[Route]) -> Iterator[Finding]:
    """Views that handle ``OPTIONS`` themselves."""
    handling = [
        route
        for route in governed
        if not getattr(route.rule, "provide_automatic_options", True) and "OPTIONS" in (route.rule.methods or ())
    ]
    if handling:
        yield Finding(
            "view_handles_options",
            Severity.WARNING,
            places(handling),
            "The view handles OPTIONS itself. Preflights never reach it. Other OPTIONS requests do, but their answers "
            "cannot grant a browser anything.",
            "take OPTIONS out of its methods: Flask answers it",
        )


def _mcp_headers(governed: list[Route]) -> Iterator[Finding]:
    """Lists of header names that lack those of MCP."""
    without: dict[str, list[Route]] = {}
    for route in governed:
        policy = route.choice.policy
        if not isinstance(policy, CORSPolicy) or policy is PUBLIC_OAUTH or "POST" not in route.methods:
            continue
        what = missing_for_clients(
            (*policy.allow_headers, *policy.extra_allow_headers), (*policy.expose_headers, *policy.extra_expose_headers)
        )
        if what and policy.validate_origin:
            without.setdefault(what, []).append(route)
    for what, routes in without.items():
        yield Finding(
            "mcp_headers_missing",
            Severity.NOTE,
            places(routes),
            f"The policy {what}, so a browser MCP client cannot use this route.",
            "if the route is for MCP, write extra_allow_headers and extra_expose_headers, which add to the default "
            "lists, in place of allow_headers and expose_headers",
        )


def _slash_redirects(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    slashed = [
        route
        for route in governed
        if route.rule.rule.endswith("/")
        and route.rule.rule != "/"
        and (state.app.url_map.strict_slashes if route.rule.strict_slashes is None else route.rule.strict_slashes)
    ]
    for found in _by_effect(
        slashed,
        (
            "Without its last slash this URL is redirected (308): MCP clients stop there, other pages send each "
            "request and its preflight twice, and behind a TLS proxy without ProxyFix the redirect leads to http:, "
            "which browsers block.",
            "write the rule without the last slash, or with strict_slashes=False",
        ),
        (
            "Without its last slash this URL is redirected (308). People's browsers follow; an MCP client that wants "
            "an event stream stops there.",
            "for an event stream write the rule without the last slash, or with strict_slashes=False",
        ),
    ):
        yield Finding("slash_redirect", *found)


def _by_effect(
    routes: list[Route], changing: tuple[str, str], reading: tuple[str, str]
) -> Iterator[tuple[Severity, str, str, str]]:
    """A warning for the routes that may change something, a note for those that only read: sentence and fix of each."""
    for severity, changes, words in ((Severity.WARNING, True, changing), (Severity.NOTE, False, reading)):
        if alike := [route for route in routes if bool(STATE_CHANGING & set(route.methods)) is changes]:
            yield severity, places(alike), *words


def _cookies(state: AppState, governed: list[Route]) -> Iterator[Finding]:
    app = state.app
    if "login_manager" not in vars(app) and not app.secret_key:
        return
    why = "Flask-Login is in use" if "login_manager" in vars(app) else "SECRET_KEY is set"
    routes = [
        route
        for route in governed
        if isinstance(route.choice.policy, CORSPolicy)
        and route.choice.policy.allows_any_origin
        and route.choice.policy is not PUBLIC_METADATA
        and not is_static(app, route.rule.endpoint)
        and not route.guards
    ]
    for found in _by_effect(
        routes,
        (
            f'Any web site may call this route (origins "*"), it is not under cors.protected, and the app has sessions '
            f"({why}): a browser sends their cookies along with a form or a no-cors request.",
            "list the origins, or put cors.protected on the view",
        ),
        (
            'Any web site may read this route (origins "*"), though only as somebody without cookies: '
            f"JavaScript cannot read the response if cookies were sent. The app has sessions ({why}).",
            "if the response without login is public, you need not change anything; otherwise list the origins",
        ),
    ):
        yield Finding("wildcard_beside_cookies", *found)


def _is_loopback_pattern(pattern: str) -> bool:
    origin = parse_origin(pattern.removesuffix(":*"))
    return origin is not None and origin.host in LOOPBACK_HOSTS


def _loopback_only(state: AppState) -> Iterator[Finding]:
    site = state.site
    origins = site.default.origins
    if callable(origins) or not all(map(_is_loopback_pattern, origins)):
        return
    names = [*site.hosts.patterns, state.app.config["SERVER_NAME"] or "*"]
    hosts = {name: parse_host(name.removeprefix("*.").removesuffix(":*")) for name in names}
    public = [name for name, host in hosts.items() if host is not None and not LOOPBACK_INDEX.lists(host, "")]
    if public:
        yield Finding(
            "loopback_origins_only",
            Severity.WARNING,
            ", ".join(public),
            "This server has a public name, but only pages on the visitor's own machine may call it: "
            f"origins is {'not set' if site.default.has_default_origins else 'loopback only'}.",
            f"add the pages that may call to origins (MCP_CORS_ORIGINS); now {', '.join(origins)}",
        )


def _unprotected(state: AppState, routes: list[Route]) -> Iterator[Finding]:
    """Marks without effect, and paths on which ``cors.protected`` guards some methods only."""
    for mark in state.views.unused():
        guards = isinstance(mark, GuardMark)
        yield Finding(
            "guard_unused" if guards else "policy_unused",
            Severity.ERROR if guards else Severity.WARNING,
            describe(mark.target),
            f"{'cors.protected' if guards else 'cors.policy or cors.exempt'} is on it, but no route uses it"
            f"{': callers reach it unverified, or not at all' if guards else ', so it has no effect'}.",
            "put it directly above or below the route's decorator, and use functools.wraps in the decorators between",
        )
    by_rule: dict[str, list[Route]] = {}
    for route in routes:
        by_rule.setdefault(route.rule.rule, []).append(route)
    for rule, alike in by_rule.items():
        guarded = [method for route in alike if route.guards for method in route.methods]
        open_methods = [method for route in alike if not route.guards for method in route.methods]
        if guarded and set(open_methods) & (STATE_CHANGING | {"GET"}):
            yield Finding(
                "method_unprotected",
                Severity.WARNING,
                f"{' '.join(open_methods)} {rule}",
                f"It is not under cors.protected, but {' and '.join(guarded)} of the same path is. "
                "An MCP session needs the same protection for all methods: who may GET or DELETE it must be who may "
                "POST.",
                "put cors.protected on every view of the path, or on the class or blueprint",
            )
