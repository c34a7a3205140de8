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
from smolpack.sources.base import CHUNK, Advance, ByteSink

_log = logging.getLogger(__name__)

# squashfs has no place for other namespaces; an SELinux label belongs to this machine's policy.
_XATTR_NAMESPACES = ("user.", "trusted.", "security.")
_XATTR_LEFT_OUT = ("security.selinux",)

# tar2sqfs takes at most 65536 entries in a sparse map.
_MAX_EXTENTS = 65535

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
        if acls:
            _log.warning("POSIX ACLs of %d files left out: squashfs cannot hold them", acls)

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


def _text(name: str) -> str:
    """A name as tarfile is to encode it: the same in every locale."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


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
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}, False
        raise
    records = {}
    for name in sorted(names, key=os.fsencode):
        if name.startswith(_XATTR_NAMESPACES) and name not in _XATTR_LEFT_OUT:
            value = os.getxattr(path, name, follow_symlinks=False)
            records[f"SCHILY.xattr.{_text(name)}"] = value.decode("utf-8", "surrogateescape")
    return records, any(name.startswith("system.posix_acl_") for name in names)


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
            numbers = [len(extents), *(number for extent in extents for number in extent)]
            sparse_map = _pad("".join(f"{number}\n" for number in numbers).encode())
            member.pax_headers = {
                **member.pax_headers,
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": member.name,
                "GNU.sparse.realsize": str(size),
            }
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
    """(offset, length) of what is not a hole; ends with an empty extent after a last hole."""
    status = os.fstat(descriptor)
    if status.st_blocks * 512 >= size:
        return [(0, size)]
    extents: list[tuple[int, int]] = []
    position = 0
    while position < size and len(extents) < _MAX_EXTENTS:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: nothing but a hole up to the end
        position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        extents.append((start, position - start))
    if len(extents) == _MAX_EXTENTS:
        return [(0, size)]
    if not extents or sum(extents[-1]) < size:
        extents.append((size, 0))
    return extents


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)
