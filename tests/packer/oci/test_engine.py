"""Images that a container engine of this host has."""

import os
import subprocess
from pathlib import Path

import pytest

from layouts import TARS, docker_archive, layers_of, needs_skopeo, refusal, simple
from smolpack.oci import Options

ARCHIVE = docker_archive({"app:1": TARS})


class Tools:
    """The commands that are installed: those in `directory`, and the shell's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.archive = directory / "archive.tar"
        self.archive.write_bytes(ARCHIVE)

    def install(self, name: str, script: str = 'cat "$ARCHIVE"') -> None:
        """A command that writes its words to a file, and then does `script`."""
        path = self.directory / name
        words = self.directory / f"{name}.words"
        lines = (
            "#!/bin/sh",
            "PATH=/usr/bin:/bin",
            f"ARCHIVE={self.archive}",
            f'echo "$@" > {words}',
            f"{script}\n",
        )
        path.write_text("\n".join(lines))
        path.chmod(0o755)

    def words(self, name: str) -> str:
        """What a command was called with."""
        return (self.directory / f"{name}.words").read_text().strip()


@pytest.fixture(name="tools")
def _tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    directory = tmp_path / "tools"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return Tools(directory)


@pytest.mark.parametrize(
    ("reference", "tool", "words"),
    [
        ("docker-daemon:app:1", "docker", "save app:1"),
        (
            "docker-daemon:app:1",
            "skopeo",
            "copy --quiet docker-daemon:app:1 docker-archive:/dev/stdout",
        ),
        (
            "containers-storage:localhost/app",
            "podman",
            "save --quiet --format docker-archive localhost/app",
        ),
        (
            "containers-storage:localhost/app",
            "skopeo",
            "copy --quiet containers-storage:localhost/app docker-archive:/dev/stdout",
        ),
    ],
)
def test_commands(reference: str, tool: str, words: str, tools: Tools, options: Options) -> None:
    tools.install(tool)
    assert layers_of(reference, options) == TARS
    assert tools.words(tool) == words


def test_engine_itself_goes_before_skopeo(tools: Tools, options: Options) -> None:
    tools.install("docker")
    tools.install("skopeo", "exit 1")
    assert layers_of("docker-daemon:app:1", options) == TARS


def test_nothing_installed(tools: Tools, options: Options) -> None:
    assert refusal("docker-daemon:app:1", options) == (
        "docker-daemon:app:1: neither docker nor skopeo is installed; on Debian: apt install skopeo"
    )


@pytest.mark.parametrize("before", ["", 'head -c 100000 "$ARCHIVE";', 'cat "$ARCHIVE";'])
def test_command_that_fails(before: str, tools: Tools, options: Options) -> None:
    tools.install("docker", f"{before} echo 'Pulling…' >&2; echo 'no such image' >&2; exit 1")
    assert refusal("docker-daemon:app:1", options) == (
        "docker-daemon:app:1: docker could not save it: no such image"
    )


def test_message_of_skopeo(tools: Tools, options: Options) -> None:
    line = 'time="2026-01-01T00:00:00Z" level=fatal msg="no image \\"app\\" here"'
    tools.install("skopeo", f"echo '{line}' >&2; exit 1")
    assert refusal("docker-daemon:app", options) == (
        'docker-daemon:app: skopeo could not save it: no image "app" here'
    )


def test_command_that_is_killed(tools: Tools, options: Options) -> None:
    tools.install("docker", "kill -9 $$")
    text = refusal("docker-daemon:app:1", options)
    assert text == "docker-daemon:app:1: docker could not save it: status -9"


def test_command_that_writes_something_else(tools: Tools, options: Options) -> None:
    tools.install("docker", "echo hello")
    text = refusal("docker-daemon:app:1", options)
    assert text.startswith("docker-daemon:app:1: not a tar archive, or damaged")


@needs_skopeo
def test_storage_of_containers(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real: skopeo puts an image into a storage of its own, and gets it out."""
    config = tmp_path / "storage.conf"
    config.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/graph"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(config))
    layout = simple(TARS).write(tmp_path / "layout")
    place = "containers-storage:localhost/app:1"
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{layout}:latest", place]
    put = subprocess.run(command, capture_output=True, text=True, check=False)
    if put.returncode != 0:
        pytest.skip(f"skopeo has no storage here: {put.stderr.strip()[-200:]}")
    # podman would look elsewhere.
    monkeypatch.setenv("PATH", os.pathsep.join(_without_podman()))
    assert layers_of(place, options) == TARS


def _without_podman() -> list[str]:
    places = os.environ["PATH"].split(os.pathsep)
    return [place for place in places if not Path(place, "podman").exists()]
