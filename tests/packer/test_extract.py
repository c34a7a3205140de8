"""`smolpack extract`: what comes out is what went in, and nothing lands outside."""

import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from hostile import damage, rename
from smolpack import artifact, extract
from smolpack.format import SectionType
from support import Cli, failure

# cap_net_bind_service=ep, as setcap writes it (struct vfs_cap_data, revision 2).
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def is_root() -> bool:
    return os.geteuid() == 0


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    (tree / "usr/bin/su").write_bytes(b"su")
    (tree / "usr/bin/su").chmod(0o4755)
    (tree / "sealed").mkdir()
    (tree / "sealed/file").touch()
    (tree / "sealed").chmod(0o555)
    os.utime(tree, (1, 1))
    assert cli("create", "--rootfs", tree, "--out", path).returncode == 0
    return path


def attributes(root: Path) -> dict[str, tuple[int, int, int, float]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        found[str(path.relative_to(root))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime,
        )
    return found


@pytest.mark.skipif(not is_root(), reason="owners need root")
def test_all_files_as_they_were(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    os.mknod(tree / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.chown(tree / "etc/motd", 7, 8)
    os.setxattr(tree / "usr/bin/dash", "security.capability", CAPABILITY)
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (1, 1), follow_symlinks=False)
    assert cli("create", "--rootfs", tree, "--out", machine).returncode == 0
    out = tmp_path / "out"
    done = cli("extract", machine, out)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert attributes(out) == attributes(tree)
    assert os.getxattr(out / "usr/bin/dash", "security.capability") == CAPABILITY
    again = tmp_path / "again.vm"
    assert cli("create", "--rootfs", out, "--out", again).returncode == 0
    assert again.read_bytes() == machine.read_bytes()


def test_without_root(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    out = tmp_path / "out"
    assert extract.extract_tree(machine, out) is False
    assert (out / "etc/motd").read_text() == "hello\n"
    assert (out / "bin").readlink() == Path("usr/bin")
    assert stat.S_IMODE((out / "usr/bin/su").stat().st_mode) == 0o755
    assert stat.S_IMODE((out / "sealed").stat().st_mode) == 0o555


@pytest.mark.skipif(is_root(), reason="root can restore everything")
def test_what_is_left_out_is_told(cli: Cli, machine: Path, tmp_path: Path) -> None:
    done = cli("extract", machine, tmp_path / "out", "--json")
    assert done.stderr.decode() == f"smolpack: without root left out: {extract.LEFT_OUT}; " + (
        "--tar keeps them\n"
    )
    assert json.loads(done.stdout)["left_out"] == extract.LEFT_OUT


def test_an_empty_directory_will_do(cli: Cli, machine: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert cli("extract", machine, tmp_path / "out").returncode == 0
    assert (tmp_path / "out/etc/motd").exists()


def test_targets_that_will_not_do(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for target, message in (
        (tree, "is not empty"),
        (machine, "is not a directory"),
        (tmp_path / "link", "is not a directory"),
        (tmp_path / "none/out", "none is not a directory"),
    ):
        assert message in failure(cli("extract", machine, target))


@pytest.mark.parametrize(
    "arguments", [[], ["out", "--tar", "x"], ["--tar", "x", "--section", "kernel"]]
)
def test_where_to_is_said_once(arguments: list[str], cli: Cli, machine: Path) -> None:
    assert "give where to" in failure(cli("extract", machine, *arguments), 2)


def test_a_tar(cli: Cli, machine: Path, tmp_path: Path) -> None:
    stdout = cli("extract", machine, "--tar", "-").stdout
    assert cli("extract", machine, "--tar", tmp_path / "root.tar").returncode == 0
    assert (tmp_path / "root.tar").read_bytes() == stdout
    with tarfile.open(fileobj=io.BytesIO(stdout)) as archive:
        assert archive.getmember("./usr/bin/su").mode == 0o4755
        assert archive.getmember("./bin").linkname == "usr/bin"


@pytest.mark.parametrize("name", extract.SECTIONS)
def test_a_section(name: str, cli: Cli, machine: Path, tmp_path: Path) -> None:
    done = cli("extract", machine, tmp_path / "parts", "--section", name, "--json")
    assert json.loads(done.stdout)["target"] == str(tmp_path / "parts" / name)
    with artifact.opened(machine) as (file, contents):
        stored = artifact.read_section(file, contents.section(SectionType[name.upper()]))
    assert (tmp_path / "parts" / name).read_bytes() == stored


def test_a_section_that_is_not_there(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    done = cli("extract", machine, tmp_path / "parts", "--section", "hashes")
    assert "--section hashes: expected one of launcher," in failure(done, 2)
    assert cli("create", "--rootfs", tree, "--out", machine, "--no-sbom").returncode == 0
    done = cli("extract", machine, tmp_path / "parts", "--section", "sbom")
    assert "has no sbom section" in failure(done)


@pytest.mark.parametrize("arguments", [["out"], ["--tar", "out"], ["out", "--section", "rootfs"]])
def test_a_damaged_file_leaves_nothing(
    arguments: list[str], cli: Cli, machine: Path, tmp_path: Path
) -> None:
    damage(machine, SectionType.ROOTFS)
    work = tmp_path / "work"
    work.mkdir()
    done = cli("extract", machine, *arguments, cwd=work)
    assert "damaged: the rootfs section" in failure(done)
    assert [path for path in work.rglob("*") if path.is_file() or path.name != "out"] == []


@pytest.fixture(name="hostile_tree")
def _hostile_tree(tree: Path, tmp_path: Path) -> Path:
    (tmp_path / "victim").mkdir()
    (tree / "xa").symlink_to(tmp_path / "victim")
    (tree / "xb").mkdir()
    (tree / "xb/pwned").write_text("pwned")
    return tree


@pytest.mark.parametrize(
    ("old", "new"), [(b"xb", b"xa"), (b"xb", b".."), (b"xb", b"x/"), (b"pwned", b"../xx")]
)
def test_nothing_lands_outside(
    old: bytes, new: bytes, cli: Cli, hostile_tree: Path, tmp_path: Path
) -> None:
    machine = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", hostile_tree, "--out", machine).returncode == 0
    hostile = rename(machine, old, new, tmp_path / "hostile.vm")
    work = tmp_path / "a/b"
    work.mkdir(parents=True)
    done = cli("extract", hostile, work / "out")
    outside = [path for path in work.parent.rglob("*") if work / "out" not in path.parents]
    assert set(outside) <= {work, work / "out"}
    assert not any((tmp_path / "victim").iterdir())
    if new == b"xa":
        assert "found more than once" in failure(done)
        assert not (work / "out").exists()
    else:
        assert b"skipping" in done.stderr


def test_symlinks_are_not_followed(cli: Cli, hostile_tree: Path, tmp_path: Path) -> None:
    machine = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", hostile_tree, "--out", machine).returncode == 0
    assert cli("extract", machine, tmp_path / "out").returncode == 0
    assert (tmp_path / "out/xa").readlink() == tmp_path / "victim"
    assert (tmp_path / "out/xb/pwned").read_text() == "pwned"


def test_other_tools_read_the_sections(cli: Cli, machine: Path, tmp_path: Path) -> None:
    assert cli("extract", machine, tmp_path, "--section", "rootfs").returncode == 0
    done = subprocess.run(
        ["rdsquashfs", "--cat", "/etc/motd", tmp_path / "rootfs"], check=True, capture_output=True
    )
    assert done.stdout == b"hello\n"
