"""Modules that connect Flask-MCP-CORS with other libraries. Nothing here is imported by the package itself."""
