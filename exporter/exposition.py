"""Samples to the text of a page, Prometheus' format 0.0.4 or OpenMetrics 1.0; keeps every family whole and within its cap."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.metric import UNITS, Buckets, Metric, Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as ClientFamily

MAX_SERIES_A_FAMILY = 20_000
MAX_SERIES = 200_000
# Prefixes of series that have gone are let go when they are this many more than the rest.
SPARE_PREFIXES = 100

_NOT_FINITE = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}

# What stands before the value of each series, by the values of its labels: it is the same on every page, and most of the work.
Prefixes = dict[Metric, dict[tuple[str, ...], str]]


class Family(NamedTuple):
    """One target's series of one metric, each named by what stands before its value, and the text of all of them.

    `since` is when counting began, in seconds since 1970; 0 where nobody knows.
    """

    series: list[str]
    text: str
    since: float = 0.0


Families = dict[Metric, Family]
# The page of several targets: each metric's families, in page order.
Parts = dict[Metric, list[Family]]


def families(
    samples: Iterable[Sample], order: Iterable[Metric], prefixes: Prefixes | None = None, since: float = 0.0
) -> Families:
    """The text of `samples`, by family in the order of `order`; a family without samples is left out.

    `prefixes` are those of earlier pages, and take up those of this one. Raises ValueError for a sample of a metric that
    `order` does not hold, where two samples are one series, and for labels or a value that no page can carry.
    """
    found: dict[Metric, tuple[list[str], list[Any]]] = {metric: ([], []) for metric in order}
    known: Prefixes = {} if prefixes is None else prefixes
    last: Metric | None = None
    for metric, labels, value in samples:
        if metric is not last:  # samples of one family often follow each other
            if metric not in found:
                raise ValueError(f"metric {metric.name} is not in the catalogue")
            last, (series, values), its_prefixes = metric, found[metric], known.setdefault(metric, {})
            add, add_value, prefix_of = series.append, values.append, its_prefixes.get
        prefix = prefix_of(labels)
        if prefix is None:
            prefix = its_prefixes[labels] = _fit(
                _histogram_prefix(metric, labels) if metric.buckets else _prefix(metric, labels)
            )
        add(prefix)
        add_value(value)
    return {metric: _family(metric, *its, since, known[metric]) for metric, its in found.items() if its[0]}


def refuse_twins(metric: Metric, family: Family, others: Iterable[Families]) -> None:
    """Raises ValueError where a series of `family` is one of another target's too."""
    series = set(family.series)
    for other in others:
        if metric in other and not series.isdisjoint(other[metric].series):
            raise ValueError(f"metric {metric.name}: a series stands twice")


def bounded(
    targets: Sequence[Families], order: Iterable[Metric], a_family: int = MAX_SERIES_A_FAMILY, overall: int = MAX_SERIES
) -> tuple[Parts, dict[str, int]]:
    """What fits within both caps, in order, and how many series of which family were left out.

    Series are dropped from a family's end, so that the same ones survive from page to page.
    """
    kept: Parts = {}
    dropped: dict[str, int] = {}
    for metric in order:
        parts = [found[metric] for found in targets if metric in found]
        room = left = min(a_family, overall)
        fitting = []
        for part in parts:
            fits = min(len(part.series), left)
            if fits:
                fitting.append(_first(metric, part, fits))
            left -= fits
        overall -= room - left
        if fitting:
            kept[metric] = fitting
        excess = sum(len(part.series) for part in parts) - (room - left)
        if excess:
            dropped[metric.name] = excess
    return kept, dropped


def lines(parts: Parts) -> int:
    """How many samples a page of `parts` has: a histogram's series is several."""
    return sum(_lines(metric) * len(family.series) for metric, its in parts.items() for family in its)


def text(parts: Parts, *, openmetrics: bool = False, created: bool = False) -> bytes:
    """The families of `parts`, UTF-8, ending in a line feed; empty where there is nothing to say, and without a last line.

    `created` adds to each series of a counter or a histogram when its counting began, which OpenMetrics alone can tell.
    """
    written: list[str] = []
    for metric, its in parts.items():
        written.append(header(metric, openmetrics=openmetrics))
        tells = openmetrics and created and metric.kind != "gauge"
        written += [_with_created(metric, family) if tells and family.since else family.text for family in its]
    return "".join(written).encode()


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
    text = repr(value if type(value) is float else float(value))
    if text[-2:] == ".0":
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


def _histogram_prefix(metric: Metric, labels: tuple[str, ...]) -> str:
    """What stands before each value of a histogram's series, one on a line."""
    bounds = (*metric.buckets, math.inf)
    buckets = [_prefix(metric, labels, "_bucket", _le(bound)) for bound in bounds]
    return "\n".join((*buckets, _prefix(metric, labels, "_sum"), _prefix(metric, labels, "_count")))


def _histogram(prefix: str, value: Buckets) -> str:
    counts = [str(count) for count in itertools.accumulate(value.counts)]
    numbers = (*counts, number(value.sum), counts[-1])
    return "".join(f"{name}{written}\n" for name, written in zip(prefix.split("\n"), numbers, strict=True))


def _family(metric: Metric, series: list[str], values: list[Any], since: float, prefixes: dict[tuple[str, ...], str]) -> Family:
    used = set(series)
    if len(used) < len(series):
        raise ValueError(f"metric {metric.name}: a series stands twice")
    if len(prefixes) > 2 * len(used) + SPARE_PREFIXES:
        for labels in [labels for labels, prefix in prefixes.items() if prefix not in used]:
            del prefixes[labels]
    both = zip(series, values, strict=True)
    written = [_histogram(*one) for one in both] if metric.buckets else [f"{prefix}{number(value)}\n" for prefix, value in both]
    return Family(series, "".join(written), since)


def _first(metric: Metric, family: Family, count: int) -> Family:
    if count == len(family.series):
        return family
    its = family.text.split("\n")[: count * _lines(metric)]
    return Family(family.series[:count], "\n".join((*its, "")), family.since)


def _lines(metric: Metric) -> int:
    # A bucket each, that of +Inf, the sum and the count.
    return len(metric.buckets) + 3 if metric.buckets else 1


def _with_created(metric: Metric, family: Family) -> str:
    last = f"{metric.name}_count" if metric.buckets else metric.name
    name = f"{metric.name.removesuffix('_total')}_created"
    written = []
    for line in family.text.split("\n")[:-1]:
        written.append(f"{line}\n")
        if line.startswith(last):  # all samples of a series stand together
            labels = line.rpartition(" ")[0].removeprefix(last)
            written.append(f"{name}{labels} {number(family.since)}\n")
    return "".join(written)


def _le(bound: float) -> str:
    # The client libraries write a bucket's bound as a float; a page that writes 1 where they write 1.0 is another series.
    return f'le="{number(bound) if math.isinf(bound) else repr(float(bound))}"'


def _escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
