"""Fixtures: the packed machines, the accelerator, and an end for whatever hangs."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import pytest
from machine import PATIENCE_S, Machine, StalledError

TEST_LIMIT_S = int(2.5 * PATIENCE_S)  # several machines, none of which may take that long


def pytest_sessionstart() -> None:
    """Undo what a caller like nohup ignores: signals to the programs under test must count."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def accelerator() -> str:
    """What the machines are expected to run with: qemu or kvm."""
    return os.environ.get("SMOLPACK_TEST_ACCEL", "qemu")


def _machines() -> Iterator[Callable[[str], Machine]]:
    default = Path(__file__).parents[2] / "build/test/machines"
    directory = Path(os.environ.get("SMOLPACK_TEST_MACHINES", default))
    with ExitStack() as cleanup:
        yield lambda name: Machine(directory / f"{name}.vm", cleanup)


# A packed machine by name; what it starts is killed at the end of the test, or of the module.
machine = pytest.fixture(_machines)
machines = pytest.fixture(_machines, scope="module")


@pytest.fixture
def busybox(machine: Callable[[str], Machine]) -> Machine:
    """A small machine: busybox, and the programs of tests/roots/programs."""
    return machine("busybox")


@pytest.fixture
def debian(machine: Callable[[str], Machine]) -> Machine:
    """Debian with Python, SQLite, git and gcc."""
    return machine("debian")


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    """A test that hangs fails, wherever it hangs."""

    def fail(_signal: int, _frame: FrameType | None) -> None:
        raise StalledError(f"the test took longer than {TEST_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(TEST_LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
