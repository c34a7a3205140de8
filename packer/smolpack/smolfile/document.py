"""What a Smolfile means for one of the two verbs that read it."""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from smolpack.settings import Settings
from smolpack.smolfile.keys import SMOLFILE
from smolpack.smolfile.kinds import Table
from smolpack.smolfile.parser import read
from smolpack.smolfile.places import anchored_path, anchored_reference


class Profile(Enum):
    """Which of the two tables counts beside the top level: `create` makes something to hand on,
    `run` is for whoever works on it."""

    ARTIFACT = "artifact"
    DEV = "dev"


@dataclass(frozen=True, kw_only=True)
class Smolfile:
    """At most one of `image`, `rootfs` and `tar` is there; all paths are as seen from here. `later`
    holds, as in the file, what nothing acts on yet."""

    image: str | None
    rootfs: Path | None
    tar: Path | None
    platform: str | None
    sign: Path | None
    settings: Settings
    later: dict[str, Any]

    def later_json(self) -> str | None:
        """`later` as the artifact keeps it; None when it is empty."""
        if not self.later:
            return None
        return json.dumps(self.later, sort_keys=True, separators=(",", ":"))

    def later_names(self) -> list[str]:
        """Keys in `later` that ask for something: not those that are false or empty."""
        names = []
        for name, value in self.later.items():
            if isinstance(value, dict) and isinstance(SMOLFILE.keys[name].kind, Table):
                names += [f"[{name}] {key}" for key, inner in value.items() if _asks(inner)]
            elif _asks(value):
                names.append(name if not isinstance(value, dict) else f"[{name}]")
        return names


def load(file: Path, profile: Profile) -> Smolfile:
    """What `file` says; paths in it are relative to it. Raises SpecError."""
    said = _with_profile(read(file), profile)
    directory = file.parent

    def path(key: str) -> Path | None:
        return anchored_path(said[key], directory) if key in said else None

    return Smolfile(
        image=anchored_reference(said["image"], directory) if "image" in said else None,
        rootfs=path("rootfs"),
        tar=Path("-") if said.get("tar") == "-" else path("tar"),
        platform=said.get("platform"),
        sign=path("sign"),
        settings=Settings(
            entrypoint=tuple(said.get("entrypoint", ())) or None,
            cmd=tuple(said.get("cmd", ())) or None,
            env=tuple(said.get("env", ())),
            workdir=said.get("workdir"),
            cpus=said.get("cpus"),
            memory=said["memory"] << 20 if "memory" in said else None,
            labels=tuple(said.get("labels", ())),
        ),
        later={
            name: value
            for name, value in said.items()
            if not SMOLFILE.keys[name].acted_on or isinstance(SMOLFILE.keys[name].kind, Table)
        },
    )


def _with_profile(said: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """The top level with one profile's table laid over it, and without both tables."""
    artifact = said.pop("pack", said.pop("artifact", {}))
    dev = said.pop("dev", {})
    if profile is Profile.ARTIFACT:
        over = {"platform" if name == "oci_platform" else name: artifact[name] for name in artifact}
    else:
        over = {**dev, "env": [*said.get("env", ()), *dev.get("env", ())]}
    # An empty array says nothing, as everywhere.
    return {**said, **{name: value for name, value in over.items() if value != []}}


def _asks(value: Any) -> bool:
    return value is not False and value not in ([], {})
