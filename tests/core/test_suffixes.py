"""The public suffix list: below which names anybody can have one."""

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors.core.suffixes import covers_public_suffix


def test_a_trailing_dot_does_not_hide_a_public_suffix():
    assert covers_public_suffix("github.io.")
    assert covers_public_suffix("amazonaws.com.")
    assert not covers_public_suffix("example.com.")
    with pytest.raises(PolicyError, match="origin_public_suffix"):
        CORSPolicy(origins="https://*.github.io.")


def test_public_suffixes_need_the_dangerous_flag():
    policy = CORSPolicy(origins="https://*.github.io", dangerously_allow_public_suffixes=True)
    assert policy.actual("https://anyone.github.io").allowed


@pytest.mark.parametrize("pattern", ["https://*.internal", "http://*.localhost:*", "https://*.test", "tauri://*.app"])
def test_a_wildcard_below_a_name_that_is_no_public_suffix_is_accepted(pattern):
    assert CORSPolicy(origins=pattern).origins == (pattern,)
