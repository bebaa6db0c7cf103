"""Signals and log lines: what happened, to whom, and what to write to change it.

Every value that a client sent is escaped and cut before it is logged, so that no header can forge a
line or colour a terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from blinker import Namespace

from .core.decision import Decision
from .core.decision import MISDIRECTED
from .core.decision import Reason
from .core.hosts import Host
from .core.hosts import parse_host
from .core.origins import parse_origin
from .core.site import Facts

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


def safe(value: str | None) -> str:
    """A value as a log line may hold it: quoted, ASCII, no control characters, 200 characters at most.

    >>> print(safe("/mcp\\n\\x1b[31mERROR"))
    '/mcp\\n\\x1b[31mERROR'
    """
    if value is None:
        return "none"
    text = ascii(value[:200])
    return f"{text}..." if len(value) > 200 else text


def report(sender: Any, facts: Facts, decision: Decision, environ: Mapping[str, Any], *, debug: bool = False) -> None:
    """Tell the log and the signals of a decision that is final, or that ``report`` let pass."""
    if decision.status is not None and decision.status < 300:
        if debug and not decision.allowed:
            log.warning("%s", _failed_preflight(facts, decision))
        signal = preflight_answered
    elif not (decision.final or decision.reported):
        return
    else:
        verb = "refused" if decision.final else "would have been refused"
        log.warning(
            "%s: %s: %s %s, origin %s, host %s: %s",
            verb,
            decision.reason.value,
            safe(facts.method),
            safe(facts.path),
            safe(facts.origin),
            safe(facts.host),
            _advice(facts, decision.reason, environ),
        )
        signal = request_refused
    if signal.receivers:
        signal.send(sender, decision=decision, path=facts.path, origin=facts.origin, host=facts.host)


def _failed_preflight(facts: Facts, decision: Decision) -> str:
    start = f"preflight for {safe(facts.path)} from {safe(facts.origin)} will fail"
    if decision.reason is Reason.METHOD_NOT_ALLOWED:
        method = decision.offending[0]
        return f"{start}: method {safe(method)} is not allowed: add it to allow_methods (MCP_CORS_ALLOW_METHODS)"
    if decision.reason is Reason.HEADER_NOT_ALLOWED:
        names = ", ".join(map(safe, decision.offending))
        return f"{start}: not allowed: {names}: set extra_allow_headers=[{names}] (MCP_CORS_EXTRA_ALLOW_HEADERS)"
    return f"{start}: it asks for more header names than are looked at"


def _advice(facts: Facts, reason: Reason, environ: Mapping[str, Any]) -> str:
    host = parse_host(facts.host) if facts.host else None
    advice = _advice_for(facts, reason, host)
    # Behind a proxy the Host and the scheme that count are those that the proxy saw.
    if reason in (Reason.ORIGIN_NOT_ALLOWED, *MISDIRECTED):
        advice += _advice_on_proxies(facts, environ)
    return advice


def _advice_on_proxies(facts: Facts, environ: Mapping[str, Any]) -> str:
    if "werkzeug.proxy_fix.orig" not in environ:
        unused = any(key in environ for key in _FORWARDED)
        return (
            "; X-Forwarded-* came in unused: behind a proxy of yours wrap the app in werkzeug's ProxyFix"
            if unused
            else ""
        )
    forwarded = environ.get("HTTP_X_FORWARDED_HOST")
    if not forwarded or facts.host in [host.strip() for host in forwarded.split(",")]:
        return ""
    return "; X-Forwarded-Host came in unused: if your proxy sets it, write ProxyFix(…, x_host=1)"


def _advice_for(facts: Facts, reason: Reason, host: Host | None) -> str:
    if reason is Reason.HOST_NOT_SERVED and host is not None:
        return f'set hosts=["{host.name}"] (MCP_CORS_HOSTS)'
    if reason in MISDIRECTED:
        return "no client of yours sends such a Host"
    if reason is Reason.ORIGIN_NOT_ALLOWED:
        origin = parse_origin(facts.origin or "")
        if origin is None:
            return "sandboxed frames and files have this origin: see dangerously_allow_null"
        # Whatever the scheme: a proxy may have taken TLS off. A page on another port is another origin.
        if host is not None and host.to_origin(origin.scheme) == facts.origin:
            return f'if this is the app\'s own page, set hosts=["{host.name}"] (MCP_CORS_HOSTS)'
        return f'if this page is to be allowed, set origins=["{origin}"] (MCP_CORS_ORIGINS)'
    if reason is Reason.CROSS_SITE:
        return 'another site embeds this URL; a page that may read it asks with fetch and mode "cors"'
    if reason is Reason.POLICY_FAILED:
        return "see the traceback of the callable in policies"
    return "no browser sends such an Origin"
