"""Fixtures of the image tests: an environment of their own, and its cache."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from smolpack.oci import Options
from smolpack.oci.platform import parse_platform
from smolpack.oci.store import Store

_LEFT_OUT = ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "SMOLPACK_CACHE_SIZE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests: no credentials, no proxies, no authorities."""
    for name in list(os.environ):
        if name in _LEFT_OUT or name.lower().endswith(("_proxy", "_ca_bundle", "ssl_cert_file")):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache/smolpack")


@pytest.fixture(name="waits")
def _waits() -> list[float]:
    """How long was waited between tries; nobody really does."""
    return []


@pytest.fixture(name="options")
def _options(store: Store, waits: list[float]) -> Options:
    return Options(platform=parse_platform("linux/amd64"), store=store, sleep=waits.append)


@pytest.fixture(name="saved")
def _saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(data: bytes) -> Path:
        path = tmp_path / "saved.tar"
        path.write_bytes(data)
        return path

    return save
