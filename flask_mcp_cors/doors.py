"""What the doors share: how one door inside another works, and how a callable in ``policies`` is called.

A *door* is a place where requests come in: the WSGI middleware, the ASGI middleware, the hooks and the layer of the
Flask extension.

Rule 1: each door can refuse a request, whatever the other doors decide.
Rule 2: if one door is inside another, the headers of the innermost door are sent.
Rule 3: a decision belongs to one site and one request. A door passes it on in a :class:`Handover`, which only the next
door inside can take.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from .core.decision import Decision
from .core.decision import Reason
from .core.headers import SAFELISTED_METHODS
from .core.policy import CORSPolicy
from .core.site import Choice
from .core.site import Facts
from .core.site import resolved_facts
from .core.site import Site
from .core.site import strictest
from .reporting import log

#: The key in the environ under which a door leaves its handover for the next door inside.
HANDOVER = "flask_mcp_cors.handover"


class Handover:
    """What a door passes to the next door inside, and gets back with the response."""

    __slots__ = ("decision", "facts", "inner", "is_open", "site")

    def __init__(self, site: Site, facts: tuple[Any, ...], decision: Decision | None) -> None:
        #: The site that the decision was made for.
        self.site = site
        self.facts = facts
        #: The decision for this site; ``None`` until the hook inside has made it.
        self.decision = decision
        #: The decision whose headers a door of another site, further inside, has sent.
        self.inner: Decision | None = None
        #: Can a door of another site still take it?
        self.is_open = True

    def tell(self, site: Site, decision: Decision) -> None:
        """Record whose decision is in the response. If no policy covers it there, an outer door may still have one."""
        if site is self.site:
            # Whatever another site has decided before is not what is sent.
            self.decision, self.inner = decision, None
        elif decision.reason is not Reason.NOT_GOVERNED:
            self.inner = decision


#: The ``Origin`` and the handover of an ASGI door. They are in a context variable, because a WSGI adapter makes a new
#: environ but runs the application in a copy of the context.
AROUND: ContextVar[tuple[str | None, Handover] | None] = ContextVar(HANDOVER, default=None)


def claim(environ: Mapping[str, Any], origin: str | None) -> Handover | None:
    """Take the handover of the next door outside; ``None`` if there is none to take.

    If a view calls another application with its own environ, the handover is already taken, so that application's
    decision does not change the view's response. If a view calls one in its own context, the ``Origin`` differs.
    """
    handover: Handover | None = environ.get(HANDOVER)
    if handover is None and (around := AROUND.get()) is not None and around[0] == origin:
        handover = around[1]
    if handover is None or not handover.is_open:
        return None
    handover.is_open = False
    return handover


def carries(headers: Iterable[tuple[str, str]], decision: Decision) -> bool:
    """Are the ``Access-Control-*`` headers of a response exactly those of *decision*?"""

    def cors(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted((name.lower(), value) for name, value in pairs if name.lower().startswith("access-control-"))

    return cors(headers) == cors(decision.headers)


def judge_choice(
    site: Site,
    choice: Choice,
    facts: Facts,
    request_for: Callable[[str], Any],
    choose_for: Callable[[str], Choice] | None = None,
) -> Decision:
    """The decision under *choice*, after calling the callable in ``policies`` if there is one.

    :param request_for: makes the request for such a callable, with this method as the announced one.
    :param choose_for: the choice for another method at the same URL; by default that of the path.
    """
    judging = judge_choice_async(site, choice, facts, request_for, choose_for)
    try:
        judging.send(None)
        while True:
            # The callable awaits something, but there is no event loop.
            judging.throw(TypeError("a callable in policies can await only in flask_mcp_cors.asgi"))
    except StopIteration as done:
        decision: Decision = done.value
        return decision


async def judge_choice_async(
    site: Site,
    choice: Choice,
    facts: Facts,
    request_for: Callable[[str], Any],
    choose_for: Callable[[str], Choice] | None = None,
) -> Decision:
    """The same as :func:`judge_choice`, with callables that may be ``async``."""
    decision = await _judge_one(site, choice, facts, request_for, choose_for)
    resolved = resolved_facts(facts)
    if resolved is None:
        return decision
    below = site.choose(resolved.path, resolved.policy_method)
    return strictest([decision, await _judge_one(site, below, resolved, request_for, None)])


async def _judge_one(
    site: Site,
    choice: Choice,
    facts: Facts,
    request_for: Callable[[str], Any],
    choose_for: Callable[[str], Choice] | None,
) -> Decision:
    selected = choice.policy

    async def ask(method: str) -> CORSPolicy | None:
        if selected is None or isinstance(selected, CORSPolicy):
            return selected
        chosen: object = selected(request_for(method))
        if isawaitable(chosen):
            chosen = await chosen
        if chosen is not None and not isinstance(chosen, CORSPolicy):
            raise TypeError(f"{choice.rule} returned {type(chosen).__name__}; return a CORSPolicy or None")
        return site.default if chosen is None else chosen

    async def governs(policy: CORSPolicy, method: str) -> bool:
        if method in (facts.policy_method, "*"):
            return True
        other = (site.choose(facts.path, method) if choose_for is None else choose_for(method)).policy
        if other is not selected or other is policy:
            return other == policy
        # The same callable selects it. GET, HEAD and POST are safelisted, so listing them allows nothing new.
        return method in SAFELISTED_METHODS or await ask(method) == policy

    try:
        policy = await ask(facts.policy_method)
        listed = None
        if policy is not None and facts.is_preflight:
            listed = [method for method in policy.allow_methods if await governs(policy, method)]
        return site.decide(facts, policy, listed)
    except Exception:  # the callable may raise anything: without a policy, the request is refused
        log.exception("%s failed, so the request is refused", choice.rule)
        return site.policy_failed(facts)
