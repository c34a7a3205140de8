"""A source's tar stream becomes a squashfs image, by tar2sqfs (squashfs-tools-ng)."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from typing import IO, BinaryIO, NoReturn

from smolpack.epoch import source_date
from smolpack.errors import RootfsError
from smolpack.sources.base import CHUNK, Advance, Source

PACKAGE = "squashfs-tools-ng"
MAX_MESSAGES = 10

# docs/benchmarks.md has the figures. The goal was a size within 2 % of what tar2sqfs gives by
# itself (level 15, 128 KiB). With blocks of 256 KiB level 11 is the quickest that is, in half the
# time; 512 KiB would save 2 % more and make guests read and start programs noticeably slower.
COMPRESSION_LEVEL = 11
BLOCK_SIZE = 256 << 10

# Less room than this, in bytes, explains a failed write.
_FULL = 1 << 20


@dataclass(frozen=True)
class Rootfs:
    """What was packed: SHA-256 and size of the tar stream, and the messages of tar2sqfs."""

    source_digest: str
    source_size: int
    messages: tuple[str, ...]


def find_tool(name: str = "tar2sqfs") -> str:
    """The path of a squashfs-tools-ng program; raises RootfsError naming the package."""
    path = shutil.which(name)
    if path is None:
        raise RootfsError(f"{name} is not installed; on Debian: apt install {PACKAGE}")
    return path


def tool_version() -> str:
    """What tar2sqfs calls itself, like `tar2sqfs 1.2.0`."""
    done = subprocess.run([find_tool(), "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return f"tar2sqfs {words[2]}" if len(words) > 2 else "tar2sqfs"


def pack(source: Source, image: BinaryIO, advance: Advance, jobs: int | None = None) -> Rootfs:
    """Packs `source` into the empty file `image`.

    The same stream gives the same bytes whatever the number of `jobs` (default: one a CPU).
    SOURCE_DATE_EPOCH becomes the image's time stamp (default 0); files keep what the stream says.
    Raises SourceError, RootfsError or SpecError; `image` then holds nothing of use.
    """
    epoch = source_date() or 0
    descriptor = image.fileno()
    command = [
        find_tool(),
        *("--quiet", "--force", "--compressor", "zstd"),
        *("--comp-extra", f"level={COMPRESSION_LEVEL}", "--block-size", str(BLOCK_SIZE)),
        *("--defaults", f"uid=0,gid=0,mode=0755,mtime={epoch}"),
        *(("--num-jobs", str(jobs)) if jobs is not None else ()),
        f"/proc/self/fd/{descriptor}",
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env={"LC_ALL": "C"},
    )
    assert process.stdin is not None and process.stderr is not None
    messages = _Messages()
    listener = threading.Thread(target=messages.collect, args=(process.stderr,), daemon=True)
    listener.start()
    try:
        sink = _Sink(process.stdin)
        try:
            source.write(sink, advance)
            sink.close()
        except _ToolGoneError:
            pass
        status = process.wait()
    finally:
        # On the way out with an error it must not take EOF for the end of the archive.
        if process.returncode is None:
            process.kill()
            process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        listener.join()
        process.stderr.close()
    if status != 0:
        _fail(status, messages.report(), image)
    return Rootfs(sink.digest(), sink.size, messages.report())


class _ToolGoneError(RootfsError):
    """tar2sqfs ended before it had read everything; its status says why."""


class _Sink:
    """tar2sqfs's standard input, hashed on the way. Raises no OSError, so that sources can tell
    their own from it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._hash = hashlib.sha256()
        self.size = 0
        with contextlib.suppress(OSError):  # an unprivileged user's limit may be reached
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK)

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        try:
            self._pipe.write(data)
        except BrokenPipeError as error:
            raise _ToolGoneError("tar2sqfs stopped reading") from error

    def close(self) -> None:
        try:
            self._pipe.close()
        except BrokenPipeError as error:
            raise _ToolGoneError("tar2sqfs stopped reading") from error

    def digest(self) -> str:
        return self._hash.hexdigest()


class _Messages:
    """What tar2sqfs says: the last lines, because there may be one for every file."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=MAX_MESSAGES)
        self._count = 0

    def collect(self, stream: IO[bytes]) -> None:
        """Reads to the end."""
        for line in stream:
            if text := line.decode("utf-8", "replace").strip():
                self._last.append(text)
                self._count += 1

    def report(self) -> tuple[str, ...]:
        """The lines, and how many there were before them."""
        earlier = self._count - len(self._last)
        return (*([f"{earlier} more messages"] if earlier else []), *self._last)


def _fail(status: int, messages: tuple[str, ...], image: BinaryIO) -> NoReturn:
    space = os.fstatvfs(image.fileno())
    if status == -signal.SIGXFSZ:
        reason = "the file size limit is reached; raise it with `ulimit -f`"
    elif status < 0:
        reason = f"it was killed by {signal.Signals(-status).name}"
    elif space.f_bavail * space.f_frsize < _FULL:
        # tar2sqfs itself says no more than "I/O error".
        reason = "no space left on the target's file system; free some, or change --out"
    else:
        reason = "; ".join(messages) or f"exit status {status}"
    raise RootfsError(f"tar2sqfs could not make the root file system image: {reason}")
