"""An HTTP function that hands each request to a Flask app of its own."""

import functions_framework
from stateless_server import app
from werkzeug.wrappers import Response


@functions_framework.http
def mcp(request):
    return Response.from_app(app, request.environ)
