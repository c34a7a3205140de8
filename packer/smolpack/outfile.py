"""Files that appear whole or not at all: written beside the target without a name, then renamed."""

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smolpack.errors import OutputError

# What a file system without unnamed files answers to O_TMPFILE.
NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
# What old kernels and some file systems answer to copy_file_range().
_NO_COPY_FILE_RANGE = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM)
_COPY_CHUNK = 1 << 20


def check_target(target: Path) -> None:
    """Raises OutputError for a target that replacing() could not write or must not replace."""
    directory = target.parent
    if not directory.is_dir():
        raise OutputError(f"{target}: {directory} is not a directory; create it first")
    if target.is_dir():
        raise OutputError(f"{target}: is a directory; give a file name with --out")
    if target.exists() and not target.is_file():
        raise OutputError(f"{target}: is not a regular file; give another name with --out")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: no permission to write in {directory}")


def unnamed(directory: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """A temporary file that vanishes however the process ends."""
    return tempfile.TemporaryFile(dir=directory)


def copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Puts the first `size` bytes of one file into another, empty one; the kernel copies, and
    shares the blocks where the file system can. `source` may not be shorter."""
    done = 0
    try:
        while done < size:
            count = os.copy_file_range(source.fileno(), target.fileno(), size - done, done, done)
            if count == 0:
                raise OSError(errno.EIO, "it became shorter while it was copied")
            done += count
    except OSError as error:
        if done or error.errno not in _NO_COPY_FILE_RANGE:
            raise
        source.seek(0)
        while done < size:
            piece = source.read(min(size - done, _COPY_CHUNK))
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was copied") from error
            target.write(piece)
            done += len(piece)


@contextlib.contextmanager
def replacing(target: Path, mode: int) -> Iterator[BinaryIO]:
    """A file that takes `target`'s place, with exactly `mode`, when the block ends without an
    exception; otherwise nothing is left behind. File and directory are synced. Where the file
    system has no unnamed files, a hidden one beside the target is used; only SIGKILL leaves it."""
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    hidden = f".{target.name[:200]}.{secrets.token_hex(6)}"
    named = False
    try:
        try:
            descriptor = os.open(".", os.O_RDWR | os.O_TMPFILE, 0o600, dir_fd=directory)
        except OSError as error:
            if error.errno not in NO_UNNAMED_FILES:
                raise
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            descriptor = os.open(hidden, flags, 0o600, dir_fd=directory)
            named = True
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
            os.fsync(file.fileno())
            if not named:
                # Only linkat() with AT_SYMLINK_FOLLOW names an open file; a dir_fd selects it.
                path = f"/proc/self/fd/{file.fileno()}"
                os.link(
                    path, hidden, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=True
                )
                named = True
            os.rename(hidden, target.name, src_dir_fd=directory, dst_dir_fd=directory)
            named = False
            os.fsync(directory)
    finally:
        if named:
            os.unlink(hidden, dir_fd=directory)
        os.close(directory)
