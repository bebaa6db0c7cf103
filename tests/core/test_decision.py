"""Applying a decision: one rule for every adapter."""

import json
from importlib import import_module

import pytest
from pages import APP

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Decision
from flask_mcp_cors import Reason
from flask_mcp_cors.core.decision import MESSAGES

CORS = CORSPolicy(origins=APP, expose_headers=[]).actual(APP)


def test_ours_go_in_and_every_foreign_cors_header_goes_out():
    headers = CORS.apply(
        [
            ("Content-Type", "text/html"),
            ("access-control-allow-origin", "*"),
            ("Access-Control-Allow-Credentials", "true"),
            ("ACCESS-CONTROL-ALLOW-PRIVATE-NETWORK", "true"),
            ("X-Frame-Options", "SAMEORIGIN"),
        ]
    )
    assert headers == [
        ("Content-Type", "text/html"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Access-Control-Allow-Origin", APP),
        ("Vary", "Origin"),
    ]


@pytest.mark.parametrize(
    ("present", "merged"),
    [
        ([], "Origin"),
        (["Cookie"], "Cookie, Origin"),
        (["origin"], "origin"),
        (["Accept, Cookie", "Accept-Encoding"], "Accept, Cookie, Accept-Encoding, Origin"),
        (["*"], "*"),
        (["Cookie, *"], "*"),
    ],
)
def test_vary_is_merged_and_never_doubled(present, merged):
    headers = CORS.apply([("Vary", value) for value in present])
    assert [value for name, value in headers if name.lower() == "vary"] == [merged]


def test_a_decision_without_vary_leaves_the_responses_own_alone():
    headers = (
        CORSPolicy(origins="*", security_headers=None).actual(None).apply([("Vary", "Cookie"), ("Vary", "Accept")])
    )
    assert [value for name, value in headers if name == "Vary"] == ["Cookie", "Accept"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Vary", "Cookie"), ("Content-Type", "text/event-stream")],
        [("Access-Control-Allow-Origin", "*"), ("X-Frame-Options", "DENY"), ("Set-Cookie", "a"), ("Set-Cookie", "b")],
    ],
)
def test_applying_twice_is_applying_once(headers):
    once = CORS.apply(headers)
    assert CORS.apply(once) == once


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ([("Content-Type", "text/event-stream")], "no"),
        ([("content-type", "Text/Event-Stream; charset=utf-8")], "no"),
        ([("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "yes")], "yes"),
        ([("Content-Type", "text/plain")], None),
        ([("X-A", "text/event-stream")], None),
        ([("X-A", "text/event-stream"), ("Vary", "Cookie")], None),
        ([], None),
    ],
)
def test_event_streams_are_not_buffered(headers, sent):
    assert dict(CORS.apply(headers)).get("X-Accel-Buffering") == sent


def test_a_decision_is_an_immutable_value():
    twin = CORSPolicy(origins=APP, expose_headers=[]).actual(APP)
    assert twin == CORS
    assert hash(twin) == hash(CORS)
    with pytest.raises(AttributeError):
        CORS.allowed = False


def test_an_ungoverned_response_is_left_alone():
    headers = [("Access-Control-Allow-Origin", "https://the.apps.own")]
    assert Decision(True, Reason.NOT_GOVERNED, None, ()).apply(headers) == headers


@pytest.mark.parametrize("revision", ["_v2025_11_25", "_v2026_07_28"])
@pytest.mark.parametrize("reason", list(MESSAGES))
def test_a_refusal_body_is_a_json_rpc_error_response_without_id(reason, revision):
    decision = CORSPolicy(origins=APP).refuse(reason)
    body = json.loads(decision.body)
    assert "id" not in body
    assert body["error"]["code"] == decision.status
    assert body["error"]["data"] == {"reason": reason.value}
    # MCP's own types of the revision, which the SDK keeps in a module each.
    schema = import_module(f"mcp_types.{revision}").JSONRPCErrorResponse
    assert schema.model_validate(body).error.code == decision.status
    assert not -32099 <= body["error"]["code"] <= -32000


def test_the_bytes_of_a_refusal_body():
    policy = CORSPolicy(origins=APP)
    assert policy.refuse(Reason.CROSS_SITE).body == (
        b'{"jsonrpc": "2.0", "error": {"code": 403, "message": "Cross-site requests are not allowed.", '
        b'"data": {"reason": "cross_site"}}}'
    )
    assert b'"code": 421, ' in policy.refuse(Reason.HOST_MISSING).body


def test_reasons_are_stable_unique_codes():
    values = [reason.value for reason in Reason]
    assert len(values) == len(set(values))
    assert all(value.isidentifier() and value == value.lower() for value in values)


def test_the_type_and_no_store_of_a_refusal_replace_the_applications():
    """An app's own ``after_request`` function says so of every response: of this one it must not."""
    refusal = CORSPolicy(security_headers=None).actual("https://evil.example")
    theirs = [("cache-control", "public, max-age=60"), ("Content-Type", "text/html"), ("X-Request-Id", "1")]
    assert refusal.apply(theirs) == [
        ("X-Request-Id", "1"),
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Vary", "Origin"),
    ]


def test_the_empty_answer_to_a_preflight_has_no_type():
    answer = CORSPolicy(origins=APP, security_headers=None, allow_methods=(), allow_headers=(), max_age=None).preflight(
        APP, "GET"
    )
    assert answer.apply([("Content-Type", "text/html"), ("Server", "s")]) == [
        ("Server", "s"),
        ("Access-Control-Allow-Origin", APP),
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


def test_an_unbuffered_header_of_the_application_stays_in_any_case():
    decision = CORSPolicy(origins=APP, security_headers=None).actual(APP)
    applied = decision.apply([("content-type", "text/event-stream"), ("x-accel-buffering", "yes")])
    assert [value for name, value in applied if name.lower() == "x-accel-buffering"] == ["yes"]


USUAL = ["Content-Type", "Content-Length", "Location", "Set-Cookie", "Allow", "Cache-Control", "ETag", "Date"]


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda policy: policy.actual(APP), USUAL),
        (
            lambda policy: policy.replace(security_headers={"cache_control": "no-cache"}).actual(APP),
            set(USUAL) - {"Cache-Control"},
        ),
        (lambda policy: policy.refuse(Reason.CROSS_SITE), set(USUAL) - {"Content-Type", "Cache-Control"}),
        (lambda policy: Decision(True, Reason.NOT_GOVERNED, None, ()), USUAL),
    ],
    ids=["usual", "cache-control", "refusal", "not-governed"],
)
def test_appending_where_that_is_enough_gives_the_same_as_merging(make, plain):
    decision = make(CORSPolicy(origins=APP))
    assert decision._plain == set(plain)
    for name in plain:
        pairs = [(name, "value")]
        assert decision.apply(pairs) == [*pairs, *decision.headers]
        if decision.headers:
            assert decision.apply(pairs) == decision._merge(pairs)


@pytest.mark.parametrize(
    ("name", "value", "added"),
    [
        ("Content-Type", "text/event-stream", True),
        ("Content-Type", "Text/Event-Stream; charset=utf-8", True),
        ("content-type", "text/event-stream", True),
        ("Content-Type", "text/plain", False),
        ("Content-Type", "", False),
        ("ETag", "text/event-stream", False),
    ],
)
def test_an_event_stream_gets_one_more_header(name, value, added):
    assert (("X-Accel-Buffering", "no") in CORS.apply([(name, value)])) is added


OURS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"access-control-allow-origin", APP.encode()),
    (b"vary", b"Origin"),
]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], OURS),
        # Where ours simply follow, the others stay as they are spelled.
        (
            [(b"X-A", b"\xe9"), (b"content-type", b"text/plain")],
            [(b"X-A", b"\xe9"), (b"content-type", b"text/plain"), *OURS],
        ),
        ([(b"X-A", b"text/event-stream")], [(b"X-A", b"text/event-stream"), *OURS]),
        ([(b"X-A", b"\xe9"), (b"ACCESS-CONTROL-Allow-Origin", b"*")], [(b"x-a", b"\xe9"), *OURS]),
        ([(b"x-\xe9", b"1"), (b"access-control-max-age", b"5")], [(b"x-\xe9", b"1"), *OURS]),
        ([(b"Vary", b"Cookie")], [*OURS[:-1], (b"vary", b"Cookie, Origin")]),
        ([(b"X-Frame-Options", b"SAMEORIGIN")], [(b"x-frame-options", b"SAMEORIGIN"), OURS[0], *OURS[2:]]),
        (
            [(b"Content-Type", b"Text/Event-Stream")],
            [(b"content-type", b"Text/Event-Stream"), (b"x-accel-buffering", b"no"), *OURS],
        ),
    ],
)
def test_the_header_list_of_an_asgi_message(headers, expected):
    assert CORS.apply_encoded(headers) == expected
    assert CORS.encoded == OURS


def test_a_final_answer_replaces_the_type_of_an_asgi_message():
    refusal = CORSPolicy(origins=APP, security_headers=None).refuse(Reason.CROSS_SITE)
    assert refusal.apply_encoded([(b"content-type", b"text/html")]) == [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"vary", b"Origin"),
    ]
