"""What a program finds around it."""

import os
import time

import pytest
from machine import Machine

# Under emulation nothing but the round trip of the first message tells the guest the time.
CLOCK_ERROR_MS = {"kvm": 10, "qemu": 100}

# Name and command; each prints one line, and all of them run in one machine.
FACTS = {
    "devices": "stat -c '%n %F %t,%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom "
    "/dev/tty /dev/ptmx | tr '\\n' ';'",
    "links": "for name in fd stdin stdout stderr; do readlink /dev/$name; done | tr '\\n' ' '",
    "mounts": "awk '{print $2 \":\" $3}' /proc/mounts | tr '\\n' ' '",
    "full": "echo x 2>&1 >/dev/full | sed 's/.*: //'",
    "zero": "head -c 4 /dev/zero | od -An -tx1",
    "stdout by name": "echo through /dev/stdout >/dev/stdout",
    "fd": "echo through /dev/fd/1 >/dev/fd/1",
    "shm": "stat -c %a /dev/shm && echo x >/dev/shm/x",
    "tmp": "stat -c %a /tmp && echo x >/tmp/x",
    "run": "echo x >/run/x && echo writable",
    "hostname": "hostname",
    "uname": "uname -sm",
    "processors": "nproc",
    "memory": "free -m | awk '/^Mem/ {print $2}'",
    "files": "ulimit -n",
    "processes": "ulimit -u",
    "stack": "ulimit -s",
    "core": "ulimit -c",
    "umask": "umask",
    "directory": "pwd",
    "user": "id",
    "home": "echo $HOME",
    "entropy": "cat /proc/sys/kernel/random/entropy_avail",
    "loopback": "ping -c 1 -W 5 127.0.0.1 >/dev/null && echo reachable",
    "descriptors": "ls /proc/self/fd | tr '\\n' ' '",
    "session": "[ $(awk '{print $6}' /proc/$$/stat) -ne 0 ] && echo some",
    "blocked": "awk '/SigBlk|SigIgn/ {print $2}' /proc/self/status | sort -u | tr '\\n' ' '",
    "root": "echo x >/new && mkdir /etc/new && mv /etc/passwd /etc/moved && echo writable",
    "group": "[ $(awk '{print $5}' /proc/$$/stat) = $$ ] && echo its own",
}


@pytest.fixture(scope="module")
def facts(machines) -> dict[str, str]:
    """What each command printed."""
    script = "\n".join(f"echo '<{name}>'; {command}; echo" for name, command in FACTS.items())
    result = machines("busybox").script(script)
    assert result.status == 0 and not result.stderr, result.stderr
    found = {}
    for part in result.text.split("<")[1:]:
        name, _, text = part.partition(">\n")
        found[name] = text.strip()
    return found


def test_devices(facts: dict[str, str]) -> None:
    numbers = {
        **{"null": "1,3", "zero": "1,5", "full": "1,7", "random": "1,8", "urandom": "1,9"},
        **{"tty": "5,0", "ptmx": "5,2"},
    }
    found = facts["devices"].strip(";").split(";")
    assert found == [
        f"/dev/{name} character special file {number} 666" for name, number in numbers.items()
    ]
    assert facts["full"] == "No space left on device"
    assert facts["zero"] == "00 00 00 00"


def test_standard_streams_by_name(facts: dict[str, str]) -> None:
    descriptors = "/proc/self/fd"
    assert facts["links"].split() == [descriptors, *(f"{descriptors}/{fd}" for fd in range(3))]
    assert facts["stdout by name"] == "through /dev/stdout"
    assert facts["fd"] == "through /dev/fd/1"


def test_mounts(facts: dict[str, str]) -> None:
    mounted = dict(entry.split(":") for entry in facts["mounts"].split())
    expected = {
        **{"/": "overlay", "/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs"},
        **{"/dev/pts": "devpts", "/dev/shm": "tmpfs", "/sys/fs/cgroup": "cgroup2"},
    }
    assert {target: mounted.get(target) for target in expected} == expected


def test_writable_places(facts: dict[str, str]) -> None:
    assert facts["tmp"] == facts["shm"] == "1777"
    assert facts["run"] == facts["root"] == "writable"


def test_name_kind_and_size_of_the_machine(facts: dict[str, str]) -> None:
    assert facts["hostname"] == "smolpack"
    assert facts["uname"] == "Linux x86_64"
    assert facts["processors"] == "1"
    assert 470 <= int(facts["memory"]) <= 512


def test_process_is_started_as_a_login_would(facts: dict[str, str]) -> None:
    assert facts["directory"] == "/"
    assert facts["user"].startswith("uid=0(root) gid=0(root)")
    assert facts["home"] == "/root"
    assert facts["umask"] == "0022"
    assert facts["blocked"] == "0000000000000000"
    assert facts["group"] == "its own"
    assert facts["session"] == "some"
    assert facts["descriptors"] == "0 1 2 3"  # 3 is the listing's own


def test_resource_limits(facts: dict[str, str]) -> None:
    assert int(facts["files"]) >= 1024
    assert int(facts["processes"]) >= 1000
    assert facts["stack"] == "8192"
    assert facts["core"] == "0"


def test_loopback_network(facts: dict[str, str]) -> None:
    assert facts["loopback"] == "reachable"


def test_random_numbers_are_seeded_and_differ_between_machines(
    busybox: Machine, facts: dict[str, str]
) -> None:
    assert int(facts["entropy"]) >= 256
    script = "dmesg | grep -c 'crng init done'; head -c 32 /dev/urandom | od -An -tx1 -w32"
    first, second = (busybox.script(script).text.split("\n") for _ in range(2))
    assert len(first[1].split()) == 32
    assert first[1] != second[1]


def test_what_a_run_writes_is_gone_in_the_next(busybox: Machine) -> None:
    look = "ls /new /etc/passwd 2>/dev/null"
    script = f"{look}; rm /etc/passwd; echo x >/new; {look}"
    for _ in range(2):
        assert busybox.script(script).text == "/etc/passwd\n/new\n"


def test_wall_clock(busybox: Machine, accelerator: str) -> None:
    allowed_ns = CLOCK_ERROR_MS[accelerator] * 1_000_000
    process = busybox.start("tell-time")
    for _ in range(5):
        before = time.time_ns()
        os.write(process.stdin, b"?")
        told = int(process.expect(b"\n"))
        after = time.time_ns()
        assert before - allowed_ns <= told <= after + allowed_ns
    process.close_stdin()
    assert process.wait() == 0


def test_auto_chooses_kvm_where_it_works_else_qemu(busybox: Machine, accelerator: str) -> None:
    clocks = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
    result = busybox.run("--vm-debug", "cat", clocks)
    assert f"accelerator: {accelerator}" in result.stderr.decode()
    assert ("kvm-clock" in result.text) == (accelerator == "kvm")


def test_nothing_is_said_about_the_fallback_unasked(busybox: Machine) -> None:
    assert busybox.run("true").stderr == b""
