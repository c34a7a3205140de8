"""Files of each format version, kept byte for byte: nobody changes the format by accident.

`python tests/packer/test_golden.py` writes golden/v2-*.vm anew; golden/v1.vm was written by the
packer of that version.
"""

import io
import re
from pathlib import Path

import pytest

from smolpack import artifact, config, inspect, kernel, verify
from smolpack import format as layout
from smolpack.errors import FormatError
from smolpack.format import SectionType
from smolpack.spec import RunDefaults
from smolpack.verify import State
from smolsign import AllowedSigners
from support import FixedSigner, sign_all

GOLDEN = Path(__file__).parent / "golden"
SIGNERS = (FixedSigner(1), FixedSigner(2))

_IMAGE = kernel.Image(layout.Arch.X86_64, 0x100_0000, 0x100_0010, b"\x90" * 5000, 9000)
SMALL = {
    SectionType.LAUNCHER: b"#!/bin/false\n",
    SectionType.KERNEL: kernel.encode(_IMAGE, frames=2, encoding=layout.Encoding.RAW),
    SectionType.INITRAMFS: b"070701",
    SectionType.ROOTFS: b"hsqs" * 100,
    SectionType.CONFIG: config.encode(config.Config(run=RunDefaults(cmd=("/bin/sh",)))),
}
# Two chunks, so that there is a tree.
LARGE = {**SMALL, SectionType.ROOTFS: b"hsqs" * 16385, SectionType.SBOM: b"{}"}


def written(name: str) -> bytes:
    """What the writer makes of the contents of a golden file."""
    contents = LARGE if name == "v2-signed.vm" else SMALL
    out = io.BytesIO()
    sections = [(kind, io.BytesIO(data)) for kind, data in contents.items()]
    found = artifact.write(out, layout.Arch.X86_64, sections)
    if name == "v2-signed.vm":
        artifact.write_signatures(out, found, sign_all(found, SIGNERS))
    return out.getvalue()


@pytest.mark.parametrize("name", ["v2-unsigned.vm", "v2-signed.vm"])
def test_the_writer(name: str) -> None:
    assert written(name) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize(("name", "contents"), [("v2-unsigned.vm", SMALL), ("v2-signed.vm", LARGE)])
def test_the_reader(name: str, contents: dict[SectionType, bytes]) -> None:
    with artifact.opened(GOLDEN / name) as (file, found):
        result = verify.verify(file, found, AllowedSigners())
        stored = {s.type: artifact.read_section(file, s) for s in found.sections}
    assert result.defect is None
    stored.pop(SectionType.HASHES, None)
    assert stored == contents
    signers = SIGNERS if contents is LARGE else ()
    assert [s.state for s in result.signatures] == [State.VALID for _ in signers]
    assert [s.key for s in result.signatures] == [signer.public_key for signer in signers]
    assert {s.stored.time for s in result.signatures} <= {1_700_000_000}


def test_version_1_is_refused_by_name() -> None:
    path = GOLDEN / "v1.vm"
    message = f"{path}: has format version 1, this smolpack knows 2; use the smolpack that made it"
    with pytest.raises(FormatError, match=re.escape(message)):
        inspect.inspect(path)


if __name__ == "__main__":
    for golden in ("v2-unsigned.vm", "v2-signed.vm"):
        (GOLDEN / golden).write_bytes(written(golden))
