"""Who else may call the server, and what its headers say: the side of CORS that no console complains about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence

from ...core.headers import ALLOW_CREDENTIALS
from ...core.headers import ALLOW_ORIGIN
from ...core.headers import MAX_AGE
from ...core.headers import split_list
from ...testing import NetworkResponse
from ...testing.preflight import Answer
from ...testing.preflight import Question
from ...testing.quirks import QUIRKS
from ..findings import Finding
from ..findings import Severity
from .examination import Examination
from .messages import first_message
from .messages import post_headers
from .messages import Revision
from .page import Fetched
from .page import Page
from .surroundings import is_local

#: A page that nobody has: RFC 2606 keeps the domain free.
FOREIGN_ORIGIN = "https://foreign.invalid"

#: A name that a DNS-rebinding attacker would own.
FOREIGN_HOST = "rebound.invalid"

_SINGLE = (MAX_AGE, ALLOW_CREDENTIALS, "X-Content-Type-Options", "X-Frame-Options", "Strict-Transport-Security")


def look(exam: Examination, origins: Sequence[str]) -> None:
    """Everything about exposure."""
    revision = _spoken(exam)
    if revision is not None:
        foreign = _foreign_origin(exam, revision)
        _vary(exam, foreign)
        if is_local(exam.url.host):
            _foreign_host(exam, revision)
    _headers(exam)
    _preflights(exam, origins)


def _spoken(exam: Examination) -> Revision | None:
    """A revision to ask in: one that is spoken, or that might be after a login."""
    usable = [r for r in exam.revisions if not r.is_two_endpoints and exam.speaks.get(r.name) is not False]
    return usable[-1] if usable else None


def _ask(exam: Examination, revision: Revision, headers: dict[str, str]) -> Fetched:
    """A first message, without a browser, with these headers."""
    message = first_message(revision)
    fetched = exam.plain("POST", post_headers(revision, message, exam.token) | headers, message)
    if fetched.result is not None:
        exam.drop_session(fetched, revision)
    return fetched


def _foreign_origin(exam: Examination, revision: Revision) -> Fetched:
    """MCP: servers MUST validate Origin, and answer 403 where it is not valid."""
    sent = {"Origin": FOREIGN_ORIGIN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    fetched = _ask(exam, revision, sent)
    response = fetched.network
    if response is None:
        return fetched
    allowed = response.headers.get(ALLOW_ORIGIN)
    if allowed == FOREIGN_ORIGIN and response.headers.get(ALLOW_CREDENTIALS) == "true":
        words = (
            "Any web site may call this server with the visitor's cookies and read the answers: it echoes the Origin "
            f"{FOREIGN_ORIGIN} and allows credentials."
        )
        fix = "name the origins; MCP with bearer tokens does not need Access-Control-Allow-Credentials"
        exam.add(Finding("any_origin_with_credentials", Severity.ERROR, "", words, fix))
    elif fetched.result is not None:
        exam.add(_served(exam, revision, may_read=allowed in ("*", FOREIGN_ORIGIN)))
    elif fetched.status == 403:
        exam.works.append(("", "", f"a foreign origin ({FOREIGN_ORIGIN}) is refused with 403"))
    elif fetched.status == 401:
        words = "Whether foreign origins are refused does not show without a token: the 401 comes first."
        exam.add(Finding("foreign_origin_unknown", Severity.NOTE, "", words, "pass --token"))
    else:
        exam.works.append(("", "", f"a foreign origin ({FOREIGN_ORIGIN}) is not served ({fetched.status})"))
    return fetched


def _served(exam: Examination, revision: Revision, *, may_read: bool) -> Finding:
    """A foreign origin was served. Could a page have sent that?"""
    fix = "name the origins that may call (origins=[…]) and refuse others with 403 (MCPCors does)"
    rule = "MCP says: servers MUST validate Origin and answer 403."
    page = Page(exam.wire, FOREIGN_ORIGIN, exam.href)
    message = first_message(revision)
    headers = post_headers(revision, message, exam.token)
    if page.ask(exam.href, "POST", headers).is_rejected:
        # Without a preflight only this much may be sent.
        page_headers = {"Accept": headers["Accept"], "Content-Type": "text/plain;charset=UTF-8", "Origin": page.origin}
        if revision.is_stateless or exam.token or exam.plain("POST", page_headers, message).result is None:
            words = f"The Origin {FOREIGN_ORIGIN} is not refused. Browsers stop such a page at the preflight. {rule}"
            return Finding("origin_not_validated", Severity.WARNING, "", words, fix)
    at_home = is_local(exam.url.host) and exam.token is None
    who = "Any web site that somebody on this machine or network visits" if at_home else "Any web site"
    words = f"{who} can call this server{' and read its answers' if may_read else ''}: the Origin {FOREIGN_ORIGIN} "
    words += f"is served. {rule}"
    return Finding("foreign_origin_served", Severity.ERROR if at_home else Severity.WARNING, "", words, fix)


def _foreign_host(exam: Examination, revision: Revision) -> None:
    """DNS rebinding: a page under an attacker's name, which now leads here, is same-origin with this server."""
    port = "" if exam.url.port is None else f":{exam.url.port}"
    host = f"{FOREIGN_HOST}{port}"
    fix = "serve your own host names only, 421 or 403 for others (hosts=[…]; allowed_hosts in MCP SDKs)"
    fetched = _ask(exam, revision, {"Host": host, "Origin": f"{exam.url.scheme}://{host}"})
    if fetched.result is not None:
        words = (
            f"This local server answers requests for any Host ({host}). A web site whose name is made to lead to "
            "this address (DNS rebinding) can use it like its own, whatever CORS says."
        )
        severity = Severity.WARNING if exam.token else Severity.ERROR
        exam.add(Finding("dns_rebinding", severity, "", words, fix))
        return
    # That may have been for the Origin, which such a page's GET does not carry.
    bare = _ask(exam, revision, {"Host": host})
    if bare.result is not None:
        words = (
            f"Without an Origin, this local server answers requests for any Host ({host}). A web site whose name is "
            "made to lead to this address (DNS rebinding) sends its GET requests so. Its POST carries an Origin, and "
            f"is refused ({fetched.status})."
        )
        exam.add(Finding("host_not_checked", Severity.NOTE if exam.token else Severity.WARNING, "", words, fix))
    elif bare.status == 401:
        words = "Whether a foreign Host is refused does not show without a token: the 401 comes first."
        exam.add(Finding("foreign_host_unknown", Severity.NOTE, "", words, "pass --token"))
    elif bare.status is not None:
        exam.works.append(("", "", f"a foreign Host is not served ({bare.status})"))


def _vary(exam: Examination, foreign: Fetched) -> None:
    """An answer that depends on Origin has to say so, or a cache hands it to another page."""
    if foreign.network is None:
        return
    for fetched in exam.fetches:
        response = fetched.network
        if response is None or response.status == 401 != foreign.network.status:
            continue
        allowed = response.headers.get(ALLOW_ORIGIN)
        varies = {name.lower() for name in split_list(response.headers.get("Vary", ""))}
        if allowed in (None, "*") or allowed == foreign.network.headers.get(ALLOW_ORIGIN) or varies & {"origin", "*"}:
            continue
        words = f"{ALLOW_ORIGIN} differs by Origin, but Vary: Origin is missing: a cache may hand it to another page."
        exam.add(Finding("vary_missing", Severity.WARNING, "", words, "send Vary: Origin with every response"))
        return


def _responses(exam: Examination) -> Iterator[NetworkResponse]:
    for fetched in exam.fetches:
        for exchange in fetched.exchanges:
            if exchange.response is not None and exchange.request.url == exam.href:
                yield exchange.response


def _headers(exam: Examination) -> None:
    repeated: Counter[str] = Counter()
    for response in _responses(exam):
        repeated.update(name for name in _SINGLE if len(response.headers.getall(name)) > 1)
    for name in repeated:
        words = f"{name} is sent more than once: two layers set it, often app and proxy."
        fix = "let one layer send it (nginx: take add_header out, or proxy_hide_header)"
        exam.add(Finding("header_repeated", Severity.WARNING, "", words, fix))
    if any(
        response.headers.get(ALLOW_ORIGIN) == "*" and response.headers.get(ALLOW_CREDENTIALS) == "true"
        for response in _responses(exam)
    ):
        words = (
            f"{ALLOW_ORIGIN}: * and {ALLOW_CREDENTIALS}: true contradict each other: browsers refuse * where a page "
            'fetches with credentials: "include", and look at the other header nowhere else.'
        )
        fix = f"leave {ALLOW_CREDENTIALS} out: bearer tokens do not need it; where cookies are meant, name the origins"
        exam.add(Finding("wildcard_with_credentials", Severity.WARNING, "", words, fix))
    answers = [f.network for f in exam.fetches if f.network is not None and f.url == exam.href]
    if answers and not any("X-Content-Type-Options" in response.headers for response in answers):
        words = "Responses lack X-Content-Type-Options: nosniff."
        exam.add(Finding("nosniff_missing", Severity.NOTE, "", words, "send it with every response"))


def _preflights(exam: Examination, origins: Sequence[str]) -> None:
    passed = [fetched for fetched in exam.fetches if fetched.preflight is not None and not fetched.is_rejected]
    for fetched in passed:
        if fetched.url != exam.href or fetched.preflight is None:
            continue
        answer = Answer.from_headers(fetched.preflight.headers, QUIRKS["chromium"])
        question = Question("", "", "POST", ("authorization",), True, False)
        if "authorization" in fetched.sent_names and answer.refused_header(question) is not None:
            words = (
                "Access-Control-Allow-Headers is *, which does not cover Authorization (Fetch standard). Chromium lets "
                "it pass, with a warning, and repeats the preflight before every request; other browsers may refuse."
            )
            fix = "name Authorization: Access-Control-Allow-Headers: *, Authorization"
            exam.add(Finding("wildcard_authorization", Severity.WARNING, "", words, fix))
            break
    if passed and not any(f.preflight is not None and MAX_AGE in f.preflight.headers for f in passed):
        words = "Preflights have no Access-Control-Max-Age: a browser keeps the answer for 5 seconds and asks again."
        fix = "send Access-Control-Max-Age: 7200 or more (Chromium keeps it for two hours at most)"
        exam.add(Finding("preflight_not_cached", Severity.NOTE, "", words, fix))
