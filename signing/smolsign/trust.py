"""Whom this user trusts: an allowed_signers file of their own, and one of the system."""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smolsign import allowed_signers
from smolsign.allowed_signers import AllowedSigners, Entry
from smolsign.errors import TrustError
from smolsign.keys import PublicKey

SYSTEM_FILE = Path("/etc/smolpack/allowed_signers")


def user_file() -> Path:
    """`${XDG_CONFIG_HOME:-~/.config}/smolpack/allowed_signers`; a relative XDG_CONFIG_HOME does
    not count (XDG Base Directory Specification). Raises TrustError for a user without home."""
    directory = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not directory.is_absolute():
        try:
            directory = Path.home() / ".config"
        except RuntimeError:
            raise TrustError("no home directory; set HOME or XDG_CONFIG_HOME") from None
    return directory / "smolpack/allowed_signers"


@dataclass(frozen=True)
class TrustStore:
    """Two allowed_signers files, either of which may be missing. Only the user's is written."""

    user: Path = field(default_factory=user_file)
    system: Path = SYSTEM_FILE

    def load(self) -> AllowedSigners:
        """The entries and warnings of both, the user's first. Raises AllowedSignersError: a bad
        line in either file makes the whole store unusable."""
        files = [AllowedSigners.load(path) for path in (self.user, self.system)]
        return AllowedSigners(
            tuple(entry for file in files for entry in file.entries),
            tuple(warning for file in files for warning in file.warnings),
        )

    def find(
        self,
        key: PublicKey,
        namespace: str,
        *,
        principal: str | None = None,
        at: float | None = None,
    ) -> tuple[Entry, ...]:
        """As AllowedSigners.find(), in both files."""
        return self.load().find(key, namespace, principal=principal, at=at)

    def add(self, entry: Entry) -> bool:
        """Appends a line to the user's file; False when it is there already. File (0600) and
        directory (0700) are made if missing. Raises UnknownKeyTypeError for a key whose
        signatures could not be verified, AllowedSignersError or TrustError."""
        entry.public_key.check_type()
        line = entry.text().encode("utf-8", "surrogateescape") + b"\n"
        with self._edited() as content:
            if entry in AllowedSigners.parse(bytes(content), self.user).entries:
                return False
            if content and not content.endswith(b"\n"):
                content += b"\n"
            content += line
        return True

    def remove(self, who: str) -> tuple[Entry, ...]:
        """Takes lines out of the user's file and returns what they said: those that list the
        principal `who` literally, among others perhaps, or whose key has the fingerprint `who`
        (`SHA256:…`). All other lines stay as they are. Raises TrustError when there is none, or
        AllowedSignersError."""
        with self._edited() as content:
            entries = AllowedSigners.parse(bytes(content), self.user).entries
            removed = tuple(entry for entry in entries if _is_about(entry, who))
            numbers = {entry.line for entry in removed}
            lines = bytes(content).split(b"\n")
            content[:] = b"\n".join(
                line for number, line in enumerate(lines, 1) if number not in numbers
            )
        if not removed:
            elsewhere = AllowedSigners.load(self.system).entries
            if any(_is_about(entry, who) for entry in elsewhere):
                raise TrustError(f"{who}: trusted by {self.system}; that file is root's to change")
            raise TrustError(f"{who}: not in {self.user}; give a name or a fingerprint from there")
        return removed

    @contextlib.contextmanager
    def _edited(self) -> Iterator[bytearray]:
        """The user's file to be changed; if it was, it is replaced at the end, in one step."""
        try:
            target = self.user.resolve()  # a link stays one
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, RuntimeError) as error:  # the latter for a loop of links
            reason = getattr(error, "strerror", error)
            raise TrustError(f"{self.user.parent}: cannot be used: {reason}") from None
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)  # one change after the other
            before = allowed_signers.read(target)
            content = bytearray(before)
            yield content
            if content != before:
                _replace(target, bytes(content))
                os.fsync(directory)
        except OSError as error:
            raise TrustError(f"{target}: cannot be changed: {error.strerror}") from None
        finally:
            os.close(directory)


def _is_about(entry: Entry, who: str) -> bool:
    return who == entry.public_key.fingerprint or who in entry.principals.split(",")


def _replace(target: Path, content: bytes) -> None:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).rename(target)
    except BaseException:
        Path(name).unlink()
        raise
