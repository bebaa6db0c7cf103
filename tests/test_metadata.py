"""Protected resource metadata (RFC 9728): where the documents are, what is in them, and which one a challenge names."""

import pytest
from flask import Flask
from flask import request
from pages import APP
from views import ask
from views import challenge
from views import verify

from flask_mcp_cors import MCPCors
from flask_mcp_cors.core.site import Facts


def serve(cors, app, *resources, **more):
    for resource in resources:
        cors.serve_resource_metadata(app, resource=resource, **more)


def get(app, path, **headers):
    return app.test_client().get(path, headers=headers)


def test_the_document(app, cors):
    serve(
        cors,
        app,
        "https://mcp.example.com/mcp",
        authorization_servers=["https://login.example.com"],
        scopes_supported=["read"],
        resource_name="Tools",
    )
    response = get(app, "/.well-known/oauth-protected-resource/mcp", Origin="https://anyone.example")
    assert response.mimetype == "application/json"
    assert response.json == {
        "resource": "https://mcp.example.com/mcp",
        "authorization_servers": ["https://login.example.com"],
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tools",
    }
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert get(app, "/.well-known/oauth-protected-resource").json == response.json


def test_it_is_public_when_its_decision_is_kept():
    app = Flask("tools")
    cors = MCPCors(app, origins=APP, hosts="localhost", policies={"/.well-known/oauth-protected-resource/**": {}})
    app.before_request(lambda: ("no", 401))
    serve(cors, app, "https://mcp.example.com/mcp")
    path = "/.well-known/oauth-protected-resource/mcp"
    assert [get(app, path).status_code for _ in range(3)] == [200, 200, 200]
    # The layer of wrap_wsgi asks so for a response that Flask made before any hook.
    app.extensions["mcp_cors"].site.judge(Facts("GET", path, "http", "localhost", None))
    assert get(app, path).status_code == 200


def test_it_is_public_whatever_hooks_the_app_has(app, cors):
    app.before_request(lambda: ("no", 401))
    serve(cors, app, "https://mcp.example.com/mcp")
    path = "/.well-known/oauth-protected-resource/mcp"
    assert get(app, path).status_code == 200
    assert app.test_client().head(path).status_code == 200
    ask_first = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert app.test_client().options(path, headers=ask_first).status_code == 200


def test_other_methods_are_not_allowed(app, cors):
    serve(cors, app, "https://mcp.example.com/mcp")
    assert app.test_client().post("/.well-known/oauth-protected-resource/mcp").status_code == 405


def test_several_resources_have_a_document_each(app, cors):
    serve(cors, app, "https://h.example/a", "https://h.example/a/b.c", "https://h.example/")
    base = "/.well-known/oauth-protected-resource"
    assert get(app, f"{base}/a").json["resource"] == "https://h.example/a"
    assert get(app, f"{base}/a/b.c").json["resource"] == "https://h.example/a/b.c"
    assert get(app, base).json["resource"] == "https://h.example/"


@pytest.mark.parametrize(
    ("path", "document"),
    [("/a", "/a"), ("/a/x", "/a"), ("/a/b", "/a/b"), ("/a/b/c", "/a/b"), ("/ab", None), ("/z", None)],
)
def test_a_challenge_names_the_document_of_the_longest_prefix(app, cors, path, document):
    app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
    serve(cors, app, "https://h.example/a", "https://h.example/a/b")
    expected = document and f"https://h.example/.well-known/oauth-protected-resource{document}"
    assert challenge(ask(app, path))[1].get("resource_metadata") == expected


@pytest.mark.parametrize(
    "resource",
    [
        "/mcp",
        "mcp.example.com",
        "http://mcp.example.com/mcp",
        "https://h.example/#f",
        "https://u@h.example/",
        "https://",
    ],
)
def test_what_is_no_resource_identifier_is_refused(app, cors, resource):
    with pytest.raises(ValueError, match="write an https URL"):
        serve(cors, app, resource)


@pytest.mark.parametrize(
    ("resource", "document", "paths"),
    [
        ("https://h.example/a%20b/mcp", "/a%20b/mcp", ["/a%20b/mcp", ""]),
        ("https://h.example/mcp/", "/mcp/", ["/mcp/", "/mcp", ""]),
        ("https://h.example/", "", [""]),
    ],
)
def test_the_document_is_where_the_rfc_puts_it(app, cors, resource, document, paths):
    serve(cors, app, resource)
    app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
    base = "/.well-known/oauth-protected-resource"
    assert [get(app, f"{base}{path}").json["resource"] for path in paths] == [resource] * len(paths)
    asked = challenge(ask(app, f"{resource.removeprefix('https://h.example').rstrip('/')}/x"))
    assert asked[1]["resource_metadata"] == f"https://h.example{base}{document}"


def test_names_that_differ_in_a_sign_are_two(app, cors):
    serve(cors, app, "https://h.example/a.b", "https://h.example/a_b", "https://h.example/a%2Eb.")
    for name in ("a.b", "a_b", "a.b."):
        assert get(app, f"/.well-known/oauth-protected-resource/{name}").status_code == 200


@pytest.mark.parametrize("host", ["[::1]", "[::1]:80", "localhost", "127.0.0.1:8500"])
def test_every_loopback_host_may_be_http(app, cors, host):
    serve(cors, app, f"http://{host}/mcp")
    assert get(app, "/.well-known/oauth-protected-resource/mcp").json["resource"] == f"http://{host}/mcp"


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("https://a.example", "https://a.example"),
        ("https://b.example:8443", "https://b.example:8443"),
        ("https://b.example", "https://b.example"),
        ("https://other.example", "https://a.example"),
    ],
    ids=["first", "with its port", "default port", "a Host that is no resource's"],
)
@pytest.mark.parametrize("path", ["/mcp", ""])
def test_resources_of_several_hosts_have_a_document_each(host, tenant, path):
    app = Flask("gateway")
    cors = MCPCors(app, origins=APP, hosts="*")
    app.post("/mcp", endpoint="x")(cors.protected(verify)(lambda: "in"))
    for resource in ("https://a.example/mcp", "https://b.example:8443/mcp", "https://b.example:443/mcp"):
        serve(cors, app, resource)
    document = app.test_client().get(f"/.well-known/oauth-protected-resource{path}", base_url=host).json
    assert document["resource"].replace(":443/", "/") == f"{tenant}/mcp"
    named = challenge(app.test_client().post("/mcp", base_url=host))[1]["resource_metadata"]
    assert named.replace(":443/", "/") == f"{tenant}/.well-known/oauth-protected-resource/mcp"


def test_a_longer_path_of_another_host_is_not_named():
    app = Flask("gateway")
    cors = MCPCors(app, origins=APP, hosts="*")
    app.post("/<path:rest>", endpoint="x")(cors.protected(verify)(lambda rest: "in"))
    serve(cors, app, "https://a.example/mcp", "https://b.example/mcp/deep")
    named = challenge(app.test_client().post("/mcp/deep", base_url="https://a.example"))[1]["resource_metadata"]
    assert named == "https://a.example/.well-known/oauth-protected-resource/mcp"


def test_names_are_told_apart_at_their_end(app, cors):
    serve(cors, app, "https://h.example/a", "https://h.example/aX")
    for name in ("aX", "a"):
        answer = app.test_client().get(f"/.well-known/oauth-protected-resource/{name}")
        assert answer.json["resource"] == f"https://h.example/{name}"


@pytest.mark.parametrize("resources", [("a", "a/"), ("a/", "a"), ("aX/", "aX")])
def test_a_slash_at_the_end_makes_no_other_resource(app, cors, resources):
    with pytest.raises(ValueError, match="there is a document at"):
        serve(cors, app, *(f"https://h.example/{name}" for name in resources))


def test_its_routes_have_names_without_a_dot(app, cors):
    serve(cors, app, "https://h.example/a.b", "https://h.example/a%2Eb%25")
    endpoints = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    assert endpoints == [
        "mcp_cors_resource_metadata:/a%2Eb",
        "mcp_cors_resource_metadata:",
        "mcp_cors_resource_metadata:/a%2Eb%25",
    ]


def test_one_authorization_server_may_be_a_string(app, cors):
    servers = "http://127.0.0.1:9000"
    serve(cors, app, "https://h.example/a", authorization_servers=servers, scopes_supported="read write")
    assert app.test_client().get("/.well-known/oauth-protected-resource/a").json == {
        "resource": "https://h.example/a",
        "authorization_servers": [servers],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"resource": "mcp.example.com"},
            ValueError,
            "serve_resource_metadata: 'mcp.example.com' is not a valid resource identifier; write an https URL "
            "(http for loopback) without query and fragment, such as https://mcp.example.com/mcp",
        ),
        ({"scopes_supported": [1]}, TypeError, "serve_resource_metadata(scopes_supported=…): write strings"),
        (
            {"authorization_servers": "login.example.com"},
            ValueError,
            "serve_resource_metadata: 'login.example.com' is not the URL of an authorization server",
        ),
        (
            {"authorization_servers": [1]},
            ValueError,
            "serve_resource_metadata: 1 is not the URL of an authorization server",
        ),
    ],
)
def test_wrong_arguments_are_told(app, cors, arguments, error, words):
    with pytest.raises(error) as caught:
        cors.serve_resource_metadata(app, **{"resource": "https://h.example/a", **arguments})
    assert str(caught.value) == words


def test_an_app_that_is_not_initialised_is_told():
    with pytest.raises(RuntimeError) as caught:
        MCPCors().serve_resource_metadata(Flask("bare"), resource="https://h.example/a")
    expected = "serve_resource_metadata: MCPCors is not initialised on this app; call init_app first"
    assert str(caught.value) == expected


def test_the_route_of_a_public_document_gives_what_the_hook_gives():
    """The hook answers first, so that no other hook asks for credentials; the route is what is listed."""
    app = Flask("gateway")
    serve(MCPCors(app, origins=APP, hosts="*"), app, "https://a.example/mcp", "https://b.example/mcp")
    at = {"path": "/.well-known/oauth-protected-resource/mcp", "base_url": "https://b.example"}
    with app.test_request_context(**at):
        from_route = app.view_functions[request.endpoint]().json
    assert from_route == app.test_client().get(**at).json
    assert from_route == {"resource": "https://b.example/mcp", "bearer_methods_supported": ["header"]}


def test_the_default_port_of_http_is_left_out_of_the_host(app, cors):
    serve(cors, app, "http://127.0.0.1/mcp", "http://localhost:80/mcp")
    document = app.test_client().get("/.well-known/oauth-protected-resource/mcp").json
    assert document["resource"] == "http://localhost:80/mcp"
