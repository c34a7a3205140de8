"""`smolpack run`: become the packed machine, and end it when whoever started us ends."""

import ctypes
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from smolpack import artifact
from smolpack.errors import FormatError, RunError

_PR_SET_PDEATHSIG = 1


def run(path: Path, arguments: Sequence[str]) -> NoReturn:
    """Replaces this process by `path` with `arguments`, to be killed when its parent dies.

    Raises RunError when `path` is no packed machine or cannot be executed.
    """
    parent = os.getppid()
    try:
        with artifact.opened(path):
            pass
    except FormatError as error:
        raise RunError(str(error)) from error
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise RunError(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        # It died before the kernel knew that we wanted to hear of it.
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.execv(path, [str(path), *arguments])
    except PermissionError as error:
        raise RunError(
            f"{path}: cannot execute: {error.strerror}; try `chmod +x {path}`, "
            "or a file system that is not mounted noexec"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot execute: {error.strerror}") from error
