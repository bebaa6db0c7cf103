"""Django projects with django-cors-headers. Settings are one per process, so each server is a fork of this one."""

from __future__ import annotations

import os
import sys
from typing import Any

import corsheaders.middleware  # noqa: F401  (before the forks)
import django
import django.core.handlers.wsgi
import django.middleware.csrf
import django.urls
from corsheaders.defaults import default_headers
from django.conf import settings
from django.http import HttpResponse
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from endpoint import ALLOW_HEADERS
from endpoint import APP
from endpoint import Endpoint
from endpoint import is_own_host
from endpoint import serve_wsgi


def origin_check(get_response: Any) -> Any:
    """The project's own middleware: MCP asks for Origin validation, and django-cors-headers does none."""

    def middleware(request: Any) -> Any:
        origin = request.headers.get("Origin")
        is_hole = settings.FAULT == "django-regex-hole" and (origin or "").startswith(APP)
        if origin not in (None, APP) and not is_hole:
            return JsonResponse({"error": "Origin not allowed"}, status=403)
        return get_response(request)

    return middleware


def make_app(fault: str) -> Any:
    middleware = [
        "corsheaders.middleware.CorsMiddleware",
        f"{__name__}.origin_check",
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
    if fault == "django-csrf":
        middleware.insert(0, "django.middleware.csrf.CsrfViewMiddleware")
    options: dict[str, Any] = {
        "CORS_ALLOWED_ORIGINS": [APP],
        "CORS_ALLOW_HEADERS": [*default_headers, *ALLOW_HEADERS.lower().split(", ")],
        "CORS_EXPOSE_HEADERS": ["Mcp-Session-Id", "WWW-Authenticate"],
    }
    if fault == "django-default-headers":
        del options["CORS_ALLOW_HEADERS"]
    if fault == "django-no-expose":
        del options["CORS_EXPOSE_HEADERS"]
    if fault == "django-urls-regex":
        options["CORS_URLS_REGEX"] = r"^/api/.*$"
    if fault == "django-regex-hole":
        options["CORS_ALLOWED_ORIGIN_REGEXES"] = [r"^https://app\.example\.com"]
    if fault == "django-not-installed":
        middleware.pop(0)
    settings.configure(
        FAULT=fault,
        SECRET_KEY="zoo",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["mcp.example.com"] if fault == "django-allowed-hosts" else ["127.0.0.1"],
        INSTALLED_APPS=["corsheaders"],
        MIDDLEWARE=middleware,
        LOGGING_CONFIG=None,
        **options,
    )
    django.setup(set_prefix=False)
    endpoint = Endpoint()

    def mcp(request: Any) -> HttpResponse:
        assert is_own_host(request.get_host())
        status, headers, body = endpoint.answer(request.method, request.headers, request.body)
        return HttpResponse(body, status=status, headers=headers)

    view = mcp if fault == "django-csrf" else csrf_exempt(mcp)
    urlpatterns.append(django.urls.path("mcp/" if fault == "django-append-slash" else "mcp", view))
    return django.core.handlers.wsgi.WSGIHandler()


urlpatterns: list[Any] = []

if __name__ == "__main__":
    sys.modules["django_servers"] = sys.modules["__main__"]
    __name__ = "django_servers"
    for fault in sys.argv[1:]:
        if os.fork() == 0:
            sys.argv[1:] = [fault]
            break
    else:
        sys.stdin.read()
        sys.exit()
    serve_wsgi(make_app)
