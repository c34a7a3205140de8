"""Images of distribution packages as people build theirs: a slim Debian; Python, with what pip
installs, and Node on it."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from roots.cache import RecipeError, cached

SUITE = "bookworm"
BASE = "slim"
PACKAGES = {
    BASE: (),
    "python": ("python3", "python3-numpy", "python3-pip", "python3-requests"),
    "node": ("ca-certificates", "node-express", "nodejs", "npm"),
}
PIP_PACKAGES = {"python": ("six==1.17.0",)}
COMMANDS = {BASE: "/bin/bash", "python": "/usr/bin/python3", "node": "/usr/bin/node"}

_PIP = (
    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--no-compile", "--only-binary=:all:", "--target"),
)
_PIP_PLACE = "usr/local/lib/python3.11/dist-packages"

# What slim images leave out.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_KEPT = "/usr/share/doc/*/copyright"
_COMMAND = (
    *("mmdebstrap", "--variant=minbase"),
    *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
    f"--dpkgopt=path-include={_KEPT}",
)

# What a member is: where these are the same, the lower layer's serves.
_FIELDS = ("type", "mode", "uid", "gid", "mtime", "size", "linkname", "pax_headers")


def flat(name: str) -> Path:
    """The whole root as one tar, built in about a minute the first time. Raises RecipeError."""
    if shutil.which(_COMMAND[0]) is None:
        raise RecipeError("mmdebstrap is missing: apt install mmdebstrap")
    packages = PACKAGES[name]
    command = [*_COMMAND, *([f"--include={','.join(packages)}"] if packages else []), SUITE]

    def build(target: Path) -> None:
        done = subprocess.run([*command, target], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RecipeError(f"mmdebstrap failed: {done.stderr[-500:]}")

    return cached(f"flat-{name}", [word.encode() for word in command], build)


def layers(name: str) -> list[Path]:
    """The root as layers: the slim one; on it what the packages add, replace and remove; what pip
    installs."""
    base = flat(BASE)
    if name == BASE:
        return [base]
    whole = flat(name)
    return [
        base,
        cached(
            f"layer-{name}",
            (part.encode() for part in (base.name, whole.name)),
            lambda target: _write_difference(base, whole, target),
        ),
        *([_pip_layer(name)] if name in PIP_PACKAGES else []),
    ]


def _pip_layer(name: str) -> Path:
    packages = PIP_PACKAGES[name]

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory() as installed:
            done = subprocess.run(
                [*_PIP, installed, *packages], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RecipeError(f"pip failed: {done.stderr[-500:]}")
            with tarfile.open(target, "w") as out:
                out.add(installed, _PIP_PLACE, filter=_as_root)

    return cached(f"pip-{name}", (package.encode() for package in packages), build)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    return member.replace(uid=0, gid=0, uname="", gname="", mode=member.mode | 0o555, deep=False)


def image(name: str) -> Path:
    """The layers as an OCI image that umoci made, in an archive; its tag is `latest`."""
    if shutil.which("umoci") is None:
        raise RecipeError("umoci is missing: apt install umoci")
    parts = layers(name)

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            layout = Path(scratch, "layout")
            tagged = f"{layout}:latest"
            _umoci("init", "--layout", layout)
            _umoci("new", "--image", tagged)
            for part in parts:
                _umoci("raw", "add-layer", "--image", tagged, part)
            _umoci("config", "--image", tagged, "--config.cmd", COMMANDS[name])
            _umoci("gc", "--layout", layout)
            with tarfile.open(target, "w") as archive:
                for path in sorted(layout.iterdir()):
                    archive.add(path, path.name)

    inputs = [COMMANDS[name].encode(), *(part.name.encode() for part in parts)]
    return cached(f"oci-{name}", inputs, build)


def _umoci(*arguments: str | Path) -> None:
    done = subprocess.run(["umoci", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecipeError(f"umoci failed: {done.stderr[-500:]}")


def _write_difference(base: Path, whole: Path, target: Path) -> None:
    with tarfile.open(base) as archive:
        lower = {member.name: member for member in archive}
    with tarfile.open(whole) as archive, tarfile.open(target, "w", pax_headers={}) as out:
        members = {member.name: member for member in archive}
        changed = {name for name, member in members.items() if not _same(member, lower.get(name))}
        for name, member in members.items():
            if name in changed or (member.islnk() and member.linkname in changed):
                out.addfile(member, archive.extractfile(member) if member.isreg() else None)
        for name in _highest(lower.keys() - members.keys()):
            parent, slash, last = name.rpartition("/")
            out.addfile(tarfile.TarInfo(f"{parent}{slash}.wh.{last}"), io.BytesIO())


def _same(member: tarfile.TarInfo, other: tarfile.TarInfo | None) -> bool:
    return other is not None and all(
        getattr(member, field) == getattr(other, field) for field in _FIELDS
    )


def _highest(names: set[str]) -> Iterator[str]:
    """Those that are in no directory of the others."""
    return (name for name in sorted(names) if name.rpartition("/")[0] not in names)
