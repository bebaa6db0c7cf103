"""``python example_app.py --check``: the whole conversation over real HTTP, without a person and without a browser.

:class:`flask_mcp_cors.testing.Browser` stands in for the browser: it sends the preflights that one would send, and
refuses what one would refuse.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import parse_qs
from urllib.parse import urlencode
from urllib.parse import urlsplit
from urllib.request import build_opener
from urllib.request import HTTPCookieProcessor
from urllib.request import HTTPRedirectHandler
from urllib.request import Request

from example.authorization_server import PASSWORD
from example.authorization_server import USER
from flask_mcp_cors.testing import Browser
from flask_mcp_cors.testing import CORSError
from flask_mcp_cors.testing import HTTPTransport
from flask_mcp_cors.testing import Response

if TYPE_CHECKING:
    from example_app import Demo

SESSIONS = "2025-11-25"
STATELESS = "2026-07-28"
CLIENT_INFO = {"name": "check", "version": "1"}


C = TypeVar("C", bound="Client")


class CheckFailed(Exception):
    """A step did not go as it should."""


def require(condition: bool, complaint: str) -> None:
    """Fail the step unless *condition* holds."""
    if not condition:
        raise CheckFailed(complaint)


def read(response: Response) -> Response:
    """Read the body, of which only the status is of interest: the connection is free then."""
    response.text  # noqa: B018
    return response


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
        response = self.browser.fetch(self.endpoint, "POST", accept | headers, json=message)
        return response if response.ok else read(response)


class Window:
    """The user's browser where it navigates: it keeps cookies, and the user fills in what the login page asks."""

    class _StayHere(HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    def __init__(self) -> None:
        self._opener = build_opener(HTTPCookieProcessor(), self._StayHere())

    def open(self, url: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Navigate; the status, and the page or where it redirects to."""
        own = urlsplit(url)._replace(path="", query="").geturl()
        headers = {} if form is None else {"Origin": own, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        try:
            response = self._opener.open(Request(url, urlencode(form).encode() if form else None, headers))
        except HTTPError as error:
            response = error
        with response:
            return response.status, response.headers.get("Location") or response.read().decode()

    def answer(self, url: str, **form: str) -> tuple[int, str]:
        """Open the login page, fill it in and press "Allow"; *form* changes what is filled in."""
        status, page = self.open(url)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        if csrf is None:
            return status, page
        return self.open(url, {"csrf": csrf[1], "user": USER, "password": PASSWORD, "answer": "allow"} | form)


class LoginClient(Client):
    """A client that nobody hands a token: it logs in."""

    def __init__(self, origin: str, endpoint: str) -> None:
        super().__init__(origin, endpoint, token="")
        self.window = Window()
        self.callback = f"{origin}/callback"
        self.scope = ""
        self.code = ""
        self.verifier = secrets.token_urlsafe(48)
        self.issued: dict[str, Any] = {}

    def ask_without_a_token(self) -> str:
        told = super().ask_without_a_token()
        self.scope = self._scope_in_challenge
        return told

    def find_the_endpoints(self) -> str:
        (issuer,) = self.browser.fetch(self.metadata).json()["authorization_servers"]
        url = f"{issuer}/.well-known/oauth-authorization-server"
        self.server = self.browser.fetch(url, headers={"MCP-Protocol-Version": SESSIONS}).json()
        require(self.server["issuer"] == issuer, f"another issuer: {self.server['issuer']}")
        return str(self.server["authorization_endpoint"])

    def register(self) -> str:
        asked = {"client_name": "check", "redirect_uris": [self.callback], "token_endpoint_auth_method": "none"}
        response = self.browser.fetch(self.server["registration_endpoint"], "POST", json=asked)
        require(response.status == 201, f"status {response.status}")
        self.client_id = response.json()["client_id"]
        return "a client id"

    def ask_the_user(self) -> str:
        status, location = self.window.answer(self.authorization_url())
        require(status == 302 and location.startswith(self.callback), f"status {status}")
        answer = {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}
        require(answer["state"] == "a-state", f"state {answer['state']}")
        require(answer["iss"] == self.server["issuer"], f"iss {answer['iss']}")
        self.code = answer["code"]
        return f"allowed, for {self.scope!r}"

    def get_the_token(self) -> str:
        response = self.exchange()
        require(response.status == 200, f"status {response.status}: {response.text}")
        return self._keep(response.json())

    def refresh_the_token(self) -> str:
        response = self.send("token", grant_type="refresh_token", refresh_token=self.issued["refresh_token"])
        require(response.status == 200, f"status {response.status}: {response.text}")
        return self._keep(response.json())

    def be_asked_for_one_more_scope(self) -> str:
        response = self._post("tools/call", NOTE, self._authorization | self.session)
        require(response.status == 403, f"status {response.status}")
        self.scope = self._scope_in_challenge
        return f"403, the tool needs {self.scope!r}"

    def write_a_note(self) -> str:
        return _text(_result(self._post("tools/call", NOTE, self._authorization | self.session)))

    def log_out(self) -> str:
        response = self.send("revocation", token=self.token)
        require(response.status == 200, f"status {response.status}")
        response = self._post("tools/list", {}, self._authorization | self.session)
        require(response.status == 401, f"the old token still opens it: {response.status}")
        return "revoked, and the old token opens nothing"

    def authorization_url(self, **changes: str) -> str:
        """The URL of the login page for this client."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": self.scope,
            "state": "a-state",
            "resource": self.endpoint,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{self.server['authorization_endpoint']}?{urlencode(asked | changes)}"

    def exchange(self, **changes: str) -> Response:
        """Ask for a token for the code."""
        asked = {"code": self.code, "redirect_uri": self.callback, "code_verifier": self.verifier}
        return self.send("token", **{"grant_type": "authorization_code", "resource": self.endpoint, **asked, **changes})

    def send(self, endpoint: str, **form: str) -> Response:
        """Send a form to an endpoint of the authorization server."""
        body = urlencode({"client_id": self.client_id, **form})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.browser.fetch(self.server[f"{endpoint}_endpoint"], "POST", headers, body=body)

    @property
    def _scope_in_challenge(self) -> str:
        challenge = self.browser.network[-1].response.headers.get("www-authenticate") or ""
        found = re.search(r'scope="([^"]+)"', challenge)
        if found is None:
            raise CheckFailed(f"no scope in WWW-Authenticate: {challenge!r}")
        return found[1]

    def _keep(self, issued: dict[str, Any]) -> str:
        self.issued, self.token = issued, issued["access_token"]
        return f"for {issued['scope']!r}, good for {issued['expires_in']} s"


NOTE = {"name": "addNote", "arguments": {"text": "written by --check"}}


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


#: From the first 401 to the end of what the log-in has brought, with a second consent on the way.
LOGIN: list[Callable[[LoginClient], str]] = [
    LoginClient.ask_without_a_token,
    LoginClient.find_the_endpoints,
    LoginClient.register,
    LoginClient.ask_the_user,
    LoginClient.get_the_token,
    LoginClient.connect,
    LoginClient.be_asked_for_one_more_scope,
    LoginClient.ask_the_user,
    LoginClient.get_the_token,
    LoginClient.write_a_note,
    LoginClient.refresh_the_token,
    LoginClient.close_the_session,
    LoginClient.log_out,
]


class Report:
    """Prints a line a step and counts what went wrong."""

    def __init__(self) -> None:
        self.failures = 0

    def step(self, run: Callable[[C], str], client: C, *, blocked: bool = False) -> None:
        """Take a step; with *blocked* it is to be stopped by CORS."""
        verdict, told = "FAIL", ""
        try:
            told = run(client)
            verdict = "FAIL" if blocked else "ok"
        except CORSError as error:
            verdict = "ok" if blocked and error.is_cors_policy else "FAIL"
            told = f"blocked, {error.reason}"
        except (CheckFailed, AttributeError, LookupError, TypeError, ValueError) as error:
            told = f"{type(error).__name__}: {error}"
        self.failures += verdict == "FAIL"
        print(f"  {verdict:<4}  {run.__name__.replace('_', ' ')}: {told}", flush=True)


def check(demo: Demo) -> int:
    """Run it all, print a line a step; the exit status: 0 if all went as it should, else 1."""

    def preflights_up_to_here(client: Client) -> str:
        require(client.preflights == 1, str(client.preflights))
        return "1"

    def reached_the_mcp_server(_: Client) -> str:
        reached = [entry["method"] for entry in demo.diary.entries()[before:] if entry["kind"] == "mcp"]
        require(not reached, ", ".join(reached))
        return "nothing"

    report = Report()
    print(f"From {demo.allowed}, which is allowed:")
    client = Client(demo.allowed, demo.endpoint, demo.token)
    for step in (*SESSION, preflights_up_to_here, Client.find_where_to_log_in, *AFTERWARDS):
        report.step(step, client)

    print("From there without a token, so it logs in:")
    stranger = LoginClient(demo.allowed, demo.endpoint)
    for login_step in (*LOGIN, preflights_up_to_here):
        report.step(login_step, stranger)

    print(f"From {demo.foreign}, which is not:")
    before = len(demo.diary.entries())
    foreigner = Client(demo.foreign, demo.endpoint, demo.token)
    for step in (*SESSION, *AFTERWARDS):
        report.step(step, foreigner, blocked=True)
    report.step(reached_the_mcp_server, foreigner)

    print(f"{report.failures} steps went wrong." if report.failures else "All as it should be.")
    return 1 if report.failures else 0
