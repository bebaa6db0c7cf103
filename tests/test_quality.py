"""The fuzz targets, the oracle and the soak of ``quality/``, for a moment: CI and whoever has time run them longer."""

import logging
import random
import sys
from pathlib import Path

import pytest
from pages import APP

sys.path.insert(0, str(Path(__file__).parent.parent))
pytest.importorskip("quality.oracle", reason="the tools are not here (an sdist's tests, say)")

from quality import fuzz_asgi
from quality import fuzz_paths
from quality import fuzz_patterns
from quality import fuzz_requests
from quality import fuzz_sites
from quality import soak
from quality.fuzzing import Source
from quality.oracle import answer_to
from quality.oracle import covers
from quality.oracle import most_specific
from quality.oracle import Question
from quality.oracle import serialized_ipv6

FUZZERS = [fuzz_asgi, fuzz_paths, fuzz_patterns, fuzz_requests, fuzz_sites]


@pytest.mark.parametrize("fuzz", FUZZERS, ids=lambda fuzz: fuzz.__name__)
def test_random_bytes_find_no_difference(fuzz):
    source = random.Random(20)
    for _ in range(500):
        fuzz.target(Source(source.randbytes(source.randrange(256))))


def test_a_short_soak_is_clean():
    figures = soak.Figures()
    log = logging.getLogger("flask_mcp_cors")
    watch = soak.Watch(figures)
    log.addHandler(watch)
    try:
        applications = soak.make_applications()
        figures.forged.clear()
        soak.run(1500, 3, 7, applications, figures)
    finally:
        log.removeHandler(watch)
    assert (figures.differences, figures.exceptions, figures.forged) == ([], [], [])
    assert figures.answers.total() == 1500
    assert len(figures.answers) > 4


class TestOracle:
    """The oracle says what the contract says, in a few plain cases: else two might err together."""

    @pytest.mark.parametrize(
        ("pattern", "origin", "covered"),
        [
            ("https://*.example.com", "https://a.example.com", True),
            ("https://*.example.com", "https://example.com", False),
            ("https://*.example.com", "https://evilexample.com", False),
            ("*.example.com", "https://a.example.com", True),
            ("*.example.com", "http://a.example.com", False),
            ("http://localhost:*", "http://localhost", True),
            ("http://localhost:*", "http://localhost:80", False),
            ("*", "null", True),
            ("*", "https://A.example", False),
            ("vscode-webview://*", "vscode-webview://0a", True),
        ],
    )
    def test_patterns(self, pattern, origin, covered):
        assert covers(pattern, origin) is covered

    @pytest.mark.parametrize(
        ("text", "serialized"),
        [
            ("::1", "::1"),
            ("0:0:1:0:0:0:0:1", "0:0:1::1"),
            ("1:0:2::3", "1:0:2::3"),
            ("::ffff:1.2.3.4", "::ffff:102:304"),
        ],
    )
    def test_addresses(self, text, serialized):
        assert serialized_ipv6(text) == serialized

    def test_paths(self):
        assert most_specific(["/**", "/a/*", "/a/b"], "/a/b") == ["/a/b"]
        assert most_specific(["/a"], "/b") == []

    @pytest.mark.parametrize(
        ("question", "status"),
        [
            (Question("POST", origin=APP), None),
            (Question("POST", origin="https://evil.example"), 403),
            (Question("OPTIONS", origin=APP, request_method="PUT"), 200),
            (Question("OPTIONS", origin=APP), None),
            (Question("POST", origin=APP, host="evil.example"), 421),
            (Question("GET", fetch_site="cross-site", fetch_mode="no-cors"), 403),
        ],
    )
    def test_answers(self, question, status):
        assert answer_to(question, {"origins": [APP], "hosts": ["mcp.example.com"]}).status == status
