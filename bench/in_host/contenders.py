"""The command lines that are compared: our file, and QEMU with the same kernel and program."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

MEMORY_MIB = 512
KERNEL, INITRAMFS, ROOT = "vmlinux", "peer.cpio", "root.squashfs"
OURS = "hello.vm"

# QEMU as lean as its options allow: no timer, clock or interrupt controller that the kernel
# does without under KVM.
_QEMU = (
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-M", "microvm,acpi=off,pit=off,pic=off,rtc=off", "-accel", "kvm", "-cpu", "host"),
    *("-m", str(MEMORY_MIB), "-kernel", KERNEL, "-initrd", INITRAMFS),
    *("-global", "virtio-mmio.force-legacy=false"),
)
_APPEND = "quiet panic=-1 reboot=t random.trust_cpu=on rdinit=/init"
_SERIAL = ("-serial", "stdio")
_DISK = (
    *("-drive", f"if=none,id=root,format=raw,readonly=on,file={ROOT}"),
    *("-device", "virtio-blk-device,drive=root"),
)
_PORT = (
    *("-chardev", "stdio,id=port,signal=off"),
    *("-device", "virtio-serial-device", "-device", "virtserialport,chardev=port,name=port"),
)


def ours(*words: str) -> list[str]:
    """Our file, its program given these words."""
    return [f"./{OURS}", "--vm-mem", f"{MEMORY_MIB}M", "--vm-accel", "kvm", "--", *words]


def qemu_initramfs(*words: str) -> list[str]:
    """QEMU, the program in the initramfs, its standard streams on the serial port."""
    return _qemu(_SERIAL, "PEER_PORT=/dev/ttyS0", words)


def qemu_root(*words: str) -> list[str]:
    """QEMU, the program in the same squashfs as ours, on a virtio disk."""
    return _qemu((*_SERIAL, *_DISK), "PEER_PORT=/dev/ttyS0 PEER_ROOT=/dev/vda", words)


def qemu_port(*words: str) -> list[str]:
    """QEMU, the program in the initramfs, its standard streams on a virtio-serial port."""
    return _qemu((*_PORT, "-machine", "isa-serial=off"), "PEER_PORT=/dev/vport0p1", words)


def timed(command: Sequence[str], send: int = 0, receive: int = 0) -> dict[str, Any]:
    """What the stopwatch saw of one run. Raises RuntimeError when it could not start it."""
    done = subprocess.run(
        ["./stopwatch", "-s", str(send), "-r", str(receive), "--", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    seen: dict[str, Any] = json.loads(done.stdout)
    seen["complaint"] = done.stderr.strip()[-500:]
    return seen


def _qemu(devices: Sequence[str], settings: str, words: Sequence[str]) -> list[str]:
    return [*_QEMU, *devices, "-append", f"{_APPEND} {settings} PEER_RUN={','.join(words)}"]
