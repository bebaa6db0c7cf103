"""A gateway: ``/servers/<uuid>/mcp``, and each tenant says which pages may connect to its server."""

import os
from functools import lru_cache
from uuid import UUID

from cachelib import BaseCache
from cachelib import RedisCache
from cachelib import SimpleCache
from flask import Flask
from flask import Request

from flask_mcp_cors import CORSPolicy
from flask_mcp_cors import MCPCors
from flask_mcp_cors import NOBODY


@lru_cache(maxsize=4096)
def policy_of(origins: tuple[str, ...]) -> CORSPolicy:
    """Creating a policy takes longer than using it, so the last ones are cached. Equal origins mean an equal policy."""
    return CORSPolicy(origins=origins)


class Tenants:
    """Whose pages may connect to which server, in a store that all workers share."""

    def __init__(self, store: BaseCache) -> None:
        self.store = store

    def allow(self, server: UUID, origins: list[str]) -> None:
        """Save a tenant's origins. A faulty one raises ``PolicyError`` now, not when a page calls."""
        policy_of(tuple(origins))
        self.store.set(f"origins:{server}", origins, timeout=0)

    def choose(self, request: Request) -> CORSPolicy:
        """For ``policies``: the tenant's policy, read for each request. An unknown tenant has a policy that refuses."""
        # From the path: a preflight is answered before there are view arguments.
        server = request.path.split("/")[2]
        origins = self.store.get(f"origins:{server}")
        return NOBODY if origins is None else policy_of(tuple(origins))


def create_app(store: BaseCache | None = None) -> Flask:
    app = Flask(__name__)
    # In memory, which is for one process: a cache forgets, unless it is told not to.
    tenants = Tenants(store or SimpleCache(threshold=1_000_000, default_timeout=0))
    # The default policy is for the gateway's own console.
    MCPCors(
        app,
        origins="https://console.example.com",
        hosts="gateway.example.com",
        policies={"/servers/*/mcp": tenants.choose},
    )

    @app.post("/servers/<uuid:server>/mcp")
    def mcp(server: UUID) -> dict[str, str]:
        return {"server": str(server)}

    app.extensions["tenants"] = tenants
    return app


def production() -> Flask:
    """With a store that all workers share: ``gunicorn 'gateway_tenants:production()'``."""
    return create_app(RedisCache(os.environ["REDIS_HOST"], int(os.environ.get("REDIS_PORT", "6379"))))
