"""The files that are measured, packed once a run from what `make` has built."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from roots import busybox, debian
from roots.cache import RecipeError

from bench.errors import BenchError
from smolpack import artifact
from smolpack.format import Arch, SectionType

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build/bench"
VMLINUX = REPOSITORY / "build/kernel/vmlinux"
WORKLOAD = BUILD / "workload"
STOPWATCH = BUILD / "stopwatch"
HELLO_TAR = BUILD / "hello.tar"
PEER_INITRAMFS = BUILD / "peer.cpio"


@cache
def hello() -> Path:
    """A machine whose root holds one static program."""
    _write_hello_tar()
    return pack(HELLO_TAR, BUILD / "hello.vm", "/workload")


@cache
def busybox_tar() -> Path:
    """A small root: busybox and a few programs. Raises BenchError."""
    return recipe(busybox.tar)


@cache
def debian_tar() -> Path:
    """Debian with Python, git and a C compiler. Raises BenchError."""
    return recipe(debian.tar)


def recipe(build: Callable[[], Path]) -> Path:
    """What a recipe of tests/roots builds. Raises BenchError."""
    try:
        return build()
    except RecipeError as error:
        raise BenchError(str(error)) from error


def pack(tar: Path, out: Path, entrypoint: str) -> Path:
    """What `smolpack create` makes of a tar. Raises BenchError."""
    create = (sys.executable, "-m", "smolpack", "create")
    run([*create, "--tar", str(tar), "--out", str(out), "--entrypoint", entrypoint])
    return out


def rebuilt(out: Path, replacements: dict[SectionType, bytes]) -> Path:
    """hello() with other contents of some sections."""
    with artifact.opened(hello()) as (file, machine):
        sections = [
            (s.type, replacements.get(s.type) or artifact.read_section(file, s))
            for s in machine.sections
            if s.type != SectionType.HASHES
        ]
    with out.open("wb") as file:
        artifact.write(file, Arch.X86_64, [(kind, io.BytesIO(data)) for kind, data in sections])
    out.chmod(0o755)
    return out


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
) -> str:
    """Run a command to its end; its standard output. Raises BenchError."""
    done = subprocess.run(
        command,
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _write_hello_tar() -> None:
    with tarfile.open(HELLO_TAR, "w") as tar:
        program = tarfile.TarInfo("workload")
        program.mode, program.size = 0o755, WORKLOAD.stat().st_size
        with WORKLOAD.open("rb") as file:
            tar.addfile(program, file)
