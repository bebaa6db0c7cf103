"""The site: which policy covers a path, which hosts are served, and the decision on a request.

:meth:`Site.decide` is the one function that the doors, the command line and the tests call. It alone defines what a
preflight is and the order of the checks. :meth:`Site.judge` does the same for policies that the path selects, and keeps
its decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from .answers import VARY_ACTUAL
from .answers import VARY_OPTIONS
from .decision import Decision
from .decision import MESSAGES
from .decision import Reason
from .discovery import PUBLIC_METADATA_PATHS
from .headers import ALLOW_ORIGIN
from .hosts import Host
from .hosts import HostIndex
from .hosts import hosts_from_trusted_hosts
from .hosts import is_loopback
from .hosts import LOOPBACK_INDEX
from .hosts import parse_host
from .hosts import read_hosts
from .origins import LOOPBACK_HOSTS
from .origins import parse_origin
from .paths import path_fault
from .paths import PathIndex
from .paths import resolved_path
from .policy import CORSPolicy
from .problems import number_members
from .problems import PolicyError
from .problems import PolicyProblem
from .problems import string_list
from .problems import wrong_type

# Clients choose all facts, so the kept decisions are limited in number and in the size of each.
MEMO_ENTRIES = 256
_MEMO_ENTRY_LENGTH = 1024

_NOT_GOVERNED = Decision(True, Reason.NOT_GOVERNED, None, ())

#: The request destinations that ``X-Frame-Options`` applies to:
#: https://fetch.spec.whatwg.org/#concept-request-destination
FRAMES = frozenset({"iframe", "frame", "fencedframe", "object", "embed"})

#: RFC 9110, section 9.2.1
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: A callable in ``policies``. It takes the request object of the door.
PolicyCallable = Callable[[Any], "CORSPolicy | None"]


class Facts(NamedTuple):
    """The facts of a request that a decision depends on, as plain values; ``None`` for a header that was not sent."""

    method: str
    #: The path as the application routes it: without the mount point, decoded once.
    path: str
    scheme: str
    #: The ``Host`` header as sent.
    host: str | None
    origin: str | None
    #: ``Access-Control-Request-Method``
    request_method: str | None = None
    #: ``Access-Control-Request-Headers``
    request_headers: str | None = None
    #: ``Sec-Fetch-Site``
    fetch_site: str | None = None
    #: ``Sec-Fetch-Mode``
    fetch_mode: str | None = None
    #: ``Sec-Fetch-Dest``
    fetch_dest: str | None = None
    #: Is this a file that every page may embed, such as Flask's ``static``?
    embeddable: bool = False

    @property
    def is_preflight(self) -> bool:
        """Is this a CORS-preflight request? https://fetch.spec.whatwg.org/#cors-preflight-request"""
        return self.method == "OPTIONS" and self.origin is not None and self.request_method is not None

    @property
    def policy_method(self) -> str:
        """The method that selects the policy: the one that a preflight announces, else the request's own."""
        return (self.request_method or "") if self.is_preflight else self.method


class Choice(NamedTuple):
    """The policy for a request, and the rule that selected it."""

    #: A policy, a callable that returns one, or ``None``: no policy covers the request.
    policy: CORSPolicy | PolicyCallable | None
    rule: str
    #: Is the rule one of the built-in patterns for discovery documents?
    is_discovery: bool = False


class Site:
    """The compiled settings of one site: a default policy, others by path, and the hosts."""

    def __init__(
        self,
        default: CORSPolicy,
        *,
        hosts: HostIndex,
        own_hosts: HostIndex,
        paths: Iterable[str] | None = None,
        policies: Mapping[str, CORSPolicy | PolicyCallable | None],
    ) -> None:
        self.default = default
        #: The hosts that are served.
        self.hosts = hosts
        #: The hosts whose pages are the app's own.
        self.own_hosts = own_hosts
        #: The path patterns that the default policy covers; ``None``: every path.
        self.paths = None if paths is None else tuple(paths)
        #: The configured policies by path pattern, without the built-in ones for discovery documents.
        self.policies = dict(policies)
        own = {p: Choice(value, f"policies[{p!r}]") for p, value in policies.items()}
        built_in = {p: Choice(value, f"policies[{p!r}]", True) for p, value in PUBLIC_METADATA_PATHS.items()}
        self._own = PathIndex(own)
        # The configured patterns come last, so they override a built-in pattern that is the same.
        self._with_discovery = PathIndex([*built_in.items(), *own.items()])
        self._default_choice = Choice(default, "the default policy")
        self._paths = None
        if self.paths is not None:
            self._paths = PathIndex({p: Choice(default, f"the default policy, paths {p!r}") for p in self.paths})
        #: The kept decisions, by the facts without ``embeddable``. A decision is kept if the path alone selects the
        #: policy and the policy always gives the same answer. ``passing`` has those that let a request pass and
        #: report nothing, ``answering`` has the others. A door looks into ``passing`` first.
        self.passing: dict[tuple[object, ...], Decision] = {}
        self.answering: dict[tuple[object, ...], Decision] = {}

    def choose(self, path: str, method: str = "GET", *, discovery: bool = True) -> Choice:
        """The policy for a path and a method, before any mark on a view or blueprint.

        The most specific pattern wins. The built-in patterns for discovery documents apply to ``GET`` and ``HEAD``
        only, so that other methods are never public because of the path.

        :param method: the method of the request, or the one that a preflight announces.
        :param discovery: ``False`` ignores the built-in patterns, because a variable of the route matches the
            ``.well-known`` part of the path.
        """
        index = self._with_discovery if discovery and method in ("GET", "HEAD") else self._own
        choice = index.find(path)
        if choice is not None:
            return choice
        if self._paths is None:
            return self._default_choice
        return self._paths.find(path) or Choice(None, "outside paths")

    def judge(self, facts: Facts) -> Decision | None:
        """The decision under the policy that the path selects; ``None`` if a callable has to be called.

        If the policy always gives the same answer, the decision is kept. Never raises.
        """
        key = facts[:-1]
        decision = self.passing.get(key) or self.answering.get(key)
        return self._judge(facts) if decision is None else decision

    def keeps(self, facts: Facts) -> bool:
        """Is the decision on these facts kept, so that a door may keep it too?"""
        return facts[:-1] in self.passing or facts[:-1] in self.answering

    def _judge(self, facts: Facts) -> Decision | None:
        choice = self.choose(facts.path, facts.policy_method)
        policy = choice.policy
        if policy is not None and not isinstance(policy, CORSPolicy):
            return None
        decision = self.decide(facts, policy, self.listed_methods(facts, policy))
        resolved = resolved_facts(facts)
        if resolved is not None:
            below = self.judge(resolved)
            return None if below is None else strictest([decision, below])
        # Not kept: decisions that also depend on the view (discovery documents, static files), and those for a path
        # that is not ASCII. A door looks decisions up with the server's spelling of the path, which then differs.
        depends_on_view = choice.is_discovery or decision.reason is Reason.CROSS_SITE or facts.embeddable
        is_constant = policy is None or policy.is_constant
        key = facts[:-1]
        if is_constant and not depends_on_view and facts.path.isascii() and _length(key) <= _MEMO_ENTRY_LENGTH:
            memo = self.answering if decision.final or decision.reported else self.passing
            if len(memo) >= MEMO_ENTRIES:
                memo.clear()
            memo[key] = decision
        return decision

    def listed_methods(self, facts: Facts, policy: CORSPolicy | None) -> Collection[str] | None:
        """The methods that *policy* covers at this path, for the answer to a preflight; ``None``: all."""
        if policy is None or not facts.is_preflight:
            return None
        methods = [m for m in policy.allow_methods if self.choose(facts.path, m).policy is policy]
        return None if len(methods) == len(policy.allow_methods) else methods

    def decide(self, facts: Facts, policy: CORSPolicy | None, methods: Collection[str] | None = None) -> Decision:
        """The decision on one request under *policy*; ``None``: no policy covers it. Never raises.

        :param methods: the methods that the answer to a preflight may list; ``None``: all methods of the policy.
        """
        secure = facts.scheme == "https"
        # For a cache, any OPTIONS request could have been a preflight, so Vary names the preflight's headers.
        options = facts.method == "OPTIONS"
        if policy is None:
            fault = self.hosts.fault(facts.host, facts.scheme)
            if fault is None:
                return _NOT_GOVERNED
            # This is not an MCP endpoint, so the answer is for a person.
            return _in_plain_text(self.default.refuse(fault, options=options, secure=secure))
        if facts.is_preflight:
            decision = policy.preflight(
                facts.origin, facts.request_method, facts.request_headers, secure=secure, methods=methods
            )
            if decision.status == 403:
                return decision
        else:
            decision = self._actual(facts, policy, secure)
            if options:
                decision = _vary_as_preflight(decision)
            if decision.final:
                return decision
        # The Origin is checked first: a browser repeats a request that was answered with 421.
        fault = self.hosts.fault(facts.host, facts.scheme)
        return policy.refuse(fault, options=options, secure=secure) if fault else decision

    def policy_failed(self, facts: Facts) -> Decision:
        """The refusal if a callable in ``policies`` failed: without a policy, no request is let in."""
        return self.default.refuse(
            Reason.POLICY_FAILED, options=facts.method == "OPTIONS", secure=facts.scheme == "https"
        )

    def _actual(self, facts: Facts, policy: CORSPolicy, secure: bool) -> Decision:
        origin = facts.origin
        if origin is not None:
            decision = policy.actual(origin, secure=secure)
            if decision.allowed or not self._is_same_origin(facts, origin):
                return decision
            return policy.actual(origin, same_origin=True, secure=secure)
        if (
            facts.fetch_site in ("cross-site", "same-site")
            and policy.validate_origin
            and not policy.allows_any_origin
            and not facts.embeddable
            and _is_embedded(facts, policy)
        ):
            if policy.validate_origin == "report":
                return policy.report_only(Reason.CROSS_SITE, secure=secure)
            return policy.refuse(Reason.CROSS_SITE, secure=secure)
        return policy.actual(None, secure=secure)

    def _is_same_origin(self, facts: Facts, origin: str) -> bool:
        """Does the request come from the application's own pages?

        Many servers treat ``_`` as ``-``, so a page can send ``Sec_Fetch_Site`` to its own origin, and with DNS
        rebinding the server has that origin. Browsers send the real header to HTTPS and loopback URLs only, where
        DNS rebinding is impossible. So "same-origin" is believed for these only.
        """
        host = parse_host(facts.host) if facts.host else None
        if facts.fetch_site is not None:
            return facts.fetch_site == "same-origin" and self._may_say_same_origin(facts, origin, host)
        if host is None or not (host.is_address or self.own_hosts.lists(host, facts.scheme)):
            return False
        return origin == host.to_origin(facts.scheme)

    def _may_say_same_origin(self, facts: Facts, origin: str, host: Host | None) -> bool:
        if origin == "null":
            if facts.scheme == "https":
                return True
            return host is not None and (is_loopback(host.name) or self.own_hosts.lists(host, facts.scheme))
        parsed = parse_origin(origin)
        if parsed is None:
            return False
        return parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.host))


def _length(key: tuple[str | None, ...]) -> int:
    return sum(len(fact) for fact in key if fact)


def _in_plain_text(refusal: Decision) -> Decision:
    headers = (("Content-Type", "text/plain; charset=utf-8"), *refusal.headers[1:])
    return refusal._replace(headers=headers, body=MESSAGES[refusal.reason].encode())


def _is_embedded(facts: Facts, policy: CORSPolicy) -> bool:
    """Is a request from another site, without ``Origin``, something else than a followed link?"""
    if facts.fetch_mode not in (None, "navigate") or facts.method not in _SAFE_METHODS:
        return True
    return facts.fetch_dest in FRAMES and policy.denies_frames


def resolved_facts(facts: Facts) -> Facts | None:
    """The same request for the path that ``.`` and ``..`` segments resolve to, or ``None`` if there are none.

    Browsers resolve such segments before they send a URL, but they send ``%2e%2e%2f`` unchanged, and a view for static
    files resolves it. So the policy of the resolved path must be applied too.
    """
    resolved = resolved_path(facts.path)
    return None if resolved is None else facts._replace(path=resolved)


def strictest(decisions: Iterable[Decision]) -> Decision:
    """The strictest of several decisions on one request: a refusal if there is one, else what allows least.

    If two are equally strict, the later one is returned.
    """

    def looseness(decision: Decision) -> tuple[bool, bool, bool, bool]:
        grants = any(name == ALLOW_ORIGIN for name, _ in decision.headers)
        return not decision.is_refusal, decision.allowed, decision.reason is Reason.NOT_GOVERNED, grants

    return min(reversed(list(decisions)), key=looseness)


def _vary_as_preflight(decision: Decision) -> Decision:
    """The same decision with the ``Vary`` of an answer to a preflight, for an ``OPTIONS`` request."""
    headers = tuple(VARY_OPTIONS if header == VARY_ACTUAL else header for header in decision.headers)
    return decision._replace(headers=headers)


def make_site(
    settings: Mapping[str, Any],
    default: CORSPolicy,
    *,
    trusted_hosts: Iterable[str] | None = None,
    server_name: str | None = None,
) -> Site:
    """Compile a site's settings: ``hosts``, ``paths`` and ``policies``.

    :param trusted_hosts: Flask's ``TRUSTED_HOSTS``, used if ``hosts`` is not set.
    :param server_name: Flask's ``SERVER_NAME``: its pages are the site's own.
    :raises PolicyError: naming every fault at once.
    """
    problems: list[PolicyProblem] = []
    trusted = hosts_from_trusted_hosts(trusted_hosts or ())
    named = read_hosts(settings["hosts"], problems) if "hosts" in settings else ()
    paths = _read_paths(settings["paths"], problems) if "paths" in settings else None
    policies = _read_policies(settings.get("policies", {}), default, problems)
    if problems:
        raise PolicyError(problems)
    if "hosts" in settings:
        served: Iterable[str] = named
    elif default.has_default_origins:
        served = LOOPBACK_HOSTS
    else:
        served = trusted or ("*",)
    own = [*(host for host in named if host != "*"), *trusted]
    if not own:
        own.extend(LOOPBACK_INDEX.patterns)
    if server_name:
        own.append(server_name)
    return Site(default, hosts=HostIndex(served), own_hosts=HostIndex(own), paths=paths, policies=policies)


def _read_paths(value: object, problems: list[PolicyProblem]) -> tuple[str, ...]:
    count = len(problems)
    patterns = string_list("paths", value, problems)
    if not patterns and len(problems) == count:
        problems.append(
            PolicyProblem("paths_empty", "paths", value, 'empty: no path would be covered; write "/mcp" or "/**"')
        )
    for pattern in patterns:
        if fault := path_fault(pattern):
            problems.append(PolicyProblem("path_invalid", "paths", pattern, fault))
    number_members("paths", value, problems, count)
    return patterns


def _read_policies(
    value: object, default: CORSPolicy, problems: list[PolicyProblem]
) -> dict[str, CORSPolicy | PolicyCallable | None]:
    policies: dict[str, CORSPolicy | PolicyCallable | None] = {}
    if not isinstance(value, Mapping):
        problems.append(wrong_type("policies", value, "a mapping of path patterns to policies"))
        return policies
    for pattern, policy in value.items():
        setting = f"policies[{pattern!r}]"
        if not isinstance(pattern, str):
            problems.append(wrong_type("policies", pattern, "a path pattern, a string"))
            continue
        if fault := path_fault(pattern):
            problems.append(PolicyProblem("path_invalid", "policies", pattern, fault))
        if policy is None or isinstance(policy, CORSPolicy) or callable(policy):
            policies[pattern] = policy
        elif isinstance(policy, Mapping):
            try:
                # As for a view's own settings: they change the default policy.
                policies[pattern] = default.replace(**policy)
            except PolicyError as error:
                problems.extend(error.located(setting).problems)
        else:
            expected = "a CORSPolicy, a mapping of settings, None (not governed), or a callable (request) -> CORSPolicy"
            problems.append(wrong_type(setting, policy, expected))
    return policies
