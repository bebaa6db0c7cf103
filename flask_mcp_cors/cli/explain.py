"""``explain``: what the app decides about one request, and every step of that in words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from click import UsageError

from ..core.headers import is_token
from ..core.origins import is_serialized_origin
from ..extension.gate import AppState
from ..testing import Browser
from ..testing import CORSError
from ..testing import Exchange
from ..testing import HeaderList
from ..testing import NetworkRequest
from ..testing.errors import CORSFailure
from ..testing.quirks import Engine
from ..testing.request import Request
from ..testing.transport import WSGITransport
from ..testing.urls import parse_url
from .app import base_url
from .app import Judge
from .app import Judged
from .app import quiet
from .explain_steps import steps_of
from .terminal import paragraph
from .terminal import printable
from .terminal import steps

#: The headers of a browser MCP client's ``POST``: the default of ``--header``.
MCP_HEADERS = ("Authorization", "Content-Type", "MCP-Protocol-Version")

#: Whether a header needs a preflight may depend on its value. A name alone gets one that does.
_VALUES = {"content-type": "application/json", "authorization": "Bearer TOKEN", "accept": "application/json"}

#: Headers that curl sends itself, or that do not matter for a decision.
_LEFT_OUT = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "content-length", "referer", "sec-fetch-dest"}
)


@dataclass(frozen=True)
class Explanation:
    """What happens to one ``fetch()``."""

    url: str
    #: Where host and scheme of *url* come from.
    url_source: str
    #: ``None``: no browser asks, but a program that sends no ``Origin``.
    origin: str | None
    method: str
    headers: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    #: Both requests with the headers that the extension gives their responses; no preflight where none is needed.
    exchanges: tuple[Exchange, ...]
    judged: tuple[Judged, ...]
    #: What the console says; ``None``: the fetch resolves.
    console: str | None

    @property
    def is_allowed(self) -> bool:
        """Does the request get to the app, and may the page read the response?"""
        last = self.judged[-1]
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
                    "preflight": judged.facts.is_preflight,
                    "policy": judged.choice.rule,
                    "reason": judged.decision.reason.value,
                    "allowed": judged.decision.allowed,
                    "status": _status(judged),
                    "answered_outside": judged.answered_outside,
                    "offending": list(judged.decision.offending),
                    "response_headers": [list(pair) for pair in _headers(judged)],
                    "curl": command,
                }
                for judged, command in zip(self.judged, self.curl, strict=True)
            ],
        }

    def to_text(self) -> str:
        """What the terminal gets."""
        whom = "a program that sends no Origin" if self.origin is None else f"a page of {printable(self.origin)}"
        head = f"{self.method} {printable(self.url)} from {whom}"
        blocks = [paragraph(head) + f"\n({self.url_source})", steps(self.steps)]
        for judged in self.judged:
            title = "Answer to the preflight" if judged.facts.is_preflight else "Response"
            status = _status(judged) or "the app's own, with"
            headers = [paragraph(printable(f"{name}: {value}"), "    ", "  ") for name, value in _headers(judged)]
            blocks.append("\n".join([f"{title}: {status}", *(headers or ["  no header of ours"])]))
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
    :param origin: ``None`` for a program that is no browser.
    :param headers: ``Name`` or ``Name: value``.
    :param browser: whose quirks and console words count.
    :raises UsageError: for arguments that no ``fetch()`` takes.
    """
    if origin is not None and not is_serialized_origin(origin):
        raise UsageError(f"{origin!r} is no origin as browsers write it: scheme://host, with no slash at the end")
    if "://" in path:
        url, source = path, "host and scheme: as given"
    else:
        base, where = base_url(state)
        url, source = f"{base}/{path.lstrip('/')}", f"host and scheme: {where}; give a whole URL for another"
    pairs = tuple(_header(header) for header in headers or MCP_HEADERS)
    judge = Judge(state)
    if origin is None:
        with quiet():
            exchange = _send(judge, url, method, pairs)
        told = steps_of(state, judge.judged, None)
        return Explanation(url, source, None, method, pairs, tuple(told), (exchange,), tuple(judge.judged), None)
    console = None
    try:
        page = _InsistentBrowser(judge, origin, url, quirks=browser)
        body = None if method.upper() in ("GET", "HEAD") else b""
        with quiet():
            page.fetch(url, method, pairs, body=body)
    except (TypeError, ValueError) as error:
        if not isinstance(error, CORSError) or not judge.judged:
            raise UsageError(str(error)) from error  # nothing was sent: the arguments themselves are at fault
        console = error.console_message
    told = steps_of(state, judge.judged, origin)
    if page.refusal is not None:
        console = page.refusal.console_message
        words = "sends no request (see the console message). The steps show what the server would have done"
        told.append(("browser", words))
    return Explanation(
        url, source, origin, method, pairs, tuple(told), tuple(page.network), tuple(judge.judged), console
    )


def _send(judge: Judge, url: str, method: str, pairs: tuple[tuple[str, str], ...]) -> Exchange:
    """One request of a program: without ``Origin``, and without what a browser says about a page."""
    try:
        host = parse_url(url).authority
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not is_token(method):
        raise UsageError(f"{method!r} is not a valid method.")
    sent = NetworkRequest(method, url, HeaderList([("Host", host), *pairs]), b"")
    exchange = Exchange(sent, is_preflight=False)
    exchange.response = WSGITransport(judge).send(sent)
    return exchange


class _InsistentBrowser(Browser):
    """A browser that sends requests which a browser blocks, such as mixed content, and notes why it would not.

    What the server would decide is to be explained in any case.
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


def _status(judged: Judged) -> int | None:
    return judged.answer.status if judged.answered_outside and judged.answer else judged.decision.status


def _headers(judged: Judged) -> tuple[tuple[str, str], ...]:
    return judged.answer.headers.pairs if judged.answered_outside and judged.answer else judged.decision.headers


def _curl(exchange: Exchange) -> str:
    request = exchange.request
    words = ["curl", "-i", "-X", request.method]
    for name, value in request.headers.pairs:
        if name.lower() not in _LEFT_OUT:
            words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, request.url])
