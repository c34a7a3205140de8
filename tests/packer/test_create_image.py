"""Container images become machines: what they say about running, who overrides it, what is kept."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images import save_image
from smolpack.smolfile.places import short_reference
from support import Cli, failure

LAYERS: list[dict[str, bytes | None]] = [
    {"bin": None, "bin/sh": b"#!", "srv/app": b"#!", "srv/gone": b"x"},
    {"srv/.wh.gone": b"", "srv/more": b"y"},
]


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands run, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture(name="image")
def _image(home: Path) -> Path:
    return save_image(
        home / "app.tar",
        *LAYERS,
        Entrypoint=["/srv/app"],
        Cmd=["serve"],
        Env=["PATH=/srv:/bin", "LANG=C", "A=image"],
        WorkingDir="/srv",
        User="1000:1000",
        ExposedPorts={"80/tcp": {}},
        Volumes={"/data": {}},
        StopSignal="SIGINT",
        Labels={"a": "image", "b": "image"},
        Healthcheck={"Test": ["CMD", "/srv/app", "check"], "Interval": 10**9},
        Shell=["/bin/sh", "-e", "-c"],
    )


def info_of(cli: Cli, machine: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("info", "--json", machine).stdout)
    return found


def create(cli: Cli, home: Path, *options: str) -> dict[str, Any]:
    done = cli("create", "--out", "app.vm", *options, cwd=home)
    assert done.returncode == 0, done.stderr
    return info_of(cli, home / "app.vm")


def test_what_the_image_says_is_kept(cli: Cli, home: Path, image: Path) -> None:
    found = create(cli, home, "--image", "./app.tar")
    assert (found["entrypoint"], found["cmd"]) == (["/srv/app"], ["serve"])
    assert found["env"] == ["PATH=/srv:/bin", "LANG=C", "A=image"]
    assert (found["workdir"], found["user"]) == ("/srv", "1000:1000")
    assert (found["exposed_ports"], found["volumes"]) == (["80/tcp"], ["/data"])
    assert found["stop_signal"] == 2
    assert found["labels"] == ["a=image", "b=image"]
    assert found["healthcheck"] == {"Test": ["CMD", "/srv/app", "check"], "Interval": 10**9}
    assert found["shell"] == ["/bin/sh", "-e", "-c"]
    assert found["image"] == "app.tar"
    assert found["image_digest"].startswith("sha256:")
    text = cli("info", home / "app.vm").stdout.decode()
    for row in ("stop signal   SIGINT", "port          80/tcp", "volume        /data"):
        assert row in text
    listed = cli("ls", home / "app.vm", "/srv").stdout.decode().split()
    assert listed == ["/srv/app", "/srv/more"]
    document = json.loads(cli("sbom", home / "app.vm").stdout)
    properties = document["metadata"]["component"]["properties"]
    assert {"name": "smolpack:image-digest", "value": found["image_digest"]} in properties


def test_the_command_line_goes_first(cli: Cli, home: Path, image: Path) -> None:
    options = (
        *("--env", "A=cli", "--env", "B=cli", "--workdir", "/", "--user", "root", "--label", "b=c"),
        *("--stop-signal", "QUIT", "--expose", "53/udp", "--volume", "/more", "--shell", "/bin/sh"),
        *("--healthcheck", "none", "--cpus", "2", "--mem", "64M", "--", "sh"),
    )
    found = create(cli, home, "--image", "./app.tar", *options)
    assert (found["entrypoint"], found["cmd"]) == (["/srv/app"], ["sh"])
    assert found["env"] == ["PATH=/srv:/bin", "LANG=C", "A=cli", "B=cli"]
    assert (found["workdir"], found["user"], found["stop_signal"]) == ("/", "root", 3)
    assert (found["labels"], found["shell"]) == (["a=image", "b=c"], ["/bin/sh"])
    assert found["exposed_ports"] == ["80/tcp", "53/udp"]
    assert found["volumes"] == ["/data", "/more"]
    assert found["healthcheck"] == {"Test": ["NONE"]}
    assert (found["cpus"], found["memory"]) == (2, 64 << 20)


@pytest.mark.parametrize(
    ("options", "entrypoint", "cmd"),
    [
        (("--entrypoint", "/bin/sh"), ["/bin/sh"], []),
        (("--entrypoint", "/bin/sh", "--cmd", "x"), ["/bin/sh"], ["x"]),
        (("--entrypoint", ""), [], ["/bin/sh"]),
        (("--entrypoint", "", "--", "app"), [], ["app"]),
        (("--cmd", ""), ["/srv/app"], []),
    ],
)
def test_an_entrypoint_is_without_the_images_command(
    options: tuple[str, ...],
    entrypoint: list[str],
    cmd: list[str],
    cli: Cli,
    home: Path,
    image: Path,
) -> None:
    found = create(cli, home, "--image", "./app.tar", *options)
    assert (found["entrypoint"], found["cmd"]) == (entrypoint, cmd)


def test_a_smolfile_stands_between(cli: Cli, home: Path, image: Path) -> None:
    (home / "deep").mkdir()
    (home / "deep/Smolfile").write_text(
        'image = "../app.tar"\nenv = ["A=file", "B=file"]\nworkdir = "/bin"\ncpus = 2\n'
        'labels = ["b=file"]\nnet = true\nports = ["80:80"]\n[artifact]\ncpus = 3\n'
        '[dev]\nenv = ["DEV=1"]\n[secrets]\nX = { from_env = "Y" }\n'
    )
    done = cli("create", "-s", "deep/Smolfile", "--out", "app.vm", "--env", "B=cli", cwd=home)
    assert done.returncode == 0
    warning = (
        "deep/Smolfile: kept in the machine, but nothing acts on it yet: net, ports, [secrets]"
    )
    assert done.stderr.decode() == f"smolpack: warning: {warning}\n"
    found = info_of(cli, home / "app.vm")
    assert found["env"] == ["PATH=/srv:/bin", "LANG=C", "A=file", "B=cli"]
    assert (found["workdir"], found["cpus"]) == ("/bin", 3)
    assert found["labels"] == ["a=image", "b=file"]
    assert found["image"] == "app.tar"
    assert found["smolfile"] == {
        "net": True,
        "ports": ["80:80"],
        "secrets": {"X": {"from_env": "Y"}},
    }
    assert "Smolfile asks for {" in cli("info", home / "app.vm").stdout.decode()


def test_the_command_line_has_another_source(cli: Cli, home: Path, tree: Path) -> None:
    (home / "Smolfile").write_text('image = "nowhere.example/none"\nentrypoint = ["/bin/sh"]')
    found = create(cli, home, "-s", "Smolfile", "--rootfs", str(tree))
    assert (found["image"], found["entrypoint"]) == (None, ["/bin/sh"])


def test_a_smolfile_signs(cli: Cli, home: Path, image: Path) -> None:
    key = home / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True)
    (home / "Smolfile").write_text('image = "app.tar"\nsign = "key"')
    found = create(cli, home, "-s", "Smolfile")
    assert len(found["signatures"]) == 1


def test_an_image_on_standard_input(cli: Cli, home: Path, image: Path) -> None:
    done = cli("create", "--image", "-", "--out", "app.vm", stdin=image.read_bytes(), cwd=home)
    assert done.returncode == 0, done.stderr
    assert info_of(cli, home / "app.vm")["entrypoint"] == ["/srv/app"]


def test_the_second_time_no_layer_is_read(cli: Cli, home: Path, image: Path) -> None:
    create(cli, home, "--image", "./app.tar")
    first = (home / "app.vm").read_bytes()
    damaged = image.read_bytes().replace(b"srv/gone", b"srv/GONE")
    image.write_bytes(damaged)
    create(cli, home, "--image", "./app.tar")
    assert (home / "app.vm").read_bytes() == first
    shutil.rmtree(home.parent / "cache")
    message = failure(cli("create", "--image", "./app.tar", "--out", "other.vm", cwd=home))
    assert "./app.tar, layer 1 of 2" in message
    assert sorted(path.name for path in home.iterdir()) == ["app.tar", "app.vm"]


def test_a_cache_that_cannot_be_used(cli: Cli, home: Path, image: Path) -> None:
    (home.parent / "cache").write_text("in its place")
    done = cli("create", "--image", "./app.tar", "--out", "app.vm", cwd=home)
    assert done.returncode == 0
    assert b"cache cannot be used: Not a directory" in done.stderr.replace(b"/smolpack", b"")


def test_rebuilding(cli: Cli, home: Path, image: Path) -> None:
    create(cli, home, "--image", "./app.tar", "--name", "box", "--healthcheck", "none")
    image.rename(home / "moved.tar")
    done = cli("rebuild", "--check", "app.vm", "--image", "./moved.tar", cwd=home)
    assert done.returncode == 0, done.stdout
    save_image(image, *LAYERS, {"srv/new": b"z"}, Cmd=["other"])
    done = cli("rebuild", "--check", "app.vm", "--image", "./app.tar", cwd=home)
    assert done.returncode == 1
    said = done.stdout.decode()
    assert 'image digest: "sha256:' in said and 'source: "' in said and "other" not in said


def test_running(cli: Cli, home: Path, image: Path) -> None:
    # The stand-in launcher prints its arguments and ends with status 7.
    for options, arguments in (
        ((), []),
        (("--", "a", "--vm-mem"), ["--", "a", "--vm-mem"]),
        (("--vm-mem", "1G", "--", "a"), ["--vm-mem", "1G", "--", "a"]),
        (("--vm-console", "--env", "A=b", "--", "--vm-info"), ["--vm-console", "--", "--vm-info"]),
        (("a", "--env", "b"), ["a", "--env", "b"]),
    ):
        done = cli("run", "--image", "./app.tar", *options, cwd=home)
        assert (done.returncode, done.stderr) == (7, b"")
        assert done.stdout.decode().splitlines() == ["app.tar", *arguments]
    machines = list((home.parent / "cache/smolpack/machines").iterdir())
    assert len(machines) == 2
    found = [info_of(cli, machine) for machine in machines]
    assert sorted("A=b" in each["env"] for each in found) == [False, True]
    assert all(each["signatures"] == [] for each in found)


def test_running_a_smolfile(cli: Cli, home: Path, image: Path) -> None:
    (home / "Smolfile").write_text(
        'image = "app.tar"\nenv = ["A=file"]\n[dev]\nenv = ["DEV=1"]\n[artifact]\ncpus = 9\n'
    )
    done = cli("run", "-s", "Smolfile", "--", "x", cwd=home)
    assert (done.returncode, done.stdout.decode().splitlines()) == (7, ["app.tar", "--", "x"])
    (machine,) = (home.parent / "cache/smolpack/machines").iterdir()
    found = info_of(cli, machine)
    assert (found["env"][2:], found["cpus"]) == (["A=file", "DEV=1"], 1)


def test_policy_holds_for_images_too(cli: Cli, home: Path, image: Path) -> None:
    done = cli("run", "--image", "./app.tar", cwd=home, env={"SMOLPACK_REQUIRE_SIGNATURE": "1"})
    assert "unsigned" in failure(done, 125)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("run",), 2, "give what to run: FILE, --image REFERENCE or --smolfile FILE"),
        (("run", "--mem", "1G", "app.vm"), 2, "options like --vm-mem stand behind it"),
        (("run", "--image", "./none.tar"), 125, "none.tar: no such file"),
        (("run", "--image", "UPPER/case"), 2, "UPPER/case"),
        (("run", "--image", "./app.tar", "--entrypoint", "/none"), 125, "/none is not in the root"),
        (("run", "--image", "./app.tar", "--require-signer", "me"), 2, "unsigned; use `create`"),
        (("run", "-s", "rootfs.toml"), 2, "packs images only"),
        (("run", "-s", "none.toml"), 2, "none.toml: cannot read"),
        (("create", "--out", "x", "-s", "bad.toml"), 2, "bad.toml, line 2: unknown key 'cpu'"),
        (("create", "--out", "x", "-s", "empty.toml"), 2, "one of --image REFERENCE"),
        (("create", "--out", "x", "--image", "./app.tar", "--tar", "-"), 2, "one of --image"),
        (("create", "--out", "x", "--image", "./app.tar", "--platform", "amd64"), 2, "--platform"),
        (("create", "--out", "x", "--image", "./arm.tar"), 1, "arm64"),
        (
            ("create", "--out", "x", "--image", "./arm.tar", "--platform", "linux/arm64"),
            2,
            "--platform linux/arm64: machines are x86_64; give linux/amd64",
        ),
        (
            ("create", "--out", "x", "--image", "./relative.tar"),
            1,
            "/srv/./none, where the",
        ),
        (("create", "--out", "x", "--image", "./scratch.tar"), 1, "by an image neither"),
        (("create", "--out", "x", "--image", "./workdir.tar"), 1, "WorkingDir 'srv'"),
        (("create", "--out", "x", "--image", "./app.tar", "--image-max-size", "1K"), 1, "layer 1"),
        (
            ("create", "--out", "x", "--image", "./app.tar", "--image-max-files", "1"),
            1,
            "more than 1 f",
        ),
        (("create", "--out", "x", "--image", "./app.tar", "--stop-signal", "X"), 2, "no signal"),
        (("create", "--out", "x", "--image", "./app.tar", "--expose", "x"), 2, "--expose 'x'"),
        (("create", "--out", "x", "--image", "./app.tar", "--healthcheck", "x"), 2, "JSON"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], status: int, message: str, cli: Cli, home: Path, image: Path
) -> None:
    save_image(home / "arm.tar", *LAYERS, architecture="arm64")
    save_image(home / "relative.tar", *LAYERS, Entrypoint=["./none"], WorkingDir="/srv")
    save_image(home / "scratch.tar", {"a": b"b"})
    save_image(home / "workdir.tar", *LAYERS, WorkingDir="srv")
    (home / "rootfs.toml").write_text('rootfs = "tree"')
    (home / "bad.toml").write_text('image = "x"\ncpu = 1')
    (home / "empty.toml").write_text("cpus = 1")
    before = set(home.iterdir())
    assert message in failure(cli(*options, cwd=home), status)
    assert set(home.iterdir()) == before


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/tmp/x/app.tar", "app.tar"),
        ("./layout/", "layout"),
        ("oci:../layout:1.2", "oci:layout:1.2"),
        ("docker-archive:app.tar:app:1", "docker-archive:app.tar:app:1"),
        ("registry.example/app:1", "registry.example/app:1"),
        ("docker://org/app", "docker://org/app"),
        ("-", "-"),
    ],
)
def test_directories_of_the_host_are_not_kept(reference: str, name: str) -> None:
    assert short_reference(reference) == name
