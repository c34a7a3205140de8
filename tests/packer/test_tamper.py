"""Whoever changes a signed file is found out, whatever they change; with one clear line."""

import dataclasses
import io
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smolsign
from smolpack import artifact, verify
from smolpack import format as layout
from smolpack.artifact import Artifact, StoredSignature
from smolpack.errors import FormatError, VerifyError
from smolpack.format import SectionType
from smolsign import AllowedSigners, Entry
from support import Cli, FixedSigner, sign_all
from test_golden import GOLDEN, LARGE

SIGNER = FixedSigner(1)
TRUSTED = AllowedSigners((Entry(principals="maker", public_key=SIGNER.public_key),))


def make(
    changes: dict[SectionType, bytes] | None = None, signers: Iterable[FixedSigner] = (SIGNER,)
) -> bytes:
    out = io.BytesIO()
    sections = [(kind, io.BytesIO(data)) for kind, data in (LARGE | (changes or {})).items()]
    found = artifact.write(out, layout.Arch.X86_64, sections)
    artifact.write_signatures(out, found, sign_all(found, signers))
    return out.getvalue()


GOOD = make()
FOUND = artifact.read(io.BytesIO(GOOD))
TABLE = FOUND.table_offset
SIGNATURES = TABLE + len(FOUND.table)


def judge(data: bytes, any_key: bool = False) -> verify.Verification:
    """What `smolpack verify` does; raises as it does."""
    file = io.BytesIO(data)
    result = verify.verify(file, artifact.read(file), TRUSTED)
    # Whatever was found can be shown.
    verify.as_text(Path("x"), result)
    verify.as_json(Path("x"), result, None)
    verify.check_verdict(result, TRUSTED, any_key=any_key)
    return result


def refusal(data: bytes) -> str:
    """The message with which it is refused, even where anybody's signature would do."""
    with pytest.raises((FormatError, VerifyError)) as caught:
        judge(data, any_key=True)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def section(kind: SectionType, found: Artifact = FOUND) -> slice:
    entry = found.section(kind)
    return slice(entry.offset, entry.offset + entry.size)


def replaced(data: bytes, place: slice, content: bytes) -> bytes:
    changed = bytearray(data)
    assert len(content) == place.stop - place.start
    changed[place] = content
    return bytes(changed)


def flipped(offset: int, bits: int = 0xFF) -> bytes:
    return replaced(GOOD, slice(offset, offset + 1), bytes([GOOD[offset] ^ bits]))


def test_the_untouched_file() -> None:
    assert judge(GOOD).defect is None


@pytest.mark.parametrize("bits", [0x01, 0x20, 0xFF])
def test_every_byte_of_table_signature_and_trailer(bits: int) -> None:
    for offset in range(TABLE, len(GOOD)):
        refusal(flipped(offset, bits))


@pytest.mark.parametrize("kind", [entry.type for entry in FOUND.sections])
def test_a_byte_in_each_chunk_of_each_section(kind: SectionType) -> None:
    unit = layout.HASH_BLOCK if kind == SectionType.HASHES else layout.CHUNK_SIZE
    place = section(kind)
    name = kind.name.lower()
    for start in range(place.start, place.stop, unit):
        last = min(start + unit, place.stop) - 1
        for offset in (start, (start + last) // 2, last):
            message = refusal(flipped(offset))
            assert f"the {name} section is not what it was at offset {start}" in message


def test_padding() -> None:
    for entry in FOUND.sections:
        end = entry.offset + entry.size
        for offset in {*range(end, layout.align(end))[:1], *range(end, layout.align(end))[-1:]}:
            assert "padding" in refusal(flipped(offset))


def test_truncation_at_every_offset_of_table_signature_and_trailer() -> None:
    for size in range(TABLE, len(GOOD)):
        refusal(GOOD[:size])


@pytest.mark.parametrize("size", [1, 8, 63, 64, 4096])
def test_trailing_bytes(size: int) -> None:
    refusal(GOOD + bytes(size))
    refusal(GOOD + GOOD[-size:])
    # With a trailer that accounts for them.
    trailer = layout.Trailer.unpack(GOOD[-64:])
    honest = dataclasses.replace(trailer, file_size=trailer.file_size + size).pack()
    refusal(GOOD[:-64] + bytes(size) + honest)
    larger = dataclasses.replace(
        trailer,
        file_size=trailer.file_size + size,
        signatures_size=trailer.signatures_size + size,
    ).pack()
    refusal(GOOD[:-64] + bytes(size) + larger)


def test_swapped_sections() -> None:
    same_size = make({SectionType.SBOM: b"{    }"})
    found = artifact.read(io.BytesIO(same_size))
    one, other = section(SectionType.INITRAMFS, found), section(SectionType.SBOM, found)
    data = replaced(same_size, one, same_size[other])
    data = replaced(data, other, same_size[one])
    assert "the initramfs section is not what it was" in refusal(data)


def test_swapped_entries_of_the_table() -> None:
    rows = [slice(TABLE + 64 * row, TABLE + 64 * (row + 1)) for row in (3, 6)]
    types = [slice(row.start, row.start + 4) for row in rows]
    data = replaced(replaced(GOOD, types[0], GOOD[types[1]]), types[1], GOOD[types[0]])
    assert "bad signature" in refusal(data)


OTHER = make({SectionType.INITRAMFS: b"070702", SectionType.ROOTFS: b"hsqS" * 16385})


@pytest.mark.parametrize("kind", [SectionType.INITRAMFS, SectionType.ROOTFS, SectionType.HASHES])
def test_a_section_of_another_signed_file(kind: SectionType) -> None:
    judge(OTHER)
    name = kind.name.lower()
    assert f"the {name} section is not" in refusal(
        replaced(GOOD, section(kind), OTHER[section(kind)])
    )


def test_the_table_of_an_older_file_put_back() -> None:
    older = OTHER[TABLE:]
    assert "is not what it was" in refusal(GOOD[:TABLE] + older)
    assert "bad signature" in refusal(GOOD[:SIGNATURES] + OTHER[SIGNATURES:])


def with_signatures(*signatures: StoredSignature) -> bytes:
    file = io.BytesIO(GOOD)
    artifact.write_signatures(file, FOUND, signatures)
    return file.getvalue()


def test_a_signature_for_another_namespace() -> None:
    blob = smolsign.sign(SIGNER, FOUND.payload(5), "file")
    assert "namespace 'file'" in refusal(with_signatures(StoredSignature(5, blob)))


def test_a_signature_of_another_time() -> None:
    (signature,) = FOUND.signatures
    later = dataclasses.replace(signature, time=signature.time + 1)
    assert "bad signature" in refusal(with_signatures(later))


def test_no_signature() -> None:
    assert "unsigned" in refusal(with_signatures())


def test_a_bad_signature_is_not_outvoted_by_a_good_one() -> None:
    bad = dataclasses.replace(FOUND.signatures[0], time=1)
    assert "bad signature" in refusal(with_signatures(*FOUND.signatures, bad))


def test_signatures_of_keys_that_nobody_can_check_do_no_harm() -> None:
    kind = b"ssh-unknown"
    blob = FOUND.signatures[0].blob.replace(b"ssh-ed25519", kind)
    unknown = StoredSignature(7, blob)
    states = [
        found.state for found in judge(with_signatures(unknown, *FOUND.signatures)).signatures
    ]
    assert states == [verify.State.UNKNOWN, verify.State.VALID]
    assert "no signature that can be checked" in refusal(with_signatures(unknown))


def test_a_changed_key_type_is_bad_not_unknown() -> None:
    blob = FOUND.signatures[0].blob.replace(b"ssh-ed25519", b"ssh-ed25518", 1)
    changed = dataclasses.replace(FOUND.signatures[0], blob=blob)
    assert "its key is of another type" in refusal(with_signatures(*FOUND.signatures, changed))


def test_every_byte_of_a_second_signature() -> None:
    data = make(signers=[SIGNER, FixedSigner(2)])
    judge(data)
    first = len(FOUND.signatures[0].blob) + 16
    for offset in range(SIGNATURES + first + -first % 8, len(data)):
        refusal(replaced(data, slice(offset, offset + 1), bytes([data[offset] ^ 1])))


def test_a_stranger_signs_a_changed_file() -> None:
    forged = make({SectionType.INITRAMFS: b"070702"}, [FixedSigner(9)])
    judge(forged, any_key=True)
    with pytest.raises(VerifyError, match="whom you do not trust"):
        judge(forged)


def test_one_line_and_no_traceback(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tool.vm"
    end = len(GOOD)
    for data in (
        flipped(section(SectionType.ROOTFS).start),
        flipped(4095),
        flipped(TABLE + 3),
        flipped(SIGNATURES + 40),
        flipped(end - 60),
        GOOD[:-1],
        GOOD[: end // 2],
        GOOD + b"x",
        b"",
    ):
        path.write_bytes(data)
        for option in ("--any-key", "--json"):
            done = cli("verify", path, option)
            lines = done.stderr.decode().splitlines()
            assert done.returncode == 1
            assert len(lines) == 1 and lines[0].startswith(f"smolpack: error: {path}: ")


SEEDS = [(GOLDEN / name).read_bytes() for name in ("v1.vm", "v2-unsigned.vm", "v2-signed.vm")]


@st.composite
def hostile_files(draw: st.DrawFn) -> bytes:
    """A golden file after some rounds of what a mutating fuzzer does, mostly near its end."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        near_the_end = st.integers(max(0, len(data) - 1100), len(data))
        at = draw(near_the_end | st.integers(0, len(data)))
        size = draw(st.integers(0, 16) | st.integers(0, 5000))
        match draw(st.sampled_from(["bytes", "number", "delete", "zeros", "repeat"])):
            case "bytes":
                data[at : at + 8] = draw(st.binary(max_size=8))
            case "number":
                data[at : at + 8] = draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
            case "delete":
                del data[at : at + size]
            case "zeros":
                data[at:at] = bytes(size)
            case "repeat":
                data[at:at] = data[-size:]
    return bytes(data)


@given(hostile_files())
def test_hostile_files_raise_nothing_but_clean_errors(data: bytes) -> None:
    try:
        result = judge(data)
    except (FormatError, VerifyError) as error:
        assert "\n" not in str(error)
    else:
        # Accepted is only what the signer made.
        golden = artifact.read(io.BytesIO(SEEDS[2]))
        assert result.artifact.table == golden.table
        assert data[: golden.table_offset] == SEEDS[2][: golden.table_offset]


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_many_random_bytes_at_once(seed: int, count: int) -> None:
    generator = random.Random(seed)
    data = bytearray(GOOD)
    for _ in range(count):
        data[generator.randrange(len(data))] = generator.randrange(256)
    if data != GOOD:
        refusal(bytes(data))
