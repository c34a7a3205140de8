"""What an image runs on: `os/architecture[/variant]`, as the OCI image index writes it."""

import os
import re
from dataclasses import dataclass

from smolpack.errors import SpecError

_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?")

# What uname and people call an architecture, and what Go and so OCI calls it.
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv7l": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}
# The variant that is meant when none is told.
_USUAL_VARIANT = {"amd64": "v1", "arm": "v7", "arm64": "v8"}


@dataclass(frozen=True)
class Platform:
    """`os` and `architecture` in GOOS and GOARCH terms; `variant` "" when it is not told."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def level(self) -> int | None:
        """The variant as a number, when it is one: 7 for arm/v7, 3 for amd64/v3."""
        variant = self.variant or _USUAL_VARIANT.get(self.architecture, "")
        digits = variant.removeprefix("v")
        return int(digits) if digits.isascii() and digits.isdigit() else None

    def runs(self, image: "Platform") -> bool:
        """Whether a program for `image` runs here: on v7, what is for v6 does as well."""
        if (self.os, self.architecture) != (image.os, image.architecture):
            return False
        if self.level is None or image.level is None:
            return self.variant == image.variant
        return image.level <= self.level


def parse_platform(text: str) -> Platform:
    """`linux/amd64`, `linux/arm/v7`; also with uname's names. Raises SpecError."""
    lowered = text.strip().lower()
    if not _PLATFORM.fullmatch(lowered):
        raise SpecError(f"--platform {text!r}: expected OS/ARCHITECTURE[/VARIANT]: linux/amd64")
    system, architecture, *variants = lowered.split("/")
    architecture, usual = _ARCHITECTURES.get(architecture, (architecture, ""))
    return Platform(system, architecture, variants[0] if variants else usual)


def host_platform() -> Platform:
    """Linux on this processor; containers are of Linux whatever the host is."""
    return parse_platform(f"linux/{os.uname().machine}")
