"""One installed package, whatever its manager."""

from dataclasses import dataclass

from packageurl import PackageURL


@dataclass(frozen=True)
class Package:
    """A package as its database names it. `type` is the package URL's; `distribution` is like
    `debian-12`; `source` is the name of the source package where it differs; `licence` is what
    the database says."""

    type: str
    name: str
    version: str
    namespace: str | None = None
    architecture: str | None = None
    distribution: str | None = None
    source: str | None = None
    licence: str | None = None
    epoch: int | None = None

    @property
    def url(self) -> PackageURL | None:
        """Its package URL (purl-spec); None for a name or version that cannot be in one."""
        qualifiers = {
            "arch": self.architecture,
            "distro": self.distribution,
            "epoch": None if self.epoch is None else str(self.epoch),
            "upstream": self.source if self.source != self.name else None,
        }
        try:
            url = PackageURL(
                type=self.type,
                namespace=self.namespace,
                name=self.name,
                version=self.version,
                qualifiers={key: value for key, value in qualifiers.items() if value},
            )
            return PackageURL.from_string(url.to_string())
        except (ValueError, TypeError):
            return None
