"""Streams that somebody counts on, named in the settings; shapes samples, judges nothing."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.metric import Sample, gauge
from exporter.streaming.expected import Inventory
from exporter.streaming.metrics import QUERY

EXPECTED = gauge(
    "spark_streaming_query_expected",
    "Always 1, for each query that is expected, whether it runs or not (settings, expected).",
    QUERY,
    unit="",
)
INTERVAL = gauge(
    "spark_streaming_query_expected_interval_seconds",
    "Longest time between two signs of life of an expected query that does not run always (settings, expected.schedule).",
    QUERY,
)
LAST_SIGNAL = gauge(
    "spark_streaming_query_expected_last_signal_timestamp_seconds",
    "When an expected query last gave a sign of life, however long ended; absent until it has (driver's clock).",
    QUERY,
)


def samples(inventory: Inventory) -> Iterator[Sample]:
    """What is expected of each query, and when it was last seen."""
    for query in inventory.queries:
        labels = {"app": query.app, "query": query.query}
        yield EXPECTED(1, **labels)
        if query.interval is not None:
            yield INTERVAL(query.interval, **labels)
        if query.last_signal is not None:
            yield LAST_SIGNAL(query.last_signal, **labels)


COLLECTOR = Collector("expected", (EXPECTED, INTERVAL, LAST_SIGNAL), samples)
