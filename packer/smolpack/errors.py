"""Errors: one root, one subclass a stage. The text is one line: the thing and the remedy."""


class SmolpackError(Exception):
    """Everything that goes wrong for a reason the user can act on."""


class SpecError(SmolpackError):
    """What the user asked for makes no sense (the command line ends with status 2)."""


class SourceError(SmolpackError):
    """The source of files cannot be read or is damaged."""


class RootfsError(SmolpackError):
    """The root file system image could not be made, or lacks the program to run."""


class KernelError(SmolpackError):
    """The file is not a kernel that can be booted."""


class AssetsError(SmolpackError):
    """Launcher, initramfs or kernel are not there."""


class FormatError(SmolpackError):
    """The file is not a packed machine, or a damaged one."""


class SignError(SmolpackError):
    """The file cannot be signed as asked."""


class VerifyError(SmolpackError):
    """The file is not what its signer made, or nobody vouches for it whom the user trusts."""


class PolicyError(SmolpackError):
    """This host's policy or a trust store cannot be understood, so that nothing is allowed."""


class OutputError(SmolpackError):
    """The target cannot be written."""


class RunError(SmolpackError):
    """The packed machine cannot be started."""


class ImageError(SmolpackError):
    """The container image cannot be found or read, is damaged, or is for another platform."""


class RegistryError(ImageError):
    """A registry, or the way to it, refused or failed."""
