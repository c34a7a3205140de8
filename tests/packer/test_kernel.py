"""A vmlinux becomes a flat image in frames; everything else is refused."""

import contextlib
import hashlib
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from smolpack import format as layout
from smolpack import kernel
from smolpack.errors import FormatError, KernelError
from support import BANNER, PVH_ENTRY, make_vmlinux

BASE = 0x100_0000


def inflate(section: bytes) -> bytes:
    header = layout.Kernel.unpack(section)
    image = b""
    for i in range(header.frame_count):
        frame = layout.Frame.unpack(section[64 + 32 * i :])
        assert frame.image_offset == len(image)
        stored = section[frame.offset : frame.offset + frame.size]
        if header.encoding == layout.Encoding.ZSTD:
            stored = zstandard.ZstdDecompressor().decompress(stored)
        assert len(stored) == frame.image_size
        image += stored
    assert len(image) == header.image_size
    return image


def test_segments_are_flattened_by_physical_address() -> None:
    elf = make_vmlinux(((BASE + 0x3000, b"data", 0x2000), (BASE, b"text" * 10, 40)))
    image = kernel.read_vmlinux(elf)
    assert image.load_address == BASE
    assert image.entry == PVH_ENTRY
    assert image.data == b"text" * 10 + bytes(0x3000 - 40) + b"data"
    assert image.memory_size == 0x5000


def test_version_is_the_banner() -> None:
    assert kernel.read_vmlinux(make_vmlinux(((BASE, BANNER, 200),))).version == "6.12.1-test"
    assert kernel.read_vmlinux(make_vmlinux()).version is None


@pytest.mark.parametrize("frames", [1, 2, 4, 16])
@pytest.mark.parametrize("encoding", layout.Encoding)
def test_frames_hold_the_image(frames: int, encoding: layout.Encoding) -> None:
    content = bytes(range(256)) * 1000
    image = kernel.read_vmlinux(make_vmlinux(((BASE, content, 1 << 20),)))
    section = kernel.encode(image, frames, encoding)
    header = layout.Kernel.unpack(section)
    assert header.frame_count == frames
    assert header.memory_size == 1 << 20
    assert inflate(section) == content
    assert section == kernel.encode(image, frames, encoding)


def test_frames_say_their_content_size_and_carry_no_checksum() -> None:
    section = kernel.encode(kernel.read_vmlinux(make_vmlinux()), frames=1)
    frame = layout.Frame.unpack(section[64:])
    parameters = zstandard.get_frame_parameters(section[frame.offset :])
    assert parameters.content_size == frame.image_size
    assert not parameters.has_checksum


def test_a_small_image_has_fewer_frames() -> None:
    section = kernel.encode(kernel.read_vmlinux(make_vmlinux()), frames=16)
    assert layout.Kernel.unpack(section).frame_count == 2
    assert inflate(section) == b"\x90" * 5000


GOOD = make_vmlinux()


@pytest.mark.parametrize(
    ("elf", "message"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (bytes(0x202) + b"HdrS", "bzImage"),
        (GOOD[:40], "truncated"),
        (GOOD[:100], "truncated"),
        (GOOD[:2000], "truncated"),
        (make_vmlinux(machine=183), "not a 64-bit x86"),
        (make_vmlinux(note=None), "CONFIG_PVH"),
        (make_vmlinux(segments=()), "no loadable segment"),
        (make_vmlinux(((BASE + 1, b"x" * 64, 64),)), "not page-aligned"),
        (make_vmlinux(((BASE, b"x" * 64, 64), (BASE + 32, b"y", 1))), "overlap"),
        (make_vmlinux(((BASE, b"x" * 64, 1 << 40),)), "spans"),
        (make_vmlinux(((BASE, b"x" * 64, 32),)), "larger in the file"),
        (make_vmlinux(note=struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 5)), "outside"),
        (make_vmlinux(note=struct.pack("<III4sH", 4, 2, 18, b"Xen\0", 5)), "wrong size"),
        (make_vmlinux(note=struct.pack("<III4sI", 4, 4, 18, b"GNU\0", 5)), "CONFIG_PVH"),
    ],
)
def test_foreign_and_damaged(elf: bytes, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        kernel.read_vmlinux(elf)


@given(
    st.lists(st.tuples(st.integers(0, 240), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 60),
)
def test_hostile(changes: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(GOOD)
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    with contextlib.suppress(KernelError):
        kernel.encode(kernel.read_vmlinux(bytes(data[: len(data) - cut])))


def test_checked_header_is_what_was_encoded() -> None:
    section = kernel.encode(kernel.read_vmlinux(make_vmlinux()))
    header = kernel.check_section(io.BytesIO(section), 0, len(section))
    assert header == layout.Kernel.unpack(section)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, BASE + 1, "not page-aligned"),
        (8, BASE - 1, "entry point"),
        (16, 0, "entry point"),
        (16, 5001, "add up"),
        (24, 4999, "memory"),
        (32, 2, "encoding"),
        (36, 0, "frames"),
        (36, 17, "frames"),
        (40, 1, "reserved"),
        (64, 0, "outside"),
        (72, 1 << 63, "outside"),
        (80, 1, "gap"),
        (88, 1 << 63, "add up"),
    ],
)
def test_defects_of_the_section(offset: int, value: int, message: str) -> None:
    section = bytearray(kernel.encode(kernel.read_vmlinux(make_vmlinux()), frames=1))
    size = 4 if offset in (32, 36) else 8
    section[offset : offset + size] = value.to_bytes(size, "little")
    with pytest.raises(FormatError, match=message):
        kernel.check_section(io.BytesIO(section), 0, len(section))


def test_raw_frames_are_as_large_as_what_they_hold() -> None:
    image = kernel.read_vmlinux(make_vmlinux())
    section = bytearray(kernel.encode(image, 1, layout.Encoding.RAW))
    section[72:80] = (4999).to_bytes(8, "little")
    with pytest.raises(FormatError, match="raw"):
        kernel.check_section(io.BytesIO(section), 0, len(section))


def test_command(vmlinux: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "kernel", tmp_path / ".config"
    config.write_text("CONFIG_PVH=y\n")
    command = [sys.executable, "-m", "smolpack.kernel", str(vmlinux), "--out", str(out)]
    subprocess.run([*command, "--config", str(config), "--frames", "2"], check=True)
    assert out.read_bytes() == kernel.encode(kernel.load(vmlinux), 2)
    assert json.loads((tmp_path / "kernel.json").read_text()) == {
        "arch": "x86_64",
        "version": "6.12.1-test",
        "config_sha256": hashlib.sha256(config.read_bytes()).hexdigest(),
    }


def test_command_names_the_file(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "smolpack.kernel",
        "/bin/sh",
        "--out",
        str(tmp_path / "kernel"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "smolpack.kernel: error: /bin/sh: it has no PVH entry note; "
        "build the kernel with CONFIG_PVH=y\n"
    )
    assert not (tmp_path / "kernel").exists()
