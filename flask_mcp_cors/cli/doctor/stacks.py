"""The software that answers, recognised by its responses, and the words of a cure for it.

A sign must be unique: if nothing is recognised, the finding has its general cure only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ...testing import NetworkResponse


class Front(NamedTuple):
    """Something in front that answers instead of the server, and what to do about it."""

    code: str
    #: A regular expression on the response's headers, one ``name: value`` a line, in lower case.
    sign: str
    sentence: str
    fix: str
    #: The statuses of its answers; none: any.
    statuses: tuple[int, ...] = ()


FRONTS = (
    Front(
        "tunnel_private",
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
        r"^server: airtunes",
        "This is not your server: macOS's AirPlay receiver (AirTunes) listens on this port and answers 403.",
        "start the server on another port, such as 8000, or switch AirPlay Receiver off in the system settings",
    ),
    Front(
        "cloudflare_challenge",
        r"^cf-mitigated: challenge$",
        "Cloudflare answers with a challenge page, which a fetch cannot solve.",
        "exempt the MCP path from Bot Fight Mode, Under Attack mode and managed challenges with a WAF skip rule",
    ),
    Front(
        "cloudflare_access",
        r"^location: .*cloudflareaccess\.com|^cf-access-domain:",
        "Cloudflare Access sends the preflight to its login page; a preflight cannot log in.",
        "in the Access application's CORS settings bypass OPTIONS requests to the origin",
    ),
    Front(
        "ngrok_warning",
        r"^ngrok-error-code: err_ngrok_602[24]$",
        "ngrok shows its warning page to browsers in place of the server's answer.",
        "let the client send ngrok-skip-browser-warning: 1 and allow that header (extra_allow_headers), or use a plan "
        "without the page",
    ),
    Front(
        "ngrok_error",
        r"^ngrok-error-code: err_ngrok_",
        "ngrok answers in place of the server: no tunnel leads to it.",
        "start both",
    ),
    Front(
        "azure_easy_auth",
        r"^x-ms-middleware-request-id:|^location: .*(/\.auth/login/|login\.microsoftonline\.com|login\.windows\.net)",
        "Azure's authentication (Easy Auth) answers before the app: it asks the preflight to log in, which no browser "
        "can do for a preflight.",
        "allow unauthenticated requests there and authenticate in the app, or exclude the path "
        "(globalValidation.excludedPaths); or let App Service's own CORS answer for this origin",
    ),
    # Google's front end also passes on the answers of the container, which are seldom pages.
    Front(
        "cloud_run_iam",
        r"(?=[\s\S]*^server: google frontend)(?=[\s\S]*^content-type: .*text/html)",
        "Cloud Run's IAM check answers before the container: a preflight never carries an identity token.",
        "allow unauthenticated invocations (--no-invoker-iam-check, or the invoker role for allUsers) and authenticate "
        "in the app",
        (401, 403),
    ),
    Front(
        "vercel_protection",
        r"^set-cookie: .*_vercel_sso_nonce",
        "Vercel's Deployment Protection answers before the app.",
        "add the MCP path to the OPTIONS Allowlist of Deployment Protection, or switch it off for this deployment",
        (401,),
    ),
    Front(
        "aws_gateway",
        r"^x-amzn-errortype:",
        "The AWS gateway in front refuses the request before it reaches the app.",
        "give OPTIONS a route without authorizer (HTTP API: cors configuration; function URL: AuthType NONE)",
        (401, 403),
    ),
)


def head_of(response: NetworkResponse) -> str:
    """The headers as text for regular expressions."""
    return "\n".join(f"{name}: {value}" for name, value in response.headers.pairs).lower()


def front_of(response: NetworkResponse | None) -> Front | None:
    """The software that answered instead of the server, if recognised."""
    if response is None:
        return None
    head = head_of(response)
    may_be = (front for front in FRONTS if not front.statuses or response.status in front.statuses)
    return next((front for front in may_be if re.search(front.sign, head, re.MULTILINE)), None)


#: Stack → a regular expression on ``Server: …``, ``X-Powered-By: …`` and so on, or on the body of an error.
_HEADER_SIGNS = {
    "nginx": r"^server: (nginx|openresty)",
    "Caddy": r"^(server|via): .*caddy",
    "Cloudflare": r"^server: cloudflare",
    "Apache": r"^server: apache",
    "IIS": r"^server: microsoft-iis|^public: options, trace",
    "uvicorn": r"^server: uvicorn",
    "Werkzeug": r"^server: werkzeug",
    "gunicorn": r"^server: gunicorn",
    "aiohttp": r"^server: .*aiohttp",
    "waitress": r"^server: waitress",
    "BaseHTTP": r"^server: basehttp",
    "Express": r"^x-powered-by: express",
    "Next.js": r"^x-powered-by: next",
    "PHP": r"^x-powered-by: php",
    "Rails": r"^x-runtime: ",
}
_BODY_SIGNS = {
    "Starlette": r"^Disallowed CORS (origin|method|headers)",
    "Spring": r"^Invalid CORS request",
    "Express": r"<pre>Cannot (GET|POST|OPTIONS|DELETE) /",
    "Django": r"CSRF verification failed|DisallowedHost|csrfmiddleware|<h1>Bad Request \(400\)</h1>",
    "Rails": r"Blocked hosts?:|InvalidAuthenticityToken",
    "MCP SDK": r"^\W*Invalid (Host|Origin) header",
    "HAProxy": r"No server is available to handle this request|Request forbidden by administrative rules",
}
#: Pages of the proxy itself.
_OWN_PAGES = {
    "nginx": rb"<center>(nginx|openresty)",
    "Apache": rb"<address>Apache/",
    "HAProxy": rb"Request forbidden by administrative rules|No server is available to handle this request",
}
#: Stacks whose header is in all of their answers.
SIGNING = {"Express", "Next.js", "PHP", "Rails"}

#: The name of a proxy that is not recognised.
A_PROXY = "a proxy"
_PROXIES = {"nginx", "Caddy", "Cloudflare", "Apache", "IIS", "HAProxy"}

#: The names that people know, for stacks with another sign.
_CALLED = {"Werkzeug": "if it is Flask", "uvicorn": "Starlette, FastAPI"}

#: Topic → stack → the words of the cure.
CURES: Mapping[str, Mapping[str, str]] = {
    "headers": {
        "Starlette": "CORSMiddleware(allow_headers=[…])",
        "Django": "CORS_ALLOW_HEADERS = (*default_headers, …)",
        "Spring": "CorsConfiguration.setAllowedHeaders",
        "Express": "cors({allowedHeaders: […]})",
        "nginx": "add_header Access-Control-Allow-Headers … always",
        "rs/cors": "AllowedHeaders",
        "Werkzeug": "extra_allow_headers of MCPCors, allow_headers of flask-cors",
    },
    "methods": {
        "Starlette": "CORSMiddleware(allow_methods=[…])",
        "Django": "CORS_ALLOW_METHODS",
        "Spring": "CorsConfiguration.setAllowedMethods",
        "Express": "cors({methods: […]})",
        "nginx": "add_header Access-Control-Allow-Methods … always",
        "rs/cors": "AllowedMethods",
        "Werkzeug": "allow_methods of MCPCors, methods of flask-cors",
    },
    "origins": {
        "Starlette": "CORSMiddleware(allow_origins=[…])",
        "uvicorn": "CORSMiddleware(allow_origins=[…])",
        "Django": "CORS_ALLOWED_ORIGINS",
        "Spring": "CorsConfiguration.setAllowedOrigins",
        "Express": "cors({origin: […]})",
        "nginx": "a map of $http_origin with whole origins",
        "rs/cors": "AllowedOrigins",
        "Werkzeug": "origins of flask-cors or MCPCors",
    },
    "coverage": {
        "uvicorn": "app.add_middleware(CORSMiddleware, …)",
        "Django": "CorsMiddleware first in MIDDLEWARE, and CORS_URLS_REGEX must match the path",
        "Spring": "CorsConfigurationSource for the path, and http.cors() in the security chain",
        "Express": "app.use(cors({origin: […], …})) before the routes",
        "nginx": "add_header in the location of the path; a location with add_header of its own inherits none",
        "rs/cors": "wrap the whole handler; AllowedOrigins must contain the origin too",
        "Werkzeug": "MCPCors(app, origins=[…]); with flask-cors: resources must match the path",
    },
    "expose": {
        "Starlette": "CORSMiddleware(expose_headers=[…])",
        "uvicorn": "CORSMiddleware(expose_headers=[…])",
        "Django": "CORS_EXPOSE_HEADERS",
        "Spring": "CorsConfiguration.setExposedHeaders",
        "Express": "cors({exposedHeaders: […]})",
        "nginx": "add_header Access-Control-Expose-Headers … always",
        "rs/cors": "ExposedHeaders",
        "Werkzeug": "extra_expose_headers of MCPCors, expose_headers of flask-cors",
    },
    "every": {
        "nginx": "add_header … always, or errors and 202 go without",
        "uvicorn": "around the whole app, also for a 500: app = CORSMiddleware(app, …)",
        "Django": "CorsMiddleware first in MIDDLEWARE",
        "Express": "app.use(cors()) before everything else",
        "aiohttp": "on_response_prepare runs for streams and errors too",
        "Werkzeug": "CORS for the whole app; @cross_origin covers only the answers of its view",
    },
    "preflight": {
        "nginx": "in if ($request_method = OPTIONS) repeat every add_header, because it inherits none; auth_request "
        "off for OPTIONS; auth_basic in limit_except OPTIONS",
        "Express": "app.use(cors()) before authentication and limits",
        "uvicorn": "add CORSMiddleware last, so that it is outermost",
        "Django": "CorsMiddleware first in MIDDLEWARE",
        "Apache": "no Require or RewriteRule for OPTIONS",
        "IIS": "remove OPTIONSVerbHandler, or use the IIS CORS module",
        "Werkzeug": "let before_request functions return None for OPTIONS",
    },
    "routes": {
        "Express": "app.use(cors(…)), or app.options(…) with it",
        "uvicorn": "app.add_middleware(CORSMiddleware, …)",
        "Werkzeug": "MCPCors(app), or CORS(app) of flask-cors",
    },
    "hang": {
        "Express": "a middleware that forgets next()",
        "BaseHTTP": "no read of a body that OPTIONS does not have",
    },
    "csrf": {"Django": "@csrf_exempt", "Rails": "skip_forgery_protection", "Werkzeug": "csrf.exempt(view)"},
    "host": {
        "Django": "ALLOWED_HOSTS",
        "Rails": "config.hosts",
        "MCP SDK": "TransportSecuritySettings(allowed_hosts=[…]) / allowedHosts",
        "nginx": "proxy_set_header Host $http_host",
    },
    "stream": {
        "nginx": "proxy_buffering off, or X-Accel-Buffering: no; gzip off for text/event-stream",
        "waitress": "serve(…, send_bytes=1)",
        "Express": "compression(): skip text/event-stream, or res.flush()",
    },
    "proxy_headers": {
        "nginx": "proxy_set_header, or no proxy_set_header that empties it",
        "Apache": "WSGIPassAuthorization On",
    },
    "upstream": {"nginx": "proxy_pass, error.log", "HAProxy": "the backend's health check", "Caddy": "reverse_proxy"},
}


def stacks_of(responses: list[tuple[NetworkResponse, bytes]]) -> set[str]:
    """The stacks that these responses show."""
    found: set[str] = set()
    for response, body in responses:
        head = head_of(response)
        found |= {stack for stack, sign in _HEADER_SIGNS.items() if re.search(sign, head, re.MULTILINE)}
        text = body[:4000].decode("utf-8", "replace")
        found |= {stack for stack, sign in _BODY_SIGNS.items() if re.search(sign, text)}
        if _is_rs_cors(response):
            found.add("rs/cors")
    # Django may run on the server of Werkzeug or on uvicorn: the cure is Django's.
    return found - {"Werkzeug", "uvicorn"} if "Django" in found else found


def own_page_of(body: bytes) -> str:
    """The proxy that has answered itself, if recognised; else nothing."""
    return next((proxy for proxy, sign in _OWN_PAGES.items() if re.search(sign, body)), "")


def _is_rs_cors(response: NetworkResponse) -> bool:
    """A refused preflight of rs/cors: 200 or 204 with nothing but Vary, all three names in one line."""
    vary = response.headers.get("Vary", "").lower().replace(" ", "")
    full = vary == "origin,access-control-request-method,access-control-request-headers"
    return full and response.status in (200, 204) and "Server" not in response.headers


def proxy_in(stacks: set[str]) -> str:
    """The proxy's name, or a general word."""
    return next(iter(sorted(stacks & _PROXIES)), A_PROXY)


def cure_for(topic: str, stacks: set[str]) -> str:
    """The cure in the words of the recognised stacks; nothing, if they have none for this topic.

    >>> cure_for("expose", {"nginx", "Starlette", "uvicorn"})
    'Starlette: CORSMiddleware(expose_headers=[…]); nginx: add_header Access-Control-Expose-Headers … always'
    """
    said: dict[str, str] = {}
    for stack, words in CURES.get(topic, {}).items():
        if stack in stacks:
            said.setdefault(words, _CALLED.get(stack, stack))
    return "; ".join(f"{stack}: {words}" for words, stack in said.items())
