"""Layers as they are stored, read as what they are: decompressed, bounded and compared with their
digests on the way. Nothing goes through the file system."""

import contextlib
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import zstandard
from isal import igzip

from smolpack.errors import ImageError
from smolpack.oci.base import Readable
from smolpack.oci.options import RATIO_FREE, Limits
from smolpack.sources.base import CHUNK, Advance

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte of 0x50 to 0x5f
_XZ, _BZIP2 = b"\xfd7zXZ\0", b"BZh"
_HEAD = 8

DAMAGED = (EOFError, OSError, zlib.error, zstandard.ZstdError)


@dataclass(frozen=True)
class Extent:
    """A piece of an open file that can be read at any place: `offset` and `size` in bytes."""

    file: BinaryIO
    offset: int
    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """At most `size` bytes from `position` on; b"" at the end."""
        size = min(size, self.size - position)
        return os.pread(self.file.fileno(), size, self.offset + position) if size > 0 else b""


def whole(file: BinaryIO) -> Extent:
    """All of a file."""
    return Extent(file, 0, os.fstat(file.fileno()).st_size)


class StoredReader(io.RawIOBase):
    """Something as stored, read once from its start to its end, as the decompressors want it."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See read()."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, and at most CHUNK; b"" at the end."""
        raise NotImplementedError


class ExtentReader(StoredReader):
    """An extent; `observe` sees every piece."""

    def __init__(self, extent: Extent, observe: Callable[[bytes], object]) -> None:
        self._extent = extent
        self._observe = observe
        self._position = 0

    def read(self, size: int | None = -1) -> bytes:
        """See StoredReader.read()."""
        data = self._extent.read_at(self._position, _at_most(size))
        self._position += len(data)
        self._observe(data)
        return data


class PipeReader(StoredReader):
    """What comes once; `head` holds its first bytes, which read() returns as well; `count` is how
    many bytes it has returned."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.head = b""
        while len(self.head) < _HEAD and (data := file.read(_HEAD - len(self.head))):
            self.head += data
        self._pending = self.head

    def read(self, size: int | None = -1) -> bytes:
        """See StoredReader.read()."""
        wanted = _at_most(size)
        data, self._pending = self._pending[:wanted], self._pending[wanted:]
        data = data or self._file.read(wanted)
        self.count += len(data)
        return data


def _at_most(size: int | None) -> int:
    return CHUNK if size is None or size < 0 else min(size, CHUNK)


def decompress(stored: StoredReader, head: bytes) -> Readable:
    """The content of `stored`, which begins with `head`: gzip and zstd by their magic numbers, all
    else as it is. Raises ValueError for a compression that images do not use; reading raises
    DAMAGED."""
    if head.startswith(_GZIP):
        return igzip.IGzipFile(fileobj=stored, mode="rb")  # type: ignore[no-untyped-call]
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):
        return zstandard.ZstdDecompressor().stream_reader(
            stored,  # type: ignore[arg-type]
            read_across_frames=True,
        )
    if head.startswith((_XZ, _BZIP2)):
        raise ValueError("compressed with xz or bzip2; images have gzip, zstd or nothing")
    return stored


def check_limits(name: str, size: int, stored: int, limits: Limits) -> None:
    """Raises ImageError when `size` bytes out of `stored` bytes are more than `limits` allow."""
    if size > limits.max_layer_size:
        raise ImageError(
            f"{name}: unpacks to more than {limits.max_layer_size} bytes; "
            "if you trust this image, raise --image-max-size"
        )
    if size > max(RATIO_FREE, stored * limits.max_ratio):
        raise ImageError(
            f"{name}: unpacks to more than {limits.max_ratio} times its size; "
            "if you trust this image, raise --image-max-ratio"
        )


@dataclass
class StoredLayer:
    """A Layer whose bytes are in an extent of a file, once `locate` has found them.

    `digest` is that of the bytes as stored, None when nobody tells it (docker archives) or it has
    been compared; `remedy` says what to do when they are damaged.
    """

    name: str
    diff_id: str
    size: int
    digest: str | None
    locate: Callable[[], Extent]
    limits: Limits
    remedy: str
    _checked: bool = field(default=False, init=False)

    @contextlib.contextmanager
    def open(self, advance: Advance) -> Iterator[Readable]:
        """See Layer.open()."""
        extent = self.locate()
        if extent.size < self.size:
            raise self._damage(f"truncated: {extent.size} bytes of {self.size}")
        if extent.size > self.size:
            raise self._damage(f"{extent.size} bytes instead of {self.size}")
        yield _Content(self, extent, advance)

    def _damage(self, problem: str) -> ImageError:
        return ImageError(f"{self.name}: {problem}; {self.remedy}")


class _Content:
    """One pass over a layer."""

    def __init__(self, layer: StoredLayer, extent: Extent, advance: Advance) -> None:
        self._layer = layer
        self._advance = advance
        self._hash = None if layer._checked else hashlib.sha256()
        # A plain layer is its own content.
        own = layer.digest not in (None, layer.diff_id)
        self._stored_hash = hashlib.sha256() if own and not layer._checked else None
        self._size = 0
        self._stored = ExtentReader(extent, self._observe)
        self._stream: Readable
        try:
            self._stream = decompress(self._stored, extent.read_at(0, _HEAD))
        except ValueError as error:
            raise layer._damage(str(error)) from error

    def _observe(self, data: bytes) -> None:
        self._advance(len(data))
        if self._stored_hash is not None:
            self._stored_hash.update(data)

    def read(self, size: int, /) -> bytes:
        """See Readable.read()."""
        try:
            data = self._stream.read(size)
        except DAMAGED as error:
            self._check_stored()
            raise self._layer._damage(f"damaged or truncated: {error}") from error
        if data:
            self._size += len(data)
            check_limits(self._layer.name, self._size, self._layer.size, self._layer.limits)
            if self._hash is not None:
                self._hash.update(data)
        elif size and self._hash is not None:
            self._check_stored()
            self._check_content(self._hash.hexdigest())
        return data

    def _check_stored(self) -> None:
        """Compares what is stored with its digest; says more than any decompressor can."""
        while self._stored.read(CHUNK):
            pass
        if self._stored_hash is not None:
            found = f"sha256:{self._stored_hash.hexdigest()}"
            if found != self._layer.digest:
                raise self._layer._damage(f"damaged: its digest is {found}")

    def _check_content(self, found: str) -> None:
        if f"sha256:{found}" != self._layer.diff_id:
            raise self._layer._damage(
                f"its content (sha256:{found}) is not what the image configuration names "
                f"({self._layer.diff_id})"
            )
        self._layer._checked = True
