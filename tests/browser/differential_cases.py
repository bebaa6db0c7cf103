"""The cases of the differential test: some thought up, most drawn by a seeded generator, the same in every run.

Left out, because what differs there is not CORS:

- status 408, which makes Chromium repeat a request if the connection was used before;
- ``Range`` values with a plus sign or an empty member of the list, which Chromium's HTTP cache rewrites, too;
- a ``Location`` with the scheme ``filesystem:``, ``ws:`` or ``wss:``, which Chromium half knows, or ``ftp:``, which
  WebKit refuses with redirect 'manual', too;
- fetching ``about:blank`` with mode *no-cors*, which the browser answers by itself, as it answers ``data:``;
- ``Available-Dictionary``, which Chromium takes for its own and fails to fetch with;
- ``Cross-Origin-Resource-Policy: same-site``, where Chromium compares registrable domains: these servers have none;
- cookies of another site's server (``c``): whether they are kept is a setting of each browser's (a private window of
  Chromium refuses them, Firefox keeps them apart for each page, WebKit learns whom to refuse); and an empty
  ``Set-Cookie``, which WebKit sends back;
- responses that may be cached: :class:`Browser` has no HTTP cache, so no response here has a validator or an age.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

Case = dict[str, Any]
Headers = list[list[str]]

SEED = 20260728

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
ALLOW_CREDENTIALS = "Access-Control-Allow-Credentials"
ALLOW_METHODS = "Access-Control-Allow-Methods"
ALLOW_HEADERS = "Access-Control-Allow-Headers"
EXPOSE_HEADERS = "Access-Control-Expose-Headers"
MAX_AGE = "Access-Control-Max-Age"

OPEN: Headers = [[ALLOW_ORIGIN, "{origin}"], [ALLOW_CREDENTIALS, "true"]]
EVERY_HEADER = (
    "authorization, content-type, mcp-protocol-version, x-api-key, mcp-param-region, mcp-method, mcp-name, "
    "last-event-id, mcp-session-id, accept, accept-language, content-language, range, cache-control, x-a, x-b, x-c"
)
CONTENT: Headers = [
    ["Content-Type", "text/plain"],
    ["Mcp-Session-Id", "s1"],
    ["WWW-Authenticate", "Bearer"],
    ["X-A", "1"],
    ["X-B", "2"],
    ["X-A", "3"],
    ["Cache-Control", "no-store"],
    ["Content-Language", "en"],
    ["Expires", "0"],
    ["Pragma", "no-cache"],
    ["Retry-After", "1"],
    ["Set-Cookie", "hidden=1"],
]

METHODS = ["GET", "get", "POST", "Post", "HEAD", "PUT", "put", "DELETE", "delete", "PATCH", "patch", "Patch", "OPTIONS"]
METHODS += ["options", "CHICKEN", "chicken", "QUERY"]
CREDENTIALS = ["omit", "same-origin", "include"]

ALLOW_ORIGIN_VALUES: list[str | list[str] | None] = [
    "{origin}", "*", "null", "{origin}/", "{origin}, {origin}", "{origin},*", "{origin} *", "", " {origin} ",
    "https://wrong.example", "https://wrong.example:99999", "HTTP://WRONG.EXAMPLE", "wrong.example", "*.wrong.example",
    "https://*.wrong.example", "localhost:3000", "http://", "http:", "http:/x", "http:\\\\x", "http:///x", "http://[::1",
    "http://user@x", "http://a_b.example", "http://1.2.3.4.5", "http://256.256.256.256", "http://0x7f.1", "http://a..b",
    "http://x|y", "http://x:80a", "https://ex%20ample", "https://exa%mple", "file:///x", "data:x", "about:blank", "a:b",
    "1a:b", "//x", "/x", "'{origin}'", '"{origin}"', "<{origin}>", "{origin};", "chrome-extension://abc", "true", None,
    "é", "http://é.example", "http://Ã©.example", "http://x/\x7f",
    ["{origin}", "{origin}"], ["{origin}", "*"], ["*", "*"], ["", "{origin}"], ["{origin}", ""],
]  # fmt: skip
ALLOW_CREDENTIALS_VALUES: list[str | list[str] | None] = [
    "true", "true", "TRUE", "True", " true", "false", "", "1", "true,", "true, true", '"true"', None, ["true", "true"],
]  # fmt: skip
ALLOW_METHODS_VALUES: list[str | list[str] | None] = [
    "GET, POST, PUT, DELETE, PATCH, OPTIONS, patch, CHICKEN", "*", "*, PUT", "PUT, *", "put, delete", "PUT,DELETE", "",
    ",,PUT,,", " PUT ,\tDELETE", "PUT DELETE", "DELETE, P@T(", '"PUT"', "PUT;DELETE", "**", "PUT,", "Patch, query",
    "PÜT, PUT", None, ["PUT", "DELETE"], ["", "PUT"], ["P UT", "PUT"],
]  # fmt: skip
ALLOW_HEADERS_VALUES: list[str | list[str] | None] = [
    EVERY_HEADER, EVERY_HEADER.upper(), "*", "*, Authorization", "content-type, authorization", "authorization", "",
    ",, ,content-type,", "content type", "bad(, content-type", "\tcontent-type ,\tauthorization", '"x-a"', "x-a;x-b",
    "x-a,*", "**", "x-ä, x-a", None, ["x-a", "content-type"], ["", "x-a"], ["x-a", "b ad"], "x-a, x-b, x-c, range",
]  # fmt: skip
EXPOSE_HEADERS_VALUES: list[str | list[str] | None] = [
    "Mcp-Session-Id, WWW-Authenticate", "*", "*, X-A", "MCP-SESSION-ID , X-A", "Set-Cookie, X-A", "X-A,, ,X-B,", "",
    "X A", "X-A;X-B", '"X-A"', "X-A, B(AD", "access-control-allow-origin", "**", None, ["X-A", "X-B"], ["X-A", "B AD"],
]  # fmt: skip
MAX_AGE_VALUES: list[str | list[str] | None] = [
    None, "0", "1", "5", "600", "86400", "-1", "+5", "1.5", "0600", " 600 ", "600, 600", "", "abc", "600;", "0x10",
    "1e3", "9223372036854775807", "9223372036854775808", "-99999999999999999999", ["600", "600"], ["0", "600"],
]  # fmt: skip
REQUEST_HEADERS: list[Any] = [
    {},
    [["Accept", "a" * 100], ["Accept", "b" * 100]],
    [["Accept-Language", "en"], ["accept-language", "de"], ["X-B", "1"]],
    {"Content-Type": "application/json"},
    {"Content-Type": "text/plain;charset=utf-8"},
    {"Content-Type": 'text/plain; q="("'},
    {"Content-Type": "nonsense"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "text/plain; a=" + "b" * 114},
    {"Content-Type": "text/plain; a=" + "b" * 115},
    {"Authorization": "Bearer t"},
    {"Authorization": "Bearer t", "Content-Type": "application/json"},
    {"Authorization": "Bearer t", "Content-Type": "application/json", "MCP-Protocol-Version": "2026-07-28"},
    {"Mcp-Session-Id": "s", "Last-Event-ID": "7"},
    {"Mcp-Param-Region": "eu", "Mcp-Method": "tools/call", "Mcp-Name": "x"},
    {"X-A": "1", "x-b": "2", "X-C": "3"},
    {"X-A": "1", "x-a": "2"},
    {"Authorization": "", "X-A": "1"},
    {"*": "1"},
    {"X-API-Key": "k"},
    {"User-Agent": "me"},
    {"Cache-Control": "no-cache"},
    {"If-None-Match": "x", "X-C": "1"},
    {"X-Requested-With": "XMLHttpRequest", "Traceparent": "00-0-0-00", "X-A": "1", "Accept": "a{b}"},
    {"Accept": "a{b}"},
    {"Accept": "text/event-stream, application/json"},
    {"Accept": "a" * 128},
    {"Accept": "a" * 129},
    {"Accept-Language": "en-GB;q=0.8"},
    {"Accept-Language": "en_GB"},
    {"Content-Language": "é"},
    {"Range": "bytes=0-99"},
    {"Range": "bytes=5-2"},
    {"Range": "bytes=-99"},
    {"Range": "bytes=0-1,2-3"},
    {"Range": "bytes=99999999999999999999-"},
    {"Range": "Bytes=0-1"},
    {"Range": "bytes= 0-1"},
    {"Range": "bytes =\t007 - 010 "},
    {"Range": "BYTES=-05"},
    {"Range": "BYTES=5 -"},
    {"Range": "Bytes=5-4"},
    {"Range": "Bytes=-00"},
    {"Range": "Bytes=-"},
    {"Range": "Bytes=0-1,2-3"},
    {"Range": "Bytes=9223372036854775807-"},
    {"Range": "Bytes=0-9223372036854775808"},
    {"Range": "Bytes=0-1", "If-Match": "x"},
    {"Range": "Bytes=0-1", "Cache-Control": "no-cache"},
    {"X-A": 1, "X-B": True, "X-C": None},
    {"Content-Type": None, "Accept": False},
    {"DNT": "1", "Cookie": "a=b", "Host": "x", "Sec-Foo": "1", "Proxy-Foo": "1", "Referer": "x"},
    {"Access-Control-Request-Method": "PUT", "Set-Cookie": "a=b", "Accept-Encoding": "gzip", "Date": "x", "TE": "x"},
    {"X-HTTP-Method-Override": "TRACE"},
    {"X-HTTP-Method-Override": "PUT"},
    {"X-Method-Override": "GET, connect"},
    {"DPR": "1.5", "Save-Data": "on", "Width": "5"},
    {"DPR": "1.", "ECT": "4G"},
    {"Downlink": "10", "ECT": "slow-2g", "RTT": "5", "Viewport-Width": "9", "Device-Memory": "2", "Intervention": "("},
    {"x-a": "é"},
    {"x-a": "a\nb"},
    {"x-a": "\u0100"},
    {"a b": "1"},
    {"x-a-name-of-more-than-forty-eight-bytes-goes-round-the-hash-more-than-once": "1", "X-B": "1"},
    # 1,024 bytes of safelisted values are safe, 1,025 are not.
    {"Accept": "a" * 128, "Accept-Language": "b" * 128, "DPR": "1" * 128, "Downlink": "1" * 128, "Width": "1" * 128,
     "RTT": "1" * 128, "Content-Language": "c" * 128, "Viewport-Width": "1" * 128},
    {"Accept": "a" * 128, "Accept-Language": "b" * 128, "DPR": "1" * 128, "Downlink": "1" * 128, "Width": "1" * 128,
     "RTT": "1" * 128, "Content-Language": "c" * 128, "Viewport-Width": "1" * 128, "Device-Memory": "1", "X-B": "1"},
]  # fmt: skip
STATUSES = [200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 403, 404]
STATUSES += [405, 406, 407, 410, 418, 421, 429, 451, 500, 502, 503, 599, 700, 999]


def header(name: str, value: str | list[str] | None) -> Headers:
    """No line, one, or one for each."""
    values = [] if value is None else [value] if isinstance(value, str) else value
    return [[name, each] for each in values]


def step(method: str = "GET", headers: Any = None, url: str = "{a}/", **init: Any) -> dict[str, Any]:
    return {"url": url, "init": {"method": method, "headers": headers or {}, **init}}


def route(status: int, headers: Headers, preflight: Headers | None = None, preflight_status: int = 200) -> Case:
    """What is answered: to a preflight (if that is different) and to all else."""
    answer: Case = {"actual": {"status": status, "headers": headers}}
    if preflight is not None:
        answer["preflight"] = {"status": preflight_status, "headers": preflight}
    return answer


def everywhere(answer: Case) -> Case:
    return {"* *": answer}


def answer_of(case: Case, server: str, path: str, *, is_preflight: bool) -> Case:
    """What a server answers to a request for this path."""
    keys = (f"{server} {path}", f"{server} *", f"* {path}", "* *")
    found: Case = next(case["routes"][key] for key in keys if key in case["routes"])
    answer: Case = found["preflight" if is_preflight and "preflight" in found else "actual"]
    return answer


def fill_in(text: str, urls: dict[str, str], origin: str | None, case_id: str) -> str:
    """``{a}`` is the URL of this case on server *a*, ``{origin}`` what the request says."""
    for name, url in urls.items():
        here = f"{url}/case/{case_id}"
        text = text.replace(f"{{{name}}}", here)
        text = text.replace(f"{{{name}_with_credentials}}", here.replace("//", "//user:pw@", 1))
    return text.replace("{page_origin}", urls["page"]).replace("{origin}", origin or "")


def family(case_id: str) -> str:
    """The name of the function that made this case."""
    return case_id.rpartition("-")[0]


PREFLIGHT = OPEN + header(ALLOW_METHODS, "GET, PUT, DELETE") + header(ALLOW_HEADERS, EVERY_HEADER)


def one_header_at_a_time() -> Iterator[Case]:
    """Every value of each header by itself, the rest being as it should."""
    methods, names = header(ALLOW_METHODS, "PUT, DELETE"), header(ALLOW_HEADERS, "authorization, content-type, x-a")
    for credentials in ("omit", "include"):
        for value in ALLOW_ORIGIN_VALUES:
            answer = header(ALLOW_ORIGIN, value) + header(ALLOW_CREDENTIALS, "true")
            yield {"routes": everywhere(route(200, answer)), "steps": [step(credentials=credentials)]}
            yield {
                "routes": everywhere(route(200, OPEN, answer + methods)),
                "steps": [step("PUT", credentials=credentials)],
            }
        for value in ALLOW_CREDENTIALS_VALUES:
            answer = header(ALLOW_ORIGIN, "{origin}") + header(ALLOW_CREDENTIALS, value)
            for preflight in (answer + methods, OPEN + methods):
                yield {
                    "routes": everywhere(route(200, answer, preflight)),
                    "steps": [step("PUT", credentials=credentials)],
                }
        for value, method in product(ALLOW_METHODS_VALUES, ("PUT", "delete", "patch", "PATCH", "Patch", "GET")):
            yield {
                "routes": everywhere(route(200, OPEN, OPEN + header(ALLOW_METHODS, value) + names)),
                "steps": [step(method, {"X-A": "1"}, credentials=credentials)],
            }
        for value, headers in product(ALLOW_HEADERS_VALUES, ({"Authorization": "b", "X-A": "1"}, {"x-b": "1"})):
            yield {
                "routes": everywhere(route(200, OPEN, OPEN + header(ALLOW_HEADERS, value))),
                "steps": [step("GET", headers, credentials=credentials)] * 2,
            }
        for value, url in product(EXPOSE_HEADERS_VALUES, ("{a}/", "{page}/")):
            yield {
                "routes": everywhere(route(200, OPEN + header(EXPOSE_HEADERS, value) + CONTENT)),
                "steps": [step(url=url, credentials=credentials)],
            }
    for headers in REQUEST_HEADERS:
        for method, url in (("GET", "{a}/"), ("POST", "{a}/"), ("POST", "{page}/")):
            for allowed in ("x-b", "*"):
                preflight = OPEN + header(ALLOW_HEADERS, allowed)
                body = {"body": "{}"} if method == "POST" else {}
                yield {"routes": everywhere(route(200, OPEN, preflight)), "steps": [step(method, headers, url, **body)]}
        yield {"routes": everywhere(route(200, [])), "steps": [step("POST", headers, mode="no-cors", body="x")]}


def statuses() -> Iterator[Case]:
    elsewhere = everywhere(route(200, OPEN))
    for status, location in product(STATUSES, (None, "", "{b}/elsewhere")):
        if location is not None and status not in (300, 301, 302, 303, 307, 308):
            continue
        more = header("Location", location)
        yield {
            "routes": everywhere(route(200, OPEN, PREFLIGHT + more, status)),
            "steps": [step("PUT", {"X-A": "1"}), step("PUT", {"X-A": "1"}, credentials="include")],
        }
        yield {"routes": everywhere(route(200, OPEN, more, status)), "steps": [step("PUT")]}
        for redirect, url, allowed in product(("follow", "manual", "error"), ("{a}/", "{page}/"), (OPEN, [])):
            if redirect == "follow" or location is not None or 300 < status < 309:
                routes = {"a *": route(status, allowed + more), "page *": route(status, more), **elsewhere}
                yield {"routes": routes, "steps": [step(url=url, redirect=redirect)]}


def random_servers(draw: random.Random, count: int) -> Iterator[Case]:
    """Any server with any request: mostly right in most respects, else nothing would get beyond the first check."""

    def mostly(usual: Any, values: list[Any], chance: float = 0.25) -> Any:
        return draw.choice(values) if draw.random() < chance else usual

    for _ in range(count):
        credentials = draw.choice(CREDENTIALS)
        usual_credentials = "true" if credentials == "include" or draw.random() < 0.3 else None
        preflight = (
            header(ALLOW_ORIGIN, mostly("{origin}", ALLOW_ORIGIN_VALUES, 0.1))
            + header(ALLOW_CREDENTIALS, mostly(usual_credentials, ALLOW_CREDENTIALS_VALUES, 0.1))
            + header(ALLOW_METHODS, mostly("GET, PUT, DELETE, PATCH, CHICKEN", ALLOW_METHODS_VALUES))
            + header(ALLOW_HEADERS, mostly(EVERY_HEADER, ALLOW_HEADERS_VALUES))
            + header(MAX_AGE, mostly(None, MAX_AGE_VALUES))
        )
        actual = (
            header(ALLOW_ORIGIN, mostly("{origin}", ALLOW_ORIGIN_VALUES, 0.1))
            + header(ALLOW_CREDENTIALS, mostly(usual_credentials, ALLOW_CREDENTIALS_VALUES, 0.1))
            + header(EXPOSE_HEADERS, mostly("Mcp-Session-Id, WWW-Authenticate", EXPOSE_HEADERS_VALUES))
            + CONTENT
        )
        method = draw.choice(METHODS)
        with_body = method.upper() not in ("GET", "HEAD") and draw.random() < 0.6
        answer = route(mostly(200, STATUSES), actual, preflight, mostly(200, STATUSES, 0.1))
        init = {"credentials": credentials, **({"body": "x"} if with_body else {})}
        yield {
            "routes": everywhere(answer),
            "steps": [step(method, draw.choice(REQUEST_HEADERS), draw.choice(["{a}/", "{b}/", "{c}/"]), **init)],
            "page": "sandboxed" if draw.random() < 0.15 else None,
        }


def caches(draw: random.Random, count: int) -> Iterator[Case]:
    """One URL, several requests in turn, and what the preflight before them allowed."""
    requests = [
        {},
        {"Content-Type": "application/json"},
        {"X-A": "1"},
        {"Authorization": "t"},
        {"Authorization": "t", "X-B": "1"},
    ]
    allow_headers = ["content-type", "content-type, x-a", "*", "*, authorization", EVERY_HEADER]
    for _ in range(count):
        preflight = (
            OPEN
            + header(ALLOW_METHODS, draw.choice(["PUT", "PUT, DELETE", "*", "*, PUT", "DELETE"]))
            + header(ALLOW_HEADERS, draw.choice(allow_headers))
            + header(MAX_AGE, draw.choice([None, "600", "0", "-1", "86400"]))
        )
        allowed = draw.choice([OPEN, OPEN, OPEN, []])
        steps = [
            step(
                draw.choice(["GET", "POST", "PUT", "DELETE"]),
                draw.choice(requests),
                draw.choice(["{a}/", "{a}/", "{a}/", "{a}/#f", "{a}/?q", "{b}/to-a"]),
                credentials=draw.choice(["omit", "omit", "same-origin", "include"]),
            )
            for _ in range(draw.randint(3, 7))
        ]
        routes = {"b /to-a": route(307, [*OPEN, ["Location", "{a}/"]], preflight)}
        routes |= everywhere(route(200, allowed, preflight))
        yield {"routes": routes, "steps": steps, "page": "sandboxed" if draw.random() < 0.2 else None}


def ages() -> Iterator[Case]:
    """How long an answer is kept, with real waiting: 1 second, 3.5, 6.5 and 9.5, so never near the end of its time."""
    for value in (None, "", "abc", "-1", "+2", "2", "8", "600", "99999999999999999999"):
        once = step("PUT", {"X-A": "1"})
        waits = [{**once, "wait": seconds} for seconds in (1, 2.5, 3, 3)]
        preflight = OPEN + header(ALLOW_METHODS, "PUT") + header(ALLOW_HEADERS, "x-a") + header(MAX_AGE, value)
        yield {"routes": everywhere(route(200, OPEN, preflight)), "steps": [once, *waits]}

    # The answer to X-B names X-A again, where * has to be asked for: is that kept for longer then?
    preflight = OPEN + header(ALLOW_METHODS, "PUT") + header(ALLOW_HEADERS, "x-a, *") + header(MAX_AGE, "4")
    waits = (("X-A", 0), ("X-B", 2), ("X-A", 3), ("X-A", 2))
    steps = [{**step("PUT", {name: "1"}), "wait": seconds} for name, seconds in waits]
    yield {"routes": everywhere(route(200, OPEN, preflight)), "steps": steps}


def redirects(draw: random.Random, count: int) -> Iterator[Case]:
    """One to three hops between four origins, one of them of another site."""
    requests: list[tuple[str, dict[str, str], str | None]] = [
        ("GET", {}, None),
        ("GET", {"X-A": "1"}, None),
        ("HEAD", {}, None),
        ("POST", {"Content-Type": "text/plain"}, "x"),
        ("POST", {"Content-Type": "application/json", "Authorization": "1"}, "{}"),
        ("PUT", {"Authorization": "1"}, "x"),
        ("DELETE", {}, None),
    ]
    preflight = OPEN + header(ALLOW_METHODS, "*, PUT, DELETE") + header(ALLOW_HEADERS, EVERY_HEADER)
    for _ in range(count):
        hops = draw.choices(["page", "a", "b", "c"], k=draw.choice([2, 2, 3, 3, 4]))
        routes = {}
        for number, (hop, target) in enumerate(zip(hops, [*hops[1:], None], strict=True)):
            allowed = draw.choice([OPEN] * 4 + [[[ALLOW_ORIGIN, "*"]], [[ALLOW_ORIGIN, "{page_origin}"]], []])
            status = draw.choice([301, 302, 303, 307, 308])
            answer = route(200, allowed, preflight)
            if target is not None:
                answer = route(status, [*allowed, ["Location", f"{{{target}}}/{number + 1}"]], preflight)
            routes[f"{hop} /{number}"] = answer
        mode = draw.choice(["cors"] * 6 + ["no-cors", "same-origin"])
        method, headers, body = draw.choice(requests[:4] if mode == "no-cors" else requests)
        init = {
            "mode": mode,
            "credentials": draw.choice(CREDENTIALS),
            "redirect": draw.choice(["follow"] * 8 + ["manual", "error"]),
            **({"body": body} if body else {}),
        }
        yield {
            "routes": routes,
            "steps": [step(method, headers, f"{{{hops[0]}}}/0", **init)],
            "page": "sandboxed" if draw.random() < 0.15 else None,
        }


def redirected_headers() -> Iterator[Case]:
    """Two redirects in turn, and what each leaves of the headers that the page set."""
    page_headers = {"Content-Type": "application/json", "Content-Language": "en", "Authorization": "1", "X-A": "1"}
    requests: list[tuple[str, dict[str, str], str]] = [
        ("POST", page_headers, "cors"),
        ("PUT", page_headers, "cors"),
        ("POST", page_headers, "same-origin"),
        ("POST", {"Content-Type": "text/plain", "Content-Language": "en"}, "no-cors"),
    ]
    for hops, statuses in product(("aaa", "abb", "ppp", "ppa", "pab", "apa"), product((302, 303, 307), repeat=2)):
        servers = [{"p": "page"}.get(hop, hop) for hop in hops]
        routes = {"* *": route(200, OPEN, PREFLIGHT)}
        for number, status in enumerate(statuses):
            more = [["Location", f"{{{servers[number + 1]}}}/{number + 1}"]]
            routes[f"{servers[number]} /{number}"] = route(status, OPEN + more, PREFLIGHT)
        for method, headers, mode in requests:
            if mode != "same-origin" or hops == "ppp":
                once = step(method, headers, f"{{{servers[0]}}}/0", mode=mode, body="x")
                yield {"routes": routes, "steps": [once]}


def misdirected() -> Iterator[Case]:
    """A request that is sent twice, and what the first answer leaves."""
    for method, url, credentials in product(("GET", "PUT"), ("{a}/", "{page}/"), CREDENTIALS):
        routes = everywhere(route(421, OPEN + CONTENT, PREFLIGHT, 421 if credentials == "omit" else 200))
        yield {"routes": routes, "steps": [step(method, {}, url, credentials=credentials)] * 2}


def unreachable() -> Iterator[Case]:
    """Nobody listens there."""
    for method, mode, first in product(("GET", "POST", "PUT"), ("cors", "no-cors"), ("closed", "page", "a")):
        if (method, mode) != ("PUT", "no-cors"):
            routes = {f"{first} /r": route(307, [*OPEN, ["Location", "{closed}/t"]], PREFLIGHT)}
            yield {"routes": routes, "steps": [step(method, url=f"{{{first}}}/r", mode=mode)]}


def ranges() -> Iterator[Case]:
    """Numbers around the limits of what engines compute with."""
    for number in (2**63 - 2, 2**63 - 1, 2**63, 2**64 - 1, 2**64):
        for value in (f"bytes={number}-", f"bytes=0-{number}", f"bytes={number}-{number}"):
            routes = everywhere(route(200, OPEN, PREFLIGHT))
            yield {"routes": routes, "steps": [step("GET", {"Range": value}), step("POST", {"Range": value})]}


def locations() -> Iterator[Case]:
    """Where a redirect can lead, and where it cannot."""
    values = [
        "t", "?q=1", "#f", "", "./../../t", "  {b}/t  ", "{b}/t#f", "{b}/t?x=y z", "{b}/é", "{b}/Ã©", "s//t",
        "{b}/a%2fb/../c", "{b}\\t", "//127.0.0.1:1/", "//x:99999/", "//[", "http://", "http:///", "http:t",
        "http:/t", "http://[::1/", "x:y", "http://user:pw@127.0.0.1:1/", "data:text/plain,hi", "javascript:1",
        "about:blank", "blob:http://x/y", "mailto:x", "file:///x", "{a}/loop", "{page}/t", "{page_with_credentials}/t",
        "{a_with_credentials}/t", "http://:@127.0.0.1:6000/", "http://127.0.0.1:6000/",
        "http://user:pw@127.0.0.1:6000/",
        ["t", "t"], ["t", "{b}/t"], ["", "t"], ["t", ""], "t, t",
    ]  # fmt: skip
    inits = (
        {},
        {"redirect": "manual"},
        {"redirect": "error"},
        {"method": "PUT", "headers": {"X-A": "1"}},
        {"mode": "no-cors"},
        {"mode": "same-origin"},
    )
    for value, server in product(values, ("page", "a")):
        for init in inits:
            routes = {
                f"{server} /r": route(302, OPEN + header("Location", value), PREFLIGHT),
                "a /loop": route(302, [*OPEN, ["Location", "{a}/loop"]], PREFLIGHT),
            }
            once = step(url=f"{{{server}}}/r#top")
            once["init"] |= init
            yield {"routes": routes | everywhere(route(200, OPEN, PREFLIGHT)), "steps": [once]}
    for value, status in product((["t", "t"], ["t", "{b}/t"]), (201, 300, 404)):
        routes = everywhere(route(200, OPEN, PREFLIGHT + header("Location", value), status))
        yield {"routes": routes, "steps": [step("PUT")]}
        yield {"routes": everywhere(route(status, OPEN + header("Location", value))), "steps": [step()]}


def cookies() -> Iterator[Case]:
    """Set by one response, sent by a later request, or not. A cookie's path is that of its case."""
    values = [
        "s=1", "s=1; SameSite=Lax", "s=1; SameSite=Strict", "s=1; SameSite=None; Secure", "s=1; SameSite=None", "s",
        "s=1; HttpOnly", "s=1; Path=/nowhere", "s=1; Max-Age=0", "s=1; Max-Age=60", "s=1; Domain=example.com", "=v",
        "s=1; Secure", "s=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "s=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        "s=1; SameSite=x", "s=1=2; Domain=127.0.0.1", "s=__Host-1", "=__Secure-s; Secure",
        "__Host-s=1; Secure", "__HOST-s=1; Secure; Path=/; Domain=localhost",
        "__Secure-s=1", "__Secure-s=1; Secure", "__sECURE-s=1; HttpOnly",
        "__Http-s=1; Secure", "__http-s=1; Secure; HttpOnly", "__Host-Http-s=1; Secure; HttpOnly",
    ]  # fmt: skip
    for value, first, then in product(values, ("page", "a"), ("page", "a", "c")):
        routes = {"* /set": route(200, [*OPEN, ["Set-Cookie", value]]), **everywhere(route(200, OPEN, PREFLIGHT))}
        steps = [step(url=f"{{{first}}}/set", credentials="include")]
        steps += [step("PUT", url=f"{{{then}}}/get", credentials=each) for each in CREDENTIALS]
        yield {"routes": routes, "steps": steps}
    # These are for the whole host, and so for the other cases, too, until they are taken back.
    values = [
        "__Host-s=1; Secure; Path=/", "__hOSt-s=1; Path=/; Secure; Domain=", "__Secure-s=1; Secure; Path=/",
        "__Host-s=1; Secure; Path=/; Domain=127.0.0.1", "__Host-s=1; Path=/", "__host-s; Secure; Path=/",
        "__Host-Http-s=1; Secure; Path=/", "__Host-Http-s=1; Secure; Path=/; HttpOnly",
    ]  # fmt: skip
    for value, server in product(values, ("page", "a")):
        routes = {
            "* /set": route(200, [*OPEN, ["Set-Cookie", value]]),
            "* /unset": route(200, [*OPEN, ["Set-Cookie", f"{value}; Max-Age=0"]]),
            **everywhere(route(200, OPEN)),
        }
        paths = ("/set", "/get", "/unset", "/get")
        yield {"routes": routes, "steps": [step(url=f"{{{server}}}{path}", credentials="include") for path in paths]}


def opaque_responses() -> Iterator[Case]:
    """Mode *no-cors*, and ``Cross-Origin-Resource-Policy``."""
    policies = [None, "same-origin", "cross-origin", "nonsense", "Same-Origin", ["same-origin", "same-origin"]]
    for policy, server, method in product(policies, ("page", "a", "c"), ("GET", "POST", "PUT")):
        more = header("Cross-Origin-Resource-Policy", policy)
        routes = everywhere(route(200, more + CONTENT))
        for credentials in ("omit", "include"):
            once = step(method, url=f"{{{server}}}/", mode="no-cors", credentials=credentials)
            yield {"routes": routes, "steps": [once]}
        yield {"routes": routes, "steps": [step(method, url=f"{{{server}}}/", mode="no-cors")], "page": "sandboxed"}
        cors = everywhere(route(200, more + OPEN, more + PREFLIGHT))
        yield {"routes": cors, "steps": [step(method, url=f"{{{server}}}/")]}
    for policy, (first, then) in product(policies, product(("page", "a", "c"), repeat=2)):
        more = header("Cross-Origin-Resource-Policy", policy)
        for on_redirect, on_response in ((more, []), ([], more)):
            routes = {f"{first} /r": route(302, [*on_redirect, ["Location", f"{{{then}}}/t"]])}
            routes |= everywhere(route(200, on_response))
            yield {"routes": routes, "steps": [step(url=f"{{{first}}}/r", mode="no-cors")]}


def arguments() -> Iterator[Case]:
    """What ``fetch()`` throws at before anything is sent, and what it makes of odd arguments."""
    server = everywhere(route(200, OPEN, PREFLIGHT))
    for method in ("TRACE", "trace", "CONNECT", "TRACK", "", "A B", "PÜT", *METHODS):
        yield {"routes": server, "steps": [step(method), step(method, mode="no-cors"), step(method, body="x")]}
    urls = [
        "http://user:pw@127.0.0.1:1/", "http://", "http://127.0.0.1:6000/", "http://[", "//x:99999", "ftp://x/",
        "mailto:x", "file:///x", "x:y", "javascript:1", "ws://x/", "{a_with_credentials}/", "http://@127.0.0.1:6000/",
        "http://:@127.0.0.1:6000/", "http://127.0.0.1:6000/#f", "http://127.0.0.1:0/",
    ]  # fmt: skip
    for url, mode in product(urls, ("cors", "no-cors", "same-origin")):
        yield {"routes": server, "steps": [step(url=url, mode=mode)]}
    bad_headers = [["a b", "x"], ["", "x"], ["é", "x"], ["\u0100", "x"], ["X-A", "\u0100"], ["X-A", "a\nb"]]
    bad_headers += [["X-A", "\0"], ["a b", "\u0100"], ["a b", "a\nb"], ["Cookie", "a\nb"], ["X-A", "\n a \r\n"]]
    for name, value in bad_headers:
        yield {"routes": server, "steps": [step("PUT", {name: value}), step("TRACE", {name: value})]}
    for mode, redirect in product(("cors", "no-cors", "same-origin"), ("follow", "manual", "error")):
        for url in ("{page}/", "{a}/#f"):
            yield {"routes": server, "steps": [step(url=url, mode=mode, redirect=redirect)]}
            yield {"routes": server, "steps": [step(url=url, mode=mode, redirect=redirect)], "page": "sandboxed"}


def mixed_content() -> Iterator[Case]:
    """A page that came over HTTPS, and what did not: on this machine, which may be as good as HTTPS, and elsewhere."""
    server = everywhere(route(200, OPEN, PREFLIGHT))
    urls = ["{insecure}/t", "{insecure}/t#f", "http://attacker.test:6000/", "http://user@attacker.test/", "{b}/t"]
    urls += ["{c}/t", "{local}/t", "{secure}/t", "ftp://x/"]
    for url, mode in product(urls, ("cors", "no-cors", "same-origin")):
        for method in ("GET", "PUT", "POST"):
            yield {"routes": server, "steps": [step(method, url=url, mode=mode)], "page": "secure"}
        if url == "ftp://x/":
            continue
        for first, method in product(("a", "secure"), ("GET", "POST")):
            routes = {f"{first} /r": route(307, [*OPEN, ["Location", url]], PREFLIGHT), **server}
            yield {"routes": routes, "steps": [step(method, url=f"{{{first}}}/r", mode=mode)], "page": "secure"}


def recorded() -> Iterator[Case]:
    """The cases of ``tests/vectors/chromium.json``."""
    vectors = Path(__file__).parent.parent / "vectors" / "chromium.json"
    for case in json.loads(vectors.read_text(encoding="utf-8")):
        steps = [{"url": "{a}/c", "init": step["request"]} for step in case["steps"]]
        yield {"routes": everywhere(case["server"]), "steps": steps}


def all_cases(seed: int = SEED) -> list[Case]:
    draw = random.Random(seed)
    cases: list[Case] = []
    for group in (
        one_header_at_a_time(),
        statuses(),
        random_servers(draw, 600),
        caches(draw, 150),
        ages(),
        redirects(draw, 300),
        locations(),
        cookies(),
        opaque_responses(),
        arguments(),
        mixed_content(),
        redirected_headers(),
        ranges(),
        misdirected(),
        recorded(),
        unreachable(),
    ):
        name = group.__name__  # type: ignore[attr-defined]
        # The steps share lists: a copy keeps one case's headers from being another's.
        cases += [json.loads(json.dumps({"id": f"{name}-{number}", **case})) for number, case in enumerate(group)]
    return cases
