"""What most test files begin with. That it is here makes pytest put this folder on the path, for ``pages``."""

import pytest
from flask import Flask
from hypothesis import settings
from pages import APP

from flask_mcp_cors import MCPCors

# How long an example takes says more of the machine than of the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture
def app():
    return Flask("app")


@pytest.fixture
def cors(app):
    return MCPCors(app, origins=APP, hosts="localhost")
