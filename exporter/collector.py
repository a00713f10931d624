"""What a collector is: a name, its metrics, and a pure function from a record to samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from exporter.metric import Metric, Sample


@dataclasses.dataclass(frozen=True)
class Collector:
    """One part of the page.

    `samples` takes the frozen record that a source's snapshot holds and yields samples of `metrics`, and of no other,
    without a clock and without asking anybody: what it can't tell from the record it leaves out.
    """

    name: str
    metrics: tuple[Metric, ...]
    samples: Callable[[Any], Iterator[Sample]]
