"""The explicit table of collectors, in page order."""

from __future__ import annotations

from exporter.collectors.spark import driver, expected, streaming

# Those that read the record of an application: exporter.streaming.view.AppView.
APPLICATION = (streaming.COLLECTOR, driver.COLLECTOR)
# What reads exporter.streaming.expected.Inventory.
EXPECTED = expected.COLLECTOR

ALL = (*APPLICATION, EXPECTED)
