"""Prometheus exporter for Databricks and Apache Spark; `attach(spark)` runs it inside a Spark session's Python process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.notebook import Attached

__version__ = "0.1.0"


def attach(spark: Any, listen_address: str | None = None) -> Attached:
    """Follows the streams of a SparkSession and serves them; see `exporter.notebook.attach`."""
    from exporter import notebook

    return notebook.attach(spark, listen_address)
