"""SQL warehouses of a simulated workspace on a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.collectors.databricks import warehouses as collector
from exporter.collectors.databricks.warehouses import Warehouse, Warehouses
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import Reason, SourceError
from tests.collectors.databricks.workspaces import NAME, looking, page, values

LIST = "/api/2.0/sql/warehouses"
MANY = Sizes(1, 60, 0, 0, 0, 0, 1, 0, 0, 40, 0, 0.0)


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page."""
    with looking() as one:
        record = one.look("warehouses", collector.fetch)

    golden("databricks-warehouses.prom", page(collector.METRICS, collector.samples(record)))


@pytest.mark.parametrize("kind", [Kind.STRINGS, Kind.EMPTY_TOKEN, Kind.UNKNOWN_FIELDS, Kind.SHIFTING])
def test_odd_answers(kind: Kind) -> None:
    """The record is the same, however Databricks spells numbers and cuts its list."""
    with looking(sizes=MANY) as one:
        plain = one.look("warehouses", collector.fetch)
        one.there.faults(Fault(kind), Fault(Kind.SMALL_PAGES))

        assert one.look("warehouses", collector.fetch) == plain
        assert plain.visible == 40
        assert one.asked(LIST) == 3


def test_life() -> None:
    """Over two days each state and each health of the warehouses is told as it is over there."""
    seen = set()
    with looking() as one:
        for _ in range(48 * 12):
            record = one.look("warehouses", collector.fetch, 300)
            told = list(collector.samples(record))
            states = {key for key, value in values(told, collector.STATE).items() if value}
            healths = {key for key, value in values(told, collector.HEALTH).items() if value}
            there = one.there.world.warehouses.values()

            assert states == {(each.id, each.state.lower()) for each in there}
            assert healths == {(each.id, each.health.lower()) for each in there}
            assert values(told, collector.CLUSTERS) == {(each.id,): each.clusters for each in there}
            assert values(told, collector.SESSIONS) == {(each.id,): each.sessions for each in there}
            seen |= {state for _, state in states | healths}

    assert seen >= {"running", "stopped", "starting", "healthy", "degraded", "failed"}


def test_unknown_values() -> None:
    """A state, a health and a type that nobody knows are `other`."""
    with looking() as one:
        one.there.faults(Fault(Kind.UNKNOWN_VALUES))
        record = one.look("warehouses", collector.fetch)
        told = list(collector.samples(record))

    first = record.warehouses[0].id
    assert values(told, collector.STATE)[first, "other"] == 1
    assert values(told, collector.HEALTH)[first, "other"] == 1
    assert next(key for key in values(told, collector.INFO) if key[0] == first)[3] == "other"


def test_bare() -> None:
    """Of a warehouse that tells but its id no number is made up."""
    told = list(collector.samples(Warehouses(NAME, (Warehouse("a"),))))

    assert {sample.metric for sample in told} == {collector.INFO, collector.STATE}
    assert values(told, collector.STATE)["a", "other"] == 1


def test_failure() -> None:
    """Where the list is not whole there is no record."""
    with looking() as one:
        one.there.faults(Fault(Kind.LOGIN_PAGE))
        with pytest.raises(SourceError) as raised:
            one.look("warehouses", collector.fetch)

    assert raised.value.reason is Reason.BAD_ANSWER


def test_no_addresses() -> None:
    """Addresses to connect to, and who made a warehouse, are not even in the record."""
    with looking() as one:
        record = one.look("warehouses", collector.fetch)

    assert "jdbc" not in repr(record)
    assert "example.com" not in repr(record)
