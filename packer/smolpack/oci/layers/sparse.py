"""Sparse files in the four forms of GNU tar: where their data is, and that it can be so."""

import struct
from collections.abc import Callable, Sequence

# (offset, length) of data in a file: ascending, apart, none of them empty.
Extents = tuple[tuple[int, int], ...]

# What a map in a layer may say.
_MAX_EXTENTS = 1 << 18
_MAX_DIGITS = 20

_PAIR = struct.Struct("12s12s")
_PAIRS_IN_HEADER = slice(386, 482)
_MORE_IN_HEADER = 482
_REAL_SIZE_IN_HEADER = slice(483, 495)
_PAIRS_IN_BLOCK = slice(0, 504)
_MORE_IN_BLOCK = 504


def old_map(
    header: bytes, block: Callable[[], bytes], number: Callable[[bytes], int]
) -> tuple[list[int], int]:
    """The old GNU format: the map's numbers from a header and blocks behind it, the file's size."""
    numbers: list[int] = []
    pairs, more = header[_PAIRS_IN_HEADER], header[_MORE_IN_HEADER]
    while True:
        for offset, length in _PAIR.iter_unpack(pairs):
            if not offset[0]:  # an unused place
                break
            numbers += number(offset), number(length)
        _check_count(len(numbers) // 2)
        if not more:
            return numbers, number(header[_REAL_SIZE_IN_HEADER])
        data = block()
        pairs, more = data[_PAIRS_IN_BLOCK], data[_MORE_IN_BLOCK]


def stored_map(block: Callable[[], bytes], number: Callable[[bytes], int]) -> list[int]:
    """The pax format 1.0: the map's numbers, in lines before the data."""
    lines: list[bytes] = []
    rest = b""
    wanted = 1
    while True:
        *more, rest = (rest + block()).split(b"\n")
        lines += more
        if lines and wanted == 1:
            wanted += 2 * _check_count(number(lines[0]))
        if len(lines) >= wanted:
            return [number(line) for line in lines[1:wanted]]
        if len(rest) > _MAX_DIGITS:
            raise ValueError("a sparse map that is no map")


def extents(numbers: Sequence[int], size: int, stored: int) -> Extents | None:
    """The map of a file of `size` bytes, of which `stored` are there; None when that is all.
    Raises ValueError for a map that does not fit."""
    found = []
    last = total = 0
    if len(numbers) % 2:
        raise ValueError("an odd sparse map")
    for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
        if offset < last or length < 0:
            raise ValueError("a sparse map out of order")
        last = offset + length
        total += length
        if length:
            found.append((offset, length))
    if last > size or total != stored:
        raise ValueError("a sparse map that does not fit its data")
    return None if stored == size else tuple(found)


def _check_count(count: int) -> int:
    if not 0 <= count <= _MAX_EXTENTS:
        raise ValueError("a sparse map that is too long")
    return count
