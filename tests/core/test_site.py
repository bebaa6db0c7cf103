"""The site: which policy, which checks, in which order."""

import pytest

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import PolicyError
from flask_mcp_cors import PUBLIC_METADATA
from flask_mcp_cors import Reason
from flask_mcp_cors.core.site import Facts
from flask_mcp_cors.core.site import make_site

APP = "https://app.example.com"
EVIL = "https://evil.example"
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
            pytest.param(facts(fetch_site="cross-site", fetch_mode="navigate"), Reason.NO_ORIGIN, id="4-link"),
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
        assert decide(asked, hosts=["mcp.example.com", "localhost:1"]).reason is Reason.ORIGIN_NOT_ALLOWED
        assert decide(asked, trusted_hosts=["mcp.example.com"]).reason is Reason.ORIGIN_NOT_ALLOWED

    def test_any_host_names_none_so_a_rebound_name_stays_foreign(self):
        asked = facts(origin="http://evil.example", host="evil.example", scheme="http")
        assert decide(asked, hosts="*").reason is Reason.ORIGIN_NOT_ALLOWED

    @pytest.mark.parametrize(
        "settings",
        [{"trusted_hosts": [".example.com"]}, {"server_name": "mcp.example.com"}, {"hosts": ["*.example.com", "*"]}],
    )
    def test_a_named_host_makes_its_pages_the_apps_own(self, settings):
        assert decide(facts(origin=OWN), **settings).reason is Reason.SAME_ORIGIN


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
    @pytest.mark.parametrize(
        "settings", [{}, {"paths": "/mcp"}, {"policies": {"/**": None}}, {"policies": {"/*/**": {}}}]
    )
    def test_discovery_documents_stay_public(self, path, settings):
        assert site(**settings).choose(path).policy is PUBLIC_METADATA

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
