"""One request as the adapters see it: reading a WSGI environ, choosing a policy, deciding.

What hook and middleware have in common lives here, so that neither holds a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import TYPE_CHECKING

from .core.decision import Decision
from .core.decision import Reason
from .core.policy import CORSPolicy
from .core.site import Choice
from .core.site import Facts
from .core.site import Site
from .reporting import log

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Where in the environ the layers around one request leave word for each other.
EXCHANGE = "flask_mcp_cors.exchange"


class Exchange:
    """What is known of one request so far. An outer layer makes it, an inner one fills it in."""

    __slots__ = ("decision", "finished_outside", "foreseen")

    def __init__(self) -> None:
        #: The decision of the innermost layer that has judged the request.
        self.decision: Decision | None = None
        #: Will a layer further out put the decision's headers into the response?
        self.finished_outside = False
        #: What a layer further out has decided for this site on these facts, and left to it to say.
        self.foreseen: tuple[Site, Facts, Decision] | None = None

    def keep(self, decision: Decision) -> None:
        """Keep a decision for the response.

        One that nothing governs the path says so for its own app: the layers around may have a policy.
        """
        if decision.reason is not Reason.NOT_GOVERNED or not self.finished_outside:
            self.decision = decision


def current_exchange(environ: WSGIEnvironment) -> Exchange:
    """The request's exchange, made where no outer layer has."""
    exchange: Exchange | None = environ.get(EXCHANGE)
    if exchange is None:
        exchange = environ[EXCHANGE] = Exchange()
    return exchange


def routed_path(environ: WSGIEnvironment) -> str:
    """The path as werkzeug routes it: without the mount point, decoded once by the server."""
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
    return f"/{path.lstrip('/')}"


def facts_from_environ(environ: WSGIEnvironment, path: str) -> Facts:
    """The facts that a decision on this request rests on."""
    get = environ.get
    return Facts(
        environ["REQUEST_METHOD"],
        path,
        environ["wsgi.url_scheme"],
        get("HTTP_HOST"),
        get("HTTP_ORIGIN"),
        get("HTTP_ACCESS_CONTROL_REQUEST_METHOD"),
        get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"),
        get("HTTP_SEC_FETCH_SITE"),
        get("HTTP_SEC_FETCH_MODE"),
    )


def settle(site: Site, choice: Choice, facts: Facts, request: Callable[[], Any]) -> Decision:
    """The decision on a request, after asking the callable in ``policies`` where there is one.

    :param request: makes the request object that such a callable takes.
    """
    policy = choice.policy
    if policy is None or isinstance(policy, CORSPolicy):
        return site.decide(facts, policy)
    try:
        chosen = policy(request())
        if chosen is not None and not isinstance(chosen, CORSPolicy):
            raise TypeError(f"{choice.rule} returned {type(chosen).__name__}; return a CORSPolicy or None")
    except Exception:
        # Whatever went wrong in there, a request without a policy is refused, not let in.
        log.exception("%s failed, so the request is refused", choice.rule)
        return site.default.refuse(
            Reason.POLICY_FAILED, options=facts.method == "OPTIONS", secure=facts.scheme == "https"
        )
    return site.decide(facts, site.default if chosen is None else chosen)
