"""MCP messages as they go over HTTP, revision by revision, and how they are read back.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports and its predecessors
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import cast
from typing import NamedTuple
from typing import NoReturn

from ..._version import __version__
from ...core.headers import is_token
from ...core.mcp import MCP_REVISIONS

Message = dict[str, Any]
Headers = dict[str, str]

_CLIENT = {"name": "flask-mcp-cors doctor", "version": __version__}
_META = "io.modelcontextprotocol/"
_JSON = "application/json"
_ACCEPT = f"{_JSON}, text/event-stream"

INITIALIZED: Message = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Revision(NamedTuple):
    """What HTTP shows of a protocol revision."""

    name: str
    methods: tuple[str, ...]
    header_names: tuple[str, ...]

    @property
    def is_stateless(self) -> bool:
        """Has it no sessions, and headers that repeat parts of each message?"""
        return "Mcp-Method" in self.header_names

    @property
    def is_two_endpoints(self) -> bool:
        """Is it HTTP+SSE, in which an event of the GET stream names the URL for POST?"""
        return "DELETE" not in self.methods and not self.is_stateless

    @property
    def names_itself(self) -> bool:
        """Does a header name the negotiated revision?"""
        return "MCP-Protocol-Version" in self.header_names

    def is_agreed_in(self, result: Mapping[str, Any] | None) -> bool:
        """Does this result of the first message say that the server speaks this revision?"""
        if not self.is_stateless:
            return negotiated(result) == self.name
        versions = (result or {}).get("supportedVersions")
        return isinstance(versions, list) and self.name in versions


REVISIONS = tuple(
    Revision(name, settings["allow_methods"], settings["allow_headers"]) for name, settings in MCP_REVISIONS.items()
)

#: What a client that uses sessions asks for. The server may answer with an older revision.
NEWEST_WITH_SESSIONS = [r for r in REVISIONS if not r.is_stateless and not r.is_two_endpoints][-1]


def negotiated(result: Mapping[str, Any] | None) -> str | None:
    """The protocol version in the result of ``initialize``, which the server chooses.

    >>> negotiated({"protocolVersion": "2024-11-05"}), negotiated({}), negotiated({"protocolVersion": "a header: x"})
    ('2024-11-05', None, None)
    """
    version = (result or {}).get("protocolVersion")
    return version if isinstance(version, str) and is_token(version) else None


def first_message(revision: Revision) -> Message:
    """The first message of a client of this revision."""
    return request(revision, "server/discover") if revision.is_stateless else initialize(revision.name)


def initialize(revision: str) -> Message:
    """The first message of each revision with sessions."""
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": _CLIENT}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def request(revision: Revision, method: str) -> Message:
    """A request that only reads: ``tools/list`` or ``server/discover``."""
    message: Message = {"jsonrpc": "2.0", "id": 2, "method": method}
    if revision.is_stateless:
        meta = {"protocolVersion": revision.name, "clientCapabilities": {}, "clientInfo": _CLIENT}
        message["params"] = {"_meta": {f"{_META}{key}": value for key, value in meta.items()}}
    return message


def client_headers(
    revision: Revision, message: Message | None = None, *, token: str | None = None, session: str | None = None
) -> Headers:
    """The headers that a client's JavaScript sets for a message; without one, for the ``GET`` stream and ``DELETE``."""
    accept = {"Accept": "text/event-stream"} if message is None else {"Accept": _ACCEPT, "Content-Type": _JSON}
    headers = accept | authorization(token)
    if revision.names_itself and (message is None or message["method"] != "initialize"):
        headers["MCP-Protocol-Version"] = revision.name
    if revision.is_stateless and message is not None:
        headers["Mcp-Method"] = message["method"]
    if session is not None:
        headers["Mcp-Session-Id"] = session
    return headers


def authorization(token: str | None) -> Headers:
    """The header with the bearer token, if there is one."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def events(data: bytes) -> Iterator[tuple[str, str]]:
    """The complete events of an event stream: type and data.

    >>> list(events(b"event: endpoint\\ndata: /messages\\n\\ndata: not whole"))
    [('endpoint', '/messages')]
    """
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    for block in text.split("\n\n")[:-1]:
        kind, lines = "message", []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            if field == "event":
                kind = value.strip()
            elif field == "data":
                lines.append(value.removeprefix(" "))
        if lines:
            yield kind, "\n".join(lines)


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text; ``None`` if it is not JSON, or nested too deeply."""
    try:
        return cast(object, json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _holds_nan(text: str) -> bool:
    """Is it JSON except for NaN and Infinity, which Python writes and browsers reject?"""
    try:
        return _is_response(json.loads(text))
    except (ValueError, RecursionError):
        return False


#: Where a JSON-RPC response begins.
_ENVELOPE = re.compile(r'\{\s*"(?:jsonrpc|id|result|error)"')

#: Faults of an answer that clients tolerate.
LENIENT_FAULTS = ("answer_in_array", "id_is_text")


class Reading(NamedTuple):
    """The JSON-RPC response in a body, read leniently, and what is wrong with it."""

    message: Message | None
    #: The code of a finding, or nothing.
    fault: str = ""


def read_message(body: bytes, content_type: str, sent: Message | None = None) -> Reading:
    """The JSON-RPC response to the message *sent*, from a body of JSON or of events.

    >>> read_message(b'data: {"jsonrpc": "2.0", "id": 1, "result": {}}\\n\\n', "text/event-stream")
    Reading(message={'jsonrpc': '2.0', 'id': 1, 'result': {}}, fault='')
    >>> read_message(b'{"jsonrpc": "2.0", "id": 1, "result": {}}', "text/plain").fault
    'content_type_wrong'
    >>> read_message(b'{"jsonrpc": "2.0", "id": 7, "result": {}}', "application/json", {"id": 1}).fault
    'id_differs'
    """
    essence = content_type.partition(";")[0].strip().lower()
    if essence == "text/event-stream":
        found = list(events(body))
        values = [parse_json(data) for _, data in found]
        responses = [value for value in values if _is_response(value)]
        if not values and _is_response(value := parse_json(body)):
            return _checked(value, "content_type_wrong", sent)
        if not values and b"data:" in body:
            return Reading(None, "answer_unended")
        pairs = list(zip(found, values, strict=True))
        # The transport of 2024 names its endpoint in the data of an event.
        unread = [data for (kind, data), value in pairs if value is None and data.strip() and kind != "endpoint"]
        if not responses and unread:
            return Reading(None, "json_nan" if any(map(_holds_nan, unread)) else "event_not_json")
        is_message = any(kind == "message" and _is_response(value) for (kind, _), value in pairs)
        return _checked(responses[0] if responses else None, "" if is_message else "event_named", sent)
    text = body.decode("utf-8-sig", "replace")
    value, fault = parse_json(text), ""
    if text.startswith(("data:", "event:", "id:")) and (read := read_message(body, "text/event-stream", sent)).message:
        return Reading(read.message, "content_type_wrong")
    if isinstance(value, str) and _is_response(parse_json(value)):
        return Reading(None, "json_twice")
    if value is None and text.strip():
        if _holds_nan(text):
            return Reading(None, "json_nan")
        at = _ENVELOPE.search(text)
        value = None if at is None else _first_json(text[at.start() :])
        fault = "json_surrounded" if value is not None else "json_cut" if at is not None else "json_invalid"
        if value is None:
            return Reading(None, fault if at is not None or essence == "application/json" else "")
    if not fault and essence != "application/json":
        fault = "content_type_wrong"
    return _checked(value, fault, sent)


def _is_response(value: object) -> bool:
    return isinstance(value, dict) and ("result" in value or "error" in value)


def _first_json(text: str) -> object:
    try:
        return cast(object, json.JSONDecoder().raw_decode(text)[0])
    except (ValueError, RecursionError):
        return None


def beside_json(text: str) -> str:
    """What else a body has, in front of the JSON-RPC response or behind it.

    >>> beside_json('Warning: x {"id": 1}'), beside_json('{"id": 1} int(3)')
    ('in front: Warning: x', 'behind: int(3)')
    """
    start = text[: at.start()] if (at := _ENVELOPE.search(text)) else ""
    if start.strip() or at is None:
        return f"in front: {start.strip()[:60]}"
    try:
        return f"behind: {text[json.JSONDecoder().raw_decode(text, at.start())[1] :].strip()[:60]}"
    except (ValueError, RecursionError):
        return ""


def _checked(value: object, fault: str, sent: Message | None) -> Reading:
    """Check the JSON-RPC envelope as clients do."""
    if isinstance(value, list) and len(value) == 1 and _is_response(value[0]):
        value, fault = value[0], fault or "answer_in_array"
    if not isinstance(value, dict):
        return Reading(None)
    if not _is_response(value):
        bare = {"protocolVersion", "supportedVersions", "tools"} & set(value)
        return Reading({"result": value}, fault or "envelope_missing") if bare else Reading(None)
    if value.get("jsonrpc") != "2.0":
        # An error need not be JSON-RPC: the status says enough.
        fault = fault or ("jsonrpc_missing" if "result" in value else "")
    if sent is not None and "result" in value and (asked := sent.get("id")) is not None:
        given = value.get("id")
        if given != asked or isinstance(given, bool):
            fault = fault or ("id_is_text" if given == str(asked) else "id_differs")
    if "result" in value and "error" in value:
        fault = fault or "result_and_error"
    if sent is not None and malformed(str(sent.get("method")), value.get("result")):
        fault = fault or "result_malformed"
    return Reading(cast(Message, value), fault)


def malformed(method: str, result: object) -> str:
    """Where a result departs from the MCP schema, as far as clients check; nothing, if it conforms.

    >>> malformed("initialize", {"protocolVersion": "2025-11-25", "capabilities": [], "serverInfo": {}})
    'capabilities is an array and not an object'
    >>> malformed("tools/list", {"tools": [{"name": "add"}]})
    'inputSchema of a tool is missing'
    """
    if not isinstance(result, dict):
        return ""
    due: list[tuple[str, object, type]] = []
    if method == "initialize" and isinstance(result.get("protocolVersion"), str):
        capabilities, server = result.get("capabilities"), result.get("serverInfo")
        due += [("capabilities", capabilities, dict), ("serverInfo", server, dict)]
        if isinstance(capabilities, dict):
            names = ("tools", "prompts", "resources")
            due += [(f"capabilities.{name}", capabilities.get(name, {}), dict) for name in names]
        if isinstance(server, dict):
            due += [(f"serverInfo.{key}", server.get(key), str) for key in ("name", "version")]
    if method == "tools/list":
        tools = result.get("tools")
        due.append(("tools", tools, list))
        for tool in tools if isinstance(tools, list) else ():
            schema = tool.get("inputSchema") if isinstance(tool, dict) else None
            due += [("a tool", tool, dict), ("inputSchema of a tool", schema, dict)]
            if isinstance(schema, dict):
                due.append(("inputSchema.type of a tool", schema.get("type"), str))
                due.append(("inputSchema.properties of a tool", schema.get("properties", {}), dict))
    for name, value, kind in due:
        if not isinstance(value, kind):
            found = _KINDS.get(type(value), "a number or a boolean")
            return f"{name} is missing" if value is None else f"{name} is {found} and not {_KINDS[kind]}"
    return ""


_KINDS: Mapping[type, str] = {dict: "an object", list: "an array", str: "a string"}


def words_of(body: bytes) -> str:
    """The text of an error's body in one line: the message of a JSON-RPC error, or plain text; of a page nothing.

    >>> words_of(b'{"jsonrpc": "2.0", "error": {"code": 403, "message": "This origin is not allowed."}}')
    'This origin is not allowed.'
    """
    text = body.decode("utf-8", "replace")
    value = parse_json(text)
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    text = message if isinstance(message, str) else text
    return "" if text.lstrip().startswith("<") else " ".join(text.split())


def param_headers(tools: object) -> list[str]:
    """The ``Mcp-Param-*`` headers for calls of these tools, from their schemas.

    >>> schema = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    >>> param_headers([{"name": "look_up", "inputSchema": schema}])
    ['Mcp-Param-Region']
    """
    names: list[str] = []
    # Without recursion: a server may nest too deeply for it.
    rest = [tools]
    while rest:
        value = rest.pop()
        if isinstance(value, Mapping):
            name = value.get("x-mcp-header")
            if isinstance(name, str) and is_token(name):
                names.append(f"Mcp-Param-{name}")
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
    return sorted(dict.fromkeys(names))
