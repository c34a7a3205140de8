"""The limits of what can be asked for."""

import pytest

from smolpack.errors import SpecError
from smolpack.spec import RunDefaults


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
        ({"stop_signal": 65}, "--stop-signal '65'"),
        ({"exposed_ports": ("http",)}, "--expose 'http'"),
        ({"volumes": ("data",)}, "--volume 'data'"),
        ({"healthcheck": "none"}, "--healthcheck"),
        ({"healthcheck": "[]"}, "--healthcheck"),
        ({"shell": ("a\0b",)}, "NUL"),
        ({"cmd": ("a\0b",)}, "NUL"),
        ({"cmd": ("",)}, "empty"),
    ],
)
def test_what_no_machine_could_run_with(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        RunDefaults(**wrong)  # type: ignore[arg-type]


def test_limits_are_included() -> None:
    RunDefaults(cpus=32, memory=32 << 20, user="1000:users", workdir="/", hostname="a.b-c")
