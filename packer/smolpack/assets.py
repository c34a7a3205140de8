"""The built launcher, initramfs and kernel of an architecture, as the package carries them.

assets/<arch>/ holds `launcher`, `initramfs.cpio`, `kernel` (the kernel section as stored),
`kernel.json` (`version`, `config_sha256`) and `libraries.json`: what launcher and initramfs are
linked with, each a list of `name`, `version`, `license` (SPDX).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from smolpack import format as layout
from smolpack.errors import AssetsError

ROOT = Path(__file__).parent / "assets"

# What is linked with libraries.
PROGRAMS = ("launcher", "initramfs")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Library:
    """A library that a program is linked with; `licence` is an SPDX expression."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True)
class Assets:
    """What goes in front of a root file system. `kernel_config` is a SHA-256 or None; `libraries`
    are those of the launcher and of the initramfs's init, by these names."""

    arch: layout.Arch
    launcher: bytes
    initramfs: bytes
    kernel: bytes
    kernel_version: str | None
    kernel_config: str | None
    libraries: dict[str, tuple[Library, ...]]


def find(arch: layout.Arch, root: Path | None = None) -> Assets:
    """The assets of `arch`; raises AssetsError, naming what is missing and how to build it."""
    directory = (root or ROOT) / arch.label
    try:
        version, config = _description(directory / "kernel.json", _kernel)
        return Assets(
            arch=arch,
            launcher=(directory / "launcher").read_bytes(),
            initramfs=(directory / "initramfs.cpio").read_bytes(),
            kernel=(directory / "kernel").read_bytes(),
            kernel_version=version,
            kernel_config=config,
            libraries=_description(directory / "libraries.json", _libraries),
        )
    except OSError as error:
        raise AssetsError(
            f"{error.filename}: {error.strerror}; build launcher, initramfs and kernel for "
            f"{arch.label} with `make assets`"
        ) from error


def _description(path: Path, read: Callable[[Any], _T]) -> _T:
    try:
        return read(json.loads(path.read_text()))
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise AssetsError(
            f"{path}: damaged ({error}); build it again with `make assets`"
        ) from error


def _kernel(fields: Any) -> tuple[str | None, str | None]:
    return fields.get("version"), fields.get("config_sha256")


def _libraries(fields: Any) -> dict[str, tuple[Library, ...]]:
    return {
        program: tuple(
            Library(library["name"], library["version"], library["license"])
            for library in fields[program]
        )
        for program in PROGRAMS
    }
