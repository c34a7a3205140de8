"""What the user asked for: frozen dataclasses that are valid once they exist."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from smolpack.errors import SpecError

MIN_MEMORY = 32 << 20
DEFAULT_MEMORY = 512 << 20
MAX_MEMORY = 1 << 46
MAX_CPUS = 32
DEFAULT_HOSTNAME = "smolpack"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SIZE = re.compile(r"([0-9]{1,18})([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*", re.ASCII)
_USER = re.compile(r"[^:\s]+(:[^:\s]+)?")


@dataclass(frozen=True, kw_only=True)
class RunDefaults:
    """How the machine runs unless its command line says otherwise.

    argv is `entrypoint` + (arguments given at run time, or `cmd`). `env` and `labels` hold
    NAME=value strings, `user` is U[:G] (names or numbers), `workdir` an absolute path in the
    guest, `memory` is in bytes. Raises SpecError for a value that no machine could run with.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    hostname: str = DEFAULT_HOSTNAME
    cpus: int = 1
    memory: int = DEFAULT_MEMORY
    name: str | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_assignments("--env", self.env)
        _check_assignments("--label", self.labels)
        if not 1 <= self.cpus <= MAX_CPUS:
            raise SpecError(f"--cpus {self.cpus}: a machine has 1 to {MAX_CPUS} CPUs")
        if self.memory < MIN_MEMORY:
            raise SpecError(f"--mem {format_size(self.memory)}: a machine needs at least 32M")
        if self.memory > MAX_MEMORY:
            raise SpecError(f"--mem {format_size(self.memory)}: more than any host can have")
        if self.workdir is not None and not self.workdir.startswith("/"):
            raise SpecError(f"--workdir {self.workdir!r}: must be an absolute path in the machine")
        if self.user is not None and not _USER.fullmatch(self.user):
            raise SpecError(f"--user {self.user!r}: expected USER or USER:GROUP, names or numbers")
        if len(self.hostname) > 64 or not _HOSTNAME.fullmatch(self.hostname):
            raise SpecError(
                f"--hostname {self.hostname!r}: up to 64 letters, digits, dots and inner hyphens"
            )
        texts = (*self.entrypoint, *self.cmd, *self.env, *self.labels, self.workdir, self.name)
        if any("\0" in text for text in texts if text is not None):
            raise SpecError("a NUL byte cannot be part of an argument, a variable or a path")
        if "" in (self.argv0, self.name):
            raise SpecError("the program to run and --name must not be empty")

    @property
    def argv0(self) -> str | None:
        """The program that runs when the machine is started without arguments."""
        return next(iter(self.entrypoint + self.cmd), None)

    def variable(self, name: str) -> str | None:
        """The value that the program sees for an environment variable (the last one wins)."""
        found = None
        for assignment in self.env:
            key, _, value = assignment.partition("=")
            if key == name:
                found = value
        return found


@dataclass(frozen=True, kw_only=True)
class CreateSpec:
    """One `create`: the target, the run defaults, unless the packaged one, the kernel (an
    uncompressed ELF vmlinux), and whether a bill of materials is made."""

    out: Path
    run: RunDefaults
    kernel: Path | None = None
    sbom: bool = True


def parse_size(option: str, text: str) -> int:
    """Bytes meant by `512M`, `2G`, `1GiB`, `65536`: powers of 1024, no unit means bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise SpecError(f"{option} {text!r}: expected a number and K, M, G or T, like 512M")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def format_size(size: int) -> str:
    """The shortest exact way to write a size that parse_size() reads back."""
    for unit, shift in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return str(size)


def parse_command(option: str, text: str) -> tuple[str, ...]:
    """Words of a command: a JSON array of strings when it starts with `[`, else split as a
    POSIX shell would (no expansion)."""
    if text.lstrip().startswith("["):
        try:
            words = json.loads(text)
        except ValueError as error:
            raise SpecError(f"{option} {text!r}: not a JSON array: {error}") from error
        if not all(isinstance(word, str) for word in words):
            raise SpecError(f"{option} {text!r}: every element of the array must be a string")
    else:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SpecError(f"{option} {text!r}: {error}") from error
    return tuple(words)


def _check_assignments(option: str, assignments: tuple[str, ...]) -> None:
    for assignment in assignments:
        name, separator, _ = assignment.partition("=")
        if not name or not separator:
            raise SpecError(f"{option} {assignment!r}: expected NAME=value")
