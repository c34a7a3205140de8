"""Whether sections are what the table says: every chunk against its hash tree."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from smolpack import artifact, hashtree
from smolpack.artifact import Artifact, Section
from smolpack.errors import FormatError
from smolpack.format import SectionType


@dataclass(frozen=True)
class SectionResult:
    """A section that was read to its end. `damage` is the offset in the file of the first chunk
    (in the hashes section: block) that is not what it was; None for intact."""

    section: Section
    damage: int | None


def check(
    file: BinaryIO, contents: Artifact, advance: Callable[[int], object]
) -> tuple[SectionResult, ...]:
    """Reads every section, on all CPUs, and reports each; `advance` counts bytes. Padding and
    geometry are checked by artifact.read()."""
    nodes = b""
    if contents.sections[-1].type == SectionType.HASHES:
        nodes = artifact.read_section(file, contents.sections[-1])
    results = []
    bad_blocks: list[int] = []
    for section in contents.sections:
        if section.type == SectionType.HASHES:
            advance(section.size)
            damage = section.offset + min(bad_blocks) if bad_blocks else None
        else:
            leaves = hashtree.hash_chunks(_counted(file, section, advance))
            tree = nodes[section.tree_offset :][: hashtree.tree_size(section.size)]
            found = hashtree.compare(leaves, section.root, tree)
            damage = None if found.chunk is None else section.offset + found.chunk
            if found.block is not None:
                bad_blocks.append(section.tree_offset + found.block)
        results.append(SectionResult(section, damage))
    return tuple(results)


def check_launcher(file: BinaryIO, contents: Artifact) -> None:
    """Raises FormatError unless the launcher is the one in the table; reads nothing else."""
    section = contents.section(SectionType.LAUNCHER)
    leaves = hashtree.hash_chunks(artifact.read_pieces(file, section))
    if hashtree.build(leaves).root != section.root:
        raise FormatError("damaged: the launcher is not the one in its table; get the file again")


def _counted(file: BinaryIO, section: Section, advance: Callable[[int], object]) -> Iterator[bytes]:
    for piece in artifact.read_pieces(file, section):
        yield piece
        advance(len(piece))
