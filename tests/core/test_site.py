"""The site: which policy, which checks, in which order."""

import gc
import weakref

import pytest
from pages import APP
from pages import EVIL

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import Decision
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import PolicyError
from flask_mcp_cors import PUBLIC_METADATA
from flask_mcp_cors import Reason
from flask_mcp_cors import SecurityHeaders
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site
from flask_mcp_cors.core.site import strictest

OWN = "https://mcp.example.com"


def facts(method="POST", path="/mcp", scheme="https", host="mcp.example.com", origin=None, **more):
    return Facts(method, path, scheme, host, origin, **more)


def preflight(origin=APP, **more):
    return facts("OPTIONS", origin=origin, request_method="POST", **more)


def site(policy=None, trusted_hosts=None, server_name=None, **settings):
    return make_site(settings, policy or CORSPolicy(origins=APP), trusted_hosts=trusted_hosts, server_name=server_name)


def decide(asked, policy=None, **settings):
    made = site(policy, **settings)
    return made.decide(asked, made.choose(asked.path).policy)


class TestWhatIsAPreflight:
    def test_exactly_options_with_origin_and_method(self):
        assert preflight().is_preflight
        assert preflight(origin="").is_preflight
        assert not facts("OPTIONS", origin=APP).is_preflight
        assert not facts("OPTIONS", request_method="POST").is_preflight
        assert not facts("POST", origin=APP, request_method="POST").is_preflight
        assert not facts("options", origin=APP, request_method="POST").is_preflight

    @pytest.mark.parametrize(
        "asked", [facts("OPTIONS", origin=APP), facts("OPTIONS", request_method="POST"), facts("OPTIONS")]
    )
    def test_any_other_options_goes_on_to_the_application(self, asked):
        decision = decide(asked)
        assert not decision.final
        vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
        assert dict(decision.headers)["Vary"] == vary


class TestOriginValidation:
    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            pytest.param(facts(origin=APP), Reason.ORIGIN_ALLOWED, id="1-allowed"),
            pytest.param(facts(origin=APP, fetch_site="cross-site"), Reason.ORIGIN_ALLOWED, id="1-allowed-cross-site"),
            pytest.param(facts(origin=OWN, fetch_site="same-origin"), Reason.SAME_ORIGIN, id="2-fetch-metadata"),
            pytest.param(facts(origin="null", fetch_site="same-origin"), Reason.SAME_ORIGIN, id="2-no-referrer"),
            pytest.param(
                facts(origin=OWN, scheme="http", fetch_site="same-origin"), Reason.SAME_ORIGIN, id="2-tls-ends-at-proxy"
            ),
            pytest.param(facts(origin=OWN), Reason.SAME_ORIGIN, id="2-host-listed"),
            pytest.param(facts(origin=OWN, host="MCP.example.com:443"), Reason.SAME_ORIGIN, id="2-host-spelled-out"),
            pytest.param(facts(), Reason.NO_ORIGIN, id="4-none"),
            pytest.param(facts("GET", fetch_site="cross-site", fetch_mode="navigate"), Reason.NO_ORIGIN, id="4-link"),
            pytest.param(facts(fetch_site="same-origin", fetch_mode="no-cors"), Reason.NO_ORIGIN, id="4-own-image"),
            pytest.param(facts(fetch_site="none", fetch_mode="navigate"), Reason.NO_ORIGIN, id="4-typed"),
            pytest.param(
                facts(fetch_site="cross-site", fetch_mode="no-cors", embeddable=True), Reason.NO_ORIGIN, id="4-static"
            ),
        ],
    )
    def test_passes(self, asked, reason):
        decision = decide(asked, hosts="mcp.example.com")
        assert (decision.allowed, decision.reason, decision.final) == (True, reason, False)
        allows = [name for name, _ in decision.headers if name.startswith("Access-Control")]
        assert bool(allows) is (reason is Reason.ORIGIN_ALLOWED)

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            pytest.param(facts(origin=EVIL), Reason.ORIGIN_NOT_ALLOWED, id="foreign"),
            pytest.param(facts(origin="null"), Reason.ORIGIN_NOT_ALLOWED, id="sandboxed"),
            pytest.param(facts(origin="junk"), Reason.ORIGIN_MALFORMED, id="junk"),
            pytest.param(facts(origin=f"{APP}, {EVIL}"), Reason.ORIGIN_REPEATED, id="repeated"),
            pytest.param(facts(origin=OWN, fetch_site="cross-site"), Reason.ORIGIN_NOT_ALLOWED, id="lying-origin"),
            pytest.param(facts(origin=EVIL, fetch_site="same-site"), Reason.ORIGIN_NOT_ALLOWED, id="same-site"),
            pytest.param(facts(origin=EVIL, fetch_site="none"), Reason.ORIGIN_NOT_ALLOWED, id="none"),
            pytest.param(facts(origin=OWN, scheme="http"), Reason.ORIGIN_NOT_ALLOWED, id="other-scheme"),
            pytest.param(
                facts(origin="http://evil.example", host="evil.example", scheme="http"),
                Reason.ORIGIN_NOT_ALLOWED,
                id="rebound",
            ),
            pytest.param(facts(fetch_site="cross-site", fetch_mode="no-cors"), Reason.CROSS_SITE, id="image"),
            pytest.param(facts(fetch_site="same-site", fetch_mode="cors"), Reason.CROSS_SITE, id="same-site-get"),
        ],
    )
    def test_refused(self, asked, reason):
        decision = decide(asked, hosts="mcp.example.com")
        assert (decision.allowed, decision.reason, decision.status, decision.final) == (False, reason, 403, True)
        assert not [name for name, _ in decision.headers if name.startswith("Access-Control")]

    @pytest.mark.parametrize("asked", [facts(origin=EVIL), facts(fetch_site="cross-site", fetch_mode="no-cors")])
    @pytest.mark.parametrize(("mode", "allowed"), [(False, {True, False}), ("report", {False})])
    def test_without_validation_everything_runs(self, asked, mode, allowed):
        decision = decide(asked, CORSPolicy(origins=APP, validate_origin=mode), hosts="mcp.example.com")
        assert not decision.final
        assert decision.allowed in allowed

    def test_where_everybody_may_call_images_may_too(self):
        asked = facts("GET", fetch_site="cross-site", fetch_mode="no-cors")
        assert decide(asked, CORSPolicy(origins="*")).allowed

    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
    def test_without_any_host_named_loopback_pages_are_the_apps_own(self, host):
        asked = facts(origin=f"http://{host}", host=host, scheme="http")
        assert decide(asked).reason is Reason.SAME_ORIGIN
        assert decide(asked, hosts="*").reason is Reason.SAME_ORIGIN
        # An IP literal cannot be rebound, so it needs no naming.
        named = Reason.ORIGIN_NOT_ALLOWED if host.startswith("localhost") else Reason.SAME_ORIGIN
        assert decide(asked, hosts=["mcp.example.com", "localhost:1"]).reason is named
        assert decide(asked, trusted_hosts=["mcp.example.com"]).reason is named

    def test_any_host_names_none_so_a_rebound_name_stays_foreign(self):
        asked = facts(origin="http://evil.example", host="evil.example", scheme="http")
        assert decide(asked, hosts="*").reason is Reason.ORIGIN_NOT_ALLOWED

    @pytest.mark.parametrize(
        "settings",
        [{"trusted_hosts": [".example.com"]}, {"server_name": "MCP.example.com"}, {"hosts": ["*.example.com", "*"]}],
    )
    def test_a_named_host_makes_its_pages_the_apps_own(self, settings):
        assert decide(facts(origin=OWN), **settings).reason is Reason.SAME_ORIGIN

    def test_an_embedded_request_that_would_be_refused_is_reported_with_its_reason(self):
        policy = CORSPolicy(origins=APP, validate_origin="report")
        site = make_site({"hosts": "*"}, policy)
        facts = Facts("GET", "/", "https", "mcp.example.com", None, fetch_site="cross-site", fetch_mode="no-cors")
        decision = site.decide(facts, policy)
        assert (decision.allowed, decision.reason, decision.final) == (False, Reason.CROSS_SITE, False)
        assert decision.reported is True


class TestHosts:
    def test_nothing_configured_serves_loopback_only(self):
        made = site(CORSPolicy())
        assert made.hosts.patterns == LOOPBACK_HOSTS
        decision = made.decide(facts(), made.default)
        assert (decision.reason, decision.status) == (Reason.HOST_NOT_SERVED, 421)

    @pytest.mark.parametrize(
        ("settings", "patterns"),
        [
            ({}, ("*",)),
            ({"trusted_hosts": [".example.com"]}, ("example.com", "*.example.com")),
            ({"hosts": "a.example", "trusted_hosts": ["b.example"]}, ("a.example",)),
        ],
    )
    def test_chosen_origins_open_the_hosts(self, settings, patterns):
        assert site(**settings).hosts.patterns == patterns

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            (facts(host="evil.example", origin=APP), 421),
            (facts(host="evil.example"), 421),
            (facts(host=None), 421),
            (preflight(host="evil.example"), 421),
            (facts(host="evil.example", origin=EVIL), 403),
            (preflight(host="evil.example", origin=EVIL), 403),
        ],
    )
    def test_the_origin_is_checked_first(self, asked, status):
        decision = decide(asked, hosts="mcp.example.com")
        assert (decision.status, decision.final) == (status, True)
        assert not [name for name, _ in decision.headers if name.startswith("Access-Control")]

    def test_hosts_apply_where_no_policy_does(self):
        made = site(hosts="mcp.example.com", paths="/mcp")
        assert made.decide(facts(path="/", host="evil.example"), None).status == 421
        passed = made.decide(facts(path="/", origin=EVIL), None)
        assert (passed.reason, passed.headers, passed.final) == (Reason.NOT_GOVERNED, (), False)

    def test_a_refusal_where_no_policy_governs_is_plain_text(self):
        made = site(CORSPolicy(origins=APP, security_headers=None), hosts="mcp.example.com", paths="/mcp")
        decision = made.decide(facts(path="/", host="other.example"), None)
        assert decision.headers == (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Vary", "Origin"),
        )
        assert decision.body == b"Invalid Host header: this host is not served here."
        options = made.decide(facts("OPTIONS", path="/", host="other.example"), None)
        assert dict(options.headers)["Vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class TestStrictest:
    @pytest.mark.parametrize(
        ("stricter", "looser"),
        [
            (CORSPolicy(origins=APP).actual(EVIL), CORSPolicy(origins=APP).actual(None)),
            (CORSPolicy(origins=APP, validate_origin=False).actual(EVIL), CORSPolicy(origins=APP).actual(None)),
            (CORSPolicy(origins=APP).actual(None), Decision(True, Reason.NOT_GOVERNED, None, ())),
            (CORSPolicy(origins=APP).actual(None), CORSPolicy(origins="*").actual(None)),
        ],
        ids=["refused", "not-allowed", "governed", "without-grant"],
    )
    def test_it_is_found_in_either_order(self, stricter, looser):
        assert strictest([stricter, looser]) == strictest([looser, stricter]) == stricter

    def test_the_later_of_two_that_are_equally_strict(self):
        one, other = (CORSPolicy(origins=APP, expose_headers=name).actual(APP) for name in ("X-A", "X-B"))
        assert strictest([one, other]) == other
        assert strictest([other, one]) == one


class TestChoice:
    def test_paths_say_what_the_default_governs(self):
        made = site(paths=["/mcp", "/servers/*/mcp"])
        assert made.choose("/mcp").policy is made.default
        assert made.choose("/servers/1/mcp").policy is made.default
        assert made.choose("/").policy is None

    def test_policies_govern_whatever_paths_say(self):
        public = CORSPolicy(origins="*")
        made = site(paths="/mcp", policies={"/public/**": public, "/mcp/off": None})
        assert made.choose("/public/x").policy is public
        assert made.choose("/mcp/off").policy is None

    def test_settings_go_over_the_default_policy(self):
        made = site(CORSPolicy(origins=APP, max_age=5), policies={"/x": {"allow_methods": ["PUT"]}})
        policy = made.choose("/x").policy
        assert (policy.origins, policy.max_age, policy.allow_methods) == ((APP,), 5, ("PUT",))

    @pytest.mark.parametrize(
        "path",
        [
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/servers/a/mcp",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/tenant",
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenant",
            "/tenant/.well-known/openid-configuration",
        ],
    )
    @pytest.mark.parametrize("settings", [{}, {"paths": "/mcp"}, {"policies": {"/**": None}}])
    def test_discovery_documents_stay_public(self, path, settings):
        made = site(**settings)
        assert [made.choose(path, method).policy for method in ("GET", "HEAD")] == [PUBLIC_METADATA] * 2

    @pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PUT", "get", ""])
    @pytest.mark.parametrize("path", ["/.well-known/oauth-protected-resource/x", "/a/.well-known/openid-configuration"])
    def test_a_discovery_pattern_governs_no_other_method(self, method, path):
        made = site()
        assert made.choose(path, method).policy is made.default

    def test_a_pattern_of_the_owner_that_is_as_specific_wins(self):
        own = {"/**/.well-known/openid-configuration": None, "/tenant/**": {"max_age": 1}}
        made = site(policies=own)
        assert made.choose("/x/.well-known/openid-configuration").policy is None
        assert made.choose("/tenant/.well-known/openid-configuration").policy.max_age == 1

    def test_dot_segments_are_governed_as_the_path_that_they_resolve_to(self):
        policies = {"/static/public/**": {"origins": "*"}, "/static/private/**": {"origins": APP}}
        made = site(hosts="*", policies=policies)
        for path in ("/static/public/../private/s.txt", "/static/public/./../private/s.txt", "/x/../static/private/s"):
            assert made.judge(facts("GET", path=path, origin=EVIL)).status == 403
        assert made.judge(facts("GET", path="/static/public/a/../s.txt", origin=EVIL)).allowed

    def test_a_callable_is_asked_about_the_path_that_dot_segments_resolve_to(self):
        made = site(policies={"/asked/**": lambda request: None})
        assert made.judge(facts(path="/x/../asked/y", origin=APP)) is None

    def test_get_is_the_method_where_none_is_given(self):
        assert site().choose("/.well-known/oauth-protected-resource").policy is PUBLIC_METADATA

    def test_an_answer_to_a_preflight_lists_only_what_the_policy_governs(self):
        made = site(hosts="*")
        path = "/.well-known/oauth-protected-resource"
        answer = made.judge(preflight(path=path))
        assert dict(answer.headers)["Access-Control-Allow-Methods"] == "POST, DELETE, OPTIONS"

    def test_a_discovery_pattern_can_be_given_another_policy(self):
        assert (
            site(policies={"/.well-known/oauth-protected-resource/**": None})
            .choose("/.well-known/oauth-protected-resource")
            .policy
            is None
        )

    @pytest.mark.parametrize(
        ("settings", "codes"),
        [
            ({"paths": []}, ["paths_empty"]),
            ({"paths": ["mcp", "/x*"]}, ["path_invalid", "path_invalid"]),
            ({"paths": 3}, ["wrong_type"]),
            ({"policies": ["/mcp"]}, ["wrong_type"]),
            ({"policies": {"mcp": None}}, ["path_invalid"]),
            ({"policies": {3: None}}, ["wrong_type"]),
            ({"policies": {"/mcp": "open"}}, ["wrong_type"]),
            ({"policies": {"/mcp": {"origins": "x"}}}, ["origin_scheme_missing"]),
            ({"policies": {"/mcp": {"hosts": "x"}}}, ["unknown_setting"]),
            ({"hosts": "a b", "paths": "x", "policies": {"y": None}}, ["host_invalid", "path_invalid", "path_invalid"]),
        ],
    )
    def test_a_wrong_site_is_refused_with_every_fault(self, settings, codes):
        with pytest.raises(PolicyError) as caught:
            site(**settings)
        assert [problem.code for problem in caught.value.problems] == codes

    def test_a_fault_below_policies_names_its_path(self):
        with pytest.raises(PolicyError) as caught:
            site(policies={"/mcp": {"max_age": -1}})
        assert caught.value.problems[0].setting == "policies['/mcp'].max_age"

    def test_a_choice_names_the_rule_that_made_it(self):
        site = make_site({"paths": "/mcp", "policies": {"/mcp/x": None}}, CORSPolicy(origins=APP))
        assert [site.choose(path).rule for path in ("/mcp", "/mcp/x", "/")] == [
            "the default policy, paths '/mcp'",
            "policies['/mcp/x']",
            "outside paths",
        ]
        bare = make_site({}, CORSPolicy(origins=APP))
        assert bare.choose("/").rule == "the default policy"
        document = bare.choose("/.well-known/oauth-protected-resource")
        assert document.rule == "policies['/.well-known/oauth-protected-resource/**']"
        assert (document.is_discovery, bare.choose("/").is_discovery) == (True, False)

    def test_the_settings_can_be_read(self):
        policies = {"/x": None}
        made = site(paths=["/mcp", "/y"], policies=policies)
        assert (made.paths, made.policies) == (("/mcp", "/y"), policies)
        assert site().paths is None


class TestSameOrigin:
    """A page can send ``Sec_Fetch_Site`` to its own origin, and many servers fold ``_`` into ``-``."""

    @pytest.mark.parametrize(
        ("scheme", "host", "origin", "is_own"),
        [
            ("https", "mcp.example.com", "https://mcp.example.com", True),
            ("http", "backend:8000", "https://mcp.example.com", True),
            ("http", "app.localhost:5000", "http://app.localhost:5000", True),
            ("http", "127.9.9.9", "http://127.9.9.9", True),
            ("http", "evil.example", "http://evil.example", False),
            ("http", "192.168.0.9:8000", "http://192.168.0.9:8000", False),
            ("http", "localhost.evil.example", "http://localhost.evil.example", False),
            ("http", "127.0.0.1.evil.example", "http://127.0.0.1.evil.example", False),
            ("https", "anything.example", "null", True),
            ("http", "localhost:5000", "null", True),
            ("http", "mcp.example.com", "null", True),
            ("http", "evil.example", "null", False),
            ("http", None, "null", False),
            ("https", "mcp.example.com", "https://mcp.example.com/", False),
            ("https", "mcp.example.com", "ws://localhost", False),
        ],
    )
    def test_it_is_believed_only_of_urls_to_which_browsers_say_it(self, scheme, host, origin, is_own):
        asked = facts(scheme=scheme, host=host, origin=origin, fetch_site="same-origin")
        policy = CORSPolicy(origins=APP)
        made = make_site({"hosts": ["mcp.example.com", "*"]}, policy)
        assert (made.decide(asked, policy).reason is Reason.SAME_ORIGIN) is is_own

    def test_a_listed_host_may_have_the_port_of_the_scheme(self):
        asked = facts(scheme="http", origin="null", fetch_site="same-origin")
        assert decide(asked, hosts="mcp.example.com:80").reason is Reason.SAME_ORIGIN
        assert decide(asked, hosts="mcp.example.com:443").reason is Reason.ORIGIN_NOT_ALLOWED

    @pytest.mark.parametrize("host", ["192.168.1.20:5000", "[fd00::1]:5000", "127.0.0.1:5000"])
    def test_without_fetch_metadata_an_ip_literal_is_trusted(self, host):
        asked = facts(scheme="http", host=host, origin=f"http://{host}")
        assert decide(asked, hosts="mcp.example.com").reason is Reason.SAME_ORIGIN

    @pytest.mark.parametrize("host", ["0.0.0.0:5000", "[::]:5000", "[::ffff:7f00:1]:5000", "[::ffff:10.0.0.1]"])
    def test_an_unspecified_or_mapped_address_is_not_served(self, host):
        assert decide(facts("GET", scheme="http", host=host), hosts="mcp.example.com").status == 421
        asked = facts(scheme="http", host=host, origin=f"http://{host}")
        assert decide(asked, hosts="*").status == 403


class TestEmbedding:
    @pytest.mark.parametrize("site_header", ["cross-site", "same-site"])
    @pytest.mark.parametrize("dest", ["iframe", "frame", "fencedframe", "object", "embed"])
    def test_a_frame_is_refused_where_frames_are_denied(self, site_header, dest):
        asked = facts("GET", fetch_site=site_header, fetch_mode="navigate", fetch_dest=dest)
        assert decide(asked).reason is Reason.CROSS_SITE
        for frame_options in ("SAMEORIGIN", None):
            policy = CORSPolicy(origins=APP, security_headers={"frame_options": frame_options})
            assert decide(asked, policy).reason is Reason.NO_ORIGIN
        assert decide(asked, CORSPolicy(origins=APP, security_headers=None)).reason is Reason.NO_ORIGIN

    def test_a_link_is_followed(self):
        asked = facts("GET", fetch_site="cross-site", fetch_mode="navigate", fetch_dest="document")
        assert decide(asked).reason is Reason.NO_ORIGIN

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "BREW"])
    def test_an_unsafe_method_of_another_site_without_origin_is_refused(self, method):
        assert decide(facts(method, fetch_site="cross-site", fetch_mode="navigate")).reason is Reason.CROSS_SITE
        assert decide(facts(method, fetch_site="same-site")).reason is Reason.CROSS_SITE


class TestMemo:
    @pytest.mark.parametrize(
        "asked", [facts(origin=APP), facts(origin=EVIL), preflight(), facts(path="/off", origin=EVIL)]
    )
    def test_a_decision_is_made_once_and_kept(self, asked, monkeypatch):
        made, decided = site(policies={"/off": None}), []
        decide = made.decide
        monkeypatch.setattr(made, "decide", lambda *args: decided.append(args) or decide(*args))
        assert not made.keeps(asked)
        assert made.judge(asked) == made.judge(asked)
        assert len(decided) == 1
        assert made.keeps(asked)
        assert not made.keeps(asked._replace(host="other.example.com"))

    @pytest.mark.parametrize(
        "asked",
        [
            facts("GET", path="/.well-known/oauth-protected-resource", origin=APP),
            facts("GET", fetch_site="cross-site", fetch_mode="no-cors"),
        ],
        ids=["discovery-document", "embedded"],
    )
    def test_a_decision_that_depends_on_the_view_is_not_kept(self, asked):
        made = site()
        made.judge(asked)
        assert not made.keeps(asked)

    def test_the_answer_of_an_origins_callable_is_not_kept(self):
        answers = iter([True, False])
        made = site(CORSPolicy(origins=lambda origin: next(answers)))
        assert [made.judge(facts(origin=APP)).status for _ in range(2)] == [None, 403]

    def test_the_256_decisions_that_are_kept_make_room_for_the_next(self):
        made = site()
        for number in range(257):
            assert len(made.passing) == number
            made.judge(facts(path=f"/{number}", origin=APP))
        assert len(made.passing) == 1

    def test_facts_of_1024_characters_are_kept_and_longer_ones_are_not(self):
        made = site()
        for length, kept in ((1024, True), (1025, False)):
            asked = facts(origin=APP, fetch_dest="empty")
            asked = asked._replace(
                path="/".ljust(length - sum(map(len, filter(None, asked[:-1]))) + len(asked.path), "x")
            )
            made.judge(asked)
            assert made.keeps(asked) is kept

    def test_long_facts_are_not_kept(self):
        made = site()
        made.judge(facts(origin=APP))
        made.judge(facts(origin=APP, request_headers="x" * 2000))
        assert len(made.passing) == 1

    def test_what_a_door_asks_first_holds_only_what_passes_in_silence(self):
        made = site(CORSPolicy(origins=APP, validate_origin="report"))
        for asked in (facts(origin=APP), facts(origin=EVIL), preflight(), facts(origin=APP, host="a b")):
            made.judge(asked)
        assert list(made.passing) == [facts(origin=APP)[:-1]]

    def test_it_is_bounded(self):
        made = site()
        for number in range(2000):
            made.judge(facts(path=f"/{number}", origin=APP))
            made.judge(facts(path=f"/{number}", origin=EVIL))
        assert len(made.passing) <= 256
        assert len(made.answering) <= 256

    @pytest.mark.parametrize("length", [512, 513])
    def test_a_path_of_any_length_has_its_policy(self, length):
        site = make_site({"policies": {"/off/**": None}}, CORSPolicy(origins=APP))
        for _ in range(2):
            assert site.choose("/off/".ljust(length, "x")).policy is None
            assert site.choose("/on/".ljust(length, "x")).policy is site.default

    def test_an_origins_callable_is_asked_each_time(self):
        answers = iter([True, False, True])
        policy = CORSPolicy(origins=lambda origin: next(answers))
        site = make_site({"hosts": "*"}, policy)
        facts = Facts("GET", "/", "https", "mcp.example.com", APP)
        assert [site.decide(facts, policy).status for _ in range(3)] == [None, 403, None]

    def test_long_paths_are_not_kept(self):
        site = make_site({}, CORSPolicy(origins=APP))
        kept = weakref.WeakSet()

        class Path(str):
            __slots__ = ("__weakref__",)

        for number in range(50):
            path = Path(f"/{number}{'x' * 5000}")
            kept.add(path)
            site.choose(path)
        del path
        gc.collect()
        assert len(kept) == 0


class TestScheme:
    """What goes by the scheme of the request: HSTS, own pages, the port of a host."""

    HSTS = ("Strict-Transport-Security", "max-age=1")

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
    def test_strict_transport_security_is_sent_over_https_and_not_over_http(self, scheme, validate, method, sent):
        security = SecurityHeaders(strict_transport_security="max-age=1")
        policy = CORSPolicy(origins=APP, security_headers=security, validate_origin=validate)
        site = make_site({"hosts": ["mcp.example.com"]}, policy)
        facts = Facts(method, "/", scheme, **{"host": "mcp.example.com", "origin": None, **sent})
        assert (self.HSTS in site.decide(facts, policy).headers) is (scheme == "https")

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_so_is_that_of_a_refused_host_where_no_policy_governs(self, scheme):
        policy = CORSPolicy(security_headers=SecurityHeaders(strict_transport_security="max-age=1"))
        site = make_site({"hosts": ["mcp.example.com"]}, policy)
        decision = site.decide(Facts("GET", "/", scheme, "x", None), None)
        assert (decision.status, self.HSTS in decision.headers) == (421, scheme == "https")

    @pytest.mark.parametrize(("scheme", "method"), [("https", "GET"), ("http", "OPTIONS")])
    def test_so_is_that_of_a_request_whose_callable_failed(self, scheme, method):
        made = site(CORSPolicy(origins=APP, security_headers=SecurityHeaders(strict_transport_security="max-age=1")))
        headers = made.policy_failed(facts(method, scheme=scheme)).headers
        assert (self.HSTS in headers) is (scheme == "https")
        assert ("Access-Control-Request-Method" in dict(headers)["Vary"]) is (method == "OPTIONS")

    def test_an_own_page_has_the_scheme_of_the_request(self):
        site = make_site({"hosts": ["mcp.example.com:443"]}, CORSPolicy(origins=APP))
        statuses = [
            site.decide(
                Facts("POST", "/", scheme, "mcp.example.com", f"{scheme}://mcp.example.com"), site.default
            ).status
            for scheme in ("https", "http")
        ]
        assert statuses == [None, 403]

    @pytest.mark.parametrize(("scheme", "status"), [("https", None), ("http", 421)])
    def test_a_host_without_a_port_has_the_port_of_the_scheme(self, scheme, status):
        site = make_site({"hosts": ["mcp.example.com:443"]}, CORSPolicy(origins=APP))
        facts = Facts("GET", "/", scheme, "mcp.example.com", None)
        assert [site.decide(facts, policy).status for policy in (site.default, None)] == [status, status]


class TestHostileFacts:
    """Rules 2 and 4 of Origin validation, with what only a hostile client would send."""

    @pytest.fixture
    def site(self):
        return make_site({"hosts": ["mcp.example.com"]}, CORSPolicy(origins=APP))

    @pytest.mark.parametrize("value", ["", "Same-Origin", "same-origin ", "none", "same-site", "cross-site"])
    def test_no_other_sec_fetch_site_is_same_origin(self, site, value):
        facts = Facts("POST", "/", "https", "mcp.example.com", "https://mcp.example.com", fetch_site=value)
        assert site.decide(facts, site.default).status == 403

    @pytest.mark.parametrize(
        ("scheme", "host", "origin"),
        [
            pytest.param("http", "mcp.example.com", "https://mcp.example.com", id="other-scheme"),
            pytest.param("https", "mcp.example.com:8443", "https://mcp.example.com", id="other-port"),
            pytest.param("https", "mcp.example.com.", "https://mcp.example.com", id="trailing-dot"),
            pytest.param("https", "evil.example", "https://evil.example", id="rebound-name"),
            pytest.param("https", "0.0.0.0", "https://0.0.0.0", id="unspecified-address"),
            pytest.param("https", "", "https://", id="empty-host"),
            pytest.param("https", None, "https://mcp.example.com", id="no-host"),
            pytest.param("https", "mcp.example.com@evil.example", "https://evil.example", id="userinfo"),
        ],
    )
    def test_no_other_host_makes_an_origin_the_sites_own(self, site, scheme, host, origin):
        assert site.decide(Facts("POST", "/", scheme, host, origin), site.default).status == 403

    @pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket", "", "Navigate", "navigate, navigate"])
    @pytest.mark.parametrize("sent", ["cross-site", "same-site"])
    def test_a_request_without_origin_from_another_site_is_refused(self, site, sent, mode):
        facts = Facts("GET", "/", "https", "mcp.example.com", None, fetch_site=sent, fetch_mode=mode)
        assert site.decide(facts, site.default).reason is Reason.CROSS_SITE


class TestOptions:
    """What a preflight, and a request that could have been one, is answered from."""

    VARY = ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")

    def test_the_requested_headers_count(self):
        asked = preflight(request_headers="x-evil")
        assert site(hosts="*").judge(asked).reason is Reason.HEADER_NOT_ALLOWED

    def test_outside_the_governed_paths_a_preflight_is_left_alone(self):
        assert site(paths="/mcp").judge(preflight(path="/")).reason is Reason.NOT_GOVERNED

    def test_a_preflight_at_another_host_varies_as_a_preflight(self):
        made = site(CORSPolicy(origins=APP, security_headers=None), hosts="mcp.example.com")
        assert made.judge(preflight(host="other.example.com")).headers == (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            self.VARY,
        )

    def test_another_options_request_has_the_headers_of_a_response(self):
        made = site(CORSPolicy(origins=APP, security_headers=None, expose_headers="X-A"), hosts="*")
        assert made.judge(facts("OPTIONS", origin=APP)).headers == (
            ("Access-Control-Allow-Origin", APP),
            ("Access-Control-Expose-Headers", "X-A"),
            self.VARY,
        )


def test_a_pattern_that_is_no_string_is_named_and_the_others_are_read():
    with pytest.raises(PolicyError) as caught:
        site(policies={3: None, "mcp": None})
    first, second = caught.value.problems
    assert str(first) == "policies=3: int is the wrong type; write a path pattern, a string [wrong_type]"
    assert (second.code, second.value) == ("path_invalid", "mcp")
