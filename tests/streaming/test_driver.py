"""Where on Databricks a driver runs, as a link that a person follows."""

from __future__ import annotations

import pytest

from exporter.streaming.driver import run_page
from exporter.streaming.facts import Facts

PLACE = {
    "workspaceUrl": "dbc-4a1f.cloud.databricks.com",
    "clusterUsageTags.orgId": "7405",
    "job.id": "620",
    "job.runId": "551",
}


@pytest.mark.parametrize(
    ("tags", "page"),
    [
        (PLACE, "https://dbc-4a1f.cloud.databricks.com/?o=7405#job/620/run/551"),
        ({**PLACE, "clusterUsageTags.orgId": None}, "https://dbc-4a1f.cloud.databricks.com/#job/620/run/551"),
        ({**PLACE, "clusterUsageTags.orgId": "7&x"}, "https://dbc-4a1f.cloud.databricks.com/#job/620/run/551"),
        ({**PLACE, "workspaceUrl": None}, ""),
        ({**PLACE, "job.id": None}, ""),
        ({**PLACE, "job.runId": "551/../x"}, ""),
        ({**PLACE, "job.runId": "551\n"}, ""),
        ({**PLACE, "workspaceUrl": "javascript:alert(1)"}, ""),
        ({**PLACE, "workspaceUrl": "dbc.example.net@evil.example"}, ""),
        ({**PLACE, "workspaceUrl": "dbc.example.net/path"}, ""),
        ({**PLACE, "workspaceUrl": "localhost"}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_run_page(tags: dict[str, str | None] | None, page: str) -> None:
    """A run's page is told where workspace, job and run are known; what is no host's name or number gets into no link."""
    assert run_page(Facts(databricks=tags)) == page
