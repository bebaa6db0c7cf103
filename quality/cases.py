"""Settings and the words of hostile requests, for fuzzing and soak."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site
from flask_mcp_cors.core.site import Site

from .oracle import answer_to
from .oracle import Question
from .oracle import summary

APP = "https://app.example.com"

SETTINGS: tuple[dict[str, Any], ...] = (
    {
        "origins": [APP, "https://*.example.org", "http://localhost:*", "https://*.example.net:*", "http://[::1]:8080"],
        "hosts": ["mcp.example.com", "*.mcp.example.com", "localhost:8000", "[::1]"],
    },
    {"origins": ["*"], "hosts": ["*"], "allow_methods": ["*"], "allow_headers": ["*", "Authorization"]},
    {
        "origins": [APP, "http://127.0.0.1:*"],
        "hosts": ["*"],
        "allow_credentials": True,
        "max_age": None,
        "preflight_status": 204,
        "expose_headers": [],
        "allow_headers": ["X-A", "X-B-*", "B-*"],
        "allow_methods": ["PUT", "PATCH"],
    },
    {"origins": [APP, "*.example.org"], "hosts": ["mcp.example.com"], "validate_origin": False},
    {
        "origins": ["vscode-webview://*", "chrome-extension://abc", "app://-"],
        "hosts": ["mcp.example.com:443"],
        "validate_origin": "report",
        "max_age": 0,
        "allow_methods": [],
        "allow_headers": [],
    },
)

# What most requests hold is there several times, so that most of them get past the first check.
ORIGINS = (
    *(APP,) * 8,
    "https://evil.example",
    "null",
    "file://",
    "",
    "https://a.example.org",
    "https://example.org",
    "https://evilexample.org",
    "https://a..example.org",
    "https://a_b.example.org",
    "https://-a.example.org",
    "https://a.example.org.",
    "https://a.example.org.evil.example",
    "https://a.example.net:65535",
    "https://a.example.net:65536",
    "https://a.example.net:443",
    "http://localhost:3000",
    "http://localhost",
    "http://localhost:03000",
    "http://localhost.evil.example:3000",
    "http://[::1]:8080",
    "http://[0:0:0:0:0:0:0:1]:8080",
    "http://127.0.0.1",
    "http://127.1",
    "http://0x7f.0.0.1",
    "https://user@app.example.com",
    "https://app.example.com\\@evil.example",
    "https://app.example.com%60.evil.example",
    "https://APP.example.com",
    "https://app.example.com/",
    f"{APP}, {APP}",
    f"{APP},https://evil.example",
    "https://mcp.example.com",
    "http://mcp.example.com",
    "http://evil.example",
    "http://app.localhost:8000",
    "http://192.168.0.9:8000",
    "http://127.0.0.9",
    "http://0.0.0.0:8000",
    "https://ａpp.example.com".encode().decode("latin-1"),
    "vscode-webview://0a1b",
    "vscode-webview://0a1b:1",
    "chrome-extension://abc",
    "app://-",
    "app://.",
    "vscode-webview://0A1B",
    "https://xn--bcher-kva.example.org",
    "https://xn--f.example.org",
    "a" * 5000,
)
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "BREW", "options", "TRACE")
ASKED_METHODS = ("POST", "GET", "PUT", "PATCH", "patch", "delete", "ELET", "TRACE", "", "*", "GET, POST", "a b", "\xe9")
HEADER_LISTS = (
    "authorization,content-type",
    "Authorization, MCP-Param-Region",
    "mcp-param-",
    "mcp-param-a,mcp-param-a",
    "x-evil",
    "*",
    "",
    ",, ,",
    "x-a\r\nset-cookie: a=b",
    "b-a, x-b-, x-b-1",
    ",".join(f"mcp-param-{n}" for n in range(100)),
    "mcp-param-" + "x" * 5000,
    "\xff\x00",
)
HOSTS = (
    *("mcp.example.com", "localhost:8000") * 12,
    "MCP.Example.Com:443",
    "mcp.example.com:8443",
    "a.mcp.example.com",
    "evil.example",
    "localhost:8000",
    "localhost",
    "127.0.0.1:5000",
    "127.0.0.1.nip.io",
    "[::1]",
    "[::1]:8080",
    "[::0]",
    "[::ffff:127.0.0.1]:8080",
    "0.0.0.0:8000",
    "app.localhost:8000",
    "192.168.0.9:8000",
    "1.2.3",
    "mcp.example.com:",
    "mcp.example.com:65536",
    "mcp.example.com,evil.example",
    "a b",
    "",
    "x" * 5000,
)
SITES = ("same-origin", "cross-site", "same-site", "none", "", "Same-Origin", "same-origin,same-origin")
DESTS = ("iframe", "embed", "document", "image", "empty", "")
MODES = ("cors", "no-cors", "navigate", "websocket", "")
SCHEMES = ("https", "http")

Choose = Callable[[Sequence[Any]], Any]
Text = Callable[[], str]


def question_from(choose: Choose, text: Text) -> Question:
    """A request made by a source of choices: mostly known words, here and there made-up text."""

    def one_of(words: Sequence[str], absent: int = 1) -> str | None:
        word = choose((*words, *(None,) * absent, *(...,) * 2))
        return text() if word is ... else word

    def spoiled(words: Sequence[str], absent: int = 1) -> str | None:
        word = one_of(words, absent)
        if word is None or choose((True,) * 7 + (False,)):
            return word
        at = choose(range(len(word) + 1))
        return word[:at] + text()[:3] + word[at + choose((0, 1)) :]

    return Question(
        method=choose(METHODS),
        scheme=choose(SCHEMES),
        host=spoiled(HOSTS),
        origin=spoiled(ORIGINS, 8),
        request_method=spoiled(ASKED_METHODS, 4),
        request_headers=spoiled(HEADER_LISTS, 4),
        fetch_site=one_of(SITES, 6),
        fetch_mode=one_of(MODES, 4),
        fetch_dest=one_of(DESTS, 6),
    )


def make_sites() -> list[tuple[Site, dict[str, Any]]]:
    """A site for each of the settings."""
    sites = []
    for settings in SETTINGS:
        policy = CORSPolicy(**{word: value for word, value in settings.items() if word != "hosts"})
        sites.append((make_site({"hosts": settings["hosts"]}, policy), settings))
    return sites


def facts_of(question: Question) -> Facts:
    return Facts(
        question.method,
        question.path,
        question.scheme,
        question.host,
        question.origin,
        question.request_method,
        question.request_headers,
        question.fetch_site,
        question.fetch_mode,
        question.fetch_dest,
    )


def compare(site: Site, settings: dict[str, Any], question: Question) -> None:
    """Ask both, and raise where they differ."""
    decision = site.decide(facts_of(question), site.default)
    given = summary(decision.status if decision.final else None, decision.headers)
    wanted = answer_to(question, settings)
    assert given == wanted, f"{question}\n{settings}\n given {given}\nwanted {wanted}"
