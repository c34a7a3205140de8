"""Layers as stored: whatever compression and however many pieces; bombs and damage refused."""

import gzip
import os
import tempfile
from pathlib import Path

import pytest
import zstandard

from layouts import digest_of, read_layers, simple, tar_of
from smolpack.errors import ImageError
from smolpack.oci import Limits, Options, open_image, stream
from smolpack.oci.stream import Extent, StoredLayer, whole

DATA = b"".join(bytes([number % 251]) * 997 for number in range(3000))


def layer_of(
    stored: bytes,
    content: bytes,
    digest: str | None = None,
    limits: Limits | None = None,
    before: bytes = b"",
) -> StoredLayer:
    """A layer stored within a file, `before` in front of it."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the layer
    file.write(before + stored + b"behind")
    file.flush()
    return StoredLayer(
        name="app, layer 1 of 1",
        diff_id=digest_of(content),
        size=len(stored),
        digest=digest,
        locate=lambda: Extent(file, len(before), len(stored)),
        limits=limits or Limits(),
        remedy="save it again",
    )


def read(layer: StoredLayer, size: int = 65_537) -> bytes:
    pieces = []
    with layer.open(lambda count: None) as content:
        while piece := content.read(size):
            pieces.append(piece)
        assert content.read(size) == b""
    return b"".join(pieces)


def refusal(layer: StoredLayer) -> str:
    with pytest.raises(ImageError) as caught:
        read(layer)
    assert str(caught.value).startswith("app, layer 1 of 1: ")
    return str(caught.value)


_zstd = zstandard.ZstdCompressor().compress
_NAMES = [
    "plain",
    "empty",
    "gzip",
    "members",
    "empty-member",
    "padded",
    "zstd",
    "frames",
    "skippable",
    "unsized",
]
_SKIPPED = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"ignored"


@pytest.mark.parametrize(
    "stored",
    [
        DATA,
        b"",
        gzip.compress(DATA),
        gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]),
        gzip.compress(DATA) + gzip.compress(b""),
        gzip.compress(DATA) + bytes(512),
        _zstd(DATA),
        _zstd(DATA[:1000]) + _zstd(DATA[1000:]),
        _SKIPPED + _zstd(DATA) + _SKIPPED,
        zstandard.ZstdCompressor(write_content_size=False).compress(DATA),
    ],
    ids=[
        "plain",
        "empty",
        "gzip",
        "members",
        "empty-member",
        "padded",
        "zstd",
        "frames",
        "skippable",
        "unsized",
    ],
)
@pytest.mark.parametrize("size", [100, 1 << 21])
def test_compressions(stored: bytes, size: int) -> None:
    content = DATA if stored else b""
    layer = layer_of(stored, content, digest_of(stored), before=b"before")
    assert read(layer, size) == content
    assert read(layer, size) == content


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_truncated(compress: object) -> None:
    stored = compress(DATA)  # type: ignore[operator]
    assert "damaged or truncated" in refusal(layer_of(gzip.compress(DATA)[:-5], DATA))
    # zstd's decoder does not mind: the digest of the content tells.
    short = stored[: len(stored) // 2]
    assert "; save it again" in refusal(layer_of(short, DATA))
    # Where a digest of what is stored is known, it is what is told.
    text = refusal(layer_of(short, DATA, digest_of(stored)))
    assert f"damaged: its digest is {digest_of(short)}" in text


def test_behind_the_compressed_content() -> None:
    stored = gzip.compress(DATA)
    assert "damaged or truncated" in refusal(layer_of(stored + b"garbage", DATA))


def test_other_content() -> None:
    text = refusal(layer_of(gzip.compress(DATA), b"else"))
    assert f"its content ({digest_of(DATA)}) is not what the image configuration names" in text


def test_xz_is_told() -> None:
    assert "compressed with xz or bzip2" in refusal(layer_of(b"\xfd7zXZ\0" + bytes(100), DATA))


def test_leaving_early_checks_nothing() -> None:
    with layer_of(gzip.compress(DATA), b"else").open(lambda count: None) as content:
        assert content.read(10) == DATA[:10]


def test_size_limit() -> None:
    stored = gzip.compress(DATA)
    text = refusal(layer_of(stored, DATA, limits=Limits(max_layer_size=len(DATA) - 1)))
    assert text.endswith(
        f"unpacks to more than {len(DATA) - 1} bytes; if you trust this image, "
        "raise --image-max-size"
    )
    assert read(layer_of(stored, DATA, limits=Limits(max_layer_size=len(DATA)))) == DATA


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_bomb(compress: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RATIO_FREE", 1 << 20)
    zeros = bytes(16 << 20)
    stored = compress(zeros)  # type: ignore[operator]
    text = refusal(layer_of(stored, zeros))
    assert text.endswith(
        "unpacks to more than 200 times its size; if you trust this image, raise --image-max-ratio"
    )
    assert read(layer_of(stored, zeros, limits=Limits(max_ratio=1 << 20))) == zeros


def test_zeros_of_moderate_size_are_no_bomb() -> None:
    zeros = bytes(16 << 20)
    assert read(layer_of(gzip.compress(zeros), zeros)) == zeros


def test_options_of_the_user(tmp_path: Path, options: Options) -> None:
    tar = tar_of({"zeros": bytes(1 << 20)})
    path = simple([tar]).write(tmp_path / "layout")
    small = Options(
        platform=options.platform, store=options.store, limits=Limits(max_layer_size=1000)
    )
    with (
        open_image(str(path), small) as image,
        pytest.raises(ImageError, match=r"layer 1 of 1 .* unpacks to more than 1000 bytes"),
    ):
        read_layers(image)


def test_file_that_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    with path.open("rb", buffering=0) as file:
        layer = StoredLayer(
            name="app, layer 1 of 1",
            diff_id=digest_of(DATA),
            size=len(DATA),
            digest=None,
            locate=lambda: whole(file),
            limits=Limits(),
            remedy="save it again",
        )
        assert read(layer) == DATA
        os.truncate(path, 1000)
        assert "truncated: 1000 bytes of" in refusal(layer)
