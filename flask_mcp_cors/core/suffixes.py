"""The public suffix list: the one place where the core reaches outside the standard library.

The list ships inside the ``publicsuffixlist`` wheel, so nothing is fetched. It is loaded when the
first subdomain pattern is checked, never at import time and never for a request.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    # A top-level domain on no list ("internal", "localhost", "test") is nobody's registry.
    return PublicSuffixList(accept_unknown=False)


@cache
def _parents() -> frozenset[str]:
    """Every name above a listed suffix: ``amazonaws.com``, because of ``s3.amazonaws.com``."""
    from publicsuffixlist import PSLFILE

    parents: set[str] = set()
    with open(PSLFILE, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith(("//", "!")):
                rule = line.split()[0]
                if not rule.isascii():
                    rule = rule.encode("idna").decode("ascii")
                parent = rule.partition(".")[2]
                while parent:
                    parents.add(parent)
                    parent = parent.partition(".")[2]
    return frozenset(parents)


def covers_public_suffix(base: str) -> bool:
    """Can strangers have a page at a name that ``*.base`` matches?

    They can where *base* is a public suffix, and where there is one anywhere below it.

    >>> covers_public_suffix("github.io"), covers_public_suffix("amazonaws.com")
    (True, True)
    >>> covers_public_suffix("example.com"), covers_public_suffix("internal")
    (False, False)
    """
    base = base.removesuffix(".")
    return _public_suffixes().is_public(base) or base in _parents()
