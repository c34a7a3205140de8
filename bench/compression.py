"""How roots are compressed: levels and block sizes beside each other, packing, size and reading.

Packing counts processor time, which other work on the machine changes least. Reading is done by a
machine's guest, under KVM where that works, else under QEMU: everything in /usr one file after the
other, and a program's start with nothing of it in memory.
"""

import json
import resource
from dataclasses import dataclass

from roots import distribution

from bench import machines
from bench.image_packing import recipe, tar2sqfs
from bench.table import Row
from smolpack import rootfs
from smolpack.format import SectionType

KIB = 1 << 10
ROUNDS = 3
IMAGE = machines.BUILD / "compressed.squashfs"
MACHINE = machines.BUILD / "compressed.vm"

# What starts, in each image.
PROGRAMS = {
    "slim": "perl -MPOSIX -MFile::Find -e 1",
    "python": "python3 -c 'import numpy, requests'",
    "node": "node -e 'require(\"express\")'",
}
SCRIPT = """
mount -t proc proc /proc 2>/dev/null
now() { set -- $(cat /proc/uptime); echo ${1%.*}${1#*.}; }
cold() { sync; echo 3 > /proc/sys/vm/drop_caches; }
cold; a=$(now); find /usr -xdev -type f -exec cat {} + > /dev/null; b=$(now)
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
    """Processor seconds to pack, bytes, and what the guest takes to read /usr and to start a
    program, in seconds."""

    packing: float
    size: int
    reading: float
    starting: float


OTHER = Way(15, 128 * KIB)  # tar2sqfs's own
OURS = Way(rootfs.COMPRESSION_LEVEL, rootfs.BLOCK_SIZE)
WAYS = (
    *(Way(level, 128 * KIB) for level in (3, 6, 9, 12, 14, 19)),
    *(Way(OURS.level, size * KIB) for size in (64, 256, 512, 1024)),
    *(Way(9, size * KIB) for size in (256, 512)),
)


def rows() -> list[Row]:
    """For each image and each way, ours first."""
    ways = dict.fromkeys([OURS, *WAYS])
    return [row for name in distribution.PACKAGES for row in _rows(name, list(ways))]


def _rows(name: str, ways: list[Way]) -> list[Row]:
    other = _cost(name, OTHER)
    rows = []
    for way in ways:
        cost = other if way == OTHER else _cost(name, way)
        rows += [
            _row(f"{name}: packing, processor time", "s", way, cost.packing, other.packing),
            _row(f"{name}: size", "MB", way, cost.size / 1e6, other.size / 1e6),
            _row(f"{name}: guest reads /usr", "s", way, cost.reading, other.reading),
            _row(f"{name}: guest starts a program", "s", way, cost.starting, other.starting),
        ]
    return sorted(rows, key=lambda row: row.group)


def _row(group: str, unit: str, way: Way, value: float, other: float) -> Row:
    title = f"{way} (ours)" if way == OURS else str(way)
    return Row(group, title, value, unit, ROUNDS, str(OTHER), other)


def _cost(name: str, way: Way) -> Cost:
    flat = recipe(distribution.flat, name)
    options = ("--comp-extra", f"level={way.level}", "--block-size", str(way.block_size))
    before = _processor_time()
    tar2sqfs(flat, IMAGE, *options)
    packing = _processor_time() - before
    machines.rebuilt(MACHINE, {SectionType.ROOTFS: IMAGE.read_bytes()})
    reading, starting = zip(*(_read(name) for _ in range(ROUNDS)), strict=True)
    return Cost(packing, IMAGE.stat().st_size, min(reading) / 100, min(starting) / 100)


def _read(name: str) -> tuple[int, int]:
    """Hundredths of a second, as the guest's clock has them."""
    script = SCRIPT.replace("PROGRAM", PROGRAMS[name])
    command = [str(MACHINE), "--vm-mem", "2G", "--vm-entrypoint", "/bin/bash", "-c", script]
    reading, starting = json.loads(machines.run(command))
    return reading, starting


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
