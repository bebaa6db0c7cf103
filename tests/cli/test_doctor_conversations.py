"""The doctor's conversations: sessions, streams, and the stateless revision."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from faulty_servers import codes
from faulty_servers import make_app
from foreign_servers import by_hand
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi

from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import Report


class Sessions:
    """An MCP server with sessions, and what one can get wrong about them."""

    def __init__(self, *, workers: int = 1, silent_stream: bool = False, params: bool = False, **settings: Any) -> None:
        self.workers: list[set[str]] = [set() for _ in range(workers)]
        self.open: set[str] = set()
        self.turn = 0
        self.silent_stream = silent_stream
        self.app = make_app(**settings)
        self.app.add_url_rule("/sessions", view_func=self.view, methods=["GET", "POST", "DELETE"])

    def view(self) -> Any:
        session = flask.request.headers.get("Mcp-Session-Id")
        self.turn += 1
        worker = self.workers[self.turn % len(self.workers)]
        if session is None:
            if flask.request.method != "POST" or flask.request.get_json()["method"] != "initialize":
                return "no session", 400
            session = f"session-{self.turn}"
            worker.add(session)
            self.open.add(session)
            return by_hand(), {"Mcp-Session-Id": session}
        if flask.request.method == "DELETE":
            self.open.discard(session)
            return "", 204
        if session not in worker:
            return "session not found", 404
        if flask.request.method == "GET":
            return flask.Response(self.stream(), content_type="text/event-stream")
        return by_hand()

    def stream(self) -> Iterator[str]:
        if self.silent_stream:
            time.sleep(5)
        yield "id: 1\ndata: {}\n\n"


def sessions(**settings: Any) -> tuple[Report, Sessions]:
    server = Sessions(**settings)
    with serving_wsgi(server.app) as url:
        return examine(f"{url}/sessions", [ORIGIN], timeout=2), server


def test_sessions_are_opened_used_and_closed() -> None:
    report, server = sessions()
    assert codes(report) == {}
    works = report.works["2025-11-25"][0]
    assert works == (
        "initialize, notifications/initialized, tools/list, the session id is readable, "
        "GET stream: its first event comes at once, it can be resumed, DELETE"
    )
    assert server.open == set()


def test_a_session_id_that_javascript_cannot_read() -> None:
    report, server = sessions(expose_headers=["WWW-Authenticate"])
    assert codes(report) == {"session_id_hidden": "error"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "cannot connect"
    assert server.open == set()


def test_a_session_that_the_other_worker_does_not_know() -> None:
    report, _ = sessions(workers=2)
    assert codes(report) == {"session_lost": "error"}
    assert "got 404" in next(f.sentence for f in report.findings if f.code == "session_lost")
    assert report.verdicts[ORIGIN, "2025-11-25"] == "refused"


def test_delete_that_is_not_allowed() -> None:
    report, server = sessions(allow_methods=["GET", "POST"])
    assert codes(report) == {"method_not_allowed": "warning"}
    assert report.verdicts[ORIGIN, "2025-11-25"] == "connects"
    assert server.open == set()


def test_resumption_that_is_not_allowed() -> None:
    report, _ = sessions(allow_headers=["Content-Type", "MCP-Protocol-Version", "Mcp-Session-Id"])
    assert codes(report) == {"header_not_allowed": "warning", "question_blocked": "note"}


def test_a_stream_that_says_nothing() -> None:
    report, _ = sessions(silent_stream=True)
    assert codes(report) == {"stream_delayed": "warning"}


@pytest.mark.parametrize(
    ("answers", "found", "verdict"),
    [(True, "old_transport", "connects"), (False, "old_transport_silent", "refused")],
)
def test_http_with_sse(answers: bool, found: str, verdict: str) -> None:
    """The endpoint takes a message, and the answer comes over the stream; or it never does."""
    app = make_app()
    said: dict[str, queue.Queue[str]] = {}

    def stream() -> Iterator[str]:
        session = str(len(said))
        said[session] = queue.Queue()
        yield f"event: endpoint\ndata: /messages?session={session}\n\n"
        yield f"event: message\ndata: {said[session].get(timeout=10)}\n\n"

    def take() -> Any:
        message = flask.request.get_json()
        result = {"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        if answers:
            said[flask.request.args["session"]].put(
                json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
            )
        return "", 202

    app.add_url_rule("/sse", view_func=lambda: flask.Response(stream(), content_type="text/event-stream"))
    app.add_url_rule("/messages", view_func=take, methods=["POST"])
    with serving_wsgi(app) as url:
        report = examine(f"{url}/sse", [ORIGIN], timeout=2)
    assert report.verdicts[ORIGIN, "2024-11-05"] == verdict
    assert found in codes(report)
    assert report.is_healthy is answers


def stateless(parameter: dict[str, str], **settings: Any) -> Report:
    app = make_app(**settings)

    def view() -> Any:
        message = flask.request.get_json()
        if message["method"] == "initialize":
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}, 400
        schema = {"type": "object", "properties": {"region": {"type": "string", **parameter}}}
        results = {
            "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {}},
            "tools/list": {"tools": [{"name": "look_up", "inputSchema": schema}]},
        }
        return {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}

    app.add_url_rule("/stateless", view_func=view, methods=["POST"])
    with serving_wsgi(app) as url:
        return examine(f"{url}/stateless", [ORIGIN], timeout=2)


def test_the_stateless_revision() -> None:
    report = stateless({"x-mcp-header": "Region"})
    assert codes(report) == {}
    assert report.verdicts[ORIGIN, "2026-07-28"] == "connects"
    assert report.verdicts[ORIGIN, "2025-11-25"] == "not spoken"


@pytest.mark.parametrize(
    ("parameter", "found"),
    [
        pytest.param({"x-mcp-header": "Region"}, {"header_not_allowed": "error"}, id="a tool has one"),
        pytest.param({}, {"params_not_allowed": "note"}, id="no tool has one"),
    ],
)
def test_parameters_in_headers(parameter: dict[str, str], found: dict[str, str]) -> None:
    names = ["Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"]
    report = stateless(parameter, allow_headers=names)
    assert codes(report) == found
    if parameter:
        assert any("mcp-param-region" in finding.sentence.lower() for finding in report.findings)


def speaking(version: str) -> Sessions:
    """A server with sessions that knows one version of the protocol, and no other in its header."""

    class Old(Sessions):
        def view(self) -> Any:
            if flask.request.headers.get("MCP-Protocol-Version", version) != version:
                return "Unsupported protocol version", 400
            answer = super().view()
            if flask.request.method == "POST" and flask.request.get_json().get("method") == "initialize":
                answer[0]["result"]["protocolVersion"] = version
            return answer

    return Old()


def test_an_old_version_over_streamable_http() -> None:
    """The official clients ask for a newer one, are told 2024-11-05, and go on with that over the same transport."""
    server = speaking("2024-11-05")
    with serving_wsgi(server.app) as url:
        report = examine(f"{url}/sessions", [ORIGIN], timeout=2)
    assert codes(report) == {"version_negotiated": "note"}
    assert report.is_healthy
    [finding] = [finding for finding in report.findings if finding.code == "version_negotiated"]
    assert "answers a request for 2025-11-25 with 2024-11-05" in finding.sentence
    verdicts = {revision: verdict for (_, revision), verdict in report.verdicts.items()}
    assert verdicts.pop("2024-11-05") == "connects"
    assert set(verdicts.values()) == {"not spoken"}
    assert report.works["2024-11-05"][0].startswith("initialize, notifications/initialized, tools/list")
    assert server.open == set()


def test_a_version_that_nobody_has_published() -> None:
    server = speaking("1.0")
    with serving_wsgi(server.app) as url:
        report = examine(f"{url}/sessions", [ORIGIN], timeout=2)
    assert codes(report) == {"version_unknown": "error"}
    assert "1.0" in next(finding.sentence for finding in report.findings if finding.code == "version_unknown")
    assert server.open == set()


def test_requests_are_bounded() -> None:
    report, _ = sessions()
    assert report.requests < 60
