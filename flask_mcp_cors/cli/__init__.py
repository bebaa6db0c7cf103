"""The commands: they gather facts, describe what is wrong as findings, and print both.

Nothing here makes decisions about requests. ``explain`` and ``routes`` call the functions that handle the app's
requests; ``doctor`` uses :class:`flask_mcp_cors.testing.Browser`.
"""
