"""A CycloneDX 1.5 document in JSON: the same content gives the same bytes."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot5
from packageurl import PackageURL

from smolpack.assets import Assets, Library
from smolpack.config import Config
from smolpack.sbom.package import Package
from smolpack.sbom.packages import Inventory

# A longer text is shown as the name of a licence, not parsed as an expression.
_MAX_EXPRESSION = 256


def document(inventory: Inventory, parts: Assets, settings: Config, date: int | None) -> bytes:
    """The document, in UTF-8. `date` (seconds since 1970) becomes its time stamp, which it has
    none without; its serial number is made from its content."""
    machine = Component(
        type=ComponentType.APPLICATION,
        name=settings.run.name or "machine",
        bom_ref="machine",
        properties=[
            *_property("source-sha256", settings.source),
            *_property("image", settings.image),
            *_property("image-digest", settings.image_digest),
            *(Property(name="smolpack:label", value=label) for label in settings.run.labels),
            *(Property(name="smolpack:incomplete", value=text) for text in inventory.warnings),
        ],
    )
    metadata = BomMetaData(component=machine, tools=ToolRepository(components=_tools(settings)))
    bom = Bom(metadata=metadata)
    boot = list(_boot_parts(bom, parts, settings))
    bom.components.update(boot)
    bom.components.update(_operating_system(inventory.distribution))
    packages = map(_package, sorted(inventory.packages, key=repr))
    # Two databases may name the same package, and a reference may stand there once.
    bom.components.update({str(package.bom_ref): package for package in packages}.values())
    bom.register_dependency(machine, boot)
    return _finish(JsonV1Dot5(bom).output_as_string(), date)


def _finish(text: str, date: int | None) -> bytes:
    """Takes out what differs each time."""
    fields = json.loads(text)
    del fields["serialNumber"], fields["metadata"]["timestamp"]
    if date is not None:
        fields["metadata"]["timestamp"] = datetime.fromtimestamp(date, UTC).isoformat()
    digest = hashlib.sha256(_dump(fields)).digest()
    fields["serialNumber"] = UUID(bytes=digest[:16], version=5).urn
    return _dump(fields)


def _dump(fields: object) -> bytes:
    return json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n"


def _tools(settings: Config) -> Iterator[Component]:
    """`smolpack 0.1.0, tar2sqfs 1.2.0`."""
    for tool in (settings.tool or "").split(", "):
        name, _, version = tool.partition(" ")
        yield Component(type=ComponentType.APPLICATION, name=name, version=version or None)


def _boot_parts(bom: Bom, parts: Assets, settings: Config) -> Iterator[Component]:
    """Kernel, launcher and init; what the last two are linked with goes to `bom`."""
    yield Component(
        type=ComponentType.OPERATING_SYSTEM,
        name="linux",
        version=parts.kernel_version,
        bom_ref="kernel",
        purl=PackageURL("generic", None, "linux", parts.kernel_version),
        licenses=[_licence("GPL-2.0-only WITH Linux-syscall-note")],
        hashes=[_sha256(parts.kernel)],
        properties=_property("config-sha256", parts.kernel_config),
    )
    for name, content in (("launcher", parts.launcher), ("initramfs", parts.initramfs)):
        program = Component(
            type=ComponentType.APPLICATION,
            name=f"smolpack-{name}",
            bom_ref=name,
            version=next(tool.version for tool in _tools(settings)),
            hashes=[_sha256(content)],
        )
        libraries = [_library(name, library) for library in parts.libraries[name]]
        bom.components.update(libraries)
        bom.register_dependency(program, libraries)
        yield program


def _library(program: str, library: Library) -> Component:
    url = PackageURL("generic", None, library.name, library.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=library.name,
        version=library.version,
        bom_ref=f"{program}:{library.name}",
        purl=url,
        licenses=[_licence(library.licence)],
        properties=_property("linked-into", program),
    )


def _operating_system(distribution: dict[str, str]) -> Iterator[Component]:
    if "ID" in distribution:
        yield Component(
            type=ComponentType.OPERATING_SYSTEM,
            name=distribution["ID"],
            version=distribution.get("VERSION_ID"),
            description=distribution.get("PRETTY_NAME"),
            bom_ref="distribution",
        )


def _package(package: Package) -> Component:
    url = package.url
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=url.to_string() if url else repr(package),
        purl=url,
        licenses=[_licence(package.licence)] if package.licence else [],
    )


@lru_cache
def _licence(text: str) -> License:
    """An SPDX identifier or expression where it is one, else a name."""
    factory = LicenseFactory()
    if len(text) > _MAX_EXPRESSION:
        return factory.make_with_name(text)
    return factory.make_from_string(text)


def _property(name: str, value: str | None) -> Iterable[Property]:
    return [Property(name=f"smolpack:{name}", value=value)] if value else []


def _sha256(data: bytes) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(data).hexdigest())
