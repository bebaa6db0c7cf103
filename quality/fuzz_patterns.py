"""Fuzz origin patterns: a text is refused with a reason, or covers what the oracle reads in it, and nothing else.

``python -m quality.fuzz_patterns --seconds 20``
"""

from __future__ import annotations

import sys

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError

from .fuzzing import main
from .fuzzing import Source
from .oracle import covers

SCHEMES = ("https://", "http://", "", "app://", "vscode-webview://", "ws://", "file://", "HTTPS://", "https:/", "//")
HOSTS = (
    "app.example.com",
    "*.example.com",
    "localhost",
    "*",
    "127.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "[::ffff:102:304]",
    "[1:0:0:2::3]",
    "*.*.example.com",
    "a.*.example.com",
    "*example.com",
    "example.com.",
    "*.example.com.",
    "a_b",
    "-",
    "xn--bcher-kva.example",
    "BÜCHER.example",
    "0x7f",
    "*.github.io",
    "null",
)
PORTS = ("", ":*", ":8080", ":443", ":80", ":0", ":65535", ":65536", ":080", ":", ":٣")
TAILS = ("", "", "", "", "/", "/a", "?a", "#a", " ", ",")
LABELS = ("a.", "evil-", "a.b.", "*.", ".", "_.", "x", "")


def target(source: Source) -> None:
    text = "".join(map(source.choose, (SCHEMES, HOSTS, PORTS, TAILS)))
    if source.choose((False, False, True)):
        at = source.choose(range(len(text) + 1))
        text = text[:at] + source.text()[:4] + text[at + source.choose((0, 1, 2)) :]
    try:
        policy = CORSPolicy(origins=[text], dangerously_allow_null=source.choose((False, True)))
    except PolicyError as error:
        assert error.problems and all(problem.message and problem.code for problem in error.problems)
        assert {problem.value for problem in error.problems} == {text}
        return
    # Near misses of the pattern itself, and another origin altogether.
    asked = text.replace("*.", source.choose(LABELS), 1).replace(":*", source.choose(PORTS))
    if source.choose((False, True)):
        at = source.choose(range(len(asked) + 1))
        asked = asked[:at] + source.text()[:3] + asked[at + source.choose((0, 1)) :]
    for value in (asked, "https://" + asked, "".join(map(source.choose, (SCHEMES, HOSTS, PORTS)))):
        decision = policy.actual(value)
        assert decision.allowed is covers(text, value), (text, value, decision.reason)
        preflight = policy.preflight(value, "GET")
        assert preflight.allowed is decision.allowed, (text, value)
        for name, header in preflight.headers:
            assert name.isascii() and header.isascii() and header.isprintable(), (text, value, header)


if __name__ == "__main__":
    sys.exit(main(target))
