"""`smolpack sign`: puts signatures into a packed machine, and takes them out."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import smolsign
from smolpack import artifact, epoch, outfile, verify
from smolpack.artifact import Artifact, StoredSignature
from smolpack.errors import FormatError, OutputError, SignError
from smolpack.verify import NAMESPACE, SignatureResult, State
from smolsign import AllowedSigners, PublicKey, Signer, SmolsignError

_log = logging.getLogger(__name__)

_TIME_SIZE = 8

# What a file's signatures become.
_Change = Callable[[Artifact, tuple[SignatureResult, ...]], list[StoredSignature]]


def make_signature(contents: Artifact, signer: Signer) -> StoredSignature:
    """A signature over `contents`, as of now (SOURCE_DATE_EPOCH when that is set). Raises
    SignError when the signer cannot, an agent that refuses for example."""
    time = epoch.now()
    try:
        return StoredSignature(time, smolsign.sign(signer, contents.payload(time), NAMESPACE))
    except SmolsignError as error:
        raise SignError(str(error)) from error


def sign(path: Path, signer: Signer) -> None:
    """Signs the file `path`, which must be intact: a signature by the same key is replaced, bad
    ones are dropped, the others stay. Raises FormatError, SignError or OutputError."""

    def change(contents: Artifact, found: tuple[SignatureResult, ...]) -> list[StoredSignature]:
        return [*_others(path, found, signer.public_key), make_signature(contents, signer)]

    _rewrite(path, change)


def attach(path: Path, payload: bytes, signature: bytes) -> PublicKey:
    """Adds a signature, armored or binary, that another program made over `payload`, and returns
    its key; otherwise as sign(). Raises SignError when they do not belong to each other or to this
    file."""
    time = int.from_bytes(payload[-_TIME_SIZE:], "little")

    def change(contents: Artifact, found: tuple[SignatureResult, ...]) -> list[StoredSignature]:
        if payload != contents.payload(time):
            raise SignError("the payload is not of this file; write it anew with `smolpack verify`")
        return [*_others(path, found, key), made]

    try:
        blob = signature if signature.startswith(b"SSHSIG") else smolsign.dearmor(signature)
        key = smolsign.verify(blob, payload, NAMESPACE)
    except SmolsignError as error:
        raise SignError(f"the signature cannot be used: {error}") from error
    made = StoredSignature(time, blob)
    _rewrite(path, change)
    return key


def remove(path: Path, fingerprint: str) -> None:
    """Takes out the signatures by the key with that fingerprint; raises SignError when there is
    none."""

    def change(contents: Artifact, found: tuple[SignatureResult, ...]) -> list[StoredSignature]:
        left = [result.stored for result in found if result.fingerprint != fingerprint]
        if len(left) == len(found):
            raise SignError(f"{path}: has no signature by {fingerprint}; see `smolpack info`")
        return left

    _rewrite(path, change)


def _others(path: Path, found: Iterable[SignatureResult], key: PublicKey) -> list[StoredSignature]:
    left = []
    for result in found:
        if result.state == State.BAD:
            _log.warning("%s: dropped a bad signature: %s", path, result.problem)
        elif result.key != key:
            left.append(result.stored)
    return left


def _rewrite(path: Path, change: _Change) -> None:
    """The file anew with other signatures, in one step, with the permissions it had."""
    target = path.resolve()  # a link stays one
    with artifact.opened(path) as (file, contents):
        found = verify.verify(file, contents, AllowedSigners())
        if found.damage is not None:
            raise FormatError(found.damage)
        signatures = change(contents, found.signatures)
        # Not set-user-ID: it may belong to someone else from now on.
        mode = os.fstat(file.fileno()).st_mode & 0o777
        try:
            with outfile.replacing(target, mode) as out:
                outfile.copy(file, out, contents.table_offset + len(contents.table))
                artifact.write_signatures(out, contents, signatures)
        except OSError as error:
            raise OutputError(f"{path}: cannot write: {error.strerror}") from error
