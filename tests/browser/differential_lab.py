"""The laboratory of the differential test: ill-behaved servers, and a page in a real Chromium that calls them.

A *case* is JSON: ``routes`` maps ``"server path"`` to what is answered there (``*`` is any), ``steps`` are the calls
of one page in turn, and ``sandboxed`` says that the page's origin is opaque. Nothing here knows what the right outcome
is.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import ConsoleMessage

Case = dict[str, Any]

#: The page whose origin is opaque, as that of a sandboxed frame.
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
    "Content-Length",
    "Cookie",
    "Authorization",
    "Accept",
    "Range",
    "Referer",
)


class Laboratory:
    """Servers on 127.0.0.1: ``page`` (where the page is), ``a`` and ``b``, and ``c``, which is ``b`` as *localhost*.

    They are different origins; ``c`` is also another site than the others.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.seen: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.servers = {name: _Server(self, name) for name in ("page", "a", "b")}
        self.urls = {name: f"http://127.0.0.1:{server.server_port}" for name, server in self.servers.items()}
        self.urls["c"] = f"http://localhost:{self.servers['b'].server_port}"

    def add(self, case: Case) -> None:
        self.cases[case["id"]] = case

    def fill_in(self, text: str, origin: str | None, case_id: str) -> str:
        """``{a}`` is the URL of this case on server *a*, ``{origin}`` what the request says."""
        for name, url in self.urls.items():
            text = text.replace("{" + name + "}", f"{url}/case/{case_id}")
        return text.replace("{page_origin}", self.urls["page"]).replace("{origin}", origin or "")

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, laboratory: Laboratory, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.laboratory = laboratory
        self.name = name

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
        except ConnectionError:
            self.close_connection = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(r"/case/([^/?]+)(/[^?]*)?(\?.*)?", self.path)
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
        server = "c" if self.server.name == "b" and host == "localhost" else self.server.name
        routes = case["routes"]
        route = routes.get(f"{server} {path}") or routes.get(f"{server} *") or routes["* *"]
        preflight = self.command == "OPTIONS" and "Access-Control-Request-Method" in self.headers
        answer = route["preflight" if preflight and "preflight" in route else "actual"]
        origin = self.headers.get("Origin")
        headers = [
            (name, self.server.laboratory.fill_in(value, origin, case_id)) for name, value in answer.get("headers", ())
        ]
        self.send(answer.get("status", 200), headers, answer.get("body", "hello").encode())

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        bodiless = status < 200 or status in (204, 205, 304)
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        if not bodiless:
            lines.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if not bodiless and self.command != "HEAD":
            self.wfile.write(body)
        if status < 200:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


#: Runs every case given to it, so many at once; the steps of one case run in turn.
SCRIPT = """
async ([cases, atOnce, base]) => {
  const results = {};
  const runCase = async (one) => {
    const steps = [];
    for (const step of one.steps) {
      if (step.wait) await new Promise((done) => setTimeout(done, step.wait * 1000));
      let outcome;
      try {
        const response = await fetch(step.url, step.init);
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
      outcome.seen = await (await fetch(`${base}/case/${one.id}/seen`)).json();
      steps.push(outcome);
    }
    results[one.id] = steps;
  };
  const queue = [...cases];
  const worker = async () => { while (queue.length) await runCase(queue.shift()); };
  await Promise.all(Array.from({length: atOnce}, worker));
  return results;
}
"""

_CONSOLE = re.compile(r"Access to fetch at ")


def run_in_chromium(chromium: Chromium, laboratory: Laboratory, cases: list[Case], at_once: int = 6) -> dict[str, Any]:
    """Every case's steps as the page saw them; ``console`` of a case are its lines about CORS, in order."""
    results: dict[str, Any] = {}
    for path in ("/", SANDBOXED):
        chosen = [case for case in cases if bool(case.get("sandboxed")) == (path == SANDBOXED)]
        results |= _run_on_page(chromium, laboratory, chosen, laboratory.urls["page"], path, at_once)
    return results


def _run_on_page(
    chromium: Chromium, laboratory: Laboratory, cases: list[Case], base: str, path: str, at_once: int
) -> dict[str, Any]:
    ready = []
    for case in cases:
        laboratory.add(case)
        steps = [{**step, "url": laboratory.fill_in(step["url"], None, case["id"])} for step in case["steps"]]
        ready.append({"id": case["id"], "steps": steps})
    console: dict[str, list[str]] = defaultdict(list)

    def listen(message: ConsoleMessage) -> None:
        if _CONSOLE.match(message.text):
            # The last URL named is the one that the case began with.
            found = re.findall(r"/case/([^/?'#]+)", message.text)
            console[found[-1]].append(message.text)

    # A fresh context has an empty cookie jar and an empty preflight cache.
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.on("console", listen)
        page.goto(base + path)
        outcomes = page.evaluate(SCRIPT, [ready, at_once, base])
        # Console lines come by another way than the result: a last one proves that all before it have come.
        with page.expect_console_message(lambda message: message.text == "the end"):
            page.evaluate("console.log('the end')")
    finally:
        context.close()
    return {case["id"]: {"steps": outcomes[case["id"]], "console": console[case["id"]]} for case in cases}
