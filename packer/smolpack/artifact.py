"""Write and read a packed machine. docs/format.md explains what a reader must refuse."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from smolpack import format as layout
from smolpack.errors import FormatError
from smolpack.format import SectionType

_COPY_CHUNK = 1 << 20


@dataclass(frozen=True)
class Section:
    """A checked section: it lies inside the file and overlaps nothing. Offset and size in bytes."""

    type: SectionType
    offset: int
    size: int


@dataclass(frozen=True)
class Artifact:
    """A checked packed machine; `file_size` in bytes, sections in file order, one of each type."""

    arch: layout.Arch
    file_size: int
    sections: tuple[Section, ...]

    def section(self, kind: SectionType) -> Section:
        """The section of that type; a checked artifact has every one."""
        return next(section for section in self.sections if section.type == kind)


def write(
    out: BinaryIO, arch: layout.Arch, sections: Iterable[tuple[SectionType, BinaryIO]]
) -> Artifact:
    """Writes a whole file to `out`; each section is copied from its stream's position on. The
    launcher must come first, the result is what read() returns for it."""
    written = []
    for kind, content in sections:
        offset = _pad(out)
        shutil.copyfileobj(content, out, _COPY_CHUNK)
        written.append(Section(kind, offset, out.tell() - offset))
    table_offset = _pad(out)
    out.write(layout.Table(arch=arch, section_count=len(written)).pack())
    for section in written:
        out.write(
            layout.Section(type=section.type, offset=section.offset, size=section.size).pack()
        )
    table_end = out.tell()
    file_size = table_end + layout.Trailer.disk_size()
    trailer = layout.Trailer(
        table_offset=table_offset, table_size=table_end - table_offset, file_size=file_size
    )
    out.write(trailer.pack())
    return Artifact(arch, file_size, tuple(written))


def read(file: BinaryIO) -> Artifact:
    """Reads and checks trailer and table; raises FormatError naming the first defect."""
    file_size = file.seek(0, os.SEEK_END)
    trailer_size = layout.Trailer.disk_size()
    if file_size < trailer_size:
        raise FormatError("not a packed machine: it is too short")
    table_end = file_size - trailer_size
    raw_trailer = _read_at(file, table_end, trailer_size)
    if not raw_trailer.startswith(layout.TRAILER_MAGIC):
        raise FormatError("not a packed machine, or truncated: it does not end with a trailer")
    _check_version(int.from_bytes(raw_trailer[8:12], "little"))
    trailer = layout.Trailer.unpack(raw_trailer)
    if trailer.file_size != file_size:
        raise FormatError(
            f"truncated, or something was added: it has {file_size} bytes, "
            f"its trailer says {trailer.file_size}"
        )
    if trailer.table_offset % layout.PAGE_SIZE:
        raise FormatError("damaged: the table is not page-aligned")
    if trailer.table_offset + trailer.table_size != table_end:
        raise FormatError("damaged: the table does not end at the trailer")
    if trailer.table_size > _table_size(layout.MAX_SECTIONS):
        raise FormatError("damaged: the table is too large")
    raw_table = _read_at(file, trailer.table_offset, trailer.table_size)
    if not raw_table.startswith(layout.TABLE_MAGIC):
        raise FormatError("damaged: there is no table where the trailer says")
    table = layout.Table.unpack(raw_table)
    _check_version(table.version)
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
    return Artifact(layout.Arch(table.arch), file_size, sections)


def read_section(file: BinaryIO, section: Section) -> bytes:
    """A section's bytes, without padding."""
    return _read_at(file, section.offset, section.size)


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


def _check_sections(entries: list[layout.Section], limit: int) -> tuple[Section, ...]:
    """Every entry lies before `limit`, in ascending order, and every type is there once."""
    sections: list[Section] = []
    end = 0
    for entry in entries:
        if entry.type not in list(SectionType):
            raise FormatError(f"made by a newer smolpack: unknown section type {entry.type}")
        kind = SectionType(entry.type)
        name = kind.name.lower()
        if any(kind == section.type for section in sections):
            raise FormatError(f"damaged: there are two {name} sections")
        if entry.offset % layout.PAGE_SIZE:
            raise FormatError(f"damaged: the {name} section is not page-aligned")
        if entry.size == 0:
            raise FormatError(f"damaged: the {name} section is empty")
        if entry.offset < end:
            raise FormatError(f"damaged: the {name} section overlaps another or is out of order")
        end = entry.offset + entry.size
        if end > limit:
            raise FormatError(f"damaged: the {name} section reaches beyond its place in the file")
        if kind == SectionType.CONFIG and entry.size > layout.MAX_CONFIG:
            raise FormatError("damaged: the config section is too large")
        sections.append(Section(kind, entry.offset, entry.size))
    missing = [kind.name.lower() for kind in SectionType if kind not in {s.type for s in sections}]
    if missing:
        raise FormatError(f"damaged: there is no {missing[0]} section")
    if sections[0] != Section(SectionType.LAUNCHER, 0, sections[0].size):
        raise FormatError("damaged: the launcher is not at the start of the file")
    return tuple(sections)


def _check_version(version: int) -> None:
    if version != layout.VERSION:
        raise FormatError(
            f"has format version {version}, this smolpack knows {layout.VERSION}; "
            "use the smolpack that made it, or pack it again"
        )


def _table_size(section_count: int) -> int:
    return layout.Table.disk_size() + section_count * layout.Section.disk_size()


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
