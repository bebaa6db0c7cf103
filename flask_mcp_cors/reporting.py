"""Signals and log lines: what happened, to whom, and what to write to change it.

Every value that a client sent is escaped and cut before it is logged, so that no header can forge a
line or colour a terminal.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from blinker import Namespace

from .core.decision import Decision
from .core.decision import MISDIRECTED
from .core.decision import Reason
from .core.hosts import Host
from .core.hosts import parse_host
from .core.origins import Origin
from .core.origins import parse_origin
from .core.policy import CORSPolicy
from .core.site import Choice
from .core.site import Facts
from .core.site import FRAMES
from .core.site import Site

log = logging.getLogger("flask_mcp_cors")

_signals = Namespace()

#: Sent after a CORS-preflight request was answered from the policy.
preflight_answered = _signals.signal("preflight-answered")

#: Sent after a request was refused, or, with ``validate_origin="report"``, would have been.
request_refused = _signals.signal("request-refused")

_FORWARDED = tuple(
    f"HTTP_{name}"
    for name in (
        "X_FORWARDED_HOST",
        "X_FORWARDED_PROTO",
        "X_FORWARDED_FOR",
        "X_FORWARDED_PORT",
        "X_FORWARDED_PREFIX",
        "FORWARDED",
    )
)

_ASGI = "asgi"


def safe(value: str | None) -> str:
    """A value as a log line may hold it: quoted, ASCII, no control characters, 200 characters at most.

    >>> print(safe("/mcp\\n\\x1b[31mERROR"))
    '/mcp\\n\\x1b[31mERROR'
    """
    if value is None:
        return "none"
    text = ascii(value[:200])
    return f"{text}..." if len(value) > 200 else text


class InForce(NamedTuple):
    """The settings in force, as far as advice has to name them."""

    site: Site
    #: Setting → where it was set: ``keyword``, an ``app.config`` key, ``policy`` or ``default``.
    source: Callable[[str], str]


def report(
    sender: Any,
    facts: Facts,
    decision: Decision,
    environ: Mapping[str, Any],
    in_force: InForce,
    choose: Callable[[], Choice],
    *,
    debug: bool = False,
) -> None:
    """Tell the log and the signals of a decision that is final, or that ``report`` let pass.

    :param environ: headers as a WSGI environ names them, where ``X-Forwarded-*`` is looked for; with ``asgi``
        among the keys where they came through ASGI.
    :param choose: says which rule selected the policy; asked only where a line is written.
    """
    if decision.status is not None and decision.status < 300:
        if debug and not decision.allowed:
            log.warning("%s", _failed_preflight(facts, decision, choose()))
        signal = preflight_answered
    elif decision.final or decision.reported:
        if log.isEnabledFor(logging.WARNING):
            log.warning(
                "%s: %s: %s %s, origin %s, host %s: %s",
                "refused" if decision.final else "would have been refused",
                decision.reason.value,
                safe(facts.method),
                safe(facts.path),
                safe(facts.origin),
                safe(facts.host),
                _advice(facts, decision.reason, environ, in_force, choose()),
            )
        signal = request_refused
    else:
        return
    if signal.receivers:
        signal.send(sender, decision=decision, path=facts.path, origin=facts.origin, host=facts.host)


def report_lost_method(facts: Facts) -> None:
    """Warn of an ``OPTIONS`` request that looks like a preflight which has lost its announced method on the way."""
    if facts.method == "OPTIONS" and facts.fetch_mode == "cors" and facts.request_method is None:
        log.warning(
            "OPTIONS %s from a page has no Access-Control-Request-Method: unless the page itself called OPTIONS, a "
            "proxy or CDN in front has removed the header; let it pass Origin and Access-Control-Request-* on",
            safe(facts.path),
        )


# advice


def _escaped(text: str) -> str:
    """Our own words and the user's settings, as a log line may hold them."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _extended(setting: str, values: Iterable[str], new: str) -> str:
    """The line that adds a value to a list: it takes nothing away from what is there."""
    listed = [*values, new]
    if len(listed) > 12:
        return f"add {json.dumps(new)} to {setting}, which has {len(listed) - 1} entries"
    return f"set {setting}={json.dumps(listed)}"


def _set_site(setting: str, values: tuple[str, ...], new: str, source: str) -> str:
    if source == "TRUSTED_HOSTS":
        return f"add {json.dumps(new)} to TRUSTED_HOSTS in app.config"
    now = ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")
    return f"{_extended(setting, values, new)} (MCP_CORS_{setting.upper()}); now {_escaped(now)} ({source})"


def _set_policy(setting: str, new: str, choice: Choice, in_force: InForce) -> str:
    """The line that adds to a list of the policy which refused, and to no other."""
    policy, rule = choice.policy, _escaped(choice.rule)
    if not isinstance(policy, CORSPolicy):
        return f"{rule} is a callable: let the policy that it returns have {json.dumps(new)} in {setting}"
    values = getattr(policy, setting)
    if callable(values):
        return f"let the callable in {setting} of {rule} accept {json.dumps(new)}"
    if policy is in_force.site.default:
        return _set_site(setting, values, new, in_force.source(setting))
    return f"in {rule} {_extended(setting, values, new)}"


def _failed_preflight(facts: Facts, decision: Decision, choice: Choice) -> str:
    start = f"preflight for {safe(facts.path)} from {safe(facts.origin)} will fail"
    where = "" if choice.rule.startswith("the default policy") else f" in {_escaped(choice.rule)}"
    if decision.reason is Reason.METHOD_NOT_ALLOWED:
        method = decision.offending[0]
        problem = f"{start}: method {safe(method)} is not allowed"
        if method != method.upper():
            upper = safe(method.upper())
            return f"{problem}: write it in upper case in the page, as fetch(url, {{method: {upper}}}); browsers do not"
        return f"{problem}: add it to allow_methods{where} (MCP_CORS_ALLOW_METHODS)"
    if decision.reason is Reason.HEADER_NOT_ALLOWED:
        names = ", ".join(map(safe, decision.offending))
        return f"{start}: not allowed: {names}: set extra_allow_headers=[{names}]{where} (MCP_CORS_EXTRA_ALLOW_HEADERS)"
    return f"{start}: it asks for more than 64 header names, or more than 4 KiB of them"


def _advice(facts: Facts, reason: Reason, environ: Mapping[str, Any], in_force: InForce, choice: Choice) -> str:
    host = parse_host(facts.host) if facts.host else None
    if reason is Reason.HOST_NOT_SERVED and host is not None:
        advice = _advice_on_host(host, in_force)
    elif reason in MISDIRECTED:
        advice = "no client sends such a Host"
    elif reason is Reason.ORIGIN_NOT_ALLOWED:
        origin = parse_origin(facts.origin or "")
        if origin is None:
            return _advice_on_null(facts)
        advice = _advice_on_origin(facts, origin, host, environ, in_force, choice)
    elif reason is Reason.CROSS_SITE:
        return _advice_on_cross_site(facts)
    elif reason is Reason.POLICY_FAILED:
        return f"see the traceback of {_escaped(choice.rule)}; to refuse without one, return flask_mcp_cors.NOBODY"
    else:
        return "no browser sends such an Origin"
    # Behind a proxy the Host and the scheme that count are those that the proxy saw.
    return advice + _advice_on_proxies(facts, environ)


def _advice_on_host(host: Host, in_force: InForce) -> str:
    hosts = in_force.site.hosts
    name = host.name
    if any(pattern.partition(":")[0] == name for pattern in hosts.patterns):
        # The name is served already, on another port.
        name = f"{name}:{host.port or '*'}"
    return _set_site("hosts", hosts.patterns, name, in_force.source("hosts"))


def _advice_on_null(facts: Facts) -> str:
    if facts.fetch_site == "same-origin":
        return (
            "a page of this app with Referrer-Policy: no-referrer sends this origin; give the page another policy, "
            "such as strict-origin-when-cross-origin"
        )
    return (
        "browsers send this origin after a redirect to another host, so give the client the final URL; a page with "
        "Referrer-Policy: no-referrer sends it with forms; sandboxed iframes and local files send it always: "
        "see dangerously_allow_null"
    )


def _advice_on_origin(
    facts: Facts,
    origin: Origin,
    host: Host | None,
    environ: Mapping[str, Any],
    in_force: InForce,
    choice: Choice,
) -> str:
    site = in_force.site
    is_own = host is not None and host.to_origin(origin.scheme) == facts.origin
    if host is not None and is_own:
        if origin.scheme != facts.scheme and (host.is_address or site.own_hosts.lists(host, origin.scheme)):
            trust = (
                "start the server with --forwarded-allow-ips" if _ASGI in environ else "write ProxyFix(..., x_proto=1)"
            )
            return (
                f"this is the app's own page over {origin.scheme}, but the request arrived over {facts.scheme}: "
                f"let the proxy send X-Forwarded-Proto, and {trust}"
            )
        named = _set_site("hosts", site.hosts.patterns, host.name, in_force.source("hosts"))
        return f"if this is the app's own page, {named}"
    if host is not None and host.name == origin.host and host.port is None and _is_forwarded(environ):
        return (
            f"the page is on port {origin.port} of this host, and the Host that arrived has no port: a proxy may have "
            "dropped it; in nginx write proxy_set_header Host $http_host, and the same for X-Forwarded-Host"
        )
    if "/.well-known/" in facts.path:
        path = safe(facts.path)
        return (
            f"if everybody may read this document, add {path}: PUBLIC_METADATA to policies, "
            'or "/.well-known/**": PUBLIC_METADATA for all of them'
        )
    return f"if this page is to be allowed, {_set_policy('origins', str(origin), choice, in_force)}"


def _advice_on_cross_site(facts: Facts) -> str:
    if facts.fetch_mode == "cors" or facts.method not in ("GET", "HEAD"):
        return (
            "browsers send Origin with such a request, so a proxy or CDN in front has removed it; "
            "let it pass Origin and Access-Control-Request-* on"
        )
    if facts.fetch_dest in FRAMES:
        return (
            "another site shows this URL in a frame, which X-Frame-Options: DENY leaves empty; "
            'to allow frames set security_headers={"frame_options": None}'
        )
    return 'another site embeds this URL; a page that may read it asks with fetch and mode "cors"'


def _is_forwarded(environ: Mapping[str, Any]) -> bool:
    return "werkzeug.proxy_fix.orig" in environ or any(key in environ for key in _FORWARDED)


def _advice_on_proxies(facts: Facts, environ: Mapping[str, Any]) -> str:
    if _ASGI in environ:
        # uvicorn and hypercorn take the scheme from X-Forwarded-Proto and no name from X-Forwarded-Host.
        forwarded = environ.get("HTTP_X_FORWARDED_HOST", facts.host)
        ignored = "; X-Forwarded-Host is present but ignored: let the proxy send the public name as Host"
        return "" if forwarded == facts.host else ignored
    if "werkzeug.proxy_fix.orig" not in environ:
        unused = any(key in environ for key in _FORWARDED)
        return (
            "; X-Forwarded-* headers are present but ignored: if you run behind a proxy, add werkzeug's ProxyFix"
            if unused
            else ""
        )
    forwarded = environ.get("HTTP_X_FORWARDED_HOST")
    if not forwarded or facts.host in [host.strip() for host in forwarded.split(",")]:
        return ""
    return "; X-Forwarded-Host is present but ignored: if your proxy sets it, write ProxyFix(..., x_host=1)"
