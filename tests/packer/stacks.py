"""Stacks of layers for tests: what is in them, written as tars, held in memory or in a file."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from smolpack.oci.base import Readable
from smolpack.sources.base import Advance

TIME = 1_500_000_000


@dataclass(frozen=True)
class Item:
    """A member of a layer. Names, targets and values as they stand in the tar."""

    name: str
    type: bytes = tarfile.REGTYPE
    data: bytes = b""
    target: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = TIME
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)

    def info(self) -> tarfile.TarInfo:
        member = tarfile.TarInfo(self.name)
        member.type, member.linkname, member.size = self.type, self.target, len(self.data)
        member.mode, member.uid, member.gid = self.mode, self.uid, self.gid
        member.mtime = self.mtime
        member.devmajor, member.devminor = self.device
        member.pax_headers = {
            **{f"SCHILY.xattr.{name}": _text(value) for name, value in self.xattrs.items()},
            **self.records,
        }
        return member


def file(name: str, data: bytes | str = b"", **more: object) -> Item:
    """A regular file."""
    return Item(name, data=data.encode() if isinstance(data, str) else data, **more)  # type: ignore[arg-type]


def directory(name: str, mode: int = 0o755, **more: object) -> Item:
    """A directory."""
    return Item(name, tarfile.DIRTYPE, mode=mode, **more)  # type: ignore[arg-type]


def symlink(name: str, target: str) -> Item:
    """A symlink."""
    return Item(name, tarfile.SYMTYPE, target=target, mode=0o777)


def link(name: str, target: str) -> Item:
    """A hard link."""
    return Item(name, tarfile.LNKTYPE, target=target)


def whiteout(path: str) -> Item:
    """Removes `path` of lower layers."""
    parent, slash, name = path.rpartition("/")
    return Item(f"{parent}{slash}.wh.{name}")


def opaque(path: str) -> Item:
    """Hides what lower layers have in the directory `path`."""
    return Item(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq")


def tar(items: Iterable[Item]) -> bytes:
    """A layer's tar."""
    out = io.BytesIO()
    for item in items:
        out.write(item.info().tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if item.type == tarfile.REGTYPE:
            out.write(item.data + bytes(-len(item.data) % tarfile.BLOCKSIZE))
    out.write(bytes(2 * tarfile.BLOCKSIZE))
    return out.getvalue()


@dataclass(frozen=True)
class StoredLayer:
    """A layer whose tar is in memory or in a file."""

    content: bytes | Path
    name: str = "test, layer 1 of 1"
    chunk: int = 1 << 30

    @property
    def diff_id(self) -> str:
        data = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    @property
    def size(self) -> int:
        content = self.content
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    @contextmanager
    def open(self, advance: Advance) -> Iterator[Readable]:
        content = self.content
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            yield _Stream(file, advance, self.chunk)


class _Stream:
    def __init__(self, file: io.BufferedIOBase | io.BufferedReader, advance: Advance, chunk: int):
        self._file, self._advance, self._chunk = file, advance, chunk

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._chunk))
        self._advance(len(data))
        return data


def layers(*contents: bytes | Path, chunk: int = 1 << 30) -> list[StoredLayer]:
    """Layers, lowest first, with names for messages."""
    return [
        StoredLayer(content, f"test, layer {number} of {len(contents)}", chunk)
        for number, content in enumerate(contents, 1)
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
