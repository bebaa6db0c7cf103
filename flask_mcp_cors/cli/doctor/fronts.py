"""What stands in front of a server and answers in its place, known by what its responses carry."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...testing import NetworkResponse


class Front(NamedTuple):
    """Something in front, and what to do about it."""

    code: str
    name: str
    #: A regular expression on the response's headers, one ``name: value`` a line, in lower case.
    sign: str
    sentence: str
    fix: str
    #: The statuses that it answers with; none: any.
    statuses: tuple[int, ...] = ()


FRONTS = (
    Front(
        "tunnel_private",
        "development tunnel",
        r"^location: .*(devtunnels\.ms|tunnels\.api\.visualstudio\.com|gitpod\.io/login|github\.dev/pf-signin|"
        r"github\.com/codespaces/auth|\.app\.github\.dev/auth/|\.githubpreview\.dev/signin)|^x-served-by: tunnels-|"
        r"^www-authenticate: tunnel$",
        "The port of this development tunnel is private: the tunnel asks for a login before the request reaches the "
        "server, and a preflight cannot log in.",
        "make the port public (Codespaces, VS Code: port visibility Public; devtunnel: --allow-anonymous)",
        (302, 401, 403),
    ),
    Front(
        "airtunes",
        "AirPlay",
        r"^server: airtunes",
        "This is not your server: macOS's AirPlay receiver (AirTunes) listens on this port and answers 403.",
        "start the server on another port, such as 8000, or switch AirPlay Receiver off in the system settings",
    ),
    Front(
        "cloudflare_challenge",
        "Cloudflare",
        r"^cf-mitigated: challenge$",
        "Cloudflare answers with a challenge page, which a fetch cannot solve.",
        "exempt the MCP path from Bot Fight Mode, Under Attack mode and managed challenges with a WAF skip rule",
    ),
    Front(
        "cloudflare_access",
        "Cloudflare Access",
        r"^location: .*cloudflareaccess\.com|^cf-access-domain:",
        "Cloudflare Access sends the preflight to its login page; a preflight cannot log in.",
        "in the Access application's CORS settings bypass OPTIONS requests to the origin",
    ),
    Front(
        "ngrok_warning",
        "ngrok",
        r"^ngrok-error-code: err_ngrok_602[24]$",
        "ngrok shows its warning page to browsers in place of the server's answer.",
        "let the client send ngrok-skip-browser-warning: 1 and allow that header (extra_allow_headers), or use a plan "
        "without the page",
    ),
    Front(
        "ngrok_error",
        "ngrok",
        r"^ngrok-error-code: err_ngrok_",
        "ngrok answers in place of the server: no tunnel leads to it.",
        "start both",
    ),
    Front(
        "azure_easy_auth",
        "Azure App Service",
        r"^x-ms-middleware-request-id:|^location: .*(/\.auth/login/|login\.microsoftonline\.com|login\.windows\.net)",
        "Azure's authentication (Easy Auth) answers before the app: it asks the preflight to log in, which no browser "
        "can do for a preflight.",
        "allow unauthenticated requests there and authenticate in the app, or exclude the path "
        "(globalValidation.excludedPaths); or let App Service's own CORS answer for this origin",
    ),
    # Google's front end also passes on what the container answers, which is seldom a page.
    Front(
        "cloud_run_iam",
        "Cloud Run",
        r"(?=[\s\S]*^server: google frontend)(?=[\s\S]*^content-type: .*text/html)",
        "Cloud Run's IAM check answers before the container: a preflight never carries an identity token.",
        "allow unauthenticated invocations (--no-invoker-iam-check, or the invoker role for allUsers) and authenticate "
        "in the app",
        (401, 403),
    ),
    Front(
        "vercel_protection",
        "Vercel",
        r"^set-cookie: .*_vercel_sso_nonce",
        "Vercel's Deployment Protection answers before the app.",
        "add the MCP path to the OPTIONS Allowlist of Deployment Protection, or switch it off for this deployment",
        (401,),
    ),
    Front(
        "aws_gateway",
        "AWS",
        r"^x-amzn-errortype:",
        "The AWS gateway in front refuses the request before it reaches the app.",
        "give OPTIONS a route without authorizer (HTTP API: cors configuration; function URL: AuthType NONE)",
        (401, 403),
    ),
)


def head_of(response: NetworkResponse) -> str:
    """The headers as text to search in."""
    return "\n".join(f"{name}: {value}" for name, value in response.headers.pairs).lower()


def front_of(response: NetworkResponse | None) -> Front | None:
    """What answered in the server's place, if it shows."""
    if response is None:
        return None
    head = head_of(response)
    may_be = (front for front in FRONTS if not front.statuses or response.status in front.statuses)
    return next((front for front in may_be if re.search(front.sign, head, re.MULTILINE)), None)
