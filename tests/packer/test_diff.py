"""`smolpack diff`, as diff(1): 0 for the same, 1 for different, 2 for trouble."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from hostile import damage
from smolpack.format import SectionType
from support import Cli, failure


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "one.vm"
    assert cli("create", "--rootfs", tree, "--out", path).returncode == 0
    return path


def pack(cli: Cli, tree: Path, out: Path, *options: str) -> Path:
    done = cli("create", "--rootfs", tree, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return out


def test_the_same(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    """Neither times nor provenance count."""
    os.utime(tree / "etc/motd", (1, 1))
    other = pack(cli, tree, tmp_path / "other.vm", "--no-sbom")
    done = cli("diff", machine, other)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert json.loads(cli("diff", machine, other, "--json").stdout)["same"] is True


def test_files(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    (tree / "etc/motd").write_text("HELLO\n")
    (tree / "etc/new").write_text("x" * 3_000_000)
    (tree / "bin").unlink()
    (tree / "usr/bin/dash").chmod(0o700)
    (tree / "usr/bin/sh").unlink()
    (tree / "usr/bin/sh").symlink_to("./dash")
    (tree / "etc.d").mkdir()
    other = pack(cli, tree, tmp_path / "other.vm", "--", "/usr/bin/sh")
    done = cli("diff", machine, other)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.decode().splitlines() == [
        'cmd: ["/bin/sh"] -> ["/usr/bin/sh"]',
        "- /bin",
        "M /etc/motd (content)",
        "+ /etc/new",
        "+ /etc.d",
        "M /usr/bin/dash (mode)",
        "M /usr/bin/sh (target)",
    ]
    found = json.loads(cli("diff", other, machine, "--json").stdout)
    assert found["same"] is False
    assert found["files"][0] == {"path": "/bin", "kind": "added", "what": []}
    assert {"path": "/etc/motd", "kind": "changed", "what": ["content"]} in found["files"]


def tar_of(owner: int = 0, device: int = 1, xattr: str = "a", **kind: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        program = tarfile.TarInfo("sh")
        program.mode, program.uid, program.size = 0o755, owner, 3
        program.pax_headers = {"SCHILY.xattr.user.note": xattr}
        archive.addfile(program, io.BytesIO(b"#!\n"))
        node = tarfile.TarInfo("node")
        node.type, node.devmajor, node.devminor = kind.get("kind", tarfile.CHRTYPE), 5, device
        archive.addfile(node)
    return out.getvalue()


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (tar_of(owner=7), "M /sh (owner)"),
        (tar_of(xattr="b"), "M /sh (xattrs)"),
        (tar_of(device=2), "M /node (device)"),
        (tar_of(kind=tarfile.BLKTYPE), "M /node (type)"),
    ],
)
def test_attributes(other: bytes, line: str, cli: Cli, tmp_path: Path) -> None:
    for name, stream in (("a", tar_of()), ("b", other)):
        done = cli("create", "--tar", "-", "--out", tmp_path / name, "--", "/sh", stdin=stream)
        assert done.returncode == 0, done.stderr
    assert cli("diff", tmp_path / "a", tmp_path / "b").stdout.decode() == line + "\n"


def test_defaults_and_boot_parts(
    cli: Cli, machine: Path, tree: Path, tmp_path: Path, asset_root: Path
) -> None:
    (asset_root / "x86_64/initramfs.cpio").write_bytes(b"070702")
    (asset_root / "x86_64/kernel.json").write_text(json.dumps({"version": "7.0"}))
    options = ("--mem", "64M", "--label", "a=\x1b[31mred", "--user", "nobody")
    done = cli("diff", machine, pack(cli, tree, tmp_path / "other.vm", *options))
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "initramfs differs",
        'user: null -> "nobody"',
        "memory: 536870912 -> 67108864",
        'labels: [] -> ["a=\\u001b[31mred"]',
        'kernel version: "6.12.1-test" -> "7.0"',
        f'kernel config: "{"ab" * 32}" -> null',
    ]


@pytest.mark.parametrize("kind", [SectionType.ROOTFS, SectionType.KERNEL, SectionType.CONFIG])
def test_trouble(kind: SectionType, cli: Cli, machine: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.vm"
    copy.write_bytes(machine.read_bytes())
    damage(copy, kind)
    assert f"{kind.name.lower()} section" in failure(cli("diff", machine, copy), 2)
    assert "none: cannot read" in failure(cli("diff", machine, tmp_path / "none"), 2)
