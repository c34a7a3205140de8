"""The files that an image was saved as: in a directory, in a tar archive that is read in place, or
in a stream, whose files go to the cache one by one."""

import contextlib
import dataclasses
import itertools
import posixpath
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from smolpack.errors import ImageError
from smolpack.oci.options import Limits, Options
from smolpack.oci.stream import DAMAGED, Extent, PipeReader, check_limits, decompress, whole
from smolpack.sources.base import Advance

# An archive of 500 layers has four members a layer at most.
_MAX_MEMBERS = 4000
# What tarfile reads in one piece: headers, among them pax records.
_MAX_HEADER = 1 << 20
_MAX_LINKS = 10
# Old `docker save` writes these beside each layer; nobody needs them.
_SUPERFLUOUS = ("VERSION", "json")
_OF_A_ROOT = {"bin", "dev", "etc", "lib", "proc", "sbin", "usr", "var"}


class Files(Protocol):
    """Files by name, relative to where the image was saved."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def find(self, path: str) -> Extent | None:
        """A regular file, links followed; None when there is none. Raises ImageError."""
        ...


class DirectoryFiles:
    """A directory; files stay open until close()."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._open = contextlib.ExitStack()

    def find(self, path: str) -> Extent | None:
        """See Files.find()."""
        place = self._path / path
        try:
            # Asked before it is opened: a FIFO would never open.
            if not stat.S_ISREG(place.stat().st_mode):
                raise ImageError(f"{place}: not a regular file")
            return whole(self._open.enter_context(place.open("rb", buffering=0)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ImageError(f"{place}: cannot read: {error.strerror}") from error

    def close(self) -> None:
        """Closes all files that were found."""
        self._open.close()


class ArchiveFiles:
    """Members of a tar archive, by where they are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._extents: dict[str, Extent] = {}
        self._links: dict[str, str] = {}

    def find(self, path: str) -> Extent | None:
        """See Files.find()."""
        for _ in range(_MAX_LINKS):
            if path not in self._links:
                return self._extents.get(path)
            path = self._links[path]
        raise ImageError(f"{self.name}: {path}: too many links")

    def add(self, path: str, extent: Extent) -> None:
        """A regular file; the last one of a name counts."""
        self._links.pop(path, None)
        self._extents[path] = extent

    def add_link(self, path: str, target: str) -> None:
        """A link to another member."""
        self._extents.pop(path, None)
        self._links[path] = posixpath.normpath(target)


def index_archive(name: str, file: BinaryIO) -> ArchiveFiles:
    """The members of the uncompressed tar archive in `file`, which is read in place and has to stay
    open. Raises ImageError."""
    size = whole(file).size

    def locate(member: tarfile.TarInfo) -> Extent:
        if member.offset_data + member.size > size:
            raise _truncated(name, member)
        return Extent(file, member.offset_data, member.size)

    return _read_members(name, _InPlace(name, file), locate)


def spool_archive(
    name: str, file: PipeReader, options: Options, opened: contextlib.ExitStack, advance: Advance
) -> ArchiveFiles:
    """The members of a tar archive, compressed or not, that comes once: each put into the cache as
    a blob and kept open until `opened` ends. Reads `file` to its end. Raises ImageError."""
    forward = _Forward(name, file, options.limits, advance)

    def spool(member: tarfile.TarInfo) -> Extent:
        check_limits(f"{name}, {member.name}", member.size, member.size, options.limits)
        with options.store.new_blob() as blob:
            left = member.size
            while left:
                data = forward.read(min(left, _MAX_HEADER))
                if not data:
                    raise _truncated(name, member)
                blob.write(data)
                left -= len(data)
            return whole(opened.enter_context(blob.keep()))

    found = _read_members(name, forward, spool)
    # A writer at the other end of a pipe must not see it close early.
    forward.drain()
    return found


class _InPlace:
    """A file as tarfile is to read it: not in pieces of whatever size a header says."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name = name
        self._extent = whole(file)
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise ImageError(f"{self._name}: damaged: a header of {size} bytes")
        data = self._extent.read_at(self._position, size)
        self._position += len(data)
        return data


class _Forward:
    """The same for what comes once: seeks forward, by reading."""

    def __init__(self, name: str, file: PipeReader, limits: Limits, advance: Advance) -> None:
        self._name = name
        self._file = file
        self._stream = decompress(file, file.head)
        # A layer's size is no limit to an archive of layers.
        self._limits = dataclasses.replace(limits, max_layer_size=sys.maxsize)
        self._advance = advance
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        while self._position < position and self.read(min(position - self._position, _MAX_HEADER)):
            pass

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise ImageError(f"{self._name}: damaged: a header of {size} bytes")
        pieces = []
        try:
            while size and (data := self._stream.read(size)):
                pieces.append(data)
                self._position += len(data)
                self._advance(len(data))
                check_limits(self._name, self._position, self._file.count, self._limits)
                size -= len(data)
        except DAMAGED as error:
            raise ImageError(f"{self._name}: damaged or truncated: {error}") from error
        return b"".join(pieces)

    def drain(self) -> None:
        while self.read(_MAX_HEADER):
            pass


def _read_members(
    name: str, file: _InPlace | _Forward, locate: Callable[[tarfile.TarInfo], Extent]
) -> ArchiveFiles:
    found = ArchiveFiles(name)
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
        for count in itertools.count():
            member = archive.next()
            if member is None:
                return found
            path = posixpath.normpath(member.name.lstrip("/"))
            if path.partition("/")[0] in _OF_A_ROOT:
                raise ImageError(
                    f"{name}: holds files of a root file system, not a saved image; "
                    "pack it with --tar"
                )
            if count > _MAX_MEMBERS or member.sparse is not None:
                raise ImageError(f"{name}: not a saved image: too many members, or sparse ones")
            if member.issym():
                found.add_link(path, posixpath.join(posixpath.dirname(path), member.linkname))
            elif member.islnk():
                found.add_link(path, member.linkname)
            elif member.isreg() and posixpath.basename(path) not in _SUPERFLUOUS:
                found.add(path, locate(member))
            file.seek(archive.offset)
    except tarfile.ReadError as error:
        if not file.tell():
            raise ImageError(f"{name}: empty, not a saved image") from error
        raise ImageError(f"{name}: not a tar archive, or damaged: {error}") from error
    except (tarfile.TarError, ValueError, OverflowError, IndexError, RecursionError) as error:
        raise ImageError(f"{name}: damaged tar archive: {error}") from error
    except OSError as error:
        raise ImageError(f"{name}: cannot read: {error.strerror}") from error
    raise AssertionError


def _truncated(name: str, member: tarfile.TarInfo) -> ImageError:
    return ImageError(f"{name}: truncated: it ends within {member.name}; save the image again")
