"""The image depends on the stream alone; tar2sqfs's failures are told."""

import os
from pathlib import Path

import pytest

from smolpack import rootfs
from smolpack.errors import RootfsError, SourceError, SpecError
from smolpack.sources.base import Advance, ByteSink
from smolpack.sources.directory import DirectorySource
from support import image_members, pack_image


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    for number in range(40):
        (root / f"file{number}").write_bytes(os.urandom(70_000) + bytes(100_000 * (number % 3)))
    return root


def test_the_same_bytes_whatever_the_number_of_jobs(files: Path, tmp_path: Path) -> None:
    images = {
        pack_image(DirectorySource(files), tmp_path / "image", jobs).read_bytes()
        for jobs in (1, 2, 5)
    }
    assert len(images) == 1


def test_the_digest_is_the_streams(files: Path, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        with (tmp_path / name).open("w+b") as image:
            packed = rootfs.pack(DirectorySource(files), image, lambda size: None)
            digests.add(packed.source_digest)
    (files / "file1").chmod(0o600)
    with (tmp_path / "three").open("w+b") as image:
        packed = rootfs.pack(DirectorySource(files), image, lambda size: None)
    assert len(digests) == 1 and packed.source_digest not in digests


def time_stamp(image: Path) -> int:
    return int.from_bytes(image.read_bytes()[8:12], "little")


def test_source_date_epoch(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    os.utime(files / "file1", (5, 5))
    assert time_stamp(pack_image(DirectorySource(files), tmp_path / "image")) == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    image = pack_image(DirectorySource(files), tmp_path / "image")
    assert time_stamp(image) == 1_700_000_000
    assert image_members(image)["file1"].mtime == 5
    # What is later, a file that was only just made, becomes that date.
    assert image_members(image)[""].mtime == 1_700_000_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(SpecError, match="SOURCE_DATE_EPOCH='today'"):
        pack_image(DirectorySource(files), tmp_path / "image")


def test_without_tar2sqfs(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RootfsError, match=r"tar2sqfs is not installed.*squashfs-tools-ng"):
        pack_image(DirectorySource(files), tmp_path / "image")


class Broken:
    """A source that fails after its first bytes, as an unreadable file does."""

    def size(self) -> int | None:
        return None

    def write(self, sink: ByteSink, advance: Advance) -> None:
        sink.write(bytes(512))
        raise SourceError("file: cannot read")


def test_a_failing_source_is_no_end_of_archive(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(SourceError, match="cannot read"):
        pack_image(Broken(), tmp_path / "image")
    assert children() == before


class Endless:
    """No tar at all: tar2sqfs stops reading long before this ends."""

    def size(self) -> int | None:
        return None

    def write(self, sink: ByteSink, advance: Advance) -> None:
        for _ in range(100):
            sink.write(b"garbage " * 100_000)


def test_tar2sqfs_ends_early(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(RootfsError, match="not a ustar tar archive"):
        pack_image(Endless(), tmp_path / "image")
    assert children() == before


def children() -> str:
    """Of this process; those of earlier tests among them."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()
