"""The tables in the documentation say what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import flask_mcp_cors
import flask_mcp_cors.testing
from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCP_REVISIONS
from flask_mcp_cors import Reason
from flask_mcp_cors import SecurityHeaders
from flask_mcp_cors.core.discovery import PUBLIC_METADATA_PATHS
from flask_mcp_cors.core.site_settings import ExtensionSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "flask_mcp_cors").rglob("*.py"))


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = text.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


# problem codes


class Codes(ast.NodeVisitor):
    """The codes that one module gives to the problems it makes."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: set[str] = set()
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self.within: list[ast.FunctionDef] = []
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.within.append(node)
        self.generic_visit(node)
        self.within.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        of_problem = name in ("PolicyProblem", "Invalid") or (name == "add" and len(node.args) == 4)
        if of_problem and node.args:
            self.found.update(self.codes(node.args[0]))
        self.generic_visit(node)

    def codes(self, argument: ast.expr) -> Iterator[str]:
        match argument:
            case ast.Constant(value=str(code)):
                yield code
            case ast.IfExp(body=one, orelse=other):
                yield from self.codes(one)
                yield from self.codes(other)
            case ast.JoinedStr(values=[ast.Constant(value=prefix), ast.FormattedValue(value=ast.Name(id=name))]):
                yield from (f"{prefix}{end}" for end in self.looked_up(name))
            case ast.Starred(value=ast.Call(func=ast.Name(id=function))):
                for node in ast.walk(self.functions[function]):
                    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                        yield from self.codes(node.value.elts[0])
            case ast.Name() | ast.Attribute():
                pass  # handed on: a code that another call has made
            case _:
                raise AssertionError(f"a code that this test cannot read: {ast.unparse(argument)}")

    def looked_up(self, name: str) -> Iterator[str]:
        """What ``name = {…}[…]`` can be."""
        for node in ast.walk(self.within[-1]):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=ast.Subscript(value=ast.Dict(values=values))):
                    if target == name:
                        yield from (str(ast.literal_eval(value)) for value in values)


def codes_in_source() -> set[str]:
    return {code for path in SOURCES for code in Codes(ast.parse(path.read_text(encoding="utf-8"))).found}


def test_codes_are_found() -> None:
    codes = codes_in_source()
    assert {"origin_path", "origin_query", "origin_fragment", "origin_null", "origin_file"} <= codes
    assert {"origin_ipv4_invalid", "origin_host_invalid", "wrong_type", "unknown_setting"} <= codes


def test_codes_are_words() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code) for code in codes_in_source())


def test_every_code_is_documented_once_and_none_is_stale() -> None:
    documented = [row[0].strip("`") for row in rows(read("configuration.md"), "## Error codes")]
    assert len(documented) == len(set(documented))
    assert set(documented) == codes_in_source()


# settings

ENTRY = re.compile(
    r"^### (\w+)\n\n:Keyword: `(\w+)`\n:Key: `MCP_CORS_(\w+)`\n:Type: `(.+)`\n:Default: (.+)\n", re.MULTILINE
)


def entries() -> dict[str, tuple[str, str, str]]:
    """Setting → key, type and default as the configuration reference has them."""
    found = ENTRY.findall(read("configuration.md"))
    assert all(heading == keyword for heading, keyword, *_ in found)
    return {keyword: (key, kind, default) for _, keyword, key, kind, default in found}


def test_every_setting_has_its_entry() -> None:
    assert list(entries()) == list(ExtensionSettings.__annotations__)
    assert all(key == setting.upper() for setting, (key, _, _) in entries().items())


@pytest.mark.parametrize("setting", ["allow_methods", "allow_headers", "expose_headers"])
def test_default_lists_are_as_documented(setting: str) -> None:
    assert entries()[setting][2].strip("`") == ", ".join(getattr(CORSPolicy(), setting))


@pytest.mark.parametrize(
    "setting",
    [
        "allow_credentials",
        "max_age",
        "preflight_status",
        "validate_origin",
        "dangerously_allow_insecure_origins",
        "dangerously_allow_public_suffixes",
        "dangerously_allow_null",
    ],
)
def test_default_values_are_as_documented(setting: str) -> None:
    assert entries()[setting][2].strip("`") == repr(getattr(CORSPolicy(), setting))


def test_security_headers_are_as_documented() -> None:
    table = rows(read("configuration.md"), "### security_headers")
    documented = {argument.strip("`"): default.strip("`") for argument, _, default in table}
    real = {name: getattr(SecurityHeaders(), name) for name in SecurityHeaders.__dataclass_fields__}
    assert documented == {name: value or "none" for name, value in real.items()}


def test_discovery_patterns_are_as_documented() -> None:
    section = read("configuration.md").split("### policies", 1)[1].split("\n### ", 1)[0]
    assert re.findall(r"^- `(.+)`$", section, re.MULTILINE) == list(PUBLIC_METADATA_PATHS)


# revisions


def test_revisions_are_as_documented() -> None:
    table = rows(read("revisions.md"), "## The table")
    documented = {
        revision.strip("`"): tuple(re.findall(r"`([^`]+)`", cell) for cell in cells) for revision, *cells in table
    }
    assert documented == {
        revision: tuple(
            [name for name in names if name not in ("Accept", "Authorization", "Content-Type", "X-API-Key", "OPTIONS")]
            for names in (settings["allow_methods"], settings["allow_headers"], settings["expose_headers"])
        )
        for revision, settings in MCP_REVISIONS.items()
    }


# reasons


def test_every_reason_is_documented() -> None:
    assert [row[0].strip("`") for row in rows(read("counting.md"), "## Reasons")] == [reason.value for reason in Reason]


# public names


@pytest.mark.parametrize("module", [flask_mcp_cors, flask_mcp_cors.testing], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    described = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (\w+)$", read("api.md"), re.MULTILINE))
    assert {name for name in module.__all__ if not name.startswith("__")} <= described
