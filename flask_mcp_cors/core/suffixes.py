"""The public suffix list, and shared domains that are not on it.

The list is part of the ``publicsuffixlist`` package, so nothing is downloaded. It is loaded when the first subdomain
pattern is checked, never at import time and never for a request. No other module of the core imports anything from
outside the standard library.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from .origins import parents

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

#: Domains below which anybody can get a name, but which are not on the public suffix list (of October 2026).
#: In the format of that list. ``*`` stands for a region or a part of the service.
SHARED_PLACES = """
// GitHub Codespaces, forwarded ports:
// https://docs.github.com/codespaces/developing-in-a-codespace/forwarding-ports-in-your-codespace
app.github.dev
// Gitpod, now Ona, workspaces: https://www.gitpod.io/docs/classic/user/configure/workspaces/ports
gitpod.io
*.gitpod.io
*.gitpod.dev
// StackBlitz, projects and WebContainers: https://webcontainers.io
stackblitz.io
webcontainer.io
*.webcontainer.io
webcontainer-api.io
*.webcontainer-api.io
// CodeSandbox, servers of sandboxes (its csb.app is on the list): https://codesandbox.io/docs
codesandbox.io
sse.codesandbox.io
// Google Cloud Workstations: https://cloud.google.com/workstations/docs
*.cloudworkstations.dev
// Microsoft dev tunnels, also those of Visual Studio Code: https://learn.microsoft.com/azure/developer/dev-tunnels
devtunnels.ms
*.devtunnels.ms
// localtunnel: https://github.com/localtunnel/localtunnel
loca.lt
// localhost.run: https://localhost.run/docs
lhr.life
localhost.run
// Serveo: https://serveo.net
serveo.net
serveousercontent.com
// Pinggy: https://pinggy.io/docs
a.pinggy.link
a.free.pinggy.link
// LocalXpose: https://localxpose.io/docs
loclx.io
*.loclx.io
// zrok: https://docs.zrok.io
share.zrok.io
// Expo, development servers of apps: https://docs.expo.dev/more/expo-cli/#tunneling
exp.direct
*.exp.direct
// Gradio, demos shared for a week: https://www.gradio.app/guides/sharing-your-app
gradio.live
// Glitch, projects: https://help.glitch.com
glitch.me
"""


def _rules() -> Iterator[str]:
    """Every rule of the list and of :data:`SHARED_PLACES`, without comments."""
    from publicsuffixlist import PSLFILE

    with open(PSLFILE, encoding="utf-8") as listed:
        for line in (*listed, *SHARED_PLACES.splitlines()):
            if line.strip() and not line.startswith("//"):
                yield line.split()[0]


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    # An unlisted top-level domain ("internal", "localhost", "test") does not count as a public suffix.
    return PublicSuffixList(_rules(), accept_unknown=False)


@cache
def _above_suffixes() -> frozenset[str]:
    """Every name above a listed suffix: ``amazonaws.com``, because of ``s3.amazonaws.com``."""
    above: set[str] = set()
    for rule in _rules():
        if not rule.startswith("!"):
            above.update(parents(rule if rule.isascii() else rule.encode("idna").decode("ascii")))
    return frozenset(above)


def covers_public_suffix(base: str) -> bool:
    """Can anybody have a page at a name that ``*.base`` matches?

    Yes, if *base* is a public suffix or a shared domain, or if there is one below it.

    >>> covers_public_suffix("github.io"), covers_public_suffix("amazonaws.com"), covers_public_suffix("loca.lt")
    (True, True, True)
    >>> covers_public_suffix("example.com"), covers_public_suffix("internal")
    (False, False)
    """
    base = base.removesuffix(".")
    return _public_suffixes().is_public(base) or base in _above_suffixes()
