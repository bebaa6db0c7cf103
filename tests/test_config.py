"""Where settings come from, which one counts, and what is said about the others."""

import logging
from functools import partial

import pytest
from flask import Flask
from pages import APP

from flask_mcp_cors import CORSMiddleware
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import LOOPBACK_HOSTS
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PolicyError
from flask_mcp_cors.configure import configure
from flask_mcp_cors.core.settings import EXTENSION_SETTINGS


def make(policy=None, config=None, **settings):
    app = Flask("configured")
    app.config.update(config or {})
    MCPCors(app, policy, **settings)
    return app.extensions["mcp_cors"].site


def problems(*args, **kwargs):
    with pytest.raises(PolicyError) as caught:
        make(*args, **kwargs)
    return caught.value.problems


def test_keyword_beats_config_beats_policy_beats_default():
    policy = CORSPolicy(origins=APP, max_age=1, preflight_status=201, allow_methods="PUT")
    site = make(policy, {"MCP_CORS_MAX_AGE": 2, "MCP_CORS_PREFLIGHT_STATUS": 202}, preflight_status=203)
    assert (site.default.preflight_status, site.default.max_age) == (203, 2)
    assert (site.default.allow_methods, site.default.allow_credentials) == (("PUT",), False)


@pytest.mark.parametrize(
    ("in_config", "in_code", "says"),
    [
        (
            APP,
            "https://b.example",
            "MCP_CORS_ORIGINS in app.config has no effect: the keyword origins=… in the code overrides it",
        ),
        (APP, [APP], None),
        ([APP], APP, None),
        ([APP], (APP,), None),
    ],
)
def test_a_key_that_a_keyword_beats_is_told_where_they_differ(caplog, in_config, in_code, says):
    make(config={"MCP_CORS_ORIGINS": in_config}, origins=in_code, hosts="a.example")
    assert [message for message in caplog.messages if "no effect" in message] == ([says] if says else [])


def test_init_app_beats_the_constructor():
    app = Flask("configured")
    MCPCors(policy=CORSPolicy(max_age=1), max_age=2, origins=APP).init_app(app, max_age=3)
    assert app.extensions["mcp_cors"].site.default.max_age == 3
    assert app.extensions["mcp_cors"].site.default.origins == (APP,)


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ('["https://a.example", "https://b.example"]', ("https://a.example", "https://b.example")),
        ("https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("https://a.example", ("https://a.example",)),
        ('"*"', ("*",)),
        ("*", ("*",)),
    ],
)
def test_the_environment_reaches_the_policy(monkeypatch, value, origins):
    monkeypatch.setenv("FLASK_MCP_CORS_ORIGINS", value)
    monkeypatch.setenv("FLASK_MCP_CORS_MAX_AGE", "600")
    monkeypatch.setenv("FLASK_MCP_CORS_SECURITY_HEADERS__FRAME_OPTIONS", "SAMEORIGIN")
    app = Flask("configured")
    app.config.from_prefixed_env()
    MCPCors(app)
    policy = app.extensions["mcp_cors"].site.default
    assert (policy.origins, policy.max_age, policy.security_headers.frame_options) == (origins, 600, "SAMEORIGIN")


def test_a_fault_names_the_key_that_it_came_from():
    found = problems(config={"MCP_CORS_ORIGINS": "https://a.example/", "MCP_CORS_HOSTS": "a b"}, max_age=-1)
    assert {(p.code, p.setting, p.key) for p in found} == {
        ("origin_trailing_slash", "origins", "MCP_CORS_ORIGINS"),
        ("host_invalid", "hosts", "MCP_CORS_HOSTS"),
        ("max_age_out_of_range", "max_age", None),
    }


def test_a_fault_in_a_keyword_names_no_key_though_config_has_one():
    (problem,) = problems(config={"MCP_CORS_MAX_AGE": 5}, max_age=-1)
    assert problem.key is None


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("MCP_CORS_ORIGIN", "MCP_CORS_ORIGINS"),
        ("MCP_CORS_ALLOW_ORIGINS", "MCP_CORS_ORIGINS"),
        ("MCP_CORS_ALLOWED_ORIGINS", "MCP_CORS_ORIGINS"),
        ("MCP_CORS_SUPPORTS_CREDENTIALS", "MCP_CORS_ALLOW_CREDENTIALS"),
        ("MCP_CORS_RESOURCES", "MCP_CORS_POLICIES"),
        ("MCP_CORS_ALLOWED_HOSTS", "MCP_CORS_HOSTS"),
        ("MCP_CORS_HEADERS", "write MCP_CORS_EXTRA_ALLOW_HEADERS"),
        ("MCP_CORS_EXPOSED_HEADERS", "write MCP_CORS_EXTRA_EXPOSE_HEADERS"),
        ("MCP_CORS_ENABLE_DNS_REBINDING_PROTECTION", "MCP_CORS_VALIDATE_ORIGIN"),
        ("MCP_CORS_MAXAGE", "MCP_CORS_MAX_AGE"),
        ("MCP_CORS_RESOURCES", "MCP_CORS_PATHS"),
        ("MCP_CORS_VARY_HEADER", "leave it out"),
        ("MCP_CORS_ALLOW_PRIVATE_NETWORK", "leave it out"),
        ("MCP_CORS_ZZZ", "the settings are"),
        ("MCP_CORS_origins", "MCP_CORS_ORIGINS"),
    ],
)
def test_an_unknown_key_is_reported_with_the_real_one(key, says):
    (problem,) = problems(config={key: 1})
    assert (problem.code, problem.key) == ("unknown_setting", key)
    assert says in problem.message


@pytest.mark.parametrize(
    ("make_it", "says"),
    [
        (lambda: MCPCors(resources={}), "policies"),
        (lambda: MCPCors(MCP_CORS_ORIGINS=[]), "unknown keyword; write origins"),
        (lambda: MCPCors(ORIGINS=[]), "unknown keyword; write origins"),
        (lambda: MCPCors(suports_credentials=True), "allow_credentials"),
        (lambda: CORSPolicy(hosts="a.example"), "a setting of MCPCors or CORSMiddleware"),
        (lambda: CORSPolicy(wrap_wsgi=True), "a setting of MCPCors"),
        (lambda: CORSMiddleware(lambda e, s: [], wrap_wsgi=True), "a setting of MCPCors"),
        (lambda: MCPCors().policy(allow_origins="*"), "origins"),
    ],
)
def test_an_unknown_keyword_is_reported_with_the_real_one(make_it, says):
    with pytest.raises(PolicyError) as caught:
        make_it()
    assert says in str(caught.value)


def test_every_fault_of_policy_and_site_is_named_at_once():
    found = problems(
        config={"MCP_CORS_NONSENSE": 1}, origins="x", hosts="a b", paths="y", policies={"/z": {"max_age": -1}}
    )
    assert [p.code for p in found] == [
        "unknown_setting",
        "origin_scheme_missing",
        "host_invalid",
        "path_invalid",
        "max_age_out_of_range",
    ]


def test_a_failed_init_app_leaves_the_app_as_it_was():
    app = Flask("configured")
    with pytest.raises(PolicyError):
        MCPCors(app, origins="x", wrap_wsgi=True)
    assert "mcp_cors" not in app.extensions
    assert not app.before_request_funcs
    assert not app.after_request_funcs
    MCPCors(app, origins=APP)


def test_config_is_read_once():
    app = Flask("configured")
    MCPCors(app, origins=APP)
    app.config["MCP_CORS_MAX_AGE"] = "nonsense"
    headers = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    assert app.test_client().options("/", headers=headers).headers["Access-Control-Max-Age"] == "86400"


def allow(origin):
    return origin == APP


#: A callable without a name.
ALLOW = partial(allow)

ANY_HOST = (
    ": any Host is served, so with DNS rebinding any web site can read what this server answers to a GET without "
    'login: set hosts (MCP_CORS_HOSTS) to the names of this server, or to "*" to allow this'
)


class TestStartUpLine:
    def line(self, caplog, config=None, **settings):
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            make(config=config, **settings)
        (record,) = caplog.records
        return record.levelno, record.getMessage()

    def test_it_says_what_is_in_force_and_where_it_came_from(self, caplog):
        level, line = self.line(caplog, {"MCP_CORS_HOSTS": "mcp.example.com"}, origins=APP, paths="/mcp")
        assert level == logging.INFO
        assert f"origins {APP} (keyword)" in line
        assert "hosts mcp.example.com (MCP_CORS_HOSTS)" in line
        assert "paths /mcp (keyword)" in line

    def test_trusted_hosts_and_policies_are_named_as_sources(self, caplog):
        level, line = self.line(caplog, {"TRUSTED_HOSTS": ["a.example"]}, policy=CORSPolicy(origins=lambda o: True))
        assert level == logging.INFO
        assert "(policy)" in line
        assert "hosts a.example (TRUSTED_HOSTS)" in line

    def test_the_middleware_says_it_too(self, caplog):
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            CORSMiddleware(lambda environ, start_response: [], origins=APP)
        assert caplog.messages[0].startswith("CORSMiddleware: origins https://app.example.com")

    @pytest.mark.parametrize(
        ("settings", "level", "expected"),
        [
            (
                {},
                logging.WARNING,
                "origins http://localhost:*, https://localhost:*, http://127.0.0.1:*, https://127.0.0.1:*, "
                "http://[::1]:*, https://[::1]:* (default); hosts localhost, 127.0.0.1, [::1] (default); paths "
                "everything (default): neither origins nor hosts is set, so only pages on this machine may call: set "
                "origins (MCP_CORS_ORIGINS) to the pages that may call, and hosts (MCP_CORS_HOSTS) to the names of "
                "this server",
            ),
            (
                {"hosts": ["a.example", "*"]},
                logging.INFO,
                "origins http://localhost:*, https://localhost:*, http://127.0.0.1:*, https://127.0.0.1:*, "
                "http://[::1]:*, https://[::1]:* (default); hosts a.example, * (keyword); paths everything (default)",
            ),
            (
                {"policy": CORSPolicy(origins=APP), "paths": "/mcp"},
                logging.WARNING,
                f"origins https://app.example.com (policy); hosts * (default); paths /mcp (keyword){ANY_HOST}",
            ),
            (
                {"origins": allow},
                logging.WARNING,
                f"origins {allow.__qualname__} (keyword); hosts * (default); paths everything (default){ANY_HOST}",
            ),
            (
                {"origins": ALLOW},
                logging.WARNING,
                f"origins {ALLOW!r} (keyword); hosts * (default); paths everything (default){ANY_HOST}",
            ),
        ],
        ids=["nothing", "hosts", "policy", "function", "object"],
    )
    def test_its_words(self, caplog, settings, level, expected):
        app = Flask("configured")
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            MCPCors(app, **settings)
        assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
            (level, f"MCPCors on 'configured': {expected}")
        ]

    @pytest.mark.parametrize(("count", "more"), [(8, ""), (9, ", … (9 in all)")])
    def test_eight_of_many_hosts_are_listed(self, caplog, count, more):
        app = Flask("configured")
        app.config["TRUSTED_HOSTS"] = ["b.example"]
        with caplog.at_level(logging.INFO, "flask_mcp_cors"):
            MCPCors(app, origins=APP, hosts=[f"h{n}.example" for n in range(count)])
        listed = ", ".join(f"h{n}.example" for n in range(8))
        assert f"; hosts {listed}{more} (keyword); " in caplog.messages[0]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (
            {"allow_headers": "Content-Type", "expose_headers": "X-Total"},
            "allows no MCP-Protocol-Version, Mcp-Session-Id and does not expose Mcp-Session-Id",
        ),
        ({"expose_headers": "X-Total", "allow_headers": ["Content-Type", "Mcp-Session-Id"]}, "allows no MCP-Protocol"),
        ({"expose_headers": []}, None),  # the stateless revision needs no session
        ({"allow_headers": ["Content-Type", "Mcp-Session-Id"]}, None),  # 2025-03-26
        ({"allow_headers": "*", "expose_headers": "*"}, None),
        ({"allow_headers": "Content-Type", "validate_origin": False}, None),
        ({"allow_headers": "Content-Type", "policies": {"/mcp": {"origins": APP}}}, None),
        *((revision, None) for revision in MCP_REVISIONS.values()),
    ],
)
def test_lists_that_keep_every_client_out_are_a_warning(caplog, settings, what):
    make(origins=APP, hosts="a.example", **settings)
    if what is None:
        assert "no browser MCP client" not in caplog.text
    else:
        assert caplog.messages[-1].startswith(
            f"MCPCors on 'configured': no browser MCP client can connect, because the default policy {what}"
        )
        assert caplog.messages[-1].endswith(
            ": extra_allow_headers and extra_expose_headers add to the default lists, allow_headers and expose_headers "
            "replace them"
        )


@pytest.mark.parametrize(
    "variable", ["MCP_CORS_ORIGINS", "FLASK_MCP_CORS_ORIGINS", "MYAPP_MCP_CORS_HOSTS", "MCP_CORS_POLICIES__A"]
)
def test_a_setting_that_never_reached_the_config_is_a_warning(monkeypatch, caplog, variable):
    monkeypatch.setenv(variable, "*")
    make(origins=APP)
    assert variable in caplog.text
    assert "from_prefixed_env" in caplog.text


def test_a_setting_that_did_reach_it_is_none(monkeypatch, caplog):
    monkeypatch.setenv("FLASK_MCP_CORS_ORIGINS", APP)
    app = Flask("configured")
    app.config.from_prefixed_env()
    MCPCors(app)
    assert "in the environment" not in caplog.text


@pytest.mark.parametrize("variable", ["mcp_cors_origins", "MCPCORS_ORIGINS", "FLASK_MCPCORS_ORIGINS"])
def test_a_variable_in_another_spelling_is_logged_with_the_right_one(monkeypatch, caplog, variable):
    monkeypatch.setenv(variable, "*")
    app = Flask("configured")
    app.config.from_prefixed_env()
    MCPCors(app, origins=APP, hosts="a.example")
    expected = f"{variable} is in the environment, but has no effect: write FLASK_MCP_CORS_ORIGINS"
    assert caplog.messages == [expected]


def test_no_warning_repeats_an_error_or_what_is_said_of_a_variable(caplog, monkeypatch):
    monkeypatch.setenv("FLASK_MCP_CORS_HOSTS", "a.example")
    config = {"MCP_CORS_ALLOWED_HOSTS": "a.example", "FLASK_MCP_CORS_HOSTS": "a.example", 5: "no setting"}
    with pytest.raises(PolicyError, match="write MCP_CORS_HOSTS"):
        configure(EXTENSION_SETTINGS, None, {"origins": APP}, config)
    assert [line for line in caplog.messages if "in app.config has no effect" in line] == []


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("FLASK_MCP_CORS_ORIGINS", "write MCP_CORS_ORIGINS"),
        ("MCPCORS_ORIGINS", "write MCP_CORS_ORIGINS"),
        ("mcp_cors_origins", "write MCP_CORS_ORIGINS"),
        ("FLASK_MCP_CORS_POLICIES__A", "write MCP_CORS_POLICIES"),
        ("FLASK_MCP_CORS_ALLOWED_HOSTS", "unknown setting; write MCP_CORS_HOSTS"),
    ],
)
def test_a_key_that_is_nearly_one_of_ours_is_named_with_the_right_one(caplog, key, says):
    make(config={key: ["https://a.example"]}, hosts="a.example")
    assert f"{key} in app.config has no effect: {says}" in caplog.messages


def test_a_key_of_the_apps_own_from_which_a_setting_comes_is_no_mistake(monkeypatch, caplog):
    config = {"MYAPP_MCP_CORS_ORIGINS": APP, "mcp_cors_origins": APP, "FLASK_MCP_CORS_HOSTS": "a.example"}
    monkeypatch.setenv("FLASK_MCP_CORS_HOSTS", "a.example")
    make(config={**config, "MCP_CORS_HOSTS": "a.example"}, origins=config["mcp_cors_origins"])
    assert caplog.messages == []


def test_a_key_that_holds_all_settings_is_a_warning(caplog):
    make(config={"MCP_CORS": {"origins": "*"}}, origins=APP, hosts="a.example")
    assert caplog.messages == [
        "MCP_CORS in app.config has no effect: write a key for each setting, such as MCP_CORS_ORIGINS"
    ]


@pytest.mark.parametrize("variable", ["MCP_CORS_ALLOW_ORIGINS", "FLASK_MCP_CORS_ALLOWED_ORIGINS"])
def test_a_misspelt_variable_is_logged_with_the_real_name(monkeypatch, caplog, variable):
    monkeypatch.setenv(variable, "*")
    make(origins=APP)
    expected = f"{variable} is in the environment, but has no effect: unknown setting; write MCP_CORS_ORIGINS"
    assert expected in caplog.messages


@pytest.mark.parametrize("is_loaded", [True, False])
def test_the_variable_of_flask_mcp_server_is_named_and_harms_nothing(monkeypatch, caplog, is_loaded):
    """flask-mcp-server reads FLASK_MCP_CORS_ORIGIN itself; from_prefixed_env() loads it as well."""
    monkeypatch.setenv("FLASK_MCP_CORS_ORIGIN", "https://other.example")
    app = Flask("configured")
    if is_loaded:
        app.config.from_prefixed_env()
        assert app.config["MCP_CORS_ORIGIN"] == "https://other.example"
    MCPCors(app, origins=APP, hosts="mcp.example.com")
    assert app.extensions["mcp_cors"].site.default.origins == (APP,)
    assert caplog.messages == [
        "FLASK_MCP_CORS_ORIGIN is a variable of flask-mcp-server; for Flask-MCP-CORS write FLASK_MCP_CORS_ORIGINS"
    ]


def test_keys_that_flask_cors_left_are_named(caplog):
    """Lists of header names are added to the defaults: in their place they would keep every MCP client out."""
    config = {"CORS_ORIGINS": APP, "CORS_SUPPORTS_CREDENTIALS": True, "CORS_RESOURCES": {}, "CORS_VARY_HEADER": True}
    config |= {"CORS_HEADERS": "Content-Type", "CORS_ALLOW_HEADERS": "X-A", "CORS_EXPOSE_HEADERS": "X-Total"}
    make(config={**config, "CORS_OF_SOMEBODY_ELSE": 1}, hosts="mcp.example.com")
    assert (
        "app.config has keys of flask-cors, which Flask-MCP-CORS does not read: CORS_ORIGINS → MCP_CORS_ORIGINS; "
        "CORS_SUPPORTS_CREDENTIALS → MCP_CORS_ALLOW_CREDENTIALS; "
        "CORS_RESOURCES → MCP_CORS_PATHS and MCP_CORS_POLICIES; CORS_VARY_HEADER → leave it out; "
        "CORS_HEADERS → MCP_CORS_EXTRA_ALLOW_HEADERS; CORS_ALLOW_HEADERS → MCP_CORS_EXTRA_ALLOW_HEADERS; "
        "CORS_EXPOSE_HEADERS → MCP_CORS_EXTRA_EXPOSE_HEADERS"
    ) in caplog.messages


def test_a_key_of_flask_cors_whose_setting_is_written_here_is_no_leftover(caplog):
    config = {"CORS_ORIGINS": [APP]}
    make(config=config, origins=config["CORS_ORIGINS"], hosts="mcp.example.com")
    assert "flask-cors" not in caplog.text


@pytest.mark.parametrize(
    ("variable", "value", "code", "says"),
    [
        ("ORIGINS", "['https://a.example']", "config_syntax", 'double quotes; write ["https://a.example"]'),
        ("ORIGINS", "[https://a.example]", "config_syntax", 'in double quotes; write ["https://a.example"]'),
        ("ORIGINS", '["https://a.example",]', "config_syntax", 'closing bracket; write ["https://a.example"]'),
        ("ORIGINS", "https://a.example;https://b.example", "config_syntax", "commas, not by semicolons"),
        ("ORIGINS", "https://a.example,", "config_syntax", 'a comma too many; write ["https://a.example"]'),
        (
            "ORIGINS",
            "'https://a.example'",
            "config_syntax",
            'quotes are part of the value; write ["https://a.example"]',
        ),
        ("HOSTS", "[mcp.example.com]", "config_syntax", 'write ["mcp.example.com"]'),
        ("POLICIES", '{"/a": null,}', "config_syntax", "not valid JSON"),
        ("ALLOW_CREDENTIALS", "True", "wrong_type", "in an environment variable, which is read as JSON: true"),
        ("MAX_AGE", "None", "wrong_type", "in an environment variable, which is read as JSON: null"),
    ],
)
def test_what_is_wrong_with_an_environment_variable_is_named(monkeypatch, variable, value, code, says):
    monkeypatch.setenv(f"FLASK_MCP_CORS_{variable}", value)
    app = Flask("configured")
    app.config.from_prefixed_env()
    with pytest.raises(PolicyError) as caught:
        MCPCors(app, **({} if variable == "ORIGINS" else {"origins": APP}))
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == (code, f"MCP_CORS_{variable}")
    assert says in problem.message


@pytest.mark.parametrize(
    ("key", "value", "setting"),
    [
        ("MCP_CORS_HOSTS", "[::1]:8000", ("[::1]:8000",)),
        ("MCP_CORS_HOSTS", "[2001:db8::1], mcp.example.com", ("[2001:db8::1]", "mcp.example.com")),
        ("MCP_CORS_HOSTS", '["a.example", "b.example"]', ("a.example", "b.example")),
        ("MCP_CORS_PATHS", "/a;v=1, /b", ("/a;v=1", "/b")),
    ],
)
def test_a_string_that_only_looks_like_broken_json_is_read(key, value, setting):
    site = make(config={key: value, "MCP_CORS_ORIGINS": APP})
    assert (site.hosts.patterns if key == "MCP_CORS_HOSTS" else site.paths) == setting


@pytest.mark.parametrize("word", ["origins", "hosts", "paths", "allow_headers"])
def test_a_generator_is_refused_because_it_can_be_read_once_only(word):
    (problem,) = problems(**{"origins": APP, word: iter(["https://a.example"])})
    assert (problem.code, problem.setting) == ("wrong_type", word)
    assert problem.message.endswith("it can be read once only; write a list")


def test_every_fault_is_reported_at_once():
    wrong = {"origins": "http://A.example/", "max_age": -1, "foo": 1}
    told = ["unknown_setting", "origin_trailing_slash", "max_age_out_of_range"]
    assert [problem.code for problem in problems(**wrong)] == told
    with pytest.raises(PolicyError) as caught:
        CORSMiddleware(lambda environ, start_response: [], **wrong)
    assert [problem.code for problem in caught.value.problems] == told
    from_config = problems(config={f"MCP_CORS_{word.upper()}": value for word, value in wrong.items()})
    assert [(problem.code, problem.key) for problem in from_config] == [
        ("unknown_setting", "MCP_CORS_FOO"),
        ("origin_trailing_slash", "MCP_CORS_ORIGINS"),
        ("max_age_out_of_range", "MCP_CORS_MAX_AGE"),
    ]


@pytest.mark.parametrize("settings", [{}, {"wrap_wsgi": True}])
def test_a_pattern_that_no_route_matches_is_a_warning_at_the_first_request(caplog, settings):
    """Before it, routes may still be added."""
    app = Flask("configured", static_folder=None)
    patterns = {"paths": ["/tools/mcp", "/later"], "policies": {"/mpc": None}}
    MCPCors(app, origins=APP, hosts="localhost", **patterns, **settings)
    app.add_url_rule("/mcp", "mcp", lambda: "ok", methods=["POST"])
    app.add_url_rule("/later", "later", lambda: "ok")
    caplog.clear()
    for headers in ({"Origin": APP}, {"Origin": APP}, {}):
        app.test_client().post("/mcp", headers=headers)
    advice = (
        "correct it (* is one segment, ** any number of them); for an app that is mounted below a prefix, write the "
        "path without the prefix"
    )
    assert caplog.messages == [
        f"paths has '/tools/mcp', which no route matches; routes like it: /mcp, so it covers nothing: {advice}",
        f"policies has '/mpc', which no route matches; routes like it: /mcp, so it covers nothing: {advice}",
    ]


def test_a_wrong_argument_and_a_wrong_key_are_reported_with_the_other_faults():
    app = Flask("configured")
    app.config["MCP_CORS_WRAP_WSGI"] = "yes"
    with pytest.raises(PolicyError) as caught:
        MCPCors(app, "policy", max_age=-1)
    assert [str(problem) for problem in caught.value.problems] == [
        "policy='policy': str is the wrong type; write a CORSPolicy; origins and the like are keywords: "
        "origins=[…] [wrong_type]",
        "max_age=-1: out of range; write 0 (not kept) to 86400 seconds, or None to leave the header out "
        "[max_age_out_of_range]",
        "MCP_CORS_WRAP_WSGI (wrap_wsgi)='yes': str is the wrong type; write True or False "
        "(in an environment variable, which is read as JSON: true) [wrong_type]",
    ]


def test_each_variable_that_never_reached_the_config_is_one_line(monkeypatch, caplog):
    app = Flask("configured")
    app.config["MCP_CORS_HOSTS"] = "a.example"
    for name in ("FLASK_MCP_CORS_HOSTS", "FLASK_MCP_CORS_METHODS", "FLASK_MCP_CORS_POLICIES__A"):
        monkeypatch.setenv(name, "1")
    MCPCors(app, origins=APP)
    assert caplog.messages == [
        "FLASK_MCP_CORS_METHODS is in the environment, but has no effect: unknown setting; write "
        "MCP_CORS_ALLOW_METHODS",
        "FLASK_MCP_CORS_POLICIES__A is in the environment, but has no effect: MCP_CORS_POLICIES is not in app.config; "
        "call app.config.from_prefixed_env() before the extension is initialised, and name the variable "
        "FLASK_MCP_CORS_POLICIES",
    ]


def test_the_settings_of_flask_and_of_the_extension_are_read():
    config = {"SERVER_NAME": "mcp.example.com", "MCP_CORS_WRAP_WSGI": True}
    configured = configure(EXTENSION_SETTINGS, None, {}, config)
    assert configured.site.own_hosts.patterns[-1] == "mcp.example.com"
    assert [configured.wrap_wsgi, configure(EXTENSION_SETTINGS, None, {}, {}).wrap_wsgi] == [True, False]
    assert configure(EXTENSION_SETTINGS, None, {}).site.own_hosts.patterns == LOOPBACK_HOSTS


def test_every_lost_variable_is_named(monkeypatch, caplog):
    lost = [
        *("AAA_MCP_CORS_ORIGINS", "BBB_MCPCORS_HOSTS", "CCC_MCP_CORS_ZZZ", "DDD_MCP_CORS_PATHS"),
        *("FLASK_MCP_CORS_ORIGIN", "ZZZ_MCP_CORS_HOSTS"),
    ]
    for variable in lost:
        monkeypatch.setenv(variable, "*")
    make(origins=APP, hosts="a.example")
    assert [message.partition(" ")[0] for message in caplog.messages] == lost
