"""A Dash app whose MCP endpoint pages of another origin may call, with a token."""

import hmac
import os

from dash import Dash
from dash import html

from flask_mcp_cors import MCPCors

TOKEN = os.environ.get("MCP_TOKEN", "a-long-random-token")

dash_app = Dash("sales", enable_mcp=True)
dash_app.layout = html.Div("Sales")

app = dash_app.server
cors = MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"], paths=["/_mcp"])
guard = cors.protected(lambda credential: hmac.compare_digest(credential.token or "", TOKEN) or None)
for endpoint, view in app.view_functions.items():
    if endpoint.startswith("/_mcp:"):  # Dash has a view for each method: "/_mcp:POST", "/_mcp:GET", "/_mcp:DELETE"
        app.view_functions[endpoint] = guard(view)
