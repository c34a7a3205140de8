"""The config section reads back as it was written."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolpack import config
from smolpack import format as layout
from smolpack.config import Config
from smolpack.errors import FormatError, SpecError
from smolpack.spec import RunDefaults

# Any bytes without NUL, as command lines and environments carry them.
texts = st.binary(max_size=40).map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
words = st.lists(texts.filter(bool), max_size=4).map(tuple)
assignments = st.lists(st.builds("N{}={}".format, st.integers(0, 9), texts), max_size=4).map(tuple)


@given(
    run=st.builds(
        RunDefaults,
        entrypoint=words,
        cmd=words,
        env=assignments,
        labels=assignments,
        workdir=st.none() | texts.map("/{}".format),
        user=st.sampled_from([None, "root", "1000:1000"]),
        cpus=st.integers(1, 32),
        memory=st.integers(32 << 20, 1 << 46),
        name=st.none() | texts.filter(bool),
        stop_signal=st.none() | st.integers(1, 64),
        exposed_ports=st.lists(st.sampled_from(["80/tcp", "53-54/udp"]), unique=True).map(tuple),
        volumes=st.lists(texts.map("/{}".format), max_size=2).map(tuple),
        healthcheck=st.sampled_from([None, "{}", '{"Test":["CMD","a"]}']),
        shell=words,
    ),
    source=st.none() | texts,
)
def test_round_trip(run: RunDefaults, source: str | None) -> None:
    written = Config(run=run, source=source, tool="smolpack 1, tar2sqfs 2")
    assert config.decode(config.encode(written)) == written


def test_bytes() -> None:
    written = Config(run=RunDefaults(cmd=("sh", "-c"), env=("A=b=c",)), kernel_version="6.12")
    assert config.encode(written) == (
        b"cmd=sh\0cmd=-c\0env=A=b=c\0hostname=smolpack\0cpus=1\0mem=536870912\0"
        b"kernel-version=6.12\0"
    )


def test_unknown_keys_are_left_out() -> None:
    plain = config.encode(Config(run=RunDefaults()))
    assert config.decode(plain + b"colour=blue\0") == config.decode(plain)


@pytest.mark.parametrize(
    "data",
    [
        b"cpus=1\0mem=536870912\0",
        b"hostname=a\0cpus=x\0mem=536870912\0",
        b"hostname=a\0cpus=99\0mem=536870912\0",
        b"hostname=a\0cpus=1\0mem=1\0",
        b"hostname=a\0cpus=1\0cpus=1\0mem=536870912\0",
        b"hostname=a\0cpus=1\0mem=536870912",
        b"hostname=a\0cpus=1\0mem=536870912\0stop-signal=TERM\0",
        b"hostname=a\0cpus=1\0mem=536870912\0exposed-port=x\0",
        b"hostname=a\0cpus=1\0mem=536870912\0healthcheck=none\0",
        b"hostname=a\0cpus=1\0mem=536870912\0smolfile=[]\0",
        b"hostname=a\0cpus=1\0mem=536870912\0smolfile=" + b"[" * 100_000 + b"\0",
        b"hostname\0",
        b"=a\0",
        b"\0",
        bytes(layout.MAX_CONFIG + 1),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(FormatError, match="damaged"):
        config.decode(data)


@given(st.binary(max_size=200))
def test_hostile(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        config.decode(data)


def test_too_large() -> None:
    with pytest.raises(SpecError, match="together need"):
        config.encode(Config(run=RunDefaults(cmd=("x" * layout.MAX_CONFIG,))))


def test_documentation_tabulates_every_key() -> None:
    every = Config(
        run=RunDefaults(
            entrypoint=("a",),
            cmd=("b",),
            env=("c=d",),
            labels=("e=f",),
            workdir="/",
            user="root",
            name="g",
            stop_signal=3,
            exposed_ports=("80/tcp",),
            volumes=("/v",),
            healthcheck="{}",
            shell=("sh",),
        ),
        kernel_version="1",
        kernel_config="2",
        source="3",
        source_size=5,
        image="i",
        image_digest="sha256:0",
        smolfile="{}",
        date=6,
        tool="4",
    )
    written = [record.partition(b"=")[0].decode() for record in config.encode(every).split(b"\0")]
    text = (Path(__file__).parents[2] / "docs/format.md").read_text()
    _, _, section = text.partition("## Config section")
    documented = re.findall(r"^\| `([a-z-]+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert documented == written[:-1]
