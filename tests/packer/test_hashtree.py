"""Trees are what docs/format.md says, computed here the slow way, and damage is found."""

import hashlib
from collections.abc import Iterator

import pytest

from smolpack import format as layout
from smolpack import hashtree

CHUNK = layout.CHUNK_SIZE


def plain_hash(data: bytes, person: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32, person=person).digest()


def plain_tree(content: bytes) -> tuple[bytes, list[bytes]]:
    """The root and the levels that are written down, by the letter of docs/format.md."""
    level = [
        plain_hash(content[at : at + 65536], b"smolpack chunk")
        for at in range(0, len(content), 65536)
    ]
    written = []
    while len(level) > 1:
        joined = b"".join(level)
        written.append(joined)
        level = [
            plain_hash(joined[at : at + 4096], b"smolpack node")
            for at in range(0, len(joined), 4096)
        ]
    return level[0], written


def pieces(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), hashtree.PIECE_SIZE):
        yield content[at : at + hashtree.PIECE_SIZE]


def content_of(size: int) -> bytes:
    """No two chunks are the same."""
    return b"".join(
        number.to_bytes(8, "little") * (CHUNK // 8) for number in range(-(-size // CHUNK))
    )[:size]


# One chunk, the first tree, a full block of hashes, one more (two levels), several pieces.
SIZES = [1, CHUNK, CHUNK + 1, 16 * CHUNK + 5, 128 * CHUNK, 128 * CHUNK + 1, 300 * CHUNK - 1]


@pytest.mark.parametrize("size", SIZES)
def test_trees(size: int) -> None:
    content = content_of(size)
    root, levels = plain_tree(content)
    tree = hashtree.build(hashtree.hash_chunks(pieces(content)))
    assert tree == hashtree.Tree(root, b"".join(levels))
    assert hashtree.tree_size(size) == len(tree.nodes)


def test_sizes_of_large_sections_are_computed_not_counted() -> None:
    assert hashtree.tree_size((1 << 64) - 1) == sum(
        32 * (1 << bits) for bits in (48, 41, 34, 27, 20, 13, 6)
    )


def test_a_known_hash() -> None:
    tree = hashtree.build(hashtree.hash_chunks([b"smolpack"]))
    assert tree.root.hex() == "1670f4a588a36b19ff0aa85d6a22ae28e6262ddd93340db02116e8fa0ab48ada"
    assert tree.nodes == b""


@pytest.mark.parametrize("chunk", [0, 1, 127, 128, 299])
def test_a_bad_chunk_is_found(chunk: int) -> None:
    content = bytearray(content_of(300 * CHUNK - 1))
    good = hashtree.build(hashtree.hash_chunks(pieces(bytes(content))))
    content[chunk * CHUNK + 77] ^= 1
    leaves = hashtree.hash_chunks(pieces(bytes(content)))
    assert hashtree.compare(leaves, good.root, good.nodes) == hashtree.Damage(chunk * CHUNK, None)


@pytest.mark.parametrize("at", [0, 4095, 4096, 9599, 9600])
def test_a_bad_block_of_the_tree_is_found(at: int) -> None:
    leaves = hashtree.hash_chunks(pieces(content_of(300 * CHUNK)))
    good = hashtree.build(leaves)
    nodes = bytearray(good.nodes)
    nodes[at] ^= 0x80
    found = hashtree.compare(leaves, good.root, bytes(nodes))
    assert found == hashtree.Damage(None, at // 4096 * 4096)


def test_both_damaged() -> None:
    leaves = hashtree.hash_chunks(pieces(content_of(300 * CHUNK)))
    good = hashtree.build(leaves)
    nodes = bytearray(good.nodes)
    nodes[-1] ^= 1
    found = hashtree.compare(bytes(32) + leaves[32:], good.root, bytes(nodes))
    assert found.chunk == 0 and found.block is not None


def test_a_root_that_fits_nothing() -> None:
    leaves = hashtree.hash_chunks(pieces(content_of(300 * CHUNK)))
    good = hashtree.build(leaves)
    assert hashtree.compare(leaves, bytes(32), good.nodes) == hashtree.Damage(0, None)
    single = hashtree.build(leaves[:32])
    assert hashtree.compare(leaves[:32], bytes(32), single.nodes) == hashtree.Damage(0, None)
