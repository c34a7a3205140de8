"""The cache: content-addressed files below one directory, the least recently used evicted.

    blobs/sha256/HEX        layers, configurations and manifests, by their digest
    roots/KEY-HEX           packed root file systems, by what they were made from
    machines/KEY            whole machines of `smolpack run --image`

HEX is the SHA-256 of the file's content, compared at every use: a damaged entry is removed and
counts as not there. Machines have none: they are checked as they run, and a large one is to start
as fast as a small one. Files are written beside their place, synced and renamed, so any number of
processes may use one cache without locks; an entry that is evicted while it is open stays readable.
The time of last use is the modification time.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from smolpack import outfile
from smolpack.errors import OutputError, SpecError
from smolpack.sources.base import CHUNK
from smolpack.values import parse_size

DEFAULT_CAP = 10 << 30
CAP_VARIABLE = "SMOLPACK_CACHE_SIZE"

_BLOBS, _ROOTS, _MACHINES = "blobs/sha256", "roots", "machines"
_KINDS = {_BLOBS: "blob", _ROOTS: "root", _MACHINES: "machine"}
_KEY = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{64})?")
_NEW = ".new-"
# What a killed process may have left, in seconds since it was last written to.
_ABANDONED = 24 * 3600


@dataclass(frozen=True)
class Entry:
    """A file of the cache: `kind` is blob, root or machine, `name` its digest (blobs) or key,
    `used` the time of last use in seconds since 1970, `size` in bytes."""

    kind: str
    name: str
    size: int
    used: float
    path: Path


class Store:
    """The cache below `path`, which is made when something is put there, kept to `cap` bytes.

    Raises OutputError where the cache cannot be read or written.
    """

    def __init__(self, path: Path, cap: int = DEFAULT_CAP) -> None:
        self.path = path
        self.cap = cap

    def blob(self, digest: str) -> BinaryIO | None:
        """An open, unbuffered file of exactly what `digest` ("sha256:…") says; None when it is not
        there."""
        name = digest.removeprefix("sha256:")
        assert _KEY.fullmatch(name), digest
        return self._opened(self.path / _BLOBS / name, name)

    @contextlib.contextmanager
    def new_blob(self) -> Iterator["NewBlob"]:
        """A blob to be written, which is in the cache once its keep() was called."""
        with self._writes():
            new = NewBlob(self, self._directory(_BLOBS))
        try:
            yield new
        finally:
            new.close()
        self.evict()

    @contextlib.contextmanager
    def root(self, key: str) -> Iterator[BinaryIO | None]:
        """The root image packed under `key` (64 hex digits, such as the SHA-256 over the layers'
        diff_ids, tar2sqfs's version and the parameters), for reading; None when there is none.

            with store.root(key) as image:
                if image is None:  # pack, then store.put_root(key, packed)
        """
        file = self._find_root(key)
        with contextlib.nullcontext() if file is None else file:
            yield file

    def put_root(self, key: str, image: BinaryIO) -> None:
        """Keeps a copy of all of the file `image`, whose position may change."""
        with self._writes():
            digest = _digest(image)
            size = image.tell()
            target = self._directory(_ROOTS) / f"{key}-{digest}"
            earlier = self._root_names(key)
            with outfile.replacing(target, 0o644) as file:
                outfile.copy(image, file, size)
            for name in earlier:
                if name != target.name:
                    (target.parent / name).unlink(missing_ok=True)
        self.evict()

    @contextlib.contextmanager
    def machine(self, key: str) -> Iterator[Path | None]:
        """A whole machine under `key`, to be run from this path within the block; None when there
        is none."""
        assert _KEY.fullmatch(key), key
        file = self._opened(self.path / _MACHINES / key)
        with contextlib.nullcontext() if file is None else file:
            yield None if file is None else Path(file.name)

    @contextlib.contextmanager
    def new_machine(self, key: str) -> Iterator[Path]:
        """A path to create a machine at. When the block ends it is the one under `key`; after an
        exception it is gone.

            with store.new_machine(key) as path:
                create(CreateSpec(out=path, …), source)
            with store.machine(key) as path: …
        """
        with self._writes():
            directory = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._directory(_MACHINES)))
        try:
            path = directory / "machine"
            yield path
            with self._writes():
                path.chmod(0o755)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                path.rename(directory.parent / key)
                with _opened_directory(directory.parent) as parent:
                    os.fsync(parent)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        self.evict()

    def entries(self) -> list[Entry]:
        """Everything in the cache, the least recently used first."""
        found = []
        for directory, kind in _KINDS.items():
            for item in self._listed(directory):
                if not _NAME.fullmatch(item.name):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = item.stat(follow_symlinks=False)
                    name = item.name.partition("-")[0]
                    name = f"sha256:{name}" if directory == _BLOBS else name
                    if stat.S_ISREG(status.st_mode):
                        path = Path(item.path)
                        found.append(Entry(kind, name, status.st_size, status.st_mtime, path))
        return sorted(found, key=lambda entry: (entry.used, entry.path))

    def evict(self, cap: int | None = None) -> list[Entry]:
        """Removes the least recently used entries until `cap` bytes are left (default: the
        store's), and what killed processes left half-written; returns the entries."""
        self._sweep()
        entries = self.entries()
        excess = sum(entry.size for entry in entries) - (self.cap if cap is None else cap)
        removed = []
        for entry in entries:
            if excess <= 0:
                break
            with self._writes():
                entry.path.unlink(missing_ok=True)
            excess -= entry.size
            removed.append(entry)
        return removed

    def _sweep(self) -> None:
        latest = time.time() - _ABANDONED
        for directory in _KINDS:
            for item in self._listed(directory):
                with contextlib.suppress(OSError):
                    if item.name.startswith(".") and item.stat().st_mtime < latest:
                        if item.is_dir(follow_symlinks=False):
                            shutil.rmtree(item.path, ignore_errors=True)
                        else:
                            Path(item.path).unlink()

    def _find_root(self, key: str) -> BinaryIO | None:
        for name in self._root_names(key):
            file = self._opened(self.path / _ROOTS / name, name.partition("-")[2])
            if file is not None:
                return file
        return None

    def _root_names(self, key: str) -> list[str]:
        assert _KEY.fullmatch(key), key
        return [item.name for item in self._listed(_ROOTS) if item.name.startswith(f"{key}-")]

    def _opened(self, path: Path, expected: str | None = None) -> BinaryIO | None:
        with self._writes():
            try:
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                return None
            try:
                if expected is not None and _digest(file) != expected:
                    path.unlink(missing_ok=True)
                    file.close()
                    return None
                file.seek(0)
                with contextlib.suppress(PermissionError):  # a cache that may only be read
                    os.utime(path)
            except BaseException:
                file.close()
                raise
            return file

    def _listed(self, directory: str) -> list[os.DirEntry[str]]:
        with self._writes():
            try:
                with os.scandir(self.path / directory) as found:
                    return list(found)
            except FileNotFoundError:
                return []

    def _directory(self, kind: str) -> Path:
        directory = self.path / kind
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    @contextlib.contextmanager
    def _writes(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"the cache {self.path} cannot be used: {error.strerror}; "
                "free some room there, or name another place with XDG_CACHE_HOME"
            ) from error


class NewBlob:
    """A blob that is being written, hashed on the way; without a name where the file system can."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._path: Path | None = None
        try:
            descriptor = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in outfile.NO_UNNAMED_FILES:
                raise
            descriptor, name = tempfile.mkstemp(prefix=_NEW, dir=directory)
            self._path = Path(name)
        self._file = os.fdopen(descriptor, "w+b")
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """Of what has been written, "sha256:…"."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> None:
        """Takes all of `data`."""
        with self._store._writes():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Forgets what was written."""
        with self._store._writes():
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def keep(self) -> BinaryIO:
        """Puts it in the cache under its digest, for good; returns an open file of it."""
        descriptor = self._file.fileno()
        with self._store._writes():
            self._file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
            kept = os.fdopen(os.dup(descriptor), "rb", buffering=0)
            kept.seek(0)
            with _opened_directory(self._directory) as directory:
                if self._path is None:
                    path = self._directory / f"{_NEW}{secrets.token_hex(8)}"
                    # As in outfile.replacing(): linkat() with AT_SYMLINK_FOLLOW.
                    place = {"src_dir_fd": directory, "dst_dir_fd": directory}
                    os.link(f"/proc/self/fd/{descriptor}", path.name, **place, follow_symlinks=True)
                    self._path = path
                self._path.rename(self._directory / self.digest.removeprefix("sha256:"))
                self._path = None
                os.fsync(directory)
        return kept

    def close(self) -> None:
        """Ends writing; what was not kept is gone."""
        with contextlib.suppress(OSError):  # of what nobody wants, or was synced
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def default_store() -> Store:
    """The user's: ${XDG_CACHE_HOME:-~/.cache}/smolpack, kept to SMOLPACK_CACHE_SIZE (10G). Raises
    SpecError for a size that is none."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # as the XDG base directory specification has it
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise SpecError("no home directory; name a place with XDG_CACHE_HOME") from error
    cap = os.environ.get(CAP_VARIABLE)
    return Store(base / "smolpack", parse_size(CAP_VARIABLE, cap) if cap else DEFAULT_CAP)


def _digest(file: BinaryIO) -> str:
    """The SHA-256 of all of it, in hex; leaves its position at the end."""
    file.seek(0)
    found = hashlib.sha256()
    while data := file.read(CHUNK):
        found.update(data)
    return found.hexdigest()


@contextlib.contextmanager
def _opened_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
