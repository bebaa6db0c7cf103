"""CORS, Origin validation and security headers for Flask MCP servers."""

from ._version import __version__
from .auth.guards import InsufficientScope
from .core.decision import Decision
from .core.decision import Reason
from .core.discovery import NOBODY
from .core.discovery import PUBLIC_METADATA
from .core.discovery import PUBLIC_OAUTH
from .core.mcp import MCP_REVISIONS
from .core.origins import LOOPBACK
from .core.origins import LOOPBACK_HOSTS
from .core.policy import CORSPolicy
from .core.problems import PolicyError
from .core.problems import PolicyProblem
from .core.security import SecurityHeaders
from .extension import MCPCors
from .reporting import preflight_answered
from .reporting import request_refused
from .wsgi import CORSMiddleware

__all__ = [
    "MCPCors",
    "CORSMiddleware",
    "CORSPolicy",
    "SecurityHeaders",
    "InsufficientScope",
    "Decision",
    "Reason",
    "PolicyError",
    "PolicyProblem",
    "LOOPBACK",
    "LOOPBACK_HOSTS",
    "MCP_REVISIONS",
    "NOBODY",
    "PUBLIC_METADATA",
    "PUBLIC_OAUTH",
    "preflight_answered",
    "request_refused",
    "__version__",
]
