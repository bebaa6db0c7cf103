"""nginx, HAProxy and Caddy as they are set up in front of an MCP server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from endpoint import ALLOW_HEADERS
from endpoint import ALLOW_METHODS
from endpoint import APP
from endpoint import EXPOSE_HEADERS
from endpoint import TOKEN

Ports = Mapping[str, int]

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_origin $cors_origin {{ "{app}" $http_origin; }}
    map $http_origin $cors_origin_hole {{ "~^https://app.example.com" $http_origin; }}
    map "$http_origin|$cors_origin_hole" $is_foreign {{ "|" 0; "~\\|$" 1; default 0; }}
    map $status $challenge {{
        401 'Bearer resource_metadata="http://$http_host/.well-known/oauth-protected-resource/mcp"';
    }}
    {servers}
}}
"""

PASS = """
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $http_host;
"""

PREFLIGHT = f"""
if ($request_method = OPTIONS) {{
    add_header Access-Control-Allow-Origin $cors_origin always;
    add_header Access-Control-Allow-Methods "{ALLOW_METHODS}" always;
    add_header Access-Control-Allow-Headers "{ALLOW_HEADERS}" always;
    add_header Access-Control-Max-Age 7200 always;
    add_header Vary Origin always;
    return 204;
}}
"""

ADD = f"""
add_header Access-Control-Allow-Origin $cors_origin always;
add_header Access-Control-Expose-Headers "{EXPOSE_HEADERS}" always;
add_header Vary Origin always;
"""

#: The documents of the login are for everybody.
PUBLIC = f"""
if ($request_method = OPTIONS) {{
    add_header Access-Control-Allow-Origin * always;
    add_header Access-Control-Allow-Methods "GET, POST" always;
    add_header Access-Control-Allow-Headers "{ALLOW_HEADERS}" always;
    return 204;
}}
add_header Access-Control-Allow-Origin * always;
proxy_set_header Host $http_host;
proxy_set_header Origin "";
"""


def _nginx_locations(name: str, inner: Ports) -> str:
    plain, cors, token, slow, nothing = (
        f"proxy_pass http://127.0.0.1:{inner[upstream]};"
        for upstream in (
            "aiohttp-upstream",
            "aiohttp-upstream-cors",
            "aiohttp-upstream-token",
            "aiohttp-upstream-slow",
            "nothing",
        )
    )
    own = PREFLIGHT + ADD + PASS
    quick = own + "proxy_buffering off;"
    documents = f"location ~ ^/(\\.well-known/|token$|register$) {{ {PUBLIC} {token} }}"
    mcp = {
        "nginx-ok-cors": quick + token,
        "nginx-ok-proxy": PASS + "proxy_buffering off;" + cors,
        "nginx-ok-gzip": quick + "gzip on; gzip_types application/json; gzip_proxied any;" + plain,
        "nginx-auth-request": PASS
        + ADD
        + "add_header WWW-Authenticate $challenge always; auth_request /auth; proxy_buffering off;"
        + "proxy_hide_header Access-Control-Allow-Origin; proxy_hide_header Access-Control-Expose-Headers;"
        + cors,
        "nginx-204-bare": "if ($request_method = OPTIONS) { add_header Content-Type text/plain; return 204; }"
        + f"{ADD} add_header Access-Control-Allow-Methods '{ALLOW_METHODS}' always;"
        + f"add_header Access-Control-Allow-Headers '{ALLOW_HEADERS}' always; {PASS} proxy_buffering off; {plain}",
        # To HTTP/1.0, which is the default, the app behind does not send chunks, so nginx waits for a full buffer.
        "nginx-buffering": own.replace("proxy_http_version 1.1;", "") + plain,
        "nginx-301-https": "return 301 https://$host$request_uri;",
        "nginx-no-always": (PREFLIGHT + ADD).replace("always", "") + PASS + token,
        "nginx-two-layers": PREFLIGHT + ADD + PASS + "proxy_buffering off;" + cors,
        "nginx-strips-origin": quick + 'proxy_set_header Origin "";' + plain,
        "nginx-drops-authorization": quick + 'proxy_set_header Authorization "";' + token,
        "nginx-hides-session": quick + "proxy_hide_header Mcp-Session-Id;" + plain,
        "nginx-drops-session": quick + 'proxy_set_header Mcp-Session-Id "";' + plain,
        "nginx-denies": f"deny all; {quick} {plain}",
        "nginx-moved": "return 301 http://www.mcp.zoo.test$request_uri;",
        "nginx-502": quick + nothing,
        "nginx-502-bare": PASS + nothing,
        "nginx-503": PREFLIGHT + ADD + "return 503;",
        "nginx-504": quick + "proxy_read_timeout 1s;" + slow,
        "nginx-host-rewritten": quick.replace("Host $http_host", "Host mcp-backend") + plain,
        "nginx-limit-except": f"limit_except GET POST {{ deny all; }} {PASS} proxy_buffering off; {cors}",
        "nginx-map-hole": "if ($is_foreign) { return 403; }"
        + quick.replace("$cors_origin", "$cors_origin_hole")
        + f'proxy_set_header Origin ""; {plain}',
        "nginx-refuses-origin": f"if ($http_origin) {{ return 403; }} {PASS} {cors}",
        "nginx-static": "empty_gif;",
        # An add_header of its own drops those of the server block.
        "nginx-inherits-none": f"{PREFLIGHT} add_header X-Frame-Options DENY; {PASS} proxy_buffering off; {plain}",
        "nginx-slash": "",
    }[name]
    if name == "nginx-slash":
        return f"location /mcp/ {{ {quick} {plain.replace(';', '/mcp;')} }}"
    if name == "nginx-auth-request":
        documents = f"location ~ ^/(\\.well-known/|token$|register$) {{ {PASS} {cors} }}"
        check = f'if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}'
        documents += f"location = /auth {{ internal; {check} return 204; }}"
    if name == "nginx-inherits-none":
        documents += ADD
    return f"location = /mcp {{ {mcp} }} {documents} location / {{ return 404; }}"


def nginx(ports: Ports, inner: Ports, folder: Path) -> str:
    """The configuration, with a server for each port."""
    servers = [f"server {{ listen 127.0.0.1:{port}; {_nginx_locations(name, inner)} }}" for name, port in ports.items()]
    return NGINX.format(folder=folder, app=APP, servers="\n".join(servers))


HAPROXY = """
defaults
    mode http
    timeout connect 1s
    retries 0
    timeout client 30s
    timeout server {timeout}
listen {name}
    bind 127.0.0.1:{port}
    {rule}
    server app 127.0.0.1:{upstream}
"""


def haproxy(ports: Ports, inner: Ports, folder: Path) -> str:
    """The configuration, with a proxy for each port."""
    upstreams = {"haproxy-503": "nothing", "haproxy-504": "aiohttp-upstream-slow"}
    rules = {
        "haproxy-deny-methods": "http-request deny unless { method GET POST DELETE }",
        "haproxy-strips-origin": "http-request del-header Origin",
        "haproxy-deny-delete": "http-request deny if { method DELETE }",
        "haproxy-deny-pages": "http-request deny if { req.hdr(Sec-Fetch-Mode) cors }",
        "haproxy-drops-headers": "http-response del-header Access-Control-Allow-Origin",
        "haproxy-two-layers": f"http-response add-header Access-Control-Allow-Origin {APP}",
    }
    proxies = [
        HAPROXY.format(
            name=name,
            port=port,
            rule=rules.get(name, ""),
            timeout="1s" if name == "haproxy-504" else "30s",
            upstream=inner[upstreams.get(name, "aiohttp-upstream-cors")],
        )
        for name, port in ports.items()
    ]
    return "global\n    maxconn 256\n" + "".join(proxies)


CADDY = """
{{
    admin off
    auto_https off
}}
{servers}
"""

CADDY_CORS = f"""
@preflight {{
    method OPTIONS
    header Origin {APP}
}}
@cors header Origin {APP}
header Vary Origin
header @cors Access-Control-Allow-Origin {APP}
header @cors Access-Control-Expose-Headers "{EXPOSE_HEADERS}"
header @preflight Access-Control-Allow-Methods "{ALLOW_METHODS}"
header @preflight Access-Control-Allow-Headers "{ALLOW_HEADERS}"
header @preflight Access-Control-Max-Age 7200
respond @preflight 204
"""

#: caddy hash-password --plaintext zoo
_HASH = "$2a$14$DDiOj4DIEFTg4vyFIhaOwOTzvtgPdNQ68VzUXojK0h.K4pOqQDcIy"


def caddy(ports: Ports, inner: Ports, folder: Path) -> str:
    """The Caddyfile, with a site for each port."""
    plain, cors, nothing = (
        f"reverse_proxy 127.0.0.1:{inner[upstream]}"
        for upstream in ("aiohttp-upstream", "aiohttp-upstream-cors", "nothing")
    )
    sites = {
        "caddy-ok": cors,
        "caddy-ok-cors": CADDY_CORS + plain,
        "caddy-options-bare": f"@options method OPTIONS\nrespond @options 204\n{cors}",
        "caddy-two-layers": f"header Access-Control-Allow-Origin {APP}\n{cors}",
        "caddy-basic-auth": f"basicauth {{\n zoo {_HASH}\n}}\n{cors}",
        "caddy-no-route": f"handle_path /api/* {{\n {cors}\n}}",
        "caddy-502": CADDY_CORS + nothing,
        "caddy-strips-origin": f"{CADDY_CORS}{plain} {{\n header_up -Origin\n}}",
    }
    servers = [f"http://:{port} {{\nbind 127.0.0.1\n{sites[name]}\n}}" for name, port in ports.items()]
    return CADDY.format(servers="\n".join(servers))
