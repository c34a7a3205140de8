"""A directory reaches the image with everything that it has; odd trees included."""

import logging
import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from smolpack.errors import SourceError
from smolpack.sources.directory import DirectorySource
from support import image_attributes, image_file, image_members, pack_image

CAPABILITY = struct.pack("<IIIII", 0x0200_0001, 1 << 13, 0, 0, 0)  # cap_net_raw+ep

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such files")


def pack(root: Path, tmp_path: Path) -> Path:
    return pack_image(DirectorySource(root), tmp_path / "image")


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def test_modes_times_links(root: Path, tmp_path: Path) -> None:
    (root / "dir").mkdir(mode=0o1770)
    (root / "dir").chmod(0o1770)
    file = root / "dir/set uid ü"
    file.write_text("content")
    file.chmod(0o4711)
    os.utime(file, ns=(0, 1_234_567_890_999_999_999))
    (root / "absolute").symlink_to("/nowhere")
    (root / "hard").hardlink_to(file)
    os.utime(root / "dir", (5, 5))
    os.utime(root, (7, 7))
    root.chmod(0o711)
    image = pack(root, tmp_path)
    members = image_members(image)
    assert members[""].mode == 0o711 and members[""].mtime == 7
    assert members["dir"].mode == 0o1770 and members["dir"].mtime == 5
    packed = members["dir/set uid ü"]
    assert packed.mode == 0o4711 and packed.mtime == 1_234_567_890
    assert (packed.uid, packed.gid) == (file.stat().st_uid, file.stat().st_gid)
    assert members["absolute"].linkname == "/nowhere"
    assert members["hard"].islnk() or packed.islnk()
    assert image_file(image, "hard") == b"content"


def test_names_that_are_not_utf_8_or_long(root: Path, tmp_path: Path) -> None:
    raw = os.fsdecode(b"caf\xe9\nline")
    (root / raw).write_text("a")
    deep = root / "/".join(["d" * 200] * 3)
    deep.mkdir(parents=True)
    (deep / ("f" * 255)).write_text("b")
    (root / "link").symlink_to("t" * 1000)
    members = image_members(pack(root, tmp_path))
    assert raw in members
    assert "/".join(["d" * 200] * 3 + ["f" * 255]) in members
    assert members["link"].linkname == "t" * 1000


def test_hard_linked_symlinks_and_fifos(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "fifo", 0o640)
    (root / "link").symlink_to("target")
    os.link(root / "link", root / "link2", follow_symlinks=False)
    members = image_members(pack(root, tmp_path))
    assert members["fifo"].isfifo() and members["fifo"].mode == 0o640
    kinds = {members["link"].type, members["link2"].type}
    assert members["link"].issym() or members["link2"].issym()
    assert len(kinds) <= 2


def test_user_xattrs(root: Path, tmp_path: Path) -> None:
    file = root / "file"
    file.write_text("x")
    value = bytes(range(256)) + b"\n=\0"
    try:
        os.setxattr(file, "user.binary", value)
        os.setxattr(file, "user.empty", b"")
    except OSError as error:
        pytest.skip(f"no user xattrs on this file system: {error}")
    member = image_members(pack(root, tmp_path))["file"]
    packed = member.pax_headers["SCHILY.xattr.user.binary"]
    assert packed.encode("utf-8", "surrogateescape") == value
    assert member.pax_headers["SCHILY.xattr.user.empty"] == ""


@needs_root
def test_capabilities_owners_and_devices(root: Path, tmp_path: Path) -> None:
    file = root / "ping"
    file.write_text("x")
    os.chown(file, 4_000_000_000, 65534)
    file.chmod(0o755)
    os.setxattr(file, "security.capability", CAPABILITY)
    try:
        os.mknod(root / "null", 0o020666, os.makedev(1, 3))
        os.mknod(root / "disk", 0o060660, os.makedev(254, 1000))
    except PermissionError as error:
        pytest.skip(f"device nodes cannot be made here: {error}")
    (root / "null").chmod(0o666)
    members = image_members(pack(root, tmp_path))
    ping = members["ping"]
    assert (ping.uid, ping.gid) == (4_000_000_000, 65534)
    capability = ping.pax_headers["SCHILY.xattr.security.capability"]
    assert capability.encode("utf-8", "surrogateescape") == CAPABILITY
    null, disk = members["null"], members["disk"]
    assert null.ischr() and (null.devmajor, null.devminor, null.mode) == (1, 3, 0o666)
    assert disk.isblk() and (disk.devmajor, disk.devminor) == (254, 1000)


@needs_root
def test_other_file_systems_are_packed_empty(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mounted = root / "proc"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        (mounted / "file").write_text("x")
        members = image_members(pack(root, tmp_path))
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
    assert sorted(members) == ["", "proc"]
    assert f"{mounted}: another file system is mounted here" in caplog.text


def test_acls_are_left_out_with_a_warning(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "shared").write_text("x")
    entries = ((1, 6, -1), (2, 4, 1000), (4, 4, -1), (16, 4, -1), (32, 4, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(root / "shared", "system.posix_acl_access", acl)
    except OSError as error:
        pytest.skip(f"no ACLs on this file system: {error}")
    with caplog.at_level(logging.WARNING):
        assert "shared" in image_members(pack(root, tmp_path))
    assert "POSIX ACLs of 1 file" in caplog.text


def test_sparse_files_are_not_read_and_stay_sparse(root: Path, tmp_path: Path) -> None:
    size = 1 << 30
    with (root / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(123_456_789)
        file.write(b"middle")
        file.truncate(size)
    with (root / "empty").open("wb") as file:
        file.truncate(300_000)
    if (root / "sparse").stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no sparse files")
    source = DirectorySource(root)
    assert (source.size() or 0) < 1 << 20
    stream = Counter()
    source.write(stream, stream.advance)
    assert stream.size < 1 << 20
    image = pack(root, tmp_path)
    assert image.stat().st_size < 1 << 20
    assert image_attributes(image, "sparse")["File size"] == str(size)
    assert image_file(image, "empty") == bytes(300_000)


class Counter:
    """A sink that only counts."""

    def __init__(self) -> None:
        self.size = 0
        self.advanced = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)

    def advance(self, size: int) -> None:
        self.advanced += size


def test_content_around_holes(root: Path, tmp_path: Path) -> None:
    expected = bytearray(3 << 20)
    with (root / "file").open("wb") as file:
        for start in range(4096, len(expected), 300_000):
            expected[start : start + 10_000] = os.urandom(10_000)
            file.seek(start)
            file.write(expected[start : start + 10_000])
        del expected[start + 10_000 :]
    assert image_file(pack(root, tmp_path), "file") == bytes(expected)


def test_sockets_are_left_out(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert list(image_members(pack(root, tmp_path))) == [""]
    assert "socket left out" in caplog.text


def test_the_root_may_be_a_symlink(root: Path, tmp_path: Path) -> None:
    (root / "file").write_text("x")
    (tmp_path / "link").symlink_to(root)
    assert "file" in image_members(pack(tmp_path / "link", tmp_path))


def test_progress_counts_what_was_announced(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 5_000_000)
    (root / "hard").hardlink_to(root / "file")
    source, sink = DirectorySource(root), Counter()
    source.write(sink, sink.advance)
    assert sink.advanced == source.size() == 5_000_000


def test_what_is_no_directory(root: Path, tmp_path: Path) -> None:
    (root / "file").write_text("x")
    with pytest.raises(SourceError, match=r"not a directory.*--tar"):
        DirectorySource(root / "file")
    with pytest.raises(SourceError, match="does not exist"):
        DirectorySource(tmp_path / "none")


def test_a_target_inside(root: Path) -> None:
    with pytest.raises(SourceError, match="packed into itself"):
        DirectorySource(root, target=root / "tool.vm")
