"""Instance pools of a simulated workspace on a page."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from exporter.collectors.databricks import instance_pools as collector
from exporter.collectors.databricks.instance_pools import InstancePools, Pool
from exporter.demo.workspace.faults import Fault, Kind
from exporter.errors import Reason, SourceError
from tests.collectors.databricks.workspaces import NAME, looking, page, values


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page."""
    with looking() as one:
        record = one.look("instance_pools", collector.fetch)

    golden("databricks-instance_pools.prom", page(collector.METRICS, collector.samples(record)))


@pytest.mark.parametrize("kind", [Kind.STRINGS, Kind.UNKNOWN_FIELDS, Kind.BROKEN_ITEMS])
def test_odd_answers(kind: Kind) -> None:
    """The record is the same, however Databricks spells it."""
    with looking() as one:
        plain = one.look("instance_pools", collector.fetch)
        one.there.faults(Fault(kind))

        assert one.look("instance_pools", collector.fetch) == plain
        assert plain.visible == 2


def test_life() -> None:
    """Over six hours the machines are told by what they do."""
    with looking() as one:
        for _ in range(72):
            told = list(collector.samples(one.look("instance_pools", collector.fetch, 300)))
            there = one.there.world.pools.values()

            assert values(told, collector.INSTANCES) == {
                (pool.id, use): getattr(pool, use) for pool in there for use in ("used", "idle", "pending_used", "pending_idle")
            }


def test_machines_that_can_not_be_had() -> None:
    """Errors are counted; what they say is not read."""
    errors = [{"instance_id": "i-1", "message": "no capacity"}, {}]
    pool = msgspec.convert({"instance_pool_id": "a", "status": {"pending_instance_errors": errors}}, Pool)
    told = list(collector.samples(InstancePools(NAME, (pool,))))

    assert values(told, collector.PENDING_ERRORS) == {("a",): 2}
    assert "no capacity" not in repr(pool)


def test_bare() -> None:
    """Of a pool that tells but its id no number is made up."""
    told = list(collector.samples(InstancePools(NAME, (Pool("a", state="BRAND_NEW"),))))

    assert {sample.metric for sample in told} == {collector.INFO, collector.STATE}
    assert values(told, collector.STATE)["a", "other"] == 1


def test_failure() -> None:
    """Where the list can't be had there is no record."""
    with looking() as one:
        one.there.faults(Fault(Kind.STATUS, "403"))
        with pytest.raises(SourceError) as raised:
            one.look("instance_pools", collector.fetch)

    assert raised.value.reason is Reason.FORBIDDEN
