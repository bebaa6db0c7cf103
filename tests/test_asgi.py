"""``flask_mcp_cors.asgi.CORSMiddleware``: the policy around ASGI applications, and the manners of ASGI 3.

What is decided is in ``test_doors.py``, for all doors alike. This is about the door itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from pages import APP
from pages import EVIL
from werkzeug.test import Client

from flask_mcp_cors import CORSMiddleware as WSGIMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors import preflight_answered
from flask_mcp_cors import request_refused
from flask_mcp_cors.asgi import CORSMiddleware

POLICY: dict[str, Any] = {"origins": APP, "hosts": "mcp.example.com"}
FROM_APP = [("origin", APP)]
PREFLIGHT = [*FROM_APP, ("access-control-request-method", "POST")]
ALLOWED = (b"access-control-allow-origin", APP.encode())
NOSNIFF = (b"x-content-type-options", b"nosniff")


def scope_of(method: str = "POST", headers: Iterable[tuple[str, str]] = FROM_APP, **more: Any) -> dict[str, Any]:
    """What a server hands over."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if not any(name == b"host" for name, _ in pairs):
        pairs.insert(0, (b"host", b"mcp.example.com"))
    scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "path": "/mcp",
        "root_path": "",
        "query_string": b"",
        "headers": pairs,
        "server": ("127.0.0.1", 8000),
        "client": ("192.0.2.1", 5000),
    }
    return {**scope, **more}


def websocket(headers: Iterable[tuple[str, str]] = FROM_APP, **more: Any) -> dict[str, Any]:
    scope = scope_of("", headers, type="websocket", scheme="wss", subprotocols=[], **more)
    del scope["method"]
    return scope


def ask(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that the server gets, in order."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def names(message: dict[str, Any]) -> list[bytes]:
    return [name for name, _ in message["headers"]]


class Plain:
    """An ASGI application that says hello and remembers its calls."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.calls: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append(scope["type"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"hello"})


# settings


def test_every_fault_of_the_settings_is_told_at_once() -> None:
    with pytest.raises(PolicyError) as error:
        CORSMiddleware(Plain(), origins="https://app.example.com/", hosts="", paths="mcp")
    assert [problem.setting for problem in error.value.problems] == ["origins", "hosts", "paths"]


def test_wrap_wsgi_is_no_setting_of_this_door() -> None:
    with pytest.raises(PolicyError, match="wrap_wsgi"):
        CORSMiddleware(Plain(), wrap_wsgi=True)  # type: ignore[call-arg]


def test_a_policy_lies_under_the_settings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="flask_mcp_cors")
    app = CORSMiddleware(Plain(), CORSPolicy(origins=EVIL, max_age=5), **POLICY)
    assert caplog.messages == [
        "CORSMiddleware: origins https://app.example.com (keyword); hosts mcp.example.com (keyword); "
        "paths everything (default)"
    ]
    start = ask(app, scope_of("OPTIONS", PREFLIGHT))[0]
    assert {ALLOWED, (b"access-control-max-age", b"5")} <= set(start["headers"])


# requests


@pytest.mark.parametrize(
    ("path", "root_path", "governed"),
    [
        ("/mcp", "", True),
        ("//mcp", "", True),
        ("/mcp/", "", True),
        ("/other", "", False),
        ("/Xmcp", "", False),
        ("/api/mcp", "", False),
        pytest.param("/api/mcp", "/api", True, id="the-server-leaves-the-mount-point-in"),
        pytest.param("/mcp", "/api", True, id="the-server-takes-the-mount-point-off"),
        pytest.param("/apimcp", "/api", False, id="no-whole-segment"),
        pytest.param("/mcp", "/mcp", False, id="the-mount-point-itself"),
        pytest.param("/mcp", None, True, id="no-mount-point"),
        pytest.param("/%6Dcp", "", False, id="decoded-once-by-the-server"),
    ],
)
def test_paths_are_those_below_the_mount_point(path: str, root_path: str | None, governed: bool) -> None:
    app = CORSMiddleware(Plain(), **POLICY, paths="/mcp")
    start = ask(app, scope_of(headers=[("origin", EVIL)], path=path, root_path=root_path))[0]
    assert start["status"] == (403 if governed else 200)


@pytest.mark.parametrize("where", [0, 1], ids=["first", "last"])
def test_a_repeated_origin_is_refused(where: int) -> None:
    headers = [("origin", APP)]
    headers.insert(where, ("origin", EVIL))
    start, body = ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=headers))
    assert (start["status"], json.loads(body["body"])["error"]["data"]) == (403, {"reason": "origin_repeated"})


def test_a_repeated_host_is_refused() -> None:
    headers = [("host", "mcp.example.com"), ("host", "mcp.example.com")]
    assert ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=headers))[0]["status"] == 421


def test_other_repeated_headers_do_not_disturb() -> None:
    headers = [*FROM_APP, ("accept", "a/b"), ("accept", "c/d")]
    assert ALLOWED in ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=headers))[0]["headers"]


def test_a_name_with_an_underscore_is_another_name() -> None:
    """A page can send ``Sec_Fetch_Site`` itself."""
    headers = [("origin", EVIL), ("sec_fetch_site", "same-origin"), ("access_control_request_method", "POST")]
    assert ask(CORSMiddleware(Plain(), **POLICY), scope_of("OPTIONS", headers))[0]["status"] == 403


@pytest.mark.parametrize(
    ("page", "scheme", "status"),
    [
        ("https", "https", 200),
        ("https", "http", 403),
        ("https", None, 403),
        ("http", "https", 403),
        ("http", "http", 200),
        ("http", None, 200),
    ],
)
def test_the_scheme_is_the_scopes_and_http_where_there_is_none(page: str, scheme: str | None, status: int) -> None:
    own = [("origin", f"{page}://mcp.example.com")]
    scope = scope_of(headers=own, scheme=scheme)
    if scheme is None:
        del scope["scheme"]
    assert ask(CORSMiddleware(Plain(), **POLICY), scope)[0]["status"] == status


def test_bytes_that_are_no_ascii_are_latin_1() -> None:
    headers = [("origin", "https://\xe9.example"), ("x-name", "\xff")]
    start, body = ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=headers))
    assert (start["status"], json.loads(body["body"])["error"]["data"]) == (403, {"reason": "origin_malformed"})


def test_a_refusal_is_a_whole_response() -> None:
    start, body = ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=[("origin", EVIL)]))
    assert start == {
        "type": "http.response.start",
        "status": 403,
        "headers": [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            NOSNIFF,
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"vary", b"Origin"),
            (b"content-length", str(len(body["body"])).encode()),
        ],
    }
    assert json.loads(body["body"])["error"]["data"] == {"reason": "origin_not_allowed"}


def test_a_refusal_of_head_says_how_long_it_would_be() -> None:
    start, body = ask(CORSMiddleware(Plain(), **POLICY), scope_of("HEAD", [("origin", EVIL)]))
    length = dict(start["headers"])[b"content-length"]
    assert (start["status"], int(length) > 0, body["body"]) == (403, True, b"")


@pytest.mark.parametrize(("status", "length"), [(200, b"0"), (204, None)])
def test_a_preflight_has_no_body_and_no_type(status: int, length: bytes | None) -> None:
    inner = Plain()
    start, body = ask(CORSMiddleware(inner, **POLICY, preflight_status=status), scope_of("OPTIONS", PREFLIGHT))
    headers = dict(start["headers"])
    assert (start["status"], headers.get(b"content-length"), headers.get(b"content-type")) == (status, length, None)
    assert (body["body"], inner.calls) == (b"", [])


def test_the_same_request_again_gets_the_same_answer_and_is_refused_again() -> None:
    """Answers are kept. What a server does to a message that it got is its own affair."""
    app = CORSMiddleware(Plain(), **POLICY)
    for method, headers in (("POST", FROM_APP), ("OPTIONS", PREFLIGHT), ("POST", [("origin", EVIL)])):
        first = ask(app, scope_of(method, headers))
        kept = [(*first[0]["headers"],), first[1]["body"]]
        first[0]["headers"].clear()
        again = ask(app, scope_of(method, headers))
        assert [(*again[0]["headers"],), again[1]["body"]] == kept


@pytest.mark.parametrize(
    ("passing", "refused"),
    [
        pytest.param(
            scope_of("GET", [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
            scope_of("DELETE", [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
            id="method",
        ),
        pytest.param(
            scope_of(headers=[("origin", "https://mcp.example.com")], scheme="https"),
            scope_of(headers=[("origin", "https://mcp.example.com")], scheme="http"),
            id="scheme",
        ),
    ],
)
def test_what_was_let_in_before_says_nothing_about_another_request(
    passing: dict[str, Any], refused: dict[str, Any]
) -> None:
    app = CORSMiddleware(Plain(), **POLICY)
    assert [ask(app, scope)[0]["status"] for scope in (passing, refused)] == [200, 403]


def test_what_is_kept_is_bounded() -> None:
    app = CORSMiddleware(Plain(), **POLICY)
    most = 0
    for number in range(600):
        ask(app, scope_of(path=f"/{number}"))
        most = max(most, len(app._kept))
        ask(app, scope_of(path="/" + "x" * 2000 + str(number)))
        ask(app, scope_of(path="/" * 2000 + str(number)))
    assert most == 256
    assert max(len(part) for key in app._kept for part in key if part) < 100


# responses


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xe9")],
        [[b"Content-Type", b"text/plain"]],
        iter([(b"x-a", b"1")]),
    ],
    ids=["none", "tuples", "lists-and-upper-case", "iterator"],
)
def test_what_the_application_sends_stays_in_order(headers: Any) -> None:
    inner = Plain()
    inner.headers = headers if isinstance(headers, list) else list(headers)
    if not isinstance(headers, list):
        inner.headers = iter(inner.headers)  # type: ignore[assignment]
    start = ask(CORSMiddleware(inner, **POLICY), scope_of())[0]
    assert ALLOWED in start["headers"] and NOSNIFF in start["headers"]
    assert len(names(start)) - names(start).count(b"set-cookie") == len(set(names(start)) - {b"set-cookie"})


def test_a_message_without_headers_gets_ours() -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    assert ALLOWED in ask(CORSMiddleware(bare, **POLICY), scope_of())[0]["headers"]


def test_the_applications_own_message_is_left_alone() -> None:
    message = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}

    async def same(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        await send({"type": "http.response.body"})

    app = CORSMiddleware(same, **POLICY)
    assert ask(app, scope_of()) == ask(app, scope_of())
    assert message["headers"] == [(b"x-a", b"1")]


def test_foreign_cors_headers_go_and_vary_is_merged() -> None:
    inner = Plain(
        (b"Access-Control-Allow-Origin", b"*"),
        (b"access-control-allow-private-network", b"true"),
        (b"vary", b"Accept-Encoding"),
        (b"Vary", b"origin"),
        (b"x-frame-options", b"SAMEORIGIN"),
        (b"x-name", b"\xff"),
    )
    headers = ask(CORSMiddleware(inner, **POLICY), scope_of())[0]["headers"]
    assert [value for name, value in headers if name == b"access-control-allow-origin"] == [APP.encode()]
    assert b"access-control-allow-private-network" not in dict(headers)
    assert [value for name, value in headers if name == b"vary"] == [b"Accept-Encoding, origin"]
    assert [value for name, value in headers if name == b"x-frame-options"] == [b"SAMEORIGIN"]
    assert (b"x-name", b"\xff") in headers


@pytest.mark.parametrize("own", [(), ((b"x-accel-buffering", b"yes"),)], ids=["unset", "set"])
def test_event_streams_are_not_to_be_buffered(own: tuple[tuple[bytes, bytes], ...]) -> None:
    inner = Plain((b"content-type", b"text/event-stream; charset=utf-8"), *own)
    headers = ask(CORSMiddleware(inner, **POLICY), scope_of())[0]["headers"]
    assert [v for n, v in headers if n == b"x-accel-buffering"] == [own[0][1] if own else b"no"]


def test_parts_pass_one_by_one_and_messages_that_nobody_knows_pass_too() -> None:
    """Nothing is held back: each part has been sent when the application goes on."""
    seen: list[str] = []

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for kind in ("http.response.body", "http.response.trailers", "http.response.pathsend"):
            await send({"type": kind})
            assert seen[-1] == kind
        assert (await receive())["type"] == "http.disconnect"

    async def send(message: dict[str, Any]) -> None:
        seen.append(message["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(CORSMiddleware(stream, **POLICY)(scope_of(), receive, send))
    assert seen[0] == "http.response.start" and len(seen) == 4


@pytest.mark.parametrize("kind", ["lifespan", "future.kind"])
def test_other_scopes_pass_untouched(kind: str) -> None:
    got: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.extend([scope, receive, send])

    scope: dict[str, Any] = {"type": kind}
    receive, send = object(), object()
    asyncio.run(CORSMiddleware(application, **POLICY)(scope, receive, send))  # type: ignore[arg-type]
    assert got[0] is scope and got[1:] == [receive, send]


# crashes


def failing(after_start: bool = False, error: BaseException | None = None) -> Callable[..., Any]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if after_start:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error or LookupError("broken")

    return application


def ask_failing(app: Any, scope: dict[str, Any], error: type[BaseException] = LookupError) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with pytest.raises(error):
        asyncio.run(app(scope, None, send))
    return sent


@pytest.mark.parametrize(("method", "body"), [("POST", b"Internal Server Error"), ("HEAD", b"")])
def test_a_crash_is_a_readable_500_and_raised_again(method: str, body: bytes) -> None:
    start, end = ask_failing(CORSMiddleware(failing(), **POLICY), scope_of(method))
    assert (start["status"], end["body"]) == (500, body)
    own = {(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")}
    assert {ALLOWED, NOSNIFF, *own} <= set(start["headers"])


def test_a_crash_after_the_start_is_only_raised() -> None:
    sent = ask_failing(CORSMiddleware(failing(after_start=True), **POLICY), scope_of())
    assert [message["type"] for message in sent] == ["http.response.start"]


def test_a_cancelled_request_gets_no_answer() -> None:
    app = CORSMiddleware(failing(error=asyncio.CancelledError()), **POLICY)
    assert ask_failing(app, scope_of(), asyncio.CancelledError) == []


def test_a_crash_on_an_ungoverned_path_is_the_servers() -> None:
    assert ask_failing(CORSMiddleware(failing(), **POLICY, paths="/other"), scope_of()) == []


def test_a_crash_of_a_websocket_is_the_servers() -> None:
    app = CORSMiddleware(failing(error=ValueError("broken")), **POLICY)
    assert ask_failing(app, websocket(), ValueError) == []


def test_a_debugger_gets_the_exception_and_the_log_says_that_it_is_not_cors(caplog: pytest.LogCaptureFixture) -> None:
    class Starlette:
        debug = True

    app = CORSMiddleware(failing(), **POLICY)
    assert ask_failing(app, scope_of(app=Starlette())) == []
    assert caplog.messages[-1] == (
        "LookupError in the application: this is not CORS: see the traceback above or below, although the browser's "
        "console blames CORS"
    )
    caplog.clear()
    assert ask_failing(app, scope_of(headers=[], app=Starlette())) == []
    assert caplog.messages == []


# websockets


def test_a_websocket_of_an_allowed_page_passes() -> None:
    received: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["type"])
        await send({"type": "websocket.accept"})

    assert ask(CORSMiddleware(application, **POLICY), websocket()) == [{"type": "websocket.accept"}]
    assert received == ["websocket.connect"]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ([("origin", EVIL)], 403, "origin_not_allowed"),
        ([("origin", "null")], 403, "origin_not_allowed"),
        ([("origin", APP), ("origin", APP)], 403, "origin_repeated"),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "websocket")], 403, "cross_site"),
        ([("origin", APP), ("host", "rebound.example")], 421, "host_not_served"),
    ],
    ids=["foreign", "null", "repeated", "without-origin", "rebound"],
)
def test_a_foreign_websocket_never_reaches_the_application(
    headers: list[tuple[str, str]], status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Plain()
    app = CORSMiddleware(inner, **POLICY)
    caplog.clear()
    denial = {"websocket.http.response": {}}
    start, body = ask(app, websocket(headers, extensions=denial))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert (body["type"], json.loads(body["body"])["error"]["data"]) == (
        "websocket.http.response.body",
        {"reason": reason},
    )
    assert NOSNIFF in start["headers"]
    # A server without that extension makes a 403 of it.
    assert ask(app, websocket(headers)) == [{"type": "websocket.close", "code": 1008}]
    assert inner.calls == []
    assert [message.partition(", origin")[0] for message in caplog.messages] == [
        f"refused: {reason}: 'WEBSOCKET' '/mcp'"
    ] * 2


def test_a_foreign_websocket_is_not_waited_for() -> None:
    """Quart's test client never sends ``websocket.connect``, and Starlette answers without it as well."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(CORSMiddleware(Plain(), **POLICY)(websocket([("origin", EVIL)]), None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(("scheme", "passes"), [("wss", True), ("ws", False)])
def test_the_apps_own_page_is_told_by_the_scheme_of_its_websockets(scheme: str, passes: bool) -> None:
    scope = websocket([("origin", "https://mcp.example.com")])
    inner = Plain()
    ask(CORSMiddleware(inner, **POLICY), {**scope, "scheme": scheme})
    assert bool(inner.calls) is passes


def test_no_tail_of_a_path_opens_a_websocket() -> None:
    """Discovery documents may be read by everybody. A websocket is none."""
    tail = "/ws/.well-known/openid-configuration"
    inner = Plain()
    app = CORSMiddleware(inner, **POLICY)
    assert ask(app, scope_of("GET", [("origin", EVIL)], path=tail))[0]["status"] == 200
    assert ask(app, websocket([("origin", EVIL)], path=tail)) == [{"type": "websocket.close", "code": 1008}]
    assert inner.calls == ["http"]


def test_an_ungoverned_websocket_passes_and_its_host_counts_still() -> None:
    inner = Plain()
    app = CORSMiddleware(inner, **POLICY, policies={"/ws": None})
    assert ask(app, websocket([("origin", EVIL)], path="/ws")) == []
    assert ask(app, websocket([("host", "rebound.example")], path="/ws")) == [{"type": "websocket.close", "code": 1008}]
    assert inner.calls == ["websocket"]


def test_what_would_have_been_refused_is_reported_and_passes(caplog: pytest.LogCaptureFixture) -> None:
    inner = Plain()
    app = CORSMiddleware(inner, **POLICY, validate_origin="report")
    caplog.clear()
    for scope in (websocket([("origin", EVIL)]), scope_of(headers=[("origin", EVIL)])):
        ask(app, scope)
    assert inner.calls == ["websocket", "http"]
    assert [message.partition(":")[0] for message in caplog.messages] == ["would have been refused"] * 2


# callables in policies


TENANTS = {"red": CORSPolicy(origins="https://red.example"), "blue": CORSPolicy(origins="https://blue.example")}


async def tenant_policy(request: Any) -> CORSPolicy | None:
    await asyncio.sleep(0)
    return TENANTS.get(request.path.split("/")[2])


@pytest.mark.parametrize("policy", [tenant_policy, lambda r: TENANTS.get(r.path.split("/")[2])], ids=["async", "plain"])
@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/tenants/red", "https://red.example", 200),
        ("/tenants/blue", "https://red.example", 403),
        ("/tenants/green", "https://red.example", 403),
        ("/tenants/green", APP, 200),
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_a_callable_says_which_policy(policy: Any, path: str, origin: str, status: int, method: str) -> None:
    app = CORSMiddleware(Plain(), **POLICY, policies={"/tenants/*": policy})
    headers = [("origin", origin)]
    if method == "OPTIONS":
        headers.append(("access-control-request-method", "DELETE"))
    start = ask(app, scope_of(method, headers, path=path))[0]
    assert start["status"] == status
    given = dict(start["headers"]).get(b"access-control-allow-origin")
    assert given == (origin.encode() if status == 200 else None)


def test_what_a_callable_gets() -> None:
    seen: list[Any] = []

    async def policy(request: Any) -> None:
        seen.append(
            (
                request.method,
                request.path,
                request.root_path,
                request.host,
                request.scheme,
                request.headers["X-Tenant"],
                request.args["q"],
                request.server,
                request.remote_addr,
                request.headers.get("Access-Control-Request-Method"),
            )
        )

    app = CORSMiddleware(Plain(), **POLICY, policies={"/**": policy})
    rest = {"path": "/api/mcp", "root_path": "/api", "query_string": b"q=1"}
    ask(app, scope_of("POST", [*FROM_APP, ("x-tenant", "red")], **rest))
    one = ("/mcp", "/api", "mcp.example.com", "https", "red", "1", ("127.0.0.1", 8000), "192.0.2.1")
    assert seen == [("POST", *one, None)]
    seen.clear()
    ask(app, scope_of("OPTIONS", [*PREFLIGHT, ("x-tenant", "red")], **rest))
    # GET, HEAD and POST are safelisted, so the other ones are asked about.
    assert seen == [("OPTIONS", *one, method) for method in ("POST", "DELETE", "OPTIONS")]
    seen.clear()
    ask(app, websocket([*FROM_APP, ("x-tenant", "red")], **rest))
    assert seen == [("WEBSOCKET", *one, None)]


def test_what_a_callable_gets_of_a_scope_that_has_only_what_it_must_have() -> None:
    """As of a server on a Unix socket."""
    seen: list[Any] = []

    async def policy(request: Any) -> None:
        seen.append((request.root_path, request.query_string, request.scheme, request.server, request.remote_addr))

    headers = [(b"host", b"mcp.example.com")]
    app = CORSMiddleware(Plain(), **POLICY, policies={"/**": policy})
    assert ask(app, {"type": "http", "method": "GET", "path": "/mcp", "headers": headers})[0]["status"] == 200
    assert seen == [("", b"", "http", None, None)]


@pytest.mark.parametrize(
    ("method", "path", "origin", "status"),
    [
        ("POST", "/.well-known/oauth-protected-resource", EVIL, 403),
        ("POST", "/.well-known/oauth-protected-resource", APP, 200),
        # The built-in policy for documents and that of /t both let it pass; that of /.well-known/** would not.
        ("GET", "/.well-known/oauth-protected-resource/../../t", "https://other.example", 200),
    ],
)
def test_a_callable_is_asked_beside_discovery_documents(method: str, path: str, origin: str, status: int) -> None:
    policies = {
        "/t": lambda request: CORSPolicy(origins=[APP, "https://other.example"]),
        "/.well-known/**": lambda request: CORSPolicy(origins=APP),
    }
    app = CORSMiddleware(Plain(), **POLICY, policies=policies)
    assert ask(app, scope_of(method, [("origin", origin)], path=path))[0]["status"] == status


async def failing_policy(request: Any) -> CORSPolicy:
    raise LookupError("no database")


async def wrong_policy(request: Any) -> Any:
    return "https://app.example.com"


@pytest.mark.parametrize("policy", [failing_policy, wrong_policy])
def test_a_callable_that_fails_refuses(policy: Any, caplog: pytest.LogCaptureFixture) -> None:
    inner = Plain()
    app = CORSMiddleware(inner, **POLICY, policies={"/mcp": policy})
    start, body = ask(app, scope_of())
    assert (start["status"], json.loads(body["body"])["error"]["data"]) == (403, {"reason": "policy_failed"})
    assert inner.calls == []
    assert any(record.exc_info for record in caplog.records)


async def hurried_policy(request: Any) -> CORSPolicy:
    return TENANTS["red"]


@pytest.mark.parametrize(("policy", "status"), [(hurried_policy, 200), (tenant_policy, 403)], ids=["ready", "awaits"])
def test_in_wsgi_a_callable_cannot_wait(policy: Any, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """There is no event loop that would wait with it, so the request is refused, with the reason in the log."""
    app = Client(WSGIMiddleware(Flask("tenants"), **POLICY, policies={"/tenants/**": policy}))
    asked = {"Origin": "https://red.example", "Access-Control-Request-Method": "DELETE"}
    for path in ("/tenants/red", "/tenants/x/../red"):
        assert app.options(path, base_url="https://mcp.example.com", headers=asked).status_code == status
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert set(errors) == ({"a callable in policies can await only in flask_mcp_cors.asgi"} if errors else set())
    assert bool(errors) is (status == 403)


# signals and log lines


def test_signals_are_sent_for_each_request() -> None:
    app = CORSMiddleware(Plain(), **POLICY)
    heard: list[tuple[str, str, str]] = []

    def note(sender: Any, decision: Any, path: str, origin: str, host: str) -> None:
        assert sender is app
        heard.append((decision.reason.value, path, host))

    with preflight_answered.connected_to(note), request_refused.connected_to(note):
        for _ in range(2):
            ask(app, scope_of("OPTIONS", PREFLIGHT))
            ask(app, scope_of(headers=[("origin", EVIL)]))
        ask(app, scope_of())
    assert (
        heard
        == [
            ("preflight_allowed", "/mcp", "mcp.example.com"),
            ("origin_not_allowed", "/mcp", "mcp.example.com"),
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        (
            [("origin", EVIL)],
            'if this page is to be allowed, set origins=["https://app.example.com", "https://evil.example"] '
            "(MCP_CORS_ORIGINS); now https://app.example.com (keyword)",
        ),
        (
            [("host", "10.0.0.7.internal"), ("x-forwarded-host", "mcp.example.com")],
            "X-Forwarded-Host is present but ignored: let the proxy send the public name as Host; otherwise, "
            "if '10.0.0.7.internal' is a name of this server, set "
            'hosts=["mcp.example.com", "10.0.0.7.internal"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)',
        ),
        (
            [("host", "backend"), ("x-forwarded-host", "backend")],
            "a proxy may have replaced Host: let it pass on Host, in nginx with proxy_set_header Host $http_host; "
            "otherwise, if 'backend' is a name of this server, "
            'set hosts=["mcp.example.com", "backend"] (MCP_CORS_HOSTS); now mcp.example.com (keyword)',
        ),
        (
            [("origin", "null"), ("content-type", "application/x-www-form-urlencoded")],
            "a form sends this origin from a page with Referrer-Policy: no-referrer: give the page another policy, "
            "such as strict-origin-when-cross-origin; or after a redirect to another host: let the form name the final "
            "URL; if an identity provider posts it, exempt the view with cors.exempt; forms in sandboxed iframes send "
            "it always",
        ),
        (
            [("origin", "https://mcp.example.com")],
            "this is the app's own page over https, but the request arrived over http: let the proxy send "
            "X-Forwarded-Proto, and start the server with --forwarded-allow-ips",
        ),
    ],
    ids=["origin", "host", "host-that-was-sent-on", "form", "scheme"],
)
def test_advice_is_for_asgi(headers: list[tuple[str, str]], advice: str, caplog: pytest.LogCaptureFixture) -> None:
    ask(CORSMiddleware(Plain(), **POLICY), scope_of(headers=headers, scheme="http"))
    host = dict(headers).get("host", "mcp.example.com")
    assert caplog.messages[-1].endswith(f", host '{host}': {advice}")


@pytest.mark.parametrize(
    ("method", "path", "advice"),
    [
        ("GET", "/x", "in policies['/x'] set origins="),
        ("POST", "/.well-known/oauth-protected-resource", "if this page is to be allowed, set origins="),
    ],
)
def test_a_refusal_is_logged_with_the_policy_that_refused(
    method: str, path: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = CORSMiddleware(Plain(), **POLICY, policies={"/x": {"max_age": 5}})
    assert ask(app, scope_of(method, [("origin", EVIL)], path=path))[0]["status"] == 403
    assert advice in caplog.messages[-1]


def test_a_preflight_that_lost_its_method_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    app = CORSMiddleware(Plain(), **POLICY)
    caplog.clear()
    with preflight_answered.connected_to(lambda sender, **said: None):
        for _ in range(2):
            ask(app, scope_of("OPTIONS", [*FROM_APP, ("sec-fetch-mode", "cors")]))
    (line,) = caplog.messages
    assert "has no Access-Control-Request-Method" in line


class Outer:
    """A layer of Starlette's ``user_middleware``, as far as it is looked at."""


MAKES_OUTER = partial(Outer)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([SimpleNamespace(cls=Outer), SimpleNamespace(cls=Plain)], "Outer, Plain"),
        ([SimpleNamespace(cls=MAKES_OUTER)], repr(MAKES_OUTER)),
        # Of another framework, which describes its layers in another way.
        ([object()], "None"),
    ],
    ids=["classes", "a-function", "unknown"],
)
def test_the_layers_outside_are_named(layers: list[Any], named: str, caplog: pytest.LogCaptureFixture) -> None:
    app = CORSMiddleware(Plain(), **POLICY)
    caplog.clear()
    for _ in range(2):
        assert ask(app, scope_of(app=SimpleNamespace(user_middleware=layers)))[0]["status"] == 200
    assert caplog.messages == [
        f"{named} sees preflights before CORSMiddleware does, and its own answers get no CORS headers: wrap the whole "
        "app, as app = CORSMiddleware(app, ...), or call add_middleware(CORSMiddleware, ...) last"
    ]


# doors inside doors

OTHER = "https://other.example.com"


def nested(outer: dict[str, Any], inner: dict[str, Any], *headers: tuple[bytes, bytes]) -> tuple[Plain, CORSMiddleware]:
    app = Plain(*headers)
    return app, CORSMiddleware(CORSMiddleware(app, **inner, hosts="*"), **outer, hosts="*")


def test_the_inner_ones_headers_are_sent_and_each_once() -> None:
    _, app = nested(
        {"origins": [APP, OTHER], "expose_headers": "X-Outer"}, {"origins": APP, "expose_headers": "X-Inner"}
    )
    start = ask(app, scope_of())[0]
    assert (b"access-control-expose-headers", b"X-Inner") in start["headers"]
    assert len(names(start)) == len(set(names(start)))


def test_of_three_the_innermost_ones_headers_are_sent() -> None:
    app: Any = Plain()
    for name in ("X-Innermost", "X-Middle", "X-Outermost"):
        app = CORSMiddleware(app, **POLICY, expose_headers=name)
    assert (b"access-control-expose-headers", b"X-Innermost") in ask(app, scope_of())[0]["headers"]


@pytest.mark.parametrize("validate_origin", [True, False, "report"])
def test_the_outer_one_does_not_open_what_the_inner_one_keeps_shut(validate_origin: Any) -> None:
    app, around = nested({"origins": [APP, OTHER]}, {"origins": APP, "validate_origin": validate_origin})
    start = ask(around, scope_of(headers=[("origin", OTHER)]))[0]
    assert b"access-control-allow-origin" not in names(start)
    assert (start["status"], bool(app.calls)) == ((403, False) if validate_origin is True else (200, True))


def test_each_refuses_for_itself() -> None:
    app, around = nested({"origins": APP}, {"origins": [APP, OTHER]})
    assert ask(around, scope_of(headers=[("origin", OTHER)]))[0]["status"] == 403
    assert app.calls == []


@pytest.mark.parametrize("ungoverned", ["inner", "outer"])
def test_where_one_of_them_does_not_govern_the_other_one_does(ungoverned: str) -> None:
    policies: dict[str, Any] = {"origins": APP, "policies": {"/mcp": None}}
    settings = [policies, {"origins": APP}]
    _, app = nested(*(settings if ungoverned == "outer" else reversed(settings)))  # type: ignore[arg-type]
    start = ask(app, scope_of())[0]
    assert names(start).count(b"access-control-allow-origin") == 1


def test_an_app_that_is_called_from_the_app_is_not_inside() -> None:
    """It has no ``Origin``, and its answer is not the response."""
    other = CORSMiddleware(Plain(), origins=OTHER, hosts="*")

    async def calling(scope: Any, receive: Any, send: Any) -> None:
        async def drop(message: Any) -> None:
            pass

        await other(scope_of(headers=[]), receive, drop)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    assert ALLOWED in ask(CORSMiddleware(calling, **POLICY), scope_of())[0]["headers"]


def test_an_app_that_was_called_first_does_not_hide_the_one_inside() -> None:
    """As a gateway that asks another app who the caller is, and then hands the request on."""
    other = CORSMiddleware(Plain(), origins=OTHER, hosts="*")
    inside = CORSMiddleware(Plain(), **POLICY, expose_headers="X-Inner")

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        async def drop(message: Any) -> None:
            pass

        await other(scope_of(headers=[]), receive, drop)
        await inside(scope, receive, send)

    headers = ask(CORSMiddleware(gateway, **POLICY, expose_headers="X-Outer"), scope_of())[0]["headers"]
    assert (b"access-control-expose-headers", b"X-Inner") in headers
