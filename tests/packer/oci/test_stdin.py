"""Images that come once: through a pipe, or compressed as a whole."""

import contextlib
import dataclasses
import gzip
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from layouts import (
    TARS,
    compressed,
    digest_of,
    docker_archive,
    layers_of,
    read_layers,
    refusal,
    simple,
    tar_of,
)
from smolpack.oci import Limits, Options, open_image, stream


class _Stdin:
    def __init__(self, file: Any) -> None:
        self.buffer = file

    def isatty(self) -> bool:
        return False


@pytest.fixture(name="piped")
def _piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Makes standard input a pipe that something comes out of."""
    with contextlib.ExitStack() as opened:

        def pipe(data: bytes) -> None:
            source, sink = os.pipe()

            def feed() -> None:
                with contextlib.suppress(BrokenPipeError), os.fdopen(sink, "wb") as file:
                    file.write(data)

            thread = threading.Thread(target=feed)
            thread.start()
            opened.callback(thread.join)
            monkeypatch.setattr(sys, "stdin", _Stdin(opened.enter_context(os.fdopen(source, "rb"))))

        yield pipe


@pytest.mark.parametrize("how", ["tar", "tar+gzip", "tar+zstd"])
@pytest.mark.parametrize("layout", [False, True])
def test_standard_input(
    how: str, layout: bool, piped: Callable[[bytes], None], options: Options
) -> None:
    archive = simple(TARS).tar() if layout else docker_archive({"app:1": TARS})
    piped(compressed(archive, how))
    with open_image("-", options) as image:
        assert image.layers[0].name.startswith("standard input, layer 1 of 2 (sha256:")
        assert read_layers(image) == TARS
    kept = {entry.name for entry in options.store.entries()}
    expected = [compressed(tar, "tar+gzip") for tar in TARS] if layout else TARS
    assert {digest_of(data) for data in expected} <= kept


def test_standard_input_that_is_a_file_is_read_in_place(
    saved: Callable[[bytes], Path], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    with saved(docker_archive({"app:1": TARS})).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", _Stdin(file))
        assert layers_of("-", options) == TARS
    assert not options.store.path.exists()


def test_nothing_on_standard_input(monkeypatch: pytest.MonkeyPatch, options: Options) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "no image comes in on standard input" in refusal("-", options)


def test_half_of_an_archive_on_standard_input(
    piped: Callable[[bytes], None], options: Options
) -> None:
    archive = docker_archive({"app:1": TARS})
    piped(archive[: len(archive) // 2])
    assert "standard input: truncated: it ends within" in refusal("-", options)
    # What was whole may stay; half a blob may not.
    for entry in options.store.entries():
        assert digest_of(entry.path.read_bytes()) == entry.name
    assert not [path for path in options.store.path.rglob(".*") if path.is_file()]


def test_blobs_stay_readable_though_the_cache_is_too_small(
    piped: Callable[[bytes], None], options: Options
) -> None:
    options.store.cap = 1
    piped(docker_archive({"app:1": TARS}))
    assert layers_of("-", options) == TARS
    assert options.store.entries() == []


def test_compressed_archive_file(saved: Callable[[bytes], Path], options: Options) -> None:
    path = saved(gzip.compress(docker_archive({"app:1": TARS})))
    assert layers_of(str(path), options) == TARS


def test_bomb_on_standard_input(
    piped: Callable[[bytes], None], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RATIO_FREE", 1 << 20)
    piped(gzip.compress(docker_archive({"app:1": [tar_of({"zeros": bytes(16 << 20)})]})))
    assert refusal("-", options) == (
        "standard input: unpacks to more than 200 times its size; if you trust this image, "
        "raise --image-max-ratio"
    )


def test_large_member_on_standard_input(piped: Callable[[bytes], None], options: Options) -> None:
    piped(docker_archive({"app:1": TARS}))
    small = dataclasses.replace(options, limits=Limits(max_layer_size=100_000))
    text = refusal("-", small)
    assert "layer.tar: unpacks to more than 100000 bytes; if you trust this image" in text
