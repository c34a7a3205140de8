"""What an image's configuration says about how it is run (OCI image specification, config.md, and
what Docker adds to it): the weakest of all settings."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from smolpack import values
from smolpack.errors import ImageError, SpecError
from smolpack.oci.base import ContainerImage
from smolpack.settings import Settings

_T = TypeVar("_T")

# More characters of a message show nothing but what somebody put there to fill a terminal.
_SHOWN = 300


def settings(image: ContainerImage) -> Settings:
    """The image's Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts, Volumes, StopSignal,
    Labels, Healthcheck and Shell. Other fields are passed over, as engines do. Raises ImageError,
    naming the image and the field, for what no engine could run."""
    try:
        return _read(json.loads(image.config))
    except _DefectError as error:
        raise ImageError(f"{image.name}: its configuration is damaged: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{image.name}: its configuration is not JSON: {error}") from error


class _DefectError(Exception):
    """Which field is wrong, and how."""


def _read(document: Any) -> Settings:
    if not isinstance(document, dict):
        raise _DefectError("it is not a JSON object")
    fields = document.get("config")
    fields = {} if fields is None else _object("config", fields)
    entrypoint, cmd, shell = (_strings(fields, key) for key in ("Entrypoint", "Cmd", "Shell"))
    signal = _string(fields, "StopSignal")
    stop_signal = None if signal is None else _told("StopSignal", values.parse_signal, signal)
    return Settings(
        # Engines take an empty first word for no entrypoint at all.
        entrypoint=None if entrypoint in ((), ("",)) else entrypoint,
        cmd=cmd or None,
        env=tuple(_each("Env", _strings(fields, "Env"), values.check_assignment)),
        workdir=_checked("WorkingDir", _string(fields, "WorkingDir"), values.check_path),
        # Engines look up root, too: its home and groups may be other than the usual ones.
        user=_checked("User", _string(fields, "User"), values.check_user) or "0",
        labels=tuple(_each("Labels", _labels(fields), values.check_assignment)),
        stop_signal=stop_signal,
        exposed_ports=tuple(
            _told("ExposedPorts", values.parse_port, port)
            for port in _names(fields, "ExposedPorts")
        ),
        volumes=tuple(_each("Volumes", _names(fields, "Volumes"), values.check_path)),
        healthcheck=_healthcheck(fields),
        shell=shell or None,
    )


def _healthcheck(fields: dict[str, Any]) -> str | None:
    value = fields.get("Healthcheck")
    if value is None:
        return None
    known = ("Test", *values.HEALTHCHECK_NUMBERS)
    check = {
        key: item
        for key, item in _object("Healthcheck", value).items()
        if key in known and item is not None
    }
    return _told("Healthcheck", values.format_healthcheck, check) if check else None


def _labels(fields: dict[str, Any]) -> Iterator[str]:
    labels = fields.get("Labels")
    for name, value in ({} if labels is None else _object("Labels", labels)).items():
        yield f"{_text('Labels', name)}={_text('Labels', value)}"


def _names(fields: dict[str, Any], key: str) -> list[str]:
    """The keys of an object that stands for a set, in the order of their bytes."""
    value = fields.get(key)
    return sorted(_text(key, name) for name in ({} if value is None else _object(key, value)))


def _strings(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _DefectError(f"{key} is not an array")
    return tuple(_text(key, item) for item in value)


def _string(fields: dict[str, Any], key: str) -> str | None:
    """None when it is missing or empty, which mean the same."""
    value = fields.get(key)
    return None if value is None else _text(key, value) or None


def _object(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _DefectError(f"{key} is not an object")
    return value


def _text(key: str, value: Any) -> str:
    """A string that a program could be given: JSON also has NUL bytes and half characters."""
    if not isinstance(value, str):
        raise _DefectError(f"{key} has something that is not a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _DefectError(f"{key} has a string that is not Unicode") from error
    if "\0" in value:
        raise _DefectError(f"{key} has a NUL byte")
    return value


def _told(key: str, function: Callable[[str, Any], _T], value: Any) -> _T:
    """`function` of `value`, its SpecError told as ours."""
    try:
        return function(key, value)
    except SpecError as error:
        text = str(error)
        raise _DefectError(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…") from error


def _checked(key: str, text: str | None, check: Callable[[str, str], None]) -> str | None:
    if text is not None:
        _told(key, check, text)
    return text


def _each(key: str, texts: Any, check: Callable[[str, str], None]) -> Iterator[str]:
    for text in texts:
        _told(key, check, text)
        yield text
