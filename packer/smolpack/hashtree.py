"""Hash trees over sections: any chunk can be checked alone. docs/format.md draws them."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from smolpack import format as layout

# What one thread hashes at a time, in bytes: many chunks, so that handing over costs nothing.
PIECE_SIZE = 16 * layout.CHUNK_SIZE

# Pieces that may wait for a thread, for each thread: bounds memory, whatever the section's size.
_WAITING = 2


@dataclass(frozen=True)
class Tree:
    """A section's hash tree. `nodes` are its levels as written down, from level 0 up."""

    root: bytes
    nodes: bytes


def tree_size(size: int) -> int:
    """Bytes of the nodes of a section of `size` bytes; 0 when it is a single chunk."""
    return sum(_level_sizes(size))


def build(leaves: bytes) -> Tree:
    """The tree above the hashes of a section's chunks, at least one."""
    written = []
    level = leaves
    while len(level) > layout.HASH_SIZE:
        written.append(level)
        level = b"".join(
            _hash(level[start : start + layout.HASH_BLOCK], layout.HASH_NODE)
            for start in range(0, len(level), layout.HASH_BLOCK)
        )
    return Tree(root=level, nodes=b"".join(written))


def hash_chunks(pieces: Iterable[bytes]) -> bytes:
    """The hashes of a section's chunks, computed by all CPUs. `pieces` are the section in order,
    each but the last of PIECE_SIZE bytes."""
    workers = len(os.sched_getaffinity(0))
    leaves = []
    pending: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for piece in pieces:
            pending.append(pool.submit(_hash_piece, piece))
            if len(pending) > workers * _WAITING:
                leaves.append(pending.popleft().result())
        leaves.extend(future.result() for future in pending)
    return b"".join(leaves)


@dataclass(frozen=True)
class Damage:
    """Where a section or its tree first differs from what the root says: the offset of a chunk
    from the section's start, the offset of a block from the tree's start; None for intact."""

    chunk: int | None
    block: int | None


def compare(leaves: bytes, root: bytes, nodes: bytes) -> Damage:
    """Checks the hashes of a section's chunks, and the `nodes` stored for it, against `root`."""
    found = build(leaves)
    if found.root == root:
        return Damage(None, _first_difference(found.nodes, nodes, layout.HASH_BLOCK))
    if not nodes:
        return Damage(0, None)
    stored_leaves = nodes[: len(leaves)]
    stored = build(stored_leaves)
    chunk = _first_difference(leaves, stored_leaves, layout.HASH_SIZE)
    block = _first_difference(stored.nodes, nodes, layout.HASH_BLOCK)
    if chunk is not None:
        chunk = chunk // layout.HASH_SIZE * layout.CHUNK_SIZE
    elif block is None:
        chunk = 0  # section and tree agree with each other, and neither with the root
    return Damage(chunk, block)


def _level_sizes(size: int) -> Iterator[int]:
    hashes = -(-size // layout.CHUNK_SIZE)
    while hashes > 1:
        yield hashes * layout.HASH_SIZE
        hashes = -(-hashes * layout.HASH_SIZE // layout.HASH_BLOCK)


def _first_difference(one: bytes, other: bytes, unit: int) -> int | None:
    """The offset of the first `unit` bytes that differ."""
    if one == other:
        return None
    return next(
        start
        for start in range(0, max(len(one), len(other)), unit)
        if one[start : start + unit] != other[start : start + unit]
    )


def _hash_piece(piece: bytes) -> bytes:
    view = memoryview(piece)
    return b"".join(
        _hash(view[start : start + layout.CHUNK_SIZE], layout.HASH_CHUNK)
        for start in range(0, len(piece), layout.CHUNK_SIZE)
    )


def _hash(data: bytes | memoryview, person: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=layout.HASH_SIZE, person=person).digest()
