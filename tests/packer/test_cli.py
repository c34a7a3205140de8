"""Help, version, `info` and how errors end."""

import json
from pathlib import Path

import pytest

from smolpack import __version__
from support import Cli, failure


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout.decode() == f"smolpack {__version__}\n"


@pytest.mark.parametrize(
    "command",
    ["create", "init", "run", "info", "ls", "cat", "extract", "diff", "sbom", "rebuild", "doctor"],
)
def test_help_shows_an_example(command: str, cli: Cli) -> None:
    done = cli(command, "--help")
    assert done.returncode == 0
    assert f"  smolpack {command}" in done.stdout.decode()


@pytest.mark.parametrize("arguments", [["create"], ["info"], ["nonsense"], ["info", "--none", "x"]])
def test_usage_errors(arguments: list[str], cli: Cli) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert b"Usage: smolpack" in done.stderr


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    done = cli("create", "--rootfs", tree, "--out", path, "--label", "a=\x1b[31mred", "--", "sh")
    assert done.returncode == 0, done.stderr
    return path


def test_info_for_people(cli: Cli, machine: Path) -> None:
    text = cli("info", machine).stdout.decode()
    for line in ('cmd           ["sh"]', "memory        512M", "cpus          1", "rootfs  "):
        assert line in text
    assert "\x1b" not in text


def test_info_for_programs(cli: Cli, machine: Path) -> None:
    found = json.loads(cli("info", "--json", machine).stdout)
    assert found["format_version"] == 2
    assert found["arch"] == "x86_64"
    assert found["size"] == machine.stat().st_size
    assert found["kernel_version"] == "6.12.1-test"
    assert found["kernel_config_sha256"] == "ab" * 32
    assert len(found["source_sha256"]) == 64
    assert found["tool"].startswith(f"smolpack {__version__}, tar2sqfs ")
    types = [section["type"] for section in found["sections"]]
    assert types == ["launcher", "kernel", "initramfs", "rootfs", "config", "sbom"]
    sections = {section["type"]: section for section in found["sections"]}
    assert sections["kernel"]["unpacked_size"] == found["kernel_image_size"] == 5000
    root = sections["rootfs"]
    assert root["unpacked_size"] % 512 == 0 and root["ratio"] == round(
        root["size"] / root["unpacked_size"], 4
    )
    assert sections["launcher"]["ratio"] is None


def test_info_of_something_else(cli: Cli, machine: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.vm"
    cut.write_bytes(machine.read_bytes()[:-1])
    for path, message in (
        (Path("/bin/sh"), "/bin/sh: not a packed machine"),
        (cut, "cut.vm: not a packed machine, or truncated"),
        (tmp_path / "none", "none: cannot read: No such file"),
        (tmp_path, "cannot read: Is a directory"),
    ):
        assert message in failure(cli("info", path))
