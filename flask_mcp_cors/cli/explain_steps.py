"""The steps of a decision, in words: what ``explain`` prints above the headers."""

from __future__ import annotations

from ..core.decision import Reason
from ..core.discovery import NOBODY
from ..core.policy import CORSPolicy
from ..core.site import Facts
from ..extension.gate import AppState
from .app import guard_words
from .app import Judged
from .app import layer_names
from .app import listed_origins
from .app import names_of
from .app import own_hooks
from .app import route_words


def steps_of(state: AppState, judged: list[Judged], origin: str | None) -> list[tuple[str, str]]:
    """The steps of the decision on one request and its preflight, each with its name.

    :param origin: ``None`` for a program that is no browser.
    """
    first, last = judged[0], judged[-1]
    policy = first.policy
    rows = [("route", route_words(first)), ("protection", _protection_words(first))]
    rows.append(("policy", f"{first.choice.rule}{_policy_words(state, first)}"))
    if policy is not None and origin is None:
        rows.append(("origin", "none: the request passes, as only pages in a browser must send one"))
    elif policy is not None and origin is not None:
        is_own = first.decision.reason is Reason.SAME_ORIGIN
        rows.append(("origin", "the app's own, which needs no entry" if is_own else _origin_words(policy, origin)))
        if first.facts.is_preflight:
            rows += _preflight_steps(policy, first.facts)
        else:
            why = "the page has the same origin" if is_own else "method and headers are safelisted"
            rows.append(("preflight", f"none: {why}, so the browser sends it at once"))
    fault = state.site.hosts.fault(first.facts.host, first.facts.scheme)
    rows.append(("host", f"{first.facts.host}: {'served' if fault is None else fault.value}"))
    if first.facts.is_preflight:
        rows.append(("preflight", _verdict(state, first)))
    if last.facts.is_preflight:
        rows.append(("request", "never sent: the browser stops at the preflight"))
    else:
        rows.append(("request", _verdict(state, last)))
        if not (last.decision.final or last.answered_outside):
            rows.append(("not seen", _unseen(state)))
    return rows


def _protection_words(judged: Judged) -> str:
    if not judged.guards:
        return "no cors.protected; other decorators and hooks cannot be seen"
    return f"cors.protected: {guard_words(judged.guards)}" + (
        "; not asked of a preflight" if judged.facts.is_preflight else ""
    )


def _unseen(state: AppState) -> str:
    """The code that was not run and may answer differently."""
    names = names_of(own_hooks(state))
    functions = f"the app's before_request functions ({names}), " if names else ""
    return f"{functions}the view, and what stands in front of the server, such as a proxy or a CDN"


def _policy_words(state: AppState, judged: Judged) -> str:
    if callable(judged.choice.policy) and state.site.hosts.fault(judged.facts.host, judged.facts.scheme):
        return ": a callable, asked with a Host that is not served; mend that first"
    if judged.policy is None:
        return ": no CORS headers, no preflight answer, no Origin validation"
    return f" (origins: {state.configured.source('origins')})" if judged.policy is state.site.default else ""


def _origin_words(policy: CORSPolicy, origin: str) -> str:
    if policy.preflight(origin, "GET").allowed:
        return "allowed: it matches *" if policy.allows_any_origin else "allowed"
    reason = policy.actual(origin).reason.value
    if policy is NOBODY:
        return f"{reason}: the policy is NOBODY"
    return f"{reason}: not among {listed_origins(policy)}"


def _preflight_steps(policy: CORSPolicy, facts: Facts) -> list[tuple[str, str]]:
    """The method and each header that the preflight asks for, checked one by one."""
    if not policy.preflight(facts.origin, "GET").allowed:
        return [("method", "not looked at"), ("headers", "not looked at")]
    method = facts.request_method or ""
    verdict = "allowed" if policy.preflight(facts.origin, method).allowed else "not allowed"
    if verdict == "not allowed" and method != method.upper():
        verdict += f"; write {method.upper()} in the page, in upper case: browsers send this name as it is written"
    rows = [("method", f"{method}: {verdict}")]
    for name in (facts.request_headers or "").split(","):
        if name:
            allowed = policy.preflight(facts.origin, "GET", name).allowed
            rows.append(("header" if len(rows) == 1 else "", f"{name}: {'allowed' if allowed else 'not allowed'}"))
    return rows


def _verdict(state: AppState, judged: Judged) -> str:
    decision, answer = judged.decision, judged.answer
    if judged.answered_outside and answer is not None:
        layers = layer_names(state.app)
        outside = f"{' around '.join(layers)} around the app" if layers else "something around the app"
        what = f"raises {type(answer.error).__name__}" if answer.error else f"answers with {answer.status}"
        cure = "; with wrap_wsgi=True, and MCPCors initialised after that layer, it does" if decision.final else ""
        return f"{outside} {what}, before the app can; the extension would say {decision.reason.value}{cure}"
    return f"{decision.reason.value}: {_outcome(judged)}"


def _outcome(judged: Judged) -> str:
    decision = judged.decision
    if decision.final:
        names = f" ({', '.join(decision.offending)})" if decision.offending else ""
        goes_on = "the browser goes on" if decision.allowed else f"the browser stops{names}"
        if not judged.facts.is_preflight:
            goes_on = "the view does not run"
        return f"answered with {decision.status}, {goes_on}"
    if judged.endpoint is None:
        return route_words(judged)
    if judged.facts.is_preflight:
        return "left to the app"
    return "passes on to the app's hooks and the view"
