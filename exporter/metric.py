"""What a metric is: a declaration that checks itself, and the samples it makes; knows nothing of where values come from."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["gauge", "counter", "histogram"]

# A gauge or histogram names what it counts in. `""` as a unit says: this one has none, and that is meant.
UNITS = ("seconds", "bytes", "rows", "files", "events", "batches", "threads", "partitions", "processors", "series", "info")
RESERVED_LABELS = frozenset({"job", "instance", "le", "quantile"})
MAX_LABEL_LENGTH = 256

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SENTENCE_WITH_ORIGIN = re.compile(r"[A-Z].*\(.+\)\.", re.DOTALL)


class Buckets(NamedTuple):
    """A histogram's value: how many observations fell into each bucket (not cumulated; the last is +Inf), and their sum."""

    counts: tuple[int, ...]
    sum: float


class Sample(NamedTuple):
    """One value of one metric; `labels` are values in the order of the metric's label names."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Buckets


@dataclasses.dataclass(frozen=True, eq=False)  # one declaration is one metric; to hash all its fields for a sample costs much
class Metric:
    """A declaration; raises ValueError, at import, for a name, help or label that breaks the house's rules.

    `labels` are names in page order. `buckets` are a histogram's upper bounds, ascending, without +Inf.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unit: str | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(f"metric {self.name}: {problem}")

    def __call__(self, value: float | Buckets, /, **labels: object) -> Sample:
        """A sample with these labels, each made fit for a page; raises TypeError unless they are exactly the declared ones."""
        if len(labels) != len(self.labels) or any(name not in labels for name in self.labels):
            raise TypeError(f"metric {self.name}: labels {sorted(labels)} given, {sorted(self.labels)} declared")
        return Sample(self, tuple(label_value(labels[name]) for name in self.labels), value)


def gauge(name: str, help: str, labels: Sequence[str] = (), unit: str | None = None) -> Metric:
    """A value that goes up and down; `unit=""` for one without a unit."""
    return Metric(name, "gauge", help, tuple(labels), unit=unit)


def counter(name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """A count that only grows; its name ends in `_total`."""
    return Metric(name, "counter", help, tuple(labels), unit="")


def histogram(name: str, help: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Metric:
    """Observations by size; `buckets` are upper bounds in the metric's unit, ascending, without +Inf."""
    return Metric(name, "histogram", help, tuple(labels), tuple(buckets))


def info(name: str, help: str, labels: Sequence[str]) -> Metric:
    """A series that is always 1 and carries names and ids in its labels; its name ends in `_info`."""
    return Metric(name, "gauge", help, tuple(labels))


def stateset(name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """A gauge for each possible state, 1 for the present one; the states stand in the label `state`."""
    return Metric(name, "gauge", help, (*labels, "state"), unit="")


def label_value(value: object) -> str:
    """`value` as text that any page can carry: at most 256 characters, no control characters, no lone surrogates.

    What had to be changed gets a hash of the whole at its end, so that two values never become one.
    """
    text = value if isinstance(value, str) else str(value)
    if len(text) <= MAX_LABEL_LENGTH and text.isprintable():
        return text
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    if len(clean) <= MAX_LABEL_LENGTH and clean == text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean[: MAX_LABEL_LENGTH - 9]}#{digest}"


def _problems(metric: Metric) -> list[str]:
    problems = []
    if not _SNAKE_CASE.fullmatch(metric.name):
        problems.append("the name is not snake_case")
    if (metric.kind == "counter") != metric.name.endswith("_total"):
        problems.append("a counter's name, and no other, ends in _total")
    if metric.unit is None and not metric.name.endswith(tuple(f"_{unit}" for unit in UNITS)):
        problems.append(f"the name ends in no unit ({', '.join(UNITS)}); say unit='' if it has none")
    if metric.unit and not metric.name.endswith(f"_{metric.unit}"):
        problems.append(f"the name does not end in its unit {metric.unit}")
    if not _SENTENCE_WITH_ORIGIN.fullmatch(metric.help):
        problems.append("the help is no sentence that ends with its origin in parentheses")
    problems += [f"label {name} is reserved" for name in metric.labels if name in RESERVED_LABELS]
    problems += [f"label {name} is not snake_case" for name in metric.labels if not _SNAKE_CASE.fullmatch(name)]
    if len(set(metric.labels)) != len(metric.labels):
        problems.append("a label is declared twice")
    if list(metric.buckets) != sorted(set(metric.buckets)) or bool(metric.buckets) != (metric.kind == "histogram"):
        problems.append("a histogram, and no other, has buckets, and they ascend")
    return problems
