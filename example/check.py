"""``python example_app.py --check``: the whole conversation over real HTTP, without a person and without a browser.

:class:`flask_mcp_cors.testing.Browser` stands in for the browser: it sends the preflights that one would send, and
refuses what one would refuse.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from example.pages import Diary
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport
from flask_mcp_cors.testing import Response

SESSIONS = "2025-11-25"
STATELESS = "2026-07-28"
CLIENT_INFO = {"name": "check", "version": "1"}


class CheckFailed(Exception):
    """A step did not go as it should."""


def require(condition: bool, complaint: str) -> None:
    """Fail the step unless *condition* holds."""
    if not condition:
        raise CheckFailed(complaint)


class Client:
    """A small MCP client on a page of *origin*. Each step says in a few words what came of it."""

    def __init__(self, origin: str, endpoint: str, token: str) -> None:
        self.browser = Browser(HTTPTransport(), origin=origin, base_url=endpoint)
        self.endpoint = endpoint
        self.token = token
        self.metadata = ""
        self.session: dict[str, str] = {}

    def ask_without_a_token(self) -> str:
        response = self._post("initialize", _hello(), {})
        challenge = response.headers.get("www-authenticate") or ""
        require(response.status == 401, f"status {response.status}")
        found = re.search(r'resource_metadata="([^"]+)"', challenge)
        if found is None:
            raise CheckFailed(f"no resource_metadata in WWW-Authenticate: {challenge!r}")
        self.metadata = found[1]
        return "401, and JavaScript can read its WWW-Authenticate"

    def find_where_to_log_in(self) -> str:
        document = self.browser.fetch(self.metadata, headers={"MCP-Protocol-Version": SESSIONS}).json()
        require(document["resource"] == self.endpoint, f"it is about {document['resource']}")
        return f"at {document['authorization_servers'][0]}"

    def connect(self) -> str:
        response = self._post("initialize", _hello(), {"MCP-Protocol-Version": SESSIONS, **self._authorization})
        _result(response)
        session = response.headers.get("mcp-session-id")
        require(session is not None, "JavaScript cannot read Mcp-Session-Id")
        self.session = {"MCP-Protocol-Version": SESSIONS, "Mcp-Session-Id": str(session)}
        accepted = self._post("notifications/initialized", None, self._authorization | self.session)
        require(accepted.status == 202, f"notifications/initialized: status {accepted.status}")
        return f"with revision {SESSIONS}, in a session"

    def list_the_tools(self) -> str:
        tools = _result(self._post("tools/list", {}, self._authorization | self.session))["tools"]
        return ", ".join(tool["name"] for tool in tools)

    def call_a_tool(self) -> str:
        params = {"name": "calculateSum", "arguments": {"a": 19, "b": 23}}
        answer = _text(_result(self._post("tools/call", params, self._authorization | self.session)))
        require(float(answer) == 42, f"19 + 23 is {answer}")
        return f"19 + 23 is {answer}"

    def follow_a_stream(self) -> str:
        params = {"name": "countdown", "arguments": {"n": 3}, "_meta": {"progressToken": 1}}
        response = self._post("tools/call", params, self._authorization | self.session)
        arrived = [(message, time.monotonic()) for message in _messages(response)]
        reports = [when for message, when in arrived if message.get("method") == "notifications/progress"]
        require(len(reports) == 3, f"{len(reports)} reports of progress")
        require(reports[-1] - reports[0] > 0.2, "all reports came at once, at the end")
        return f"3 reports of progress, one by one, then {_text(arrived[-1][0]['result'])!r}"

    def close_the_session(self) -> str:
        response = self.browser.fetch(self.endpoint, "DELETE", headers=self._authorization | self.session)
        require(response.status == 200, f"status {response.status}")
        return "DELETE 200"

    def speak_the_stateless_revision(self) -> str:
        params = {
            "name": "lookupRegion",
            "arguments": {"region": "north", "query": "weather"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": CLIENT_INFO,
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }
        headers = {
            "MCP-Protocol-Version": STATELESS,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "lookupRegion",
            "Mcp-Param-Region": "north",
        }
        return _text(_result(self._post("tools/call", params, self._authorization | headers)))

    def post_without_a_preflight(self) -> str:
        response = self.browser.fetch(self.endpoint, "POST", body="{}")
        require(response.status == 401, f"status {response.status}")
        return "401: it needs the token, as any request does"

    @property
    def preflights(self) -> int:
        """How many preflights went to the endpoint."""
        return sum(exchange.is_preflight and exchange.request.url == self.endpoint for exchange in self.browser.network)

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _post(self, method: str, params: Any, headers: dict[str, str]) -> Response:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message |= {"id": 1, "params": params}
        accept = {"Accept": "application/json, text/event-stream"}
        return self.browser.fetch(self.endpoint, "POST", accept | headers, json=message)


def _hello() -> dict[str, Any]:
    return {"protocolVersion": SESSIONS, "capabilities": {}, "clientInfo": CLIENT_INFO}


def _messages(response: Response) -> Iterator[dict[str, Any]]:
    """The JSON-RPC messages of a response, as they arrive."""
    if not (response.headers.get("content-type") or "").startswith("text/event-stream"):
        yield response.json()
        return
    buffer = b""
    for chunk in response.chunks():
        *blocks, buffer = re.split(rb"\r?\n\r?\n", buffer + chunk)
        for block in blocks:
            if data := b"".join(line[5:] for line in block.splitlines() if line.startswith(b"data:")).strip():
                yield json.loads(data)


def _result(response: Response) -> Any:
    """The result in a response, whose last message it is."""
    *_, message = _messages(response)
    require("result" in message, f"status {response.status}, {message.get('error')}")
    return message["result"]


def _text(result: Any) -> str:
    return str(result["content"][0]["text"])


#: Up to the closing DELETE it is one session on one endpoint. The rest needs a session no more.
SESSION: list[Callable[[Client], str]] = [
    Client.ask_without_a_token,
    Client.connect,
    Client.list_the_tools,
    Client.call_a_tool,
    Client.follow_a_stream,
    Client.close_the_session,
]
AFTERWARDS: list[Callable[[Client], str]] = [
    Client.speak_the_stateless_revision,
    Client.post_without_a_preflight,
]


class Report:
    """Prints a line a step and counts what went wrong."""

    def __init__(self) -> None:
        self.failures = 0

    def step(self, run: Callable[[Client], str], client: Client, *, blocked: bool = False) -> None:
        """Take a step; with *blocked* it is to be stopped by CORS."""
        verdict, told = "FAIL", ""
        try:
            told = run(client)
            verdict = "FAIL" if blocked else "ok"
        except CORSError as error:
            verdict = "ok" if blocked and error.is_cors_policy else "FAIL"
            told = f"blocked, {error.reason}"
        except (CheckFailed, LookupError, TypeError, ValueError) as error:
            told = f"{type(error).__name__}: {error}"
        self.failures += verdict == "FAIL"
        print(f"  {verdict:<4}  {run.__name__.replace('_', ' ')}: {told}", flush=True)


def check(endpoint: str, token: str, allowed: str, foreign: str, diary: Diary) -> int:
    """Run it all, print a line a step; the exit status: 0 if all went as it should, else 1."""

    def preflights_up_to_here(client: Client) -> str:
        require(client.preflights == 1, str(client.preflights))
        return "1"

    def reached_the_mcp_server(_: Client) -> str:
        reached = [entry["method"] for entry in diary.entries()[before:] if entry["kind"] == "mcp"]
        require(not reached, ", ".join(reached))
        return "nothing"

    report = Report()
    print(f"From {allowed}, which is allowed:")
    client = Client(allowed, endpoint, token)
    for step in (*SESSION, preflights_up_to_here, Client.find_where_to_log_in, *AFTERWARDS):
        report.step(step, client)

    print(f"From {foreign}, which is not:")
    before = len(diary.entries())
    stranger = Client(foreign, endpoint, token)
    for step in (*SESSION, *AFTERWARDS):
        report.step(step, stranger, blocked=True)
    report.step(reached_the_mcp_server, stranger)

    print(f"{report.failures} steps went wrong." if report.failures else "All as it should be.")
    return 1 if report.failures else 0
