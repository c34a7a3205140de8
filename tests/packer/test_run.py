"""`smolpack run` becomes the machine and does not outlive its parent."""

import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smolpack import artifact, hashtree
from smolpack import format as layout
from smolpack.format import SectionType
from support import Cli, FixedSigner, failure, sign_all


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


SIGNER = FixedSigner(1)


@pytest.fixture(name="signed")
def _signed(machine: Path) -> Path:
    with machine.open("r+b") as file:
        found = artifact.read(file)
        artifact.write_signatures(file, found, sign_all(found, [SIGNER]))
    return machine


@pytest.fixture(name="config", autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a trust store."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/smolpack"


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o755)


def test_a_damaged_launcher_is_not_executed(cli: Cli, machine: Path) -> None:
    with artifact.opened(machine) as (_, found):
        end = found.section(SectionType.LAUNCHER).size
    flip(machine, end - 1)
    text = failure(cli("run", machine), 125)
    assert f"{machine}: damaged: the launcher is not the one in its table" in text


def test_what_the_launcher_checks_itself_is_left_to_it(cli: Cli, machine: Path) -> None:
    with artifact.opened(machine) as (_, found):
        offset = found.section(SectionType.ROOTFS).offset
    flip(machine, offset)
    assert cli("run", machine).returncode == 7


def test_the_start_does_not_depend_on_the_size(cli: Cli, machine: Path) -> None:
    """A root of 20 GiB, a hole, is not read: hashing it takes more than ten times as long."""
    data = machine.read_bytes()
    with artifact.opened(machine) as (_, found):
        launcher = found.section(SectionType.LAUNCHER)
    sizes = {"KERNEL": 8, "INITRAMFS": 8, "ROOTFS": 20 << 30, "CONFIG": 8}
    sizes["HASHES"] = hashtree.tree_size(sizes["ROOTFS"])
    rows = [layout.Section(**vars(launcher))]
    for name, size in sizes.items():
        rows.append(
            layout.Section(
                type=SectionType[name],
                offset=layout.align(rows[-1].offset + rows[-1].size),
                size=size,
                root=bytes(layout.HASH_SIZE),
                tree_offset=0,
            )
        )
    table = layout.Table(arch=1, section_count=len(rows)).pack()
    table += b"".join(row.pack() for row in rows)
    table_offset = layout.align(rows[-1].offset + rows[-1].size)
    trailer = layout.Trailer(
        table_offset=table_offset,
        table_size=len(table),
        file_size=table_offset + len(table) + layout.Trailer.disk_size(),
    )
    with machine.open("wb") as file:
        file.write(data[: launcher.size])
        file.seek(table_offset)
        file.write(table + trailer.pack())
    done = cli("run", machine, preexec=lambda: resource.setrlimit(resource.RLIMIT_CPU, (3, 3)))
    assert done.returncode == 7


def test_a_bad_signature_is_refused(cli: Cli, signed: Path) -> None:
    with artifact.opened(signed) as (_, found):
        flip(signed, found.table_offset + len(found.table))
    assert "has a bad signature by SHA256:" in failure(cli("run", signed), 125)


def test_a_signed_machine_runs_silently_where_nobody_looks(cli: Cli, signed: Path) -> None:
    done = cli("run", signed)
    assert (done.returncode, done.stderr) == (7, b"")


def test_a_user_without_home(cli: Cli, signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    program = "import pwd; pwd.getpwuid = {}.__getitem__; "
    python, option, rest = cli.argv
    assert Cli((python, option, program + rest))("run", signed).returncode == 7


def said_on_a_terminal(cli: Cli, machine: Path) -> str:
    """Standard error of `smolpack run`."""
    ours, theirs = os.openpty()
    subprocess.run([*cli.argv, "run", machine], stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    try:
        said = os.read(ours, 4096).decode()
    except OSError:
        said = ""  # EIO: nothing came
    os.close(ours)
    return said


def test_people_are_told_of_an_unknown_signer(cli: Cli, signed: Path, config: Path) -> None:
    said = said_on_a_terminal(cli, signed)
    assert f"signed by {SIGNER.public_key.fingerprint}, whom you do not know" in said
    config.mkdir(parents=True)
    (config / "allowed_signers").write_text(f"alice {SIGNER.public_key.line}\n")
    assert said_on_a_terminal(cli, signed) == ""


def test_a_required_signer(cli: Cli, signed: Path, config: Path) -> None:
    pinned = ("run", "--require-signer", "alice", signed, "--", "x")
    assert "not signed by alice (but by SHA256:" in failure(cli(*pinned), 125)
    config.mkdir(parents=True)
    (config / "allowed_signers").write_text(f"alice {SIGNER.public_key.line}\n")
    done = cli(*pinned)
    assert (done.returncode, done.stdout.decode()) == (7, f"{signed}\n--\nx\n")
    (config / "allowed_signers").write_text("alice nonsense\n")
    assert "allowed_signers:1:" in failure(cli(*pinned), 125)


def test_an_unsigned_machine_is_refused_where_a_signer_is_required(cli: Cli, machine: Path) -> None:
    text = failure(cli("run", "--require-signer", "alice", machine), 125)
    assert "unsigned, not signed by alice" in text


def test_the_policy_is_applied_before_the_launcher_could(cli: Cli, signed: Path) -> None:
    fingerprint = SIGNER.public_key.fingerprint
    other = FixedSigner(2).public_key.fingerprint
    assert cli("run", signed, env={"SMOLPACK_REQUIRE_SIGNATURE": "1"}).returncode == 7
    assert cli("run", signed, env={"SMOLPACK_SIGNERS": f"{other},{fingerprint}"}).returncode == 7
    text = failure(cli("run", signed, env={"SMOLPACK_SIGNERS": other}), 125)
    assert "whom SMOLPACK_SIGNERS does not list" in text
    text = failure(cli("run", signed, env={"SMOLPACK_SIGNERS": "alice"}), 125)
    assert "neither a fingerprint" in text
    with signed.open("r+b") as file:
        artifact.write_signatures(file, artifact.read(file), ())
    text = failure(cli("run", signed, env={"SMOLPACK_REQUIRE_SIGNATURE": "1"}), 125)
    assert "unsigned, and the policy here" in text


def test_what_was_checked_is_what_runs(cli: Cli, machine: Path, tmp_path: Path) -> None:
    """The name may lead elsewhere once the file is open: here, as soon as it is checked."""
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho other\n")
    other.chmod(0o755)
    swap = (
        "import os; from smolpack import integrity; real = integrity.check_launcher; "
        "integrity.check_launcher = lambda *given: "
        f"(real(*given), os.replace({str(other)!r}, {str(machine)!r})); "
    )
    python, option, program = cli.argv
    done = subprocess.run(
        [python, option, swap + program, "run", machine], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode()) == (7, f"{machine}\n")
    assert machine.read_text().endswith("echo other\n")
