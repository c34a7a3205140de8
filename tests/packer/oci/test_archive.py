"""Images in archives: as docker, podman and skopeo write them, and what is none."""

import bz2
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from layouts import (
    AMD64,
    LOWER,
    TARS,
    UPPER,
    Layout,
    blob_path,
    digest_of,
    docker_archive,
    layers_of,
    needs_skopeo,
    read_layers,
    refusal,
    simple,
    tar_of,
)
from smolpack.oci import Options, files, open_image


def test_docker_archive(saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(docker_archive({"app:1.2": TARS}))
    with open_image(str(path), options) as image:
        assert image.digest == digest_of(image.config)
        assert json.loads(image.config)["made for"] == "app:1.2"
        assert read_layers(image) == TARS
    assert not options.store.path.exists()


@pytest.mark.parametrize("name", ["r.example/app:1", "app:2", "2", "docker.io/library/app:2"])
def test_one_of_several_images(name: str, saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(docker_archive({"r.example/app:1": [LOWER], "app:2": [UPPER]}))
    expected = [UPPER] if name.endswith("2") else [LOWER]
    assert layers_of(f"docker-archive:{path}:{name}", options) == expected
    assert layers_of(f"{path}:{name}", options) == expected


def test_which_of_several_images(saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(docker_archive({"r.example/app:1": [LOWER], "app:2": [UPPER]}))
    there = "there is r.example/app:1, app:2"
    assert refusal(path, options) == f"{path}: several images; choose one with :TAG; {there}"
    assert refusal(f"{path}:app:3", options) == f"{path}:app:3: no image app:3; {there}"


def test_the_same_layer_twice_is_a_link(saved: Callable[[bytes], Path], options: Options) -> None:
    archive = docker_archive({"app:1": TARS})
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        entry = json.loads(members.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
    linked = {"again/layer.tar": f"../{entry['Layers'][0]}"}
    config = json.dumps({**AMD64, "rootfs": {"diff_ids": [digest_of(LOWER)] * 2}}).encode()
    entry = {"Config": "config.json", "Layers": [entry["Layers"][0], "again/layer.tar"]}
    extra = tar_of({"config.json": config, "manifest.json": json.dumps([entry]).encode()}, linked)
    path = saved(archive[: -archive_end(archive)] + extra)
    assert layers_of(str(path), options) == [LOWER, LOWER]


def archive_end(archive: bytes) -> int:
    """Bytes of the end-of-archive marker and what follows."""
    return len(archive) - len(archive.rstrip(b"\0")) // 512 * 512 - 512


def test_links_in_a_circle(saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(tar_of({"x": b""}, {"manifest.json": "a", "a": "b", "b": "a"}))
    assert "too many links" in refusal(path, options)


@needs_skopeo
def test_skopeo_writes_archives(tmp_path: Path, options: Options) -> None:
    layout = simple(TARS).write(tmp_path / "layout")
    for kind, name in (("docker-archive", "app:1"), ("oci-archive", "latest")):
        path = tmp_path / f"{kind}.tar"
        _skopeo(f"oci:{layout}:latest", f"{kind}:{path}:{name}")
        assert layers_of(f"{kind}:{path}:{name}", options) == TARS
        assert layers_of(str(path), options) == TARS


def _skopeo(source: str, target: str) -> None:
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--quiet", source, target],
        check=True,
        capture_output=True,
    )


def test_new_docker_save(saved: Callable[[bytes], Path], options: Options) -> None:
    """Since 25: a layout with names as containerd writes them, and a manifest.json beside it."""
    layout = Layout()
    for number, tars in (("1", [LOWER]), ("2", TARS)):
        layout.tag(layout.image(tars, how="tar"), number)
        layout.entries[-1]["annotations"]["io.containerd.image.name"] = (
            f"docker.io/library/app:{number}"
        )
    index = {"schemaVersion": 2, "manifests": layout.entries}
    layout.files["index.json"] = json.dumps(index).encode()
    layout.files["manifest.json"] = json.dumps(
        [
            {
                "Config": blob_path(layout.manifest(entry)["config"]),
                "RepoTags": [f"app:{number}"],
                "Layers": [blob_path(layer) for layer in layout.manifest(entry)["layers"]],
            }
            for number, entry in enumerate(layout.entries, 1)
        ]
    ).encode()
    path = saved(layout.tar())
    for reference in (f"{path}:app:2", f"docker-archive:{path}:app:2", f"oci-archive:{path}:2"):
        assert layers_of(reference, options) == TARS
    with open_image(f"{path}:app:2", options) as image:
        assert image.digest == layout.entries[1]["digest"]
    assert "there is docker.io/library/app:1, docker.io/library/app:2" in refusal(path, options)


def test_layer_named_by_its_digest(saved: Callable[[bytes], Path], options: Options) -> None:
    config = json.dumps({**AMD64, "rootfs": {"diff_ids": [digest_of(LOWER)]}}).encode()
    path = f"blobs/sha256/{'0' * 64}"
    entry = {"Config": "config.json", "Layers": [path]}
    manifest = json.dumps([entry]).encode()
    text = refusal(
        saved(tar_of({path: LOWER, "config.json": config, "manifest.json": manifest})), options
    )
    assert f"damaged: its digest is {digest_of(LOWER)}" in text


def _manifest(*entries: object) -> dict[str, bytes]:
    return {"manifest.json": json.dumps(entries).encode()}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"hello": b"x"}, "not an image: it has neither index.json nor manifest.json"),
        ({"usr/bin/ls": b""}, "holds files of a root file system, not a saved image"),
        ({"repositories": b"{}"}, "saved by a docker older than 1.10"),
        ({"manifest.json": b"{"}, "damaged: not JSON"),
        ({"manifest.json": b"{}"}, "its manifest.json is no list"),
        ({"manifest.json": b"[" * 100_000}, "damaged: not JSON"),
        ({"manifest.json": bytes(5 << 20)}, "are too many for what it is"),
        (_manifest(1), "lists no objects"),
        (_manifest({"Config": 1}), "names no configuration and layers"),
        (_manifest({"Config": "c", "Layers": [1]}), "names no configuration and layers"),
        (_manifest({"Config": "c", "Layers": ["l"] * 501}), "names no configuration"),
        (_manifest({"Config": "c", "Layers": []}), "c is missing; save the image again"),
        (_manifest(), "no image; choose one with :TAG; there is none with a name"),
        (
            {**_manifest({"Config": f"{'0' * 64}.json", "Layers": []}), f"{'0' * 64}.json": b"{}"},
            "damaged: not what its name says",
        ),
        (
            {**_manifest({"Config": "c", "Layers": []}), "c": b'{"rootfs": {"diff_ids": [7]}}'},
            "7 is no SHA-256",
        ),
        (
            {**_manifest({"Config": "c", "Layers": []}), "c": b'{"rootfs": 7}'},
            "it has no list of diff_ids",
        ),
        (
            {
                **_manifest({"Config": "c", "Layers": ["l"]}),
                "c": json.dumps({"rootfs": {"diff_ids": [digest_of(b"")]}}).encode(),
            },
            "layer 1 of 1 (sha256:e3b0c44298fc): l is missing",
        ),
        (
            {
                **_manifest({"Config": "c", "Layers": ["l"]}),
                "c": json.dumps({"rootfs": {"diff_ids": []}}).encode(),
            },
            "1 layers in its manifest.json, 0 in its configuration",
        ),
    ],
)
def test_archive_that_is_no_image(
    members: dict[str, bytes], says: str, saved: Callable[[bytes], Path], options: Options
) -> None:
    path = saved(tar_of(members))
    text = refusal(path, options)
    assert text.startswith(str(path))
    assert says in text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty, not a saved image"),
        (b"hello" * 1000, "not a tar archive, or damaged"),
        (docker_archive({"app:1": TARS})[:100_000], "truncated: it ends within"),
        (gzip.compress(docker_archive({"app:1": TARS}))[:-9], "damaged or truncated"),
        (bz2.compress(docker_archive({"app:1": TARS})), "compressed with xz or bzip2"),
    ],
)
def test_file_that_is_no_archive(
    data: bytes, says: str, saved: Callable[[bytes], Path], options: Options
) -> None:
    path = saved(data)
    text = refusal(path, options)
    assert text.startswith(f"{path}: ")
    assert says in text


def test_archive_with_too_many_members(
    saved: Callable[[bytes], Path], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MAX_MEMBERS", 10)
    path = saved(tar_of({str(number): b"" for number in range(20)}))
    assert "too many members" in refusal(path, options)


def test_directories_that_are_no_images(tmp_path: Path, options: Options) -> None:
    assert "pack the files of a root file system with --rootfs" in refusal(tmp_path, options)
    assert "index.json is missing" in refusal(f"oci:{tmp_path}", options)


def test_file_that_cannot_be_read(tmp_path: Path, options: Options) -> None:
    loop = tmp_path / "loop.tar"
    loop.symlink_to(loop)
    assert "no such file" in refusal(loop, options)
