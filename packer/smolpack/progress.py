"""The progress bar: on standard error, only when that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def bar(title: str, total: int | None, delay: float = 0) -> Iterator[Callable[[int], object]]:
    """A bar over `total` bytes (None: unknown), shown after `delay` seconds; yields what advances
    it."""
    with tqdm(
        desc=title,
        total=total,
        delay=delay,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=None,
    ) as shown:
        yield shown.update
