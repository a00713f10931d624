"""The exporter's own metrics, told from what the Store holds by a pure function."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter import __version__
from exporter.errors import Reason
from exporter.metric import Metric, Sample, counter, gauge, info
from exporter.snapshot import View

BUILD_INFO = info(
    "lakehouse_exporter_build_info",
    "Versions of the exporter and its Python (exporter package).",
    ("version", "python_version"),
)
SUCCESS = gauge(
    "lakehouse_exporter_collector_success",
    "Whether the collector's last look succeeded (exporter).",
    ("collector", "target"),
    unit="",
)
DURATION = gauge(
    "lakehouse_exporter_collector_duration_seconds",
    "How long the collector's last look took (exporter).",
    ("collector", "target"),
)
LAST_SUCCESS = gauge(
    "lakehouse_exporter_collector_last_success_timestamp_seconds",
    "When the collector last succeeded (exporter).",
    ("collector", "target"),
)
FAILURES = counter(
    "lakehouse_exporter_collector_failures_total", "Looks that failed, by reason (exporter).", ("collector", "target", "reason")
)
DROPPED = gauge(
    "lakehouse_exporter_series_dropped",
    "Series that this page leaves out, because their family or the page is full (exporter).",
    ("family",),
    unit="",
)

UNRENDERED = gauge(
    "lakehouse_exporter_snapshots_dropped",
    "Snapshots that this page leaves out, or shows as they were before, because of a fault in rendering them (exporter).",
    unit="",
)

RENDERS = counter("lakehouse_exporter_page_renders_total", "Times that the page was made anew (exporter).")
PAGE_BYTES = gauge("lakehouse_exporter_page_bytes", "Size of the page that was made last, before compression (exporter).")
PAGE_SERIES = gauge(
    "lakehouse_exporter_page_series", "Series on this page, without the exporter's own and its process' (exporter)."
)
SHED = counter(
    "lakehouse_exporter_connections_shed_total",
    "Connections that the web front ended or refused, by cause (exporter).",
    ("cause",),
)
CONFIG_LOADED = gauge(
    "lakehouse_exporter_config_last_reload_successful",
    "Whether the last attempt to read the configuration succeeded (exporter).",
    unit="",
)
CONFIG_LOADED_AT = gauge(
    "lakehouse_exporter_config_last_reload_success_timestamp_seconds",
    "When the configuration was last read with success (exporter).",
)
WEB_CONFIG_FAILURES = counter(
    "lakehouse_exporter_web_config_failures_total",
    "Times that a changed web configuration could not be used, and the one before was kept (exporter).",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


class Rendering(NamedTuple):
    """How a page was made: series left out by family, snapshots left out or old, pages so far, series, and bytes before.

    `bytes` is None where no page is written.
    """

    dropped: Mapping[str, int]
    failed: int
    renders: int
    series: int
    bytes: int | None


class Life(NamedTuple):
    """What happened to the exporter itself: connections shed by cause, and how reading its configurations went.

    `config_loaded` is whether the last attempt succeeded, `config_loaded_at` when one last did, in seconds since 1970.
    """

    shed: Mapping[str, int] = {}
    config_loaded: bool = True
    config_loaded_at: float | None = None
    web_config_failures: int = 0


def samples(view: View, rendering: Rendering, life: Life) -> Iterator[Sample]:
    """What to tell of the exporter itself, on a page that was made like this."""
    yield BUILD_INFO(1, version=__version__, python_version=platform.python_version())
    for (collector, target), outcome in sorted(view.outcomes.items()):
        labels = {"collector": collector, "target": target}
        yield SUCCESS(int(outcome.succeeded), **labels)
        if outcome.duration is not None:
            yield DURATION(outcome.duration, **labels)
        if outcome.last_success is not None:
            yield LAST_SUCCESS(outcome.last_success, **labels)
        for reason in Reason:  # each from the first look on, so that the first failure is an increase
            yield FAILURES(outcome.failures.get(reason.value, 0), **labels, reason=reason.value)
    for family, count in sorted(rendering.dropped.items()):
        yield DROPPED(count, family=family)
    yield UNRENDERED(rendering.failed)
    yield RENDERS(rendering.renders)
    if rendering.bytes is not None:
        yield PAGE_BYTES(rendering.bytes)
    yield PAGE_SERIES(rendering.series)
    for cause, count in sorted(life.shed.items()):
        yield SHED(count, cause=cause)
    yield CONFIG_LOADED(int(life.config_loaded))
    if life.config_loaded_at is not None:
        yield CONFIG_LOADED_AT(life.config_loaded_at)
    yield WEB_CONFIG_FAILURES(life.web_config_failures)
