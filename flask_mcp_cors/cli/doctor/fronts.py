"""What stands in front of a server and answers in its place, known by what its responses carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...testing import NetworkResponse


class Front(NamedTuple):
    """Something in front, and what to do about it."""

    code: str
    name: str
    sentence: str
    fix: str


def _header(response: NetworkResponse, name: str) -> str:
    return response.headers.get(name, "").lower()


def _is_served_by(response: NetworkResponse, name: str) -> bool:
    return any(value.lower().startswith(name) for value in response.headers.getall("Server"))


def _is_cloud_run_iam(response: NetworkResponse) -> bool:
    # Google's front end also passes on what the container answers, which is seldom a page.
    refused = response.status in (401, 403) and _is_served_by(response, "google frontend")
    return refused and "text/html" in _header(response, "content-type")


def _is_easy_auth(response: NetworkResponse) -> bool:
    if "x-ms-middleware-request-id" in response.headers:
        return True
    location = _header(response, "location")
    return "/.auth/login/" in location or "login.microsoftonline.com" in location or "login.windows.net" in location


def _is_challenge(response: NetworkResponse) -> bool:
    return _header(response, "cf-mitigated") == "challenge"


def _is_cloudflare_access(response: NetworkResponse) -> bool:
    return "cloudflareaccess.com" in _header(response, "location") or "cf-access-domain" in response.headers


def _is_ngrok_page(response: NetworkResponse) -> bool:
    return _header(response, "ngrok-error-code") in ("err_ngrok_6024", "err_ngrok_6022")


def _is_offline_ngrok(response: NetworkResponse) -> bool:
    return _header(response, "ngrok-error-code").startswith("err_ngrok_") and not _is_ngrok_page(response)


def _is_airtunes(response: NetworkResponse) -> bool:
    return _is_served_by(response, "airtunes")


def _is_private_tunnel(response: NetworkResponse) -> bool:
    location = _header(response, "location")
    microsoft = ("devtunnels.ms", "tunnels.api.visualstudio.com")
    github = (
        "github.dev/pf-signin",
        "github.com/codespaces/auth",
        ".app.github.dev/auth/",
        ".githubpreview.dev/signin",
    )
    signs = (*microsoft, *github, "gitpod.io/login")
    by = _header(response, "x-served-by").startswith("tunnels-") or _header(response, "www-authenticate") == "tunnel"
    return response.status in (302, 401, 403) and (by or any(sign in location for sign in signs))


def _is_api_gateway(response: NetworkResponse) -> bool:
    return response.status in (401, 403) and "x-amzn-errortype" in response.headers


def _is_vercel(response: NetworkResponse) -> bool:
    return response.status == 401 and "_vercel_sso_nonce" in _header(response, "set-cookie")


FRONTS: tuple[tuple[Callable[[NetworkResponse], bool], Front], ...] = (
    (
        _is_private_tunnel,
        Front(
            "tunnel_private",
            "development tunnel",
            "The port of this development tunnel is private: the tunnel asks for a login before the request reaches "
            "the server, and a preflight cannot log in.",
            "make the port public (Codespaces, VS Code: port visibility Public; devtunnel: --allow-anonymous)",
        ),
    ),
    (
        _is_airtunes,
        Front(
            "airtunes",
            "AirPlay",
            "This is not your server: macOS's AirPlay receiver (AirTunes) listens on this port and answers 403.",
            "start the server on another port, such as 8000, or switch AirPlay Receiver off in the system settings",
        ),
    ),
    (
        _is_challenge,
        Front(
            "cloudflare_challenge",
            "Cloudflare",
            "Cloudflare answers with a challenge page, which a fetch cannot solve.",
            "exempt the MCP path from Bot Fight Mode, Under Attack mode and managed challenges with a WAF skip rule",
        ),
    ),
    (
        _is_cloudflare_access,
        Front(
            "cloudflare_access",
            "Cloudflare Access",
            "Cloudflare Access sends the preflight to its login page; a preflight cannot log in.",
            "in the Access application's CORS settings bypass OPTIONS requests to the origin",
        ),
    ),
    (
        _is_ngrok_page,
        Front(
            "ngrok_warning",
            "ngrok",
            "ngrok shows its warning page to browsers in place of the server's answer.",
            "let the client send ngrok-skip-browser-warning: 1 and allow that header (extra_allow_headers), "
            "or use a plan without the page",
        ),
    ),
    (
        _is_offline_ngrok,
        Front("ngrok_error", "ngrok", "ngrok answers in place of the server: no tunnel leads to it.", "start both"),
    ),
    (
        _is_easy_auth,
        Front(
            "azure_easy_auth",
            "Azure App Service",
            "Azure's authentication (Easy Auth) answers before the app: it asks the preflight to log in, "
            "which no browser can do for a preflight.",
            "allow unauthenticated requests there and authenticate in the app, or exclude the path "
            "(globalValidation.excludedPaths); or let App Service's own CORS answer for this origin",
        ),
    ),
    (
        _is_cloud_run_iam,
        Front(
            "cloud_run_iam",
            "Cloud Run",
            "Cloud Run's IAM check answers before the container: a preflight never carries an identity token.",
            "allow unauthenticated invocations (--no-invoker-iam-check, or the invoker role for allUsers) and "
            "authenticate in the app",
        ),
    ),
    (
        _is_vercel,
        Front(
            "vercel_protection",
            "Vercel",
            "Vercel's Deployment Protection answers before the app.",
            "add the MCP path to the OPTIONS Allowlist of Deployment Protection, or switch it off for this deployment",
        ),
    ),
    (
        _is_api_gateway,
        Front(
            "aws_gateway",
            "AWS",
            "The AWS gateway in front refuses the request before it reaches the app.",
            "give OPTIONS a route without authorizer (HTTP API: cors configuration; function URL: AuthType NONE)",
        ),
    ),
)


def front_of(response: NetworkResponse | None) -> Front | None:
    """What answered in the server's place, if it shows."""
    if response is None:
        return None
    return next((front for recognises, front in FRONTS if recognises(response)), None)
