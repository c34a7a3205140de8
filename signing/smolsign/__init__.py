"""OpenSSH signatures of messages, made and verified with Ed25519 keys, and whom to trust.

docs/signing.md introduces it. What is named here, and the module `timestamps`, is public.
"""

from smolsign import timestamps
from smolsign.agent import Agent, AgentSigner
from smolsign.allowed_signers import AllowedSigners, Entry
from smolsign.errors import (
    AgentError,
    AllowedSignersError,
    KeyFileError,
    KeyFormatError,
    PassphraseError,
    SignatureError,
    SmolsignError,
    TrustError,
    UnknownKeyTypeError,
)
from smolsign.keyfile import (
    Passphrase,
    PrivateKey,
    generate,
    load_private_key,
    load_public_key,
)
from smolsign.keys import PublicKey
from smolsign.signer import Signer, load_signer
from smolsign.sshsig import Signature, armor, dearmor, sign, verify
from smolsign.trust import TrustStore

__all__ = [
    "Agent",
    "AgentError",
    "AgentSigner",
    "AllowedSigners",
    "AllowedSignersError",
    "Entry",
    "KeyFileError",
    "KeyFormatError",
    "Passphrase",
    "PassphraseError",
    "PrivateKey",
    "PublicKey",
    "Signature",
    "SignatureError",
    "Signer",
    "SmolsignError",
    "TrustError",
    "TrustStore",
    "UnknownKeyTypeError",
    "armor",
    "dearmor",
    "generate",
    "load_private_key",
    "load_public_key",
    "load_signer",
    "sign",
    "timestamps",
    "verify",
]
