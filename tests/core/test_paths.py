"""Path patterns: which one wins, and what cannot slip past."""

from itertools import permutations

import pytest

from flask_mcp_cors.core.paths import path_fault
from flask_mcp_cors.core.paths import PathIndex


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/mcp", ["/mcp", "/mcp/", "//mcp", "/mcp//"], ["/", "/MCP", "/mcp/x", "/mcpx", "/x/mcp", "/%6dcp", "/mcp+"]),
        (
            "/servers/*/mcp",
            ["/servers/a/mcp", "/servers/*/mcp", "/servers/../mcp"],
            ["/servers/mcp", "/servers/a/b/mcp"],
        ),
        ("/api/**", ["/api", "/api/", "/api/a", "/api/a/b", "/api/**"], ["/apix", "/", "/a/api"]),
        ("/**/mcp", ["/mcp", "/a/mcp", "/a/b/mcp"], ["/mcp/a", "/"]),
        ("/a/**/b/**/c", ["/a/b/c", "/a/x/b/y/z/c", "/a/b/b/c/c"], ["/a/c", "/a/b", "/a/c/b"]),
        ("/", ["/", "//"], ["/a"]),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/a b/é", ["/a b/é"], ["/a%20b/é"]),
    ],
)
def test_a_pattern_covers_what_it_says(pattern, inside, outside):
    index = PathIndex({pattern: True})
    for path in inside:
        assert index.find(path) is True, path
    for path in outside:
        assert index.find(path) is None, path


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/api/x/mcp", "/api/x/mcp"),
        ("/api/y/mcp", "/api/*/mcp"),
        ("/api/x/z", "/api/x/**"),
        ("/api/y/z", "/api/**"),
        ("/other/mcp", "/**/mcp"),
        ("/other", "/**"),
    ],
)
def test_the_most_specific_pattern_wins_whatever_the_order(path, winner):
    patterns = ["/api/x/mcp", "/api/*/mcp", "/api/x/**", "/api/**", "/**/mcp", "/**"]
    for order in list(permutations(patterns))[::37]:
        assert PathIndex({p: p for p in order}).find(path) == winner


def test_a_long_hostile_path_is_no_work():
    index = PathIndex({"/**/a/**/a/**/a/**/b": 1})
    assert index.find("/a" * 5000) is None


@pytest.mark.parametrize(
    ("pattern", "write"),
    [
        ("mcp", "/mcp"),
        ("https://mcp.example.com/mcp", "/mcp"),
        ("", "starts with a slash"),
        ("/mcp*", "/servers/*/mcp"),
        ("/***", "/api/**"),
        ("/servers/<id>/mcp", "/servers/*/mcp"),
        ("/mcp?x=1", "/mcp"),
    ],
)
def test_a_pattern_that_means_nothing_says_what_to_write(pattern, write):
    assert write in path_fault(pattern)
