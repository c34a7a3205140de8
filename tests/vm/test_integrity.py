"""Bytes that are not what was packed, signatures and policies, as the user of a file sees them."""

import base64
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from machine import Machine

LAUNCHER_FAILURE = 125

# docs/format.md
TRAILER = struct.Struct("<8sIIQQQQ16s")
SIGNATURE = struct.Struct("<QII")
TABLE_SIZE = 64
SECTION = struct.Struct("<IIQQ32sQ")
LAUNCHER, ROOTFS = 1, 4
CHUNK = 65536

# Reads every file there is.
READ_ALL = "find / -xdev -type f -exec cat {} + >/dev/null"


def section(data: bytes, kind: int) -> tuple[int, int]:
    """Offset and size of a section."""
    table = TRAILER.unpack_from(data, len(data) - TRAILER.size)[3]
    place = table + TABLE_SIZE
    while SECTION.unpack_from(data, place)[0] != kind:
        place += SECTION.size
    return SECTION.unpack_from(data, place)[2:4]


@pytest.fixture
def changed(busybox: Machine, tmp_path: Path) -> Callable[[bytes], Machine]:
    """A machine of these bytes."""

    def make(data: bytes) -> Machine:
        path = tmp_path / "changed.vm"
        path.write_bytes(data)
        path.chmod(0o755)
        return Machine(path, busybox.cleanup)

    return make


def test_bad_chunk_is_an_error_inside_and_a_line_outside(
    busybox: Machine, changed: Callable[[bytes], Machine]
) -> None:
    data = bytearray(busybox.path.read_bytes())
    offset, size = section(data, ROOTFS)
    chunk = offset + size // 2 // CHUNK * CHUNK
    data[chunk + 1234] ^= 1
    result = changed(data).script(READ_ALL)
    assert result.status != 0
    lines = [line for line in result.stderr.splitlines() if line.startswith(b"changed.vm: ")]
    assert len(lines) == 1
    assert f"the rootfs section cannot be used at offset {chunk} of this file".encode() in lines[0]
    assert b"get the file again" in lines[0]


def test_what_is_not_used_is_not_read(
    busybox: Machine, changed: Callable[[bytes], Machine]
) -> None:
    """No pass over the whole file: that is for --vm-verify."""
    data = bytearray(busybox.path.read_bytes())
    data[section(data, LAUNCHER)[1]] ^= 1  # padding
    machine = changed(data)
    assert machine.run("echo", "works").text == "works\n"
    result = machine.run("--vm-verify")
    assert result.status == LAUNCHER_FAILURE
    assert "launcher" in next(line for line in result.text.splitlines() if "DAMAGED" in line)
    assert "get it again" in result.complaint


def test_verify_of_a_good_file_says_what_it_is_not(busybox: Machine) -> None:
    result = busybox.run("--vm-verify")
    assert (result.status, result.stderr) == (0, b"")
    assert "unsigned" in result.text and "smolpack verify" in result.text
    assert "DAMAGED" not in result.text


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A new key of ssh-keygen's."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed here")
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def fingerprint(key: Path) -> str:
    """As ssh-keygen prints it."""
    command = ["ssh-keygen", "-l", "-f", key]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def sign(data: bytes, key: Path, namespace: str = "smolpack") -> bytes:
    """The file with a signature by ssh-keygen behind those that it has."""
    trailer = list(TRAILER.unpack_from(data, len(data) - TRAILER.size))
    time = struct.pack("<Q", 1700000000)
    payload = data[trailer[3] : trailer[3] + trailer[4]] + time
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", namespace]
    armored = subprocess.run(command, input=payload, check=True, capture_output=True).stdout
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    added = SIGNATURE.pack(1700000000, len(blob), 0) + blob + bytes(-len(blob) % 8)
    trailer[5] += len(added)
    trailer[6] += len(added)
    return data[: -TRAILER.size] + added + TRAILER.pack(*trailer)


def environment(**settings: str) -> dict[str, str]:
    """Nothing but PATH and these."""
    return {"PATH": "/usr/bin:/bin", **settings}


def test_signed_file_runs_and_names_its_signer(
    busybox: Machine, changed: Callable[[bytes], Machine], key: Path
) -> None:
    machine = changed(sign(busybox.path.read_bytes(), key))
    assert machine.run("echo", "works").text == "works\n"
    for option in ("--vm-info", "--vm-verify"):
        assert f"signed by {fingerprint(key)}" in machine.run(option).text


def test_signature_over_something_else_is_refused(
    busybox: Machine, changed: Callable[[bytes], Machine], key: Path
) -> None:
    data = bytearray(sign(busybox.path.read_bytes(), key))
    data[-TRAILER.size - 40] ^= 1
    for words in (("echo",), ("--vm-info",), ("--vm-verify",)):
        result = changed(data).run(*words)
        assert (result.status, result.stdout) == (LAUNCHER_FAILURE, b"")
        assert "signature" in result.complaint


def test_signature_for_another_purpose_is_refused(
    busybox: Machine, changed: Callable[[bytes], Machine], key: Path
) -> None:
    result = changed(sign(busybox.path.read_bytes(), key, "file")).run("echo")
    assert result.status == LAUNCHER_FAILURE
    assert "namespace" in result.complaint


def refusals(machine: Machine, settings: Iterable[dict[str, str]]) -> list[str]:
    """What the launcher says under each of these environments, none of which lets it run."""
    complaints = []
    for setting in settings:
        result = machine.run("echo", env=environment(**setting))
        assert (result.status, result.stdout) == (LAUNCHER_FAILURE, b"")
        complaints.append(result.complaint)
    return complaints


def test_policy_refuses_unsigned_files(busybox: Machine) -> None:
    anyone = "SHA256:" + "A" * 43
    settings = [{"SMOLPACK_REQUIRE_SIGNATURE": "1"}, {"SMOLPACK_SIGNERS": anyone}]
    assert all("unsigned" in complaint for complaint in refusals(busybox, settings))
    # What is only looked at does not start.
    assert busybox.run("--vm-info", env=environment(**settings[0])).status == 0


def test_policy_accepts_the_signers_that_it_lists(
    busybox: Machine, changed: Callable[[bytes], Machine], key: Path
) -> None:
    other = "SHA256:" + "A" * 43
    machine = changed(sign(busybox.path.read_bytes(), key))
    complaint = refusals(machine, [{"SMOLPACK_SIGNERS": other}])[0]
    assert fingerprint(key) in complaint and "SMOLPACK_SIGNERS" in complaint
    both = environment(SMOLPACK_SIGNERS=f"{other}, {fingerprint(key)}")
    assert machine.run("--vm-accel", "auto", "echo", "works", env=both).text == "works\n"


def test_policy_that_is_not_understood_lets_nothing_run(busybox: Machine) -> None:
    settings = [{"SMOLPACK_REQUIRE_SIGNATURE": "yes"}, {"SMOLPACK_SIGNERS": "alice"}]
    for setting, complaint in zip(settings, refusals(busybox, settings), strict=True):
        assert next(iter(setting)) in complaint
