"""`smolpack run`: check a packed machine, become it, and end it when whoever started us ends."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from smolpack import artifact, integrity, policy
from smolpack.artifact import Artifact
from smolpack.errors import FormatError, PolicyError, RunError, VerifyError

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def run(
    path: Path, arguments: Sequence[str], signer: str | None = None, title: str | None = None
) -> NoReturn:
    """Replaces this process by `path` with `arguments`, to be killed when its parent dies; it calls
    itself `title` (default: its path).

    Before, it checks what the launcher inside cannot check for itself: the launcher, and
    whether the signatures satisfy the policy and, with `signer`, come from a trusted key of that
    name. What was checked is what is executed: the same open file. Raises RunError when `path`
    is no packed machine, may not run or cannot be executed.
    """
    parent = os.getppid()
    try:
        with artifact.opened(path) as (file, contents):
            integrity.check_launcher(file, contents)
            _check_signers(path, contents, signer)
            _die_with(parent)
            _execute(file.fileno(), path, [title or str(path), *arguments])
    except (FormatError, PolicyError) as error:
        raise RunError(str(error)) from error
    except VerifyError as error:
        raise RunError(f"{path}: {error}") from error


def _check_signers(path: Path, contents: Artifact, signer: str | None) -> None:
    rules = policy.load()
    if not contents.signatures:
        rules.check(())
        if signer is not None:
            raise VerifyError(f"unsigned, not signed by {signer}; ask its maker for a signed file")
        return
    # Slow to import; a machine without signatures need not wait for it.
    from smolpack import verify

    trusted = verify.load_trust()
    found = verify.check_signatures(contents, trusted)
    if (defect := verify.defect_of(found)) is not None:
        raise FormatError(defect)
    valid = [result for result in found if result.state == verify.State.VALID]
    rules.check([result.fingerprint for result in valid if result.fingerprint])
    if signer is not None:
        verify.trusted_signature(found, trusted, signer=signer)
    elif not any(result.principals for result in valid) and sys.stderr.isatty():
        # For people: it protects from nothing, since whoever changes a file can also unsign it.
        _log.warning("%s: signed by %s, whom you do not know", path, valid[0].title)


def _die_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise RunError(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        # It died before the kernel knew that we wanted to hear of it.
        os.kill(os.getpid(), signal.SIGKILL)


def _execute(descriptor: int, path: Path, argv: list[str]) -> NoReturn:
    try:
        os.execve(descriptor, argv, os.environ)
    except PermissionError as error:
        raise RunError(
            f"{path}: cannot execute: {error.strerror}; try `chmod +x {path}`, "
            "or a file system that is not mounted noexec"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot execute: {error.strerror}") from error
