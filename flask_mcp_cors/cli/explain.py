"""``explain``: what the app decides about one request, and every step of that in words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from click import UsageError

from ..core.decision import Reason
from ..core.discovery import NOBODY
from ..core.headers import is_token
from ..core.origins import is_serialized_origin
from ..core.policy import CORSPolicy
from ..core.site import Facts
from ..extension.gate import AppState
from ..testing import Browser
from ..testing import CORSError
from ..testing import Exchange
from ..testing import HeaderList
from ..testing import NetworkRequest
from ..testing.quirks import Engine
from ..testing.transport import WSGITransport
from ..testing.urls import parse_url
from .app import base_url
from .app import DryRun
from .app import DryRunStep
from .app import guard_words
from .app import layer_names
from .app import listed_origins
from .app import names_of
from .app import own_hooks
from .app import quiet
from .app import route_words
from .terminal import paragraph
from .terminal import printable
from .terminal import two_columns

#: The headers of a browser MCP client's ``POST``: the default of ``--header``.
MCP_HEADERS = ("Authorization", "Content-Type", "MCP-Protocol-Version")

#: The values of headers that are given by name alone. Those of ``Content-Type`` and ``Accept`` decide on the preflight.
_VALUES = {"content-type": "application/json", "authorization": "Bearer TOKEN", "accept": "application/json"}

#: Headers that curl sends itself, or that do not change a decision.
_LEFT_OUT = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "content-length", "referer", "sec-fetch-dest"}
)


@dataclass(frozen=True)
class Explanation:
    """What happens to one ``fetch()``."""

    url: str
    #: Where host and scheme of *url* come from.
    url_source: str
    #: ``None``: the caller is a program that sends no ``Origin``.
    origin: str | None
    method: str
    headers: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    #: Both requests with the headers that the extension gives their responses; no preflight where none is needed.
    exchanges: tuple[Exchange, ...]
    requests: tuple[DryRunStep, ...]
    #: The console message; ``None``: the fetch resolves.
    console: str | None

    @property
    def is_allowed(self) -> bool:
        """Does the request reach the app, and may the page read the response?"""
        last = self.requests[-1]
        return self.console is None and not last.decision.final and not last.answered_outside

    @property
    def curl(self) -> list[str]:
        """The commands that show the same, preflight first."""
        return [_curl(exchange) for exchange in self.exchanges]

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "url": self.url,
            "origin": self.origin,
            "method": self.method,
            "headers": dict(self.headers),
            "allowed": self.is_allowed,
            "console": self.console,
            "steps": [{"step": name, "says": words} for name, words in self.steps],
            "requests": [
                {
                    "preflight": step.facts.is_preflight,
                    "policy": step.choice.rule,
                    "reason": step.decision.reason.value,
                    "allowed": step.decision.allowed,
                    "status": _status(step),
                    "answered_outside": step.answered_outside,
                    "offending": list(step.decision.offending),
                    "response_headers": [list(pair) for pair in _headers(step)],
                    "curl": command,
                }
                for step, command in zip(self.requests, self.curl, strict=True)
            ],
        }

    def to_text(self) -> str:
        """What the terminal gets."""
        whom = "a program that sends no Origin" if self.origin is None else f"a page of {printable(self.origin)}"
        head = f"{self.method} {printable(self.url)} from {whom}"
        blocks = [paragraph(head) + f"\n({self.url_source})", two_columns(self.steps)]
        for step in self.requests:
            title = "Answer to the preflight" if step.facts.is_preflight else "Response"
            status = _status(step) or "the app's own, with"
            headers = [paragraph(printable(f"{name}: {value}"), "    ", "  ") for name, value in _headers(step)]
            blocks.append("\n".join([f"{title}: {status}", *(headers or ["  no headers of the extension"])]))
        if self.origin is not None:
            console = "nothing: the fetch resolves" if self.console is None else printable(self.console, 2000)
            blocks.append(f"The browser's console says\n{paragraph(console, '  ')}")
        blocks.append("To see it\n" + "\n".join(f"  {command}" for command in self.curl))
        return "\n\n".join(blocks)


def explain(
    state: AppState,
    path: str,
    origin: str | None,
    method: str,
    headers: Sequence[str],
    *,
    browser: Engine = "chromium",
) -> Explanation:
    """Let a page of *origin* call *path*, and note every step.

    :param path: a path, or a whole URL where host and scheme matter.
    :param origin: ``None`` for a program that is not a browser.
    :param headers: ``Name`` or ``Name: value``.
    :param browser: the engine whose quirks and console messages count.
    :raises UsageError: ``fetch()`` does not take such arguments.
    """
    if origin is not None and not is_serialized_origin(origin):
        raise UsageError(f"{origin!r} is not an origin as browsers write it: scheme://host, without a slash at the end")
    if "://" in path:
        url, source = path, "host and scheme: as given"
    else:
        base, where = base_url(state)
        url, source = f"{base}/{path.lstrip('/')}", f"host and scheme: {where}; give a whole URL for another"
    pairs = tuple(_header(header) for header in headers or MCP_HEADERS)
    dry_run = DryRun(state)
    console = refusal = None
    with quiet():
        if origin is None:
            exchanges = [_send(dry_run, url, method, pairs)]
        else:
            try:
                page = Browser(dry_run, origin, url, quirks=browser)
                page.sends_blocked = True  # what the server decides is explained in any case
                page.fetch(url, method, pairs, body=None if method.upper() in ("GET", "HEAD") else b"")
            except (TypeError, ValueError) as error:
                if not isinstance(error, CORSError) or not dry_run.steps:
                    raise UsageError(str(error)) from error  # nothing was sent: the arguments are at fault
                console = error.console_message
            exchanges, refusal = page.network, page.blocked
    told = steps_of(state, dry_run.steps, origin)
    if refusal is not None:
        console = refusal.console_message
        told.append(("browser", "sends no request (see the console message). The steps show what the server would do"))
    return Explanation(url, source, origin, method, pairs, tuple(told), tuple(exchanges), tuple(dry_run.steps), console)


def _send(dry_run: DryRun, url: str, method: str, pairs: tuple[tuple[str, str], ...]) -> Exchange:
    """Send one request of a program, which has neither ``Origin`` nor ``Sec-Fetch-*``."""
    try:
        host = parse_url(url).authority
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not is_token(method):
        raise UsageError(f"{method!r} is not a valid method.")
    sent = NetworkRequest(method, url, HeaderList([("Host", host), *pairs]), b"")
    exchange = Exchange(sent, is_preflight=False)
    exchange.response = WSGITransport(dry_run).send(sent)
    return exchange


def _header(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not is_token(name.strip()):
        raise UsageError(f"{name.strip()!r} is not a valid header name.")
    return name.strip(), value.strip() if colon else _VALUES.get(name.strip().lower(), "x")


def _status(step: DryRunStep) -> int | None:
    return step.answer.status if step.answered_outside and step.answer else step.decision.status


def _headers(step: DryRunStep) -> tuple[tuple[str, str], ...]:
    return step.answer.headers.pairs if step.answered_outside and step.answer else step.decision.headers


def _curl(exchange: Exchange) -> str:
    request = exchange.request
    words = ["curl", "-i", "-X", request.method]
    for name, value in request.headers.pairs:
        if name.lower() not in _LEFT_OUT:
            words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, request.url])


def steps_of(state: AppState, requests: list[DryRunStep], origin: str | None) -> list[tuple[str, str]]:
    """The steps of the decision on one request and its preflight, each with its name."""
    first, last = requests[0], requests[-1]
    policy = first.policy
    rows = [("route", route_words(first)), ("protection", _protection_words(first))]
    rows.append(("policy", f"{first.choice.rule}{_policy_words(state, first)}"))
    if policy is not None and origin is None:
        rows.append(("origin", "none: the request passes, because only pages in a browser send one"))
    elif policy is not None and origin is not None:
        is_own = first.decision.reason is Reason.SAME_ORIGIN
        rows.append(("origin", "the app's own, which needs no entry" if is_own else _origin_words(policy, origin)))
        if first.facts.is_preflight:
            rows += _preflight_steps(policy, first.facts)
        else:
            why = "the page has the same origin" if is_own else "method and headers are safelisted"
            rows.append(("preflight", f"none: {why}, so the browser sends the request at once"))
    fault = state.site.hosts.fault(first.facts.host, first.facts.scheme)
    rows.append(("host", f"{first.facts.host}: {'served' if fault is None else fault.value}"))
    if first.facts.is_preflight:
        rows.append(("preflight", _verdict(state, first)))
    if last.facts.is_preflight:
        rows.append(("request", "never sent: the browser stops at the preflight"))
    else:
        rows.append(("request", _verdict(state, last)))
        if not (last.decision.final or last.answered_outside):
            rows.append(("not seen", _unseen(state)))
    return rows


def _protection_words(step: DryRunStep) -> str:
    if not step.guards:
        return "no cors.protected; other decorators and hooks cannot be seen"
    return f"cors.protected: {guard_words(step.guards)}" + (
        "; not asked of a preflight" if step.facts.is_preflight else ""
    )


def _unseen(state: AppState) -> str:
    """The code that was not run and may answer differently."""
    names = names_of(own_hooks(state))
    functions = f"the app's before_request functions ({names}), " if names else ""
    return f"{functions}the view, and what stands in front of the server, such as a proxy or a CDN"


def _policy_words(state: AppState, step: DryRunStep) -> str:
    if callable(step.choice.policy) and state.site.hosts.fault(step.facts.host, step.facts.scheme):
        return ": a callable, which got a Host that is not served; correct that first"
    if step.policy is None:
        return ": no CORS headers, no preflight answer, no Origin validation"
    return f" (origins: {state.configured.source('origins')})" if step.policy is state.site.default else ""


def _origin_words(policy: CORSPolicy, origin: str) -> str:
    if policy.preflight(origin, "GET").allowed:
        return "allowed: it matches *" if policy.allows_any_origin else "allowed"
    reason = policy.actual(origin).reason.value
    if policy is NOBODY:
        return f"{reason}: the policy is NOBODY"
    return f"{reason}: not among {listed_origins(policy)}"


def _preflight_steps(policy: CORSPolicy, facts: Facts) -> list[tuple[str, str]]:
    """The method and each header that the preflight asks for, checked one by one."""
    if not policy.preflight(facts.origin, "GET").allowed:
        return [("method", "not checked"), ("headers", "not checked")]
    method = facts.request_method or ""
    verdict = "allowed" if policy.preflight(facts.origin, method).allowed else "not allowed"
    if verdict == "not allowed" and method != method.upper():
        verdict += f"; write {method.upper()} in the page, in upper case: browsers send this name as it is written"
    rows = [("method", f"{method}: {verdict}")]
    for name in (facts.request_headers or "").split(","):
        if name:
            allowed = policy.preflight(facts.origin, "GET", name).allowed
            rows.append(("header" if len(rows) == 1 else "", f"{name}: {'allowed' if allowed else 'not allowed'}"))
    return rows


def _verdict(state: AppState, step: DryRunStep) -> str:
    decision, answer = step.decision, step.answer
    if step.answered_outside and answer is not None:
        layers = layer_names(state.app)
        outside = f"{' around '.join(layers)} around the app" if layers else "something around the app"
        what = f"raises {type(answer.error).__name__}" if answer.error else f"answers with {answer.status}"
        cure = "; with wrap_wsgi=True, and MCPCors initialised after that layer, it does" if decision.final else ""
        return f"{outside} {what} before the app does; the extension would answer {decision.reason.value}{cure}"
    return f"{decision.reason.value}: {_outcome(step)}"


def _outcome(step: DryRunStep) -> str:
    decision = step.decision
    if decision.final:
        names = f" ({', '.join(decision.offending)})" if decision.offending else ""
        goes_on = "the browser goes on" if decision.allowed else f"the browser stops{names}"
        if not step.facts.is_preflight:
            goes_on = "the view does not run"
        return f"answered with {decision.status}, {goes_on}"
    if step.endpoint is None:
        return route_words(step)
    if step.facts.is_preflight:
        return "left to the app"
    return "passes on to the app's hooks and the view"
