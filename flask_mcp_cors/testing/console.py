"""The facts on which an engine's console message depends: the values that it names, and what it checks first."""

from __future__ import annotations

from typing import Any

from ..core.headers import ALLOW_ORIGIN
from . import words
from .checks import cors_check
from .checks import REDIRECT_STATUSES
from .errors import CORSErrorReason
from .errors import CORSFailure
from .messages import Exchange
from .preflight import Answer
from .quirks import Engine
from .request import Request
from .urls import OtherSchemeError


def console_facts(engine: Engine, request: Request, failure: CORSFailure, exchanges: list[Exchange]) -> dict[str, Any]:
    """The facts of a :class:`CORSError`.

    :param exchanges: those of this fetch.
    """
    facts: dict[str, Any] = {**failure.facts, "port": request.url.port, "sent_origin": request.serialized_origin}
    last = exchanges[-1] if exchanges else None
    if last is not None and last.response is not None:
        facts["status"] = last.response.status
    # In Chromium this includes a redirect to another scheme.
    is_redirected = len(request.url_list) > 1 or (engine == "chromium" and failure.url is not None)
    if failure.reason is CORSErrorReason.DISALLOWED_BY_MODE and is_redirected:
        facts["words"] = words.UNSAFE_ATTEMPT.get(engine)
    elif engine == "firefox":
        facts |= _in_firefox(request, failure, last)
    elif engine == "webkit":
        names = {name.lower(): name for name in request.headers}
        facts["name"] = names.get(failure.detail, failure.detail)
        facts["words"] = _webkit_words(request, failure, last)
    return facts


def _in_firefox(request: Request, failure: CORSFailure, last: Exchange | None) -> dict[str, object]:
    if failure.reason in words.SILENT_IN_FIREFOX and request.response_tainting == "cors":
        return {"words": words.NO_SUCCESS}
    if last is None or last.response is None:
        return {}
    headers, lines = last.response.headers, words.WORDS["firefox"]
    if "MultipleAllowOrigin" in failure.reason and len(headers.getall(ALLOW_ORIGIN)) == 1:
        return {"words": words.NO_MATCH}
    if failure.reason is CORSErrorReason.PREFLIGHT_DISALLOWED_REDIRECT:
        try:
            cors_check(headers, request.origin, with_credentials=request.with_credentials)
        except CORSFailure as first:
            return {"words": lines[first.of_preflight().reason].replace("{detail}", "{value}"), "value": first.detail}
        if "Location" not in headers:
            return {"words": lines[CORSErrorReason.PREFLIGHT_INVALID_STATUS]}
    if failure.reason is CORSErrorReason.INVALID_ALLOW_HEADERS_PREFLIGHT_RESPONSE:
        answer = Answer.from_headers(headers.without({"access-control-allow-headers"}))
        if not answer.allows_method(request.method, with_credentials=request.with_credentials):
            return {"words": lines[CORSErrorReason.METHOD_DISALLOWED_BY_PREFLIGHT_RESPONSE]}
    return {}


def _webkit_words(request: Request, failure: CORSFailure, last: Exchange | None) -> str | None:
    """The message where WebKit checks in another order or says more: on the answer to a preflight, and on redirects."""
    lines = words.WORDS["webkit"]
    if failure.reason is CORSErrorReason.MIXED_CONTENT and request.url.is_potentially_trustworthy():
        return words.MIXED_LOOPBACK
    if last is None:
        return None
    if last.response is None:
        # WebKit reports a refused connection for preflights only.
        is_refused = last.is_preflight and failure.detail == "ERR_CONNECTION_REFUSED"
        return f"Could not connect to {request.url.host}: Connection refused" if is_refused else None
    line = lines.get(failure.reason, words.FAILED["webkit"])
    if "MultipleAllowOrigin" in failure.reason and "," not in failure.detail:
        line = lines[CORSErrorReason.ALLOW_ORIGIN_MISMATCH]
    if last.is_preflight:
        is_ok = 200 <= last.response.status <= 299
        return line if is_ok else lines[CORSErrorReason.PREFLIGHT_INVALID_STATUS]
    if failure.reason is CORSErrorReason.UNSAFE_REDIRECT and request.mode == "cors" and request.redirect == "follow":
        return words.REDIRECTION_DENIED.format(target="{detail}") + words.NO_CORS_SCHEME
    location = last.response.headers.get("Location", "")
    if failure.reason is CORSErrorReason.REDIRECT_CONTAINS_CREDENTIALS and request.redirect == "follow":
        url = request.parse_location(location)
        target = url._replace(userinfo="", fragment=url.fragment or request.url.fragment).href
        return _literally(f"{words.REDIRECTION_DENIED.format(target=target)}redirection URL {url.href} has credentials")
    if not location or failure.reason not in words.CHECKS or last.response.status not in REDIRECT_STATUSES:
        return line
    try:
        target = request.parse_location(location).href
    except (CORSFailure, OtherSchemeError):
        return line
    return words.REDIRECTION_DENIED.format(target=_literally(target)) + line


def _literally(text: str) -> str:
    """The text as a template without placeholders."""
    return text.replace("{", "{{").replace("}", "}}")
