"""The ``Host`` header: what is served, and what a host pattern may say."""

import pytest
from pages import APP

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import PolicyError
from flask_mcp_cors import Reason
from flask_mcp_cors.core.hosts import HostIndex
from flask_mcp_cors.core.hosts import hosts_from_trusted_hosts
from flask_mcp_cors.core.hosts import is_loopback
from flask_mcp_cors.core.hosts import parse_host
from flask_mcp_cors.core.site import make_site


@pytest.mark.parametrize(
    ("patterns", "served", "refused"),
    [
        (
            ["mcp.example.com"],
            ["mcp.example.com", "MCP.Example.Com", "mcp.example.com:8443"],
            ["example.com", "a.mcp.example.com"],
        ),
        (["mcp.example.com:8443"], ["mcp.example.com:8443"], ["mcp.example.com", "mcp.example.com:8444"]),
        (["mcp.example.com:80"], ["mcp.example.com", "mcp.example.com:80"], ["mcp.example.com:443"]),
        (["mcp.example.com:*"], ["mcp.example.com", "mcp.example.com:1"], ["evil.example"]),
        (["*.example.com"], ["a.example.com", "a.b.example.com:1"], ["example.com", "evilexample.com"]),
        (["*.example.com:81"], ["a.example.com:81"], ["a.example.com"]),
        (
            ["*.example.com:8443", "*.example.org"],
            ["a.example.com:8443", "a.b.example.com:8443", "b.example.org:1"],
            ["a.example.com", "example.com:8443"],
        ),
        (["*"], ["anything.example", "localhost"], []),
        (["MCP.example.com"], ["mcp.example.com"], []),
        (["xn--bcher-kva.example"], ["xn--bcher-kva.example"], ["xn--strae-oqa.example"]),
    ],
)
def test_a_pattern_serves_what_it_says(patterns, served, refused):
    index = HostIndex(patterns)
    for host in served:
        assert index.fault(host, "http") is None, host
    for host in refused:
        assert index.fault(host, "http") is Reason.HOST_NOT_SERVED, host


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.7:8000", "[::1]", "[2001:db8::1]:443"])
def test_an_ip_literal_is_always_served(host):
    assert HostIndex(["mcp.example.com"]).fault(host, "https") is None


@pytest.mark.parametrize("patterns", [["*"], ["localhost"]])
@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (None, Reason.HOST_MISSING),
        ("", Reason.HOST_MISSING),
        ("local host", Reason.HOST_MALFORMED),
        ("localhost,evil.example", Reason.HOST_MALFORMED),
        ("localhost/", Reason.HOST_MALFORMED),
        ("evil@localhost", Reason.HOST_MALFORMED),
        ("localhost:99999", Reason.HOST_MALFORMED),
        ("localhost:", Reason.HOST_MALFORMED),
        ("127.1", Reason.HOST_MALFORMED),
        ("[::1", Reason.HOST_MALFORMED),
        ("[::1]evil.example", Reason.HOST_MALFORMED),
        ("loc\nalhost", Reason.HOST_MALFORMED),
        ("bücher.example", Reason.HOST_MALFORMED),
        ("a" * 5000, Reason.HOST_MALFORMED),
    ],
)
def test_a_missing_or_malformed_host_is_never_served(patterns, host, reason):
    assert HostIndex(patterns).fault(host, "http") is reason


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("https://mcp.example.com", "mcp.example.com"),
        ("https://mcp.example.com:8443/mcp", "mcp.example.com:8443"),
        (".example.com", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("mcp.example.com:http", "write mcp.example.com"),
        ("mcp.example.com:", "write mcp.example.com"),
        ("a.*.example.com", "*.example.com"),
        ("*.127.0.0.1", "*.example.com"),
        ("", "mcp.example.com"),
        ("a.example, https://b.example:8443", '["a.example", "b.example:8443"]'),
    ],
)
def test_a_refused_host_says_what_to_write(text, write):
    with pytest.raises(PolicyError) as caught:
        make_site({"hosts": [text]}, CORSPolicy())
    (problem,) = caught.value.problems
    assert (problem.code, problem.setting, problem.value) == ("host_invalid", "hosts", text)
    assert write in problem.message


@pytest.mark.parametrize(
    ("pattern", "write"),
    [
        ("*.duckdns.org", "your-name.duckdns.org"),
        ("*.com", "your-name.com"),
        ("*.COM:443", "your-name.com"),
        ("*.co.uk:*", "your-name.co.uk"),
        ("*.amazonaws.com", "your-name.amazonaws.com"),
        ("*.loca.lt", "your-name.loca.lt"),
    ],
)
def test_names_below_which_anyone_can_have_one_are_refused(pattern, write):
    """Such a name can be pointed at this server, and a page that it shows would be served as one of its own."""
    with pytest.raises(PolicyError) as caught:
        make_site({"hosts": [pattern, "mcp.example.com"]}, CORSPolicy(origins="*"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.setting, problem.value) == ("host_public_suffix", "hosts", pattern)
    assert write in problem.message


@pytest.mark.parametrize("pattern", ["*", "*.example.com", "*.my-name.duckdns.org", "com", "*.internal", "*.localhost"])
def test_own_names_and_those_on_no_list_are_served(pattern):
    assert make_site({"hosts": pattern}, CORSPolicy(origins="*")).hosts.patterns == (pattern,)


@pytest.mark.parametrize(("value", "code"), [([], "hosts_empty"), (3, "wrong_type"), ([3], "wrong_type")])
def test_no_hosts_at_all_is_a_fault(value, code):
    with pytest.raises(PolicyError) as caught:
        make_site({"hosts": value}, CORSPolicy())
    assert [problem.code for problem in caught.value.problems] == [code]


def test_flasks_trusted_hosts_are_read_in_its_own_words():
    assert hosts_from_trusted_hosts([".Example.com", "bücher.example"]) == (
        "example.com",
        "*.example.com",
        "xn--bcher-kva.example",
    )


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("mcp.example.com", "https", "https://mcp.example.com"),
        ("MCP.example.com:443", "https", "https://mcp.example.com"),
        ("mcp.example.com:443", "http", "http://mcp.example.com:443"),
        ("[::1]:80", "http", "http://[::1]"),
    ],
)
def test_a_host_names_the_origin_of_its_pages(host, scheme, origin):
    assert parse_host(host).to_origin(scheme) == origin


@pytest.mark.parametrize("trusted", ["mcp.example.com", "mcp.example.com:5000", ["MCP.example.com:5000"]])
def test_flasks_trusted_hosts_may_be_one_string_and_have_no_port(trusted):
    site = make_site({}, CORSPolicy(origins="https://app.example.com"), trusted_hosts=trusted)
    faults = [site.hosts.fault(host, "https") for host in ("mcp.example.com", "mcp.example.com:1", "m")]
    assert faults == [None, None, Reason.HOST_NOT_SERVED]


@pytest.mark.parametrize("spelling", ["[::1]", "[::0001]", "[0:0:0:0:0:0:0:1]", "[::0.0.0.1]"])
def test_an_ipv6_address_is_the_same_in_every_spelling(spelling):
    host = parse_host(f"{spelling}:8443")
    assert host is not None
    assert (str(host.name), host.port, host.is_ip) == ("[::1]", 8443, True)
    for pattern in (spelling, f"{spelling}:8443", f"{spelling}:*"):
        assert HostIndex([pattern]).lists(host, "https")


@pytest.mark.parametrize(("port", "valid"), [("0", True), ("65535", True), ("65536", False), ("99999", False)])
def test_a_host_has_a_port_up_to_65535(port, valid):
    assert (parse_host(f"mcp.example.com:{port}") is not None) is valid


@pytest.mark.parametrize("pattern", ["mcp.example.com:*", "*.example.com:*", "[::1]:*"])
def test_any_port_can_be_written_as_a_star(pattern):
    site = make_site({"hosts": pattern}, CORSPolicy(origins=APP))
    host = "[::1]" if pattern.startswith("[") else "mcp.example.com"
    assert [site.hosts.fault(f"{host}{port}", "http") for port in ("", ":1", ":65535")] == [None, None, None]


@pytest.mark.parametrize("name", ["localhost", "app.localhost", "127.0.0.1", "127.255.0.1", "[::1]"])
def test_loopback_names_are_trustworthy(name):
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["mcp.example.com", "mylocalhost", "127.example.com", "128.0.0.1", "[::2]", ""])
def test_other_names_are_not(name):
    assert not is_loopback(name)
