"""Who says how a machine runs: command line over Smolfile over container image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from smolpack.spec import DEFAULT_HOSTNAME, DEFAULT_MEMORY, RunDefaults

_T = TypeVar("_T")
_D = TypeVar("_D")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one of them says, with RunDefaults' meanings; None and () say nothing, but an
    `entrypoint`, `cmd` or `shell` of () says that there is none."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    hostname: str | None = None
    cpus: int | None = None
    memory: int | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    stop_signal: int | None = None
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: str | None = None
    shell: tuple[str, ...] | None = None


def merge(*places: Settings) -> RunDefaults:
    """Run defaults out of `places`, the weakest first.

    The strongest place that says something counts. Variables and labels are merged by name,
    ports and volumes are collected. An entrypoint makes the cmd of weaker places void, as in
    container engines: it was meant for another program. Raises SpecError as RunDefaults does.
    """
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    for place in places:
        if place.entrypoint is not None:
            entrypoint, cmd = place.entrypoint, ()
        if place.cmd is not None:
            cmd = place.cmd
    return RunDefaults(
        entrypoint=entrypoint,
        cmd=cmd,
        env=_by_name(place.env for place in places),
        workdir=_strongest((place.workdir for place in places), None),
        user=_strongest((place.user for place in places), None),
        hostname=_strongest((place.hostname for place in places), DEFAULT_HOSTNAME),
        cpus=_strongest((place.cpus for place in places), 1),
        memory=_strongest((place.memory for place in places), DEFAULT_MEMORY),
        name=_strongest((place.name for place in places), None),
        labels=_by_name(place.labels for place in places),
        stop_signal=_strongest((place.stop_signal for place in places), None),
        exposed_ports=_collected(place.exposed_ports for place in places),
        volumes=_collected(place.volumes for place in places),
        healthcheck=_strongest((place.healthcheck for place in places), None),
        shell=_strongest((place.shell for place in places), ()),
    )


def _strongest(values: Iterable[_T | None], default: _D) -> _T | _D:
    found: _T | _D = default
    for value in values:
        if value is not None:
            found = value
    return found


def _by_name(places: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Each name where it was first, with the value that was last."""
    found: dict[str, str] = {}
    for assignments in places:
        for assignment in assignments:
            found[assignment.partition("=")[0]] = assignment
    return tuple(found.values())


def _collected(places: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in places for item in items))
