"""Samples to the bytes of a page, Prometheus text format 0.0.4; keeps every family whole and within its cap."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from exporter.metric import Buckets, Metric, Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES_A_FAMILY = 20_000
MAX_SERIES = 200_000
# Integers below it are exact in a double, and short enough to read.
LARGEST_PLAIN = 1e15

# The text of each series, by the values of its labels, by family.
Families = dict[Metric, dict[tuple[str, ...], bytes]]


def families(samples: Iterable[Sample], order: Sequence[Metric]) -> Families:
    """The text of `samples`, by family in the order of `order`; a family without samples is left out.

    Raises ValueError for a sample of a metric that `order` does not hold, where two samples are one series, and for labels
    or a value that no page can carry.
    """
    found: Families = {metric: {} for metric in order}
    for sample in samples:
        if sample.metric not in found:
            raise ValueError(f"metric {sample.metric.name} is not in the catalogue")
        if sample.labels in found[sample.metric]:
            raise ValueError(f"metric {sample.metric.name}: a series stands twice")
        found[sample.metric][sample.labels] = "".join(_lines(sample)).encode()
    return {metric: series for metric, series in found.items() if series}


def add(page: Families, more: Families) -> None:
    """Puts `more` into `page`; raises ValueError, and puts nothing, where one series stands in both."""
    for metric, series in more.items():
        if not series.keys().isdisjoint(page[metric]):
            raise ValueError(f"metric {metric.name}: a series stands twice")
    for metric, series in more.items():
        page[metric].update(series)


def bounded(found: Families, a_family: int = MAX_SERIES_A_FAMILY, overall: int = MAX_SERIES) -> tuple[Families, dict[str, int]]:
    """What fits within both caps, in order, and how many series of which family were left out.

    Series are dropped from a family's end, so that the same ones survive from page to page.
    """
    kept: Families = {}
    dropped: dict[str, int] = {}
    room = overall
    for metric, series in found.items():
        fits = dict(itertools.islice(series.items(), min(a_family, room)))
        room -= len(fits)
        if fits:
            kept[metric] = fits
        if len(fits) < len(series):
            dropped[metric.name] = len(series) - len(fits)
    return kept, dropped


def text(found: Families) -> bytes:
    """A page of `found`, UTF-8, ending in a line feed; empty where there is nothing to say."""
    parts: list[bytes] = []
    for metric, series in found.items():
        parts.append(f"# HELP {metric.name} {_escape_help(metric.help)}\n# TYPE {metric.name} {metric.kind}\n".encode())
        parts.extend(series.values())
    return b"".join(parts)


def process() -> bytes:
    """`process_*` and `python_*` of this process, told and written by prometheus_client."""
    from prometheus_client import generate_latest

    return generate_latest(_process_registry())


@functools.cache
def _process_registry() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def number(value: float) -> str:
    """A value as Prometheus reads it: integers without a fraction, `NaN`, `+Inf`, `-Inf`, else the shortest exact text."""
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < LARGEST_PLAIN else repr(float(value))
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _lines(sample: Sample) -> Iterable[str]:
    metric, values, value = sample
    labels = [f'{name}="{_escape_label(text)}"' for name, text in zip(metric.labels, values, strict=True)]
    if not isinstance(value, Buckets):
        yield f"{metric.name}{_braces(labels)} {number(value)}\n"
        return
    cumulated = 0
    for bound, count in zip((*metric.buckets, math.inf), value.counts, strict=True):
        cumulated += count
        yield f"{metric.name}_bucket{_braces([*labels, _le(bound)])} {cumulated}\n"
    yield f"{metric.name}_sum{_braces(labels)} {number(value.sum)}\n"
    yield f"{metric.name}_count{_braces(labels)} {cumulated}\n"


def _le(bound: float) -> str:
    # The client libraries write a bucket's bound as a float; a page that writes 1 where they write 1.0 is another series.
    return f'le="{number(bound) if math.isinf(bound) else repr(float(bound))}"'


def _braces(labels: Sequence[str]) -> str:
    return "{" + ",".join(labels) + "}" if labels else ""


def _escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
