"""The policy as a value: what it refuses to be, how it is changed and compared."""

import pickle

import pytest
from pages import APP

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors import Reason


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"origins": []}, "origins_empty"),
        ({"origins": 3}, "wrong_type"),
        ({"origins": [APP, 3]}, "wrong_type"),
        ({"origins": b"https://a.example"}, "wrong_type"),
        ({"origins": {"a": 1}}, "wrong_type"),
        ({"origins": None}, "wrong_type"),
        ({"allow_methods": ["A B"]}, "method_invalid"),
        ({"allow_methods": "GET, POST"}, "method_invalid"),
        ({"allow_methods": ["connect"]}, "method_forbidden"),
        ({"allow_methods": ["TRACK"]}, "method_forbidden"),
        ({"allow_headers": ["Cookie"]}, "header_forbidden"),
        ({"allow_headers": ["Sec-Fetch-Site"]}, "header_forbidden"),
        ({"allow_headers": ["Sec-*"]}, "header_forbidden"),
        ({"extra_allow_headers": ["Proxy-Foo"]}, "header_forbidden"),
        ({"allow_headers": ["Access-Control-Allow-Origin"]}, "header_wrong_direction"),
        ({"allow_headers": ["X*"]}, "header_wildcard_misplaced"),
        ({"allow_headers": ["*-X"]}, "header_wildcard_misplaced"),
        ({"allow_headers": ["-*"]}, "header_name_invalid"),
        ({"allow_headers": ["A,B"]}, "header_name_invalid"),
        ({"expose_headers": ["Set-Cookie"]}, "header_forbidden"),
        ({"expose_headers": ["Origin"]}, "header_wrong_direction"),
        ({"expose_headers": ["Access-Control-Request-Method"]}, "header_wrong_direction"),
        ({"expose_headers": ["X-*"]}, "header_wildcard_misplaced"),
        ({"expose_headers": [""]}, "header_name_invalid"),
        ({"expose_headers": "*", "allow_credentials": True}, "credentials_expose_any"),
        ({"max_age": -1}, "max_age_out_of_range"),
        ({"max_age": 86401}, "max_age_out_of_range"),
        ({"max_age": "600"}, "wrong_type"),
        ({"max_age": True}, "wrong_type"),
        ({"max_age": 1.5}, "wrong_type"),
        ({"preflight_status": 199}, "preflight_status_out_of_range"),
        ({"preflight_status": 300}, "preflight_status_out_of_range"),
        ({"preflight_status": "200"}, "wrong_type"),
        ({"allow_credentials": 1}, "wrong_type"),
        ({"allow_credentials": "false"}, "wrong_type"),
        ({"validate_origin": "yes"}, "wrong_type"),
        ({"validate_origin": 1}, "wrong_type"),
        ({"dangerously_allow_null": "no"}, "wrong_type"),
        ({"security_headers": "nosniff"}, "wrong_type"),
        ({"security_headers": {"frame": "DENY"}}, "unknown_setting"),
        ({"security_headers": {"frame_options": 3}}, "wrong_type"),
        ({"origin": APP}, "unknown_setting"),
    ],
)
def test_a_wrong_setting_is_refused(settings, code):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(**{"origins": APP, **settings})
    assert [problem.code for problem in caught.value.problems] == [code]


def test_every_fault_is_named_at_once():
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins=["https://a.example/", "http://b.example:80"], max_age=-1, allow_methods="TRACE", foo=1)
    codes = {problem.code for problem in caught.value.problems}
    assert codes == {
        "unknown_setting",
        "origin_trailing_slash",
        "origin_default_port",
        "method_forbidden",
        "max_age_out_of_range",
    }
    for problem in caught.value.problems:
        assert problem.message in str(caught.value)


def test_the_error_can_be_pickled():
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(max_age=-1)
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_a_policy_is_immutable():
    policy = CORSPolicy()
    with pytest.raises(AttributeError, match="replace"):
        policy.max_age = 1
    with pytest.raises(AttributeError, match=r"^a CORSPolicy is immutable$"):
        del policy.max_age


def test_a_refusal_answers_a_real_request_unless_it_is_said_to_answer_options():
    refusals = [CORSPolicy().refuse(Reason.CROSS_SITE, **more) for more in ({}, {"options": True})]
    vary = [dict(refusal.headers)["Vary"] for refusal in refusals]
    assert vary == ["Origin", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]


def test_settings_are_keyword_only():
    with pytest.raises(TypeError):
        CORSPolicy(APP)


def test_replace_keeps_what_was_written_and_validates_the_whole():
    policy = CORSPolicy(origins=APP, max_age=5)
    changed = policy.replace(max_age=6)
    assert (changed.origins, changed.max_age, policy.max_age) == ((APP,), 6, 5)
    with pytest.raises(PolicyError):
        CORSPolicy().replace(allow_credentials=True)
    with pytest.raises(PolicyError):
        policy.replace(nonsense=1)


def test_equality_hash_repr_and_pickle_follow_the_settings():
    policy = CORSPolicy(origins=[APP], max_age=5)
    twin = pickle.loads(pickle.dumps(policy))
    assert policy == twin
    assert hash(policy) == hash(twin)
    assert policy != CORSPolicy(origins=[APP], max_age=6)
    assert policy != "policy"
    assert repr(policy) == "CORSPolicy(origins=('https://app.example.com',), max_age=5)"
    assert twin.preflight(APP, "POST") == policy.preflight(APP, "POST")


def test_one_string_is_one_pattern():
    assert (
        CORSPolicy(origins=APP)
        == CORSPolicy(origins=[APP])
        == CORSPolicy(origins=(APP, APP))
        == CORSPolicy(origins={APP})
    )
