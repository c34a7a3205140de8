"""Asks for passphrases as ssh does: on the terminal, else through the SSH_ASKPASS program."""

import getpass
import os
import subprocess
from pathlib import Path

from smolpack.errors import SignError


def ask(path: Path) -> str:
    """The passphrase of the private key `path`."""
    return _ask(f"Passphrase for {path}: ", "use ssh-agent or SSH_ASKPASS")


def ask_new(path: Path) -> str:
    """A passphrase for a new key, typed twice; empty for none."""
    instead = "use SSH_ASKPASS or --no-passphrase"
    first = _ask(f"New passphrase for {path} (empty for none): ", instead)
    if first != _ask("The same again: ", instead):
        raise SignError("the two passphrases differ; try again")
    return first


def _ask(prompt: str, instead: str) -> str:
    """See ssh(1), SSH_ASKPASS and SSH_ASKPASS_REQUIRE; `instead` is what to use without a
    terminal."""
    program = os.environ.get("SSH_ASKPASS")
    when = os.environ.get("SSH_ASKPASS_REQUIRE")
    if program and when in ("prefer", "force"):
        return _run(program, prompt)
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        if program and when != "never":
            return _run(program, prompt)
        raise SignError(f"there is no terminal to ask for a passphrase on; {instead}") from None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise SignError("no passphrase was given") from None


def _run(program: str, prompt: str) -> str:
    try:
        done = subprocess.run([program, prompt], stdout=subprocess.PIPE, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise SignError(f"SSH_ASKPASS={program}: gave no passphrase") from None
    return done.stdout.decode("utf-8", "surrogateescape").partition("\n")[0]
