"""Whose machines may run on this host: /etc/smolpack/policy.toml and the environment.

The launcher applies the same rules by itself (stub/policy.h); docs/security.md explains them.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolpack.errors import PolicyError, VerifyError

FILE = Path("/etc/smolpack/policy.toml")
MAX_SIZE = 64 << 10

_REQUIRE = "SMOLPACK_REQUIRE_SIGNATURE"
_SIGNERS = "SMOLPACK_SIGNERS"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]")


@dataclass(frozen=True)
class SignerList:
    """Fingerprints of whom one at least must have signed; `origin` is where that stands."""

    origin: str
    fingerprints: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """What a file must have to run. Each list asks for one of its signers."""

    require_signature: bool
    lists: tuple[SignerList, ...]

    def check(self, fingerprints: Collection[str]) -> None:
        """Raises VerifyError unless a file with valid signatures by these keys may run."""
        if not fingerprints and (self.require_signature or self.lists):
            raise VerifyError(
                f"unsigned, and the policy here ({FILE} or {_REQUIRE}, {_SIGNERS}) wants a "
                "signature; ask its maker for a signed file"
            )
        for accepted in self.lists:
            if accepted.fingerprints.isdisjoint(fingerprints):
                raise VerifyError(
                    f"signed by {', '.join(fingerprints)}, whom {accepted.origin} does not list; "
                    "add the fingerprint there if you trust this signer"
                )

    def __str__(self) -> str:
        if not self.require_signature and not self.lists:
            return "unsigned files run, whoever signed the others"
        lists = [f"one of {len(found.fingerprints)} in {found.origin}" for found in self.lists]
        return f"a signature is required, by {' and '.join(lists) or 'anyone'}"


def load(path: Path = FILE, environment: Mapping[str, str] = os.environ) -> Policy:
    """The policy in force: what the file asks for and what the environment adds. Raises
    PolicyError for what cannot be understood; such a policy allows nothing."""
    require, lists = _read_file(path)
    word = environment.get(_REQUIRE, "")
    if word not in ("", "0", "1"):
        raise PolicyError(f"{_REQUIRE} must be 0 or 1, not {word!r:.80}")
    if signers := environment.get(_SIGNERS):
        lists.append(_signer_list(_SIGNERS, signers.replace(",", " ").split()))
    return Policy(require or word == "1", tuple(lists))


def _read_file(path: Path) -> tuple[bool, list[SignerList]]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
        if len(content) > MAX_SIZE:
            raise PolicyError(f"{path}: has more than {MAX_SIZE} bytes")
        fields = tomllib.loads(content.decode())
    except FileNotFoundError:
        return False, []
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PolicyError(f"{path}: {error}") from error
    require: Any = fields.pop("require-signature", False)
    signers: Any = fields.pop("signers", None)
    if fields:
        raise PolicyError(
            f"{path}: {next(iter(fields))!r} is not known; there are require-signature and signers"
        )
    if not isinstance(require, bool):
        raise PolicyError(f"{path}: require-signature is true or false")
    if signers is None:
        return require, []
    if not isinstance(signers, list) or not all(isinstance(signer, str) for signer in signers):
        raise PolicyError(f'{path}: signers is an array of strings, like ["SHA256:…"]')
    return require, [_signer_list(str(path), signers)]


def _signer_list(origin: str, signers: list[str]) -> SignerList:
    if not signers:
        raise PolicyError(f"{origin}: signers names nobody; leave it out to accept everybody")
    return SignerList(origin, frozenset(_fingerprint(origin, signer) for signer in signers))


def _fingerprint(origin: str, signer: str) -> str:
    if _FINGERPRINT.fullmatch(signer):
        return signer
    # Rarely needed, and slow to import: `smolpack run` would wait for it.
    from smolsign import KeyFormatError, PublicKey, UnknownKeyTypeError

    try:
        key = PublicKey.parse(signer)
        key.check_type()
    except (KeyFormatError, UnknownKeyTypeError):
        raise PolicyError(
            f"{origin}: {signer!r:.80} is neither a fingerprint like SHA256:… nor a public key "
            "like ssh-ed25519 AAAA…"
        ) from None
    return key.fingerprint
