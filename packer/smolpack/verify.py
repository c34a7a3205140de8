"""`smolpack verify`: is the whole file intact, who signed it, and does the user trust them?"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from smolpack import format as layout
from smolpack import integrity
from smolpack.artifact import Artifact, StoredSignature
from smolpack.errors import FormatError, PolicyError, VerifyError
from smolpack.integrity import SectionResult
from smolpack.progress import bar
from smolpack.text import printable, show_time
from smolsign import (
    AllowedSigners,
    AllowedSignersError,
    PublicKey,
    Signature,
    SignatureError,
    TrustError,
    TrustStore,
    UnknownKeyTypeError,
)
from smolsign.keys import KEY_TYPES
from smolsign.trust import SYSTEM_FILE
from smolsign.wire import Reader, WireError

NAMESPACE = layout.NAMESPACE.decode()


class State(StrEnum):
    """What a signature is worth. UNKNOWN says nothing against the file, BAD does."""

    VALID = "valid"
    UNKNOWN = "unknown key type"
    BAD = "bad"


@dataclass(frozen=True)
class SignatureResult:
    """One signature. `key` is None for one that is malformed; `principals` are the names that
    the trust store has for a valid one's key, none when it is not trusted; `problem` says why
    it is not valid."""

    stored: StoredSignature
    state: State
    key: PublicKey | None
    principals: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def fingerprint(self) -> str | None:
        """Of its key, as ssh-keygen -l prints it."""
        return self.key.fingerprint if self.key else None

    @property
    def title(self) -> str:
        """The signer by name, else by fingerprint."""
        return ", ".join(self.principals) or self.fingerprint or "nobody"


@dataclass(frozen=True)
class Verification:
    """A file read from the first byte to the last, and its signatures."""

    artifact: Artifact
    sections: tuple[SectionResult, ...]
    signatures: tuple[SignatureResult, ...]

    @property
    def damage(self) -> str | None:
        """The first section that is not what it was, and where; None when all are."""
        for result in self.sections:
            if result.damage is not None:
                name = result.section.type.label
                return f"damaged: the {name} section is not what it was at offset {result.damage}"
        return None

    @property
    def defect(self) -> str | None:
        """What in the file, signatures included, is not what it was; None when it is intact."""
        return self.damage or defect_of(self.signatures)


def verify(file: BinaryIO, contents: Artifact, trusted: AllowedSigners) -> Verification:
    """Reads all of `file`, with a progress bar if that takes more than a second."""
    with bar("verifying", contents.table_offset, delay=1) as advance:
        sections = integrity.check(file, contents, advance)
    return Verification(contents, sections, check_signatures(contents, trusted))


def check_signatures(contents: Artifact, trusted: AllowedSigners) -> tuple[SignatureResult, ...]:
    """Every signature against the table, and its key against the trust store as of now (as
    `ssh-keygen -Y verify` does); reads nothing of the file."""
    return tuple(_check_signature(contents, stored, trusted) for stored in contents.signatures)


def defect_of(signatures: tuple[SignatureResult, ...]) -> str | None:
    """Why signatures speak against a file: one is bad, or none can be checked; else None."""
    for signature in signatures:
        if signature.state == State.BAD:
            by = f" by {signature.fingerprint}" if signature.key else ""
            problem = (signature.problem or "").removeprefix("bad signature: ")
            return f"has a bad signature{by}: {problem}"
    if signatures and all(signature.state == State.UNKNOWN for signature in signatures):
        return f"has no signature that can be checked: {signatures[0].problem}"
    return None


def trusted_signature(
    signatures: tuple[SignatureResult, ...],
    trusted: AllowedSigners,
    *,
    any_key: bool = False,
    signer: str | None = None,
) -> SignatureResult:
    """The first valid signature that counts: by a trusted key, with `any_key` by any, with
    `signer` by a trusted key of that name. Raises VerifyError when there is none."""
    valid = [signature for signature in signatures if signature.state == State.VALID]
    if not valid:
        raise VerifyError("unsigned: nobody vouches for it; ask its maker for a signed file")
    if any_key:
        return valid[0]
    for signature in valid:
        assert signature.key is not None
        if trusted.find(signature.key, NAMESPACE, principal=signer):
            return signature
    who = ", ".join(signature.title for signature in valid)
    if signer is not None:
        raise VerifyError(f"not signed by {signer} (but by {who}); see `smolpack trust list`")
    raise VerifyError(
        f"signed by {who}, whom you do not trust; if you know the key: `smolpack trust add`"
    )


def check_verdict(
    verification: Verification,
    trusted: AllowedSigners,
    *,
    any_key: bool = False,
    signer: str | None = None,
) -> SignatureResult:
    """The signature for whose sake the file is accepted; raises FormatError for one that is not
    intact and VerifyError for one that nobody trusted vouches for."""
    if verification.defect is not None:
        raise FormatError(verification.defect)
    return trusted_signature(verification.signatures, trusted, any_key=any_key, signer=signer)


def load_trust() -> AllowedSigners:
    """The user's and the system's trust store, for a user without home the system's alone; raises
    PolicyError."""
    try:
        try:
            return TrustStore().load()
        except TrustError:
            return AllowedSigners.load(SYSTEM_FILE)
    except AllowedSignersError as error:
        raise PolicyError(str(error)) from error


def as_text(path: Path, verification: Verification) -> str:
    """A line a section, a line a signature."""
    lines = [f"{'section':<10} {'offset':>12} {'bytes':>12}  state"]
    for result in verification.sections:
        state = "intact" if result.damage is None else f"damaged at offset {result.damage}"
        section = result.section
        name = section.type.label
        lines.append(f"{name:<10} {section.offset:>12} {section.size:>12}  {state}")
    signatures = [describe(signature) for signature in verification.signatures]
    lines += [f"signature  {text}" for text in signatures or ["none: unsigned"]]
    return printable("\n".join([str(path), *lines]), keep="\n")


def describe(signature: SignatureResult) -> str:
    """A signature in one line: time, signer, key, or what is wrong with it."""
    if signature.state == State.BAD:
        return f"bad: {signature.problem}"
    assert signature.key is not None
    who = ", ".join(signature.principals) or "unknown signer"
    if signature.state == State.UNKNOWN:
        who = "not checked"
    when = show_time(signature.stored.time)
    return f"{when}, {who}, {signature.key.type} {signature.key.fingerprint}"


def as_fields(signature: SignatureResult) -> dict[str, Any]:
    """A signature for JSON; keys are stable, `time` in seconds since 1970."""
    return {
        "state": signature.state.value,
        "principals": signature.principals,
        "fingerprint": signature.fingerprint,
        "key_type": signature.key.type if signature.key else None,
        "time": signature.stored.time,
        "problem": signature.problem,
    }


def as_json(path: Path, verification: Verification, refusal: str | None) -> str:
    """A JSON object; `refusal` is why the verdict is no. Keys are stable, offsets in bytes."""
    fields = {
        "file": str(path),
        "ok": refusal is None,
        "problem": refusal,
        "intact": verification.defect is None,
        "sections": [
            {
                "type": result.section.type.label,
                "offset": result.section.offset,
                "size": result.section.size,
                "root": result.section.root.hex(),
                "damaged_at": result.damage,
            }
            for result in verification.sections
        ],
        "signatures": [as_fields(signature) for signature in verification.signatures],
    }
    return json.dumps(fields, indent=2)


def _check_signature(
    contents: Artifact, stored: StoredSignature, trusted: AllowedSigners
) -> SignatureResult:
    key = None
    try:
        signature = Signature.from_bytes(stored.blob)
        key = signature.public_key
        signature.verify(contents.payload(stored.time), NAMESPACE)
    except UnknownKeyTypeError as error:
        if _is_of_known_type(signature):
            problem = "malformed signature: its key is of another type"
            return SignatureResult(stored, State.BAD, key, problem=problem)
        return SignatureResult(stored, State.UNKNOWN, key, problem=str(error))
    except SignatureError as error:
        return SignatureResult(stored, State.BAD, key, problem=str(error))
    entries = trusted.find(key, NAMESPACE)
    names = tuple(dict.fromkeys(entry.principals for entry in entries))
    return SignatureResult(stored, State.VALID, key, names)


def _is_of_known_type(signature: Signature) -> bool:
    """Whether it would be one that can be checked, had its key not another type: a changed byte
    must not make a signature one that does no harm. (Certificates sign with the type of their
    key.)"""
    try:
        kind = Reader(signature.signature).text()
    except WireError:
        return False
    return kind in KEY_TYPES and "-cert-v" not in signature.public_key.type
