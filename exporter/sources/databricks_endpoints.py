"""All that a Databricks workspace is ever asked; nothing here changes anything in one.

https://docs.databricks.com/api/workspace/introduction
"""

from __future__ import annotations

from exporter.sources.http import Endpoint

CLUSTERS = Endpoint("clusters/list", "GET", "/api/2.1/clusters/list")
CLUSTER = Endpoint("clusters/get", "GET", "/api/2.1/clusters/get")
# A POST that reads: its filter is a body.
CLUSTER_EVENTS = Endpoint("clusters/events", "POST", "/api/2.1/clusters/events")
JOBS = Endpoint("jobs/list", "GET", "/api/2.2/jobs/list")
JOB = Endpoint("jobs/get", "GET", "/api/2.2/jobs/get")
RUNS = Endpoint("runs/list", "GET", "/api/2.2/jobs/runs/list")
RUN = Endpoint("runs/get", "GET", "/api/2.2/jobs/runs/get")
RUN_OUTPUT = Endpoint("runs/get-output", "GET", "/api/2.2/jobs/runs/get-output")
PIPELINES = Endpoint("pipelines/list", "GET", "/api/2.0/pipelines")
PIPELINE = Endpoint("pipelines/get", "GET", "/api/2.0/pipelines/{pipeline_id}")
PIPELINE_UPDATES = Endpoint("pipelines/updates", "GET", "/api/2.0/pipelines/{pipeline_id}/updates")
PIPELINE_EVENTS = Endpoint("pipelines/events", "GET", "/api/2.0/pipelines/{pipeline_id}/events")
WAREHOUSES = Endpoint("warehouses/list", "GET", "/api/2.0/sql/warehouses")
INSTANCE_POOLS = Endpoint("instance-pools/list", "GET", "/api/2.0/instance-pools/list")
ME = Endpoint("scim/me", "GET", "/api/2.0/preview/scim/v2/Me")
# The workspace's id, its cloud and its account.
WORKSPACE = Endpoint("workspace", "GET", "/.well-known/databricks-config")

# Who we are for a token: RFC 6749, 4.4, and RFC 8693.
TOKEN = Endpoint("token", "POST", "/oidc/v1/token")

ENDPOINTS = frozenset(
    {
        CLUSTERS,
        CLUSTER,
        CLUSTER_EVENTS,
        JOBS,
        JOB,
        RUNS,
        RUN,
        RUN_OUTPUT,
        PIPELINES,
        PIPELINE,
        PIPELINE_UPDATES,
        PIPELINE_EVENTS,
        WAREHOUSES,
        INSTANCE_POOLS,
        ME,
        WORKSPACE,
        TOKEN,
    }
)
