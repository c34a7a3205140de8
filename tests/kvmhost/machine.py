"""The emulated machine: starts QEMU, waits for the agent, starts it anew where a boot fails."""

import fcntl
import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from kvmhost import tsc
from kvmhost.errors import HostError
from kvmhost.frames import CHUNK, Decoder, Kind
from kvmhost.image import Image

BOOT_ATTEMPTS = 4
BOOT_SECONDS = 60.0
CONSOLE_LINES = 30
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 tsc=reliable cryptomgr.notests"


@dataclass(frozen=True)
class Shape:
    """What the machine is given: memory in MiB, CPUs, and the tar of files for it (or None)."""

    memory: int
    cpus: int
    files: IO[bytes] | None


class Machine:
    """A running QEMU, its console's log and the socket to the agent."""

    def __init__(self, image: Image, shape: Shape) -> None:
        self.port, peer = socket.socketpair()
        self.decoder = Decoder()
        # QEMU's own messages and the serial console both append to one log in memory.
        self.log = os.memfd_create("console")
        fcntl.fcntl(self.log, fcntl.F_SETFL, os.O_APPEND)
        fds = [peer.fileno(), self.log]
        argv = [
            # QEMU must not outlive this process, however it ends.
            *("setpriv", "--pdeathsig", "KILL"),
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"),
            *("-display", "none", "-M", "q35", "-accel", "tcg,thread=multi"),
            # Emulation copies byte by byte where kernels trust "fast string" features, and takes
            # three times as long for hashes with AVX2 as without: the opposite of what these
            # mean on a processor.
            *("-cpu", "EPYC-Milan,+svm,+npt,-erms,-fsrm,-avx2"),
            *("-smp", str(shape.cpus), "-m", f"{shape.memory}M"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
            *("-append", f"{KERNEL_OPTIONS} tsc_early_khz={tsc.khz()}"),
            *("-chardev", f"file,id=console,path=/proc/self/fd/{self.log},append=on"),
            *("-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,fd={peer.fileno()}"),
            *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent"),
            *_disk("root", str(image.root)),
        ]
        if shape.files is not None:
            fds.append(shape.files.fileno())
            argv += _disk("files", f"/proc/self/fd/{shape.files.fileno()}")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=fds
        )
        peer.close()

    def wait_ready(self) -> bool:
        """Wait for the agent; False where the machine ended or did not come up in time."""
        deadline = time.monotonic() + BOOT_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.port], [], [], left)[0]:
                return False
            data = self.port.recv(CHUNK)
            if not data:
                return False
            if any(kind is Kind.READY for kind, _ in self.decoder.feed(data)):
                return True
        return False

    def console(self) -> str:
        """The last lines of the console, those of a panic without its call trace."""
        text = os.pread(self.log, os.fstat(self.log).st_size, 0).decode(errors="replace")
        return "\n".join(text.partition("Call Trace:")[0].splitlines()[-CONSOLE_LINES:])

    def stop(self) -> None:
        """End QEMU at once and free what belongs to it."""
        self.process.kill()
        self.process.wait()
        self.port.close()
        os.close(self.log)


def _disk(name: str, path: str) -> list[str]:
    """Options for a read-only virtio disk."""
    file = path.replace(",", ",,")
    return ["-drive", f"if=virtio,id={name},format=raw,readonly=on,file={file}"]


@contextmanager
def booted(image: Image, shape: Shape) -> Iterator[Machine]:
    """A machine whose agent is ready. Raises HostError when no attempt at booting succeeds.

    The emulated kernel panics early in about one boot of fifty; the boot is repeated, never the
    command.
    """
    for attempt in range(BOOT_ATTEMPTS):
        machine = Machine(image, shape)
        try:
            if machine.wait_ready():
                yield machine
                return
            if attempt == BOOT_ATTEMPTS - 1:
                raise HostError(
                    f"the test host did not boot in {BOOT_ATTEMPTS} attempts; its console said:\n"
                    + machine.console()
                )
        finally:
            machine.stop()
