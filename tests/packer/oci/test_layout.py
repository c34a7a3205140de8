"""Images in OCI layouts: read whatever their form, refused when damaged."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layouts import (
    AMD64,
    LOWER,
    OCI,
    TARS,
    UPPER,
    Layout,
    blob_path,
    compressed,
    digest_of,
    layers_of,
    read_layers,
    refusal,
    simple,
    tar_of,
)
from smolpack.oci import Options, open_image
from smolpack.oci.platform import parse_platform


@pytest.mark.parametrize("how", ["tar", "tar+gzip", "tar+zstd"])
def test_layout_directory(how: str, tmp_path: Path, options: Options) -> None:
    layout = simple(TARS, how=how)
    path = layout.write(tmp_path / "layout")
    with open_image(f"oci:{path}:latest", options) as image:
        assert image.digest == layout.entries[0]["digest"]
        assert digest_of(image.config) == layout.manifest(layout.entries[0])["config"]["digest"]
        assert [layer.diff_id for layer in image.layers] == [digest_of(tar) for tar in TARS]
        first = image.layers[0]
        assert first.name.startswith(f"oci:{path}:latest, layer 1 of 2 (sha256:")
        # Again and again, the second time without digests.
        assert read_layers(image) == read_layers(image) == TARS
        seen: list[int] = []
        with first.open(seen.append) as stream:
            while stream.read(1000):
                pass
        assert sum(seen) == first.size == len(compressed(LOWER, how))


def test_layout_archive_is_read_in_place(saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(simple(TARS).tar())
    assert layers_of(str(path), options) == TARS
    assert layers_of(f"oci-archive:{path}:latest", options) == TARS
    assert not options.store.path.exists()


def test_an_image_by_its_name(tmp_path: Path, options: Options) -> None:
    layout = Layout()
    layout.tag(layout.image([LOWER]), "r.example/app:1")
    layout.tag(layout.image([UPPER]), "2")
    path = layout.write(tmp_path / "layout")
    assert layers_of(f"oci:{path}:r.example/app:1", options) == [LOWER]
    assert layers_of(f"oci:{path}:2", options) == [UPPER]
    assert layers_of(f"oci:{path}@{layout.entries[1]['digest']}", options) == [UPPER]
    there = "there is r.example/app:1, 2"
    assert refusal(path, options) == f"{path}: several images; choose one with :TAG; {there}"
    assert refusal(f"oci:{path}:3", options) == f"oci:{path}:3: no image 3; {there}"
    assert "no image sha256:0000" in refusal(f"oci:{path}@sha256:{'0' * 64}", options)


def test_one_image_of_two_names(tmp_path: Path, options: Options) -> None:
    layout = Layout()
    image = layout.image([LOWER])
    path = layout.tag(image, "1").tag(image, "latest").write(tmp_path / "layout")
    assert layers_of(str(path), options) == [LOWER]


def test_wrong_architecture(tmp_path: Path, options: Options) -> None:
    path = simple(TARS, platform={"os": "linux", "architecture": "arm64"}).write(tmp_path / "it")
    assert refusal(path, options) == (
        f"{path}: not for linux/amd64 but for linux/arm64; choose with --platform"
    )
    other = Options(platform=parse_platform("linux/arm64"), store=options.store)
    assert layers_of(str(path), other) == TARS


def _without_a_blob(layout: Layout, layer: dict[str, Any]) -> None:
    del layout.files[blob_path(layer)]


def _with_a_short_blob(layout: Layout, layer: dict[str, Any]) -> None:
    layout.files[blob_path(layer)] = layout.data(layer)[:-10]


def _with_a_long_blob(layout: Layout, layer: dict[str, Any]) -> None:
    layout.files[blob_path(layer)] = layout.data(layer) + b"more"


def _with_a_changed_blob(layout: Layout, layer: dict[str, Any]) -> None:
    data = layout.data(layer)
    layout.files[blob_path(layer)] = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def _with_another_blob(layout: Layout, layer: dict[str, Any]) -> None:
    other = tar_of({"usr/bin/app": bytes(200_000)})
    other = compressed(other, "tar").ljust(layer["size"], b"\0")[: layer["size"]]
    layout.files[blob_path(layer)] = other


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without_a_blob, "is missing in"),
        (_with_a_short_blob, "truncated: "),
        (_with_a_long_blob, "damaged: "),
        (_with_a_changed_blob, "damaged: its digest is sha256:"),
        (_with_another_blob, "damaged: its digest is sha256:"),
    ],
)
def test_damaged_layer(
    spoil: Callable[[Layout, dict[str, Any]], None],
    says: str,
    archived: bool,
    tmp_path: Path,
    options: Options,
) -> None:
    layout = simple(TARS)
    layer = layout.manifest(layout.entries[0])["layers"][1]
    spoil(layout, layer)
    path = tmp_path / "it"
    if archived:
        path.write_bytes(layout.tar())
    else:
        layout.write(path)
    text = refusal(path, options)
    assert text.startswith(f"{path}, layer 2 of 2 ({layer['digest'][:19]}): ")
    assert says in text
    assert text.endswith("; save the image again")


def test_layer_that_the_configuration_does_not_name(tmp_path: Path, options: Options) -> None:
    diff_ids = {"rootfs": {"diff_ids": [digest_of(LOWER), digest_of(LOWER)]}}
    path = simple(TARS, **diff_ids).write(tmp_path / "it")
    text = refusal(path, options)
    assert "layer 2 of 2" in text
    assert "is not what the image configuration names" in text


@pytest.mark.parametrize("which", ["manifest", "config"])
def test_damaged_document(which: str, tmp_path: Path, options: Options) -> None:
    layout = simple(TARS)
    entry = layout.entries[0]
    spoiled = entry if which == "manifest" else layout.manifest(entry)["config"]
    layout.files[blob_path(spoiled)] = layout.data(spoiled).replace(b"sha256", b"sha265", 1)
    title = "manifest " + entry["digest"][:19] if which == "manifest" else "configuration"
    path = layout.write(tmp_path / "it")
    text = refusal(path, options)
    assert text == f"{path}, {title}: damaged: not what its digest says; save the image again"


def test_layers_and_diff_ids_differ_in_number(tmp_path: Path, options: Options) -> None:
    path = simple(TARS, rootfs={"diff_ids": [digest_of(LOWER)]}).write(tmp_path / "it")
    assert "2 layers in its manifest, 1 in its configuration" in refusal(path, options)


def test_an_artifact_is_no_image(tmp_path: Path, options: Options) -> None:
    layout = Layout()
    chart = {
        "schemaVersion": 2,
        "config": layout.blob(b"{}", "application/vnd.cncf.helm.config.v1+json"),
        "layers": [],
    }
    layout.tag(layout.document(chart, f"{OCI}manifest.v1+json"))
    path = layout.write(tmp_path / "it")
    assert "an artifact of type application/vnd.cncf.helm.config" in refusal(path, options)


def test_layers_that_cannot_be_read(tmp_path: Path, options: Options) -> None:
    layout = Layout()
    config = layout.document({**AMD64, "rootfs": {"diff_ids": []}}, f"{OCI}config.v1+json")
    layer = layout.blob(b"secret", f"{OCI}layer.v1.tar+gzip+encrypted")
    manifest = {"schemaVersion": 2, "config": config, "layers": [layer]}
    layout.tag(layout.document(manifest, f"{OCI}manifest.v1+json"))
    path = layout.write(tmp_path / "it")
    assert "not a file system layer that can be read" in refusal(path, options)


def test_a_fifo_among_the_blobs(tmp_path: Path, options: Options) -> None:
    layout = simple(TARS)
    path = layout.write(tmp_path / "it")
    blob = path / blob_path(layout.manifest(layout.entries[0])["layers"][0])
    blob.unlink()
    os.mkfifo(blob)
    assert "not a regular file" in refusal(path, options)


def test_image_without_layers(tmp_path: Path, options: Options) -> None:
    """Go writes an empty list as null."""
    layout = Layout()
    config = layout.document({**AMD64, "rootfs": {"diff_ids": None}}, f"{OCI}config.v1+json")
    manifest = {"schemaVersion": 2, "config": config, "layers": None}
    layout.tag(layout.document(manifest, f"{OCI}manifest.v1+json"))
    assert layers_of(str(layout.write(tmp_path / "it")), options) == []
