"""Terminals: the program is on one exactly where the launcher is."""

import os
import signal
import subprocess

import pytest
from machine import Machine
from terminal import Terminal

# Which descriptors are a terminal, said on one that is.
WHICH = "for fd in 0 1 2; do [ -t $fd ] && set -- $* $fd; done; echo terminals $*"


@pytest.fixture
def terminal(busybox: Machine) -> Terminal:
    """A terminal for the small machine."""
    return Terminal(busybox)


def test_all_streams_are_the_terminal(terminal: Terminal) -> None:
    process = terminal.start_script(WHICH + "; tty; stty size; echo $TERM")
    text = process.expect(b"vt220\r\n", terminal.master)
    assert text == b"terminals 0 1 2\r\n/dev/pts/0\r\n24 80\r\nvt220\r\n"
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("piped", "rest"), [("stdin", b"1 2"), ("stdout", b"0 2"), ("stderr", b"0 1")]
)
def test_one_stream_is_a_pipe(terminal: Terminal, piped: str, rest: bytes) -> None:
    script = WHICH + (" >&2" if piped == "stdout" else "")
    process = terminal.start_script(script, **{piped: subprocess.PIPE})
    process.expect(b"terminals " + rest + b"\r\n", terminal.master)
    assert process.wait() == 0


def test_piped_input_with_output_on_the_terminal(terminal: Terminal) -> None:
    process = terminal.start("cat", stdin=subprocess.PIPE)
    os.write(process.stdin, b"from a pipe\n")
    process.expect(b"from a pipe\r\n", terminal.master)
    process.close_stdin()
    assert process.wait() == 0
    assert terminal.is_restored()


def test_typed_input_with_output_to_a_pipe(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; cat", stdout=subprocess.PIPE)
    process.expect(b"ready\n")
    terminal.type(b"typed\r\x04")
    assert process.expect_end() == b"typed\n"
    assert process.wait() == 0
    assert terminal.is_restored()


def test_window_size_changes_reach_the_program(terminal: Terminal) -> None:
    process = terminal.start_script(
        "trap 'echo size $(stty size)' WINCH; echo ready; while :; do sleep 1000 & wait $!; done"
    )
    process.expect(b"ready\r\n", terminal.master)
    terminal.resize((50, 132))
    process.signal(signal.SIGWINCH)  # the kernel sends it to the foreground group as well
    process.expect(b"size 50 132\r\n", terminal.master)


def test_keys_are_echoed_once_and_lines_arrive(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; read line; echo got $line")
    process.expect(b"ready\r\n", terminal.master)
    assert terminal.is_raw()
    terminal.type(b"wordx\x7f\r")
    assert process.expect(b"got word\r\n", terminal.master).startswith(b"wordx\b \b\r\n")
    assert process.wait() == 0


def test_control_c_ends_the_foreground_program(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; exec sleep 1000")
    process.expect(b"ready\r\n", terminal.master)
    terminal.type(b"\x03")
    assert process.wait() == 130
    assert terminal.is_restored()


def test_control_c_in_a_shell_ends_its_job_and_not_the_shell(terminal: Terminal) -> None:
    process = terminal.start("sh")
    process.expect(b"# ", terminal.master)
    terminal.type(b"echo started; sleep 1000\r")
    process.expect(b"\r\nstarted\r\n", terminal.master)
    terminal.type(b"\x03")
    process.expect(b"# ", terminal.master)
    terminal.type(b"exit 4\r")
    assert process.wait() == 4
    assert terminal.is_restored()


def test_control_backslash_is_quit(terminal: Terminal) -> None:
    process = terminal.start("tell-time")
    terminal.type(b"\r")
    process.expect(b"\r\n1", terminal.master)  # it echoes the key, and answers
    terminal.type(b"\x1c")
    assert process.wait() == 128 + signal.SIGQUIT


def test_control_d_ends_cat(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; cat; echo after")
    process.expect(b"ready\r\n", terminal.master)
    terminal.type(b"word\r\x04")
    process.expect(b"word\r\nword\r\nafter\r\n", terminal.master)
    assert process.wait() == 0


def test_control_z_stops_the_launcher_and_gives_the_terminal_back(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; read line; echo got $line")
    process.expect(b"ready\r\n", terminal.master)
    terminal.type(b"\x1a")
    process.wait_stopped()
    assert terminal.is_restored()
    os.killpg(process.pid, signal.SIGCONT)
    terminal.type(b"word\r")
    process.expect(b"got word\r\n", terminal.master)
    assert process.wait() == 0
    assert terminal.is_restored()


def test_raw_program_gets_every_key(terminal: Terminal) -> None:
    process = terminal.start_script(
        "stty raw -echo; echo ready; head -c 5 | od -An -tx1; stty sane"
    )
    process.expect(b"ready", terminal.master)
    terminal.type(b"\x03\x04\x1a\x1c\x7f")
    process.expect(b"03 04 1a 1c 7f", terminal.master)
    assert process.wait() == 0
    assert terminal.is_restored()


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_terminal_is_restored_when_a_signal_ends_the_program(terminal: Terminal, name: str) -> None:
    process = terminal.start_script("echo ready; exec sleep 1000")
    process.expect(b"ready\r\n", terminal.master)
    assert terminal.is_raw()
    number = signal.Signals[f"SIG{name}"]
    process.signal(number)
    assert process.wait() == 128 + number
    assert terminal.is_restored()


def test_terminal_is_restored_when_the_machine_is_ended_by_force(terminal: Terminal) -> None:
    process = terminal.start("ignore-signals")
    process.expect(b"ready\r\n", terminal.master)
    for _ in range(3):
        process.signal(signal.SIGTERM)
        process.await_taken(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert terminal.is_restored()


def test_terminal_is_restored_when_the_program_does_not_start(terminal: Terminal) -> None:
    process = terminal.start("no-such-program")
    process.expect(b'"no-such-program": not found', terminal.master)
    assert process.wait() == 127
    assert terminal.is_restored()


def test_terminal_is_restored_when_the_kernel_panics(terminal: Terminal) -> None:
    process = terminal.start(
        "--vm-mem", "64M", "sh", "-c", "echo 2 >/proc/sys/vm/panic_on_oom; eat-memory 512"
    )
    process.expect(b"Kernel panic", terminal.master)
    assert process.wait() == 125
    assert terminal.is_restored()


def test_closed_terminal_hangs_the_program_up(terminal: Terminal) -> None:
    process = terminal.start_script("echo ready; exec sleep 1000")
    process.expect(b"ready\r\n", terminal.master)
    terminal.close()
    assert process.wait() == 128 + signal.SIGHUP


def test_background_job_leaves_the_terminal_alone(terminal: Terminal) -> None:
    """`./vm … &` in an interactive shell: output arrives, keys stay the shell's."""
    script = f"set -m; {terminal.machine.path} echo from the background & wait $!; echo status $?"
    process = terminal.start_command(["sh", "-c", script])
    assert b"from the background" in process.expect(b"status 0\r\n", terminal.master)
    assert process.wait() == 0
    assert terminal.is_restored()
