"""An HTTP function that hands each request to a Flask app of its own."""

import functions_framework
from werkzeug.wrappers import Response

from docs.examples.stateless_server import app


@functions_framework.http
def mcp(request):
    return Response.from_app(app, request.environ)
