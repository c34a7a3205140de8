"""The built launcher, initramfs and kernel of an architecture, as the package carries them.

assets/<arch>/ holds `launcher`, `initramfs.cpio`, `kernel` (the kernel section as stored) and
`kernel.json` (`version`, `config_sha256`).
"""

import json
from dataclasses import dataclass
from pathlib import Path

from smolpack import format as layout
from smolpack.errors import AssetsError

ROOT = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Assets:
    """What goes in front of a root file system. `kernel_config` is a SHA-256 or None."""

    arch: layout.Arch
    launcher: bytes
    initramfs: bytes
    kernel: bytes
    kernel_version: str | None
    kernel_config: str | None


def find(arch: layout.Arch, root: Path | None = None) -> Assets:
    """The assets of `arch`; raises AssetsError, naming what is missing and how to build it."""
    directory = (root or ROOT) / arch.name.lower()
    try:
        about = json.loads((directory / "kernel.json").read_text())
        return Assets(
            arch=arch,
            launcher=(directory / "launcher").read_bytes(),
            initramfs=(directory / "initramfs.cpio").read_bytes(),
            kernel=(directory / "kernel").read_bytes(),
            kernel_version=about.get("version"),
            kernel_config=about.get("config_sha256"),
        )
    except OSError as error:
        raise AssetsError(
            f"{error.filename}: {error.strerror}; build launcher, initramfs and kernel for "
            f"{arch.name.lower()} with `make assets`"
        ) from error
    except (ValueError, AttributeError) as error:
        raise AssetsError(
            f"{directory}/kernel.json: damaged ({error}); build it again with `make assets`"
        ) from error
