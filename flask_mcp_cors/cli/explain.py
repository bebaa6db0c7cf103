"""``explain``: one request of a browser, decided by the app as it would be, and every step of that in words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from click import UsageError

from ..core.headers import is_token
from ..core.origins import is_serialized_origin
from ..core.policy import CORSPolicy
from ..core.site import Facts
from ..extension.gate import AppState
from ..testing import Browser
from ..testing import CORSError
from ..testing import Exchange
from ..testing.errors import CORSFailure
from ..testing.request import Request
from .app import base_url
from .app import guard_words
from .app import Judge
from .app import Judged
from .app import route_words
from .terminal import paragraph
from .terminal import printable
from .terminal import steps

#: What a browser MCP client sends with a ``POST``, where nobody says otherwise.
MCP_HEADERS = ("Authorization", "Content-Type", "MCP-Protocol-Version")

#: Some headers need a preflight by their value, so a name alone gets one that does.
_VALUES = {"content-type": "application/json", "authorization": "Bearer TOKEN", "accept": "application/json"}

#: Headers that curl says itself, or that no decision rests on.
_LEFT_OUT = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "content-length", "referer", "sec-fetch-dest"}
)


@dataclass(frozen=True)
class Explanation:
    """What happens to one ``fetch()``."""

    url: str
    #: Where host and scheme in *url* are from.
    url_source: str
    origin: str
    method: str
    headers: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    #: Both requests with the headers that the extension gives their responses; no preflight where none is needed.
    exchanges: tuple[Exchange, ...]
    judged: tuple[Judged, ...]
    #: What the console says; ``None``: the fetch resolves.
    console: str | None

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
            "allowed": self.console is None,
            "console": self.console,
            "steps": [{"step": name, "says": words} for name, words in self.steps],
            "requests": [
                {
                    "preflight": judged.facts.is_preflight,
                    "policy": judged.choice.rule,
                    "reason": judged.decision.reason.value,
                    "allowed": judged.decision.allowed,
                    "status": judged.decision.status,
                    "offending": list(judged.decision.offending),
                    "response_headers": [list(pair) for pair in judged.decision.headers],
                    "curl": command,
                }
                for judged, command in zip(self.judged, self.curl, strict=True)
            ],
        }

    def to_text(self) -> str:
        """What the terminal gets."""
        head = f"{self.method} {printable(self.url)} from a page of {printable(self.origin)}"
        blocks = [paragraph(head) + f"\n({self.url_source})", steps(self.steps)]
        for judged in self.judged:
            title = "Answer to the preflight" if judged.facts.is_preflight else "Response"
            status = judged.decision.status or "the app's own, with"
            headers = [paragraph(f"{name}: {value}", "    ", "  ") for name, value in judged.decision.headers]
            blocks.append("\n".join([f"{title}: {status}", *(headers or ["  no header of ours"])]))
        console = "nothing: the fetch resolves" if self.console is None else printable(self.console, 2000)
        blocks.append(f"The browser's console says\n{paragraph(console, '  ')}")
        blocks.append("To see it\n" + "\n".join(f"  {command}" for command in self.curl))
        return "\n\n".join(blocks)


def explain(app_state: AppState, path: str, origin: str, method: str, headers: Sequence[str]) -> Explanation:
    """Let a page of *origin* call *path*, and note every step.

    :param path: a path, or a whole URL where host and scheme matter.
    :param headers: ``Name`` or ``Name: value``.
    :raises UsageError: for arguments that no ``fetch()`` takes.
    """
    if "://" in path:
        url, source = path, "host and scheme: as given"
    else:
        base, where = base_url(app_state)
        url, source = f"{base}/{path.lstrip('/')}", f"host and scheme: {where}; give a whole URL for another"
    pairs = tuple(_header(header) for header in headers or MCP_HEADERS)
    judge = Judge(app_state)
    console = None
    try:
        browser = _InsistentBrowser(judge, origin, url, quirks="chromium")
        body = None if method.upper() in ("GET", "HEAD") else b""
        browser.fetch(url, method, pairs, body=body)
    except (TypeError, ValueError) as error:
        if not isinstance(error, CORSError) or not judge.judged:
            raise UsageError(str(error)) from error  # nothing was sent: the arguments themselves are at fault
        console = error.console_message
    told = _steps(app_state, judge.judged, origin, pairs)
    if browser.refusal is not None:
        console = browser.refusal.console_message
        told.append(("browser", "sends nothing of this: see its console. The steps above are what the server would do"))
    exchanges, judged = tuple(browser.network), tuple(judge.judged)
    return Explanation(url, source, origin, method, pairs, tuple(told), exchanges, judged, console)


class _InsistentBrowser(Browser):
    """A browser that asks all the same where a page may not, such as for mixed content, and notes why not.

    The server decides whether or not it is ever asked, and that is what is to be explained.
    """

    refusal: CORSError | None = None

    def _refuse_blocked(self, request: Request) -> None:
        try:
            super()._refuse_blocked(request)
        except CORSFailure as failure:
            url, first = request.url.href, request.url_list[0].href
            self.refusal = self.refusal or CORSError(failure.reason, failure.detail, url, first, self.origin)


def _header(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not is_token(name.strip()):
        raise UsageError(f"{name.strip()!r} is not a valid header name.")
    return name.strip(), value.strip() if colon else _VALUES.get(name.strip().lower(), "x")


def _steps(
    state: AppState, judged: list[Judged], origin: str, headers: tuple[tuple[str, str], ...]
) -> list[tuple[str, str]]:
    first, last = judged[0], judged[-1]
    policy = first.policy
    rows = [("route", route_words(first))]
    rows.append(("protection", guard_words(first.guards) + (": not asked of a preflight" if first.guards else "")))
    rows.append(("policy", f"{first.choice.rule}{_policy_words(state, first)}"))
    if policy is not None:
        rows.append(("origin", _origin_words(policy, origin)))
        if first.facts.is_preflight:
            rows += _preflight_steps(policy, first.facts)
        else:
            rows.append(("preflight", "none: method and headers are safelisted, so the browser sends it at once"))
    rows.append(("host", _host_words(state, first.facts)))
    if first.facts.is_preflight:
        rows.append(("preflight", f"{first.decision.reason.value}: {_verdict(first)}"))
    if not last.facts.is_preflight:
        rows.append(("request", f"{last.decision.reason.value}: {_verdict(last)}"))
    else:
        rows.append(("request", "never sent: the browser stops at the preflight"))
    return rows


def _policy_words(state: AppState, judged: Judged) -> str:
    policy = judged.policy
    if policy is None:
        return ": no CORS headers, no preflight answer, no Origin validation"
    if policy is not state.site.default:
        return ""
    source = state.configured.source("origins")
    return f" (origins: {source})"


def _origin_words(policy: CORSPolicy, origin: str) -> str:
    decision = policy.actual(origin)
    allowed = policy.preflight(origin, "GET").allowed
    if allowed:
        return "allowed: it matches *" if policy.allows_any_origin else "allowed"
    shown = getattr(policy.origins, "__qualname__", None) if callable(policy.origins) else ", ".join(policy.origins)
    spelled = "" if is_serialized_origin(origin) else "; this is no origin as browsers write it"
    return f"{decision.reason.value}: not among {shown}{spelled}"


def _preflight_steps(policy: CORSPolicy, facts: Facts) -> list[tuple[str, str]]:
    """Each thing that the preflight asks for, put to the policy by itself."""
    if not policy.preflight(facts.origin, "GET").allowed:
        return [("method", "not looked at"), ("headers", "not looked at")]
    method = facts.request_method or ""
    rows = [("method", f"{method}: {'allowed' if policy.preflight(facts.origin, method).allowed else 'not allowed'}")]
    for name in (facts.request_headers or "").split(","):
        if name:
            allowed = policy.preflight(facts.origin, "GET", name).allowed
            rows.append(("header" if len(rows) == 1 else "", f"{name}: {'allowed' if allowed else 'not allowed'}"))
    return rows


def _host_words(state: AppState, facts: Facts) -> str:
    fault = state.site.hosts.fault(facts.host, facts.scheme)
    return f"{facts.host}: {'served' if fault is None else fault.value}"


def _verdict(judged: Judged) -> str:
    decision = judged.decision
    if decision.final:
        names = f" ({', '.join(decision.offending)})" if decision.offending else ""
        goes_on = "the browser goes on" if decision.allowed else f"the browser stops{names}"
        if not judged.facts.is_preflight:
            goes_on = "the view does not run"
        return f"answered with {decision.status}, {goes_on}"
    if judged.endpoint is None:
        return route_words(judged)
    if judged.facts.is_preflight:
        return "left to the app"
    return "passes on to the app's hooks and the view"


def _curl(exchange: Exchange) -> str:
    request = exchange.request
    words = ["curl", "-i", "-X", request.method]
    for name, value in request.headers.pairs:
        if name.lower() not in _LEFT_OUT:
            words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, request.url])
