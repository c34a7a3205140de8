"""A tar archive reaches the image as it is; damaged ones are refused."""

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from smolpack.errors import SmolpackError, SourceError
from smolpack.sources.tar import TarSource
from support import image_file, image_members, pack_image

CAPABILITY = struct.pack("<IIIII", 0x0200_0001, 1 << 13, 0, 0, 0)


def archive(format: int = tarfile.PAX_FORMAT, root: bool = True) -> bytes:  # noqa: A002
    """Everything that an unprivileged user could not make on disk."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:

        def add(name: str, kind: bytes, data: bytes = b"", **attributes: object) -> None:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.mtime = kind, len(data), 1_000_000_000
            for key, value in attributes.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))

        if root:
            add("./", tarfile.DIRTYPE, mode=0o750, uid=3)
        add("./bin", tarfile.DIRTYPE, mode=0o755)
        capability = {
            "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")
        }
        headers = capability if format == tarfile.PAX_FORMAT else {}
        add("./bin/ping", tarfile.REGTYPE, b"x" * 200_000, mode=0o4755, uid=1, pax_headers=headers)
        add("./bin/hard", tarfile.LNKTYPE, linkname="./bin/ping")
        add("./bin/" + "long" * 60, tarfile.REGTYPE, b"long")
        add("./bin/soft", tarfile.SYMTYPE, linkname="s" * 300)
        add("./null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
        add("./disk", tarfile.BLKTYPE, mode=0o660, devmajor=8, devminor=1)
        add("./fifo", tarfile.FIFOTYPE, mode=0o600)
    return out.getvalue()


PLAIN = archive()


def pack(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return pack_image(TarSource(path), tmp_path / "image")


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_everything_survives(format: int, tmp_path: Path) -> None:  # noqa: A002
    image = pack(archive(format), tmp_path)
    members = image_members(image)
    assert (members[""].mode, members[""].uid) == (0o750, 3)
    ping = members["bin/ping"] if members["bin/ping"].isreg() else members["bin/hard"]
    assert (ping.mode, ping.uid, ping.mtime, ping.size) == (0o4755, 1, 1_000_000_000, 200_000)
    if format == tarfile.PAX_FORMAT:
        packed = ping.pax_headers["SCHILY.xattr.security.capability"]
        assert packed.encode("utf-8", "surrogateescape") == CAPABILITY
    assert image_file(image, "bin/hard") == b"x" * 200_000
    assert image_file(image, "bin/" + "long" * 60) == b"long"
    assert members["bin/soft"].linkname == "s" * 300
    null, disk = members["null"], members["disk"]
    assert null.ischr() and (null.devmajor, null.devminor) == (1, 3)
    assert disk.isblk() and (disk.devmajor, disk.devminor) == (8, 1)
    assert members["fifo"].isfifo()


def test_without_an_entry_for_the_root(tmp_path: Path) -> None:
    root = image_members(pack(archive(root=False), tmp_path))[""]
    assert (root.mode, root.uid, root.gid, root.mtime) == (0o755, 0, 0, 0)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd, two frames": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(part) for part in (data[:1000], data[1000:])
    ),
}


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_compression_makes_no_difference(compressor: str, tmp_path: Path) -> None:
    plain = pack(PLAIN, tmp_path).read_bytes()
    assert pack(COMPRESSORS[compressor](PLAIN), tmp_path).read_bytes() == plain


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_truncated_when_compressed(compressor: str, tmp_path: Path) -> None:
    data = COMPRESSORS[compressor](PLAIN)
    with pytest.raises(SourceError, match="truncated"):
        pack(data[: len(data) * 2 // 3], tmp_path)


END = PLAIN.rstrip(b"\0")
AT_A_HEADER = (len(END) + 511) // 512 * 512  # all members whole, no end-of-archive marker


@pytest.mark.parametrize("size", [512, 700, 1536, 100_000, AT_A_HEADER - 512, AT_A_HEADER])
def test_truncated(size: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="archive: truncated"):
        pack(PLAIN[:size], tmp_path)


@pytest.mark.parametrize("data", [b"", b"hello", b"#!/bin/sh\n" * 200, b"\x7fELF" + bytes(2000)])
def test_foreign(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a tar archive"):
        pack(data, tmp_path)


def test_damaged_header(tmp_path: Path) -> None:
    data = bytearray(PLAIN)
    at = data.index(b"./disk")
    data[at + 100] ^= 1
    with pytest.raises(SourceError, match="damaged tar header"):
        pack(bytes(data), tmp_path)


def test_an_empty_archive_has_only_a_root(tmp_path: Path) -> None:
    assert list(image_members(pack(bytes(10240), tmp_path))) == [""]


def test_garbage_behind_the_end_is_not_read_as_members(tmp_path: Path) -> None:
    plain = pack(PLAIN, tmp_path).read_bytes()
    assert pack(PLAIN + b"garbage" * 100_000, tmp_path).read_bytes() == plain


def test_the_same_path_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for content in (b"first", b"second"):
            member = tarfile.TarInfo("./file")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(SmolpackError, match=r"file.*exists"):
        pack(out.getvalue(), tmp_path)


@pytest.mark.parametrize("format", ["gnu", "posix"])
def test_sparse_members_as_gnu_tar_writes_them(format: str, tmp_path: Path) -> None:  # noqa: A002
    size = 64 << 20
    with (tmp_path / "sparse").open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.seek(start)
            file.write(b"data")
        file.truncate(size)
    command = ["tar", "-c", "-S", f"--format={format}", "-C", str(tmp_path), "sparse"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    assert len(data) < 1 << 20
    image = pack(data, tmp_path)
    assert image_file(image, "sparse") == (tmp_path / "sparse").read_bytes()


def test_sizes_beyond_the_ustar_field(tmp_path: Path) -> None:
    member = tarfile.TarInfo("large")
    member.size = 9 << 30
    header = member.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(SourceError, match="truncated"):
        pack(header + bytes(1 << 20), tmp_path)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read: No such file"):
        TarSource(tmp_path / "none")
    with pytest.raises(SourceError, match="cannot read: Is a directory"):
        TarSource(tmp_path)


def test_size_is_the_stored_one(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(PLAIN))
    source = TarSource(path)
    advanced: list[int] = []
    source.write(io.BytesIO(), advanced.append)
    assert sum(advanced) == source.size() == path.stat().st_size
