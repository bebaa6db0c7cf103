"""``CORSMiddleware`` and ``wrap_wsgi``: the policy around WSGI applications, and the manners of WSGI (PEP 3333)."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.validate import validator

import pytest
from flask import current_app
from flask import Flask
from flask import request
from flask import Response
from pages import APP
from pages import EVIL
from pages import FROM_APP
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors import preflight_answered
from flask_mcp_cors import request_refused
from flask_mcp_cors.wsgi import routed_path

PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
SECURITY = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
]
ACTUAL = [
    ("access-control-allow-origin", APP),
    (
        "access-control-expose-headers",
        "DPoP-Nonce, MCP-Protocol-Version, Mcp-Session-Id, Retry-After, WWW-Authenticate",
    ),
]


class Plain:
    """A WSGI application that says hello and remembers its calls."""

    def __init__(self, status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()) -> None:
        self.status = status
        self.headers = [("Content-Type", "text/plain"), *headers]
        self.calls: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.calls.append(environ["REQUEST_METHOD"])
        start_response(self.status, [*self.headers])
        return [b"hello"]


@pytest.fixture
def plain() -> Plain:
    return Plain()


@pytest.fixture
def layer(plain: Plain) -> CORSMiddleware:
    return CORSMiddleware(plain, origins=APP)


def cors_headers(answer: Any) -> list[tuple[str, str]]:
    """The ``Access-Control-*`` headers, as often as they are there, with their lists in alphabetical order."""
    pairs = [(k.lower(), ", ".join(sorted(v.split(", ")))) for k, v in answer.headers]
    return sorted((name, value) for name, value in pairs if name.startswith("access-control-"))


def environ_of(path: str = "/", method: str = "GET", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return EnvironBuilder(path, method=method, headers=named).get_environ()


# The policy around any application


def test_a_preflight_is_answered_before_the_application(layer: CORSMiddleware, plain: Plain) -> None:
    answer = Client(layer).options("/mcp", headers=PREFLIGHT)
    assert (answer.status_code, answer.data, plain.calls) == (200, b"", [])
    assert "Content-Type" not in answer.headers
    assert [name for name, _ in cors_headers(answer)] == [
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-max-age",
    ]


def test_a_preflight_with_status_204_has_no_content_length(plain: Plain) -> None:
    layer = CORSMiddleware(plain, origins=APP, preflight_status=204)
    answer = Client(layer).options("/mcp", headers=PREFLIGHT)
    assert (answer.status, "Content-Length" in answer.headers) == ("204 NO CONTENT", False)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": APP}, {"Access-Control-Request-Method": "POST"}],
    ids=["nothing", "only-origin", "only-requested-method"],
)
def test_another_options_request_reaches_the_application(
    layer: CORSMiddleware, plain: Plain, headers: dict[str, str]
) -> None:
    assert Client(layer).options("/mcp", headers=headers).data == b"hello"
    assert plain.calls == ["OPTIONS"]


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "503 Service Unavailable"])
def test_every_response_of_the_application_is_readable(status: str) -> None:
    answer = Client(CORSMiddleware(Plain(status), origins=APP)).get("/mcp", headers=FROM_APP)
    assert (answer.status, cors_headers(answer)) == (status, ACTUAL)
    assert answer.headers["Vary"] == "Origin"
    assert {(k.lower(), v) for k, v in answer.headers}.issuperset(SECURITY)


def test_cors_headers_of_the_application_give_way() -> None:
    theirs = [("Access-Control-Allow-Origin", "*"), ("access-control-allow-credentials", "true"), ("Vary", "Origin")]
    answer = Client(CORSMiddleware(Plain(headers=theirs), origins=APP)).get("/mcp", headers=FROM_APP)
    assert cors_headers(answer) == ACTUAL
    assert answer.headers.getlist("Vary") == ["Origin"]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}],
    ids=["origin", "null", "no-cors"],
)
def test_a_foreign_request_never_reaches_the_application(
    layer: CORSMiddleware, plain: Plain, headers: dict[str, str]
) -> None:
    answer = Client(layer).get("/mcp", headers=headers)
    assert (answer.status_code, cors_headers(answer), plain.calls) == (403, [], [])


def test_a_foreign_head_request_is_refused_without_a_body(layer: CORSMiddleware) -> None:
    chunks, status, headers = run_wsgi_app(layer, environ_of(method="HEAD", Origin=EVIL))
    assert (status, b"".join(chunks)) == ("403 FORBIDDEN", b"")
    assert int(headers["Content-Length"]) > 0


def test_a_host_that_is_not_served_never_reaches_the_application(plain: Plain) -> None:
    layer = CORSMiddleware(plain, origins=APP, hosts="mcp.example.com")
    answer = Client(layer).get("/mcp", base_url="https://rebound.example")
    assert (answer.status_code, plain.calls) == (421, [])


def test_paths_are_those_that_the_application_is_asked_for(plain: Plain) -> None:
    client = Client(CORSMiddleware(plain, origins=APP, paths="/mcp"))
    assert cors_headers(client.get("/mcp", headers=FROM_APP)) == ACTUAL
    assert cors_headers(client.get("/other", headers=FROM_APP)) == []


def test_a_callable_policy_takes_a_werkzeug_request(plain: Plain) -> None:
    layer = CORSMiddleware(
        plain, origins=APP, policies={"/t/*": lambda req: CORSPolicy(origins=f"https://{req.path[3:]}.example.com")}
    )
    answer = Client(layer).get("/t/one", headers={"Origin": "https://one.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://one.example.com"


def test_wrap_wsgi_is_no_setting_of_the_middleware(plain: Plain) -> None:
    with pytest.raises(PolicyError, match="wrap_wsgi"):
        CORSMiddleware(plain, origins=APP, wrap_wsgi=True)  # type: ignore[call-arg]  # the mistake under test


# What a Flask app does not answer itself


def flask_app(**settings: Any) -> tuple[Flask, list[str]]:
    """An app with one view, and the list of the calls of that view."""
    app = Flask(__name__)
    calls: list[str] = []

    @app.route("/mcp", methods=["GET", "POST"])
    def mcp() -> str:
        calls.append(f"{request.scheme}://{request.host}")
        return "ok"

    MCPCors(app, **{"origins": APP, "wrap_wsgi": True, **settings})
    return app, calls


def test_wsgi_middleware_that_answers_in_place_of_flask_is_readable() -> None:
    app = Flask(__name__)
    app.wsgi_app = Plain("503 Service Unavailable")  # type: ignore[method-assign]  # as Flask documents it
    MCPCors(app, origins=APP, wrap_wsgi=True)
    answer = Client(app).post("/mcp", headers=FROM_APP)
    assert (answer.status_code, cors_headers(answer)) == (503, ACTUAL)


class Mounted:
    """A Flask app with another WSGI application mounted at ``/legacy``."""

    def __init__(self, **settings: Any) -> None:
        self.legacy = Plain()
        self.app = Flask(__name__)
        self.app.add_url_rule("/mcp", "mcp", lambda: "ok", methods=["GET", "POST"])
        self.app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]  # as Flask documents it
            self.app.wsgi_app, {"/legacy": self.legacy}
        )
        MCPCors(self.app, **{"origins": APP, "wrap_wsgi": True, **settings})
        self.client = Client(self.app)


@pytest.mark.parametrize("path", ["/mcp", "/legacy/mcp"])
def test_a_mounted_application_is_readable_like_the_app(path: str) -> None:
    answer = Mounted().client.post(path, headers=FROM_APP)
    assert (answer.status_code, cors_headers(answer)) == (200, ACTUAL)


def test_a_preflight_never_reaches_a_mounted_application() -> None:
    mounted = Mounted()
    answer = mounted.client.options("/legacy/mcp", headers=PREFLIGHT)
    assert (answer.status_code, answer.data, mounted.legacy.calls) == (200, b"", [])


@pytest.mark.parametrize("site", [{}, {"Sec-Fetch-Site": "cross-site"}], ids=["old-browser", "browser"])
def test_a_foreign_request_never_reaches_a_mounted_application(site: dict[str, str]) -> None:
    mounted = Mounted()
    answer = mounted.client.post("/legacy/mcp", headers={"Origin": EVIL, **site})
    assert (answer.status_code, mounted.legacy.calls) == (403, [])


def test_a_mounted_application_is_governed_by_its_whole_path() -> None:
    client = Mounted(paths="/legacy/**").client
    assert cors_headers(client.post("/legacy/mcp", headers=FROM_APP)) == ACTUAL
    assert cors_headers(client.post("/mcp", headers=FROM_APP)) == []


def test_an_app_mounted_with_its_own_extension_keeps_its_own_policy() -> None:
    inner, _ = flask_app(origins="https://inner.example.com")
    outer = Flask("outer")
    client = Client(DispatcherMiddleware(outer, {"/inner": inner}))
    answer = client.get("/inner/mcp", headers={"Origin": "https://inner.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://inner.example.com"


# Exceptions that Flask lets through


@pytest.fixture
def crashing() -> Flask:
    app, _ = flask_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.route("/crash")
    def crash() -> str:
        raise LookupError("nothing there")

    return app


def test_an_exception_that_flask_lets_through_is_a_readable_500_and_then_the_exception(crashing: Flask) -> None:
    chunks, status, headers = run_wsgi_app(crashing, environ_of("/crash", Origin=APP))
    assert (status, headers["Access-Control-Allow-Origin"]) == ("500 INTERNAL SERVER ERROR", APP)
    body = iter(chunks)
    assert next(body) == b"Internal Server Error"
    with pytest.raises(LookupError, match="nothing there"):
        next(body)


def test_an_exception_reaches_a_test_as_it_is(crashing: Flask) -> None:
    crashing.testing = True
    with pytest.raises(LookupError, match="nothing there"):
        crashing.test_client().get("/crash", headers=FROM_APP)


def test_an_exception_reaches_the_debugger_as_it_is(crashing: Flask) -> None:
    debugger = DebuggedApplication(crashing)
    answer = Client(debugger).get("/crash", headers=FROM_APP)
    assert (answer.status_code, "nothing there" in answer.text) == (500, True)


def test_a_head_request_to_a_crashing_view_has_no_body(crashing: Flask) -> None:
    started: list[str] = []
    body = crashing(environ_of("/crash", "HEAD", Origin=APP), lambda status, *rest: started.append(status))
    with pytest.raises(LookupError):
        next(iter(body))
    assert started == ["500 INTERNAL SERVER ERROR"]


def test_a_generator_that_fails_before_it_starts_a_response_is_a_readable_500() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        raise LookupError("nothing there")
        yield b""

    chunks, status, headers = run_wsgi_app(CORSMiddleware(application, origins=APP), environ_of(Origin=APP))
    assert (status, headers["Access-Control-Allow-Origin"]) == ("500 INTERNAL SERVER ERROR", APP)
    with pytest.raises(LookupError):
        list(chunks)


def test_a_body_that_starts_the_response_late_needs_no_close() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        def produce(chunk: bytes) -> bytes:
            start_response("200 OK", [])
            return chunk

        return map(produce, [b"hello"])

    answer = Client(CORSMiddleware(application, origins=APP)).get("/mcp", headers=FROM_APP)
    assert (answer.text, cors_headers(answer)) == ("hello", ACTUAL)


# Layers around layers


def nested_flask() -> Any:
    app, _ = flask_app()
    return CORSMiddleware(app, origins=APP)


def nested_middleware() -> Any:
    return CORSMiddleware(CORSMiddleware(CORSMiddleware(Plain(), origins=APP), origins=APP), origins=APP)


NESTS = pytest.mark.parametrize("make", [nested_flask, nested_middleware], ids=["flask", "middleware"])


@NESTS
def test_nested_layers_set_each_header_once(make: Callable[[], Any]) -> None:
    answer = Client(make()).get("/mcp", headers=FROM_APP)
    assert (answer.status_code, cors_headers(answer)) == (200, ACTUAL)
    assert answer.headers.getlist("Vary") == ["Origin"]
    assert sorted((k.lower(), v) for k, v in answer.headers if k.lower() in dict(SECURITY)) == sorted(SECURITY)


@NESTS
def test_nested_layers_report_a_refusal_once(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    app = make()
    heard = []
    with (
        caplog.at_level(logging.WARNING, "flask_mcp_cors"),
        request_refused.connected_to(lambda s, **k: heard.append(k)),
    ):
        assert Client(app).post("/mcp", headers={"Origin": EVIL}).status_code == 403
    assert (caplog.text.count("refused: "), len(heard)) == (1, 1)


@NESTS
def test_nested_layers_signal_a_preflight_once(make: Callable[[], Any]) -> None:
    app = make()
    heard: list[object] = []
    with preflight_answered.connected_to(lambda sender, **facts: heard.append(facts)):
        assert Client(app).options("/mcp", headers=PREFLIGHT).status_code == 200
    assert len(heard) == 1


def test_each_layer_reports_what_it_would_have_refused(caplog: pytest.LogCaptureFixture) -> None:
    policy = CORSPolicy(origins=APP, validate_origin="report")
    layer = CORSMiddleware(CORSMiddleware(Plain(), policy), policy)
    with caplog.at_level(logging.WARNING, "flask_mcp_cors"):
        assert Client(layer).post("/mcp", headers={"Origin": EVIL}).status_code == 200
    assert caplog.text.count("would have been refused: ") == 2


@pytest.mark.parametrize("wrap", [True, False], ids=["wrap_wsgi", "hooks"])
def test_the_innermost_layer_that_judges_says_which_headers_there_are(wrap: bool) -> None:
    """It knows most: the view, its blueprint, the Host that the proxy saw."""
    app, _ = flask_app(expose_headers=["X-Inner"], wrap_wsgi=wrap)
    answer = Client(CORSMiddleware(app, origins=APP)).get("/mcp", headers=FROM_APP)
    assert answer.headers.getlist("Access-Control-Expose-Headers") == ["X-Inner"]


@pytest.mark.parametrize("inner", ["middleware", "wrap_wsgi", "hooks"])
def test_the_outer_one_of_two_doors_does_not_make_the_refusal_of_the_inner_one_readable(inner: str) -> None:
    application: Any = CORSMiddleware(Plain(), origins=APP)
    if inner != "middleware":
        application, _ = flask_app(wrap_wsgi=inner == "wrap_wsgi")
    client = Client(CORSMiddleware(application, origins=[APP, EVIL]))
    for _ in range(2):
        answer = client.post("/mcp", headers={"Origin": EVIL})
        assert (answer.status_code, cors_headers(answer)) == (403, [])


# Behind a proxy

#: What a proxy that ends TLS for https://mcp.example.com sends to the app behind it.
PROXIED: dict[str, Any] = {
    "base_url": "http://backend.internal:8000",
    "headers": {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "mcp.example.com"},
}


def proxied(origin: str | None = None, **headers: str) -> dict[str, Any]:
    own = {"Origin": origin} if origin else {}
    return {**PROXIED, "headers": {**PROXIED["headers"], **own, **headers}}


@pytest.fixture(params=["proxy-fix-inside", "proxy-fix-outside"])
def behind_proxy(request: pytest.FixtureRequest) -> tuple[Flask, list[str]]:
    app = Flask(__name__)
    calls: list[str] = []

    @app.route("/mcp", methods=["GET", "POST"])
    def mcp() -> str:
        calls.append("mcp")
        return "ok"

    def fix() -> None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]  # as Flask documents it

    if request.param == "proxy-fix-inside":
        fix()
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    if request.param == "proxy-fix-outside":
        fix()
    return app, calls


def test_the_host_is_the_one_that_the_proxy_saw(behind_proxy: tuple[Flask, list[str]]) -> None:
    app, calls = behind_proxy
    answer = Client(app).post("/mcp", **proxied(APP))
    assert (answer.status_code, cors_headers(answer), calls) == (200, ACTUAL, ["mcp"])


def test_the_apps_own_page_behind_the_proxy_is_same_origin(behind_proxy: tuple[Flask, list[str]]) -> None:
    app, calls = behind_proxy
    answer = Client(app).post("/mcp", **proxied("https://mcp.example.com"))
    assert (answer.status_code, cors_headers(answer), calls) == (200, [], ["mcp"])


def test_a_preflight_behind_the_proxy_is_answered(behind_proxy: tuple[Flask, list[str]]) -> None:
    app, calls = behind_proxy
    answer = Client(app).options("/mcp", **proxied(**PREFLIGHT))
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"], calls) == (200, APP, [])


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        pytest.param(EVIL, "mcp.example.com", 403, id="foreign-origin"),
        pytest.param("http://mcp.example.com", "mcp.example.com", 403, id="own-host-other-scheme"),
        pytest.param(APP, "rebound.example", 421, id="host-not-served"),
    ],
)
def test_what_is_refused_behind_the_proxy_never_reaches_the_view(
    behind_proxy: tuple[Flask, list[str]], origin: str, host: str, status: int
) -> None:
    app, calls = behind_proxy
    answer = Client(app).post("/mcp", **proxied(origin, **{"X-Forwarded-Host": host}))
    assert (answer.status_code, cors_headers(answer), calls) == (status, [], [])


# The manners of WSGI


class Body:
    """A response body that is made piece by piece, and tells what has become of it."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.made: list[bytes] = []
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.made.append(piece)
            yield piece

    def close(self) -> None:
        self.closed += 1


def starts_at_once(body: Body) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return body

    return application


def starts_late(body: Body) -> Any:
    """An application whose response starts only when its body is asked for: a generator."""

    class Late(Body):
        def __iter__(self) -> Iterator[bytes]:
            self.start_response("200 OK", [("Content-Type", "text/event-stream")])
            yield from body

        def close(self) -> None:
            body.close()

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        late = Late()
        late.start_response = start_response  # type: ignore[attr-defined]  # a function may have attributes
        return late

    return application


STARTS = pytest.mark.parametrize("start", [starts_at_once, starts_late], ids=["at-once", "late"])


@STARTS
def test_a_streamed_body_stays_streamed(start: Callable[[Body], Any]) -> None:
    body = Body(b"one", b"two")
    chunks, _, headers = run_wsgi_app(CORSMiddleware(start(body), origins=APP), environ_of(Origin=APP))
    assert headers["Access-Control-Allow-Origin"] == APP
    assert next(iter(chunks)) == b"one"
    assert body.made == [b"one"]


@STARTS
def test_a_body_is_closed_once_when_it_was_sent(start: Callable[[Body], Any]) -> None:
    body = Body(b"one", b"two")
    chunks, _, _ = run_wsgi_app(CORSMiddleware(start(body), origins=APP), environ_of(Origin=APP))
    assert b"".join(chunks) == b"onetwo"
    chunks.close()  # type: ignore[attr-defined]  # generators have close
    assert body.closed == 1


@STARTS
def test_a_body_is_closed_when_the_client_leaves_halfway(start: Callable[[Body], Any]) -> None:
    body = Body(b"one", b"two")
    chunks, _, _ = run_wsgi_app(CORSMiddleware(start(body), origins=APP), environ_of(Origin=APP))
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]  # generators have close
    assert (body.made, body.closed) == ([b"one"], 1)


@STARTS
def test_a_body_that_is_never_asked_for_is_closed(start: Callable[[Body], Any]) -> None:
    body = Body(b"one")
    answer: Any = CORSMiddleware(start(body), origins=APP)(environ_of(Origin=APP), lambda *args: lambda data: None)
    answer.close()
    assert (body.made, body.closed) == ([], 1)


@STARTS
def test_a_streamed_response_of_a_view_stays_streamed_under_wrap_wsgi(start: Callable[[Body], Any]) -> None:
    app, _ = flask_app()
    body = Body(b"one", b"two")
    app.add_url_rule("/events", "events", lambda: Response(body, mimetype="text/event-stream"))
    chunks, _, _ = run_wsgi_app(app, environ_of("/events", Origin=APP))
    assert next(iter(chunks)) == b"one"
    assert body.made == [b"one"]
    chunks.close()  # type: ignore[attr-defined]  # generators have close
    assert body.closed == 1


def serve(application: Any, environ: dict[str, Any]) -> tuple[str, str]:
    """What the standard library's WSGI server sends, and what it logs."""
    output, errors = io.BytesIO(), io.StringIO()
    SimpleHandler(io.BytesIO(), output, errors, environ).run(application)
    return output.getvalue().decode("latin-1"), errors.getvalue()


def test_what_goes_through_the_write_callable_is_sent() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written, ")
        return [b"returned"]

    sent, _ = serve(CORSMiddleware(application, origins=APP), environ_of(Origin=APP))
    head, _, body = sent.partition("\r\n\r\n")
    assert f"Access-Control-Allow-Origin: {APP}" in head.split("\r\n")
    assert body == "written, returned"


def test_an_error_page_takes_the_place_of_a_response_that_was_not_sent() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "yes")])
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    sent, _ = serve(CORSMiddleware(application, origins=APP), environ_of(Origin=APP))
    assert sent.startswith("Status: 500 ") or " 500 " in sent.partition("\r\n")[0]
    assert sent.count("Access-Control-Allow-Origin") == 1
    assert "X-First" not in sent


def test_an_error_page_after_the_head_was_sent_is_the_exception() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"half"
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"sorry"

    sent, errors = serve(CORSMiddleware(application, origins=APP), environ_of(Origin=APP))
    assert sent.endswith("half")
    assert "LookupError: nothing there" in errors


@STARTS
@pytest.mark.parametrize("pieces", [[b"secret", b"more"], []], ids=["body", "no-body"])
def test_an_application_in_flasks_place_is_not_asked_for_a_host_that_is_not_served(
    start: Callable[[Body], Any], pieces: list[bytes]
) -> None:
    body = Body(*pieces)
    app = Flask(__name__)
    app.wsgi_app = start(body)  # type: ignore[method-assign]  # as Flask documents it
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    answer = Client(app).get("/mcp", base_url="https://rebound.example", headers=FROM_APP)
    answer.close()
    assert (answer.status_code, answer.json["error"]["code"], body.closed) == (421, 421, 0)


def test_nothing_written_gets_out_for_a_host_that_is_not_served() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"secret")
        return [b"secret"]

    app = Flask(__name__)
    app.wsgi_app = application  # type: ignore[assignment]  # as Flask documents it
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    sent, _ = serve(app, {**environ_of(Origin=APP), "HTTP_HOST": "rebound.example"})
    assert "421" in sent.partition("\r\n")[0]
    assert "secret" not in sent


VALID = {
    "preflight": ("OPTIONS", PREFLIGHT),
    "allowed": ("GET", FROM_APP),
    "refused": ("POST", {"Origin": EVIL}),
    "refused-head": ("HEAD", {"Origin": EVIL}),
    "plain": ("GET", {}),
    "head": ("HEAD", FROM_APP),
    "delete": ("DELETE", FROM_APP),
}


@pytest.mark.parametrize("wrapped", ["middleware", "flask"])
@pytest.mark.parametrize("kind", VALID)
def test_wsgiref_finds_no_fault_on_either_side(wrapped: str, kind: str) -> None:
    """Where the status is not 204 it wants a ``Content-Type`` for an empty body too. HTTP does not, so 200 has none."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]

    if wrapped == "flask":
        app = Flask(__name__)
        app.wsgi_app = validator(application)  # type: ignore[method-assign]  # as Flask documents it
        MCPCors(app, origins=APP, wrap_wsgi=True, preflight_status=204)
        layer: Any = app
    else:
        layer = CORSMiddleware(validator(application), origins=APP, preflight_status=204)
    method, headers = VALID[kind]
    environ = EnvironBuilder("/mcp", method=method, headers=headers).get_environ()
    # The validator has its own view of these; werkzeug adds them for its debugger and its own parsers.
    environ = {k: v for k, v in environ.items() if not k.startswith("werkzeug.")}
    _, errors = serve(validator(layer), environ)
    assert errors == ""


# An extension inside


@pytest.fixture
def guarded_inside() -> Flask:
    app = Flask("inside", static_folder=None)
    app.add_url_rule("/mcp", view_func=lambda: "reached", endpoint="mcp", methods=["GET", "POST"])
    app.add_url_rule("/other", view_func=lambda: "reached", endpoint="other")
    return app


HOSTED: dict[str, Any] = {"origins": [APP], "hosts": ["mcp.example.com"]}
BEHIND_A_PROXY = {"X-Forwarded-Host": "mcp.example.com", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("headers", [{}, PREFLIGHT, {"Origin": "https://mcp.example.com"}], ids=["get", "pre", "own"])
@pytest.mark.parametrize("order", ["proxy-fix-first", "extension-first"])
def test_the_layer_judges_the_host_that_proxy_fix_has_set(
    guarded_inside: Flask, wrap: bool, headers: dict[str, str], order: str
) -> None:
    if order == "extension-first":
        MCPCors(guarded_inside, wrap_wsgi=wrap, **HOSTED)
    guarded_inside.wsgi_app = ProxyFix(guarded_inside.wsgi_app, x_host=1, x_proto=1)  # type: ignore[method-assign]  # as Flask documents it
    if order == "proxy-fix-first":
        MCPCors(guarded_inside, wrap_wsgi=wrap, **HOSTED)
    method = "OPTIONS" if headers is PREFLIGHT else "GET"
    asked = {"method": method, "base_url": "http://backend:8000"}
    assert Client(guarded_inside).open("/mcp", headers={**headers, **BEHIND_A_PROXY}, **asked).status_code == 200
    foreign = {**headers, "X-Forwarded-Host": "rebound.example"}
    assert Client(guarded_inside).open("/mcp", headers=foreign, **asked).status_code in (403, 421)


def test_a_proxy_fix_below_other_middleware_is_an_error_at_start(guarded_inside: Flask) -> None:
    hidden = ProxyFix(guarded_inside.wsgi_app, x_host=1)
    guarded_inside.wsgi_app = DispatcherMiddleware(hidden, {})  # type: ignore[method-assign]  # as Flask documents it
    with pytest.raises(RuntimeError, match=r"write app\.wsgi_app = ProxyFix\(app\.wsgi_app"):
        MCPCors(guarded_inside, wrap_wsgi=True, **HOSTED)
    assert "mcp_cors" not in guarded_inside.extensions
    assert guarded_inside.before_request_funcs == {}


@pytest.mark.parametrize("headers", [{"Origin": "https://mcp.example.com"}, {}])
def test_the_outer_one_of_two_doors_refuses_for_itself(guarded_inside: Flask, headers: dict[str, str]) -> None:
    """It knows the Host that the inner one serves as little as its own pages."""
    MCPCors(guarded_inside, origins=[APP], hosts=["mcp.example.com"])
    client = Client(CORSMiddleware(guarded_inside, origins=[APP], hosts=["other.example.com"]))
    answer = client.get("/mcp", headers=headers, base_url="https://mcp.example.com")
    assert answer.status_code == (403 if headers else 421)


def test_one_of_several_mounted_apps_is_not_the_app_inside(guarded_inside: Flask) -> None:
    MCPCors(guarded_inside, origins=[APP])
    plain = Plain()
    outer = CORSMiddleware(DispatcherMiddleware(guarded_inside, {"/plain": plain}), **HOSTED)
    assert Client(outer).get("/plain", base_url="https://rebound.example").status_code == 421
    assert plain.calls == []


@pytest.mark.parametrize("wrap", [False, True])
def test_a_path_that_is_not_governed_inside_keeps_the_outer_policy(guarded_inside: Flask, wrap: bool) -> None:
    cors = MCPCors(guarded_inside, origins=[APP], paths=["/mcp"], wrap_wsgi=wrap)
    guarded_inside.add_url_rule("/exempt", view_func=cors.exempt(lambda: "reached"), endpoint="exempt")
    client = Client(CORSMiddleware(guarded_inside, origins=[APP]))
    for path in ("/mcp", "/other", "/exempt"):
        assert client.options(path, headers=PREFLIGHT).headers["Access-Control-Allow-Origin"] == APP
        answer = client.get(path, headers=FROM_APP)
        assert (cors_headers(answer), answer.headers["Vary"]) == (ACTUAL, "Origin")


def test_a_mounted_app_that_does_not_govern_a_path_leaves_it_to_the_layer_around(guarded_inside: Flask) -> None:
    MCPCors(guarded_inside, origins=["https://inner.example.com"], paths=["/mcp"])
    outer = Flask("outer")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/in": guarded_inside})  # type: ignore[method-assign]  # as Flask documents it
    MCPCors(outer, origins=[APP], wrap_wsgi=True)
    client = outer.test_client()
    assert client.options("/in/other", headers=PREFLIGHT).headers["Access-Control-Allow-Origin"] == APP
    answer = client.get("/in/other", headers=FROM_APP)
    assert (answer.text, cors_headers(answer)) == ("reached", ACTUAL)


def test_an_exempt_view_under_its_own_layer_has_no_cors_headers(guarded_inside: Flask) -> None:
    cors = MCPCors(guarded_inside, origins=[APP], wrap_wsgi=True)
    guarded_inside.add_url_rule("/exempt", view_func=cors.exempt(lambda: "reached"), endpoint="exempt")
    assert cors_headers(guarded_inside.test_client().get("/exempt", headers=FROM_APP)) == []


def test_the_layer_and_the_hook_ask_a_callable_once(guarded_inside: Flask) -> None:
    asked: list[str] = []

    def choose(request: Any) -> None:
        asked.append("policy")

    def allow(origin: str) -> bool:
        asked.append("origin")
        return origin == APP

    MCPCors(guarded_inside, origins=allow, hosts="localhost", policies={"/other": choose}, wrap_wsgi=True)
    client = guarded_inside.test_client()
    for path, expected in (("/mcp", ["origin"]), ("/other", ["policy", "origin"])):
        for method, headers in (("GET", FROM_APP), ("OPTIONS", PREFLIGHT), ("GET", {"Origin": EVIL})):
            asked.clear()
            client.open(path, method=method, headers=headers)
            # A callable is asked about the other unsafelisted methods that the answer may list, too.
            listed = ["policy"] * 2 if (path, method) == ("/other", "OPTIONS") else []
            assert asked == [*listed, *expected], (path, method, headers)


def test_what_the_layer_has_foreseen_is_not_taken_where_proxy_fix_shows_another_host(guarded_inside: Flask) -> None:
    guarded_inside.wsgi_app = ProxyFix(guarded_inside.wsgi_app, x_host=1)  # type: ignore[method-assign]  # as Flask documents it
    MCPCors(guarded_inside, wrap_wsgi=True, **HOSTED)
    client = guarded_inside.test_client()
    asked = {"base_url": "https://mcp.example.com", "headers": {**FROM_APP, "X-Forwarded-Host": "rebound.example"}}
    assert client.get("/mcp", **asked).status_code == 421


# What is reported of a response from below Flask


@pytest.mark.parametrize("around", ["wrap_wsgi", "CORSMiddleware"])
def test_what_would_have_been_refused_is_reported_of_responses_from_below(
    around: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {"origins": [APP], "validate_origin": "report"}
    denied = Plain("401 UNAUTHORIZED")
    outer: Any
    if around == "wrap_wsgi":
        outer = Flask("below")
        outer.wsgi_app = denied
        MCPCors(outer, wrap_wsgi=True, **settings)
    else:
        outer = CORSMiddleware(denied, **settings)
    caplog.clear()
    assert Client(outer).get("/", headers={"Origin": EVIL}).status_code == 401
    assert [message.partition(":")[0] for message in caplog.messages] == ["would have been refused"]


# Converters that need the application's context


class Contextual(BaseConverter):
    """A converter that asks the app, as one that looks into a database does."""

    def to_python(self, value: str) -> str:
        if value == "broken":
            raise LookupError(value)
        return f"{current_app.name} {value}"


@pytest.fixture
def converting() -> Flask:
    app = Flask("converting")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.converters["contextual"] = Contextual
    cors = MCPCors(app, origins=APP, policies={"/asked/**": lambda request: None}, wrap_wsgi=True)
    view = cors.policy(origins="https://other.example")(lambda value: value)
    app.add_url_rule("/c/<contextual:value>", view_func=view, endpoint="c", methods=["GET", "POST"])
    app.add_url_rule("/asked/<contextual:value>", view_func=lambda value: value, endpoint="asked")
    return app


def test_a_converter_may_need_the_applications_context(converting: Flask) -> None:
    client = converting.test_client()
    other = {**PREFLIGHT, "Origin": "https://other.example"}
    assert client.options("/c/1", headers=other).headers["Access-Control-Allow-Origin"] == "https://other.example"
    assert client.options("/c/1", headers=PREFLIGHT).status_code == 403
    answer = client.get("/c/1", headers={"Origin": "https://other.example"})
    assert (answer.text, answer.headers["Access-Control-Allow-Origin"]) == ("converting 1", "https://other.example")
    assert client.get("/asked/1", headers=FROM_APP).text == "converting 1"
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/c/1", headers=embedded).status_code == 403


def test_a_converter_that_fails_is_an_error_of_the_app_that_an_allowed_page_can_read(
    converting: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = converting.test_client().get("/c/broken", headers=FROM_APP)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (500, APP)


def test_in_debug_mode_an_exception_is_the_debuggers(crashing: Flask) -> None:
    crashing.config["PROPAGATE_EXCEPTIONS"] = None
    crashing.debug = True
    with pytest.raises(LookupError, match="nothing there"):
        crashing.test_client().get("/crash", headers=FROM_APP)
    page = Client(DebuggedApplication(crashing)).get("/crash", headers=FROM_APP)
    assert (page.status_code, page.mimetype) == (500, "text/html")


@pytest.mark.parametrize("path", ["/.well-known/x", "/a/.well-known/openid-configuration/x", "/.well-known/jwks.json"])
def test_the_layer_judges_well_known_paths_though_no_hook_is_registered(path: str) -> None:
    app = Flask("layer", static_folder=None)
    MCPCors(app, origins=APP, hosts="mcp.example.com", wrap_wsgi=True)
    app.add_url_rule("/<path:rest>", view_func=lambda rest: "reached", endpoint="x", methods=["GET", "POST"])
    client = app.test_client()
    asked = {"base_url": "https://mcp.example.com", "headers": {"Origin": EVIL}}
    assert [client.open(path, method=method, **asked).status_code for method in ("GET", "POST")] == [403, 403]
    assert client.get(path, base_url="https://rebound.example").status_code == 421


def test_without_validation_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flask_mcp_cors")
    middleware = CORSMiddleware(Plain(), origins=APP, hosts="*", validate_origin=False)
    assert Client(middleware).get("/", headers={"Origin": EVIL}).status_code == 200
    assert caplog.records == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [(None, "/"), ("//a", "/a"), ("/Xa", "/Xa"), ("/\xc3\xa9", "/é"), ("/\xff", "/\ufffd"), ("/€", "/?")],
)
def test_a_path_is_decoded_once(path: str | None, expected: str) -> None:
    assert routed_path({} if path is None else {"PATH_INFO": path}) == expected


def test_a_status_without_a_phrase_gets_ok() -> None:
    layer = CORSMiddleware(Plain(), origins=APP, preflight_status=299)
    assert Client(layer).options("/", headers=PREFLIGHT).status == "299 OK"


def test_the_headers_of_an_answer_to_a_preflight() -> None:
    layer = CORSMiddleware(
        Plain(), origins=APP, security_headers=None, max_age=None, allow_methods=["PUT"], allow_headers=["X-A"]
    )
    answer = Client(layer).options("/", headers=PREFLIGHT)
    assert list(answer.headers) == [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Methods", "PUT"),
        ("Access-Control-Allow-Headers", "X-A"),
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("Content-Length", "0"),
    ]


def test_an_origins_callable_is_asked_once() -> None:
    asked: list[str] = []
    layer = CORSMiddleware(Plain(), origins=lambda origin: asked.append(origin) or True)
    assert Client(layer).get("/", headers=FROM_APP).text == "hello"
    assert asked == [APP]


def test_a_preflight_that_will_fail_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    layer = CORSMiddleware(Plain(), origins=APP)
    caplog.clear()
    with caplog.at_level(logging.INFO, "flask_mcp_cors"):
        Client(layer).options("/", headers={**PREFLIGHT, "Access-Control-Request-Headers": "x-evil"})
    assert caplog.messages == []


def test_the_body_of_a_started_response_is_handed_on_as_it_is() -> None:
    body = [b"itself"]

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return body

    environ = EnvironBuilder("/").get_environ()
    assert CORSMiddleware(application, origins=APP)(environ, lambda *args: print) is body


def test_a_crash_after_the_start_adds_nothing() -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"part"
        raise LookupError("late")

    chunks, status, _ = run_wsgi_app(CORSMiddleware(application, origins=APP), EnvironBuilder("/").get_environ())
    body = iter(chunks)
    assert (status, next(body)) == ("200 OK", b"part")
    with pytest.raises(LookupError, match="late"):
        next(body)


def test_a_crash_before_the_start_is_plain_text() -> None:
    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError("early")

    layer = CORSMiddleware(application, origins="*", security_headers=None, expose_headers=())
    _, status, headers = run_wsgi_app(layer, EnvironBuilder("/").get_environ())
    assert status == "500 INTERNAL SERVER ERROR"
    assert list(headers) == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "21"),
        ("Access-Control-Allow-Origin", "*"),
    ]


def test_an_exception_of_any_application_reaches_the_debugger() -> None:
    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError("for the debugger")

    page = Client(DebuggedApplication(CORSMiddleware(application, origins=APP), evalex=True)).get("/")
    assert (page.status_code, page.mimetype) == (500, "text/html")
    assert not page.text.startswith("Internal Server Error")


def test_the_middleware_is_the_sender_of_its_signals(caplog: pytest.LogCaptureFixture) -> None:
    layer = CORSMiddleware(Plain(), origins=APP, validate_origin="report")
    senders: list[Any] = []

    def receive(sender: Any, **about: Any) -> None:
        senders.append(sender)

    caplog.clear()
    with request_refused.connected_to(receive):
        Client(layer).get("/x", headers={"Origin": EVIL})
    assert senders == [layer]
    assert [message.partition(":")[0] for message in caplog.messages] == ["would have been refused"]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [("raise", "ZeroDivisionError"), (1, "TypeError: policies['/x'] returned int; return a CORSPolicy or None")],
)
def test_a_failed_callable_is_logged_with_its_pattern(
    caplog: pytest.LogCaptureFixture, returned: Any, expected: str
) -> None:
    hsts = {"strict_transport_security": "max-age=1"}
    choose = (lambda request: 1 / 0) if returned == "raise" else (lambda request: returned)
    layer = CORSMiddleware(Plain(), origins=APP, policies={"/x": choose}, security_headers=hsts)
    caplog.clear()
    secure = Client(layer).get("/x", base_url="https://localhost")
    assert [secure.status_code, "Strict-Transport-Security" in secure.headers] == [403, True]
    assert caplog.messages[0] == "policies['/x'] failed, so the request is refused"
    assert expected in caplog.text
    assert "Strict-Transport-Security" not in Client(layer).get("/x").headers


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
    layer = CORSMiddleware(Plain(), origins=APP, policies={"/x": {"max_age": 5}})
    assert Client(layer).open(path, method=method, headers={"Origin": EVIL}).status_code == 403
    assert advice in caplog.messages[-1]


def test_a_callable_policy_sees_the_headers_that_were_sent_and_each_method_that_the_answer_may_list() -> None:
    seen: list[tuple[str, str, str | None]] = []

    def choose(req: Any) -> None:
        seen.append((req.method, req.path, req.headers.get("Access-Control-Request-Method")))

    client = Client(CORSMiddleware(Plain(), origins=APP, policies={"/x": choose}))
    client.get("/x", headers=FROM_APP)
    assert seen == [("GET", "/x", None)]
    seen.clear()
    client.options("/x", headers=PREFLIGHT)
    assert seen == [("OPTIONS", "/x", "POST"), ("OPTIONS", "/x", "DELETE"), ("OPTIONS", "/x", "OPTIONS")]


@pytest.mark.parametrize(
    ("method", "path", "origin", "status"),
    [
        ("POST", "/.well-known/oauth-protected-resource", EVIL, 403),
        ("POST", "/.well-known/oauth-protected-resource", APP, 200),
        # The built-in policy for documents and that of /t both let it pass; that of /.well-known/** would not.
        ("GET", "/.well-known/oauth-protected-resource/../../t", "https://other.example", 200),
    ],
)
def test_a_callable_policy_is_asked_beside_discovery_documents(
    method: str, path: str, origin: str, status: int
) -> None:
    policies = {
        "/t": lambda req: CORSPolicy(origins=[APP, "https://other.example"]),
        "/.well-known/**": lambda req: CORSPolicy(origins=APP),
    }
    layer = CORSMiddleware(Plain(), origins=APP, policies=policies)
    environ = environ_of(method=method, Origin=origin) | {"PATH_INFO": path}
    assert run_wsgi_app(layer, environ)[1].startswith(str(status))


def test_where_middleware_in_between_drops_the_inner_headers_the_outer_ones_are_sent() -> None:
    inner = CORSMiddleware(Plain(), origins=APP, expose_headers="X-Inner")

    def dropping(environ: Any, start_response: Any) -> Iterable[bytes]:
        return inner(environ, lambda status, headers, *more: start_response(status, [("Content-Type", "text/plain")]))

    client = Client(CORSMiddleware(dropping, origins=APP, expose_headers="X-Outer"))
    assert client.get("/", headers=FROM_APP).headers["Access-Control-Expose-Headers"] == "X-Outer"


def test_the_decision_of_an_application_that_a_view_calls_is_none_of_the_door_around() -> None:
    other = CORSMiddleware(Plain(), origins="https://other.example")
    app = Flask("app")
    MCPCors(app, origins=APP, paths="/mcp")

    @app.route("/")
    def view() -> str:
        return run_wsgi_app(other, request.environ)[1]

    answer = Client(CORSMiddleware(app, origins=APP)).get("/", headers=FROM_APP)
    assert (answer.text, answer.headers["Access-Control-Allow-Origin"]) == ("403 FORBIDDEN", APP)


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 403)])
def test_dot_segments_below_a_callable_reach_a_discovery_document_with_its_methods_only(
    method: str, status: int
) -> None:
    layer = CORSMiddleware(Plain(), origins=APP, policies={"/t/**": lambda req: CORSPolicy(origins="*")})
    environ = environ_of(method=method, Origin=EVIL) | {"PATH_INFO": "/t/../.well-known/oauth-protected-resource"}
    assert run_wsgi_app(layer, environ)[1].startswith(str(status))


def test_an_answer_lists_no_method_that_another_policy_governs() -> None:
    layer = CORSMiddleware(Plain(), origins=APP, policies={"/.well-known/**": lambda req: None})
    answer = Client(layer).options("/.well-known/oauth-protected-resource", headers=PREFLIGHT)
    assert answer.headers["Access-Control-Allow-Methods"] == "POST, DELETE, OPTIONS"


def test_a_callable_is_not_asked_about_a_method_that_is_a_wildcard() -> None:
    asked: list[str] = []

    def choose(req: Any) -> CORSPolicy:
        asked.append(req.headers["Access-Control-Request-Method"])
        return CORSPolicy(origins=APP, allow_methods="*")

    layer = CORSMiddleware(Plain(), origins=APP, policies={"/x": choose})
    answer = Client(layer).options("/x", headers={**PREFLIGHT, "Access-Control-Request-Method": "PUT"})
    assert (answer.headers["Access-Control-Allow-Methods"], asked) == ("PUT", ["PUT"])


def test_an_answer_lists_no_method_for_which_a_callable_gives_another_policy() -> None:
    def choose(req: Any) -> CORSPolicy:
        announced = req.headers["Access-Control-Request-Method"]
        return CORSPolicy(origins=APP, max_age=5 if announced == "DELETE" else 10)

    layer = CORSMiddleware(Plain(), origins=APP, policies={"/x": choose})
    answer = Client(layer).options("/x", headers=PREFLIGHT)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
