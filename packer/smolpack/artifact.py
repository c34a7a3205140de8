"""Write and read a packed machine. docs/format.md explains what a reader must refuse."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from smolpack import format as layout
from smolpack import hashtree
from smolpack.errors import FormatError, SignError
from smolpack.format import SectionType

_SIGNATURE_ALIGNMENT = 8


@dataclass(frozen=True)
class Section:
    """A checked section: it lies inside the file and overlaps nothing. Offsets and size in bytes;
    `tree_offset` counts from the start of the hashes section and is 0 without a tree."""

    type: SectionType
    offset: int
    size: int
    root: bytes
    tree_offset: int


@dataclass(frozen=True)
class StoredSignature:
    """A signature as it stands in a file: `blob` has PROTOCOL.sshsig's binary form, `time` is in
    seconds since 1970, by the signer's clock. Nothing of it is checked but its place."""

    time: int
    blob: bytes


@dataclass(frozen=True)
class Artifact:
    """A packed machine whose structure is checked; its content may yet be damaged, see verify.py.

    `file_size` and `table_offset` are in bytes, `table` is what signatures cover, sections are
    in file order, at most one of each type.
    """

    arch: layout.Arch
    file_size: int
    table_offset: int
    table: bytes
    sections: tuple[Section, ...]
    signatures: tuple[StoredSignature, ...]

    def section(self, kind: SectionType) -> Section:
        """The section of that type; a checked artifact has every one but sbom and hashes."""
        return next(section for section in self.sections if section.type == kind)

    def payload(self, time: int) -> bytes:
        """What a signature made at `time` (seconds since 1970) signs."""
        return self.table + time.to_bytes(8, "little")


def write(
    out: BinaryIO, arch: layout.Arch, sections: Iterable[tuple[SectionType, BinaryIO]]
) -> Artifact:
    """Writes a whole file, without signatures, to `out`; each section is copied from its stream's
    position on. The launcher must come first; hashes are made here. The result is what read()
    returns for the file."""
    written: list[Section] = []
    trees: list[bytes] = []
    for kind, content in sections:
        offset = _pad(out)
        tree = hashtree.build(hashtree.hash_chunks(_copy(content, out)))
        tree_offset = sum(map(len, trees)) if tree.nodes else 0
        written.append(Section(kind, offset, out.tell() - offset, tree.root, tree_offset))
        trees.append(tree.nodes)
    if any(trees):
        offset = _pad(out)
        out.writelines(trees)
        root = bytes(layout.HASH_SIZE)
        written.append(Section(SectionType.HASHES, offset, out.tell() - offset, root, 0))
    table_offset = _pad(out)
    header = layout.Table(arch=arch, section_count=len(written))
    entries = [layout.Section(**vars(section)).pack() for section in written]
    table = b"".join([header.pack(), *entries])
    out.write(table)
    return write_signatures(out, Artifact(arch, 0, table_offset, table, tuple(written), ()), ())


def write_signatures(
    out: BinaryIO, artifact: Artifact, signatures: Sequence[StoredSignature]
) -> Artifact:
    """Replaces the signatures of the file `out`, which holds `artifact` at least up to the end of
    its table; returns what read() then says. Raises SignError when they need too much room."""
    area = b"".join(map(_pack_signature, signatures))
    if len(area) > layout.MAX_SIGNATURES:
        raise SignError(
            f"{len(signatures)} signatures need {len(area)} bytes, {layout.MAX_SIGNATURES} are "
            "there; remove some"
        )
    table_size = len(artifact.table)
    area_offset = artifact.table_offset + table_size
    file_size = area_offset + len(area) + layout.Trailer.disk_size()
    trailer = layout.Trailer(
        table_offset=artifact.table_offset,
        table_size=table_size,
        file_size=file_size,
        signatures_size=len(area),
    )
    out.seek(area_offset)
    out.write(area + trailer.pack())
    out.truncate()
    return dataclasses.replace(artifact, file_size=file_size, signatures=tuple(signatures))


def read(file: BinaryIO) -> Artifact:
    """Reads and checks trailer, table, signatures' places and padding, not what sections hold;
    raises FormatError naming the first defect."""
    trailer = _read_trailer(file)
    raw_table = _read_at(file, trailer.table_offset, trailer.table_size)
    if not raw_table.startswith(layout.TABLE_MAGIC):
        raise FormatError("damaged: there is no table where the trailer says")
    # Before anything whose meaning depends on it.
    _check_version(int.from_bytes(raw_table[8:12], "little"))
    table = layout.Table.unpack(raw_table)
    if table.arch not in list(layout.Arch):
        raise FormatError(f"made for an unknown architecture ({table.arch})")
    if trailer.table_size != _table_size(table.section_count):
        raise FormatError("damaged: the table's size does not fit its number of sections")
    entry_size = layout.Section.disk_size()
    entries = [
        layout.Section.unpack(raw_table[start : start + entry_size])
        for start in range(layout.Table.disk_size(), len(raw_table), entry_size)
    ]
    sections = _check_sections(entries, trailer.table_offset)
    _check_trees(sections)
    _check_padding(file, sections)
    area_offset = trailer.table_offset + trailer.table_size
    area = _read_at(file, area_offset, trailer.signatures_size)
    return Artifact(
        arch=layout.Arch(table.arch),
        file_size=trailer.file_size,
        table_offset=trailer.table_offset,
        table=raw_table,
        sections=sections,
        signatures=tuple(_unpack_signatures(area)),
    )


def read_section(file: BinaryIO, section: Section) -> bytes:
    """A section's bytes, without padding."""
    return _read_at(file, section.offset, section.size)


def read_pieces(file: BinaryIO, section: Section) -> Iterator[bytes]:
    """A section in order, in pieces of hashtree.PIECE_SIZE bytes, the last one shorter."""
    for start in range(0, section.size, hashtree.PIECE_SIZE):
        size = min(hashtree.PIECE_SIZE, section.size - start)
        yield _read_at(file, section.offset + start, size)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, Artifact]]:
    """The file and what read() found in it; every error is a FormatError that names `path`."""
    try:
        with path.open("rb") as file:
            yield file, read(file)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except OSError as error:
        raise FormatError(f"{path}: cannot read: {error.strerror}") from error


def _read_trailer(file: BinaryIO) -> layout.Trailer:
    """The trailer; where it says that table and signatures are there is room for them."""
    file_size = file.seek(0, os.SEEK_END)
    trailer_size = layout.Trailer.disk_size()
    if file_size < trailer_size:
        raise FormatError("not a packed machine: it is too short")
    raw = _read_at(file, file_size - trailer_size, trailer_size)
    if not raw.startswith(layout.TRAILER_MAGIC):
        raise FormatError("not a packed machine, or truncated: it does not end with a trailer")
    _check_version(int.from_bytes(raw[8:12], "little"))
    trailer = layout.Trailer.unpack(raw)
    if trailer.file_size != file_size:
        raise FormatError(
            f"truncated, or something was added: it has {file_size} bytes, "
            f"its trailer says {trailer.file_size}"
        )
    if trailer.signatures_size > layout.MAX_SIGNATURES:
        raise FormatError("damaged: the signatures are too large")
    if trailer.table_offset % layout.PAGE_SIZE:
        raise FormatError("damaged: the table is not page-aligned")
    table_end = file_size - trailer_size - trailer.signatures_size
    if trailer.table_offset + trailer.table_size != table_end:
        raise FormatError("damaged: the table does not end where the signatures start")
    if trailer.table_size > _table_size(layout.MAX_SECTIONS):
        raise FormatError("damaged: the table is too large")
    return trailer


def _check_sections(entries: list[layout.Section], table_offset: int) -> tuple[Section, ...]:
    """Each section starts on the page behind the one before, the table behind the last one, and
    every type is there once."""
    sections: list[Section] = []
    end = 0
    for entry in entries:
        if entry.type not in list(SectionType):
            raise FormatError(f"made by a newer smolpack: unknown section type {entry.type}")
        kind = SectionType(entry.type)
        name = kind.label
        if any(kind == section.type for section in sections):
            raise FormatError(f"damaged: there are two {name} sections")
        if entry.size == 0:
            raise FormatError(f"damaged: the {name} section is empty")
        if entry.offset != layout.align(end):
            raise FormatError(f"damaged: the {name} section is not where the one before it ends")
        if kind == SectionType.CONFIG and entry.size > layout.MAX_CONFIG:
            raise FormatError("damaged: the config section is too large")
        end = entry.offset + entry.size
        sections.append(Section(kind, entry.offset, entry.size, entry.root, entry.tree_offset))
    required = set(SectionType) - {SectionType.SBOM, SectionType.HASHES}
    missing = sorted(required - {section.type for section in sections})
    if missing:
        raise FormatError(f"damaged: there is no {missing[0].label} section")
    if sections[0].type != SectionType.LAUNCHER:
        raise FormatError("damaged: the launcher is not at the start of the file")
    if layout.align(end) != table_offset:
        raise FormatError("damaged: the table is not where the last section ends")
    return tuple(sections)


def _check_trees(sections: tuple[Section, ...]) -> None:
    """Trees fill the hashes section, in the order of their sections."""
    filled = 0
    hashes = None
    for section in sections:
        if section.type == SectionType.HASHES:
            hashes = section
            continue
        size = hashtree.tree_size(section.size)
        if section.tree_offset != (filled if size else 0):
            name = section.type.label
            raise FormatError(f"damaged: the hash tree of the {name} section is not in its place")
        filled += size
    if filled != (hashes.size if hashes else 0):
        raise FormatError("damaged: the hashes section does not have the size of the hash trees")
    if hashes and (hashes != sections[-1] or any(hashes.root) or hashes.tree_offset):
        raise FormatError("damaged: the hashes section is not last, or has a hash of its own")


def _check_padding(file: BinaryIO, sections: tuple[Section, ...]) -> None:
    for section in sections:
        end = section.offset + section.size
        if any(_read_at(file, end, layout.align(end) - end)):
            name = section.type.label
            raise FormatError(f"damaged: the padding behind the {name} section is not zero")


def _pack_signature(signature: StoredSignature) -> bytes:
    header = layout.Signature(time=signature.time, size=len(signature.blob)).pack()
    return header + signature.blob + bytes(-len(signature.blob) % _SIGNATURE_ALIGNMENT)


def _unpack_signatures(area: bytes) -> Iterator[StoredSignature]:
    position = 0
    while position < len(area):
        start = position + layout.Signature.disk_size()
        header = layout.Signature.unpack(area[position:start])
        end = start + header.size
        position = end + -header.size % _SIGNATURE_ALIGNMENT
        if header.size == 0:
            raise FormatError("damaged: a signature is empty")
        if position > len(area):
            raise FormatError("damaged: a signature is cut short")
        if any(area[end:position]):
            raise FormatError("damaged: the padding behind a signature is not zero")
        yield StoredSignature(header.time, area[start:end])


def _check_version(version: int) -> None:
    if version != layout.VERSION:
        raise FormatError(
            f"has format version {version}, this smolpack knows {layout.VERSION}; "
            "use the smolpack that made it, or pack it again"
        )


def _table_size(section_count: int) -> int:
    return layout.Table.disk_size() + section_count * layout.Section.disk_size()


def _copy(content: BinaryIO, out: BinaryIO) -> Iterator[bytes]:
    """Copies to the end; yields every piece once it is written."""
    while piece := content.read(hashtree.PIECE_SIZE):
        out.write(piece)
        yield piece


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise FormatError("truncated while it was read")
    return data


def _pad(out: BinaryIO) -> int:
    """Zeroes up to the next page boundary; returns it."""
    offset = out.tell()
    out.write(bytes(layout.align(offset) - offset))
    return layout.align(offset)
