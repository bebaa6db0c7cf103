"""What most test files begin with. That it is here makes pytest put this folder on the path, for ``pages``."""

import pytest
from flask import Flask


@pytest.fixture
def app():
    return Flask("app")
