"""Errors: one root, one subclass a concern. The text is one line: the thing and the remedy.

No text of an error, nor that of its cause, shows a passphrase or bytes of a private key.
"""


class SmolsignError(Exception):
    """Everything that goes wrong for a reason the user can act on."""


class KeyFormatError(SmolsignError):
    """The text or the bytes are not a public key."""


class KeyFileError(SmolsignError):
    """A key file cannot be read, used or written."""


class PassphraseError(KeyFileError):
    """The private key is encrypted, and the passphrase is missing or wrong."""


class UnknownKeyTypeError(SmolsignError):
    """A well-formed key of a type that neither signs nor verifies here, RSA for example. Whoever
    holds several signatures skips the one that raised it."""


class AgentError(SmolsignError):
    """ssh-agent is not there, lacks the key, refused, or answered nonsense."""


class SignatureError(SmolsignError):
    """The signature is malformed, or not one of this key for this message and namespace."""


class AllowedSignersError(SmolsignError):
    """An allowed_signers file cannot be read, or a line of it (named) is wrong."""


class TrustError(SmolsignError):
    """The trust store cannot be changed as asked."""
