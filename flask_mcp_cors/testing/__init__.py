"""A test client that treats a server as a browser does: the client half of the Fetch standard, as far as CORS goes.

.. code-block:: python

    from flask_mcp_cors.testing import Browser

    def test_a_browser_client_can_connect(app):
        browser = Browser(app, origin="https://app.example.com")
        response = browser.fetch("/mcp", "POST", {"Authorization": "Bearer x"}, json={})
        assert "mcp-session-id" in response.headers

Against a running server: ``Browser(HTTPTransport(), base_url="http://127.0.0.1:5000")``.
"""

from .browser import Browser
from .errors import CORSError
from .errors import CORSErrorReason
from .headers import HeaderList
from .messages import Exchange
from .messages import NetworkRequest
from .messages import NetworkResponse
from .messages import Response
from .quirks import Quirk
from .quirks import QUIRKS
from .transport import HTTPTransport
from .transport import Transport
from .transport import WSGITransport

__all__ = [
    "Browser",
    "Response",
    "CORSError",
    "CORSErrorReason",
    "Exchange",
    "NetworkRequest",
    "NetworkResponse",
    "HeaderList",
    "Quirk",
    "QUIRKS",
    "Transport",
    "WSGITransport",
    "HTTPTransport",
]
