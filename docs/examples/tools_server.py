"""The app that the page about the command line uses. It has two faults on purpose."""

from flask import Flask

from flask_mcp_cors import MCPCors

app = Flask(__name__, static_folder=None)
cors = MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"])


def verify(credential):
    return "somebody" if credential.token == "good" else None


@app.route("/mcp/", methods=["GET", "POST", "DELETE"])
@cors.protected(verify)
def mcp():
    return {}


@app.route("/status", methods=["GET", "OPTIONS"])
@cors.policy(origins="*")
def status():
    return {"up": True}


@app.get("/healthz")
@cors.exempt
def healthz():
    return "ok"
