"""How a program ends, or why it does not start, as the launcher's exit status and one line."""

import pytest
from machine import Machine

LAUNCHER_FAILURE = 125


# All 256 are covered by the agent's own test: each costs a machine here.
@pytest.mark.parametrize("code", [0, 1, 42, 127, 255])
def test_exit_status_is_the_programs(busybox: Machine, code: int) -> None:
    result = busybox.script(f"exit {code}")
    assert (result.status, result.stdout, result.stderr) == (code, b"", b"")


@pytest.mark.parametrize(
    ("name", "number"),
    [("KILL", 9), ("SEGV", 11), ("34", 34)],
)
def test_death_by_signal_is_128_and_its_number(busybox: Machine, name: str, number: int) -> None:
    assert busybox.script(f"kill -{name} $$").status == 128 + number


def test_program_that_is_not_there(busybox: Machine) -> None:
    result = busybox.run("no-such-program")
    assert result.status == 127
    assert '"no-such-program": not found in PATH' in result.complaint


def test_path_that_is_not_there(busybox: Machine) -> None:
    result = busybox.run("/no/such/program")
    assert result.status == 127
    assert '"/no/such/program": no such file' in result.complaint


def test_script_whose_interpreter_is_not_there(busybox: Machine) -> None:
    result = busybox.run("no-interpreter")
    assert result.status == 127
    assert "interpreter" in result.complaint


@pytest.mark.parametrize("program", ["/usr/bin/not-executable", "not-executable"])
def test_file_that_is_not_executable(busybox: Machine, program: str) -> None:
    result = busybox.run(program)
    assert result.status == 126
    assert f'"{program}": not executable' in result.complaint


def test_file_that_is_no_program(busybox: Machine) -> None:
    result = busybox.run("not-a-program")
    assert result.status == 126
    assert "neither a program" in result.complaint


def test_user_that_is_not_there(machine) -> None:
    result = machine("unknown-user").run("true")
    assert result.status == LAUNCHER_FAILURE
    assert '"nobody-knows"' in result.complaint


def test_what_the_program_leaves_behind_ends_with_it(busybox: Machine) -> None:
    """A background process that holds the streams open does not keep the machine."""
    result = busybox.script("(trap '' TERM HUP; sleep 1000) & echo done; exit 3")
    assert (result.status, result.stdout) == (3, b"done\n")


def test_orphans_are_reaped(busybox: Machine) -> None:
    """tini's case: grandchildren whose parent has gone become init's, and no zombies."""
    result = busybox.script(
        "for i in $(seq 20); do (sh -c 'exit 1' & true); done\n"
        "sh -c '(sleep 0.2; kill -KILL $$) & sleep 1000' & wait\n"
        "while grep -q '^State:.*Z' /proc/[0-9]*/status 2>/dev/null; do sleep 0.1; done\n"
        "echo none left"
    )
    assert (result.status, result.stdout) == (0, b"none left\n")


def test_a_grandchild_that_outlives_the_first_child_keeps_its_output(busybox: Machine) -> None:
    result = busybox.script("(sleep 0.3; echo late) & wait")
    assert result.stdout == b"late\n"


def test_out_of_memory_is_said(busybox: Machine) -> None:
    result = busybox.run("--vm-mem", "64M", "eat-memory", "512")
    assert result.status == 128 + 9
    assert "out of memory (64 MiB)" in result.complaint
    assert "--vm-mem" in result.complaint


def test_out_of_memory_of_a_child_is_said_too(busybox: Machine) -> None:
    result = busybox.script("eat-memory 2000 && exit 1; exit 4")
    assert result.status == 4
    assert "killed 1 process" in result.stderr.decode().splitlines()[-1]


def test_kernel_panic_ends_with_its_last_words(busybox: Machine) -> None:
    result = busybox.run(
        "--vm-mem", "64M", "sh", "-c", "echo 2 >/proc/sys/vm/panic_on_oom; eat-memory 512"
    )
    assert result.status == LAUNCHER_FAILURE
    lines = result.stderr.decode().splitlines()
    assert "the machine failed" in lines[0]
    assert any("Kernel panic - not syncing: Out of memory" in line for line in lines[1:])


def test_time_limit_ends_the_machine_with_124(busybox: Machine) -> None:
    result = busybox.run("--vm-timeout", "6s", "sleep", "1000")
    assert result.status == 124


def test_time_limit_asks_before_it_ends_the_machine(busybox: Machine) -> None:
    result = busybox.run(
        "--vm-timeout", "6s", "sh", "-c", "trap 'echo asked; exit 1' TERM; sleep 1000 & wait"
    )
    assert (result.status, result.stdout) == (124, b"asked\n")


def test_time_limit_ends_a_program_that_ignores_it(busybox: Machine) -> None:
    assert busybox.run("--vm-timeout", "6s", "ignore-signals").status == 124


def test_program_that_signals_everybody_ends_as_it_says(busybox: Machine) -> None:
    """kill -1 spares what runs the machine, and (kill(2)) the process that asks."""
    result = busybox.script("sleep 1000 & kill -TERM -1; wait; exit 6")
    assert result.status == 6
