"""Damaged files and hosts that cannot run machines: 125, one line that helps, nothing left."""

import os
import pwd
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import Machine

LAUNCHER_FAILURE = 125

# docs/format.md
TRAILER = struct.Struct("<8sIIQQQQ16s")
TABLE_SIZE = 64
SECTION = struct.Struct("<IIQQ32sQ")
LAUNCHER, KERNEL, INITRAMFS, ROOTFS, CONFIG = range(1, 6)
KERNEL_HEADER_SIZE = 64
FRAME = struct.Struct("<QQQQ")


@dataclass
class File:
    """The bytes of a packed file, to be damaged."""

    data: bytearray

    @property
    def trailer(self) -> list:
        """Its fields: magic, version, reserved, offset and size of the table, file size, …"""
        return list(TRAILER.unpack_from(self.data, len(self.data) - TRAILER.size))

    def set_trailer(self, index: int, value: int) -> None:
        """Replace a field."""
        fields = self.trailer
        fields[index] = value
        TRAILER.pack_into(self.data, len(self.data) - TRAILER.size, *fields)

    def entry(self, kind: int) -> int:
        """Where the table describes a section."""
        place = self.trailer[3] + TABLE_SIZE
        while SECTION.unpack_from(self.data, place)[0] != kind:
            place += SECTION.size
        return place

    def section(self, kind: int) -> tuple[int, int]:
        """Offset and size of a section."""
        return SECTION.unpack_from(self.data, self.entry(kind))[2:4]

    def set_section(self, kind: int, offset: int, size: int) -> None:
        """Describe a section differently."""
        place = self.entry(kind)
        fields = list(SECTION.unpack_from(self.data, place))
        fields[2:4] = offset, size
        SECTION.pack_into(self.data, place, *fields)

    def wipe(self, kind: int, start: int = 0) -> None:
        """Overwrite a section."""
        offset, size = self.section(kind)
        self.data[offset + start : offset + size] = b"\xa5" * (size - start)


def cut_to_the_launcher(file: File) -> None:
    del file.data[file.section(LAUNCHER)[1] :]


def cut_in_half(file: File) -> None:
    del file.data[len(file.data) // 2 :]


def cut_one_byte(file: File) -> None:
    del file.data[-1]


def append_a_byte(file: File) -> None:
    file.data += b"x"


def another_version(file: File) -> None:
    file.set_trailer(1, 3)


def the_version_before(file: File) -> None:
    file.set_trailer(1, 1)


def table_outside_the_file(file: File) -> None:
    file.set_trailer(3, len(file.data))


def table_offset_that_overflows(file: File) -> None:
    file.set_trailer(3, (1 << 64) - 4096)


def section_outside_the_file(file: File) -> None:
    file.set_section(ROOTFS, file.section(ROOTFS)[0], len(file.data))


def section_size_that_overflows(file: File) -> None:
    file.set_section(ROOTFS, file.section(ROOTFS)[0], (1 << 64) - 1)


def sections_that_overlap(file: File) -> None:
    file.set_section(INITRAMFS, *file.section(KERNEL))


def section_in_odd_place(file: File) -> None:
    offset, size = file.section(ROOTFS)
    file.set_section(ROOTFS, offset + 1, size - 1)


def empty_root(file: File) -> None:
    file.set_section(ROOTFS, file.section(ROOTFS)[0], 0)


def table_without_a_kernel(file: File) -> None:
    struct.pack_into("<I", file.data, file.entry(KERNEL), 99)


def kernel_header_overwritten(file: File) -> None:
    file.wipe(KERNEL)


def kernel_frames_overwritten(file: File) -> None:
    offset = file.section(KERNEL)[0]
    first_frame = FRAME.unpack_from(file.data, offset + KERNEL_HEADER_SIZE)[0]
    file.wipe(KERNEL, first_frame)


def byte_of_the_kernel(file: File) -> None:
    offset, size = file.section(KERNEL)
    file.data[offset + size - 1] ^= 1


def byte_of_init(file: File) -> None:
    offset, size = file.section(INITRAMFS)
    file.data[offset + size // 2] ^= 1


def byte_of_the_run_defaults(file: File) -> None:
    file.data[file.section(CONFIG)[0]] ^= 1


def byte_of_a_root_hash(file: File) -> None:
    file.data[file.entry(KERNEL) + 24] ^= 1


REFUSED_AT_ONCE = [
    cut_to_the_launcher,
    cut_in_half,
    cut_one_byte,
    append_a_byte,
    another_version,
    the_version_before,
    table_outside_the_file,
    table_offset_that_overflows,
    section_outside_the_file,
    section_size_that_overflows,
    sections_that_overlap,
    section_in_odd_place,
    empty_root,
    table_without_a_kernel,
    kernel_header_overwritten,
    kernel_frames_overwritten,
    byte_of_the_kernel,
    byte_of_init,
    byte_of_the_run_defaults,
    byte_of_a_root_hash,
]


@pytest.fixture
def damaged(busybox: Machine, tmp_path: Path) -> Callable[[Callable[[File], None]], Machine]:
    """A copy of the small machine with a piece of damage."""

    def make(damage: Callable[[File], None]) -> Machine:
        file = File(bytearray(busybox.path.read_bytes()))
        damage(file)
        copy = tmp_path / "damaged.vm"
        copy.write_bytes(file.data)
        copy.chmod(0o755)
        return Machine(copy, busybox.cleanup)

    return make


@pytest.mark.parametrize("damage", REFUSED_AT_ONCE, ids=lambda damage: damage.__name__)
def test_damaged_file_is_refused(damaged, damage: Callable[[File], None]) -> None:
    result = damaged(damage).run("true")
    assert (result.status, result.stdout) == (LAUNCHER_FAILURE, b"")
    assert result.complaint.startswith("damaged.vm: ")


def test_damaged_root_is_reported_with_its_place(damaged) -> None:
    """By the launcher, and by init, which cannot mount it."""
    result = damaged(lambda file: file.wipe(ROOTFS)).run("true")
    assert result.status == LAUNCHER_FAILURE
    assert b"damaged.vm: the rootfs section cannot be used at offset " in result.stderr
    assert b"cannot mount the root file system" in result.stderr


def test_renamed_copy_works(busybox: Machine, tmp_path: Path) -> None:
    copy = tmp_path / "other name"
    shutil.copy(busybox.path, copy)
    assert Machine(copy, busybox.cleanup).run("echo", "works").text == "works\n"


def test_file_is_found_through_symlinks_relative_paths_and_path(
    busybox: Machine, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(busybox.path)
    (tmp_path / "inner").mkdir()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for word, directory in (("./link", "."), ("../link", "inner"), ("link", "/")):
        done = subprocess.run(
            ["sh", "-c", f"{word} echo works"],
            cwd=tmp_path / directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"works\n", b"")


def test_nothing_is_written_to_the_host(busybox: Machine, tmp_path: Path) -> None:
    """Not even for a moment: a directory's time tells."""
    for name in ("home", "tmp", "here"):
        (tmp_path / name).mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    environment = {
        **{"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
        "PATH": os.environ["PATH"],
    }
    result = busybox.script(
        "dd if=/dev/zero of=/big bs=1M count=64 2>&1 >/dev/null && echo x >/tmp/x",
        env=environment,
        cwd=tmp_path / "here",
    )
    assert result.status == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def become_nobody() -> None:
    """In the child: a user without groups."""
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


@pytest.fixture
def open_to_all(busybox: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A copy that any user can reach; needs root to change to another user."""
    if os.getuid():
        pytest.skip("only root can become another user")
    directory = tmp_path_factory.mktemp("open")
    for path in (directory, directory.parent, directory.parent.parent):
        path.chmod(path.stat().st_mode | 0o755)
    return Machine(Path(shutil.copy(busybox.path, directory)), busybox.cleanup)


def test_no_permission_for_kvm_names_the_group(open_to_all: Machine, accelerator: str) -> None:
    if accelerator != "kvm":
        pytest.skip("this host's /dev/kvm says nothing about permissions")
    result = open_to_all.run("--vm-accel", "kvm", "true", prepare=become_nobody)
    assert result.status == LAUNCHER_FAILURE
    assert "usermod -aG kvm" in result.complaint


def test_kvm_that_cannot_run_machines_is_refused_when_asked_for(
    busybox: Machine, accelerator: str
) -> None:
    if accelerator == "kvm":
        pytest.skip("KVM works here")
    result = busybox.run("--vm-accel", "kvm", "true")
    assert result.status == LAUNCHER_FAILURE
    assert "/dev/kvm" in result.complaint and "virtualization" in result.complaint


def test_no_kvm_and_no_qemu_names_remedies_for_both(open_to_all: Machine) -> None:
    result = open_to_all.run("true", env={"PATH": "/nonexistent"}, prepare=become_nobody)
    assert result.status == LAUNCHER_FAILURE
    assert "/dev/kvm" in result.complaint
    assert "apt install qemu-system-x86" in result.complaint


def test_fallback_for_a_user_without_permission(open_to_all: Machine) -> None:
    result = open_to_all.run("echo", "works", prepare=become_nobody)
    assert (result.status, result.stdout, result.stderr) == (0, b"works\n", b"")


def test_qemu_that_fails_is_quoted(busybox: Machine, tmp_path: Path) -> None:
    fake = tmp_path / "qemu-system-x86_64"
    fake.write_text("#!/bin/sh\necho cannot do that >&2\nexit 1\n")
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = busybox.run("--vm-accel", "qemu", "true", env=environment)
    assert result.status == LAUNCHER_FAILURE
    assert "cannot do that" in result.complaint
