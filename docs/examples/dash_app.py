"""A Dash app whose MCP endpoint pages of another origin may call."""

from dash import Dash
from dash import html

from flask_mcp_cors import MCPCors

dash_app = Dash("sales", enable_mcp=True)
dash_app.layout = html.Div("Sales")

app = dash_app.server
MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"], paths=["/_mcp"])
