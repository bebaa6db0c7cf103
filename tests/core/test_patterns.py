"""Origin patterns: which are accepted, the messages for the others, and what matches."""

import re

import pytest
from pages import APP

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import PolicyError
from flask_mcp_cors import Reason
from flask_mcp_cors.core.patterns import Match
from flask_mcp_cors.core.patterns import OriginCallable
from flask_mcp_cors.core.patterns import OriginIndex
from flask_mcp_cors.core.patterns import parse_pattern
from flask_mcp_cors.core.problems import Invalid


def problems(*origins, **settings):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins=list(origins), **settings)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "code", "write"),
    [
        ("https://app.example.com/", "origin_trailing_slash", "https://app.example.com"),
        ("https://app.example.com/mcp", "origin_path", "https://app.example.com"),
        ("https://app.example.com?x=1", "origin_query", "https://app.example.com"),
        ("https://app.example.com#top", "origin_fragment", "https://app.example.com"),
        ("https://me:pw@app.example.com", "origin_userinfo", "https://app.example.com"),
        ("https://app.example.com:443", "origin_default_port", "https://app.example.com"),
        ("http://app.example.com:80", "origin_default_port", "http://app.example.com"),
        ("https://App.example.com", "origin_upper_case", "https://app.example.com"),
        ("https://bücher.example", "origin_not_ascii", "https://xn--bcher-kva.example"),
        ("https://straße.example", "origin_not_ascii", "https://xn--strae-oqa.example"),
        ("https://ｅxample.com", "origin_not_ascii", "https://example.com"),
        ("https://日本。jp", "origin_not_ascii", "https://xn--wgv71a.jp"),
        ("https://例え．テスト", "origin_not_ascii", "https://xn--r8jz45g.xn--zckzah"),
        ("https://a\u00adb.com", "origin_not_ascii", "https://ab.com"),
        ("safari-web-extension://140BB581-A2C0", "origin_upper_case", "write safari-web-extension://*"),
        ("app.example.com", "origin_scheme_missing", "https://app.example.com"),
        ("localhost:3000", "origin_scheme_missing", "write http://localhost:3000"),
        ("127.0.0.1:5173", "origin_scheme_missing", "write http://127.0.0.1:5173"),
        ("[::1]:5173", "origin_scheme_missing", "write http://[::1]:5173"),
        ("[2001:db8::1]:5173", "origin_scheme_missing", "write http://[2001:db8::1]:5173"),
        ("192.168.0.10:5173", "origin_scheme_missing", "write http://192.168.0.10:5173"),
        ("https://a.example:/x", "origin_path", "write https://a.example"),
        ("https://a.example/?to=http://b.example", "origin_path", "write https://a.example"),
        ("wss://app.example.com", "origin_websocket", "write https://app.example.com"),
        ("ws://localhost:3000", "origin_websocket", "write http://localhost:3000"),
        ("wss://*.example.com:8443", "origin_websocket", "write https://*.example.com:8443"),
        (" https://a.example", "origin_white_space", "https://a.example"),
        (" https://A.example", "origin_white_space", "write https://a.example"),
        ("https://a\u3000b.example", "origin_not_ascii", "ASCII"),
        ("X'", "origin_scheme_missing", "app.example.com"),
        ("https://a.example,https://b.example", "origin_list", '["https://a.example", "https://b.example"]'),
        ("a.example localhost:1", "origin_list", '["https://a.example", "http://localhost:1"]'),
        ("['https://a.example']", "origin_list", 'this is a list written as text; write ["https://a.example"]'),
        (r"https://.*\.example\.com", "origin_regex", "re.compile(…).fullmatch"),
        (r"https://.*\.example\.com", "origin_regex", "write https://*.example.com, or"),
        (r"^https?://[^.]+\.example\.com(:\d+)?$", "origin_regex", "write https://*.example.com:*, or"),
        (r"https:\/\/(.*)\.my\-app\.example$", "origin_regex", "write https://*.my-app.example, or"),
        (r"https://\w+.example.com:[0-9]{4}", "origin_regex", "write https://*.example.com:*, or"),
        ("https://.*", "origin_regex", "https://*.example.com"),
        ("^https://a.example$", "origin_regex", "a callable"),
        ("https://[a-z]+.example.com", "origin_regex", "a callable"),
        ("https?://a.example", "origin_regex", "a callable"),
        (".*", "origin_regex", "a callable"),
        ("http://localhost:.*", "origin_regex", "a callable"),
        ("https://[a-z]*.example.com", "origin_regex", "a callable"),
        ("https://[abc]*.example.com", "origin_regex", "a callable"),
        ("https://app*.example.com", "origin_wildcard_misplaced", "https://*.example.com"),
        ("https://a.*.example.com", "origin_wildcard_misplaced", "https://*.example.com"),
        ("https://*.192.168.0.1", "origin_wildcard_misplaced", "the whole address"),
        ("https://*", "origin_any_host", "https://*.example.com"),
        ("http://*:3000", "origin_any_host", "https://*.example.com"),
        ("vscode-webview://*:80", "origin_any_host", "for every origin"),
        ("https://a.example:0", "origin_port_out_of_range", "1 to 65535"),
        ("https://a.example:65536", "origin_port_out_of_range", "1 to 65535"),
        ("https://a.example:000443", "origin_port_out_of_range", "1 to 65535"),
        ("https://a.example:08443", "origin_port_invalid", "write https://a.example:8443"),
        ("https://a.example:00443", "origin_port_invalid", "write https://a.example"),
        ("https://*:443", "origin_any_host", "https://*.example.com"),
        ("https://a.example:http", "origin_port_invalid", "1 to 65535"),
        ("https://a.example:٣", "origin_not_ascii", "ASCII"),
        ("http://127.1", "origin_ipv4_invalid", "write http://127.0.0.1"),
        ("http://0x7f.0.0.1", "origin_ipv4_invalid", "write http://127.0.0.1"),
        ("http://2130706433:3000", "origin_ipv4_invalid", "write http://127.0.0.1:3000"),
        ("https://192.168.001.010", "origin_ipv4_invalid", "write https://192.168.1.8"),
        ("https://127.0.0.1.", "origin_ipv4_invalid", "write https://127.0.0.1"),
        ("https://256.1", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://1.256.1", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://1.2.3.256", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://1.2.3.4.5", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://4294967296", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://a.08", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://1_0.1", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://1..1", "origin_ipv4_invalid", "192.168.0.10"),
        ("https://[2001:0DB8::1]:8443", "origin_upper_case", "write https://[2001:db8::1]:8443"),
        ("http://[::0001]", "origin_ipv6_invalid", "[::1]"),
        ("http://[::ffff:1.2.3.4]", "origin_ipv6_invalid", "[::ffff:102:304]"),
        ("http://[fe80::1%eth0]", "origin_ipv6_invalid", "without a zone"),
        ("http://[::1]x", "origin_host_invalid", "[2001:db8::1]"),
        ("https://-a.example", "origin_host_invalid", "app.example.com"),
        ("https://a..example", "origin_host_invalid", "app.example.com"),
        (f"https://{'a' * 64}.example", "origin_host_invalid", "app.example.com"),
        (f"https://{'a.' * 127}example", "origin_host_invalid", "app.example.com"),
        ("1a://b", "origin_scheme_invalid", "https"),
        ("*.https://a.example", "origin_scheme_invalid", "https"),
        ("null", "origin_null", "dangerously_allow_null=True"),
        ("file://", "origin_file", "dangerously_allow_null=True"),
        ("file:", "origin_file", "dangerously_allow_null=True"),
        ("file://host", "origin_file", ""),
        ("https://*.github.io", "origin_public_suffix", "https://your-name.github.io"),
        ("https://*.co.uk", "origin_public_suffix", "https://your-name.co.uk"),
        ("*.vercel.app", "origin_public_suffix", "https://your-name.vercel.app"),
        ("https://*.amazonaws.com", "origin_public_suffix", "in full"),
        ("https://*.foo.ck", "origin_public_suffix", "in full"),
        ("https://*.com.", "origin_public_suffix", "in full"),
        ("https://*.app.github.dev", "origin_public_suffix", "https://your-name.app.github.dev"),
        ("https://*.github.dev", "origin_public_suffix", "in full"),
        ("https://*.ws-eu1.gitpod.io", "origin_public_suffix", "in full"),
        ("https://*.local-credentialless.webcontainer-api.io", "origin_public_suffix", "in full"),
        ("https://*.asse.devtunnels.ms:*", "origin_public_suffix", "in full"),
        ("https://*.loca.lt", "origin_public_suffix", "in full"),
    ],
)
def test_a_refused_pattern_says_what_to_write(text, code, write):
    (problem,) = problems(text)
    assert (problem.code, problem.setting, problem.value) == (code, "origins", text)
    assert write in problem.message


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("https://github.io", ["https://github.io"], ["https://a.github.io"]),
        ("app://*.github.io", ["app://a.github.io"], ["app://github.io"]),
        (
            "https://a.example",
            ["https://a.example"],
            ["http://a.example", "https://a.example:8443", "https://b.example"],
        ),
        ("http://[::1]:8080", ["http://[::1]:8080"], ["http://[::1]", "http://[::2]:8080", "http://[0:0::1]:8080"]),
        (
            "https://*.example.com",
            ["https://a.example.com", "https://a.b.example.com", "https://my_app.example.com"],
            [
                "https://example.com",
                "https://evilexample.com",
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://.example.com",
                "https://a..example.com",
                "https://evil.com_.example.com",
                "https://evil.com-.example.com",
                "https://evil.com`.example.com",
                "https://a.example.com.",
            ],
        ),
        ("*.example.com", ["https://a.example.com"], ["http://a.example.com", "https://example.com"]),
        (
            "https://*.example.com:*",
            ["https://a.example.com", "https://a.example.com:1", "https://a.example.com:65535"],
            ["https://a.example.com:443", "https://example.com:1", "https://a.example.com:0"],
        ),
        (
            "https://*.example.com:8443",
            ["https://a.example.com:8443"],
            ["https://a.example.com", "https://a.example.com:1"],
        ),
        ("https://*.example.com.", ["https://a.example.com."], ["https://a.example.com"]),
        (
            "http://localhost:*",
            ["http://localhost", "http://localhost:3000"],
            ["http://localhost:80", "https://localhost", "http://localhost.evil.example", "http://a.localhost"],
        ),
        (
            "vscode-webview://*",
            ["vscode-webview://1a2b3c4d", "vscode-webview://a-b"],
            ["vscode-webview://a:1", "https://a", "vscode-webview://", "vscode-webview://a/b"],
        ),
        ("app://-", ["app://-"], ["app://--"]),
        ("chrome-extension://abc", ["chrome-extension://abc"], ["chrome-extension://abcd"]),
        ("moz-extension://1f2e3d4c-aaaa", ["moz-extension://1f2e3d4c-aaaa"], ["moz-extension://1F2e3d4c-aaaa"]),
    ],
)
def test_a_pattern_matches_what_its_text_says(pattern, allowed, refused):
    policy = CORSPolicy(origins=pattern)
    for origin in allowed:
        assert policy.actual(origin).allowed, origin
    for origin in refused:
        assert not policy.actual(origin).allowed, origin


@pytest.mark.parametrize("dot", ["", "."])
@pytest.mark.parametrize(("length", "valid"), [(251, True), (252, False)])
def test_a_subdomain_pattern_leaves_room_for_a_label(length, valid, dot):
    text = f"https://*.{(('a' * 60 + '.') * 5)[: length - 1]}b{dot}"
    if valid:
        assert parse_pattern(text).subdomains
    else:
        with pytest.raises(Invalid, match="no subdomain of it fits"):
            parse_pattern(text)


@pytest.mark.parametrize("text", ["hé://a", "https\x85://*.example.com:443", "\u212attp://localhost", "ｈttps://A"])
def test_a_scheme_that_is_not_ascii_is_one_problem(text):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins=text)
    assert [problem.code for problem in caught.value.problems] == ["origin_not_ascii"]


def test_loopback_is_exactly_three_hosts():
    assert LOOPBACK_HOSTS == ("localhost", "127.0.0.1", "[::1]")
    assert set(LOOPBACK) == {f"{s}://{h}:*" for s in ("http", "https") for h in ("localhost", "127.0.0.1", "[::1]")}
    policy = CORSPolicy()
    assert policy.origins == LOOPBACK
    assert policy.actual("http://[::1]:3000").allowed
    for origin in ("http://127.0.0.2", "http://foo.localhost", "http://0.0.0.0", "https://[::2]"):
        assert not policy.actual(origin).allowed


def test_patterns_can_be_spread_beside_the_loopback_ones():
    policy = CORSPolicy(origins=(*LOOPBACK, "https://app.example.com"))
    assert policy.actual("https://app.example.com").allowed
    assert policy.actual("http://127.0.0.1:1").allowed


@pytest.mark.parametrize("origin", ["null", "https://a.example", "file://", "app://x"])
def test_star_allows_every_origin_as_a_literal_star(origin):
    decision = CORSPolicy(origins="*").actual(origin)
    assert (decision.allowed, dict(decision.headers)["Access-Control-Allow-Origin"]) == (True, "*")


def test_null_and_file_need_the_dangerous_flag():
    policy = CORSPolicy(origins=["null", "file://"], dangerously_allow_null=True)
    assert policy.actual("null").allowed
    assert policy.actual("file://").allowed
    assert not policy.actual("https://a.example").allowed


def test_a_file_origin_may_be_written_as_its_scheme():
    policy = CORSPolicy(origins="file:", dangerously_allow_null=True)
    assert policy.actual("file://").allowed
    assert not policy.actual("null").allowed


@pytest.mark.parametrize("origins", [re.compile("x"), [re.compile("x")], (re.compile("x"), "https://a.example")])
def test_a_compiled_expression_is_refused_with_what_to_write(origins):
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(origins=origins)
    assert [problem.code for problem in caught.value.problems] == ["origin_regex"]
    assert "pass a callable such as re.compile(…).fullmatch" in caught.value.problems[0].message


@pytest.mark.parametrize("host", ["xn--bcher-kva.example", "xn--e1afmkfd.xn--p1ai", "xn--ls8h.la", "xn--f.example"])
def test_an_xn_label_is_not_decoded(host):
    for origins in ("*", f"https://{host}"):
        assert CORSPolicy(origins=origins).actual(f"https://{host}").allowed
    assert CORSPolicy(origins=APP).actual(f"https://{host}").reason.value == "origin_not_allowed"


@pytest.mark.parametrize(
    "origin",
    [
        "app://.",
        "safari-web-extension://140BB581-A2C0-422A-9DD3-6982A5ABEE5E",
        "moz-extension://a.b_c-",
        "http-app://a",
    ],
)
def test_an_application_calls_its_hosts_what_it_likes(origin):
    scheme = origin.partition("://")[0]
    for origins in ("*", f"{scheme}://*", lambda origin: True):
        assert CORSPolicy(origins=origins).actual(origin).allowed
    assert CORSPolicy(origins="https://a.example").actual(origin).reason is Reason.ORIGIN_NOT_ALLOWED


def test_the_dot_of_electron_can_be_listed():
    policy = CORSPolicy(origins="app://.")
    assert policy.actual("app://.").allowed
    assert not policy.actual("app://a").allowed


@pytest.mark.parametrize(
    ("origins", "code"),
    [
        (["*"], "credentials_any_origin"),
        (["https://a.example", "*"], "credentials_any_origin"),
        (["http://a.example"], "origin_insecure"),
        (["http://*.localhost"], "origin_insecure"),
        (["http://127.0.0.2"], "origin_insecure"),
        (["vscode-webview://*"], "credentials_any_host"),
    ],
)
def test_credentials_need_origins_that_are_known(origins, code):
    assert [p.code for p in problems(*origins, allow_credentials=True)] == [code]


def test_credentials_need_explicit_origins():
    with pytest.raises(PolicyError) as caught:
        CORSPolicy(allow_credentials=True)
    assert [p.code for p in caught.value.problems] == ["credentials_need_origins"]
    assert CORSPolicy(origins=LOOPBACK, allow_credentials=True).actual("http://localhost:1").allowed


def test_insecure_origins_with_credentials_need_the_dangerous_flag():
    policy = CORSPolicy(
        origins="http://intranet.example", allow_credentials=True, dangerously_allow_insecure_origins=True
    )
    assert dict(policy.actual("http://intranet.example").headers)["Access-Control-Allow-Credentials"] == "true"


class TestCallable:
    def test_it_is_called_for_well_formed_origins_only(self):
        asked = []
        policy = CORSPolicy(origins=lambda origin: asked.append(origin) or True)
        assert policy.actual("https://a.example").allowed
        for origin in ("junk", "https://a.example/", "a, b", "null", "file://", "https://" + "a" * 500):
            assert not policy.actual(origin).allowed
        assert asked == ["https://a.example"]

    def test_null_reaches_it_with_the_dangerous_flag(self):
        assert CORSPolicy(origins=lambda origin: True, dangerously_allow_null=True).actual("null").allowed

    def test_the_allowed_origin_is_sent_back(self):
        policy = CORSPolicy(origins=re.compile(r"https://[a-z]+\.example").fullmatch, allow_credentials=True)
        assert dict(policy.actual("https://a.example").headers)["Access-Control-Allow-Origin"] == "https://a.example"
        assert not policy.actual("https://a.example:1").allowed

    def test_an_exception_means_no_and_is_logged(self, caplog):
        def broken(origin):
            raise RuntimeError("the store is away")

        policy = CORSPolicy(origins=broken)
        decision = policy.preflight(APP, "POST")
        assert decision.reason is Reason.ORIGIN_NOT_ALLOWED
        assert caplog.messages == [f"the origins callable failed, so '{APP}' is not allowed"]
        assert "the store is away" in caplog.text

    def test_an_async_function_is_refused(self):
        async def later(origin):
            return True

        with pytest.raises(PolicyError) as caught:
            CORSPolicy(origins=later)
        assert [p.code for p in caught.value.problems] == ["origins_async"]

    def test_a_coroutine_means_no_and_the_log_says_what_to_return(self, caplog):
        async def later(origin):
            return True

        assert CORSPolicy(origins=lambda origin: later(origin)).actual(APP).status == 403
        (record,) = caplog.records
        message = "the origins callable must return a bool; this one returned something to await"
        assert str(record.exc_info[1]) == message

    @pytest.mark.parametrize("origin", ["null", "file://"])
    def test_it_is_called_for_opaque_origins_with_the_dangerous_flag_only(self, origin):
        asked = []
        for index in (OriginCallable(asked.append), OriginCallable(asked.append, allow_null=True)):
            assert index.match(origin) is Match.NOT_ALLOWED
            assert index.any_origin is False
        assert asked == [origin]

    def test_an_awaitable_object_means_no(self):
        class Later:
            def __await__(self):
                return iter(())

        assert CORSPolicy(origins=lambda origin: Later()).actual(APP).status == 403


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("null", Match.NOT_ALLOWED),
        ("https://b.example", Match.NOT_ALLOWED),
        ("https://a.example", Match.ALLOWED),
        ("https://a.example,https://a.example", Match.REPEATED),
        ("https://a.example \t, \tnull", Match.REPEATED),
        (",".join(["null"] * 9), Match.REPEATED),
        (",".join(["null"] * 10), Match.MALFORMED),
        ("https://a.example,\x0bhttps://b.example", Match.MALFORMED),
        ("https://a.example null", Match.MALFORMED),
        ("https://a.example,", Match.MALFORMED),
        ("https://a.example, https", Match.MALFORMED),
        ("Xnull,nullX", Match.MALFORMED),
        (" null", Match.MALFORMED),
        (" https://a.example", Match.MALFORMED),
        ("https://a.example ", Match.MALFORMED),
        (",", Match.MALFORMED),
        ("", Match.MALFORMED),
    ],
)
def test_a_repeated_origin_differs_from_a_malformed_one(value, match):
    assert OriginIndex([parse_pattern("https://a.example")], any_origin=False).match(value) is match
