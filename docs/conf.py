"""Sphinx: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from flask_mcp_cors import __version__

HERE = Path(__file__).parent

project = "Flask-MCP-CORS"
author = "the authors of Flask-MCP-CORS"
copyright = "2026, the authors of Flask-MCP-CORS"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_generated", "examples"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Flask-MCP-CORS {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    # The site must not ask another host for anything, so the theme's links to services stay out.
    "footer_icons": [],
    "navigation_with_keys": True,
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_show_sourcelink = False

_INCLUDED = re.compile(r"^\[.+\]\(((?:\.\./)*_generated/\S+|\.\./CHANGELOG\.md)\)$", re.MULTILINE)
_TITLE = re.compile(r"^# .*\n", re.MULTILINE)


def include_generated(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put in what commands have written: a link to such a file, alone on its line, becomes the file.

    So the pages can be read without Sphinx too.
    """

    def text(match: re.Match[str]) -> str:
        path = (HERE / docname).parent / match[1]
        content = path.read_text(encoding="utf-8")
        return _TITLE.sub("", content, count=1) if path.suffix == ".md" else f"```text\n{content.rstrip()}\n```"

    source[0] = _INCLUDED.sub(text, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", include_generated)
