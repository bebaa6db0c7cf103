"""SecurityHeaders: what is sent, over which scheme, and what cannot be written."""

import copy
import pickle

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors import SecurityHeaders

DEFAULTS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
NONE = {"content_type_options": None, "frame_options": None, "referrer_policy": None}


def problems(**arguments):
    with pytest.raises(PolicyError) as caught:
        SecurityHeaders(**arguments)
    return [(problem.code, problem.setting) for problem in caught.value.problems]


def test_the_default_is_three_headers():
    assert SecurityHeaders().to_headers() == SecurityHeaders().to_headers(secure=True) == DEFAULTS


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("content_type_options", "X-Content-Type-Options"),
        ("frame_options", "X-Frame-Options"),
        ("referrer_policy", "Referrer-Policy"),
        ("content_security_policy", "Content-Security-Policy"),
        ("permissions_policy", "Permissions-Policy"),
        ("cross_origin_resource_policy", "Cross-Origin-Resource-Policy"),
        ("cache_control", "Cache-Control"),
    ],
)
def test_each_argument_is_one_header_over_any_scheme(argument, name):
    value = "SAMEORIGIN" if argument == "frame_options" else "a b"
    headers = SecurityHeaders(**{**NONE, argument: value})
    assert headers.to_headers() == headers.to_headers(secure=True) == ((name, value),)


def test_strict_transport_security_is_for_https_only():
    headers = SecurityHeaders(**NONE, strict_transport_security="max-age=1")
    assert headers.to_headers() == ()
    assert headers.to_headers(secure=True) == (("Strict-Transport-Security", "max-age=1"),)


def test_other_headers_come_last_and_cannot_be_changed_afterwards():
    other = {"X-Robots-Tag": "none"}
    headers = SecurityHeaders(other=other)
    other["X-Robots-Tag"] = "all"
    assert headers.to_headers() == (*DEFAULTS, ("X-Robots-Tag", "none"))
    with pytest.raises(TypeError):
        headers.other["X-Robots-Tag"] = "all"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(1, "wrong_type", id="number"),
        pytest.param("", "header_value_invalid", id="empty"),
        pytest.param(" DENY", "header_value_invalid", id="space-in-front"),
        pytest.param("DENY ", "header_value_invalid", id="space-behind"),
        pytest.param("DENY\r\nX-Evil: 1", "header_value_invalid", id="line-break"),
        pytest.param("DENY\x7f", "header_value_invalid", id="delete"),
        pytest.param("dény", "header_value_invalid", id="not-ascii"),
    ],
)
def test_an_invalid_header_value_is_refused(value, code):
    assert problems(frame_options=value) == [(code, "security_headers.frame_options")]
    assert problems(other={"X-A": value}) == [(code, "security_headers.other['X-A']")]


@pytest.mark.parametrize("value", ["ALLOW-FROM https://a.example", "None", "'DENY'", "SAMEORIGIN, DENY"])
def test_frame_options_that_browsers_ignore_are_refused(value):
    assert problems(frame_options=value) == [("header_value_invalid", "security_headers.frame_options")]
    assert SecurityHeaders(**{**NONE, "frame_options": "sameorigin"}).to_headers() == (
        ("X-Frame-Options", "sameorigin"),
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param(1, "header_name_invalid", id="number"),
        pytest.param("", "header_name_invalid", id="empty"),
        pytest.param("X A", "header_name_invalid", id="space"),
        pytest.param("X-A\r\n", "header_name_invalid", id="line-break"),
        pytest.param("vary", "header_name_prohibited", id="vary"),
        pytest.param("Set-Cookie", "header_name_prohibited", id="set-cookie"),
        pytest.param("Content-Type", "header_name_prohibited", id="content-type"),
        pytest.param("Content-Length", "header_name_prohibited", id="content-length"),
        pytest.param("Transfer-Encoding", "header_name_prohibited", id="transfer-encoding"),
        pytest.param("Connection", "header_name_prohibited", id="connection"),
        pytest.param("Access-Control-Allow-Origin", "header_name_prohibited", id="allow-origin"),
        pytest.param("access-control-allow-private-network", "header_name_prohibited", id="private-network"),
        pytest.param("x-frame-options", "header_name_prohibited", id="named"),
    ],
)
def test_a_name_that_is_set_elsewhere_is_refused(name, code):
    assert problems(other={name: "x"}) == [(code, "security_headers.other")]


def test_a_header_with_an_argument_of_its_own_says_which():
    with pytest.raises(PolicyError, match="write frame_options=…"):
        SecurityHeaders(other={"x-frame-options": "DENY"})


def test_other_is_a_mapping():
    assert problems(other=[("X-A", "1")]) == [("wrong_type", "security_headers.other")]


def test_every_problem_is_reported_at_once():
    assert [code for code, _ in problems(frame_options=1, referrer_policy="", other={"Vary": ""})] == [
        "wrong_type",
        "header_value_invalid",
        "header_value_invalid",
        "header_name_prohibited",
    ]


def test_it_is_compared_hashed_copied_and_pickled_by_value():
    made = SecurityHeaders(frame_options=None, strict_transport_security="max-age=1", other={"X-A": "1"})
    for same in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), SecurityHeaders(**made_of(made))):
        assert same == made
        assert hash(same) == hash(made)
    assert made != SecurityHeaders(frame_options=None, other={"X-A": "1"})
    assert hash(made) != hash(SecurityHeaders(frame_options=None, other={"X-A": "1"}))


def made_of(headers):
    return {
        "frame_options": headers.frame_options,
        "strict_transport_security": headers.strict_transport_security,
        "other": headers.other,
    }


class TestAsASetting:
    @pytest.mark.parametrize(
        "value",
        [
            SecurityHeaders(frame_options="SAMEORIGIN"),
            {"frame_options": "SAMEORIGIN"},
            pytest.param({"FRAME_OPTIONS": "SAMEORIGIN"}, id="as-the-environment-has-it"),
        ],
    )
    def test_it_is_an_instance_or_its_arguments(self, value):
        assert CORSPolicy(security_headers=value).security_headers == SecurityHeaders(frame_options="SAMEORIGIN")

    def test_none_is_none(self):
        decision = CORSPolicy(security_headers=None, origins="*", expose_headers=()).actual(None)
        assert decision.headers == (("Access-Control-Allow-Origin", "*"),)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            pytest.param("DENY", [("wrong_type", "security_headers")], id="string"),
            pytest.param({"frame": 1}, [("unknown_setting", "security_headers.frame")], id="unknown"),
            pytest.param({"frame_options": 1}, [("wrong_type", "security_headers.frame_options")], id="wrong-value"),
        ],
    )
    def test_anything_else_is_a_problem(self, value, expected):
        with pytest.raises(PolicyError) as caught:
            CORSPolicy(security_headers=value)
        assert [(problem.code, problem.setting) for problem in caught.value.problems] == expected

    def test_a_refusal_is_never_stored_whatever_cache_control_says(self):
        policy = CORSPolicy(security_headers=SecurityHeaders(cache_control="public"))
        headers = policy.actual("https://evil.example").headers
        assert [value for name, value in headers if name == "Cache-Control"] == ["no-store"]
