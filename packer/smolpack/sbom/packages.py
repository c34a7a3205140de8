"""Finds installed packages in the package databases of a root file system image.

Databases are hostile: how much is read of each is bounded, and what cannot be understood is a
warning.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from smolpack.errors import RootfsError
from smolpack.image import Image
from smolpack.sbom import rpm
from smolpack.sbom.package import Package
from smolpack.sbom.stanzas import Stanza, first, stanzas

MAX_DATABASE = 64 << 20
MAX_PACKAGES = 20_000
MAX_DATABASES = 10_000
# Headers stand first in a Python package's metadata, a description of any length behind them.
MAX_METADATA = 64 << 10


@dataclass
class Inventory:
    """What was found. `distribution` is /etc/os-release; `warnings` say what is missing."""

    distribution: dict[str, str] = field(default_factory=dict)
    packages: set[Package] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Kind:
    """A kind of database: where it stands, what yields its packages, how many bytes of it are
    read, and whether more than that would be missed."""

    pattern: re.Pattern[str]
    reader: Callable[[bytes, dict[str, str]], Iterator[Package]]
    limit: int
    whole: bool = True


def take_inventory(image: Image) -> Inventory:
    """All packages that the root's databases name. Raises RootfsError only for an image that
    cannot be listed."""
    found = Inventory()
    databases = [
        (path, kind)
        for path in image.file_names()
        for kind in _KINDS
        if kind.pattern.fullmatch(path)
    ]
    found.distribution = _distribution(image)
    if len(databases) > MAX_DATABASES:
        found.warnings.append(f"only the first {MAX_DATABASES} package databases were read")
    databases.sort(key=lambda database: database[0])
    for path, kind in databases[:MAX_DATABASES]:
        try:
            data = image.read(path, kind.limit + 1)
            if len(data) > kind.limit and kind.whole:
                found.warnings.append(f"{path}: only its first {kind.limit} bytes were read")
            for package in kind.reader(data[: kind.limit], found.distribution):
                found.packages.add(package)
                if len(found.packages) == MAX_PACKAGES:
                    found.warnings.append(f"only the first {MAX_PACKAGES} packages were read")
                    return found
        except (RootfsError, rpm.UnreadableError) as error:
            found.warnings.append(f"{path}: not read: {error}")
    return found


def _distribution(image: Image) -> dict[str, str]:
    """The assignments of os-release(5), without quotes; empty when there are none."""
    place = image.resolve("/etc/os-release") or image.resolve("/usr/lib/os-release")
    if place is None or not place.is_file:
        return {}
    text = image.read(place.path, MAX_METADATA).decode("utf-8", "replace")
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        if equals and name.isidentifier() and len(words) == 1:
            found[name] = words[0][:MAX_METADATA]
    return found


def _dpkg(data: bytes, distribution: dict[str, str]) -> Iterator[Package]:
    for fields in stanzas(data):
        name, version = first(fields, "Package"), first(fields, "Version")
        # Distroless images have status.d with stanzas that have no Status.
        status = first(fields, "Status") or "install ok installed"
        if name and version and status.split()[-1] == "installed":
            yield Package(
                "deb",
                name,
                version,
                namespace=distribution.get("ID", "debian"),
                architecture=first(fields, "Architecture"),
                distribution=_distro(distribution),
                source=_dpkg_source(fields),
            )


def _dpkg_source(fields: Stanza) -> str | None:
    """`Source: glibc (2.36-9)` or `Source: glibc`."""
    words = (first(fields, "Source") or "").split()
    return words[0] if words else None


def _apk(data: bytes, distribution: dict[str, str]) -> Iterator[Package]:
    for fields in stanzas(data):
        name, version = first(fields, "P"), first(fields, "V")
        if name and version:
            yield Package(
                "apk",
                name,
                version,
                namespace=distribution.get("ID", "alpine"),
                architecture=first(fields, "A"),
                distribution=_distro(distribution),
                source=first(fields, "o"),
                licence=first(fields, "L"),
            )


def _rpm(data: bytes, distribution: dict[str, str]) -> Iterator[Package]:
    for header in rpm.headers(data):
        yield Package(
            "rpm",
            header.name,
            header.version,
            namespace=distribution.get("ID"),
            architecture=header.architecture,
            distribution=_distro(distribution),
            licence=header.licence,
            epoch=header.epoch,
        )


def _rpm_unread(_data: bytes, _distribution: dict[str, str]) -> Iterator[Package]:
    raise rpm.UnreadableError("only rpm databases in SQLite are understood")


def _python(data: bytes, _distribution: dict[str, str]) -> Iterator[Package]:
    fields = next(stanzas(data), {})
    name, version = first(fields, "Name"), first(fields, "Version")
    if name and version:
        licence = first(fields, "License-Expression") or first(fields, "License")
        # purl-spec: lower case, with dashes.
        yield Package("pypi", name.lower().replace("_", "-"), version, licence=licence)


def _distro(distribution: dict[str, str]) -> str | None:
    name, version = distribution.get("ID"), distribution.get("VERSION_ID")
    return f"{name}-{version}" if name and version else None


_RPM = r"/(?:var/lib|usr/lib/sysimage|usr/share)/rpm"
_KINDS = (
    _Kind(re.compile(r"/var/lib/dpkg/status"), _dpkg, MAX_DATABASE),
    _Kind(re.compile(r"/var/lib/dpkg/status\.d/(?!.*\.md5sums)[^/]+"), _dpkg, MAX_METADATA),
    _Kind(re.compile(r"/(?:usr/)?lib/apk/db/installed"), _apk, MAX_DATABASE),
    _Kind(re.compile(_RPM + r"/rpmdb\.sqlite"), _rpm, rpm.MAX_DATABASE),
    _Kind(re.compile(_RPM + r"/Packages(?:\.db)?"), _rpm_unread, 0, whole=False),
    _Kind(re.compile(r".*\.dist-info/METADATA"), _python, MAX_METADATA, whole=False),
    _Kind(re.compile(r".*\.egg-info(?:/PKG-INFO)?"), _python, MAX_METADATA, whole=False),
)
