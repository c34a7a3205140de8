"""The config section: run defaults and provenance as `key=value` NUL records."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from smolpack import format as layout
from smolpack import sections
from smolpack.artifact import Artifact
from smolpack.errors import FormatError, SpecError
from smolpack.format import SectionType
from smolpack.spec import RunDefaults

_REPEATED = ("entrypoint", "cmd", "env", "label", "exposed-port", "volume", "shell")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the config section says.

    `kernel_config` and `source` are SHA-256 in hexadecimal: of the kernel's configuration and
    of the tar stream that the root file system was made from; `source_size` is that stream's
    size in bytes. `image` is the reference of the container image that the stream was made from,
    `image_digest` its digest, `smolfile` a JSON object: what a Smolfile asks for and nothing here
    does yet. `date` is the SOURCE_DATE_EPOCH that was set. `tool` names the programs that made the
    file. Nothing depends on when or where it was made.
    """

    run: RunDefaults
    kernel_version: str | None = None
    kernel_config: str | None = None
    source: str | None = None
    source_size: int | None = None
    image: str | None = None
    image_digest: str | None = None
    smolfile: str | None = None
    date: int | None = None
    tool: str | None = None


def encode(config: Config) -> bytes:
    """The section's bytes; raises SpecError when they exceed the format's 1 MiB."""
    data = b"".join(
        key.encode() + b"=" + value.encode("utf-8", "surrogateescape") + b"\0"
        for key, value in _records(config)
    )
    if len(data) > layout.MAX_CONFIG:
        raise SpecError(
            f"command, environment and labels together need {len(data)} bytes, "
            f"{layout.MAX_CONFIG} are allowed"
        )
    return data


def read(file: BinaryIO, contents: Artifact) -> Config:
    """What a packed machine's section says; raises FormatError for one that is damaged."""
    return decode(sections.read(file, contents.section(SectionType.CONFIG)))


def decode(data: bytes) -> Config:
    """The inverse of encode(). Keys that this version does not know are left out; raises
    FormatError for anything malformed."""
    single: dict[str, str] = {}
    repeated: dict[str, list[str]] = {key: [] for key in _REPEATED}
    if len(data) > layout.MAX_CONFIG:
        raise FormatError("damaged: the config section is too large")
    if data and not data.endswith(b"\0"):
        raise FormatError("damaged: the config section's last record has no end")
    for record in data.split(b"\0")[:-1]:
        raw_key, separator, raw_value = record.partition(b"=")
        key = raw_key.decode("ascii", "replace")
        value = raw_value.decode("utf-8", "surrogateescape")
        if not raw_key or not separator:
            raise FormatError("damaged: a record of the config section is not key=value")
        if key in repeated:
            repeated[key].append(value)
        elif key in single:
            raise FormatError(f"damaged: the config section has {key!r} twice")
        else:
            single[key] = value
    try:
        run = RunDefaults(
            entrypoint=tuple(repeated["entrypoint"]),
            cmd=tuple(repeated["cmd"]),
            env=tuple(repeated["env"]),
            labels=tuple(repeated["label"]),
            workdir=single.get("workdir"),
            user=single.get("user"),
            hostname=_required(single, "hostname"),
            cpus=_number(single, "cpus"),
            memory=_number(single, "mem"),
            name=single.get("name"),
            stop_signal=_number(single, "stop-signal") if "stop-signal" in single else None,
            exposed_ports=tuple(repeated["exposed-port"]),
            volumes=tuple(repeated["volume"]),
            healthcheck=single.get("healthcheck"),
            shell=tuple(repeated["shell"]),
        )
    except SpecError as error:
        raise FormatError(f"damaged: the config section says {error}") from error
    return Config(
        run=run,
        kernel_version=single.get("kernel-version"),
        kernel_config=single.get("kernel-config"),
        source=single.get("source"),
        source_size=_number(single, "source-size") if "source-size" in single else None,
        image=single.get("image"),
        image_digest=single.get("image-digest"),
        smolfile=_object(single, "smolfile") if "smolfile" in single else None,
        date=_number(single, "date") if "date" in single else None,
        tool=single.get("tool"),
    )


def _records(config: Config) -> Iterator[tuple[str, str]]:
    run = config.run
    ordered: tuple[tuple[str, str | int | tuple[str, ...] | None], ...] = (
        ("name", run.name),
        ("entrypoint", run.entrypoint),
        ("cmd", run.cmd),
        ("env", run.env),
        ("workdir", run.workdir),
        ("user", run.user),
        ("hostname", run.hostname),
        ("cpus", run.cpus),
        ("mem", run.memory),
        ("label", run.labels),
        ("stop-signal", run.stop_signal),
        ("exposed-port", run.exposed_ports),
        ("volume", run.volumes),
        ("healthcheck", run.healthcheck),
        ("shell", run.shell),
        ("kernel-version", config.kernel_version),
        ("kernel-config", config.kernel_config),
        ("source", config.source),
        ("source-size", config.source_size),
        ("image", config.image),
        ("image-digest", config.image_digest),
        ("smolfile", config.smolfile),
        ("date", config.date),
        ("tool", config.tool),
    )
    for key, value in ordered:
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                yield key, str(item)


def _required(records: dict[str, str], key: str) -> str:
    if key not in records:
        raise FormatError(f"damaged: the config section has no {key!r}")
    return records[key]


def _number(records: dict[str, str], key: str) -> int:
    text = _required(records, key)
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise FormatError(f"damaged: the config section's {key!r} is not a number")
    return int(text)


def _object(records: dict[str, str], key: str) -> str:
    text = _required(records, key)
    try:
        good = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise FormatError(f"damaged: the config section's {key!r} is not a JSON object")
    return text
