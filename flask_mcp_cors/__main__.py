"""The command line: ``flask mcp-cors …`` with an app, ``python -m flask_mcp_cors …`` without one.

Flask loads this module for every ``flask`` command, so each command here imports what it needs when it runs.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from flask.cli import ScriptInfo

from ._version import __version__

cli = AppGroup("mcp-cors", short_help="Explain and probe CORS.", help="Explain and probe CORS and Origin validation.")
click.version_option(__version__, prog_name="Flask-MCP-CORS")(cli)

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_browser = click.option(
    "--browser",
    type=click.Choice(["chromium", "firefox", "webkit"]),
    default="chromium",
    show_default=True,
    help="The engine whose rules and console messages count.",
)


def _print(result: Any, *, as_json: bool) -> None:
    from .cli.terminal import show

    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        show(result.to_text())


@cli.command(short_help="Decide on one request, step by step.")
@click.argument("path")
@click.option("--origin", help="The origin of the page, scheme://host[:port]. Without it: a program.")
@click.option("--method", default="POST", show_default=True)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME[: VALUE]",
    help="A header that JavaScript sets. Repeatable. Default: those of a browser MCP client.",
)
@_browser
@_as_json
def explain(path: str, origin: str | None, method: str, headers: tuple[str, ...], browser: Any, as_json: bool) -> None:
    """Decide on one request as the app would, and explain every step.

    PATH is a path of the app, or a whole URL where host and scheme matter. The request goes through all layers around
    the app, but its hooks and views do not run. Exit status 1 if it is refused, or if the page may not read the
    response.
    """
    from .cli.app import state_of
    from .cli.explain import explain

    explanation = explain(state_of(current_app), path, origin, method, headers, browser=browser)
    _print(explanation, as_json=as_json)
    if not explanation.is_allowed:
        sys.exit(1)


@cli.command(short_help="List the routes and what is wrong.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if something is wrong.")
@_as_json
def routes(strict: bool, as_json: bool) -> None:
    """List each route with its policy, its protection and what is wrong with it.

    Views do not run. Preflights go through all layers around the app, and before_request functions are called for
    requests without credentials.
    """
    from .cli.app import state_of
    from .cli.routes import survey

    result = survey(state_of(current_app))
    _print(result, as_json=as_json)
    if strict and not result.is_clean:
        sys.exit(1)


@cli.command(with_appcontext=False, short_help="Examine a running server.")
@click.argument("url")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    required=True,
    help="The origin of a page that is to connect: scheme://host[:port]. Repeatable.",
)
@click.option("--token", help="A bearer token, for a server that requires one.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Another header for the endpoint, such as an API key or a tenant. Repeatable.",
)
@click.option("--login", is_flag=True, help="Follow the login as a client would, up to the login page.")
@_browser
@click.option("--timeout", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, help="For each request.")
@click.option("--total", type=click.FloatRange(1, 3600), default=13.0, show_default=True, help="For all requests.")
@click.option("--cacert", type=click.Path(exists=True, dir_okay=False), help="A CA certificate to trust, as PEM.")
@click.option("--insecure", is_flag=True, help="Do not verify certificates. Browsers do.")
@_as_json
def doctor(
    url: str,
    origins: tuple[str, ...],
    headers: tuple[str, ...],
    cacert: str | None,
    insecure: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Examine a running server, in any language, as browser MCP clients of each protocol revision.

    URL is that of the MCP endpoint. Only messages that read are sent, never tools/call. Exit status 1 if something
    blocks an allowed page or admits a foreign one.
    """
    from .cli.doctor import examine
    from .cli.doctor.wire import tls_context
    from .cli.terminal import progress

    with progress() as say:
        try:
            named = dict(header.split(": ", 1) for header in headers)
        except ValueError:
            raise click.UsageError("write --header 'NAME: VALUE'") from None
        try:
            context = tls_context(cacert, insecure=insecure)
            report = examine(url, list(dict.fromkeys(origins)), headers=named, context=context, say=say, **options)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    _print(report, as_json=as_json)
    if not report.is_healthy:
        sys.exit(1)


@click.group(help=cli.help)
@click.version_option(__version__, prog_name="Flask-MCP-CORS")
@click.option("-A", "--app", envvar="FLASK_APP", metavar="IMPORT", help="The app, as for the flask command.")
@click.pass_context
def main(context: click.Context, app: str | None) -> None:
    """``python -m flask_mcp_cors``: the same commands, where there need not be an app."""
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # as the flask command does, so that app.run() does nothing
    context.obj = ScriptInfo(app_import_path=app)


for _command in cli.commands.values():
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="python -m flask_mcp_cors")
