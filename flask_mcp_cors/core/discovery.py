"""Ready-made policies: the public documents of OAuth discovery, and an authorization server's endpoints.

A browser client reads these documents before it has a token, from any origin, and with the header
``MCP-Protocol-Version``, so there is a preflight. The documents contain no secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .policy import CORSPolicy

#: For OAuth discovery documents: any origin, GET, any MCP header, no credentials.
PUBLIC_METADATA = CORSPolicy(origins="*", allow_methods="GET")

#: For an authorization server's ``/token``, ``/register`` and ``/revoke``: any origin, POST, no
#: credentials. ``DPoP`` may be sent and ``DPoP-Nonce`` read, so that clients can bind their tokens (RFC 9449).
#: Not used by default: ``policies={"/token": PUBLIC_OAUTH, "/register": PUBLIC_OAUTH}``.
PUBLIC_OAUTH = CORSPolicy(origins="*", allow_methods="POST")


def _allows_nobody(origin: str) -> bool:
    return False


#: Allows no page of another origin. A callable in ``policies`` returns it for a tenant that it does not know.
NOBODY = CORSPolicy(origins=_allows_nobody)

#: The paths of the documents: RFC 9728 section 3, RFC 8414 section 3, OpenID Connect Discovery section 4.
PUBLIC_METADATA_PATHS: Mapping[str, CORSPolicy] = MappingProxyType(
    dict.fromkeys(
        (
            "/.well-known/oauth-protected-resource/**",
            "/.well-known/oauth-authorization-server/**",
            "/.well-known/openid-configuration/**",
            "/**/.well-known/openid-configuration",
        ),
        PUBLIC_METADATA,
    )
)
