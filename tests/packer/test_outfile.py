"""Files appear whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from smolpack import outfile
from smolpack.errors import OutputError


@pytest.fixture(name="no_unnamed_files")
def _no_unnamed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "as on NFS")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)


@pytest.fixture(params=["unnamed", "hidden"])
def way(request: pytest.FixtureRequest) -> str:
    """Both ways of writing: without a name, and with a hidden one."""
    if request.param == "hidden":
        request.getfixturevalue("no_unnamed_files")
    return str(request.param)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_with_exactly_the_mode(way: str, mask: int, tmp_path: Path) -> None:
    old = os.umask(mask)
    try:
        with outfile.replacing(tmp_path / "tool", 0o755) as file:
            file.write(b"content")
    finally:
        os.umask(old)
    assert (tmp_path / "tool").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "tool").stat().st_mode) == 0o755
    assert list(tmp_path.iterdir()) == [tmp_path / "tool"]


def test_an_existing_file_is_replaced_not_changed(way: str, tmp_path: Path) -> None:
    target = tmp_path / "tool"
    target.write_text("old")
    with target.open() as running, outfile.replacing(target, 0o755) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
        assert running.read() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), SystemExit()]
)
def test_a_failure_leaves_nothing(way: str, error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("old")
    with pytest.raises(type(error)), outfile.replacing(tmp_path / "tool", 0o755) as file:
        file.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == [tmp_path / "tool"]
    assert (tmp_path / "tool").read_text() == "old"


@pytest.mark.parametrize("how", ["by the kernel", "by hand"])
def test_copy(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> int:
        raise OSError(errno.EXDEV, "as between file systems")

    if how == "by hand":
        monkeypatch.setattr(os, "copy_file_range", refuse)
    content = os.urandom(3 << 20)
    (tmp_path / "source").write_bytes(content)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("w+b") as target:
        outfile.copy(source, target, len(content) - 5)
        target.flush()
        assert (tmp_path / "target").read_bytes() == content[:-5]
    with (
        (tmp_path / "source").open("rb") as source,
        (tmp_path / "target").open("w+b") as target,
        pytest.raises(OSError, match="shorter"),
    ):
        outfile.copy(source, target, len(content) + 1)


def make_directory(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tmp: tmp / "none/tool", "not a directory"),
        (lambda tmp: make_directory(tmp / "dir"), "is a directory"),
        (lambda tmp: Path("/dev/null"), "not a regular file"),
    ],
)
def test_bad_targets(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=message):
        outfile.check_target(make(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="no permission"):
        outfile.check_target(tmp_path / "tool")
