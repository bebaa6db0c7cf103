"""The official TypeScript clients, both generations, in real browsers against the example server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from client_table import Sightings
from engines import Engine
from engines import Frame
from engines import Page

#: A document on a page's origin that runs no script of its own.
QUIET = "/facts.json"

#: A session where none may come about.
ATTEMPT = "(options) => session(options).catch((error) => `stopped: ${error}`)"

TOOLS = ["calculateSum", "lookupRegion", "countdown", "addNote"]
JSON = "application/json"
STREAM = "text/event-stream"

CLIENTS = [
    pytest.param("sdk1", None, "2025-11-25", id="1.x"),
    pytest.param("client2", "auto", "2026-07-28", id="2.x-automatic"),
    pytest.param("client2", {"pin": "2026-07-28"}, "2026-07-28", id="2.x-pinned"),
    pytest.param("client2", "legacy", "2025-11-25", id="2.x-legacy"),
]


def reached(demo: Any) -> list[str]:
    """The MCP messages that have got through to the SDK so far."""
    return [entry["method"] for entry in demo.diary.entries() if entry["kind"] == "mcp"]


def check_session(told: dict[str, Any], endpoint: str, revision: str, tools: list[str]) -> None:
    """What ``clients/conversation.js`` tells is a whole session, from the first 401 to the closing DELETE."""
    metadata = endpoint.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
    assert told["refusal"] != "connected"
    assert told["exchanges"][0][:2] == ["POST", 401]
    assert told["challenge"].startswith("Bearer ") and f'resource_metadata="{metadata}"' in told["challenge"]
    assert told["discovered"]["resource"] == endpoint
    assert told["revision"] == revision
    assert told["tools"] == tools
    assert told["sum"] == "42"
    assert told["progress"] == ["1/3", "2/3", "3/3"]
    assert told["landing"] == "Lift-off!"

    has_session = revision == "2025-11-25"
    assert told["session"] is has_session
    assert (["GET", 200, STREAM] in told["exchanges"]) is has_session
    assert (["DELETE", 200, JSON] in told["exchanges"]) is has_session


@pytest.mark.parametrize(("bundle", "mode", "revision"), CLIENTS)
def test_a_session_costs_one_preflight(
    bundle: str,
    mode: Any,
    revision: str,
    demo: Any,
    bundles: dict[str, str],
    engine: Engine,
    visit: Callable[..., Page],
    sightings: Sightings,
) -> None:
    """From the first 401 to the closing DELETE, everything works and one preflight covers it."""
    page = visit(demo.allowed + QUIET, fresh=True)
    page.add_script(bundles[bundle])
    name = f"{bundle}-{mode}" if isinstance(mode, str) else "sdk1" if mode is None else "client2-auto"
    with sightings.of(name, engine.name, demo.app) as sighting:
        told = page.evaluate("session", {"endpoint": demo.endpoint, "token": demo.token, "mode": mode})
        sighting.connects = told["tools"] == TOOLS
    check_session(told, demo.endpoint, revision, TOOLS)
    assert told["discovered"]["servers"] == [demo.authorization.issuer]
    assert sighting.preflights == 1


@pytest.mark.parametrize(("bundle", "mode", "revision"), CLIENTS)
@pytest.mark.parametrize("where", ["foreign-origin", "sandboxed-iframe"])
def test_the_clients_are_kept_out_elsewhere(
    where: str,
    bundle: str,
    mode: Any,
    revision: str,
    demo: Any,
    bundles: dict[str, str],
    visit: Callable[..., Page],
) -> None:
    """On a foreign origin, and in a sandboxed iframe even of the allowed one, no message reaches the server."""
    before = reached(demo)
    if where == "foreign-origin":
        frame: Frame = visit(demo.foreign + QUIET)
    else:
        frame = visit(demo.allowed + QUIET).sandboxed()
    frame.add_script(bundles[bundle])
    told = frame.evaluate(ATTEMPT, {"endpoint": demo.endpoint, "token": demo.token, "mode": mode})
    assert told.startswith("stopped: ")
    assert reached(demo) == before


RAW = """async ({ endpoint, token, parameter }) => {
    const _meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "raw fetch", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    };
    const response = await fetch(endpoint, {
        method: "POST",
        headers: {
            Authorization: `Bearer ${token}`,
            Accept: "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": parameter ? "lookupRegion" : "calculateSum",
            ...(parameter && { "Mcp-Param-Region": "north" }),
        },
        body: JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method: "tools/call",
            params: parameter
                ? { _meta, name: "lookupRegion", arguments: { region: "north" } }
                : { _meta, name: "calculateSum", arguments: { a: 1, b: 2 } },
        }),
    });
    const answer = response.ok ? (await response.json()).result.content[0].text : (await response.json()).error.code;
    return [response.status, answer, response.headers.get("WWW-Authenticate")?.split(" ")[0] ?? null];
}"""


def preflights(demo: Any) -> int:
    """How many preflights to the endpoint the server has answered so far."""
    return sum(entry.get("preflight", False) and entry["path"] == "/mcp" for entry in demo.diary.entries())


def test_raw_fetch_with_the_headers_of_the_stateless_revision(demo: Any, visit: Callable[..., Page]) -> None:
    """A page may send ``Mcp-Param-*``, which the 2.x client does not; a new name costs one more preflight."""
    page = visit(demo.allowed + QUIET, fresh=True)
    before = preflights(demo)

    def call(token: str, *, parameter: bool = False) -> Any:
        return page.evaluate(RAW, {"endpoint": demo.endpoint, "token": token, "parameter": parameter})

    assert call("not the token") == [401, 401, "Bearer"]
    assert call("not the token, but not ASCII either: \xe9") == [401, 401, "Bearer"]
    assert call(demo.token) == [200, "3", None]
    assert preflights(demo) == before + 1

    assert call(demo.token, parameter=True) == [200, "nothing in particular: looked up in north", None]
    assert call(demo.token, parameter=True) == [200, "nothing in particular: looked up in north", None]
    assert preflights(demo) == before + 2
