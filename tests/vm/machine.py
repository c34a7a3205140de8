"""Packed machines as the tests see them: ordinary programs, run, watched and cleaned up after."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

# How long a test waits for one thing. The KVM host is an emulated computer: all is slow there.
PATIENCE_S = 120.0 if os.environ.get("SMOLPACK_TEST_ACCEL") == "kvm" else 40.0

Word = str | bytes


class StalledError(AssertionError):
    """What a test waits for did not happen in time."""


@dataclass(frozen=True)
class Result:
    """How a machine ended. `status` is a shell's: 128 + n when signal n killed the launcher."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output, decoded."""
        return self.stdout.decode()

    @property
    def complaint(self) -> str:
        """Standard error, which has to be one line."""
        text = self.stderr.decode()
        assert text.count("\n") == 1 and text.endswith("\n"), f"not one line: {text!r}"
        return text[:-1]


@dataclass
class Machine:
    """A packed file. Whatever it starts is killed when `cleanup` is closed."""

    path: Path
    cleanup: ExitStack
    options: tuple[str, ...] = ()

    def run(
        self,
        *arguments: Word,
        input: bytes | int = b"",  # noqa: A002  (subprocess.run calls it so)
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> Result:
        """Run to the end. `input` is what standard input holds, or a descriptor."""
        given = {"stdin": input} if isinstance(input, int) else {"input": input}
        try:
            done = subprocess.run(
                [self.path, *self.options, *arguments],
                capture_output=True,
                env=env,
                cwd=cwd,
                preexec_fn=prepare,
                timeout=PATIENCE_S,
                check=False,
                **given,
            )
        except subprocess.TimeoutExpired as expired:
            raise StalledError(
                f"still running after {PATIENCE_S:.0f} s;"
                f" stdout {expired.stdout!r:.2000}, stderr {expired.stderr!r:.2000}"
            ) from None
        return Result(_shell_status(done.returncode), done.stdout, done.stderr)

    def script(self, text: str, *arguments: Word, **options: object) -> Result:
        """Run a shell script in the machine."""
        return self.run("sh", "-c", text, "sh", *arguments, **options)

    def start(self, *arguments: Word, **popen: object) -> "Process":
        """Start with pipes as standard streams, unless told otherwise."""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [self.path, *self.options, *arguments]
        return self.cleanup.enter_context(
            Process(subprocess.Popen(command, bufsize=0, **{**streams, **popen}))
        )

    def start_script(self, text: str, **popen: object) -> "Process":
        """Start a shell script in the machine."""
        return self.start("sh", "-c", text, **popen)


@dataclass
class Process:
    """A started launcher."""

    popen: subprocess.Popen
    unread: dict[int, bytes] = field(default_factory=dict)

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()
        self.popen.kill()
        self.popen.wait()

    @property
    def pid(self) -> int:
        """Of the launcher."""
        return self.popen.pid

    @property
    def stdin(self) -> int:
        """Descriptor to write to."""
        assert self.popen.stdin
        return self.popen.stdin.fileno()

    @property
    def stdout(self) -> int:
        """Descriptor to read from."""
        assert self.popen.stdout
        return self.popen.stdout.fileno()

    @property
    def stderr(self) -> int:
        """Descriptor to read from."""
        assert self.popen.stderr
        return self.popen.stderr.fileno()

    def close_stdin(self) -> None:
        """End standard input."""
        assert self.popen.stdin
        self.popen.stdin.close()

    def expect(self, marker: bytes, fd: int | None = None) -> bytes:
        """Read (standard output) up to and including `marker`; what follows stays for later."""
        fd = self.stdout if fd is None else fd
        data = self.unread.pop(fd, b"")
        while marker not in data:
            more = _read(fd, data)
            if not more:
                raise StalledError(f"ended before {marker!r}: {data!r:.2000}; {self.errors(fd)}")
            data += more
        found, rest = data.split(marker, 1)
        self.unread[fd] = rest
        return found + marker

    def errors(self, fd: int) -> str:
        """What standard error says, for a message about another stream."""
        if self.popen.stderr is None or fd == self.stderr:
            return "no standard error"
        return f"standard error: {self.expect_end(self.stderr)!r:.2000}"

    def expect_end(self, fd: int | None = None) -> bytes:
        """Read (standard output) to its end."""
        fd = self.stdout if fd is None else fd
        data = self.unread.pop(fd, b"")
        while more := _read(fd, data):
            data += more
        return data

    def signal(self, number: int) -> None:
        """Send a signal to the launcher."""
        self.popen.send_signal(number)

    def await_taken(self, number: int) -> None:
        """Await that the launcher has read a signal: one kind of signal does not queue."""
        while self.popen.poll() is None:
            status = Path(f"/proc/{self.pid}/status").read_text()
            masks = [line.split()[1] for line in status.splitlines() if line[3:6] == "Pnd"]
            if not any(int(mask, 16) >> (number - 1) & 1 for mask in masks):
                return
            os.sched_yield()

    def wait(self) -> int:
        """Await the end; the exit status as a shell shows it."""
        try:
            return _shell_status(self.popen.wait(PATIENCE_S))
        except subprocess.TimeoutExpired:
            raise StalledError(f"still running after {PATIENCE_S:.0f} s") from None

    def wait_stopped(self) -> None:
        """Await that the launcher is stopped (state T)."""
        info = os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        assert info is not None and info.si_status in (signal.SIGSTOP, signal.SIGTSTP)


def children(parent: int) -> list[int]:
    """Processes that another one has started."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent:
            found.append(int(directory.name))
    return found


def _shell_status(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _read(fd: int, so_far: bytes) -> bytes:
    """What comes next, empty at the end."""
    if not select.select([fd], [], [], PATIENCE_S)[0]:
        raise StalledError(f"nothing to read for {PATIENCE_S:.0f} s after {so_far!r:.2000}")
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # a terminal whose other side is closed
        return b""


def await_exit(pids: Sequence[int]) -> None:
    """Await the end of processes that are not our children."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], PATIENCE_S)[0]:
                raise StalledError(f"process {pid} is still there")
        finally:
            os.close(descriptor)
