"""`smolpack run` becomes the machine and does not outlive its parent."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import Cli, failure


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", path).returncode == 0
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--", "a", "--vm-mem", "b c"],
        ["--vm-mem", "1G", "--vm-console", "--", "--help"],
        ["--vm-info"],
        ["--", "--", "-x"],
    ],
)
def test_arguments_and_status_are_passed_on(arguments: list[str], cli: Cli, machine: Path) -> None:
    # The stand-in launcher prints its arguments and ends with status 7.
    done = cli("run", machine, *arguments)
    assert done.stdout.decode().splitlines() == [str(machine), *arguments]
    assert (done.returncode, done.stderr) == (7, b"")


def test_a_file_in_the_current_directory(cli: Cli, machine: Path) -> None:
    assert cli("run", machine.name, cwd=machine.parent).returncode == 7


def test_what_cannot_be_run(cli: Cli, machine: Path, tmp_path: Path) -> None:
    assert "not a packed machine" in failure(cli("run", "/bin/sh"), 125)
    assert "No such file" in failure(cli("run", tmp_path / "none"), 125)
    machine.chmod(0o644)
    assert "chmod +x" in failure(cli("run", machine), 125)


def test_it_is_killed_when_its_parent_dies(cli: Cli, machine: Path) -> None:
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen({[*cli.argv, 'run', str(machine), '--wait']!r})\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        machine_process = os.pidfd_open(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        # A pidfd becomes readable when its process ends, whoever reaps it.
        ended, _, _ = select.select([machine_process], [], [], 10)
    assert ended
    os.close(machine_process)
