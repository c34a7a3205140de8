"""Signatures, keys and trust: `smolpack verify`, `sign`, `key …`, `trust …`."""

from __future__ import annotations

import contextlib
import json as json_module
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smolpack.errors import (
    FormatError,
    OutputError,
    SignError,
    SmolpackError,
    SpecError,
    VerifyError,
)
from smolpack.text import printable, show_time

if TYPE_CHECKING:
    from smolpack.artifact import StoredSignature
    from smolpack.verify import Verification
    from smolsign import Entry, PublicKey, Signer

VERIFY_EXAMPLES = """Examples:

\b
  smolpack verify tool.vm
  smolpack verify tool.vm --require-signer alice@example.com
  smolpack verify tool.vm --payload p --signature s
  ssh-keygen -Y verify -f allowed_signers -I alice@example.com -n smolpack -s s < p
"""

SIGN_EXAMPLES = """Examples:

\b
  smolpack sign tool.vm --key ~/.ssh/id_ed25519
  smolpack sign tool.vm --key ~/.ssh/id_ed25519_sk.pub
  smolpack sign tool.vm --remove SHA256:…
\b
  smolpack verify tool.vm --payload p
  ssh-keygen -Y sign -n smolpack -f key p
  smolpack sign tool.vm --payload p --signature p.sig
"""

_GENERATE_EXAMPLES = "Example:\n\n\b\n  smolpack key generate ~/.ssh/release\n"
_ADD_EXAMPLES = """Examples:

\b
  smolpack trust add alice@example.com alice.pub
  smolpack trust add alice@example.com "ssh-ed25519 AAAA…" --valid-before 20301231
"""
_LIST_EXAMPLES = "Example:\n\n\b\n  smolpack trust list\n"
_REMOVE_EXAMPLES = "Example:\n\n\b\n  smolpack trust remove alice@example.com\n"

key_app = typer.Typer(
    help="Make keys to sign with.", epilog=_GENERATE_EXAMPLES, no_args_is_help=True
)
trust_app = typer.Typer(
    help="Say whose signatures count.", epilog=_ADD_EXAMPLES, no_args_is_help=True
)

# More than a payload or an armored signature can have, in bytes.
_MAX_PIECE = 256 << 10

_File = Annotated[Path, typer.Argument(help="A packed machine.")]
_Json = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def verify(
    file: _File,
    any_key: Annotated[
        bool, typer.Option("--any-key", help="Accept a signature by whatever key.")
    ] = False,
    require_signer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Accept only a trusted key of this name."),
    ] = None,
    payload: Annotated[
        Path | None,
        typer.Option(
            help="Write what the signature signs; without --signature, what a new one is to sign."
        ),
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="Write the signature, as ssh-keygen -Y verify reads it.")
    ] = None,
    json: _Json = False,
) -> None:
    """Read all of a packed machine; status 0 only if it is intact and signed by a trusted key."""
    from smolpack import artifact
    from smolpack import verify as verb

    if any_key and require_signer is not None:
        raise SpecError("--any-key and --require-signer contradict each other; give one")
    trusted = verb.load_trust()
    with artifact.opened(file) as (opened, contents):
        found = verb.verify(opened, contents, trusted)
    refusal = None
    accepted = None
    try:
        accepted = verb.check_verdict(found, trusted, any_key=any_key, signer=require_signer)
    except SmolpackError as error:
        refusal = error
    if json:
        typer.echo(verb.as_json(file, found, None if refusal is None else str(refusal)))
    else:
        typer.echo(verb.as_text(file, found))
    _write_pieces(found, accepted.stored if accepted else None, payload, signature)
    if refusal is not None:
        raise type(refusal)(f"{file}: {refusal}")


def sign(
    file: _File,
    key: Annotated[
        Path | None,
        typer.Option(
            help="OpenSSH Ed25519 private key, or a public key (.pub) that ssh-agent has."
        ),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="Take out the signature by that key."),
    ] = None,
    payload: Annotated[
        Path | None, typer.Option(help="What --signature signs, from `smolpack verify`.")
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="Add a signature made by `ssh-keygen -Y sign`.")
    ] = None,
) -> None:
    """Sign a packed machine. Other keys' signatures stay; one by the same key is replaced."""
    from smolpack import sign as verb

    given = [key is not None, remove is not None, payload is not None or signature is not None]
    if sum(given) != 1 or (payload is None) != (signature is None):
        raise SpecError(
            "give one of: --key KEY, --remove FINGERPRINT, --payload FILE and --signature FILE"
        )
    if remove is not None:
        verb.remove(file, remove)
        typer.echo(f"{file}: no longer signed by {remove}")
        return
    if key is not None:
        signer = load_signer(key)
        verb.sign(file, signer)
        fingerprint = signer.public_key.fingerprint
    else:
        assert payload is not None and signature is not None
        fingerprint = verb.attach(file, _read(payload), _read(signature)).fingerprint
    typer.echo(f"{file}: signed by {fingerprint}")


@key_app.command(epilog=_GENERATE_EXAMPLES)
def generate(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="The private key's file; the public one gets .pub. Default: "
            "~/.config/smolpack/id_ed25519.",
            show_default=False,
        ),
    ] = None,
    comment: Annotated[str, typer.Option(help="Comment of the public key.")] = "",
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the private key.")
    ] = False,
) -> None:
    """Make an Ed25519 key as ssh-keygen does; an existing file is never overwritten."""
    import smolsign
    from smolpack import passphrase
    from smolsign.trust import user_file

    with _smolsign_errors():
        target = path or user_file().with_name("id_ed25519")
    for existing in (target, Path(f"{target}.pub")):
        if existing.exists():
            raise SignError(f"{existing}: exists and is never overwritten; give another name")
    secret = None if no_passphrase else passphrase.ask_new(target)
    with _smolsign_errors():
        public = smolsign.generate(target, comment, secret)
    typer.echo(f"{target}: {public.fingerprint}\n{target}.pub: {public.line}")


@trust_app.command(epilog=_ADD_EXAMPLES)
def add(
    name: Annotated[str, typer.Argument(help="Who signs with the key, like an e-mail address.")],
    key: Annotated[str, typer.Argument(help="Public key file, or `ssh-ed25519 AAAA…`.")],
    namespaces: Annotated[
        str, typer.Option(help="What the key may sign (a list of patterns).")
    ] = "smolpack",
    valid_after: Annotated[
        str | None,
        typer.Option(metavar="YYYYMMDD[HHMM[SS]][Z]", help="The key counts from then on."),
    ] = None,
    valid_before: Annotated[
        str | None,
        typer.Option(metavar="YYYYMMDD[HHMM[SS]][Z]", help="The key counts until then."),
    ] = None,
) -> None:
    """Trust a key under a name."""
    from smolsign import Entry, TrustStore

    with _smolsign_errors():
        entry = Entry(
            principals=name,
            public_key=_public_key(key),
            namespaces=namespaces,
            valid_after=_time("--valid-after", valid_after),
            valid_before=_time("--valid-before", valid_before),
        )
        added = TrustStore().add(entry)
    state = "trusted" if added else "trusted already"
    typer.echo(f"{name}: {state}, {entry.public_key.fingerprint}")


@trust_app.command("list", epilog=_LIST_EXAMPLES)
def list_trusted(json: _Json = False) -> None:
    """Show whose signatures count: the user's own list and the system's."""
    from smolsign import TrustStore

    with _smolsign_errors():
        found = TrustStore().load()
    for warning in found.warnings:
        typer.echo(f"smolpack: warning: {printable(warning)}", err=True)
    if json:
        fields = [
            {
                "principals": entry.principals,
                "fingerprint": entry.public_key.fingerprint,
                "key": entry.public_key.line,
                "namespaces": entry.namespaces,
                "valid_after": entry.valid_after,
                "valid_before": entry.valid_before,
                "file": str(entry.path),
            }
            for entry in found.entries
        ]
        typer.echo(json_module.dumps(fields, indent=2))
        return
    for entry in found.entries:
        typer.echo(printable(f"{entry.principals} {entry.public_key.fingerprint} {_limits(entry)}"))


@trust_app.command("remove", epilog=_REMOVE_EXAMPLES)
def remove_trusted(
    who: Annotated[str, typer.Argument(metavar="NAME|FINGERPRINT", help="As `trust list` shows.")],
) -> None:
    """Trust a signer, or a key, no longer."""
    from smolsign import TrustStore

    with _smolsign_errors():
        removed = TrustStore().remove(who)
    for entry in removed:
        typer.echo(f"{printable(entry.principals)}: removed, {entry.public_key.fingerprint}")


def load_signer(key: Path) -> Signer:
    """What signs with a key file; asks for a passphrase if there is one."""
    import smolsign
    from smolpack import passphrase

    with _smolsign_errors():
        return smolsign.load_signer(key, passphrase.ask)


@contextlib.contextmanager
def _smolsign_errors() -> Iterator[None]:
    from smolsign import SmolsignError

    try:
        yield
    except SmolsignError as error:
        raise SignError(str(error)) from error


def _write_pieces(
    found: Verification,
    accepted: StoredSignature | None,
    payload: Path | None,
    signature: Path | None,
) -> None:
    """What other programs need to judge the file, or to sign it."""
    import smolsign
    from smolpack import epoch

    if (payload or signature) and found.damage is not None:
        raise FormatError(f"{found.damage}; no payload is written for a damaged file")
    chosen = accepted or next(iter(found.artifact.signatures), None)
    if signature is not None:
        if chosen is None:
            raise VerifyError("unsigned: there is no signature to write; leave out --signature")
        _write(signature, smolsign.armor(chosen.blob).encode())
    if payload is not None:
        time = chosen.time if chosen is not None and signature is not None else epoch.now()
        _write(payload, found.artifact.payload(time))


def _write(path: Path, content: bytes) -> None:
    from smolpack import outfile

    outfile.check_target(path)
    try:
        with outfile.replacing(path, 0o644) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path}: cannot write: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PIECE)
    except OSError as error:
        raise SignError(f"{path}: cannot read: {error.strerror}") from error


def _public_key(text: str) -> PublicKey:
    import smolsign

    if " " in text:
        return smolsign.PublicKey.parse(text)
    return smolsign.load_public_key(Path(text))


def _time(option: str, text: str | None) -> int | None:
    from smolsign import timestamps

    try:
        return None if text is None else timestamps.parse(text)
    except ValueError as error:
        raise SpecError(f"{option} {text!r}: {error}") from error


def _limits(entry: Entry) -> str:
    """What an entry is for, from when until when, and where it stands."""

    limits = [f"for {entry.namespaces or 'everything'}"]
    if entry.valid_after is not None:
        limits.append(f"from {show_time(entry.valid_after)}")
    if entry.valid_before is not None:
        limits.append(f"until {show_time(entry.valid_before)}")
    return ", ".join([*limits, f"in {entry.path}"])
