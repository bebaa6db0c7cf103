"""What the conformance suite asks an MCP server for, on the official SDK: bare, and with our middleware around it."""

from __future__ import annotations

import base64
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import AudioContent
from mcp.types import ImageContent

from flask_mcp_cors.asgi import CORSMiddleware

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="


def create_server() -> MCPServer:
    server = MCPServer("conformance", log_level="WARNING")

    @server.tool()
    def test_simple_text() -> str:
        """A text."""
        return "This is a simple text response for testing."

    @server.tool()
    def test_image_content() -> list[ImageContent]:
        """A picture."""
        return [ImageContent(type="image", data=PNG, mime_type="image/png")]

    @server.tool()
    def test_audio_content() -> list[AudioContent]:
        """A sound."""
        return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]

    @server.tool()
    def test_error_handling() -> str:
        """An error."""
        raise RuntimeError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_tool_with_progress(ctx: Context) -> str:
        """Events."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100, str(done))
        return "done"

    @server.resource("test://static-text")
    def text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def binary() -> bytes:
        """A picture."""
        return base64.b64decode(PNG)

    @server.resource("test://template/{id}/data")
    def template(id: str) -> str:
        """A text with a variable."""
        return f'{{"id": "{id}"}}'

    @server.prompt()
    def test_simple_prompt() -> str:
        """A prompt."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with variables."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    return server


def bare() -> Any:
    """The SDK's app with its own check of Host and Origin off."""
    no_check = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return create_server().streamable_http_app(transport_security=no_check)


def guarded() -> Any:
    """The same with our middleware, as it is without a setting: this machine only."""
    return CORSMiddleware(bare())
