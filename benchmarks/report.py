"""What benchmarks found, as values, and how it is told: on a terminal, and in docs/performance.md; measures nothing."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

PAGE_WIDTH = 120


class Figure(NamedTuple):
    """One thing measured; `goal` is the most that it may be, `ratio` says how it stands to another's."""

    name: str
    measured: float
    unit: str = ""
    goal: float | None = None
    ratio: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a goal, and it is not met."""
        return self.goal is not None and not self.measured <= self.goal


class Part(NamedTuple):
    """Benchmarks of one subject: what `make bench PART=name` runs, and what a reader must know of it."""

    name: str
    title: str
    words: str
    measure: Callable[[], Iterator[Figure]]


def line(figure: Figure) -> str:
    """A figure as a terminal shows it."""
    told = f"  {figure.name:78}{_amount(figure.measured, figure.unit):>16}"
    if figure.goal is not None:
        told += f"   at most {_amount(figure.goal, figure.unit)}"
    if figure.missed:
        told += "   MISSED"
    return told + (f"   {figure.ratio}" if figure.ratio else "")


def page(found: Sequence[tuple[Part, Sequence[Figure]]], machine: Mapping[str, str]) -> str:
    """The text of docs/performance.md: all that was measured in one run, and on what."""
    told = "".join(f"| {name} | {value} |\n" for name, value in machine.items())
    return (
        "# Performance\n\n"
        "<!-- Made by `make bench`; edit benchmarks/. -->\n\n"
        "What the exporter and its listener cost, and what the web front bears. All of it was measured in one run of\n"
        "`make bench`, clients and servers on one machine, over loopback. The figures hold for this machine; ratios and\n"
        "goals travel better. `make bench` measures yours, and ends with 1 where a goal is missed.\n\n"
        f"| measured on | |\n|---|---|\n{told}" + "".join(_section(part, figures) for part, figures in found)
    )


def times(measured: float, other: float, whose: str) -> str:
    """How `measured` stands to `other`, which is not 0, in words."""
    ratio = measured / other
    return f"{_number(ratio)} times {whose}'s" if ratio >= 1 else f"1/{_number(1 / ratio)} of {whose}'s"


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of `ordered`, which is sorted, that `share` of it does not exceed; raises IndexError where it is empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _section(part: Part, figures: Sequence[Figure]) -> str:
    rows = "".join(map(_row, figures))
    words = textwrap.fill(part.words, PAGE_WIDTH)
    return f"\n## {part.title}\n\n{words}\n\n| | measured | goal: at most | beside others |\n|---|---:|---:|---|\n{rows}"


def _row(figure: Figure) -> str:
    goal = "" if figure.goal is None else _amount(figure.goal, figure.unit)
    missed = " (missed)" if figure.missed else ""
    return f"| {figure.name} | {_amount(figure.measured, figure.unit)}{missed} | {goal} | {figure.ratio} |\n"


def _amount(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    """Three digits that count, and no fraction where there are as many before the point."""
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 -- three digits
