"""A directory as a source: streamed as a pax tar in a fixed order, without any privilege."""

import errno
import logging
import math
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from smolpack.epoch import source_date
from smolpack.errors import SourceError
from smolpack.sources import squashfs
from smolpack.sources.base import CHUNK, Advance, ByteSink

_log = logging.getLogger(__name__)

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


class DirectorySource:
    """Streams a directory: owners, modes, times (whole seconds), hard links, symlinks, xattrs,
    device nodes, FIFOs and holes are kept, but no time is later than SOURCE_DATE_EPOCH when that is
    set; sockets are left out, as tar does. Other file systems
    mounted below the root are packed as empty directories."""

    def __init__(self, root: Path, target: Path | None = None) -> None:
        """Raises SourceError when `root` is no directory, or `target`, the file to be written,
        lies inside it."""
        if not root.is_dir():
            problem = "is not a directory" if root.exists() else "does not exist"
            raise SourceError(f"{root} {problem}; give a tar archive with --tar")
        if target is not None and target.resolve().is_relative_to(root.resolve()):
            raise SourceError(f"{target} lies inside {root} and would be packed into itself")
        self._root = root

    def size(self) -> int:
        """Bytes that regular files take on disk, hard links counted once."""
        total = 0
        seen = set()
        for _, _, status in self._walk():
            identity = (status.st_dev, status.st_ino)
            if stat.S_ISREG(status.st_mode) and identity not in seen:
                total += min(status.st_size, status.st_blocks * 512)
                if status.st_nlink > 1:
                    seen.add(identity)
        return total

    def write(self, sink: ByteSink, advance: Advance) -> None:
        """See Source.write()."""
        first_names: dict[tuple[int, int], str] = {}
        acls = 0
        date = source_date()
        latest = math.inf if date is None else date
        for name, path, status in self._walk():
            kind = _TYPES.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                _log.warning("%s: socket left out", path)
                continue
            member = tarfile.TarInfo(_text(name))
            member.type = kind
            member.mode = stat.S_IMODE(status.st_mode)
            member.uid, member.gid = status.st_uid, status.st_gid
            member.mtime = min(status.st_mtime_ns // 1_000_000_000, latest)
            if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                member.devmajor = os.major(status.st_rdev)
                member.devminor = os.minor(status.st_rdev)
            if status.st_nlink > 1 and kind != tarfile.DIRTYPE:
                first = first_names.setdefault((status.st_dev, status.st_ino), name)
                if first != name:
                    member.type, member.linkname = tarfile.LNKTYPE, _text(first)
                    sink.write(_header(member))
                    continue
            try:
                if kind == tarfile.SYMTYPE:
                    member.linkname = _text(os.readlink(path))
                member.pax_headers, has_acl = _xattrs(path)
                acls += has_acl
                if kind == tarfile.REGTYPE:
                    _write_file(member, path, status.st_size, sink, advance)
                else:
                    sink.write(_header(member))
            except OSError as error:
                raise _unreadable(path, error) from error
        sink.write(bytes(2 * tarfile.BLOCKSIZE))
        squashfs.warn_of_acls(acls)

    def _walk(self) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yields (name in the archive, path, status) in byte order, parents first."""
        top = os.fspath(self._root)
        pending = [("./", top)]
        device = os.stat(top).st_dev
        while pending:
            name, path = pending.pop()
            try:
                # The root may be given as a symlink; nothing below it is followed.
                status = os.stat(path, follow_symlinks=path == top)
                yield name, path, status
                if not stat.S_ISDIR(status.st_mode):
                    continue
                if status.st_dev != device:
                    _log.warning("%s: another file system is mounted here; packed empty", path)
                    continue
                children = sorted(os.listdir(path), key=os.fsencode, reverse=True)
            except OSError as error:
                raise _unreadable(path, error) from error
            prefix = name if name.endswith("/") else name + "/"
            pending.extend((prefix + child, f"{path}/{child}") for child in children)


def _text(name: str | bytes) -> str:
    """A name or value as tarfile is to encode it: the same in every locale."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    """The inverse of _text()."""
    return text.encode("utf-8", "surrogateescape")


def _unreadable(path: str, error: OSError) -> SourceError:
    remedy = ""
    if isinstance(error, PermissionError):
        remedy = "; run smolpack as a user who can read it, or give a tar archive with --tar"
    return SourceError(f"{path}: cannot read: {error.strerror}{remedy}")


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _xattrs(path: str) -> tuple[dict[str, str], bool]:
    """SCHILY.xattr records (binary values are kept), and whether an ACL was left out."""
    try:
        names = sorted(os.fsencode(name) for name in os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}, False
        raise
    records = {
        _text(squashfs.xattr_key(name)): _text(os.getxattr(path, name, follow_symlinks=False))
        for name in names
        if squashfs.holds_xattr(name)
    }
    return records, any(map(squashfs.is_acl, names))


def _write_file(
    member: tarfile.TarInfo, path: str, size: int, sink: ByteSink, advance: Advance
) -> None:
    """Writes a regular file; one with holes in the GNU sparse format 1.0."""
    if size == 0:
        sink.write(_header(member))
        return
    with open(path, "rb", buffering=0, opener=_open_quietly) as file:
        extents = _extents(file.fileno(), size)
        sparse_map = b""
        if extents != [(0, size)]:
            sparse_map = squashfs.sparse_map(extents, size)
            records = squashfs.sparse_records(_bytes(member.name), size)
            more = {_text(key): _text(value) for key, value in records}
            member.pax_headers = {**member.pax_headers, **more}
        member.size = len(sparse_map) + sum(length for _, length in extents)
        sink.write(_header(member) + sparse_map)
        for offset, length in extents:
            file.seek(offset)
            _copy(file.fileno(), length, path, sink, advance)
        sink.write(bytes(-member.size % tarfile.BLOCKSIZE))


def _open_quietly(path: str, flags: int) -> int:
    try:
        # Leaves the tree's access times alone; only the owner may ask for that.
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags | os.O_NOFOLLOW)


def _copy(descriptor: int, length: int, path: str, sink: ByteSink, advance: Advance) -> None:
    while length:
        data = os.read(descriptor, min(length, CHUNK))
        if not data:
            raise SourceError(f"{path}: became shorter while it was read; pack a tree at rest")
        sink.write(data)
        advance(len(data))
        length -= len(data)


def _extents(descriptor: int, size: int) -> list[tuple[int, int]]:
    """(offset, length) of what is not a hole."""
    status = os.fstat(descriptor)
    if status.st_blocks * 512 >= size:
        return [(0, size)]
    extents: list[tuple[int, int]] = []
    position = 0
    while position < size and len(extents) < squashfs.MAX_EXTENTS:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: nothing but a hole up to the end
        position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        extents.append((start, position - start))
    if len(extents) == squashfs.MAX_EXTENTS:
        return [(0, size)]
    return extents
