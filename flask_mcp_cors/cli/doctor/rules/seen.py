"""How rows look at the evidence as a whole."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping

from ..evidence import Evidence
from ..evidence import Fact
from ..evidence import Fetched
from .rule import Fits
from .rule import Values

Seen = Callable[[Evidence], Iterator[Values]]


def at(fetched: Fetched, **more: object) -> Values:
    """What a template may use that is about one fetch."""
    response = fetched.last
    return {
        "origin": fetched.origin,
        "revision": fetched.revision,
        "name": fetched.name,
        "status": fetched.status if response is None else response.status,
        "url": fetched.url,
        "type": fetched.headers.get("content-type", "") or "no Content-Type",
        **more,
    }


def each(*steps: str, where: Callable[[Fetched], Fits]) -> Seen:
    """Every fetch of these steps that is so."""
    return lambda ev: (at(f, **as_values(fits)) for f in ev.of(*steps) if (fits := where(f)))


def once(seen: Callable[[Evidence], Fits]) -> Seen:
    """The whole evidence, if it is so."""
    return lambda ev: iter([as_values(fits)] if (fits := seen(ev)) else [])


def fact(step: str, more: Callable[[Evidence, Fact], Values] = lambda ev, f: {}) -> Seen:
    """Every fact of this step."""
    return lambda ev: (
        {"origin": f.origin, "what": f.what, "url": f.url or ev.href, "own": ev.url.origin, **more(ev, f)}
        for f in ev.found(step)
    )


def as_values(fits: Fits) -> Values:
    """Values for the templates, where a row needs some."""
    return fits if isinstance(fits, Mapping) else {}
