"""The rules by themselves: request-header values, URLs, sites, lists."""

from __future__ import annotations

import pytest

from flask_mcp_cors.testing import HeaderList
from flask_mcp_cors.testing.checks import is_valid_url
from flask_mcp_cors.testing.headers import cors_unsafe_request_header_names
from flask_mcp_cors.testing.headers import extract_list
from flask_mcp_cors.testing.headers import is_safelisted_request_header
from flask_mcp_cors.testing.headers import MalformedList
from flask_mcp_cors.testing.urls import is_same_site
from flask_mcp_cors.testing.urls import parse_url


@pytest.mark.parametrize(
    ("name", "value", "safe"),
    [
        ("Accept", "*/*", True),
        ("Accept", "", True),
        ("Accept", "é\t", True),
        *[("Accept", f"a{byte}b", False) for byte in '"():<>?@[\\]{}\x7f\x01\x1f'],
        ("Accept", "a" * 128, True),
        ("Accept", "a" * 129, False),
        ("Accept-Language", "en-GB;q=0.8, *", True),
        ("Accept-Language", "en_GB", False),
        ("Content-Language", "en\t", False),
        ("Content-Type", "TEXT/plain ; charset=utf-8", True),
        ("Content-Type", "multipart/form-data; boundary=x", True),
        ("Content-Type", "application/x-www-form-urlencoded", True),
        ("Content-Type", 'text/plain; charset="utf-8"', False),
        ("Content-Type", "text/plain, text/plain", False),
        ("Content-Type", "text /plain", False),
        ("Content-Type", "application/json", False),
        ("Content-Type", "text", False),
        ("Content-Type", "", False),
        ("Range", "bytes=0-", True),
        ("Range", "bytes=5-5", True),
        ("Range", "bytes=5-4", False),
        ("Range", "bytes=-5", False),
        ("Range", f"bytes={'9' * 20}-", True),
        ("Range", "bytes=0-1,2-3", False),
        ("Range", "bytes= 0-1", False),
        ("DPR", "1", False),
        ("X-A", "1", False),
    ],
)
def test_safelisted_request_headers(name: str, value: str, safe: bool) -> None:
    assert is_safelisted_request_header(name, value) is safe


@pytest.mark.parametrize(("count", "unsafe"), [(8, ["x-b"]), (9, ["x-b", "accept"])])
def test_safelisted_headers_may_be_1024_bytes_together(count: int, unsafe: list[str]) -> None:
    headers = HeaderList([("Accept", "a" * 128)] * count + [("X-B", "1")])
    assert cors_unsafe_request_header_names(headers) == unsafe


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        ([""], ()),
        ([" a ,\tb,, "], ("a", "b")),
        (["a", "b, *"], ("a", "b", "*")),
    ],
)
def test_lists_are_read_leniently(values: list[str], expected: tuple[str, ...]) -> None:
    assert extract_list(HeaderList([("X", value) for value in values]), "x") == expected


@pytest.mark.parametrize("value", ["a b", "a;b", '"a"', "a, b(", "é"])
def test_but_only_tokens_are_members(value: str) -> None:
    with pytest.raises(MalformedList):
        extract_list(HeaderList([("X", value)]), "X")


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("HTTPS://EXAMPLE.com:443", "https://example.com/"),
        ("http://example.com:80/%41/./b/../c", "http://example.com/%41/c"),
        ("http://example.com/a/%2E%2e/b/.", "http://example.com/b/"),
        ("http://example.com/a/b/..", "http://example.com/a/"),
        ("http://bücher.example/ü?ü#ü", "http://xn--bcher-kva.example/%C3%BC?%C3%BC#%C3%BC"),
        ("http://[::1]:5000/", "http://[::1]:5000/"),
        ("http://[0:0::1]/", "http://[::1]/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("http:////example.com?", "http://example.com/?"),
        (" http://example.com/\n", "http://example.com/"),
        ("//other/x", "https://other/x"),
        ("https:x", "https://mcp.example.com/a/x"),
        ("?q", "https://mcp.example.com/a/b?q"),
        ("#f", "https://mcp.example.com/a/b#f"),
        ("", "https://mcp.example.com/a/b"),
        ("../../../x", "https://mcp.example.com/x"),
    ],
)
def test_urls(text: str, href: str) -> None:
    assert parse_url(text, parse_url("https://mcp.example.com/a/b")).href == href


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ftp://x/",
        "http://",
        "http:///",
        "https://x:99999/",
        "https://x:y/",
        "//[",
        "http://a b/",
        "http://1.2.3.4.5/",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ValueError):
        parse_url(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example.com", "https://b.example.com:8443", True),
        ("https://a.example.com", "http://a.example.com", False),
        ("https://a.example.co.uk", "https://b.example.co.uk", True),
        ("https://a.co.uk", "https://b.co.uk", False),
        ("https://a.internal", "https://b.internal", False),
        ("https://10.0.0.1", "https://10.0.0.1:1", True),
        ("https://10.0.0.1", "https://11.0.0.1", False),
        ("null", "null", False),
        ("chrome-extension://a", "chrome-extension://a", True),
    ],
)
def test_sites(one: str, other: str, same: bool) -> None:
    assert is_same_site(one, other) is same


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("https://x", True),
        ("HTTP:x", True),
        ("a:b", True),
        ("http://*.example.com", True),
        ("http://0x7f.1", True),
        ("http://[::1]", True),
        ("http://Ã©.example", True),
        ("http://é.example", False),
        ("http://1.2.3.4.5", False),
        ("http://256.1.1.1", False),
        ("http://a.b.1", False),
        ("http://[::1", False),
        ("http://1.2.3.x9", True),
        ("http://a|b", False),
        ("http://a%zz", False),
        ("1a:b", False),
        ("/x", False),
        ("", False),
    ],
)
def test_which_allow_origin_chromium_calls_invalid(value: str, valid: bool) -> None:
    assert is_valid_url(value) is valid
