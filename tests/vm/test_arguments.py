"""Words, environment and options on the command line of a packed file."""

import os

import pytest
from machine import Machine

AWKWARD = [
    *("two words", "", "'single'", '"double"', "new\nline", "tab\t", "$HOME `id` $(id)", "\\", "*"),
    *("--vm-not-for-the-launcher", "-", "--", "ä€𝄞", "a=b"),
]


def words(machine: Machine, *arguments: str | bytes, **options) -> list[bytes]:
    """What the program behind `words` was started with, after its entrypoint."""
    result = machine.run(*arguments, **options)
    assert result.status == 0, result.stderr
    first, *rest, end = result.stdout.split(b"\0")
    assert (first, end) == (b"fixed", b"")
    return rest


def test_arguments_replace_cmd_and_follow_the_entrypoint(machine) -> None:
    assert words(machine("words")) == [b"default", b"two words"]
    assert words(machine("words"), "mine") == [b"mine"]


def test_awkward_arguments_arrive_unchanged(machine) -> None:
    assert words(machine("words"), "first", *AWKWARD) == [b"first", *(w.encode() for w in AWKWARD)]


def test_arguments_that_are_not_utf8_arrive_unchanged(machine) -> None:
    assert words(machine("words"), b"\xff\xfe", bytes(range(1, 256))) == [
        b"\xff\xfe",
        bytes(range(1, 256)),
    ]


def test_double_dash_ends_the_options_and_is_dropped(machine) -> None:
    assert words(machine("words"), "--vm-cpus", "1", "--", "--vm-mem", "x") == [b"--vm-mem", b"x"]
    assert words(machine("words"), "--", "--", "a") == [b"--", b"a"]


def test_no_arguments_behind_double_dash_means_cmd(machine) -> None:
    assert words(machine("words"), "--") == [b"default", b"two words"]


def test_many_and_long_arguments_arrive(machine) -> None:
    given = ["x" * 100_000, *(str(i) for i in range(5000))]
    assert words(machine("words"), *given) == [word.encode() for word in given]


def test_environment_holds_what_is_packed_and_given_and_nothing_of_the_host(machine) -> None:
    big = "x" * 100_000
    result = machine("configured").run(
        *("--vm-env", "REPLACED=from outside", "--vm-env=ADDED=a=b c", "--vm-env", "EMPTY="),
        *("--vm-env", f"BIG={big}", "cat /proc/self/environ"),
        env={**os.environ, "SECRET_OF_THE_HOST": "1"},
    )
    assert result.status == 0, result.stderr
    entries = [entry.partition("=")[::2] for entry in result.text.split("\0") if entry]
    environment = dict(entries)
    assert len(environment) == len(entries), "a variable is there twice"
    assert environment.pop("PATH").endswith("/bin")
    for by_the_shell in ("PWD", "OLDPWD", "SHLVL", "_"):
        environment.pop(by_the_shell, None)
    assert environment == {
        "PACKED": "from the file",
        "REPLACED": "from outside",
        "ADDED": "a=b c",
        "EMPTY": "",
        "BIG": big,
        "HOME": "/home/user",
    }


def test_packed_settings_hold_unless_options_replace_them(machine) -> None:
    facts = "id -un; id -gn; pwd; hostname; nproc; grep MemTotal /proc/meminfo | tr -dc 0-9"
    packed = machine("configured").run(facts).text.split()
    assert packed[:5] == ["user", "staff", "/home/user", "configured", "2"]
    assert 60 << 10 < int(packed[5]) <= 96 << 10
    given = machine("configured").run("--vm-cpus", "1", "--vm-mem", "200M", facts).text.split()
    assert given[:5] == ["user", "staff", "/home/user", "configured", "1"]
    assert 160 << 10 < int(given[5]) <= 200 << 10


def test_programs_of_a_user_can_use_their_streams_by_name(machine) -> None:
    script = "echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin"
    result = machine("configured").run(script, input=b"in\n")
    assert (result.stdout, result.stderr) == (b"out\nin\n", b"err\n")


@pytest.mark.parametrize("cpus", [2, 4])
def test_processors(busybox: Machine, cpus: int) -> None:
    script = "nproc; grep -c ^processor /proc/cpuinfo; count-threads 64"
    result = busybox.run("--vm-cpus", str(cpus), "sh", "-c", script)
    assert result.text.split("\n") == [str(cpus), str(cpus), "64 threads", ""]


def test_smallest_memory_is_enough(busybox: Machine) -> None:
    result = busybox.run("--vm-mem", "32M", "sh", "-c", "echo up; grep MemTotal /proc/meminfo")
    assert result.status == 0, result.stderr
    assert result.text.startswith("up\n")


def test_console_shows_the_kernel_log_on_stderr(busybox: Machine) -> None:
    result = busybox.run("--vm-console", "echo", "out")
    assert (result.status, result.stdout) == (0, b"out\n")
    assert b"Linux version" in result.stderr and b"Command line" in result.stderr


def test_help_and_info_need_no_machine(busybox: Machine) -> None:
    for option, wanted in (("--vm-help", b"--vm-timeout"), ("--vm-info", b"kernel")):
        result = busybox.run(option, env={"PATH": ""})
        assert result.status == 0
        assert wanted in result.stdout and result.stderr == b""


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("--vm-mem", "31M"), "at least 32M"),
        (("--vm-mem", "lots"), "like 512M"),
        (("--vm-mem", "100T"), "the host has"),
        (("--vm-mem",), "needs a size"),
        (("--vm-cpus", "0"), "1 to 32"),
        (("--vm-cpus", "33"), "1 to 32"),
        (("--vm-cpus", "two"), "1 to 32"),
        (("--vm-timeout", "soon"), "like 30s"),
        (("--vm-timeout", "0"), "like 30s"),
        (("--vm-accel", "magic"), "kvm, qemu or auto"),
        (("--vm-env", "NOVALUE"), "NAME=VALUE"),
        (("--vm-help=yes",), "takes no value"),
        (("--vm-unknown",), "--vm-help"),
    ],
    ids=" ".join,
)
def test_wrong_option(busybox: Machine, given: tuple[str, ...], complaint: str) -> None:
    result = busybox.run(*given)
    assert (result.status, result.stdout) == (125, b"")
    assert complaint in result.complaint
