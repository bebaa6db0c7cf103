"""``doctor``: what a browser MCP client meets at a running server, in any language.

It calls the server as pages would, through :class:`flask_mcp_cors.testing.Browser`, and as ``curl`` would, to tell a
server that is broken from one that only browsers cannot use.

``probes`` and ``login`` ask and add to the ``evidence``; ``rules`` and ``observations`` are the table of findings,
which reads it; ``findings`` goes through that table; ``report`` prints.
"""

from .findings import RULES
from .probes import examine
from .report import Report

__all__ = ["examine", "Report", "RULES"]
