"""A tar archive as a source: passed through as it is, decompressed, and checked to be whole."""

import bz2
import gzip
import lzma
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import zstandard

from smolpack.errors import SourceError
from smolpack.sources.base import CHUNK, Advance, ByteSink

_MAX_EXTENDED_HEADER = 1 << 20
_EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_WITHOUT_DATA = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
# Where a GNU sparse header, and each map block behind it, says that a map block follows.
_SPARSE_MORE_IN_HEADER = 482
_SPARSE_MORE_IN_MAP = 504


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _zstd(file: Any) -> _Readable:
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


_DECOMPRESSORS: tuple[tuple[bytes, Callable[[Any], _Readable]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstd),
)
_DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


class TarSource:
    """Streams a tar archive (plain, gzip, bzip2, xz or zstd) from a file or, for `-`, from
    standard input. Its headers are followed only to find truncation, which tar2sqfs would take
    for the end of the archive."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError when `path` cannot be opened."""
        if str(path) == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise SourceError("no archive comes in on standard input; pipe one into it")
            self._name, self._file = "standard input", sys.stdin.buffer
            return
        try:
            self._name, self._file = str(path), path.open("rb")
        except OSError as error:
            raise SourceError(f"{path}: cannot read: {error.strerror}") from error

    def size(self) -> int | None:
        """Bytes of the archive as stored; None for a pipe."""
        status = os.fstat(self._file.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def write(self, sink: ByteSink, advance: Advance) -> None:
        """See Source.write()."""
        stored = _Input(self._file, advance)
        stream: _Readable = stored
        for magic, decompressor in _DECOMPRESSORS:
            if stored.head.startswith(magic):
                stream = decompressor(stored)
        try:
            _Walk(self._name, stream, sink).run()
        except _DAMAGED as error:
            raise SourceError(f"{self._name}: damaged or truncated: {error}") from error


class _Input:
    """The archive as stored; `head` holds its first bytes, which read() returns as well."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self.head = file.read(8)
        self._pending = self.head
        self._file = file
        self._advance = advance

    def read(self, size: int = CHUNK) -> bytes:
        data, self._pending = self._pending[:size], self._pending[size:]
        data = data or self._file.read(size)
        self._advance(len(data))
        return data


class _Walk:
    """One pass over an archive, member by member."""

    def __init__(self, name: str, stream: _Readable, sink: ByteSink) -> None:
        self._name = name
        self._stream = stream
        self._sink = sink
        self._offset = 0

    def run(self) -> None:
        """Forwards everything up to the end-of-archive marker."""
        size_of_next = None
        while True:
            block = self._forward_header()
            if block is None:
                break
            member = self._decode(block)
            if member.type in _EXTENDED_HEADERS:
                payload = self._forward_small(member.size)
                if member.type == tarfile.XHDTYPE:
                    size_of_next = _pax_size(payload[: member.size])
                continue
            if member.type == tarfile.GNUTYPE_SPARSE:
                more = block[_SPARSE_MORE_IN_HEADER]
                while more:
                    more = self._forward_small(tarfile.BLOCKSIZE)[_SPARSE_MORE_IN_MAP]
            if member.type not in _WITHOUT_DATA:
                self._forward_data(member.size if size_of_next is None else size_of_next)
            size_of_next = None
        # A writer at the other end of a pipe must not see it close early.
        while self._stream.read(CHUNK):
            pass

    def _forward_header(self) -> bytes | None:
        """The next header; None at the end of the archive."""
        block = self._read(tarfile.BLOCKSIZE)
        if block == bytes(tarfile.BLOCKSIZE):
            self._sink.write(bytes(2 * tarfile.BLOCKSIZE))
            return None
        self._sink.write(block)
        return block

    def _decode(self, block: bytes) -> tarfile.TarInfo:
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if self._offset == len(block):
                raise self._foreign() from error
            raise self._damaged() from error
        if member.size < 0:
            raise self._damaged()
        return member

    def _forward_small(self, size: int) -> bytes:
        if size > _MAX_EXTENDED_HEADER:
            raise self._damaged()
        payload = self._read(size + -size % tarfile.BLOCKSIZE)
        self._sink.write(payload)
        return payload

    def _forward_data(self, size: int) -> None:
        left = size + -size % tarfile.BLOCKSIZE
        while left:
            data = self._read(min(left, CHUNK))
            self._sink.write(data)
            left -= len(data)

    def _read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = self._stream.read(size)
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                raise self._truncated() if self._offset else self._foreign()
            data += more
        self._offset += size
        return data

    def _foreign(self) -> SourceError:
        return SourceError(f"{self._name}: not a tar archive")

    def _damaged(self) -> SourceError:
        return SourceError(f"{self._name}: damaged tar header before byte {self._offset}")

    def _truncated(self) -> SourceError:
        return SourceError(
            f"{self._name}: truncated: the tar archive ends at byte {self._offset} "
            "without its end-of-archive marker"
        )


def _pax_size(payload: bytes) -> int | None:
    """The `size` record of a pax extended header, which overrides the ustar header's field."""
    size = None
    position = 0
    while position < len(payload):
        length, _, _ = payload[position : position + 20].partition(b" ")
        if not length.isdigit() or int(length) <= 0:
            break  # tar2sqfs refuses it with a message of its own
        _, _, record = payload[position : position + int(length) - 1].partition(b" ")
        key, _, value = record.partition(b"=")
        if key == b"size" and value.isdigit():
            size = int(value)
        position += int(length)
    return size
