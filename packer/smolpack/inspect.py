"""What a packed machine holds and how it runs: `smolpack info`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolpack import artifact, config, kernel, verify
from smolpack import format as layout
from smolpack.artifact import Artifact, Section
from smolpack.config import Config
from smolpack.format import SectionType
from smolpack.text import printable, show_time
from smolpack.values import format_size, signal_name
from smolpack.verify import SignatureResult

# Digits of a hash that tell it from others to the eye.
_SHORT = 16


@dataclass(frozen=True)
class Info:
    """A packed machine, its settings and who signed it (which says nothing about its content:
    only `verify` reads that); `kernel_image_size` in bytes, uncompressed."""

    path: Path
    artifact: Artifact
    config: Config
    kernel_image_size: int
    signatures: tuple[SignatureResult, ...]

    def unpacked_size(self, section: Section) -> int | None:
        """Bytes that a compressed section was made from: the kernel's image, the root's tar
        stream; None for others."""
        if section.type == SectionType.KERNEL:
            return self.kernel_image_size
        return self.config.source_size if section.type == SectionType.ROOTFS else None


def inspect(path: Path) -> Info:
    """Reads and checks a packed machine; raises FormatError naming `path` and the defect."""
    with artifact.opened(path) as (file, contents):
        stored_kernel = contents.section(SectionType.KERNEL)
        return Info(
            path,
            contents,
            config.read(file, contents),
            kernel.check_section(file, stored_kernel.offset, stored_kernel.size).image_size,
            verify.check_signatures(contents, verify.load_trust()),
        )


def as_json(info: Info) -> str:
    """A JSON object; keys are stable, sizes and offsets in bytes."""
    run = info.config.run
    fields: dict[str, Any] = {
        "file": str(info.path),
        "format_version": layout.VERSION,
        "arch": info.artifact.arch.label,
        "size": info.artifact.file_size,
        "name": run.name,
        "entrypoint": run.entrypoint,
        "cmd": run.cmd,
        "env": run.env,
        "workdir": run.workdir,
        "user": run.user,
        "hostname": run.hostname,
        "cpus": run.cpus,
        "memory": run.memory,
        "labels": run.labels,
        "stop_signal": run.stop_signal,
        "exposed_ports": run.exposed_ports,
        "volumes": run.volumes,
        "healthcheck": None if run.healthcheck is None else json.loads(run.healthcheck),
        "shell": run.shell,
        "image": info.config.image,
        "image_digest": info.config.image_digest,
        "smolfile": None if info.config.smolfile is None else json.loads(info.config.smolfile),
        "kernel_version": info.config.kernel_version,
        "kernel_config_sha256": info.config.kernel_config,
        "kernel_image_size": info.kernel_image_size,
        "source_sha256": info.config.source,
        "source_date": info.config.date,
        "tool": info.config.tool,
        "sections": [
            {
                "type": section.type.label,
                "offset": section.offset,
                "size": section.size,
                "unpacked_size": info.unpacked_size(section),
                "ratio": _ratio(section.size, info.unpacked_size(section)),
                "root": section.root.hex() if any(section.root) else None,
            }
            for section in info.artifact.sections
        ],
        "signatures": [verify.as_fields(signature) for signature in info.signatures],
    }
    return json.dumps(fields, indent=2)


def as_text(info: Info) -> str:
    """A table for people."""
    run = info.config.run
    size = info.artifact.file_size
    rows: list[tuple[str, str | None]] = [
        ("file", f"{info.path}, {size} bytes ({_mebibytes(size)})"),
        ("name", run.name),
        ("architecture", info.artifact.arch.label),
        ("kernel", info.config.kernel_version or "unknown"),
        ("", info.config.kernel_config and f"config sha256 {info.config.kernel_config}"),
        ("entrypoint", _words(run.entrypoint)),
        ("cmd", _words(run.cmd)),
        *(("env", assignment) for assignment in run.env),
        ("workdir", run.workdir),
        ("user", run.user),
        ("hostname", run.hostname),
        ("cpus", str(run.cpus)),
        ("memory", format_size(run.memory)),
        *(("label", label) for label in run.labels),
        ("stop signal", None if run.stop_signal is None else signal_name(run.stop_signal)),
        *(("port", port) for port in run.exposed_ports),
        *(("volume", volume) for volume in run.volumes),
        ("healthcheck", run.healthcheck),
        ("shell", _words(run.shell)),
        ("not yet here", info.config.smolfile and f"Smolfile asks for {info.config.smolfile}"),
        ("image", info.config.image),
        ("", info.config.image_digest),
        ("source", info.config.source and f"sha256 {info.config.source}"),
        ("", None if info.config.date is None else f"dated {show_time(info.config.date)}"),
        ("made by", info.config.tool),
        *(("signature", text) for text in map(verify.describe, info.signatures)),
        *([] if info.signatures else [("signature", "none: unsigned")]),
    ]
    lines = [f"{key:<13} {printable(value)}" for key, value in rows if value is not None]
    lines += ["", f"{'section':<10} {'offset':>12} {'bytes':>12} {'unpacked':>12} ratio  root"]
    for section in info.artifact.sections:
        unpacked = info.unpacked_size(section)
        ratio = _ratio(section.size, unpacked)
        packing = "" if ratio is None else f"{unpacked:>12} {ratio:>5.0%}"
        root = section.root.hex()[:_SHORT] if any(section.root) else ""
        lines.append(
            f"{section.type.label:<10} {section.offset:>12} {section.size:>12} "
            f"{packing:>18}  {root}".rstrip()
        )
    return "\n".join(lines)


def _ratio(size: int, unpacked: int | None) -> float | None:
    return round(size / unpacked, 4) if unpacked else None


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.2f} MiB"


def _words(words: tuple[str, ...]) -> str | None:
    return json.dumps(words, ensure_ascii=False) if words else None
