"""Fuzz requests: every decision of the core is that of the oracle, and nothing raises.

``python -m quality.fuzz_requests --seconds 20``
"""

from __future__ import annotations

import sys

from .cases import compare
from .cases import make_sites
from .cases import question_from
from .fuzzing import main
from .fuzzing import Source

SITES = make_sites()


def target(source: Source) -> None:
    site, settings = source.choose(SITES)
    compare(site, settings, question_from(source.choose, source.text))


if __name__ == "__main__":
    sys.exit(main(target))
