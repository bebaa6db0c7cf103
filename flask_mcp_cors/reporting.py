"""Signals and log lines: what happened, and what to write to change it.

Every value that a client sent is escaped and cut before it is logged, so that no header can forge a
line or colour a terminal.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from blinker import Namespace

from .core.decision import Decision
from .core.decision import MISDIRECTED
from .core.decision import Reason
from .core.hosts import Host
from .core.hosts import is_loopback
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

_FORWARDED = {"HTTP_FORWARDED"}
_FORWARDED |= {f"HTTP_X_FORWARDED_{name}" for name in ("HOST", "PROTO", "FOR", "PORT", "PREFIX")}

_ASGI = "asgi"

_OTHER_SITES = ("cross-site", "same-site")

#: What HTML forms send: https://html.spec.whatwg.org/#attr-fs-enctype
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

#: Paths of documents that are often meant for everybody, such as ``/openapi.json`` and ``/oauth/jwks``.
_DOCUMENT = re.compile(r"\.[a-z0-9]{2,8}$|/(?:jwks|certs|keys)$")

_UNSPECIFIED = ("0.0.0.0", "[::]")
_OPEN_LOOPBACK = "open the server as 127.0.0.1 or localhost: 0.0.0.0 and [::] are addresses to listen on"

#: Names below ``.invalid`` exist nowhere (RFC 2606, section 2).
_TEST_NAME = "no page and no server has a name in .invalid: a test sent it, such as flask mcp-cors doctor"

_PASS_HOST_ON = "a proxy may have replaced Host: let it pass on Host, in nginx with proxy_set_header Host $http_host"

_PASS_ON = (
    "let it pass on Origin and Access-Control-Request-* (in CloudFront with the origin request policy AllViewer; "
    "in nginx without proxy_set_header Origin)"
)


def safe(value: str | None) -> str:
    """A value for a log line: quoted, ASCII, without control characters, 200 characters at most.

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
    """Write the log lines about a decision, and send its signal.

    :param environ: headers as a WSGI environ names them, where ``X-Forwarded-*`` is looked for; with ``asgi``
        among the keys where they came through ASGI.
    :param choose: says which rule selected the policy; asked only where a line is written.
    """
    _report_lost_method(facts)
    if decision.status is not None and decision.status < 300:
        if debug and (failure := _failed_preflight(facts, decision, in_force, choose)):
            log.warning("%s", failure)
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


def _report_lost_method(facts: Facts) -> None:
    """Warn of an ``OPTIONS`` request that looks like a preflight without its ``Access-Control-Request-Method``.

    If ``Origin`` is missing as well, the log line of the refusal says so.
    """
    if facts.method != "OPTIONS" or facts.request_method is not None or facts.fetch_mode != "cors":
        return
    if facts.origin is not None or facts.fetch_site not in _OTHER_SITES:
        log.warning(
            "OPTIONS %s from a page has no Access-Control-Request-Method: unless the page itself called OPTIONS, a "
            "proxy or CDN in front has removed the header; %s",
            safe(facts.path),
            _PASS_ON,
        )


# advice


def _escaped(text: str) -> str:
    """Text of ours or of the settings, escaped for a log line."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _is_loopback(origin: str) -> bool:
    parsed = parse_origin(origin)
    return parsed is not None and is_loopback(parsed.host)


def _extended(setting: str, values: Iterable[str], new: Sequence[str]) -> str:
    """The line that adds values to a list and keeps those that are there."""
    listed = [*values, *new]
    if len(listed) > 24 or len(listed) - len(new) > 16:
        return f"add {json.dumps(new)[1:-1]} to {setting}, which has {len(listed) - len(new)} entries"
    return f"set {setting}={json.dumps(listed)}"


def _set_default(setting: str, values: Sequence[str], new: Sequence[str], source: str) -> str:
    if source == "TRUSTED_HOSTS":
        return f"add {json.dumps(new)[1:-1]} to TRUSTED_HOSTS in app.config"
    now = ", ".join(values[:8]) + (", ..." if len(values) > 8 else "") or "empty"
    return f"{_extended(setting, values, new)} (MCP_CORS_{setting.upper()}); now {_escaped(now)} ({source})"


def _set_policy(setting: str, new: Sequence[str], choice: Choice, in_force: InForce) -> str:
    """The line that extends a list of the policy that refused, and of no other."""
    policy, rule = choice.policy, _escaped(choice.rule)
    if not isinstance(policy, CORSPolicy):
        added = f"add {json.dumps(new)[1:-1]} to {setting} of the policy that it returns"
        return f"{rule} is a callable: {added}, unless it refuses on purpose"
    values = getattr(policy, setting)
    if callable(values):
        return f"change the callable in {setting} of {rule}, so that it accepts {json.dumps(new)[1:-1]}"
    if setting == "origins" and policy.allow_credentials and new[0].startswith("http:") and not _is_loopback(new[0]):
        return "serve it over https and list that origin, because allow_credentials does not permit http origins"
    if policy is not in_force.site.default:
        return f"in {rule} {_extended(setting, values, new)}"
    advice = _set_default(setting, values, new, in_force.source(setting))
    if setting == "origins" and policy.has_default_origins and in_force.source("hosts") == "default":
        # With origins of its own a site serves any Host, unless it says which.
        advice += f"; to keep the served hosts unchanged, also set hosts={json.dumps(in_force.site.hosts.patterns)}"
    return advice


def _failed_preflight(facts: Facts, decision: Decision, in_force: InForce, choose: Callable[[], Choice]) -> str | None:
    """Why the browser will stop after this preflight, or the server will refuse the request; ``None``: neither."""
    start = f"preflight for {safe(facts.path)} from {safe(facts.origin)}"
    method, offending = facts.request_method or "", [name[:200] for name in decision.offending]
    if method != method.upper() and (decision.allowed or decision.reason is Reason.METHOD_NOT_ALLOWED):
        upper = safe(method.upper())
        return (
            f"{start} will fail: no server accepts the method {safe(method)}: write it in upper case in the page, as "
            f"fetch(url, {{method: {upper}}}); browsers do not change it"
        )
    if decision.allowed:
        return None
    if decision.reason is Reason.METHOD_NOT_ALLOWED:
        advice = _set_policy("allow_methods", offending[:1], choose(), in_force)
        return f"{start} will fail: method {safe(method)} is not allowed: {advice}"
    if decision.reason is Reason.HEADER_NOT_ALLOWED:
        names = ", ".join(map(safe, offending))
        advice = _set_policy("extra_allow_headers", offending, choose(), in_force)
        return f"{start} will fail: not allowed: {names}: {advice}"
    return f"{start} will fail: it asks for more than 64 header names, or more than 4 KiB of them"


def _advice(facts: Facts, reason: Reason, environ: Mapping[str, Any], in_force: InForce, choice: Choice) -> str:
    host = parse_host(facts.host) if facts.host else None
    origin = parse_origin(facts.origin or "")
    names = (host.name if host else "", origin.host if origin else "")
    if any(name.endswith(".invalid") for name in names):
        return _TEST_NAME
    if reason is Reason.HOST_NOT_SERVED and host is not None:
        advice = _advice_on_host(facts, host, environ, in_force)
    elif reason in MISDIRECTED:
        advice = "the Host header is missing or malformed; no browser sends such a request"
    elif reason is Reason.ORIGIN_NOT_ALLOWED:
        if origin is None:
            return _advice_on_opaque(facts, environ)
        advice = _advice_on_origin(facts, origin, host, environ, in_force, choice)
    elif reason is Reason.CROSS_SITE:
        return _advice_on_cross_site(facts, choice, in_force)
    elif reason is Reason.POLICY_FAILED:
        advice = f"see the traceback of {_escaped(choice.rule)}; to refuse without one, return flask_mcp_cors.NOBODY"
        advice = f"{_host_first(facts, host, environ, in_force, choice)}{advice}"
    elif reason is Reason.ORIGIN_REPEATED:
        return "Origin arrived twice: remove what adds it again in the client or the proxy"
    else:
        return "no browser sends such an Origin"
    # Behind a proxy the Host and the scheme that count are those that the proxy saw.
    proxies = _advice_on_proxies(facts, environ)
    if not proxies:
        return advice
    if "a proxy" in advice or "the proxy" in advice:
        return f"{advice}; {proxies}"
    return f"{proxies}; otherwise, {advice}"


def _is_upstream(host: Host, environ: Mapping[str, Any]) -> bool:
    """Is this probably the name that a proxy uses for the server, and not one that people open?"""
    if host.is_ip or is_loopback(host.name):
        return _is_forwarded(environ)
    return "." not in host.name


def _host_first(facts: Facts, host: Host | None, environ: Mapping[str, Any], in_force: InForce, choice: Choice) -> str:
    """What to repair before the policy: a ``Host`` that is not served, or that made a callable choose wrongly."""
    if host is None:
        return ""
    if in_force.site.hosts.fault(facts.host, facts.scheme) is not None:
        return f"this Host is not served: {_advice_on_host(facts, host, environ, in_force)}; and then, "
    if not isinstance(choice.policy, CORSPolicy) and _is_upstream(host, environ):
        return f"{_PASS_HOST_ON}; otherwise, "
    return ""


def _advice_on_host(facts: Facts, host: Host, environ: Mapping[str, Any], in_force: InForce) -> str:
    hosts = in_force.site.hosts
    name = host.name
    if name in _UNSPECIFIED:
        return _OPEN_LOOPBACK
    other = {"http": "https", "https": "http"}.get(facts.scheme, "")
    if host.port is None and hosts.lists(host, other):
        return (
            f"hosts has this name with the port of {other}, but the request arrived over {facts.scheme}: "
            f"{_pass_scheme_on(environ)}"
        )
    if any(pattern.partition(":")[0] == name for pattern in hosts.patterns):
        # The name is served already, on another port.
        name = f"{name}:{host.port or '*'}"
    advice = _set_default("hosts", hosts.patterns, [name], in_force.source("hosts"))
    advice = f"if {safe(name.removesuffix(':*'))} is a name of this server, {advice}"
    return f"{_PASS_HOST_ON}; otherwise, {advice}" if _is_upstream(host, environ) else advice


def _advice_on_opaque(facts: Facts, environ: Mapping[str, Any]) -> str:
    """``null`` and ``file://``: the likely causes, judged by the request; the harmless cure first."""
    if facts.origin != "null":
        return (
            "pages that were opened from a file send this origin, in Electron and in a WebView too: serve the page "
            "from a server, or under a scheme of its own, and list that origin"
        )
    if facts.fetch_site == "same-origin":
        return (
            "a page of this app with Referrer-Policy: no-referrer sends this origin; give the page another policy, "
            "such as strict-origin-when-cross-origin"
        )
    content_type = str(environ.get("CONTENT_TYPE", "")).partition(";")[0]
    is_form = content_type in _FORM_TYPES if facts.fetch_mode is None else facts.fetch_mode != "cors"
    if is_form and facts.method == "POST":
        return (
            "a form sends this origin from a page with Referrer-Policy: no-referrer: give the page another policy, "
            "such as strict-origin-when-cross-origin; or after a redirect to another host: let the form name the "
            "final URL; if an identity provider posts it, exempt the view with cors.exempt; forms in sandboxed "
            "iframes send it always"
        )
    if facts.fetch_mode == "cors" or facts.is_preflight:
        return (
            "fetch sends this origin after a redirect to another host: give the client the final URL; pages in a "
            "sandboxed iframe or from a file send it always: serve them from an origin of their own, and list that; "
            "the last resort is dangerously_allow_null"
        )
    return (
        "browsers send this origin after a redirect to another host, so give the client the final URL; a page with "
        "Referrer-Policy: no-referrer sends it with forms, so give the page another policy; pages in a sandboxed "
        "iframe or from a file send it always: the last resort is dangerously_allow_null"
    )


def _advice_on_origin(
    facts: Facts,
    origin: Origin,
    host: Host | None,
    environ: Mapping[str, Any],
    in_force: InForce,
    choice: Choice,
) -> str:
    own_hosts = in_force.site.own_hosts
    page = Host(origin.host, origin.port)
    add = f"if this page is to be allowed, {_set_policy('origins', [str(origin)], choice, in_force)}"
    if host is not None and host.to_origin(origin.scheme) == facts.origin:
        if host.name in _UNSPECIFIED:
            return _OPEN_LOOPBACK
        is_known = host.is_address or own_hosts.lists(host, origin.scheme)
        # With DNS rebinding, a foreign page can have a name like this.
        own = "" if is_known else f"if {safe(host.name)} is a name of this server, "
        named = _name_host(host, in_force)
        if origin.scheme == facts.scheme:
            return add if is_known else f"{own}this is its own page: {named}"
        return (
            f"{own}this is the app's own page over {origin.scheme}, but the request arrived over {facts.scheme}: "
            f"{_pass_scheme_on(environ)}{'' if is_known else f'; and {named}'}"
        )
    first = _host_first(facts, host, environ, in_force, choice)
    if "/.well-known/" in facts.path and facts.policy_method in ("GET", "HEAD"):
        return f'{first}{_public_document(facts)}, or "/.well-known/**": PUBLIC_METADATA for all of them'
    if host is not None and host.name == origin.host and host.port is None:
        lost = (
            f"{first}the page is on port {origin.port} of this host, and the Host that arrived has no port: a proxy "
            "may have dropped it; in nginx write proxy_set_header Host $http_host, and the same for X-Forwarded-Host"
        )
        return lost if _is_forwarded(environ) else f"{lost}; otherwise, {add}"
    if host is not None and own_hosts.lists(page, origin.scheme) and not is_loopback(origin.host):
        return (
            f"hosts has the name of this page, but the Host that arrived is {safe(facts.host)}: if a proxy has changed "
            f"it, let it pass on Host, in nginx with proxy_set_header Host $http_host; otherwise, {add}"
        )
    if facts.policy_method in ("GET", "HEAD") and _DOCUMENT.search(facts.path):
        return f"{first}{_public_document(facts)}; if this page may call the tools, too, {add.partition(', ')[2]}"
    return f"{first}{_differences(origin, choice)}{add}"


def _name_host(host: Host, in_force: InForce) -> str:
    """The line that makes a host a known name of this app."""
    hosts, source = in_force.site.hosts, in_force.source("hosts")
    if hosts.any_host and source == "default":
        return (
            f"name it in hosts (MCP_CORS_HOSTS): {json.dumps([host.name])} and every other name of this server; now any"
        )
    return _set_default("hosts", hosts.patterns, [host.name], source)


def _public_document(facts: Facts) -> str:
    return f"if everybody may read this document, add {safe(facts.path)}: PUBLIC_METADATA to policies"


def _differences(origin: Origin, choice: Choice) -> str:
    """How the first listed origin that is nearly the same differs.

    Only the start of a long list is read, because clients choose how often this runs.
    """
    values = getattr(choice.policy, "origins", ())
    for value in () if callable(values) else values[:50]:
        listed = parse_origin(value.replace("://*.", "://"))
        if listed is None:
            continue
        if listed.host == origin.host:
            pairs = (("scheme", listed.scheme, origin.scheme), ("port", listed.port, origin.port))
            parts = [word for word, one, other in pairs if one != other]
            how = f"with another {' and '.join(parts)}" if parts else "which covers subdomains only"
            return f"origins has {_escaped(value)}, {how}; "
        if is_loopback(listed.host) and is_loopback(origin.host):
            return f"origins has {_escaped(value)}, and {listed.host} and {origin.host} are different hosts; "
    return ""


def _advice_on_cross_site(facts: Facts, choice: Choice, in_force: InForce) -> str:
    if facts.fetch_mode == "cors" or facts.method not in ("GET", "HEAD"):
        return f"browsers send Origin with such a request, so a proxy or CDN in front has removed it; {_PASS_ON}"
    if facts.fetch_dest in FRAMES:
        where = "" if choice.policy is in_force.site.default else f" of {_escaped(choice.rule)}"
        return (
            "another site shows this URL in a frame, which X-Frame-Options: DENY leaves empty; to allow frames, set "
            f"frame_options to None in security_headers{where}"
        )
    return 'another site embeds this URL; a page that may read it asks with fetch and mode "cors"'


def _pass_scheme_on(environ: Mapping[str, Any]) -> str:
    trust = "start the server with --forwarded-allow-ips" if _ASGI in environ else "write ProxyFix(..., x_proto=1)"
    return f"let the proxy send X-Forwarded-Proto, and {trust}"


def _is_forwarded(environ: Mapping[str, Any]) -> bool:
    return "werkzeug.proxy_fix.orig" in environ or any(key in environ for key in _FORWARDED)


def _advice_on_proxies(facts: Facts, environ: Mapping[str, Any]) -> str:
    """The advice on proxy headers that are ignored; empty if there are none."""
    names = [name.strip() for name in environ.get("HTTP_X_FORWARDED_HOST", "").split(",")]
    if _ASGI in environ:
        # uvicorn and hypercorn take the scheme from X-Forwarded-Proto and no name from X-Forwarded-Host.
        cure = "let the proxy send the public name as Host"
    elif "werkzeug.proxy_fix.orig" in environ:
        cure = "if your proxy sets it, write ProxyFix(..., x_host=1)"
    elif _is_forwarded(environ):
        return (
            "X-Forwarded-* headers are present but ignored: if you run behind a proxy, add werkzeug's ProxyFix as the "
            "outermost layer"
        )
    else:
        return ""
    return "" if facts.host in names or names == [""] else f"X-Forwarded-Host is present but ignored: {cure}"
