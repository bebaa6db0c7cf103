"""Which client asks for what: the table in the documentation, from what the server saw and from nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from flask import Flask
from flask import request
from flask import request_finished

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "docs" / "_generated" / "clients.md"
ENGINES = {"chromium": "Chromium", "firefox": "Firefox", "webkit": "WebKit"}

#: What browsers put into their requests by themselves; a preflight never asks for it.
OWN = frozenset(
    [
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "host",
        "origin",
        "pragma",
        "priority",
        "referer",
        "te",
        "user-agent",
    ]
)
#: The values of Content-Type that need no preflight: https://fetch.spec.whatwg.org/#cors-safelisted-request-header
SAFELISTED_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

HEAD = """\
<!-- Written by a test run; CONTRIBUTING.md names the command. -->

| Client | Transport | Methods | Header names | Preflights | Connects in |
|---|---|---|---|---|---|"""


HTTP = "Streamable HTTP"
STATELESS = "Streamable HTTP, 2026-07-28"
SSE = "HTTP+SSE"

#: The paths of each endpoint of the server.
ENDPOINTS = {"mcp": ("/mcp",), "open": ("/open",), "sse": ("/sse", "/messages/")}


@dataclass(frozen=True)
class Client:
    """A row of the table."""

    package: str
    #: its script: a file in ``clients`` or ``more_clients``
    bundle: str
    transport: str = HTTP
    endpoint: str = "mcp"
    options: tuple[tuple[str, Any], ...] = ()
    #: where this client can be tried
    engines: tuple[str, ...] = tuple(ENGINES)
    #: the engines in which it connects
    connects: tuple[str, ...] = tuple(ENGINES)
    folder: str = "."
    #: It sends its first requests at once, so that several preflights may be on their way before one is answered.
    hurries: bool = False
    #: what else there is to say of it
    how: str = ""
    #: Firefox takes two or three, as it happens, where the page is loaded anew after a login.
    has_count: bool = True

    def __str__(self) -> str:
        lock = json.loads((HERE / self.folder / "package-lock.json").read_text(encoding="utf-8"))
        found = lock["packages"][f"node_modules/{self.package}"]
        return f"{found.get('name', self.package)} {found['version']}{self.how}"


EXTENSIBLE = ("chromium", "firefox")
INSPECTOR = "@modelcontextprotocol/inspector-client"
CLIENTS = {
    "sdk1": Client("@modelcontextprotocol/sdk", "sdk1"),
    "client2-auto": Client("@modelcontextprotocol/client", "client2", STATELESS, options=(("mode", "auto"),)),
    "client2-legacy": Client("@modelcontextprotocol/client", "client2", options=(("mode", "legacy"),)),
    "sse1": Client("@modelcontextprotocol/sdk", "sse1", SSE, "sse"),
    "ai-sdk-1": Client("@ai-sdk/mcp", "ai_sdk", hurries=True),
    "ai-sdk-1-sse": Client("@ai-sdk/mcp", "ai_sdk", SSE, "sse", (("type", "sse"),)),
    "inspector-login": Client(INSPECTOR, "", how=", “Direct”, logged in"),
    "inspector-headers": Client(INSPECTOR, "", how=", “Direct”, with a token and one more header"),
    "inspector-mcp-use": Client("@mcp-use/inspector", "", how=", logged in", has_count=False),
    "extension": Client(
        "@modelcontextprotocol/client", "client2", engines=EXTENSIBLE, how=" in an extension with host permission"
    ),
    "extension-without": Client("@modelcontextprotocol/client", "client2", engines=EXTENSIBLE, how=" in an extension"),
}


def _more(*given: Any, **options: Any) -> Client:
    return Client(*given, folder="more_clients", **options)


#: Those that a plain run leaves out.
MORE = {
    "ai-sdk-2": _more("@ai-sdk/mcp", "ai_sdk_2", hurries=True),
    "ai-sdk-2-sse": _more("@ai-sdk/mcp", "ai_sdk_2", SSE, "sse", (("type", "sse"),)),
    "genai": _more("@google/genai", "genai"),
    "hugging-face": _more("@huggingface/mcp-client", "hugging_face"),
    "hugging-face-sse": _more("@huggingface/mcp-client", "hugging_face", SSE, "sse", (("type", "sse"),)),
    "langchain": _more("@langchain/mcp-adapters", "langchain", options=(("transport", "http"),)),
    "langchain-sse": _more("@langchain/mcp-adapters", "langchain", SSE, "sse", (("transport", "sse"),)),
    "mastra": _more("@mastra/mcp", "mastra"),
    "sdk-1.0": _more("sdk-1.0", "sdk_1_0", SSE, "sse"),
    "strands": _more("@strands-agents/sdk", "strands"),
    "jsonv-ts": _more("jsonv-ts", "jsonv_ts", connects=()),
    "mcp-client": _more("mcp-client", "mcp_client", endpoint="open"),
    "mcp-client-sse": _more("mcp-client", "mcp_client", SSE, "sse", (("type", "sse"),)),
    "mcp-use": _more("mcp-use", "mcp_use"),
    "use-mcp": _more("use-mcp", "use_mcp"),
}
ARE_MORE_INSTALLED = (HERE / "more_clients" / "node_modules").is_dir()


@dataclass
class Sighting:
    """What the MCP endpoint saw of one client in one engine."""

    methods: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    preflights: int = 0
    connects: bool = False

    def note(self) -> None:
        """Take Flask's current request down."""
        if request.method == "OPTIONS":
            self.preflights += 1
            asked = request.headers.get("Access-Control-Request-Headers", "")
            self.names.update(name.strip() for name in asked.split(",") if name.strip())
            return
        self.methods.add(request.method)
        needs_none = request.mimetype in ("", *SAFELISTED_TYPES)
        names = (name.lower() for name in request.headers.keys())  # noqa: SIM118 (not a dict)
        own = OWN | {"content-type"} if needs_none else OWN
        self.names.update(name for name in names if name not in own and not name.startswith("sec-"))


class Sightings:
    """What has been seen so far, by client and engine."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, client: str, engine: str, app: Flask) -> Iterator[Sighting]:
        """Take down what this app sees at the client's endpoint; the caller says whether it connects."""
        sighting = Sighting()
        paths = ENDPOINTS[{**CLIENTS, **MORE}[client].endpoint]

        def note(sender: Flask, **_: Any) -> None:
            if request.path in paths:
                with self._lock:
                    sighting.note()

        with request_finished.connected_to(note, app):
            yield sighting
        self._seen[client, engine] = sighting

    def row(self, name: str, client: Client) -> str | None:
        """The line of a client, once all of its engines have been seen."""
        if not all((name, engine) in self._seen for engine in client.engines):
            return None
        seen = {engine: self._seen[name, engine] for engine in client.engines}
        names = sorted({f"`{each}`" for sighting in seen.values() for each in sighting.names})
        methods = sorted({each for sighting in seen.values() for each in sighting.methods})
        cells = [
            str(client),
            client.transport,
            ", ".join(methods),
            ", ".join(names) or "none",
            _count(client, {sighting.preflights for sighting in seen.values()}),
            ", ".join(ENGINES[engine] for engine, sighting in seen.items() if sighting.connects) or "none",
        ]
        return f"| {' | '.join(cells)} |"


def _count(client: Client, counts: set[int]) -> str:
    if not client.has_count:
        return "–"
    if client.hurries and counts <= {1, 2}:
        return "1 or 2"
    return " or ".join(map(str, sorted(counts)))
