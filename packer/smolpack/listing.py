"""Files in a packed root file system: `smolpack ls` and `smolpack cat`."""

import shutil
import stat
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from smolpack.errors import RootfsError
from smolpack.image import Entry, Image, Place
from smolpack.text import printable, show_time

_TYPES = {
    tarfile.REGTYPE: ("file", stat.S_IFREG),
    tarfile.DIRTYPE: ("directory", stat.S_IFDIR),
    tarfile.SYMTYPE: ("symlink", stat.S_IFLNK),
    tarfile.CHRTYPE: ("character device", stat.S_IFCHR),
    tarfile.BLKTYPE: ("block device", stat.S_IFBLK),
    tarfile.FIFOTYPE: ("fifo", stat.S_IFIFO),
}
_XATTR = "SCHILY.xattr."


def entries(image: Image, path: str, *, recursive: bool = False) -> Iterator[Entry]:
    """What is in the directory that `path` leads to (with `recursive` below it too), or the one
    file that it leads to. Raises RootfsError when it leads nowhere."""
    place = _find(image, path)
    if not place.is_directory:
        parent = place.path.rpartition("/")[0]
        yield next(entry for entry in image.entries(parent) if entry.path == place.path)
        return
    prefix = place.path.rstrip("/") + "/"
    for entry in image.entries(place.path):
        below = entry.path.removeprefix(prefix)
        if entry.path != place.path and (recursive or "/" not in below):
            yield entry


def cat(image: Image, path: str, out: BinaryIO) -> None:
    """Writes the regular file that `path` leads to. Raises RootfsError for anything else."""
    place = _find(image, path)
    if not place.is_file:
        raise RootfsError(f"{path} is not a regular file; see `smolpack ls`")
    with image.output("rdsquashfs", "--cat", place.path) as content:
        shutil.copyfileobj(content, out)


def as_line(entry: Entry, *, long: bool = False) -> str:
    """One line: the path, with `long` mode, owner, size (of a device: its numbers) and time before
    it and a symlink's target behind it."""
    if not long:
        return printable(entry.path)
    member = entry.member
    mode = stat.filemode(_type(member)[1] | member.mode)
    size = f"{member.devmajor},{member.devminor}" if _is_device(entry) else str(member.size)
    owner = f"{member.uid}:{member.gid}"
    target = f" -> {member.linkname}" if member.issym() else ""
    when = show_time(int(member.mtime))
    return printable(f"{mode} {owner:>11} {size:>11} {when} {entry.path}{target}")


def as_fields(entry: Entry) -> dict[str, Any]:
    """For JSON; keys are stable. `mode` is octal, `time` in seconds since 1970, values of
    extended attributes are in hexadecimal."""
    member = entry.member
    return {
        "path": entry.path,
        "type": type_name(entry),
        "mode": f"{member.mode:04o}",
        "uid": member.uid,
        "gid": member.gid,
        "size": member.size if member.isreg() else None,
        "time": int(member.mtime),
        "target": member.linkname if member.issym() else None,
        "device": [member.devmajor, member.devminor] if _is_device(entry) else None,
        "xattrs": {name: value.hex() for name, value in xattrs(entry).items()},
    }


def type_name(entry: Entry) -> str:
    """`file`, `directory`, `symlink` …"""
    return _type(entry.member)[0]


def xattrs(entry: Entry) -> dict[str, bytes]:
    """Extended attributes by name, in order."""
    return {
        name.removeprefix(_XATTR): value.encode("utf-8", "surrogateescape")
        for name, value in sorted(entry.member.pax_headers.items())
        if name.startswith(_XATTR)
    }


def _find(image: Image, path: str) -> Place:
    place = image.resolve(path)
    if place is None:
        raise RootfsError(f"{path} is not in the root file system")
    return place


def _type(member: tarfile.TarInfo) -> tuple[str, int]:
    # There are several ways to write down a regular file.
    return _TYPES[tarfile.REGTYPE if member.isreg() else member.type]


def _is_device(entry: Entry) -> bool:
    return entry.member.ischr() or entry.member.isblk()
