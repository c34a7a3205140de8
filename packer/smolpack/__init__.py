"""One file that is a whole virtual machine: pack a root file system into an executable."""

__version__ = "0.1.0"
