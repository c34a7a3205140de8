"""A small root: static busybox with all its applets, a user, and the programs of programs/."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from roots.cache import RecipeError, cached

PROGRAMS = sorted(Path(__file__).with_name("programs").glob("*.c"))
COMPILE = ("ziglang", "cc", "-target", "x86_64-linux-musl", "-static", "-O2", "-s")
COMPILE_WARNINGS = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")

DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "usr/bin")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A user:/home/user:/bin/sh\n"
GROUP = b"root:x:0:\ntty:x:5:user\nuser:x:1000:\nstaff:x:50:user\n"
# What cannot be executed, for as many reasons.
UNFIT = {
    "usr/bin/not-executable": (b"#!/bin/sh\n", 0o644),
    "usr/bin/not-a-program": (b"\x00\x01\x02\x03", 0o755),
    "usr/bin/no-interpreter": (b"#!/nonexistent/interpreter\n", 0o755),
}


def tar() -> Path:
    """The root as a tar. Raises RecipeError."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RecipeError("busybox is missing: apt install busybox-static")
    sources = [Path(busybox), Path(__file__), *PROGRAMS]
    return cached("busybox", (path.read_bytes() for path in sources), _Builder(Path(busybox)))


class _Builder:
    def __init__(self, busybox: Path) -> None:
        self.busybox = busybox

    def __call__(self, target: Path) -> None:
        with tarfile.open(target, "w") as self.out:
            for name in DIRECTORIES:
                self.add(name, tarfile.DIRTYPE, 0o755)
            self.add("tmp", tarfile.DIRTYPE, 0o1777)
            self.add("home/user", tarfile.DIRTYPE, 0o755, owner=1000)
            self.file("etc/passwd", PASSWD, 0o644)
            self.file("etc/group", GROUP, 0o644)
            self.file("bin/busybox", self.busybox.read_bytes(), 0o755)
            for applet in self.applets():
                self.add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
            for name, (data, mode) in UNFIT.items():
                self.file(name, data, mode)
            for source in PROGRAMS:
                self.file(f"usr/bin/{source.stem}", _compiled(source), 0o755)

    def applets(self) -> list[str]:
        listed = subprocess.run(
            [self.busybox, "--list"], capture_output=True, text=True, check=True
        )
        return [name for name in listed.stdout.split() if name != "busybox"]

    def file(self, name: str, data: bytes, mode: int) -> None:
        self.add(name, tarfile.REGTYPE, mode, data=data)

    def add(
        self,
        name: str,
        kind: bytes,
        mode: int,
        *,
        link: str = "",
        owner: int = 0,
        data: bytes = b"",
    ) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname, member.size = kind, mode, link, len(data)
        member.uid = member.gid = owner
        self.out.addfile(member, io.BytesIO(data))


def _compiled(source: Path) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch, source.stem)
        done = subprocess.run(
            [sys.executable, "-m", *COMPILE, *COMPILE_WARNINGS, source, "-o", program],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RecipeError(f"cannot compile {source.name}: {done.stderr.strip()}")
        return program.read_bytes()
