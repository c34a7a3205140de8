"""Images that a container engine of this host has: what its own command writes as an archive."""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from smolpack.errors import ImageError
from smolpack.oci.reference import EngineReference, Kind
from smolpack.sources.base import CHUNK

_MAX_MESSAGE = 500
# How skopeo and podman say why they end.
_LOGGED = re.compile(r'level=\w+ msg="(.*)"$')


@dataclass(frozen=True)
class _Tool:
    """A command that writes an archive to standard output; `NAME` and `REFERENCE` stand for the
    image, without and with its prefix."""

    arguments: tuple[str, ...]

    def command(self, reference: EngineReference) -> list[str] | None:
        """What to execute; None when it is not installed."""
        path = shutil.which(self.arguments[0])
        words = {"NAME": reference.name, "REFERENCE": f"{reference.kind.value}{reference.name}"}
        rest = [words.get(argument, argument) for argument in self.arguments[1:]]
        return [path, *rest] if path else None


_SKOPEO = _Tool(("skopeo", "copy", "--quiet", "REFERENCE", "docker-archive:/dev/stdout"))
_TOOLS = {
    Kind.DOCKER_DAEMON: (_Tool(("docker", "save", "NAME")), _SKOPEO),
    Kind.CONTAINERS_STORAGE: (
        _Tool(("podman", "save", "--quiet", "--format", "docker-archive", "NAME")),
        _SKOPEO,
    ),
}


@contextlib.contextmanager
def saved_by_engine(reference: EngineReference) -> Iterator[BinaryIO]:
    """The archive, as a stream that has to be read to its end. Raises ImageError when no command is
    installed or it fails."""
    tools = _TOOLS[reference.kind]
    name = f"{reference.kind.value}{reference.name}"
    command = next(filter(None, (tool.command(reference) for tool in tools)), None)
    if command is None:
        names = " nor ".join(tool.arguments[0] for tool in tools)
        raise ImageError(f"{name}: neither {names} is installed; on Debian: apt install skopeo")
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        ) as process,
    ):
        assert process.stdout is not None
        try:
            try:
                yield cast(BinaryIO, process.stdout)
            except ImageError:
                # A command that fails leaves half an archive; its own word says why.
                while process.stdout.read(CHUNK):
                    pass
                _check(name, command, process.wait(), messages)
                raise
            _check(name, command, process.wait(), messages)
        finally:
            process.kill()


def _check(name: str, command: list[str], status: int, messages: BinaryIO) -> None:
    if status == 0:
        return
    messages.seek(0)
    text = messages.read(_MAX_MESSAGE * 10).decode("utf-8", "replace").strip()
    reason = text.splitlines()[-1] if text else f"status {status}"
    if logged := _LOGGED.search(reason):
        reason = logged[1].replace('\\"', '"')
    reason = reason[-_MAX_MESSAGE:]
    raise ImageError(f"{name}: {Path(command[0]).name} could not save it: {reason}")
