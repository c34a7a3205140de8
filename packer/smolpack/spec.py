"""What the user asked for: frozen dataclasses that are valid once they exist."""

from dataclasses import dataclass
from pathlib import Path

from smolpack import values
from smolpack.errors import SpecError
from smolpack.values import MAX_CPUS, MAX_MEMORY, MIN_MEMORY, format_size

DEFAULT_MEMORY = 512 << 20
DEFAULT_HOSTNAME = "smolpack"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class RunDefaults:
    """How the machine runs unless its command line says otherwise.

    argv is `entrypoint` + (arguments given at run time, or `cmd`). `env` and `labels` hold
    NAME=value strings, `user` is U[:G] (names or numbers), `workdir` an absolute path in the
    guest, `memory` is in bytes. `stop_signal` is a number in the guest, `exposed_ports` are like
    `80/tcp`, `volumes` absolute paths that are meant for data, `healthcheck` a JSON object as
    container images have it, `shell` the words that a command line is given to. Raises SpecError
    for a value that no machine could run with.
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
    stop_signal: int | None = None
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: str | None = None
    shell: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_size()
        values.check_hostname("--hostname", self.hostname)
        if self.user is not None:
            values.check_user("--user", self.user)
        if self.stop_signal is not None:
            values.parse_signal("--stop-signal", str(self.stop_signal))
        check = self.healthcheck
        if check is not None and values.parse_healthcheck("--healthcheck", check) != check:
            raise SpecError("--healthcheck: not in the one form that is packed")
        workdir = () if self.workdir is None else (self.workdir,)
        for option, texts, check_one in (
            ("--env", self.env, values.check_assignment),
            ("--label", self.labels, values.check_assignment),
            ("--workdir", workdir, values.check_path),
            ("--volume", self.volumes, values.check_path),
            ("--expose", self.exposed_ports, values.parse_port),
        ):
            for text in texts:
                check_one(option, text)
        words = (*self.entrypoint, *self.cmd, *self.shell)
        words += (*self.env, *self.labels, *workdir, *self.volumes, self.name or "")
        if any("\0" in word for word in words):
            raise SpecError("a NUL byte cannot be part of an argument, a variable or a path")
        if "" in (self.argv0, self.name):
            raise SpecError("the program to run and --name must not be empty")

    def _check_size(self) -> None:
        if not 1 <= self.cpus <= MAX_CPUS:
            raise SpecError(f"--cpus {self.cpus}: a machine has 1 to {MAX_CPUS} CPUs")
        if self.memory < MIN_MEMORY:
            raise SpecError(f"--mem {format_size(self.memory)}: a machine needs at least 32M")
        if self.memory > MAX_MEMORY:
            raise SpecError(f"--mem {format_size(self.memory)}: more than any host can have")

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
    uncompressed ELF vmlinux), and whether a bill of materials is made.

    `image` is the reference of the container image that the files came from, `image_digest` its
    digest, `smolfile` a JSON object: what a Smolfile asks for and nothing here does yet.
    """

    out: Path
    run: RunDefaults
    kernel: Path | None = None
    sbom: bool = True
    image: str | None = None
    image_digest: str | None = None
    smolfile: str | None = None
