"""Signals to the launcher, and what is left when it is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from machine import Machine, Process, await_exit, children

# Says the name of every signal that it gets.
TRAPPING = """
for name in HUP INT QUIT USR1 USR2 TERM; do trap "echo got $name" $name; done
trap 'echo got CONT' CONT
echo ready
while :; do sleep 1000 & wait $!; done
"""


def test_signals_reach_the_program(busybox: Machine) -> None:
    process = busybox.start_script(TRAPPING)
    process.expect(b"ready\n")
    for name in ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT"):
        process.signal(signal.Signals[f"SIG{name}"])
        process.expect(f"got {name}\n".encode())
    assert process.popen.poll() is None


@pytest.mark.parametrize("name", ["INT", "QUIT", "USR1"])
def test_signal_ends_a_program_that_does_not_handle_it(busybox: Machine, name: str) -> None:
    process = busybox.start("tell-time")
    os.write(process.stdin, b"?")
    process.expect(b"\n")
    number = signal.Signals[f"SIG{name}"]
    process.signal(number)
    assert process.wait() == 128 + number


def test_signal_before_the_program_runs_ends_the_launcher(busybox: Machine) -> None:
    process = busybox.start("sleep", "1000")
    process.signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM


def test_signal_goes_to_the_program_and_not_to_its_children(busybox: Machine) -> None:
    """tini's rule without -g: the program decides what its children get."""
    process = busybox.start_script(
        "trap 'echo parent; kill -0 $child && echo child lives; exit 6' TERM\n"
        "sleep 1000 & child=$!; echo ready; wait"
    )
    process.expect(b"ready\n")
    process.signal(signal.SIGTERM)
    assert process.expect_end() == b"parent\nchild lives\n"
    assert process.wait() == 6


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_third_signal_within_three_seconds_ends_by_force(busybox: Machine, name: str) -> None:
    process = busybox.start("ignore-signals")
    process.expect(b"ready\n")
    number = signal.Signals[f"SIG{name}"]
    before = time.monotonic()
    for _ in range(3):
        process.signal(number)
        process.await_taken(number)
    assert process.wait() == 128 + number
    assert time.monotonic() - before < 3


def test_two_signals_do_not_end_by_force(busybox: Machine) -> None:
    process = busybox.start_script(TRAPPING)
    process.expect(b"ready\n")
    for name in ("INT", "TERM"):
        process.signal(signal.Signals[f"SIG{name}"])
        process.expect(f"got {name}\n".encode())
    process.signal(signal.SIGUSR1)
    process.expect(b"got USR1\n")


def test_launcher_stops_and_goes_on_with_the_program(busybox: Machine) -> None:
    process = busybox.start_script("echo ready; while read line; do echo got $line; done")
    process.expect(b"ready\n")
    process.signal(signal.SIGTSTP)
    process.wait_stopped()
    os.write(process.stdin, b"word\n")
    process.signal(signal.SIGCONT)
    process.expect(b"got word\n")
    process.close_stdin()
    assert process.wait() == 0


def test_launcher_stops_when_the_program_stops_itself(busybox: Machine) -> None:
    process = busybox.start_script("kill -STOP $$; echo going on")
    process.wait_stopped()
    process.signal(signal.SIGCONT)
    assert process.expect_end() == b"going on\n"
    assert process.wait() == 0


def test_killed_launcher_leaves_no_process(busybox: Machine) -> None:
    process = busybox.start_script("echo ready; exec sleep 1000")
    process.expect(b"ready\n")
    started = children(process.pid)
    process.signal(signal.SIGKILL)
    assert process.wait() == 128 + signal.SIGKILL
    await_exit(started)


def test_ended_machine_leaves_no_process(busybox: Machine) -> None:
    process = busybox.start_script("echo ready; read line")
    process.expect(b"ready\n")
    started = children(process.pid)
    process.close_stdin()
    process.wait()
    await_exit(started)


def test_emulator_is_the_launchers_child(busybox: Machine, accelerator: str) -> None:
    """Else the tests above would look at nothing."""
    process = busybox.start_script("echo ready; read line")
    process.expect(b"ready\n")
    assert len(children(process.pid)) == (1 if accelerator == "qemu" else 0)


def test_killed_emulator_is_reported(busybox: Machine, accelerator: str) -> None:
    if accelerator != "qemu":
        pytest.skip("there is no second process under KVM")
    process = busybox.start_script("echo ready; exec sleep 1000")
    process.expect(b"ready\n")
    (emulator,) = children(process.pid)
    os.kill(emulator, signal.SIGKILL)
    assert process.wait() == 125
    assert b"killed by signal 9" in process.expect_end(process.stderr)


SMOLPACK_RUN = (sys.executable, "-m", "smolpack", "run")

# Starts its arguments, and waits to be killed.
PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
child.wait()
"""


def test_smolpack_run_ends_with_its_parent(busybox: Machine) -> None:
    pytest.importorskip("smolpack", reason="the packer is not installed here")
    inside = ["--", "sh", "-c", "echo ready; exec sleep 1000"]
    command = [*SMOLPACK_RUN, busybox.path, *inside]
    parent = Process(
        subprocess.Popen(
            [sys.executable, "-c", PARENT, *command],
            stdout=subprocess.PIPE,
        )
    )
    with parent:
        parent.expect(b"ready\n")
        (launcher,) = children(parent.pid)
        family = [launcher, *children(launcher)]
        parent.signal(signal.SIGKILL)
        await_exit(family)


def test_smolpack_run_is_the_machine(busybox: Machine) -> None:
    pytest.importorskip("smolpack", reason="the packer is not installed here")
    done = subprocess.run(
        [*SMOLPACK_RUN, busybox.path, "--vm-cpus", "2", "--", "sh", "-c", "nproc; exit 9"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (9, b"2\n", b"")
