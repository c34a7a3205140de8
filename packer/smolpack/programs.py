"""Finds the program to run inside a root file system image, so that its absence shows early."""

import posixpath
import subprocess
from collections.abc import Iterator
from typing import BinaryIO

from smolpack.errors import RootfsError
from smolpack.rootfs import find_tool
from smolpack.spec import DEFAULT_PATH, RunDefaults

_MAX_SYMLINKS = 40
_FALLBACK = "/bin/sh"


def choose(image: BinaryIO, run: RunDefaults) -> str:
    """The program (argv[0]) that a machine started without arguments runs: `run`'s, else
    /bin/sh. It is looked up as execvp(3) would in the guest; raises RootfsError when it is
    missing or not executable."""
    files = _Files(image)
    program = run.argv0
    if program is None:
        if not files.is_program(_FALLBACK):
            raise RootfsError(
                "nothing to run: no command was given and the root has no /bin/sh; "
                "add `-- PROGRAM ARGS…`, --cmd or --entrypoint"
            )
        return _FALLBACK
    candidates = list(_candidates(program, run))
    if any(files.is_program(path) for path in candidates):
        return program
    present = next((path for path in candidates if files.stat(path) is not None), None)
    if present is not None:
        raise RootfsError(f"{present} in the root is not an executable file; see `chmod +x`")
    where = f" along PATH={_search_path(run)}" if "/" not in program else ""
    raise RootfsError(f"{program} is not in the root{where}; name a program that is")


def _candidates(program: str, run: RunDefaults) -> Iterator[str]:
    workdir = run.workdir or "/"
    if "/" in program:
        yield posixpath.join(workdir, program)
        return
    for directory in _search_path(run).split(":"):
        yield posixpath.join(workdir, directory, program)


def _search_path(run: RunDefaults) -> str:
    return run.variable("PATH") or DEFAULT_PATH


class _Files:
    """Attributes of single files in a squashfs image, as rdsquashfs tells them."""

    def __init__(self, image: BinaryIO) -> None:
        self._tool = find_tool("rdsquashfs")
        self._descriptor = image.fileno()
        self._known: dict[str, dict[str, str] | None] = {}

    def is_program(self, path: str) -> bool:
        """Whether `path` is a regular file with an execute permission."""
        attributes = self.stat(path)
        return (
            attributes is not None
            and attributes["Inode type"] in ("file", "extended file")
            and int(attributes["Access"], 8) & 0o111 != 0
        )

    def stat(self, path: str) -> dict[str, str] | None:
        """Attributes of what `path` leads to, symlinks resolved inside the image; None when it
        leads nowhere."""
        pending = path.split("/")[::-1]
        place: list[str] = []
        links = 0
        attributes = self._lstat("/")
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                place = place[:-1]
                attributes = self._lstat("/" + "/".join(place))
                continue
            attributes = self._lstat("/" + "/".join([*place, part]))
            if attributes is None:
                return None
            target = attributes.get("Link target")
            if target is None:
                place.append(part)
                continue
            links += 1
            if links > _MAX_SYMLINKS:
                return None
            if target.startswith("/"):
                place = []
            pending += target.split("/")[::-1]
        return attributes

    def _lstat(self, path: str) -> dict[str, str] | None:
        if path not in self._known:
            done = subprocess.run(
                [self._tool, "--stat", path, f"/proc/self/fd/{self._descriptor}"],
                capture_output=True,
                pass_fds=(self._descriptor,),
                check=False,
            )
            text = done.stdout.decode("utf-8", "surrogateescape")
            pairs = (line.partition(": ") for line in text.splitlines())
            found = {key: value for key, _, value in pairs}
            self._known[path] = found if done.returncode == 0 else None
        return self._known[path]
