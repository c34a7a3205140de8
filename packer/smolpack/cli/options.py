"""Options that several commands share, as bundles: functions whose parameters are the options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from smolpack.origin import ImageOptions
from smolpack.settings import Settings
from smolpack.spec import DEFAULT_HOSTNAME, DEFAULT_MEMORY
from smolpack.values import (
    format_size,
    parse_command,
    parse_healthcheck,
    parse_port,
    parse_signal,
    parse_size,
)

Image = Annotated[
    str | None,
    typer.Option(
        metavar="REFERENCE",
        help="Container image to pack: archive of docker or podman save, OCI layout "
        "(oci:DIRECTORY[:TAG]), name in a registry, docker-daemon:NAME, containers-storage:NAME; "
        "- is an archive on stdin.",
    ),
]
RootDirectory = Annotated[Path | None, typer.Option(help="Directory to pack.")]
TarArchive = Annotated[
    Path | None,
    typer.Option(help="Tar archive to pack: plain, gzip, bzip2, xz or zstd; - is stdin."),
]
SmolfilePath = Annotated[
    Path | None,
    typer.Option(
        "--smolfile", "-s", metavar="FILE", help="Smolfile: what is not given here stands there."
    ),
]


_Command: TypeAlias = Callable[..., None]


def bundled(**factories: Callable[..., Any]) -> Callable[[_Command], _Command]:
    """Makes a command out of a function: each parameter named here stands for all parameters of
    its factory, which makes its value out of theirs."""
    bundles = {name: _parameters(factory) for name, factory in factories.items()}

    def decorate(command: _Command) -> _Command:
        parameters: list[inspect.Parameter] = []
        for parameter in _parameters(command):
            parameters += bundles.get(parameter.name, [parameter])

        @functools.wraps(command)
        def call(**given: Any) -> None:
            for name, factory in factories.items():
                own = {parameter.name: given.pop(parameter.name) for parameter in bundles[name]}
                given[name] = factory(**own)
            command(**given)

        # What typer looks at.
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {item.name: item.annotation for item in parameters}
        return call

    return decorate


def image_options(
    platform: Annotated[
        str | None,
        typer.Option(
            metavar="OS/ARCH",
            help="Which image of a multi-platform one, like linux/amd64; default: this host's.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow plain HTTP and unknown certificates.")
    ] = False,
    image_max_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="To how much an image may unpack, like 64G.", show_default="64G"
        ),
    ] = None,
    image_max_ratio: Annotated[
        int | None,
        typer.Option(help="To how many times its size a layer may.", show_default="200"),
    ] = None,
    image_max_files: Annotated[
        int | None,
        typer.Option(help="To how many files an image may.", show_default="1000000"),
    ] = None,
) -> ImageOptions:
    """For commands that open images."""
    return ImageOptions(
        platform=platform,
        insecure=insecure,
        max_size=_parsed(parse_size, "--image-max-size", image_max_size),
        max_ratio=image_max_ratio,
        max_files=image_max_files,
    )


def settings(
    entrypoint: Annotated[
        str | None,
        typer.Option(
            help="Program and first words, which arguments at run time are appended to. Split as "
            "a shell would, or a JSON array when it starts with [. The image's CMD is void then."
        ),
    ] = None,
    cmd: Annotated[
        str | None,
        typer.Option(
            help="Words that arguments at run time replace; written as --entrypoint, or put "
            "behind -- at the end. Without any --entrypoint and --cmd: /bin/sh."
        ),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Environment; repeatable.")
    ] = None,
    workdir: Annotated[str | None, typer.Option(help="Working directory in the machine.")] = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER[:GROUP]", help="Who runs the program.")
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(help="Virtual CPUs, 1 to 32.", show_default="1")
    ] = None,
    mem: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory, like 512M or 2G; at least 32M.",
            show_default=format_size(DEFAULT_MEMORY),
        ),
    ] = None,
    hostname: Annotated[
        str | None, typer.Option(help="Host name in the machine.", show_default=DEFAULT_HOSTNAME)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the machine, for `info`.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Label; repeatable.")
    ] = None,
    stop_signal: Annotated[
        str | None,
        typer.Option(
            metavar="SIGNAL", help="Asks the program to end, like SIGINT.", show_default="SIGTERM"
        ),
    ] = None,
    expose: Annotated[
        list[str] | None,
        typer.Option(metavar="PORT[/PROTOCOL]", help="Port it listens on, for `info`; repeatable."),
    ] = None,
    volume: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Directory for data, made if it is missing; repeatable."),
    ] = None,
    healthcheck: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="Health check as images have it, for `info`; none ends one."
        ),
    ] = None,
    shell: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Shell that takes a command line, for `info`."),
    ] = None,
) -> Settings:
    """How the machine runs."""
    return Settings(
        entrypoint=_parsed(parse_command, "--entrypoint", entrypoint),
        cmd=_parsed(parse_command, "--cmd", cmd),
        env=tuple(env or ()),
        workdir=workdir,
        user=user,
        hostname=hostname,
        cpus=cpus,
        memory=_parsed(parse_size, "--mem", mem),
        name=name,
        labels=tuple(label or ()),
        stop_signal=_parsed(parse_signal, "--stop-signal", stop_signal),
        exposed_ports=tuple(parse_port("--expose", port) for port in expose or ()),
        volumes=tuple(volume or ()),
        healthcheck=_parsed(parse_healthcheck, "--healthcheck", healthcheck),
        shell=_parsed(parse_command, "--shell", shell),
    )


def _parsed(parse: Callable[[str, str], Any], option: str, text: str | None) -> Any:
    return None if text is None else parse(option, text)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """By keyword, so that those without a default may stand anywhere."""
    found = inspect.signature(function, eval_str=True).parameters.values()
    return [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in found]
