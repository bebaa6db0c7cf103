"""A network fault is one clear line; what the URL alone says is said; the command's exit status and streams."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner
from faulty_servers import behind
from faulty_servers import codes
from faulty_servers import examined
from faulty_servers import make_app
from faulty_servers import only_finding
from foreign_servers import free_port
from foreign_servers import ORIGIN
from foreign_servers import serving_wsgi
from werkzeug.wrappers import Response

from flask_mcp_cors.__main__ import cli
from flask_mcp_cors.cli.doctor import examine
from flask_mcp_cors.cli.doctor import probes
from flask_mcp_cors.cli.doctor import wire


@contextmanager
def answering(data: bytes, *, hold: float = 0.0) -> Iterator[str]:
    """A TCP server that sends the same bytes to everybody, and then closes, or holds the line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)
                    over.wait(hold)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            over.set()
            thread.join()


def test_nothing_listens() -> None:
    assert only_finding(examine(f"http://127.0.0.1:{free_port()}/mcp", [ORIGIN], timeout=2)) == "refused"


def test_a_name_that_does_not_exist() -> None:
    assert only_finding(examine("https://nowhere.invalid/mcp", [ORIGIN], timeout=2)) == "dns"


@pytest.mark.parametrize(
    ("data", "hold", "code"),
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", 0.0, "not_http", id="another protocol"),
        pytest.param(b"", 0.0, "closed", id="closes"),
        pytest.param(b"", 30.0, "timeout", id="silent"),
    ],
)
def test_what_is_no_http_server(data: bytes, hold: float, code: str) -> None:
    with answering(data, hold=hold) as url:
        start = time.monotonic()
        assert only_finding(examine(url, [ORIGIN], timeout=0.3)) == code
        assert time.monotonic() - start < 5


def test_tls_where_there_is_none() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert only_finding(examine(url.replace("http:", "https:"), [ORIGIN], timeout=2)) == "tls"


def test_a_server_that_trickles_cannot_hold_the_doctor_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def trickle(connection: socket.socket) -> None:
            with connection:
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=trickle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        start = time.monotonic()
        report = examine(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", [ORIGIN], timeout=0.5)
        assert only_finding(report) == "timeout"
        assert time.monotonic() - start < 8
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_what_no_browser_sends_at_all() -> None:
    report = examine("http://mcp.invalid/mcp", [ORIGIN], timeout=1)
    assert only_finding(report) == "dns"
    with serving_wsgi(make_app()) as url:
        port = url.rpartition(":")[2]
        report = examine(f"http://127.0.0.1:{port}/mcp", ["http://plain.example"], timeout=2)
        assert codes(report)["local_network_insecure"] == "warning"
    report = examine("http://127.0.0.1:6667/mcp", [ORIGIN], timeout=1)
    assert codes(report) == {"port_blocked": "error"}


def test_an_ipv6_address_and_a_url_without_scheme() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.removeprefix('http://')}/mcp", [ORIGIN], timeout=2)
        assert report.url == f"{url}/mcp"
        assert codes(report) == {}
    assert only_finding(examine(f"http://[::1]:{free_port()}/mcp", [ORIGIN], timeout=2)) in ("refused", "network")


def test_a_certificate_that_nobody_trusts() -> None:
    pytest.importorskip("cryptography", reason="pip install cryptography, for a certificate made on the spot")
    with serving_wsgi(make_app(), ssl_context="adhoc") as url:
        report = examine(f"{url.replace('http:', 'https:')}/mcp", [ORIGIN], timeout=3)
    assert only_finding(report) == "certificate"


def test_a_certificate_that_is_not_verified() -> None:
    pytest.importorskip("cryptography", reason="pip install cryptography, for a certificate made on the spot")
    with serving_wsgi(make_app(), ssl_context="adhoc") as url:
        result = run(f"{url.replace('http:', 'https:')}/mcp", "--origin", ORIGIN, "--insecure")
    assert result.exit_code == 0


def test_one_request_is_counted_in_the_singular() -> None:
    result = run(f"http://127.0.0.1:{free_port()}/mcp", "--origin", ORIGIN)
    assert result.stdout.rstrip().endswith("; 1 request")


def test_localhost_where_two_servers_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_listens", lambda address, port: True)
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', 'localhost')}/mcp", [ORIGIN], timeout=2)
    assert codes(report) == {"localhost_twice": "note"}


class Stranger(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(404)


class V6Server(HTTPServer):
    address_family = socket.AF_INET6


def test_a_name_that_does_not_resolve_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(wire, "RESOLVING", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: answered.wait(10) and [])
    assert not wire.is_local("mcp.example.com")
    answered.set()


def test_another_program_at_the_address_that_browsers_try_first() -> None:
    with serving_wsgi(make_app()) as url:
        other = V6Server(("::1", int(url.rpartition(":")[2])), Stranger)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            report = examine(f"{url.replace('127.0.0.1', 'localhost')}/mcp", [ORIGIN], timeout=2)
        finally:
            other.shutdown()
            other.server_close()
    assert codes(report)["localhost_twice"] == "error"
    assert any("another program: it answers POST initialize with 404" in f.sentence for f in report.findings)


def test_an_address_to_listen_on() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', '0.0.0.0')}/mcp", ["http://localhost:3000"], timeout=2)
    assert codes(report)["unspecified_address"] == "warning"


def test_mixed_content(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return original("127.0.0.1" if host == "mcp.example.com" else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving_wsgi(make_app(hosts="mcp.example.com")) as url:
        port = url.rpartition(":")[2]
        report = examine(f"http://mcp.example.com:{port}/mcp", [ORIGIN], timeout=2)
    assert codes(report)["mixed_content"] == "error"
    assert report.verdicts[ORIGIN, "2025-11-25"] == "cannot connect"


@pytest.mark.parametrize("engine", ["chromium", "firefox", "webkit"])
def test_an_https_page_may_call_loopback_but_not_in_safari_which_is_said_unasked(engine: Any) -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url}/mcp", [ORIGIN], timeout=2, browser=engine)
    may = engine != "webkit"
    assert (report.verdicts[ORIGIN, "2025-11-25"] == "connects", "mixed_content" in codes(report)) == (may, not may)
    (note,) = [finding for finding in report.findings if finding.code == "local_network_access"]
    assert note.sentence.endswith("(Local Network Access). Safari never lets an HTTPS page call http: URLs.")


def test_localhost_is_two_addresses() -> None:
    with serving_wsgi(make_app()) as url:
        report = examine(f"{url.replace('127.0.0.1', 'localhost')}/mcp", [ORIGIN], timeout=2)
    assert codes(report) == {"localhost_once": "note"}


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, ["doctor", *words], catch_exceptions=False)


def test_exit_status_and_streams() -> None:
    with serving_wsgi(make_app()) as url:
        good = run(f"{url}/mcp", "--origin", ORIGIN, "--timeout", "3")
        bad = run(f"{url}/mcp", "--origin", "https://other.example", "--timeout", "3")
        data = run(f"{url}/mcp", "--origin", ORIGIN, "--origin", "https://other.example", "--json")
    assert good.exit_code == 0
    assert good.stderr == ""  # progress is for terminals
    assert good.stdout.startswith("MCP endpoint ")
    assert "\x1b" not in good.output
    assert bad.exit_code == 1
    for line in (good.stdout + bad.stdout).splitlines():
        assert len(line) <= 80
    parsed = json.loads(data.stdout)
    assert parsed["healthy"] is False
    assert parsed["origins"][ORIGIN]["2025-11-25"] == "connects"
    assert {"code", "severity", "place", "sentence", "fix"} <= set(parsed["findings"][0])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["http://127.0.0.1:1/mcp"], "Missing option '--origin'"),
        (["ftp://x/mcp", "--origin", ORIGIN], "is not an http: or https: URL"),
        (["http://me:secret@x/mcp", "--origin", ORIGIN], "use --token"),
        (["http://x/mcp", "--origin", f"{ORIGIN}/"], "is not an origin as browsers write it"),
        (["http://x/mcp", "--origin", ORIGIN, "--header", "X-Tenant"], "write --header 'NAME: VALUE'"),
        (["http://x/mcp", "--origin", ORIGIN, "--cacert", __file__], "does not contain a certificate in PEM form"),
    ],
)
def test_wrong_arguments(words: list[str], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_it_needs_no_app() -> None:
    words = [sys.executable, "-m", "flask_mcp_cors", "doctor", f"http://127.0.0.1:{free_port()}/mcp"]
    done = subprocess.run([*words, "--origin", ORIGIN], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ERROR refused" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_hostile_server_cannot_write_to_the_terminal() -> None:
    evil = "\x1b[31mall is well\x07"
    report = examined(behind(lambda request: Response(evil, 403) if request.method == "OPTIONS" else None))
    assert "\x1b" not in report.to_text()
    assert "\x07" not in report.to_text()
