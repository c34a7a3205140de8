"""The same input gives the same bytes, whoever packs it, where, when and how."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import Cli

NOBODY = 65534
PR_SET_DUMPABLE = 4
DATE = 1_700_000_000


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    """A directory that other users reach, too."""
    with tempfile.TemporaryDirectory(prefix="smolpack-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def pack(
    cli: Cli,
    tree: Path,
    out: Path,
    *options: str | Path,
    env: dict[str, str] | None = None,
    preexec: Callable[[], None] | None = None,
) -> bytes:
    done = cli("create", "--rootfs", tree, "--out", out, *options, env=env, preexec=preexec)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def with_another_umask() -> None:
    os.umask(0o077)


def on_one_cpu() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


VARIATIONS: dict[str, tuple[dict[str, str], Callable[[], None] | None]] = {
    "umask": ({}, with_another_umask),
    "language": ({"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}, None),
    "no language": ({"LC_ALL": "C", "PYTHONUTF8": "0"}, None),
    "time zone": ({"TZ": "Pacific/Kiritimati"}, None),
    "hash seed": ({"PYTHONHASHSEED": "7"}, None),
    "home": ({"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "USER": "x"}, None),
    "one processor": ({}, on_one_cpu),
}


@pytest.mark.parametrize("variation", VARIATIONS)
def test_around_the_packer(variation: str, cli: Cli, tree: Path, tmp_path: Path) -> None:
    # Enough for several chunks, pieces and compressed blocks, and a name that is no ASCII.
    (tree / "größe").write_bytes(bytes(range(256)) * 20_000 + os.urandom(1 << 20))
    env, preexec = VARIATIONS[variation]
    plain = pack(cli, tree, tmp_path / "plain.vm")
    assert pack(cli, tree, tmp_path / "varied.vm", env=env, preexec=preexec) == plain


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(
    Path(os.devnull).stat().st_mode & 0o006 != 0o006,
    reason="other users cannot open /dev/null here",
)
def test_another_user(cli: Cli, tree: Path, place: Path, tmp_path: Path, asset_root: Path) -> None:
    plain = pack(cli, tree, tmp_path / "plain.vm")
    shutil.copytree(asset_root, place / "assets")
    subprocess.run(["cp", "-a", tree, place / "tree"], check=True)
    out = place / "out"
    out.mkdir()
    os.chown(out, NOBODY, NOBODY)
    program = cli.argv[2].replace(str(asset_root), str(place / "assets"))
    assert str(place) in program
    # The interpreter may be root's own: first everything is imported, by packing once.
    program = f"""
try:
    {program}
except SystemExit:
    pass
import ctypes, os
os.setgroups([])
os.setresgid(*3 * [{NOBODY}])
os.setresuid(*3 * [{NOBODY}])
ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 1)  # else /proc/self stays root's
cli.main()
"""
    theirs = Cli((sys.executable, "-c", program))
    assert pack(theirs, place / "tree", out / "tool.vm") == plain
    assert (out / "tool.vm").stat().st_uid == NOBODY


def test_times_outside_the_root(
    cli: Cli, tree: Path, tmp_path: Path, asset_root: Path, vmlinux: Path
) -> None:
    plain = pack(cli, tree, tmp_path / "plain.vm", "--kernel", vmlinux)
    for path in (tree.parent, asset_root, *asset_root.rglob("*"), vmlinux):
        os.utime(path, (5, 5))
    assert pack(cli, tree, tmp_path / "later.vm", "--kernel", vmlinux) == plain


def test_order_of_directories(cli: Cli, tmp_path: Path) -> None:
    names = [f"file{number}" for number in range(300)]
    made = []
    for copy, order in (("one", names), ("other", names[::-1])):
        root = tmp_path / copy
        root.mkdir()
        for name in order:
            (root / name).write_text(name)
            (root / name).chmod(0o755)
            os.utime(root / name, (DATE, DATE))
        os.utime(root, (DATE, DATE))
        made.append(pack(cli, root, tmp_path / f"{copy}.vm", "--", "/file1"))
    assert made[0] == made[1]


def test_source_date_epoch(cli: Cli, tree: Path, tmp_path: Path, key: Path) -> None:
    """Two trees that differ in when they were made become the same, signature included."""
    env = {"SOURCE_DATE_EPOCH": str(DATE)}
    made = []
    for later in (0, 1000):
        for path in [*tree.rglob("*"), tree]:
            os.utime(path, (DATE + later, DATE + later), follow_symlinks=False)
        made.append(pack(cli, tree, tmp_path / f"{later}.vm", "--sign", key, env=env))
    assert made[0] == made[1]
    # What is older stays.
    os.utime(tree / "etc/motd", (5, 5))
    assert pack(cli, tree, tmp_path / "older.vm", "--sign", key, env=env) != made[0]


@pytest.mark.parametrize("value", ["", "today", "-1", "4294967296", "1" * 30])
def test_a_bad_source_date(value: str, cli: Cli, tree: Path, tmp_path: Path) -> None:
    options = ("create", "--rootfs", tree, "--out", tmp_path / "tool.vm")
    done = cli(*options, env={"SOURCE_DATE_EPOCH": value})
    assert done.returncode == 2
    assert f"SOURCE_DATE_EPOCH={value!r}: expected seconds" in done.stderr.decode()
    assert not (tmp_path / "tool.vm").exists()
