"""A root file system image as a reader sees it, through squashfs-tools-ng.

Everything in an image is hostile: names, targets and attributes are text to show or to compare,
never a place to write to.
"""

import logging
import posixpath
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from smolpack import artifact, sections
from smolpack.errors import FormatError, OutputError, RootfsError
from smolpack.format import SectionType
from smolpack.rootfs import MAX_MESSAGES, find_tool
from smolpack.sources.base import CHUNK
from smolpack.text import printable

_log = logging.getLogger(__name__)

_MAX_SYMLINKS = 40


@dataclass(frozen=True)
class Place:
    """Where a path leads when every symlink is followed: `path` is absolute, without symlinks."""

    path: str
    attributes: dict[str, str]

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.attributes.get("Inode type") in ("file", "extended file")

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.attributes.get("Inode type") in ("directory", "extended directory")

    @property
    def mode(self) -> int:
        """Permission bits."""
        return int(self.attributes["Access"], 8)


@dataclass(frozen=True)
class Entry:
    """A file of any type. `path` is absolute; `content` can be read until the next entry is
    taken, and is None for everything but regular files."""

    path: str
    member: tarfile.TarInfo
    content: IO[bytes] | None


class Image:
    """A squashfs image in a file with a descriptor, which stays the caller's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._known: dict[str, dict[str, str] | None] = {}

    def resolve(self, path: str) -> Place | None:
        """What `path` leads to, symlinks resolved inside the image; None when it leads nowhere."""
        pending = path.split("/")[::-1]
        place: list[str] = []
        links = 0
        attributes = self._lstat("/")
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                place = place[:-1]
                attributes = self._lstat("/" + "/".join(place))
                continue
            attributes = self._lstat("/" + "/".join([*place, part]))
            if attributes is None:
                return None
            target = attributes.get("Link target")
            if target is None:
                place.append(part)
                continue
            links += 1
            if links > _MAX_SYMLINKS:
                return None
            if target.startswith("/"):
                place = []
                attributes = self._lstat("/")
            pending += target.split("/")[::-1]
        return None if attributes is None else Place("/" + "/".join(place), attributes)

    def file_names(self) -> Iterator[str]:
        """Absolute paths of regular files, quickly. Names with white space, quotes or
        backslashes are left out: the listing cannot tell them apart safely."""
        with self.output("rdsquashfs", "--describe") as listing:
            for line in listing:
                words = line.decode("utf-8", "surrogateescape").split()
                if len(words) == 5 and words[0] == "file" and not set('"\\') & set(words[1]):
                    yield "/" + words[1].lstrip("/")

    def read(self, path: str, limit: int) -> bytes:
        """Up to `limit` bytes from the start of a regular file; raises RootfsError."""
        with self.output("rdsquashfs", "--cat", path) as content:
            return content.read(limit)

    def entries(self, directory: str = "/") -> Iterator[Entry]:
        """Everything at and below `directory` (as resolve() says it), parents first, names in
        byte order: so sorted by path_key(). Hard links come as files of their own. Raises
        FormatError for an image that names a file twice or out of order."""
        below = directory.strip("/")
        options = ("--subdir", below, "--keep-as-dir") if below else ("--root-becomes", ".")
        problem: tarfile.ReadError | None = None
        with self.output("sqfs2tar", "--no-hard-links", *options) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
                    yield from _below(f"/{below}", archive)
            except tarfile.ReadError as error:
                problem = error
        # Where the tool failed it has said so by now.
        if problem is not None:
            raise FormatError(f"damaged: the root file system cannot be listed: {problem}")

    @contextmanager
    def output(self, tool: str, *options: str) -> Iterator[IO[bytes]]:
        """What a tool of squashfs-tools-ng prints about the image; it is stopped when the block
        ends early. What it complains about is logged; raises RootfsError when it fails."""
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                self.command(tool, *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                pass_fds=(self.descriptor,),
                env={"LC_ALL": "C"},
            )
            assert process.stdout is not None
            early = True
            try:
                yield process.stdout
                early = bool(process.stdout.read(1))
            finally:
                if early:
                    process.kill()
                process.stdout.close()
                process.wait()
            complaints.seek(0)
            messages = _messages(complaints)
            if process.returncode and not early:
                reason = "; ".join(messages) or f"exit status {process.returncode}"
                raise RootfsError(f"{tool} cannot read the root file system: {reason}")
            for message in messages:
                _log.warning("%s: %s", tool, message)

    def command(self, tool: str, *options: str) -> Sequence[str]:
        """How to start a tool on this image; its descriptor must be passed on."""
        return (find_tool(tool), *options, f"/proc/self/fd/{self.descriptor}")

    @property
    def descriptor(self) -> int:
        """The image's descriptor."""
        return self._file.fileno()

    def _lstat(self, path: str) -> dict[str, str] | None:
        if path not in self._known:
            done = subprocess.run(
                self.command("rdsquashfs", "--stat", path),
                capture_output=True,
                pass_fds=(self.descriptor,),
                check=False,
            )
            text = done.stdout.decode("utf-8", "surrogateescape")
            pairs = (line.partition(": ") for line in text.splitlines())
            found = {key: value for key, _, value in pairs}
            self._known[path] = found if done.returncode == 0 else None
        return self._known[path]


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """The root file system of a packed machine, checked against the file's table; raises
    FormatError naming `path`. It is copied to a temporary file (blocks are shared where the file
    system can), because the tools read an image from a file's start."""
    # Without a buffer, which closing would try to write once more when there is no room.
    with tempfile.TemporaryFile(buffering=0) as copy:
        with artifact.opened(path) as (file, contents):
            try:
                sections.copy(file, contents.section(SectionType.ROOTFS), copy)
            except OutputError as error:
                place = tempfile.gettempdir()
                raise OutputError(f"{place}: {error}; TMPDIR names another place") from error
        yield Image(copy)


def path_key(path: str) -> tuple[bytes, ...]:
    """Sorts paths as images hold them: a directory's content follows it at once."""
    return tuple(part.encode("utf-8", "surrogateescape") for part in path.split("/") if part)


def _below(directory: str, archive: tarfile.TarFile) -> Iterator[Entry]:
    last: tuple[bytes, ...] | None = None
    prefix = directory.rstrip("/") + "/"
    for member in archive:
        archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them
        path = posixpath.normpath("/" + member.name)
        key = path_key(path)
        if last is not None and key <= last:
            raise FormatError(f"damaged: {printable(path)} is in the image twice")
        last = key
        if f"{path.rstrip('/')}/".startswith(prefix):
            yield Entry(path, member, archive.extractfile(member) if member.isreg() else None)


def _messages(stream: IO[bytes]) -> list[str]:
    lines = [printable(line.decode("utf-8", "replace").strip()) for line in stream]
    lines = [line for line in lines if line]
    left_out = len(lines) - MAX_MESSAGES
    return [*lines[:MAX_MESSAGES], *([f"{left_out} more messages"] if left_out > 0 else [])]
