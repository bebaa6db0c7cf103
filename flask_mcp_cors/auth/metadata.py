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

    #: The path of the resource as a request has it, decoded.
    resource_path: str
    #: The resource's host as :attr:`flask.Request.host` has it: in lower case, without a default port.
    host: str
    url: str
    body: bytes

    @property
    def path(self) -> str:
        """The path of the document as a request has it, decoded."""
        return f"{WELL_KNOWN}{self.resource_path}"


class ResourceMetadata:
    """The metadata documents of one app (RFC 9728), by path and host."""

    def __init__(self) -> None:
        self._documents: list[Document] = []
        #: Path → host → body, the bare well-known path included.
        self.bodies: dict[str, dict[str, bytes]] = {}

    def add(self, document: Document) -> list[str]:
        """Take a document in; the paths at which it is new."""
        # Some clients leave out the slash at the end, which the RFC keeps.
        paths = [document.path, document.path.rstrip("/")]
        on_this_host = [known for known in self._documents if known.host == document.host]
        if any(known.path.rstrip("/") == paths[1] for known in on_this_host):
            raise ValueError(
                f"serve_resource_metadata: there is a document at {document.path} for {document.host} already"
            )
        # The first one also answers clients that only try the bare path, until a resource at the
        # root of the host claims it.
        if not on_this_host:
            paths.append(WELL_KNOWN)
        self._documents.append(document)
        added = [path for path in dict.fromkeys(paths) if path not in self.bodies]
        for path in paths:
            self.bodies.setdefault(path, {})[document.host] = document.body
        return added

    def body_for(self, path: str, host: str) -> bytes:
        """The document at a path of :attr:`bodies`: this host's, or the first one where none is for this host."""
        bodies = self.bodies[path]
        return bodies.get(host) or next(iter(bodies.values()))

    def url_for(self, path: str, host: str) -> str | None:
        """The URL of the document of the resource whose path is the longest prefix of *path*.

        Where resources have this host, those of other hosts do not count. Behind a proxy that changes ``Host``
        none has it.
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
    """The document for *resource*, at the place that RFC 9728, section 3.1 derives from it.

    :raises ValueError: where *resource* is no absolute HTTPS URL without fragment.

    >>> make_document("https://mcp.example.com/mcp").path
    '/.well-known/oauth-protected-resource/mcp'
    """
    parts = urlsplit(resource)
    is_loopback = parts.hostname in [host.strip("[]") for host in LOOPBACK_HOSTS]
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback)
    if not secure or not parts.hostname or parts.fragment or "@" in parts.netloc or parts.query:
        raise ValueError(
            f"serve_resource_metadata: {resource!r} is no resource identifier; write an https URL "
            "(http for loopback) without query and fragment, as https://mcp.example.com/mcp"
        )
    content: dict[str, Any] = {"resource": resource}
    if servers := _urls(authorization_servers):
        content["authorization_servers"] = servers
    if scopes := list(word_tuple("serve_resource_metadata(scopes_supported=…)", scopes_supported)):
        content["scopes_supported"] = scopes
    content.setdefault("bearer_methods_supported", ["header"])
    content.update(more)
    path = "" if parts.path == "/" else parts.path
    url = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}"
    default_port = {"https": ":443", "http": ":80"}[parts.scheme]
    host = parts.netloc.lower().removesuffix(default_port)
    return Document(unquote(path), host, url, json.dumps(content).encode())


def _urls(value: Iterable[str]) -> list[str]:
    urls = [value] if isinstance(value, str) else list(value)
    for url in urls:
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", "http"):
            raise ValueError(f"serve_resource_metadata: {url!r} is no URL of an authorization server")
    return urls


def metadata_response(body: bytes) -> Response:
    """The response that carries a metadata document."""
    return Response(body, content_type="application/json")


def serve(app: Flask, metadata: ResourceMetadata, document: Document) -> None:
    """Route a document's paths, so that they are listed and answer other methods with 405."""
    for path in metadata.add(document):

        def view(path: str = path) -> Response:
            return metadata_response(metadata.body_for(path, request.host))

        # A dot would name a blueprint.
        name = path.removeprefix(WELL_KNOWN).replace("%", "%25").replace(".", "%2E")
        app.add_url_rule(path, f"mcp_cors_resource_metadata:{name}", view)
