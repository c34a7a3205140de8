"""Debian 12 with what people run: Python, SQLite, git, a C compiler."""

import shutil
import subprocess
from pathlib import Path

from roots.cache import RecipeError, cached

SUITE = "bookworm"
PACKAGES = ("gcc", "git", "libc6-dev", "python3", "sqlite3")
COMMAND = (
    "mmdebstrap",
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    SUITE,
)


def tar() -> Path:
    """The root as a tar, built in about a minute the first time. Raises RecipeError.

    mmdebstrap chooses its mode: root, else user namespaces, else fakechroot.
    """
    if shutil.which(COMMAND[0]) is None:
        raise RecipeError("mmdebstrap is missing: apt install mmdebstrap")
    return cached("debian", [word.encode() for word in COMMAND], _build)


def _build(target: Path) -> None:
    done = subprocess.run([*COMMAND, target], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise RecipeError(f"mmdebstrap failed: {' '.join(lines) or done.stderr[-500:]}")
