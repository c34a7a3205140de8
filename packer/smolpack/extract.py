"""Out of a packed machine: its root file system as a directory or a tar, or one section's bytes."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from smolpack import artifact, image, outfile, sections
from smolpack.errors import OutputError, SpecError
from smolpack.format import SectionType
from smolpack.listing import xattrs

# A hash tree is no use without its sections, and has no hash of its own to be checked with.
SECTIONS = tuple(kind.label for kind in SectionType if kind != SectionType.HASHES)

# What only root can restore.
LEFT_OUT = "owners, device nodes, extended attributes and set-user-ID bits"

_FILE_MODE = 0o644


def extract_tree(file: Path, directory: Path) -> bool:
    """The root file system as `directory`, which must not exist or be empty; on any failure
    nothing is left behind. Returns whether all of it is there: without root, LEFT_OUT is not.
    Nothing outside is written, whatever the image holds: rdsquashfs refuses a name that is there
    twice and leaves out one with a slash or of dots. Raises FormatError, RootfsError,
    OutputError."""
    _check_directory(directory)
    everything = os.geteuid() == 0
    with image.opened(file) as root, _beside(directory) as work:
        options = ("--chown",) if everything else ("--no-dev",)
        tree = work / "root"
        with root.output(
            "rdsquashfs",
            *("--quiet", "--unpack-path", "/", "--unpack-root", str(tree)),
            *("--chmod", "--set-times", *options),
        ) as nothing:
            nothing.read()
        if everything:
            _set_xattrs(root, tree)
        else:
            _clear_set_id(tree)
        # rdsquashfs leaves out the root itself.
        top = next(root.entries()).member
        if everything:
            os.chown(tree, top.uid, top.gid)
        tree.chmod(top.mode)
        os.utime(tree, (top.mtime, top.mtime))
        tree.rename(directory)
    return everything


def write_tar(file: Path, target: Path | None, stdout: BinaryIO) -> None:
    """The root file system as an uncompressed tar archive with owners, devices and extended
    attributes: to `target`, replaced if it exists, or to `stdout`."""
    with image.opened(file) as root:
        if target is None:
            _write_tar(root, stdout)
            return
        outfile.check_target(target)
        with _writing(target), outfile.replacing(target, _FILE_MODE) as out:
            _write_tar(root, out)


def extract_section(file: Path, directory: Path, name: str) -> Path:
    """A section as it is stored, as the file `name` in `directory`; returns its path."""
    if name not in SECTIONS:
        raise SpecError(f"--section {name}: expected one of {', '.join(SECTIONS)}")
    target = directory / name
    with _writing(target):
        directory.mkdir(exist_ok=True)
        outfile.check_target(target)
        with artifact.opened(file) as (packed, contents):
            found = [section for section in contents.sections if section.type.label == name]
            if not found:
                raise OutputError(f"{file} has no {name} section")
            with outfile.replacing(target, _FILE_MODE) as out:
                sections.copy(packed, found[0], out)
    return target


def _write_tar(root: image.Image, out: BinaryIO) -> None:
    with root.output("sqfs2tar", "--root-becomes", ".") as archive:
        shutil.copyfileobj(archive, out)
    out.flush()


def _check_directory(directory: Path) -> None:
    if not directory.parent.is_dir():
        raise OutputError(f"{directory}: {directory.parent} is not a directory; create it first")
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise OutputError(f"{directory}: is not a directory")
    if directory.exists() and any(directory.iterdir()):
        raise OutputError(f"{directory}: is not empty; give a directory that does not exist yet")


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """A directory of our own in the same place, gone when the block ends."""
    with _writing(directory):
        work = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name[:200]}."))
        try:
            yield work
        finally:
            # A directory that nobody may write to cannot be emptied.
            for place, _, _ in os.walk(work):
                Path(place).chmod(stat.S_IRWXU)
            shutil.rmtree(work)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target}: cannot write: {error.strerror}") from error


def _set_xattrs(root: image.Image, tree: Path) -> None:
    # rdsquashfs would set them before it changes the owner, by which files lose capabilities.
    for entry in root.entries():
        for name, value in xattrs(entry).items():
            os.setxattr(tree / entry.path.lstrip("/"), name, value, follow_symlinks=False)


def _clear_set_id(tree: Path) -> None:
    """With another owner than the packed one a set-ID bit would lend the wrong rights."""
    for place, _, names in os.walk(tree):
        for name in names:
            path = Path(place, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))
