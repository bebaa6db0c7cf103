"""Servers on plain sockets: what goes wrong below HTTP, or in the middle of a message."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from endpoint import ALLOW_HEADERS
from endpoint import ALLOW_METHODS
from endpoint import announce
from endpoint import APP
from endpoint import Endpoint
from endpoint import EXPOSE_HEADERS
from endpoint import failed
from endpoint import is_own_host
from endpoint import until_closed

closed = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fault = ""
    endpoint = Endpoint()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reset(self) -> None:
        """Drop the connection with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        origin = self.headers.get("Origin")
        if self.command == "OPTIONS":
            if self.fault == "raw-preflight-reset":
                return self.reset()
            if self.fault == "raw-preflight-closed":
                self.close_connection = True
                return None
            if self.fault == "raw-preflight-hang":
                closed.wait()
                return None
        if self.fault == "raw-post-closed" and self.command == "POST":
            self.close_connection = True
            return None
        if self.fault == "raw-list-crashes" and b"tools/list" in body:
            self.close_connection = True
            return None
        if self.fault == "raw-stream-limit" and self.command == "GET":
            self.send_response(503)
            self.send_header("Access-Control-Allow-Origin", APP)
            self.send_header("Vary", "Origin")
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"timeout")
            return None
        if self.fault in ("raw-stream-held", "raw-ok-late-event") and self.command == "GET":
            return self.late(6 if self.fault == "raw-stream-held" else 1)
        if self.fault == "raw-hang":
            closed.wait()
            return None
        if self.fault == "raw-2024-only" and self.command in ("GET", "POST"):
            return self.two_endpoints()
        if not is_own_host(self.headers.get("Host")):
            status, headers, data = failed(421, "Host not served")
        elif origin not in (None, APP):
            status, headers, data = failed(403, "Origin not allowed")
        elif self.command == "OPTIONS":
            status, headers, data = 204, {"Access-Control-Max-Age": "7200"}, b""
            headers |= {"Access-Control-Allow-Methods": ALLOW_METHODS, "Access-Control-Allow-Headers": ALLOW_HEADERS}
        elif self.path != "/mcp":
            status, headers, data = failed(404, "Not found")
        else:
            status, headers, data = self.endpoint.answer(self.command, self.headers, body)
        is_result = self.command == "POST" and status == 200
        length = len(data)
        if is_result and self.fault == "raw-short-body":
            length += 100
            self.close_connection = True
        if is_result and self.fault == "raw-cut-body":
            data = data[: len(data) // 2]
            length = len(data)
        if is_result and self.fault == "raw-length-letters":
            data = data.replace(b"Add two numbers.", "Zwei Größen übereinander zählen.".encode())
            data = data[: len(data.decode())]
            length = len(data)
        if is_result and self.fault == "raw-pretty-event":
            data = b"data: " + json.dumps(json.loads(data), indent=2).encode() + b"\n\n"
            length = len(data)
            headers["Content-Type"] = "text/event-stream"
        if is_result and self.fault == "raw-log-line":
            data = b"log: answering\n" + data
            length = len(data)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if origin == APP:
            self.send_header("Access-Control-Allow-Origin", APP)
            self.send_header("Access-Control-Expose-Headers", EXPOSE_HEADERS)
        self.send_header("Vary", "Origin")
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)
        return None

    def late(self, events: int) -> None:
        """A stream whose headers come at once, and all else with its end: a buffer that nobody flushes."""
        if self.headers.get("Origin") not in (None, APP) or not is_own_host(self.headers.get("Host")):
            return self.send_error(403)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", APP)
        self.send_header("Vary", "Origin")
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        closed.wait(2.5)
        self.wfile.write(b": ping\n\n" * events)
        return None

    def two_endpoints(self) -> None:
        """The transport of 2024: the stream names an endpoint for messages, which is not there."""
        self.send_response(200 if self.command == "GET" else 404)
        self.send_header("Access-Control-Allow-Origin", APP)
        self.send_header("Vary", "Origin")
        if self.command == "POST":
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"event: endpoint\ndata: /messages?session=1\n\n")
        self.wfile.flush()
        closed.wait()

    do_GET = do_POST = do_DELETE = do_OPTIONS = handle_one


class V6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def other_protocol(greeting: bytes) -> int:
    """A port where something else greets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            connection, _ = listener.accept()
            connection.sendall(greeting)
            threading.Thread(target=lambda c=connection: (c.recv(4096), c.close()), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    for fault in sys.argv[1:]:
        if fault == "raw-not-http":
            announce(fault, other_protocol(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n"))
            continue
        handler = type("Named", (Handler,), {"fault": fault, "endpoint": Endpoint()})
        server = (V6Server if "-v6-" in fault else ThreadingHTTPServer)(
            ("::1" if "-v6-" in fault else "127.0.0.1", 0), handler
        )
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        announce(fault, server.server_address[1])
    until_closed()


if __name__ == "__main__":
    main()
