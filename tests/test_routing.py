"""Routing, without running any of it: the rule for a request, what a rule can match, and what is around an app."""

import pytest
from flask import Blueprint
from flask import Flask
from flask import request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule
from werkzeug.test import EnvironBuilder

from flask_mcp_cors import MCPCors
from flask_mcp_cors.extension.routing import is_static
from flask_mcp_cors.extension.routing import layers_around
from flask_mcp_cors.extension.routing import matched_rule
from flask_mcp_cors.extension.routing import mounts_of
from flask_mcp_cors.extension.routing import patterns_without_routes
from flask_mcp_cors.extension.routing import rule_pattern
from flask_mcp_cors.extension.routing import takes_well_known_part
from flask_mcp_cors.extension.routing import url_adapter


def add(app, *rules):
    for rule in rules:
        app.add_url_rule(rule, rule.replace(".", "_"), lambda **variables: "in")


@pytest.mark.parametrize(("method", "endpoint"), [("GET", "read"), ("DELETE", "remove"), ("PUT", None), (None, "read")])
def test_the_rule_is_the_one_for_the_method_asked(app, method, endpoint):
    """``None``: that of the request itself."""
    app.add_url_rule("/x", "read", lambda: "in", methods=["GET"])
    app.add_url_rule("/x", "remove", lambda: "in", methods=["DELETE"])
    with app.test_request_context("/x"):
        rule = matched_rule(url_adapter(app, request), method)
    assert (rule and rule.endpoint) == endpoint


def test_no_rule_matches_where_flask_does_not_trust_the_host(app):
    is_checked = "TRUSTED_HOSTS" in app.config  # since Flask 3.1
    app.config["TRUSTED_HOSTS"] = ["mcp.example.com"]
    add(app, "/x")
    adapters = {
        host: url_adapter(app, app.request_class(EnvironBuilder("/x", f"http://{host}").get_environ()))
        for host in ("mcp.example.com", "evil.example")
    }
    rules = {host: matched_rule(adapter, "GET") for host, adapter in adapters.items()}
    assert [host for host, rule in rules.items() if rule is None] == ["evil.example"] * is_checked


@pytest.mark.parametrize(
    ("endpoint", "is_one"),
    [
        ("static", True),
        ("pages.static", True),
        ("pages.inner.static", True),
        ("bare.static", False),
        ("nowhere.static", False),
        ("pages.view", False),
        ("view", False),
        (None, False),
    ],
)
def test_static_files_are_those_of_the_app_and_its_blueprints(app, endpoint, is_one):
    pages = Blueprint("pages", __name__, static_folder="pages", url_prefix="/pages")
    pages.register_blueprint(Blueprint("inner", __name__, static_folder="inner", url_prefix="/inner"))
    app.register_blueprint(pages)
    app.register_blueprint(Blueprint("bare", __name__))
    assert is_static(app, endpoint) is is_one
    assert not is_static(Flask("app", static_folder=None), "static")


@pytest.mark.parametrize(
    ("rule", "path", "takes"),
    [
        (None, "/.well-known/x", False),
        ("/.well-known/x", "/.well-known/x", False),
        ("/<path:rest>", "/.well-known/x", True),
        ("/<path:rest>", "/well-known/x", False),
        ("/.well-known/<path:rest>", "/.well-known/a/.well-known/x", True),
        ("/.well-known/<path:rest>", "/.well-known/a", False),
    ],
)
def test_a_variable_may_stand_for_the_well_known_part(rule, path, takes):
    assert takes_well_known_part(rule and Rule(rule), path) is takes


class Greedy(BaseConverter):
    """As a converter with slashes was written before werkzeug 2.2."""

    regex = ".*?"
    part_isolating = False


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("/mcp", "/mcp"),
        ("/<name>", "/*"),
        ("/v<int:major>/x", "/*/x"),
        ('/<any(a, "b"):kind>/x', "/*/x"),
        ("/<path:rest>/end", "/**/end"),
        ("/a<greedy:rest>", "/**"),
        ("/<unknown:x>", "/**"),
    ],
)
def test_a_rule_as_a_pattern(app, rule, pattern):
    app.url_map.converters["greedy"] = Greedy
    assert rule_pattern(app, rule) == pattern


class TestPatternsWithoutRoutes:
    def told(self, app, paths=None, policies=()):
        return [str(pattern) for pattern in patterns_without_routes(app, paths, policies)]

    def test_those_that_a_route_matches_are_none(self, app):
        add(app, "/mcp", "/servers/<name>/mcp")
        assert self.told(app, ["/mcp", "/servers/**"], ["/servers/a/mcp"]) == []

    def test_each_is_named_with_its_setting_and_the_routes_like_it(self, app):
        add(app, "/mcp", "/tools/<name>", "/tools/<int:number>", "/")
        assert self.told(app, ["/api/mcp"], ["/tool/*", "/xyz/"]) == [
            "paths has '/api/mcp', which no route matches; routes like it: /mcp",
            "policies has '/tool/*', which no route matches; routes like it: /tools/<name>, /tools/<int:number>",
            "policies has '/xyz/', which no route matches",
        ]

    def test_not_more_than_three_that_are_alike_are_named(self, app):
        add(app, "/toolsa", "/toolsb", "/toolsc", "/toolsd")
        (told,) = self.told(app, ["/tools"])
        assert told.count("/tools") - 1 == 3

    def test_not_more_than_ten_are_named(self, app):
        assert len(self.told(app, [f"/{number}" for number in range(12)])) == 10

    def test_documents_have_routes(self, app):
        cors = MCPCors(app, origins="https://app.example.com", hosts="*")
        cors.serve_resource_metadata(app, resource="https://mcp.example.com/mcp")
        assert self.told(app, list(app.extensions["mcp_cors"].metadata.bodies)) == []

    def test_what_is_mounted_beside_the_app_counts(self, app):
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/docs": Flask("other")})
        assert self.told(app, ["/docs/x"]) == []


class Layer:
    def __init__(self, name, inner):
        setattr(self, name, inner)


class TestLayers:
    def test_an_app_without_any_has_none(self, app):
        assert layers_around(app) == []

    def test_they_are_followed_by_the_names_that_middleware_uses(self, app):
        fourth = Layer("app", app.wsgi_app)
        third = Layer("wsgi_app", fourth)
        second = Layer("application", third)
        app.wsgi_app = first = Layer("app", second)
        assert layers_around(app) == [first, second, third, fourth]

    def test_one_around_the_app_object_ends_there(self, app):
        app.wsgi_app = layer = Layer("app", app)
        assert layers_around(app) == [layer]

    def test_one_that_shows_nothing_is_the_last(self, app):
        app.wsgi_app = layer = Layer("inner", app.wsgi_app)
        assert layers_around(app) == [layer]

    def test_one_that_refers_to_itself_is_no_endless_search(self, app):
        app.wsgi_app = layer = Layer("app", None)
        layer.app = layer
        assert layers_around(app) == [layer] * 20

    def test_mounts_are_the_prefixes_of_other_apps(self, app):
        layer = DispatcherMiddleware(app.wsgi_app, {"/docs": Flask("other"), "/v1": app.wsgi_app})
        assert mounts_of(app, layer) == ["/docs"]
        assert mounts_of(app, Layer("mounts", ["/docs"])) == []
        assert mounts_of(app, object()) == []
