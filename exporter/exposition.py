"""Samples to the text of a page, Prometheus' format 0.0.4 or OpenMetrics 1.0; keeps every family whole and within its cap."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from exporter.metric import UNITS, Buckets, Metric, Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as ClientFamily

MAX_SERIES_A_FAMILY = 20_000
MAX_SERIES = 200_000
# Prefixes of series that have gone are let go when they are this many more than the rest.
SPARE_PREFIXES = 100

_NOT_FINITE = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}

# The text of each series, by the values of its labels, by family.
Families = dict[Metric, dict[tuple[str, ...], str]]
# What stands before the value of each series: it is the same on every page, and most of the work.
Prefixes = dict[Metric, dict[tuple[str, ...], str]]
_NONE: dict[tuple[str, ...], str] = {}


def families(samples: Iterable[Sample], order: Iterable[Metric], prefixes: Prefixes | None = None) -> Families:
    """The text of `samples`, by family in the order of `order`; a family without samples is left out.

    `prefixes` are those of earlier pages, and take up those of this one. Raises ValueError for a sample of a metric that
    `order` does not hold, where two samples are one series, and for labels or a value that no page can carry.
    """
    found: Families = {metric: {} for metric in order}
    known: Prefixes = {} if prefixes is None else prefixes
    last, series, its_prefixes = None, _NONE, _NONE
    for metric, labels, value in samples:
        if metric is not last:  # samples of one family mostly follow each other
            if metric not in found:
                raise ValueError(f"metric {metric.name} is not in the catalogue")
            last, series, its_prefixes = metric, found[metric], known.setdefault(metric, {})
        if labels in series:
            raise ValueError(f"metric {metric.name}: a series stands twice")
        if isinstance(value, Buckets):
            series[labels] = _fit("".join(_histogram(metric, labels, value)))
            continue
        prefix = its_prefixes.get(labels)
        if prefix is None:
            prefix = its_prefixes[labels] = _fit(_prefix(metric, labels))
        series[labels] = f"{prefix}{number(value)}\n"
    for metric, used in found.items():
        if len(known.get(metric, _NONE)) > 2 * len(used) + SPARE_PREFIXES:
            known[metric] = {labels: prefix for labels, prefix in known[metric].items() if labels in used}
    return {metric: series for metric, series in found.items() if series}


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


def text(found: Families, *, openmetrics: bool = False) -> bytes:
    """The families of `found`, UTF-8, ending in a line feed; empty where there is nothing to say, and without a last line."""
    parts: list[str] = []
    for metric, series in found.items():
        parts.append(header(metric, openmetrics=openmetrics))
        parts.extend(series.values())
    return "".join(parts).encode()


def header(metric: Metric, *, openmetrics: bool) -> str:
    """What stands above a family. OpenMetrics calls a counter without its `_total`, and an info without its `_info`."""
    name, kind, unit = metric.name, metric.kind, ""
    if openmetrics:
        if kind == "counter":
            name = name.removesuffix("_total")
        elif name.endswith("_info"):
            return f"# HELP {name[:-5]} {_escape_help(metric.help)}\n# TYPE {name[:-5]} info\n"
        units = [unit for unit in UNITS if name.endswith(f"_{unit}")]
        unit = f"# UNIT {name} {units[0]}\n" if units else ""
    return f"# HELP {name} {_escape_help(metric.help)}\n# TYPE {name} {kind}\n{unit}"


def process(*, openmetrics: bool = False, names: Sequence[str] = ()) -> bytes:
    """`process_*` and `python_*` of this process, told and written by prometheus_client; OpenMetrics' with its last line.

    Where `names` are given, those of them alone.
    """
    from prometheus_client import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    chosen = [family for family in _process_registry().collect() if not names or _named(family) & set(names)]
    told: Any = SimpleNamespace(collect=lambda: chosen)
    return (generate_openmetrics if openmetrics else generate_latest)(told)


def _named(family: ClientFamily) -> set[str]:
    return {family.name, *(sample.name for sample in family.samples)}


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
    text = repr(float(value))
    if text.endswith(".0"):
        return text[:-2] if text != "-0.0" else "0"
    return _NOT_FINITE.get(text, text)


def _prefix(metric: Metric, values: tuple[str, ...], suffix: str = "", *more: str) -> str:
    labels = [f'{name}="{_escape_label(text)}"' for name, text in zip(metric.labels, values, strict=True)]
    labels += more
    return f"{metric.name}{suffix}{{{','.join(labels)}}} " if labels else f"{metric.name}{suffix} "


def _fit(text: str) -> str:
    """`text`, which UTF-8 can carry; raises UnicodeEncodeError, a ValueError, where it can't."""
    text.encode()
    return text


def _histogram(metric: Metric, labels: tuple[str, ...], value: Buckets) -> Iterable[str]:
    cumulated = 0
    for bound, count in zip((*metric.buckets, math.inf), value.counts, strict=True):
        cumulated += count
        yield f"{_prefix(metric, labels, '_bucket', _le(bound))}{cumulated}\n"
    yield f"{_prefix(metric, labels, '_sum')}{number(value.sum)}\n"
    yield f"{_prefix(metric, labels, '_count')}{cumulated}\n"


def _le(bound: float) -> str:
    # The client libraries write a bucket's bound as a float; a page that writes 1 where they write 1.0 is another series.
    return f'le="{number(bound) if math.isinf(bound) else repr(float(bound))}"'


def _escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
