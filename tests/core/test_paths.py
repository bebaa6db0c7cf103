"""Path patterns: which one wins, and what cannot slip past."""

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_mcp_cors.core.paths import overlap
from flask_mcp_cors.core.paths import path_fault
from flask_mcp_cors.core.paths import PathIndex
from flask_mcp_cors.core.paths import segments


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
        ("/a/**/a", ["/a/a", "/a/b/a"], ["/a"]),
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


@pytest.mark.parametrize(
    ("pattern", "write"),
    [
        ("mcp", "/mcp"),
        ("https://mcp.example.com/mcp", "/mcp"),
        ("", "starts with a slash"),
        ("/mcp*", "write /mcp, /servers/*/mcp or /api/**"),
        ("/***", "write /**"),
        ("/servers/<id>/mcp", "write /servers/*/mcp"),
        ("/servers/<int:id><x>/mcp", "write /servers/*/mcp"),
        ("/api/<path:rest>", "write /api/**"),
        ("/{id}/mcp", "write /*/mcp"),
        ("/:id/mcp", "write /*/mcp"),
        ("/mcp?x=1", "write /mcp"),
        ("/X?x=1", "write /X"),
        ("/mcp, /api", 'write ["/mcp", "/api"]'),
        ("/mcp,/api/<x>", 'write ["/mcp", "/api/*"]'),
        ("mcp, api", 'write ["/mcp", "/api"]'),
        ("/mcp;/api", 'write ["/mcp", "/api"]'),
        (" /mcp\n", "write /mcp"),
        ("/caf%C3%A9", "write /café"),
        ("/caf%c3%a9", "write /café"),
        ("/a%20b", "write /a b"),
        ("/a/../mcp", "write /mcp"),
        ("/./mcp", "write /mcp"),
        ("^/api", "a regular expression, which is not supported; write /api"),
        ("/api$", "a regular expression, which is not supported; write /api"),
        ("/api/.*", "a regular expression, which is not supported; write /api/**"),
        (r"^/api/.*$", "write /api/**"),
        (r"/v1\.0/(.*)", "write /v1.0/**"),
        (r"/v\d+/mcp", "write /mcp, /servers/*/mcp or /api/**"),
    ],
)
def test_a_pattern_that_means_nothing_says_what_to_write(pattern, write):
    assert write in path_fault(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "/",
        "/**",
        "/mcp",
        "/servers/*/mcp",
        "/api/**",
        "/café",
        "/a+b",
        "/a,b",
        "/a;v=1",
        "/100%",
        "/.well-known/x",
        "/v1/x:do",
        "/a:b",
        "/x.y/z",
        "/{",
        "/...",
    ],
)
def test_a_pattern_that_a_path_can_match_is_accepted(pattern):
    """Only what no path can match is refused."""
    assert path_fault(pattern) is None
    PathIndex({pattern: 1})


@given(st.text("/*.,;:{}<>%?#^$ \\a2F\n", max_size=12))
def test_what_is_advised_instead_of_a_path_is_accepted(pattern):
    """Nobody is sent from one error to the next."""
    advice = (path_fault(pattern) or "; write /mcp").partition("; write ")[2]
    if advice != "/mcp, /servers/*/mcp or /api/**":
        for meant in json.loads(advice) if advice.startswith("[") else [advice]:
            assert path_fault(meant) is None or meant in pattern


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ("/mcp", "/mcp", True),
        ("/mcp", "/mcp/x", False),
        ("/*", "/mcp", True),
        ("/*/b", "/a/*", True),
        ("/*/b", "/a/c", False),
        ("/**", "/", True),
        ("/api/**", "/api", True),
        ("/**/mcp", "/api/**", True),
        ("/**/mcp", "/api/*", True),
        ("/a/**/b", "/**/c", False),
        ("/a/**/b", "/a/b", True),
        ("/", "/*", False),
    ],
)
def test_patterns_overlap_where_one_path_matches_both(one, other, do):
    assert overlap(segments(one), segments(other)) is overlap(segments(other), segments(one)) is do


_PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=4)


@given(_PATTERNS, _PATTERNS, st.lists(st.sampled_from(["a", "b"]), max_size=4))
def test_patterns_that_match_one_path_overlap(one, other, path):
    indexes = [PathIndex({f"/{'/'.join(pattern)}": 1}) for pattern in (one, other)]
    if all(index.find(f"/{'/'.join(path)}") for index in indexes):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("patterns", "path", "winner"),
    [
        pytest.param(["/**/*/c", "/**/a/**"], "/a/*/c", "/**/a/**", id="a-star-in-the-path-is-no-wildcard"),
        pytest.param(["/**/a/*", "/**/b/**"], "/a/b", "/**/a/*", id="one-segment-before-any-number"),
        pytest.param(["/**/b/**", "/**/a/b"], "/a/b", "/**/a/b", id="a-name-before-any-number"),
    ],
)
def test_alternatives_are_compared_segment_by_segment(patterns, path, winner):
    assert PathIndex({pattern: pattern for pattern in patterns}).find(path) == winner


def test_the_values_of_patterns_are_never_compared():
    """Two patterns as specific as each other, with values that have no order."""
    values = object(), object()
    assert PathIndex(dict(zip(["/**/a/**", "/**/b/**"], values, strict=True))).find("/a/b") in values


@pytest.mark.parametrize("path", ["/servers/**", "/servers/*"])
def test_a_wildcard_in_the_path_is_a_name_like_any_other(path):
    """A tenant called ``**`` must not get from ``/servers/*`` to the policy of ``/servers/**``."""
    assert PathIndex({"/servers/*": "tenant", "/servers/**": "any"}).find(path) == "tenant"


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/admin/secret", "/**/admin/secret"),
        ("/admin/x", "/**/admin/**"),
        ("/admin/x/admin/secret", "/**/admin/secret"),
        ("/a/admin/admin/secret", "/**/admin/secret"),
        ("/admin/b/c", "/**/b/c"),
    ],
)
def test_a_path_cannot_choose_the_looser_pattern_by_saying_a_name_twice(path, winner):
    patterns = ["/**/admin/**", "/**/b/c", "/**/admin/secret", "/**"]
    for order in (patterns, patterns[::-1]):
        assert PathIndex({pattern: pattern for pattern in order}).find(path) == winner


def test_the_cost_of_a_long_path_does_not_grow_with_its_square():
    """Counted, not timed: how often a segment is looked up."""

    class Counted(str):
        __slots__ = ()
        hashed = 0

        def __hash__(self):
            type(self).hashed += 1
            return super().__hash__()

    class Path(str):
        __slots__ = ()

        def split(self, *args):
            return [Counted(part) for part in super().split(*args)]

    index = PathIndex({"/**/a/**/a/**/a/**/b": 1})
    assert index.find(Path("/a" * 5000)) is None
    assert Counted.hashed < 50 * 5000


def covers(pattern, parts):
    """Does a pattern cover a path? Both come as their segments; read slowly."""
    if not pattern:
        return not parts
    head, *rest = pattern
    if head == "**":
        return any(covers(rest, parts[i:]) for i in range(len(parts) + 1))
    return bool(parts) and head in ("*", parts[0]) and covers(rest, parts[1:])


@given(st.lists(st.text("ab/*.%", max_size=8), min_size=1, max_size=4), st.text("ab/.%", max_size=12))
def test_a_path_pattern_matches_what_a_slow_reading_of_it_says(texts, path):
    texts = [text for text in texts if all("*" not in s or s in ("*", "**") for s in segments(text))]
    found = PathIndex({text: text for text in texts}).find(path)
    assert (found is not None) is any(covers(segments(text), segments(path)) for text in texts)
    assert found is None or covers(segments(found), segments(path))


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=4).map("/".join),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.lists(st.sampled_from(["a", "b", "c", "*", "**"]), max_size=6),
)
def test_no_pattern_that_covers_the_path_is_more_specific_than_the_one_chosen(patterns, parts):
    def specificity(pattern):
        return [*({"*": 1, "**": 3}.get(segment, 0) for segment in pattern.split("/") if segment), 2]

    found = PathIndex({f"/{pattern}": pattern for pattern in patterns}).find("/" + "/".join(parts))
    covering = [pattern for pattern in patterns if covers(segments(pattern), parts)]
    assert (found is None) == (not covering)
    assert all(specificity(found) <= specificity(pattern) for pattern in covering)
