"""The laboratory of the differential test: ill-behaved servers, and a page in a real browser that calls them.

A *case* is JSON: ``routes`` maps ``"server path"`` to what is answered there (``*`` is any), ``steps`` are the calls
of one page in turn, and ``page`` says which page it is, if not the usual one. Nothing here knows what the right
outcome is.
"""

from __future__ import annotations

import json
import queue
import re
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from differential_cases import answer_of
from differential_cases import Case
from differential_cases import fill_in
from engines import end_group
from engines import mini_browser
from engines import virtual_display
from engines import WARM_UP
from engines import webkit_environment
from serving import tls_context

from flask_mcp_cors.testing import HTTPTransport
from flask_mcp_cors.testing import NetworkRequest
from flask_mcp_cors.testing import NetworkResponse

if TYPE_CHECKING:
    from engines import Engine
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import ConsoleMessage
    from playwright.sync_api import Page

#: The path of the page whose origin is opaque, as that of a sandboxed frame.
SANDBOXED = "/sandboxed"

#: What a page can make a browser send, and a server can therefore see and compare.
SEEN = (
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Content-Type",
    "Content-Language",
    "Content-Length",
    "Cookie",
    "Authorization",
    "Accept",
    "Range",
    "Referer",
)


class Laboratory:
    """Servers on 127.0.0.1: ``page`` (where the page is), ``a`` and ``b``, and ``c``, which is ``b`` as *localhost*.

    They are different origins; ``c`` is also another site than the others, and so is ``local``, a name below
    *localhost*. ``secure`` has a page that comes over HTTPS, with a certificate that nobody has signed.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.batches: dict[str, list[Any]] = {}
        self.results: dict[str, queue.Queue[Any]] = defaultdict(queue.Queue)
        self.seen: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.servers = {name: _Server(self, name) for name in ("page", "a", "b", "secure")}
        self.urls = {name: f"http://127.0.0.1:{server.server_port}" for name, server in self.servers.items()}
        self.urls["c"] = f"http://localhost:{self.servers['b'].server_port}"
        self.urls["local"] = f"http://api.localhost:{self.servers['b'].server_port}"
        self.urls["secure"] = f"https://page.localhost:{self.servers['secure'].server_port}"
        # Bound, so that nobody else gets the port, but not listening, so that nobody gets through.
        self.closed = socket.socket()
        self.closed.bind(("127.0.0.1", 0))
        self.urls["closed"] = f"http://127.0.0.1:{self.closed.getsockname()[1]}"
        # Any other name of this machine is not trustworthy, and nothing but mixed content to a page over HTTPS.
        self.urls["insecure"] = f"http://attacker.test:{self.servers['b'].server_port}"

    def add(self, case: Case) -> None:
        self.cases[case["id"]] = case

    def home(self, kind: str | None) -> str:
        """The origin of the server that has the page of this kind."""
        return self.urls["secure" if kind == "secure" else "page"]

    def prepare(self, kind: str | None, cases: list[Case]) -> list[Any]:
        """What the script of the page of this kind is given."""
        ready = []
        for case in cases:
            self.add(case)
            steps = [{**step, "url": fill_in(step["url"], self.urls, None, case["id"])} for step in case["steps"]]
            ready.append({"id": case["id"], "steps": steps})
        return [ready, self.home(kind)]

    def complete(self, results: dict[str, Any]) -> dict[str, Any]:
        """With what the servers have seen of those steps whose page did not ask."""
        for case_id, steps in results.items():
            for step in steps:
                if "seen" not in step:
                    step["seen"] = self.seen.pop(case_id, [])
        return results

    @contextmanager
    def running(self) -> Iterator[Laboratory]:
        for server in self.servers.values():
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            for server in self.servers.values():
                server.shutdown()
                server.server_close()
            self.closed.close()


class LaboratoryTransport(HTTPTransport):
    """Finds the servers under all their names, as browsers do, and trusts them."""

    def __init__(self) -> None:
        super().__init__(timeout=20, context=ssl._create_unverified_context())

    def send(self, request: NetworkRequest) -> NetworkResponse:
        url = re.sub(r"(?<=//)(api\.localhost|page\.localhost|attacker\.test)(?=:)", "127.0.0.1", request.url)
        return super().send(replace(request, url=url))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, laboratory: Laboratory, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.laboratory = laboratory
        self.name = name
        self.kept = 0
        if name == "secure":
            # The handshake is left to the request's own thread: one that takes its time would stop the others.
            self.socket = tls_context().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        # HTTPServer would look up the host's name here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        # Any method, also those that have no do_… method.
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.answer()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(r"/case/([^/?]+)(/[^?]*)?(\?.*)?", self.path)
        if self.path.startswith("/keep"):
            self.keep()
            return
        if self.path.startswith("/run/"):
            self.run_batch()
            return
        if self.path.startswith("/results/"):
            self.server.laboratory.results[self.path.removeprefix("/results/")].put(json.loads(body))
            self.send(200, [("Access-Control-Allow-Origin", "*")], b"")
            return
        if found is None:
            headers = [("Content-Type", "text/html"), ("Cache-Control", "no-store")]
            if self.path == SANDBOXED:
                headers.append(("Content-Security-Policy", "sandbox allow-scripts"))
            self.send(200, headers, b"<!doctype html><title>page</title>")
            return
        case_id, path = found[1], found[2] or "/"
        if path == "/seen":
            seen = self.server.laboratory.seen.pop(case_id, [])
            headers = [("Access-Control-Allow-Origin", "*"), ("Cache-Control", "no-store")]
            self.send(200, headers, json.dumps(seen).encode())
            return
        entry = {
            "method": self.command,
            "server": self.headers["Host"],
            "path": self.path,
            "body": body.decode("latin-1"),
        }
        entry |= {name.lower(): ", ".join(values) for name in SEEN if (values := self.headers.get_all(name))}
        self.server.laboratory.seen[case_id].append(entry)
        case = self.server.laboratory.cases[case_id]
        host = self.headers["Host"].partition(":")[0]
        server = {"localhost": "c", "api.localhost": "local"}.get(host, self.server.name)
        is_preflight = self.command == "OPTIONS" and "Access-Control-Request-Method" in self.headers
        answer = answer_of(case, server, path, is_preflight=is_preflight)
        origin = self.headers.get("Origin")
        urls = self.server.laboratory.urls
        headers = [(name, fill_in(value, urls, origin, case_id)) for name, value in answer.get("headers", ())]
        self.send(answer.get("status", 200), headers, answer.get("body", "hello").encode())

    def keep(self) -> None:
        """For :data:`engines.WARM_UP`: how many preflights this has answered."""
        self.server.kept += self.command == "OPTIONS"
        headers = [("Origin", "*"), ("Methods", "PUT"), ("Headers", "x-warm")]
        lines = [(f"Access-Control-Allow-{name}", value) for name, value in headers]
        self.send(200, [*lines, ("Access-Control-Max-Age", "86400")], str(self.server.kept).encode())

    def run_batch(self) -> None:
        """A page that runs its cases by itself, for a browser that only opens URLs."""
        batch = self.path.removeprefix("/run/")
        given = json.dumps(self.server.laboratory.batches[batch]).replace("</", "<\\/")
        headers = [("Content-Type", "text/html"), ("Cache-Control", "no-store")]
        if batch.startswith("sandboxed"):
            headers.append(("Content-Security-Policy", "sandbox allow-scripts"))
        script = f"""<!doctype html><title>page</title><script>
            if (origin !== "null") history.replaceState(null, "", "/");
            ({SCRIPT})({given}).then((results) => fetch("/results/{batch}", {{
                method: "POST", body: JSON.stringify(results),
            }})).then(() => console.log("posted"));
            </script>"""
        self.send(200, headers, script.encode())

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        bodiless = status < 200 or status in (204, 205, 304)
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        if not bodiless:
            lines.append(f"Content-Length: {len(body)}")
        elif status == 205:
            # HTTP lets it have a body of no bytes. Without this line WebKit waits for the connection's end.
            lines.append("Content-Length: 0")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if not bodiless and self.command != "HEAD":
            self.wfile.write(body)
        if status < 200:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


#: Runs the cases given to it in turn, and those that wait beside them. Before each step it says on the console which it
#: is; those that wait say nothing, nor do they fail. The servers are asked what they have seen of a step where the case
#: has several, and after a failure: the engine's own lines are on the console by then. Else all that they have seen of
#: the case is of its one step.
SCRIPT = """
async ([cases, base]) => {
  const results = {};
  const waits = (one) => one.steps.some((step) => step.wait);
  const run = async (one) => {
    results[one.id] = [];
    for (const [number, step] of one.steps.entries()) {
      if (step.wait) await new Promise((done) => setTimeout(done, step.wait * 1000));
      if (!waits(one)) console.log(`step ${one.id} ${number}`);
      let outcome;
      const at = performance.now() / 1000;
      try {
        const response = await fetch(step.url, {...step.init, signal: AbortSignal.timeout(15000)});
        const headers = {};
        for (const [name, value] of response.headers) headers[name] = value;
        const text = await response.text().catch((error) => `${error}`);
        outcome = {
          outcome: "resolved", type: response.type, status: response.status, url: response.url,
          redirected: response.redirected, headers, text,
        };
      } catch (error) {
        outcome = {outcome: error.name, message: error.message};
      }
      outcome.at = at;
      if (one.steps.length > 1 || "message" in outcome) {
        outcome.seen = await (await fetch(`${base}/case/${one.id}/seen`)).json();
      }
      results[one.id].push(outcome);
    }
  };
  const beside = cases.filter(waits).map(run);
  for (const one of cases) if (!waits(one)) await run(one);
  await Promise.all(beside);
  console.log("the end");
  return results;
}
"""

#: What the console says besides: that there was an error of which another line says more, and of every status from 400.
_NOTHING_SPECIAL = re.compile(r"Failed to load resource: (net::ERR_FAILED$|the server responded with a status of)")


def _batches(cases: list[Case], at_once: int) -> list[tuple[str | None, list[Case]]]:
    """What is run at once, in a tab each: the cases of each kind of page, those of the usual one in several parts."""
    parts = {kind: [case for case in cases if case.get("page") == kind] for kind in (None, "sandboxed", "secure")}
    usual = parts.pop(None)
    batches = [(None, usual[number::at_once]) for number in range(at_once)]
    return [(kind, chosen) for kind, chosen in [*batches, *parts.items()] if chosen]


def run_in_chromium(chromium: Chromium, laboratory: Laboratory, cases: list[Case], at_once: int = 3) -> dict[str, Any]:
    """Every case's steps as the page saw them. ``console`` of a step that was rejected is what Chromium printed."""
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        tabs = []
        for kind, chosen in _batches(cases, at_once):
            # A fresh context has an empty cookie jar and an empty preflight cache.
            context = chromium.new_context(ignore_https_errors=True)
            stack.callback(context.close)
            tabs.append(_Tab(context.new_page(), laboratory, kind, chosen))
        for tab in tabs:
            results |= laboratory.complete(tab.results())
    return results


class _Tab:
    """One page and the cases that it runs, beginning at once."""

    def __init__(self, page: Page, laboratory: Laboratory, kind: str | None, cases: list[Case]) -> None:
        given = laboratory.prepare(kind, cases)
        self._page = page
        self._console: dict[str, list[str]] = defaultdict(list)
        self._step = ""
        # Nobody is there to answer when Chromium asks whether the page may call this machine.
        page.context.grant_permissions(["local-network-access"])
        page.goto(laboratory.home(kind) + (SANDBOXED if kind == "sandboxed" else "/"))
        page.on("console", self._listen)
        page.evaluate(f"(given) => {{ window.results = ({SCRIPT})(given); }}", given)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "log":
            self._step = message.text
            if message.text.startswith("step "):
                self._console[message.text] = []
        elif message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            text = message.text.strip()
            self._console[_step_of(f"{text} {message.location['url']}", self._step, self._console)].append(text)

    def results(self) -> dict[str, Any]:
        results: dict[str, Any] = self._page.evaluate("window.results")
        # Console lines come by another way than the result.
        while self._step != "the end":
            self._page.wait_for_timeout(10)
        for case_id, steps in results.items():
            for number, step in enumerate(steps):
                if "message" in step:
                    step["console"] = self._said(f"step {case_id} {number}", step.pop("message"))
        return results

    def _said(self, step: str, message: str) -> str:
        lines = self._console[step]
        special = [line for line in lines if not _NOTHING_SPECIAL.match(line)]
        # Several of them would have to be told apart here.
        assert len(special) <= 1, (step, special)
        return special[0] if special else lines[0] if lines else message


def run_in_firefox(engine: Engine, laboratory: Laboratory, cases: list[Case], at_once: int = 3) -> dict[str, Any]:
    """The same in Firefox, whose preflight cache holds 100 answers: the cases that wait have it for themselves."""
    waiting = [case for case in cases if any(step.get("wait") for step in case["steps"])]
    others = [case for case in cases if case not in waiting]
    return _in_firefox(engine, laboratory, waiting, 1) | _in_firefox(engine, laboratory, others, at_once)


def _in_firefox(engine: Engine, laboratory: Laboratory, cases: list[Case], at_once: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    pages = []
    for kind, chosen in _batches(cases, at_once):
        page = engine.open(laboratory.home(kind) + (SANDBOXED if kind == "sandboxed" else "/"), fresh=True)
        for server in ("a", "b", "c"):
            page.evaluate(WARM_UP, laboratory.urls[server] + "/keep")
        page.console.clear()
        pages.append((page, laboratory.prepare(kind, chosen)))
    for page, given in pages:
        page.evaluate(f"(given) => {{ window.results = ({SCRIPT})(given); }}", given)
    for page, _ in pages:
        found = page.evaluate("() => window.results")
        _attribute(found, page.console)
        results |= laboratory.complete(found)
        page.close()
    return results


def run_in_webkit(laboratory: Laboratory, cases: list[Case], at_once: int = 2) -> dict[str, Any]:
    """The same in WebKit: MiniBrowsers that nobody drives, because only such a one prints its console."""
    results: dict[str, Any] = {}
    with (
        virtual_display() as display,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        ExitStack() as stack,
    ):
        logs = {}
        for kind, chosen in _batches(cases, at_once):
            batch = f"{kind or 'page'}-{len(laboratory.batches)}"
            laboratory.batches[batch] = laboratory.prepare(kind, chosen)
            logs[batch] = Path(home, f"{batch}.log")
            log = stack.enter_context(open(logs[batch], "w", encoding="utf-8"))
            process = subprocess.Popen(
                [
                    mini_browser(),
                    "--enable-write-console-messages-to-stdout=true",
                    "--ignore-tls-errors",
                    f"{laboratory.home(kind)}/run/{batch}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=webkit_environment(display, f"{home}/{batch}"),
            )
            stack.callback(end_group, process)
        for batch, log_path in logs.items():
            found = laboratory.results[batch].get(timeout=600)
            while "CONSOLE LOG posted" not in (said := log_path.read_text("utf-8", "replace")):
                time.sleep(0.05)
            _attribute(found, re.findall(r"^(?:\S+ )?CONSOLE (.+)$", said, re.MULTILINE))
            results |= laboratory.complete(found)
    return results


def _attribute(results: dict[str, Any], lines: list[str]) -> None:
    """Give every step that was rejected the console lines that came with it."""
    step = ""
    console: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if found := re.search(r"LOG (step \S+ \d+|the end)$", line):
            step = found[1]
            console[step] = []
        else:
            console[_step_of(line, step, console)].append(line)
    for case_id, steps in results.items():
        for number, outcome in enumerate(steps):
            if "message" in outcome:
                outcome["console"] = console[f"step {case_id} {number}"] or [outcome["message"]]
                outcome.pop("message")


def _step_of(line: str, current: str, begun: Iterable[str]) -> str:
    """Which step a line of the console is about: one that comes late, when the next case has begun, names its URL."""
    url = re.search(r"/case/([a-z_]+-[0-9]+)", line)
    if url is None or f" {url[1]} " in current:
        return current
    return next((step for step in reversed(list(begun)) if f" {url[1]} " in step), current)
