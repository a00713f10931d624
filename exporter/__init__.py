"""Prometheus exporter for Databricks and Apache Spark; `attach` and `register` run it inside somebody's Python process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    from prometheus_client import CollectorRegistry

    from exporter.notebook import Attached

__version__ = "0.1.0"


def attach(spark: Any, listen_address: str | None = None) -> Attached:
    """Follows the streams of a SparkSession and serves them; see `exporter.notebook.attach`."""
    from exporter import notebook

    return notebook.attach(spark, listen_address)


def register(registry: CollectorRegistry, spark: Any = None) -> ExitStack:
    """Shows our metrics in the application's own prometheus_client registry; see `exporter.notebook.register`."""
    from exporter import notebook

    return notebook.register(registry, spark)
