"""Members of a layer's tar stream: ustar, GNU and pax headers, every field hostile.

Layers are read by Go's archive/tar in the engines, so what it takes is taken here, in its sense:
an end without marker or padding, pax records that are empty, data behind a directory that is not
there. tarfile would decode every name, guess at damage, and be several times slower.
"""

import base64
import binascii
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from tarfile import (
    BLKTYPE,
    BLOCKSIZE,
    CHRTYPE,
    CONTTYPE,
    DIRTYPE,
    FIFOTYPE,
    GNUTYPE_LONGLINK,
    GNUTYPE_LONGNAME,
    GNUTYPE_SPARSE,
    LNKTYPE,
    REGTYPE,
    SYMTYPE,
    XGLTYPE,
    XHDTYPE,
)
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from smolpack.errors import ImageError
from smolpack.oci.base import Readable
from smolpack.oci.layers import sparse
from smolpack.oci.layers.reader import Reader
from smolpack.text import printable

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2x32s32s8s8s155s12x")
_CHECKSUM = slice(148, 156)
_USTAR, _GNU = b"ustar\0", b"ustar "
_STAR = b"tar\0"
_STAR_PREFIX = 131
_ZEROS = bytes(BLOCKSIZE)
_V7_FILE = b"\0"

# As Go has it; a path is shorter, attributes for tar2sqfs have to be.
_MAX_EXTENSION = 1 << 20
_MAX_ID = 0xFFFF_FFFE
_MAX_MAJOR, _MAX_MINOR = 0xFFF, 0xF_FFFF
_MAX_TIME = 0xFFFF_FFFF

_WITHOUT_DATA = frozenset((LNKTYPE, SYMTYPE, CHRTYPE, BLKTYPE, DIRTYPE, FIFOTYPE))
_TYPES = _WITHOUT_DATA | {REGTYPE}
_FILES = frozenset((REGTYPE, _V7_FILE, CONTTYPE, GNUTYPE_SPARSE))

_SCHILY = b"SCHILY.xattr."
_LIBARCHIVE = b"LIBARCHIVE.xattr."
_SPARSE = b"GNU.sparse."


class Member(NamedTuple):
    """A member, its fields checked. `type` is one of tarfile's seven of POSIX; `size` a regular
    file's, of which `stored` bytes are in the stream, at `extents` when it is sparse; `mtime` in
    seconds as squashfs can hold it; `target` a link's, `device` major and minor."""

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    stored: int
    extents: sparse.Extents | None
    target: bytes
    device: tuple[int, int]
    xattrs: dict[bytes, bytes]


class Members:
    """The members of one layer. Iterating passes over content that was not taken, and reads the
    stream to its end. Raises ImageError naming `layer`."""

    def __init__(
        self, stream: Readable, layer: str, took: Callable[[int], object] = lambda size: None
    ) -> None:
        """`took` is told of every byte of the stream."""
        self._reader = Reader(stream, layer, took)
        self._layer = layer
        self._data = self._padding = 0
        self._name = b""

    def __iter__(self) -> Iterator[Member]:
        while True:
            self._name = b""
            try:
                member = self._next()
            except ValueError as error:
                raise self._damaged(error) from error
            if member is None:
                break
            yield member
        self._reader.drain()

    def content(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes of the data of the member that iterating gave last, which has
        `stored` in all."""
        self._data -= size
        yield from self._reader.pieces(size)

    def _next(self) -> Member | None:
        self._reader.skip(self._data)
        self._reader.pass_over(self._padding)
        self._data = self._padding = 0
        records: list[tuple[bytes, bytes]] = []
        long_name = long_target = None
        while True:
            block = self._header()
            if block is None:
                if records or long_name or long_target:
                    raise ValueError("an extended header without a member")
                return None
            fields = _HEADER.unpack(block)
            kind = fields[7]
            if kind == XHDTYPE:
                records = list(_records(self._extension(fields)))
            elif kind == XGLTYPE:
                self._extension(fields)  # engines pass over it
            elif kind == GNUTYPE_LONGNAME:
                long_name = _text(self._extension(fields))
            elif kind == GNUTYPE_LONGLINK:
                long_target = _text(self._extension(fields))
            else:
                return self._member(block, fields, records, long_name, long_target)

    def _header(self) -> bytes | None:
        """The next block that is no end marker; None at the end of the archive."""
        if self._reader.at_end():
            return None
        block = self._reader.read(BLOCKSIZE)
        if block == _ZEROS:
            if not self._reader.at_end() and self._reader.read(BLOCKSIZE) != _ZEROS:
                raise ValueError("half an end marker")
            return None
        # The field itself counts as blanks; some writers summed signed characters.
        field = block[_CHECKSUM]
        said, summed = _number(field), sum(block) - sum(field) + 8 * 0x20
        if said != summed:
            signs = sum(byte > 0x7F for byte in block) - sum(byte > 0x7F for byte in field)
            if said != summed - 0x100 * signs:
                raise ValueError("wrong checksum")
        return block

    def _extension(self, fields: tuple[bytes, ...]) -> bytes:
        size = _number(fields[4])
        if not 0 <= size <= _MAX_EXTENSION:
            raise ValueError("an extended header that is too long")
        data = self._reader.read(size)
        self._reader.skip(-size % BLOCKSIZE)
        return data

    def _member(
        self,
        block: bytes,
        fields: tuple[bytes, ...],
        records: list[tuple[bytes, bytes]],
        long_name: bytes | None,
        long_target: bytes | None,
    ) -> Member:
        pax = dict(records)
        name, kind = fields[0], fields[7]
        magic, prefix = fields[9], b""
        if magic == _USTAR:
            prefix = fields[14]
            if block.endswith(_STAR):
                prefix = prefix[:_STAR_PREFIX]
        name = _text(name)
        if prefix := _text(prefix):
            name = prefix + b"/" + name
        name = self._name = long_name or pax.get(b"path", name)
        size = _decimal(pax[b"size"]) if b"size" in pax else _number(fields[4])
        if size < 0:
            raise ValueError("a negative size")
        stored = 0 if kind in _WITHOUT_DATA else size
        # From here on this much may be read for the member.
        self._data, self._padding = stored, -stored % BLOCKSIZE
        numbers = None
        if kind in _FILES:
            name, size, numbers = self._sparse(block, name, size, kind, records, pax)
            kind = DIRTYPE if kind == _V7_FILE and name.endswith(b"/") else REGTYPE
        elif kind not in _TYPES:
            raise ValueError(f"type {printable(kind.decode('latin-1'))} is unknown")
        extents = None if numbers is None else sparse.extents(numbers, size, self._data)
        if b"\0" in name:
            raise ValueError("a name with a null character")
        return Member(
            name,
            kind,
            _mode(fields[1]),
            _bounded(pax.get(b"uid"), fields[2], _MAX_ID, "owner"),
            _bounded(pax.get(b"gid"), fields[3], _MAX_ID, "group"),
            _time(pax.get(b"mtime"), fields[5]),
            size if kind == REGTYPE else 0,
            self._data,
            extents,
            _link_target(long_target, pax, fields[8]) if kind in (LNKTYPE, SYMTYPE) else b"",
            _device(fields) if kind in (CHRTYPE, BLKTYPE) and magic in (_USTAR, _GNU) else (0, 0),
            _xattrs(records) if records else {},
        )

    def _sparse(
        self,
        block: bytes,
        name: bytes,
        size: int,
        kind: bytes,
        records: list[tuple[bytes, bytes]],
        pax: dict[bytes, bytes],
    ) -> tuple[bytes, int, list[int] | None]:
        """Name, size and map; the latter is None for what is not sparse."""
        if kind == GNUTYPE_SPARSE:
            numbers, size = sparse.old_map(block, lambda: self._reader.read(BLOCKSIZE), _number)
            return name, size, numbers
        version = (pax.get(_SPARSE + b"major"), pax.get(_SPARSE + b"minor"))
        if version == (b"1", b"0"):
            numbers = sparse.stored_map(self._block_of_data, _decimal)
        elif (found := _map_in_records(records)) is not None:
            numbers = found
        else:
            return name, size, None
        name = pax.get(_SPARSE + b"name", name)
        real = pax.get(_SPARSE + b"realsize") or pax.get(_SPARSE + b"size")
        return name, size if real is None else _decimal(real), numbers

    def _block_of_data(self) -> bytes:
        if self._data < BLOCKSIZE:
            raise ValueError("a sparse map longer than its member")
        self._data -= BLOCKSIZE
        return self._reader.read(BLOCKSIZE)

    def _damaged(self, error: ValueError) -> ImageError:
        what = f"in {shown(self._name)}" if self._name else "in a header"
        place = f"{what}, before byte {self._reader.offset}"
        return ImageError(f"{self._layer}: damaged tar archive: {error} ({place})")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def shown(name: bytes) -> str:
    """A name for messages."""
    return printable(name[:200].decode("utf-8", "surrogateescape"))


def _number(field: bytes) -> int:
    """A number in octal digits, or the base-256 form for larger ones and negative ones."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if value >> (bits - 1) else value
    digits = _text(field.strip(b" \0"))
    if not digits:
        return 0
    if not digits.isdigit():
        raise ValueError("a number that is none")
    return int(digits, 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise ValueError("a number that is none")
    return int(digits)


# Owners and times are the same in most members, and decoding numbers is what takes the time.
@lru_cache(1024)
def _bounded(decimal: bytes | None, field: bytes, largest: int, what: str) -> int:
    value = _number(field) if decimal is None else _decimal(decimal)
    if not 0 <= value <= largest:
        raise ValueError(f"no such {what}: {value}")
    return value


@lru_cache(1024)
def _time(decimal: bytes | None, field: bytes) -> int:
    if decimal is None:
        seconds = _number(field)
    else:
        whole = decimal.partition(b".")[0]
        seconds = 0 if whole.startswith(b"-") else _decimal(whole)
    return min(max(seconds, 0), _MAX_TIME)


@lru_cache(1024)
def _mode(field: bytes) -> int:
    return _number(field) & 0o7777


def _link_target(long: bytes | None, pax: dict[bytes, bytes], field: bytes) -> bytes:
    target = long or pax.get(b"linkpath", _text(field))
    if b"\0" in target:
        raise ValueError("a link target with a null character")
    return target


def _device(fields: tuple[bytes, ...]) -> tuple[int, int]:
    return (
        _bounded(None, fields[12], _MAX_MAJOR, "device"),
        _bounded(None, fields[13], _MAX_MINOR, "device"),
    )


def _records(payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records of a pax extended header that have a value; without one, the header's holds."""
    at = 0
    while at < len(payload):
        space = payload.find(b" ", at, at + 20)
        digits = payload[at:space]
        end = at + _decimal(digits)
        key, separator, value = payload[space + 1 : end - 1].partition(b"=")
        if space < 0 or not separator or payload[end - 1 : end] != b"\n":
            raise ValueError("a malformed pax record")
        if value:
            yield key, value
        at = end


def _map_in_records(records: list[tuple[bytes, bytes]]) -> list[int] | None:
    """The map of the pax formats 0.0 (a record a number) and 0.1 (a record with all)."""
    numbers = []
    for key, value in records:
        if key == _SPARSE + b"map":
            return [_decimal(number) for number in value.split(b",")]
        if key in (_SPARSE + b"offset", _SPARSE + b"numbytes"):
            numbers.append(_decimal(value))
    return numbers or None


def _xattrs(records: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Extended attributes; where both forms are there they say the same."""
    found: dict[bytes, bytes] = {}
    for key, value in records:
        if key.startswith(_SCHILY):
            found[key.removeprefix(_SCHILY)] = value
    for key, value in records:
        if key.startswith(_LIBARCHIVE):
            name = unquote_to_bytes(key.removeprefix(_LIBARCHIVE))
            try:
                found.setdefault(name, base64.b64decode(value + b"=" * (-len(value) % 4)))
            except binascii.Error as error:
                raise ValueError("an extended attribute that is no base64") from error
    if any(b"\0" in name for name in found):
        raise ValueError("an extended attribute with a null character in its name")
    return found
