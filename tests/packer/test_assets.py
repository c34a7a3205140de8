"""Assets are found, or the error says how to build them."""

from pathlib import Path

import pytest

from smolpack import assets
from smolpack.errors import AssetsError
from smolpack.format import Arch


def test_found(asset_root: Path) -> None:
    found = assets.find(Arch.X86_64, asset_root)
    assert found.launcher.startswith(b"\x7fELF")
    assert (found.kernel_version, found.kernel_config) == ("6.12.1-test", "ab" * 32)


@pytest.mark.parametrize(
    "name", ["launcher", "initramfs.cpio", "kernel", "kernel.json", "libraries.json"]
)
def test_missing(name: str, asset_root: Path) -> None:
    (asset_root / "x86_64" / name).unlink()
    with pytest.raises(AssetsError, match=rf"{name}: No such file.*make assets"):
        assets.find(Arch.X86_64, asset_root)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
@pytest.mark.parametrize("name", ["kernel.json", "libraries.json"])
def test_damaged_description(name: str, text: str, asset_root: Path) -> None:
    (asset_root / "x86_64" / name).write_text(text)
    with pytest.raises(AssetsError, match=rf"{name}: damaged"):
        assets.find(Arch.X86_64, asset_root)


def test_other_architecture(asset_root: Path) -> None:
    with pytest.raises(AssetsError, match="aarch64"):
        assets.find(Arch.AARCH64, asset_root)
