"""Fixtures of the signing package's tests: keys made by the real ssh-keygen."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from signing import openssh


def pytest_report_header() -> str:
    """Names the programs whose behaviour the tests compare with."""
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True)
    return f"openssh-client: {done.stderr.strip()}"


@pytest.fixture(scope="session", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key files `alice`, `bob`, `rsa` and `ecdsa`, each with its `.pub`."""
    directory = tmp_path_factory.mktemp("keys")
    openssh.make_key(directory / "alice")
    openssh.make_key(directory / "bob")
    openssh.make_key(directory / "rsa", "-b", "2048", kind="rsa")
    openssh.make_key(directory / "ecdsa", kind="ecdsa")
    return directory


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Changes this process's time zone (TZ of tzset(3)) until the test ends."""

    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()
