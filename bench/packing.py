"""Time to pack: `smolpack create` beside tar2sqfs alone, which compresses the root file system."""

import subprocess
import time
from pathlib import Path

from bench import machines
from bench.errors import BenchError
from bench.table import Row, of_samples

GROUP = "time to pack"
ROUNDS = 3
OUT = machines.BUILD / "packed.vm"
IMAGE = machines.BUILD / "packed.squashfs"


def rows() -> list[Row]:
    """A root of one program, and a Debian."""
    machines.hello()
    tars = {"hello root": machines.BUILD / "hello.tar", "Debian root": machines.debian_tar()}
    return [_row(name, tar) for name, tar in tars.items()]


def _row(name: str, tar: Path) -> Row:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        start = time.monotonic()
        machines.pack(tar, OUT, "/workload")
        ours.append(time.monotonic() - start)
        start = time.monotonic()
        _tar2sqfs(tar)
        theirs.append(time.monotonic() - start)
    title = f"{name}, {tar.stat().st_size / (1 << 20):.1f} MiB"
    return of_samples(GROUP, title, ours, "s", ("tar2sqfs -c zstd", theirs))


def _tar2sqfs(tar: Path) -> None:
    with tar.open("rb") as file:
        command = ["tar2sqfs", "--quiet", "--force", "--compressor", "zstd", str(IMAGE)]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"tar2sqfs failed: {done.stderr.strip()[-500:]}")
