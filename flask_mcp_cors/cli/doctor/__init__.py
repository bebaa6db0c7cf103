"""``doctor``: what a browser MCP client meets at a running server, in any language.

It calls the server as pages would, through :class:`flask_mcp_cors.testing.Browser`, and as ``curl`` would, to tell a
server that is broken from one that only browsers cannot use.

``probes`` ask and add to the ``evidence``; ``rules`` are the table of findings, which reads it; ``findings`` goes
through that table; ``report`` prints.
"""

from .probes import examine
from .probes import gather
from .report import Report
from .rules import TABLE

#: Every code, once, in the order in which causes explain consequences.
RULES = TABLE.rules

__all__ = ["examine", "gather", "Report", "RULES"]
