"""`smolpack doctor` says what this machine can do, why, and what would help."""

import json
import os
from pathlib import Path

import pytest

from smolpack import doctor
from support import Cli

pytestmark = pytest.mark.usefixtures("with_assets")


@pytest.fixture(name="proc")
def _proc(tmp_path: Path) -> Path:
    """A bare machine with AMD-V and 8 GiB."""
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu svm sse\n")
    (proc / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    8388608 kB\n")
    return proc


@pytest.fixture(name="kvm")
def _kvm(tmp_path: Path) -> Path:
    """Something that opens, as /dev/kvm does for its group."""
    path = tmp_path / "kvm"
    path.touch()
    return path


@pytest.fixture(name="no_qemu")
def _no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "QEMU", "qemu-system-none")


def finding(diagnosis: doctor.Diagnosis, name: str) -> doctor.Check:
    return next(check for check in diagnosis.checks if check.name.endswith(name))


def test_kvm(proc: Path, kvm: Path) -> None:
    found = doctor.diagnose(proc, kvm)
    assert found.accelerator == "kvm" and found.healthy
    assert doctor.as_text(found).endswith("machines run with: kvm")


def test_a_cloud_machine_without_nested_virtualization(proc: Path, kvm: Path) -> None:
    (proc / "cpuinfo").write_text("flags\t\t: fpu hypervisor sse\n")
    check = finding(doctor.diagnose(proc, kvm), "virtualization")
    assert not check.ok and "nested virtualization" in check.finding
    assert check.remedy is not None


def test_virtualization_switched_off(proc: Path, kvm: Path) -> None:
    (proc / "cpuinfo").write_text("flags\t\t: fpu sse\n")
    check = finding(doctor.diagnose(proc, kvm), "virtualization")
    assert check.remedy is not None and "firmware" in check.remedy


@pytest.mark.usefixtures("no_qemu")
def test_nothing_to_run_with(proc: Path, tmp_path: Path) -> None:
    found = doctor.diagnose(proc, tmp_path / "none")
    assert found.accelerator is None and not found.healthy
    text = doctor.as_text(found)
    assert text.endswith("machines run with: nothing")
    assert "modprobe kvm_amd" in text
    assert "apt install qemu-system-x86" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_no_permission(proc: Path, kvm: Path) -> None:
    kvm.chmod(0)
    check = finding(doctor.diagnose(proc, kvm), "kvm")
    assert check.remedy is not None and "usermod -aG" in check.remedy


def test_little_memory(proc: Path, kvm: Path) -> None:
    (proc / "meminfo").write_text("MemAvailable:    1024 kB\n")
    assert not finding(doctor.diagnose(proc, kvm), "memory").ok


def test_without_tools_to_pack(
    proc: Path, kvm: Path, with_assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (with_assets / "x86_64/kernel").unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    found = doctor.diagnose(proc, kvm)
    assert found.accelerator == "kvm" and not found.healthy
    text = doctor.as_text(found)
    assert "apt install squashfs-tools-ng" in text
    assert "make assets" in text


def test_every_failure_has_a_remedy(proc: Path, tmp_path: Path) -> None:
    for check in doctor.diagnose(tmp_path / "no proc", tmp_path / "none").checks:
        assert check.ok or check.remedy


def test_command(cli: Cli) -> None:
    done = cli("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["accelerator"] and found["can_pack"] else 1)
    last = cli("doctor").stdout.decode().splitlines()[-1]
    assert last == f"machines run with: {found['accelerator'] or 'nothing'}"
