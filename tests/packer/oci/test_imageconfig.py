"""What images say about how they are run, and what only a hostile one says."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolpack.errors import ImageError
from smolpack.oci import imageconfig
from smolpack.oci.base import ContainerImage
from smolpack.settings import Settings


def read(config: bytes) -> Settings:
    return imageconfig.settings(ContainerImage("app:1", "sha256:0", config, ()))


def read_fields(**fields: Any) -> Settings:
    document = {"architecture": "amd64", "os": "linux", "config": fields, "rootfs": {}}
    return read(json.dumps(document).encode())


def test_everything_that_is_kept() -> None:
    found = read_fields(
        Entrypoint=["/entry", "point"],
        Cmd=["cmd"],
        Env=["PATH=/bin", "EMPTY=", "A=b=c"],
        WorkingDir="/srv",
        User="app:1000",
        ExposedPorts={"8080/tcp": {}, "53/udp": {}, "81": {}},
        Volumes={"/data": {}, "/cache": {}},
        StopSignal="SIGRTMIN+3",
        Labels={"maintainer": "you", "empty": ""},
        Healthcheck={
            "Test": ["CMD-SHELL", "true"],
            "Interval": 10**10,
            "Unknown": [],
            "Retries": 3,
        },
        Shell=["/bin/bash", "-c"],
        ArgsEscaped=True,
        OnBuild=["RUN x"],
        Hostname="ignored",
    )
    assert found == Settings(
        entrypoint=("/entry", "point"),
        cmd=("cmd",),
        env=("PATH=/bin", "EMPTY=", "A=b=c"),
        workdir="/srv",
        user="app:1000",
        exposed_ports=("53/udp", "8080/tcp", "81/tcp"),
        volumes=("/cache", "/data"),
        stop_signal=37,
        labels=("maintainer=you", "empty="),
        healthcheck='{"Interval":10000000000,"Retries":3,"Test":["CMD-SHELL","true"]}',
        shell=("/bin/bash", "-c"),
    )


@pytest.mark.parametrize(
    "config",
    [
        b"{}",
        b'{"config": null}',
        b'{"config": {}}',
        b'{"config": {"Entrypoint": null, "Cmd": [], "Env": null, "WorkingDir": "", "User": "", '
        b'"ExposedPorts": null, "Volumes": {}, "StopSignal": "", "Labels": null, '
        b'"Healthcheck": null, "Shell": null}}',
        b'{"config": {"Entrypoint": [""], "Healthcheck": {}}}',
    ],
)
def test_what_says_nothing(config: bytes) -> None:
    assert read(config) == Settings(user="0")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Entrypoint": "/bin/sh"}, "Entrypoint is not an array"),
        ({"Cmd": [1]}, "Cmd has something that is not a string"),
        ({"Cmd": ["a\0"]}, "Cmd has a NUL byte"),
        ({"Cmd": ["\ud800"]}, "Cmd has a string that is not Unicode"),
        ({"Env": ["A"]}, "Env 'A': expected NAME=value"),
        ({"Env": ["=a"]}, "Env '=a'"),
        ({"Env": ["x" * 1000]}, "Env 'xxx"),
        ({"WorkingDir": "srv"}, "WorkingDir 'srv': must be an absolute path"),
        ({"User": "a:b:c"}, "User 'a:b:c'"),
        ({"User": 0}, "User has something"),
        ({"ExposedPorts": ["80"]}, "ExposedPorts is not an object"),
        ({"ExposedPorts": {"http": {}}}, "ExposedPorts 'http'"),
        ({"Volumes": {"data": {}}}, "Volumes 'data'"),
        ({"StopSignal": "SIGNOPE"}, "StopSignal 'SIGNOPE': no signal"),
        ({"Labels": {"a": 1}}, "Labels has something"),
        ({"Labels": {"": "x"}}, "Labels '=x'"),
        ({"Healthcheck": []}, "Healthcheck is not an object"),
        ({"Healthcheck": {"Test": "true"}}, "Healthcheck: Test must be"),
        ({"Shell": {}}, "Shell is not an array"),
    ],
)
def test_what_no_engine_could_run(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_fields(**fields)
    text = str(caught.value)
    assert text.startswith("app:1: its configuration is damaged: ") and message in text
    assert len(text) < 400


@pytest.mark.parametrize(
    "config", [b"", b"\xff", b"[]", b"{", b'{"config": 1}', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_no_configuration(config: bytes) -> None:
    with pytest.raises(ImageError, match="app:1: its configuration is"):
        read(config)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields_of_images = st.sampled_from(
    ["Entrypoint", "Cmd", "Env", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels", "Shell"]
)


@given(st.dictionaries(fields_of_images, json_values, max_size=3))
def test_hostile(fields: dict[str, Any]) -> None:
    with contextlib.suppress(ImageError):
        read_fields(**fields)


@given(st.binary(max_size=200))
def test_hostile_bytes(config: bytes) -> None:
    with contextlib.suppress(ImageError):
        read(config)
