"""The cache of built root file systems: an entry's name is a digest of what it is made from."""

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path


class RecipeError(Exception):
    """A root file system cannot be built; says what to do."""


def cached(name: str, inputs: Iterable[bytes], build: Callable[[Path], None]) -> Path:
    """The tar called `name` that is made from `inputs`; `build` writes it where there is none."""
    digest = hashlib.sha256()
    for item in inputs:
        digest.update(hashlib.sha256(item).digest())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = base / "smolpack-tests" / "roots"  # smolpack prunes its own cache
    directory.mkdir(parents=True, exist_ok=True)
    tar = directory / f"{name}-{digest.hexdigest()[:32]}.tar"
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tar.exists():
            print(f"roots: building {name} (once) …", file=sys.stderr)
            start = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="building-", dir=directory) as scratch:
                built = Path(scratch, "root.tar")
                build(built)
                built.rename(tar)
            print(f"roots: {name} built in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return tar
