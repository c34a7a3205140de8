"""A terminal with a launcher in it: the master side, and the session of the slave side."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

from machine import Machine, Process, Word

Size = tuple[int, int]


class Terminal:
    """Runs commands as the foreground group of a session whose terminal this is."""

    def __init__(self, machine: Machine, size: Size = (24, 80)) -> None:
        self.machine = machine
        self.master, self.slave = pty.openpty()
        machine.cleanup.callback(self.close)
        self.resize(size)
        self.settings = termios.tcgetattr(self.slave)

    def start(self, *arguments: Word, **popen: object) -> Process:
        """Start the machine; streams that are not given are the terminal."""
        return self.start_command([self.machine.path, *arguments], **popen)

    def start_script(self, text: str, **popen: object) -> Process:
        """Start a shell script in the machine."""
        return self.start("sh", "-c", text, **popen)

    def start_command(self, command: Sequence[Word | Path], **popen: object) -> Process:
        """Start any command."""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self.slave)
        environment = {**os.environ, "TERM": "vt220"}
        process = subprocess.Popen(
            command,
            bufsize=0,
            env=environment,
            start_new_session=True,
            preexec_fn=self._take,
            **{**streams, **popen},
        )
        return self.machine.cleanup.enter_context(Process(process))

    def _take(self) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def resize(self, size: Size) -> None:
        """Set the window size; the foreground group gets SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def type(self, keys: bytes) -> None:
        """As from the keyboard."""
        os.write(self.master, keys)

    def is_raw(self) -> bool:
        """Whether keys go through as they are, without echo, lines and signals."""
        flags = termios.tcgetattr(self.slave)[3]
        return not flags & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self) -> bool:
        """Whether the settings are those of the beginning."""
        return termios.tcgetattr(self.slave) == self.settings

    def close(self) -> None:
        """What closing a terminal's window does: the session is hung up."""
        for descriptor in (self.slave, self.master):
            if descriptor >= 0:
                os.close(descriptor)
        self.slave = self.master = -1
