"""A vmlinux becomes the kernel section: a flat memory image in compressed frames.

`python -m smolpack.kernel VMLINUX --out FILE` makes the packaged asset and, beside it, its
description (see assets.py).
"""

import argparse
import hashlib
import json
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from smolpack import format as layout
from smolpack.errors import FormatError, KernelError, SmolpackError

DEFAULT_FRAMES = 4
COMPRESSION_LEVEL = 19
MAX_MEMORY = 256 << 20

_ELF_HEADER = struct.Struct("<4sBBBBQ HHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_NOTE_HEADER = struct.Struct("<III")
_CLASS_64, _DATA_LITTLE_ENDIAN = 2, 1
_PT_LOAD, _PT_NOTE = 1, 4
_XEN_ELFNOTE_PHYS32_ENTRY = 18
_MACHINES = {62: layout.Arch.X86_64}
_BANNER = re.compile(rb"Linux version (\S{1,128}) ")


@dataclass(frozen=True)
class Image:
    """A kernel as it stands in guest memory.

    `data` belongs at `load_address`, zeroed memory up to `memory_size` bytes follows it; the
    boot CPU starts at `entry` (PVH: 32-bit protected mode). Addresses are guest physical.
    """

    arch: layout.Arch
    load_address: int
    entry: int
    data: bytes
    memory_size: int

    @property
    def version(self) -> str | None:
        """The release that the kernel reports of itself, like `6.12.48`."""
        match = _BANNER.search(self.data)
        return match[1].decode("ascii", "replace") if match else None


@dataclass(frozen=True)
class _Segment:
    type: int
    offset: int
    address: int
    file_size: int
    memory_size: int


def read_vmlinux(elf: bytes) -> Image:
    """Flattens the PT_LOAD segments of an ELF vmlinux by physical address.

    Raises KernelError for anything that is not a PVH-bootable kernel (ELF note 18 of owner Xen,
    see the Xen x86 HVM direct boot ABI).
    """
    arch, segments = _parse(elf)
    loads = sorted((s for s in segments if s.type == _PT_LOAD and s.memory_size), key=_address)
    if not loads:
        raise KernelError("not a kernel: it has no loadable segment")
    start = loads[0].address
    end = max(s.address + s.memory_size for s in loads)
    if start % layout.PAGE_SIZE:
        raise KernelError(f"its load address {start:#x} is not page-aligned")
    if end - start > MAX_MEMORY:
        raise KernelError(f"it spans {end - start} bytes of memory, {MAX_MEMORY} are allowed")
    data = bytearray(max(s.address + s.file_size for s in loads) - start)
    filled = start
    for segment in loads:
        if segment.address < filled:
            raise KernelError("its segments overlap in memory")
        filled = segment.address + segment.memory_size
        at = segment.address - start
        data[at : at + segment.file_size] = _content(elf, segment)
    entry = _pvh_entry(elf, segments)
    if not start <= entry < start + len(data):
        raise KernelError(f"its PVH entry point {entry:#x} is outside its segments")
    return Image(arch, start, entry, bytes(data), end - start)


def encode(
    image: Image,
    frames: int = DEFAULT_FRAMES,
    encoding: layout.Encoding = layout.Encoding.ZSTD,
) -> bytes:
    """The kernel section's bytes, the image cut into `frames` pieces of whole pages."""
    piece = layout.align(-(-len(image.data) // frames))
    starts = range(0, len(image.data), piece)
    compressor = zstandard.ZstdCompressor(
        level=COMPRESSION_LEVEL, write_checksum=False, write_content_size=True, threads=0
    )
    header = layout.Kernel(
        load_address=image.load_address,
        entry=image.entry,
        image_size=len(image.data),
        memory_size=image.memory_size,
        encoding=encoding,
        frame_count=len(starts),
    )
    offset = header.disk_size() + len(starts) * layout.Frame.disk_size()
    index, stored = [], []
    for start in starts:
        content = image.data[start : start + piece]
        data = compressor.compress(content) if encoding == layout.Encoding.ZSTD else content
        frame = layout.Frame(
            offset=offset, size=len(data), image_offset=start, image_size=len(content)
        )
        index.append(frame.pack())
        stored.append(data)
        offset += len(data)
    return b"".join([header.pack(), *index, *stored])


def check_section(file: BinaryIO, offset: int, size: int) -> layout.Kernel:
    """Reads and checks header and frame index of the kernel section of `size` bytes at `offset`
    of `file`; raises FormatError naming the first defect."""
    file.seek(offset)
    header = layout.Kernel.unpack(file.read(min(size, layout.Kernel.disk_size())))
    image_end = header.load_address + header.image_size
    if header.load_address % layout.PAGE_SIZE:
        raise FormatError("damaged: the kernel's load address is not page-aligned")
    if not header.load_address <= header.entry < image_end:
        raise FormatError("damaged: the kernel's entry point is outside its image")
    if header.memory_size < header.image_size:
        raise FormatError("damaged: the kernel needs less memory than its image has")
    if header.encoding not in list(layout.Encoding):
        raise FormatError(f"made by a newer smolpack: unknown kernel encoding {header.encoding}")
    if not 1 <= header.frame_count <= layout.MAX_FRAMES:
        raise FormatError(f"damaged: the kernel has {header.frame_count} frames")
    stored_at = header.disk_size() + header.frame_count * layout.Frame.disk_size()
    filled = 0
    for _ in range(header.frame_count):
        frame = layout.Frame.unpack(file.read(layout.Frame.disk_size()))
        if frame.offset < stored_at or frame.offset + frame.size > size:
            raise FormatError("damaged: a frame of the kernel is outside its section")
        if frame.image_offset != filled:
            raise FormatError("damaged: the kernel's frames leave a gap")
        if header.encoding == layout.Encoding.RAW and frame.size != frame.image_size:
            raise FormatError("damaged: a raw frame of the kernel has a wrong size")
        filled += frame.image_size
    if filled != header.image_size:
        raise FormatError("damaged: the kernel's frames do not add up to its image")
    return header


def _address(segment: _Segment) -> int:
    return segment.address


def _parse(elf: bytes) -> tuple[layout.Arch, list[_Segment]]:
    if not elf.startswith(b"\x7fELF"):
        hint = "a bzImage; give the uncompressed vmlinux" if elf[0x202:0x206] == b"HdrS" else ""
        raise KernelError(f"not an ELF file{': it is ' + hint if hint else ''}")
    if len(elf) < _ELF_HEADER.size:
        raise KernelError("truncated ELF header")
    header = _ELF_HEADER.unpack_from(elf)
    machine, table, entry_size, count = header[7], header[10], header[14], header[15]
    if header[1] != _CLASS_64 or header[2] != _DATA_LITTLE_ENDIAN or machine not in _MACHINES:
        raise KernelError("not a 64-bit x86 ELF file")
    if count and (entry_size != _PROGRAM_HEADER.size or table + count * entry_size > len(elf)):
        raise KernelError("truncated or damaged ELF program header table")
    segments = []
    for i in range(count):
        fields = _PROGRAM_HEADER.unpack_from(elf, table + i * entry_size)
        kind, _, offset, _, address, file_size, memory_size, _ = fields
        segment = _Segment(kind, offset, address, file_size, memory_size)
        if kind in (_PT_LOAD, _PT_NOTE) and offset + file_size > len(elf):
            raise KernelError("truncated: a segment reaches beyond the end of the file")
        if kind == _PT_LOAD and file_size > memory_size:
            raise KernelError("damaged: a segment is larger in the file than in memory")
        segments.append(segment)
    return _MACHINES[machine], segments


def _content(elf: bytes, segment: _Segment) -> bytes:
    return elf[segment.offset : segment.offset + segment.file_size]


def _pvh_entry(elf: bytes, segments: list[_Segment]) -> int:
    for segment in segments:
        if segment.type != _PT_NOTE:
            continue
        notes = _content(elf, segment)
        position = 0
        while position + _NOTE_HEADER.size <= len(notes):
            name_size, value_size, kind = _NOTE_HEADER.unpack_from(notes, position)
            name_at = position + _NOTE_HEADER.size
            value_at = name_at + name_size + -name_size % 4
            value = notes[value_at : value_at + value_size]
            if kind == _XEN_ELFNOTE_PHYS32_ENTRY and notes[name_at : name_at + 4] == b"Xen\0":
                if len(value) not in (4, 8):
                    raise KernelError("damaged: its PVH entry note has a wrong size")
                return int.from_bytes(value, "little")
            position = value_at + value_size + -value_size % 4
    raise KernelError("it has no PVH entry note; build the kernel with CONFIG_PVH=y")


def load(path: Path) -> Image:
    """read_vmlinux() of a file; every KernelError names it."""
    try:
        return read_vmlinux(path.read_bytes())
    except OSError as error:
        raise KernelError(f"{path}: cannot read: {error.strerror}") from error
    except KernelError as error:
        raise KernelError(f"{path}: {error}") from error


def _main() -> None:
    parser = argparse.ArgumentParser(prog="smolpack.kernel", description=__doc__)
    parser.add_argument("vmlinux", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the kernel section")
    parser.add_argument("--config", type=Path, help="the .config it was built with")
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES)
    parser.add_argument("--encoding", choices=[e.label for e in layout.Encoding], default="zstd")
    options = parser.parse_args()
    if not 1 <= options.frames <= layout.MAX_FRAMES:
        parser.error(f"--frames: 1 to {layout.MAX_FRAMES}")
    try:
        image = load(options.vmlinux)
    except SmolpackError as error:
        sys.exit(f"smolpack.kernel: error: {error}")
    section = encode(image, options.frames, layout.Encoding[options.encoding.upper()])
    about = {"arch": image.arch.label, "version": image.version}
    if options.config is not None:
        about["config_sha256"] = hashlib.sha256(options.config.read_bytes()).hexdigest()
    options.out.write_bytes(section)
    options.out.with_suffix(".json").write_text(json.dumps(about, indent=4) + "\n")


if __name__ == "__main__":
    _main()
