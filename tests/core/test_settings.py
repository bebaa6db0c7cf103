"""What is read from ``app.config``, before it is checked."""

import pytest

from flask_mcp_cors.core.settings import settings_from_config


@pytest.mark.parametrize("text", ["a, b", "a,b", " a , b "])
def test_a_list_in_the_configuration_is_split_at_commas(text):
    assert settings_from_config({"MCP_CORS_ORIGINS": text}, [])[0] == {"origins": ["a", "b"]}


def test_a_string_of_another_setting_is_not_split():
    assert settings_from_config({"MCP_CORS_VALIDATE_ORIGIN": "a,b"}, [])[0] == {"validate_origin": "a,b"}
