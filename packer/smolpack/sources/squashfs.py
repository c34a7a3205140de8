"""What squashfs, and tar2sqfs on the way to it, can hold of a tree; how a tar says it."""

import logging
from collections.abc import Sequence
from tarfile import BLOCKSIZE

_log = logging.getLogger(__name__)

# There is no place for other namespaces; an SELinux label belongs to the policy of the machine
# that it was set on.
_XATTR_NAMESPACES = (b"user.", b"trusted.", b"security.")
_XATTR_LEFT_OUT = b"security.selinux"
_ACL = b"system.posix_acl_"

# Entries of a sparse map: tar2sqfs takes 65536, and one is for a hole at the end.
MAX_EXTENTS = 65535


def holds_xattr(name: bytes) -> bool:
    """Whether an extended attribute can be kept and should be."""
    return name.startswith(_XATTR_NAMESPACES) and name != _XATTR_LEFT_OUT


def is_acl(name: bytes) -> bool:
    """Whether an extended attribute holds a POSIX ACL."""
    return name.startswith(_ACL)


def warn_of_acls(files: int) -> None:
    """Tells that so many files had ACLs, when any had."""
    if files:
        _log.warning("POSIX ACLs of %d files left out: squashfs cannot hold them", files)


def xattr_key(name: bytes) -> bytes:
    """The key of the pax record that holds an extended attribute."""
    return b"SCHILY.xattr." + name


def sparse_records(name: bytes, size: int) -> list[tuple[bytes, bytes]]:
    """The pax records of a sparse file of `size` bytes, holes included (GNU tar's format 1.0)."""
    return [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", name),
        (b"GNU.sparse.realsize", b"%d" % size),
    ]


def sparse_map(data: Sequence[tuple[int, int]], size: int) -> bytes:
    """The map of that format, padded, as it stands before the file's data: `data` is (offset,
    length) of what is not a hole."""
    # The empty extent tells GNU tar, too, of a hole at the end.
    if not data or sum(data[-1]) < size:
        data = (*data, (size, 0))
    numbers = [len(data), *(number for extent in data for number in extent)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + bytes(-len(text) % BLOCKSIZE)
