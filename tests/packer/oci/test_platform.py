"""Which image of several is for a platform."""

import pytest

from layouts import AMD64, Layout, tar_of
from smolpack.errors import ImageError, SpecError
from smolpack.oci.descriptor import Index, parse_manifest
from smolpack.oci.platform import Platform, host_platform, parse_platform
from smolpack.oci.selection import select_manifest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("Linux/x86_64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("linux/arm/v6", Platform("linux", "arm", "v6")),
        ("linux/armhf", Platform("linux", "arm", "v7")),
        ("linux/riscv64", Platform("linux", "riscv64")),
    ],
)
def test_platforms(text: str, expected: Platform) -> None:
    assert parse_platform(text) == expected


@pytest.mark.parametrize("text", ["", "amd64", "linux/", "linux/amd64/v1/x", "linux /amd64"])
def test_no_platform(text: str) -> None:
    with pytest.raises(SpecError, match="expected OS/ARCHITECTURE"):
        parse_platform(text)


def test_host_platform_is_linux() -> None:
    assert host_platform().os == "linux"
    assert str(Platform("linux", "arm", "v7")) == "linux/arm/v7"


@pytest.mark.parametrize(
    ("here", "image", "runs"),
    [
        ("linux/amd64", Platform("linux", "amd64"), True),
        ("linux/amd64", Platform("linux", "amd64", "v1"), True),
        ("linux/amd64", Platform("linux", "amd64", "v3"), False),
        ("linux/amd64/v3", Platform("linux", "amd64", "v2"), True),
        ("linux/arm64", Platform("linux", "arm64", "v8"), True),
        ("linux/arm/v7", Platform("linux", "arm", "v6"), True),
        ("linux/arm/v6", Platform("linux", "arm", "v7"), False),
        ("linux/amd64", Platform("windows", "amd64"), False),
        ("linux/ppc64le", Platform("linux", "ppc64le"), True),
        ("linux/ppc64le", Platform("linux", "ppc64le", "power9"), False),
    ],
)
def test_what_runs_where(here: str, image: Platform, runs: bool) -> None:
    assert parse_platform(here).runs(image) is runs


def _selected(layout: Layout, platform: str) -> str:
    """What the only file of the selected image says."""

    def fetch(descriptor: object) -> bytes:
        return layout.files[f"blobs/{descriptor.digest.replace(':', '/')}"]  # type: ignore[attr-defined]

    found = parse_manifest("app", layout.files["index.json"])
    assert isinstance(found, Index)
    digest, _ = select_manifest("app", found, "", fetch, parse_platform(platform))
    return digest


def _entry(layout: Layout, *parts: str) -> dict[str, object]:
    """An image for a platform, as an index has it."""
    platform = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    image = layout.image([tar_of({"for": "/".join(parts).encode()})], platform=platform)
    return {**image, "platform": platform}


def test_the_entry_for_the_platform() -> None:
    layout = Layout()
    amd64 = _entry(layout, "linux", "amd64")
    arm6, arm7 = (_entry(layout, "linux", "arm", variant) for variant in ("v6", "v7"))
    windows = _entry(layout, "windows", "amd64")
    layout.tag(layout.index(windows, arm6, amd64, arm7))
    assert _selected(layout, "linux/amd64") == amd64["digest"]
    assert _selected(layout, "linux/arm") == arm7["digest"]
    assert _selected(layout, "linux/arm/v6") == arm6["digest"]


def test_nested_indexes() -> None:
    layout = Layout()
    amd64 = _entry(layout, "linux", "amd64")
    layout.tag(layout.index(layout.index(layout.index(amd64))))
    assert _selected(layout, "linux/amd64") == amd64["digest"]


def test_indexes_without_end() -> None:
    layout = Layout()
    entry = _entry(layout, "linux", "amd64")
    for _ in range(10):
        entry = layout.index(entry)
    layout.tag(entry)
    with pytest.raises(ImageError, match="nested more than 5 deep"):
        _selected(layout, "linux/amd64")


def test_attestations_are_no_images() -> None:
    layout = Layout()
    amd64 = _entry(layout, "linux", "amd64")
    unknown = {"os": "unknown", "architecture": "unknown"}
    attestation = {
        **layout.document({"schemaVersion": 2}, "application/vnd.oci.image.manifest.v1+json"),
        "platform": unknown,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    layout.tag(layout.index(attestation, amd64))
    assert _selected(layout, "linux/amd64") == amd64["digest"]
    with pytest.raises(ImageError) as caught:
        _selected(layout, "linux/s390x")
    assert str(caught.value) == (
        "app: not for linux/s390x but for linux/amd64; choose with --platform"
    )


def test_only_attestations() -> None:
    layout = Layout()
    nothing = layout.document({}, "application/vnd.oci.image.manifest.v1+json")
    layout.tag({**nothing, "platform": {"os": "unknown", "architecture": "unknown"}})
    with pytest.raises(ImageError, match="an index without images"):
        _selected(layout, "linux/amd64")


def test_an_entry_that_tells_no_platform() -> None:
    layout = Layout()
    image = layout.image([], platform=AMD64)
    layout.tag(layout.index(image))
    assert _selected(layout, "linux/amd64") == image["digest"]
