"""A section's bytes, handed out only when they are what the table says."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from smolpack import artifact, hashtree
from smolpack.artifact import Section
from smolpack.errors import FormatError, OutputError


def read(file: BinaryIO, section: Section) -> bytes:
    """A section that fits into memory; raises FormatError when it is damaged."""
    pieces: list[bytes] = []
    _check(section, _each(file, section, pieces.append))
    return b"".join(pieces)


def copy(file: BinaryIO, section: Section, out: BinaryIO) -> None:
    """A section of any size, to `out`'s position; raises FormatError when it is damaged, and
    OutputError when there is no room; `out` then holds nothing of use."""

    def put(piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[out.write(rest) :]
            out.flush()
        except OSError as error:
            name = section.type.label
            raise OutputError(f"cannot write the {name} section: {error.strerror}") from error

    _check(section, _each(file, section, put))


def _each(file: BinaryIO, section: Section, take: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in artifact.read_pieces(file, section):
        take(piece)
        yield piece


def _check(section: Section, pieces: Iterator[bytes]) -> None:
    if hashtree.build(hashtree.hash_chunks(pieces)).root != section.root:
        name = section.type.label
        raise FormatError(
            f"damaged: the {name} section is not what its table says; see `smolpack verify`"
        )
