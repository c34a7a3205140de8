"""Times of allowed_signers; test_allowed_signers.py asks ssh-keygen what they mean."""

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolsign import timestamps


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20240229Z", 1709164800),
        ("202402291234Z", 1709210040),
        ("20240229123456Z", 1709210096),
        ("20240229123456z", 1709210096),
        ("20240229123456UTC", 1709210096),
        ("19700101000001Z", 1),
        ("99991231235959Z", 253402300799),
    ],
)
def test_utc(text: str, seconds: int) -> None:
    assert timestamps.parse(text) == seconds


def test_local_time_has_no_summer(set_zone: Callable[[str], None]) -> None:
    set_zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert time.localtime(1720000000).tm_isdst == 1
    assert timestamps.parse("20240101") == timestamps.parse("202312312300Z")
    assert timestamps.parse("20240701") == timestamps.parse("202406302300Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2024",
        "2024022",
        "2024022912",
        "2024022912345",
        "2024-02-29",
        " 20240229",
        "20240229 ",
        "20240229+01",
        "20240229ZZ",
        "\uff12\uff10240229",
        "20230229Z",
        "20241301Z",
        "20240001Z",
        "20240100Z",
        "20240132Z",
        "00000101Z",
        "202401012400Z",
        "202401011260Z",
        "20240101123461Z",
        "19691231Z",
        "19700101Z",
    ],
)
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        timestamps.parse(text)


@given(st.integers(1, 253402300799))
def test_times_survive_a_round_trip(seconds: int) -> None:
    assert timestamps.parse(timestamps.show(seconds)) == seconds


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert timestamps.parse(text) > 0
