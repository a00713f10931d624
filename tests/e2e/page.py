"""A page of metrics as a value that can be asked; parsed by prometheus_client, which is not what wrote it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = dict[str, str]


@dataclass(frozen=True)
class Page:
    series: tuple[tuple[str, Labels, float], ...]
    # Names of all series that may never decrease: counters, and the parts of histograms.
    counters: frozenset[str]

    def find(self, name: str, **labels: str) -> Iterator[tuple[Labels, float]]:
        """All series of this name that have these labels, and perhaps more."""
        for found, its, value in self.series:
            if found == name and labels.items() <= its.items():
                yield its, value

    def value(self, name: str, **labels: str) -> float | None:
        """The one series of this name that has these labels; None where there is none."""
        found = list(self.find(name, **labels))
        if len(found) > 1:
            raise AssertionError(f"{len(found)} series answer to {name} {labels}: {found}")
        return found[0][1] if found else None

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of this name that have these labels."""
        return sum(value for _, value in self.find(name, **labels))


def parsed(text: str) -> Page:
    families = list(text_string_to_metric_families(text))
    return Page(
        tuple((sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples),
        frozenset(sample.name for family in families if family.type in ("counter", "histogram") for sample in family.samples),
    )


def fetched(url: str, *, timeout: float = 5) -> Page | None:
    """The page at `url`; None while nobody answers there, or answers that it has none yet."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return parsed(answer.read().decode())
    except OSError:  # URLError and HTTPError are kinds of it, and so is a connection that was cut in the middle
        return None
