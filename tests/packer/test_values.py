"""Values as people write them, and how they are written back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolpack.errors import SpecError
from smolpack.values import (
    format_size,
    parse_command,
    parse_healthcheck,
    parse_port,
    parse_signal,
    parse_size,
    signal_name,
)


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
    ("text", "number"),
    [("SIGTERM", 15), ("int", 2), ("9", 9), ("SIGSYS", 31), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)],
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal("--stop-signal", text) == number


@pytest.mark.parametrize(
    "text", ["", "SIG", "TERMINATE", "0", "65", "-1", "SIG15", "RTMIN+31", "RTMAX-99", "1.5", "٣"]
)
def test_bad_signals(text: str) -> None:
    with pytest.raises(SpecError, match=r"--stop-signal .*no signal"):
        parse_signal("--stop-signal", text)


@given(st.integers(1, 64))
def test_names_of_signals_read_back(number: int) -> None:
    assert parse_signal("--stop-signal", signal_name(number)) == number


@pytest.mark.parametrize(
    ("text", "port"),
    [("80", "80/tcp"), ("53/udp", "53/udp"), ("080", "80/tcp"), ("8000-8010/tcp", "8000-8010/tcp")],
)
def test_ports(text: str, port: str) -> None:
    assert parse_port("--expose", text) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "http", "80/icmp", "9-8", "80/", "80:80", "٣"])
def test_bad_ports(text: str) -> None:
    with pytest.raises(SpecError, match=r"--expose .*expected PORT"):
        parse_port("--expose", text)


def test_health_checks() -> None:
    text = parse_healthcheck("--healthcheck", '{"Timeout": 1, "Test": ["CMD", "\\ud800"]}')
    assert text == '{"Test":["CMD","\\ud800"],"Timeout":1}'
    assert parse_healthcheck("--healthcheck", text) == text
    assert json.loads(parse_healthcheck("--healthcheck", "none")) == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"Test": "a"}',
        '{"Test": ["a\\u0000"]}',
        '{"Retries": true}',
        '{"Timeout": -1}',
        '{"Timeout": 1.5}',
        '{"Interval": 99999999999999999999}',
        '{"test": []}',
    ],
)
def test_bad_health_checks(text: str) -> None:
    with pytest.raises(SpecError, match="--healthcheck"):
        parse_healthcheck("--healthcheck", text)
