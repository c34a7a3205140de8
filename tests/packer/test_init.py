"""`smolpack init`: what it writes is a Smolfile, and says what the image says."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from images import save_image
from smolpack.settings import Settings
from smolpack.smolfile import template
from smolpack.smolfile.document import Profile, load
from smolpack.smolfile.parser import parse
from support import Cli, failure

# A line that says something once its # is gone.
COMMENTED = re.compile(r"^# ((?:\w+ = |\[).*)$", re.MULTILINE)

# Values that a careless writer would break.
NASTY = 'a"\\\n# ]\x7f\t\x1b\U0001f600'


def test_from_an_image(cli: Cli, tmp_path: Path) -> None:
    save_image(
        tmp_path / "app.tar",
        {"bin/sh": b"#!"},
        Entrypoint=["/bin/sh", NASTY],
        Cmd=["-c", "id"],
        Env=["A=b", f"B={NASTY}"],
        WorkingDir="/srv",
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        Volumes={"/var/lib/data": {}, "/": {}},
    )
    done = cli("init", "--image", "./app.tar", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("Smolfile: written; next: smolpack create -s Smolfile")
    text = (tmp_path / "Smolfile").read_text()
    assert parse(text, "Smolfile") == {"image": "./app.tar", "cpus": 1, "memory": 512}
    said = parse(COMMENTED.sub(r"\1", text), "Smolfile")
    assert said["entrypoint"] == ["/bin/sh", NASTY]
    assert said["cmd"] == ["-c", "id"]
    assert said["env"] == ["A=b", f"B={NASTY}"]
    assert said["workdir"] == "/srv"
    assert said["ports"] == ["80:80"]
    assert said["volumes"] == ["./data:/", "./data:/var/lib/data"]
    assert {"artifact", "dev", "labels", "sign", "net"} < set(said)


def test_from_an_image_that_says_nothing() -> None:
    text = template.for_image("debian:12", Settings())
    assert parse(text, "Smolfile")["image"] == "debian:12"
    assert parse(COMMENTED.sub(r"\1", text), "Smolfile")["entrypoint"] == ["/usr/bin/program"]


def test_from_a_directory(cli: Cli, tree: Path) -> None:
    done = cli("init", "--rootfs", tree.name, cwd=tree.parent)
    assert done.returncode == 0, done.stderr
    text = (tree.parent / "Smolfile").read_text()
    assert parse(text, "")["rootfs"] == "./tree"
    parse(COMMENTED.sub(r"\1", text), "")
    machine = tree.parent / "tool.vm"
    done = cli("create", "-s", tree.parent / "Smolfile", "--out", machine)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(cli("info", "--json", machine).stdout)["cmd"] == ["/bin/sh"]


def test_paths_are_relative_to_the_new_file(cli: Cli, tree: Path) -> None:
    home = tree.parent
    save_image(home / "app.tar", {"bin/sh": b"#!"})
    (home / "deep").mkdir()
    for number, (options, key, path) in enumerate(
        (
            (("--rootfs", "tree"), "rootfs", "../tree"),
            (("--rootfs", str(tree)), "rootfs", str(tree)),
            (("--image", "app.tar"), "image", "../app.tar"),
            (("--image", "docker-archive:app.tar"), "image", "docker-archive:../app.tar"),
        )
    ):
        out = Path(f"deep/Smolfile{number}")
        done = cli("init", *options, "--out", out, cwd=home)
        assert done.returncode == 0, done.stderr
        assert tomllib.loads((home / out).read_text())[key] == path
        found = load(home / out, Profile.ARTIFACT)
        assert (found.rootfs or Path(f"{found.image}".split(":")[-1])).exists()


def test_nothing_is_overwritten(cli: Cli, tree: Path) -> None:
    out = tree.parent / "Smolfile"
    for make in (lambda: out.write_text("mine"), lambda: out.symlink_to("nowhere")):
        make()
        text = failure(cli("init", "--rootfs", tree, "--out", out))
        assert "exists and is left alone" in text
        out.unlink()


def test_the_schema(cli: Cli) -> None:
    assert json.loads(cli("init", "--schema").stdout)["title"] == "Smolfile"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ((), 2, "--image REFERENCE or --rootfs DIRECTORY"),
        (("--rootfs", "none"), 1, "none does not exist"),
        (("--image", "./none.tar"), 1, "none.tar: no such file"),
        (("--image", "Smol"), 2, "Smol"),
        (("--rootfs", "tree", "--out", "no/where"), 1, "no/where: cannot write: No such file"),
        (("--rootfs", b"\xff".decode("utf-8", "surrogateescape")), 2, "a Smolfile is UTF-8"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], status: int, message: str, cli: Cli, tree: Path
) -> None:
    if "\udcff" in options:
        (tree.parent / "\udcff").mkdir()
    before = set(tree.parent.iterdir())
    assert message in failure(cli("init", *options, cwd=tree.parent), status)
    assert set(tree.parent.iterdir()) == before
