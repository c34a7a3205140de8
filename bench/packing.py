"""Time to pack: `smolpack create` beside tar2sqfs alone, which compresses the root file system."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench import machines
from bench.errors import BenchError
from bench.table import Row, of_samples
from smolpack.rootfs import BLOCK_SIZE, COMPRESSION_LEVEL

GROUP = "time to pack"
ROUNDS = 3
OTHER = f"tar2sqfs -c zstd -X level={COMPRESSION_LEVEL} -b {BLOCK_SIZE >> 10}K"
OUT = machines.BUILD / "packed.vm"
IMAGE = machines.BUILD / "packed.squashfs"


def rows() -> list[Row]:
    """A root of one program, and a Debian."""
    machines.hello()
    return [
        _row("hello root", machines.HELLO_TAR, "/workload"),
        _row("Debian root", machines.debian_tar(), "/bin/sh"),
    ]


def _row(name: str, tar: Path, entrypoint: str) -> Row:
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: machines.pack(tar, OUT, entrypoint),
        "theirs": lambda: _tar2sqfs(tar),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for worker, work in works.items():
            start = time.monotonic()
            work()
            seconds[worker].append(time.monotonic() - start)
    title = f"{name}, {tar.stat().st_size / (1 << 20):.1f} MiB"
    return of_samples(GROUP, title, seconds["ours"], "s", (OTHER, seconds["theirs"]))


def _tar2sqfs(tar: Path) -> None:
    command = ["tar2sqfs", "--quiet", "--force", "--compressor", "zstd"]
    command += ["--comp-extra", f"level={COMPRESSION_LEVEL}"]
    command += ["--block-size", str(BLOCK_SIZE), str(IMAGE)]
    with tar.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"tar2sqfs failed: {done.stderr.strip()[-500:]}")
