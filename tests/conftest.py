"""What most test files begin with. That it is here makes pytest put this folder on the path, for ``pages``."""

import os
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import settings
from pages import APP

from flask_mcp_cors import MCPCors

# How long an example takes says more of the machine than of the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_collection_finish(session):
    """Write down which tests run, where WRITE_TESTS names a file: continuous integration runs them in two parts."""
    # Taken out, so that a pytest that a test starts leaves the file alone.
    if path := os.environ.pop("WRITE_TESTS", None):
        Path(path).write_text("".join(f"{item.nodeid}\n" for item in session.items), encoding="utf-8")


@pytest.fixture
def app():
    return Flask("app")


@pytest.fixture
def cors(app):
    return MCPCors(app, origins=APP, hosts="localhost")
