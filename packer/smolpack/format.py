"""The layout of a packed machine: the only Python copy of stub/format.h (a test compares both).

docs/format.md draws the file and explains every field. All integers are little-endian.
"""

import dataclasses
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Self

from smolpack.errors import FormatError

VERSION = 2
PAGE_SIZE = 4096
MAX_SECTIONS = 16
MAX_FRAMES = 16
MAX_CONFIG = 1 << 20
MAX_SIGNATURES = 64 << 10
HASH_SIZE = 32
CHUNK_SIZE = 64 << 10
HASH_BLOCK = 4096
HASH_CHUNK = b"smolpack chunk\0\0"
HASH_NODE = b"smolpack node\0\0\0"
NAMESPACE = b"smolpack"
TRAILER_MAGIC = b"\x8aSMOLVM\n"
TABLE_MAGIC = b"\x8aSMOLTB\n"


class _Labelled(IntEnum):
    @property
    def label(self) -> str:
        """Its name in messages, tables, options and paths."""
        return self.name.lower()


class Arch(_Labelled):
    """The guest's (and so the launcher's) instruction set."""

    X86_64 = 1
    AARCH64 = 2


class SectionType(_Labelled):
    """What a section holds; each stands in a file at most once."""

    LAUNCHER = 1
    KERNEL = 2
    INITRAMFS = 3
    ROOTFS = 4
    CONFIG = 5
    SBOM = 6
    HASHES = 7


class Encoding(_Labelled):
    """How the frames of a kernel are stored."""

    RAW = 0
    ZSTD = 1


def _member(code: str, default: Any = dataclasses.MISSING) -> Any:
    """A struct member: its `struct` format code, and its value where it has only one."""
    return dataclasses.field(default=default, metadata={"code": code})


@dataclass(frozen=True, kw_only=True)
class Record:
    """A fixed-size on-disk struct. Members named reserved* are zero in this version."""

    C_STRUCT: ClassVar[str]

    @classmethod
    def members(cls) -> Iterator[tuple[str, int, int]]:
        """Yields (name, offset, size in bytes) of every member, in order."""
        offset = 0
        for field in dataclasses.fields(cls):
            size = struct.calcsize("<" + field.metadata["code"])
            yield field.name, offset, size
            offset += size

    @classmethod
    def disk_size(cls) -> int:
        """Bytes on disk."""
        return struct.calcsize(cls._codes())

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Reads the struct at the start of `data`; raises FormatError when it is cut short or
        has a reserved member that is not zero."""
        if len(data) < cls.disk_size():
            raise FormatError(f"damaged: {cls.C_STRUCT} is cut short")
        names = [field.name for field in dataclasses.fields(cls)]
        values = dict(zip(names, struct.unpack_from(cls._codes(), data), strict=True))
        for name, value in values.items():
            if name.startswith("reserved") and any(value if isinstance(value, bytes) else [value]):
                raise FormatError(f"damaged, or made by a newer smolpack: {name} is not zero")
        return cls(**values)

    def pack(self) -> bytes:
        """The struct's bytes on disk."""
        fields = dataclasses.fields(self)
        return struct.pack(self._codes(), *(getattr(self, field.name) for field in fields))

    @classmethod
    def _codes(cls) -> str:
        return "<" + "".join(field.metadata["code"] for field in dataclasses.fields(cls))


@dataclass(frozen=True, kw_only=True)
class Trailer(Record):
    """The last 64 bytes of the file."""

    C_STRUCT = "format_trailer"

    magic: bytes = _member("8s", TRAILER_MAGIC)
    version: int = _member("I", VERSION)
    reserved0: int = _member("I", 0)
    table_offset: int = _member("Q")
    table_size: int = _member("Q")
    file_size: int = _member("Q")
    signatures_size: int = _member("Q", 0)
    reserved1: bytes = _member("16s", b"")


@dataclass(frozen=True, kw_only=True)
class Table(Record):
    """Starts the table; `section_count` sections follow it."""

    C_STRUCT = "format_table"

    magic: bytes = _member("8s", TABLE_MAGIC)
    version: int = _member("I", VERSION)
    arch: int = _member("I")
    section_count: int = _member("I")
    reserved0: int = _member("I", 0)
    reserved1: bytes = _member("40s", b"")


@dataclass(frozen=True, kw_only=True)
class Section(Record):
    """Where a section stands. `size` is without the padding that follows it."""

    C_STRUCT = "format_section"

    type: int = _member("I")
    reserved0: int = _member("I", 0)
    offset: int = _member("Q")
    size: int = _member("Q")
    root: bytes = _member("32s")
    tree_offset: int = _member("Q")


@dataclass(frozen=True, kw_only=True)
class Signature(Record):
    """Starts every signature; a blob of `size` bytes follows. `time` counts seconds since 1970."""

    C_STRUCT = "format_signature"

    time: int = _member("Q")
    size: int = _member("I")
    reserved: int = _member("I", 0)


@dataclass(frozen=True, kw_only=True)
class Kernel(Record):
    """Starts the kernel section; `frame_count` frames follow it. Addresses are guest physical."""

    C_STRUCT = "format_kernel"

    load_address: int = _member("Q")
    entry: int = _member("Q")
    image_size: int = _member("Q")
    memory_size: int = _member("Q")
    encoding: int = _member("I")
    frame_count: int = _member("I")
    reserved: bytes = _member("24s", b"")


@dataclass(frozen=True, kw_only=True)
class Frame(Record):
    """One piece of the kernel image; `offset` counts from the section's start."""

    C_STRUCT = "format_frame"

    offset: int = _member("Q")
    size: int = _member("Q")
    image_offset: int = _member("Q")
    image_size: int = _member("Q")


RECORDS: tuple[type[Record], ...] = (Trailer, Table, Section, Signature, Kernel, Frame)


def align(offset: int) -> int:
    """The first page boundary at or after `offset`."""
    return -(-offset // PAGE_SIZE) * PAGE_SIZE
