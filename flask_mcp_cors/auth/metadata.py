"""Protected resource metadata (RFC 9728): the documents that tell a client where to log in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple
from urllib.parse import unquote
from urllib.parse import urlsplit

from flask import Flask
from flask import request
from flask import Response

from ..core.origins import LOOPBACK_HOSTS
from ..core.paths import segments
from .guards import word_tuple

WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Document(NamedTuple):
    """A protected resource metadata document, ready to send."""

    #: The decoded path of the resource, as in a request.
    resource_path: str
    #: The host of the resource, as in :attr:`flask.Request.host`: in lower case, without a default port.
    host: str
    url: str
    body: bytes

    @property
    def path(self) -> str:
        """The decoded path of the document, as in a request."""
        return f"{WELL_KNOWN}{self.resource_path}"


class ResourceMetadata:
    """The metadata documents of one app (RFC 9728), by path and host."""

    def __init__(self) -> None:
        self._documents: list[Document] = []
        #: Path → host → body. The well-known path itself is one of the paths.
        self.bodies: dict[str, dict[str, bytes]] = {}

    def add(self, document: Document) -> list[str]:
        """Add a document. Returns the paths that had no document before."""
        # The RFC keeps the slash at the end, but some clients leave it out.
        paths = [document.path, document.path.rstrip("/")]
        on_this_host = [known for known in self._documents if known.host == document.host]
        if any(known.path.rstrip("/") == paths[1] for known in on_this_host):
            raise ValueError(
                f"serve_resource_metadata: there is a document at {document.path} for {document.host} already"
            )
        # The first document also answers clients that try only the well-known path itself, until there is one for a
        # resource at the root of the host.
        if not on_this_host:
            paths.append(WELL_KNOWN)
        self._documents.append(document)
        added = [path for path in dict.fromkeys(paths) if path not in self.bodies]
        for path in paths:
            self.bodies.setdefault(path, {})[document.host] = document.body
        return added

    def body_for(self, path: str, host: str) -> bytes:
        """The document at a path of :attr:`bodies`: the one for this host, or the first one by default."""
        bodies = self.bodies[path]
        return bodies.get(host) or next(iter(bodies.values()))

    def url_for(self, path: str, host: str) -> str | None:
        """The URL of the document of the resource whose path is the longest prefix of *path*.

        If a resource has this host, only resources of this host count. Otherwise all count: a proxy may have changed
        ``Host``.
        """
        asked = segments(path)
        candidates = [document for document in self._documents if document.host == host] or self._documents
        prefixes = [(segments(document.resource_path), document.url) for document in candidates]
        fitting = [(len(prefix), url) for prefix, url in prefixes if asked[: len(prefix)] == prefix]
        return max(fitting, key=lambda found: found[0])[1] if fitting else None


def make_document(
    resource: str,
    authorization_servers: Iterable[str] = (),
    scopes_supported: Iterable[str] = (),
    **more: Any,
) -> Document:
    """The document for *resource*, with the path that RFC 9728, section 3.1 derives from it.

    :raises ValueError: if *resource* is not an absolute HTTPS URL (or HTTP for loopback) without query and fragment.

    >>> make_document("https://mcp.example.com/mcp").path
    '/.well-known/oauth-protected-resource/mcp'
    """
    parts = urlsplit(resource)
    is_loopback = parts.hostname in [host.strip("[]") for host in LOOPBACK_HOSTS]
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback)
    if not secure or not parts.hostname or parts.fragment or "@" in parts.netloc or parts.query:
        raise ValueError(
            f"serve_resource_metadata: {resource!r} is not a valid resource identifier; write an https URL "
            "(http for loopback) without query and fragment, such as https://mcp.example.com/mcp"
        )
    members: dict[str, Any] = {
        "resource": resource,
        "authorization_servers": _urls(authorization_servers),
        "scopes_supported": word_tuple("serve_resource_metadata(scopes_supported=…)", scopes_supported),
        "bearer_methods_supported": ["header"],
    }
    content = {name: value for name, value in members.items() if value} | more
    path = "" if parts.path == "/" else parts.path
    url = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}"
    default_port = {"https": ":443", "http": ":80"}[parts.scheme]
    host = parts.netloc.lower().removesuffix(default_port)
    return Document(unquote(path), host, url, json.dumps(content).encode())


def _urls(value: Iterable[str]) -> list[str]:
    urls = [value] if isinstance(value, str) else list(value)
    for url in urls:
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", "http"):
            raise ValueError(f"serve_resource_metadata: {url!r} is not the URL of an authorization server")
    return urls


def metadata_response(body: bytes) -> Response:
    """The response with a metadata document."""
    return Response(body, content_type="application/json")


def serve(app: Flask, metadata: ResourceMetadata, document: Document) -> None:
    """Add routes for the paths of a document, so that ``flask routes`` lists them and other methods get 405."""
    for path in metadata.add(document):

        def view(path: str = path) -> Response:
            return metadata_response(metadata.body_for(path, request.host))

        # In an endpoint, a dot would separate the name of a blueprint.
        name = path.removeprefix(WELL_KNOWN).replace("%", "%25").replace(".", "%2E")
        app.add_url_rule(path, f"mcp_cors_resource_metadata:{name}", view)
