"""The applications that gunicorn serves for the load test: ``benchmarks.served:ours`` and so on."""

from __future__ import annotations

import flask_cors

from flask_mcp_cors import MCPCors

from .contestants import CONSTANT_HEADERS
from .contestants import EXACT_HEADERS
from .contestants import EXPOSE_HEADERS
from .contestants import make_app
from .contestants import METHODS

ORIGIN = "https://app.example.com"

bare = make_app()

constant = make_app()
constant.after_request(lambda response: response.headers.extend(CONSTANT_HEADERS) or response)

peer = make_app()
flask_cors.CORS(
    peer,
    origins=[ORIGIN],
    methods=METHODS,
    allow_headers=EXACT_HEADERS,
    expose_headers=EXPOSE_HEADERS,
    max_age=86400,
)

ours = make_app()
MCPCors(ours, origins=ORIGIN, hosts="localhost")

wrapped = make_app()
MCPCors(wrapped, origins=ORIGIN, hosts="localhost", wrap_wsgi=True)
