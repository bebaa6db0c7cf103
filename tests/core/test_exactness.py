"""Details that a mutation tester changed and nothing noticed: limits, HTTPS, what is computed at import."""

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import PolicyError
from flask_mcp_cors import Reason
from flask_mcp_cors import SecurityHeaders
from flask_mcp_cors.core.decision import _refusal_body
from flask_mcp_cors.core.decision import Decision
from flask_mcp_cors.core.headers import merge_vary
from flask_mcp_cors.core.headers import parse_request_header_names
from flask_mcp_cors.core.headers import split_list
from flask_mcp_cors.core.hosts import HostIndex
from flask_mcp_cors.core.hosts import parse_host
from flask_mcp_cors.core.mcp import _revision
from flask_mcp_cors.core.origins import parse_origin
from flask_mcp_cors.core.paths import PathIndex
from flask_mcp_cors.core.patterns import Match
from flask_mcp_cors.core.patterns import OriginCallable
from flask_mcp_cors.core.patterns import parse_pattern
from flask_mcp_cors.core.patterns import PatternFault
from flask_mcp_cors.core.settings import settings_from_config
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site
from flask_mcp_cors.core.suffixes import covers_public_suffix

APP = "https://app.example.com"
EVIL = "https://evil.example"
HSTS = ("Strict-Transport-Security", "max-age=1")


class TestHTTPS:
    """What is for HTTPS only is on every kind of answer over HTTPS, and on none over HTTP."""

    @pytest.mark.parametrize("scheme", ["https", "http"])
    @pytest.mark.parametrize("validate", [True, "report", False])
    @pytest.mark.parametrize(
        ("method", "sent"),
        [
            pytest.param("GET", {}, id="without-origin"),
            pytest.param("GET", {"origin": APP}, id="allowed"),
            pytest.param("GET", {"origin": EVIL}, id="foreign"),
            pytest.param("GET", {"origin": EVIL, "fetch_site": "same-origin"}, id="own-page"),
            pytest.param("GET", {"fetch_site": "cross-site", "fetch_mode": "no-cors"}, id="embedded"),
            pytest.param("GET", {"host": "other.example.com"}, id="another-host"),
            pytest.param("OPTIONS", {"origin": APP, "request_method": "PUT"}, id="preflight"),
            pytest.param("OPTIONS", {"origin": EVIL, "request_method": "PUT"}, id="foreign-preflight"),
            pytest.param("OPTIONS", {"origin": APP, "request_method": "GET", "host": "x"}, id="misdirected-preflight"),
        ],
    )
    def test_strict_transport_security_goes_by_the_scheme(self, scheme, validate, method, sent):
        security = SecurityHeaders(strict_transport_security="max-age=1")
        policy = CORSPolicy(origins=APP, security_headers=security, validate_origin=validate)
        site = make_site({"hosts": ["mcp.example.com"]}, policy)
        facts = Facts(method, "/", scheme, **{"host": "mcp.example.com", "origin": None, **sent})
        assert (HSTS in site.decide(facts, policy).headers) is (scheme == "https")

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_also_where_no_policy_governs(self, scheme):
        policy = CORSPolicy(security_headers=SecurityHeaders(strict_transport_security="max-age=1"))
        site = make_site({"hosts": ["mcp.example.com"]}, policy)
        decision = site.decide(Facts("GET", "/", scheme, "x", None), None)
        assert (decision.status, HSTS in decision.headers) == (421, scheme == "https")

    def test_a_policy_asked_directly_takes_http_for_granted(self):
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
        assert [answer for answer in answers if HSTS in answer.headers] == []

    def test_the_scheme_is_that_of_a_page_of_the_site_too(self):
        site = make_site({"hosts": ["mcp.example.com:443"]}, CORSPolicy(origins=APP))
        statuses = [
            site.decide(
                Facts("POST", "/", scheme, "mcp.example.com", f"{scheme}://mcp.example.com"), site.default
            ).status
            for scheme in ("https", "http")
        ]
        assert statuses == [None, 403]

    @pytest.mark.parametrize(("scheme", "status"), [("https", None), ("http", 421)])
    def test_the_port_of_a_host_without_one_is_the_schemes(self, scheme, status):
        site = make_site({"hosts": ["mcp.example.com:443"]}, CORSPolicy(origins=APP))
        facts = Facts("GET", "/", scheme, "mcp.example.com", None)
        assert [site.decide(facts, policy).status for policy in (site.default, None)] == [status, status]


class TestReports:
    def test_an_embedded_request_that_would_be_refused_says_why(self):
        policy = CORSPolicy(origins=APP, validate_origin="report")
        site = make_site({"hosts": "*"}, policy)
        facts = Facts("GET", "/", "https", "mcp.example.com", None, fetch_site="cross-site", fetch_mode="no-cors")
        decision = site.decide(facts, policy)
        assert (decision.allowed, decision.reason, decision.final) == (False, Reason.CROSS_SITE, False)
        assert decision.reported is True

    @pytest.mark.parametrize(("validate", "reported"), [(True, False), (False, False), ("report", True)])
    def test_only_report_reports(self, validate, reported):
        assert CORSPolicy(origins=APP, validate_origin=validate).actual(EVIL).reported is reported
        assert CORSPolicy(origins=APP, validate_origin=validate).actual(APP).reported is False


class TestLimits:
    def test_4096_characters_of_asked_headers_are_read_and_no_more(self):
        fits = "x" * 4094 + ",y"
        assert parse_request_header_names(fits) == (["x" * 4094, "y"], True)
        assert parse_request_header_names(fits + "z") == (["x" * 4094], False)

    def test_a_name_that_the_limit_cuts_is_dropped_and_those_before_it_are_not(self):
        assert parse_request_header_names("a,b," + "x" * 5000) == (["a", "b"], False)
        assert parse_request_header_names("x" * 5000) == ([], False)

    @pytest.mark.parametrize(("count", "whole"), [(64, True), (65, False)])
    def test_64_names_are_read_and_no_more(self, count, whole):
        names = [f"x{number}" for number in range(count)]
        assert parse_request_header_names(",".join(names)) == (names[:64], whole)

    @pytest.mark.parametrize(
        ("asked", "length", "reason"),
        [
            ("x-a," * 1023 + "x-ab", 4096, "preflight_allowed"),
            ("x-a," * 1022 + "x-ab,x-ab", 4097, "too_many_headers"),
        ],
        ids=["fits", "too-long"],
    )
    def test_a_list_of_named_headers_is_held_to_it_too(self, asked, length, reason):
        assert len(asked) == length
        assert (
            CORSPolicy(origins=APP, allow_headers=["X-A", "X-AB"]).preflight(APP, "GET", asked).reason.value == reason
        )

    @pytest.mark.parametrize(("port", "valid"), [("0", True), ("65535", True), ("65536", False), ("99999", False)])
    def test_a_host_has_a_port_up_to_65535(self, port, valid):
        assert (parse_host(f"mcp.example.com:{port}") is not None) is valid

    @pytest.mark.parametrize("dot", ["", "."])
    @pytest.mark.parametrize(("length", "valid"), [(253, True), (254, False)])
    def test_a_host_name_has_up_to_253_characters(self, length, valid, dot):
        name = ("a" * 60 + ".") * 5
        assert (parse_origin(f"https://{name[: length - 1]}b{dot}") is not None) is valid

    @pytest.mark.parametrize("dot", ["", "."])
    @pytest.mark.parametrize(("length", "valid"), [(251, True), (252, False)])
    def test_a_subdomain_pattern_leaves_room_for_a_label(self, length, valid, dot):
        text = f"https://*.{(('a' * 60 + '.') * 5)[: length - 1]}b{dot}"
        if valid:
            assert parse_pattern(text).subdomains
        else:
            with pytest.raises(PatternFault, match="no subdomain of it fits"):
                parse_pattern(text)

    def test_the_longest_origin_is_one(self):
        host = ("a" * 63 + ".") * 3 + "a" * 61
        longest = f"{'s' * 64}://{host}:65535"
        assert parse_origin(longest) is not None
        assert parse_origin(f"s{longest}") is None


class TestCallables:
    def test_a_failure_says_which_origin_was_not_allowed(self, caplog):
        policy = CORSPolicy(origins=lambda origin: 1 / 0)
        assert policy.actual(APP).reason is Reason.ORIGIN_NOT_ALLOWED
        assert caplog.messages == [f"the origins callable failed, so '{APP}' is not allowed"]

    def test_a_promise_is_no_answer(self, caplog):
        async def later(origin):
            return True

        assert CORSPolicy(origins=lambda origin: later(origin)).actual(APP).status == 403
        (record,) = caplog.records
        message = "the origins callable must return a bool; this one returned something to await"
        assert str(record.exc_info[1]) == message

    @pytest.mark.parametrize("origin", ["null", "file://"])
    def test_it_is_not_asked_about_opaque_origins_unless_allowed_to(self, origin):
        asked = []
        for index in (OriginCallable(asked.append), OriginCallable(asked.append, allow_null=True)):
            assert index.match(origin) is Match.NOT_ALLOWED
            assert index.any_origin is False
        assert asked == [origin]


class TestLists:
    def test_only_space_and_tab_are_trimmed(self):
        assert list(split_list(" a\t,\tb ,\x0bc\x0b, \t,d")) == ["a", "b", "\x0bc\x0b", "d"]

    def test_only_optional_white_space_is_trimmed_between_origins(self):
        policy = CORSPolicy(origins=APP)
        assert policy.actual(f"{APP} ,\t{APP}").reason is Reason.ORIGIN_REPEATED
        assert policy.actual(f"{APP}\x0b,{APP}").reason is Reason.ORIGIN_MALFORMED

    @pytest.mark.parametrize("value", [f" {APP}", f"{APP} ", f"X{APP}, {APP}X"])
    def test_one_origin_with_something_around_it_is_malformed_not_repeated(self, value):
        assert CORSPolicy(origins=APP).actual(value).reason is Reason.ORIGIN_MALFORMED

    @pytest.mark.parametrize(("count", "reason"), [(9, "origin_repeated"), (10, "origin_malformed")])
    def test_nine_origins_are_looked_at(self, count, reason):
        assert CORSPolicy(origins=APP).actual(",".join([APP] * count)).reason.value == reason

    def test_the_first_spelling_of_a_vary_name_stays(self):
        assert merge_vary(["COOKIE, Accept", "accept"], "cookie, Origin") == "COOKIE, Accept, Origin"

    def test_headers_listed_in_another_case_are_one(self):
        policy = CORSPolicy(origins=APP, allow_headers=["X-A", "x-a", "X-B"], extra_allow_headers="x-b")
        assert dict(policy.preflight(APP, "GET").headers)["Access-Control-Allow-Headers"] == "X-A, X-B"

    @pytest.mark.parametrize("text", ["a, b", "a,b", " a , b "])
    def test_a_list_in_the_configuration_is_split_at_commas(self, text):
        assert settings_from_config({"MCP_CORS_ORIGINS": text}, [])[0] == {"origins": ["a", "b"]}

    def test_a_text_that_is_no_list_setting_is_not_split(self):
        assert settings_from_config({"MCP_CORS_VALIDATE_ORIGIN": "a,b"}, [])[0] == {"validate_origin": "a,b"}


class TestHosts:
    def test_a_subdomain_pattern_covers_every_depth_and_not_the_apex(self):
        index = HostIndex(["*.example.com:8443", "*.example.org"])
        hosts = ["a.example.com:8443", "a.b.example.com:8443", "a.example.com", "example.com:8443", "b.example.org:1"]
        assert [index.fault(host, "https") for host in hosts] == [
            None,
            None,
            Reason.HOST_NOT_SERVED,
            Reason.HOST_NOT_SERVED,
            None,
        ]

    @pytest.mark.parametrize("pattern", ["mcp.example.com:*", "*.example.com:*", "[::1]:*"])
    def test_any_port_may_be_written_out(self, pattern):
        site = make_site({"hosts": pattern}, CORSPolicy(origins=APP))
        host = "[::1]" if pattern.startswith("[") else "mcp.example.com"
        assert [site.hosts.fault(f"{host}{port}", "http") for port in ("", ":1", ":65535")] == [None, None, None]

    def test_a_trailing_dot_does_not_hide_a_public_suffix(self):
        assert covers_public_suffix("github.io.")
        assert covers_public_suffix("amazonaws.com.")
        assert not covers_public_suffix("example.com.")
        with pytest.raises(PolicyError, match="origin_public_suffix"):
            CORSPolicy(origins="https://*.github.io.")


class TestChoices:
    def test_each_says_which_rule_it_was(self):
        site = make_site({"paths": "/mcp", "policies": {"/mcp/x": None}}, CORSPolicy(origins=APP))
        assert [site.choose(path).rule for path in ("/mcp", "/mcp/x", "/")] == [
            "the default policy, paths '/mcp'",
            "policies['/mcp/x']",
            "outside paths",
        ]
        assert make_site({}, CORSPolicy(origins=APP)).choose("/").rule == "the default policy"

    @pytest.mark.parametrize("length", [512, 513])
    def test_a_path_of_any_length_has_its_policy(self, length):
        site = make_site({"policies": {"/off/**": None}}, CORSPolicy(origins=APP))
        for _ in range(2):
            assert site.choose("/off/".ljust(length, "x")).policy is None
            assert site.choose("/on/".ljust(length, "x")).policy is site.default

    def test_a_callable_is_asked_each_time(self):
        answers = iter([True, False, True])
        policy = CORSPolicy(origins=lambda origin: next(answers))
        site = make_site({"hosts": "*"}, policy)
        facts = Facts("GET", "/", "https", "mcp.example.com", APP)
        assert [site.decide(facts, policy).status for _ in range(3)] == [None, 403, None]


class TestPaths:
    @pytest.mark.parametrize(
        ("patterns", "path", "winner"),
        [
            pytest.param(["/**/*/c", "/**/a/**"], "/a/*/c", "/**/a/**", id="a-star-in-the-path-is-no-wildcard"),
            pytest.param(["/**/a/*", "/**/b/**"], "/a/b", "/**/a/*", id="one-segment-before-any-number"),
            pytest.param(["/**/b/**", "/**/a/b"], "/a/b", "/**/a/b", id="a-name-before-any-number"),
        ],
    )
    def test_alternatives_are_compared_segment_by_segment(self, patterns, path, winner):
        assert PathIndex({pattern: pattern for pattern in patterns}).find(path) == winner

    def test_what_a_pattern_stands_for_is_never_compared(self):
        """Two patterns as specific as each other, with values that have no order."""
        values = object(), object()
        assert PathIndex(dict(zip(["/**/a/**", "/**/b/**"], values, strict=True))).find("/a/b") in values


class TestMadeAtImport:
    """Called here once more, because what is made at import is not made again for a test."""

    def test_a_refusals_body(self):
        assert _refusal_body(Reason.CROSS_SITE) == (
            b'{"jsonrpc": "2.0", "error": {"code": 403, "message": "Cross-site requests are not allowed.", '
            b'"data": {"reason": "cross_site"}}}'
        )
        assert b'"code": 421, ' in _refusal_body(Reason.HOST_MISSING)

    def test_a_revision(self):
        assert _revision("GET POST", ("X-A",), ("X-B",)) == {
            "allow_methods": ("GET", "POST", "OPTIONS"),
            "allow_headers": ("Accept", "Authorization", "Content-Type", "X-A", "X-API-Key"),
            "expose_headers": ("X-B", "WWW-Authenticate", "Retry-After"),
        }
        assert _revision("GET", ())["expose_headers"] == ("WWW-Authenticate", "Retry-After")

    def test_the_revisions(self):
        assert MCP_REVISIONS.keys() == {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}


class TestApply:
    def test_only_event_streams_are_unbuffered(self):
        decision = CORSPolicy(origins=APP, security_headers=None).actual(APP)
        for content_type, unbuffered in (("text/event-stream", True), ("TEXT/Event-Stream; a=b", True), ("a/b", False)):
            applied = decision.apply([("Content-Type", content_type)])
            assert (("X-Accel-Buffering", "no") in applied) is unbuffered
        assert ("X-Accel-Buffering", "no") not in decision.apply([("X-A", "text/event-stream")])
        assert ("X-Accel-Buffering", "no") not in decision.apply([("X-A", "text/event-stream"), ("Vary", "Cookie")])

    def test_an_unbuffered_header_of_the_applications_own_stays(self):
        decision = CORSPolicy(origins=APP, security_headers=None).actual(APP)
        applied = decision.apply([("content-type", "text/event-stream"), ("x-accel-buffering", "yes")])
        assert [value for name, value in applied if name.lower() == "x-accel-buffering"] == ["yes"]

    def test_vary_stays_where_the_decision_has_none(self):
        decision = CORSPolicy(origins="*", security_headers=None).actual(None)
        assert ("Vary", "Cookie") in decision.apply([("Vary", "Cookie")])

    def test_a_decision_is_compared_by_value(self):
        made = CORSPolicy(origins=APP).actual(APP)
        assert made == Decision(*made)

    @pytest.mark.parametrize("change", [lambda p: setattr(p, "max_age", 1), lambda p: delattr(p, "max_age")])
    def test_a_policy_cannot_be_changed(self, change):
        with pytest.raises(AttributeError, match=r"^a CORSPolicy is immutable"):
            change(CORSPolicy())


class TestConcreteAnswers:
    def test_a_list_of_named_headers_with_a_foreign_one_among_them(self):
        decision = CORSPolicy(origins=APP, allow_headers=["X-A", "X-B"]).preflight(APP, "GET", "x-a,x-evil,x-b")
        assert decision.offending == ("x-evil",)
        assert dict(decision.headers)["Access-Control-Allow-Headers"] == "X-A, X-B"

    @pytest.mark.parametrize("host", ["a_b", "-", "0"])
    def test_an_applications_host_is_held_to_no_name_of_the_internet(self, host):
        assert parse_origin(f"app://{host}") is not None
        assert parse_origin(f"https://{host}.") is None or host == "a_b"
