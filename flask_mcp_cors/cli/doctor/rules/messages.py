"""Failures of an answer as a message: it came, it can be read, and it is no JSON-RPC or MCP that clients take."""

from __future__ import annotations

import json
from collections.abc import Callable

from ...findings import Severity
from ..messages import beside_json
from ..messages import events
from ..messages import LENIENT_FAULTS
from ..messages import malformed
from .case import Case
from .rule import Failure
from .rule import fatal
from .rule import Fits


def _fault(code: str) -> Callable[[Case], Fits]:
    def seen(c: Case) -> Fits:
        if c.f.is_rejected or not c.f.sent or c.f.reading.fault != code:
            return False
        kind = c.headers.get("Content-Type", "")
        length = c.headers.get("Content-Length")
        counts_letters = length == str(len(c.f.body)) and not c.f.body.isascii()
        is_stream = c.text.startswith(("data:", "event:", "id:"))
        return {
            "type": c.f.headers.get("content-type", "") or "missing",
            "id": c.f.sent.get("id"),
            "given": json.dumps((c.f.message or {}).get("id")),
            "beside": beside_json(c.text),
            "kind": "an event stream" if is_stream else "JSON",
            "framed": "" if is_stream or "event-stream" not in kind else "; or begin each line with data:",
            "due": "text/event-stream" if is_stream else "application/json",
            "event": ", ".join(kind for kind, _ in events(c.f.body) if kind != "message"),
            "letters": " It ends at its Content-Length, which seems to count letters." if counts_letters else "",
            "what": malformed(str(c.f.sent.get("method")), c.f.result),
        }

    return seen


#: Code → meaning, sentence, cure.
_ROWS = {
    "body_short": (
        "a body is shorter than its Content-Length",
        "The answer to {name} is shorter than its Content-Length says: it ends in the middle.",
        "send the length of the encoded body as Content-Length, or leave it out; see the log for what broke off",
    ),
    "json_twice": (
        "an answer is JSON in a JSON string: encoded twice",
        "The answer to {name} is a JSON string that holds the JSON of the answer: it is encoded twice.",
        "hand over the object and not its text (FastAPI, Flask: no json.dumps before JSONResponse or jsonify)",
    ),
    "json_surrounded": (
        "something stands before or behind the JSON",
        "The answer to {name} has something else beside the JSON ({beside}), so no client can parse it.",
        "let nothing else write to the body: warnings (PHP: display_errors off), print(), a log to stdout",
    ),
    "json_cut": (
        "the JSON is cut",
        "The answer to {name} is JSON that is cut: it cannot be parsed.{letters}",
        "send the whole body: Content-Length counts bytes, not letters (Node: Buffer.byteLength, Python: "
        "len(text.encode())); see the log, and limits of buffers on the way",
    ),
    "answer_unended": (
        "the event that answers has no empty line at its end",
        "The event that answers {name} has no empty line at its end, so browsers never hand it over.",
        "end each event with an empty line (two line ends), and flush",
    ),
    "content_type_wrong": (
        "an answer has another content type than application/json or text/event-stream",
        "The answer to {name} is {kind}, but its Content-Type is {type}: clients refuse that.",
        "send Content-Type: {due}{framed}",
    ),
    "envelope_missing": (
        "bare results without the JSON-RPC envelope",
        "The answer to {name} is a bare result without the JSON-RPC envelope.",
        'wrap it: {{"jsonrpc": "2.0", "id": …, "result": …}}',
    ),
    "jsonrpc_missing": (
        'answers lack "jsonrpc": "2.0"',
        'The answer to {name} lacks "jsonrpc": "2.0", so clients do not take it for a message.',
        'add "jsonrpc": "2.0" to every answer',
    ),
    "answer_in_array": (
        "an answer stands in an array",
        "The answer to {name} stands in an array, a batch, which MCP took out with 2025-06-18.",
        "answer with a single object",
    ),
    "id_is_text": (
        "an answer has the request's id as text",
        "The answer to {name} has the request's id {id} as a string, another type than it was sent.",
        "answer with the id exactly as it came",
    ),
    "id_differs": (
        "an answer has another id than the request",
        "The answer to {name} has the id {given} and not the request's ({id}), so the client waits for ever.",
        "answer with the id of the request",
    ),
    "json_nan": (
        "an answer holds NaN or Infinity",
        "The answer to {name} holds NaN or Infinity, which is no JSON: JSON.parse throws in every client.",
        "write null in place of NaN and Infinity (Python: json.dumps(…, allow_nan=False) finds them)",
    ),
    "json_invalid": (
        "an answer is labelled JSON and is none",
        "The answer to {name} has the Content-Type {type}, but it is no JSON ({start}).",
        "write JSON (Python: json.dumps and not str), and nothing else to the body",
    ),
    "event_named": (
        "the event that answers has another type than message",
        "The event that answers {name} has a type of its own (event: {event}). Clients take message events only, so "
        "they wait for ever.",
        "leave the event: line out, or write event: message",
    ),
    "event_not_json": (
        "the event that answers holds no JSON",
        "The event that answers {name} holds no JSON that can be parsed ({start}).",
        "write the JSON on one line, or begin each of its lines with data:",
    ),
    "result_and_error": (
        "an answer has both a result and an error",
        'The answer to {name} has both "result" and "error". JSON-RPC allows one of them; the official TypeScript '
        "client drops the answer and waits.",
        'leave "error" out of an answer that has a result, also where it is null',
    ),
    "result_malformed": (
        "a result does not have the form that MCP gives it",
        "The result of {name} does not have the form of MCP, so clients refuse it: {what}.",
        "write it as the MCP schema has it (in PHP an empty array becomes []: write new stdClass for an object)",
    ),
}

MESSAGES = {
    code: Failure(meaning, _fault(code), sentence, cure, severity=Severity.WARNING)
    if code in LENIENT_FAULTS
    else fatal(meaning, _fault(code), sentence, cure)
    for code, (meaning, sentence, cure) in _ROWS.items()
}
