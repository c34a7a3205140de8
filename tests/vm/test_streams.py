"""Standard streams: those of a local process."""

import hashlib
import os
import re
import select
import subprocess
from pathlib import Path

import pytest
from machine import Machine, Process, StalledError

MIB = 1 << 20
EVERY_BYTE = bytes(range(256))


def test_output_and_errors_stay_apart(busybox: Machine) -> None:
    result = busybox.script("echo out; echo err >&2; echo more out")
    assert (result.stdout, result.stderr) == (b"out\nmore out\n", b"err\n")


def test_bytes_pass_unchanged_both_ways(busybox: Machine) -> None:
    data = EVERY_BYTE + os.urandom(3 * MIB)
    result = busybox.script("tee /dev/stderr", input=data)
    assert result.status == 0
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()
    assert hashlib.sha256(result.stderr).digest() == hashlib.sha256(data).digest()


def test_much_input_reaches_the_program(busybox: Machine, tmp_path: Path) -> None:
    data = os.urandom(MIB) * 8
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as file:
        result = busybox.run("sha256sum", input=file.fileno())
    assert result.text.split()[0] == hashlib.sha256(data).hexdigest()


def test_output_to_a_file_continues_where_the_file_is(busybox: Machine, tmp_path: Path) -> None:
    target = tmp_path / "log"
    inside = f"{busybox.path} sh -c 'echo inside; echo error >&2'"
    command = f"(echo before; {inside}; echo after) >>{target} 2>&1"
    subprocess.run(["sh", "-c", command], check=True, stdin=subprocess.DEVNULL)
    lines = target.read_text().split()
    assert lines[0] == "before" and lines[-1] == "after"
    assert sorted(lines[1:-1]) == ["error", "inside"]


def test_end_of_input_reaches_the_program(busybox: Machine) -> None:
    process = busybox.start_script("cat; echo after the end")
    os.write(process.stdin, b"word\n")
    process.expect(b"word\n")
    process.close_stdin()
    process.expect(b"after the end\n")
    assert process.wait() == 0


def test_empty_input(busybox: Machine) -> None:
    with Path(os.devnull).open("rb") as null:
        assert busybox.script("wc -c", input=null.fileno()).text == "0\n"


@pytest.mark.parametrize("closed", [0, 1, 2], ids=["stdin", "stdout", "stderr"])
def test_a_stream_closed_at_the_start(busybox: Machine, closed: int) -> None:
    result = busybox.script("cat; echo out; echo err >&2; exit 7", prepare=lambda: os.close(closed))
    assert result.status == 7
    assert result.stdout == (b"" if closed == 1 else b"out\n")
    assert result.stderr == (b"" if closed == 2 else b"err\n")


def test_all_streams_closed_at_the_start(busybox: Machine) -> None:
    result = busybox.script("exit 7", prepare=lambda: os.closerange(0, 3))
    assert result.status == 7


def test_reader_sees_the_end_when_the_program_closes_its_output(busybox: Machine) -> None:
    process = busybox.start_script("echo last; exec >&-; read line; exit 5")
    assert process.expect_end() == b"last\n"
    assert process.popen.poll() is None
    os.write(process.stdin, b"\n")
    assert process.wait() == 5


def test_writer_is_told_when_the_program_closes_its_input(busybox: Machine) -> None:
    process = busybox.start_script("exec <&-; echo closed; while :; do sleep 1000; done")
    process.expect(b"closed\n")
    with pytest.raises(BrokenPipeError):
        while True:
            assert select.select([], [process.stdin], [], 30)[1], "the writer hangs"
            os.write(process.stdin, bytes(4096))


def test_head_ends_an_endless_writer_before_it(busybox: Machine) -> None:
    """yes | ./vm head -1"""
    writer = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    assert writer.stdout
    with writer:
        result = busybox.run("head", "-1", input=writer.stdout.fileno())
        writer.stdout.close()
        assert writer.wait(30) == -13  # SIGPIPE: nobody holds the pipe any more
    assert (result.status, result.stdout) == (0, b"y\n")


def test_head_behind_an_endless_program_ends_it(busybox: Machine) -> None:
    """./vm yes | head -1"""
    process = busybox.start("yes")
    process.expect(b"y\n")
    assert process.popen.stdout
    process.popen.stdout.close()
    assert process.wait() == 128 + 13


def test_program_that_handles_a_broken_pipe_goes_on(busybox: Machine) -> None:
    process = busybox.start_script(
        "trap '' PIPE; echo first; read line; while echo more 2>/dev/null; do :; done; exit 9"
    )
    process.expect(b"first\n")
    assert process.popen.stdout
    process.popen.stdout.close()
    os.write(process.stdin, b"\n")
    assert process.wait() == 9


# Says how often the writer went to sleep, until that does not change any more.
WATCHED_WRITER = """
head -c {size} /dev/zero & writer=$!
before=
while now=$(grep ^voluntary /proc/$writer/status) && [ "$now" != "$before" ]; do
	before=$now
	sleep 0.3
done
echo stopped >&2
wait $writer
echo done >&2
"""


def test_slow_reader_stops_the_writer_and_memory_stays_flat(busybox: Machine) -> None:
    size = 24 * MIB
    process = busybox.start_script(WATCHED_WRITER.format(size=size))
    process.expect(b"stopped\n", process.stderr)
    before = own_memory(process)
    assert len(process.expect_end()) == size
    process.expect(b"done\n", process.stderr)
    assert process.wait() == 0
    assert before < 4 * MIB


def test_a_long_stream_both_ways_in_flat_memory(busybox: Machine) -> None:
    process = busybox.start("cat")
    feeder = os.fork()
    if not feeder:
        feed(process.stdin, 48 * MIB)
    process.close_stdin()
    received = count_bytes(process, 16 * MIB)
    before = own_memory(process)
    received += count_bytes(process, 24 * MIB)
    after = own_memory(process)
    received += len(process.expect_end())
    os.waitpid(feeder, 0)
    assert received == 48 * MIB
    assert after - before < MIB // 2
    assert process.wait() == 0


def feed(descriptor: int, size: int) -> None:
    """In a child process: write zeros, and end."""
    try:
        while size:
            size -= os.write(descriptor, bytes(min(size, 1 << 16)))
    finally:
        os._exit(0)


def count_bytes(process: Process, wanted: int) -> int:
    """Read at least that much."""
    received = 0
    while received < wanted:
        if not select.select([process.stdout], [], [], 60)[0]:
            raise StalledError(f"the stream stopped after {received} bytes")
        data = os.read(process.stdout, 1 << 16)
        if not data:
            ending = f"status {process.wait()}, {process.errors(process.stdout)}"
            raise AssertionError(f"the stream ended after {received} bytes: {ending}")
        received += len(data)
    return received


def own_memory(process: Process) -> int:
    """Resident bytes of the launcher that are no guest's memory (mappings of 16 MiB and up)."""
    resident = size = 0
    for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        if match := re.match(r"Size: +(\d+) kB", line):
            size = int(match[1])
        elif (match := re.match(r"Rss: +(\d+) kB", line)) and size < 16 << 10:
            resident += int(match[1]) << 10
    return resident
