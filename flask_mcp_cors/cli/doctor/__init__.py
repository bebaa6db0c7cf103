"""``doctor``: what a browser MCP client meets at a running server, in any language.

It calls the server as pages would, through :class:`flask_mcp_cors.testing.Browser`, and once as ``curl`` would, to tell
a server that is broken from one that only browsers cannot use. It sends ``initialize``, ``server/discover``,
``tools/list`` and what belongs to them; never ``tools/call``.
"""

from .examination import examine
from .report import Report

__all__ = ["examine", "Report"]
