"""Container images to machines: `smolpack create --image` beside tar2sqfs alone on the flat tar.

Both as they come: tar2sqfs with its own compression level, ours with its own, an empty cache, and
everything that a machine has besides its root.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from roots import distribution

from bench import machines
from bench.table import Row, of_samples
from smolpack import artifact
from smolpack.format import SectionType

GROUP = "image to machine"
ROUNDS = 3
OTHER = "tar2sqfs -c zstd"
OUT = machines.BUILD / "image.vm"
SQUASHFS = machines.BUILD / "image.squashfs"
CACHE = machines.BUILD / "image-cache"


def rows() -> list[Row]:
    """For each image the time, the time once more, and the size of the root."""
    return [row for name in distribution.PACKAGES for row in _rows(name)]


def recipe(build: Callable[[str], Path], name: str) -> Path:
    """A file of roots.distribution. Raises BenchError."""
    return machines.recipe(lambda: build(name))


def tar2sqfs(tar: Path, out: Path, *options: str) -> None:
    """Packs a tar. Raises BenchError."""
    with tar.open("rb") as file:
        machines.run(
            ["tar2sqfs", "--quiet", "--force", "--compressor", "zstd", *options, str(out)],
            stdin=file,
        )


def _rows(name: str) -> list[Row]:
    image, flat = recipe(distribution.image, name), recipe(distribution.flat, name)
    ours: list[float] = []
    again: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        shutil.rmtree(CACHE, ignore_errors=True)
        ours.append(_seconds(lambda: _create(image)))
        again.append(_seconds(lambda: _create(image)))
        theirs.append(_seconds(lambda: tar2sqfs(flat, SQUASHFS)))
    shutil.rmtree(CACHE)
    with artifact.opened(OUT) as (_, machine):
        root = machine.section(SectionType.ROOTFS).size
    title = f"{name}, {flat.stat().st_size >> 20} MiB"
    size = SQUASHFS.stat().st_size
    return [
        of_samples(GROUP, f"{title}: time", ours, "s", (OTHER, theirs)),
        of_samples(GROUP, f"{title}: time, again", again, "s", (OTHER, theirs)),
        Row(GROUP, f"{title}: root", root / 1e6, "MB", 1, OTHER, size / 1e6),
    ]


def _create(image: Path) -> None:
    command = [sys.executable, "-m", "smolpack", "create", "--image", str(image), "--out", str(OUT)]
    machines.run(command, os.environ | {"XDG_CACHE_HOME": str(CACHE)})


def _seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
