"""Package headers in an rpm database of the SQLite kind (rpm 4.16 and later).

The header format is the one of rpm's file format, "Header structure", without its magic.
"""

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_DATABASE = 256 << 20
_MAX_HEADER = 32 << 20
_MAX_ENTRIES = 1 << 16
_MAX_VALUE = 1024
# Steps of SQLite's machine after which a query is broken off: seconds, not minutes.
_MAX_STEPS = 50_000_000

_INTRO = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1014, 1022
_INT32, _STRING, _STRING_LIST, _STRING_TRANSLATED = 4, 6, 8, 9
# Where a SQLite file says that it has a write-ahead log, which one in memory cannot have.
_JOURNAL_MODE = slice(18, 20)


class UnreadableError(Exception):
    """The database is of another kind or damaged; the text says which."""


@dataclass(frozen=True)
class Header:
    """What a package says of itself. `version` includes the release."""

    name: str
    version: str
    epoch: int | None
    architecture: str | None
    licence: str | None


def headers(data: bytes) -> Iterator[Header]:
    """The packages of a database, without the keys that rpm keeps there as well. Raises
    UnreadableError."""
    database = bytearray(data)
    database[_JOURNAL_MODE] = b"\1\1"
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(bytes(database))
        for blob in _blobs(connection):
            header = _parse(blob)
            if header is not None and header.name != "gpg-pubkey":
                yield header
    except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:
        raise UnreadableError(f"not an rpm database in SQLite: {error}") from error
    finally:
        connection.close()


def _blobs(connection: sqlite3.Connection) -> Iterator[bytes]:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_HEADER)
    connection.set_progress_handler(lambda: 1, _MAX_STEPS)
    # A view or a virtual table of that name, which would run what somebody wrote, has no page.
    table = "SELECT 1 FROM sqlite_schema WHERE name = 'Packages' AND rootpage > 0"
    if connection.execute(table).fetchone() is None:
        raise UnreadableError("it has no table of packages")
    for (blob,) in connection.execute("SELECT blob FROM Packages"):
        if isinstance(blob, bytes):
            yield blob


def _parse(blob: bytes) -> Header | None:
    """One header; None for one that is damaged or has no name."""
    if len(blob) < _INTRO.size:
        return None
    count, size = _INTRO.unpack_from(blob)
    start = _INTRO.size + count * _ENTRY.size
    if count > _MAX_ENTRIES or start + size > len(blob):
        return None
    store = blob[start : start + size]
    values = {}
    for position in range(_INTRO.size, start, _ENTRY.size):
        tag, kind, offset, _ = _ENTRY.unpack_from(blob, position)
        if kind in (_STRING, _STRING_LIST, _STRING_TRANSLATED):
            text = store[offset : offset + _MAX_VALUE].partition(b"\0")[0]
            values[tag] = text.decode("utf-8", "replace")
        elif kind == _INT32 and tag == _EPOCH and offset + 4 <= len(store):
            values[tag] = str(int.from_bytes(store[offset : offset + 4], "big"))
    name, version, release = (values.get(tag) for tag in (_NAME, _VERSION, _RELEASE))
    if not name or not version:
        return None
    return Header(
        name=name,
        version=f"{version}-{release}" if release else version,
        epoch=int(values[_EPOCH]) if _EPOCH in values else None,
        architecture=values.get(_ARCHITECTURE),
        licence=values.get(_LICENCE),
    )
