"""Properties, against a slow and obvious second implementation of what a pattern's text says."""

import re

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors.core.headers import is_token
from flask_mcp_cors.core.headers import merge_vary
from flask_mcp_cors.core.hosts import HostIndex
from flask_mcp_cors.core.hosts import parse_host
from flask_mcp_cors.core.origins import Origin
from flask_mcp_cors.core.origins import parse_origin

LETTER = st.sampled_from("abxyz019")
LABEL = st.builds("{}{}{}".format, LETTER, st.sampled_from(["", "-", "--", "a", "7"]), LETTER) | LETTER
NAME = st.builds(
    "{}{}".format,
    st.lists(LABEL, max_size=2).map(lambda labels: "".join(f"{x}." for x in labels)),
    st.sampled_from(["example", "ab", "x"]),
)
SCHEME = st.sampled_from(["https", "http", "app", "chrome-extension"])
DEFAULTS = {"https": 443, "http": 80}


@st.composite
def origins(draw):
    scheme = draw(SCHEME)
    port = draw(st.none() | st.integers(1, 65535))
    return Origin(scheme, draw(NAME), None if port == DEFAULTS.get(scheme) else port)


@st.composite
def patterns(draw):
    """Pattern texts from a few words, so that they meet the origins made from the same words."""
    origin = draw(origins())
    text = f"{origin.scheme}://{draw(st.sampled_from(['', '*.']))}{origin.host}"
    return text + draw(st.sampled_from(["", ":*", "" if origin.port is None else f":{origin.port}"]))


def says(pattern, value):
    """Does the text of this pattern cover this origin? Character by character, for a reader."""
    scheme, _, rest = pattern.partition("://")
    host, colon, port = rest.partition(":")
    own_scheme, separator, own_rest = value.partition("://")
    own_host, own_colon, own_port = own_rest.partition(":")
    if not separator or scheme != own_scheme:
        return False
    if host.startswith("*."):
        if not own_host.endswith(host[1:]) or own_host == host[1:]:
            return False
        labels = own_host.removesuffix(host[1:]).split(".")
        if not all(re.fullmatch(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?", label) for label in labels):
            return False
    elif host != own_host:
        return False
    if port != "*":
        return (colon, port) == (own_colon, own_port)
    if not own_colon:
        return True
    return (
        bool(re.fullmatch("[1-9][0-9]{0,4}", own_port))
        and int(own_port) < 65536
        and (DEFAULTS.get(scheme) != int(own_port))
    )


def policy(texts):
    return CORSPolicy(origins=texts, dangerously_allow_public_suffixes=True)


@given(st.lists(patterns(), min_size=1, max_size=5), origins())
def test_a_pattern_never_matches_what_its_text_does_not_say(texts, origin):
    assert policy(texts).actual(str(origin)).allowed is any(says(text, str(origin)) for text in texts)


@given(patterns(), st.data())
def test_near_misses_and_hits_are_told_apart(pattern, data):
    base = pattern.replace("*.", data.draw(st.sampled_from(["", "a.", "a.b.", "a", "*.", ".", "evil-", "x_y."])))
    base = base.replace(":*", data.draw(st.sampled_from(["", ":1", ":443", ":80", ":65535", ":65536", ":0", ":"])))
    value = data.draw(st.sampled_from(["", "x", "https://", " "])) + base
    value += data.draw(st.sampled_from(["", ".", "x", "/", ".evil.example", "@evil.example", ",", "\x00", "%60"]))
    allowed = policy([pattern]).actual(value).allowed
    assert not allowed or says(pattern, value)
    if says(pattern, value) and parse_origin(value) is not None:
        assert allowed


@given(st.lists(patterns(), min_size=1, max_size=4), patterns(), origins())
def test_adding_a_pattern_never_removes_access(texts, added, origin):
    if policy(texts).actual(str(origin)).allowed:
        assert policy([*texts, added]).actual(str(origin)).allowed


@given(origins())
def test_parse_and_serialize_are_inverse(origin):
    assert parse_origin(str(origin)) == origin


@given(st.text(max_size=60))
@example("https://example.com:443")
def test_what_parses_is_its_own_serialization(text):
    parsed = parse_origin(text)
    assert parsed is None or str(parsed) == text


@given(st.text(max_size=40) | patterns())
def test_a_pattern_text_is_accepted_or_refused_with_one_error(text):
    try:
        accepted = CORSPolicy(origins=[text])
    except PolicyError as error:
        assert [problem.value for problem in error.problems] == [text]
        assert error.problems[0].message
    else:
        assert accepted.origins == (text,)


LATIN = st.binary(max_size=200).map(lambda data: data.decode("latin-1"))
HEADER_LIST = st.lists(
    st.sampled_from(["authorization", "Mcp-Param-X", "mcp-param-", "x", "", " ", "a b", "\xff", "mcp-param-\r\nx"])
    | LATIN,
    max_size=6,
).map(",".join)


@settings(max_examples=300)
@given(
    st.sampled_from(["https://app.example.com", "null", ""]) | LATIN,
    st.sampled_from(["GET", "PUT", "patch", "TRACE"]) | LATIN,
    st.none() | HEADER_LIST,
    st.sampled_from([{}, {"allow_methods": "*"}, {"allow_headers": ["*", "Authorization"]}, {"origins": "*"}]),
)
def test_nothing_raises_and_only_valid_admitted_tokens_are_reflected(origin, method, asked, more):
    made = CORSPolicy(**{"origins": "https://app.example.com", **more})
    for decision in (made.preflight(origin, method, asked), made.actual(origin)):
        headers = dict(decision.headers)
        for name, value in headers.items():
            assert is_token(name)
            assert value.isascii()
            assert value.isprintable()
        assert headers.get("Access-Control-Allow-Origin") in (None, "*", origin)
        if not (decision.allowed or decision.status == 200):
            assert not [name for name in headers if name.startswith("Access-Control-Allow")]
    asked_names = {name.strip(" \t").lower() for name in (asked or "").split(",")}
    own = {name.lower() for name in made.allow_headers}
    for name in dict(made.preflight(origin, method, asked).headers).get("Access-Control-Allow-Headers", "").split(", "):
        if name and name.lower() not in own:
            assert name in asked_names
            assert is_token(name)
            assert more.get("allow_headers") or name.startswith("mcp-param-")


@given(LATIN)
def test_no_host_raises_and_what_is_served_is_named(value):
    index = HostIndex(["mcp.example.com", "*.example.org"])
    if index.fault(value, "https") is None:
        host = parse_host(value)
        assert host.is_ip or host.name == "mcp.example.com" or host.name.endswith(".example.org")


@given(st.lists(st.sampled_from(["Origin", "origin", "Accept, Cookie", "*", ""]), max_size=4))
def test_merging_vary_again_changes_nothing(present):
    once = merge_vary(present, "Origin")
    assert merge_vary([once], "Origin") == once
    members = [member.strip().lower() for member in once.split(",")]
    assert len(members) == len(set(members))
