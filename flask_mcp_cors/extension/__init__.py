"""The Flask extension: :class:`MCPCors`, the hooks of one app, marks on views, and the layer of ``wrap_wsgi``."""

from .cors import MCPCors

__all__ = ["MCPCors"]
