"""The explicit table of collectors, in page order."""

from __future__ import annotations

import dataclasses

from exporter.collectors.databricks import (
    cluster_events,
    clusters,
    identity,
    instance_pools,
    job_runs,
    jobs,
    pipeline_events,
    pipelines,
    requests,
    schedules,
    tasks,
    warehouses,
)
from exporter.collectors.spark import driver, expected, streaming

# Those that read the record of an application: exporter.streaming.view.AppView.
APPLICATION = (streaming.COLLECTOR, driver.COLLECTOR)
# What reads exporter.streaming.expected.Inventory.
EXPECTED = expected.COLLECTOR
# Those that ask a workspace themselves, in the order in which they do: later ones read what earlier ones found.
WORKSPACE = (
    clusters.POLLED,
    jobs.POLLED,
    cluster_events.POLLED,
    dataclasses.replace(job_runs.POLLED, also=(tasks.COLLECTOR,)),
    schedules.POLLED,
    pipelines.POLLED,
    pipeline_events.POLLED,
    warehouses.POLLED,
    instance_pools.POLLED,
    identity.POLLED,
)
# What reads the account of a workspace's client; it can't be switched off.
REQUESTS = requests.COLLECTOR

OF_WORKSPACES = (*(one for polled in WORKSPACE for one in (polled.collector, *polled.also)), REQUESTS)
ALL = (*APPLICATION, EXPECTED, *OF_WORKSPACES)
