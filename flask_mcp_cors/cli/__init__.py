"""What the commands do: each module gathers facts, words them as findings, and prints both.

Nothing here decides anything about a request. ``explain`` and ``routes`` ask the app through the functions that
requests go through; ``doctor`` asks :class:`flask_mcp_cors.testing.Browser`.
"""
