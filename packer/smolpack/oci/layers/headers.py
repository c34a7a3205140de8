"""Headers of the merged stream: ustar with pax extensions where ustar has no room."""

import struct
from tarfile import BLOCKSIZE, DIRTYPE, LNKTYPE, XHDTYPE

from smolpack.oci.layers.members import Member
from smolpack.sources import squashfs

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s167x")
_MAGIC = b"ustar\x0000"
_CHECKSUM = slice(148, 156)
_NAME = 100
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777

# tar2sqfs takes no longer extended header.
_MAX_RECORDS = 65536


def root_name(path: bytes) -> bytes:
    """The name of the path in the stream: the root has one, too."""
    return path or b"."


def encode(member: Member, path: bytes, xattrs: dict[bytes, bytes]) -> bytes:
    """What stands before a member's data, under another name and with these attributes; a sparse
    file's has its map behind it. Raises ValueError where tar2sqfs could not read it."""
    name = root_name(path) + (b"/" if member.type == DIRTYPE else b"")
    records = [(squashfs.xattr_key(key), value) for key, value in sorted(xattrs.items())]
    size, sparse_map = member.stored, b""
    if member.extents is not None:
        sparse_map = squashfs.sparse_map(member.extents, member.size)
        size += len(sparse_map)
        records += squashfs.sparse_records(name, member.size)
    return _encode(member, member.type, name, member.target, size, records) + sparse_map


def encode_link(member: Member, path: bytes, target: bytes) -> bytes:
    """Another name of a member that stands in the stream as `target`."""
    return _encode(member, LNKTYPE, path, target, 0, [])


def _encode(
    member: Member,
    kind: bytes,
    name: bytes,
    target: bytes,
    size: int,
    records: list[tuple[bytes, bytes]],
) -> bytes:
    uid, gid = member.uid, member.gid
    if len(name) > _NAME:
        records.append((b"path", name))
    if len(target) > _NAME:
        records.append((b"linkpath", target))
    if uid > _MAX_ID:
        records.append((b"uid", b"%d" % uid))
    if gid > _MAX_ID:
        records.append((b"gid", b"%d" % gid))
    if size > _MAX_SIZE:
        records.append((b"size", b"%d" % size))
    extension = _extension(records) if records else b""
    return extension + _block(
        name,
        kind,
        member.mode,
        min(uid, _MAX_ID),
        min(gid, _MAX_ID),
        min(size, _MAX_SIZE),
        member.mtime,
        target,
        member.device,
    )


def _extension(records: list[tuple[bytes, bytes]]) -> bytes:
    data = b"".join(_record(key, value) for key, value in records)
    if len(data) > _MAX_RECORDS:
        raise ValueError("more extended attributes than 64 KiB, which tar2sqfs cannot take")
    header = _block(b"pax", XHDTYPE, 0o644, 0, 0, len(data), 0, b"", (0, 0))
    return header + data + bytes(-len(data) % BLOCKSIZE)


def _record(key: bytes, value: bytes) -> bytes:
    """`length key=value`, where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + len(b"%d" % len(rest))
    if len(b"%d" % length) + len(rest) > length:
        length += 1
    return b"%d" % length + rest


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    target: bytes,
    device: tuple[int, int],
) -> bytes:
    block = _HEADER.pack(
        name[:_NAME],
        b"%07o" % mode,
        b"%07o" % uid,
        b"%07o" % gid,
        b"%011o" % size,
        b"%011o" % mtime,
        b" " * 8,
        kind,
        target[:_NAME],
        _MAGIC,
        b"%07o" % device[0],
        b"%07o" % device[1],
    )
    return block[: _CHECKSUM.start] + b"%06o\0 " % sum(block) + block[_CHECKSUM.stop :]
