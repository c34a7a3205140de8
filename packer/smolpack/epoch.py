"""SOURCE_DATE_EPOCH (reproducible-builds.org): the time that a file claims, where it has one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from smolpack.errors import SpecError

_VARIABLE = "SOURCE_DATE_EPOCH"


def source_date() -> int | None:
    """Its value in seconds since 1970, None when it is not set; raises SpecError for one that
    squashfs cannot hold."""
    text = os.environ.get(_VARIABLE)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) < 1 << 32):
        raise SpecError(f"{_VARIABLE}={text!r}: expected seconds from 0 to 2^32-1")
    return int(text)


def now() -> int:
    """The time that goes into a signature, in seconds since 1970."""
    date = source_date()
    return int(time.time()) if date is None else date


@contextmanager
def pinned(date: int | None) -> Iterator[None]:
    """Within the block source_date() is `date`, for whatever this process starts too."""
    before = os.environ.pop(_VARIABLE, None)
    if date is not None:
        os.environ[_VARIABLE] = str(date)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
        if before is not None:
            os.environ[_VARIABLE] = before
