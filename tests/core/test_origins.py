"""The ``Origin`` header: which values are valid, malformed or repeated."""

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Reason
from flask_mcp_cors.core.origins import parse_origin
from flask_mcp_cors.core.origins import serialized_ip


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("", Reason.ORIGIN_MALFORMED),
        ("*", Reason.ORIGIN_MALFORMED),
        ("https://a.example/", Reason.ORIGIN_MALFORMED),
        ("https://a.example https://b.example", Reason.ORIGIN_MALFORMED),
        ("https://a.example,https://b.example", Reason.ORIGIN_REPEATED),
        ("https://a.example, null", Reason.ORIGIN_REPEATED),
        ("https://a.example, junk", Reason.ORIGIN_MALFORMED),
        ("https://a.example\x00", Reason.ORIGIN_MALFORMED),
        ("https://a.example\n", Reason.ORIGIN_MALFORMED),
        ("https://" + "a" * 5000, Reason.ORIGIN_MALFORMED),
        ("https://a.example:65536", Reason.ORIGIN_MALFORMED),
    ],
)
def test_a_malformed_or_repeated_origin_is_refused_even_by_star(origin, reason):
    policy = CORSPolicy(origins="*")
    for decision in (policy.actual(origin), policy.preflight(origin, "POST")):
        assert (decision.allowed, decision.reason, decision.status) == (False, reason, 403)


@pytest.mark.parametrize("dot", ["", "."])
@pytest.mark.parametrize(("length", "valid"), [(253, True), (254, False)])
def test_a_host_name_has_up_to_253_characters(length, valid, dot):
    name = ("a" * 60 + ".") * 5
    assert (parse_origin(f"https://{name[: length - 1]}b{dot}") is not None) is valid


def test_the_longest_origin_is_accepted():
    host = ("a" * 63 + ".") * 3 + "a" * 61
    longest = f"{'s' * 64}://{host}:65535"
    assert parse_origin(longest) is not None
    assert parse_origin(f"s{longest}") is None


@pytest.mark.parametrize("host", ["a_b", "-", "0"])
def test_the_host_of_an_application_scheme_need_not_be_an_internet_name(host):
    assert parse_origin(f"app://{host}") is not None
    assert parse_origin(f"https://{host}.") is None or host == "a_b"


@pytest.mark.parametrize("host", ["[]", "[:]", "[:::1]", "[1:2:3:4:5:6:7:8:9]", "[::ffff:1.2.3.4]", "[1", "1]"])
def test_an_invalid_address_in_brackets_is_malformed(host):
    assert CORSPolicy(origins="*").actual(f"http://{host}").reason is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0x", "0.0.0.0"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("1.2.3.4.", "1.2.3.4"),
        ("255.0.0.1", "255.0.0.1"),
        ("256.0.0.1", None),
        ("1.2.3.4.0", None),
        ("4294967295", "255.255.255.255"),
        ("4294967296", None),
        ("08.1", None),
        ("0x10x.1", None),
    ],
)
def test_an_address_as_browsers_serialize_it(host, address):
    assert serialized_ip(host) == address
