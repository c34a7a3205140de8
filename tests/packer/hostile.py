"""Machines that no packer makes: with names in the root file system that should not be there."""

import io
import struct
from pathlib import Path

import zstandard

from smolpack import artifact
from smolpack.format import SectionType

# squashfs 4.0: where the superblock says that directories start; a block's header.
_DIRECTORY_TABLE = struct.Struct("<Q")
_DIRECTORY_TABLE_AT = 72
_BLOCK = struct.Struct("<H")
_STORED = 0x8000


def rename_in_image(image: bytes, old: bytes, new: bytes) -> bytes:
    """An image of one directory block where the name `old` is `new`, of the same length."""
    assert len(old) == len(new)
    (at,) = _DIRECTORY_TABLE.unpack_from(image, _DIRECTORY_TABLE_AT)
    (header,) = _BLOCK.unpack_from(image, at)
    size = header & ~_STORED
    start = at + _BLOCK.size
    block = image[start : start + size]
    if not header & _STORED:
        block = zstandard.ZstdDecompressor().decompress(block, max_output_size=8192)
    assert block.count(old) == 1
    block = block.replace(old, new)
    if not header & _STORED:
        block = zstandard.ZstdCompressor(level=22).compress(block)
    assert len(block) <= size, "choose names that compress as well"
    header = len(block) | (header & _STORED)
    return image[:at] + _BLOCK.pack(header) + block + image[start + len(block) :]


def rename(machine: Path, old: bytes, new: bytes, out: Path) -> Path:
    """`machine` with a name in its root file system changed; everything else fits, hashes too."""
    with machine.open("rb") as file, out.open("w+b") as target:
        contents = artifact.read(file)
        sections = []
        for section in contents.sections:
            if section.type == SectionType.HASHES:
                continue
            data = artifact.read_section(file, section)
            if section.type == SectionType.ROOTFS:
                data = rename_in_image(data, old, new)
            sections.append((section.type, io.BytesIO(data)))
        artifact.write(target, contents.arch, sections)
    return out


def damage(machine: Path, kind: SectionType) -> None:
    """Flips the first bit of a section."""
    with machine.open("r+b") as file:
        section = artifact.read(file).section(kind)
        file.seek(section.offset)
        (byte,) = file.read(1)
        file.seek(section.offset)
        file.write(bytes([byte ^ 1]))
