"""The program to run is found as the guest will find it."""

import os
from pathlib import Path

import pytest

from smolpack import programs
from smolpack.errors import RootfsError
from smolpack.sources.directory import DirectorySource
from smolpack.spec import RunDefaults
from support import pack_image


@pytest.fixture(name="image")
def _image(tree: Path, tmp_path: Path) -> Path:
    (tree / "opt").mkdir()
    for name in ("opt/tool", "opt/with space", "opt/-dash"):
        (tree / name).write_text("#!/bin/sh\n")
        (tree / name).chmod(0o755)
    (tree / "opt/data").write_text("x")
    (tree / "opt/data").chmod(0o644)
    (tree / "abs").symlink_to("/opt/../opt/./tool")
    (tree / "loop").symlink_to("loop")
    (tree / "escape").symlink_to("../../../opt/tool")
    os.mkfifo(tree / "opt/fifo", 0o777)
    return pack_image(DirectorySource(tree), tmp_path / "image")


def choose(image: Path, run: RunDefaults) -> str:
    with image.open("rb") as file:
        return programs.choose(file, run)


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (RunDefaults(), "/bin/sh"),
        (RunDefaults(cmd=("sh", "-c")), "sh"),
        (RunDefaults(entrypoint=("/bin/dash",), cmd=("none",)), "/bin/dash"),
        (RunDefaults(cmd=("/abs",)), "/abs"),
        (RunDefaults(cmd=("/escape",)), "/escape"),
        (RunDefaults(cmd=("tool",), env=("PATH=/nowhere:/opt",)), "tool"),
        (RunDefaults(cmd=("with space",), env=("PATH=/opt",)), "with space"),
        (RunDefaults(cmd=("/opt/-dash",)), "/opt/-dash"),
        (RunDefaults(cmd=("./tool",), workdir="/opt"), "./tool"),
        (RunDefaults(cmd=("../../opt/tool",), workdir="/bin"), "../../opt/tool"),
    ],
)
def test_found(run: RunDefaults, found: str, image: Path) -> None:
    assert choose(image, run) == found


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (RunDefaults(cmd=("/none",)), "/none is not in the root"),
        (RunDefaults(cmd=("/etc/motd/x",)), "not in the root"),
        (RunDefaults(cmd=("/loop",)), "/loop is not in the root"),
        (RunDefaults(cmd=("tool",)), "along PATH=/usr/local/sbin"),
        (RunDefaults(cmd=("sh",), env=("PATH=/bin", "PATH=/opt")), "along PATH=/opt"),
        (RunDefaults(cmd=("/opt/data",)), "/opt/data in the root is not an executable file"),
        (RunDefaults(cmd=("/opt",)), "not an executable file"),
        (RunDefaults(cmd=("/opt/fifo",)), "not an executable file"),
        (RunDefaults(entrypoint=("/none",), cmd=("/bin/sh",)), "/none"),
    ],
)
def test_not_found(run: RunDefaults, message: str, image: Path) -> None:
    with pytest.raises(RootfsError, match=message):
        choose(image, run)


def test_nothing_to_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    image = pack_image(DirectorySource(tmp_path / "empty"), tmp_path / "image")
    with pytest.raises(RootfsError, match=r"no command was given.*--cmd"):
        choose(image, RunDefaults())
