"""The command lines that are compared: our file, and QEMU with the same kernel and program."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

MEMORY_MIB = 512
KERNEL, INITRAMFS, ROOT = "vmlinux", "peer.cpio", "root.squashfs"
OURS = "hello.vm"

_QEMU = (
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-accel", "kvm", "-cpu", "host"),
    *("-m", str(MEMORY_MIB), "-kernel", KERNEL, "-initrd", INITRAMFS),
    *("-global", "virtio-mmio.force-legacy=false"),
)
_PLAIN_MACHINE = ("-M", "microvm")
# As lean as QEMU's options allow: no timer, clock or interrupt controller that the kernel does
# without under KVM.
_LEAN_MACHINE = ("-M", "microvm,acpi=off,pit=off,pic=off,rtc=off")
_APPEND = "quiet panic=-1 reboot=t random.trust_cpu=on rdinit=/init"
_SERIAL = ("-serial", "stdio")
_DISK = (
    *("-drive", f"if=none,id=root,format=raw,readonly=on,file={ROOT}"),
    *("-device", "virtio-blk-device,drive=root"),
)
_PORT = (
    *("-chardev", "stdio,id=port,signal=off"),
    *("-device", "virtio-serial-device", "-device", "virtserialport,chardev=port,name=port"),
    *("-machine", "isa-serial=off"),
)


def bare(*words: str) -> list[str]:
    """The program itself, without any machine."""
    return ["./workload", *words]


def ours(*words: str) -> list[str]:
    """Our file, its program given these words."""
    return [f"./{OURS}", "--vm-mem", f"{MEMORY_MIB}M", "--vm-accel", "kvm", "--", *words]


def qemu_plain(*words: str) -> list[str]:
    """QEMU's microvm as it comes; otherwise as qemu_initramfs()."""
    return _qemu((*_PLAIN_MACHINE, *_SERIAL), "PEER_PORT=/dev/ttyS0", words)


def qemu_initramfs(*words: str) -> list[str]:
    """QEMU, the program in the initramfs, its standard streams on the serial port."""
    return _qemu((*_LEAN_MACHINE, *_SERIAL), "PEER_PORT=/dev/ttyS0", words)


def qemu_root(*words: str) -> list[str]:
    """QEMU, the program in the same squashfs as ours, on a virtio disk."""
    options = (*_LEAN_MACHINE, *_SERIAL, *_DISK)
    return _qemu(options, "PEER_PORT=/dev/ttyS0 PEER_ROOT=/dev/vda", words)


def qemu_port(*words: str) -> list[str]:
    """QEMU, the program in the initramfs, its standard streams on a virtio-serial port."""
    return _qemu((*_LEAN_MACHINE, *_PORT), "PEER_PORT=/dev/vport0p1", words)


def qemu_piped_port(*words: str) -> list[str]:
    """The same, but the program has pipes, as ours has, and a process between them and the port."""
    return _qemu((*_LEAN_MACHINE, *_PORT), "PEER_PORT=/dev/vport0p1 PEER_PIPES=1", words)


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


def _qemu(options: Sequence[str], settings: str, words: Sequence[str]) -> list[str]:
    return [*_QEMU, *options, "-append", f"{_APPEND} {settings} PEER_RUN={','.join(words)}"]
