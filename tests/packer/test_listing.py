"""`smolpack ls` and `smolpack cat`."""

import base64
import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from hostile import damage, rename
from smolpack.format import SectionType
from support import Cli, failure


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    (tree / "etc/\x1b[31mred").touch()
    (tree / "etc/alternative").symlink_to("/etc/motd")
    (tree / "etc/dangling").symlink_to("/none")
    os.mkfifo(tree / "etc/pipe")
    assert cli("create", "--rootfs", tree, "--out", path).returncode == 0
    return path


def lines(cli: Cli, *arguments: str | Path) -> list[str]:
    done = cli("ls", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_directories(cli: Cli, machine: Path) -> None:
    assert lines(cli, machine) == ["/bin", "/etc", "/usr"]
    assert lines(cli, machine, "/bin") == ["/usr/bin/dash", "/usr/bin/sh"]
    assert lines(cli, machine, "usr/../bin/sh") == ["/usr/bin/dash"]
    everything = lines(cli, machine, "--recursive")
    assert everything[:2] == ["/bin", "/etc"] and everything[-1] == "/usr/bin/sh"
    assert r"/etc/\x1b[31mred" in everything


def test_long(cli: Cli, machine: Path, tree: Path) -> None:
    os.utime(tree / "usr/bin/dash", (0, 86400))
    assert cli("create", "--rootfs", tree, "--out", machine).returncode == 0
    dash, sh = lines(cli, machine, "/usr/bin", "--long")
    owner = f"{os.getuid()}:{os.getgid()}"
    assert dash.split() == ["-rwxr-xr-x", owner, "2", "1970-01-02T00:00:00Z", "/usr/bin/dash"]
    assert sh.startswith("lrwxrwxrwx") and sh.endswith("/usr/bin/sh -> dash")


def test_json(cli: Cli, machine: Path) -> None:
    done = cli("ls", machine, "/etc", "--json")
    found = {entry["path"]: entry for entry in json.loads(done.stdout)["entries"]}
    assert found["/etc/motd"]["type"] == "file" and found["/etc/motd"]["size"] == 6
    assert found["/etc/alternative"]["target"] == "/etc/motd"
    assert found["/etc/pipe"]["type"] == "fifo" and found["/etc/pipe"]["size"] is None
    assert "/etc/\x1b[31mred" in found


def test_cat(cli: Cli, machine: Path) -> None:
    for path in ("/etc/motd", "etc/motd", "/etc/alternative"):
        assert cli("cat", machine, path).stdout == b"hello\n"
    found = json.loads(cli("cat", machine, "/etc/motd", "--json").stdout)
    assert base64.b64decode(found["base64"]) == b"hello\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "{}", "/none"], "/none is not in the root file system"),
        (["ls", "{}", "/etc/dangling"], "/etc/dangling is not in the root file system"),
        (["cat", "{}", "/etc/dangling"], "/etc/dangling is not in the root file system"),
        (["cat", "{}", "/etc/none"], "/etc/none is not in the root file system"),
        (["cat", "{}", "/etc"], "/etc is not a regular file"),
        (["cat", "{}", "/etc/pipe"], "/etc/pipe is not a regular file"),
        (["ls", "/bin/sh"], "/bin/sh: not a packed machine"),
    ],
)
def test_what_is_not_there(arguments: list[str], message: str, cli: Cli, machine: Path) -> None:
    assert message in failure(cli(*(word.format(machine) for word in arguments)))


def test_one_file(cli: Cli, machine: Path) -> None:
    assert lines(cli, machine, "/usr/bin/dash") == ["/usr/bin/dash"]


@pytest.mark.parametrize("command", [["ls"], ["cat", "/etc/motd"]])
def test_a_damaged_root_is_not_shown(command: list[str], cli: Cli, machine: Path) -> None:
    damage(machine, SectionType.ROOTFS)
    message = failure(cli(command[0], machine, *command[1:]))
    assert "damaged: the rootfs section is not what its table says" in message


def test_a_name_that_is_there_twice(cli: Cli, machine: Path, tmp_path: Path) -> None:
    twice = rename(machine, b"etc", b"bin", tmp_path / "twice.vm")
    done = cli("ls", twice)
    assert done.returncode == 1
    assert b"damaged: /bin is in the image twice" in done.stderr


def test_names_that_lead_elsewhere_are_left_out(cli: Cli, tree: Path, tmp_path: Path) -> None:
    (tree / "zz").mkdir()
    machine = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", machine).returncode == 0
    done = cli("ls", rename(machine, b"zz", b"..", tmp_path / "up.vm"))
    assert done.stdout.decode().splitlines() == ["/bin", "/etc", "/usr"]
    assert b"smolpack: warning: sqfs2tar: Found a file named '..', skipping." in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["info"], ["ls"], ["cat", "/etc/motd"], ["sbom"], ["extract", "--tar", "-"]],
)
def test_output_that_cannot_be_written(arguments: list[str], cli: Cli, machine: Path) -> None:
    command = [*cli.argv, arguments[0], str(machine), *arguments[1:]]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"smolpack: error: standard output: No space left on device\n"


def test_no_room_for_a_copy(cli: Cli, machine: Path) -> None:
    limit = (16, 16)
    done = cli("ls", machine, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert "cannot write the rootfs section: File too large; TMPDIR names" in failure(done)
