"""Container images whose configuration asks for what their files do not have, as archives."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roots import busybox
from roots.cache import cached

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Member:
    """What a layer has under a name; a directory without `data` and `link`."""

    name: str
    data: bytes | None = None
    link: str | None = None
    mode: int = 0o755
    owner: int = 0

    def info(self) -> tarfile.TarInfo:
        """Its header."""
        info = tarfile.TarInfo(self.name)
        info.mode, info.uid, info.gid = self.mode, self.owner, self.owner
        if self.link is not None:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        elif self.data is None:
            info.type = tarfile.DIRTYPE
        else:
            info.size = len(self.data)
        return info


@dataclass(frozen=True)
class Image:
    """A layer, with the busybox root below it or alone, and the `config` of its configuration."""

    members: tuple[Member, ...]
    config: dict[str, object]
    on_busybox: bool = True


def _program(name: str) -> bytes:
    with tarfile.open(busybox.tar()) as root:
        file = root.extractfile(name)
        assert file is not None
        return file.read()


def _service() -> Image:
    """A service as images have them; nothing under /etc is what it should be."""
    return Image(
        members=(
            Member("etc"),
            Member("etc/passwd", b"root:x:0:0::/root:\nweb:x:1000:1001::/home/web:\n", mode=0o644),
            Member("etc/group", b"web:x:1001:\naudio:x:29:web\nwww:x:33:user,web\n", mode=0o644),
            Member("etc/hosts", link="/run/nowhere/hosts"),
            Member("etc/resolv.conf", link="resolv.conf"),
            Member("etc/hostname"),
            Member("etc/hostname/file", b"", mode=0o644),
            Member("var"),
            Member("var/data", mode=0o700, owner=1000),
            Member("var/data/kept", b"as packed\n", mode=0o600, owner=1000),
            Member("var/link", link="lib/elsewhere"),
        ),
        config={
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["echo $GREETING from $PWD"],
            "Env": [PATH, "GREETING=hello"],
            "User": "web",
            "WorkingDir": "/srv/web/current",
            "Volumes": {"/var/data": {}, "/srv/new": {}, "/var/link": {}},
            "StopSignal": "SIGQUIT",
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"org.example.title": "a \x1b[31mservice"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000},
        },
    )


def _scratch() -> Image:
    """One static program and nothing else."""
    return Image(
        members=(Member("busybox", _program("bin/busybox")),),
        config={"Entrypoint": ["/busybox"], "User": "4321", "WorkingDir": "/made/for/it"},
        on_busybox=False,
    )


def _linked_etc() -> Image:
    """/etc is a link, and what stands there is no list of users."""
    return Image(
        members=(
            Member("usr/share"),
            Member("usr/share/etc"),
            Member("usr/share/etc/hosts", b"127.0.0.1 its-own\n", mode=0o644),
            Member("usr/share/etc/passwd", link="passwd"),
            Member("usr/share/etc/group"),
            Member("etc", link="usr/share/etc"),
        ),
        config={"User": "77:88", "WorkingDir": "/etc/app", "Cmd": ["/bin/sh"]},
    )


IMAGES = {"service": _service, "scratch": _scratch, "linked-etc": _linked_etc}


def archive(name: str) -> Path:
    """One of IMAGES as `docker save` writes it. Raises RecipeError."""
    image = IMAGES[name]()
    sources = [Path(__file__), *([busybox.tar()] if image.on_busybox else [])]

    def build(target: Path) -> None:
        target.write_bytes(b"".join(_archive(image)))

    return cached(f"image-{name}", (path.read_bytes() for path in sources), build)


def _archive(image: Image) -> Iterator[bytes]:
    layers = [busybox.tar().read_bytes()] if image.on_busybox else []
    layers.append(_tar((member.info(), member.data or b"") for member in image.members))
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    files = {f"{hashlib.sha256(config).hexdigest()}.json": config}
    files |= {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    (config_name, *layer_names) = files
    manifest = [{"Config": config_name, "RepoTags": ["test:latest"], "Layers": layer_names}]
    files["manifest.json"] = json.dumps(manifest).encode()
    yield _tar((Member(name, data, mode=0o644).info(), data) for name, data in files.items())


def _tar(members: Iterator[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
