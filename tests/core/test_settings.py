"""What is read from ``app.config``, before it is checked."""

import pytest

from flask_mcp_cors.core.settings import settings_from_config


@pytest.mark.parametrize("text", ["a, b", "a,b", " a , b "])
def test_a_list_in_the_configuration_is_split_at_commas(text):
    assert settings_from_config({"MCP_CORS_ORIGINS": text}, [])[0] == {"origins": ["a", "b"]}


def test_a_string_of_another_setting_is_not_split():
    assert settings_from_config({"MCP_CORS_VALIDATE_ORIGIN": "a,b"}, [])[0] == {"validate_origin": "a,b"}


def test_every_fault_in_a_config_is_found_and_what_has_none_is_read():
    problems = []
    config = {"OTHER": 1, "MCP_CORS_ZZZ": 1, "MCP_CORS_MAX_AGE": '"5"', "MCP_CORS_PATHS": "/mcp"}
    assert settings_from_config(config, problems) == ({"paths": ["/mcp"]}, {"paths": "MCP_CORS_PATHS"})
    assert [(problem.code, problem.key) for problem in problems] == [
        ("unknown_setting", "MCP_CORS_ZZZ"),
        ("config_syntax", "MCP_CORS_MAX_AGE"),
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [(' ["a.example"]', ["a.example"]), ("[FD00::1]", ["[FD00::1]"]), ("[fd00::1]:80, a", ["[fd00::1]:80", "a"])],
)
def test_json_may_be_indented_and_an_address_in_brackets_is_not_json(text, read):
    assert settings_from_config({"MCP_CORS_HOSTS": text}, [])[0] == {"hosts": read}


@pytest.mark.parametrize(
    "text",
    ['"https://a.example', '(["https://a.example', "'[\"https://a.example\"]'", "'[\"https://a.example'"],
)
def test_the_members_of_a_broken_list_are_named_whole(text):
    problems = []
    assert settings_from_config({"MCP_CORS_ORIGINS": text}, problems)[0] == {"origins": ["https://a.example"]}
    assert problems[0].message.endswith('; write ["https://a.example"]')


def test_only_the_brackets_of_a_list_are_left_out():
    problems = []
    settings_from_config({"MCP_CORS_EXTRA_ALLOW_HEADERS": "(X-A, B-X)"}, problems)
    assert problems[0].message == 'a list is in square brackets; write ["X-A", "B-X"]'
