"""The public names, their documentation, and the words of the settings."""

import ast
import inspect
from itertools import pairwise

import pytest

import flask_mcp_cors
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import PUBLIC_METADATA
from flask_mcp_cors import PUBLIC_OAUTH
from flask_mcp_cors.core import settings as setting_words
from flask_mcp_cors.core import site_settings
from flask_mcp_cors.core.settings import EXTENSION_SETTINGS
from flask_mcp_cors.core.settings import LIST_SETTINGS
from flask_mcp_cors.core.settings import OTHER_WORDS
from flask_mcp_cors.core.settings import POLICY_SETTINGS
from flask_mcp_cors.core.settings import PolicySettings
from flask_mcp_cors.core.settings import SITE_SETTINGS
from flask_mcp_cors.core.settings import WORDS_WITHOUT_COUNTERPART
from flask_mcp_cors.core.validation import SETTINGS

NAMES = {
    "MCPCors",
    "CORSMiddleware",
    "CORSPolicy",
    "InsufficientScope",
    "SecurityHeaders",
    "Decision",
    "Reason",
    "PolicyError",
    "PolicyProblem",
    "LOOPBACK",
    "LOOPBACK_HOSTS",
    "MCP_REVISIONS",
    "NOBODY",
    "PUBLIC_METADATA",
    "PUBLIC_OAUTH",
    "preflight_answered",
    "request_refused",
    "__version__",
}


def test_the_public_names_are_those_of_the_contract():
    assert set(flask_mcp_cors.__all__) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_class_and_its_public_methods_say_what_they_do(name):
    thing = getattr(flask_mcp_cors, name)
    if not inspect.isclass(thing):
        return
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items():
        if inspect.isfunction(value) and not member.startswith("_"):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_settings_have_one_list_of_words_types_and_defaults():
    words = set(PolicySettings.__annotations__)
    assert set(SETTINGS) == words == POLICY_SETTINGS
    policy = CORSPolicy()
    for word, setting in SETTINGS.items():
        assert getattr(policy, word) == setting.default, word
    assert set(site_settings.SiteSettings.__annotations__) == SITE_SETTINGS
    assert set(site_settings.ExtensionSettings.__annotations__) == EXTENSION_SETTINGS
    assert LIST_SETTINGS < EXTENSION_SETTINGS
    documented = inspect.getdoc(CORSPolicy)
    for word in words:
        assert f":param {word}:" in documented, word


def test_each_setting_is_described_where_an_editor_looks():
    """A string below a field is its docstring: editors show it, the interpreter drops it."""
    tree = ast.parse(inspect.getsource(setting_words) + inspect.getsource(site_settings))
    described = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field, text in pairwise(node.body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    described.add(ast.unparse(field.target))
                    assert len(ast.literal_eval(text.value)) > 30
    assert described == EXTENSION_SETTINGS


def test_other_libraries_words_lead_to_real_settings():
    assert set(OTHER_WORDS.values()) <= EXTENSION_SETTINGS
    assert not (OTHER_WORDS.keys() | WORDS_WITHOUT_COUNTERPART.keys()) & EXTENSION_SETTINGS


@pytest.mark.parametrize(("policy", "method"), [(PUBLIC_METADATA, "GET"), (PUBLIC_OAUTH, "POST")])
def test_the_ready_made_policies_are_open_and_without_credentials(policy, method):
    assert policy.allow_methods == (method,)
    assert policy.origins == ("*",)
    assert not policy.allow_credentials
    assert policy.preflight("https://anyone.example", method, "mcp-protocol-version,authorization").allowed
    assert not policy.preflight("https://anyone.example", "DELETE").allowed


def test_mcpcors_says_which_hooks_it_registers():
    assert "before_request" in inspect.getdoc(MCPCors)
    assert "after_request" in inspect.getdoc(MCPCors)
