"""`smolpack rebuild`: the same inputs give the same file, and what differs is named."""

import json
import os
from pathlib import Path

import pytest

from support import Cli, failure

OPTIONS = (
    *("--name", "box", "--label", "a=b", "--mem", "64M", "--env", "A=b", "--user", "nobody"),
    *("--entrypoint", "/bin/sh -c", "--", "echo"),
)


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    done = cli(
        "create", "--rootfs", tree, "--out", path, *OPTIONS, env={"SOURCE_DATE_EPOCH": "1000000000"}
    )
    assert done.returncode == 0, done.stderr
    return path


def test_identical(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    for date in ("1", "2000000000"):
        done = cli("rebuild", "--check", machine, "--rootfs", tree, env={"SOURCE_DATE_EPOCH": date})
        lines = done.stdout.decode().splitlines()
        assert (done.returncode, done.stderr) == (0, b""), lines
        assert lines[-1] == "identical, signatures apart"
        assert [line.split() for line in lines[:-1]] == [
            [name, "identical"]
            for name in ("launcher", "kernel", "initramfs", "rootfs", "config", "sbom")
        ]
    again = tmp_path / "again.vm"
    assert cli("rebuild", machine, "--rootfs", tree, "--out", again).returncode == 0
    assert again.read_bytes() == machine.read_bytes()


def test_what_differs(cli: Cli, machine: Path, tree: Path, asset_root: Path) -> None:
    os.utime(tree / "etc/motd", (1, 1))
    (asset_root / "x86_64/initramfs.cpio").write_bytes(b"070702")
    done = cli("rebuild", "--check", machine, "--rootfs", tree)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1, done.stderr
    assert lines[0].split() == ["launcher", "identical"]
    assert lines[2] == "initramfs  differs from byte 5 on (6 and 6 bytes)"
    assert lines[3].startswith("rootfs     differs from byte ")
    assert any(line.startswith('source: "') for line in lines)
    assert lines[-1] == "different"
    found = json.loads(cli("rebuild", "--check", machine, "--rootfs", tree, "--json").stdout)
    assert found["same"] is False
    assert found["sections"][2] == {
        "name": "initramfs",
        "packed_size": 6,
        "rebuilt_size": 6,
        "differs_at": 5,
    }


def test_without_a_bill_of_materials(cli: Cli, tree: Path, tmp_path: Path) -> None:
    machine = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", machine, "--no-sbom").returncode == 0
    done = cli("rebuild", "--check", machine, "--rootfs", tree)
    assert done.returncode == 0, done.stdout
    assert b"sbom" not in done.stdout


def test_usage(cli: Cli, machine: Path, tree: Path, tmp_path: Path) -> None:
    for options in ((), ("--check", "--out", "x")):
        done = cli("rebuild", machine, "--rootfs", tree, *options)
        assert "give either --check or --out FILE" in failure(done, 2)
    assert "one of --image REFERENCE" in failure(cli("rebuild", "--check", machine), 2)
    missing = cli("rebuild", "--check", machine, "--rootfs", tmp_path / "none")
    assert "none does not exist" in failure(missing, 2)
    other = cli("rebuild", "--check", tree / "etc/motd", "--rootfs", tree)
    assert "not a packed machine" in failure(other, 2)
