"""Rows of results and how they are printed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One figure. `other` is what it is compared with, measured in the same run, in `unit` too."""

    group: str
    name: str
    value: float
    unit: str
    samples: int = 1
    other_name: str = ""
    other: float | None = None

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of the other one."""
        return self.value / self.other if self.other else None


def of_samples(
    group: str,
    name: str,
    values: Sequence[float],
    unit: str,
    other: tuple[str, Sequence[float]] | None = None,
    figure: Callable[[Sequence[float]], float] = median,
) -> Row:
    """A row of one figure from many samples of both sides."""
    return Row(
        *(group, name, figure(values), unit, len(values)),
        *((other[0], figure(other[1])) if other else ()),
    )


def render(rows: Iterable[Row]) -> str:
    """The table as text, in Markdown: groups in order, figures with three digits."""
    lines = [("what", "figure", "compared with", "figure", "ratio")]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append((f"**{group}**", "", "", "", ""))
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        other = "" if row.other is None else _figure(row.other, row.unit)
        lines.append((row.name, _figure(row.value, row.unit), row.other_name, other, ratio))
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    text = [_line(line, widths) for line in lines]
    text.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(text)


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, figures to the right."""
    padded = [
        cell.rjust(width) if i in (1, 3, 4) else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
