"""How the kernel could be stored: size, time to inflate, and exec to the first KVM_RUN for each.

The launcher's own code inflates all of them. LZ4 blocks stand in frames like those of zstd, and a
launcher with LZ4 linked in place of zstd reads them.
"""

import ctypes
import dataclasses
from pathlib import Path

from bench import first_entry, machines
from bench.errors import BenchError
from bench.table import Row
from smolpack import format as layout
from smolpack import kernel
from smolpack.format import Encoding, SectionType

GROUP = "kernel as stored"
ZSTD_FRAMES = (1, 2, 4, 8)
LZ4_FRAMES = (1, 4)
BASE = "zstd, 1 frame"
LZ4_LAUNCHER = machines.BUILD / "first-entry-lz4"
LZ4_LEVEL = 12
MIB = 1 << 20


def rows() -> list[Row]:
    """Every format beside one whole zstd frame."""
    variants = _variants()
    paths = {name: _machine(name, section) for name, section in variants.items()}
    warm = first_entry.measure(paths)
    cold = first_entry.measure(paths, cold=True)
    base = len(variants[BASE]) / MIB
    return [
        *(
            Row(GROUP, f"{name}: size", len(section) / MIB, "MiB", 1, BASE, base)
            for name, section in variants.items()
        ),
        *_timed("inflation", first_entry.inflation(paths)),
        *_timed("first KVM_RUN", {name: [s.total for s in warm[name]] for name in warm}),
        *_timed("first KVM_RUN, from disk", {name: [s.total for s in cold[name]] for name in cold}),
    ]


def _timed(title: str, samples: dict[str, list[float]]) -> list[Row]:
    base = (BASE, samples[BASE])
    return [
        first_entry.best(GROUP, f"{name}: {title}", values, base)
        for name, values in samples.items()
    ]


def _variants() -> dict[str, bytes]:
    image = kernel.load(machines.VMLINUX)
    raw = {"raw": kernel.encode(image, 1, Encoding.RAW)}
    zstd = {f"zstd, {_frames(count)}": kernel.encode(image, count) for count in ZSTD_FRAMES}
    lz4 = {
        f"lz4, {_frames(count)}": _lz4(kernel.encode(image, count, Encoding.RAW))
        for count in LZ4_FRAMES
    }
    return raw | zstd | lz4


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _machine(name: str, section: bytes) -> Path:
    launcher = LZ4_LAUNCHER if name.startswith("lz4") else first_entry.LAUNCHER
    return machines.rebuilt(
        machines.BUILD / f"first-entry-{name.replace(', ', '-').replace(' ', '-')}.vm",
        {SectionType.LAUNCHER: launcher.read_bytes(), SectionType.KERNEL: section},
    )


def _lz4(raw: bytes) -> bytes:
    """A raw kernel section with its frames as LZ4 blocks, which the launcher is told are zstd."""
    header = layout.Kernel.unpack(raw)
    start, step = layout.Kernel.disk_size(), layout.Frame.disk_size()
    frames = [layout.Frame.unpack(raw[start + i * step :]) for i in range(header.frame_count)]
    blocks = [_lz4_block(raw[frame.offset : frame.offset + frame.size]) for frame in frames]
    index, offset = [], frames[0].offset
    for frame, block in zip(frames, blocks, strict=True):
        index.append(dataclasses.replace(frame, offset=offset, size=len(block)).pack())
        offset += len(block)
    head = dataclasses.replace(header, encoding=Encoding.ZSTD)
    return b"".join([head.pack(), *index, *blocks])


def _lz4_block(data: bytes) -> bytes:
    library = ctypes.CDLL(str(machines.BUILD / "liblz4.so"))
    room = library.LZ4_compressBound(len(data))
    out = ctypes.create_string_buffer(room)
    size = library.LZ4_compress_HC(data, out, len(data), room, LZ4_LEVEL)
    if size <= 0:
        raise BenchError("LZ4 could not compress the kernel")
    return out.raw[:size]
