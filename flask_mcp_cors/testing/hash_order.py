"""Where several request headers are refused, which of them Chromium's console names.

The Fetch standard does not say; a preflight is refused all the same. Chromium walks the request's headers and names
the first it may not send. By then they have been through a hash table, so their order looks arbitrary, but it is
the same in every run: it follows from the names alone. This module computes it, and nothing else may depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable

_MASK = 2**64 - 1
_SEED = 0xBDD89AA982704029
_SECRET = (0x2D358DCCAA6C78A5, 0x8BB84B93962EACC9, 0x4B33A62ED433D4A3)

#: The browser's own headers that share the table, after those of the page and before ``User-Agent``.
_CLIENT_HINTS = ("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform")
_FIRST_SIZE = 8


def _mix(a: int, b: int) -> int:
    product = a * b
    return (product & _MASK) ^ (product >> 64)


def _rapidhash(data: bytes) -> int:
    """rapidhash, version 1: https://github.com/Nicoshev/rapidhash"""

    def read(position: int, size: int) -> int:
        return int.from_bytes(data[position : position + size], "little")

    length = len(data)
    seed = _SEED ^ _mix(_SEED ^ _SECRET[0], _SECRET[1]) ^ length
    if length <= 16:
        if length < 4:
            # One UTF-16 unit, which Blink does not spread over the word as rapidhash would.
            a, b = read(0, 2), 0
        else:
            last, delta = length - 4, 4 if length >= 8 else 0
            a = read(0, 4) << 32 | read(last, 4)
            b = read(delta, 4) << 32 | read(last - delta, 4)
    else:
        start, rest = 0, length
        if rest > 48:
            lanes = [seed, seed, seed]
            while rest >= 48:
                for lane in range(3):
                    at = start + 16 * lane
                    lanes[lane] = _mix(read(at, 8) ^ _SECRET[lane], read(at + 8, 8) ^ lanes[lane])
                start += 48
                rest -= 48
            seed = lanes[0] ^ lanes[1] ^ lanes[2]
        if rest > 16:
            seed = _mix(read(start, 8) ^ _SECRET[2], read(start + 8, 8) ^ seed ^ _SECRET[1])
            if rest > 32:
                seed = _mix(read(start + 16, 8) ^ _SECRET[2], read(start + 24, 8) ^ seed)
        a, b = read(length - 16, 8), read(length - 8, 8)
    product = (a ^ _SECRET[1]) * (b ^ seed)
    return _mix((product & _MASK) ^ _SECRET[0] ^ length, (product >> 64) ^ _SECRET[1])


def _place(table: list[str | None], name: str) -> None:
    mask = len(table) - 1
    slot = _rapidhash(name.encode("utf-16-le")) & 0xFFFFFF & mask
    step = 0
    while table[slot] is not None:
        step += 1
        slot = (slot + step) & mask
    table[slot] = name


def in_hash_order(names: Iterable[str], *, client_hints: bool) -> list[str]:
    """Header names in the order in which Chromium checks them.

    :param names: of all headers that the page sets, in any case and order.
    :param client_hints: is the URL one that gets ``Sec-CH-UA`` headers?

    >>> in_hash_order(["X-A", "x-b", "X-C"], client_hints=True)
    ['x-c', 'x-a', 'x-b']
    """
    page = sorted({name.lower() for name in names})
    table: list[str | None] = [None] * _FIRST_SIZE
    for count, name in enumerate([*page, *(_CLIENT_HINTS if client_hints else ()), "user-agent"], 1):
        _place(table, name)
        if count * 2 >= len(table):
            before, table = table, [None] * (len(table) * 2)
            for moved in before:
                if moved is not None:
                    _place(table, moved)
    return [name for name in table if name is not None and name in page]
