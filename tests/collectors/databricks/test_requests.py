"""The account of a workspace's client on a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.collectors.databricks import requests as collector
from exporter.collectors.databricks import warehouses
from exporter.collectors.databricks.requests import RequestsRecord
from exporter.demo.workspace.faults import Fault, Kind
from exporter.errors import SourceError
from exporter.sources.databricks import Usage
from tests.collectors.databricks.workspaces import NAME, looking, page, values


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page: answers, refusals and failures, an item that could not be read, and time that was waited."""
    requests = {("clusters/list", "200"): 12, ("clusters/list", "429"): 2, ("runs/list", "200"): 40, ("runs/get", "timeout"): 1}
    usage = Usage(requests, {"runs/list": 3}, 12.5, 0.25, 7.5, 1.5)

    golden("databricks-requests.prom", page(collector.METRICS, collector.samples(RequestsRecord(NAME, usage))))


def test_what_was_asked() -> None:
    """Each call of a real client is counted once, a refused one too, and so is an item that can't be read."""
    with looking() as one:
        one.look("warehouses", warehouses.fetch)
        one.there.faults(Fault(Kind.BROKEN_ITEMS))
        one.look("warehouses", warehouses.fetch)
        one.there.faults(Fault(Kind.STATUS, "403"))
        with pytest.raises(SourceError):
            one.look("warehouses", warehouses.fetch)
        told = list(collector.samples(RequestsRecord(NAME, one.workspace.usage())))

    assert values(told, collector.REQUESTS) == {("warehouses/list", "200"): 2, ("warehouses/list", "403"): 1}
    assert values(told, collector.UNREADABLE) == {("warehouses/list",): 6}


def test_before_the_first_call() -> None:
    """The times that were waited stand at 0 from the beginning."""
    with looking() as one:
        told = list(collector.samples(RequestsRecord(NAME, one.workspace.usage())))

    assert {sample.metric: sample.value for sample in told} == {
        collector.THROTTLED: 0,
        collector.PACED: 0,
        collector.BUDGET: 1000,
        collector.PAUSE: 0,
    }
