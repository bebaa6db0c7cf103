"""The messages for a wrong configuration, word for word: ``messages.json`` beside this file.

Each message says what was written, why it is wrong, and what to write instead.
After a change of messages run ``python tests/core/test_messages.py --write``, and read the difference.
"""

import json
import pickle
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors.configure import configure
from flask_mcp_cors.core.patterns import parse_pattern
from flask_mcp_cors.core.problems import as_list
from flask_mcp_cors.core.problems import Invalid
from flask_mcp_cors.core.problems import PolicyProblem
from flask_mcp_cors.core.problems import shown
from flask_mcp_cors.core.problems import string_list
from flask_mcp_cors.core.settings import EXTENSION_SETTINGS
from flask_mcp_cors.core.settings import settings_from_config

FILE = Path(__file__).with_name("messages.json")
MESSAGES = json.loads(FILE.read_text(encoding="utf-8"))


def problems_of(row):
    """The problems of a row: its settings are keywords, its config is an ``app.config``."""
    with pytest.raises(PolicyError) as caught:
        configure(EXTENSION_SETTINGS, None, row.get("settings", {}), row.get("config"))
    return [str(problem) for problem in caught.value.problems]


def write():
    rows = [json.dumps({**row, "problems": problems_of(row)}, ensure_ascii=False) for row in MESSAGES]
    FILE.write_text("[\n  " + ",\n  ".join(rows) + "\n]\n", encoding="utf-8")


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: json.dumps(row.get("settings", row.get("config"))))
def test_the_words_of_each_fault(row):
    assert problems_of(row) == row["problems"]


async def later(origin):
    return True


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        (later, "origins_async", "must not be async: it runs for every request"),
        (
            re.compile("^https://a.example$"),
            "origin_regex",
            "this looks like a regular expression, which is not supported; write https://a.example, or pass a callable "
            "such as re.compile(…).fullmatch in place of all origins: it has to accept the others, too",
        ),
    ],
)
def test_the_words_of_faults_in_what_json_cannot_write(value, code, message):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(nonsense=1, origins=value)
    assert caught.value.problems[1:] == (PolicyProblem(code, "origins", value, message),)
    assert caught.value.problems[0].code == "unknown_setting"


def test_long_lists_and_values_are_cut():
    assert as_list("abcde") == '["a", "b", "c", "d", "e"]'
    assert as_list("abcdef") == '["a", "b", "c", "d", "e", …]'
    assert shown("x" * 118) == f"'{'x' * 118}'"
    assert shown("x" * 119) == f"'{'x' * 116}..."


def test_an_iterator_is_refused_by_name():
    problems, value = [], iter(["https://a.example"])
    assert string_list("origins", value, problems) == ()
    message = "list_iterator is the wrong type: it can be read once only; write a list"
    assert problems == [PolicyProblem("wrong_type", "origins", value, message)]


def test_the_text_of_the_error_is_one_line_a_problem():
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins="null", max_age=-1, preflight_status=300)
    first, *others = str(caught.value).splitlines()
    assert first == "3 problems in the CORS configuration:"
    assert others == [f"  - {problem}" for problem in caught.value.problems]


def test_one_problem_is_one_problem():
    with pytest.raises(PolicyError, match=r"^1 problem in the CORS configuration:\n  - max_age=-1: "):
        CORSPolicy(max_age=-1)


@pytest.mark.parametrize(("hours", "seconds"), [(1, 3600), (-1, 0), (48, 86400)])
def test_the_message_for_a_duration_has_its_seconds(hours, seconds):
    with pytest.raises(PolicyError, match=f"write a whole number of seconds, such as {seconds}, or None"):
        CORSPolicy(max_age=timedelta(hours=hours))


def test_a_refused_pattern_says_what_its_problem_says():
    with pytest.raises(Invalid, match=r"^remove the leading zero of the port; write https://a.example:80$"):
        parse_pattern("https://a.example:080")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"MCP_CORS_ORGINS": 1},
            "MCP_CORS_ORGINS (orgins)=1: unknown setting; did you mean MCP_CORS_ORIGINS? [unknown_setting]",
        ),
        (
            {"MCP_CORS_methods": "a"},
            "MCP_CORS_methods (methods)='a': unknown setting; write MCP_CORS_ALLOW_METHODS [unknown_setting]",
        ),
    ],
)
def test_a_key_is_named_as_it_was_written(config, expected):
    problems = []
    settings_from_config(config, problems)
    assert list(map(str, problems)) == [expected]


def test_a_problem_inside_a_value_names_the_key_of_the_whole():
    config = {
        "MCP_CORS_MAX_AGE": -1,
        "MCP_CORS_SECURITY_HEADERS": {"frame_options": ""},
        "MCP_CORS_POLICIES": {"/a": {"max_age": -1}},
        "MCP_CORS_HOSTS": "a b",
    }
    with pytest.raises(PolicyError) as caught:
        configure(EXTENSION_SETTINGS, None, {}, config)
    assert [(problem.key, problem.setting) for problem in caught.value.problems] == [
        ("MCP_CORS_MAX_AGE", "max_age"),
        ("MCP_CORS_SECURITY_HEADERS", "security_headers.frame_options"),
        ("MCP_CORS_HOSTS", "hosts"),
        ("MCP_CORS_POLICIES", "policies['/a'].max_age"),
    ]


def test_a_problem_is_the_five_fields_that_it_was_and_knows_its_place_in_a_list_besides():
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins=["https://app.example.com", "https://b.example/"])
    (problem,) = caught.value.located("policies['/x']").problems
    code, setting, value, _, key = problem
    assert (code, setting, value, key) == (
        "origin_trailing_slash",
        "policies['/x'].origins",
        "https://b.example/",
        None,
    )
    assert problem.member == pickle.loads(pickle.dumps(caught.value)).problems[0].member == 1
    assert "policies['/x'].origins[1]='https://b.example/': " in str(problem)


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()
