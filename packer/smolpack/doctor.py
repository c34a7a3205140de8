"""`smolpack doctor`: what this machine can do, why, and what would help."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from smolpack import assets, policy, rootfs
from smolpack.errors import SmolpackError
from smolpack.format import Arch
from smolpack.spec import DEFAULT_MEMORY
from smolpack.values import format_size

QEMU = "qemu-system-x86_64"
_KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, what was found, what the user can do about it."""

    name: str
    ok: bool
    finding: str
    remedy: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings. `accelerator` is what machines run with here: kvm, qemu or None."""

    checks: tuple[Check, ...]
    accelerator: str | None
    can_pack: bool

    @property
    def healthy(self) -> bool:
        """Whether machines can be packed and run."""
        return self.accelerator is not None and self.can_pack


def diagnose(
    proc: Path = Path("/proc"), kvm: Path = _KVM, policy_file: Path = policy.FILE
) -> Diagnosis:
    """Looks at this machine as the launcher will: KVM is used when /dev/kvm opens and the CPU
    has hardware virtualization, else QEMU when it is installed."""
    virtualization = _virtualization(proc)
    device = _kvm_device(kvm)
    qemu = _qemu()
    packing = (_tar2sqfs(), _assets())
    rules = _policy(policy_file)
    accelerator = None
    if not rules.ok:
        pass  # a policy that is not understood allows nothing
    elif virtualization.ok and device.ok:
        accelerator = "kvm"
    elif qemu.ok:
        accelerator = "qemu"
    return Diagnosis(
        checks=(
            virtualization,
            device,
            qemu,
            *packing,
            _memory(proc),
            rules,
            _trust(),
        ),
        accelerator=accelerator,
        can_pack=all(check.ok for check in packing),
    )


def as_text(diagnosis: Diagnosis) -> str:
    """One line a finding, the remedy below a failed one, then the verdict."""
    lines = []
    for check in diagnosis.checks:
        lines.append(f"{'ok' if check.ok else 'no':<3} {check.name}: {check.finding}")
        if check.remedy is not None:
            lines.append(f"    -> {check.remedy}")
    lines.append(f"machines run with: {diagnosis.accelerator or 'nothing'}")
    if not diagnosis.can_pack:
        lines.append("machines cannot be packed here")
    return "\n".join(lines)


def as_json(diagnosis: Diagnosis) -> str:
    """A JSON object with the same content."""
    return json.dumps(
        {
            "accelerator": diagnosis.accelerator,
            "can_pack": diagnosis.can_pack,
            "checks": [vars(check) for check in diagnosis.checks],
        },
        indent=2,
    )


def _virtualization(proc: Path) -> Check:
    name = "hardware virtualization"
    text = _read(proc / "cpuinfo")
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = set(match[1].split()) if match else set()
    for flag, maker in (("vmx", "Intel VT-x"), ("svm", "AMD-V")):
        if flag in flags:
            return Check(name, True, f"{maker} ({flag})")
    if "hypervisor" in flags:
        return Check(
            name,
            False,
            "this is a virtual machine without nested virtualization",
            "choose an instance type or a hypervisor setting that offers nested virtualization; "
            "QEMU works without",
        )
    return Check(
        name,
        False,
        "the CPU shows neither vmx nor svm",
        "enable VT-x, AMD-V or SVM in the firmware settings; QEMU works without",
    )


def _kvm_device(device: Path) -> Check:
    name = str(device)
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return Check(
            name, False, "does not exist", "load it with `modprobe kvm_intel` or `modprobe kvm_amd`"
        )
    except PermissionError:
        try:
            group = device.group()
        except (KeyError, OSError):
            group = "kvm"
        return Check(
            name,
            False,
            "permission denied",
            f"join its group: `sudo usermod -aG {group} $USER`, then log in again",
        )
    except OSError as error:
        return Check(name, False, f"cannot be opened: {error.strerror}", "see `dmesg | grep kvm`")
    return Check(name, True, "opens")


def _qemu() -> Check:
    path = shutil.which(QEMU)
    if path is None:
        return Check(
            QEMU,
            False,
            "not on PATH",
            "on Debian: apt install qemu-system-x86 (needed only where KVM is not usable)",
        )
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Check(QEMU, False, f"{path} does not run", "install it again")
    return Check(QEMU, True, done.stdout.splitlines()[0] if done.stdout else path)


def _tar2sqfs() -> Check:
    try:
        return Check("tar2sqfs", True, rootfs.tool_version())
    except SmolpackError:
        return Check("tar2sqfs", False, "not on PATH", f"on Debian: apt install {rootfs.PACKAGE}")


def _assets() -> Check:
    name = "launcher, initramfs, kernel"
    try:
        found = assets.find(Arch.X86_64)
    except SmolpackError as error:
        return Check(name, False, str(error), "build them with `make assets`")
    size = len(found.launcher) + len(found.initramfs) + len(found.kernel)
    return Check(name, True, f"kernel {found.kernel_version}, {size / (1 << 20):.1f} MiB together")


def _memory(proc: Path) -> Check:
    match = re.search(r"^MemAvailable:\s*(\d+) kB", _read(proc / "meminfo"), re.MULTILINE)
    if match is None:
        return Check("memory", True, "unknown")
    available = int(match[1]) << 10
    finding = f"{available >> 20} MiB available"
    if available < DEFAULT_MEMORY:
        return Check(
            "memory",
            False,
            finding,
            f"a machine may use {format_size(DEFAULT_MEMORY)} by default: give it less with --mem",
        )
    return Check("memory", True, finding)


def _policy(path: Path) -> Check:
    try:
        return Check("policy", True, str(policy.load(path)))
    except SmolpackError as error:
        return Check("policy", False, str(error), "correct it: until then nothing runs")


def _trust() -> Check:
    from smolpack import verify  # slow to import

    try:
        count = len(verify.load_trust().entries)
    except SmolpackError as error:
        return Check("trusted signers", False, str(error), "correct that line, or remove it")
    return Check("trusted signers", True, str(count))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
