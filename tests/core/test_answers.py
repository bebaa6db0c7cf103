"""What a policy answers to a preflight and to a real request, to the last header."""

import json

import pytest
from pages import APP
from pages import EVIL

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Reason
from flask_mcp_cors import SecurityHeaders

DEFAULT_NAMES = {
    *("accept", "authorization", "content-type", "user-agent", "x-api-key", "x-custom-auth-headers", "dpop"),
    *("last-event-id", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"),
}
VARY_PREFLIGHT = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def bare(**settings):
    """A policy without security headers, so that a test can list every header."""
    return CORSPolicy(**{"origins": APP, "security_headers": None, **settings})


def listed(decision, name):
    """A list-valued header as a set, whatever the order and case."""
    value = dict(decision.headers)[name]
    members = [member.strip().lower() for member in value.split(",")]
    assert len(members) == len(set(members)), value
    return set(members)


class TestPreflight:
    def test_the_default_answer_is_the_whole_policy(self):
        decision = bare().preflight(APP, "POST", "authorization,content-type")
        assert [name for name, _ in decision.headers] == [
            "Access-Control-Allow-Origin",
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
            "Vary",
        ]
        headers = dict(decision.headers)
        assert headers["Access-Control-Allow-Origin"] == APP
        assert headers["Access-Control-Max-Age"] == "86400"
        assert headers["Vary"] == VARY_PREFLIGHT
        assert listed(decision, "Access-Control-Allow-Methods") == {"get", "post", "delete", "options"}
        assert listed(decision, "Access-Control-Allow-Headers") == DEFAULT_NAMES
        assert (decision.allowed, decision.status, decision.body, decision.final) == (True, 200, b"", True)
        assert decision.reason is Reason.PREFLIGHT_ALLOWED
        assert decision.offending == ()

    @pytest.mark.parametrize("asked", [None, "", "authorization", "Authorization , ,\tCONTENT-TYPE,"])
    def test_every_exact_name_is_listed_whatever_was_asked(self, asked):
        decision = bare().preflight(APP, "POST", asked)
        assert decision.allowed
        assert listed(decision, "Access-Control-Allow-Headers") == DEFAULT_NAMES

    def test_a_family_admits_and_reflects_its_members_in_lower_case(self):
        decision = bare().preflight(APP, "POST", "Mcp-Param-Region,mcp-param-region,mcp-param-x,content-type")
        assert decision.allowed
        assert listed(decision, "Access-Control-Allow-Headers") == {*DEFAULT_NAMES, "mcp-param-region", "mcp-param-x"}
        assert "mcp-param-region" in dict(decision.headers)["Access-Control-Allow-Headers"]

    @pytest.mark.parametrize("name", ["mcp-param-", "mcp-param", "x-mcp-param-a", "mcp-param-a b", "mcp-param-é"])
    def test_what_only_looks_like_a_member_is_refused_and_not_reflected(self, name):
        decision = bare().preflight(APP, "POST", name)
        assert (decision.allowed, decision.reason, decision.status) == (False, Reason.HEADER_NOT_ALLOWED, 200)
        assert decision.offending == (name,)
        assert listed(decision, "Access-Control-Allow-Headers") == DEFAULT_NAMES

    def test_a_refused_header_still_gets_the_policy(self):
        decision = bare().preflight(APP, "POST", "content-type,x-evil,x-other,X-EVIL,\xdf,ss")
        assert decision.offending == ("x-evil", "x-other", "\xdf", "ss")
        assert dict(decision.headers)["Access-Control-Allow-Origin"] == APP

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "delete", "GE", "POST, PUT", "", "TRACE", "*", "PÖST"])
    def test_a_refused_method_still_gets_the_policy(self, method):
        decision = bare().preflight(APP, method, "authorization")
        assert (decision.allowed, decision.reason, decision.status) == (False, Reason.METHOD_NOT_ALLOWED, 200)
        assert decision.offending == (method,)
        assert listed(decision, "Access-Control-Allow-Methods") == {"get", "post", "delete", "options"}

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    def test_safelisted_methods_are_never_a_reason_to_say_no(self, method):
        assert bare(allow_methods=["PUT"]).preflight(APP, method).allowed
        assert bare(allow_methods=[]).preflight(APP, method).allowed

    def test_methods_are_normalized_as_fetch_does(self):
        policy = bare(allow_methods=["put", "patch", "Delete"])
        assert policy.allow_methods == ("PUT", "patch", "DELETE")
        assert policy.preflight(APP, "DELETE").allowed
        assert not policy.preflight(APP, "PATCH").allowed

    @pytest.mark.parametrize("method", ["PATCH", "patch", "CHICKEN", "GET"])
    def test_any_method_echoes_the_one_asked(self, method):
        decision = bare(allow_methods="*").preflight(APP, method)
        assert decision.allowed
        assert dict(decision.headers)["Access-Control-Allow-Methods"] == method

    @pytest.mark.parametrize("method", ["TRACE", "connect", "A B", "POST,POST", "POST , POST", "é", ""])
    def test_any_method_is_still_a_token_that_is_not_forbidden(self, method):
        decision = bare(allow_methods="*").preflight(APP, method)
        assert decision.reason is Reason.METHOD_NOT_ALLOWED
        assert "Access-Control-Allow-Methods" not in dict(decision.headers)

    def test_any_header_never_sends_a_star_and_never_means_authorization(self):
        policy = bare(allow_headers="*")
        decision = policy.preflight(APP, "POST", "x-a,authorization")
        assert decision.offending == ("authorization",)
        assert listed(decision, "Access-Control-Allow-Headers") == {"x-a"}
        assert bare(allow_headers=["*", "Authorization"]).preflight(APP, "POST", "x-a,authorization").allowed
        assert "Access-Control-Allow-Headers" not in dict(policy.preflight(APP, "POST").headers)

    def test_extra_headers_are_added_to_the_default(self):
        decision = bare(extra_allow_headers=["X-Trace", "X-Tenant-*"]).preflight(APP, "POST", "x-tenant-a")
        assert listed(decision, "Access-Control-Allow-Headers") == {*DEFAULT_NAMES, "x-trace", "x-tenant-a"}

    def test_at_most_64_names_are_looked_at(self):
        asked = [f"mcp-param-{i}" for i in range(65)]
        decision = bare().preflight(APP, "POST", ",".join(asked))
        assert (decision.allowed, decision.reason) == (False, Reason.TOO_MANY_HEADERS)
        assert listed(decision, "Access-Control-Allow-Headers") == {*DEFAULT_NAMES, *asked[:64]}
        assert bare().preflight(APP, "POST", ",".join(asked[:64])).allowed

    def test_at_most_4_kib_are_looked_at_and_no_half_name_is_reflected(self):
        asked = ",".join(["mcp-param-" + "a" * 2000, "mcp-param-" + "b" * 2000, "mcp-param-" + "c" * 2000])
        decision = bare().preflight(APP, "POST", asked)
        assert decision.reason is Reason.TOO_MANY_HEADERS
        assert "ccc" not in dict(decision.headers)["Access-Control-Allow-Headers"]
        junk = bare().preflight(APP, "POST", "," * 100_000)
        assert junk.reason is Reason.TOO_MANY_HEADERS

    @pytest.mark.parametrize(("max_age", "sent"), [(0, "0"), (600, "600"), (86400, "86400"), (None, None)])
    def test_max_age_is_sent_or_left_out(self, max_age, sent):
        decision = bare(max_age=max_age).preflight(APP, "POST")
        assert dict(decision.headers).get("Access-Control-Max-Age") == sent

    @pytest.mark.parametrize("status", [200, 204, 299])
    def test_the_status_is_the_policys(self, status):
        assert bare(preflight_status=status).preflight(APP, "POST").status == status

    def test_credentials_are_allowed_to_an_allowed_origin_only(self):
        policy = bare(allow_credentials=True)
        assert dict(policy.preflight(APP, "POST").headers)["Access-Control-Allow-Credentials"] == "true"
        for decision in (policy.preflight("https://evil.example", "POST"), policy.actual("https://evil.example")):
            assert not [name for name, _ in decision.headers if name.startswith("Access-Control")]

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "junk", ""])
    def test_a_refused_origin_gets_no_cors_header_at_all(self, origin):
        decision = bare().preflight(origin, "POST", "authorization")
        assert (decision.allowed, decision.status, decision.final) == (False, 403, True)
        assert decision.headers == (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Vary", VARY_PREFLIGHT),
        )

    @pytest.mark.parametrize(("origin", "method"), [(None, "POST"), (APP, None), (None, None)])
    def test_what_is_no_preflight_is_not_answered(self, origin, method):
        decision = bare().preflight(origin, method)
        assert (decision.allowed, decision.reason, decision.final) == (False, Reason.NOT_A_PREFLIGHT, False)

    def test_star_varies_a_preflight_too(self):
        decision = bare(origins="*").preflight(APP, "POST")
        assert dict(decision.headers)["Access-Control-Allow-Origin"] == "*"
        assert dict(decision.headers)["Vary"] == VARY_PREFLIGHT

    @pytest.mark.parametrize(
        ("asked", "length", "reason"),
        [
            ("x-a," * 1023 + "x-ab", 4096, "preflight_allowed"),
            ("x-a," * 1022 + "x-ab,x-ab", 4097, "too_many_headers"),
        ],
        ids=["fits", "too-long"],
    )
    def test_more_than_4096_characters_are_too_many_for_a_list_of_named_headers_too(self, asked, length, reason):
        assert len(asked) == length
        assert (
            CORSPolicy(origins=APP, allow_headers=["X-A", "X-AB"]).preflight(APP, "GET", asked).reason.value == reason
        )

    def test_a_header_listed_in_two_cases_is_sent_once(self):
        policy = CORSPolicy(origins=APP, allow_headers=["X-A", "x-a", "X-B"], extra_allow_headers="x-b")
        assert dict(policy.preflight(APP, "GET").headers)["Access-Control-Allow-Headers"] == "X-A, X-B"

    def test_a_refused_header_among_allowed_ones_is_named_and_not_listed(self):
        decision = CORSPolicy(origins=APP, allow_headers=["X-A", "X-B"]).preflight(APP, "GET", "x-a,x-evil,x-b")
        assert decision.offending == ("x-evil",)
        assert dict(decision.headers)["Access-Control-Allow-Headers"] == "X-A, X-B"

    def test_a_header_called_star_is_not_reflected(self):
        """``Access-Control-Allow-Headers: *`` would let every header through, and Chromium ask every time."""
        policy = CORSPolicy(origins=APP, allow_headers="*")
        decision = policy.preflight(APP, "POST", "*,x-a")
        assert dict(decision.headers)["Access-Control-Allow-Headers"] == "x-a"
        assert (decision.reason, decision.offending) == (Reason.HEADER_NOT_ALLOWED, ("*",))

    def test_methods_differ_in_case(self):
        """The browser compares byte for byte: ``patch`` is not ``PATCH``."""
        policy = CORSPolicy(origins=APP, allow_methods=["PATCH", "*"])
        assert dict(policy.preflight(APP, "patch").headers)["Access-Control-Allow-Methods"] == "PATCH, patch"

    def test_a_method_is_named_once(self):
        policy = CORSPolicy(origins=APP, allow_methods=["PATCH", "*"])
        assert dict(policy.preflight(APP, "PATCH").headers)["Access-Control-Allow-Methods"] == "PATCH"


class TestActual:
    def test_an_allowed_origin(self):
        decision = bare().actual(APP)
        assert (decision.allowed, decision.reason, decision.final) == (True, Reason.ORIGIN_ALLOWED, False)
        assert [name for name, _ in decision.headers] == [
            "Access-Control-Allow-Origin",
            "Access-Control-Expose-Headers",
            "Vary",
        ]
        assert listed(decision, "Access-Control-Expose-Headers") == {
            "dpop-nonce",
            "mcp-session-id",
            "mcp-protocol-version",
            "www-authenticate",
            "retry-after",
        }

    def test_no_origin_only_varies(self):
        decision = bare().actual(None)
        assert (decision.allowed, decision.reason, decision.headers) == (True, Reason.NO_ORIGIN, (("Vary", "Origin"),))

    def test_a_same_origin_request_passes_without_cors_headers(self):
        decision = bare().actual("https://mcp.example.com", same_origin=True)
        assert (decision.allowed, decision.reason) == (True, Reason.SAME_ORIGIN)
        assert decision.headers == (("Vary", "Origin"),)

    @pytest.mark.parametrize("origin", [None, APP, "https://other.example", "null"])
    def test_star_is_sent_on_every_response_and_does_not_vary(self, origin):
        headers = dict(bare(origins="*").actual(origin).headers)
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Vary" not in headers

    @pytest.mark.parametrize("mode", [False, "report"])
    def test_without_validation_a_foreign_origin_runs_without_headers(self, mode):
        decision = bare(validate_origin=mode).actual(EVIL)
        assert (decision.allowed, decision.final, decision.status) == (False, False, None)
        assert (decision.reason, decision.headers) == (Reason.ORIGIN_NOT_ALLOWED, (("Vary", "Origin"),))

    def test_a_foreign_origin_gets_a_whole_response(self):
        decision = bare().actual(EVIL)
        assert (decision.allowed, decision.final, decision.status) == (False, True, 403)
        assert decision.headers == (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Vary", "Origin"),
        )
        assert json.loads(decision.body)["error"]["data"] == {"reason": "origin_not_allowed"}

    def test_nothing_exposed_is_no_header(self):
        assert "Access-Control-Expose-Headers" not in dict(bare(expose_headers=[]).actual(APP).headers)

    def test_extra_exposed_headers_are_added_without_doubling(self):
        decision = bare(extra_expose_headers=["X-Request-Id", "retry-after"]).actual(APP)
        assert "x-request-id" in listed(decision, "Access-Control-Expose-Headers")

    def test_hsts_is_for_https_only(self):
        policy = bare(security_headers=SecurityHeaders(strict_transport_security="max-age=63072000"))
        for decide in (lambda s: policy.actual(APP, secure=s), lambda s: policy.preflight(APP, "POST", secure=s)):
            assert "Strict-Transport-Security" in dict(decide(True).headers)
            assert "Strict-Transport-Security" not in dict(decide(False).headers)
        assert "Strict-Transport-Security" in dict(policy.actual("https://evil.example", secure=True).headers)

    def test_a_refused_preflight_over_https_has_it_too(self):
        policy = CORSPolicy(origins=APP, security_headers=SecurityHeaders(strict_transport_security="max-age=1"))
        assert dict(policy.preflight(EVIL, "GET", secure=True).headers)["Strict-Transport-Security"] == "max-age=1"

    def test_a_refusal_has_the_cache_control_of_refusals_and_no_other(self):
        policy = CORSPolicy(origins=APP, security_headers=SecurityHeaders(cache_control="private"))
        sent = [value for name, value in policy.actual(EVIL).headers if name == "Cache-Control"]
        assert sent == ["no-store"]

    def test_a_policy_that_is_asked_directly_assumes_http(self):
        policy = CORSPolicy(origins=APP, security_headers=SecurityHeaders(strict_transport_security="max-age=1"))
        answers = [
            policy.preflight(APP, "GET"),
            policy.preflight(EVIL, "GET"),
            policy.actual(None),
            policy.actual(APP),
            policy.actual(EVIL),
            policy.refuse(Reason.CROSS_SITE),
            policy.report_only(Reason.CROSS_SITE),
        ]
        assert [answer for answer in answers if "Strict-Transport-Security" in dict(answer.headers)] == []

    @pytest.mark.parametrize(("validate", "reported"), [(True, False), (False, False), ("report", True)])
    def test_only_the_report_mode_reports(self, validate, reported):
        assert CORSPolicy(origins=APP, validate_origin=validate).actual(EVIL).reported is reported
        assert CORSPolicy(origins=APP, validate_origin=validate).actual(APP).reported is False

    def test_every_response_header_may_be_exposed_without_credentials(self):
        decision = CORSPolicy(origins=APP, expose_headers="*").actual(APP)
        assert dict(decision.headers)["Access-Control-Expose-Headers"] == "*"
