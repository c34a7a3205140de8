"""What the host boots: a Debian kernel, an initramfs and a Debian root, built once and cached.

Cache entries are directories named after the SHA-256 of everything they are made from. They are
built beside their final name and renamed into place, so that an entry that exists is complete.
"""

import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kvmhost.errors import HostError

SUITE = "bookworm"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
HERE = Path(__file__).resolve().parent
AGENT = ("__init__.py", "agent.py", "frames.py")

# What init.sh loads, each with its path below /lib/modules/*/kernel.
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "drivers/char/virtio_console",
    "fs/squashfs/squashfs",
    "fs/overlayfs/overlay",
    "virt/lib/irqbypass",
    "arch/x86/kvm/kvm",
    "arch/x86/kvm/kvm-amd",
)

ROOT_PACKAGES = (
    "procps",
    "python3",
    "python3-pexpect",
    "python3-pytest",
    "python3-pytest-timeout",
    "qemu-system-x86",
    "squashfs-tools-ng",
    "strace",
)

# lz4 because the emulated CPU inflates it: the image is a third larger than with zstd.
ROOT_COMMAND = (
    "mmdebstrap",
    "--variant=minbase",
    f"--include={','.join(ROOT_PACKAGES)}",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--customize-hook=chroot "$1" groupadd --force --system kvm',
    '--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash --groups kvm tester',
    '--customize-hook=echo kvmhost > "$1/etc/hostname"',
    '--customize-hook=echo 127.0.0.1 localhost kvmhost > "$1/etc/hosts"',
    SUITE,
    "-",
)
PACK_COMMAND = ("tar2sqfs", "--quiet", "--compressor", "lz4", "--force")

# Each program that is needed, and the Debian package that has it.
TOOLS = {
    "apt-get": "apt",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "dpkg": "dpkg",
    "lz4": "lz4",
    "mmdebstrap": "mmdebstrap",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "tar": "tar",
    "tar2sqfs": "squashfs-tools-ng",
}


@dataclass(frozen=True)
class Image:
    """Paths of what QEMU is given."""

    kernel: Path
    initramfs: Path
    root: Path


def prepare() -> Image:
    """The cached image, built where it is missing. Raises HostError."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise HostError(f"missing programs; install them: apt-get install {' '.join(missing)}")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "smolpack" / "kvmhost"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        busybox = Path(shutil.which("busybox") or "").read_bytes()
        package, version = _kernel_version(cache)
        agent = [(HERE / name).read_bytes() for name in ("init.sh", *AGENT)]
        boot = _cached(
            cache,
            "kernel and initramfs",
            [package, version, *MODULES, busybox, *agent],
            lambda target: _build_boot(target, package),
        )
        root = _cached(cache, "Debian root", [*ROOT_COMMAND, *PACK_COMMAND], _build_root)
    except OSError as error:
        raise HostError(f"cannot build the test host: {error}; set XDG_CACHE_HOME?") from error
    return Image(boot / "vmlinux", boot / "initramfs.cpio", root / "root.squashfs")


def _cached(
    cache: Path, what: str, inputs: list[str | bytes], build: Callable[[Path], None]
) -> Path:
    """The entry for these inputs; builds it, one process at a time, where there is none."""
    digest = hashlib.sha256()
    for item in inputs:
        data = item.encode() if isinstance(item, str) else item
        digest.update(struct.pack("<Q", len(data)) + data)
    entry = cache / digest.hexdigest()[:32]
    if entry.is_dir():
        return entry
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if entry.is_dir():
            return entry
        for leftover in cache.glob("building-*"):  # of a build that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        print(f"kvmhost: building the {what} (once) …", file=sys.stderr)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as building:
            target = Path(building) / "entry"
            target.mkdir()
            build(target)
            target.rename(entry)
        print(f"kvmhost: {what} built in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return entry


def _command(*argv: str | Path, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
    """Standard output of a command that must succeed; else HostError with its last line."""
    done = subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True)
    if done.returncode:
        _fail(str(argv[0]), done.stderr)
    return done.stdout


def _fail(program: str, stderr: bytes) -> None:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines or ["no message"]
    raise HostError(f"{program} failed: {errors[-1]}")


def _kernel_version(cache: Path) -> tuple[str, str]:
    """Name and version of the kernel package that the newest meta package stands for."""
    # An own apt cache: where the system keeps none (containers), each look would take a second.
    option = f"Dir::Cache::pkgcache={cache / 'pkgcache.bin'}"
    shown = subprocess.run(
        ["apt-cache", "-o", option, "show", "--no-all-versions", KERNEL_PACKAGE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    fields = dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line)
    if "Depends" not in fields:
        raise HostError(f"apt knows no {KERNEL_PACKAGE}; run apt-get update (Debian, amd64)")
    return fields["Depends"].split()[0], fields["Version"]


def _build_boot(target: Path, package: str) -> None:
    """The vmlinux of the package, and an initramfs with busybox, modules, init and agent."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch_name:
        scratch = Path(scratch_name)
        _command("apt-get", "-q", "download", package, cwd=scratch)
        _command("dpkg", "-x", next(scratch.glob("*.deb")), scratch / "package")
        bzimage = next(scratch.glob("package/boot/vmlinuz-*")).read_bytes()
        (target / "vmlinux").write_bytes(_command("lz4", "-dc", stdin=_payload(bzimage)))

        tree = scratch / "initramfs"
        for name in ("bin", "modules", "agent/kvmhost"):
            (tree / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "", tree / "bin/busybox")
        shutil.copy(HERE / "init.sh", tree / "init")
        (tree / "init").chmod(0o755)
        for name in AGENT:
            shutil.copy(HERE / name, tree / "agent/kvmhost")
        (kernel_modules,) = scratch.glob("package/lib/modules/*/kernel")
        for module in MODULES:
            shutil.copy(kernel_modules / f"{module}.ko", tree / "modules")
        names = "\n".join(sorted(str(path.relative_to(tree)) for path in tree.rglob("*")))
        cpio = _command("cpio", "-o", "-H", "newc", "-R", "0:0", cwd=tree, stdin=names.encode())
        (target / "initramfs.cpio").write_bytes(cpio)


def _payload(bzimage: bytes) -> bytes:
    """The LZ4 stream of the ELF kernel in a bzImage (Linux x86 boot protocol 2.08 and later)."""
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start : start + length - 4]  # its last word is the size when inflated
    if bzimage[0x202:0x206] != b"HdrS" or not payload.startswith(b"\x02\x21\x4c\x18"):
        raise HostError(f"the kernel of {KERNEL_PACKAGE} is not compressed with LZ4")
    return payload


def _build_root(target: Path) -> None:
    """The Debian root as squashfs, streamed from mmdebstrap to tar2sqfs."""
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(ROOT_COMMAND, stdout=subprocess.PIPE, stderr=log) as debootstrap:
            packed = subprocess.run(
                [*PACK_COMMAND, target / "root.squashfs"],
                stdin=debootstrap.stdout,
                stderr=subprocess.PIPE,
            )
        if debootstrap.returncode:
            log.seek(0)
            _fail("mmdebstrap", log.read())
        if packed.returncode:
            _fail("tar2sqfs", packed.stderr)
