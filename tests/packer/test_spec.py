"""Sizes, commands and the limits of what can be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolpack.errors import SpecError
from smolpack.spec import RunDefaults, format_size, parse_command, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("2G", 2 << 30), ("1GiB", 1 << 30), ("64k", 64 << 10), ("100", 100)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size("--mem", text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12X", "1 M", "٣M"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(SpecError, match=r"--mem .*expected a number"):
        parse_size("--mem", text)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_formatted_sizes_read_back(size: int) -> None:
    assert parse_size("--mem", format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/bin/sh -c 'a b'", ("/bin/sh", "-c", "a b")),
        ('["/bin/sh", "-c", "a  b"]', ("/bin/sh", "-c", "a  b")),
        ("", ()),
    ],
)
def test_commands(text: str, words: tuple[str, ...]) -> None:
    assert parse_command("--cmd", text) == words


@pytest.mark.parametrize("text", ["'open", "[1]", '["a"', '["a"] b'])
def test_bad_commands(text: str) -> None:
    with pytest.raises(SpecError, match="--cmd"):
        parse_command("--cmd", text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cpus": 0}, "--cpus 0"),
        ({"cpus": 33}, "--cpus 33"),
        ({"memory": (32 << 20) - 1}, "at least 32M"),
        ({"memory": 1 << 60}, "--mem"),
        ({"env": ("A",)}, "--env 'A'"),
        ({"env": ("=b",)}, "--env"),
        ({"labels": ("A",)}, "--label"),
        ({"workdir": "tmp"}, "--workdir"),
        ({"user": "a:b:c"}, "--user"),
        ({"user": ""}, "--user"),
        ({"user": "a:"}, "--user"),
        ({"hostname": "-a"}, "--hostname"),
        ({"hostname": "a" * 65}, "--hostname"),
        ({"cmd": ("a\0b",)}, "NUL"),
        ({"cmd": ("",)}, "empty"),
    ],
)
def test_what_no_machine_could_run_with(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        RunDefaults(**wrong)  # type: ignore[arg-type]


def test_limits_are_included() -> None:
    RunDefaults(cpus=32, memory=32 << 20, user="1000:users", workdir="/", hostname="a.b-c")
