"""A resource server that checks access tokens with the issuer's public keys."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from flask import Flask
from flask import g
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact

from flask_mcp_cors import MCPCors

ISSUER = "https://auth.example.com"
RESOURCE = "https://mcp.example.com/mcp"
JWKS = "https://auth.example.com/.well-known/jwks.json"  # "jwks_uri" in the issuer's metadata

now = time.monotonic


def download(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=10) as response:
        return json.load(response)


class Keys:
    """The issuer's key set. An unknown key makes it fetch the set again, at most once in five minutes."""

    def __init__(self, fetch: Callable[[str], dict[str, Any]]) -> None:
        self.fetch = fetch
        self.keys = KeySet([])
        self.fetched = float("-inf")

    def find(self, kid: str | None) -> KeySet | None:
        if not self.has(kid) and now() - self.fetched > 300:
            self.keys = KeySet.import_key_set(self.fetch(JWKS))
            self.fetched = now()
        return self.keys if self.has(kid) else None

    def has(self, kid: str | None) -> bool:
        return any(key.kid == kid for key in self.keys.keys)


CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": RESOURCE},
    exp={"essential": True},
    sub={"essential": True},
)


def key_id(token: str) -> str | None:
    """The ``kid`` in the token's header, which is not trusted: it only selects a key."""
    return extract_compact(token.encode()).headers().get("kid")


def create_app(fetch: Callable[[str], dict[str, Any]] = download) -> Flask:
    app = Flask(__name__)
    cors = MCPCors(app, origins=["https://app.example.com"], hosts=["mcp.example.com"])
    issuer_keys = Keys(fetch)

    def verify(credential):
        try:
            keys = issuer_keys.find(key_id(credential.token))
            if keys is None:
                return None
            token = jwt.decode(credential.token, keys, algorithms=["RS256"])
            CLAIMS.validate(token.claims)
        except (JoseError, ValueError):
            return None
        return {"user": token.claims["sub"], "scopes": token.claims.get("scope", "")}

    cors.serve_resource_metadata(app, resource=RESOURCE, authorization_servers=[ISSUER], scopes_supported=["tools"])

    @app.post("/mcp")
    @cors.protected(verify, scopes=["tools"])
    def mcp():
        return {"jsonrpc": "2.0", "id": 1, "result": {"user": g.mcp_identity["user"]}}

    return app
