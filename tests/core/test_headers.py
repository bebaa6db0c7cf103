"""Header names and lists: how they are read, merged, and where reading stops."""

import pytest

from flask_mcp_cors.core.headers import merge_vary
from flask_mcp_cors.core.headers import parse_request_header_names
from flask_mcp_cors.core.headers import split_list


def test_4096_characters_of_asked_headers_are_read_and_no_more():
    fits = "x" * 4094 + ",y"
    assert parse_request_header_names(fits) == (["x" * 4094, "y"], True)
    assert parse_request_header_names(fits + "z") == (["x" * 4094], False)


def test_a_name_that_the_limit_cuts_is_dropped_and_those_before_it_are_not():
    assert parse_request_header_names("a,b," + "x" * 5000) == (["a", "b"], False)
    assert parse_request_header_names("x" * 5000) == ([], False)


@pytest.mark.parametrize(("count", "whole"), [(64, True), (65, False)])
def test_64_names_are_read_and_no_more(count, whole):
    names = [f"x{number}" for number in range(count)]
    assert parse_request_header_names(",".join(names)) == (names[:64], whole)


def test_only_space_and_tab_are_trimmed():
    assert list(split_list(" a\t,\tb ,\x0bc\x0b, \t,d")) == ["a", "b", "\x0bc\x0b", "d"]


def test_the_first_spelling_of_a_vary_name_stays():
    assert merge_vary(["COOKIE, Accept", "accept"], "cookie, Origin") == "COOKIE, Accept, Origin"
    assert merge_vary(["X-MAX, X-Tenant"], "Origin") == "X-MAX, X-Tenant, Origin"


def test_a_star_in_vary_stands_for_every_name():
    assert merge_vary(["Accept, *"], "Origin") == "*"
