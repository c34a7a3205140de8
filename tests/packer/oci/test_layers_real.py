"""Images that umoci and skopeo made themselves, read as users give them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import umoci
from smolpack.oci import Options, open_image
from smolpack.oci.layers import LayersSource
from support import pack_image
from umoci import ROOTLESS, needs_umoci

needs_skopeo = pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="skopeo is missing: apt install skopeo"
)


def first(root: Path) -> None:
    """A small root."""
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_bytes(os.urandom(100_000))
    (root / "usr/bin/tool").chmod(0o4755)
    (root / "usr/bin/alias").hardlink_to(root / "usr/bin/tool")
    (root / "bin").symlink_to("usr/bin")
    (root / "var/cache/deep").mkdir(parents=True)
    (root / "var/cache/deep/file").write_text("x")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    os.setxattr(root / "etc/passwd", "user.note", b"\0\xff")


def second(root: Path) -> None:
    """Removed and replaced: what its repacking says with whiteouts."""
    (root / "usr/bin/tool").unlink()
    shutil.rmtree(root / "var/cache")
    (root / "var/cache").symlink_to("../etc")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")


def third(root: Path) -> None:
    """A symlink becomes a directory, and a directory a file."""
    (root / "bin").unlink()
    (root / "bin").mkdir()
    (root / "bin/new").write_text("y")
    shutil.rmtree(root / "usr")
    (root / "usr").write_text("no more")


@pytest.fixture(name="repacked")
def _repacked(tmp_path: Path) -> Path:
    """A layout whose three layers umoci made from changed directories."""
    image = tmp_path / "layout"
    rootless = ["--rootless"] if ROOTLESS else []
    _run("umoci", "init", "--layout", image)
    _run("umoci", "new", "--image", f"{image}:latest")
    for number, change in enumerate((first, second, third)):
        bundle = tmp_path / f"bundle{number}"
        _run("umoci", "unpack", *rootless, "--image", f"{image}:latest", bundle)
        change(bundle / "rootfs")
        _run("umoci", "repack", "--image", f"{image}:latest", bundle)
    return image


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def check(reference: str, options: Options, image: Path, scratch: Path) -> umoci.Nodes:
    """Packs what `reference` names and compares it with what umoci unpacks of a layout."""
    with open_image(reference, options) as opened:
        assert len(opened.layers) == 3
        ours = umoci.of_image(pack_image(LayersSource(opened.layers), scratch / "image"))
    theirs = umoci.unpack(image, scratch / "rootfs")
    found = umoci.differences(ours, theirs)
    assert not found, "\n".join(found)
    return ours


@needs_umoci
def test_layers_of_umoci(tmp_path: Path, repacked: Path, options: Options) -> None:
    nodes = check(f"oci:{repacked}:latest", options, repacked, tmp_path)
    assert nodes["bin/new"].type == "file" and nodes["usr"].type == "file"
    assert nodes["var/cache"].content == "../etc"


@needs_umoci
@needs_skopeo
@pytest.mark.parametrize(
    "target",
    [
        lambda path: f"docker-archive:{path}/archive.tar:app:1",
        lambda path: f"oci-archive:{path}/archive.tar:latest",
    ],
    ids=["docker-archive", "oci-archive"],
)
def test_archives_of_skopeo(
    tmp_path: Path, repacked: Path, options: Options, target: Callable[[Path], str]
) -> None:
    _run("skopeo", "--insecure-policy", "copy", f"oci:{repacked}:latest", target(tmp_path))
    check(f"{tmp_path}/archive.tar", options, repacked, tmp_path)
