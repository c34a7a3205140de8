"""Finds the program to run inside a root file system image, so that its absence shows early."""

import posixpath
from collections.abc import Iterator
from typing import BinaryIO

from smolpack.errors import RootfsError
from smolpack.image import Image, Place
from smolpack.spec import DEFAULT_PATH, RunDefaults

_FALLBACK = "/bin/sh"


def choose(image: BinaryIO, run: RunDefaults) -> str:
    """The program (argv[0]) that a machine started without arguments runs: `run`'s, else
    /bin/sh. It is looked up as execvp(3) would in the guest; raises RootfsError when it is
    missing or not executable."""
    files = Image(image)
    program = run.argv0
    if program is None:
        if not _is_program(files.resolve(_FALLBACK)):
            raise RootfsError(
                "nothing to run: no command was given, by an image neither, and the root has no "
                "/bin/sh; add `-- PROGRAM ARGS…`, --cmd or --entrypoint"
            )
        return _FALLBACK
    candidates = list(_candidates(program, run))
    if any(_is_program(files.resolve(path)) for path in candidates):
        return program
    present = next((path for path in candidates if files.resolve(path) is not None), None)
    if present is not None:
        raise RootfsError(f"{present} in the root is not an executable file; see `chmod +x`")
    where = ""
    if "/" not in program:
        where = f" along PATH={_search_path(run)}"
    elif not program.startswith("/"):
        where = f" at {candidates[0]}, where the working directory puts it"
    option = "--entrypoint" if run.entrypoint else "--cmd or behind --"
    raise RootfsError(f"{program} is not in the root{where}; name a program that is, with {option}")


def _candidates(program: str, run: RunDefaults) -> Iterator[str]:
    workdir = run.workdir or "/"
    if "/" in program:
        yield posixpath.join(workdir, program)
        return
    for directory in _search_path(run).split(":"):
        yield posixpath.join(workdir, directory, program)


def _search_path(run: RunDefaults) -> str:
    return run.variable("PATH") or DEFAULT_PATH


def _is_program(place: Place | None) -> bool:
    """Whether it is a regular file with an execute permission."""
    return place is not None and place.is_file and place.mode & 0o111 != 0
