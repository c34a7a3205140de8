"""How roots are compressed: levels and block sizes beside each other, packing, size and reading.

Packing counts processor time, which other work on the machine changes least. Reading is done by a
machine's guest, under KVM where that works, else under QEMU: files in /usr one after the other, and
a program's start with nothing of it in memory. The level hardly matters for that.
"""

import json
import resource
from dataclasses import dataclass
from pathlib import Path

from roots import distribution

from bench import machines
from bench.image_packing import recipe, tar2sqfs
from bench.table import Row, of_samples
from smolpack import rootfs
from smolpack.format import SectionType

KIB = 1 << 10
ROUNDS = 3
READING_LEVEL = 9
READING_SIZES = (64, 128, 256, 512, 1024)
IMAGE = machines.BUILD / "compressed.squashfs"

# What starts, in each image.
PROGRAMS = {
    "slim": "perl -MPOSIX -MFile::Find -e 1",
    "python": "python3 -c 'import numpy, requests'",
    "node": "node -e 'require(\"express\")'",
}
FILES = 1500
SCRIPT = """
mount -t proc proc /proc 2>/dev/null
now() { set -- $(cat /proc/uptime); echo ${1%.*}${1#*.}; }
cold() { sync; echo 3 > /proc/sys/vm/drop_caches; }
cold; a=$(now); find /usr -xdev -type f | head -n FILES | xargs -d "\n" cat > /dev/null; b=$(now)
cold; c=$(now); PROGRAM; d=$(now)
echo "[$((10#$b - 10#$a)), $((10#$d - 10#$c))]"
"""


@dataclass(frozen=True)
class Way:
    """A compression level of zstd and a block size in bytes."""

    level: int
    block_size: int

    def __str__(self) -> str:
        return f"level {self.level}, {self.block_size // KIB} KiB"


@dataclass(frozen=True)
class Cost:
    """Processor seconds to pack, and bytes."""

    packing: float
    size: int


OTHER = Way(15, 128 * KIB)  # tar2sqfs's own
OURS = Way(rootfs.COMPRESSION_LEVEL, rootfs.BLOCK_SIZE)
WAYS = (
    *(Way(level, 128 * KIB) for level in (6, 9, 12, 14)),
    *(Way(level, 256 * KIB) for level in (6, 9, 10, 11, 12)),
    *(Way(level, 512 * KIB) for level in (6, 9)),
)


def rows() -> list[Row]:
    """For each image what packing costs, and what reading does."""
    return [row for name in distribution.PACKAGES for row in (*_packing(name), *_reading(name))]


def _packing(name: str) -> list[Row]:
    flat = recipe(distribution.flat, name)
    costs = {way: _pack(flat, way, IMAGE) for way in dict.fromkeys([OTHER, OURS, *WAYS])}
    other = costs.pop(OTHER)
    figures = [
        *(
            (f"{name}: size", way, "MB", cost.size / 1e6, other.size / 1e6)
            for way, cost in costs.items()
        ),
        *(
            (f"{name}: packing, processor time", way, "s", cost.packing, other.packing)
            for way, cost in costs.items()
        ),
    ]
    return [
        Row(group, f"{way} (ours)" if way == OURS else str(way), value, unit, 1, str(OTHER), base)
        for group, way, unit, value, base in figures
    ]


def _pack(flat: Path, way: Way, out: Path) -> Cost:
    options = ("--comp-extra", f"level={way.level}", "--block-size", str(way.block_size))
    before = _processor_time()
    tar2sqfs(flat, out, *options)
    return Cost(_processor_time() - before, out.stat().st_size)


def _reading(name: str) -> list[Row]:
    files = {size: _machine(name, size) for size in READING_SIZES}
    samples: dict[int, list[tuple[float, float]]] = {size: [] for size in files}
    for _ in range(ROUNDS):
        for size, file in files.items():
            samples[size].append(_read(name, file))
    for file in files.values():
        file.unlink()
    ours = OURS.block_size // KIB
    titles = (f"{name}: guest reads files", f"{name}: guest starts a program")
    return [
        of_samples(
            titles[which],
            f"{size} KiB",
            [sample[which] for sample in samples[size]],
            "s",
            (f"{ours} KiB (ours)", [sample[which] for sample in samples[ours]]),
            min,
        )
        for which in range(len(titles))
        for size in READING_SIZES
        if size != ours
    ]


def _machine(name: str, size: int) -> Path:
    """A machine with an image's root in blocks of `size` KiB."""
    _pack(recipe(distribution.flat, name), Way(READING_LEVEL, size * KIB), IMAGE)
    out = machines.BUILD / f"compressed-{size}.vm"
    return machines.rebuilt(out, {SectionType.ROOTFS: IMAGE.read_bytes()})


def _read(name: str, machine: Path) -> tuple[float, float]:
    """Seconds to read and to start, as the guest's clock has them."""
    script = SCRIPT.replace("PROGRAM", PROGRAMS[name]).replace("FILES", str(FILES))
    command = [str(machine), "--vm-mem", "2G", "--vm-entrypoint", "/bin/bash", "-c", script]
    reading, starting = json.loads(machines.run(command))
    return reading / 100, starting / 100


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
