"""A page of metrics read back into values; knows the text format, and no metric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SERIES = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


class Series(NamedTuple):
    """One line of the page."""

    name: str
    labels: dict[str, str]
    value: float


class Page(NamedTuple):
    """All series, in page order."""

    series: tuple[Series, ...] = ()

    def find(self, name: str, **labels: str) -> Iterator[Series]:
        """The series of this name that have these labels, and perhaps more."""
        return (one for one in self.series if one.name == name and labels.items() <= one.labels.items())

    def value(self, name: str, **labels: str) -> float | None:
        """The first of them; None where there is none."""
        return next((one.value for one in self.find(name, **labels)), None)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all of them."""
        return sum(one.value for one in self.find(name, **labels))


def parsed(text: str) -> Page:
    """The page of a text in Prometheus' format 0.0.4; comments and what is no series are left out."""
    found = (_SERIES.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return Page(tuple(Series(one[1], _labels(one[2] or ""), float(one[3])) for one in found if one))


def _labels(text: str) -> dict[str, str]:
    return {name: _ESCAPE.sub(_unescaped, value) for name, value in _LABEL.findall(text)}


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]
